#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The program of docs/EMBEDDING.md, taken from it when the tests are built,
# prints what that page says it prints.
: "${srcdir:=$(dirname "$0")/..}"
if [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then
	echo "the program was built but not run: no /dev/kvm to open"
	exit 77
fi
wanted=$(awk '/^```$/ { p = 0 } p; /^```text$/ { p = 1 }' \
	"$srcdir/docs/EMBEDDING.md")
printed=$(tests/embedding_example) || { echo "it failed: $?"; exit 1; }
[ "$printed" = "$wanted" ] && exit
echo "it printed '$printed'; docs/EMBEDDING.md says '$wanted'"
exit 1
