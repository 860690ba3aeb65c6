#!/usr/bin/env python3
"""A leader whose disk becomes much slower than the others' hands over, and all say which it is.

Its syncs take longer (tests/faulty); the others' are what the machine's disk makes of them.
"""
import json
import os
import re
import time

import faulty
import harness
import restart
from harness import check

SLOW_TIMES = 6      # as slow as the others' slowest of a hundred syncs; four would do
SLOW_MS_MIN = 200   # and over the 20 ms below which no disk is called slow
SLOW_MS_MAX = 900   # a term and a vote take a sync, too
WITHIN_S = 180      # some dozens of slow syncs, ten seconds of judging, what the machine takes


def sync_ms(bench, names):
    """The largest of what the nodes say 99 of 100 syncs stay under."""
    _, facts = bench.status()
    return max(n["sync_p99_us"] for n in facts["nodes"] if n["name"] in names) / 1000


def wait_no_alarm(bench, name, code, seconds):
    deadline = time.time() + seconds
    while time.time() < deadline:
        _, facts = bench.status(name)
        if facts and all(a["code"] != code for a in facts["alarms"]):
            return
        time.sleep(0.2)
    raise AssertionError(f"the alarm {code} stays at {name}")


def load(bench, number):
    """Sixteen clients for some seconds, who first ask the leader."""
    acks = os.path.join(bench.folder, f"acks-{number}")
    return restart.start_load(bench, bench.leader(), acks), acks


def finish(bench, process, acks):
    out, errors = process.communicate(timeout=300)
    check(process.returncode == 0, f"clients that retry see no error {errors.strip()}".strip())
    result = json.loads(out.splitlines()[-1])
    check(result["rejected"] == 0 and result["unanswered"] == 0, "nothing rejected or unanswered")
    restart.level(bench, 120)
    restart.check_acknowledged(bench, acks, result["all_requests"])


def whole_load(bench, number):
    process, acks = load(bench, number)
    finish(bench, process, acks)


def hands_over(bench, victim):
    """Load until the slow leader has seen enough of its disk; its clients only feel it."""
    deadline = time.time() + WITHIN_S
    number = 1
    while "its disk is faster" not in bench.log(victim):
        if time.time() > deadline:
            raise AssertionError(f"{victim} has not had enough after {WITHIN_S} s")
        whole_load(bench, number)
        number += 1
    deadline = time.time() + WITHIN_S
    while bench.leader() == victim:
        if time.time() > deadline:
            raise AssertionError(f"{victim} still leads after {WITHIN_S} s")
        time.sleep(0.1)
    said = re.findall(r"handing leadership to (\S+) .*: its disk is faster", bench.log(victim))
    check(said and victim not in said, f"{victim} has handed leadership over, to {said[0]}")
    for name in bench.nodes:
        facts = bench.wait_alarm(name, "disk-slow", WITHIN_S)
        alarms = [a for a in facts["alarms"] if a["code"] == "disk-slow"]
        check([a["node"] for a in alarms] == [victim], f"{name} says: {alarms[0]['text']}")
    return number


def main(bench, _args):
    """The leader's disk becomes slow, and well again."""
    faulty.needs(bench)
    bench.up(3)
    bench.run("contract", "deploy", os.path.join(harness.ROOT, "contracts", "transfer.rules"))
    faulty.replace(bench, bench.nodes)
    whole_load(bench, 0)
    victim = bench.leader()
    others = [n for n in bench.nodes if n != victim]
    slow_ms = max(SLOW_MS_MIN, int(SLOW_TIMES * sync_ms(bench, others)))
    if slow_ms > SLOW_MS_MAX:
        raise harness.Skip(f"one of a hundred syncs takes {slow_ms // SLOW_TIMES} ms here anyway")
    print(f"    {victim} leads; from now on its syncs take {slow_ms} ms more", flush=True)
    faulty.set_fault(bench, victim, "slow", str(slow_ms))
    number = hands_over(bench, victim)
    faulty.set_fault(bench, victim, "slow")
    whole_load(bench, number)
    for name in bench.nodes:
        wait_no_alarm(bench, name, "disk-slow", WITHIN_S)
    check(True, "when its disk is well again the alarm ends by itself")


if __name__ == "__main__":
    harness.main(main)
