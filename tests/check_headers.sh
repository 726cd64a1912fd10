#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every public header stands alone, in C and in C++, with an embedder's warnings
# as errors, and the umbrella includes them all; each macro with a value can be
# used.
: "${srcdir:=$(dirname "$0")/..}" "${CC:=cc}" "${CXX:=c++}"
command -v "${CXX%% *}" >/dev/null || CXX=
warnings='-Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Werror'
CC="$CC $warnings" CXX=${CXX:+"$CXX $warnings"}
failed=0
for header in "$srcdir"/include/gpmm/*.h; do
	line="#include <gpmm/${header##*/}>"
	for compile in "$CC -std=c11 -xc" "$CC -std=gnu11 -xc" \
		${CXX:+"$CXX -std=c++14 -xc++"}; do
		echo "$line" | $compile -pedantic \
			-I"$srcdir/include" -fsyntax-only - && continue
		echo "$line: not with $compile"
		failed=1
	done
	case $header in */gpmm.h) continue ;; esac
	grep -qF "$line" "$srcdir/include/gpmm/gpmm.h" ||
		{ echo "gpmm.h lacks $line"; failed=1; }
done
values=$(sed -n 's/^#define \(GPMM_[A-Z0-9_]*\)[[:space:]].*/(void)\1;/p' \
	"$srcdir"/include/gpmm/*.h)
for compile in "$CC -std=c11 -xc" ${CXX:+"$CXX -std=c++14 -xc++"}; do
	printf '%s\n' '#include <gpmm/gpmm.h>' 'void use(void);' \
		'void use(void) {' "$values" '}' |
		$compile -pedantic \
			-I"$srcdir/include" -fsyntax-only - && continue
	echo "the macros' values: not with $compile"
	failed=1
done
# The sections inlined, where the compiler finds liburcu without being told.
for compile in "$CC -std=gnu11 -xc" ${CXX:+"$CXX -std=c++14 -xc++"} \
	${CXX:+"$CXX -std=c++20 -xc++"}; do
	echo '#include <urcu/urcu-memb.h>' | $compile -fsyntax-only - \
		2>/dev/null || continue
	echo '#include <gpmm/gpmm.h>' | $compile -DGPMM_INLINE_SECTIONS \
		-I"$srcdir/include" -fsyntax-only - && continue
	echo "GPMM_INLINE_SECTIONS: not with $compile"
	failed=1
done
[ "$CXX" ] || echo "no C++ compiler: the headers were tried as C only"
exit "$failed"
