#!/usr/bin/env python3
"""A follower that is too far behind installs a checkpoint while the load goes on.

The log is cut everywhere behind agreed checkpoints; the follower comes back, pulls a checkpoint from
whoever has it, is killed (and so are its sources) at random moments, and ends level with the others:
one height, one digest, one state, bounded logs. A node whose state was lost or damaged goes on from
its own checkpoint.

By hand: --kills 50 for the long run, --seconds 300 or --records 2000000 for a large state.
"""
import json
import contextlib
import os
import random
import re
import shutil
import subprocess
import time

import harness
import restart
from harness import check

MIB = 1 << 20
CHECKPOINT, TAIL, SEGMENT, RATE = 512 << 10, 128 << 10, MIB, 4 * MIB
MEMORY_MB = 256
RECORD_BYTES = 500  # of log, about, for a transfer in a request of a few
PARTY = "pmo.roquefort"


def log_bytes(bench, name):
    folder = bench.lab.path(name, "data", "log")
    return sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))


INSTALL_SECONDS = 400  # the faster the machine, the more there is to fetch at the test's rate


def checkpoints(bench, name):
    """The indexes of the checkpoints whose files a node keeps."""
    folder = bench.lab.path(name, "data", "checkpoints")
    found = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(int(f, 16) for f in found
                  if f != "new" and os.path.isdir(os.path.join(folder, f, "state")))


def start_load(bench, addresses, seconds, prefix, clients=2, events=8):
    with open(bench.lab.profile, encoding="utf-8") as f:
        key = bench.lab.path(json.load(f)["parties"][PARTY])
    return subprocess.Popen(
        restart.load_command(bench, addresses, "--contract",
                             os.path.join(harness.ROOT, "contracts", "transfer.rules"),
                             "--party-key", key, "--clients", str(clients), "--events", str(events),
                             "--warmup", "0", "--seconds", str(seconds), "--prefix", prefix),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end_load(process):
    out, errors = process.communicate(timeout=600)
    check(process.returncode == 0, f"the load met no error {errors.strip()}".strip())
    return json.loads(out.splitlines()[-1])


def wait_cut(bench, names, above, seconds=60):
    """Waits until the log of each node begins after entry `above`."""
    deadline = time.time() + seconds
    while time.time() < deadline:
        firsts = [first_entry(bench, name) for name in names]
        if min(firsts) > above:
            return firsts
        time.sleep(0.2)
    raise AssertionError(f"the logs of {names} begin at {firsts} after {seconds} s, not after {above}")


def first_entry(bench, name):
    said = re.findall(r"the log begins at entry (\d+) now", bench.log(name))
    return int(said[-1]) if said else 1


def said(bench, name, words):
    return bench.log(name).count(words)


def wait_said(bench, name, words, count, seconds):
    deadline = time.time() + seconds
    while time.time() < deadline:
        if said(bench, name, words) >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"{name} did not say '{words}' {count} times in {seconds} s")


def same_states(bench):
    """Stops all nodes at one height and compares what their newest common checkpoint says."""
    common = None
    for name in bench.nodes:
        folder = bench.lab.path(name, "data", "checkpoints")
        heads = {}
        for index in os.listdir(folder):
            path = os.path.join(folder, index, "manifest")
            if os.path.exists(path):
                with open(path, "rb") as f:
                    heads[index] = f.read()[12:12 + 97]  # the id: docs/formats/checkpoint.md
        pairs = set(heads.items())
        common = pairs if common is None else common & pairs
    return common


def fall_behind(bench, follower, seconds):
    """The follower sleeps while the others pass several checkpoints."""
    others = [n for n in bench.nodes if n != follower]
    before = max(first_entry(bench, n) for n in others)
    height = restart.height_of(bench.status(follower)[1])
    bench.kill(follower, 9)
    process = start_load(bench, others, seconds, f"away{height}")
    end_load(process)
    wait_cut(bench, others, before + 1)
    check(min(first_entry(bench, n) for n in others) > 1, "the others have cut their logs")


