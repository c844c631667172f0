# SPDX-License-Identifier: Apache-2.0
#
# In the guest, with Debian's programs as they are on a disk of its own: each at work
# while the daemon samples it with unwind rows and, in a session of another daemon,
# without, and perf records it by frame pointers and by copies of the stack.
#
# /stock.conf says programs, seconds (each at work), hz. What was found goes to the
# second disk, for tests/vm/stock/table.py. All run twice: first to make themselves
# known (cgroup /warm-NAME), then what counts (/NAME).

. /guest-lib.sh
. /stock.conf

ROOT=/stock
OUT=$ROOT/tmp/results
OTHER=http://127.0.0.1:4041

mount_root()
{
	mkdir -p $ROOT && mount -t ext4 -o ro /dev/vda $ROOT || return 1
	for m_dir in proc sys dev tmp run; do
		mount --bind /$m_dir $ROOT/$m_dir || return 1
	done
	mkdir -p $OUT
}

other_healthy()
{
	kill -0 "$other" && curl -sf "$OTHER/healthz"
}

other_start()
{
	kstratad --store memory --http 127.0.0.1:4041 --socket /run/other.sock \
		--hz "$hz" --offsets --memory-size 256M --no-rows \
		>>/tmp/other.log 2>&1 &
	other=$!
	wait_for 20 other_healthy
}

# within CGROUP COMMAND...
within()
{
	w_cgroup=/sys/fs/cgroup/$1
	shift
	mkdir -p "$w_cgroup"
	# The shell that becomes the command moves itself.
	sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$w_cgroup" "$@"
}

work()
{
	echo "work: $2 in $1, $(cut -d ' ' -f 1 /proc/uptime) s"
	within "$1" chroot $ROOT /usr/bin/timeout 200 /usr/bin/bash \
		/work/run "$2" "$3"
}

# Those that serve go on, but count from now on.
count_servers()
{
	for c_name in $programs; do
		mkdir -p "/sys/fs/cgroup/$c_name"
		while read -r c_pid; do
			echo "$c_pid" >"/sys/fs/cgroup/$c_name/cgroup.procs"
		done <"/sys/fs/cgroup/warm-$c_name/cgroup.procs"
	done
}

# perf_start NAME OPTION...
perf_start()
{
	p_name=$1
	shift
	chroot $ROOT perf record -q -e cpu-clock -F "$hz" -a -k CLOCK_MONOTONIC \
		-o "/tmp/$p_name.data" "$@" >"/tmp/$p_name.log" 2>&1 &
	perf_pids="$perf_pids $!"
	perf_last=$!
}

cpu_ticks()
{
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

# stacks API PREFIX: of each cgroup and program file, folded; "== URL" after each.
stacks()
{
	s_query='process_cpu%3Acpu%3Ananoseconds%3Acpu%3Ananoseconds'
	{
		curl -sf -G "$1/pyroscope/label-values" --data-urlencode \
			label=service_name | tr -d '[]" ' | tr ',' '\n'
		echo
	} | grep . >/tmp/services
	for s_name in $programs; do
		for s_group in "$s_name" "warm-$s_name"; do
			sed "s|.*|url=$1/pyroscope/render?from=now-1h\&until=now\&format=folded\&query=$s_query%7Bcgroup%3D%22/$s_group%22%2Cservice_name%3D%22&%22%7D|" \
				/tmp/services
		done
	done >/tmp/urls
	curl -s -g -K /tmp/urls -w '== %{url_effective}\n' >"$OUT/$2.folded"
	curl -s "$1/metrics" >"$OUT/$2.metrics"
}

perf_script_of()
{
	ps_name=$1
	shift
	chroot $ROOT perf script -i "/tmp/$ps_name.data" --no-inline \
		--show-mmap-events --show-task-events \
		-F pid,tid,time,ip,dso "$@" 2>>"/tmp/$ps_name.script.log"
}

# Each program on its own: where this perf notes from where on a library is mapped,
# it is for all processes, and only the first one's stacks are unwound.
dwarf_script()
{
	while read -r ds_name begin end; do
		echo "perf script: $ds_name" >&2
		perf_script_of perf_dwarf --time "$begin,$end"
	done <"$OUT/phases" >"$OUT/perf_dwarf.script"
}

rows_are_there()
{
	curl -s "$API/metrics" | grep -q '^kstrata_rows_pending 0$'
}

profile()
{
	for name in $programs; do
		work "warm-$name" "$name" start ||
			not_ok "$name starts" "exit code $?"
		work "warm-$name" "$name" "$warm"
	done
	# What is met first is not what counts: until all rows have come.
	sleep 2
	wait_for 90 rows_are_there || note "rows are still pending"
	count_servers
	perf_pids=
	perf_start perf_fp -g
	fp=$perf_last
	perf_start perf_dwarf --call-graph dwarf
	dwarf=$perf_last
	sleep 3
	for process in $daemon $other $fp $dwarf; do
		cpu_ticks "$process"
	done >/tmp/before
	: >"$OUT/phases"
	for name in $programs; do
		begin=$(cut -d ' ' -f 1 /proc/uptime)
		work "$name" "$name" "$seconds" ||
			not_ok "$name works" "exit code $?: $(tail -n 1 "/tmp/out-$name")"
		echo "$name $begin $(cut -d ' ' -f 1 /proc/uptime)" >>"$OUT/phases"
	done
	for process in $daemon $other $fp $dwarf; do
		cpu_ticks "$process"
	done >/tmp/after
	echo "kstrata kstrata_fp perf_fp perf_dwarf" | tr ' ' '\n' |
		paste - /tmp/before /tmp/after >"$OUT/ticks"
	# shellcheck disable=SC2086
	kill -INT $perf_pids
	# shellcheck disable=SC2086
	wait $perf_pids
	settle
}

if ! mount_root; then
	not_ok "the disk with the programs is mounted" "it is not"
elif insmod /kstrata.ko && daemon_start memory --hz "$hz" --offsets \
		--memory-size 256M && other_start; then
	profile
	stacks "$API" kstrata
	stacks "$OTHER" kstrata_fp
	kill -TERM "$other"
	wait "$other"
	daemon_stop
	perf_script_of perf_fp >"$OUT/perf_fp.script" &
	dwarf_script
	wait
	(cd $ROOT/tmp && wc -c perf_*.data) >"$OUT/sizes"
	cp /tmp/kstratad.log /tmp/*.script.log $OUT/
	tar c -C $OUT . >/dev/vdb
	check "the module unloads" rmmod kstrata
else
	not_ok "the daemons start" "$(tail -n 1 /tmp/kstratad.log /tmp/other.log)"
fi
tail -n 20 /tmp/kstratad.log
