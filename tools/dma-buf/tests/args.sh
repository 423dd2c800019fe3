# SPDX-License-Identifier: GPL-2.0
# Arguments, help, the manual, the udev rule.
# shellcheck shell=bash disable=SC2034,SC2154

refuses()
{
	dmaheap "$@"
	is 2
	says "Usage: dmaheap"
	[ ! -s "$out" ] || problem "it shows something"
}

bad_arguments_are_refused()
{
	local command

	refuses
	refuses nonsense
	refuses ''
	refuses --nonsense
	refuses --root
	for command in list top leaks alloc bench trace; do
		refuses $command --nonsense
		refuses $command -Z
		refuses $command --json=3
	done
	for command in "--older" "--older=" "--older=x" "--older=-1" "--older=1y" "--older=1ss" \
		"--older= 1" "--older=+1" "--older=99999999999999999999" \
		"--older=18446744073709551615d" surplus; do
		refuses leaks "$command"
	done
	for command in -n0 -n-1 -nx -n -d0 -d0.05 -dx -d -d-1 -d1e3 -d1..2 -d100000 -dnan \
		surplus; do
		refuses top "$command"
	done
	refuses alloc
	refuses alloc system
	refuses alloc system 4k surplus
	for command in 0 -1 x 4x 4kk 1.5m '' ' 4' +4 0k 99999999999999999999 18446744073709551615 \
		16777216t; do
		refuses alloc system -- "$command"
	done
	for command in -n0 -nx -n-1 -n1000001 --hold=x --hold=-1 --hold= --wait=x --wait= \
		--wait=25d; do
		refuses alloc system 4k "$command"
	done
	for command in -n0 -nx -n1000001 -p-1 -p60001 -px -s -s0 "-s4k," "-s,4k" "-s4k,,8k" -sx \
		surplus; do
		refuses bench system "$command"
	done
	refuses bench -s "$(seq -s, 1 33)"
	for command in -e '-e ' "-e," "-ealloc," "-e,alloc" "-ealloc,,free" -e../x; do
		[ "$command" = '-e ' ] && refuses trace -e '' && continue
		refuses trace "$command"
	done
}

every_command_has_help()
{
	local command

	dmaheap --help
	is 0; quiet
	for command in list top leaks alloc bench trace; do
		shows "  $command "
	done
	dmaheap --version
	is 0; quiet
	row "$(cat "$out")"
	shows "dmaheap "
	for command in list top leaks alloc bench trace; do
		dmaheap $command --help
		is 0; quiet
		shows "Usage: dmaheap $command "
		dmaheap $command -h
		is 0
	done
}

full_device_is_an_error()
{
	local command

	for command in --help list "list --json" leaks "leaks --json" "top -bn1" "top -jn1" \
		"alloc system 4k" "bench -n1 -p0"; do
		# shellcheck disable=SC2086
		"$DMAHEAP" --root "$root" $command >/dev/full 2>"$err" </dev/null
		status=$?
		[ "$status" != 0 ] || problem "$command is content with a full device"
		case $command in top*) ;; *) says "No space left" ;; esac
	done
}

# hands_out HEAP, as udev takes the pattern: alternatives, each of them one of a shell
hands_out()
{
	local pattern one

	pattern=$(sed -n 's/^SUBSYSTEM=="dma_heap", KERNEL=="\([^"]*\)",.*/\1/p' \
		"$here/../60-dma-heap.rules")
	[ -n "$pattern" ] || problem "no rule"
	while IFS= read -r one; do
		# shellcheck disable=SC2053
		[[ $1 != $one ]] || return 0
	done <<<"${pattern//|/$'\n'}"
	return 1
}

# The text of the rule alone, read as udev would
udev_rule_gives_out_only_charged_heaps()
{
	local name

	for name in system system-uncached; do
		hands_out $name || problem "not $name"
	done
	# What no cgroup bounds
	for name in system-dma32 system-uncached-dma32 system-camera systems system- reserved \
		default_cma_region secure ""; do
		! hands_out "$name" || problem "$name"
	done
}

udev_accepts_the_rule()
{
	if ! udevadm verify --help >/dev/null 2>&1; then
		unable udevadm "this machine has no udevadm verify"
		return
	fi
	udevadm verify "$here/../60-dma-heap.rules" >"$out" 2>"$err" ||
		problem "udev does not understand it"
}

sanitizers_stop_a_bad_program()
{
	if [ -z "$sanitizers" ]; then
		unable sanitizers "$CC has no sanitizers"
		return
	fi
	echo 'int main(int n, char **v) { int a[1] = { 0 }; return !v + a[n]; }' >"$dir/bad.c"
	$CC -g -O1 $sanitizers -fno-sanitize-recover=all -o "$dir/bad" "$dir/bad.c" ||
		problem "it does not build"
	! "$dir/bad" >"$out" 2>"$dir/log" || problem "nothing stops it"
	grep -q 'ERROR: .*Sanitizer\|runtime error' "$dir/log" || problem "nothing says why"
}

manual_has_every_option()
{
	local option

	man --warnings -l "$here/../dmaheap.8" >"$out" 2>"$err" </dev/null
	status=$?
	is 0; quiet
	for command in list top leaks alloc bench trace; do
		"$DMAHEAP" $command --help | grep -o -e '--[a-z]*' | sort -u |
		while read -r option; do
			grep -q -e "${option//-/\\\\-}" "$here/../dmaheap.8" ||
				echo "$command $option"
		done
	done >"$dir/missing"
	[ ! -s "$dir/missing" ] || problem "not in the manual: $(cat "$dir/missing")"
}

tests bad_arguments_are_refused every_command_has_help full_device_is_an_error \
	udev_rule_gives_out_only_charged_heaps udev_accepts_the_rule \
	sanitizers_stop_a_bad_program manual_has_every_option
