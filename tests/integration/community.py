#!/usr/bin/env python3
"""A real energy community on real nodes: import, totals to the mWh, equal digests.

With --faults the leader is killed three times, a follower twice and all nodes once while the import
runs; the result must be the same, byte for byte.
"""
import csv
import datetime
import json
import os
import random
import subprocess
import sys
import threading
import time
import zoneinfo

import harness
from harness import check

CONTRACT = "solar.roquefort"
ZONE = zoneinfo.ZoneInfo("Europe/Berlin")
CONSUMERS, PRODUCERS = 28, 6


def generate(path, days, seed=1):
    """Readings of an invented community: no third party's data. Deterministic, integers only."""
    rng = random.Random(seed)
    start = int(datetime.datetime(2022, 10, 4, tzinfo=ZONE).timestamp())
    names = [f"c{i:02d}" for i in range(1, CONSUMERS + 1)] + \
            [f"p{i:02d}" for i in range(1, PRODUCERS + 1)]
    with open(path, "w", encoding="utf-8") as f:
        f.write("ts," + ",".join(names) + "\n")
        for slot in range(days * 96):
            quarter = slot % 96
            row = [str(start + 900 * slot)]
            for name in names:
                sun = max(0, 32 - abs(quarter - 48))
                wh1000 = rng.randrange(0, 60000) if name[0] == "c" else sun * rng.randrange(0, 20000)
                blank = name == "c05" and slot < 96
                row.append("" if blank else f"{wh1000 // 1000}.{wh1000 % 1000:03d}")
            f.write(",".join(row) + "\n")


def read_wide(path):
    """Slots of a wide file as (ts, {point: mWh}); blank: no reading."""
    with open(path, encoding="utf-8", newline="") as f:
        for row in csv.DictReader(f):
            values = {}
            for name, text in row.items():
                if len(name) == 3 and name[0] in "cp" and name[1:].isdigit() and text:
                    whole, _, part = text.partition(".")
                    values[name] = int(whole) * 1000 + int((part + "000")[:3])
            yield int(row["ts"]), values


