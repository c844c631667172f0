#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Tests the page in Debian's Chromium against the real daemon, without a device.
# usage: sh tests/web/run.sh [daemon]    (default: build/kstratad)
# SHOTS=dir keeps a picture of the page for every failed group.
# Needs chromium, nodejs, npm, node-typescript, esbuild. Playwright's driver is
# installed into the user's cache, never into the tree.
set -eu
cd "$(dirname "$0")/../.."
# The last that runs on Debian 12's Node.js, 18.
playwright=1.61.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kstrata/web-$playwright
daemon=${1:-build/kstratad}

stop() {
	echo "not ok $1"
	echo "web: 0 passed, 1 failed"
	exit 1
}

[ -x "$daemon" ] || stop "there is no $daemon: make userspace"
for tool in chromium node npm tsc esbuild; do
	command -v "$tool" >/dev/null || stop "$tool is not installed"
done
if [ ! -d "$cache/node_modules/playwright-core" ]; then
	mkdir -p "$cache"
	npm install --silent --no-audit --no-fund --no-package-lock --no-save \
		--prefix "$cache" "playwright-core@$playwright" >&2 ||
		stop "playwright-core $playwright cannot be installed"
fi

temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
trap 'exit 1' INT TERM
PLAYWRIGHT=$cache TEMP_DIR=$temp DAEMON=$daemon node tests/web/page.mjs
