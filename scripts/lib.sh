# SPDX-License-Identifier: GPL-2.0
# Shared by the scripts: paths, messages, the kernel's make, long steps with progress.
# Source it from a bash script; it changes to the top directory of the repo.
# shellcheck shell=bash

set -euo pipefail
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TREE=$ROOT/build/linux
# COVERAGE=1: kernels that count how often each line of ours runs, beside the others
COVERAGE=${COVERAGE:-}
BUILD=$ROOT/build${COVERAGE:+/coverage}
OUT=$BUILD/out
LOG=$BUILD/log
RESULTS=$BUILD/results
V=${V:-0}
JOBS=${JOBS:-$(nproc)}
cd "$ROOT"
mkdir -p "$OUT" "$LOG" "$RESULTS"

KARCH=arm64 CROSS=aarch64-linux-gnu-
CCACHE=$(command -v ccache >/dev/null && echo "ccache ") || CCACHE=

# A miss costs what the compiler costs, and no preprocessor before that
export CCACHE_DEPEND=1
# Another clone has the same objects
export CCACHE_BASEDIR=$ROOT

# The same source must give the same objects, or ccache never hits.
export KBUILD_BUILD_TIMESTAMP='Sun Nov 17 22:15:08 UTC 2024'
export KBUILD_BUILD_USER=heaps KBUILD_BUILD_HOST=guest KBUILD_BUILD_VERSION=1

# use_arch VARIANT: the kernels and programs to come are for the machine it names
use_arch()
{
	case $1 in
	arm) KARCH=arm CROSS=arm-linux-gnueabihf- ;;
	riscv) KARCH=riscv CROSS=riscv64-linux-gnu- ;;
	x86 | fuzz)
		KARCH=x86 CROSS=x86_64-linux-gnu-
		[ "$(uname -m)" != x86_64 ] || CROSS=
		;;
	esac
}

say() { echo "[$1] ${*:2}"; }
die() { echo "$(basename "$0"): $*" >&2; exit 2; }

# No step runs for ever. In the foreground, so that Ctrl-C reaches it.
limited() { timeout --foreground -k 10 "${LIMIT:-3600}" "$@" </dev/null; }

# kmake DIR ARGS...: the kernel's make, objects in DIR
kmake()
{
	local dir=$1
	shift
	limited make -C "$TREE" O="$dir" ARCH=$KARCH \
		CROSS_COMPILE="$CCACHE$CROSS" HOSTCC="${CCACHE}gcc" V="$V" -j"$JOBS" \
		--no-print-directory "$@"
}

# lock_build LABEL DIR: nobody else builds in DIR until this script ends. check.sh may
# be doing it already, ahead of its part.
lock_build()
{
	exec 9>"$2.lock"
	flock -n 9 || {
		say "$1" "waits for one that has begun"
		flock 9
	}
}

# splats LOG: what the kernel complains of there, with the numbers of the lines
splats()
{
	grep -nF -f <(grep -v '^[#!?]' guest/splats) "$1" 2>/dev/null |
		grep -vF -f <(sed -n 's/^!//p' guest/splats) || :
}

count=0 failed=0

# check NAME LOG COMMAND...: a line of KTAP
check()
{
	local name=$1 log=$2 rc
	shift 2

	count=$((count + 1))
	# Not in a condition, where errexit would be off
	set +e
	(set -e; "$@") </dev/null >"$log" 2>&1
	rc=$?
	set -e
	if [ $rc = 0 ]; then
		echo "ok $count $name"
	else
		echo "not ok $count $name"
		head -n 40 "$log" | sed 's/^/# /'
		failed=1
	fi
}

# After the last check
end_checks() { exit "$failed"; }

objects() { find "$1" -name '*.o' "${@:2}" 2>/dev/null | wc -l; }

# One line of progress. A first build knows its total from the last one, or
# guesses; a rebuild counts only what it made.
show_progress()
{
	local label=$1 dir=$2 mark=$3 total=$4 text

	if [ -n "$total" ]; then
		text="$(objects "$dir")/$total objects"
	else
		text="$(objects "$dir" -newer "$mark") objects rebuilt"
	fi
	if [ -t 1 ]; then
		printf '\r[%s] %s ' "$label" "$text"
	else
		say "$label" "$text"
	fi
}

# first_errors LOG: the lines of a build log that say what went wrong
first_errors()
{
	grep -n -m8 -E 'error:|warning:|undefined (reference|symbol)|ERROR:|\*\*\* |No such file' \
		"$1" || tail -n 8 "$1"
}

# build_step LABEL DIR GUESS COMMAND...: run a build that fills DIR with about
# GUESS objects; log in build/log/LABEL.log, first errors on stderr if it fails
build_step()
{
	local label=$1 dir=$2 total=$3 rc=0 start=$SECONDS tick=10 next pid
	local log="$LOG/${1// /-}.log" mark=$2.mark
	shift 3

	mkdir -p "$dir"
	touch "$mark"
	[ ! -e "$dir.total" ] || total=$(cat "$dir.total")
	[ ! -e "$dir.done" ] || total=
	[ ! -t 1 ] || tick=1
	if [ "$V" = 1 ]; then
		"$@" 2>&1 | tee "$log" || rc=$?
	else
		# A process group of its own, to be ended as a whole
		set -m
		"$@" >"$log" 2>&1 &
		pid=$!
		set +m
		# shellcheck disable=SC2064
		trap "kill -- -$pid; exit 130" INT TERM
		next=$((SECONDS + tick))
		while kill -0 $pid 2>/dev/null; do
			sleep 0.2
			[ $SECONDS -ge $next ] || continue
			show_progress "$label" "$dir" "$mark" "$total"
			next=$((SECONDS + tick))
		done
		wait $pid || rc=$?
		trap - INT TERM
		[ ! -t 1 ] || printf '\r\033[K'
	fi
	if [ $rc -ne 0 ]; then
		echo "[$label] failed (exit status $rc); from $log:" >&2
		first_errors "$log" >&2
		return 2
	fi
	touch "$dir.done"
	objects "$dir" >"$dir.total"
	say "$label" "$(objects "$dir" -newer "$mark") objects, $((SECONDS - start)) s"
}

# Where to look for what is installed, other than in / (for deps-test.sh)
SYSROOT=${DEPS_SYSROOT:-}

# os_release NAME: what this system says about itself; nothing if it does not
os_release()
{
	(
		unset "$1"
		# shellcheck disable=SC1091
		. "$SYSROOT/etc/os-release" && echo "${!1:-}"
	) 2>/dev/null || :
}

# own_apt DIR ARGS...: apt-get with its state in DIR, where nothing is installed, so
# that it needs no rights and leaves the machine's state alone
own_apt()
{
	local dir=$1
	shift

	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	: >"$dir/status"
	apt-get -q -o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir/cache" \
		-o Dir::State::Status="$dir/status" \
		-o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none "$@"
}
