#!/usr/bin/env python3
"""Every contract that is delivered: it compiles, its own tests pass, it is in the common layout, and
its tests notice at least 90 of 100 small changes to it.

usage: contracts_quality.py CONCORDAT CONTRACT..."""
import subprocess
import sys

LEAST = "90"


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    failures = 0
    for path in sys.argv[2:]:
        for words in (("check",), ("test",), ("fmt", "--check"), ("mutate", "--least", LEAST)):
            done = subprocess.run([sys.argv[1], "rules", *words, path], capture_output=True,
                                  text=True, timeout=300, check=False)
            if done.returncode != 0:
                failures += 1
                print(f"{path}: rules {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        print(f"{path}: {done.stdout.strip().splitlines()[-1]}")
    print(f"contracts_quality: {len(sys.argv) - 2} contracts, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
