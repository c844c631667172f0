#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Boot a Debian kernel with the project in it and run one of the guest's scripts.
#
#   run.sh SERIES MODE     SERIES: as kernels.sh has them
#
# MODE accurate, objects, unwind: one CPU whose clock counts instructions, not the
#      host's time. smp, rows: two CPUs. matrix: two CPUs and the essentials, for many kernels.
#      stock: two CPUs and Debian's programs, STOCK of them (see
#      tests/vm/stock/host.sh).
#
# Prints what the guest reported and "not ok" for what went wrong besides. Needs
# a built user space (make userspace) and BUILD, its directory (default build).
# The console, the results and the image stay in BUILD/vm/SERIES-MODE.

set -eu

series=${1:?usage: run.sh SERIES MODE} mode=${2:?usage: run.sh SERIES MODE}
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac
. "$top/tests/vm/guest.sh"

case $series in
*-arm64)
	GUEST_ARCH=arm64
	GUEST_USERLAND=$(sh "$top/tests/vm/userland.sh" arm64)
	;;
esac

case $mode in
accurate|objects|unwind)
	# sleep=off: idle time passes at once.
	set -- -accel tcg,thread=single -icount shift=2,sleep=off -cpu max \
		-smp 1 -rtc base=2026-01-01,clock=vm
	seconds=900
	;;
smp|rows)
	set -- -accel tcg,thread=multi -smp 2
	seconds=600
	;;
matrix)
	set -- -accel tcg,thread=multi -smp 2
	seconds=600
	;;
stock)
	. "$top/tests/vm/stock/host.sh"
	stock_disks "$build/vm/$series-$mode"
	set -- -accel tcg,thread=multi -smp 2 -m 4096 \
		-drive "if=none,id=root,format=raw,readonly=on,file=$stock_root/image" \
		-device virtio-blk-pci,drive=root \
		-drive "if=none,id=out,format=raw,file=$build/vm/$series-$mode/out.img" \
		-device virtio-blk-pci,drive=out
	seconds=900
	;;
*)
	echo "run.sh: unknown mode: $mode" >&2
	exit 2
	;;
esac

# unwind_programs TREE: programs whose stacks are known, and what judges them.
unwind_programs()
{
	sh "$top/tests/unwind/build.sh" >/dev/null
	for program in $UNWIND_PROGRAMS; do
		guest_file "$1" "$build/unwind/programs/$program" \
			"/programs/$program"
	done
	# Found by what ldd does not know.
	for library in /lib/ld-musl-x86_64.so.1 \
			/usr/lib/x86_64-linux-gnu/libcrypto.so.3; do
		guest_file "$1" "$library"
	done
	cp "$top/tests/unwind/known.awk" "$1/"
}

# foreign_programs TREE KERNEL: the same for a guest that the daemon is not built for:
# with the rows of all files, compiled here.
foreign_programs()
{
	sh "$top/tests/unwind/build.sh" "$GUEST_ARCH" >/dev/null
	mkdir -p "$1/programs" "$1/rows"
	for program in $FOREIGN_PROGRAMS; do
		cp "$build/unwind/programs-$GUEST_ARCH/$program" "$1/programs/"
	done
	for file in "$1"/programs/* "$1"/usr/lib/*.so.*; do
		"$build/kstrata" rows --write "$1/rows/${file##*/}.rows" "$file" >&2
	done
	# The first file inside of the kernel that has rows for its programs.
	LC_ALL=C grep -a -b -o -P '\x7fELF' "$2"/boot/vmlinuz-* | cut -d : -f 1 |
			while read -r at; do
		tail -c +$((at + 1)) "$2"/boot/vmlinuz-* | head -c 65536 \
			>"$1/rows/vdso"
		! "$build/kstrata" rows --write "$1/rows/vdso.rows" \
			"$1/rows/vdso" >&2 || break
	done
	rm "$1/rows/vdso"
	cp "$top/tests/unwind/known.awk" "$1/"
}

UNWIND_PROGRAMS=${UNWIND_PROGRAMS:-scenes-gcc-O0-nofp scenes-gcc-O2-nofp
	scenes-gcc-O3-nofp scenes-clang-O2-nofp scenes-clang-O2-fp
	scenes-gcc-O2-static-pie scenes-gcc-O2-debug scenes-musl-O2
	throw-clang++-O2 throw-g++-O2-static rusty gopher crypto}
FOREIGN_PROGRAMS=${FOREIGN_PROGRAMS:-scenes-O0-nofp scenes-O2-fp scenes-O2-nofp
	scenes-O3-nofp scenes-O2-pac scenes-O2-pac-static scenes-O2-static-pie}

kernel=$(sh "$top/tests/vm/kernels.sh" get "$series")
module=$(sh "$top/tests/vm/module.sh" "$series" 2>/dev/null) || {
	echo "not ok the module builds for $series"
	exit 1
}
sh "$top/tests/vm/work.sh" "$GUEST_ARCH"

dir=$build/vm/$series-$mode
mkdir -p "$dir"
guest_tree "$dir/tree" "$build"
cp "$module" "$dir/tree/kstrata.ko"
cp "$top/tests/vm/guest-lib.sh" "$dir/tree/"
cp "$top/tests/vm/$mode.sh" "$dir/tree/test"
cp "$top/tests/vm/init" "$dir/tree/init"
chmod 755 "$dir/tree/init"
[ "$mode" != unwind ] || unwind_programs "$dir/tree"
[ "$mode-$GUEST_ARCH" != matrix-arm64 ] || foreign_programs "$dir/tree" "$kernel"
# The kernels that we build ourselves have no modules.
case $mode-$series in
smp-debug|smp-races) ;;
smp-*) guest_modules "$dir/tree" "$kernel" overlay ;;
stock-*)
	guest_modules "$dir/tree" "$kernel" virtio_blk
	stock_conf >"$dir/tree/stock.conf"
	;;
esac
guest_pack "$dir/tree" "$dir/image"
rm -rf "$dir/tree"

rc=0
guest_test "$kernel" "$dir/image" "$dir/console" "$dir/results" "$seconds" \
	"$@" || rc=$?
rm -f "$dir/image"
tr -d '\r' <"$dir/results"

failed=0
if [ $rc = 124 ]; then
	echo "not ok the guest ends # not within $seconds s"
	failed=1
elif [ $rc != 0 ]; then
	echo "not ok the guest ends # QEMU exits with $rc"
	failed=1
fi
end=$(tr -d '\r' <"$dir/results" | grep '^end ' || :)
if [ -z "$end" ]; then
	echo "not ok the guest reports to the end # no end marker"
	failed=1
else
	echo "ok the guest reports to the end"
	# An unsigned module from outside of the tree, and nothing else.
	case $end in
	*" taint=12288 "*|*" taint=4096 "*) echo "ok the kernel is sound" ;;
	*) echo "not ok the kernel is sound # $end"; failed=1 ;;
	esac
fi
if splat=$(guest_splat "$dir/console"); then
	echo "not ok the kernel does not complain # $(echo "$splat" | head -n 1)"
	failed=1
else
	echo "ok the kernel does not complain"
fi
! grep -q '^not ok' "$dir/results" || failed=1
[ "$mode" != stock ] || stock_table "$dir" || failed=1
if [ $failed != 0 ]; then
	echo "---- the end of $dir/console"
	tail -n 60 "$dir/console" | tr -d '\r'
fi
exit $failed
