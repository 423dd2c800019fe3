#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Fetch the static arm64 busybox of Debian or Ubuntu for the guest into build/busybox, with an
# apt state of its own: nothing is installed, no architecture added to the host.
. "$(dirname "$0")/lib.sh"

dir=${BUSYBOX_DIR:-$ROOT/build/busybox}
log=$LOG/busybox.log

[ ! -x "$dir/busybox" ] || exit 0
command -v apt-get >/dev/null ||
	die "no apt-get: put a static arm64 busybox at $dir/busybox"

# Ubuntu has arm64 on servers of its own
ubuntu_ports()
{
	mkdir -p "$dir.tmp"
	echo "deb [signed-by=/usr/share/keyrings/ubuntu-archive-keyring.gpg]" \
		"http://ports.ubuntu.com/ubuntu-ports $(os_release VERSION_CODENAME)" \
		"main universe" >"$dir.tmp/sources.list"
	opts+=(-o "Dir::Etc::SourceList=$dir.tmp/sources.list" -o Dir::Etc::SourceParts=/dev/null)
}

fetch()
{
	local opts=(-o APT::Architecture=arm64 -o APT::Architectures=arm64)

	if [ "$(os_release ID)" = ubuntu ] && [ "$(uname -m)" != aarch64 ]; then
		ubuntu_ports
	fi

	own_apt "$dir.tmp" "${opts[@]}" update &&
		cd "$dir.tmp" &&
		own_apt "$dir.tmp" "${opts[@]}" download busybox-static &&
		dpkg-deb -x busybox-static_*_arm64.deb unpacked
}

rm -rf "$dir.tmp"
say busybox "fetching busybox-static for arm64"
(fetch) >"$log" 2>&1 || {
	grep -m5 '^[EW]:' "$log" >&2 || :
	die "cannot fetch busybox-static for arm64; log $log"
}
mkdir -p "$dir"
bin=$(find "$dir.tmp/unpacked" -path '*/bin/busybox' -type f | head -n 1)
[ -n "$bin" ] || die "no busybox in the package; log $log"
mv "$bin" "$dir/busybox"
rm -rf "$dir.tmp"
