#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# See that all needed packages are there; install what is missing if allowed,
# else print the command that does it and exit 2. Silent when there is nothing to do.
# "deps.sh bench" sees to what only the benchmark needs, too.
. "$(dirname "$0")/lib.sh"

what=${1:-}
# Of Debian's own Python
PY=/usr/lib/python3/dist-packages

# command or file, package
table()
{
	cat <<-EOF
	make make
	gcc gcc
	/usr/include/stdio.h libc6-dev
	git git
	perl perl
	python3 python3
	bc bc
	bison bison
	flex flex
	patch patch
	xz xz-utils
	cpio cpio
	rsync rsync
	depmod kmod
	cmp diffutils
	ccache ccache
	sparse sparse
	clang clang
	ld.lld lld
	llvm-nm llvm
	dtc device-tree-compiler
	yamllint yamllint
	shellcheck shellcheck
	pyflakes3 pyflakes3
	$PY/attr python3-attr
	$PY/libfdt.py python3-libfdt
	$PY/pyrsistent python3-pyrsistent
	$PY/rfc3987.py python3-rfc3987
	$PY/ruamel/yaml python3-ruamel.yaml
	pnmtopng netpbm
	man man-db
	setpriv util-linux
	/usr/include/openssl/ssl.h libssl-dev
	/usr/include/libelf.h libelf-dev
	/usr/include/ncurses.h libncurses-dev
	qemu-system-aarch64 qemu-system-arm
	arm-linux-gnueabihf-gcc gcc-arm-linux-gnueabihf
	/usr/arm-linux-gnueabihf/include/stdio.h libc6-dev-armhf-cross
	riscv64-linux-gnu-gcc gcc-riscv64-linux-gnu
	/usr/riscv64-linux-gnu/include/stdio.h libc6-dev-riscv64-cross
	EOF
	# The root certificates, apt and gpg of a minimal system are left alone
	if [ "$(uname -m)" != aarch64 ]; then
		echo aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
		echo /usr/aarch64-linux-gnu/include/stdio.h libc6-dev-arm64-cross
	fi
	# Debian 13 has a package of its own for it
	if (. /etc/os-release && [ "${VERSION_ID:-13}" -ge 13 ]); then
		echo qemu-system-riscv64 qemu-system-riscv
	else
		echo qemu-system-riscv64 qemu-system-misc
	fi
	[ "$what" != bench ] || echo gnuplot gnuplot-nox
	[ -n "${KERNEL:-}" ] || echo /usr/src/linux-source-6.12.tar.xz linux-source-6.12
}

missing()
{
	local thing package

	table | while read -r thing package; do
		case $thing in
		/*) [ -e "$thing" ] ;;
		*) PATH=$PATH:/usr/sbin:/sbin command -v "$thing" ;;
		esac >/dev/null || echo "$package"
	done | sort -u | tr '\n' ' '
}

# install SUDO PACKAGES...
install()
{
	local sudo=$1
	shift

	say deps "installing $*"
	{
		$sudo apt-get -q update &&
			$sudo env DEBIAN_FRONTEND=noninteractive \
				apt-get -q -y install --no-install-recommends "$@"
	} >"$LOG/deps.log" 2>&1 </dev/null || {
		grep -m5 '^[EW]:' "$LOG/deps.log" >&2 || :
		die "apt-get failed; log $LOG/deps.log"
	}
}

list=$(missing)
if [ -n "$list" ]; then
	command -v apt-get >/dev/null || die "missing Debian packages: $list"
	# shellcheck disable=SC2086
	if [ "$(id -u)" = 0 ]; then
		install '' $list
	elif sudo -n true 2>/dev/null; then
		install 'sudo -n' $list
	else
		echo "packages are missing; install them with" >&2
		echo "  sudo apt-get install --no-install-recommends $list" >&2
		exit 2
	fi
	list=$(missing)
	[ -z "$list" ] || die "still missing after the installation: $list"
fi
scripts/busybox.sh
