#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Make or refresh build/linux: a pristine 6.12.y tree with our files over it.
# tree.sh | tree.sh --stage DIR (only the changed files) | tree.sh --base (where the base is)
# | tree.sh --stock (where the base with our test importer is)
. "$(dirname "$0")/lib.sh"

TARBALL=/usr/src/linux-source-6.12.tar.xz
OURS="drivers include tools Documentation samples"
BASE_STAMP=$ROOT/build/linux.base
MANIFEST=$ROOT/build/linux.manifest
STATE=$ROOT/build/linux.state
KERNEL=${KERNEL:-}

# Debian's source, unpacked once; again when the package changes
debian_base()
{
	local dir=$ROOT/build/base stamp

	[ -r "$TARBALL" ] || die "no kernel tree: $TARBALL is missing (package linux-source-6.12); or give KERNEL=dir"
	stamp=$(stat -c '%s %Y' "$TARBALL")
	if [ ! -d "$dir" ] || [ "$stamp" != "$(cat "$dir.stamp" 2>/dev/null)" ]; then
		say tree "unpacking $TARBALL" >&2
		rm -rf "$dir" "$dir.tmp"
		mkdir -p "$dir.tmp"
		tar -C "$dir.tmp" --strip-components=1 -xf "$TARBALL" ||
			die "cannot unpack $TARBALL"
		mv "$dir.tmp" "$dir"
		echo "$stamp" >"$dir.stamp"
	fi
	realpath "$dir"
}

base_dir()
{
	[ -n "$KERNEL" ] || { debian_base; return; }
	[ -d "$KERNEL" ] || die "no kernel tree: KERNEL=$KERNEL is not a directory"
	realpath "$KERNEL"
}

make_var() { sed -n "s/^$2 = *//p" "$1/Makefile" | head -n 1; }

# What can be seen at once; done on every call
check_base()
{
	local dir=$1 version file

	for file in Makefile Kbuild MAINTAINERS; do
		[ -f "$dir/$file" ] || die "not a kernel tree: $dir has no $file"
	done
	version=$(make_var "$dir" VERSION).$(make_var "$dir" PATCHLEVEL)
	[ "$version" = 6.12 ] || die "wrong kernel version: $dir is $version, need 6.12"
	for file in .config include/config; do
		[ ! -e "$dir/$file" ] || die "tree is not clean: $dir/$file exists"
	done
	for file in "$dir"/arch/*/include/generated; do
		[ ! -e "$file" ] || die "tree is not clean: $file exists"
	done
	[ ! -e "$dir/drivers/dma-buf/heaps/heap_buffer.c" ] ||
		die "tree is not pristine: $dir already carries our heaps"
	for file in dma-heap.c heaps/system_heap.c heaps/Kconfig heaps/Makefile; do
		[ -f "$dir/drivers/dma-buf/$file" ] ||
			die "tree is not pristine: $dir has no drivers/dma-buf/$file"
	done
}

# What takes a walk over the tree; done before it is copied
check_base_deep()
{
	local dir=$1 file

	file=$(find "$dir" -name .git -prune -o \( -name '*.o' -o -name '*.ko' \
		-o -name '*.cmd' -o -name '*.rej' \) -type f -print -quit)
	[ -z "$file" ] || die "tree is not clean: $file exists"
	[ -e "$dir/.git" ] || return 0
	file=$(git -c safe.directory='*' -C "$dir" --no-optional-locks \
		status --porcelain | sed -n 1p)
	[ -z "$file" ] || die "tree is not clean: git status of $dir says '$file'"
}

# stock_tree BASE: links to the base, in which only the directory of the heaps is
# our own, with the stock files and the importer that the benchmark measures with
stock_tree()
{
	local base=$1 tree=$ROOT/build/stock dir file
	local heaps=drivers/dma-buf/heaps

	for dir in . drivers drivers/dma-buf $heaps; do
		# What was a link to all of it is to be a directory now
		[ ! -L "$tree/$dir" ] || rm "$tree/$dir"
		mkdir -p "$tree/$dir"
		for file in "$base/$dir"/*; do
			case $dir/${file##*/} in
			./drivers | drivers/dma-buf | "$heaps") continue ;;
			"$heaps/Kconfig" | "$heaps/Makefile") continue ;;
			esac
			ln -sfn "$file" "$tree/$dir/${file##*/}"
		done
	done
	ln -sfn "$ROOT/$heaps/tests" "$tree/$heaps/tests"
	{
		cat "$base/$heaps/Kconfig"
		echo
		awk '/^config/ { on = $2 == "DMABUF_HEAPS_TEST_IMPORTER" } on' $heaps/Kconfig
	} >"$tree.Kconfig"
	{
		cat "$base/$heaps/Makefile"
		grep TEST_IMPORTER $heaps/Makefile
	} >"$tree.Makefile"
	for file in Kconfig Makefile; do
		if cmp -s "$tree.$file" "$tree/$heaps/$file"; then
			rm "$tree.$file"
		else
			mv "$tree.$file" "$tree/$heaps/$file"
		fi
	done
	echo "$tree"
}

