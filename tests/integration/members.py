#!/usr/bin/env python3
"""Nodes come, vote, are replaced and go, while clients that retry see no error.

By hand: --sizes 5,7,3 for the long way, --all to replace every node one after another.
"""
import json
import os
import shutil
import subprocess
import threading
import time

import harness
from harness import check

CONTRACT = "solar.roquefort"


class Load:
    """Clients that submit one request after another and retry as the product's client does."""

    def __init__(self, bench, clients=16, pause=0.0):
        self.bench, self.pause = bench, pause
        self.stop, self.done, self.errors = False, 0, []
        self.lock = threading.Lock()
        self.longest = 0.0
        self.threads = [threading.Thread(target=self.work, args=(i,), daemon=True)
                        for i in range(clients)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        count = 0
        while not self.stop:
            count += 1
            meter = f"m{number:02d}.{count}"
            begin = time.time()
            done = subprocess.run(
                [self.bench.cli, "submit", CONTRACT, "admit", "--as", "pmo.roquefort", "--arg",
                 f"meter={meter}", "--profile", self.bench.lab.profile, "--deadline", "60"],
                capture_output=True, text=True)
            with self.lock:
                self.longest = max(self.longest, time.time() - begin)
                if done.returncode == 0:
                    self.done += 1
                else:
                    self.errors.append(f"{meter}: exit {done.returncode}: {done.stdout}{done.stderr}")
            time.sleep(self.pause)

    def end(self):
        self.stop = True
        for thread in self.threads:
            thread.join()
        return self.done


def table(bench, ever=False):
    return bench.json("node", "list", *(["--ever"] if ever else []))


def node_of(bench, name):
    found = [n for n in table(bench)["nodes"] if n["name"] == name and n["wish"] != "removed"]
    return found[0] if found else None


def save_profile(bench, change):
    with open(bench.lab.profile, encoding="utf-8") as f:
        profile = json.load(f)
    change(profile)
    temporary = bench.lab.profile + ".new"
    with open(temporary, "w", encoding="utf-8") as f:
        json.dump(profile, f)
    os.replace(temporary, bench.lab.profile)


class Machine:
    """A machine that is not in the genesis: keys, addresses, and later a configuration."""

    def __init__(self, bench, institution, name):
        self.bench, self.institution, self.name = bench, institution, name
        self.client, self.peer = harness.lab_module.free_ports(2, 0)
        self.folder = bench.lab.path(name)
        os.makedirs(self.folder, mode=0o700)
        bench.run("keygen", "node", name, "--institution-dir", bench.lab.path(institution, "keys"),
                  "--dir", os.path.join(self.folder, "node"), "--host", "127.0.0.1")

    def said(self):
        return ["--peer", f"127.0.0.1:{self.peer}", "--client", f"127.0.0.1:{self.client}",
                "--certificate", os.path.join(self.folder, "node", "node.crt"),
                "--head-key", os.path.join(self.folder, "node", "head.key.pub")]

    def start(self):
        """With the bootstrap table, once it is in the ledger's table."""
        table_text = self.bench.run("node", "list", "--bootstrap").stdout
        with open(os.path.join(self.folder, "nodes.txt"), "w", encoding="utf-8") as f:
            f.write(table_text)
        with open(self.bench.lab.path(self.bench.nodes[0], "node.yaml"), encoding="utf-8") as f:
            same = ("election", "heartbeat", "checkpoint", "log_", "snapshot")
            timing = [line for line in f if line.startswith(same)]
        with open(os.path.join(self.folder, "node.yaml"), "w", encoding="utf-8") as f:
            f.write(f"""institution: {self.institution}
node: {self.name}
data: data
bootstrap: nodes.txt
genesis: ../genesis.bin
genesis_signatures: ../genesis.sig
listen_client: 127.0.0.1:{self.client}
listen_peer: 127.0.0.1:{self.peer}
certificate: node/node.crt
private_key: node/node.key
""" + "".join(timing))
        self.bench.lab.facts["nodes"][self.name] = {}
        self.bench.start(self.name)
        save_profile(self.bench, lambda p: p["nodes"].append(
            {"name": self.name, "address": f"127.0.0.1:{self.client}"}))


def forget(bench, name):
    """A node that is gone is no longer asked."""
    save_profile(bench, lambda p: p.update(nodes=[n for n in p["nodes"] if n["name"] != name]))
    del bench.lab.facts["nodes"][name]
    bench.lab.save()


def wait_stopped(bench, name, words, seconds=60):
    deadline = time.time() + seconds
    while bench.lab.pid(name) and time.time() < deadline:
        try:
            os.waitpid(bench.lab.pid(name) or 0, os.WNOHANG)
        except (ChildProcessError, TypeError):
            pass
        time.sleep(0.1)
    check(not bench.lab.pid(name), f"{name} stops by itself")
    check(words in bench.log(name), f"{name} says why: '{words}'")


def add(bench, institution, name):
    machine = Machine(bench, institution, name)
    bench.run("node", "add", name, "--institution", institution, *machine.said())
    check(node_of(bench, name)["wish"] == "standby", f"{name} is in the table, as a standby")
    machine.start()
    bench.run("node", "promote", name, "--wait", timeout=300)
    check(node_of(bench, name)["member"] == "voter", f"{name} has caught up and votes")
    return machine


def remove(bench, name):
    bench.run("node", "remove", name, "--wait", timeout=300)
    wait_stopped(bench, name, "was removed from the ledger")
    forget(bench, name)
    check(node_of(bench, name) is None, f"{name} is out")


def grow_and_shrink(bench, sizes):
    """From size to size under load; new nodes come from the institutions in turn."""
    load = Load(bench, pause=0.2)
    added = 0
    for size in sizes:
        while len(bench.nodes) < size:
            institution = bench.institutions[added % len(bench.institutions)]
            added += 1
            add(bench, institution, f"{institution}.{added + 1}")
        while len(bench.nodes) > size:
            remove(bench, bench.nodes[0])
        check(bench.status()[1]["voters"] == size, f"{size} voters")
    done = load.end()
    check(not load.errors, f"no error in {done} requests of 16 clients that retry, the longest "
          f"{load.longest:.1f} s{''.join(load.errors[:2])}")


def replace_live(bench, old):
    institution = node_of(bench, old)["institution"]
    machine = Machine(bench, institution, f"{institution}.for.{old}")
    bench.run("node", "replace", old, machine.name, *machine.said())
    machine.start()
    wait_stopped(bench, old, "was removed from the ledger", 120)
    forget(bench, old)
    wait_settled(bench)
    check(node_of(bench, machine.name)["member"] == "voter" and node_of(bench, old) is None,
          f"{machine.name} votes instead of {old}, which was alive")
    return machine


def wait_settled(bench, seconds=120):
    deadline = time.time() + seconds
    why = None
    while time.time() < deadline:
        facts = table(bench)
        if not facts["pending"]:
            return
        if facts["pending"] != why:
            why = facts["pending"]
            print(f"    waiting: {why}", flush=True)
        time.sleep(0.2)
    raise AssertionError(f"not settled in {seconds} s: {why}")


def refused(bench, reason, words, *arguments):
    done = bench.run(*arguments, code=1)
    text = done.stdout + done.stderr
    check(reason in text and words in text, f"{' '.join(arguments[:3])}: {text.strip()}")


def refusals(bench):
    first = bench.nodes[0]
    refused(bench, "CHANGE_REFUSED", "there is no node 99", "node", "remove", "99")
    refused(bench, "CHANGE_REFUSED", "2 voters would be left", "node", "remove", first)
    refused(bench, "CHANGE_REFUSED", "is a voter already", "node", "promote", first)
    extra = Machine(bench, bench.institutions[0], "extra")
    bench.run("node", "add", extra.name, "--institution", extra.institution, *extra.said())
    refused(bench, "CHANGE_REFUSED", "has a node extra", "node", "add", extra.name,
            "--institution", extra.institution, *extra.said())
    wait_settled(bench)
    bench.run("node", "promote", extra.name)
    refused(bench, "CHANGE_PENDING", "does not answer", "node", "demote", first)
    facts = table(bench)
    check(len(facts["pending"]) == 1 and "does not answer" in facts["pending"][0]["why"],
          f"status tells what is pending: {facts['pending'][0]['why']}")
    bench.run("node", "remove", extra.name, "--wait")
    check(node_of(bench, "extra") is None, "what never came can be taken back")


def wiped_and_replaced(bench):
    """A node that lost its data is recognised and never votes; then a dead node is replaced."""
    leader = bench.leader()
    victim = [n for n in bench.nodes if n != leader][0]
    bench.kill(victim)
    shutil.rmtree(bench.lab.path(victim, "data"))
    bench.start(victim)
    facts = bench.wait_alarm(leader, "other-disk")
    check(any(a["code"] == "other-disk" for a in facts["alarms"]), f"{victim} is recognised")
    wait_stopped(bench, victim, "with another disk")
    time.sleep(6)  # longer than a node is waited for
    other = Machine(bench, node_of(bench, victim)["institution"], "other")
    bench.run("node", "add", other.name, "--institution", other.institution, *other.said())
    other.start()
    bench.wait_log(other.name, "which is not used any more", 60)
    wait_settled(bench)
    refused(bench, "QUORUM_AT_RISK", f"{victim} (node", "node", "promote", other.name)
    bench.run("node", "remove", other.name, "--wait")
    wait_stopped(bench, other.name, "was removed from the ledger")
    forget(bench, other.name)
    machine = Machine(bench, node_of(bench, victim)["institution"], victim + ".new")
    bench.run("node", "replace", victim, machine.name, *machine.said())
    machine.start()
    wait_settled(bench)
    check(node_of(bench, machine.name)["member"] == "voter" and node_of(bench, victim) is None,
          f"{machine.name} votes instead of {victim}, which was dead")
    forget(bench, victim)


def transfer(bench):
    """An officer hands leadership over, asking any node; a client may not."""
    institution = bench.institutions[0]
    done = bench.run("node", "transfer", code=1)
    check("officer" in done.stderr, f"a client's certificate: {done.stderr.strip()}")
    officer = os.path.join(bench.folder, "officer")
    bench.run("keygen", "client", "officer", "--officer", "--institution-dir",
              bench.lab.path(institution, "keys"), "--dir", officer)
    save_profile(bench, lambda p: p.update(cert=os.path.join(officer, "officer.crt"),
                                           key=os.path.join(officer, "officer.key")))
    load = Load(bench, clients=4)
    for name in bench.nodes:
        if name != bench.leader():
            done = bench.run("node", "transfer", name, "--node", name)
            check(bench.leader() == name, f"{name} leads, as it was asked to: {done.stdout.strip()}")
    done = bench.run("node", "transfer", bench.leader(), code=1)
    check("leads already" in done.stderr, f"not to itself: {done.stderr.strip()}")
    count = load.end()
    check(not load.errors, f"no error in {count} requests meanwhile, the longest {load.longest:.1f} s"
          f"{''.join(load.errors[:2])}")


def every_node_is_replaced(bench):
    for name in list(bench.nodes):
        replace_live(bench, name)


def main(bench, args):
    """Membership on real nodes."""
    bench.up(3, election_ms=1000)
    bench.institutions = list(bench.nodes)
    bench.run("contract", "deploy", harness.contract_for(bench.folder))
    wiped_and_replaced(bench)
    bench.wait_level()
    grow_and_shrink(bench, [int(s) for s in args.sizes.split(",")])
    bench.wait_level()
    refusals(bench)
    transfer(bench)
    if args.all:
        every_node_is_replaced(bench)
    else:
        replace_live(bench, bench.leader())
    bench.wait_level()


if __name__ == "__main__":
    harness.main(main, sizes="5,3", all=False)
