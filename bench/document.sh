#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Put what make bench measured into the documentation:
# document.sh RESULTS.tsv DOCS
# In DOCS/PERFORMANCE.md, what stands between "<!-- tables VARIABLE=... -->"
# and "<!-- end -->" is made by tables.awk with those variables; the targets
# and the run's particulars likewise. The plots become DOCS/*.svg.
set -e
srcdir=$(dirname "$0")
results=$1
docs=$2
page=$docs/PERFORMANCE.md
new=$(mktemp)
plots=$(mktemp -d)
trap 'rm -rf "$new" "$plots"' EXIT

# One line of the results: commit and CPU are the same in all.
particulars()
{
	awk -F '\t' '!/^#/ { print "Commit " $16 ", " $17 "."; exit }' "$results"
}

# tables VARIABLE=...: arguments without spaces
tables()
{
	for variable; do
		set -- "$@" -v "$variable"
		shift
	done
	awk "$@" -f "$srcdir/tables.awk" "$results"
}

fill()
{
	skip=
	while IFS= read -r line; do
		[ "$line" != '<!-- end -->' ] || { skip=; echo; }
		[ "$skip" ] || printf '%s\n' "$line"
		case $line in
		'<!-- tables '*)
			skip=1
			variables=${line#<!-- tables }
			# shellcheck disable=SC2086 # a list
			tables ${variables% -->} ;;
		'<!-- targets -->')
			skip=1
			printf '\n```text\n'
			awk -f "$srcdir/targets.awk" "$results"
			printf '```\n' ;;
		'<!-- run -->')
			skip=1
			echo
			particulars ;;
		esac
	done <"$page"
}

set -f # patterns are awk's
fill >"$new"
cat "$new" >"$page"
"$srcdir/plot.sh" "$results" "$plots" >/dev/null
for plot in latency throughput threads; do
	cp "$plots/$plot.svg" "$docs/$plot.svg"
done
echo "$page and its plots are made from $results"
