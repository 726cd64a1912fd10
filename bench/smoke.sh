#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every benchmark runs for a moment, checks its contenders' answers against
# the model and prints whole rows.
# ThreadSanitizer cannot see into the peers' locks.
grep -q '^CFLAGS.*-fsanitize=.*thread' Makefile && {
	echo 'skipped: built with ThreadSanitizer'
	exit 77
}
set -e
for program in set_lookup set_writer set_threads set_change set_hole \
	set_memory nested_map nested_walk \
	guest_access guest_prealloc; do
	rows=$(./bench/bench_$program --smoke)
	printf '%s\n' "$rows" | awk -F '\t' -v program=$program '
		NF != 17 || $0 ~ /nan|inf/ { print program ": " $0; bad = 1 }
		END { exit bad || NR < 2 }'
done
