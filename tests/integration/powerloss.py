#!/usr/bin/python3
"""Power cuts: each node's data lies on a disk of its own that forgets what was not synced.

Under load the power of all nodes, or of some, is cut at random moments. What had been written and
not synced is gone then: the file systems are shut down as by a real cut, mounted again, and replay
their journals. At the end no acknowledged transfer may be missing, and everything holds that
chaos.py checks. Sometimes a node runs on for a moment and sees its disk fail: nothing that it could
not sync may be acknowledged.
"""
import json
import os
import random
import signal
import tempfile
import time

import chaos
import harness
import isolate
from harness import check
from lab_client import Access, Line, Refused

DISK_MB = 700  # room for the log's segments and the state of one run
RUN_S = (0.2, 1.5)     # between everybody's return and the next cut
DYING_S = (0.0, 0.15)  # how long a process outlives its disk


def use_disks(bench):
    """Moves the data directory of each node to a disk whose power can be cut."""
    disks = {}
    for name in bench.nodes:
        folder = bench.lab.path(name, "disk")
        try:
            disks[name] = isolate.PowerDisk(bench.lab.path(name, "disk.img"), folder, DISK_MB)
        except OSError as error:
            raise harness.Skip(f"no file system of its own: {error}") from None
        path = bench.lab.path(name, "node.yaml")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace("\ndata: data\n", f"\ndata: {folder}/data\n"))
    return disks


def cut(bench, disks, draw):
    """Returns how many nodes lost their power, and how."""
    names = bench.nodes if draw.random() < 0.6 else draw.sample(bench.nodes,
                                                                 draw.randrange(1, len(disks)))
    sees = draw.random() < 0.5
    if not sees:  # it stands still when the power goes
        for name in names:
            os.kill(bench.lab.pid(name), signal.SIGSTOP)
    for name in names:
        disks[name].cut()
    if sees:
        time.sleep(draw.uniform(*DYING_S))
    for name in names:
        bench.kill(name)
    for name in names:
        disks[name].power_on()
        bench.start(name)
    return len(names), "and saw it" if sees else "at once"


def wait_answer(access, draw, seconds=60):
    """Until the ledger takes a transfer again."""
    envelope, _, _ = access.pay("p.0", "p.1", 1, draw)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        line = Line(access, draw.choice(list(access.nodes)))
        try:
            line.submit(envelope, 1)
            return
        except Refused:
            time.sleep(0.05)
        finally:
            line.close()
    raise AssertionError(f"no answer in {seconds} s after the power came back")


def run(bench, args):
    args.seed = args.seed or int(time.time())
    print(f"seed {args.seed}: --nodes {args.nodes} --cuts {args.cuts} --seed {args.seed}")
    draw = random.Random(f"power/{args.seed}")
    bench.up(args.nodes, election_ms=500, options=["--no-start"])
    disks = use_disks(bench)
    bench.expected = "Input/output error"  # what a node says whose disk has gone
    for name in bench.nodes:
        bench.start(name)
    bench.wait_well(120)
    bench.run("contract", "deploy", os.path.join(harness.ROOT, "contracts", "transfer.rules"))
    path = os.path.join(bench.folder, "history.jsonl")
    with tempfile.TemporaryDirectory() as scratch:
        access = Access(bench.lab.folder, scratch)
        watcher = chaos.Watcher(access, args.seed)
        watcher.start()
        clients = chaos.start_clients(bench, args, path)
        for number in range(args.cuts):
            time.sleep(draw.uniform(*RUN_S))
            count, how = cut(bench, disks, draw)
            began = time.monotonic()
            wait_answer(access, random.Random(draw.random()))
            print(f"    cut {number + 1}: {count} nodes lost their power {how}; the ledger answers "
                  f"after {time.monotonic() - began:.1f} s", flush=True)
        bench.wait_well(120)
        time.sleep(2)
        said = json.loads(clients.communicate(timeout=120)[0])
        chaos.none(said["faults"], "no answer that contradicts another")
        facts = chaos.judge(bench, access, watcher, path, strangers=args.cuts)
    check(said["counts"].get("acknowledged", 0) > 10 * args.cuts,
          f"{said['counts'].get('acknowledged', 0)} transfers were acknowledged, none was lost in "
          f"{args.cuts} cuts")
    print(json.dumps(facts | {"clients": said["counts"], "seed": args.seed}, indent=1))


if __name__ == "__main__":
    REASON = isolate.enter()

    def main(bench, args):
        """No acknowledged transfer is lost in power cuts; see the head of the file."""
        if REASON:
            raise harness.Skip(REASON)
        run(bench, args)

    harness.main(main, nodes=3, cuts=5, seed=0, clients=16, rate=400.0)
