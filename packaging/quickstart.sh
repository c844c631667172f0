#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# See kstrata at work: build it, sample this machine, or a small one in QEMU
# where this kernel cannot load the module, and serve the profiles on
# http://127.0.0.1:4040 until Ctrl-C.
#
#   packaging/quickstart.sh [--port N] [--hz N] [--seconds N] [--vm | --host]
#
#   --port N     serve there (default: the first free port from 4040)
#   --hz N       samples per second and CPU (default 99)
#   --seconds N  stop by itself after so long
#   --vm         in QEMU, whatever this kernel can do
#   --host       on this machine, or not at all
#
# Installs the Debian packages that it needs and this machine has not (as root;
# otherwise it says which). Leaves nothing behind but those, ./build and
# downloads in $XDG_CACHE_HOME/kstrata.

set -u

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
BUILD=build
export BUILD

port='' hz=99 seconds='' where=''

usage()
{
	sed -n '3,18s/^# \{0,1\}//p' packaging/quickstart.sh
}

say()
{
	echo "quickstart: $*"
}

die()
{
	echo "quickstart: $*" >&2
	exit 1
}

number()
{
	case $2 in
	''|*[!0-9]*) die "$1 takes a number" ;;
	esac
}

while [ $# -gt 0 ]; do
	case $1 in
	--port|--hz|--seconds)
		[ $# -gt 1 ] || die "$1 takes a number"
		number "$1" "$2"
		case $1 in
		--port) port=$2 ;;
		--hz) hz=$2 ;;
		--seconds) seconds=$2 ;;
		esac
		shift
		;;
	--vm) where=vm ;;
	--host) where=host ;;
	-h|--help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done

# ---- what must be undone ---------------------------------------------------

work='' daemon='' loaded=''

stop()
{
	trap '' INT TERM HUP
	[ ! -t 1 ] || echo
	if [ -n "$daemon" ]; then
		say "stopping"
		kill -TERM "$daemon" 2>/dev/null
		wait "$daemon" 2>/dev/null
	elif [ -n "$work" ] && [ -e "$work/qemu.pid" ]; then
		say "stopping"
		qemu=$(cat "$work/qemu.pid")
		kill -TERM "$qemu" 2>/dev/null
		i=0
		while kill -0 "$qemu" 2>/dev/null && [ $i -lt 50 ]; do
			i=$((i + 1))
			sleep 0.1
		done
		kill -KILL "$qemu" 2>/dev/null
	fi
	[ -z "$loaded" ] || rmmod kstrata
	[ -z "$work" ] || rm -rf "$work"
}
trap stop EXIT
trap 'exit 0' INT TERM HUP

# ---- can this machine itself be sampled? -----------------------------------

# Print why not; nothing if it can.
why_not_here()
{
	if [ ! -e /proc/modules ]; then
		echo "this kernel cannot load modules"
	elif [ -e /sys/module/kstrata ]; then
		echo "kstrata is loaded already; use its kstratad"
	elif [ ! -e "/lib/modules/$(uname -r)/build/Makefile" ]; then
		echo "there are no headers of this kernel (linux-headers-$(uname -r))"
	elif [ "$(cat /proc/sys/kernel/modules_disabled 2>/dev/null)" = 1 ]; then
		echo "loading modules is switched off (kernel.modules_disabled)"
	elif grep -q -v '\[none\]' /sys/kernel/security/lockdown 2>/dev/null; then
		echo "this kernel is locked down: it takes signed modules only"
	else
		# CAP_SYS_MODULE is bit 16.
		caps=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)
		[ $((0x$caps >> 16 & 1)) = 1 ] ||
			echo "loading a module takes root (CAP_SYS_MODULE)"
	fi
}

if [ "$where" != vm ]; then
	why=$(why_not_here)
	if [ -z "$why" ]; then
		where=host
	elif [ "$where" = host ]; then
		die "$why"
	else
		say "not on this machine itself: $why; so in QEMU"
		where=vm
	fi
fi

# ---- build -----------------------------------------------------------------

if [ $where = vm ]; then
	set -- build module vm
else
	set -- build module
fi
missing=$(sh packaging/deps.sh --missing "$@")
if [ -n "$missing" ]; then
	[ "$(id -u)" != 0 ] || say "installing $missing"
	log=$(mktemp)
	sh packaging/deps.sh "$@" >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		rm -f "$log"
		die "packages are missing"
	}
	rm -f "$log"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/kstrata-quickstart.XXXXXX") || exit 1

quietly()
{
	"$@" >"$work/log" 2>&1 </dev/null || {
		tail -n 30 "$work/log" >&2
		die "$* failed"
	}
}

say "building the daemon"
quietly make -j2 userspace

# ---- the port --------------------------------------------------------------

