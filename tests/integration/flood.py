#!/usr/bin/env python3
"""One client floods the leader with valid requests of its party: the others wait for moments.

The flood hits its share of the table and is told RATE_LIMITED; another client's requests and
governance pass between. Times are compared with those of the flood itself: machines differ.
"""
import json
import os
import subprocess
import time

import harness
import restart
from harness import check

FLOOD_CLIENTS, FLOOD_IN_FLIGHT, SECONDS = 64, 100, 14


def load(bench, leader, institution, party, *more):
    with open(bench.lab.profile, encoding="utf-8") as f:
        profile = json.load(f)
    host, port = restart.client_address(bench, leader)
    command = [os.path.join(bench.build, "bench", "concordat-load"), "--origin", profile["origin"],
               "--ledger-id", profile["ledger_id"], "--address", f"{host}:{port}",
               "--cert", bench.lab.path(institution, "client", "client.crt"),
               "--key", bench.lab.path(institution, "client", "client.key"), "--party", party,
               "--party-key", bench.lab.path(profile["parties"][party]), "--contract",
               os.path.join(harness.ROOT, "contracts", "transfer.rules"), *more]
    for ca in profile["ca"]:
        command += ["--ca", bench.lab.path(ca)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result_of(process):
    out, errors = process.communicate(timeout=180)
    if not out:
        raise AssertionError(f"the load said nothing: {errors}")
    return json.loads(out.splitlines()[-1])


def main(bench, _args):
    """A second client's p99 and governance, while 6,400 requests of one client are on their way."""
    bench.up(3)
    bench.run("contract", "deploy", os.path.join(harness.ROOT, "contracts", "transfer.rules"))
    leader = bench.leader()
    flood = load(bench, leader, "social", "pmo.roquefort", "--clients", str(FLOOD_CLIENTS),
                 "--in-flight", str(FLOOD_IN_FLIGHT), "--warmup", "1", "--seconds", str(SECONDS))
    time.sleep(3)
    # Its signature is not the one that the contract asks for: each is recorded as rejected.
    quiet = load(bench, leader, "ville", "enedis", "--clients", "1", "--warmup", "0", "--seconds",
                 "8", "--prefix", "quiet")
    key = os.path.join(bench.folder, "new.key")
    bench.run("keygen", "party", "new.party", "--out", key)
    began = time.time()
    bench.run("party", "add", "new.party", "--key", key + ".pub", "--as", "energie.officer")
    took = time.time() - began
    check(flood.poll() is None, "the flood goes on" if flood.poll() is None else
          f"the flood ended early: {flood.communicate()}")
    mine = result_of(quiet)
    theirs = result_of(flood)
    p50, flood_p50 = mine["p50_ns"] / 1e6, theirs["p50_ns"] / 1e6
    print(f"the flood: {theirs['requests']} requests, {theirs['resent']} times refused and sent again, "
          f"half within {flood_p50:.0f} ms")
    check(theirs["resent"] > 0, "the flood was told that it has had its share")
    check(mine["requests"] > 0 and mine["refused"] == 0 and mine["resent"] == 0,
          f"the other client's {mine['requests']} requests are all answered, none refused")
    check(p50 < flood_p50 / 2, f"half of them within {p50:.0f} ms, 99 % within "
                               f"{mine['p99_ns'] / 1e6:.0f} ms")
    check(took * 1000 < flood_p50 + 1000, f"governance passes in {took * 1000:.0f} ms, the command's "
                                          "own start and handshake included")
    check(bench.leader() == leader, "the leader still leads")
    bench.wait_level()


if __name__ == "__main__":
    harness.main(main)
