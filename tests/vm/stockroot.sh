#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The root file system of the guest with stock programs: packages of Debian 12 as
# they are, unpacked into an ext4 image in the cache. None of their scripts is run.
#
#   stockroot.sh     print the directory of
#       image        the file system; /work holds the workloads (tests/vm/stock)
#       frames       the code that starts programs and threads: what it is called,
#                    the file's path, first and last offset in the file
#
# It is named by what it is made of: the packages' versions, the workloads and this
# script. About 250 MB are downloaded the first time, which takes a few minutes.

set -eu

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/kstrata
here=$(cd "$(dirname "$0")" && pwd)
. "$here/debian.sh"

PACKAGES="python3 perl bash git gcc libc6-dev sqlite3 openssl redis-server
	redis-tools nginx-light apache2-utils postgresql-15 nodejs
	openjdk-17-jre-headless stress-ng linux-perf elfutils coreutils grep sed
	mawk procps util-linux"
JAVA=usr/lib/jvm/java-17-openjdk-amd64/bin/java

say()
{
	echo "stockroot.sh: $*" >&2
}

apt_get()
{
	debian_apt apt-get -qq -y --no-install-recommends "$@"
}

# FILE SIZE of every package that must be unpacked.
closure()
{
	# What has been downloaded already would be left out.
	mkdir -p "$work/none/partial"
	# shellcheck disable=SC2086
	apt_get -o Dir::Cache::archives="$work/none" --print-uris install \
		$PACKAGES | awk '{ print $2, $3 }' | sort
}

unpack()
{
	mkdir -p "$root/usr"
	for link in bin sbin lib lib32 lib64 libx32; do
		mkdir "$root/usr/$link"
		ln -s "usr/$link" "$root/$link"
	done
	u_total=$(wc -l <"$1") u_nr=0
	while read -r file rest; do
		dpkg-deb --fsys-tarfile "$debian_dir/archives/$file" |
			tar -x -C "$root" --keep-directory-symlink \
				--exclude './usr/share/doc/*' \
				--exclude './usr/share/man/*' \
				--exclude './usr/share/locale/*' \
				--exclude './usr/share/i18n/*' \
				--exclude './usr/share/fonts/*'
		u_nr=$((u_nr + 1))
		[ $((u_nr % 50)) != 0 ] || say "unpacked $u_nr of $u_total"
	done <"$1"
}

# What the packages' scripts would have done, as far as it is needed.
configure()
{
	mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/run" \
		"$root/work" "$root/results"
	PATH=$PATH:/usr/sbin:/sbin ldconfig -r "$root"
	ln -sf bash "$root/usr/bin/sh"
	ln -sf mawk "$root/usr/bin/awk"
	# Not on the image: /tmp.
	rm -rf "$root/var/log" "$root/var/tmp"
	ln -s ../tmp "$root/var/log"
	ln -s ../tmp "$root/var/tmp"
	echo 'root:x:0:0::/:/bin/sh
nobody:x:65534:65534::/:/bin/sh
postgres:x:70:70::/tmp:/bin/sh
www-data:x:33:33::/:/bin/sh' >"$root/etc/passwd"
	echo 'root:x:0:
nogroup:x:65534:
postgres:x:70:
www-data:x:33:' >"$root/etc/group"
	echo '127.0.0.1 localhost' >"$root/etc/hosts"
	cp "$here"/stock/work/* "$root/work/"
	# This machine runs the same Debian.
	"$root/$JAVA" -m jdk.compiler/com.sun.tools.javac.Main \
		-d "$root/work" "$root/work/Work.java"
}

# The entry point of each program is _start: it and the loader's are told from
# the ELF headers. Where threads begin, the C library's debug symbols tell.
frames()
{
	f_debug=$(mktemp -d "$work/debug.XXXXXX")
	dpkg-deb -x "$1" "$f_debug"
	python3 "$here/stock/frames.py" "$root" "$f_debug"
}

build()
{
	say "fetching $(wc -l <"$list") packages"
	# shellcheck disable=SC2086
	apt_get -d install $PACKAGES >&2
	root=$work/root
	unpack "$list"
	configure
	frames "$(debian_get libc6-dbg)" >"$work/frames"
	say "making the image"
	mkdir "$work/done"
	mv "$work/frames" "$work/done/"
	cp "$list" "$work/done/packages"
	truncate -s 2G "$work/done/image"
	PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -O ^has_journal -m 0 \
		-E root_owner=0:0 -d "$root" "$work/done/image"
	mv -T "$work/done" "$1"
	apt_get autoclean >/dev/null
}

mkdir -p "$CACHE/stock"
exec 9>"$CACHE/kernels.lock"
flock 9
work=$(mktemp -d "$CACHE/stock/make.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
debian_use bookworm amd64
list=$work/list
closure >"$list"
if [ ! -s "$list" ]; then
	dir=$(cat "$CACHE/stock/newest" 2>/dev/null || :)
	if [ -z "$dir" ]; then
		say "Debian's list of packages is not to be had"
		exit 1
	fi
	say "no lists of packages: what was made before will do"
else
	key=$(cat "$list" "$0" "$here"/stock/frames.py "$here"/stock/work/* |
		sha256sum | cut -c 1-16)
	dir=$CACHE/stock/$key
	if [ ! -e "$dir/image" ]; then
		build "$dir"
		# Those of other versions go; of an hour ago somebody may use one.
		find "$CACHE/stock" -mindepth 1 -maxdepth 1 -type d -mmin +60 \
			! -name "$key" -exec rm -rf {} +
	fi
	touch "$dir"
	echo "$dir" >"$CACHE/stock/newest"
fi
echo "$dir"
