#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Boot a kernel in QEMU: guest.sh RUN VARIANT STEPS [OVERLAY.dtso...]; STEPS "shell" is interactive.
# QEMU_CPU: QEMU's options for CPU and accelerator, instead of the fastest it has.
# MODULES=coldplug: load only the modules that devices ask for; MODULES=bare: load none.
# NEXT=1: the kernel and the initramfs are disks, too, for a kernel that boots the next.
# Logs in build/log/RUN; result stream in build/results/RUN.ktap.
# Exit 0: all well; 1: a step, the kernel or a test failed; 2: no verdict.
. "$(dirname "$0")/lib.sh"

[ $# -ge 3 ] || die "usage: guest.sh RUN VARIANT STEPS [OVERLAY.dtso...]"
run=$1 variant=$2 steps=$3
shift 3
dir=$LOG/$run
use_arch "$variant"
image=$OUT/$variant/arch/$KARCH/boot/Image
case $KARCH in
arm) image=${image%Image}zImage ;;
x86) image=${image%Image}bzImage ;;
esac
ktap=$RESULTS/$run.ktap

[ -f "$image" ] || die "no kernel: $image"
rm -rf "$dir" "$ktap"
mkdir -p "$dir"

emulator=qemu-system-aarch64 console=ttyAMA0
if [ "$KARCH" = arm ]; then
	emulator="qemu-system-arm"
	machine=virt,gic-version=2,highmem=off
	cpu=(-accel "tcg,thread=multi" -cpu cortex-a15)
	slow=2
elif [ "$KARCH" = riscv ]; then
	emulator=qemu-system-riscv64 console=ttyS0
	machine=virt
	cpu=(-accel "tcg,thread=multi" -cpu rv64)
	slow=2
elif [ "$KARCH" = x86 ]; then
	emulator=qemu-system-x86_64 console=ttyS0
	machine=q35
	cpu=(-accel "tcg,thread=multi" -cpu max)
	slow=2
elif [ "$variant" = 16k ]; then
	# Not every CPU that KVM can use has pages of this size
	machine=virt,gic-version=3
	cpu=(-accel "tcg,thread=multi" -cpu "max,pauth-impdef=on")
	slow=2
elif [ "$variant" = versal ]; then
	machine=xlnx-versal-virt
	cpu=(-accel "tcg,thread=multi")
	slow=2
elif [ -n "${QEMU_CPU:-}" ]; then
	machine=virt,gic-version=3
	read -ra cpu <<<"$QEMU_CPU"
	slow=2
elif [ "$(uname -m)" = aarch64 ] && [ -w /dev/kvm ]; then
	machine=virt,gic-version=max
	cpu=(-accel kvm -cpu host)
	slow=1
else
	machine=virt,gic-version=3
	cpu=(-accel "tcg,thread=multi" -cpu "max,pauth-impdef=on")
	slow=2
fi
warn=1
case $variant in
debug) slow=$((slow * 2)) ;;
# The fuzzer looks for warnings itself, after every program
fuzz) slow=$((slow * 2)) warn=0 ;;
# A race between others is a warning, too; see_races looks for ours
kcsan) slow=$((slow * 2)) warn=0 ;;
esac

qemu=("$emulator" "${cpu[@]}" -smp "${CPUS:-2}" -m "${MEM:-2G}"
	-nodefaults -no-reboot -display none -kernel "$image" -initrd "$dir/initramfs.cpio")
append="console=$console panic=-1 oops=panic panic_on_warn=$warn log_buf_len=8M printk.devkmsg=on"
append+=" ${APPEND:-}${MODULES:+ -- $MODULES}"

