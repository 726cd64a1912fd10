#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Draw what make bench measured: plot.sh RESULTS.tsv DIRECTORY
# makes DIRECTORY/{latency,throughput,threads}.{png,svg}.
set -e
results=$1
directory=$2
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT

# rows BENCH CASE X Y: two columns a contender, a file each
rows() {
	rm -f "$data"/*.dat
	awk -F '\t' -v bench="$1" -v what="$2" -v x="$3" -v y="$4" \
	    -v data="$data" '
		$1 == bench && $2 == what && (bench != "threads" || $5 == 512) {
			print $x, $y > (data "/" $3 ".dat")
			if ($3 ~ /^(stree|eytzinger)/ &&
			    (!($x in least) || $y + 0 < least[$x]))
				least[$x] = $y
		}
		END {
			for (at in least)
				print at, least[at] | ("sort -n > " data \
						       "/bound.dat")
		}' "$results"
}

# look NAME: how its curve is drawn; a family has one colour
look() {
	points=linespoints
	case $1 in
	bound) style="lw 3 lc 'black' pt 6 title 'best bound'" ;;
	stree* | eytzinger*)
		points=lines
		style="lw 1 lc 'gray80' $bounds"
		bounds=notitle ;;
	gpmm) style="lw 3 lc 'red' pt 7" ;;
	gpmm-find) style="lw 1.5 lc 'red' dt 2 pt 6" ;;
	gpmm-qsbr) style="lw 1.5 lc 'red' dt 3 pt 8" ;;
	sorted-rwlock) style="lw 1.5 lc 'blue' pt 5" ;;
	sorted-cmov-rwlock) style="lw 1.5 lc 'blue' dt 2 pt 4" ;;
	sorted-rcu) style="lw 1.5 lc 'dark-turquoise' pt 9" ;;
	judy-rwlock) style="lw 1.5 lc 'dark-green' pt 11" ;;
	tsearch-rwlock) style="lw 1.5 lc 'orange' pt 13" ;;
	absl-mutex) style="lw 1.5 lc 'purple' pt 2" ;;
	*) style="lw 1.5 lc 'purple' dt 2 pt 1" ;;
	esac
	case $style in
	*title*) ;;
	*) style="$style title '$1'" ;;
	esac
}

# curves: sets command to the plot command for all files, bounds undermost
curves() {
	command=
	bounds="title 'every bound'"
	for file in "$data"/stree* "$data"/eytzinger* "$data"/[!es]*.dat \
		"$data"/sorted*.dat; do
		[ -e "$file" ] || continue
		look "$(basename "$file" .dat)"
		command="$command${command:+,} '$file' using 1:2 with $points $style"
	done
}

# draw NAME TITLE XLABEL YLABEL SETTINGS
draw() {
	curves
	for terminal in png svg; do
		case $terminal in
		png) options='pngcairo size 1000,700' ;;
		svg) options='svg size 1000,700 background "white"' ;;
		esac
		gnuplot <<-END
			set terminal $options
			set output '$directory/$1.$terminal'
			set title '$2'
			set xlabel '$3'
			set ylabel '$4'
			set key outside right
			set grid
			$5
			plot $command
		END
		echo "$directory/$1.$terminal"
	done
}

mkdir -p "$directory"
scale='set logscale x 2; set logscale y 2; set xrange [6:1500000]
set xtics ("8" 8, "64" 64, "512" 512, "4096" 4096, "32764" 32764, "1M" 1000000)'
rows lookup uniform/hits/latency 5 6
draw latency 'Dependent lookups, uniform hits, a section each' \
	'areas' 'ns a lookup' "$scale"
rows lookup uniform/hits/throughput 5 6
draw throughput 'Independent lookups, uniform hits, a section each' \
	'areas' 'ns a lookup' "$scale"
rows threads uniform/hits/throughput 4 13
draw threads 'All threads together, 512 areas, a section each' \
	'threads' 'million lookups a second' \
	'set yrange [0:*]; set xtics 1; set xrange [0.5:*]'
