# SPDX-License-Identifier: Apache-2.0
#
# Sourced by the scripts that run on a kernel that checks itself.

. /guest-lib.sh
. /parameters

DEBUG=/sys/kernel/debug

# Off until it is asked for: booting would trip over races of others.
[ ! -e $DEBUG/kcsan ] || echo on >$DEBUG/kcsan

# mark TEXT: in the console, between the kernel's own lines.
mark()
{
	echo "test: $*" >/dev/kmsg
}

# scaled N: N by EFFORT, at least 1.
scaled()
{
	s_n=$(($1 * EFFORT / 100))
	[ $s_n -gt 0 ] || s_n=1
	echo $s_n
}

# Nothing is held against us that the kernel did before.
leaks_forget()
{
	[ -e $DEBUG/kmemleak ] || return 0
	echo scan >$DEBUG/kmemleak
	echo clear >$DEBUG/kmemleak
}

# leaks: print what nothing points to any more; false if nothing. A block must be
# 5 s old, and be found twice: registers and stacks come and go.
leaks()
{
	[ -e $DEBUG/kmemleak ] || return 1
	sleep 6
	echo scan >$DEBUG/kmemleak
	echo scan >$DEBUG/kmemleak
	cat $DEBUG/kmemleak >/tmp/leaks
	[ -s /tmp/leaks ] && cat /tmp/leaks
}

# unsound: print the taints that are more than a module from outside (O), without
# signature (E), that is a test (N); false if there are none.
unsound()
{
	u_taint=$(($(cat /proc/sys/kernel/tainted) & ~(4096 | 8192 | 262144)))
	[ $u_taint != 0 ] && echo "$u_taint"
}

sound()
{
	if u=$(unsound); then
		not_ok "the kernel is sound, $1" "tainted $u"
	else
		ok "the kernel is sound, $1"
	fi
	if [ ! -e $DEBUG/kmemleak ]; then
		return
	elif l=$(leaks); then
		not_ok "nothing leaks, $1" "$(echo "$l" | head -n 1)"
		echo "$l" | head -n 100
	else
		ok "nothing leaks, $1"
	fi
}