# QEMU's own device tree with the overlays applied
if [ $# -gt 0 ]; then
	blobs=()
	for overlay in "$@"; do
		blob=$dir/$(basename "$overlay" .dtso).dtbo
		dtc -q -@ -I dts -O dtb -o "$blob" "$overlay" || die "bad overlay $overlay"
		blobs+=("$blob")
	done
	touch "$dir/initramfs.cpio"
	# shellcheck disable=SC2086
	"${qemu[@]}" ${QEMU_ARGS:-} -M "$machine,dumpdtb=$dir/qemu.dtb" >"$dir/qemu.log" 2>&1 ||
		die "qemu gives no device tree: $(cat "$dir/qemu.log")"
	fdtoverlay -i "$dir/qemu.dtb" -o "$dir/guest.dtb" "${blobs[@]}" ||
		die "the overlays do not fit: $*"
	qemu+=(-dtb "$dir/guest.dtb")
fi
qemu+=(-M "$machine")

if [ "$steps" = shell ]; then
	echo "# none" >"$dir/steps"
	scripts/initramfs.sh "$variant" "$dir/steps" "$dir/initramfs.cpio"
	echo "Guest shell; tests in /selftests, benchmark in /bench. Leave with exit or Ctrl-A X."
	exec "${qemu[@]}" -serial mon:stdio -append "$append quiet -- shell"
fi

scripts/initramfs.sh "$variant" "$steps" "$dir/initramfs.cpio"

# As /dev/vda and /dev/vdb
disk() { qemu+=(-drive "file=$2,if=none,id=$1,format=raw,readonly=on" -device "virtio-blk-pci,drive=$1"); }
if [ -n "${NEXT:-}" ]; then
	disk kernel "$image"
	disk initramfs "$dir/initramfs.cpio"
fi

# What must be in the results, said before the guest can lose it
awk '!/^#/ && NF { print "## expect", $1 } END { print "## expect kernel" }' "$steps" >"$ktap"
limit=$(awk -v slow=$slow '!/^#/ { sum += $2 } END { print sum + 120 * slow }' "$steps")

port() { qemu+=(-chardev "file,id=$1,path=$2" -device "virtserialport,chardev=$1,name=org.dmaheap.$1"); }
# Small kernels have no PCI
bus=device
! grep -qx CONFIG_PCI=y "$OUT/$variant/.config" || bus=pci
qemu+=(-device "virtio-serial-$bus")
port log "$dir/guest.log"
port verdict "$dir/verdict"
port file "$dir/file"

say "$run" "boot, at most $limit s"
start=$SECONDS rc=0
# shellcheck disable=SC2086
timeout --foreground -k 5 "$limit" "${qemu[@]}" -serial "file:$dir/console.log" \
	-append "$append" ${QEMU_ARGS:-} </dev/null >"$dir/qemu.log" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null || :' EXIT
trap 'exit 130' INT TERM

# Reports of KCSAN in code of ours fail the run, and so does a kernel without it
see_races()
{
	grep -q 'kcsan: selftest: .* tests passed' "$dir/console.log" || {
		echo "## status kcsan 2" >>"$ktap"
		echo "[$run] no sign of KCSAN" >&2
	}
	scripts/races.sh --functions "$OUT/$variant" >"$dir/functions"
	scripts/races.sh "$dir/console.log" "$dir/functions" >"$dir/races"
	[ -s "$dir/races" ] || return 0
	echo "## status races 1" >>"$ktap"
	head -n 40 "$dir/races" >&2
	echo "[$run] races: $dir/races" >&2
}

# Progress: the step it is in, and the results so far
tick=$((SECONDS + 10)) last=
while kill -0 $pid 2>/dev/null; do
	sleep 0.2
	[ $SECONDS -ge $tick ] || continue
	[ -t 1 ] && tick=$((SECONDS + 1)) || tick=$((SECONDS + 10))
	[ -f "$dir/guest.log" ] || continue
	line="[$run] $(awk '/^## step/ { step = $3 }
		/^[# ]*ok / { ok++ } /^[# ]*not ok / { bad++ }
		END { printf "%s: ok %d, not ok %d", step, ok, bad }' "$dir/guest.log")"
	if [ -t 1 ]; then
		printf '\r%s' "$line"
	elif [ "$line" != "$last" ]; then
		echo "$line"
	fi
	last=$line
done
[ ! -t 1 ] || printf '\r\033[K'
wait $pid || rc=$?
trap - EXIT INT TERM
tr -d '\r' <"$dir/guest.log" >>"$ktap" 2>/dev/null || :
verdict=$(cat "$dir/verdict" 2>/dev/null || :)
if [ "$variant" = kcsan ]; then
	see_races
fi
[ "$V" = 0 ] || cat "$dir/guest.log"

# The kernel can complain as it goes down, when init sees it no more
sed -n '/init: stops/,$p' "$dir/console.log" >"$dir/end.log" 2>/dev/null || :
if [ "$verdict" = 0 ] && [ -n "$(splats "$dir/end.log")" ]; then
	echo "## status shutdown 1" >>"$ktap"
	verdict=1
fi

first_splat() { splats "$dir/console.log" | sed -n '1s/:.*//p'; }

complain()
{
	local line

	line=$(first_splat) || :
	if [ -n "$line" ]; then
		echo "[$run] first complaint of the kernel:"
		# One reader that takes all: a broken pipe would end us here, under pipefail
		sed -n "$((line > 4 ? line - 4 : 1)),$((line + 29))p" "$dir/console.log" | tr -d '\r'
	elif [ -z "$verdict" ]; then
		tail -n 5 "$dir/console.log" | tr -d '\r'
	fi
	grep -m20 -E '^(# |    )*not ok ' "$ktap" || :
	echo "[$run] logs: $dir/guest.log $dir/console.log"
}

# The runner of kselftest ends with 0 whatever its tests said
case $verdict in
0)
	if grep -qE '^(# |    )*not ok ' "$ktap"; then
		complain >&2
		exit 1
	fi
	say "$run" "verdict 0, $((SECONDS - start)) s"
	;;
'' | *[!0-9]*)
	complain >&2
	[ $rc -ne 124 ] || echo "[$run] stopped after $limit s" >&2
	[ ! -s "$dir/qemu.log" ] || cat "$dir/qemu.log" >&2
	die "run $run: the guest gave no verdict"
	;;
*)
	complain >&2
	say "$run" "verdict $verdict, $((SECONDS - start)) s"
	exit 1
	;;
esac
