#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# tests/test_guest_raw.c as a program for other processors, under an emulator
# of each: the assembly beneath guest memory, and what a fault in it comes to.
: "${srcdir:=$(dirname "$0")/..}"
ran=0

# sources that need the C library alone
sources="$srcdir/tests/test_guest_raw.c $srcdir/src/guest/fault.c
	$srcdir/src/guest/raw.c $srcdir/src/guest/raw_portable.c
	$srcdir/src/guest/raw_x86_64.c"
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT

for processor in aarch64 riscv64; do
	compiler=$processor-linux-gnu-gcc
	emulator=qemu-$processor-static
	command -v "$emulator" >/dev/null || emulator=qemu-$processor
	for tool in "$compiler" "$emulator"; do
		command -v "$tool" >/dev/null && continue
		echo "no $tool"
		continue 2
	done
	for level in -O0 -O2; do
		# shellcheck disable=SC2086 # a list
		"$compiler" -std=gnu11 -Wall -Wextra -Werror $level -static \
			-I. -I"$srcdir/include" -I"$srcdir/src" $sources \
			-lpthread -o "$work/raw" || exit 1
		echo "$processor $level:"
		"$emulator" "$work/raw" || exit 1
	done
	ran=1
done
[ "$ran" = 1 ] || exit 77
