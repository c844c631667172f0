#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Debian's kernels and their headers, unpacked in the cache; nothing of them is
# installed on the host.
#
#   kernels.sh get SERIES    fetch what is missing; print the directory
#   kernels.sh release SERIES   print the kernel release of what get fetched
#
# SERIES is 6.1 or 6.12. The directory holds boot/vmlinuz-RELEASE,
# lib/modules/RELEASE with its modules.dep and headers, a directory to give to
# make -C.

set -eu

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/kstrata

die()
{
	echo "kernels.sh: $*" >&2
	exit 1
}

# The kernel package that a series' meta package depends on.
image_of()
{
	case $1 in
	6.1) meta=linux-image-cloud-amd64 ;;
	6.12) meta=linux-image-6.12-cloud-amd64 ;;
	*) die "unknown series: $1" ;;
	esac
	apt-cache depends --no-recommends "$meta" 2>/dev/null |
		sed -n 's/^ *Depends: \(linux-image-[0-9].*-amd64\)$/\1/p' |
		head -n 1
}

version_of()
{
	apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p'
}

depends_on()
{
	apt-cache depends --no-recommends "$1" 2>/dev/null |
		sed -n "s/^ *Depends: \\($2\\)\$/\\1/p" | head -n 1
}

fetch()
{
	image=$1 release=$2 dir=$3
	headers=linux-headers-$release
	common=$(depends_on "$headers" 'linux-headers-.*-common')
	kbuild=$(depends_on "$headers" 'linux-kbuild-.*')
	[ -n "$common" ] && [ -n "$kbuild" ] || die "no headers for $release"

	mkdir -p "$CACHE/debs"
	work=$(mktemp -d "$CACHE/fetch.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM
	for package in "$image" "$headers" "$common" "$kbuild"; do
		file=$(cd "$CACHE/debs" && apt-get download --print-uris \
			"$package" 2>/dev/null | awk '{ print $2 }')
		[ -n "$file" ] || die "$package cannot be downloaded"
		if [ ! -e "$CACHE/debs/$file" ]; then
			echo "kernels.sh: downloading $package" >&2
			# Not run in the cache itself: a partial file must not
			# be taken for a whole one.
			mkdir -p "$work/deb"
			(cd "$work/deb" &&
				apt-get -o APT::Sandbox::User=root -qq \
					download "$package" >&2)
			mv "$work/deb"/*.deb "$CACHE/debs/$file"
		fi
		dpkg -x "$CACHE/debs/$file" "$work/root"
	done

	(
		cd "$work/root"
		[ -d lib ] || ln -s usr/lib lib
		PATH=$PATH:/usr/sbin:/sbin depmod -b . "$release"
		ln -s "usr/src/$headers" headers
		# Their Makefile includes the common one by its installed path.
		sed -i "s|/usr/src|$dir/usr/src|" "usr/src/$headers/Makefile"
	)
	mkdir -p "$CACHE/kernels"
	rm -rf "$dir"
	mv "$work/root" "$dir"
}

get()
{
	image=$(image_of "$1")
	if [ -z "$image" ] && [ "$(id -u)" = 0 ]; then
		apt-get -o DPkg::Lock::Timeout=300 update -q >&2 || :
		image=$(image_of "$1")
	fi
	if [ -z "$image" ]; then
		# No lists: what an earlier run has left will do.
		dir=$(newest "$1")
		[ -n "$dir" ] || die "Debian's kernel $1 is not in apt's lists"
		echo "$dir"
		return
	fi
	release=${image#linux-image-}
	dir=$CACHE/kernels/${release}_$(version_of "$image")
	if [ ! -e "$dir/headers/Makefile" ]; then
		# The lists may name a version that the mirror has replaced.
		if ! (fetch "$image" "$release" "$dir") >&2; then
			[ "$(id -u)" = 0 ] || die "cannot fetch $image"
			apt-get -o DPkg::Lock::Timeout=300 update -q >&2 || :
			image=$(image_of "$1")
			release=${image#linux-image-}
			dir=$CACHE/kernels/${release}_$(version_of "$image")
			(fetch "$image" "$release" "$dir") >&2 ||
				dir=$(newest "$1")
			[ -n "$dir" ] || die "cannot fetch $image"
		fi
	fi
	mkdir -p "$CACHE/kernels"
	echo "$dir" >"$CACHE/kernels/$1"
	echo "$dir"
}

newest()
{
	if [ -e "$CACHE/kernels/$1" ]; then
		dir=$(cat "$CACHE/kernels/$1")
		[ ! -e "$dir/headers/Makefile" ] || echo "$dir"
	fi
}

case ${2:-} in
# Built rather than fetched.
debug|races) exec sh "$(dirname "$0")/../kernel/debug-kernel.sh" "$@" ;;
esac
case ${1:-} in
get) get "$2" ;;
release)
	dir=$(newest "$2")
	[ -n "$dir" ] || die "kernel $2 has not been fetched"
	basename "$dir" | sed 's/_.*//'
	;;
*) sed -n '3,11s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
