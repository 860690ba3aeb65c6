#!/usr/bin/env python3
"""The contract language in several builds: all must print the same bytes.

Each build compiles base, crypto, rules and the two programs below, and nothing else; runs every
events file of tests/vectors/rules (and of ../shared/vectors/rules when it is there) against its
results byte for byte; and prints the digest of the same random events as every other build.

  gcc-O0 gcc-O2 clang-O0 clang-O2        as shipped and without optimisation
  gcc-asan clang-asan                    -O1 with AddressSanitizer and UBSan

Cost without a compiler cache: some 15 s of CPU a build. The last line says which builds agree.
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


def command(arguments):
    done = subprocess.run(arguments, capture_output=True, text=True)
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


def cases():
    """(contract, events, results) of the project and, when it is there, of the folder beside it."""
    own = os.path.join(ROOT, "tests", "vectors", "rules")
    beside = os.path.join(ROOT, "..", "shared")
    found = []
    for folder, texts in ((own, [own, ROOT + "/contracts"]),
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
    parser.add_argument("--reduced", action="store_true", help="as CI: " + " ".join(REDUCED))
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
    if len(set(digests.values())) != 1:
        print(f"the builds differ at seed {args.seed}")
        return 1
    print(f"{' '.join(names)} agree" + (f"; not installed: {' '.join(missing)}" if missing else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
