#!/usr/bin/env python3
"""Three programs and one ledger: make.py wrote the golden files, concordat-verify and verify.py read
them, and must agree on what is proved and on what is not.

    verify_test.py CONCORDAT_VERIFY"""
import json
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "../golden/receipts")
PROVED, NOT_PROVED, USAGE = 0, 1, 2


def golden(name): return os.path.join(GOLDEN, name)


class Both:
    """The program under test, and the independent one."""

    def __init__(self, program):
        self.first = [program]
        self.second = [sys.executable, os.path.join(HERE, "verify.py")]

    def run(self, what, file, *options):
        answers = []
        for program in (self.first + ["--json"], self.second):
            r = subprocess.run(program + [what, file, "--policy", golden("policy"), *options],
                               stdout=subprocess.PIPE, check=False)
            answers.append((r.returncode, json.loads(r.stdout)))
        (code, said), (other, also) = answers
        assert code == other, f"{what} {file}: {said} and {also}"
        assert said["proved"] == also["proved"] == (code == PROVED)
        return code, said, also


def main():
    both = Both(sys.argv[1])
    subprocess.run([sys.executable, golden("make.py"), "--check"], check=True)
    code, said, also = both.run("receipt", golden("receipt"), "--request", golden("request"),
                                "--outcome", golden("outcome"), "--effects", golden("effects"))
    assert code == PROVED and said["position"] == also["position"] == 6, said
    for ours, theirs in (("root", "root"), ("outcome_hash", "outcome"), ("on_behalf", "on_behalf"),
                         ("contract", "contract"), ("accounts_root", "accounts_root")):
        assert said[ours] == also[theirs], ours
    assert [v["institution"] for v in said["cosigned"]] == ["ville", "enedis", "sigra"]
    for name in ("statement", "part.statement", "none.statement"):
        code, said, also = both.run("statement", golden(name))
        assert code == PROVED, said
        assert (said["closing_quanta"], said["ended"]) == (also["closing"], also["ended"])
        assert said["account"].startswith("solar.roquefort/wallet[c")
        assert [p["quanta"] for p in said["list"]] == [p["quanta"] for p in also["list"]]
    code, said, also = both.run("consistency", golden("consistency"), "--old", golden("checkpoint"))
    assert code == PROVED and said["old_root"] == also["old_root"]
    code, _, _ = both.run("receipt", golden("receipt"), "--request", golden("request"),
                          "--outcome", golden("effects"))
    assert code == NOT_PROVED
    chance = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        forged = os.path.join(folder, "forged")
        for what in ("receipt", "statement"):
            with open(golden(what), "rb") as f:
                content = bytearray(f.read())
            for at in chance.sample(range(len(content)), 12):
                content[at] ^= 1
                with open(forged, "wb") as f:
                    f.write(content)
                content[at] ^= 1
                code, said, also = both.run(what, forged)
                assert code == NOT_PROVED and said["reason"] and also["reason"], at
    for wrong in (["receipt", golden("receipt")], ["receipt", "nothing", "--policy", "nothing"],
                  ["bill", golden("receipt"), "--policy", golden("policy")],
                  ["consistency", golden("consistency"), "--policy", golden("policy")],
                  ["statement", golden("statement"), "--policy", golden("policy"), "--to", "soon"]):
        r = subprocess.run([sys.argv[1], *wrong], stderr=subprocess.PIPE, check=False)
        assert r.returncode == USAGE and r.stderr, wrong
    # The part begins with record 6 and ends with record 7: it closes only what lies between.
    for bounds, code in ((["--from", "7", "--to", "7"], PROVED), (["--from", "6"], NOT_PROVED),
                         (["--from", "2026-05-29"], PROVED), (["--from", "7", "--to", "8"], NOT_PROVED)):
        r = subprocess.run([sys.argv[1], "statement", golden("part.statement"), "--policy",
                            golden("policy"), *bounds], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=False)
        assert r.returncode == code, bounds
    print("both programs agree")


if __name__ == "__main__":
    main()
