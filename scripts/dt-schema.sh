#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Fetch the checker of device tree bindings into build/dt-schema; nothing is installed.
# All is of Debian 12, on Debian 13 too, which has no dt-schema and for which that of
# 12 needs the jsonschema of 12. It is older than our kernel, whose common schemas
# have moved to newer ones; Linux 6.1 still has them.
. "$(dirname "$0")/lib.sh"

SUITE=bookworm
PACKAGES="dt-schema python3-jsonschema linux-doc-6.1"
MIRROR=http://deb.debian.org/debian
KEYS=/usr/share/keyrings/debian-archive-keyring.gpg
# Where linux-doc has the common schemas, and which ours refer to
COMMON=usr/share/doc/linux-doc-6.1/Documentation/devicetree/bindings
SCHEMAS="reserved-memory/reserved-memory reserved-memory/memory-region
	reserved-memory/shared-dma-pool"

dir=$ROOT/build/dt-schema
log=$LOG/dt-schema.log

# From the mirror of Debian that the machine uses, if it does. Ubuntu has none.
sources()
{
	local site

	[ -r "$KEYS" ] || { echo "E: no $KEYS (package debian-archive-keyring)"; return 1; }
	# shellcheck disable=SC2016
	site=$(own_apt "$dir.tmp" indextargets --format '$(SITE)' \
		'Origin: Debian' 'Label: Debian' | sed -n 1p)
	echo "deb [signed-by=$KEYS] ${site:-$MIRROR} $SUITE main" >"$dir.tmp/sources.list"
}

fetch()
{
	local ours=(-o "Dir::Etc::SourceList=$dir.tmp/sources.list"
		-o "Dir::Etc::SourceParts=/dev/null")
	local deb schema file

	own_apt "$dir.tmp" update
	sources
	own_apt "$dir.tmp" "${ours[@]}" update
	# shellcheck disable=SC2086
	(cd "$dir.tmp" && own_apt "$dir.tmp" "${ours[@]}" download $PACKAGES)
	for deb in dt-schema python3-jsonschema; do
		dpkg-deb -x "$dir.tmp/$deb"_*.deb "$dir.tmp/unpacked"
	done
	for schema in $SCHEMAS; do
		file=$dir.tmp/unpacked/schemas/$schema.yaml
		mkdir -p "${file%/*}"
		dpkg-deb --fsys-tarfile "$dir.tmp"/linux-doc-*.deb |
			tar -xO "./$COMMON/$schema.yaml.gz" | gunzip >"$file"
	done
}

[ ! -d "$dir" ] || exit 0
command -v apt-get >/dev/null || die "no apt-get, so no $PACKAGES"
rm -rf "$dir.tmp"
say dt-schema "fetching $PACKAGES"
set +e
(set -e; fetch) >"$log" 2>&1
rc=$?
set -e
[ $rc = 0 ] || {
	grep -m5 '^[EW]:' "$log" >&2 || :
	die "cannot fetch $PACKAGES of Debian $SUITE; log $log"
}
mv "$dir.tmp/unpacked" "$dir"
rm -rf "$dir.tmp"
