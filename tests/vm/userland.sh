#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The userland of a guest of another architecture than the host's: Debian's static
# busybox and its dash, the one dynamic program, in the cache.
#
#   userland.sh ARCH     print the directory: busybox, dash

set -eu

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/kstrata
. "$(dirname "$0")/debian.sh"

dir=$CACHE/userland-$1
if [ ! -e "$dir" ]; then
	mkdir -p "$CACHE"
	exec 9>"$CACHE/kernels.lock"
	flock 9
fi
if [ ! -e "$dir" ]; then
	debian_use bookworm "$1"
	work=$(mktemp -d "$CACHE/fetch.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM
	mkdir "$work/programs"
	for package in busybox-static dash; do
		deb=$(debian_get "$package:$1")
		dpkg -x "$deb" "$work/$package"
		cp "$work/$package/bin/${package%-static}" "$work/programs/"
	done
	mv -T "$work/programs" "$dir"
fi
echo "$dir"
