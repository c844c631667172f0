# SPDX-License-Identifier: Apache-2.0
#
# In the guest with two CPUs: programs as Debian builds them, without frame pointers,
# under the daemon: their unwind rows are compiled, kept and loaded, and lead to the
# beginning of the program; and what becomes of that when something breaks down.

. /guest-lib.sh

# metric NAME: its value; NAME with labels too.
metric()
{
	curl -s "$API/metrics" | awk -v n="$1" '$1 == n { printf "%.0f\n", $2 }'
}

# metrics NAME: the sum over its labels
metrics()
{
	curl -s "$API/metrics" | awk -v n="$1" \
		'index($1, n "{") == 1 { s += $2 } END { printf "%.0f\n", s }'
}

nothing_pending()
{
	[ "$(metric kstrata_rows_pending)" = 0 ] &&
		[ "$(metric kstrata_rows_loaded)" -ge "$1" ]
}

# work SECONDS: programs of Debian's
work()
{
	w_end=$(($(date +%s) + $1))
	while [ "$(date +%s)" -lt $w_end ]; do
		sort /tmp/text >/tmp/sorted
		gzip -c /tmp/text >/dev/null
		sha256sum /tmp/text >/dev/null
		awk '{ n[$2]++ } END { for (w in n) s += n[w] }' /tmp/text
	done
}

# sum NAME: of the last look at all metrics
said()
{
	awk -v n="$1" '$1 == n { printf "%.0f\n", $2 }' /tmp/metrics
}

# whole FROM: what share of the user stacks of these programs, in 1/1000 of their
# time, was walked to its beginning since then; and their time
whole()
{
	for w_program in sort gzip sha256sum mawk; do
		folded $w_program "$1" "$(now_ms)"
	done >/tmp/folded
	awk '{ all += $NF } !/^\[cut: / { whole += $NF }
		END { printf "%d %.0f\n", all ? 1000 * whole / all : 0, all }' \
		/tmp/folded
}

check "the module loads" insmod /kstrata.ko
head -c 400000 /dev/urandom | od -x >/tmp/text

if daemon_start /tmp/store --hz 499 --log-level debug; then
	work 6
	check "rows are loaded, and nobody waits for any" \
		wait_for 60 nothing_pending 5
	# Where they all have been met and have their rows:
	from=$(now_ms)
	work 10
	settle
	whole "$from" >/tmp/share
	read -r share time </tmp/share
	note "with rows: $share of 1000 of $time ns have whole stacks"
	# For whoever looks into it: what is cut, where.
	grep '^\[cut' /tmp/folded | sort | uniq | head -n 100
	curl -s "$API/metrics" >/tmp/metrics
	note "$(kstrata --socket /run/k.sock status | grep -E 'rows|walked' |
		tr '\n' ';')"
	# The rest is what changes its mappings just then.
	is "programs without frame pointers have whole stacks" \
		"$time > 1000000000 && $share >= 950"
	is "rows take less than 8 MiB" \
		"$(said kstrata_rows_held_bytes) > 0 && $(said kstrata_rows_held_bytes) < 8388608"
	is "frames are found by rows" \
		"$(said 'kstrata_walked_frames_total{by="rows"}') > 1000"
	is "nothing failed" "$(metrics kstrata_rows_failed_total) == 0"
	is "the reader filters its calls, and broke down for nothing" \
		"$(said kstrata_reader_starts_total) >= 1 && $(said kstrata_reader_crashes_total) == 0"
	curl -s "$API/api/v1/status" | grep -q '"reader_filtered":true' &&
		ok "this kernel filters the reader's calls" ||
		not_ok "this kernel filters the reader's calls" "status says no"
	# ---- a program that the daemon has not met, and a reader that is killed ----
	compiled=$(metric kstrata_rows_compiled_total)
	for n in 1 2 3 4; do
		cp /usr/bin/sort "/tmp/sort$n"
		# Another file, whose build-id is not to be trusted.
		touch -d "2026-01-0$n" "/tmp/sort$n"
		"/tmp/sort$n" /tmp/text >/tmp/sorted &
		sorting=$!
		for pid in $(pidof kstrata-reader); do
			kill -9 "$pid"
		done
		wait $sorting
	done
	check "the daemon lives on when its reader is killed" healthy
	check "rows are compiled all the same" wait_for 60 nothing_pending 6
	is "those of files that were not met before" \
		"$(metric kstrata_rows_compiled_total) > $compiled"

	# ---- the next time, they are read from the disk ----
	daemon_stop
	daemon_start /tmp/store --hz 499
	work 5
	check "rows are there at once" wait_for 60 nothing_pending 5
	curl -s "$API/metrics" >/tmp/metrics
	is "most of them from the cache" \
		"$(said kstrata_rows_cached_total) >= 4 && $(said kstrata_rows_cached_total) >= 2 * $(said kstrata_rows_compiled_total)"
	daemon_stop

	# ---- with hardly any memory for them, they come and go ----
	daemon_start memory --hz 499 --rows-memory 128K
	work 10
	curl -s "$API/metrics" >/tmp/metrics
	note "128 KiB for rows: $(said kstrata_rows_loads_total) loaded, $(said kstrata_rows_dropped_total) dropped, $(said kstrata_rows_wanted_total) asked for again, $(said kstrata_rows_held_bytes) bytes held"
	is "rows make room for others, and are asked for again" \
		"$(said kstrata_rows_dropped_total) > 0 && $(said kstrata_rows_wanted_total) > 0 && $(said kstrata_rows_held_bytes) <= 131072"
	daemon_stop

	# ---- without ----
	daemon_start /tmp/store --hz 499 --no-rows
	from=$(now_ms)
	work 10
	settle
	whole "$from" >/tmp/share
	read -r none time </tmp/share
	note "without rows: $none of 1000 of $time ns have whole stacks"
	is "without rows they have not" "$none < $share / 2"
	curl -s "$API/metrics" >/tmp/metrics
	is "no frame is found by rows" \
		"$(said 'kstrata_walked_frames_total{by="rows"}') == 0 && $(said 'kstrata_walked_frames_total{by="frame_pointer"}') > 0"
	daemon_stop
fi
check "rmmod when the daemon has ended" rmmod kstrata
cat /tmp/kstratad.log
