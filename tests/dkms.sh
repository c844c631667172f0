#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Build the module by DKMS for both kernels, in trees of our own: nothing of the
# host's DKMS is touched.

set -u

cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
source=$work/src/kstrata-$version
mkdir -p "$source" "$work/tree"
cp -r Kbuild dkms.conf module include "$source"/
# No key of the host's: nothing is signed.
sign_file=/nonexistent
export sign_file
failed=0

run()
{
	name=$1 action=$2
	shift 2
	if dkms "$action" --dkmstree "$work/tree" --sourcetree "$work/src" \
			-m kstrata -v "$version" "$@"; then
		echo "ok $name"
	else
		cat "$work"/tree/kstrata/"$version"/build/make.log 2>/dev/null
		echo "not ok $name"
		failed=1
	fi
}

PATH=$PATH:/usr/sbin:/sbin
run "dkms add" add
for series in 6.1 6.12; do
	kernel=$(sh tests/vm/kernels.sh get $series) || exit 1
	release=$(sh tests/vm/kernels.sh release $series)
	run "dkms build for $series" build -k "$release" \
		--kernelsourcedir "$kernel/headers"
	if find "$work/tree/kstrata/$version/$release" -name 'kstrata.ko*' |
			grep -q .; then
		echo "ok dkms leaves a module for $series"
	else
		echo "not ok dkms leaves a module for $series"
		failed=1
	fi
done
# Older than what it is written for: not even tried.
refusal=$(dkms build --dkmstree "$work/tree" --sourcetree "$work/src" \
	-m kstrata -v "$version" -k 5.9.16-amd64 \
	--kernelsourcedir "$kernel/headers" 2>&1)
if [ $? = 77 ]; then
	echo "ok dkms leaves a kernel before 5.10 alone"
else
	echo "$refusal"
	echo "not ok dkms leaves a kernel before 5.10 alone"
	failed=1
fi
run "dkms remove" remove --all
exit $failed
