# SPDX-License-Identifier: Apache-2.0
#
# In the guest: what tests/bench/kernel/run.sh asks for in /bench.conf: part (stacks,
# rows, loads, loss, smoke), bpf (is there a bpftrace?), kernel, cpus.

. /guest-lib.sh
. /bench.conf

# Where samples are dear: so many that the difference is large.
STACK_HZ=4999
program=kbench

# result PROFILER kbench's options...: one JSON line. Sent when all is done: a
# serial port takes its time, and the CPU's, in the background.
result()
{
	r_profiler=$1
	shift
	if ! "$program" "$@" >/tmp/result; then
		not_ok "kbench $*" "fails"
		return 1
	fi
	sed "s/^{/json {\"part\":\"$part\",\"program\":\"$program\",\"kernel\":\"$kernel\",\"profiler\":\"$r_profiler\",/" \
		/tmp/result >>/tmp/results
}

# ---- a profiler in the background: start, pid, stop ----

kstratad_start()
{
	daemon_start memory --hz "$1" --sync 10s || return 1
	profiler=$daemon
}

rows_are_there()
{
	curl -s "$API/metrics" | grep -q '^kstrata_rows_pending 0$'
}

# The same, by frame pointers only.
fponly_start()
{
	daemon_start memory --hz "$1" --sync 10s --no-rows || return 1
	profiler=$daemon
}

fponly_stop()
{
	daemon_stop
}

kstratad_stop()
{
	curl -s "$API/metrics" >"/tmp/metrics"
	daemon_stop
}

perf_recording()
{
	[ -s /tmp/perf.data ]
}

perf_start()
{
	perf record -q -e cpu-clock -F "$1" -a "${2:--g}" -o /tmp/perf.data \
		2>/tmp/perf.log &
	profiler=$!
	wait_for 20 perf_recording && sleep 2
}

perf_stop()
{
	kill -INT "$profiler"
	wait "$profiler"
	rm -f /tmp/perf.data
}

dwarf_start()
{
	perf_start "$1" --call-graph=dwarf
}

dwarf_stop()
{
	perf_stop
}

bpf_attached()
{
	grep -q Attaching /tmp/bpf.log
}

bpf_start()
{
	: >/tmp/bpf.log
	bpftrace -e "profile:hz:$1 { @[kstack, ustack, pid] = count(); }" \
		>/tmp/bpf.log 2>&1 &
	profiler=$!
	# Attached a moment after it says so.
	wait_for 120 bpf_attached && sleep 5
}

# Not asked politely: it would print, and name, all that it has.
bpf_stop()
{
	kill -9 "$profiler"
	wait "$profiler" 2>/dev/null
	sleep 1
}

# ---- parts ----

