# SPDX-License-Identifier: Apache-2.0
#
# Sourced: packages of any of Debian's suites and architectures, by an apt with
# lists and a cache of its own below $CACHE/apt; the machine's are only asked for
# the mirrors. Signatures are verified with Debian's own keyring, as ever.
#
#   debian_use SUITE ARCH     the suite that the others are about; lists older
#                             than a day are fetched again; false if there are none
#   debian_refresh            fetch them whatever their age
#   debian_names PREFIX       names of packages; not all need be there
#   debian_version PACKAGE    its version; nothing if it is not there
#   debian_depends PACKAGE    names of the packages it depends on
#   debian_get PACKAGE        the path of its .deb; downloads it if need be
#
# PACKAGE may be NAME:ARCH; it is of the host's architecture without. Not to be
# run side by side: the caller holds a lock. The caller sets CACHE.

DEBIAN_HOST=$(dpkg --print-architecture)

# The mirror that the machine has its own release from, by what apt makes of
# its configuration: with "-security" as the argument the one for that.
debian_mirror()
{
	dm_codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	# Without lists apt does not know the origin and says the field's name.
	# shellcheck disable=SC2016
	apt-get indextargets --format \
		'$(REPO_URI)|$(RELEASE)|$(CODENAME)|$(COMPONENT)|$(ORIGIN)' \
		'Created-By: Packages' | awk -F '|' -v name="$dm_codename$1" '
		($2 == name || $3 == name) && $4 == "main" &&
		($5 == "Debian" || $5 ~ /ORIGIN/) { print $1; exit }'
}

debian_apt()
{
	da_tool=$1
	shift
	# Not as apt's own user: it has no access to the cache.
	"$da_tool" -o Dir::Etc::SourceList="$debian_dir/sources.list" \
		-o Dir::Etc::SourceParts=- -o Dir::State="$debian_dir" \
		-o Dir::State::Lists=lists -o Dir::State::status=/dev/null \
		-o Dir::Etc::Preferences=/dev/null \
		-o Dir::Etc::PreferencesParts=/dev/null \
		-o Dir::Cache="$debian_dir" \
		-o Dir::Cache::pkgcache=pkgcache.bin \
		-o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root \
		-o APT::Architectures::="$DEBIAN_HOST" \
		-o APT::Architectures::="$debian_arch" \
		-o Acquire::Languages=none \
		-o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
		"$@"
}

debian_refresh()
{
	mkdir -p "$debian_dir/lists/partial"
	case $debian_suite in
	*-security) dr_mirror=$(debian_mirror -security) ;;
	*) dr_mirror=$(debian_mirror '') ;;
	esac
	if [ -z "$dr_mirror" ]; then
		echo "apt has no mirror for $debian_suite" >&2
		return 1
	fi
	dr_archs=$DEBIAN_HOST
	[ "$debian_arch" = "$DEBIAN_HOST" ] || dr_archs=$dr_archs,$debian_arch
	echo "deb [arch=$dr_archs signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $dr_mirror $debian_suite main" \
		>"$debian_dir/sources.list"
	# Error-Mode: without it a list that cannot be had is only a warning.
	debian_apt apt-get -q -o APT::Update::Error-Mode=any update >&2 &&
		: >"$debian_dir/fetched"
}

debian_use()
{
	debian_suite=$1 debian_arch=$2
	debian_dir=$CACHE/apt/$1-$2
	[ -z "$(find "$debian_dir/fetched" -mmin -1440 2>/dev/null)" ] ||
		return 0
	# Old lists are better than none.
	debian_refresh || [ -e "$debian_dir/fetched" ]
}

debian_names()
{
	debian_apt apt-cache pkgnames "$1"
}

debian_version()
{
	debian_apt apt-cache policy "$1" |
		sed -n 's/^ *Candidate: //p' | grep -v '^(none)$'
}

debian_depends()
{
	debian_apt apt-cache show --no-all-versions "$1" |
		sed -n 's/^Depends: //p' | tr ',|' '\n\n' |
		sed 's/^ *//; s/[ :].*//'
}

debian_get()
{
	dg_file=$(debian_apt apt-get download --print-uris "$1" |
		awk '{ print $2 }')
	[ -n "$dg_file" ] || return 1
	mkdir -p "$CACHE/debs"
	if [ ! -e "$CACHE/debs/$dg_file" ]; then
		echo "downloading $1" >&2
		# A partial file must not be taken for a whole one.
		dg_work=$(mktemp -d "$CACHE/debs/get.XXXXXX")
		if ! (cd "$dg_work" && debian_apt apt-get -qq download "$1" >&2)
		then
			rm -rf "$dg_work"
			return 1
		fi
		mv "$dg_work"/*.deb "$CACHE/debs/$dg_file"
		rm -rf "$dg_work"
	fi
	echo "$CACHE/debs/$dg_file"
}
