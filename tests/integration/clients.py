#!/usr/bin/python3
"""Stock gRPC clients in Python and Node.js, written against the .proto alone, against every node."""
import json
import os
import shutil
import subprocess

import harness
from harness import check

CLIENTS = os.path.join(harness.ROOT, "tests", "clients")


def options(bench, node, meter):
    lab = bench.lab
    with open(lab.profile, encoding="utf-8") as f:
        address = {n["name"]: n["address"] for n in json.load(f)["nodes"]}[node]
    return ["--target", address, "--ca", lab.path(node, "keys", "ca.crt"),
            "--cert", lab.path("social", "client", "client.crt"),
            "--key", lab.path("social", "client", "client.key"),
            "--party", "pmo.roquefort", "--party-key", lab.path("parties", "pmo.roquefort.key"),
            "--contract", "solar.roquefort", "--action", "admit",
            "--args", json.dumps({"meter": {"text": meter}})]


def node_client(bench):
    """The JavaScript client with its packages installed in a folder of the test, or why not."""
    if not shutil.which("node") or not shutil.which("npm"):
        return None, "node and npm are not installed"
    folder = os.path.join(bench.folder, "js")
    shutil.copytree(os.path.join(CLIENTS, "js"), folder)
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, capture_output=True,
                          text=True, timeout=300)
    if done.returncode != 0:
        return None, "npm ci: " + (done.stderr.strip().splitlines() or ["failed"])[-1]
    return ["node", os.path.join(folder, "submit.js"), "--proto",
            os.path.join(harness.ROOT, "proto")], ""


def run(bench, name, command, leader):
    for i, node in enumerate(bench.nodes):
        done = subprocess.run([*command, *options(bench, node, f"m{name}{i}")], capture_output=True,
                              text=True, timeout=60)
        role = "the leader" if node == leader else "a follower, which forwards"
        if done.returncode != 0:
            raise AssertionError(f"{name} at {node}: {done.stdout}{done.stderr}")
        line = json.loads(done.stdout.splitlines()[-1])
        check(line["end"] == "ACCEPTED", f"{name} at {node} ({role}): {line['client']}, health "
                                         f"{line['health']}, position {line['position']}")


def main(bench, _args):
    """Submit, read back, watch and health with grpcio and grpc-js, at each of three nodes."""
    bench.up(3)
    bench.run("contract", "deploy", harness.contract_for(bench.folder))
    leader = bench.leader()
    python = "/usr/bin/python3"
    if subprocess.run([python, "-c", "import grpc, google.protobuf, cryptography"],
                      capture_output=True).returncode == 0:
        run(bench, "py", [python, os.path.join(CLIENTS, "python", "submit.py")], leader)
    else:
        print("SKIP: python3-grpcio is not installed")
    command, why = node_client(bench)
    if command:
        run(bench, "js", command, leader)
    else:
        print(f"SKIP: {why}")
    watched = bench.lines("watch", "--contract", "solar.roquefort")
    check(watched and all(r["action"] == "admit" and r["end"] == "accepted" for r in watched),
          f"Watch names contract, action and end of all {len(watched)} records")
    check(bench.status()[0] == 0, "the ledger is well")


if __name__ == "__main__":
    harness.main(main)
