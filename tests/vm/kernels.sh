#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Debian's kernels and their headers, unpacked in the cache; nothing of them is
# installed on the host.
#
#   kernels.sh get SERIES      fetch what is missing; print the directory
#   kernels.sh headers SERIES  the same without the kernel itself
#   kernels.sh release SERIES  print the kernel release of what was fetched
#   kernels.sh list            every series that the module is built for
#
# SERIES is VERSION[-FLAVOUR][-ARCH], for example 6.12, 6.12-rt, 7.3-generic or
# 6.12-arm64; without a flavour it is the cloud kernel. (debug and races are those
# of tests/kernel/debug-kernel.sh.) The directory of "get" holds
# boot/vmlinuz-RELEASE, lib/modules/RELEASE with its modules.dep, and headers, a
# directory to give to make -C; that of "headers" only the last.

set -eu

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/kstrata
SERIES="5.10 5.10-generic 5.10-rt 6.1 6.1-generic 6.1-rt 6.12 6.12-generic
	6.12-rt 7.2 7.3 7.3-rt 6.1-arm64 6.12-arm64 7.3-arm64"
. "$(dirname "$0")/debian.sh"

die()
{
	echo "kernels.sh: $*" >&2
	exit 1
}

# What the name of a series means: version, flavour, arch, the suites to look in.
parse()
{
	arch=amd64 flavour=cloud-
	base=$1
	case $base in *-arm64) arch=arm64 base=${base%-arm64} ;; esac
	case $base in
	*-generic) flavour='' base=${base%-generic} ;;
	*-rt) flavour=rt- base=${base%-rt} ;;
	esac
	version=$base
	case $version in
	5.10) suites=bullseye ;;
	6.1|6.12) suites=bookworm-security ;;
	7.2) suites="testing trixie-backports" ;;
	7.3) suites="trixie-backports testing" ;;
	*) die "unknown series: $1" ;;
	esac
}

