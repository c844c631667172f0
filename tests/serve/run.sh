#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Tests the daemon (without a device) and the tool from outside: over TCP and the
# Unix socket, with another's HTTP and gzip, signals and exit codes.
# usage: sh tests/serve/run.sh [build directory]    (default: build)
set -eu
cd "$(dirname "$0")/../.."
BUILD=${1:-build}
export BUILD
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
trap 'exit 1' INT TERM HUP
TEMP_DIR=$temp PYTHONDONTWRITEBYTECODE=1 python3 tests/serve/serve.py