def come_back(bench, follower, kills, seed):
    """Starts the follower under load; kills it and its sources at random moments."""
    dice = random.Random(seed)
    others = [n for n in bench.nodes if n != follower]
    installs = said(bench, follower, "the state is that of height")
    behind = said(bench, follower, "this node is too far behind")
    process = start_load(bench, others, 8 + 2 * kills, f"back{seed}", clients=2, events=5)
    bench.start(follower)
    wait_said(bench, follower, "this node is too far behind", behind + 1, 60)
    if kills == 0:
        facts = bench.wait_alarm(follower, "installing")
        check(True, [a["text"] for a in facts["alarms"] if a["code"] == "installing"][0])
    for _ in range(kills):
        time.sleep(dice.uniform(0.05, 1.5))
        victim = dice.choice([follower, follower, *others])
        bench.kill(victim, 9)
        time.sleep(dice.uniform(0, 0.5))
        bench.start(victim)
    end_load(process)
    wait_said(bench, follower, "the state is that of height", installs + 1, INSTALL_SECONDS)
    head = restart.level(bench, 120)
    check(True, f"{follower} is level at height {head[0]} after {kills} kills (seed {seed})")


def source_of(bench, follower):
    """The node that was pulled from last."""
    found = re.findall(r"(?:fetching the checkpoint at height \d+ from|going on with) node (\d+)",
                       bench.log(follower))
    return [n["name"] for n in bench.json("node", "list")["nodes"] if n["id"] == int(found[-1])][0]


def lose_source(bench, follower, seconds):
    """The source dies in the middle of a fetch; another node has the same state."""
    fall_behind(bench, follower, seconds)
    installs = said(bench, follower, "the state is that of height")
    moves = said(bench, follower, "going on with node")
    fetches = said(bench, follower, "fetching the checkpoint")
    bench.start(follower)
    wait_said(bench, follower, "fetching the checkpoint", fetches + 1, 60)
    victim = source_of(bench, follower)
    bench.kill(victim, 9)
    wait_said(bench, follower, "going on with node", moves + 1, 60)
    check(source_of(bench, follower) != victim, f"{victim} died while {follower} fetched from it; "
                                                f"{source_of(bench, follower)} goes on")
    wait_said(bench, follower, "the state is that of height", installs + 1, INSTALL_SECONDS)
    bench.start(victim)
    restart.level(bench, 120)
    check(True, f"{follower} has installed it, and all are level")


