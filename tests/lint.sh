#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The static checkers that are quick. Each is one test; one whose tool is not
# installed says so and does not count.

set -u

cd "$(dirname "$0")/.." || exit 1
failed=0

# check NAME COMMAND...: its output is shown when it fails.
check()
{
	name=$1
	shift
	if output=$("$@" 2>&1); then
		echo "ok $name"
	else
		echo "$output" | head -n 60
		echo "not ok $name"
		failed=1
	fi
}

have()
{
	command -v "$1" >/dev/null && return 0
	echo "# $1 is not installed"
	return 1
}

if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
	all=$(git ls-files --cached --others --exclude-standard)
else
	all=$(find . \( -path ./build -o -name node_modules \) -prune -o \
		-type f -print | sed 's|^\./||')
fi

# files PATTERN...: those of the project that match one; * matches / as well.
files()
{
	echo "$all" | while read -r file; do
		for pattern in "$@"; do
			# shellcheck disable=SC2254
			case $file in
			$pattern)
				[ ! -f "$file" ] || echo "$file"
				break
				;;
			esac
		done
	done
}

spdx()
{
	missing=$(files '*.[chS]' '*.sh' '*.ts' '*.mjs' '*.py' '*.css' '*.html' \
			'*.proto' Makefile Kbuild tests/vm/init .ci/run |
		grep -v '/dist/' | while read -r file; do
			head -n 5 "$file" | grep -q 'SPDX-License-Identifier:' ||
				echo "$file"
		done)
	[ -z "$missing" ] || { echo "$missing"; return 1; }
}

# Trailing blanks, spaces before tabs, lines beyond 100 columns. Messages stay
# whole, so that they can be searched for.
layout()
{
	! files '*.[ch]' '*.sh' Makefile Kbuild | xargs awk '
		/[ \t]$/ { print FILENAME ":" FNR ": trailing blank"; bad = 1 }
		/ \t/ { print FILENAME ":" FNR ": blank before tab"; bad = 1 }
		{
			line = $0
			while ((i = index(line, "\t")) > 0)
				line = substr(line, 1, i - 1) \
					substr("        ", 1, 8 - (i - 1) % 8) \
					substr(line, i + 1)
			if (length(line) > 100 && line !~ /"/ &&
			    FILENAME ~ /\.[ch]$/) {
				print FILENAME ":" FNR ": too long"
				bad = 1
			}
		}
		END { exit !bad }'
}

# Not the leak checks: they do not follow __attribute__((cleanup)); the unit
# tests run under LeakSanitizer. Not the right shift of signed numbers: all our
# compilers shift in the sign.
run_cppcheck()
{
	cppcheck --quiet --error-exitcode=1 --std=c11 -j2 \
		--enable=warning,performance,portability --inline-suppr \
		--suppress=missingIncludeSystem --suppress=unknownMacro \
		--suppress=arrayIndexThenCheck \
		--suppress=shiftTooManyBitsSigned --suppress=memleak \
		--suppress=resourceLeak \
		-D_GNU_SOURCE '-DKSTRATA_VERSION="0"' \
		-Idaemon -Iinclude -Iinclude/uapi daemon tests/vm/work
}

run_shellcheck()
{
	# Names that the sourcing script sets.
	files '*.sh' tests/vm/init | xargs shellcheck -S warning -s sh -e SC2154
}

# The module, with sparse as its second compiler.
run_sparse()
{
	kernel=$(sh tests/vm/kernels.sh get 6.12) || return 1
	work=$(mktemp -d)
	cp -r Kbuild module include "$work"/
	output=$(make -j2 -C "$kernel/headers" M="$work" C=2 CHECK=sparse \
		CONFIG_DEBUG_INFO_BTF_MODULES= modules 2>&1)
	rc=$?
	rm -rf "$work"
	if [ $rc != 0 ] || echo "$output" |
			grep -q -E '/(module|include)/[^ ]*: (warning|error)'; then
		echo "$output"
		return 1
	fi
}

run_clang_tidy()
{
	# What the sources include is made by the build.
	make -s build/gen/serve/profile.pb-c.h || return 1
	# Not the analyzer's core and unix checks: they do not follow our error
	# codes, nor __attribute__((cleanup)).
	# shellcheck disable=SC2016
	files 'daemon/*.c' | xargs -P 2 -n 6 sh -c '
		clang-tidy --quiet --warnings-as-errors="*" --checks="$0" "$@" \
			-- -std=c11 -D_GNU_SOURCE -DKSTRATA_VERSION=\"0\" \
			-Idaemon -Iinclude -Iinclude/uapi -Ibuild/gen' \
		'-*,bugprone-suspicious-*,-bugprone-suspicious-string-compare,bugprone-infinite-loop,bugprone-too-small-loop-variable,bugprone-sizeof-container,bugprone-string-literal-with-embedded-nul,bugprone-swapped-arguments,bugprone-terminating-continue,bugprone-unused-return-value,misc-redundant-expression,clang-analyzer-core.DivideZero,clang-analyzer-security.*,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,clang-analyzer-deadcode.*'
}

# The kernel's own script, out of Debian's kernel source where that has been
# fetched (tests/kernel/debug-kernel.sh does): print its path.
find_checkpatch()
{
	cache=${XDG_CACHE_HOME:-$HOME/.cache}/kstrata
	# shellcheck disable=SC2012
	deb=$(ls -t "$cache"/debs/linux-source-6.12_*.deb 2>/dev/null | head -n 1)
	[ -n "$deb" ] || return 1
	dir=$cache/checkpatch-${deb#*_}
	if [ ! -e "$dir" ]; then
		work=$(mktemp -d "$cache/fetch.XXXXXX")
		dpkg-deb --fsys-tarfile "$deb" |
			tar -xO ./usr/src/linux-source-6.12.tar.xz | xz -dc -T0 |
			tar -x -C "$work" --strip-components=2 --wildcards \
				'*/scripts/checkpatch.pl' \
				'*/scripts/spelling.txt' \
				'*/scripts/const_structs.checkpatch'
		[ -e "$work/checkpatch.pl" ] && mv -T "$work" "$dir" ||
			rm -rf "$work"
	fi
	[ -e "$dir/checkpatch.pl" ] && echo "$dir/checkpatch.pl"
}

# Not what only fits the kernel's own tree: versions are ours to ask for, constants
# of different headers to be compared, and tracepoints' parameters, which differ
# between versions, are a macro.
run_checkpatch()
{
	files 'module/*.[ch]' 'include/*.h' | xargs perl "$checkpatch" --no-tree \
		--terse --show-types --quiet --max-line-length=100 --file \
		--ignore LINUX_VERSION_CODE,CONSTANT_COMPARISON,FUNCTION_ARGUMENTS
}

check "every file names its licence" spdx
check "white space" layout
if have cppcheck; then check cppcheck run_cppcheck; fi
if have shellcheck; then check shellcheck run_shellcheck; fi
if have sparse; then check "sparse on the module" run_sparse; fi
if checkpatch=$(find_checkpatch); then
	check checkpatch run_checkpatch
else
	echo "# there is no checkpatch: the kernel's source has not been fetched"
fi
if have clang-tidy; then check clang-tidy run_clang_tidy; fi
exit $failed