# What a sample costs, by what is on the stacks: the kernel's half alone.
stacks()
{
	for s_load in $STACK_LOADS; do
		rounds=${s_load#*:} load=${s_load%:*}
		for depth in $DEPTHS; do
			# Twice: what the kernel does at long intervals meets one
			# of them at most.
			result none --hz 0 --depth "$depth" "$load" "$rounds"
			for probe in none kstrata objects perf; do
				result $probe --probe $probe --hz $STACK_HZ \
					--depth "$depth" "$load" "$rounds"
			done
		done
	done
	[ "$bpf" = 1 ] || return 0
	if ! bpf_start $STACK_HZ; then
		not_ok "bpftrace attaches" "$(head -n 1 /tmp/bpf.log)"
		return 1
	fi
	for s_load in $STACK_LOADS; do
		for depth in $DEPTHS; do
			result bpftrace --hz $STACK_HZ --depth "$depth" \
				"${s_load%:*}" "${s_load#*:}"
		done
	done
	bpf_stop
}

# A user frame, found by rows and by frame pointers.
rows()
{
	for program in kbench kbench-rows; do
		probes="objects rows perf dwarf"
		[ $program = kbench ] || probes=rows
		for depth in $DEPTHS; do
			for probe in none none $probes; do
				r_hz=$STACK_HZ
				[ "$probe" != none ] || r_hz=0
				result "$probe" --probe "$probe" --hz $r_hz \
					--depth "$depth" cpu "$ROUNDS"
			done
		done
	done
	program=kbench
}

all_loads()
{
	for a_load in $LOADS; do
		result "$@" "${a_load%:*}" "${a_load#*:}"
	done
}

# What a whole profiler takes from whole programs.
loads()
{
	all_loads none --hz 0
	all_loads none --hz 0
	for hz in $RATES; do
		for p in kstratad fponly perf dwarf bpf; do
			[ $p$bpf != bpf0 ] || continue
			if ! ${p}_start $hz; then
				not_ok "$p starts at $hz Hz" "it does not"
				continue
			fi
			# For who reads a program's symbols, and compiles its
			# unwind rows, when it meets it.
			kbench cpu 20000000 >/dev/null
			[ $p != kstratad ] || wait_for 60 rows_are_there
			all_loads $p --hz $hz --pid "$profiler"
			${p}_stop
		done
	done
}

# metric NAME
metric()
{
	awk -v n="$1" '$1 == n { print $2 }' /tmp/metrics
}

busy()
{
	b_i=0
	while [ $b_i -lt "$cpus" ]; do
		for b_load in $LOSS_LOADS; do
			kbench --depth 48 "${b_load%:*}" "${b_load#*:}" \
				>/dev/null || not_ok "$b_load" "fails"
		done &
		busy_pids="$busy_pids $!"
		b_i=$((b_i + 1))
	done
}

wait_busy()
{
	# shellcheck disable=SC2086
	wait $busy_pids
	busy_pids=
}

# account NAME: nothing is missing but what is said to be lost.
account()
{
	sleep 1
	curl -s "$API/metrics" >/tmp/metrics
	samples=$(metric kstrata_samples_total)
	lost=$(metric kstrata_lost_total)
	on=$(metric kstrata_on_seconds_total)
	sum=$(awk '/^kstrata_(sampled|lost|filtered|idle)_seconds_total / {
		s += $2 } END { printf "%.6f", s }' /tmp/metrics)
	echo "json {\"part\":\"loss\",\"kernel\":\"$kernel\",\"cpus\":$cpus,\"case\":\"$1\",\"samples\":$samples,\"lost\":$lost,\"missed\":$(metric kstrata_missed_total),\"throttles\":$(metric kstrata_throttles_total),\"sampled_s\":$(metric kstrata_sampled_seconds_total),\"lost_s\":$(metric kstrata_lost_seconds_total),\"idle_s\":$(metric kstrata_idle_seconds_total),\"on_s\":$on}" \
		>>/tmp/results
	# What the daemon has not read yet, and what passed since the last expiry.
	is "$1, $cpus CPUs: sampled, lost and idle time are all of it within 1 %" \
		"$sum <= $on && $sum >= .99 * ($on)"
}

loss()
{
	# All that a stopped reader misses is told, in number and in weight. The
	# client has the first CPU's ring only.
	[ "$cpus" != 1 ] || result kstrata --probe kstrata --hz 10000 \
		--ring 65536 --depth 48 cpu 20000000
	# 10 kHz fill the default ring in 60 ms, for which a busy host keeps an
	# emulated CPU, and the daemon on it, waiting.
	daemon_start memory --hz 10000 --sync 10s || {
		not_ok "the daemon starts at 10 kHz" "$(tail -n 1 /tmp/kstratad.log)"
		return 1
	}
	busy_pids=
	busy
	wait_busy
	account draining
	is "draining, $cpus CPUs: no sample is lost at 10 kHz" \
		"$lost == 0 && $samples > 1000"
	daemon_stop

	daemon_start memory --hz 10000 --sync 10s || {
		not_ok "the daemon starts again" "$(tail -n 1 /tmp/kstratad.log)"
		return 1
	}
	kill -STOP "$daemon"
	busy
	wait_busy
	kill -CONT "$daemon"
	wait_for 20 healthy
	account stopped
	is "stopped, $cpus CPUs: samples are lost" "$lost > 100"
	daemon_stop
}

insmod /kstrata.ko || not_ok "the module loads" "it does not"
# What the boot has left to do.
sleep 5
case $part in
stacks)
	DEPTHS="3 8 16 32 64 127"
	STACK_LOADS="cpu:20000000 random:2000 tcp:15000"
	stacks
	;;
rows)
	DEPTHS="3 8 16 32 64 127" ROUNDS=20000000
	rows
	;;
smoke)
	DEPTHS=16 bpf=0
	STACK_LOADS="cpu:8000000 tcp:6000"
	stacks
	;;
loads)
	[ -n "$LOADS" ] ||
		LOADS="cpu:100000000 syscall:2500000 fork:800 switch:50000 tcp:35000"
	loads
	;;
loss)
	LOSS_LOADS="cpu:100000000 syscall:1000000 tcp:30000 fork:200"
	loss
	;;
esac
cat /tmp/results >&3
check "the module unloads" rmmod kstrata
cat /tmp/kstratad.log 2>/dev/null
