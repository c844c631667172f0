#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Print the path of Debian's static busybox for another architecture than the
# host's, unpacked in the cache: busybox.sh ARCH

set -eu

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/kstrata
. "$(dirname "$0")/debian.sh"

busybox=$CACHE/busybox-$1
if [ ! -e "$busybox" ]; then
	mkdir -p "$CACHE"
	exec 9>"$CACHE/kernels.lock"
	flock 9
	debian_use bookworm "$1"
	deb=$(debian_get "busybox-static:$1")
	dpkg-deb --fsys-tarfile "$deb" |
		tar -xO ./bin/busybox ./usr/bin/busybox 2>/dev/null \
		>"$busybox.tmp" || [ -s "$busybox.tmp" ]
	chmod 755 "$busybox.tmp"
	mv "$busybox.tmp" "$busybox"
fi
echo "$busybox"
