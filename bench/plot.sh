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

# curves: the plot command for all files, bounds in one colour
curves() {
	style=1
	separator=plot
	bounds="title 'every bound'"
	for file in "$data"/*.dat; do
		name=$(basename "$file" .dat)
		case $name in
		bound)
			look="lw 3 lc 'black' title 'best bound'" ;;
		stree* | eytzinger*)
			look="lw 1 lc 'gray' $bounds"
			bounds=notitle ;;
		gpmm)
			look="lw 3 lc 'red' pt 7 title 'gpmm'" ;;
		*)
			look="lw 1.5 lt $style pt $style title '$name'"
			style=$((style + 1)) ;;
		esac
		printf "%s '%s' using 1:2 with linespoints %s" \
			"$separator" "$file" "$look"
		separator=,
	done
	echo
}

# draw NAME TITLE XLABEL YLABEL SETTINGS
draw() {
	set -- "$1" "$2" "$3" "$4" "$5" "$(curves)"
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
			$6
		END
		echo "$directory/$1.$terminal"
	done
}

mkdir -p "$directory"
scale='set logscale x 2; set logscale y 2'
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
