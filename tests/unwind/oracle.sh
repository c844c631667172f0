#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Compiled unwind rows against readelf's, over whole files: for each stretch of code
# the same CFA, return address, frame pointer and third register, or a kind of
# exception that is counted.
#
#   oracle.sh [PART ...]   usr: every ELF file in /usr, x86-64 and aarch64
#                          made: files as compilers and linkers can make them,
#                          and this kernel's vDSO
#                          debian: arm64's libc, musl and others
#                          (default: all of these)
#
# Prints a "table" of the exceptions. Every difference, file by file, is in
# BUILD/unwind/PART.log. Environment: BUILD (default build).

set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit 1
BUILD=${BUILD:-build}
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/kstrata
out=$BUILD/unwind
failed=0

case ${1:-} in
-h|--help) sed -n '3,17s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac

make -s BUILD="$BUILD" "$out/oracle" "$out/findelf" >/dev/null || exit 1

# compare PART LIST: two processes, each with every second file.
compare()
{
	awk 'NR % 2' "$2" | "$out/oracle" -v >"$out/$1.1" 2>&1 &
	awk 'NR % 2 == 0' "$2" | "$out/oracle" -v >"$out/$1.2" 2>&1
	c_second=$?
	wait $!
	c_first=$?
	cat "$out/$1.1" "$out/$1.2" >"$out/$1.log"
	rm -f "$out/$1.1" "$out/$1.2"
	# 1: something is wrong, and counted; 2 or more: it did not finish.
	[ $c_first -lt 2 ] && [ $c_second -lt 2 ]
}

# verdict PART LEAST: none is wrong, under 0.1 % are exceptions, and there were at
# least so many ranges.
verdict()
{
	awk -v part="$1" -v least="$2" '
	$1 == "sum" { ranges[$2] += $3; bytes[$2] += $4 }
	END {
		exceptions = "bad-expression bad-other lost-fp lost-aux overlap trampoline unreadable"
		wrong = "missing wrong-cfa wrong-ra wrong-fp wrong-aux wrong-end not-found"
		aside = "beyond padding not-code go"
		n = split(exceptions, k)
		for (i = 1; i <= n; i++) { e += ranges[k[i]]; all += ranges[k[i]] }
		n = split(wrong, k)
		for (i = 1; i <= n; i++) { w += ranges[k[i]]; all += ranges[k[i]] }
		all += ranges["equal"]
		printf "table rows %s: %d files, %d of them mute, %d ranges of code, %d equal", part,
			ranges["files"], bytes["files"], all, ranges["equal"]
		n = split(exceptions " " wrong " " aside, k)
		for (i = 1; i <= n; i++)
			if (ranges[k[i]])
				printf ", %d %s (%d bytes)", ranges[k[i]], k[i],
					bytes[k[i]]
		printf "; tables %.1f MiB\n", ranges["table"] / 1048576
		printf "%s rows are as readelf says in %s # %d ranges are not\n",
			(w == 0 && all >= least ? "ok" : "not ok"), part, w
		printf "%s exceptions are under 0.1 %% in %s # %d of %d\n",
			(e * 1000 < all ? "ok" : "not ok"), part, e, all
		exit w > 0 || all < least || e * 1000 >= all
	}' "$out/$1.log" || {
		failed=1
		grep -E '^(wrong|missing|not-found|refused)' "$out/$1.log" | head -n 20
	}
}

# part NAME LEAST LIST
part()
{
	if compare "$1" "$3"; then
		echo "ok every file of $1 can be compared"
	else
		echo "not ok every file of $1 can be compared"
		grep -E '^(refused|oracle:)' "$out/$1.log" | head -n 20
		failed=1
	fi
	verdict "$1" "$2"
}

part_usr()
{
	"$out/findelf" /usr >"$out/usr.list"
	part usr 100000 "$out/usr.list"
}

