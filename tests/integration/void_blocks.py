#!/usr/bin/env python3
"""A leader that has committed what is no block: every node passes over it, names the leader, goes on.

The leader is a test build of the node that spoils its blocks on command; the others judge alone.
"""
import os
import subprocess
import time

import faulty
import harness
from harness import check

KINDS = ["garbage", "version", "height", "previous", "past", "year", "long"]


def faulty_leader(bench, honest):
    """All nodes but one become the test build; one of those leads."""
    faulty.replace(bench, [name for name in bench.nodes if name != honest])
    while bench.leader() == honest:
        bench.kill(honest, 15)
        time.sleep(3)
        bench.start(honest)
        bench.wait_well()
    return bench.leader()


def submit(bench, name):
    key = os.path.join(bench.folder, name + ".key")
    bench.run("keygen", "party", name, "--out", key)
    bench.run("party", "add", name, "--key", key + ".pub", "--as", "energie.officer")


def counts(bench):
    return [bench.status(name)[1]["void_blocks"] for name in bench.nodes]


def spoil(bench, leader, kind):
    """One request that ends in a spoiled block; its client is not told anything false."""
    before = counts(bench)
    faulty.set_fault(bench, leader, "block", kind)
    command = subprocess.Popen(
        [bench.cli, "party", "add", "of." + kind, "--key", bench.lab.path("parties", "enedis.key.pub"),
         "--as", "energie.officer", "--deadline", "2", "--node", leader, "--profile",
         bench.lab.profile], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.time() + 20
    while min(counts(bench)) <= max(before) and time.time() < deadline:
        time.sleep(0.1)
    faulty.set_fault(bench, leader, "block")
    output, _ = command.communicate(timeout=30)
    check(command.returncode == 3, f"{kind}: the client is not told that it was recorded: "
                                   f"{output.strip().splitlines()[-1][:100]}")
    now = counts(bench)
    check(min(now) > max(before) and len(set(now)) == 1, f"{kind}: void on every node, {now}")


def main(bench, _args):
    """Garbage, wrong version, height, previous hash and time: void on all nodes, who go on."""
    faulty.needs(bench)
    bench.up(3)
    honest = bench.nodes[0]
    leader = faulty_leader(bench, honest)
    height = bench.wait_level()[0]
    for kind in KINDS:
        spoil(bench, leader, kind)
    for name in bench.nodes:
        facts = bench.wait_alarm(name, "void-block")
        alarm = [a for a in facts["alarms"] if a["code"] == "void-block"]
        check(len(alarm) == 1 and alarm[0]["node"] == leader and leader in alarm[0]["text"],
              f"{name} names the leader: {alarm[0]['text']}")
    check(bench.leader() == leader, "nobody stopped, the leader still leads")
    check(bench.wait_level()[0] == height, "no void block took a height")
    submit(bench, "after.voids")
    head = bench.wait_level()
    check(head[0] == height + 1, "the next block is the next height, equal on all nodes")
    faulty.set_fault(bench, leader, "block", "ahead")
    submit(bench, "ahead.stamp")
    faulty.set_fault(bench, leader, "block")
    for name in bench.nodes:
        if name != leader:
            facts = bench.wait_alarm(name, "block-stamped-ahead")
            alarm = [a for a in facts["alarms"] if a["code"] == "block-stamped-ahead"][0]
            check(alarm["node"] == leader, f"{name}: {alarm['text']}")
    void = counts(bench)
    for name in bench.nodes:
        bench.kill(name)
    for name in bench.nodes:
        bench.start(name)
    bench.lab.load()
    deadline = time.time() + 60
    while bench.status()[0] not in (0, 1) and time.time() < deadline:
        time.sleep(0.2)
    check(counts(bench) == void, "after kill -9 of all the count is the same: the log is read again")
    submit(bench, "after.restart")
    check(bench.wait_level()[0] == head[0] + 2, "and the ledger goes on, equal on all nodes")


if __name__ == "__main__":
    harness.main(main)
