#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Install the Debian packages that a task needs and this machine has not.
#
#   deps.sh [--missing] build|module|vm|kernel|test ...
#
# --missing only prints their names. A package is there when dpkg says so, or,
# for those listed as package:command, when the command is on PATH.

set -eu

BUILD="gcc libc6-dev make pkg-config:pkg-config protobuf-c-compiler
	libmicrohttpd-dev libelf-dev libzstd-dev libprotobuf-c-dev
	libjansson-dev zlib1g-dev libcurl4-openssl-dev libiberty-dev
	libseccomp-dev binutils:ld gzip:gzip"
MODULE="gcc libc6-dev make binutils:ld libelf1 libssl3 zlib1g kmod:modprobe
	xz-utils:xz"
VM="qemu-system-x86:qemu-system-x86_64 cpio:cpio busybox-static curl:curl
	ca-certificates debian-archive-keyring kmod:modprobe xz-utils:xz"
# What Debian's kernel source is built with.
KERNEL="gcc libc6-dev make binutils:ld flex:flex bison:bison bc:bc libelf-dev
	xz-utils:xz ccache:ccache"
TEST="clang:clang libclang-rt-dev clang-tidy:clang-tidy g++:g++ golang-go:go
	rustc:rustc musl-tools:musl-gcc elfutils:eu-addr2line libdw-dev
	libcmocka-dev linux-perf cppcheck:cppcheck
	sparse:sparse shellcheck:shellcheck dkms:dkms pahole:pahole jq:jq
	gcc-aarch64-linux-gnu:aarch64-linux-gnu-gcc libc6-dev-arm64-cross
	qemu-system-arm:qemu-system-aarch64
	python3:python3 nodejs:node npm:npm node-typescript:tsc
	esbuild:esbuild chromium:chromium"
BENCH="bpftrace linux-perf valgrind:valgrind"

usage()
{
	sed -n '3,9s/^# \{0,1\}//p' "$0"
}

only_missing=0
names=
for arg in "$@"; do
	case $arg in
	--missing) only_missing=1 ;;
	build) names="$names $BUILD" ;;
	module) names="$names $MODULE" ;;
	vm) names="$names $VM" ;;
	kernel) names="$names $KERNEL" ;;
	test) names="$names $TEST" ;;
	bench) names="$names $BENCH" ;;
	-h|--help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done

installed=" $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' |
	sed -n 's/^installed //p' | tr '\n' ' ')"
PATH=$PATH:/usr/sbin:/sbin
missing=
for name in $names; do
	package=${name%%:*}
	case " $missing " in *" $package "*) continue ;; esac
	case $installed in *" $package "*) continue ;; esac
	if [ "$name" != "$package" ] && command -v "${name#*:}" >/dev/null; then
		continue
	fi
	missing="$missing $package"
done
missing=${missing# }

if [ $only_missing = 1 ]; then
	[ -z "$missing" ] || echo "$missing"
	exit 0
fi
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "These packages are missing; as root:" >&2
	echo "  apt-get install --no-install-recommends $missing" >&2
	exit 1
fi

echo "installing: $missing"
export DEBIAN_FRONTEND=noninteractive
install()
{
	# Nobody is to be asked; a lock that another apt holds is waited for.
	# shellcheck disable=SC2086
	apt-get -o DPkg::Lock::Timeout=300 install -y -q \
		--no-install-recommends $missing </dev/null
}
# The lists may be missing or name versions that the mirror no longer has.
known=1
for package in $missing; do
	apt-cache show --no-all-versions "$package" >/dev/null 2>&1 || known=0
done
if [ $known = 0 ] || ! install; then
	apt-get -o DPkg::Lock::Timeout=300 update -q
	install
fi
