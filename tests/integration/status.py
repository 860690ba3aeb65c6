#!/usr/bin/env python3
"""Status from any node: with all nodes, with one dead, with two of three dead, and back."""
import time

import harness
from harness import check


def wait_code(bench, name, wanted, seconds=30):
    deadline = time.time() + seconds
    while time.time() < deadline:
        code, facts = bench.status(name)
        if code == wanted and facts:
            return facts
        time.sleep(0.2)
    raise AssertionError(f"status of {name}: exit {code} after {seconds} s, not {wanted}")


def roles(facts):
    return {n["name"]: n["role"] for n in facts["nodes"]}


def main(bench, _args):
    """Roles, term, height, lag, last contact, quorum, failures survived; exit 0, 1, 2."""
    bench.up(3)
    for name in bench.nodes:
        facts = wait_code(bench, name, 0)
        check(facts["failures_survived"] == 1 and facts["quorum"] == 2 and facts["voters"] == 3,
              f"{name}: three voters, quorum 2, survives 1 failure")
        check(sorted(roles(facts).values()) == ["leader", "voter", "voter"],
              f"{name}: one leader, two voters")
        for node in facts["nodes"]:
            check({"term", "height", "lag", "last_contact_ms"} <= set(node),
                  f"{name}: says term, height, lag and last contact of {node['name']}")
        check(not facts["alarms"], f"{name}: no alarm")
    leader = bench.leader()
    others = [n for n in bench.nodes if n != leader]
    bench.kill(others[0])
    for name in (leader, others[1]):
        facts = wait_code(bench, name, 1)
        check(facts["failures_survived"] == 0, f"{name}: one node dead: survives no more failure")
        alarm = [a for a in facts["alarms"] if a["code"] == "node-unreachable"][0]
        check(alarm["node"] == others[0] and alarm["remedy"], f"{name}: {alarm['text']}: "
                                                              f"{alarm['remedy']}")
    bench.kill(leader)
    facts = wait_code(bench, others[1], 2)
    check(any(a["code"] == "no-quorum" for a in facts["alarms"]),
          "two of three dead: exit 2 and the alarm no-quorum")
    table = bench.run("status", "--node", others[1], code=2).stdout
    print(table)
    check(others[1] in table and leader in table, "the table names all nodes")
    done = bench.run("balance", "solar.roquefort/vat_due", "--node", others[1], code=(1, 3))
    check("majority" in done.stderr or "leader" in done.stderr,
          f"a read that needs a majority says so: {done.stderr.strip()[-120:]}")
    bench.start(leader)
    bench.start(others[0])
    bench.wait_well()
    check(wait_code(bench, others[1], 0)["failures_survived"] == 1, "all back: well again")


if __name__ == "__main__":
    harness.main(main)
