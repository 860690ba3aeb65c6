#!/usr/bin/env python3
"""By hand: catching up at size. Two tests of an hour's evidence each, not in the suite.

  --behind N        a follower sleeps while N records are written, and catches up under load
  --join GB         a fourth node with an empty disk joins a ledger whose state takes so many GB while
                    the load goes on; the ledger is built first by two of three nodes, from transfers
                    that carry 4 KiB of random bytes each, and the third one catches up the same way
  --rate N          records a second while somebody joins (10000)
  --lab DIR         build that ledger in DIR and leave it there; or use the one that is there

Told at the end, and judged: how late heartbeats were, beyond their interval, on every node (`pace`
of `concordat status --json`: a leader in sending, another node in hearing), and the memory of every
process beyond what it had before. --late-ms 0 judges no times: on a machine that others use they say
little; compare them with what the same load does before anybody catches up.
"""
import json
import os
import shutil
import subprocess
import threading
import time

import harness
import members
import restart
import snapshot
from harness import check

MIB = 1 << 20
MEMORY_MB = 256
NOTE_BYTES, NOTE_EVENTS, EVENTS = 4096, 200, 250


def memory_of(bench, name):
    """Resident MB: all, what is no file's (heap and stacks), and the most there ever was."""
    with open(f"/proc/{bench.lab.pid(name)}/status", encoding="utf-8") as f:
        lines = dict(line.split(":", 1) for line in f)
    return {key: int(lines[field].split()[0]) // 1024 for key, field in
            (("rss", "VmRSS"), ("anon", "RssAnon"), ("peak", "VmHWM"))}


