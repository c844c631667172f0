# SPDX-License-Identifier: Apache-2.0
#
# In a guest whose kernel has KUnit: the suites, whose results are in debugfs;
# then one bug of each kind, and the console must tell of it.

. /debug-lib.sh

# suite NAME: its results as lines "ok SUITE: CASE". A plan that is not kept is a
# failure as well.
suite()
{
	awk -v suite="$1" '
		/^ *# / { why = why " " $0 }
		/^ *1\.\.[0-9]+/ { sub(/^ *1\.\./, ""); planned = $0 + 0 }
		/^    (not )?ok / {
			good = $1 == "ok"
			name = good ? $3 : $4
			sub(/^    (not )?ok [0-9]+ /, "")
			skipped = /# SKIP/
			sub(/ # .*/, "")
			n++
			if (skipped)
				print "not ok " suite ": " $0 " # skipped"
			else if (good)
				print "ok " suite ": " $0
			else
				print "not ok " suite ": " $0 " #" why
			why = ""
		}
		END {
			if (!n || n != planned)
				print "not ok " suite ": all of its cases # " \
					n + 0 " of " planned + 0
		}' "$DEBUG/kunit/$1/results"
}

leaks_forget
# The suites have code of the module in them, not the module.
check "the suites load" insmod /kstrata-test.ko effort="$(scaled 20)"
suites=0
for results in "$DEBUG"/kunit/kstrata-*/results; do
	[ -e "$results" ] || continue
	name=${results%/results}
	name=${name##*/}
	suite "$name" >&3
	cat "$results"
	suites=$((suites + 1))
done
is "there are suites" "$suites >= 6"
check "the module loads beside them" insmod /kstrata.ko
check "and unloads" rmmod kstrata
check "the suites unload" rmmod kstrata_test
sound "after the suites"

check "bugs can be planted" insmod /kst-plant.ko
mark plants begin
grep -v '^#' /plants | while read -r name kernels _; do
	case ,$kernels, in *,"$SERIES",*) ;; *) continue ;; esac
	mark "plant $name"
	echo "$name" >$DEBUG/kst-plant
	if [ "$name" = leak ]; then
		leaks
	fi
	mark "planted $name"
done
