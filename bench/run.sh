#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Run benchmarks and print each target beside its figure:
# run.sh RESULTS.tsv [OPTION...] PROGRAM...
# The last line says what else the machine did meanwhile: on a machine that is
# not idle, figures are too large, and those beside a writer mean little.
set -e
srcdir=$(dirname "$0")
results=$1
shift
options=
while case $1 in -*) ;; *) false ;; esac; do
	options="$options $1"
	shift
done
BENCH_COMMIT=${BENCH_COMMIT:-$(git -C "$srcdir" describe --always --dirty \
	2>/dev/null || echo unknown)}
export BENCH_COMMIT

# Hundredths of a second that all CPUs were busy since the machine started.
busy()
{
	awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8 + $9; exit }' /proc/stat
}

# run PROGRAM OPTION...
run()
{
	from=$(date +%s)
	"$@" --output="$results"
	echo "${1##*/} $(($(date +%s) - from)) s" >&2
}

lookup=
rm -f "$results"
begun=$(date +%s)
before=$(busy)
for program; do
	# shellcheck disable=SC2086 # a list
	run "$program" $options
	case $program in
	*bench_set_lookup) lookup=$program ;;
	esac
done
# shellcheck disable=SC2086
[ ! "$lookup" ] || run "$lookup" $options --width=avx2
after=$(busy)
took=$(($(date +%s) - begun))
awk -f "$srcdir/targets.awk" "$results"
# A pipe's end would be a process of its own, which has done nothing.
times >"$results.times"
awk -v took="$took" -v busy="$((after - before))" -v cpus="$(nproc)" '
	function seconds(text,		part) {
		split(text, part, /[ms]/)
		return part[1] * 60 + part[2]
	}
	{ own += seconds($1) + seconds($2) }
	END {
		other = busy / 100 - own
		other = took && other > 0 ? other * 100 / took / cpus : 0
		printf "%d s; all else took %.0f %% of %d CPUs meanwhile\n",
		       took, other, cpus
	}' "$results.times"
rm -f "$results.times"
