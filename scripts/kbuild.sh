#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Build one guest kernel from build/linux: kbuild.sh y|m|n|debug|compat|kcsan|demo|versal, 16k, or
# arm|riscv|x86|fuzz, or for the benchmark bench-ours|uml-ours and, from the pristine base,
# bench-stock|uml-stock.
# Proves that every requested option is set; objects go to build/out/VARIANT.
. "$(dirname "$0")/lib.sh"

variant=${1:-}
dir=$OUT/$variant
selftests=tools/testing/selftests/dmabuf-heaps

fragments=(guest/config/base.config "$TREE/$selftests/config")
arch=() target=Image guess=1650
case $variant in
y) ;;
m | n | debug | compat) fragments+=("guest/config/$variant.config") ;;
demo)
	fragments=(guest/config/demo.config)
	guess=600
	;;
kcsan | versal)
	fragments=(guest/config/small.config "guest/config/$variant.config")
	guess=1000
	;;
16k)
	fragments=(guest/config/{small,arm64,16k}.config)
	guess=1000
	;;
arm | riscv | x86 | fuzz)
	use_arch "$variant"
	fragments=(guest/config/small.config "guest/config/$variant.config")
	guess=900
	case $variant in
	arm) target=zImage ;;
	x86) target=bzImage guess=1050 ;;
	fuzz)
		fragments=(guest/config/{small,x86,fuzz}.config)
		target=bzImage guess=1150
		# Only our code tells that it runs
		for file in drivers/dma-buf/*.c drivers/dma-buf/heaps/*.c dma-buf.c; do
			arch+=("KCOV_INSTRUMENT_$(basename "$file" .c).o=y")
		done
		;;
	esac
	;;
bench-stock | bench-ours)
	fragments=(guest/config/base.config guest/config/bench.config)
	guess=850
	;;
uml-stock | uml-ours)
	fragments=(guest/config/uml.config)
	arch=(ARCH=um CROSS_COMPILE="$CCACHE") target=linux guess=550
	;;
*) die "usage: kbuild.sh y|m|n|debug|compat|kcsan|demo|versal|16k|arm|riscv|x86|fuzz|bench-stock|bench-ours|uml-stock|uml-ours" ;;
esac
if [ -n "$COVERAGE" ]; then
	fragments+=(guest/config/coverage.config)
	for source in $(scripts/coverage.py --sources); do
		source=${source##*/}
		arch+=("GCOV_PROFILE_${source%.c}.o=y")
	done
fi
case $variant in
bench-stock) TREE=$(scripts/tree.sh --stock) || exit 2 ;;
uml-stock) TREE=$(scripts/tree.sh --base) || exit 2 ;;
esac

lock_build "build $variant" "$dir"

# The objects of y serve m and n too: kbuild rebuilds only what their options change
if { [ "$variant" = m ] || [ "$variant" = n ]; } && [ ! -e "$dir.done" ]; then
	scripts/kbuild.sh y || exit
	rm -rf "$dir"
	cp -a --reflink=auto "$OUT/y" "$dir"
	touch "$dir.done"
fi
mkdir -p "$dir"

# Later fragments win
awk '
	match($0, /^(# )?CONFIG_[A-Za-z0-9_]+/) {
		name = substr($0, RSTART, RLENGTH)
		sub(/^# /, "", name)
		if (!(name in value))
			order[++n] = name
		value[name] = $0
	}
	END {
		for (i = 1; i <= n; i++)
			print value[order[i]]
	}' "${fragments[@]}" >"$dir/wanted.config"
# Stock has no options for what it cannot do
case $variant in
*-stock) sed -i -E '/CONFIG_DMABUF_HEAPS_(SYSTEM_|CMA_|CARVEOUT)/d' "$dir/wanted.config" ;;
esac

# Configure again only if something that decides the result has changed
key()
{
	cat "$dir/wanted.config" "$ROOT/build/linux.base"
	find patches drivers -name '*Kconfig*' -o -name '*.patch' 2>/dev/null |
		sort | xargs -r cat
}

if [ ! -e "$dir/.config" ] || [ "$(key | sha256sum)" != "$(cat "$dir/wanted.key" 2>/dev/null)" ]; then
	log="$LOG/config-$variant.log"
	KCONFIG_ALLCONFIG=$dir/wanted.config KCONFIG_WARN_UNKNOWN_SYMBOLS=1 KCONFIG_WERROR=1 \
		kmake "$dir" "${arch[@]}" allnoconfig >"$log" 2>&1 || {
		grep -n -m8 -E 'warning:|error:|\*\*\*' "$log" >&2 || tail -n 8 "$log" >&2
		die "no configuration for $variant; log $log"
	}
	dead=$(awk '
		FNR == NR { if (/^CONFIG_/) { split($0, a, "="); is[a[1]] = $0 } next }
		/^# / { if ($2 in is) print; next }
		/=n$/ { sub(/=n$/, ""); if ($0 in is) print $0 "=n"; next }
		{ split($0, a, "="); if (is[a[1]] != $0) print }
		' "$dir/.config" "$dir/wanted.config")
	[ -z "$dead" ] || die "not what $dir/.config has: ${dead//$'\n'/, }"
	key | sha256sum >"$dir/wanted.key"
fi

modules=
grep -q '^CONFIG_MODULES=y' "$dir/.config" && modules=modules
# ccache does not see which file an assembler file takes in as it is: it would give the
# compressed kernel of another build
compressed=$dir/arch/$KARCH/boot/compressed
if [ "$target" != Image ] && [ "$target" != linux ]; then
	build_step "build $variant" "$dir" $guess kmake "$dir" "${arch[@]}" vmlinux || exit 2
	rm -f "$compressed/piggy.o"
	export CCACHE_DISABLE=1
fi
build_step "build $variant" "$dir" $guess kmake "$dir" "${arch[@]}" $target $modules || exit 2

# A warning in our code is an error; without its object the next build says it again
warnings=$(grep -E '(drivers/dma-buf/(dma-heap|heaps/)|linux/dma-heap[a-z-]*\.h).*warning:' \
	"$LOG/build-$variant.log") || :
if [ -n "$warnings" ]; then
	rm -f "$dir/drivers/dma-buf/dma-heap.o" "$dir"/drivers/dma-buf/heaps/*.o
	echo "$warnings" >&2
	die "warnings in our code; log $LOG/build-$variant.log"
fi

# The sample is built once more, as a vendor's heap is: outside of the tree, with public
# headers alone. The guest gets that one.
install_modules()
{
	kmake "$dir" M="$dir/sample" KCFLAGS=-Werror modules &&
		kmake "$dir" INSTALL_MOD_PATH="$dir/install" modules_install &&
		rm -r "$dir"/install/lib/modules/*/kernel/samples &&
		kmake "$dir" M="$dir/sample" INSTALL_MOD_PATH="$dir/install" modules_install
}

if [ "$variant" = m ]; then
	rm -rf "$dir/install" "$dir/sample"
	cp -r samples/dma-buf "$dir/sample"
	install_modules >"$LOG/modules-$variant.log" 2>&1 ||
		die "the sample, or modules_install, failed; log $LOG/modules-$variant.log"
fi
