#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# See that the packages of targets and parts are there: deps.sh [--dry-run] NAME...
# Says which packages are missing and what each is for, then installs them. If it may
# not do that, it prints the command that does and exits with 2. Says nothing if
# nothing is missing. --dry-run only says.
# Exit 0: all is there; 2: something is missing.
. "$(dirname "$0")/lib.sh"

# Debian's own Python
PY=/usr/lib/python3/dist-packages
host=$(uname -m)

# The emulator of riscv has had a package of its own since QEMU 9.1
riscv_emulator()
{
	local version old=13

	version=$(os_release VERSION_ID)
	version=${version%%.*}
	[ "$(os_release ID)" != ubuntu ] || old=25
	case $version in
	'' | *[!0-9]*) echo qemu-system-riscv ;;
	*) [ "$version" -ge $old ] && echo qemu-system-riscv || echo qemu-system-misc ;;
	esac
}

# What a target or a part consists of: packages and other names. The root
# certificates, apt and gpg of a minimal system are left alone.
contents()
{
	local guest="kernel arm64 qemu-system-arm busybox"
	local suite="selftests $guest device-tree-compiler"

	case $1 in
	tree) echo git patch xz-utils linux-source-6.12 ;;
	kernel) echo tree make gcc libc6-dev bc bison flex ;;
	arm64) [ "$host" = aarch64 ] || echo gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;;
	armhf) echo gcc-arm-linux-gnueabihf libc6-dev-armhf-cross ;;
	riscv64) echo gcc-riscv64-linux-gnu libc6-dev-riscv64-cross ;;
	amd64)
		echo libelf-dev
		[ "$host" = x86_64 ] || echo gcc-x86-64-linux-gnu libc6-dev-amd64-cross
		;;
	# One of the programs is for a machine of 32 bits
	selftests) echo kernel arm64 armhf rsync ccache ;;

	demo) echo kernel arm64 qemu-system-arm netpbm ;;
	tools) echo make gcc g++ libc6-dev pkgconf python3 man-db util-linux ;;
	series) echo tree python3 perl diffutils ;;
	series-build) echo series kernel arm64 ccache ;;
	harness | deps) echo make gcc libc6-dev python3 git ;;
	y | cma | kexec | pool | reclaim | swiotlb | smmu | passthrough | restricted | million | compat | versal | 16k) echo "$suite" ;;
	debug | debug-* | kcsan | kunit-kcsan) echo "$suite" ;;
	hwkit) echo selftests ;;
	m | board-* | kunit-arm64 | soak) echo "$suite" kmod ;;
	n) echo kernel arm64 ccache ;;
	arm) echo kernel armhf rsync ccache qemu-system-arm device-tree-compiler ;;
	riscv) echo kernel riscv64 rsync ccache "$(riscv_emulator)" ;;
	fuzz) echo kernel amd64 rsync ccache qemu-system-x86 clang libclang-rt-dev ;;
	x86 | x86-pt) echo kernel amd64 rsync ccache qemu-system-x86 ;;
	kunit-uml) echo kernel python3 ccache ;;
	arches)
		echo kernel armhf ccache gcc-arm-linux-gnueabi \
			gcc-{mips64el-linux-gnuabi64,powerpc64-linux-gnu,s390x-linux-gnu} \
			gcc-{sparc64,hppa,alpha,m68k,sh4,i686}-linux-gnu
		;;
	randconfig) echo kernel arm64 armhf riscv64 amd64 ccache ;;
	lint)
		echo kernel arm64 armhf ccache perl python3 sparse clang lld llvm \
			shellcheck pyflakes3 yamllint \
			device-tree-compiler python3-attr python3-libfdt \
			python3-pyrsistent python3-rfc3987 python3-ruamel.yaml
		[ "$host" != x86_64 ] || echo libelf-dev
		;;
	bench) echo "$guest" ccache device-tree-compiler python3 gnuplot-nox ;;
	coverage) echo gcc gcovr ;;
	picture) echo "$suite" python3 ;;
	menuconfig) echo kernel arm64 libncurses-dev ;;
	*) return 1 ;;
	esac
}

