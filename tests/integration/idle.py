#!/usr/bin/python3
"""Three idle nodes: under one percent of a core together, and nothing written to disk."""
import os
import time

import harness
from harness import check

SETTLE_S = 15       # after the last request: flushes and elections are over
CPU_PERCENT = 1.0   # of one core, all nodes together


def threads_of(pid):
    """Seconds on a core of each thread, as the scheduler counts them (ticks are too coarse here)."""
    found = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="utf-8") as f:
            name = f.read().strip()
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="utf-8") as f:
            found[f"{name}/{task}"] = int(f.read().split()[0]) / 1e9
    return found


def written(pid):
    with open(f"/proc/{pid}/io", encoding="utf-8") as f:
        facts = dict(line.split(": ") for line in f.read().splitlines())
    return int(facts["write_bytes"])


def files_of(folder):
    """Name, size and time of change of each file below."""
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            facts = os.stat(os.path.join(path, name))
            found[os.path.relpath(os.path.join(path, name), folder)] = (facts.st_size,
                                                                       facts.st_mtime_ns)
    return found


def measure(bench):
    pids = {n: bench.lab.pid(n) for n in bench.nodes}
    return {n: {"io": written(p), "threads": threads_of(p),
                "files": files_of(bench.lab.path(n, "data"))} for n, p in pids.items()}


def main(bench, args):
    """CPU, bytes and files of idle nodes over some seconds."""
    slow = harness.sanitized(args.build)
    bench.up(3)
    bench.run("contract", "deploy", os.path.join(harness.ROOT, "contracts", "transfer.rules"))
    bench.leader()
    time.sleep(SETTLE_S)
    before, began = measure(bench), time.monotonic()
    time.sleep(args.seconds)
    after, seconds = measure(bench), time.monotonic() - began
    total = 0.0
    for name in bench.nodes:
        a, b = before[name], after[name]
        busy = {t: s - a["threads"].get(t, 0) for t, s in b["threads"].items()}
        total += sum(busy.values())
        print(f"    {name}: {1000 * sum(busy.values()):.0f} ms of CPU, {b['io'] - a['io']} bytes "
              f"written; ms of threads: { {t: round(1000 * s) for t, s in busy.items() if s} }",
              flush=True)
    percent = 100 * total / seconds
    if slow or harness.busy():  # where many wait, each wake-up costs several times as much
        print(f"    {percent:.2f} % of a core (not judged in this build or on a busy machine)")
    else:
        bound = CPU_PERCENT * args.times
        check(percent < bound, f"three idle nodes take {percent:.2f} % of a core, under {bound} %")
    for name in bench.nodes:
        a, b = before[name], after[name]
        changed = [f for f in {**a["files"], **b["files"]} if a["files"].get(f) != b["files"].get(f)]
        check(not changed, f"{name}: no file changes while idle {changed or ''}".strip())
        check(b["io"] == a["io"], f"{name}: {b['io'] - a['io']} bytes written while idle")


if __name__ == "__main__":
    harness.main(main, seconds=30, times=1)  # times: as wide are the bounds
