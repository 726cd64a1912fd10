#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# bootstrap names what is missing before it touches anything, and what it
# cannot do it says in one line. It runs here on a machine made of links: only
# the commands below exist.
: "${srcdir:=$(dirname "$0")/..}"
bootstrap=$(realpath "$srcdir")/bootstrap
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/bin"
for tool in sh env cat dirname mktemp rm; do
	ln -s "$(command -v "$tool")" "$tmp/bin/$tool"
done

# command NAME TEXT: a command of this machine
command_is()
{
	printf '#!/bin/sh\n%s\n' "$2" >"$tmp/bin/$1"
	chmod +x "$tmp/bin/$1"
}

# expect WHAT TEXT: bootstrap fails, and its last line holds the text
expect()
{
	PATH=$tmp/bin CC=no-such-cc TMPDIR=$tmp sh "$bootstrap" check \
		>"$tmp/out" 2>&1 </dev/null && { echo "$1: success"; exit 1; }
	tail -n 1 "$tmp/out" | grep -qF -- "$2" && return
	echo "$1: expected '$2', but it said:"
	cat "$tmp/out"
	exit 1
}

all='autoconf automake libtool pkg-config gcc make'

command_is id 'echo 0'
expect 'no apt-get' "not a Debian system; install what it calls: $all"
[ "$(wc -l <"$tmp/out")" = 1 ] || { echo 'more than one line'; exit 1; }

# shellcheck disable=SC2016 # for the command
command_is apt-get 'echo "apt-get $*" >>"'"$tmp"'/calls"; exit 100'
command_is id 'echo 1000'
expect 'no root' "no root and no sudo; as root: apt-get install $all"
[ ! -e "$tmp/calls" ] || { echo 'it called apt-get without root'; exit 1; }

command_is id 'echo 0'
expect 'no network' "apt-get could not install $all"
grep -q "installing with apt-get: $all" "$tmp/out" ||
	{ echo 'it did not say what it installs'; cat "$tmp/out"; exit 1; }
grep -q "install.* $all" "$tmp/calls" || { cat "$tmp/calls"; exit 1; }

rm "$tmp/calls"
command_is id 'echo 1000'
# shellcheck disable=SC2016 # for the command
command_is sudo 'echo sudo >>"'"$tmp"'/calls"; exec "$@"'
expect 'sudo' "apt-get could not install $all"
grep -q sudo "$tmp/calls" || { echo 'sudo was not called'; exit 1; }
