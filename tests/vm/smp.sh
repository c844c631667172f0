# SPDX-License-Identifier: Apache-2.0
#
# In the guest with two CPUs: what must go on working when something goes away.

. /guest-lib.sh

has_truth()
{
	[ "$(folded truth "$1" "$2" | total)" -gt 100000000 ]
}

# ---- the ABI ----

check "the module loads" insmod /kstrata.ko
abuse >&3 || note "abuse failed"
objects >&3 || note "objects failed"
objlimits >&3 || note "objlimits failed"
rows >&3 || note "rows failed"
abuse hotplug >&3 || note "abuse hotplug failed"
for program in genl "genlfuzz 1 5000"; do
	$program >&3
	rc=$?
	# 1: it has said why.
	[ $rc -le 1 ] || not_ok "$program ends" "exit code $rc"
done
sampler >&3 || note "sampler failed"
chmod 666 /dev/kstrata
setpriv --reuid 65534 --regid 65534 --clear-groups abuse denied >&3
chmod 600 /dev/kstrata

# ---- the daemon ----

if daemon_start /tmp/store --hz 199 --sync 1s; then
	refused "rmmod while the daemon samples" rmmod kstrata
	truth 300 >/dev/null &
	load=$!
	for _ in 1 2 3; do
		echo 0 >/sys/devices/system/cpu/cpu1/online
		sleep 0.3
		echo 1 >/sys/devices/system/cpu/cpu1/online
		sleep 0.3
	done
	check "the daemon survives CPUs that go and come" healthy
	from=$(now_ms)
	settle
	sleep 2
	middle=$(now_ms)
	check "the daemon has the load" has_truth "$from" "$middle"

	# Longer lives than in objects.sh: here the host's load counts.
	short_lived 4 8 60

	kill -9 "$daemon"
	wait "$daemon" 2>/dev/null
	check "a daemon starts after kill -9" \
		daemon_start /tmp/store --hz 199 --sync 1s
	# check runs its command in a subshell. The reader is the daemon's child.
	daemon=$(pidof kstratad | tr ' ' '\n' | sort -n | head -n 1)
	check "it still has what was stored before" has_truth "$from" "$middle"
	again=$(now_ms)
	settle
	check "it samples on" has_truth "$again" "$(now_ms)"
	kill "$load"
	wait "$load" 2>/dev/null

	# ---- mistakes ----
	kstratad --no-device --store /tmp/other --socket none \
		--http 127.0.0.1:4040 >/tmp/port.log 2>&1
	rc=$?
	if [ $rc != 0 ] && grep -q 4040 /tmp/port.log; then
		ok "an occupied port: an error that names it"
	else
		not_ok "an occupied port: an error that names it" \
			"exit code $rc, $(tail -n 1 /tmp/port.log)"
	fi

	kill -TERM "$daemon"
	wait_for 10 sh -c "! pidof kstratad"
	[ -z "$(pidof kstratad)" ] && ok "TERM ends the daemon" ||
		not_ok "TERM ends the daemon" "still there"
else
	not_ok "the daemon starts" "$(tail -n 1 /tmp/kstratad.log)"
fi

if daemon_start /tmp/store --hz 99; then
	check "a restarted daemon serves what it stored" \
		has_truth "$from" "$middle"
	daemon_stop
	rc=$?
	[ $rc = 0 ] && ok "TERM: exit code 0" ||
		not_ok "TERM: exit code 0" "$rc"
else
	not_ok "the daemon restarts" "$(tail -n 1 /tmp/kstratad.log)"
fi

printf 'log-level = info\nhz = banana\n' >/tmp/broken.conf
kstratad --config /tmp/broken.conf >/tmp/broken.log 2>&1
rc=$?
if [ $rc != 0 ] && grep -q 'broken.conf:2' /tmp/broken.log; then
	ok "a broken configuration: an error that names file and line"
else
	not_ok "a broken configuration: an error that names file and line" \
		"exit code $rc, $(tail -n 1 /tmp/broken.log)"
fi

# ---- the module goes ----

check "rmmod when the daemon has ended" rmmod kstrata
kstratad --store /tmp/other --socket none --http none >/tmp/nodev.log 2>&1
rc=$?
if [ $rc != 0 ] && grep -q /dev/kstrata /tmp/nodev.log; then
	ok "no module: an error that names the device"
else
	not_ok "no module: an error that names the device" \
		"exit code $rc, $(tail -n 1 /tmp/nodev.log)"
fi
cat /tmp/kstratad.log
