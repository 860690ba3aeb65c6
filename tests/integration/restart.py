#!/usr/bin/env python3
"""A node with 250,000 readings stops and starts: how soon it serves, what it takes, what it loses.

Restart under 5 s, by SIGTERM and by -9, of one node and of all; memory under 256 MB at all times;
SIGTERM of the leader under load loses no acknowledged request, and clients that retry see no error.
"""
import json
import os
import re
import socket
import subprocess
import time

import community
import harness
from harness import check

SERVE_SECONDS = 5
DAYS, DAYS_SLOW = 77, 10  # 251,232 readings; a build that watches itself is spared most of them
MEMORY_MB = 256
CLIENTS, LOAD_SECONDS = 16, 12
CONTRACT, PARTY = "transfer.roquefort", "pmo.roquefort"


def height_of(facts):
    return facts.get("at", facts)["height"] if facts else None


def level(bench, seconds):
    """Waits until every node, asked by itself, is at one height with one digest."""
    deadline = time.time() + seconds
    heads = []
    while time.time() < deadline:
        facts = [bench.status(name)[1] for name in bench.nodes]
        heads = [(f.get("at", f)["height"], f.get("at", f)["digest"]) if f else None for f in facts]
        if None not in heads and len(set(heads)) == 1:
            return heads[0]
        time.sleep(0.1)
    raise AssertionError(f"the nodes are not level after {seconds} s: {heads}")


def client_address(bench, name):
    with open(bench.lab.profile, encoding="utf-8") as f:
        for node in json.load(f)["nodes"]:
            if node["name"] == name:
                host, _, port = node["address"].rpartition(":")
                return host, int(port)
    raise AssertionError(f"no address of {name}")


def wait_listening(bench, name, deadline):
    while time.time() < deadline:
        try:
            with socket.create_connection(client_address(bench, name), timeout=1):
                return
        except OSError:
            time.sleep(0.01)
        if not bench.lab.pid(name):
            raise AssertionError(f"{name} has stopped by itself")
    raise AssertionError(f"{name} does not listen")


