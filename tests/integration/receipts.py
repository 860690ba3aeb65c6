#!/usr/bin/python3
"""Receipts and statements of real nodes, judged after all nodes are dead by two programs that share
no line: concordat-verify, and tests/clients/verify.py."""
import json
import os
import subprocess
import sys

import harness
from harness import check

CONTRACT = "transfer.roquefort"
SECOND = os.path.join(harness.ROOT, "tests", "clients", "verify.py")


class Judges:
    def __init__(self, bench):
        self.first = os.path.join(bench.build, "verify", "concordat-verify")
        self.policy = os.path.join(bench.folder, "policy")

    def ask(self, what, file, *options):
        """Whether both say it is proved; what each of them says."""
        said = []
        for program in ([self.first, "--json"], [sys.executable, SECOND]):
            done = subprocess.run(program + [what, file, "--policy", self.policy, *options],
                                  capture_output=True, text=True, check=False)
            if done.returncode > 1:
                raise AssertionError(f"{program}: {done.stdout}{done.stderr}")
            said.append(json.loads(done.stdout))
            assert said[-1]["proved"] == (done.returncode == 0)
        check(said[0]["proved"] == said[1]["proved"],
              f"both programs say of {os.path.basename(file)}: "
              f"{'proved' if said[0]['proved'] else said[0]['reason'] + ' / ' + said[1]['reason']}")
        return said


def pay(bench, name, amount, code=0, receipt=True):
    files = {kind: os.path.join(bench.folder, f"{name}.{kind}") for kind in ("request", "receipt")}
    wait = ["--receipt", files["receipt"]] if receipt else []
    said = bench.json("submit", CONTRACT, "pay", "--as", "pmo.roquefort", "--arg", "debtor=lea",
                      "--arg", "creditor=mill", "--arg", f"amount={amount}", "--save",
                      files["request"], *wait, code=code)
    return said, files


def changed(path):
    """One byte of the record is another one."""
    with open(path, "rb") as f:
        content = bytearray(f.read())
    at = content.index(b"extra ") + 40
    content[at] = ord("A") if content[at] != ord("A") else ord("B")
    with open(path + ".changed", "wb") as f:
        f.write(content)
    return path + ".changed"


def judge_receipts(judges, kept):
    for name, (said, files, content) in kept.items():
        one = judges.ask("receipt", files["receipt"], "--request", files["request"], "--outcome",
                         content + ".outcome", "--effects", content + ".effects")
        position = said["outcomes"][0]["position"]
        check(one[0]["proved"] and one[0]["position"] == one[1]["position"] == position
              and one[0]["request_hash"] == said["request_hash"]
              and len({v["institution"] for v in one[0]["cosigned"]}) >= 2,
              f"{name} is proved at {position}, cosigned by "
              f"{[v['institution'] for v in one[0]['cosigned']]}")
        other = next(o for n, o in kept.items() if n != name)
        check(not judges.ask("receipt", files["receipt"], "--request",
                             other[1]["request"])[0]["proved"], "and it is of no other request")
        check(not judges.ask("receipt", changed(files["receipt"]))[0]["proved"],
              "nor is it when a byte is changed")


def main(bench, _args):
    bench.up(3)
    bench.run("contract", "deploy", os.path.join(harness.ROOT, "contracts", "transfer.rules"))
    bench.leader()
    judges = Judges(bench)
    kept = {}
    for name, amount, code in (("paid", "12.34 EUR", 0), ("refused", "200000.00 EUR", 1),
                               ("again", "1.00 EUR", 0)):
        said, files = pay(bench, name, amount, code)
        content = os.path.join(bench.folder, name)
        position = str(said["outcomes"][0]["position"])
        check(os.path.exists(files["receipt"]), f"{name}: submit brought the receipt")
        fetched = bench.run("receipt", "get", said["party"], said["request_id"], "--content",
                            content).stdout
        by_position = bench.run("receipt", "get", "--position", position).stdout
        check(fetched.splitlines()[:3] == by_position.splitlines()[:3],
              "and it is fetched by request and by position")
        kept[name] = (said, files, content)
    govern = os.path.join(bench.folder, "govern.receipt")
    bench.run("receipt", "get", "--position", "0", "--out", govern)
    statement = os.path.join(bench.folder, "lea.statement")
    proved = bench.json("statement", CONTRACT + "/wallet[lea]", "--prove", statement)
    check(proved["file"] == statement, "a statement that proves itself is fetched")
    later, _ = pay(bench, "later", "2.00 EUR")
    part = os.path.join(bench.folder, "part.statement")
    bench.run("statement", CONTRACT + "/wallet[lea]", "--prove", part, "--to",
              str(later["outcomes"][0]["position"]))
    old = kept["paid"][1]["receipt"]
    size = bench.json("receipt", "show", old)["size"]
    grown = os.path.join(bench.folder, "grown")
    bench.run("consistency", "get", str(size), "--out", grown)
    bench.run("policy", "--out", judges.policy)
    for node in bench.nodes:
        bench.kill(node)
    judge_receipts(judges, kept)
    check(judges.ask("receipt", govern)[0]["kind"] == "governance", "a deed of the institutions too")
    whole = judges.ask("statement", statement)
    check([p["quanta"] for p in whole[0]["list"]] == [-1234, -100]
          and whole[0]["closing_quanta"] == whole[1]["closing"] == -1334,
          f"the statement is complete: {[p['quanta'] for p in whole[0]['list']]}")
    closed = judges.ask("statement", part)
    check(closed[0]["proved"] and closed[0]["list"][-1]["quanta"] == -200,
          "a part is closed by the record behind it")
    check(judges.ask("consistency", grown, "--old", old)[0]["proved"], "the tree only grew")


if __name__ == "__main__":
    harness.main(main)
