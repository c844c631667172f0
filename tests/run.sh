#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# All tests of kstrata.
#
#   tests/run.sh           everything, after installing what is missing
#   tests/run.sh STEP ...  only these steps
#   tests/run.sh --list    the steps
#
# Runs on Debian 12 as root (or as anybody where nothing has to be installed),
# with two cores and without KVM. Logs: build/test-logs. Downloads are kept in
# $XDG_CACHE_HOME/kstrata. The last line is "N passed, N failed"; the exit code
# is not 0 if anything failed.

set -u

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
BUILD=build
export BUILD
logs=$top/$BUILD/test-logs
started=${KSTRATA_TESTS_STARTED:-$(date +%s)}
export KSTRATA_TESTS_STARTED="$started"
. tests/lib.sh

FIRST="deps build"
# These two run side by side: what uses one CPU at a time, mostly, and guests that
# use two.
HOST="lint build-clang unit unit-asan unit-tsan fuzz unwind-rows unwind-step
	dkms module serve web
	vm-6.12-accurate vm-6.1-accurate vm-6.12-objects vm-6.12-unwind vm-arm64 bench-smoke kunit"
GUESTS="debug-kernel vm-6.12-smp vm-6.12-rows vm-6.12-stock vm-6.1-smp vm-5.10 vm-6.12-rt
	vm-7.3 torture races"
LAST="quickstart"
# Steps that are pointless when user space does not build.
NEED_BUILD="unit unit-asan unwind-rows unwind-step serve web vm-6.12-smp
	vm-6.12-rows vm-6.1-smp
	vm-6.12-accurate vm-6.1-accurate vm-6.12-objects vm-6.12-unwind vm-5.10 vm-6.12-rt
	vm-7.3 vm-arm64 bench-smoke quickstart"

# ---- the steps -------------------------------------------------------------

step_deps()
{
	sh packaging/deps.sh build module vm kernel test
}

step_build()
{
	make -j2 CC=gcc userspace
}

step_build_clang()
{
	make -j2 BUILD=build/clang CC=clang userspace
}

step_lint()
{
	sh tests/lint.sh
}

# run_unit DIR: every program of it, whose tests count one by one.
run_unit()
{
	failures=0
	for program in "$1"/unit/test_*; do
		[ -x "$program" ] || continue
		[ -e "tests/unit/${program##*/}.c" ] || continue
		echo "# $program"
		rc=0
		CMOCKA_MESSAGE_OUTPUT=TAP timeout 300 "$program" \
			>"$program.log" 2>&1 || rc=$?
		cat "$program.log"
		if [ $rc != 0 ]; then
			failures=1
			grep -q '^not ok' "$program.log" ||
				echo "not ok ${program##*/} # exit code $rc"
		fi
	done
	return $failures
}

step_unit()
{
	expect "the unit tests build" make -k -j2 unit-programs &&
		run_unit build
}

step_unit_asan()
{
	expect "the unit tests build with sanitizers" make -k -j2 \
		BUILD=build/asan SANITIZE=address,undefined unit-programs ||
		return 1
	ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1 \
		run_unit build/asan
}

# The code that is shared without locks, two threads racing over it.
step_unit_tsan()
{
	expect "the race builds with ThreadSanitizer" make BUILD=build/tsan \
		SANITIZE=thread build/tsan/unit/test_ring &&
		TSAN_OPTIONS=halt_on_error=1 run_unit build/tsan
}

# Files from strangers, the same ones every time.
step_fuzz()
{
	sh tests/fuzz/run.sh
}

# What the compiler of unwind rows makes of every file of this machine, and its size.
step_unwind_rows()
{
	uw_rc=0
	sh tests/unwind/oracle.sh || uw_rc=1
	sh tests/bench/unwind/run.sh quick || uw_rc=1
	return $uw_rc
}

# Our walk of stacks at each instruction of programs whose stacks are known.
step_unwind_step()
{
	sh tests/unwind/step.sh
}

step_module()
{
	# Two at a time, each on its own: most of a build is not parallel.
	# shellcheck disable=SC2016
	sh tests/vm/kernels.sh list | JOBS=1 xargs -P 2 -n 1 sh -c '
		name="the module builds for $0 without a warning"
		if sh tests/vm/module.sh "$0" >"$BUILD/module-$0.log" 2>&1; then
			echo "ok $name"
		else
			# In one piece, though another runs beside it.
			echo "$(cat "$BUILD/module-$0.log"; echo "not ok $name")"
			exit 1
		fi'
}

step_dkms()
{
	sh tests/dkms.sh
}

step_serve()
{
	make userspace
	sh tests/serve/run.sh build
}

step_web()
{
	make userspace
	sh tests/web/run.sh
}

guest_step()
{
	make userspace
	sh tests/vm/run.sh "$1" "$2"
}

step_vm_6_1_accurate()
{
	guest_step 6.1 accurate
}

step_vm_6_12_accurate()
{
	guest_step 6.12 accurate
}

step_vm_6_1_smp()
{
	guest_step 6.1 smp
}

