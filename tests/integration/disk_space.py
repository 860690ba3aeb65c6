#!/usr/bin/env python3
"""Disks that fill up: business waits, governance, status and reads go on, and it clears by itself.

Two of three nodes have their data on a small file system of their own (tmpfs; needs root).
"""
import json
import os
import subprocess
import time

import faulty
import harness
import restart
from harness import check

SIZE_MIB, LOW_MIB, STOP_MIB = 320, 160, 96
CONTRACT = "transfer.roquefort"


def mount(bench, name):
    """Moves the data of a node onto a small file system."""
    bench.kill(name, 15)
    data = bench.lab.path(name, "data")
    os.rename(data, data + ".moved")
    os.mkdir(data, 0o700)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=700", "tmpfs", data],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise harness.Skip(f"no file system can be mounted here: {done.stderr.strip()}")
    subprocess.run(["cp", "-a", data + ".moved/.", data], check=True)
    with open(bench.lab.path(name, "node.yaml"), "a", encoding="utf-8") as f:
        f.write(f"disk_low_mib: {LOW_MIB}\ndisk_stop_mib: {STOP_MIB}\n")
    bench.start(name)
    bench.wait_well()


def free_mib(bench, name):
    facts = os.statvfs(bench.lab.path(name, "data"))
    return facts.f_bavail * facts.f_frsize / (1 << 20)


def fill(bench, name, leave_mib):
    """Leaves so much room on a node's disk; None: takes the filling away."""
    path = bench.lab.path(name, "data", "filling")
    if leave_mib is None:
        os.unlink(path)
        return
    with open(path, "ab") as f:  # in place: the node must not see it gone for a moment
        size = os.fstat(f.fileno()).st_size
        size += int((free_mib(bench, name) - leave_mib) * (1 << 20))
        os.ftruncate(f.fileno(), min(size, os.fstat(f.fileno()).st_size))
        os.posix_fallocate(f.fileno(), 0, max(1, size))
    print(f"{name} has {free_mib(bench, name):.0f} MiB left", flush=True)


def business(bench, code=0):
    return bench.run("submit", CONTRACT, "pay", "--as", "pmo.roquefort", "--arg", "debtor=a1",
                     "--arg", "creditor=b1", "--arg", "amount=1.00 EUR", "--deadline", "2", code=code)


def governance(bench, name, code=0):
    key = os.path.join(bench.folder, name + ".key")
    bench.run("keygen", "party", name, "--out", key)
    return bench.run("party", "add", name, "--key", key + ".pub", "--as", "energie.officer",
                     "--deadline", "5", code=code)


def wait_leader_in(bench, names, seconds=20):
    deadline = time.time() + seconds
    while time.time() < deadline:
        leader = bench.leader()
        if leader in names:
            return leader
        time.sleep(0.2)
    raise AssertionError(f"none of {names} leads after {seconds} s")


def wait_no_alarm(bench, name, code, seconds=20):
    deadline = time.time() + seconds
    while time.time() < deadline:
        _, facts = bench.status(name)
        if facts and all(a["code"] != code for a in facts["alarms"]):
            return
        time.sleep(0.2)
    raise AssertionError(f"the alarm {code} stays at {name}")


def handed_over(bench, small):
    """A leader whose own disk is low hands over, and nothing has to be refused."""
    roomy = [n for n in bench.nodes if n not in small]
    while bench.leader() not in small:
        bench.kill(roomy[0], 15)
        time.sleep(2)
        bench.start(roomy[0])
        bench.wait_well()
    leader = bench.leader()
    fill(bench, leader, (LOW_MIB + STOP_MIB) // 2)
    others = [n for n in bench.nodes if n != leader]
    now = wait_leader_in(bench, others)
    check(True, f"{leader} is low and hands over to {now}")
    business(bench)
    facts = bench.wait_alarm(now, "disk-low")
    alarm = [a for a in facts["alarms"] if a["code"] == "disk-low"]
    check([a["node"] for a in alarm] == [leader], f"the others say so: {alarm[0]['text']}")
    check(True, "and business goes on")
    return leader


def short(bench, small):
    """Two of three are low: business is refused with a hint, all else goes on; it clears by itself."""
    for name in small:
        fill(bench, name, (LOW_MIB + STOP_MIB) // 2)
    for name in bench.nodes:
        bench.wait_alarm(name, "disks-short")
    done = business(bench, code=(1, 3))
    check("DISK_LOW" in done.stderr and "later" in done.stderr,
          f"business is refused with a hint: {done.stderr.strip()[-140:]}")
    governance(bench, "while.low")
    check(True, "governance goes on")
    bench.run("balance", CONTRACT + "/wallet[a1]")
    check(bench.status()[0] == 1, "reads and status go on")
    for name in small:
        fill(bench, name, STOP_MIB // 2)
    time.sleep(3)
    done = governance(bench, "while.stopped", code=(1, 3))
    check("DISK_LOW" in done.stderr, "below the lower threshold governance is refused, too")
    bench.run("balance", CONTRACT + "/wallet[a1]")
    check(True, "reads go on")
    for name in small:
        fill(bench, name, LOW_MIB + LOW_MIB // 16)
    time.sleep(3)
    governance(bench, "after.stop")
    check("DISK_LOW" in business(bench, code=(1, 3)).stderr,
          "a little over the upper threshold: governance, not yet business")
    for name in small:
        fill(bench, name, None)
    for name in bench.nodes:
        wait_no_alarm(bench, name, "disks-short")
    business(bench)
    check(True, "with room again business goes on, nobody had to do anything")


def gone(bench, small):
    """No room at all: the node says so and stops; with room it comes back and has lost nothing."""
    victim = small[0]
    fill(bench, victim, 0)
    acks = []
    for i in range(6):  # what is preallocated must be used up first
        acks.append(os.path.join(bench.folder, f"acks-{i}"))
        load = restart.start_load(bench, bench.leader(), acks[-1])
        out, _ = load.communicate(timeout=120)
        result = json.loads(out.splitlines()[-1])
        check(result["rejected"] == 0 and result["unanswered"] == 0, "the load meets no error")
        if not bench.lab.pid(victim):
            break
    lost = faulty.exit_code(bench, victim)
    said = bench.log(victim).strip().splitlines()[-1]
    check(lost == 1 and ("cannot be written" in said), f"{victim} stops, exit {lost}: {said[25:]}")
    business(bench)
    check(True, "the others go on")
    fill(bench, victim, None)
    bench.start(victim)
    bench.wait_well()
    check(restart.level(bench, 60)[0] > 0, "with room it comes back, equal to the others")
    restart.check_acknowledged(bench, acks[-1], result["all_requests"])


def main(bench, _args):
    """Low, too few with room, nearly full, full, and back."""
    bench.up(3)
    bench.run("contract", "deploy", os.path.join(harness.ROOT, "contracts", "transfer.rules"))
    small = bench.nodes[:2]
    try:
        for name in small:
            mount(bench, name)
        business(bench)
        low = handed_over(bench, small)
        fill(bench, low, None)
        wait_no_alarm(bench, low, "disk-low")
        short(bench, small)
        gone(bench, small)
    finally:
        for name in small:
            if bench.lab.pid(name):
                bench.kill(name, 9)
            subprocess.run(["umount", "-l", bench.lab.path(name, "data")], capture_output=True)


if __name__ == "__main__":
    harness.main(main)
