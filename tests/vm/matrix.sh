# SPDX-License-Identifier: Apache-2.0
#
# In the guest with two CPUs, of many kernels: what must be right on each.

. /guest-lib.sh

# The daemon's own share of hot_a, of its first window.
daemon_share()
{
	daemon_start /tmp/store --hz 499 --sync 1s || return 1
	from=$(now_ms)
	truth 1000 >/dev/null &
	load=$!
	settle
	folded truth "$from" "$(now_ms)" >/tmp/folded
	kill "$load"
	wait "$load" 2>/dev/null
	daemon_stop || return 1
	shares=$(awk '{ w = $NF; sub(/ [0-9]+$/, "") }
		/;work;hot_a$/ { a += w }
		/;work;hot_b$/ { b += w }
		END { printf "%.3f %.3f", (a + b) / 1e9, a / (a + b + !(a + b)) }
		' /tmp/folded)
	note "the daemon: hot_a ${shares#* } of ${shares% *} s"
	# Not tight: the host stalls the guest's CPUs, and a sample can be long.
	holds "${shares% *} > 1 && ${shares#* } > 0.6 && ${shares#* } < 0.8"
}

# stacks PROGRAM: what is known of them, by rows that rowload takes from files.
stacks()
{
	rowload /rows 1000 "/programs/$1" 100000 1000000000 >/tmp/folded 2>/tmp/rowload
	is "$1: its rows are loaded" "$? == 0"
	awk -v program=scenes -v arm64=1 -f /known.awk </tmp/folded >/tmp/sums
	# 201 calls of the same function; a handler that has interrupted another.
	awk '/;leaf_deep [0-9]+$/ && gsub(/deep;/, "") == 202 { deep++ }
		/^_start;.*;raises;.*\[vdso\];handler_nested;.*\[vdso\];handler_inner;leaf_handler [0-9]+$/ {
			signals++
		}
		END { exit !(deep && signals) }' </tmp/folded
	is "$1: deep stacks, and those across two signals" "$? == 0"
	note "$1: $(cat /tmp/rowload)"
	grep '^#' /tmp/sums | cut -c 1-600 | sed "s/^# /# $1: /" >&3
	read -r _ right _ wrong _ cut _ ends _ all <<-EOF
		$(tail -n 1 /tmp/sums)
	EOF
	echo "table unwind $1 right_ms=$((right / 1000000)) wrong_ms=$((wrong / 1000000)) cut_ms=$((cut / 1000000)) ends_ms=$((ends / 1000000)) all_ms=$((all / 1000000))" >&3
	is "$1: no wrong stack" "$wrong == 0"
	is "$1: stacks of known leaves" "$right > 100000000"
	is "$1: 99 % of its stacks are whole" "$all > 0 && $cut <= .01 * $all"
}

cycles()
{
	for _ in 1 2 3 4 5; do
		insmod /kstrata.ko && abuse cycle && rmmod kstrata || return 1
	done
}

note "$(uname -srvm)"
check "the module loads" insmod /kstrata.ko
# The exit code 1 has been told why.
for program in abuse "abuse hotplug" sampler genl objects objlimits rows "shares 5"; do
	$program >&3
	rc=$?
	[ $rc -le 1 ] || not_ok "$program ends" "exit code $rc"
done
chmod 666 /dev/kstrata
su -s /bin/sh nobody -c "abuse denied" >&3
chmod 600 /dev/kstrata
if command -v kstratad >/dev/null; then
	check "the daemon measures 70 %" daemon_share
fi
# Without a daemon, their rows come with the guest.
if [ -d /programs ]; then
	check "the CPU signs return addresses" grep -q -w paca /proc/cpuinfo
	for program in /programs/*; do
		stacks "${program##*/}"
	done
fi
check "rmmod" rmmod kstrata
check "five cycles of load, session, unload" cycles
