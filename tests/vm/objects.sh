# SPDX-License-Identifier: Apache-2.0
#
# In the guest whose clock counts instructions: 2,000 processes of some 5 ms each from 20 different
# binaries, deleted as they first run, in another mount namespace: what the
# kernel says of them, and what the daemon makes of it. And the daemon's options
# changed while it samples.

. /guest-lib.sh

check "the module loads" insmod /kstrata.ko
short rings 20 100 >&3 || note "short rings failed"

# metric NAME: its value.
metric()
{
	curl -s "$API/metrics" | awk -v n="$1" '$1 == n { printf "%.0f\n", $2 }'
}

has_rate()
{
	curl -s "$API/api/v1/status" | grep -q "\"hz\":$1[,}]"
}

# reload LINE...: the configuration, of these lines.
reload()
{
	printf '%s\n' "$@" >/tmp/k.conf
	kill -HUP "$daemon"
}

# busy_samples: samples while a CPU is busy for 10 s.
busy_samples()
{
	sleep 1
	b_before=$(metric kstrata_samples_total)
	truth 10 >/dev/null
	sleep 1
	echo $(($(metric kstrata_samples_total) - b_before))
}

reconfigure()
{
	reload "hz = 99"
	check "HUP: another rate while sampling" wait_for 10 has_rate 99
	n=$(busy_samples)
	note "10 s at 99 Hz after HUP: $n samples"
	is "HUP: the rate is what was asked for" "$n > 800 && $n < 1500"

	reload "hz = 99" "pid = 1"
	sleep 2
	filtered=$(metric kstrata_filtered_total)
	n=$(busy_samples)
	filtered=$(($(metric kstrata_filtered_total) - filtered))
	note "10 s with a filter after HUP: $n samples, $filtered filtered"
	is "HUP: the filter is in force, what it drops is counted" \
		"$n < 200 && $filtered > 800"

	reload "hz = 499" "cgroup = /no/such/cgroup"
	sleep 2
	check "HUP: a mistake changes nothing" has_rate 99
	reload "hz = 199" "cpus = 0"
	check "HUP: again" wait_for 10 has_rate 199
	n=$(busy_samples)
	is "HUP: everybody is sampled again" "$n > 1600"
	is "HUP: nothing is lost" "$(metric kstrata_lost_total) == 0"
}

echo "hz = 999" >/tmp/k.conf
if daemon_start /tmp/store-short --config /tmp/k.conf; then
	short_lived 20 100 5
	is "short-lived: 97 in 100 ns of user code are in the hot functions" \
		"$sl_hot >= .97 * $sl_user"
	# 10 s, less what exec and exit take of each process's 5 ms.
	is "short-lived: the hot functions have most of the CPU time" \
		"$sl_hot > 4e9 && $sl_hot < 10.2e9"
	reconfigure
	kstrata status --socket /run/k.sock
	curl -s "$API/metrics" | grep -E '^kstrata_(lookups|objects|user_frames|lost|raw)'
	daemon_stop
	is "TERM ends the daemon with 0" "$? == 0"
else
	not_ok "the daemon starts" "$(tail -n 1 /tmp/kstratad.log)"
fi
check "the module unloads" rmmod kstrata
cat /tmp/kstratad.log
