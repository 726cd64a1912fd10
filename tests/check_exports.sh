#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# libgpmm.so exports what include/gpmm declares, all of it and nothing else,
# and calls nothing that prints, exits or signals.
: "${srcdir:=$(dirname "$0")/..}" "${CC:=cc}" "${NM:=nm}"
export LC_ALL=C
library=.libs/libgpmm.so
[ -e "$library" ] || { echo "no shared library was built"; exit 77; }
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT

# The functions declared outside braces: the word before the first parenthesis,
# or the second of two words where the first is a function type.
cat >"$tmp/declared.awk" <<'END'
{
	gsub(/\*/, " ")
	gsub(/[{}();]/, " & ")
	for (i = 1; i <= NF; i++)
		token($i)
}
function forget() { first = last = name = ""; words = 0 }
function token(t)
{
	if (t == "{" || t == "}") {
		depth += t == "{" ? 1 : -1
		if (!depth)
			forget()
	} else if (depth) {
		return
	} else if (t == ";") {
		if (words == 2 && first !~ /^(struct|enum|union)$/)
			name = last
		if (first !~ /^(typedef|static)$/ && name ~ /^gpmm_/)
			print name
		forget()
	} else if (t == "(") {
		name = name ? name : last
	} else {
		first = first ? first : t
		last = t
		words++
	}
}
END

for header in "$srcdir"/include/gpmm/*.h; do
	echo "#include <gpmm/${header##*/}>"
done >"$tmp/all.c"
$CC -std=gnu11 -E -P -I"$srcdir/include" "$tmp/all.c" >"$tmp/all.i" || exit 99
awk -f "$tmp/declared.awk" "$tmp/all.i" | sort -u >"$tmp/declared"
names()
{
	$NM -D "$1" "$library" | awk '{ sub(/@.*/, "", $NF); print $NF }' |
		grep -v '^GPMM_' | sort -u
}
names --defined-only >"$tmp/exported"
names --undefined-only >"$tmp/called"
[ -s "$tmp/declared" ] || { echo "found no declarations"; exit 99; }

failed=0
tell()
{
	[ -z "$2" ] && return
	echo "$1:" "$2"
	failed=1
}
tell "declared but not exported" "$(comm -23 "$tmp/declared" "$tmp/exported")"
tell "exported but not declared" "$(comm -13 "$tmp/declared" "$tmp/exported")"
tell "the library calls" "$(grep -xE '_?exit|abort|raise|kill|perror|syslog|(__)?(v|f|vf)?printf(_chk)?|f?put(s|c|char)|std(out|err)' "$tmp/called")"
exit "$failed"
