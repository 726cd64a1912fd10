#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The demo as its user meets it: what it prints and how it ends.
demo=./vmm-demo/vmm-demo
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failures=0

wrong()
{
	echo "FAIL: $*"
	tail -n 100 "$work/out" "$work/err"
	failures=$((failures + 1))
}

# ends STATUS ARGUMENT...: run the demo, which must end so.
ends()
{
	want=$1
	shift
	"$@" >"$work/out" 2>"$work/err"
	got=$?
	[ $got = "$want" ] || wrong "$*: status $got, not $want"
}

# says PATTERN FILE: the last run wrote such a line there
says()
{
	grep -q -e "$1" "$work/$2" || wrong "std$2 has no line like: $1"
}

# refuses STATUS PATTERN ARGUMENT...: one line on stderr, none on stdout
refuses()
{
	status=$1
	pattern=$2
	shift 2
	ends "$status" "$@"
	says "^vmm-demo: .*$pattern" err
	[ ! -s "$work/out" ] || wrong "$*: it also wrote to stdout"
	[ "$(grep -vc '^Try ' "$work/err")" = 1 ] || wrong "$*: not one line"
}

passes()
{
	ends 0 "$demo" "$@"
	[ "$(tail -n 1 "$work/out")" = PASS ] || wrong "$*: no PASS at the end"
	[ ! -s "$work/err" ] || wrong "$*: it wrote to stderr"
	! grep -q WRONG "$work/out" || wrong "$*: a check did not hold"
}

bad_command_lines()
{
	refuses 64 "not a size" $demo --memory 64Q
	refuses 64 "not a size" $demo --memory 64MM
	refuses 64 "not a size" $demo --memory -1
	refuses 64 "not a size" $demo --memory ''
	refuses 64 "too little, it takes at least 1 MiB" $demo -m 1023K
	refuses 64 "too much, at most 3 GiB" $demo -m 3145729K
	refuses 64 "too much" $demo -m 99999999999999999999
	refuses 64 "too much" $demo -m 18014398509481984K
	refuses 64 "not a multiple of the page" $demo -m 1048577
	refuses 64 "too little" $demo --high-memory 0
	refuses 64 "too much, at most 32 GiB" $demo --high-memory 33G
	refuses 64 "not a multiple of the page" $demo -H 4097
	refuses 64 "not a number" $demo --timeout soon
	refuses 64 "not between" $demo --timeout 0
	refuses 64 "not between" $demo --timeout nan
	refuses 64 "unrecognized option" $demo --nonsense
	refuses 64 "requires an argument" $demo --memory
	refuses 64 "[Aa]rguments" $demo more
}

help_and_version()
{
	ends 0 $demo --help
	for option in --memory --high-memory --timeout --kvm --verbose; do
		says "$option" out
	done
	for status in 0 1 2 64; do
		says "^  $status  *[a-zA-Z]" out
	done
	ends 0 $demo --version
	says '^vmm-demo (gpmm) [0-9]*\.[0-9]*\.[0-9]*$' out
}

# A file nobody may open; root needs to be somebody else to see it so.
no_permission()
{
	: >"$work/kvm"
	chmod 711 "$work"
	chmod 0 "$work/kvm"
	if [ "$(id -u)" != 0 ]; then
		refuses 2 "no permission" $demo --kvm "$work/kvm"
	elif nobody="setpriv --reuid=65534 --regid=65534 --clear-groups" &&
		$nobody $demo --version >/dev/null 2>&1; then
		# shellcheck disable=SC2086 # a command and its arguments
		refuses 2 "no permission" $nobody $demo --kvm "$work/kvm"
	else
		echo "no permission: not tried, nobody cannot run $demo here"
	fi
}

no_kvm()
{
	refuses 2 "there is no $work/none" $demo --kvm "$work/none"
	refuses 2 "/dev/null is not KVM" $demo --kvm /dev/null
	refuses 2 "cannot open" $demo --kvm "$work"
	no_permission
}

# More than the machine has, which the kernel would promise all the same.
too_much_memory()
{
	have=$(awk '/^(Mem|Swap)Total:/ { kib += $2 }
		END { print int(kib / 1048576) }' /proc/meminfo)
	[ "$have" -lt 32 ] || return 0
	refuses 2 'no .* of memory for RAM: this machine has' $demo \
		-H $((have + 1))G
}

# Address sanitizers want more address space than the limit leaves.
no_memory()
{
	limited="sh -c 'ulimit -v 1048576; exec \"\$@\"' sh"
	eval "$limited $demo --version" >/dev/null 2>&1 || return 0
	eval "refuses 2 'no 1 GiB of memory for low RAM' $limited $demo -m 1G"
	eval "refuses 2 'no 1 GiB of memory for high RAM' $limited $demo -H 1G"
}

shows_what_happens()
{
	passes
	says '^guest  hello: 64-bit code at CPL 3' out
	says '^vmm    write 8 bytes at 0xfffffff8: read-only' out
	says '^vmm    read 8 bytes at 0x108000000: a reserved hole' out
	says '^vmm    DIMM plug: 6 -> 7 areas in one commit' out
	says '^vmm    DIMM seal half: 7 -> 9 areas in one commit' out
	says '^vmm    DIMM unseal: 9 -> 7 areas in one commit' out
	says '^vmm    DIMM churn: done' out
	says '^guest  churned DIMM: .* ok$' out
	says '^vmm    DIMM move: 7 -> 7 areas in one commit' out
	says '^vmm    DIMM unplug: 7 -> 6 areas in one commit' out
	says '^  0x0000000000  0x0003ffffff  *64 MiB  rwx  RAM' out
	says '^  0x00ffff0000  0x00ffffffff  *64 KiB  r-x  ROM' out
	says '^  0x0100000000  0x0107ffffff  *128 MiB  rwx  RAM' out
	says '^ *2  MMIO: write to read-only memory' out
	says ' snapshots .* 0 not whole' out
}

sizes()
{
	passes --memory 1M --high-memory 4K
	passes --memory 1028K --high-memory 1044K
	passes --memory 96m --high-memory 256M --verbose
	says '^vmm    write device register 0x38: 0x1000000' out
	says '^  .* DIMM ' out
	[ "${GPMM_LONG:-0}" = 1 ] || return
	passes --memory 3G --high-memory 4G --timeout 60
}

# Exits 0 only where all of it was written, and never writes elsewhere.
nowhere_to_write()
{
	$demo -m 1M >/dev/full 2>"$work/err"
	got=$?
	[ $got = 2 ] || wrong "a full device: status $got, not 2"
	says '^vmm-demo: not all .* written' err
	for option in --help --version; do
		$demo $option >/dev/full 2>"$work/err"
		got=$?
		[ $got = 2 ] || wrong "$option, a full device: status $got, not 2"
	done
	$demo -m 1M >&- 2>"$work/err"
	got=$?
	[ $got = 2 ] || wrong "no standard output: status $got, not 2"
	says '^vmm-demo: standard output .* must be open' err
}

watchdog()
{
	ends 1 $demo --memory 1G --timeout 0.001
	says '^vmm    the guest stops at 0xffff....: no sign of life' out
	says '^FAIL: the guest hung' out
}

bad_command_lines
help_and_version
no_kvm
if [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then
	[ $failures = 0 ] || exit 1
	echo "no /dev/kvm to open: the guest was not run"
	exit 77
fi
no_memory
too_much_memory
shows_what_happens
sizes
nowhere_to_write
watchdog
[ $failures = 0 ]
