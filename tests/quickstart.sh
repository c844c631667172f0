#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The quick start in QEMU: it must come up, serve profiles through the forwarded
# port, and leave nothing behind, whether it stops by itself or is stopped.

set -u

cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d)
# Where it makes its temporary files, to see what is left of them.
mkdir "$work/tmp"
failed=0 pid=

finish()
{
	[ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null
	[ -z "$pid" ] || wait "$pid"
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

verdict()
{
	if [ "$2" = 0 ]; then
		echo "ok $1"
	else
		echo "not ok $1"
		failed=1
	fi
}

start()
{
	[ ! -e "$work/log" ] || mv "$work/log" "$work/log.before"
	TMPDIR=$work/tmp sh packaging/quickstart.sh --vm "$@" >"$work/log" 2>&1 &
	pid=$!
	url=
	i=0
	while [ -z "$url" ] && [ $i -lt 180 ] && kill -0 $pid 2>/dev/null; do
		sleep 1
		i=$((i + 1))
		url=$(sed -n 's/^  \(http:[^ ]*\)$/\1/p' "$work/log" | head -n 1)
	done
	qemu=$(cat "$work"/tmp/kstrata-quickstart.*/qemu.pid 2>/dev/null)
	[ -n "$url" ]
}

left_nothing()
{
	ls -A "$work/tmp"
	[ -z "$(ls -A "$work/tmp")" ]
	verdict "no temporary file is left, $1" $?
	[ -n "$qemu" ] && ! kill -0 "$qemu" 2>/dev/null
	verdict "no QEMU is left, $1" $?
	! curl -s -m 2 "$url/healthz" >/dev/null
	verdict "nobody listens any more, $1" $?
}

start --seconds 45
verdict "it comes up" $?
curl -sf -m 10 "$url/healthz"
verdict "/healthz answers" $?
curl -sf -m 10 "$url/" | grep -q '<!doctype html>'
verdict "the page answers" $?
# Windows close every 10 s.
i=0
while [ $i -lt 30 ] && ! curl -sf -g -m 10 "$url/pyroscope/render?query=process_cpu:cpu:nanoseconds:cpu:nanoseconds{service_name=\"truth\"}&from=now-5m&until=now&format=folded" |
		grep -q 'thread_main;work;hot_a [1-9]'; do
	sleep 1
	i=$((i + 1))
done
[ $i -lt 30 ]
verdict "/pyroscope/render has the stacks of a program in the guest" $?
wait $pid
verdict "it stops by itself" $?
pid=
left_nothing "after it has stopped by itself"

start
verdict "it comes up again" $?
# In use: by the first one's port it must not be fooled.
sh packaging/quickstart.sh --vm --port "${url##*:}" >"$work/second" 2>&1
[ $? = 1 ] && grep -q "port ${url##*:} is in use" "$work/second"
verdict "a port that is in use is refused by name" $?
kill -TERM $pid
wait $pid
verdict "TERM ends it" $?
pid=
left_nothing "after TERM"

[ $failed = 0 ] || cat "$work/log.before" "$work/log"
exit $failed
