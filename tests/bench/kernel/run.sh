#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What sampling costs: kstrata, perf and bpftrace in one guest whose clock counts
# instructions, so that the same run gives the same numbers.
#
#   run.sh [PART ...]   stacks: instructions per sample, by what is on the stacks
#                       rows: the same of user stacks by unwind rows
#                       loads: fixed work with each profiler, at 99 and 999 Hz
#                       loss: 10 kHz, the daemon draining and stopped
#                       smoke: a minute's worth of stacks, with verdicts
#                       (default: stacks rows loads loss)
#
# Prints the tables; they stay in BUILD/bench/table.txt, what they are made of in
# BUILD/bench/results.jsonl. Environment: BUILD (default build); SERIES, of
# tests/vm/kernels.sh (default 6.12); RATES and LOADS of the part loads. Needs a
# built user space. bpftrace is measured when it is installed (packaging/deps.sh
# bench).

set -eu

top=$(cd "$(dirname "$0")/../../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac
. "$top/tests/vm/guest.sh"

case ${1:-} in
-h|--help) sed -n '3,19s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac
series=${SERIES:-6.12}
here=$top/tests/bench/kernel
dir=$build/bench
mkdir -p "$dir"

kernel=$(sh "$top/tests/vm/kernels.sh" get "$series")
module=$(sh "$top/tests/vm/module.sh" "$series" 2>/dev/null) || {
	echo "not ok the module builds for $series"
	exit 1
}
# Static, and with frame pointers: its stacks are what is measured.
# With rows it has none in another copy.
kbench()
{
	k_out=$1
	shift
	gcc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wshadow -O1 -g \
		-fno-optimize-sibling-calls "$@" -I"$top/include/uapi" \
		-I"$top/include" -I"$top/daemon" -static -o "$dir/$k_out" \
		"$here"/work/*.c "$build/libkstratad.a" -lz -lzstd
}
kbench kbench -fno-omit-frame-pointer -DFRAME_POINTERS
kbench kbench-rows -fomit-frame-pointer

bpf=0
case "$* " in
"smoke "|"loss "|"rows ") ;;
*) [ ! -x /usr/bin/bpftrace ] || bpf=1 ;;
esac
guest_tree "$dir/tree" "$build"
for program in kbench kbench-rows; do
	guest_file "$dir/tree" "$dir/$program" "/usr/bin/$program"
done
[ $bpf = 0 ] || guest_file "$dir/tree" /usr/bin/bpftrace
cp "$module" "$dir/tree/kstrata.ko"
cp "$top/tests/vm/guest-lib.sh" "$dir/tree/"
cp "$here/guest.sh" "$dir/tree/test"
cp "$top/tests/vm/init" "$dir/tree/init"
chmod 755 "$dir/tree/init"
guest_pack "$dir/tree" "$dir/image"
rm -rf "$dir/tree"

failed=0

# guest PART CPUS QEMU-OPTION...: its results are added to those that there are.
guest()
{
	g_part=$1 g_cpus=$2
	shift 2
	g_dir=$dir/$g_part-$g_cpus
	mkdir -p "$g_dir/conf"
	cat >"$g_dir/conf/bench.conf" <<-END
		part=$g_part bpf=$bpf kernel=$series cpus=$g_cpus
		RATES="${RATES:-99 999}" LOADS="${LOADS:-}"
	END
	# A second archive, unpacked over the first.
	guest_pack "$g_dir/conf" "$g_dir/conf.cpio"
	cat "$dir/image" "$g_dir/conf.cpio" >"$g_dir/image"
	rc=0
	guest_boot "$kernel" "$g_dir/image" "$g_dir/console" \
		"$g_dir/results" 800 -m 2048 -smp "$g_cpus" -cpu max "$@" ||
		rc=$?
	rm -rf "$g_dir/image" "$g_dir/conf" "$g_dir/conf.cpio"
	if [ $rc != 0 ] || ! grep -q '^end ' "$g_dir/results"; then
		echo "not ok the guest for $g_part ends # QEMU: $rc"
		tail -n 20 "$g_dir/console" | tr -d '\r'
		failed=1
	fi
	if splat=$(guest_splat "$g_dir/console"); then
		echo "not ok the kernel does not complain # $(echo "$splat" |
			head -n 1)"
		failed=1
	fi
	tr -d '\r' <"$g_dir/results" | sed -n 's/^json //p' \
		>>"$dir/results.jsonl"
	tr -d '\r' <"$g_dir/results" | grep -E '^(ok|not ok|#) ' || :
	! grep -q '^not ok' "$g_dir/results" || failed=1
}

# One instruction is one nanosecond; idle time passes at once. The kernel's random
# numbers are the same in each run.
counting()
{
	guest "$1" 1 -accel tcg,thread=single -icount shift=0,sleep=off \
		-rtc base=2026-01-01,clock=vm -seed 1
}

: >"$dir/results.jsonl"
[ $# -gt 0 ] || set -- stacks rows loads loss
for part in "$@"; do
	case $part in
	stacks|rows|loads|smoke) counting "$part" ;;
	loss)
		counting loss
		guest loss 2 -accel tcg,thread=multi
		;;
	*) echo "run.sh: no such part: $part" >&2; exit 2 ;;
	esac
done
rm -f "$dir/image"
python3 "$here/table.py" "$dir/results.jsonl" >"$dir/table.txt" || failed=1
cat "$dir/table.txt"
exit $failed
