# SPDX-License-Identifier: Apache-2.0
#
# In the guest of packaging/quickstart.sh: something to look at.

ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
insmod /kstrata.ko || exit 1
kstratad --hz @HZ@ --store /tmp/store --http 0.0.0.0:4040 --socket none &
daemon=$!

mkdir /tmp/work
cd /tmp/work || exit 1

truth 1000000 >/dev/null &
while :; do dd if=/dev/zero of=/dev/null bs=512 count=300000 2>/dev/null; sleep 1; done &
(
	head -c 4000000 /dev/urandom | od -x >text
	while :; do
		gzip -c text >text.gz
		sort text | uniq -c | tail -n 1 >/dev/null
		sha256sum text text.gz >/dev/null
		awk '{ n[$2]++ } END { for (w in n) s += n[w] }' text
		sleep 1
	done
) &
while :; do for _ in 1 2 3 4 5 6 7 8; do date | sed s/:/./ | wc -c >/dev/null; done; sleep 0.5; done &
wait "$daemon"
