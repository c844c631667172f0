#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What the daemon does with a sample: sh tests/bench/collect/run.sh [ROUNDS]
# Instructions are valgrind's, times those of this machine. BASE=COMMIT measures
# that commit's daemon as well, by turns, with the same stream.
set -eu
cd "$(dirname "$0")/../../.."
BUILD=${BUILD:-build}
rounds=${1:-3}
samples=20000
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
trap 'exit 1' INT TERM

make -s -j2 BUILD="$BUILD" "$BUILD/bench/replay" >/dev/null
# Under one name: its own path is part of the stream.
mkdir "$temp/now"
cp "$BUILD/bench/replay" "$temp/now/replay"
which=now
if [ -n "${BASE:-}" ]; then
	mkdir "$temp/tree" "$temp/base"
	git archive "$BASE" | tar -x -C "$temp/tree"
	mkdir -p "$temp/tree/tests/bench/collect"
	cp tests/bench/collect/replay.c "$temp/tree/tests/bench/collect/"
	cp Makefile "$temp/tree/"
	make -s -j2 -C "$temp/tree" BUILD=build build/bench/replay >/dev/null
	cp "$temp/tree/build/bench/replay" "$temp/base/replay"
	which="base now"
fi

# instructions PROGRAM PASSES
instructions()
{
	valgrind --tool=none --log-file=/dev/null true 2>/dev/null || return 1
	valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		"$1" "$2" $samples 2>&1 >/dev/null |
		sed -n 's/.*I *refs: *//p' | tr -d ,
}

for w in $which; do
	# What all passes have in common goes away.
	if two=$(instructions "$temp/$w/replay" 2); then
		six=$(instructions "$temp/$w/replay" 6)
		echo "table collect=$w instructions_per_sample=$(((six - two) / (4 * samples)))"
	fi
done
i=0
while [ $i -lt "$rounds" ]; do
	for w in $which; do
		echo "table collect=$w $("$temp/$w/replay" 20)"
	done
	i=$((i + 1))
done