# find_release: the newest release of the series, and its package's version.
find_release()
{
	for suite in $suites; do
		debian_use "$suite" "$arch" || continue
		for image in $(debian_names "linux-image-$version." |
				grep -E "^linux-image-[0-9.]+[^a-z]*(\+deb[0-9]+)?-$flavour$arch\$" |
				sort -Vr); do
			package_version=$(debian_version "$image:$arch") ||
				continue
			release=${image#linux-image-}
			return 0
		done
	done
	return 1
}

# unpack DIRECTORY PACKAGE...
unpack()
{
	u_dir=$1
	shift
	for u_package in "$@"; do
		u_deb=$(debian_get "$u_package") || return 1
		dpkg -x "$u_deb" "$u_dir"
	done
}

# The kernel's build tools are programs of its suite. Those that need a newer
# libc than the host's run with one of their own: testing's, which also runs what
# is older. fit_tools ROOT DIRECTORY, where ROOT will be.
fit_tools()
{
	find "$1/usr/lib" -path '*/linux-kbuild-*' -type f -perm -1 |
	while read -r program; do
		ldd "$program" 2>&1 | grep -q 'GLIBC_.* not found' ||
			continue
		if [ ! -d "$1/libc" ]; then
			debian_use testing amd64 || return 1
			unpack "$1/libc" libc6:amd64 || return 1
		fi
		mv "$program" "$program.foreign"
		libs=$2/libc/usr/lib/x86_64-linux-gnu
		cat >"$program" <<-END
		#!/bin/sh
		exec $libs/ld-linux-x86-64.so.2 --library-path $libs \\
			$2${program#"$1"}.foreign "\$@"
		END
		chmod 755 "$program"
	done
}

# Into $dir, by way of a directory of its own: it is there or it is not.
fetch_headers()
{
	headers=linux-headers-$release
	set -- "$headers:$arch"
	for package in $(debian_depends "$headers:$arch"); do
		# Not of the kernel's architecture: they run here.
		case $package in
		linux-headers-*-common*|linux-kbuild-*) set -- "$@" "$package" ;;
		esac
	done
	[ $# = 3 ] || die "no headers for $release"
	unpack "$work/root" "$@" && fit_tools "$work/root" "$dir" &&
	ln -s "usr/src/$headers" "$work/root/headers" &&
	# Their Makefile includes the common one by its installed path.
	sed -i "s|/usr/src|$dir/usr/src|" "$work/root/usr/src/$headers/Makefile"
}

fetch_kernels()
{
	set -- "linux-image-$release:$arch"
	# Newer ones have the kernel and the modules in packages of their own.
	for package in $(debian_depends "$1"); do
		case $package in
		linux-b*-"$release"|linux-modules-"$release")
			set -- "$@" "$package:$arch" ;;
		esac
	done
	unpack "$work/root" "$@" || return 1
	[ -d "$work/root/lib" ] || ln -s usr/lib "$work/root/lib"
	if [ ! -d "$work/root/boot" ]; then
		mkdir "$work/root/boot"
		ln "$work/root/lib/modules/$release/vmlinuz" \
			"$work/root/boot/vmlinuz-$release"
	fi
	PATH=$PATH:/usr/sbin:/sbin depmod -b "$work/root" "$release" &&
	ln -s "$CACHE/headers/${dir##*/}/headers" "$work/root/headers"
}

# What an earlier run has fetched; nothing if there is none. found KIND SERIES
found()
{
	[ -e "$CACHE/$1/$2" ] || return 0
	f_dir=$(cat "$CACHE/$1/$2")
	[ ! -e "$f_dir/headers/Makefile" ] || echo "$f_dir"
}

# fetch_into KIND: $dir is there when it succeeds.
fetch_into()
{
	dir=$CACHE/$1/${release}_$package_version
	[ ! -e "$dir/headers/Makefile" ] || return 0
	mkdir -p "$CACHE/$1"
	work=$(mktemp -d "$CACHE/fetch.XXXXXX")
	if ! "fetch_$1" >&2; then
		rm -rf "$work"
		return 1
	fi
	rm -rf "$dir"
	mv -T "$work/root" "$dir"
	rm -rf "$work"
}

fetch_series()
{
	find_release || return 1
	fetch_into headers && { [ "$1" = headers ] || fetch_into "$1"; }
}

refresh()
{
	for suite in $suites; do
		debian_use "$suite" "$arch" && debian_refresh || return 1
	done
}

# get KIND SERIES, KIND being headers or kernels
get()
{
	parse "$2"
	# Once a day is often enough to ask for a newer one.
	if [ -n "$(find "$CACHE/$1/$2" -mmin -1440 2>/dev/null)" ]; then
		dir=$(found "$1" "$2")
		if [ -n "$dir" ]; then
			echo "$dir"
			return
		fi
	fi
	mkdir -p "$CACHE"
	exec 9>"$CACHE/kernels.lock"
	flock 9
	# The lists may name a version that the mirror has replaced.
	if fetch_series "$1" || { refresh && fetch_series "$1"; }; then
		echo "$dir" >"$CACHE/$1/$2"
	else
		dir=$(found "$1" "$2")
		[ -n "$dir" ] || die "$2: not in Debian's $suites, or no network"
		echo "kernels.sh: $2: what was fetched before will do" >&2
	fi
	echo "$dir"
}

case ${2:-} in
debug|races)
	# Built rather than fetched.
	what=$1
	[ "$what" != headers ] || what="get"
	exec sh "$(dirname "$0")/../kernel/debug-kernel.sh" "$what" "$2"
	;;
esac
case ${1:-} in
get) get kernels "$2" ;;
headers) get headers "$2" ;;
release)
	parse "$2"
	dir=$(found kernels "$2")
	[ -n "$dir" ] || dir=$(found headers "$2")
	[ -n "$dir" ] || die "kernel $2 has not been fetched"
	basename "$dir" | sed 's/_.*//'
	;;
list)
	# shellcheck disable=SC2086
	printf '%s\n' $SERIES
	;;
*) sed -n '3,16s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
