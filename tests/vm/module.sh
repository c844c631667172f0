#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Build kstrata.ko for a kernel series, in a copy of its sources, so that
# several kernels can be built side by side. Any warning fails.
#
#   module.sh SERIES    prints the path of the module
#
# Environment: BUILD, the build directory (default build); JOBS for make.

set -eu

series=${1:?usage: module.sh SERIES}
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac

kernel=$(sh "$top/tests/vm/kernels.sh" headers "$series")
dir=$build/module-$series
# Two steps of the tests may want the same one at once.
mkdir -p "$build"
exec 9>"$dir.lock"
flock 9
# Only what changed is copied, so that make builds only that again; a directory
# that was built for other headers is of no use.
if [ "$(cat "$dir/.kernel" 2>/dev/null)" != "$kernel" ]; then
	rm -rf "$dir"
	mkdir -p "$dir"
	echo "$kernel" >"$dir/.kernel"
fi
(cd "$top" && find Kbuild module include -type f \
	\( -name Kbuild -o -name '*.[chS]' \)) | sort >"$dir/.sources"
while read -r file; do
	cmp -s "$top/$file" "$dir/$file" && continue
	mkdir -p "$dir/$(dirname "$file")"
	cp "$top/$file" "$dir/$file"
done <"$dir/.sources"

case $series in
*-arm64) cross=aarch64-linux-gnu- ;;
*) cross= ;;
esac
CC=${cross}gcc

# can FLAG... <SOURCE: does the compiler take these without a word?
can()
{
	"$CC" -Werror -x c -fsyntax-only "$@" - 2>/dev/null
}

# asks SYMBOL: was the kernel's own compiler found to have this?
asks()
{
	grep -q "^CONFIG_CC_HAS_$1=y" "$kernel/headers/.config"
}

# The newer kernels were configured for a newer compiler than this one may be.
# Answer their questions again, as Kconfig would have; nothing else is hushed.
set -- CROSS_COMPILE="$cross" CC="$CC"
if asks MIN_FUNCTION_ALIGNMENT &&
		! echo | can -fmin-function-alignment=16; then
	set -- "$@" CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=
fi
if asks COUNTED_BY &&
		! echo 'struct s { int n; char a[] __attribute__((counted_by(n))); };' |
			can; then
	set -- "$@" KCFLAGS="-include $dir/older-compiler.h"
	[ -e "$dir/older-compiler.h" ] || cat >"$dir/older-compiler.h" <<-END
	#undef __counted_by
	#define __counted_by(member)
	#undef __counted_by_ptr
	#define __counted_by_ptr(member)
	END
fi

# BTF needs a tool and brings nothing here.
rc=0
make -j"${JOBS:-2}" -C "$kernel/headers" M="$dir" \
	CONFIG_DEBUG_INFO_BTF_MODULES= "$@" modules >"$dir/.log" 2>&1 || rc=$?
cat "$dir/.log" >&2
[ $rc = 0 ] || exit 1
if grep -i 'warning' "$dir/.log" | grep -v -E \
		'(compiler|pahole version) differs from the one used' >&2; then
	echo "module.sh: the build for $series is not free of warnings" >&2
	# A second run would not compile, and so not warn, again.
	rm -rf "$dir"
	exit 1
fi
echo "$dir/kstrata.ko"