is_free()
{
	# /proc/net/tcp has the port in hex, and 0A for a listener.
	! awk -v p="$(printf ':%04X' "$1")" \
		'substr($2, length($2) - 4) == p && $4 == "0A" { found = 1 }
		END { exit !found }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

if [ -z "$port" ]; then
	port=4040
	while ! is_free $port; do
		port=$((port + 1))
	done
elif ! is_free "$port"; then
	die "port $port is in use"
fi
url=http://127.0.0.1:$port

fetch()
{
	curl -sf -m 10 "$url$1"
}

# ---- start -----------------------------------------------------------------

alive()
{
	if [ -n "$daemon" ]; then
		kill -0 "$daemon" 2>/dev/null
	else
		[ -e "$work/qemu.pid" ] &&
			kill -0 "$(cat "$work/qemu.pid")" 2>/dev/null
	fi
}

start_here()
{
	say "building the module for $(uname -r)"
	mkdir "$work/module"
	cp -r Kbuild module include "$work/module"/
	quietly make -j2 -C "/lib/modules/$(uname -r)/build" \
		M="$work/module" modules
	if ! insmod "$work/module/kstrata.ko"; then
		[ "$1" != forced ] || die "the kernel refuses the module"
		say "the kernel refuses the module; so in QEMU"
		return 1
	fi
	loaded=1
	build/kstratad --hz "$hz" --store "$work/store" \
		--http "127.0.0.1:$port" --socket none >"$work/daemon.log" 2>&1 &
	daemon=$!
}

# /dev/kvm may be there and not work: a kernel must get as far as its first
# words within five seconds.
kvm_works()
{
	[ -w /dev/kvm ] || return 1
	timeout 5 qemu-system-x86_64 -accel kvm -cpu host -m 256 -nodefaults \
		-display none -no-reboot -kernel "$1"/boot/vmlinuz-* \
		-append 'earlyprintk=ttyS0 console=ttyS0 panic=-1' \
		-serial "file:$work/kvm" </dev/null >/dev/null 2>&1
	grep -a -q 'Kernel panic' "$work/kvm" 2>/dev/null
}

start_guest()
{
	say "fetching and unpacking a Debian kernel (kept for the next time)"
	quietly sh tests/vm/kernels.sh get 6.12
	kernel=$(sh tests/vm/kernels.sh get 6.12) || exit 1
	say "building the module for $(sh tests/vm/kernels.sh release 6.12)"
	quietly sh tests/vm/module.sh 6.12
	quietly sh tests/vm/work.sh

	. tests/vm/guest.sh
	GUEST_PROGRAMS="awk dd gzip sha256sum sort"
	guest_tree "$work/tree" build
	guest_modules "$work/tree" "$kernel" virtio_pci virtio_net
	cp build/module-6.12/kstrata.ko "$work/tree/"
	cp tests/vm/init "$work/tree/init"
	chmod 755 "$work/tree/init"
	sed "s/@HZ@/$hz/" tests/vm/quickstart.sh >"$work/tree/test"
	guest_pack "$work/tree" "$work/image"
	rm -rf "$work/tree"

	if kvm_works "$kernel"; then
		say "booting Linux in QEMU with KVM"
		set -- -accel kvm -cpu host
	else
		say "booting Linux in QEMU; there is no KVM, so it is slow"
		set -- -accel tcg,thread=multi -cpu max
	fi
	GUEST_APPEND=quiet
	guest_boot "$kernel" "$work/image" "$work/console" "$work/results" 0 \
		"$@" -smp 2 -pidfile "$work/qemu.pid" \
		-netdev "user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:$port-10.0.2.15:4040" \
		-device virtio-net-pci,netdev=n,romfile= \
		>"$work/qemu.log" 2>&1 &
	i=0
	while [ ! -s "$work/qemu.pid" ]; do
		i=$((i + 1))
		[ $i -lt 100 ] || {
			cat "$work/qemu.log" >&2
			die "QEMU does not start"
		}
		sleep 0.1
	done
}

give_up()
{
	for log in qemu.log console daemon.log; do
		[ ! -s "$work/$log" ] || tail -n 20 "$work/$log" >&2
	done
	die "$1"
}

if [ $where = host ]; then
	if [ -n "$why" ]; then start_here forced; else start_here; fi ||
		where=vm
fi
[ $where = host ] || start_guest

begin=$(date +%s)
until fetch /healthz >/dev/null; do
	alive || give_up "it has ended"
	[ $(($(date +%s) - begin)) -lt 120 ] || give_up "nothing answers"
	sleep 0.5
done

# ---- run -------------------------------------------------------------------

cat <<END

  $url

Open it in a browser: a flame graph of every process$([ $where = host ] || echo ' in the guest'), user and kernel,
a new window of it every 10 seconds. Other ways to ask, also from Grafana:

  curl -g '$url/pyroscope/render?query=process_cpu:cpu:nanoseconds:cpu:nanoseconds{}&from=now-5m&until=now&format=folded'
  curl $url/metrics

END
if [ $where = vm ]; then
	cat <<END
In the guest run: truth (hot_a 70 %, hot_b 30 %), dd, gzip, sort, sha256sum, awk
and shells that start short-lived programs.

END
fi
say "Ctrl-C ends it and leaves nothing behind"

metric()
{
	echo "$metrics" | awk -v m="$1" '$1 == m { printf "%.0f", $2 }'
}

begin=$(date +%s) told=-10
while alive; do
	now=$(($(date +%s) - begin))
	[ -z "$seconds" ] || [ $now -lt "$seconds" ] || exit 0
	metrics=$(fetch /metrics) || metrics=
	samples=$(metric kstrata_samples_total)
	windows=$(metric kstrata_store_windows)
	line="$now s: ${samples:+$samples samples, }${windows:-0} windows stored, $(metric kstrata_series) series"
	if [ -t 1 ]; then
		printf '\r%s    ' "$line"
	elif [ $now -ge $((told + 10)) ]; then
		say "$line"
		told=$now
	fi
	sleep 1
done
give_up "it has ended"
