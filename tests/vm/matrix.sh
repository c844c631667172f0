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
check "rmmod" rmmod kstrata
check "five cycles of load, session, unload" cycles
