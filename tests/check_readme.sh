#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# README.md's example, taken from it when the tests are built, is short and
# prints what README.md says it prints.
: "${srcdir:=$(dirname "$0")/..}"
lines=$(wc -l <tests/readme_example.c)
[ "$lines" -le 30 ] || { echo "the example has $lines lines"; exit 1; }
[ -e /dev/kvm ] || { echo "the example was built but not run: no /dev/kvm"; exit 77; }
wanted=$(awk '/text$/ { getline; print; exit }' "$srcdir/README.md")
printed=$(tests/readme_example) || { echo "the example failed: $?"; exit 1; }
[ "$printed" = "$wanted" ] && exit
echo "the example printed '$printed'; README.md says '$wanted'"
exit 1
