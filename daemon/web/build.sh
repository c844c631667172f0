#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Checks and builds the page: src/, page.css and index.html into dist/ (or into
# the directory given). The same source and tools always give the same bytes.
# Needs Debian's node-typescript and esbuild.
set -eu
cd "$(dirname "$0")"
out=${1:-dist}
mkdir -p "$out"
tsc --strict --noEmit --noUnusedLocals --noUnusedParameters --noImplicitReturns \
	--noFallthroughCasesInSwitch --target es2020 --module es2020 \
	--moduleResolution node --lib es2020,dom,dom.iterable src/main.ts
esbuild src/main.ts --bundle --minify --target=es2020 --format=iife \
	--charset=utf8 --legal-comments=none --log-level=warning --outfile="$out/app.js"
esbuild page.css --minify --target=es2020 --charset=utf8 --log-level=warning \
	--outfile="$out/app.css"
cp index.html favicon.svg "$out/"
chmod 644 "$out"/*
