#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Kernels that check themselves, built from Debian's kernel source and kept in
# the cache; they have KUnit, which none of Debian's kernels has.
#
#   debug-kernel.sh get SERIES      build what is missing; print the directory
#   debug-kernel.sh release SERIES  print the kernel release of that
#   debug-kernel.sh config SERIES   only configure; print the .config
#
# SERIES is debug (KASAN, kmemleak, UBSAN, lockdep, fault injection ...) or races
# (KCSAN). The directory looks like those of tests/vm/kernels.sh: boot/vmlinuz-*
# and headers, a directory to give to make -C. It is named after what it was
# made of: the source's version, the fragments of tests/kernel/config, the
# compiler. A build takes about 12 minutes of two cores, needs 2 GB under
# $XDG_CACHE_HOME/kstrata while it runs, and leaves 70 MB there.

set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/kstrata
SOURCE=linux-source-6.12
# Part of the key: to be raised when this script makes something else of the
# same sources.
RECIPE=1

die()
{
	echo "debug-kernel.sh: $*" >&2
	exit 1
}

say()
{
	echo "debug-kernel.sh: $*" >&2
}

# One name for whoever builds, and a compiler cache where there is one: with it a
# changed configuration takes a minute.
mk()
{
	cc=gcc
	if command -v ccache >/dev/null; then
		cc="ccache gcc"
		export CCACHE_DIR="$CACHE/ccache" CCACHE_MAXSIZE=500M
		export CCACHE_NOHASHDIR=1 CCACHE_COMPILERCHECK=content
	fi
	make CC="$cc" KBUILD_BUILD_USER=kstrata KBUILD_BUILD_HOST=tests "$@"
}

fragments_of()
{
	case $1 in
	debug) set -- base checks ;;
	races) set -- base races ;;
	*) die "unknown series: $1" ;;
	esac
	for f in "$@"; do
		echo "$top/tests/kernel/config/$f.config"
	done
}

# The newest that apt knows; without lists, the newest that has been fetched.
version_of_source()
{
	v=$(apt-cache policy $SOURCE 2>/dev/null |
		sed -n 's/^ *Candidate: //p')
	case $v in
	''|'(none)')
		v=$(cd "$CACHE/debs" 2>/dev/null && ls -t ${SOURCE}_*_all.deb |
			head -n 1 | sed 's/^[^_]*_//; s/_all\.deb$//')
		;;
	esac
	[ -n "$v" ] || die "$SOURCE is not in apt's lists"
	echo "$v"
}

key_of()
{
	version=$(version_of_source)
	hash=$({
		echo "$RECIPE $version"
		gcc -dumpfullversion
		ld --version | head -n 1
		# shellcheck disable=SC2046
		cat $(fragments_of "$1")
	} | sha256sum | cut -c 1-12)
	echo "${version%%-*}-kstrata-$1_$hash"
}

# fetch VERSION: print the package's file.
fetch()
{
	file=$CACHE/debs/${SOURCE}_$1_all.deb
	if [ ! -e "$file" ]; then
		say "downloading $SOURCE $1"
		mkdir -p "$CACHE/debs" "$work/deb"
		# Not run in the cache itself: a partial file must not be
		# taken for a whole one.
		(cd "$work/deb" && apt-get -o APT::Sandbox::User=root -qq \
			download "$SOURCE=$1" >&2) || return 1
		mv "$work/deb"/*.deb "$file"
	fi
	echo "$file"
}

# Everything but what no build of ours reads.
unpack()
{
	say "unpacking ${1##*/}"
	dpkg-deb --fsys-tarfile "$1" |
		tar -xO "./usr/src/$SOURCE.tar.xz" |
		xz -dc -T0 |
		tar -x --strip-components=1 -C "$2" --exclude='*/Documentation/*/*' \
			--exclude='*/tools/testing/*' --exclude='*/tools/perf/*' \
			--exclude='*/drivers/gpu/drm/*/*.[ch]' \
			--exclude='*/drivers/net/ethernet/*.[ch]' \
			--exclude='*/drivers/net/wireless/*.[ch]' \
			--exclude='*/arch/[a-tv-w]*/boot/dts/*'
}

