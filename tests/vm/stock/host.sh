# SPDX-License-Identifier: Apache-2.0
#
# Sourced by tests/vm/run.sh for its mode stock: the guest's disks, what it is to do,
# and the table of what it has found.
#
# Environment: STOCK, names of programs as tests/vm/stock/work/run has them, or
# "all"; STOCK_SECONDS and STOCK_WARM, how long each is at work; STOCK_HZ.

STOCK_ALL="python3 perl bash git gcc sqlite3 openssl redis nginx postgres node java
	java-fp stress-ng"
# What the suite has time for.
STOCK_SOME="python3 perl git gcc sqlite3 openssl nginx java"

# stock_disks DIR: stock_root/image for the programs, DIR/out.img for results.
stock_disks()
{
	stock_root=$(sh "$top/tests/vm/stockroot.sh")
	mkdir -p "$1"
	rm -f "$1/out.img"
	truncate -s 512M "$1/out.img"
}

stock_conf()
{
	case ${STOCK:-} in
	all) sc_programs=$STOCK_ALL ;;
	'') sc_programs=$STOCK_SOME ;;
	*) sc_programs=$STOCK ;;
	esac
	# shellcheck disable=SC2086
	echo "programs='$(echo $sc_programs)'"
	echo "seconds=${STOCK_SECONDS:-2} warm=${STOCK_WARM:-2}"
	echo "hz=${STOCK_HZ:-199}"
}

# stock_table DIR: the raw material stays in DIR/out.
stock_table()
{
	rm -rf "$1/out"
	mkdir "$1/out"
	if ! tar -x -C "$1/out" -f "$1/out.img" 2>/dev/null; then
		echo "not ok the guest leaves what it has found # no archive"
		return 1
	fi
	rm -f "$1/out.img"
	python3 "$top/tests/vm/stock/table.py" "$1/out" "$stock_root/frames"
}
