# SPDX-License-Identifier: GPL-2.0
# Run dmaheap in a test, and look at what it said.
# shellcheck shell=bash disable=SC2034,SC2154

# Run dmaheap; what it said is in $out and $err, its exit status in $status
dmaheap()
{
	timeout 60 "$DMAHEAP" --root "$root" "$@" >"$out" 2>"$err" </dev/null
	status=$?
}

# Run a command as somebody who may not read everything, if we are not somebody like that
unprivileged()
{
	if [ "$(id -u)" = 0 ]; then
		set -- setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
	fi
	timeout 60 "$@" >"$out" 2>"$err" </dev/null
	status=$?
}

nobody() { unprivileged "$DMAHEAP" --root "$root" "$@"; }

problem() { bad+="$*"$'\n'; }
# unable THING WHY: the machine cannot do it; a failure if NEED names the thing
unable()
{
	case ,${NEED:-}, in
	*,$1,*) problem "$2, but it is needed" ;;
	*) skip=$2 ;;
	esac
}

is() { [ "$status" = "$1" ] || problem "exit status $status, not $1"; }
quiet() { [ ! -s "$err" ] || problem "it complains"; }
says() { grep -qF -- "$1" "$err" || problem "it does not complain '$1'"; }
shows() { grep -qF -- "$1" "$out" || problem "it does not show '$1'"; }
hides() { ! grep -qF -- "$1" "$out" || problem "it shows '$1'"; }
# A line of which the number of blanks does not matter; they can be written as |
row()
{
	tr -s ' ' <"$out" | sed 's/^ //; s/ /|/g' | grep -qFx -- "${1// /|}" ||
		problem "no line '$1'"
}

# until_true COMMAND...: wait for what must come; the limit only ends a test that hangs
until_true()
{
	local tries

	for ((tries = 0; tries < 1500; tries++)); do
		! "$@" || return 0
		sleep 0.02
	done
	problem "it never came: $*"
	return 1
}

# ends PID: by itself; its status
ends()
{
	until_true gone "$1" || kill -KILL "$1"
	wait "$1" 2>/dev/null
	status=$?
}

gone() { ! kill -0 "$1" 2>/dev/null; }
lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }

# like REGEX WHAT
like() { grep -qE -- "$1" "$out" || problem "no line of $2"; }
json() { python3 -m json.tool <"$out" >"$dir/json" 2>&1 || problem "no JSON: $(cat "$dir/json")"; }
# query EXPRESSION of the document d
query()
{
	python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(not ('"$1"'))' "$out" 2>>"$err" || problem "not true: $1"
}
# The same for lines, in a list
query_lines()
{
	python3 -c 'import json, sys
d = [json.loads(line) for line in open(sys.argv[1])]
sys.exit(not ('"$1"'))' "$out" 2>>"$err" || problem "not true: $1"
}
