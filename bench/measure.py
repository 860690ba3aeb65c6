"""What the nodes cost while they are loaded, and whether the ledger holds what it must."""
import json
import os
import re
import subprocess
import time

import harness
from facts import Trouble, read

CONTRACT, PARTY = "transfer.roquefort", "pmo.roquefort"


# ---- what the nodes' processes cost ----

def device_written(path):
    """Bytes that the block device under a path has written, of whomever; None: it is not known."""
    number = os.stat(path).st_dev
    name = f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat"
    try:
        return 512 * int(read(name).split()[6])
    except (OSError, IndexError, ValueError):
        return None


def disk_bytes(bench):
    """What the data of each node takes on the disk."""
    sizes = []
    for name in bench.nodes:
        done = subprocess.run(["du", "-s", "--block-size=1", bench.lab.path(name, "data")],
                              capture_output=True, text=True)
        sizes.append(int(done.stdout.split()[0]) if done.stdout else 0)
    return sizes


class Cost:
    """CPU, bytes written and memory of all nodes at one moment; of the device, by all its users."""

    def __init__(self, bench):
        self.cpu, self.written, self.rss, self.peak = 0.0, 0, [], []
        self.device = device_written(bench.folder)
        tick = os.sysconf("SC_CLK_TCK")
        for name in bench.nodes:
            pid = bench.lab.pid(name)
            if not pid:
                words = harness.lab_module.last_words(bench.lab, name)
                raise Trouble(f"{name} does not run:\n{words}")
            fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
            self.cpu += (int(fields[11]) + int(fields[12])) / tick
            self.written += int(re.search(r"write_bytes: (\d+)", read(f"/proc/{pid}/io")).group(1))
            status = read(f"/proc/{pid}/status")
            self.rss.append(int(re.search(r"VmRSS:\s*(\d+)", status).group(1)) // 1024)
            self.peak.append(int(re.search(r"VmHWM:\s*(\d+)", status).group(1)) // 1024)


def cost_figures(before, after, records):
    if records == 0:
        raise Trouble("nothing was recorded")
    device = None if None in (before.device, after.device) else after.device - before.device
    return {"server_cpu_s_per_1000_records": round((after.cpu - before.cpu) * 1000 / records, 5),
            "written_bytes_per_record": (after.written - before.written) // records,
            "device_bytes_per_record": None if device is None else device // records,
            "rss_mb": after.rss, "rss_peak_mb": after.peak}


# ---- checks ----

def head(facts):
    at = facts.get("at", facts)
    return at["height"], at["digest"], at.get("size")


def level(bench, seconds=120):
    """Waits until every node, asked by itself, says the same height and digest."""
    deadline = time.time() + seconds
    heads = {}
    while time.time() < deadline:
        heads = {}
        for name in bench.nodes:
            _, facts = bench.status(name)
            heads[name] = head(facts) if facts else None
        if None not in heads.values() and len(set(heads.values())) == 1:
            return next(iter(heads.values()))
        time.sleep(0.2)
    raise Trouble(f"the nodes are not level after {seconds} s: {heads}")


def trial_lines(bench, name):
    return bench.json("trial-balance", "--local", "--node", name)["lines"]


def check_state(bench):
    """Equal heads, equal trial balances, all of them zero; returns how many records there are."""
    _, _, size = level(bench)
    trials = [trial_lines(bench, name) for name in bench.nodes]
    if any(t != trials[0] for t in trials):
        raise Trouble("the trial balance is not the same on every node")
    if any(int(line["sum"]) != 0 for line in trials[0]):
        raise Trouble(f"a family does not sum to zero: {trials[0]}")
    return size


def check_accounts(bench, cents):
    for account, wanted in cents.items():
        got = bench.json("balance", f"{CONTRACT}/wallet[{account}]")["quanta"]
        if int(got) != wanted:
            raise Trouble(f"account {account} holds {got} cents instead of {wanted}")


# ---- the load generator ----

class Load:
    """How concordat-load is called in this lab. Every load has accounts of its own: their prefix."""

    def __init__(self, bench, args):
        self.bench, self.args = bench, args
        with open(bench.lab.profile, encoding="utf-8") as f:
            self.profile = json.load(f)

    def command(self, prefix, first=None, everywhere=False, **options):
        """Arguments; `first` is the node to connect to, `everywhere` lets it go to the others."""
        path, profile, args = self.bench.lab.path, self.profile, self.args
        first = first or (self.bench.leader() if args.target == "leader" else None)
        nodes = sorted(profile["nodes"], key=lambda n: n["name"] != first)
        options = {"seconds": args.seconds, "warmup": args.warmup, **options}
        command = [os.path.join(args.build, "bench", "concordat-load"),
                   "--origin", profile["origin"], "--ledger-id", profile["ledger_id"],
                   "--cert", path(profile["cert"]), "--key", path(profile["key"]),
                   "--contract", os.path.join(harness.ROOT, "contracts", "transfer.rules"),
                   "--party", PARTY, "--party-key", path(profile["parties"][PARTY]),
                   "--prefix", prefix]
        for node in nodes if first is None or everywhere else nodes[:1]:
            command += ["--address", node["address"]]
        for ca in profile["ca"]:
            command += ["--ca", path(ca)]
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            command += [flag] if value is True else [flag, str(value)]
        return command

    def run(self, command, during=None):
        """Runs it; takes the nodes' cost at the edges of the measured time. `during` is called
        once it measures."""
        costs, result = {}, None
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        try:
            for line in process.stdout:
                fact = json.loads(line)
                if "phase" not in fact:
                    result = fact
                    continue
                if during is None:
                    costs[fact["phase"]] = Cost(self.bench)
                elif fact["phase"] == "measuring":
                    during()
            errors = process.stderr.read()
        finally:
            if process.poll() is None and result is None:
                process.kill()
        if process.wait() != 0 or result is None:
            raise Trouble(f"the load failed: {errors.strip()} {result or ''}")
        return result, costs.get("measuring"), costs.get("measured")
