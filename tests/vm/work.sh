#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Build the guest's workloads and helpers: BUILD/vm/work/*; work.sh arm64: those
# of a guest of that architecture, BUILD/vm/work-arm64/*.

set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac

case ${1:-amd64} in
amd64)
	dir=$build/vm/work
	set -- gcc
	;;
arm64)
	dir=$build/vm/work-arm64
	# Signed return addresses, as newer distributions have them.
	set -- aarch64-linux-gnu-gcc -mno-omit-leaf-frame-pointer \
		-mbranch-protection=standard
	;;
esac

mkdir -p "$dir"
for source in "$top"/tests/vm/work/*.c; do
	program=$dir/$(basename "$source" .c)
	[ -z "$(find "$source" "$0" "$top"/tests/vm/work/*.h \
		"$top/include/uapi/kstrata.h" "$top/tests/rowmake.h" \
		-newer "$program" 2>/dev/null || echo build)" ] && continue
	# Static: it runs whatever the guest has. Frame pointers: the walk of
	# user stacks follows them.
	"$@" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wshadow -O1 -g \
		-fno-omit-frame-pointer -fno-optimize-sibling-calls \
		-I"$top/include/uapi" -static -o "$program.tmp" "$source" \
		-lpthread -lm
	mv "$program.tmp" "$program"
done

# No 32-bit library, and so no header, is needed for it.
program=$dir/spin32
source=$top/tests/vm/work32/spin32.c
if [ "${dir##*/}" = work ] && [ "$(uname -m)" = x86_64 ] &&
		[ -n "$(find "$source" -newer "$program" 2>/dev/null || echo 1)" ]; then
	gcc -m32 -std=c11 -Wall -Wextra -Werror -O1 -ffreestanding -nostdlib \
		-static -fno-pic -no-pie -fno-omit-frame-pointer \
		-fno-stack-protector -fno-optimize-sibling-calls \
		-o "$program.tmp" "$source"
	mv "$program.tmp" "$program"
fi
