# SPDX-License-Identifier: GPL-2.0
# DMA-BUF heaps: build and test them in a kernel tree. Each target is one script.

V ?= 0
KERNEL ?=
T ?=
PART ?=
TEST ?=
TIMES ?= 5
M ?=
COVER ?= y cma kexec pool reclaim swiotlb smmu passthrough restricted m kunit-arm64 board-spared board-autoload \
	board-unloaded x86
SEED ?=
BOARD ?=
LONG ?=
WORKERS ?=
DEMO ?=
TIME ?=
INPUT ?=
JOBS ?= $(shell nproc)
MEM ?= 2G
CPUS ?= 2
QUICK ?= 0
export V KERNEL TEST SEED LONG DEMO TIME INPUT JOBS MEM CPUS QUICK

INVENTORY := scripts/check.inventory
# What the inventory of tests says that these run
parts_of = $(shell sed -n 's/^make $(1): //p' $(INVENTORY))
PARTS := $(call parts_of,check)
MORE := $(call parts_of,check-all)
BOARDS := $(filter board-%,$(PARTS))
X86 := $(filter x86%,$(PARTS))
DEBUG := $(filter debug%,$(PARTS) $(MORE))

help:
	@echo 'Targets'
	@echo '  demo        boot our kernel, capture camera frames into heap buffers, show the table'
	@echo '  check       the tests; ends with N passed, N failed, N skipped'
	@echo '  check-all   with those that take longer'
	@echo '  check-stress PART="p ..." TIMES=n: parts again and again beside a busy CPU'
	@echo '  mutants     the code broken on purpose, in each of the ways of scripts/mutants.list: is it'
	@echo '              found? M="glob ...": some of them'
	@echo '  coverage    which lines and branches of ours the parts COVER="..." run, and why they do not run'
	@echo '              the others: a table, and pages in build/coverage/html'
	@echo '  fuzz        heaps under a coverage-guided fuzzer; TIME=seconds: for so long; INPUT=file:'
	@echo '              run the inputs in that file again and again, to reproduce a finding'
	@echo '  inventory   PART="p ...": take what is in build/results as what these parts have to have'
	@echo '  check-y     selftests in a kernel with heaps built in'
	@echo '  check-m     selftests with heaps as modules'
	@echo '  check-n     the kernel builds without heaps'
	@echo '  check-debug selftests under KASAN, lockdep, kmemleak, DMA debugging and more'
	@echo '  check-cma   selftests of heaps on CMA areas and on carveouts of a device tree'
	@echo '  check-kexec  a kernel that boots the next one, while it has buffers'
	@echo '  check-boards  one kernel with heaps as modules, boards that need them and do not'
	@echo '  check-pool  selftests of the pool in a machine with two nodes and 5 GiB of memory'
	@echo '  check-reclaim  selftests of the pool beside a disk that is read, and swap'
	@echo '  check-swiotlb  selftests of caches where the kernel gives every device copies'
	@echo '  check-smmu, check-passthrough, check-restricted  a device that moves bytes: behind an'
	@echo '              IOMMU, one that is passed through, and with copies in a region of its own'
	@echo '  check-arm, check-riscv  selftests of mappings on these machines'
	@echo '  check-x86   selftests of mappings and devices with an IOMMU, that translates or not'
	@echo '  check-16k   selftests on arm64 with pages of 16 KiB'
	@echo '  check-compat  all selftests, built for 32 bits, on arm64'
	@echo '  randconfig  TIMES=n: the driver compiled with random options, n times; SEED=n: from that seed on'
	@echo '  tools       the tool dmaheap and the library tested on this machine, without a kernel'
	@echo '  kunit       KUnit suites, on User Mode Linux and on arm64 (kunit-uml, kunit-arm64)'
	@echo '  kunit-kcsan the same under the data race detector; check-kcsan: selftests under it'
	@echo '  selftest    T=name: one selftest program alone, without T: list them; TEST=name: one test of'
	@echo '              it; PART=part: in the machine of that part, else in one where little is skipped'
	@echo '  soak        TIME=seconds: a mixed load on all heaps at once, then nothing of it may be left;'
	@echo '              SEED=n: the load of that run; WORKERS="name ...": these parts of it'
	@echo '  bench       stock heaps and ours, measured and compared; QUICK=1: the short version'
	@echo '  lint        checkpatch, sparse, warnings of gcc and clang, kernel-doc, bindings, include rules'
	@echo '  hwkit       BOARD=dir: pack selftests, tools and the test importer for a board of arm64 whose'
	@echo '              kernel was built in that directory; check-versal runs it on QEMU'"'"'s Versal board'
	@echo '  series      write the patches for git am, prove that they equal build/linux'
	@echo '  shell       a guest with a shell, dmaheap, /selftests, /bench/dmaheap-bench'
	@echo '  picture     draw the picture of dmaheap top in the README anew, of a run in the guest'
	@echo '  tree        build/linux: pristine 6.12.y with our files over it'
	@echo '  build       the guest kernel and the selftests'
	@echo '  menuconfig  look at or change the configuration of the guest kernel'
	@echo '  clean       remove what was built; mrproper: the kernel trees too'
	@echo
	@echo 'Variables (now)'
	@echo '  KERNEL=$(KERNEL)	a pristine 6.12.y tree, read only; empty: linux-source-6.12 of Debian'
	@echo '  V=$(V)		1: show the output of all tools'
	@echo '  T=$(T) TEST=$(TEST)	selftest program to run, and one test of it'
	@echo '  PART=$(PART) TIMES=$(TIMES)	parts of the check, and how often'
	@echo '  SEED=$(SEED)		of the sequences of the model of caches and of the soak; empty: a new one in'
	@echo '		every run'
	@echo '  LONG=$(LONG)		1: let it run for minutes, if it can (dmabuf-heap-pool, -account)'
	@echo '  DEMO=$(DEMO)		options of the demo: -h heap, -s WIDTHxHEIGHT, -n frames, -b buffers'
	@echo '  TIME=$(TIME) INPUT=$(INPUT)	of fuzz and soak: seconds (150, 600); of fuzz: a file with inputs'
	@echo '  JOBS=$(JOBS)	parallel jobs of a build'
	@echo '  MEM=$(MEM) CPUS=$(CPUS)	of the guest'

