#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Build kstrata.ko for a kernel series, in a copy of its sources, so that
# several kernels can be built side by side. Any warning fails.
#
#   module.sh SERIES    prints the path of the module
#
# Environment: BUILD, the build directory (default build).

set -eu

series=${1:?usage: module.sh SERIES}
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac

kernel=$(sh "$top/tests/vm/kernels.sh" get "$series")
dir=$build/module-$series
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

# BTF needs a tool and brings nothing here.
rc=0
make -j2 -C "$kernel/headers" M="$dir" CONFIG_DEBUG_INFO_BTF_MODULES= \
	modules >"$dir/.log" 2>&1 || rc=$?
cat "$dir/.log" >&2
[ $rc = 0 ] || exit 1
if grep -i 'warning' "$dir/.log" |
		grep -v 'the compiler differs from the one used' >&2; then
	echo "module.sh: the build for $series is not free of warnings" >&2
	# A second run would not compile, and so not warn, again.
	rm -rf "$dir"
	exit 1
fi
echo "$dir/kstrata.ko"
