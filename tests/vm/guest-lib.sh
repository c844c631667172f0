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
