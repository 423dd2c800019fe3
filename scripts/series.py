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

A step that has been built is not built again as long as all that decides the result
is the same, see step_key(). FRESH=1 builds all.
"""

import fnmatch
import filecmp
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TREE = f"{ROOT}/build/linux"
DIR = f"{ROOT}/build/series"
STAGE, WORK, FARM, OUT = (f"{DIR}.{x}" for x in ("stage", "git", "farm", "out"))
HEAPS = "drivers/dma-buf/heaps"
DERIVED = [f"{HEAPS}/Kconfig", f"{HEAPS}/Makefile"]
# All code there is of the series, or is compiled with it
OWN = ("drivers/dma-buf/", "samples/dma-buf/")
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


def content(entry):
    """What diff would compare, and may a file be run"""
    if entry is None:
        return None
    if entry.is_symlink():
        return b"l" + os.readlink(entry.path).encode()
    with open(entry.path, "rb") as file:
        return (b"x" if entry.stat().st_mode & 0o100 else b"-") + file.read()


def compare(base, where, digest, differs):
    """Add everything in a directory of the base to digest, and to differs what is not
    the same in build/linux"""
    one, two = ({e.name: e for e in os.scandir(f"{top}/{where}")}
                if os.path.isdir(f"{top}/{where}") else {} for top in (base, TREE))
    for name in sorted(one.keys() | two.keys()):
        path = f"{where}{name}"
        if path == ".git":
            continue
        mine, theirs = one.get(name), two.get(name)
        is_dir = [e is not None and e.is_dir(follow_symlinks=False) for e in (mine, theirs)]
        if is_dir[0]:
            compare(base, f"{path}/", digest, differs)
        if any(is_dir):
            if not all(is_dir):
                differs.add(path)
            continue
        mine, theirs = content(mine), content(theirs)
        if mine != theirs:
            differs.add(path)
        if mine is not None:
            digest.update(f"{path}\0{len(mine)}\0".encode() + mine)


def prove(base, files):
    """Apply what was written to the base, as a user would, and compare.

    Returns a hash of all files of the base."""
    patches = sorted(glob.glob(f"{DIR}/*.patch"))
    git("checkout", "-q", "-b", "applied", "base")
    git("am", "-q", *patches)
    same(WORK, TREE, files)
    digest, differs = hashlib.sha256(), set()
    compare(base, "", digest, differs)
    for path in differs:
        if not any(p == path or p.startswith(path + "/") for p in files):
            die(f"build/linux differs from the base in {path}, which no patch has")
    print(f"series: {len(patches)} patches in build/series give build/linux, "
          f"{len(files)} files", flush=True)
    return digest.hexdigest()


def memory():
    """Where results are kept: beside the compiled objects, for the next clone, too"""
    if shutil.which("ccache"):
        place = run("ccache", "--get-config", "cache_dir").strip() + "/dmabuf-heaps-series"
        try:
            os.makedirs(place, exist_ok=True)
        except OSError:
            pass
        if os.access(place, os.W_OK):
            return place
    os.makedirs(f"{DIR}.built", exist_ok=True)
    return f"{DIR}.built"


def remembered(key):
    """What was written of a good result; None if there is none, or with FRESH=1"""
    if os.environ.get("FRESH", "0") not in ("", "0") or not os.path.exists(key):
        return None
    os.utime(key)
    return read(key).strip()


def forget(place):
    """Remove results that nobody has used for two months"""
    for entry in os.scandir(place):
        if entry.stat().st_mtime < time.time() - 60 * 86400:
            os.remove(entry.path)


def hash_of(*parts):
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def check_style(base):
    """checkpatch has nothing to say of any patch; one that is as it was when that was
    found is not read again"""
    rules = [read(f"{base}/scripts/{name}")
             for name in ("checkpatch.pl", "spelling.txt", "const_structs.checkpatch")]
    place, known = memory(), 0
    patches = sorted(glob.glob(f"{DIR}/*.patch"))
    for patch in patches:
        text = re.sub(r"(?m)^Date: .*\n", "", read(patch), count=1)
        key = f"{place}/{hash_of(read(os.path.abspath(__file__)), *rules, text)}"
        if remembered(key) is not None:
            known += 1
            continue
        out = run("perl", f"{base}/scripts/checkpatch.pl", "--no-tree", "--strict",
                  "--terse", f"--ignore={IGNORE}", patch, check=False)
        if "0 errors, 0 warnings, 0 checks" not in out and out.strip():
            die(f"checkpatch:\n{out}")
        write(key, "clean\n")
    print(f"series: checkpatch has nothing to say of {len(patches)} patches, "
          f"{known} of which are as they were then", flush=True)


def is_code(path):
    """Is it part of a kernel?"""
    return not re.match("Documentation/|tools/|MAINTAINERS$|samples/dma-buf/client.c$", path)


def changed_code(commit):
    return [p for p in git("diff", "--name-only", f"{commit}~", commit).split()
            if is_code(p)]


def code_at(commit):
    """[(path, mode and hash)] of the code that the series touches, after a commit"""
    lines = (line.split("\t") for line in git("ls-tree", "-r", commit).splitlines())
    return [(path, what) for what, path in lines if is_code(path)]


def environment():
    """Of a build. Nothing else of the caller's environment gets there. ccache has the
    same settings as in lib.sh: another clone has the same objects."""
    env = {name: value for name, value in os.environ.items()
           if name in ("PATH", "HOME", "TMPDIR") or name.startswith("CCACHE_")}
    env.update(LC_ALL="C", ARCH="arm64", CCACHE_DEPEND="1", CCACHE_BASEDIR=ROOT)
    return env


def compilers():
    """(assignments for make, text that tells which compilers and tools these are)"""
    ccache = "ccache " if shutil.which("ccache") else ""
    cross = "aarch64-linux-gnu-"
    about = ""
    for tool in (f"{cross}gcc -v", f"{cross}as --version", f"{cross}ld --version",
                 "gcc -v", "make --version", "bison --version", "flex --version"):
        done = subprocess.run(tool.split(), text=True, capture_output=True, check=False,
                              env=environment())
        about += done.stdout + done.stderr
    return [f"CROSS_COMPILE={ccache}{cross}", f"HOSTCC={ccache}gcc"], about


def step_config(state):
    """Options with heaps, their tests and what the series changes elsewhere in state"""
    config = read(f"{ROOT}/guest/config/base.config")
    # The stock CMA heap is no module
    cma = state if "tristate \"CMA" in read(f"{WORK}/{DERIVED[0]}") else "y"
    config = re.sub(r"(CONFIG_DMABUF_HEAPS_SYSTEM)=y", rf"\1={state}", config)
    return config + (
        f"CONFIG_KUNIT={state}\nCONFIG_DMABUF_HEAPS_KUNIT_TEST={state}\n"
        "CONFIG_DMA_CMA=y\nCONFIG_CMA=y\nCONFIG_DRM_VKMS=m\nCONFIG_MEMORY_FAILURE=y\n"
        f"CONFIG_DMABUF_HEAPS_CMA={cma}\n"
        f"CONFIG_DMABUF_HEAPS_CARVEOUT={state}\n"
        f"CONFIG_DMABUF_HEAPS_SRAM={state}\n"
        f"CONFIG_DMABUF_HEAPS_TEST_IMPORTER={state}\n"
        f"CONFIG_DMABUF_HEAPS_TEST_PROTECTOR={state}\n"
        "CONFIG_DMADEVICES=y\nCONFIG_XILINX_ZYNQMP_DMA=y\n"
        f"CONFIG_SAMPLES=y\nCONFIG_SAMPLE_DMABUF_HEAP={state}\n"
        "CONFIG_MEDIA_SUPPORT=y\nCONFIG_MEDIA_SUPPORT_FILTER=y\n"
        "CONFIG_MEDIA_TEST_SUPPORT=y\nCONFIG_V4L_TEST_DRIVERS=y\n"
        "CONFIG_FB=y\nCONFIG_VIDEO_VIVID=m\n")


def step_targets(commit):
    """Our directories, and the files of others that the series has changed by then"""
    changed = [p for p in git("diff", "--name-only", "base", commit).split() if is_code(p)]
    targets = ["drivers/dma-buf/"]
    if any(p.startswith("samples/") for p in changed):
        targets.append("samples/")
    return targets + [p[:-2] + ".o" for p in changed
                      if p.endswith(".c") and not p.startswith(OWN)]


def step_key(identity, commit, config, targets, about):
    """All that decides whether a step builds: this script, the files of the base, those
    the series touches as they are after the step, options, targets, the compilers"""
    parts = [read(os.path.abspath(__file__)), identity, repr(code_at(commit)), config,
             repr(targets), about]
    return hash_of(*parts)


def make_farm(base, files):
    """A tree of links to the base, in which directories that the series touches are
    its own"""
    own = {""}
    for path in filter(is_code, files):
        while path:
            path = os.path.dirname(path)
            own.add(path)
    for path in sorted(own):
        os.makedirs(f"{FARM}/{path}", exist_ok=True)
        if not os.path.isdir(f"{base}/{path}"):
            continue
        for name in os.listdir(f"{base}/{path}"):
            if os.path.join(path, name) not in own and name != ".git":
                os.symlink(f"{base}/{path}/{name}", f"{FARM}/{path}/{name}")


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


def objects():
    """{object: when it was made} of the kernel, without those of its tools"""
    found = {}
    for where, _, names in os.walk(OUT):
        path = os.path.relpath(where, OUT) + "/"
        if not path.startswith(("scripts/", "arch/")):
            found.update({path + n: os.stat(f"{where}/{n}").st_mtime_ns
                          for n in names if n.endswith(".o")})
    return found


def build_step(files, commit, config, targets, assignments):
    """Build the state after a commit; returns how many objects were made for that"""
    git("checkout", "-q", commit)
    for path in filter(is_code, files):
        renew(f"{WORK}/{path}", f"{FARM}/{path}")
    make = ["make", "-s", f"-j{os.environ.get('JOBS') or os.cpu_count()}", "-C", FARM,
            f"O={OUT}", *assignments]
    env = environment()
    # The options, and the files that say what these are
    wanted = config + repr([c for c in code_at(commit) if "Kconfig" in c[0]])
    if not os.path.exists(f"{OUT}.config.done") or read(f"{OUT}.config.done") != wanted:
        write(f"{OUT}.config", config)
        run(*make, "allnoconfig", env=dict(env, KCONFIG_ALLCONFIG=f"{OUT}.config"))
        write(f"{OUT}.config.done", wanted)
    before = objects()
    run(*make, "W=1", "KCFLAGS=-Werror", *targets, env=env)
    after = objects()
    for path in targets:
        if path.endswith(".o") and path not in after:
            die(f"{path} was not built")
    return sum(before.get(o) != made for o, made in after.items())


def drop_objects():
    """Objects of our directories that are there from now on are of the new state"""
    for path in objects():
        if path.startswith(OWN):
            os.remove(f"{OUT}/{path}")


def check_complete(commit, state):
    """Was each file with code in our directories compiled?"""
    sources = [p for p, _ in code_at(commit)
               if p.endswith(".c") and p.startswith(OWN)]
    for path in sources:
        if not os.path.exists(f"{OUT}/{path[:-2]}.o"):
            die(f"no step has built {path} ({state})")


def tell(number, commits, commit, what):
    subject = git("log", "-1", "--format=%s", commit).strip()
    print(f"series: {number}/{len(commits)} {what}: {subject}", flush=True)


def build(base, files, identity):
    """Build what the series touches after every commit that can matter"""
    assignments, about = compilers()
    place = memory()
    for path in (FARM, OUT):
        shutil.rmtree(path, ignore_errors=True)
    for path in (f"{OUT}.config", f"{OUT}.config.done"):
        if os.path.exists(path):
            os.remove(path)
    commits = git("rev-list", "--reverse", "base..applied").split()
    code = [c for c in commits if changed_code(c)]
    last = code[-1]
    count = {"built": 0, "as before": 0}
    for number, commit in enumerate(commits, 1):
        if commit not in code:
            tell(number, commits, commit, "is not built: no code")

    # Each object is built in both states within two commits. First all that are built
    # in, then all that are modules, so that few objects are made anew in between.
    work = [(c, state) for state in "ym" for i, c in enumerate(code)
            if "ym"[i % 2] == state or c == last]
    built_in = "y"
    for commit, state in work:
        number = commits.index(commit) + 1
        git("checkout", "-q", commit)
        config, targets = step_config(state), step_targets(commit)
        key = f"{place}/{step_key(identity, commit, config, targets, about)}"
        done = remembered(key)
        if done is not None:
            tell(number, commits, commit, f"is as it was ({state}), built {done}")
            count["as before"] += 1
            continue
        if not os.path.exists(FARM):
            make_farm(base, files)
        start = time.time()
        if state != built_in:
            drop_objects()
            built_in = state
        made = build_step(files, commit, config, targets, assignments)
        if commit == last:
            check_complete(commit, state)
        how = f"{made} objects, {time.time() - start:.0f} s"
        tell(number, commits, commit, f"builds ({state}), {how}")
        write(key, f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, {how}\n")
        count["built"] += 1
    git("checkout", "-q", "applied")
    forget(place)
    for path in (FARM, OUT):
        shutil.rmtree(path, ignore_errors=True)
    print(f"series: {count['built']} built, {count['as before']} as they were, "
          f"{len(commits) - len(code)} without code; results in {place}", flush=True)


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
    identity = prove(base, files)
    check_style(base)
    if sys.argv[1:] == ["--build"]:
        build(base, files, identity)


main()
