#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The fuzzers, a while each: tests/fuzz/run.sh [RUNS [NAME...]]. RUNS is how many
# inputs are tried (default 20000), in the same order every time. What they find lies
# in build/fuzz. Needs clang with its libFuzzer.

set -u

cd "$(dirname "$0")/../.." || exit 1
. tests/lib.sh
runs=${1:-20000}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- elfsym cfi
out=${BUILD:-build}/fuzz
failed=0
mkdir -p "$out"

# Small programs and what they say of their frames, for a start.
seed()
{
	rm -rf "$out/seed"
	mkdir -p "$out/seed"
	echo 'int main(int c, char **v) { char b[c]; return b[0] + !v; }' \
		>"$out/seed.c"
	for cc in gcc clang aarch64-linux-gnu-gcc; do
		command -v "$cc" >/dev/null || continue
		"$cc" -O1 -g -s -o "$out/seed/$cc" "$out/seed.c" || return 1
		objcopy=objcopy
		byte='\000'
		case $cc in
		aarch64*)
			objcopy=aarch64-linux-gnu-objcopy
			byte='\001'
			;;
		esac
		"$objcopy" -O binary -j .eh_frame "$out/seed/$cc" \
			"$out/section" || return 1
		# shellcheck disable=SC2059
		{ printf "$byte"; cat "$out/section"; } >"$out/seed/$cc.frame"
	done
}

# fuzz NAME: what it needs, under AddressSanitizer.
fuzz()
{
	case $1 in
	cfi) sources="daemon/symbol/cfi*.c daemon/symbol/rowtable.c" ;;
	*) sources="daemon/symbol/elf*.c daemon/symbol/symtable.c
		daemon/symbol/demangle.c" ;;
	esac
	# shellcheck disable=SC2086
	clang -std=c11 -O1 -g -D_GNU_SOURCE \
		-fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined \
		-Idaemon -Iinclude -Iinclude/uapi -o "$out/$1" \
		"tests/fuzz/fuzz_$1.c" $sources daemon/base/buf.c \
		daemon/base/hash.c daemon/base/util.c \
		-lelf -lz -lzstd -liberty || return 1
	mkdir -p "$out/found-$1"
	"$out/$1" -runs="$runs" -seed=1 -max_len=65536 -timeout=20 \
		-rss_limit_mb=1024 -print_final_stats=1 \
		-artifact_prefix="$out/found-$1/" "$out/seed" \
		>"$out/$1.log" 2>&1
}

expect "there is something to start from" seed || exit 1
for name in "$@"; do
	if fuzz "$name"; then
		echo "ok $runs inputs to $name"
	else
		tail -n 40 "$out/$name.log" 2>/dev/null
		echo "not ok $runs inputs to $name"
		failed=1
	fi
done
exit $failed
