#!/usr/bin/env python3
"""The contract language in several builds: all must print the same bytes.

Each build runs every events file of tests/vectors (and of ../shared/vectors/rules when it is there)
against its results byte for byte, and prints the digest of the same random events as every other
build. It does so twice: with the two programs below, which need base, crypto and rules alone, and,
unless --reduced is given, with the whole command: `concordat rules run`, built by meson.

  gcc-O0 gcc-O2 clang-O0 clang-O2        as shipped and without optimisation
  gcc-asan clang-asan                    -O1 with AddressSanitizer and UBSan

Cost without a compiler cache: some 15 s of CPU a build, and a minute more for the command. The last
line says which builds agree.
"""
import argparse
import concurrent.futures
import glob
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
BUILDS = {
    "gcc-O0": ("gcc", ["-O0"]),
    "gcc-O2": ("gcc", ["-O2"]),
    "clang-O0": ("clang", ["-O0"]),
    "clang-O2": ("clang", ["-O2"]),
    "gcc-asan": ("gcc", ["-O1", *SANITIZE]),
    "clang-asan": ("clang", ["-O1", *SANITIZE]),
}
REDUCED = ["gcc-O0", "clang-O2"]  # the suites run gcc-O2 and gcc-asan anyway
FLAGS = ["-std=c17", "-D_GNU_SOURCE", "-fno-strict-aliasing", "-I" + ROOT]
# rules_vectors compares the very lines that `concordat rules run` prints: both call rules_run_line.
PROGRAMS = {
    "vectors": ["tests/vectors/rules_test.c"],
    "property": ["tests/vectors/rules_property.c", "tests/vectors/rules_random.c"],
}


def sources():
    return sorted(glob.glob(ROOT + "/base/*.c") + glob.glob(ROOT + "/rules/*.c")
                  + [ROOT + "/crypto/sha256.c", ROOT + "/crypto/openssl.c"])


def command(arguments, env=None):
    done = subprocess.run(arguments, capture_output=True, text=True, env=env)
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def build(name, folder, jobs):
    compiler, flags = BUILDS[name]
    folder = os.path.join(folder, name)
    os.mkdir(folder)
    files = sources()
    own = [os.path.join(ROOT, f) for part in PROGRAMS.values() for f in part]

    def one(source):
        target = os.path.join(folder, os.path.relpath(source, ROOT).replace("/", "_") + ".o")
        command([compiler, *FLAGS, *flags, "-c", source, "-o", target])
        return target

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        objects = dict(zip(files + own, pool.map(one, files + own)))
    programs = {}
    for program, parts in PROGRAMS.items():
        programs[program] = os.path.join(folder, program)
        command([compiler, *flags, *(objects[f] for f in files),
                 *(objects[os.path.join(ROOT, f)] for f in parts), "-o", programs[program],
                 "-lcrypto"])
    return programs


def build_command(name, folder, jobs):
    """The command as it is shipped, with the compiler and the flags of this build."""
    compiler, flags = BUILDS[name]
    path = os.path.join(folder, name + "-command")
    options = ["-Doptimization=" + flags[0][2:], "-Ddebug=false"]
    if len(flags) > 1:
        options += ["-Db_sanitize=address,undefined", "-Db_lundef=false"]
    command(["meson", "setup", path, ROOT, *options], dict(os.environ, CC=compiler))
    command(["ninja", f"-j{jobs}", "-C", path, "cli/concordat"])
    return os.path.join(path, "cli", "concordat")


def run_command(program):
    """Every case through `rules run`; how many, all of them the same bytes."""
    found = cases()
    for text, events, results in found:
        out = command([program, "rules", "run", text, events])
        with open(results, encoding="utf-8") as f:
            if out != f.read():
                sys.exit(f"{program} rules run {text} {events}: not the bytes of {results}")
    return len(found)


def cases():
    """(contract, events, results) of the project and, when it is there, of the folder beside it."""
    vectors = os.path.join(ROOT, "tests", "vectors")
    beside = os.path.join(ROOT, "..", "shared")
    found = []
    for folder, texts in ((vectors + "/rules", [vectors + "/rules"]),
                          (vectors + "/contracts_events", [ROOT + "/contracts"]),
                          (beside + "/vectors/rules", [beside + "/design/contracts"])):
        for events in sorted(glob.glob(folder + "/*.events.jsonl")):
            name = os.path.basename(events)[:-len(".events.jsonl")]
            text = next((t for t in (f"{d}/{name}.rules" for d in texts) if os.path.exists(t)), None)
            if text is not None:
                found.append((text, events, events.replace(".events.", ".results.")))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", nargs="*", help="some of the builds above; default all")
    parser.add_argument("--reduced", action="store_true", help="as CI: without the command, " + " ".join(REDUCED))
    parser.add_argument("--count", type=int, default=20000, help="random events of each build")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    names = args.builds or (REDUCED if args.reduced else list(BUILDS))
    for name in names:
        if name not in BUILDS:
            parser.error(f"there is no build {name}")
    missing = {BUILDS[n][0] for n in names if not shutil.which(BUILDS[n][0])}
    names = [n for n in names if BUILDS[n][0] not in missing]
    if len(names) < 2:
        print(f"SKIP: {', '.join(sorted(missing))} not installed")
        return 77
    contracts = sorted(glob.glob(ROOT + "/contracts/*.rules"))
    digests = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            programs = build(name, folder, args.jobs)
            for text, events, results in cases():
                command([programs["vectors"], text, events, results])
            out = command([programs["property"], "--seed", str(args.seed), "--count",
                           str(args.count), *contracts])
            digests[name] = out.splitlines()[-1]
            print(f"{name:12} {len(cases())} results byte for byte; {digests[name]}", flush=True)
            shutil.rmtree(os.path.join(folder, name))
            if not args.reduced:
                count = run_command(build_command(name, folder, args.jobs))
                print(f"{name:12} {count} results byte for byte by concordat rules run", flush=True)
                shutil.rmtree(os.path.join(folder, name + "-command"))
    if len(set(digests.values())) != 1:
        print(f"the builds differ at seed {args.seed}")
        return 1
    print(f"{' '.join(names)} agree" + (f"; not installed: {' '.join(missing)}" if missing else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
