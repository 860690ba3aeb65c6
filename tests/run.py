#!/usr/bin/env python3
"""Builds Concordat in every way it is tested and runs all tests.

The last line is "N passed, N failed, N skipped". Exit 0 only if nothing failed and something ran.
"""
import argparse
import json
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EPILOG = """examples:
  tests/run                      everything, as CI does
  tests/run --stages plain       the plain build only
  tests/run --suites unit,vectors --stages plain
  tests/run --fuzz-seconds 60    a longer fuzz stage
  tests/run --stages asan --suites integration
                                 all of it under sanitizers, by hand: half an hour more
"""

# stage -> (build folder, compiler, meson options, suites)
STAGES = {
    "plain": ("build-test", "gcc", [], ["tidy", "unit", "vectors", "sim", "integration"]),
    "asan": ("build-asan", "gcc", ["-Db_sanitize=address,undefined", "-Doptimization=1"],
             ["unit", "vectors", "sim", "sanitized"]),
    "tsan": ("build-tsan", "gcc", ["-Db_sanitize=thread", "-Doptimization=1"], ["threads"]),
    "fuzz": ("build-fuzz", "clang", ["-Dfuzz=true", "-Db_sanitize=address,undefined",
                                     "-Doptimization=1"], ["fuzz-smoke"]),
}


def say(text):
    print(text, flush=True)


def configure(folder, compiler, options):
    path = os.path.join(ROOT, folder)
    if not os.path.exists(os.path.join(path, "build.ninja")):
        env = dict(os.environ, CC=compiler)
        command = ["meson", "setup", path, ROOT, *options]
        run = subprocess.run(command, env=env, capture_output=True, text=True)
        if run.returncode != 0:
            sys.stdout.write(run.stdout + run.stderr)
            return False
    return True


def introspect(folder, what):
    run = subprocess.run(["meson", "introspect", what, os.path.join(ROOT, folder)], check=True,
                         capture_output=True, text=True)
    return json.loads(run.stdout)


def needed(folder, suites):
    """The files that the tests of these suites run."""
    ids = {i for test in introspect(folder, "--tests") for i in test["depends"]
           if any(s.split(":")[-1] in suites for s in test["suite"])}
    return [os.path.relpath(f, os.path.join(ROOT, folder))
            for target in introspect(folder, "--targets") if target["id"] in ids
            for f in target["filename"]]


def build(folder, targets):
    run = subprocess.run(["ninja", "-C", os.path.join(ROOT, folder), *targets],
                         capture_output=True, text=True)
    if run.returncode != 0:
        sys.stdout.write(run.stdout[-20000:])
    return run.returncode == 0


def run_suites(stage, folder, suites, env):
    """Runs meson's tests; returns (passed, failed, skipped)."""
    command = ["meson", "test", "-C", os.path.join(ROOT, folder), "--no-rebuild",
               "--print-errorlogs", "--logbase", "testlog"]
    for suite in suites:
        command += ["--suite", suite]
    log = os.path.join(ROOT, folder, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.remove(log)
    code = subprocess.run(command, env=env).returncode
    passed = failed = skipped = 0
    if os.path.exists(log):
        with open(log, encoding="utf-8") as f:
            for line in f:
                test = json.loads(line)
                if test["result"] in ("OK", "EXPECTEDFAIL"):
                    passed += 1
                elif test["result"] == "SKIP":
                    skipped += 1
                    reasons = [r for r in (test.get("stdout") or "").split("\n")
                               if r.startswith("SKIP")]
                    say(f"{stage}: {test['name']}: {reasons[0] if reasons else 'SKIP'}")
                else:
                    failed += 1
                    say(f"{stage}: FAILED {test['name']} ({test['result']})")
    if code != 0 and failed == 0:
        failed += 1
        say(f"{stage}: the test runner itself failed with {code}")
    return passed, failed, skipped


def main():
    parser = argparse.ArgumentParser(
        prog="tests/run", description=__doc__, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", default=",".join(STAGES), help="of plain,asan,tsan,fuzz")
    parser.add_argument("--suites", help="only these suites of each stage")
    parser.add_argument("--fuzz-seconds", type=int, default=5, help="for each fuzz target")
    parser.add_argument("--no-setup", action="store_true", help="packages are there already (tests/run looks at this)")
    args = parser.parse_args()
    stages = args.stages.split(",")
    for stage in stages:
        if stage not in STAGES:
            parser.error(f"unknown stage '{stage}'; one of {', '.join(STAGES)}")
    total = [0, 0, 0]
    env = dict(os.environ, CONCORDAT_FUZZ_SECONDS=str(args.fuzz_seconds),
               ASAN_OPTIONS="detect_leaks=1:abort_on_error=0",
               UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1",
               TSAN_OPTIONS="halt_on_error=1:suppressions=" +
               os.path.join(ROOT, "tests", "tsan.supp"))
    for stage in stages:
        folder, compiler, options, suites = STAGES[stage]
        if args.suites:
            allowed = suites + ["integration"] * (stage == "asan")
            suites = [s for s in allowed if s in args.suites.split(",")]
        if not suites:
            continue
        began = time.time()
        say(f"== {stage}: building with {compiler} {' '.join(options)}")
        few = stage in ("tsan", "fuzz")  # the plain stage builds all there is
        if not configure(folder, compiler, options) or \
                not build(folder, needed(folder, suites) if few else []):
            say(f"{stage}: FAILED to build")
            total[1] += 1
            continue
        say(f"== {stage}: {', '.join(suites)} (built in {time.time() - began:.0f} s)")
        for i, n in enumerate(run_suites(stage, folder, suites, env)):
            total[i] += n
        say(f"== {stage}: done after {time.time() - began:.0f} s")
    say(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main())
