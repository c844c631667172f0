# SPDX-License-Identifier: Apache-2.0
#
# In a guest whose kernel checks itself: everything that can go wrong, at once
# and often. What is judged is mostly not here: the kernel must not complain.

. /debug-lib.sh

CPU1=/sys/devices/system/cpu/cpu1/online

# run NAME SECONDS COMMAND...: its lines are results.
run()
{
	r_name=$1
	shift
	mark "$r_name"
	"$@" >&3 2>&1 || not_ok "$r_name" "exit code $?"
}

# kernel_kb: kernel memory that is in use for good; what KASAN keeps of freed
# memory varies by itself.
kernel_kb()
{
	echo 3 >/proc/sys/vm/drop_caches
	awk '/^(SUnreclaim|VmallocUsed|Percpu|PageTables|KernelStack):/ {
		s += $2 } END { print s }' /proc/meminfo
}

hotplug_storm()
{
	while [ ! -e /tmp/storm-over ]; do
		echo 0 >$CPU1
		echo 1 >$CPU1
	done
}

# ---- the load itself, with faults and with openers at the door ----

# loads SECONDS
loads()
{
	rm -f /tmp/opened
	(hostile open "$1" >&3 && : >/tmp/opened || : >/tmp/opened.not) &
	l_n=0 l_busy=0
	while [ ! -e /tmp/opened ]; do
		[ ! -e /tmp/opened.not ] || return 1
		insmod /kstrata.ko || return 1
		# A client may have it open: then it stays until it is closed.
		until rmmod kstrata 2>/dev/null; do
			l_busy=$((l_busy + 1))
		done
		l_n=$((l_n + 1))
	done
	wait
	note "$l_n loads and unloads, in use $l_busy times"
	[ $l_n -gt 0 ]
}

# suspended HOW: to sleep and back.
suspended()
{
	s_before=$(cat /sys/power/suspend_stats/success)
	echo "$1" >/sys/power/state || return 1
	[ "$(cat /sys/power/suspend_stats/success)" -gt "$s_before" ]
}

suspends()
{
	i=0
	while [ $i -lt "$2" ]; do
		suspended "$1" || return 1
		i=$((i + 1))
	done
}

leaks_forget
check "loads and unloads, with openers at the door" loads "$(scaled 20)"
# The kernel that looks for races has no faults to inject.
[ "$SERIES" != debug ] || run "load, with faults" faults load /kstrata.ko 7
check "the module loads" insmod /kstrata.ko
[ "$SERIES" != debug ] || run "faults" faults
run "hostile clients" hostile "$(scaled 25)" "$SEED"
run "storm of tasks" storm "$(scaled 15)"
run "fuzz" fuzz "$(scaled 30)" "$SEED"
run "wild rows" wildrows "$(scaled 15)" "$SEED"
run "netlink fuzz" genlfuzz "$SEED" "$(scaled 5000)"

rm -f /tmp/storm-over
hotplug_storm &
run "hostile clients, CPUs come and go" hostile "$(scaled 25)" "$SEED"
run "storm of tasks, CPUs come and go" storm "$(scaled 20)"
run "wild rows, CPUs come and go" wildrows "$(scaled 15)" $((SEED + 1))
run "fuzz, CPUs come and go" fuzz "$(scaled 15)" $((SEED + 1))
: >/tmp/storm-over
wait
is "CPU 1 is back" "$(cat $CPU1)"

mark "sleep"
storm "$(scaled 40)" >/tmp/storm.out 2>&1 &
sleep 2
# Nothing would wake it from real idleness: all but that.
echo platform >/sys/power/pm_test
check "a session through suspend to idle" suspended freeze
echo none >/sys/power/pm_test
check "the platform can sleep" insmod /kst-sleep.ko
echo deep >/sys/power/mem_sleep
check "a session through suspends to memory" suspends mem "$(scaled 5)"
wait
sed 's/storm:/storm through sleep:/' /tmp/storm.out >&3

before=$(kernel_kb)
i=0
while [ $i -lt "$(scaled 40)" ]; do
	abuse cycle || break
	i=$((i + 1))
done
after=$(kernel_kb)
note "$i sessions: kernel memory $before -> $after kB"
check "rmmod when all is over" rmmod kstrata
sound "after the torture"