# Some of Debian's programs; STOCK=all takes twice as long. The first time their
# packages, 250 MB, are downloaded.
step_vm_6_12_stock()
{
	guest_step 6.12 stock
}

step_vm_6_12_smp()
{
	guest_step 6.12 smp
}

step_vm_6_12_rows()
{
	guest_step 6.12 rows
}

step_vm_6_12_objects()
{
	guest_step 6.12 objects
}

step_vm_6_12_unwind()
{
	guest_step 6.12 unwind
}

step_bench_smoke()
{
	sh tests/bench/kernel/run.sh smoke
}

step_vm_5_10()
{
	guest_step 5.10 matrix
}

step_vm_6_12_rt()
{
	guest_step 6.12-rt matrix
}

step_vm_7_3()
{
	guest_step 7.3 matrix
}

step_vm_arm64()
{
	# The daemon is not in it, but unwind rows are compiled here.
	guest_step 6.12-arm64 matrix
}

# Without the cache, this takes about 12 minutes of two idle cores.
step_debug_kernel()
{
	expect "a kernel that checks itself builds" \
		sh tests/kernel/debug-kernel.sh get debug
}

step_kunit()
{
	sh tests/kernel/run.sh debug kunit
}

step_torture()
{
	EFFORT=${EFFORT:-25} sh tests/kernel/run.sh debug torture
}

# Another kernel, which takes 6 minutes the first time.
step_races()
{
	sh tests/kernel/run.sh races kunit &&
		EFFORT=${EFFORT:-15} sh tests/kernel/run.sh races torture
}

step_quickstart()
{
	sh tests/quickstart.sh
}

# ---- running them ----------------------------------------------------------

contains()
{
	# shellcheck disable=SC2086
	case " $(echo $1) " in *" $2 "*) return 0 ;; esac
	return 1
}

# wanted LIST: those of LIST that were asked for.
wanted()
{
	for w_step in $1; do
		if [ -z "$only" ] || contains "$only" "$w_step"; then
			echo "$w_step"
		fi
	done
}

# steps COUNTS STEP...
steps()
{
	s_counts=$1
	shift
	for s_step in "$@"; do
		if [ -e "$logs/.no-build" ] &&
				contains "$NEED_BUILD" "$s_step"; then
			echo "$(elapsed) $s_step: not run, the build failed"
			echo "$s_step 0 1 0" >>"$s_counts"
		elif ! run_step "$s_step" "$s_counts"; then
			[ "$s_step" != build ] || : >"$logs/.no-build"
			# Without its tools nothing else means anything.
			[ "$s_step" != deps ] || return 1
		fi
	done
}

only=
case ${1:-} in
-h|--help)
	sed -n '3,13s/^# \{0,1\}//p' "$0"
	exit 0
	;;
--list)
	# shellcheck disable=SC2086
	printf '%s\n' $FIRST $HOST $GUESTS $LAST
	exit 0
	;;
--step)
	set -e
	"step_$(echo "$2" | tr .- __)"
	exit 0
	;;
--lane)
	shift
	steps "$@"
	exit 0
	;;
esac
for step in "$@"; do
	if ! contains "$FIRST $HOST $GUESTS $LAST" "$step"; then
		echo "tests/run.sh: no such step: $step (see --list)" >&2
		exit 2
	fi
	only="$only $step"
done

mkdir -p "$logs"
rm -f "$logs/.no-build" "$logs"/counts.*
lanes=

# A lane is a session of its own, so that all that it has started ends with it.
lane()
{
	l_counts=$1
	shift
	[ $# -gt 0 ] || return 0
	setsid sh tests/run.sh --lane "$l_counts" "$@" &
	lanes="$lanes $!"
}

end_lanes()
{
	for l in $lanes; do
		kill -TERM -- "-$l" 2>/dev/null
	done
	for l in $lanes; do
		wait "$l" 2>/dev/null
	done
	lanes=
}

trap 'end_lanes' EXIT
trap 'echo; echo "interrupted"; exit 130' INT TERM HUP

wait_lanes()
{
	for l in $lanes; do
		wait "$l"
	done
	lanes=
}

# shellcheck disable=SC2046
{
	lane "$logs/counts.1" $(wanted "$FIRST")
	wait_lanes
	if ! grep -q '^deps .* [1-9][0-9]* [0-9]*$' "$logs/counts.1" \
			2>/dev/null; then
		lane "$logs/counts.2" $(wanted "$HOST")
		lane "$logs/counts.3" $(wanted "$GUESTS")
		wait_lanes
		# Alone: it is what a user does.
		lane "$logs/counts.4" $(wanted "$LAST")
		wait_lanes
	fi
}

echo
cat "$logs"/counts.* 2>/dev/null | while read -r step rest; do
	grep '^table ' "$logs/$step.log" | tr -d '\r'
done
cat "$logs"/counts.* 2>/dev/null | awk -v t=$(($(date +%s) - started)) '
	{ passed += $2; failed += $3 }
	END {
		printf "%d s\n", t
		printf "%d passed, %d failed\n", passed, failed
		exit failed > 0 || passed == 0
	}'
