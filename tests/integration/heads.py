#!/usr/bin/env python3
"""Heads of the tree in a lab of three: receipts cosigned by a majority, within one head interval at
idle; they survive restarts, the loss of a node, and prove themselves offline.
"""
import os
import random
import statistics
import subprocess
import sys
import time

import harness
from harness import check

try:
    import lab_client
except SystemExit as skip:
    print(skip)
    sys.exit(77)

COSIGNED = 1
HEAD_INTERVAL_S = 1.0  # of a genesis that does not say otherwise


class Client:
    """One client that pays and asks for receipts."""

    def __init__(self, bench):
        scratch = os.path.join(bench.folder, "stubs")
        os.makedirs(scratch)
        self.access = lab_client.Access(bench.lab.folder, scratch)
        self.draw = random.Random(5)
        self.paid = []
        self.lines = {name: lab_client.Line(self.access, name) for name in bench.nodes}

    def renew(self, name):
        self.lines[name].close()
        self.lines[name] = lab_client.Line(self.access, name)

    def pay(self, name, wait, timeout=30):
        envelope, request_id, _ = self.access.pay("ada", "ben", 1, self.draw)
        ledger = self.access.ledger
        began = time.monotonic()
        reply = self.lines[name].call(
            "/concordat.v1.Ledger/Submit", ledger.SubmitRequest(envelope=envelope, wait=wait),
            ledger.SubmitReply, timeout)
        self.paid.append(request_id)
        return reply, request_id, time.monotonic() - began

    def receipt(self, name, **wanted):
        ledger = self.access.ledger
        return self.lines[name].call("/concordat.v1.Ledger/GetReceipt",
                                     ledger.GetReceiptRequest(**wanted), ledger.GetReceiptReply, 10)

    def policy(self, name):
        ledger = self.access.ledger
        return self.lines[name].call("/concordat.v1.Ledger/GetPolicy", ledger.GetPolicyRequest(),
                                     ledger.GetPolicyReply, 10).policy

    def consistency(self, name, old):
        ledger = self.access.ledger
        return self.lines[name].call("/concordat.v1.Ledger/GetConsistency",
                                     ledger.GetConsistencyRequest(old_size=old),
                                     ledger.GetConsistencyReply, 10)


def proved(bench, kind, text, policy, *more):
    """Whether concordat-verify, which knows no node, accepts it."""
    program = os.path.join(bench.build, "verify", "concordat-verify")
    paths = [os.path.join(bench.folder, name) for name in ("proof", "policy")]
    for path, content in zip(paths, (text, policy)):
        with open(path, "w", encoding="utf-8") as f:
            f.write(content)
    done = subprocess.run([program, kind, paths[0], "--policy", paths[1], *more], capture_output=True,
                          text=True)
    if done.returncode != 0:
        print(done.stdout + done.stderr)
    return done.returncode == 0


def cosigners(text):
    """Names of those who cosigned, from the signature lines."""
    names = [line.split(" ")[1] for line in text.splitlines() if line.startswith("\u2014 ")]
    return {name for name in names if name.count("/") > 2}


def wait_cosigned(bench, size, seconds=30):
    """Every node has a complete checkpoint of that many records."""
    deadline = time.time() + seconds
    seen = []
    while time.time() < deadline:
        _, facts = bench.status()
        seen = [n.get("cosigned_size", 0) for n in (facts or {}).get("nodes", [])]
        if len(seen) == len(bench.nodes) and min(seen) >= size:
            return
        time.sleep(0.2)
    raise AssertionError(f"checkpoints after {seconds} s: {seen}, wanted {size}")


