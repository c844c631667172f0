#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Boot a kernel that checks itself and run one of the guest's scripts in it.
#
#   run.sh SERIES MODE    SERIES: debug, races; MODE: kunit, torture
#
# kunit: the suites of module/kunit; then bugs are planted, to see that every
# checker speaks up. torture: tests/vm/torture.sh. Prints "ok TEST" and "not ok
# TEST # why". Environment: BUILD, as in tests/vm/run.sh; EFFORT, how much
# torture, in percent (default 100); SEED, of what is random in it.
# The console, the results and the image stay in BUILD/vm/SERIES-MODE.

set -eu

series=${1:?usage: run.sh SERIES MODE} mode=${2:?usage: run.sh SERIES MODE}
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac
. "$top/tests/vm/guest.sh"

failed=0

good()
{
	echo "ok $*"
}

bad()
{
	echo "not ok $1 # $2"
	failed=1
}

# plant_modules: build them; print their directory.
plant_modules()
{
	dir=$build/plant-$series
	mkdir -p "$dir"
	for file in Kbuild plant.c kst-sleep.c; do
		cmp -s "$top/tests/kernel/plant/$file" "$dir/$file" ||
			cp "$top/tests/kernel/plant/$file" "$dir/$file"
	done
	make -C "$kernel/headers" M="$dir" modules >"$dir/.log" 2>&1 || {
		cat "$dir/.log" >&2
		return 1
	}
	echo "$dir"
}

# part BEGIN END: the console's lines between the two marks.
part()
{
	tr -d '\r' <"$out/console" | sed -n "/test: $1\$/,/test: $2\$/p"
}

# Every planted bug was noticed, between its mark and the next.
plants_noticed()
{
	grep -v '^#' "$top/tests/kernel/plants" |
		while read -r name kernels says; do
		case ,$kernels, in *,"$series",*) ;; *) continue ;; esac
		part "plant $name" "planted $name" >"$out/part"
		if ! grep -q "test: planted $name" "$out/part"; then
			echo "not ok $name is noticed # it was not planted"
		elif ! grep -q -E "$says" "$out/part"; then
			echo "not ok $name is noticed # the console lacks: $says"
		elif ! guest_splat "$out/part" >/dev/null; then
			echo "not ok $name is noticed # guest_splat sees nothing"
		else
			echo "ok $name is noticed"
		fi
	done
	rm -f "$out/part"
}

case $mode in
kunit) seconds=400 ;;
torture) seconds=600 ;;
*)
	echo "run.sh: unknown mode: $mode" >&2
	exit 2
	;;
esac

kernel=$(sh "$top/tests/kernel/debug-kernel.sh" get "$series")
module=$(KSTRATA_TEST=1 sh "$top/tests/vm/module.sh" "$series") || {
	echo "not ok the module and its suites build for $series"
	exit 1
}
plants=$(plant_modules) || {
	echo "not ok the planted bugs build"
	exit 1
}
sh "$top/tests/vm/work.sh"

out=$build/vm/$series-$mode
mkdir -p "$out"
# What is copied is unpacked by a slow kernel. (guest_tree reads this.)
# shellcheck disable=SC2034
GUEST_PROGRAMS="awk setpriv"
guest_tree "$out/tree" "$build"
cp "$module" "${module%/*}/kstrata-test.ko" "$plants"/*.ko "$out/tree/"
cp "$top/tests/vm/guest-lib.sh" "$top/tests/vm/debug-lib.sh" \
	"$top/tests/kernel/plants" "$out/tree/"
cp "$top/tests/vm/$mode.sh" "$out/tree/test"
cp "$top/tests/vm/init" "$out/tree/init"
{
	echo "SERIES=$series"
	echo "EFFORT=${EFFORT:-100}"
	echo "SEED=${SEED:-1}"
} >"$out/tree/parameters"
chmod 755 "$out/tree/init"
guest_pack "$out/tree" "$out/image"
rm -rf "$out/tree"

rc=0
# Every finding of KASAN, not the first alone. A slow kernel on a busy host is not
# a locked-up one.
GUEST_APPEND="kasan_multi_shot kmemleak=on rcupdate.rcu_cpu_stall_timeout=180"
GUEST_APPEND="$GUEST_APPEND watchdog_thresh=60 no_console_suspend"
guest_test "$kernel" "$out/image" "$out/console" "$out/results" "$seconds" \
	-accel tcg,thread=multi -cpu max -smp 2 -m 2048 || rc=$?
rm -f "$out/image"
tr -d '\r' <"$out/results"

case $rc in
0) ;;
124) bad "the guest ends" "not within $seconds s" ;;
*) bad "the guest ends" "QEMU exits with $rc" ;;
esac
if tr -d '\r' <"$out/results" | grep -q '^end rc=0 '; then
	good "the guest reports to the end"
else
	bad "the guest reports to the end" "no end marker"
fi
# What was planted comes last. The allocator reports failures that were injected,
# with a stack: no complaint.
tr -d '\r' <"$out/console" | sed -e '/test: plants begin$/,$d' \
	-e '/: vmalloc error: \|: page allocation failure: /,/<\/TASK>/d' \
	>"$out/sound"
if splat=$(guest_splat "$out/sound"); then
	bad "the kernel does not complain" "$(echo "$splat" | head -n 1)"
	first=$(echo "$splat" | head -n 1 | cut -d : -f 1)
	sed -n "$first,$((first + 60))p" "$out/sound"
else
	good "the kernel does not complain"
fi
if [ "$mode" = kunit ]; then
	plants_noticed | tee "$out/noticed"
	! grep -q '^not ok' "$out/noticed" || failed=1
fi
! grep -q '^not ok' "$out/results" || failed=1
if [ $failed != 0 ]; then
	echo "---- the end of $out/console"
	tail -n 40 "$out/console" | tr -d '\r'
fi
exit $failed
