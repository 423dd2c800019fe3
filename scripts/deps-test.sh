#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Test deps.sh on systems that are not there: a directory that holds what is installed,
# programs that say which machine and user it is, an apt-get that writes down what it
# is asked for. KTAP; nothing is installed.
. "$(dirname "$0")/lib.sh"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
sys=$dir/system
count=0 failed=0 bad=

problem() { bad+="$*"$'\n'; }

program() { printf '#!/bin/sh\n%s\n' "$2" >"$dir/bin/$1"; chmod 755 "$dir/bin/$1"; }

# A Debian 12 on x86-64 with nothing installed, for a user who may not install
fresh()
{
	rm -rf "${dir:?}/bin" "$sys" "$dir/apt"
	mkdir -p "$dir/bin" "$sys/etc" "$sys/usr/bin"
	machine x86_64
	release 'ID=debian' 'VERSION_ID="12"'
	program id 'echo 1000'
	program sudo 'exit 1'
	program apt-get "echo \"\$*\" >>'$dir/apt'"
	unset KERNEL
}

machine() { program uname "echo $1"; }
release() { printf '%s\n' "$@" >"$sys/etc/os-release"; }

deps()
{
	status=0
	PATH=$dir/bin:$PATH DEPS_SYSROOT=$sys scripts/deps.sh "$@" \
		>"$dir/out" 2>"$dir/err" || status=$?
}

# lists NAME...: what is missing for them
lists()
{
	deps --dry-run "$@"
	list=" $(sed -n 's/^  \([^ ]*\) .*/\1/p' "$dir/out" | tr '\n' ' ')"
}

has() { local p; for p; do [[ $list == *" $p "* ]] || problem "$p is not in:$list"; done; }

# hasnt PATTERN...: no package that fits
hasnt()
{
	local p one

	for p; do
		for one in $list; do
			# shellcheck disable=SC2053
			[[ $one != $p ]] || problem "$one is in the list"
		done
	done
}

is() { [ "$status" = "$1" ] || problem "exit status $status, not $1"; }

t()
{
	bad=
	fresh
	"$1"
	count=$((count + 1))
	if [ -z "$bad" ]; then
		echo "ok $count $1"
	else
		echo "not ok $count $1"
		{ printf '%s' "$bad"; cat "$dir/out" "$dir/err"; } | head -n 40 | sed 's/^/# /'
		failed=1
	fi
}

demo_needs_one_compiler_and_one_emulator()
{
	lists demo
	is 2
	has make gcc gcc-aarch64-linux-gnu qemu-system-arm linux-source-6.12 netpbm
	hasnt '*armhf*' '*arm-linux-gnueabihf*' '*riscv*' qemu-system-misc qemu-system-x86 clang lld llvm sparse \
		yamllint 'python3*' rsync device-tree-compiler man-db ccache
}

tools_need_no_kernel_and_no_emulator()
{
	lists tools
	has make gcc libc6-dev python3
	hasnt 'linux-source*' 'qemu*' '*-linux-gnu*' bison xz-utils
}

series_needs_no_emulator_and_no_compiler()
{
	lists series
	has git python3 perl linux-source-6.12
	hasnt 'qemu*' 'gcc*' bison
	lists series-build
	has gcc-aarch64-linux-gnu bison
	hasnt 'qemu*' '*arm-linux-gnueabihf*' '*riscv*'
}

uml_needs_no_cross_compiler()
{
	lists kunit-uml
	has gcc python3
	hasnt 'qemu*' 'gcc-*' '*-cross'
}

base_of_ones_own_needs_no_source_package()
{
	KERNEL=/somewhere lists demo
	has bc
	hasnt 'linux-source*'
}

# emulator_on PACKAGE LINE...: of riscv, where os-release has these lines
emulator_on()
{
	release "${@:2}"
	lists riscv
	has "$1"
	[ "$(tr ' ' '\n' <<<"$list" | grep -c ^qemu-system)" = 1 ] || problem "more than $1 for ${*:2}"
	[ ! -s "$dir/err" ] || problem "it complains"
}

every_release_has_the_riscv_emulator_it_packages()
{
	emulator_on qemu-system-misc ID=debian 'VERSION_ID="12"'
	emulator_on qemu-system-riscv ID=debian 'VERSION_ID="13"'
	# Testing has no number
	emulator_on qemu-system-riscv ID=debian
	emulator_on qemu-system-misc ID=ubuntu 'VERSION_ID="24.04"'
	emulator_on qemu-system-riscv ID=ubuntu 'VERSION_ID="25.04"'
	emulator_on qemu-system-riscv ID=other VERSION_ID=rolling
	rm "$sys/etc/os-release"
	lists riscv
	has qemu-system-riscv
	[ ! -s "$dir/err" ] || problem "it complains"
}

x86_host_compiles_x86_natively()
{
	lists x86 x86-pt
	has gcc libc6-dev libelf-dev qemu-system-x86
	hasnt 'gcc-*' '*-cross' qemu-system-arm
	machine aarch64
	lists x86 x86-pt
	has gcc libelf-dev gcc-x86-64-linux-gnu libc6-dev-amd64-cross qemu-system-x86
	hasnt 'gcc-a*' qemu-system-arm
}

arm64_host_compiles_arm64_natively()
{
	machine aarch64
	lists y lint
	has gcc libc6-dev gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-system-arm
	hasnt 'gcc-aarch64*' libc6-dev-arm64-cross libelf-dev 'gcc-x86*'
}

