# SPDX-License-Identifier: Apache-2.0
#
# In the guest whose clock counts instructions: programs whose stacks are known,
# without frame pointers, as the daemon and the module see them.

. /guest-lib.sh

# play PROGRAM SPINS ROUNDS
play()
{
	"/programs/$1" "$2" "$3" >/tmp/play.log 2>&1 || {
		not_ok "$1 runs" "exit code $?, $(tail -n 1 /tmp/play.log)"
		return 1
	}
}

loaded()
{
	curl -s "$API/metrics" | grep -q '^kstrata_rows_pending 0'
}

# ROUNDS of about 25 ms of leaves of 20000 turns
rounds_of()
{
	case $1 in
	gopher*) echo 60 ;;
	rusty*) echo 100 ;;
	crypto*) echo 200 ;;
	*) echo 40 ;;
	esac
}

# label FROM UNTIL PROGRAM: its folded stacks
judge()
{
	folded "$3" "$1" "$2" >"/tmp/$3.folded"
	musl=
	case $3 in *musl*) musl=1 ;; esac
	awk -v program="${3%%-*}" -v musl="$musl" -f /known.awk \
		<"/tmp/$3.folded" >"/tmp/$3.sums"
	grep '^#' "/tmp/$3.sums" | cut -c 1-600 | sed "s/^# /# $3: /"
	tail -n 1 "/tmp/$3.sums"
}

check "the module loads" insmod /kstrata.ko
if daemon_start /tmp/store --hz 999; then
	# Rows are loaded for what has been met: by rows, more is.
	for _ in 1 2 3; do
		for program in /programs/*; do
			program=${program##*/}
			play "$program" 1000 "$(rounds_of "$program")"
		done
		sleep 10
		wait_for 100 loaded || not_ok "all rows are loaded" "not yet"
	done
	from=$(now_ms)
	for program in /programs/*; do
		program=${program##*/}
		play "$program" 20000 "$(rounds_of "$program")"
	done
	settle
	until=$(now_ms)
	sum_cut=0 sum_all=0
	for program in /programs/*; do
		program=${program##*/}
		judge "$from" "$until" "$program" >/tmp/judged
		grep '^#' /tmp/judged >&3
		read -r _ right _ wrong _ cut _ ends _ all <<-EOF
			$(tail -n 1 /tmp/judged)
		EOF
		echo "table unwind $program right_ms=$((right / 1000000)) wrong_ms=$((wrong / 1000000)) cut_ms=$((cut / 1000000)) ends_ms=$((ends / 1000000)) all_ms=$((all / 1000000))" >&3
		case $program in
		# While an exception lands, stack and registers are of two frames.
		throw*|rusty) is "$program: no wrong stack but where it lands" \
			"$wrong <= .01 * $all" ;;
		*) is "$program: no wrong stack" "$wrong == 0" ;;
		esac
		case $program in
		crypto) ;;
		*) is "$program: stacks of known leaves" "$right > 80000000" ;;
		esac
		case $program in
		# This C library says nothing of its frames.
		*musl*) ;;
		# Stacks of the runtime itself: switched, and made by hand.
		gopher) ;;
		# A few hundred samples: one or two may be of an odd moment.
		*) is "$program: 98.5 % of its stacks are whole" \
			"$all > 100000000 && $cut <= .015 * $all"
			sum_cut=$((sum_cut + cut)) sum_all=$((sum_all + all)) ;;
		esac
	done
	is "99.5 % of all stacks are whole" "$sum_cut <= .005 * $sum_all"
	kstrata status --socket /run/k.sock
	curl -s "$API/metrics" | grep -E '^kstrata_(rows|cut|user_frames|frames|lost)'
	daemon_stop
	is "TERM ends the daemon with 0" "$? == 0"
else
	not_ok "the daemon starts" "$(tail -n 1 /tmp/kstratad.log)"
fi
check "the module unloads" rmmod kstrata
cat /tmp/kstratad.log