class Watch(threading.Thread):
    """Asks every node for its pace and memory each five seconds and keeps the worst."""

    def __init__(self, bench):
        super().__init__(daemon=True)
        self.bench, self.over = bench, False
        self.late, self.stall, self.memory = {}, {}, {}
        self.records = [(time.time(), self.position())]
        self.begun = time.time()
        self.start()

    def position(self):
        facts = self.bench.status()[1]
        return facts["size"] if facts else 0

    def look(self, name):
        facts = self.bench.status(name)[1]
        pid = self.bench.lab.pid(name)
        if not facts or not pid:
            return
        # The last minute may have begun before this watch did.
        if time.time() - self.begun > 60:
            pace = facts["pace"]
            self.late[name] = max(self.late.get(name, 0), pace["heartbeat_late_us"] // 1000)
            self.stall[name] = max(self.stall.get(name, 0), pace["stall_us"] // 1000)
        now = memory_of(self.bench, name)
        before = self.memory.setdefault(name, now)
        self.memory[name] = {key: max(before[key], now[key]) for key in now}

    def run(self):
        while not self.over:
            for name in list(self.bench.nodes):
                try:
                    self.look(name)
                except (OSError, KeyError):
                    pass  # it was stopped just now
            time.sleep(5)

    def end(self):
        self.over = True
        self.join()
        self.records.append((time.time(), self.position()))
        (began, first), (ended, last) = self.records
        return (last - first) / max(ended - began, 0.001)


def tell(what, bench, watch, rate):
    print(f"{what}: {rate:.0f} records/s; load average {os.getloadavg()[0]:.1f} on "
          f"{os.cpu_count()} cores")
    for name in bench.nodes:
        print(f"  {name}: heartbeats at most {watch.late.get(name, '?')} ms late, loop held up "
              f"{watch.stall.get(name, '?')} ms; MB {watch.memory.get(name)}", flush=True)


def start_load(bench, addresses, prefix, contract=None, events=EVENTS, more=(), in_flight=8):
    with open(bench.lab.profile, encoding="utf-8") as f:
        key = bench.lab.path(json.load(f)["parties"][snapshot.PARTY])
    contract = contract or os.path.join(harness.ROOT, "contracts", "transfer.rules")
    return subprocess.Popen(
        restart.load_command(bench, addresses, "--contract", contract, "--party-key", key,
                             "--clients", "2", "--in-flight", str(in_flight), "--events",
                             str(events), "--warmup", "0", "--seconds", "7200", "--prefix", prefix,
                             *more),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end_load(process):
    process.terminate()
    process.communicate(timeout=60)


def usable(bench):
    """The nodes that run, the leader first: who is asked there is not asked to hand on."""
    leader = bench.leader()
    return [leader, *[n for n in bench.nodes if n != leader and bench.lab.pid(n)]]


def wait_said(bench, name, words, count, seconds):
    snapshot.wait_said(bench, name, words, count, seconds)


def seconds_of(bench, name):
    """What the log says of the last install."""
    lines = [line for line in bench.log(name).splitlines() if "the state is that of height" in line]
    return lines[-1].partition("INFO")[2].strip() if lines else ""


def judge(bench, args, watch, base):
    for name in bench.nodes:
        top = watch.memory.get(name)
        start = base.get(name, 0)
        check(top and top["peak"] - start <= MEMORY_MB,
              f"{name}: {top and top['peak']} MB resident at most, {start} MB before the load")
        if args.late_ms > 0:
            check(watch.late.get(name, 0) <= args.late_ms,
                  f"{name}: heartbeats at most {watch.late.get(name, 0)} ms late")


def behind(bench, args):
    bench.up(3, 1000, snapshot_rate=64 * MIB)
    bench.run("contract", "deploy", os.path.join(harness.ROOT, "contracts", "transfer.rules"))
    base = {n: memory_of(bench, n)["rss"] for n in bench.nodes}
    follower = [n for n in bench.nodes if n != bench.leader()][0]
    start = bench.status()[1]["size"]
    bench.kill(follower, 9)
    load = start_load(bench, usable(bench), "behind")
    began, size = time.time(), start
    while size < start + args.behind:
        time.sleep(5)
        check(load.poll() is None, f"the load goes on: {size - start} records in "
                                   f"{time.time() - began:.0f} s")
        facts = bench.status()[1]
        size = facts["size"] if facts else size
    rate = (size - start) / (time.time() - began)
    check(True, f"{follower} is {size - start} records behind; {rate:.0f} records/s went in")
    watch = Watch(bench)
    began = time.time()
    bench.start(follower)
    wait_near(bench, follower, 3600)
    print(seconds_of(bench, follower) or "(from the log: no checkpoint had cut it yet)")
    check(True, f"{follower} follows the load again after {time.time() - began:.0f} s")
    tell("while it caught up", bench, watch, watch.end())
    end_load(load)
    head = restart.level(bench, 300)
    check(True, f"all nodes are level at height {head[0]} with one digest")
    check(len(snapshot.same_states(bench)) > 0, "the nodes hold checkpoints of one state")
    judge(bench, args, watch, base)


def wait_near(bench, name, seconds, blocks=100):
    """Until a node is at most so many blocks behind the others: it follows the load."""
    deadline = time.time() + seconds
    heights = {}
    while time.time() < deadline:
        heights = {n: restart.height_of(bench.status(n)[1]) for n in bench.nodes}
        if None not in heights.values() and heights[name] + blocks >= max(heights.values()):
            return
        time.sleep(0.5)
    raise AssertionError(f"{name} does not come near: {heights}")


def state_mb(bench, name):
    folder = bench.lab.path(name, "data", "state")
    return sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder)) >> 20


def note_contract(folder):
    """The transfer contract with an enclosure; nobody's rule, only bytes."""
    with open(os.path.join(harness.ROOT, "contracts", "transfer.rules"), encoding="utf-8") as f:
        text = f.read().partition("\ntest \"")[0]
    text = text.replace("contract transfer.roquefort", "contract note.roquefort")
    text = text.replace("amount: EUR)\n", f"amount: EUR, note: bytes({NOTE_BYTES}))\n")
    path = os.path.join(folder, "note.rules")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def build_large(bench, args):
    """Two of three nodes write the ledger; the third one has not begun."""
    bench.up(3, 1000, snapshot_rate=64 * MIB)
    bench.run("contract", "deploy", os.path.join(harness.ROOT, "contracts", "transfer.rules"))
    contract = note_contract(bench.folder)
    bench.run("contract", "deploy", contract)
    writer = bench.leader()
    bench.kill([n for n in bench.nodes if n != writer][0], 9)
    load = start_load(bench, usable(bench), "note", contract, NOTE_EVENTS,
                      ("--note", str(NOTE_BYTES)))
    began = time.time()
    while state_mb(bench, writer) < args.join * 1000:
        time.sleep(10)
        check(load.poll() is None, f"{state_mb(bench, writer)} MB after {time.time() - began:.0f} s")
    end_load(load)
    for name in bench.nodes:
        if bench.lab.pid(name):
            bench.kill(name, 15)


def open_large(bench, args):
    if args.lab:
        bench.folder = os.path.abspath(args.lab)
        bench.lab = harness.lab_module.Lab(os.path.join(bench.folder, "lab"))
    if not os.path.exists(bench.lab.file):
        os.makedirs(bench.folder, exist_ok=True)
        build_large(bench, args)
    bench.lab.load()
    bench.lab.facts["concordatd"] = harness.lab_module.binary(bench.build, "concordatd")
    bench.lab.facts["concordat"] = bench.cli
    for name in bench.nodes:
        bench.start(name)


def add_fourth(bench, institution):
    """A machine with an empty disk; the other settings are those of the others."""
    name = f"fourth{int(time.time()) % 100000}"
    machine = members.Machine(bench, institution, name)
    bench.run("node", "add", name, "--institution", institution, *machine.said())
    machine.start()
    return name


def join(bench, args):
    open_large(bench, args)
    leader = bench.leader(300)
    wait_level = restart.level(bench, 3600)  # the one that slept while the ledger grew
    print(f"the ledger: height {wait_level[0]}, {bench.status()[1]['size']} records, states of "
          f"{[state_mb(bench, n) for n in bench.nodes]} MB")
    check(min(state_mb(bench, n) for n in bench.nodes) >= args.join * 1000 * 0.9,
          f"every state takes {args.join} GB or near")
    load = start_load(bench, usable(bench), f"join{int(time.time())}",
                      more=("--rate", str(args.rate // EVENTS)))
    time.sleep(args.seconds / 4)
    base = {n: memory_of(bench, n)["rss"] for n in bench.nodes}
    watch = Watch(bench)
    time.sleep(args.seconds)
    tell("before anybody joins", bench, watch, watch.end())
    watch = Watch(bench)
    began = time.time()
    name = add_fourth(bench, leader)
    base[name] = 0
    wait_said(bench, name, "the state is that of height", 1, 3600)
    print(seconds_of(bench, name))
    wait_near(bench, name, 1800)
    check(True, f"{name} follows the load after {time.time() - began:.0f} s")
    time.sleep(65)
    tell("while it joined", bench, watch, watch.end())
    check(load.poll() is None, "the load went on all the time")
    end_load(load)
    head = restart.level(bench, 600)
    check(True, f"all nodes are level at height {head[0]} with one digest")
    judge(bench, args, watch, base)
    if args.lab:
        members.forget(bench, name)
        shutil.rmtree(bench.lab.path(name), ignore_errors=True)


def main(bench, args):
    """Catching up at size, by hand; see the text at the head of the file."""
    if args.behind:
        behind(bench, args)
    elif args.join:
        join(bench, args)
    else:
        raise harness.Skip("by hand: --behind 2000000 or --join 5")


if __name__ == "__main__":
    harness.main(main, behind=0, join=0, lab="", seconds=120, late_ms=50, rate=10000)
