# SPDX-License-Identifier: Apache-2.0
#
# Sourced by tests/run.sh: how a step is run, counted and told about.
#
# A step is a shell function step_NAME (dashes as underscores) that says
# "ok TEST" and "not ok TEST # why", one a line, on standard output, or in the
# end "...: N passed, N failed"; a step that says neither is one test by its
# exit code. The first command that fails ends a step. The caller sets logs (a
# directory) and started (date +%s).

elapsed()
{
	printf '[%4d s]' $(($(date +%s) - started))
}

# count_of LOG RC: "PASSED FAILED"
count_of()
{
	tail -n 5 "$1" | tr -d '\r' | awk -v rc="$2" -v log_file="$1" '
		/: [0-9]+ passed, [0-9]+ failed$/ {
			told = 1
			passed = $(NF - 3)
			failed = $(NF - 1)
		}
		END {
			while (!told && (getline line < log_file) > 0) {
				if (line ~ /^ok /) passed++
				if (line ~ /^not ok /) failed++
			}
			# It failed, but not in a test of its own.
			if (rc != 0 && !failed) failed = 1
			if (!passed && !failed) passed = 1
			print passed + 0, failed + 0
		}'
}

# run_step NAME COUNTS: append "NAME PASSED FAILED SECONDS" to COUNTS.
run_step()
{
	name=$1 log=$logs/$1.log
	begin=$(date +%s)
	echo "$(elapsed) $name ..."
	rc=0
	# A process of its own: "set -e" has no force within "||".
	sh tests/run.sh --step "$name" >"$log" 2>&1 </dev/null || rc=$?
	seconds=$(($(date +%s) - begin))
	# shellcheck disable=SC2046
	set -- $(count_of "$log" $rc) "$2"
	echo "$name $1 $2 $seconds" >>"$3"
	echo "$(elapsed) $name: $1 passed, $2 failed ($seconds s)"
	if [ "$2" != 0 ]; then
		grep '^not ok ' "$log" | sed "s/^/    /" | head -n 30
		echo "    ---- the end of $log"
		tail -n "${TAIL:-40}" "$log" | tr -d '\r' | sed 's/^/    | /'
	fi
	[ "$2" = 0 ]
}

# Commands that are a test each: expect NAME COMMAND...
expect()
{
	e_name=$1
	shift
	if "$@"; then
		echo "ok $e_name"
	else
		echo "not ok $e_name"
		return 1
	fi
}