# made DIR CC PREFIX: a directory of files by one compiler.
made()
{
	m_dir=$1/$3
	m_flags="-std=c11 -D_GNU_SOURCE -Iinclude -Iinclude/uapi -Itests/unwind -g"
	mkdir -p "$m_dir"
	# shellcheck disable=SC2046,SC2086
	while read -r m_name m_options; do
		case $m_options in
		*-shared*) m_sources="tests/unwind/oracle_values.c tests/unwind/oracle_readelf.c" ;;
		*) m_sources="tests/unwind/findelf.c" ;;
		esac
		$2 $m_flags $m_options -o "$m_dir/$m_name" $m_sources \
			tests/unwind/odd.c || {
			echo "not ok $2 makes $m_name"
			failed=1
		}
	done <<-END
		O0 -O0 -fPIC -shared
		O1 -O1 -fPIC -shared
		O3 -O3 -fPIC -shared
		fp -O2 -fno-omit-frame-pointer -fPIC -shared
		debug-frame -O2 -fno-asynchronous-unwind-tables -fno-unwind-tables -fPIC -shared
		debug-frame-gz -O2 -fno-asynchronous-unwind-tables -fno-unwind-tables -fPIC -shared -gz
		no-hdr -O2 -fPIC -shared -Wl,--no-eh-frame-hdr
		one-segment -O2 -fPIC -shared -Wl,-z,noseparate-code
		no-pie -O2 -no-pie -Wl,-Ttext-segment=0x10000000
		static -O2 -static
		static-pie -O2 -static-pie
		sections -O2 -ffunction-sections -Wl,--gc-sections
	END
	case $3 in
	arm64) $2 $m_flags -O2 -mbranch-protection=standard -fPIC -shared \
		-o "$m_dir/pac" tests/unwind/odd.c || failed=1 ;;
	esac
	# Without section headers, by the segments alone. (A static program of GCC has
	# none for .eh_frame: nothing could be found.)
	for m_name in static-pie O3; do
		cp "$m_dir/$m_name" "$m_dir/$m_name-headerless"
		dd if=/dev/zero of="$m_dir/$m_name-headerless" bs=1 seek=40 count=8 \
			conv=notrunc status=none
		dd if=/dev/zero of="$m_dir/$m_name-headerless" bs=1 seek=58 count=6 \
			conv=notrunc status=none
	done
}

part_made()
{
	dir=$out/made
	rm -rf "$dir"
	made "$dir" gcc x86-64
	made "$dir" clang clang
	made "$dir" aarch64-linux-gnu-gcc arm64
	"$out/oracle" -d "$dir/vdso"
	find "$dir" -type f ! -name '*-headerless' | sort >"$out/made.list"
	part made 20000 "$out/made.list"
	for stripped in "$dir"/*/*-headerless; do
		log=$out/headerless.log
		if echo "$stripped" | "$out/oracle" -v -o "${stripped%-headerless}" \
				>"$log" 2>&1; then
			echo "ok ${stripped#"$dir"/} has the rows it had with section headers"
		else
			echo "not ok ${stripped#"$dir"/} has the rows it had with section headers"
			head -n 10 "$log"
			failed=1
		fi
	done
}

part_debian()
{
	. tests/vm/debian.sh
	dir=$CACHE/unwind-debian
	mkdir -p "$dir"
	exec 9>"$CACHE/kernels.lock"
	flock 9
	debian_use bookworm arm64 || exit 1
	for package in libc6:arm64 libstdc++6:arm64 libgcc-s1:arm64 libssl3:arm64 \
			perl-base:arm64 bash:arm64 python3.11-minimal:arm64 git:arm64 \
			busybox-static:arm64 musl:arm64 musl:amd64; do
		[ -d "$dir/$package" ] || {
			deb=$(debian_get "$package") &&
				rm -rf "$dir/new" && dpkg -x "$deb" "$dir/new" &&
				mv "$dir/new" "$dir/$package"
		} || {
			echo "not ok $package can be had"
			failed=1
		}
	done
	exec 9>&-
	"$out/findelf" "$dir" >"$out/debian.list"
	part debian 100000 "$out/debian.list"
}

[ $# -gt 0 ] || set -- usr made debian
for name in "$@"; do
	case $name in
	usr|made|debian) "part_$name" ;;
	all)
		part_usr
		part_made
		part_debian
		;;
	*) echo "oracle.sh: no such part: $name" >&2; exit 2 ;;
	esac
done
exit $failed