nothing_is_said_when_nothing_is_missing()
{
	mkdir -p "$sys/usr/include"
	touch "$sys"/usr/bin/{make,gcc,g++,pkg-config,python3,man,setpriv} "$sys/usr/include/stdio.h"
	chmod 755 "$sys"/usr/bin/*
	deps tools
	is 0
	[ ! -s "$dir/out" ] && [ ! -s "$dir/err" ] || problem "it says something"
	rm "$sys/usr/bin/man"
	deps tools
	is 2
	[ "$(grep -c '^  ' "$dir/out")" = 1 ] || problem "not one package"
}

user_without_rights_gets_the_command()
{
	lists tools
	deps tools
	is 2
	grep -qxF "  sudo apt-get install --no-install-recommends$list" <(sed 's/$/ /' "$dir/err") ||
		problem "no command for$list"
	[ ! -e "$dir/apt" ] || problem "apt-get was called: $(cat "$dir/apt")"
}

# apt-get: it sees what has been said before
reasons_come_before_apt()
{
	program id 'echo 0'
	program apt-get "cp '$dir/out' '$dir/said'; echo \"\$*\" >>'$dir/apt'"
	lists tools
	deps tools
	# Nothing has come
	is 2
	grep -q 'still missing' "$dir/err" || problem "it does not look again"
	grep -q '^  man-db  *checks the manual of dmaheap$' "$dir/said" || problem "no reason"
	grep -qxF -- "-q -y install --no-install-recommends$list" <(sed 's/$/ /' "$dir/apt") ||
		problem "not installed:$list"
}

ubuntu_is_told_to_give_a_kernel()
{
	release ID=ubuntu 'VERSION_ID="24.04"'
	program id 'echo 0'
	deps series
	is 2
	grep -q 'give KERNEL=dir' "$dir/err" || problem "no advice"
	[ ! -e "$dir/apt" ] || problem "apt-get was called"
}

# busybox MACHINE LINE...: what is fetched where os-release has these lines
busybox()
{
	machine "$1"
	release "${@:2}"
	rm -rf "$dir/busybox.tmp" "$dir/apt"
	PATH=$dir/bin:$PATH DEPS_SYSROOT=$sys BUSYBOX_DIR=$dir/busybox scripts/busybox.sh \
		>"$dir/out" 2>"$dir/err" || :
	grep -q 'APT::Architecture=arm64 .*download busybox-static' "$dir/apt" ||
		problem "no busybox of arm64 is fetched"
}

ubuntu_fetches_arm64_from_its_ports()
{
	busybox x86_64 ID=ubuntu 'VERSION_ID="24.04"' VERSION_CODENAME=noble
	grep -q 'ports.ubuntu.com/ubuntu-ports noble main' "$dir/busybox.tmp/sources.list" ||
		problem "no source"
	grep -q "SourceList=$dir/busybox.tmp/sources.list.* update" "$dir/apt" ||
		problem "the source is not used"
	busybox aarch64 ID=ubuntu 'VERSION_ID="24.04"' VERSION_CODENAME=noble
	! grep -q SourceList "$dir/apt" || problem "another source for the host's machine"
	busybox x86_64 ID=debian 'VERSION_ID="12"'
	! grep -q SourceList "$dir/apt" || problem "another source on Debian"
}

unknown_name_is_refused()
{
	deps --dry-run tools nonsense
	is 2
	grep -q "'nonsense'" "$dir/err" || problem "it does not say which"
	deps
	is 2
}

# What the Makefile runs, without running it
every_target_names_its_packages()
{
	local target command

	for target in demo tools harness series check check-all mutants check-y check-m check-n check-debug check-cma \
		check-boards check-demo check-kcsan check-pool check-swiotlb check-arm check-riscv check-x86 kunit kunit-kcsan lint bench \
		picture shell selftest menuconfig tree; do
		command=$(make -n --no-print-directory "$target" | grep -o 'scripts/deps.sh[^&]*')
		[ -n "$command" ] || problem "$target calls no deps.sh"
		while read -r _ command; do
			# shellcheck disable=SC2086
			deps --dry-run $command
			grep -q '^  make ' "$dir/out" || [ "$target" = series ] || [ "$target" = tree ] ||
				problem "$target: deps.sh $command"
		done <<<"$command"
	done
	# Its own and no more
	command=$(make -n --no-print-directory demo | grep -o 'scripts/deps.sh[^&]*')
	[ "$command" = "scripts/deps.sh demo " ] || problem "demo: $command"
	command=$(make -n --no-print-directory tools)
	[[ $command != *tree.sh* ]] || problem "tools make a tree"
}

TESTS=(
	demo_needs_one_compiler_and_one_emulator
	tools_need_no_kernel_and_no_emulator
	series_needs_no_emulator_and_no_compiler
	uml_needs_no_cross_compiler
	base_of_ones_own_needs_no_source_package
	every_release_has_the_riscv_emulator_it_packages
	x86_host_compiles_x86_natively
	arm64_host_compiles_arm64_natively
	nothing_is_said_when_nothing_is_missing
	user_without_rights_gets_the_command
	reasons_come_before_apt
	ubuntu_is_told_to_give_a_kernel
	ubuntu_fetches_arm64_from_its_ports
	unknown_name_is_refused
	every_target_names_its_packages
)
echo "TAP version 13"
echo "1..${#TESTS[@]}"
for test in "${TESTS[@]}"; do
	t "$test"
done
exit $failed
