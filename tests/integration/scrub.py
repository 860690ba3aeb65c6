#!/usr/bin/env python3
"""Bits that rot on a running node's disk, in a closed log segment and in a table: found and named.

A damaged table is mended by the node itself: from its log while that is whole, else from a checkpoint
of the other nodes. A damaged segment goes when the log is cut behind it."""
import glob
import os
import time

import faulty
import harness
import restart
import snapshot
from harness import check


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 0x10]))


def wait_scrubbed(bench, name, since, seconds=60):
    """The facts after a scrub that began after the one of `since` ended."""
    deadline = time.time() + seconds
    seen = since
    rounds = 0
    while time.time() < deadline:
        _, facts = bench.status(name)
        last = (facts or {}).get("scrub", {}).get("last")
        if last and last != seen:
            seen, rounds = last, rounds + 1
            if rounds == 2:
                return facts
        time.sleep(0.1)
    raise AssertionError(f"{name} was not scrubbed in {seconds} s")


def main(bench, _args):
    """A scrub a second: sound, then a bit of the log, then a bit of a table, then sound again."""
    faulty.needs(bench)
    faulty.up(bench, "small", "1")
    bench.run("contract", "deploy", os.path.join(harness.ROOT, "contracts", "transfer.rules"))
    victim = [n for n in bench.nodes if n != bench.leader()][0]
    with open(bench.lab.path(victim, "node.yaml"), "a", encoding="utf-8") as f:
        f.write("scrub_period_s: 1\nscrub_rate_mib: 64\n")
    load = restart.start_load(bench, bench.leader(), os.path.join(bench.folder, "acks"))
    load.communicate(timeout=120)
    bench.kill(victim, 15)  # what is in memory becomes tables at the next start
    bench.start(victim)
    bench.wait_well()
    facts = wait_scrubbed(bench, victim, None)
    check(facts["scrub"]["findings"] == 0 and facts["scrub"]["bytes"] > 1 << 20,
          f"a sound node: {facts['scrub']['bytes'] >> 10} KiB read, no finding, beside its work")
    check("scrub" in bench.run("status", "--node", victim, code=(0, 1)).stdout, "status shows it")
    segments = sorted(glob.glob(bench.lab.path(victim, "data", "log", "segment-*")))
    check(len(segments) > 3, f"{len(segments)} log segments")
    flip(segments[1], 3000)
    alarm = [a for a in bench.wait_alarm(victim, "log-damaged")["alarms"]
             if a["code"] == "log-damaged"][0]
    check(alarm["node"] == victim and segments[1] in alarm["text"] and "offset" in alarm["text"],
          f"a bit of a closed segment: {alarm['text']}")
    check(alarm["remedy"], f"mend it: {alarm['remedy']}")
    flip(segments[1], 3000)
    deadline = time.time() + 30
    while True:
        facts = bench.status(victim)[1]
        if facts and all(a["code"] != "log-damaged" for a in facts["alarms"]):
            break
        if time.time() > deadline:
            raise AssertionError("the alarm log-damaged stays although the log is sound")
        time.sleep(0.5)
    check(True, "sound again: the alarm is over")
    rot_table(bench, victim, "from the log")
    cut_logs(bench, victim)
    rot_table(bench, victim, "a checkpoint of another node")
    check(len(snapshot.same_states(bench)) > 0, "the nodes hold checkpoints of one state")


def rot_table(bench, victim, source):
    """A bit of the largest table: the node says so, and mends it from there."""
    repairs = snapshot.said(bench, victim, "the state was repaired")
    found = snapshot.said(bench, victim, "the scrub found damage in the state")
    tables = sorted(glob.glob(bench.lab.path(victim, "data", "state", "*.sst")), key=os.path.getsize)
    check(tables, f"{len(tables)} tables")
    flip(tables[-1], os.path.getsize(tables[-1]) // 3)
    snapshot.wait_said(bench, victim, "the scrub found damage in the state", found + 1, 60)
    snapshot.wait_said(bench, victim, "the state was repaired", repairs + 1, 120)
    lines = [line for line in bench.log(victim).splitlines() if "the state was repaired" in line]
    check(source in lines[-1], f"a bit of a table: {lines[-1].partition('INFO')[2].strip()}")
    restart.level(bench, 120)
    facts = wait_scrubbed(bench, victim, None)
    check(facts["scrub"]["findings"] == 0, "level with the others, and every place can be read")
    check(all(a["code"] != "state-damaged" for a in facts["alarms"]), "the alarm is over")


def cut_logs(bench, victim):
    """Checkpoints begin; a damaged segment is cut away with the others."""
    for name in bench.nodes:
        bench.kill(name, 15)
        with open(bench.lab.path(name, "node.yaml"), "a", encoding="utf-8") as f:
            f.write("checkpoint_bytes: 524288\nlog_tail_bytes: 65536\n")
    for name in bench.nodes:
        bench.start(name)
    bench.wait_well()
    segments = sorted(glob.glob(bench.lab.path(victim, "data", "log", "segment-*")))
    flip(segments[1], 3000)
    bench.wait_alarm(victim, "log-damaged")
    snapshot.end_load(snapshot.start_load(bench, bench.nodes, 8, "cut"))
    snapshot.wait_cut(bench, bench.nodes, 1)
    deadline = time.time() + 60
    while any(a["code"] == "log-damaged" for a in (bench.status(victim)[1] or {"alarms": [
            {"code": "log-damaged"}]})["alarms"]):
        if time.time() > deadline:
            raise AssertionError("the alarm log-damaged stays although the segment is cut away")
        time.sleep(0.5)
    check(not os.path.exists(segments[1]), "a damaged segment is gone with the cut log, and the "
                                           "alarm too")


if __name__ == "__main__":
    harness.main(main)
