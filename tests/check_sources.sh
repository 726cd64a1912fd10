#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every source names its licence and is finished, and every test stands in a
# Makefile.am: one that does not would never run.
: "${srcdir:=$(dirname "$0")/..}"
cd "$srcdir" || exit 99
failed=0
sources=$(find include src vmm-demo tests bench -name '*.[chS]' -o -name '*.cc' \
	-o -name '*.sh' -o -name '*.am' | grep -vE '/(readme|embedding)_example\.c$')
words='FIX''ME|TO''DO|XX''X|not impl''emented|\bst''ub\b'
for f in $sources bootstrap configure.ac Makefile.am libgpmm.map; do
	head -n 2 "$f" | grep -q 'SPDX-License-Identifier: BSD-3-Clause' ||
		{ echo "$f: no licence line at its head"; failed=1; }
	grep -HnE "$words" "$f" && failed=1
done

for f in tests/test_*.c tests/torture_*.c tests/fuzz_*.c tests/check_*.sh \
	bench/bench_*.c; do
	[ -e "$f" ] || continue
	grep -qE "${f%.c}([[:space:]]|$)" tests/*.am bench/*.am ||
		{ echo "$f stands in no Makefile.am"; failed=1; }
done
exit "$failed"
