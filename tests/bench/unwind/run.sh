#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What unwind rows cost in memory and in look-ups, ours and other layouts of the very
# same rows.
#
#   run.sh [PART ...]   sizes: single files of note and all of /usr
#                       cost: a look-up's time, instructions, cache misses
#                       host: all that this machine has mapped, and all that
#                       some stock programs need
#                       quick: all of /usr and host, with verdicts
#                       (default: sizes cost host)
#
# Prints tables; they stay in BUILD/bench/unwind.txt, what they are made of in
# BUILD/bench/unwind-*.jsonl. Environment: BUILD (default build). Instructions are
# counted when valgrind is installed (packaging/deps.sh bench). Some packages are
# downloaded for sizes and host, not for quick.

set -eu

top=$(cd "$(dirname "$0")/../../.." && pwd)
cd "$top"
BUILD=${BUILD:-build}
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/kstrata
out=$BUILD/bench
here=tests/bench/unwind
layouts=$BUILD/unwind/layouts

case ${1:-} in
-h|--help) sed -n '3,18s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac
[ $# -gt 0 ] || set -- sizes cost host

mkdir -p "$out"
make -s BUILD="$BUILD" "$layouts" "$BUILD/unwind/findelf" >/dev/null
rm -f "$out"/unwind-*.jsonl

# Programs and libraries that a machine need not have, without what they depend on.
packages()
{
	. tests/vm/debian.sh
	dir=$CACHE/unwind-programs
	mkdir -p "$dir"
	exec 9>"$CACHE/kernels.lock"
	flock 9
	debian_use bookworm "$DEBIAN_HOST" || return 1
	for package in libc6 libstdc++6 libpython3.11 perl-base libssl3 git \
			libnode108 openjdk-17-jre-headless libllvm15 chromium cpp-12 \
			nginx redis-tools postgresql-15 sqlite3 stress-ng; do
		[ -d "$dir/$package" ] || {
			deb=$(debian_get "$package") && rm -rf "$dir/new" &&
				dpkg -x "$deb" "$dir/new" &&
				mv "$dir/new" "$dir/$package"
		} || echo "# no $package" >&2
	done
	exec 9>&-
}

sizes_usr()
{
	"$BUILD/unwind/findelf" /usr |
		"$layouts" sizes >"$out/unwind-usr.jsonl"
}

part_sizes()
{
	packages
	for file in libc6/lib/*/libc.so.6 libstdc++6/usr/lib/*/libstdc++.so.6.?.* \
			libssl3/usr/lib/*/libcrypto.so.3 git/usr/bin/git \
			perl-base/usr/bin/perl libpython3.11/usr/lib/*/libpython3.11.so.1.0 \
			openjdk-17-jre-headless/usr/lib/jvm/*/lib/server/libjvm.so \
			postgresql-15/usr/lib/postgresql/15/bin/postgres \
			libnode108/usr/lib/*/libnode.so.108 \
			cpp-12/usr/lib/gcc/*/12/cc1 \
			libllvm15/usr/lib/*/libLLVM-15.so.1 \
			chromium/usr/lib/chromium/chromium; do
		# shellcheck disable=SC2086
		readlink -f "$CACHE"/unwind-programs/$file
	done | awk '!seen[$0]++' | "$layouts" sizes >"$out/unwind-files.jsonl"
	sizes_usr
}

part_cost()
{
	for file in /usr/lib/x86_64-linux-gnu/libc.so.6 \
			"$CACHE"/unwind-programs/libllvm15/usr/lib/*/libLLVM-15.so.1; do
		[ -e "$file" ] || continue
		"$layouts" cost "$file" >>"$out/unwind-cost.jsonl"
		command -v valgrind >/dev/null || continue
		for pattern in random hot; do
			ROUNDS=1 PATTERN=$pattern valgrind -q --tool=callgrind \
				--cache-sim=yes --callgrind-out-file="$out/callgrind" \
				"$layouts" cost "$file" 20000 >/dev/null 2>&1
			callgrind_annotate --auto=no --inclusive=yes \
				--threshold=100 --show=Ir,D1mr "$out/callgrind" |
				python3 $here/table.py callgrind "$file" $pattern 20000 \
				>>"$out/unwind-count.jsonl"
		done
	done
	rm -f "$out/callgrind"
}

# closure FILE...: they and all libraries that the loader would find for them.
closure()
{
	for c_file in "$@"; do
		readlink -f "$c_file"
		ldd "$c_file" 2>/dev/null | sed -n 's/.*[ \t]\(\/[^ ]*\) (.*/\1/p' |
			xargs -r -n 1 readlink -f
	done | sort -u
}

# What runs here, whatever that is.
host_mapped()
{
	cat /proc/[0-9]*/maps 2>/dev/null |
		awk '$2 ~ /x/ && $6 ~ /^\// && NF == 6 { print $6 }' | sort -u |
		while read -r file; do [ ! -f "$file" ] || echo "$file"; done
}

part_host()
{
	set -- bash dash perl python3.11 git gcc-12 openssl sqlite3 ssh curl \
		systemctl dbus-daemon journalctl node
	programs=$(for name in "$@"; do
		command -v "$name" || :
	done
	ls /usr/lib/systemd/systemd /usr/lib/systemd/systemd-journald \
		/usr/lib/systemd/systemd-udevd \
		/usr/lib/systemd/systemd-logind /usr/sbin/sshd /usr/sbin/cron \
		/usr/lib/gcc/*/12/cc1 /usr/bin/as /usr/bin/ld.bfd \
		/usr/lib/jvm/java-17-openjdk-*/lib/server/libjvm.so \
		/usr/lib/jvm/java-17-openjdk-*/bin/java \
		"$CACHE"/unwind-programs/nginx/usr/sbin/nginx \
		"$CACHE"/unwind-programs/redis-tools/usr/bin/redis-check-rdb \
		"$CACHE"/unwind-programs/postgresql-15/usr/lib/postgresql/15/bin/postgres \
		2>/dev/null || :)
	host_mapped | "$layouts" sizes >"$out/unwind-mapped.jsonl"
	# shellcheck disable=SC2086
	closure $programs | "$layouts" sizes >"$out/unwind-stock.jsonl"
}

failed=0
for part in "$@"; do
	case $part in
	sizes|cost|host) "part_$part" ;;
	quick)
		sizes_usr
		part_host
		python3 $here/table.py verdicts "$out" || failed=1
		;;
	*) echo "run.sh: no such part: $part" >&2; exit 2 ;;
	esac
done
python3 $here/table.py tables "$out" >"$out/unwind.txt"
cat "$out/unwind.txt"
exit $failed
