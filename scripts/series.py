#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Write build/series: the git-am-able patches that turn a pristine 6.12.y into
what `make tree` makes of it, in the order of the files in series/.

A file in series/ is a commit message, a line of dashes, and the paths that
arrive (or go) with that commit; a path patches/x.patch stands for that patch
and its own message, +patches/x.patch for a part of the commit. Each path arrives once and complete. Only Kconfig and
Makefile of the heaps grow from step to step, and are derived: an entry is ours
once its objects are, and the stock one as long as its objects are there.

  series.py             write the patches and prove that git am gives build/linux
  series.py --build     build every step with code, too, heaps built in and as modules by turns
"""

import filecmp
import fnmatch
import glob
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TREE = f"{ROOT}/build/linux"
DIR = f"{ROOT}/build/series"
STAGE, WORK, FARM, OUT = (f"{DIR}.{x}" for x in ("stage", "git", "farm", "out"))
HEAPS = "drivers/dma-buf/heaps"
DERIVED = [f"{HEAPS}/Kconfig", f"{HEAPS}/Makefile"]
# Rules of checkpatch that know only series against the whole tree
IGNORE = "FILE_PATH_CHANGES"


def die(message):
    sys.exit(f"series.py: {message}")


def run(*args, cwd=ROOT, check=True, **kwargs):
    done = subprocess.run(args, cwd=cwd, text=True, capture_output=True, **kwargs)
    if check and done.returncode:
        die(f"{' '.join(args)} failed\n{done.stdout}{done.stderr}")
    return done.stdout


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def git(*args, **kwargs):
    return run("git", "-c", "commit.gpgsign=false", "-c", "core.autocrlf=false",
               *args, cwd=WORK, **kwargs)


def steps():
    """Yield (message, paths, patch or None) for each commit"""
    for name in sorted(glob.glob(f"{ROOT}/series/[0-9]*")):
        message, _, paths = read(name).partition("\n---\n")
        if not paths:
            die(f"{name} has no line of dashes")
        paths = paths.split()
        for patch in [p for p in paths if p.startswith("patches/")]:
            message = read(f"{ROOT}/{patch}").partition("\n---\n")[0]
            yield message, [], f"{ROOT}/{patch}"
        paths = [p for p in paths if not p.startswith("patches/")]
        if paths:
            yield message, paths, None


def manifest():
    """The changed files: {path: True if it exists in the end}"""
    lines = read(f"{STAGE}.manifest").splitlines()
    return {line[2:]: line[0] == "A" for line in lines}


def makefile_lines(text, has_object):
    """The rules all whose objects are there, and the symbols they use"""
    kept, symbols = [], set()
    parts = dict(re.findall(r"(?m)^([\w-]+)-y\s*:=\s*(.*)", text))

    def there(obj):
        return all(has_object(o) for o in parts.get(obj[:-2], obj).split())

    for line in text.splitlines():
        rule = re.match(r"(obj|[\w-]+)-(\$\(CONFIG_(\w+)\)|y|m)\s*[:+]?=\s*(.*)", line)
        if rule and not all(there(o) for o in rule[4].split()):
            continue
        if rule and rule[3]:
            symbols.add(rule[3])
        kept.append(line)
    return kept, symbols


def kconfig_entries(text):
    """[(symbol or None, text)] of a Kconfig file"""
    parts = re.split(r"(?m)^(?=config )", text)
    return [(re.match(r"config (\w+)\n", p)[1] if p.startswith("config ") else None,
             p.rstrip("\n")) for p in parts if p.strip()]


def parent(entry):
    """The symbol that an option without objects of its own depends on"""
    return re.search(r"depends on (\w+)", entry)[1]


def derive(base, landed):
    """Kconfig and Makefile of the heaps as they are after the files in landed"""
    def ours(obj):
        path = f"{HEAPS}/{obj}"
        source = path[:-2] + ".c" if path.endswith(".o") else path
        return any(p.startswith(source) for p in landed)

    def stock(obj):
        return not ours(obj) and f"{HEAPS}/{obj[:-2]}.c" not in landed

    kconfig, makefile = DERIVED
    new, mine = makefile_lines(read(f"{STAGE}/{makefile}"), ours)
    old, theirs = makefile_lines(read(f"{base}/{makefile}"), stock)
    new += [line for line in old if line.startswith("obj-")]
    every = makefile_lines(read(f"{STAGE}/{makefile}"), lambda obj: True)[1]
    entries = [e for s, e in kconfig_entries(read(f"{STAGE}/{kconfig}"))
               if s is None or s in mine or s not in every and parent(e) in mine]
    entries += [e for s, e in kconfig_entries(read(f"{base}/{kconfig}"))
                if s in theirs and s not in mine]
    write(f"{WORK}/{makefile}", "\n".join(new) + "\n")
    write(f"{WORK}/{kconfig}", "\n\n".join(e.strip("\n") for e in entries)
          .replace("GPL-2.0-only\n\nconfig", "GPL-2.0-only\nconfig") + "\n")


def make_base(base, files):
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    for path in files:
        if os.path.exists(f"{base}/{path}"):
            os.makedirs(os.path.dirname(f"{WORK}/{path}"), exist_ok=True)
            shutil.copy(f"{base}/{path}", f"{WORK}/{path}")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "base")
    git("tag", "base")


def make_commits(base, files):
    left = {path for path in files if path not in DERIVED}
    left -= {p for patch in glob.glob(f"{ROOT}/patches/*.patch")
             for p in re.findall(r"(?m)^\+\+\+ b/(\S+)", read(patch))}
    landed = set()
    for message, paths, patch in steps():
        if patch:
            git("apply", "--index", patch)
        for path in paths:
            if path.startswith("+"):
                git("apply", "--index", f"{ROOT}/{path[1:]}")
                continue
            found = {p for p in left if fnmatch.fnmatch(p, path)}
            if not found:
                die(f"series/: {path} names no changed file that is left")
            left -= found
            landed |= found
            for name in found:
                if files[name]:
                    os.makedirs(os.path.dirname(f"{WORK}/{name}"), exist_ok=True)
                    shutil.copy(f"{STAGE}/{name}", f"{WORK}/{name}")
                else:
                    os.remove(f"{WORK}/{name}")
        derive(base, landed)
        git("add", "-A")
        git("commit", "-q", "-s", "-F", "-", input=message)
    if left:
        die(f"series/ names no commit for {' '.join(sorted(left))}")


def same(one, two, files):
    for path, exists in files.items():
        if exists != os.path.exists(f"{one}/{path}"):
            die(f"{path}: {'missing' if exists else 'left over'} in {one}")
        if exists and not filecmp.cmp(f"{one}/{path}", f"{two}/{path}", shallow=False):
            die(f"{path} differs between {one} and {two}")


def prove(base, files):
    """Apply what was written to the base, as a user would, and compare"""
    patches = sorted(glob.glob(f"{DIR}/*.patch"))
    git("checkout", "-q", "-b", "applied", "base")
    git("am", "-q", *patches)
    same(WORK, TREE, files)
    diff = run("diff", "-rq", "--no-dereference", base, TREE, check=False)
    differs = set()
    for line in diff.splitlines():
        one = re.match(r"Files \S+ and (\S+) differ", line)
        only = re.match(r"Only in (\S+): (.*)", line)
        path = one[1] if one else f"{only[1]}/{only[2]}"
        differs.add(re.sub(f"^({re.escape(base)}|{re.escape(TREE)})/", "", path))
    for path in differs:
        if not any(p == path or p.startswith(path + "/") for p in files):
            die(f"build/linux differs from the base in {path}, which no patch has")
    print(f"series: {len(patches)} patches in build/series give build/linux, "
          f"{len(files)} files", flush=True)


def check_style(base):
    for patch in sorted(glob.glob(f"{DIR}/*.patch")):
        out = run("perl", f"{base}/scripts/checkpatch.pl", "--no-tree", "--strict",
                  "--terse", f"--ignore={IGNORE}", patch, check=False)
        if "0 errors, 0 warnings, 0 checks" not in out and out.strip():
            die(f"checkpatch:\n{out}")


def is_built(commit):
    """Is anything in the commit part of a kernel?"""
    names = git("diff", "--name-only", f"{commit}~", commit).split()
    return not all(re.match("Documentation/|tools/|MAINTAINERS$", n) for n in names)


def renew(source, path):
    """Make path what source is, untouched if it is that already"""
    exists = os.path.exists(source)
    if exists and os.path.exists(path) and filecmp.cmp(source, path, shallow=False):
        return
    if os.path.lexists(path):
        os.remove(path)
    if exists:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy(source, path)


def build(base, files):
    """Build the directories the series touches after every commit that can matter"""
    env = dict(os.environ, ARCH="arm64",
               CROSS_COMPILE=("ccache " if shutil.which("ccache") else "")
               + "aarch64-linux-gnu-")
    for directory in (FARM, OUT):
        shutil.rmtree(directory, ignore_errors=True)
    run("cp", "-as", base, FARM)
    git("checkout", "-q", "applied")
    commits = git("rev-list", "--reverse", "base..applied").split()
    built = [c for c in commits if is_built(c)]
    for number, commit in enumerate(commits, 1):
        git("checkout", "-q", commit)
        subject = git("log", "-1", "--format=%s").strip()
        if commit not in built:
            print(f"series: {number}/{len(commits)} is not built: {subject}", flush=True)
            continue
        for path in files:
            renew(f"{WORK}/{path}", f"{FARM}/{path}")
        # By turns: each object is built in both states within two commits
        for state in "ym" if commit == built[-1] else "ym"[built.index(commit) % 2]:
            config = read(f"{ROOT}/guest/config/base.config")
            # The stock CMA heap is no module
            cma = state if "tristate \"CMA" in read(f"{WORK}/{DERIVED[0]}") else "y"
            config = re.sub(r"(CONFIG_DMABUF_HEAPS_SYSTEM)=y", rf"\1={state}", config)
            config += (f"CONFIG_KUNIT={state}\nCONFIG_DMABUF_HEAPS_KUNIT_TEST={state}\n"
                       "CONFIG_DMA_CMA=y\nCONFIG_CMA=y\nCONFIG_DRM_VKMS=m\n"
                       f"CONFIG_DMABUF_HEAPS_CMA={cma}\n"
                       f"CONFIG_DMABUF_HEAPS_CARVEOUT={state}\n"
                       f"CONFIG_DMABUF_HEAPS_TEST_PROTECTOR={state}\n"
                       f"CONFIG_SAMPLES=y\nCONFIG_SAMPLE_DMABUF_HEAP={state}\n")
            write(f"{OUT}.config", config)
            make = ["make", "-s", f"-j{os.cpu_count()}", "-C", FARM, f"O={OUT}"]
            run(*make, "allnoconfig", env=dict(env, KCONFIG_ALLCONFIG=f"{OUT}.config"))
            run(*make, "W=1", "KCFLAGS=-Werror", "drivers/dma-buf/", "drivers/of/",
                "drivers/gpu/drm/vgem/", "drivers/gpu/drm/vkms/", "kernel/dma/",
                "mm/cma.o", "samples/", env=env)
        print(f"series: {number}/{len(commits)} builds: {subject}", flush=True)
    git("checkout", "-q", "applied")
    shutil.rmtree(FARM)
    shutil.rmtree(OUT)


def check_identity(testing):
    """Patches carry the user's name; only a test may do with that of HEAD"""
    if subprocess.run(["git", "var", "GIT_AUTHOR_IDENT"], cwd=ROOT,
                      capture_output=True, check=False).returncode == 0:
        return
    if not testing:
        die("git does not know you: set user.name and user.email")
    name, email = run("git", "log", "-1", "--format=%an%n%ae").splitlines()
    for role in ("AUTHOR", "COMMITTER"):
        os.environ[f"GIT_{role}_NAME"] = name
        os.environ[f"GIT_{role}_EMAIL"] = email


def main():
    if sys.argv[1:] not in ([], ["--build"]):
        die("usage: series.py [--build]")
    check_identity(sys.argv[1:] == ["--build"])
    run(f"{ROOT}/scripts/tree.sh")
    base = run(f"{ROOT}/scripts/tree.sh", "--base").strip()
    run(f"{ROOT}/scripts/tree.sh", "--stage", STAGE)
    files = manifest()
    make_base(base, files)
    make_commits(base, files)
    same(WORK, STAGE, files)
    shutil.rmtree(DIR, ignore_errors=True)
    git("format-patch", "-q", "--zero-commit", "-o", DIR, "base")
    prove(base, files)
    check_style(base)
    if sys.argv[1:] == ["--build"]:
        build(base, files)


main()