def spoil_checkpoints(bench, name):
    """A byte of the largest table of each of its checkpoints; the state keeps its own copy."""
    for index in checkpoints(bench, name):
        folder = bench.lab.path(name, "data", "checkpoints", f"{index:016x}", "state")
        with contextlib.suppress(FileNotFoundError):  # an old one goes while it is looked at
            tables = [os.path.join(folder, f) for f in os.listdir(folder) if f.endswith(".sst")]
            path = max(tables, key=os.path.getsize)
            with open(path, "rb") as f:
                content = bytearray(f.read())
            content[len(content) // 3] ^= 1
            os.unlink(path)  # it is one file with the state's
            with open(path, "wb") as f:
                f.write(content)


def wait_settled(bench, name, seconds=60):
    """Until no further checkpoint has come for some seconds: the last one is made beside the load."""
    deadline, seen, since = time.time() + seconds, None, time.time()
    while time.time() < deadline and time.time() - since < 4:
        new = os.path.join(bench.lab.path(name, "data", "checkpoints"), "new")
        now = (checkpoints(bench, name), os.path.isdir(new))
        if now != seen or now[1]:
            seen, since = now, time.time()
        time.sleep(0.2)


def bad_source(bench, follower, seconds):
    """The leader serves files that are not what its manifest says: another node is asked."""
    fall_behind(bench, follower, seconds)
    for name in [n for n in bench.nodes if n != follower]:
        wait_settled(bench, name)
    installs = said(bench, follower, "the state is that of height")
    leader = bench.leader()
    spoil_checkpoints(bench, leader)
    bench.start(follower)
    wait_said(bench, follower, "its files are not what its manifest says", 1, INSTALL_SECONDS)
    check(source_of(bench, follower) == leader or said(bench, follower, "going on with"),
          f"{follower} does not believe the damaged files of {leader}")
    wait_said(bench, follower, "the state is that of height", installs + 1, INSTALL_SECONDS)
    check(source_of(bench, follower) != leader, f"and installs those of {source_of(bench, follower)}")
    restart.level(bench, 120)


def lose_state(bench, name, damage):
    """The state of a node is gone or damaged; its log begins later; its own checkpoint is used."""
    bench.kill(name, 15)
    state = bench.lab.path(name, "data", "state")
    if damage:
        for file in os.listdir(state):
            if file.startswith("MANIFEST-"):
                with open(os.path.join(state, file), "r+b") as f:
                    f.seek(20)
                    f.write(b"\xff" * 64)
    else:
        shutil.rmtree(state)
    bench.start(name)
    wait_said(bench, name, "goes on from its own checkpoint", 2 if damage else 1, 60)
    restart.level(bench, 120)
    check(True, f"{name} went on from its own checkpoint after its state was "
                f"{'damaged' if damage else 'lost'}")


def main(bench, args):
    """Checkpoints, cut logs, installs under load with kills, lost and damaged states."""
    slow = harness.sanitized(args.build)
    large = args.records > 0
    unit = 64 * MIB if large else CHECKPOINT
    bench.up(3, 500, checkpoint_bytes=unit, log_tail_bytes=TAIL, log_segment_bytes=SEGMENT,
             snapshot_rate=64 * MIB if large else RATE)
    bench.run("contract", "deploy", os.path.join(harness.ROOT, "contracts", "transfer.rules"))
    seconds = args.seconds or (20 if slow else 8)
    result = end_load(start_load(bench, bench.nodes, seconds, "first"))
    print(f"{result['all_requests']} requests in {seconds} s")
    firsts = wait_cut(bench, bench.nodes, 1)
    check(True, f"the logs begin at entries {firsts}")
    restart.level(bench, 60)
    leader = bench.leader()
    follower = [n for n in bench.nodes if n != leader][0]
    base = {n: restart.memory_mb(bench, n)[0] for n in bench.nodes}
    fall_behind(bench, follower, seconds)
    come_back(bench, follower, 0, args.seed)
    for name in bench.nodes:
        now, peak = restart.memory_mb(bench, name)
        print(f"{name}: {base[name]} MB before, {now} MB now, {peak} MB at most")
        if not slow and not large:
            check(peak < base[name] + MEMORY_MB, f"{name} stays under its base + {MEMORY_MB} MB")
    kills = args.kills or (2 if slow else 5)
    fall_behind(bench, follower, seconds)
    come_back(bench, follower, kills, args.seed + 1)
    lose_source(bench, follower, seconds)
    bad_source(bench, follower, seconds)
    lose_state(bench, follower, False)
    lose_state(bench, follower, True)
    result = end_load(start_load(bench, bench.nodes, 4, "last"))
    head = restart.level(bench, 120)
    check(len(same_states(bench)) > 0, f"the nodes hold checkpoints of one state (height {head[0]})")
    for name in bench.nodes:
        size = log_bytes(bench, name)
        spacing = max(unit, bench.status()[1]["size"] * RECORD_BYTES // 8)  # it grows with the log
        check(size <= 3 * spacing + TAIL + 4 * SEGMENT, f"the log of {name} takes {size >> 10} KiB")
        check(len(checkpoints(bench, name)) <= 3, f"{name} keeps {len(checkpoints(bench, name))} "
                                                  "checkpoints")
    trial = bench.json("trial-balance")["lines"]
    check(trial and all(int(line["sum"]) == 0 for line in trial), "every family sums to zero")
    check(not any("alarm:" in bench.log(n) for n in bench.nodes), "no alarm was raised")


if __name__ == "__main__":
    harness.main(main, kills=0, seconds=0, records=0, seed=1)