def cpu_seconds(bench, name):
    with open(f"/proc/{bench.lab.pid(name)}/stat", encoding="utf-8") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(bench, name):
    with open(f"/proc/{bench.lab.pid(name)}/status", encoding="utf-8") as f:
        text = f.read()
    return [int(re.search(rf"{key}:\s*(\d+)", text).group(1)) // 1024 for key in ("VmRSS", "VmHWM")]


def check_memory(bench, when, slow):
    for name in bench.nodes:
        now, peak = memory_mb(bench, name)
        if slow:
            print(f"{name} {when}: {now} MB now, {peak} MB at most (not judged in this build)")
        else:
            check(peak < MEMORY_MB, f"{name} {when}: {now} MB now, {peak} MB at most, "
                                    f"under {MEMORY_MB}")


def stop(bench, name, number):
    began = time.time()
    bench.kill(name, number)
    return time.time() - began


def wait_served(bench, name, began, limit):
    """Seconds from exec until the node answers status, reads through a quorum, and is level."""
    deadline = began + 10 * limit
    wait_listening(bench, name, deadline)
    times = {"listens": time.time() - began}
    print(f"{name} took {cpu_seconds(bench, name):.2f} s of CPU to start")
    facts = None
    while facts is None and time.time() < deadline:
        facts = bench.status(name)[1]
    check(facts is not None, f"{name} answers status")
    times["answers"] = time.time() - began
    bench.run("balance", f"{CONTRACT}/wallet[nobody]", "--node", name, timeout=10 * limit)
    times["reads"] = time.time() - began
    others = [n for n in bench.nodes if n != name]
    while time.time() < deadline:
        wanted = max(height_of(bench.status(n)[1]) or 0 for n in others)
        if (height_of(bench.status(name)[1]) or 0) >= wanted:
            times["level"] = time.time() - began
            break
    check("level" in times, f"{name} is level with the others")
    return times


def restart(bench, name, number, limit):
    what = {15: "SIGTERM", 9: "SIGKILL"}[number]
    stopped = stop(bench, name, number)
    bench.leader()  # the others go on
    began = time.time()
    bench.start(name)
    times = wait_served(bench, name, began, limit)
    said = ", ".join(f"{key} after {value:.2f} s" for key, value in times.items())
    check(max(times.values()) < limit, f"{name} after {what} (stopped in {stopped:.2f} s): {said}, "
                                       f"under {limit} s")


def restart_all(bench, limit):
    for name in bench.nodes:
        stop(bench, name, 15)
    began = time.time()
    for name in bench.nodes:
        bench.start(name)
    for name in bench.nodes:
        wait_listening(bench, name, began + 10 * limit)
    listening = time.time() - began
    bench.wait_well(10 * limit)
    bench.run("balance", f"{CONTRACT}/wallet[nobody]")
    seconds = time.time() - began
    # Nobody leads a ledger of which all nodes have just started before an election timeout is over.
    check(seconds < 2 * limit, f"all nodes: listen after {listening:.2f} s, serve after "
                               f"{seconds:.2f} s, under {2 * limit} s")


# ---- SIGTERM under load ----

def load_command(bench, addresses, *more):
    with open(bench.lab.profile, encoding="utf-8") as f:
        profile = json.load(f)
    command = [os.path.join(bench.build, "bench", "concordat-load"), "--origin", profile["origin"],
               "--ledger-id", profile["ledger_id"], "--cert", bench.lab.path(profile["cert"]),
               "--key", bench.lab.path(profile["key"]), "--party", PARTY, *more]
    for ca in profile["ca"]:
        command += ["--ca", bench.lab.path(ca)]
    for name in addresses:
        host, port = client_address(bench, name)
        command += ["--address", f"{host}:{port}"]
    return command


def start_load(bench, leader, acks):
    others = [n for n in bench.nodes if n != leader]
    with open(bench.lab.profile, encoding="utf-8") as f:
        key = bench.lab.path(json.load(f)["parties"][PARTY])
    return subprocess.Popen(
        load_command(bench, [leader, *others], "--contract",
                     os.path.join(harness.ROOT, "contracts", "transfer.rules"), "--party-key", key,
                     "--clients", str(CLIENTS), "--warmup", "1", "--seconds", str(LOAD_SECONDS),
                     "--acks", acks, "--prefix", "drain"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_acknowledged(bench, acks, wanted):
    for name in bench.nodes:
        done = subprocess.run(load_command(bench, [name], "--check", acks, "--local"),
                              capture_output=True, text=True, timeout=600)
        facts = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
        check(done.returncode == 0 and facts["asked"] == wanted and facts["found"] == wanted and
              facts["accepted"] == wanted,
              f"{name} knows all {wanted} acknowledged requests, all accepted "
              f"{done.stderr.strip()}".strip())


def drain(bench, limit):
    acks = os.path.join(bench.folder, "acks.txt")
    leader = bench.leader()
    process = start_load(bench, leader, acks)
    time.sleep(4)
    check(process.poll() is None, "the load runs")
    seconds = stop(bench, leader, 15)
    check(seconds < 3 * limit, f"the leader {leader} has drained in {seconds:.2f} s under load")
    time.sleep(1)
    bench.start(leader)
    out, errors = process.communicate(timeout=300)
    check(process.returncode == 0, f"clients that retry see no error {errors.strip()}".strip())
    result = json.loads(out.splitlines()[-1])
    check(result["refused"] == 0 and result["rejected"] == 0 and result["unanswered"] == 0,
          "nothing refused, rejected or unanswered")
    check(result["resent"] > 0, f"{result['resent']} requests had to be sent again")
    check(bench.leader() in bench.nodes, "there is a leader")
    print(f"{result['all_requests']} requests, the longest took {result['max_ns'] / 1e6:.0f} ms")
    level(bench, 60)
    check_acknowledged(bench, acks, result["all_requests"])
    for account, cents in result["cents"].items():
        got = int(bench.json("balance", f"{CONTRACT}/wallet[{account}]")["quanta"])
        check(got == cents, f"account {account} holds {cents} cents")


def main(bench, args):
    """Restart, memory and SIGTERM of nodes with 250,000 readings."""
    slow = harness.sanitized(args.build)
    limit = SERVE_SECONDS * max(args.times, 10 if slow else 5 if harness.busy() else 1)
    days = args.days or (DAYS_SLOW if slow else DAYS)
    path = os.path.join(bench.folder, "readings.csv")
    community.generate(path, days)
    readings = sum(len(values) for _, values in community.read_wide(path))
    bench.up(3)
    bench.run("contract", "deploy", harness.contract_for(bench.folder))
    bench.run("contract", "deploy", os.path.join(harness.ROOT, "contracts", "transfer.rules"))
    community.admit_all(bench, bench.folder)
    report, seconds = community.run_import(bench, path, False)
    check(report["accepted"] == days * 96 and report["rejected"] == 0,
          f"{readings} readings are in the ledger, after {seconds:.1f} s")
    height, digest = level(bench, 120)
    check_memory(bench, "after the import", slow)
    leader = bench.leader()
    follower = [n for n in bench.nodes if n != leader][0]
    restart(bench, follower, 15, limit)
    restart(bench, follower, 9, limit)
    restart(bench, leader, 15, limit)
    restart(bench, bench.leader(), 9, limit)
    restart_all(bench, limit)
    check(level(bench, 60) == (height, digest), "height and digest are what they were")
    check_memory(bench, "after the restarts", slow)
    drain(bench, limit)
    check_memory(bench, "at the end", slow)
    trial = bench.json("trial-balance")["lines"]
    check(trial and all(int(line["sum"]) == 0 for line in trial), "every family sums to zero")


if __name__ == "__main__":
    harness.main(main, days=0, times=1)  # times: so many times as wide are the bounds
