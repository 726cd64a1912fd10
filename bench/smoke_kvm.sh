#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The KVM benchmarks run for a moment and print whole rows.
[ -w /dev/kvm ] || { echo 'skipped: no /dev/kvm that this user may open'; exit 77; }
set -e
for program in commit guest; do
	rows=$(./bench/bench_kvm_$program --smoke)
	printf '%s\n' "$rows" | awk -F '\t' -v program=$program '
		NF != 17 || $0 ~ /nan|inf/ { print program ": " $0; bad = 1 }
		END { exit bad || NR < 2 }'
done
