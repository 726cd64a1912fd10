#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Each room includes only what lies below it (src/README.md, the map).
: "${srcdir:=$(dirname "$0")/..}"
cd "$srcdir" || exit 99
failed=0

includes()
{
	find "$1" -name '*.[chS]' -exec \
		sed -n '\|^[ 	]*#[ 	]*include|{F;s|^[^"<]*\([<"][^">]*\).*|\1|p;}' {} + |
		paste -d ' ' - - | sort -u
}

# room DIR REGEX: the quoted, gpmm, kernel and liburcu headers DIR may include;
# the C library's are everybody's
room()
{
	[ -d "$1" ] || return 0
	wrong=$(includes "$1" | grep -E ' ("|<(gpmm|linux|asm|urcu)[/.])' |
		grep -vE " ($2)")
	[ -z "$wrong" ] && return
	echo "$1 may not include:"
	echo "$wrong"
	failed=1
}

own='"[a-z_0-9]+\.h'
base='"util/|"config\.h|<gpmm/'
kernel='<linux/([^k]|k[^v]|kv[^m])'

room include '<gpmm/|<urcu/(static/)?urcu-memb\.h'
room src/util "$base|<urcu"
room src/core "\"core/|$base"
room src/host "\"(host|core)/|$base|$kernel"
room src/guest "\"(guest|host|core)/|$base|$kernel"
room src/dirty "\"(dirty|core)/|$base"
room src/kvm '"(kvm|util)/|"config|<gpmm/(area|backend|dirty|host|kvm|pin|types)\.|<linux/'
room src/nested '"(nested|util)/|"config|<gpmm/(area|backend|nested|types)\.'
room vmm-demo "$own|<gpmm/|<linux/"
room bench "$own|<gpmm/|<linux/|<urcu"

kvm=$(grep -lrE 'include[ 	]*<(linux|asm)/kvm' src include |
	grep -v '^src/kvm/kvm_sys\.')
if [ "$kvm" ]; then
	echo "only src/kvm/kvm_sys.* includes <linux/kvm.h>, but also:" "$kvm"
	failed=1
fi
exit "$failed"
