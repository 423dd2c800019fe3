#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Check our device tree bindings as the kernel does, and that nodes they must not
# allow are found. Prints what is wrong, and nothing else.
. "$(dirname "$0")/lib.sh"

scripts/dt-schema.sh >&2

DTSCHEMA=$ROOT/build/dt-schema
BINDINGS=Documentation/devicetree/bindings
FARM=$ROOT/build/bindings
DIR=$OUT/lint-bindings

# The packages may be for another release of Debian, whose Python warned less
export PATH=$DTSCHEMA/usr/bin:$PATH PYTHONWARNINGS=ignore
export PYTHONPATH=$DTSCHEMA/usr/lib/python3/dist-packages

# Our bindings, without the directory
ours()
{
	git -c safe.directory='*' ls-files -co --exclude-standard -- "$BINDINGS/*.yaml" |
		sed "s,^$BINDINGS/,,"
}

# farm BINDING...: a kernel tree that has no other bindings but the common ones, so
# that making one schema of all takes no time and all that is said is about ours
farm()
{
	local file

	rm -rf "$FARM"
	mkdir -p "$FARM"
	ln -s "$TREE"/* "$FARM"
	rm "$FARM/Documentation"
	mkdir -p "$FARM/$BINDINGS"
	ln -s "$TREE/$BINDINGS/Makefile" "$TREE/$BINDINGS/.yamllint" "$FARM/$BINDINGS"
	cp -R "$DTSCHEMA/schemas/." "$FARM/$BINDINGS"
	for file; do
		mkdir -p "$(dirname "$FARM/$BINDINGS/$file")"
		cp "$TREE/$BINDINGS/$file" "$FARM/$BINDINGS/$file"
	done
}

# The kernel's make does not fail, and what was found once is not said again
kernel_check()
{
	local version file files

	version=$(dt-doc-validate --version)
	files=$(printf ':%s' "$@")
	rm -rf "${DIR:?}/$BINDINGS"
	TREE=$FARM kmake "$DIR" -s W=1 dt_binding_check "DT_SCHEMA_MIN_VERSION=$version" \
		"DT_SCHEMA_FILES=${files#:}" DT_CHECKER_FLAGS=-m
	for file in .dt-binding.checked .yamllint.checked "${@/%.yaml/.example.dtb}"; do
		[ -e "$DIR/$BINDINGS/$file" ] || echo "not checked: $file"
	done
}

# What a carveout has, and what must be said of it
bad_carveouts()
{
	local reg="reg = <0x90000000 0x100000>;"

	cat <<-EOF
	alignment = <0x1000>; | 'oneOf' conditional failed
	reg = <0x90000000 0x100000>, <0xa0000000 0x100000>; | reg: .* is too long
	$reg heap-cached; | Unevaluated properties are not allowed ('heap-cached'
	$reg reusable; | reusable: False schema does not allow
	$reg no-map; | 'anyOf' conditional failed
	$reg no-map; heap-fallback = "system"; | 'anyOf' conditional failed
	$reg no-map; heap-protected; heap-fallback = "system"; | heap-fallback: False schema does not allow
	$reg heap-protected; | 'no-map' is a required property
	$reg heap-uncached = <1>; | heap-uncached: .* is not of type 'boolean'
	$reg heap-protected = "yes"; | heap-protected: .* is not of type 'boolean'
	$reg heap-name; | heap-name: .* is not of type
	$reg heap-name = <1>; | heap-name: .* is too long
	$reg heap-name = "a", "b"; | heap-name: .* is too long
	$reg heap-name = "a/b"; | heap-name:0: .* does not match
	$reg heap-name = ""; | heap-name:0: .* does not match
	$reg heap-fallback = <1>; | heap-fallback: .* is too long
	$reg heap-fallback = "/reserved-memory/b"; | heap-fallback:0: .* does not match
	$reg heap-alignment = "4096"; | heap-alignment: .* is not of type
	$reg heap-alignment = <0x1000 0x1000>; | heap-alignment:0: .* is too long
	$reg heap-alignment = <0x800>; | heap-alignment:0:0: 2048 is not one of
	$reg heap-alignment = <0x3000>; | heap-alignment:0:0: 12288 is not one of
	EOF
}

bad_tree()
{
	local properties number=0

	echo '/dts-v1/; / { #address-cells = <1>; #size-cells = <1>;'
	echo 'reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;'
	while IFS='|' read -r properties _; do
		number=$((number + 1))
		echo "bad-$number { compatible = \"dma-heap-carveout\"; $properties };"
	done < <(bad_carveouts)
	echo '}; };'
}

# Each must be found, and for its own reason
counter_examples()
{
	local properties reason number=0

	bad_tree >"$DIR/bad.dts"
	"$DIR/scripts/dtc/dtc" -q -o "$DIR/bad.dtb" "$DIR/bad.dts"
	dt-validate -u "$FARM/$BINDINGS" -p "$DIR/$BINDINGS/processed-schema.json" \
		"$DIR/bad.dtb" >"$DIR/bad.log" 2>&1 || :
	while IFS='|' read -r properties reason; do
		number=$((number + 1))
		grep -q ": bad-$number: ${reason# }" "$DIR/bad.log" ||
			echo "nothing says '${reason# }' of $properties"
	done < <(bad_carveouts)
}

mkdir -p "$DIR"
mapfile -t files < <(ours)
{
	farm "${files[@]}"
	kernel_check "${files[@]}"
	counter_examples
} 2>&1 | (! grep .)