# $(call ready,NAME...): the packages of these targets and parts, and build/linux
ready = @scripts/deps.sh $(1) && scripts/tree.sh
# $(call parts,PART...): with all they need
parts = $(call ready,$(1:series=series-build)) && scripts/check.sh $(1)

tree:
	$(call ready,tree)

build:
	$(call ready,y)
	@scripts/selftests.sh
	@scripts/kbuild.sh y

demo:
	$(call ready,demo)
	@scripts/demo.sh

check:
	$(call parts,$(PARTS))

check-all:
	$(call parts,$(PARTS) $(MORE))

CHECKS := check-y check-m check-n check-cma check-kexec check-pool check-reclaim check-swiotlb check-smmu \
	check-passthrough check-restricted check-arm check-riscv \
	check-demo check-kcsan check-versal check-compat check-16k
$(CHECKS): check-%:
	$(call parts,$*)

check-debug:
	$(call parts,$(DEBUG))

check-x86:
	$(call parts,$(X86))

randconfig:
	$(call ready,randconfig)
	@scripts/randconfig.sh $(TIMES)

check-stress:
	$(call ready,$(patsubst series,series-build,$(or $(PART),$(PARTS))))
	@scripts/stress.sh $(TIMES) $(or $(PART),$(PARTS))

mutants:
	$(call ready,kunit-uml m cma)
	@scripts/mutants.py $(M)

coverage:
	$(call ready,coverage $(COVER))
	@COVERAGE=1 scripts/check.sh $(COVER); ran=$$?; scripts/coverage.py $(COVER) && exit $$ran

inventory:
	@scripts/report --inventory $(INVENTORY) --update $(patsubst %,build/results/%.ktap,$(or $(PART),$(PARTS)))

fuzz:
	$(call ready,fuzz)
	@scripts/fuzz.sh

check-boards:
	$(call parts,$(BOARDS))

kunit:
	$(call parts,kunit-uml kunit-arm64)

kunit-uml kunit-arm64 kunit-kcsan lint arches:
	$(call parts,$@)

# No kernel, so no tree
tools harness deps:
	@scripts/deps.sh $@ && scripts/check.sh $@

hwkit:
	$(call ready,hwkit)
	@scripts/hwkit.sh "$(BOARD)"

series:
	$(call ready,series)
	@scripts/series.py

selftest:
	$(call ready,$(or $(PART),y))
	@scripts/selftest.sh "$(T)" $(PART)

# On a busy machine, the end of a soak takes minutes
soak:
	$(call ready,soak)
	@TIME=$(or $(TIME),600) WORKERS="$(WORKERS)" STEP_LIMIT=$$(($(or $(TIME),600) * 2 + 1800)) \
		scripts/selftest.sh dmabuf-heap-soak soak

bench:
	$(call ready,bench)
	@scripts/bench.sh

picture:
	$(call ready,picture)
	@scripts/picture.sh

shell: build
	@scripts/bench.sh tool
	@scripts/guest.sh shell y shell

menuconfig:
	$(call ready,menuconfig)
	@scripts/menuconfig.sh

clean:
	rm -rf build/out build/log build/results build/stage build/stage.manifest build/stock build/bindings build/demo build/bench build/series build/coverage

mrproper:
	rm -rf build

.PHONY: help tree build demo check check-all $(CHECKS) check-debug check-x86 check-boards randconfig check-stress mutants coverage fuzz inventory \
	kunit kunit-uml kunit-arm64 kunit-kcsan lint tools harness deps series selftest soak bench picture shell menuconfig hwkit arches \
	clean mrproper
