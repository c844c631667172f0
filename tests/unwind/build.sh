#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Build the programs whose stacks are known, in many ways, and print their names.
#
#   build.sh          BUILD/unwind/programs/NAME, for this machine
#   build.sh arm64    BUILD/unwind/programs-arm64/NAME

set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac
src=$top/tests/unwind/programs
warn="-Wall -Wextra -Werror"
c="-std=gnu11 -D_GNU_SOURCE $warn"
fp="-fno-omit-frame-pointer -mno-omit-leaf-frame-pointer"
nofp="-fomit-frame-pointer"

# One "NAME COMMAND..." a line, of what -o NAME is to be appended to.
programs()
{
	for o in 0 1 2 3; do
		for cc in gcc clang; do
			echo "scenes-$cc-O$o-nofp $cc $c -O$o $nofp $scenes"
		done
	done
	for o in 0 2; do
		for cc in gcc clang; do
			echo "scenes-$cc-O$o-fp $cc $c -O$o $fp $scenes"
		done
	done
	echo "scenes-gcc-O2-nopie gcc $c -O2 $nofp -fno-pie -no-pie $scenes"
	echo "scenes-gcc-O2-now gcc $c -O2 $nofp -Wl,-z,now $scenes"
	echo "scenes-gcc-O2-cet gcc $c -O2 $nofp -fcf-protection=full -Wl,-z,ibtplt $scenes"
	echo "scenes-gcc-O2-static gcc $c -O2 $nofp -static $scenes"
	echo "scenes-gcc-O2-static-pie gcc $c -O2 $nofp -static-pie $scenes"
	# Frames described for debuggers only; without the table of the table.
	echo "scenes-gcc-O2-debug gcc $c -O2 -g $nofp -fno-asynchronous-unwind-tables -fno-unwind-tables $scenes"
	echo "scenes-gcc-O2-nohdr gcc $c -O2 $nofp -Wl,--no-eh-frame-hdr $scenes"
	echo "scenes-gcc-O2-march gcc $c -O2 $nofp -march=x86-64-v3 $scenes"
	echo "scenes-musl-O2 musl-gcc $c -O2 $nofp $scenes"
	echo "scenes-musl-O2-static musl-gcc $c -O2 $nofp -static $scenes"
	echo "scenes-musl-O2-static-pie musl-gcc $c -O2 $nofp -fPIE -static-pie $scenes"
	echo "scenes-musl-O0-fp-static musl-gcc $c -O0 $fp -static $scenes"
	echo "throw-g++-O0 g++ -std=c++17 $warn -O0 $throw"
	echo "throw-clang++-O2 clang++ -std=c++17 $warn -O2 $throw"
	echo "throw-g++-O2-static g++ -std=c++17 $warn -O2 -static $throw"
	echo "crypto gcc $c -O2 $src/crypto.c -ldl"
	echo "rusty rustc --edition 2021 -D warnings -C opt-level=2 $src/rusty.rs"
	echo "gopher go build $src/gopher.go $src/gomark.go"
}

programs_arm64()
{
	cc="aarch64-linux-gnu-gcc $c"
	for o in 0 1 2 3; do
		echo "scenes-O$o-fp $cc -O$o $fp $scenes"
		echo "scenes-O$o-nofp $cc -O$o $nofp $scenes"
	done
	echo "scenes-O2-pac $cc -O2 $nofp -mbranch-protection=standard $scenes"
	echo "scenes-O2-pac-static $cc -O2 $nofp -mbranch-protection=standard -static $scenes"
	echo "scenes-O2-static-pie $cc -O2 $nofp -static-pie $scenes"
}

scenes="$src/scenes.c $src/asm.S -lpthread"
throw="$src/throw.cc"
case ${1:-amd64} in
amd64)
	dir=$build/unwind/programs
	list=programs
	;;
arm64)
	dir=$build/unwind/programs-arm64
	list=programs_arm64
	;;
esac

mkdir -p "$dir"
export GOCACHE="$dir/.go-cache" GO111MODULE=off CGO_ENABLED=0

# "COMMAND NAME" in two lines, of those that are not there or older than their source.
stale()
{
	$list | while read -r name command; do
		[ -n "$(find "$src" "$0" -newer "$dir/$name" 2>/dev/null ||
			echo build)" ] || continue
		case $command in
		"go "*) echo "go build -o $dir/$name.tmp ${command#go build }" ;;
		*) echo "$command -o $dir/$name.tmp" ;;
		esac
		echo "$dir/$name"
	done
}

# shellcheck disable=SC2016
stale | xargs -r -P 2 -n 2 -d '\n' sh -c '$0 && mv "$1.tmp" "$1"' >&2
$list | while read -r name command; do
	echo "$name"
done
