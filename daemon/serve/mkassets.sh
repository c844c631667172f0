#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# mkassets.sh OUT FILE...: an assembler file with the FILEs, compressed, and the
# table that serve/assets.h describes. The compressed copies lie beside OUT.

set -eu

out=$1
shift
dir=$(dirname "$out")/assets
rm -rf "$dir"
mkdir -p "$dir"

content_type()
{
	case $1 in
	*.html) echo "text/html; charset=utf-8" ;;
	*.js) echo "text/javascript; charset=utf-8" ;;
	*.css) echo "text/css; charset=utf-8" ;;
	*.svg) echo "image/svg+xml" ;;
	*) echo "application/octet-stream" ;;
	esac
}

{
	echo '/* Made by mkassets.sh. */'
	echo '	.section .note.GNU-stack,"",%progbits'
	n=0
	for file in "$@"; do
		name=${file##*/}
		gzip -9 -n -c "$file" >"$dir/$name.gz"
		sum=$(sha256sum "$file" | cut -c1-16)
		cat <<EOF
	.section .rodata
.Lpath$n:	.asciz "/$name"
.Ltype$n:	.asciz "$(content_type "$name")"
.Letag$n:	.asciz "\"$sum\""
	.balign 16
.Ldata$n:	.incbin "$dir/$name.gz"
.Lend$n:
EOF
		n=$((n + 1))
	done
	cat <<EOF
	.section .data.rel.ro,"aw"
	.balign 8
	.globl kstrata_assets
	.type kstrata_assets, %object
kstrata_assets:
EOF
	i=0
	while [ "$i" -lt "$n" ]; do
		echo "	.quad .Lpath$i, .Ltype$i, .Letag$i, .Ldata$i, .Lend$i - .Ldata$i"
		i=$((i + 1))
	done
	echo "	.quad 0, 0, 0, 0, 0"
	echo "	.size kstrata_assets, . - kstrata_assets"
} >"$out"