def largest_remainder(total, weights):
    sum_w = sum(weights)
    if total == 0 or sum_w == 0:
        return [0] * len(weights)
    shares = [total * w // sum_w for w in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % sum_w), i))
    for i in order[:total - sum(shares)]:
        shares[i] += 1
    return shares


def settle(path):
    """K2 of the domain specification, by hand: what the ledger must have computed."""
    months = {}
    for ts, values in read_wide(path):
        key = datetime.datetime.fromtimestamp(ts, ZONE).strftime("%Y-%m")
        month = months.setdefault(key, {"pairs": {}, "s": {}, "made": 0, "used": 0, "slots": 0})
        used = sorted(n for n in values if n[0] == "c")
        made = sorted(n for n in values if n[0] == "p")
        total_made, total_used = sum(values[n] for n in made), sum(values[n] for n in used)
        local = min(total_made, total_used)
        share = largest_remainder(local, [values[n] for n in used])
        sold = largest_remainder(local, [values[n] for n in made])
        rest = list(share)
        for j, p in enumerate(made):
            part = largest_remainder(sold[j], rest)
            for i, c in enumerate(used):
                rest[i] -= part[i]
                pair = f"{p}>{c}"
                month["pairs"][pair] = month["pairs"].get(pair, 0) + part[i]
            month["s"][p] = month["s"].get(p, 0) + values[p] - sold[j]
        month["made"] += total_made
        month["used"] += total_used
        month["slots"] += 1
    return months


def expected_of_vector(path):
    """The same shape from the vector file."""
    with open(path, encoding="utf-8") as f:
        vector = json.load(f)
    months = {}
    for key, m in vector["months"].items():
        months[key] = {
            "pairs": {k: v for k, v in m["pairs"].items()},
            "s": {k: v["s"] for k, v in m["producers"].items()},
            "made": sum(v["in"] for v in m["producers"].values()),
            "used": sum(v["in"] for v in m["consumers"].values()),
        }
    return vector, months


def mwh(text):
    amount, _, unit = text.partition(" ")
    assert unit == "Wh", text
    whole, _, part = amount.partition(".")
    assert len(part) == 3, text
    return int(whole) * 1000 + int(part)


def rows(bench, place):
    return bench.lines("rows", CONTRACT, place)


def recorded(bench):
    """What the ledger says, in the shape of settle()."""
    months = {}
    for row in rows(bench, "interval"):
        when = datetime.datetime.fromisoformat(row["key"][0].replace("Z", "+00:00"))
        key = when.astimezone(ZONE).strftime("%Y-%m")
        month = months.setdefault(key, {"pairs": {}, "s": {}, "made": 0, "used": 0, "slots": 0})
        month["made"] += mwh(row["row"]["made"])
        month["used"] += mwh(row["row"]["used"])
        month["slots"] += 1
    for row in rows(bench, "supply"):
        period, p, c = row["key"]
        months[period[:7]]["pairs"][f"{p}>{c}"] = mwh(row["row"]["energy"])
    for row in rows(bench, "surplus"):
        period, p = row["key"]
        months[period[:7]]["s"][p] = mwh(row["row"]["energy"])
    return months


def nonzero(cells):
    return {k: v for k, v in cells.items() if v}


def compare(got, want, what):
    check(sorted(got) == sorted(want), f"{what}: the months are {', '.join(sorted(want))}")
    for key in sorted(want):
        for part in ("pairs", "s"):
            a, b = nonzero(got[key][part]), nonzero(want[key][part])
            wrong = [f"{k}: {a.get(k)} instead of {b.get(k)}" for k in {*a, *b} if a.get(k) != b.get(k)]
            check(not wrong, f"{what}: {key}: all {len(b)} {part} are exact {wrong[:3] or ''}")
        for part in ("made", "used"):
            check(got[key][part] == want[key][part], f"{what}: {key}: {part} {want[key][part]} mWh")


def admit_all(bench, folder):
    events = os.path.join(folder, "admit.jsonl")
    with open(events, "w", encoding="utf-8") as f:
        for i in range(1, CONSUMERS + 1):
            f.write(json.dumps({"contract": CONTRACT, "action": "admit",
                                "args": {"meter": f"c{i:02d}"}}) + "\n")
        for i in range(1, PRODUCERS + 1):
            f.write(json.dumps({"contract": CONTRACT, "action": "admit",
                                "args": {"meter": f"p{i:02d}", "price": f"0.{10 + i}000 EUR/kWh"}})
                    + "\n")
    bench.run("submit", "--events", events, "--as", "pmo.roquefort")


def import_command(bench, path, rate=0):
    return [bench.cli, "import", "readings", path, "--contract", CONTRACT, "--as", "enedis", "--json",
            "--profile", bench.lab.profile, *(["--rate", str(rate)] if rate else [])]


# The kinds of kills, in order; each node is started again after some seconds.
KILLS = ("leader", "follower", "leader", "all", "follower", "leader")
FAULTS_SECONDS = 60  # the import is held to a rate at which it takes about so long


class Faults(threading.Thread):
    """Kills nodes while the import runs; height tells how far it is."""

    def __init__(self, bench):
        super().__init__(daemon=True)
        self.bench, self.done, self.trouble, self.stop = bench, [], None, threading.Event()

    def kill_and_restart(self, names, what):
        for name in names:
            self.bench.kill(name)
        self.done.append(what)
        time.sleep(1.5)
        for name in names:
            self.bench.start(name)

    def run(self):
        try:
            for kind in KILLS:
                self.bench.wait_well(90)
                leader = self.bench.leader()
                others = [n for n in self.bench.nodes if n != leader]
                names = {"leader": [leader], "follower": others[:1], "all": self.bench.nodes}[kind]
                if self.stop.is_set():
                    return
                self.kill_and_restart(names, kind)
            self.bench.wait_well(90)
        except Exception as trouble:  # pylint: disable=broad-except
            self.trouble = trouble


def run_import(bench, path, faults):
    began = time.time()
    readings = sum(len(values) for _, values in read_wide(path))
    rate = readings // FAULTS_SECONDS if faults else 0
    process = subprocess.Popen(import_command(bench, path, rate), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    killer = Faults(bench) if faults else None
    if killer:
        killer.start()
    out, errors = process.communicate(timeout=1500)
    if killer:
        in_time = list(killer.done)
        killer.join(400)
        check(killer.trouble is None, f"faults went as planned {killer.trouble or ''}")
        check(in_time == list(KILLS), f"killed while the import ran: {', '.join(in_time)}")
    check(process.returncode == 0, f"the import ends well {errors[-2000:] if process.returncode else ''}")
    report = json.loads(out.splitlines()[-1])
    return report, time.time() - began


def dump(bench):
    """Everything a reader sees that must not depend on how the ledger got there."""
    state = {t: rows(bench, t) for t in ("interval", "supply", "surplus", "producer")}
    state["trial"] = bench.json("trial-balance")["lines"]
    return json.dumps(state, sort_keys=True)


def main(bench, args):
    """Import a community, compare every total, on 3, 5 or 7 nodes, with or without faults."""
    vector = None
    if args.data == "real":
        path = harness.shared("data", "energy", "at_eeg28_15min_2022q4.csv")
        vector, want = expected_of_vector(harness.shared("vectors", "community28.json"))
    else:
        path = os.path.join(bench.folder, "readings.csv")
        generate(path, args.days)
        want = settle(path)
    slots = sum(1 for _ in read_wide(path))
    bench.up(args.nodes)
    bench.run("contract", "deploy", harness.contract_for(bench.folder))
    admit_all(bench, bench.folder)
    report, seconds = run_import(bench, path, args.faults)
    print(f"imported in {seconds:.1f} s: {report}")
    check(report["accepted"] + report.get("skipped", 0) == slots and report["rejected"] == 0,
          f"all {slots} slots are accepted")
    height, digest = bench.wait_level()
    check(True, f"all {args.nodes} nodes are at height {height} with digest {digest[:16]}...")
    got = recorded(bench)
    compare(got, want, "ledger")
    check(sum(m["slots"] for m in got.values()) == slots, f"{slots} slots are recorded once")
    if vector:
        check(slots == vector["total"]["slots"], "the vector counts as many slots")
    trials = [bench.json("trial-balance", "--local", "--node", n)["lines"] for n in bench.nodes]
    check(all(t == trials[0] for t in trials), "the trial balance is the same on every node")
    totals = bench.json("trial-balance")["totals"]
    check(totals and all(t["sum"] == 0 for t in totals), "every measure sums to zero")
    before = dump(bench)
    again, _ = run_import(bench, path, False)
    check(again["skipped"] == slots and again["accepted"] == 0, "a second import changes nothing")
    check(dump(bench) == before, "the state is the same after it")
    if args.dump:
        with open(args.dump, "w", encoding="utf-8") as f:
            f.write(before)
        if args.same_as:
            with open(args.same_as, encoding="utf-8") as f:
                check(f.read() == before, f"the same bytes as {args.same_as}")


if __name__ == "__main__":
    harness.main(main, nodes=3, faults=False, data="generated", days=7, dump="", same_as="")
