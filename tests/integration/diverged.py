#!/usr/bin/env python3
"""A node whose state has become another one: found at the next checkpoint, believed by nobody.

One node is a test build that puts a wrong bit into its state while its records stay the same, as bad
memory would. The others agree without it: their logs are cut and its log is not.
"""
import os
import time

import faulty
import harness
import restart
import snapshot
from harness import check


def main(bench, _args):
    """One of three nodes diverges under load."""
    faulty.needs(bench)
    bench.up(3, 1000, checkpoint_bytes=snapshot.CHECKPOINT, log_tail_bytes=snapshot.TAIL,
             log_segment_bytes=snapshot.SEGMENT)
    bench.run("contract", "deploy", os.path.join(harness.ROOT, "contracts", "transfer.rules"))
    victim = [n for n in bench.nodes if n != bench.leader()][0]
    others = [n for n in bench.nodes if n != victim]
    snapshot.end_load(snapshot.start_load(bench, others, 6, "sound"))
    snapshot.wait_cut(bench, bench.nodes, 1)
    restart.level(bench, 60)
    check(not any("alarm:" in bench.log(n) for n in bench.nodes), "all agree, and no alarm is raised")
    faulty.replace(bench, [victim])
    faulty.set_fault(bench, victim, "state", "1")
    bench.run("party", "add", "of.nobody", "--key", key_of(bench), "--as", "energie.officer")
    restart.level(bench, 60)  # one block, and its records are the same everywhere
    faulty.set_fault(bench, victim, "state")
    cut = max(snapshot.first_entry(bench, n) for n in bench.nodes)
    snapshot.end_load(snapshot.start_load(bench, others, 8, "diverged"))
    snapshot.wait_cut(bench, others, cut + 1)
    facts = bench.wait_alarm(victim, "digest-differs")
    alarm = [a for a in facts["alarms"] if a["code"] == "digest-differs"][0]
    check(alarm["node"] == victim, alarm["text"])
    before = said_cuts(bench, victim)
    snapshot.end_load(snapshot.start_load(bench, others, 6, "later"))
    time.sleep(2)
    check(said_cuts(bench, victim) == before, f"{victim} cuts nothing behind what nobody else has")
    states = snapshot.same_states(bench)
    newest = max(snapshot.checkpoints(bench, others[0]))
    check(states and all(int(index, 16) < newest for index, _ in states),
          f"the others hold another state at entry {newest} than {victim}")
    check(all("alarm:" not in bench.log(n) for n in others), "nobody else is accused")


def key_of(bench):
    key = os.path.join(bench.folder, "nobody.key")
    bench.run("keygen", "party", "of.nobody", "--out", key)
    return key + ".pub"


def said_cuts(bench, name):
    return snapshot.said(bench, name, "is agreed upon; the log begins at")


if __name__ == "__main__":
    harness.main(main)
