#!/usr/bin/env python3
"""A disk that fails: never an acknowledgement, never a second try; the node says why and stops.

A leader hands over first, so that its clients wait for moments, not for an election.
"""
import json
import os
import re
import time

import faulty
import harness
import restart
from harness import check


ELECTION_S = 0.8  # less than an election timeout


def wait_leads(bench, names, after, seconds=20):
    """The moment at which one of these nodes said that it leads, if it is later than `after`."""
    deadline = time.time() + seconds
    while time.time() < deadline:
        for name in names:
            for stamp in re.findall(r"(\S+)Z INFO +leader of term", bench.log(name)):
                moment = time.mktime(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
                moment += float("0" + stamp[19:])
                if moment >= after:
                    return name, moment
        time.sleep(0.02)
    raise AssertionError(f"none of {names} leads after {seconds} s")


def fails(bench, fault, leads, times=1):
    """One node's disk fails under load; what was acknowledged is there, the node comes back."""
    leader = bench.leader()
    others = [n for n in bench.nodes if n != leader]
    victim = leader if leads else others[0]
    acks = os.path.join(bench.folder, f"acks-{fault}-{leads}")
    load = restart.start_load(bench, leader, acks)
    time.sleep(4)
    check(load.poll() is None, "the load runs")
    before = time.time()
    faulty.set_fault(bench, victim, fault, "1")
    code = faulty.exit_code(bench, victim)
    stopped = time.time() - before
    said = bench.log(victim).strip().splitlines()[-1]
    check(code == 1, f"{fault} of {'the leader' if leads else 'a follower'}: exit {code} after "
                     f"{stopped * 1000:.0f} ms")
    check("the log cannot be written" in said, f"it says why: {said[25:]}")
    if leads:
        name, moment = wait_leads(bench, others, before)
        handed = "handing leadership over to node" in bench.log(victim)
        check(handed and moment - before < times * ELECTION_S, f"{name} leads after "
                                                f"{(moment - before) * 1000:.0f} ms: no election "
                                                "had to time out")
    faulty.set_fault(bench, victim, fault)
    time.sleep(2)
    faulty.start(bench, victim)
    out, errors = load.communicate(timeout=120)
    check(load.returncode == 0, f"clients that retry see no error {errors.strip()}".strip())
    result = json.loads(out.splitlines()[-1])
    check(result["rejected"] == 0 and result["unanswered"] == 0, "nothing rejected or unanswered")
    restart.level(bench, 60)
    restart.check_acknowledged(bench, acks, result["all_requests"])
    bench.wait_well()


def main(bench, args):
    """EIO on write and on sync, of a leader and of a follower, under load."""
    faulty.needs(bench)
    bench.up(3)
    bench.run("contract", "deploy", os.path.join(harness.ROOT, "contracts", "transfer.rules"))
    faulty.replace(bench, bench.nodes)
    times = max(args.times, 5 if harness.busy() or harness.sanitized(args.build) else 1)
    fails(bench, "sync", True, times)
    fails(bench, "write", True, times)
    fails(bench, "full", False)


if __name__ == "__main__":
    harness.main(main, times=1)  # times: so many times as wide is the bound of a hand-over