# package, a command or a file of it, what it is for
packages()
{
	cat <<-EOF
	bc bc computes constants of the kernel
	bison bison makes parsers for the kernel's build
	ccache ccache keeps objects for the next build
	clang clang compiles the driver a second time, to find warnings
	device-tree-compiler dtc adds regions of memory to the device tree of a guest
	diffutils cmp compares files
	flex flex makes scanners for the kernel's build
	g++ g++ sees whether a library can be used from C++
	gcc gcc compiles programs for this machine
	gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc compiles the arm64 kernel and its programs
	gcc-alpha-linux-gnu alpha-linux-gnu-gcc compiles for alpha
	gcc-arm-linux-gnueabi arm-linux-gnueabi-gcc compiles for arm without floating point
	gcc-arm-linux-gnueabihf arm-linux-gnueabihf-gcc compiles for arm, 32 bit
	gcc-hppa-linux-gnu hppa-linux-gnu-gcc compiles for parisc
	gcc-i686-linux-gnu i686-linux-gnu-gcc compiles for x86, 32 bit
	gcc-m68k-linux-gnu m68k-linux-gnu-gcc compiles for m68k
	gcc-mips64el-linux-gnuabi64 mips64el-linux-gnuabi64-gcc compiles for mips, 64 bit
	gcc-powerpc64-linux-gnu powerpc64-linux-gnu-gcc compiles for powerpc
	gcc-riscv64-linux-gnu riscv64-linux-gnu-gcc compiles for riscv
	gcc-s390x-linux-gnu s390x-linux-gnu-gcc compiles for s390
	gcc-sh4-linux-gnu sh4-linux-gnu-gcc compiles for sh
	gcc-sparc64-linux-gnu sparc64-linux-gnu-gcc compiles for sparc
	gcc-x86-64-linux-gnu x86_64-linux-gnu-gcc compiles for x86-64
	gcovr gcovr says which lines of the kernel have run
	git git tells which files are ours
	gnuplot-nox gnuplot draws the plots of the benchmark
	kmod depmod installs modules
	libc6-dev /usr/include/stdio.h C library of this machine
	libc6-dev-amd64-cross /usr/x86_64-linux-gnu/include/stdio.h C library of x86-64
	libc6-dev-arm64-cross /usr/aarch64-linux-gnu/include/stdio.h C library of arm64
	libc6-dev-armhf-cross /usr/arm-linux-gnueabihf/include/stdio.h C library of arm, 32 bit
	libc6-dev-riscv64-cross /usr/riscv64-linux-gnu/include/stdio.h C library of riscv
	libclang-rt-dev /usr/share/doc/libclang-rt-dev/copyright has libFuzzer
	libelf-dev /usr/include/libelf.h for objtool, which x86-64 kernels need
	libncurses-dev /usr/include/ncurses.h for the menus of menuconfig
	linux-source-6.12 /usr/src/linux-source-6.12.tar.xz the kernel under our files
	lld ld.lld links what clang compiles
	llvm llvm-nm reads what clang compiles
	make make runs builds
	man-db man checks the manual of dmaheap
	netpbm pnmtopng writes the picture of the demo
	patch patch edits files of the kernel
	perl perl runs checkpatch
	pkgconf pkg-config finds a library that was installed
	pyflakes3 pyflakes3 finds mistakes in Python scripts
	python3 python3 runs tests and scripts
	python3-attr $PY/attr checks device tree bindings
	python3-libfdt $PY/libfdt.py checks device tree bindings
	python3-pyrsistent $PY/pyrsistent checks device tree bindings
	python3-rfc3987 $PY/rfc3987.py checks device tree bindings
	python3-ruamel.yaml $PY/ruamel/yaml checks device tree bindings
	qemu-system-arm qemu-system-aarch64 emulates the arm64 and arm machines
	qemu-system-misc qemu-system-riscv64 emulates the riscv machine
	qemu-system-riscv qemu-system-riscv64 emulates the riscv machine
	qemu-system-x86 qemu-system-x86_64 emulates the x86-64 machine
	rsync rsync installs the selftests
	shellcheck shellcheck finds mistakes in shell scripts
	sparse sparse finds mistakes in the driver
	util-linux setpriv runs tests as a user with few rights
	xz-utils xz unpacks the kernel
	yamllint yamllint checks device tree bindings
	EOF
}

