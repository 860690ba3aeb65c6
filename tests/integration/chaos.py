#!/usr/bin/python3
"""Real nodes and sixteen clients while nodes are killed, paused, cut off and run out of disk.

At the end everything is healed, and then: all nodes hold one ledger; every acknowledged transfer is
in it exactly once and with its answer, and none is in it twice; nothing that was refused is in it;
the clients' history is linearizable; every family sums to zero. --seed repeats a schedule.
"""
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

import harness
import isolate
from harness import check
from lab_client import CONTRACT, ENDS, Access, Line, Refused
from nemesis import DISK_MB, Nemesis, schedule

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "history"))
import history  # noqa: E402  pylint: disable=wrong-import-position


class Watcher(threading.Thread):
    """Follows the ledger from its beginning, at one node after the other, as they come and go."""

    def __init__(self, access, seed):
        super().__init__(daemon=True)
        self.access, self.draw = access, random.Random(f"watch/{seed}")
        self.records, self.faults, self.done = [], [], threading.Event()
        self.changes = 0

    def run(self):
        while not self.done.is_set():
            line = Line(self.access, self.draw.choice(list(self.access.nodes)))
            self.changes += 1
            try:
                for reply in line.watch(len(self.records), False, self.draw.uniform(1, 8)):
                    self.take(reply)
            except Refused:
                time.sleep(0.05)
            line.close()

    def take(self, reply):
        for entry in reply.entries:
            if entry.position != len(self.records):
                self.faults.append(f"Watch brought {entry.position}, not {len(self.records)}")
            self.records.append(entry.record)


def set_up(bench, args, why):
    """A lab with what the machine allows: (network, disks)."""
    net, disks, options = None, {}, []
    names = harness.lab_module.INSTITUTIONS[:args.nodes]
    if not why:
        program = os.path.join(args.build, "tests", "integration", "wire")
        try:
            net = isolate.Net(program, names, args.seed)
        except OSError as error:
            print(f"SKIP: faults of links: {error}")
    if net:
        options = [f"--host={net.addresses[n]}" for n in names]
    bench.up(args.nodes, options=["--no-start", *options])
    for name in names:
        if net:
            bench.lab.facts["nodes"][name]["within"] = net.within(name)
        if not why:
            bench.expected = "No space left on device"  # the last words of a node with a full disk
            disks[name] = bench.lab.path(name, "data")
            isolate.small_disk(disks[name], DISK_MB)
    bench.lab.save()
    for name in names:
        bench.start(name)
    bench.wait_well(120)
    return net, disks


def read_ledger(access, node):
    """All records of a node, as Watch brings them."""
    entries, line = [], Line(access, node)
    for reply in line.watch(0, True, 600):
        entries += reply.entries
    line.close()
    return entries


def read_history(path):
    with open(path, encoding="utf-8") as f:
        return [history.Op(**json.loads(line)) for line in f]


def judge_ledgers(bench, access, watcher):
    """One ledger on all nodes; returns its entries."""
    height, digest = bench.wait_level(180)
    ledgers = {node: read_ledger(access, node) for node in bench.nodes}
    first = ledgers[bench.nodes[0]]
    check(all([e.record for e in entries] == [e.record for e in first]
              for entries in ledgers.values()),
          f"all {len(ledgers)} nodes hold the same {len(first)} records, height {height}, "
          f"digest {digest[:16]}")
    watcher.done.set()
    watcher.join(30)
    seen = watcher.records
    check(not watcher.faults and seen == [e.record for e in first[:len(seen)]] and seen,
          f"Watch brought {len(seen)} records in order over {watcher.changes} connections "
          f"{watcher.faults[:3] or ''}".strip())
    return first


def show(faults, text):
    print(f"FAILED, {len(faults)} times: {text}")
    for fault in faults[:10]:
        print(f"FOUND: {fault}")


def none(faults, text):
    if faults:
        show(faults, text)
    check(not faults, text)


