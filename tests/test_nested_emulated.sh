#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every format of nested tables walked by an emulator: a bare-metal program
# (tests/emu) switches second-stage translation on over tables that the
# library wrote, and its guest reads, writes and fetches.
#
# shellcheck disable=SC2086 # flags are words
#
# Of the long tier. Needs qemu-system-x86, -arm and -misc, bochs, and cross
# compilers for aarch64 and riscv64; what is not there is skipped by name.
: "${srcdir:=$(dirname "$0")/..}"
if [ "${GPMM_LONG:-0}" != 1 ]; then
	echo "SKIP: emulators are for the long tier: GPMM_LONG=1"
	exit 77
fi
emu=$srcdir/tests/emu
make_tables=$PWD/tests/emu/emu_tables
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
ran=0
failed=0

bare="-std=gnu11 -O2 -Wall -Wextra -Werror -ffreestanding -fno-pie -no-pie
	-nostdlib -static -fno-stack-protector -Wl,--build-id=none"
x86="-m64 -mno-red-zone -mgeneral-regs-only -fcf-protection=none
	-Wl,-T,$emu/emu_x86.ld"

have()
{
	for tool; do
		command -v "$tool" >/dev/null && continue
		echo "SKIP $format: no $tool"
		return 1
	done
}

# tables FORMAT AD FILE
tables()
{
	if [ "$2" = ad ]; then
		"$make_tables" "$1" "$3" ad
	else
		"$make_tables" "$1" "$3"
	fi
}

# A program has to say so itself.
judge()
{
	if grep -aq '^EMU SKIP' "$dir/out"; then
		grep -a '^EMU SKIP' "$dir/out" | sed "s/^EMU SKIP/SKIP $format/"
	elif grep -aq '^EMU PASS' "$dir/out"; then
		echo "PASS $format $ad"
		ran=$((ran + 1))
	else
		echo "FAIL $format $ad"
		cat "$dir/out"
		failed=1
	fi
}

# qemu NAME ARGUMENTS: 20 s are a hundred times what it takes
qemu()
{
	name=qemu-system-$1
	shift
	timeout 20 "$name" -m 256M -nodefaults -no-reboot -display none \
		-monitor none "$@" </dev/null >"$dir/out" 2>&1
	judge
}

loader()
{
	echo "loader,file=$dir/tables,addr=$1,force-raw=on"
}

stage2()
{
	have qemu-system-aarch64 aarch64-linux-gnu-gcc || return
	aarch64-linux-gnu-gcc $bare -mgeneral-regs-only -mstrict-align \
		-Wl,-Ttext=0x40200000,--section-start=.start=0x40100000 \
		"$emu/emu_aarch64.S" "$emu/emu_aarch64.c" "$emu/emu_main.c" \
		-o "$dir/program" || { failed=1; return; }
	tables "$format" "$ad" "$dir/tables" &&
		qemu aarch64 -M virt,virtualization=on -cpu max -serial stdio \
		-kernel "$dir/program" -device "$(loader 0x44000000)"
}

gstage()
{
	have qemu-system-riscv64 riscv64-linux-gnu-gcc || return
	riscv64-linux-gnu-gcc $bare -mcmodel=medany \
		-march=rv64imac_zicsr_zifencei -mabi=lp64 \
		-Wl,-Ttext=0x80200000,--section-start=.start=0x80000000 \
		"$emu/emu_riscv64.S" "$emu/emu_riscv64.c" "$emu/emu_main.c" \
		-o "$dir/program" || { failed=1; return; }
	tables "$format" "$ad" "$dir/tables" &&
		qemu riscv64 -M virt -cpu rv64,h=true -bios none \
		-serial stdio -kernel "$dir/program" \
		-device "$(loader 0x84000000)"
}

is_x86()
{
	[ "$(uname -m)" = x86_64 ] || { echo "SKIP $format: not x86-64"; return 1; }
}

# x86 OUTPUT MACHINE END: a program for 1 MiB
x86_program()
{
	gcc $bare $x86 -DGUEST_END="$3" "$emu/emu_x86.S" "$emu/emu_$2.c" \
		"$emu/emu_main.c" -o "$dir/elf" &&
		objcopy -O binary "$dir/elf" "$1"
}

npt()
{
	is_x86 && have qemu-system-x86_64 gcc objcopy || return
	x86_program "$dir/program" svm vmmcall || { failed=1; return; }
	tables "$format" "$ad" "$dir/tables" &&
		qemu x86_64 -accel tcg -cpu qemu64,+svm,+npt,+pdpe1gb \
		-serial none -debugcon stdio \
		-device isa-debug-exit,iobase=0xf4,iosize=1 \
		-kernel "$dir/program" -device "$(loader 0x1000000)"
}

put()
{
	dd if="$1" of="$dir/disk" bs=512 seek="$2" conv=notrunc status=none
}

bochs_disk()
{
	gcc -ffreestanding -nostdlib -static -no-pie \
		-Wl,-Ttext=0x7c00,--build-id=none "$emu/emu_bios.S" \
		-o "$dir/elf" &&
		objcopy -O binary -j .text "$dir/elf" "$dir/boot" &&
		x86_program "$dir/program" vmx vmcall &&
		tables "$format" "$ad" "$dir/tables" || return 1
	dd if=/dev/zero of="$dir/disk" bs=512 count=20160 status=none
	put "$dir/boot" 0
	put "$dir/program" 1
	put "$dir/tables" 129
}

ept()
{
	is_x86 && have bochs gcc objcopy || return
	bochs_disk || { failed=1; return; }
	cat >"$dir/bochsrc" <<END
display_library: rfb, options="timeout=0"
cpu: model=corei7_haswell_4770, count=1, ips=200000000
memory: guest=256, host=256
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=disk, mode=flat, path=$dir/disk, cylinders=20, heads=16, spt=63
boot: disk
port_e9_hack: enabled=1
clock: sync=none
panic: action=fatal
error: action=ignore
log: $dir/log
END
	# Where it is built with a debugger, that waits for a word.
	echo c >"$dir/go"
	timeout 60 bochs -q -f "$dir/bochsrc" -rc "$dir/go" </dev/null \
		>"$dir/out" 2>&1
	judge
}

for ad in '' ad; do
	format=ept4
	ept
	format=npt4
	npt
	for format in stage2 stage2-48; do stage2; done
	for format in sv39x4 sv48x4; do gstage; done
done
[ "$failed" = 0 ] || exit 1
[ "$ran" -gt 0 ] || exit 77