# expand NAME...: all packages that they consist of
expand()
{
	local name parts

	for name; do
		if packages | grep -q "^$name "; then
			echo "$name"
		elif [ "$name" = busybox ]; then
			echo busybox
		else
			parts=$(contents "$name") || die "no target, part or package is called '$name'"
			# shellcheck disable=SC2086
			expand $parts
		fi
	done
}

is_there()
{
	local dir

	case $1 in
	/*) [ -e "$SYSROOT$1" ] ;;
	*)
		[ -n "$SYSROOT" ] || { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null; return; }
		for dir in usr/local/bin usr/bin usr/sbin bin sbin; do
			[ ! -x "$SYSROOT/$dir/$1" ] || return 0
		done
		return 1
		;;
	esac
}

# missing PACKAGE...: those that are not there, each with what it is for
missing()
{
	local package thing why

	packages | while read -r package thing why; do
		case " $* " in *" $package "*) ;; *) continue ;; esac
		[ "$package" != linux-source-6.12 ] || [ -z "${KERNEL:-}" ] || continue
		is_there "$thing" || echo "$package $why"
	done
}

# install SUDO PACKAGE...
install()
{
	local sudo=$1
	shift

	{
		$sudo apt-get -q update &&
			$sudo env DEBIAN_FRONTEND=noninteractive \
				apt-get -q -y install --no-install-recommends "$@"
	} >"$LOG/deps.log" 2>&1 </dev/null || {
		grep -m5 '^[EW]:' "$LOG/deps.log" >&2 || :
		die "apt-get failed; log $LOG/deps.log"
	}
}

dry=
if [ "${1:-}" = --dry-run ]; then
	dry=1
	shift
fi
[ $# -gt 0 ] || die "usage: deps.sh [--dry-run] NAME..., a target or a part of the check"
wanted=$(expand "$@") || exit 2
# shellcheck disable=SC2086
list=$(missing $wanted)
if [ -n "$list" ]; then
	names=$(cut -d' ' -f1 <<<"$list" | tr '\n' ' ')
	names=${names% }
	echo "[deps] missing for $*:"
	while read -r package why; do
		printf '  %-24s %s\n' "$package" "$why"
	done <<<"$list"
	[ -z "$dry" ] || exit 2
	if [[ " $names " == *" linux-source-6.12 "* ]] && [ "$(os_release ID)" = ubuntu ]; then
		die "Ubuntu has no package linux-source-6.12: give KERNEL=dir, a pristine 6.12.y tree"
	fi
	command -v apt-get >/dev/null || die "no apt-get to install them with"
	# shellcheck disable=SC2086
	if [ "$(id -u)" = 0 ]; then
		say deps "installing them"
		install '' $names
	elif sudo -n true 2>/dev/null; then
		say deps "installing them with sudo"
		install 'sudo -n' $names
	else
		echo "install them with" >&2
		echo "  sudo apt-get install --no-install-recommends $names" >&2
		exit 2
	fi
	# shellcheck disable=SC2086
	list=$(missing $wanted)
	[ -z "$list" ] || die "still missing after the installation: $list"
fi
[ -n "$dry" ] || [[ $'\n'$wanted$'\n' != *$'\n'busybox$'\n'* ]] || scripts/busybox.sh
