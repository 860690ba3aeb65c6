#!/usr/bin/env python3
"""Parties, keys and contracts: who may decide what, and from when it holds."""
import json
import os
import shutil
import signal

import harness
from harness import check

CONTRACT = "solar.roquefort"
LONG = """ts,point,wh
2022-10-04T00:00:00+02:00,c01,235
2022-10-04T00:00:00+02:00,p01,100.125
2022-10-04T00:15:00+02:00,c01,200
2022-10-04T00:15:00+02:00,p01,300
"""


def use_key(bench, party, path):
    with open(bench.lab.profile, encoding="utf-8") as f:
        profile = json.load(f)
    profile["parties"][party] = path
    with open(bench.lab.profile, "w", encoding="utf-8") as f:
        json.dump(profile, f)


def deploy(bench):
    """One institution alone decides nothing; a request goes round until a majority has signed."""
    text = harness.contract_for(bench.folder)
    request = os.path.join(bench.folder, "deploy.req")
    key = {n: bench.lab.path(n, "keys", "governance.key") for n in bench.nodes}
    bench.run("contract", "deploy", text, "--key", f"ville={key['ville']}", "--out", request)
    done = bench.run("submit", request, code=1)
    check("rejected" in done.stdout and "2 are needed" in done.stdout,
          f"one signature of three: {done.stdout.strip().splitlines()[-1].strip()}")
    bench.run("contract", "deploy", text, "--key", f"ville={key['ville']}", "--out", request + "2")
    bench.run("sign", request + "2", "--key", key["energie"])
    bench.run("submit", request + "2")
    names = [c["name"] for c in bench.lines("contract", "list")]
    check(names == [CONTRACT], "two signatures of three: the contract is in force")


def keys(bench):
    for name in ("first", "second"):
        bench.run("keygen", "party", name, "--out", os.path.join(bench.folder, name + ".key"))
    first, second = (os.path.join(bench.folder, n + ".key") for n in ("first", "second"))
    bench.run("party", "add", "grid2", "--key", first + ".pub", "--as", "energie.officer")
    done = bench.run("key", "add", "grid2", "--key", second + ".pub", "--as", "ville.officer", code=1)
    check("belongs to energie" in done.stdout, "an officer of another institution is rejected")
    use_key(bench, "grid2", first)
    done = bench.run("submit", CONTRACT, "admit", "--as", "grid2", "--arg", "meter=c09", code=1)
    check("not signed by pmo.roquefort" in done.stdout, "a new party signs, and has only its own rights")
    bench.run("key", "add", "grid2", "--key", second + ".pub", "--as", "energie.officer")
    bench.run("key", "revoke", "grid2", "--key", first + ".pub", "--as", "energie.officer")
    done = bench.run("submit", CONTRACT, "admit", "--as", "grid2", "--arg", "meter=c09", code=1)
    check("KEY_REVOKED" in done.stderr, "the revoked key counts no more")
    use_key(bench, "grid2", second)
    done = bench.run("submit", CONTRACT, "admit", "--as", "grid2", "--arg", "meter=c09", code=1)
    check("clause 0.2" in done.stdout, "the other key does")


def renew(bench):
    """A new certificate for the same key, read on SIGHUP; a certificate for another key is not."""
    name = bench.nodes[1]
    node, keys_dir = bench.lab.path(name, "node"), bench.lab.path(name, "keys")
    certificate = os.path.join(node, "node.crt")
    with open(certificate, encoding="utf-8") as f:
        before = f.read()
    bench.run("keygen", "node", name, "--institution-dir", keys_dir, "--dir", node, "--host",
              "127.0.0.1", "--days", "20", "--renew")
    with open(certificate, encoding="utf-8") as f:
        check(f.read() != before, "keygen node --renew writes a new certificate")
    os.kill(bench.lab.pid(name), signal.SIGHUP)
    facts = bench.wait_alarm(name, "certificate-expiring")
    check(facts["nodes"][1]["certificate_days_left"] in (19, 20), "it is in use after SIGHUP, and "
          "status warns of its 20 days")
    other = os.path.join(bench.folder, "other")
    bench.run("keygen", "node", name, "--institution-dir", keys_dir, "--dir", other)
    shutil.copy(os.path.join(other, "node.crt"), certificate)
    os.kill(bench.lab.pid(name), signal.SIGHUP)
    bench.wait_log(name, "was not reloaded, the old one stays in use")
    check(bench.status(name)[1] is not None, "a certificate for another key is refused, the node serves")
    with open(certificate, "w", encoding="utf-8") as f:
        f.write(before)
    os.kill(bench.lab.pid(name), signal.SIGHUP)
    bench.wait_well()


def settle_long_file(bench):
    """The long format, and a month closed to the cent: 300.125 Wh at 0.10 EUR/kWh."""
    path = os.path.join(bench.folder, "long.csv")
    with open(path, "w", encoding="utf-8") as f:
        f.write(LONG)
    bench.run("submit", CONTRACT, "admit", "--as", "pmo.roquefort", "--arg", "meter=c01")
    bench.run("submit", CONTRACT, "admit", "--as", "pmo.roquefort", "--arg", "meter=p01", "--arg",
              "price=0.1 EUR/kWh")
    report = bench.json("import", "readings", path, "--contract", CONTRACT, "--as", "enedis")
    check(report["accepted"] == 2 and report["readings"] == 4, "two slots of the long file")
    report = bench.json("import", "readings", path, "--contract", CONTRACT, "--as", "enedis")
    check(report["skipped"] == 2 and report["accepted"] == 0, "and nothing twice")
    row = bench.lines("rows", CONTRACT, "supply")[0]
    check(row == {"key": ["2022-10-01", "p01", "c01"], "row": {"energy": "300.125 Wh"}},
          "100.125 Wh and 200 Wh went from p01 to c01")
    bench.run("submit", CONTRACT, "close", "--as", "pmo.roquefort", "--arg", "period=2022-10-01")
    amount = {a: bench.json("balance", f"{CONTRACT}/wallet[{a}]")["amount"]
              for a in ("c01", "p01", "supplier.surplus")}
    check(amount == {"c01": "-0.04 EUR", "p01": "0.04 EUR", "supplier.surplus": "-0.01 EUR"},
          f"the month is closed: {amount}")
    totals = bench.json("trial-balance")["totals"]
    check(len(totals) == 2 and all(t["sum"] == 0 for t in totals), "euros and Wh sum to zero")


def main(bench, _args):
    """Governance requests and a small settlement on three nodes."""
    bench.up(3)
    deploy(bench)
    keys(bench)
    settle_long_file(bench)
    bench.wait_level()
    renew(bench)


if __name__ == "__main__":
    harness.main(main)
