#!/usr/bin/env python3
"""Builds Concordat in every way it is tested and runs all tests.

The last line is "N passed, N failed, N skipped"; before it stands each failed test with the last
lines of its output. Exit 0 only if nothing failed and something ran.
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

LAST_LINES = 15  # of a failed test's output, repeated at the end

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


class Failure:
    """What failed, and the last lines it said."""

    def __init__(self, name, words):
        self.name, self.words = name, words


def last_words(test):
    """The last lines of a test's output: what it printed, then what it said on stderr."""
    lines = []
    for stream in ("stdout", "stderr"):
        lines += (test.get(stream) or "").rstrip().splitlines()
    return lines[-LAST_LINES:]


def run_suites(stage, folder, suites, env):
    """Runs meson's tests; returns how many passed, what failed, how many were skipped."""
    command = ["meson", "test", "-C", os.path.join(ROOT, folder), "--no-rebuild",
               "--print-errorlogs", "--logbase", "testlog"]
    for suite in suites:
        command += ["--suite", suite]
    log = os.path.join(ROOT, folder, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.remove(log)
    code = subprocess.run(command, env=env).returncode
    passed = skipped = 0
    failed = []
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
                    failed.append(Failure(f"{stage}: {test['name']} ({test['result']})",
                                          last_words(test)))
    if code != 0 and not failed:
        failed.append(Failure(f"{stage}: the test runner itself failed with {code}", []))
    return passed, failed, skipped


def tell(failures):
    """Every failed test at the very end, where nothing scrolls it away."""
    for failure in failures:
        say(f"FAILED {failure.name}")
        for line in failure.words:
            say(f"    | {line}")


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
    passed = skipped = 0
    failures = []
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
            failures.append(Failure(f"{stage}: to build", []))
            say(f"{stage}: FAILED to build")
            continue
        say(f"== {stage}: {', '.join(suites)} (built in {time.time() - began:.0f} s)")
        more, failed, without = run_suites(stage, folder, suites, env)
        passed += more
        skipped += without
        failures += failed
        for failure in failed:
            say(f"FAILED {failure.name}")
        say(f"== {stage}: done after {time.time() - began:.0f} s")
    tell(failures)
    say(f"{passed} passed, {len(failures)} failed, {skipped} skipped")
    return 1 if failures or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