# configure TREE SERIES: from nothing, then look whether what was asked for is
# there: a dependency that is not met drops a symbol without a word.
configure()
{
	# shellcheck disable=SC2046
	{
		cat $(fragments_of "$2")
		echo "CONFIG_LOCALVERSION=\"-kstrata-$2\""
	} >"$1/.asked"
	mk -C "$1" KCONFIG_ALLCONFIG=.asked allnoconfig >"$1/.log" 2>&1 || {
		cat "$1/.log" >&2
		die "cannot configure"
	}
	lost=$(sed -n 's/^\(CONFIG_[A-Z0-9_]*\)=\(.*\)/\1 \2/p;
			s/^# \(CONFIG_[A-Z0-9_]*\) is not set/\1 n/p' \
			"$1/.asked" | awk '
		{ asked[$1] = $2 }
		END {
			while ((getline line < config) > 0) {
				if (line !~ /^CONFIG_/) continue
				i = index(line, "=")
				got[substr(line, 1, i - 1)] = substr(line, i + 1)
			}
			for (s in asked) {
				have = s in got ? got[s] : "n"
				if (have != asked[s])
					print s "=" asked[s] ", not " have
			}
		}' config="$1/.config")
	[ -z "$lost" ] || die "the configuration lost:
$lost"
}

# build TREE: say from time to time how far it is.
build()
{
	jobs=${JOBS:-$(nproc)}
	say "building with $jobs jobs"
	begin=$(date +%s)
	mk -C "$1" -j"$jobs" bzImage modules >"$1/.log" 2>&1 &
	pid=$!
	n=0
	while kill -0 $pid 2>/dev/null; do
		sleep 2
		n=$((n + 1))
		[ $((n % 30)) != 0 ] ||
			say "$(($(date +%s) - begin)) s, $(grep -c '^  CC' \
				"$1/.log") files: $(tail -n 1 "$1/.log")"
	done
	wait $pid || {
		tail -n 30 "$1/.log" >&2
		die "the build failed"
	}
	say "built in $(($(date +%s) - begin)) s"
}

# keep TREE DIR: the image, and what external modules are built with.
keep()
{
	release=$(cat "$1/include/config/kernel.release")
	mkdir -p "$2/boot" "$2/lib/modules/$release"
	cp "$1/arch/x86/boot/bzImage" "$2/boot/vmlinuz-$release"
	cp "$1/.config" "$2/boot/config-$release"
	cp "$1/System.map" "$2/boot/System.map-$release"
	# The kernel's own script for packages of headers.
	mk -C "$1" run-command \
		KBUILD_RUN_COMMAND="\$(srctree)/scripts/package/install-extmod-build $2/headers" \
		>"$1/.log" 2>&1 || {
		cat "$1/.log" >&2
		die "cannot keep the headers"
	}
	cp "$1/.config" "$2/headers/.config"
	find "$2/headers" -name '*.o' -delete
	strip "$2/headers/tools/objtool/objtool"
}

get()
{
	name=$(key_of "$1")
	dir=$CACHE/kernels/$name
	mkdir -p "$CACHE/kernels"
	if [ ! -e "$dir/headers/Makefile" ]; then
		# One at a time, of all trees that share the cache.
		exec 9>"$CACHE/kernels/.lock-$1"
		flock 9
	fi
	if [ ! -e "$dir/headers/Makefile" ]; then
		version=$(version_of_source)
		work=$(mktemp -d "$CACHE/kernel.XXXXXX")
		# shellcheck disable=SC2064
		trap "rm -rf '$work'" EXIT
		trap 'exit 130' INT TERM
		deb=$(fetch "$version") || die "cannot fetch $SOURCE $version"
		mkdir "$work/tree"
		unpack "$deb" "$work/tree"
		configure "$work/tree" "$1"
		build "$work/tree"
		keep "$work/tree" "$work/kernel"
		rm -rf "$dir"
		mv "$work/kernel" "$dir"
	fi
	echo "$dir" >"$CACHE/kernels/$1"
	echo "$dir"
}

config()
{
	work=$(mktemp -d)
	# shellcheck disable=SC2064
	trap "rm -rf '$work'" EXIT
	trap 'exit 130' INT TERM
	unpack "$(fetch "$(version_of_source)")" "$work"
	configure "$work" "$1"
	cat "$work/.config"
}

case ${1:-} in
get) get "${2:?}" ;;
config) config "${2:?}" ;;
release) key_of "${2:?}" | sed 's/_.*//' ;;
*) sed -n '3,18s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