def judge(bench, access, watcher, path, strangers=0):
    """strangers: transfers in the ledger that the test itself has sent, beside its clients."""
    entries = judge_ledgers(bench, access, watcher)
    ops = read_history(path)
    everything = [history.Record(e.position, e.request_hash.hex(), ENDS.get(e.end, "?"))
                  for e in entries]
    records = [r for r, e in zip(everything, entries) if e.contract == CONTRACT]
    found = [(history.check_positions(everything), "positions have no hole")]
    sent = {op.ident for op in ops if op.kind == "pay"}
    check(sum(r.ident not in sent for r in records) == strangers, "nothing that nobody sent")
    records = [r for r in records if r.ident in sent]
    found += [(history.check_records(ops, records),
               "every acknowledged transfer is recorded exactly once, none twice, none refused"),
              (history.check_order(ops, records),
               "the ledger's order explains every outcome and balance, and agrees with real time")]
    began = time.monotonic()
    found += [(history.check_groups(ops), f"the history of {len(ops)} operations is linearizable")]
    print(f"    checked in {time.monotonic() - began:.1f} s")
    for faults, text in found:
        if faults:
            show(faults, text)
    for faults, text in found:
        check(not faults, text)
    trial = bench.json("trial-balance")["lines"]
    check(trial and all(int(line["sum"]) == 0 for line in trial), "every family sums to zero")
    recorded = {r.ident for r in records}
    unknown = [o for o in ops if o.kind == "pay" and o.end is None]
    return {"operations": len(ops), "records": len(records), "unanswered": len(unknown),
            "unanswered_and_recorded": sum(o.ident in recorded for o in unknown)}


def start_clients(bench, args, path):
    process = subprocess.Popen(
        [sys.executable, os.path.join(harness.HERE, "chaos_clients.py"), "--lab",
         bench.lab.folder, "--out", path, "--clients", str(args.clients), "--rate",
         str(args.rate), "--seed", str(args.seed)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    check(process.stdout.readline() == "started\n", f"{args.clients} clients")
    return process


def run(bench, args, why):
    args.seed = args.seed or int(time.time())
    print(f"seed {args.seed}: --nodes {args.nodes} --seconds {args.seconds} --seed {args.seed}")
    if why:
        print(f"SKIP: links and disks, only kill, stop and pause: {why}")
    net, disks = set_up(bench, args, why)
    bench.run("contract", "deploy", os.path.join(harness.ROOT, "contracts", "transfer.rules"))
    features = {"net"} if net else set()
    features |= {"disk"} if disks else set()
    faults = schedule(args.seed, args.seconds, bench.nodes, features)
    path = os.path.join(bench.folder, "history.jsonl")
    with tempfile.TemporaryDirectory() as scratch:
        access = Access(bench.lab.folder, scratch)
        watcher = Watcher(access, args.seed)
        watcher.start()
        clients = start_clients(bench, args, path)
        nemesis = Nemesis(bench, access, net, disks)
        nemesis.run(faults)
        bench.wait_well(120)
        time.sleep(2)  # everybody gets an answer once more
        said = json.loads(clients.communicate(timeout=120)[0])
        none(said["faults"], "no answer that contradicts another")
        none(nemesis.deaths, "no node died that was not killed")
        facts = judge(bench, access, watcher, path)
    wanted = args.seconds / (10 if harness.sanitized(args.build) else 1)
    check(said["counts"].get("acknowledged", 0) > wanted,
          f"the ledger went on: more than {wanted:.0f} transfers were acknowledged")
    print(json.dumps(facts | {"faults": dict(nemesis.counts), "clients": said["counts"],
                              "longest_gap_s": said["longest_gap_s"], "seed": args.seed}, indent=1))


if __name__ == "__main__":
    REASON = isolate.enter()

    def main(bench, args):
        """Real nodes and clients under a seeded schedule of faults; see the head of the file."""
        run(bench, args, REASON)

    harness.main(main, nodes=3, seconds=60, seed=0, clients=16, rate=200.0)