def idle(client, nodes, bound):
    """One request after a pause, again and again: the time until it is recorded, and cosigned."""
    committed, cosigned = [], []
    for i in range(6):
        time.sleep(1.3 * HEAD_INTERVAL_S)
        name = nodes[i % len(nodes)]
        committed.append(client.pay(name, 0)[2])
        time.sleep(1.3 * HEAD_INTERVAL_S)
        reply, _, seconds = client.pay(name, COSIGNED)
        cosigned.append(seconds)
        if not reply.receipt.startswith("c2sp.org/tlog-proof@v1\n"):
            raise AssertionError("no receipt came with the answer")
    trip = statistics.median(committed)
    print(f"idle: recorded in {1000 * trip:.0f} ms, cosigned in "
          f"{1000 * statistics.median(cosigned):.0f} ms (longest {1000 * max(cosigned):.0f} ms)")
    check(statistics.median(cosigned) < HEAD_INTERVAL_S + bound * trip + bound * 0.2,
          "at idle a receipt is cosigned within a head interval and a round trip")


def statement(bench, client, name):
    """All postings of an account, in pages of five records, proved by one checkpoint."""
    query = client.access.query
    request = query.ProveStatementRequest(page_size=5)
    request.account.contract, request.account.place = lab_client.CONTRACT, 'wallet["ada"]'
    text, pages = "", 0
    while pages == 0 or request.page_token:
        reply = client.lines[name].call("/concordat.v1.Query/ProveStatement", request,
                                        query.ProveStatementReply, 10)
        text, pages, request.page_token = text + reply.text, pages + 1, reply.next_page_token
    postings = sum(line.startswith("posting ") for line in text.splitlines())
    check(pages > 1 and postings == len(client.paid), f"a statement of {postings} postings")
    check(proved(bench, "statement", text, client.policy(name)), "it proves itself offline, too")


def test(bench, args):
    bench.up(3)
    bench.run("contract", "deploy", os.path.join(harness.ROOT, "contracts", "transfer.rules"))
    client = Client(bench)
    nodes = list(bench.nodes)
    first, request_id, _ = client.pay(nodes[0], COSIGNED)
    check(first.receipt != "", "a request that waits for its receipt gets it")
    check(len(cosigners(first.receipt)) >= 2, "two institutions or more have cosigned it")
    policy = client.policy(nodes[0])
    check(proved(bench, "receipt", first.receipt, policy), "it proves itself offline")
    again, _, _ = client.pay(nodes[1], COSIGNED)
    check(again.outcomes[0].position > first.outcomes[0].position, "another node, another receipt")

    wait_cosigned(bench, again.outcomes[0].position + 1)
    for name in nodes:
        got = client.receipt(name, party=lab_client.PARTY, request_id=request_id)
        check(got.position == first.outcomes[0].position and
              proved(bench, "receipt", got.receipt, policy), f"{name} gives it for ever")
    known = os.path.join(bench.folder, "known")
    with open(known, "w", encoding="utf-8") as f:
        f.write(first.receipt.partition("\n\n")[2])
    proof = client.consistency(nodes[2], int(first.receipt.partition("\n\n")[2].split("\n")[1]))
    check(proof.size >= 2 and proved(bench, "consistency", proof.proof, policy, "--old", known),
          "the ledger only grew since that receipt")
    try:
        client.receipt(nodes[0], position=10**6)
        raise AssertionError("a receipt of a record that is not there")
    except lab_client.Refused as no:
        check(no.reason == "NOT_FOUND", "no receipt for what is not there")

    idle(client, nodes, args.times)
    statement(bench, client, nodes[1])

    follower = [n for n in nodes if n != bench.leader()][0]
    bench.kill(follower)
    client.pay(bench.leader(), COSIGNED)
    check(True, "with one node lost a majority still cosigns")
    last = client.pay(bench.leader(), COSIGNED)[0].outcomes[0].position + 1
    bench.start(follower)
    bench.wait_well()
    wait_cosigned(bench, last)
    check(True, "the node that was away has the checkpoint, too, and nothing new was recorded")

    for name in nodes:
        bench.kill(name)
    for name in nodes:
        bench.start(name)
    bench.wait_well()
    for name in nodes:
        client.renew(name)
    wait_cosigned(bench, last)
    got = client.receipt(nodes[0], party=lab_client.PARTY, request_id=request_id)
    check(proved(bench, "receipt", got.receipt, policy), "receipts are there after all have died")
    reply = client.pay(nodes[0], COSIGNED)[0]
    check(reply.receipt != "", "and new ones are made")


harness.main(test, times=1)
