#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Programs run instruction by instruction: at each, our walk of the stack must have
# the return addresses that calls have really left. See tests/unwind/step.c.

set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac
dir=$build/unwind/programs
export dir

# "OPTION... PROGRAM ARGUMENT...", the longest first: two run at a time.
runs()
{
	# What loads a program, too.
	echo "-a -r 2 scenes-gcc-O2-now 1 1 chain library"
	echo "throw-g++-O0"
	echo "throw-g++-O2-static"
	echo "rusty"
	echo "crypto"
	echo "throw-clang++-O2"
	echo "scenes-gcc-O2-static-pie"
	for name in gcc-O0-nofp gcc-O1-nofp gcc-O2-nofp gcc-O3-nofp clang-O0-nofp \
			clang-O2-nofp clang-O3-nofp gcc-O2-fp gcc-O2-cet \
			gcc-O2-static gcc-O2-debug gcc-O2-nohdr musl-O2; do
		echo "scenes-$name"
	done
	! grep -q -w avx2 /proc/cpuinfo || echo "scenes-gcc-O2-march"
	# Without rows: by frame pointers, and by the code at the leaf.
	for name in gcc-O0-fp clang-O2-fp; do
		echo "-f scenes-$name"
	done
}

sh "$top/tests/unwind/build.sh" >/dev/null
make -C "$top" BUILD="$build" "$build/unwind/step" >/dev/null
# shellcheck disable=SC2016
runs | xargs -P 2 -d '\n' -n 1 sh -c '
	options= kind=
	set -- $0
	while [ "${1#-}" != "$1" ]; do
		kind="$kind$1"
		options="$options $1"
		shift
		case $1 in [0-9]*) options="$options $1"; shift ;; esac
	done
	name=$1
	shift
	log=$dir/$name$kind.log rc=0
	timeout 120 "$dir/../step" $options "$dir/$name" "$@" >"$log" 2>&1 ||
		rc=$?
	[ $rc != 0 ] || grep -q "^step " "$log" || rc=99
	sum=$(sed -n "s/^step //p" "$log")
	# Most of what it ran must have been compared, and be right.
	[ $rc != 0 ] || echo "$sum" | tr " " "\n" | awk -F = -v kind="$kind" "
		{ v[\$1] = \$2 }
		END {
			n = v[\"compared\"]
			exit !(n > 500 && v[\"misled\"] <= .05 * n &&
			       (kind !~ /f/ || v[\"equal\"] >= .9 * n))
		}" || rc=98
	if [ $rc = 0 ]; then
		echo "ok stepped: $name$kind"
	else
		echo "not ok stepped: $name$kind # exit code $rc, $sum"
		grep -v "^step " "$log" | head -n 12 | sed "s/^/    /"
	fi
	echo "# $name$kind: $sum"
	[ $rc = 0 ]'