# Which tree build/linux was copied from
base_identity()
{
	local head=

	[ ! -e "$1/.git" ] || head=$(git -c safe.directory='*' -C "$1" rev-parse HEAD)
	echo "$1 $(stat -c '%i %s %Y' "$1/Makefile") $head"
}

our_files()
{
	local file

	# shellcheck disable=SC2086
	git -c safe.directory='*' ls-files -co --exclude-standard -- $OURS ':!*.png' |
	while read -r file; do
		[ ! -f "$file" ] || echo "$file"
	done
}

# Our MAINTAINERS holds one entry; it takes the place of the stock one
splice_maintainers()
{
	awk -v title="$(head -n 1 "$ROOT/MAINTAINERS")" -v new="$ROOT/MAINTAINERS" '
		$0 == title {
			while ((getline line < new) > 0)
				print line
			skip = found = 1
		}
		/^$/ { skip = 0 }
		!skip
		END { exit !found }' "$1"
}

patched_files() { sed -n 's,^\(---\|+++\) [ab]/\([^\t]*\).*,\2,p' "$1" | sort -u; }

# stage BASE DIR: every file in which build/linux differs from the base goes to
# DIR, with DIR.manifest listing "A path" for these and "D path" for deleted ones
stage()
{
	local base=$1 dir=$2 file patch

	rm -rf "$dir" "$dir.manifest"
	mkdir -p "$dir"
	for patch in patches/*.patch; do
		[ -e "$patch" ] || continue
		for file in $(patched_files "$patch"); do
			[ ! -e "$dir/$file" ] || continue
			[ -e "$base/$file" ] || continue
			mkdir -p "$dir/$(dirname "$file")"
			cp --preserve=mode "$base/$file" "$dir/$file"
		done
		patch -p1 -s -f -F0 --no-backup-if-mismatch -r - -d "$dir" \
			-i "$ROOT/$patch" >"$dir.log" 2>&1 ||
			die "$patch does not apply to $base: $(head -n 1 "$dir.log")"
	done
	rm -f "$dir.log"
	our_files >"$dir.files"
	tar -cf - -T "$dir.files" | tar -C "$dir" -xf - -m --no-same-owner
	if [ -f MAINTAINERS ]; then
		splice_maintainers "$base/MAINTAINERS" >"$dir/MAINTAINERS" ||
			die "no entry '$(head -n 1 MAINTAINERS)' in $base/MAINTAINERS"
	fi
	rm -f "$dir.files"
	{
		(cd "$dir" && find . -type f -printf 'A %P\n')
		(cd "$base" && find drivers/dma-buf/dma-heap.c drivers/dma-buf/heaps \
			-type f -printf 'D %p\n') |
		while read -r _ file; do
			[ -e "$dir/$file" ] || echo "D $file"
		done
	} | sort >"$dir.manifest"
}

# A copy made under another name, so that nothing half made stays
copy_base()
{
	say tree "copying $1 to build/linux"
	rm -rf "$TREE.tmp" "$TREE.old"
	cp -a --reflink=auto "$1/." "$TREE.tmp"
	rm -rf "$TREE.tmp/.git" "$MANIFEST" "$BASE_STAMP" "$STATE"
	chmod -R u+w "$TREE.tmp"
	[ ! -e "$TREE" ] || mv "$TREE" "$TREE.old"
	mv "$TREE.tmp" "$TREE"
	# Objects of another base could look newer than this one's sources
	rm -rf "$TREE.old" "$OUT"
	mkdir -p "$OUT"
	echo "$2" >"$BASE_STAMP"
}

note() { changed=$((changed + 1)); [ "$V" = 0 ] || echo "  $1"; }

put()
{
	! cmp -s "$1/$2" "$TREE/$2" || return 0
	mkdir -p "$(dirname "$TREE/$2")"
	cp --remove-destination --preserve=mode "$1/$2" "$TREE/$2"
	note "$2"
}

drop()
{
	[ -e "$TREE/$1" ] || return 0
	rm "$TREE/$1"
	rmdir -p --ignore-fail-on-non-empty "$(dirname "$TREE/$1")"
	note "$1 (deleted)"
}

names() { sed 's/^[AD] //' "$1" | sort -u; }

# apply BASE STAGE: bring build/linux to the staged state, touching what differs
apply()
{
	local base=$1 dir=$2 how file changed=0

	touch "$MANIFEST"
	names "$MANIFEST" >"$MANIFEST.old"
	names "$dir.manifest" >"$MANIFEST.new"
	# If this is cut short, the next run must still know all we may have put there
	cat "$dir.manifest" >>"$MANIFEST"
	while read -r file; do
		if [ -e "$base/$file" ]; then
			put "$base" "$file"
		else
			drop "$file"
		fi
	done < <(comm -23 "$MANIFEST.old" "$MANIFEST.new")
	while read -r how file; do
		case $how in
		A) put "$dir" "$file" ;;
		D) drop "$file" ;;
		esac
	done <"$dir.manifest"
	cp "$dir.manifest" "$MANIFEST"
	rm "$MANIFEST.old" "$MANIFEST.new"
	say tree "build/linux: $(wc -l <"$MANIFEST") files differ from the base," \
		"$changed refreshed"
}

# A file that is written to gets another ctime, which cannot be set
# A file that is missing is a line, too.
stat_files() { { xargs -d '\n' stat -c '%n %i %s %A %.Z' 2>&1 || :; } | sort; }

# What of this repo decides how build/linux has to be
sources_state()
{
	{
		our_files
		printf '%s\n' scripts/tree.sh scripts/lib.sh MAINTAINERS patches/*.patch
	} | stat_files
}

# tree_state BASE: the files of build/linux that are not the base's, and these there
tree_state()
{
	local files

	files=$(names "$MANIFEST")
	{
		sed "s,^,$1/," <<<"$files"
		sed "s,^,$TREE/," <<<"$files"
		find "$1/drivers/dma-buf/heaps" -type f
	} | stat_files
}

# refresh BASE: make build/linux what it has to be. When each file that matters is the
# one of the last time, nothing is staged and compared.
refresh()
{
	local base=$1 identity have sources

	identity=$(base_identity "$base")
	have=$(cat "$BASE_STAMP" 2>/dev/null || :)
	[ -d "$TREE" ] || have=none
	sources=$(sources_state)
	if [ "$identity" = "$have" ] && [ -e "$STATE" ] &&
		{ echo "$sources"; tree_state "$base"; } | cmp -s - "$STATE"; then
		say tree "build/linux: $(wc -l <"$MANIFEST") files differ from the base," \
			"as they did"
		return
	fi
	rm -f "$STATE"
	[ "$identity" = "$have" ] || check_base_deep "$base"
	stage "$base" "$ROOT/build/stage"
	[ "$identity" = "$have" ] || copy_base "$base" "$identity"
	apply "$base" "$ROOT/build/stage"
	# A source that was written to meanwhile differs from this the next time
	{ echo "$sources"; tree_state "$base"; } >"$STATE"
}

base=$(base_dir) || exit 2
check_base "$base"
case ${1:-} in
--base)
	echo "$base"
	;;
--stock)
	stock_tree "$base"
	;;
--stage)
	stage "$base" "$(realpath -m "${2:?tree.sh: --stage needs a directory}")"
	;;
'')
	exec 9>"$ROOT/build/.tree.lock"
	flock 9
	refresh "$base"
	;;
*)
	die "unknown argument $1"
	;;
esac
