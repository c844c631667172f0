# SPDX-License-Identifier: Apache-2.0
#
# Sourced by the scripts that run in the guest. Descriptor 3 takes results: lines
# "ok NAME", "not ok NAME # why", "table ..." and "# ..." notes.

API=http://127.0.0.1:4040
daemon=

ok()
{
	echo "ok $*" >&3
	echo "test: ok $*"
}

not_ok()
{
	echo "not ok $1 # $2" >&3
	echo "test: not ok $1 # $2"
}

note()
{
	echo "# $*" >&3
}

# check NAME COMMAND...: the command's success is the verdict.
check()
{
	c_name=$1
	shift
	if c_out=$("$@" 2>&1); then
		ok "$c_name"
	else
		not_ok "$c_name" "$* failed: $(echo "$c_out" | tail -n 1)"
	fi
}

# refused NAME COMMAND...: the command must fail.
refused()
{
	c_name=$1
	shift
	if "$@" >/dev/null 2>&1; then
		not_ok "$c_name" "$* succeeded"
	else
		ok "$c_name"
	fi
}

# holds AWK-EXPRESSION
holds()
{
	awk "BEGIN { exit !($1) }"
}

# is NAME AWK-EXPRESSION: arithmetic that must hold.
is()
{
	if holds "$2"; then
		ok "$1"
	else
		not_ok "$1" "$2"
	fi
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for()
{
	w_left=$(($1 * 5))
	shift
	while ! "$@" >/dev/null 2>&1; do
		w_left=$((w_left - 1))
		[ $w_left -gt 0 ] || return 1
		sleep 0.2
	done
}

healthy()
{
	kill -0 "$daemon" && curl -sf "$API/healthz"
}

# daemon_start STORE OPTION...
daemon_start()
{
	d_store=$1
	shift
	kstratad --store "$d_store" --http 127.0.0.1:4040 \
		--socket /run/k.sock "$@" >>/tmp/kstratad.log 2>&1 &
	daemon=$!
	wait_for 20 healthy || {
		note "kstratad does not answer: $(tail -n 3 /tmp/kstratad.log)"
		return 1
	}
}

# daemon_stop: by SIGTERM; its exit code is the result.
daemon_stop()
{
	kill -TERM "$daemon"
	wait "$daemon"
}

now_ms()
{
	echo "$(date +%s)000"
}

# folded SERVICE FROM UNTIL >FILE
folded()
{
	curl -sf -G "$API/pyroscope/render" \
		--data-urlencode "query=process_cpu:cpu:nanoseconds:cpu:nanoseconds{service_name=\"$1\"}" \
		--data-urlencode "from=$2" --data-urlencode "until=$3" \
		--data-urlencode format=folded
}

# total <FILE: the sum of the weights
total()
{
	awk '{ s += $NF } END { printf "%.0f\n", s }'
}

# The weights are written when their window has closed.
WINDOW=10
settle()
{
	sleep $((WINDOW + 4))
}

# short_lived COPIES RUNS MS: with the daemon running, processes of so many ms of
# CPU time from deleted files of another mount namespace. Each copy's hot function
# has a name of its own, and no other may be seen in its processes. Sums, in ns,
# are left in sl_hot (of the copies' own hot functions), sl_least (the least of
# a copy), sl_wrong (of others'), sl_user (of samples in user code) and sl_unnamed
# (in no known file among these).
short_lived()
{
	sl_from=$(now_ms)
	short load "$1" "$2" "$3" || not_ok "short-lived: every process ends well" \
		"one does not"
	settle
	sl_until=$(now_ms)
	sl_copy=0
	: >/tmp/short.sums
	while [ $sl_copy -lt "$1" ]; do
		sl_name=$(printf %02d $sl_copy)
		curl -sf -G "$API/pyroscope/render" \
			--data-urlencode "query=process_cpu:cpu:nanoseconds:cpu:nanoseconds{comm=\"short_$sl_name\"}" \
			--data-urlencode "from=$sl_from" \
			--data-urlencode "until=$sl_until" \
			--data-urlencode format=folded >/tmp/short.folded
		# Kernel stacks begin with one of these; before them is what the
		# program did, which while it execs or exits has no mappings.
		awk -v want="hot_function_$sl_name" \
			-v file="\\\\[short_$sl_name\\\\]\$" '
			{
				w = $NF
				sub(/ [0-9]+$/, "")
				if (match($0, /hot_function_[0-9z]+/)) {
					if (substr($0, RSTART, RLENGTH) == want)
						hot += w
					else
						wrong += w
				}
				if ($0 ~ /(^|;)(entry_|asm_|ret_from_fork|error_entry)/)
					next
				user += w
				if ($0 ~ /(^|;)\[(unknown|anon)\]$/)
					unnamed += w
				# A stub that no symbol names has the file.
				else if ($0 ~ /\[short_[0-9]*\]$/ &&
						$0 !~ file)
					wrong += w
			}
			END { printf "%.0f %.0f %.0f %.0f\n", hot, wrong, user, unnamed }' \
			</tmp/short.folded >>/tmp/short.sums
		sl_copy=$((sl_copy + 1))
	done
	awk 'NR == 1 || $1 < least { least = $1 }
		{ hot += $1; wrong += $2; user += $3; unnamed += $4 }
		END { printf "%.0f %.0f %.0f %.0f %.0f\n", hot, least, wrong, user, unnamed }' \
		</tmp/short.sums >/tmp/short.sum
	read -r sl_hot sl_least sl_wrong sl_user sl_unnamed </tmp/short.sum
	note "short-lived, $1 x $2 x $3 ms: $sl_hot ns in their hot functions, $sl_least in the least, $sl_wrong in others', $sl_user in user code, $sl_unnamed of it in no file"
	is "short-lived: each copy's hot function is named" "$sl_least > 0"
	is "short-lived: no process has another's function" "$sl_wrong == 0"
	is "short-lived: 99 in 100 ns of user code are in their file" \
		"$sl_user > 0 && $sl_unnamed <= .01 * $sl_user"
}
