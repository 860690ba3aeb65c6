"""The suites: each yields figures, and raises Trouble when the ledger does not hold what it must."""
import json
import os
import socket
import statistics
import subprocess
import time

import community
import harness
from facts import ROOT, Trouble
from measure import CONTRACT, Cost, Load, check_accounts, check_state, cost_figures, disk_bytes
from measure import level

TIMES = ("p50", "p90", "p99", "p999", "max", "mean")
CHECKED = "counts, balances, equal digests, trial balance zero"


def deploy_transfers(bench):
    known = [c["name"] for c in bench.lines("contract", "list")]
    if CONTRACT not in known:
        bench.run("contract", "deploy", os.path.join(ROOT, "contracts", "transfer.rules"))


# ---- transfers ----

class Transfers:
    """Runs loads of transfers and checks each."""

    def __init__(self, bench, args):
        self.bench, self.args, self.runs = bench, args, 0
        deploy_transfers(bench)
        self.load = Load(bench, args)

    def prefix(self):
        self.runs += 1
        return f"r{self.runs}.{int(time.time()) % 100000}"

    def run(self, name, during=None, everywhere=False, **options):
        """One figure."""
        prefix = self.prefix()
        options = {"clients": 1, "accounts": self.args.accounts, **options}
        size_before = check_state(self.bench)
        command = self.load.command(prefix, everywhere=everywhere, **options)
        result, before, after = self.load.run(command, during)
        size_after = check_state(self.bench)
        if None not in (size_before, size_after) and \
                size_after - size_before != result["all_events"]:
            raise Trouble(f"{size_after - size_before} records instead of {result['all_events']}")
        check_accounts(self.bench, result["cents"])
        figure = {"figure": name, "clients": options["clients"],
                  "in_flight": options.get("in_flight", 1),
                  "events_a_request": result["events_a_request"],
                  "accounts": options["accounts"],
                  "rate_per_s": round(result["events"] / (result["measured_ns"] / 1e9), 1)}
        for key in TIMES:
            figure[key + "_ms"] = round(result[key + "_ns"] / 1e6, 3)
        if before is not None and after is not None:
            figure.update(cost_figures(before, after, result["events"]))
        figure.update(records=result["events"], resent=result["resent"],
                      gap_ms=round(result["gap_ns"] / 1e6, 1),
                      client_make_us=round(result["make_ns"] / 1e3, 1),
                      client_cpu_s_per_1000_records=round(
                          result["client_cpu_ns"] / 1e6 / max(1, result["events"]), 5),
                      checked=CHECKED)
        figure["prefix"], figure["cents"] = prefix, result["cents"]
        return figure


def suite_one(bench, args):
    yield Transfers(bench, args).run("one")


def suite_many(bench, args):
    transfers = Transfers(bench, args)
    for clients in args.client_counts:
        yield transfers.run("many", clients=clients)


def suite_batch(bench, args):
    """Requests of many transfers; then the best shape of them at 70 % of its rate, for the tail."""
    transfers, best = Transfers(bench, args), None
    for events in args.event_counts:
        for in_flight in args.in_flights:
            figure = transfers.run("batch", events=events, in_flight=in_flight,
                                   accounts=args.batch_accounts)
            best = figure if best is None or figure["rate_per_s"] > best["rate_per_s"] else best
            yield figure
    events = best["events_a_request"]
    rate = max(1, int(0.7 * best["rate_per_s"] / events))
    figure = transfers.run("batch at 70 %", events=events, in_flight=max(8, best["in_flight"]),
                           rate=rate, accounts=args.batch_accounts)
    figure["wanted_per_s"] = rate * events
    yield figure


# ---- readings, rules ----

def suite_import(bench, args):
    path = os.path.join(bench.folder, "readings.csv")
    community.generate(path, args.days)
    bench.run("contract", "deploy", harness.contract_for(bench.folder))
    community.admit_all(bench, bench.folder)
    slots = args.days * 96
    readings = sum(len(values) for _, values in community.read_wide(path))
    check_state(bench)
    before, began = Cost(bench), time.time()
    done = subprocess.run(community.import_command(bench, path), capture_output=True, text=True)
    seconds, after = time.time() - began, Cost(bench)
    if done.returncode != 0:
        raise Trouble(f"the import failed: {done.stderr[-2000:]}")
    report = json.loads(done.stdout.splitlines()[-1])
    if report["accepted"] != slots or report["rejected"] != 0:
        raise Trouble(f"{slots} slots were sent; the ledger says {report}")
    check_state(bench)
    recorded = len(bench.lines("rows", community.CONTRACT, "interval"))
    if recorded != slots:
        raise Trouble(f"{recorded} slots are recorded instead of {slots}")
    figure = {"figure": "import", "days": args.days, "readings": readings, "unit": "readings/s",
              "rate_per_s": round(readings / seconds, 1), "events": slots,
              "events_per_s": round(slots / seconds, 1), "seconds": round(seconds, 2)}
    figure.update(cost_figures(before, after, slots))
    figure["checked"] = "counts, rows, equal digests, trial balance zero"
    yield figure


def suite_rules(bench, args):
    del bench
    done = subprocess.run([os.path.join(args.build, "bench", "rules"), "--json", ROOT],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise Trouble(f"bench/rules: {done.stderr}")
    for line in done.stdout.splitlines():
        yield json.loads(line)


# ---- reads, watch ----

def suite_reads(bench, args):
    """Balances of accounts that hold something, through a quorum and from one node alone."""
    transfers = Transfers(bench, args)
    filled = transfers.run("filling", events=100, in_flight=4, seconds=2, warmup=0)
    for name, clients, local in [("reads", n, {}) for n in (1, 64)] + \
                                [("reads, local", 64, {"local": True})]:
        size = check_state(bench)
        command = transfers.load.command(filled["prefix"], clients=clients, reads=True,
                                         accounts=args.accounts, **local)
        result, before, after = transfers.load.run(command)
        for account, cents in result["cents"].items():
            if cents not in (0, filled["cents"][account]):
                raise Trouble(f"account {account} was told as {cents}")
        if check_state(bench) != size:
            raise Trouble("reading has written records")
        figure = {"figure": name, "clients": clients, "unit": "reads/s",
                  "rate_per_s": round(result["events"] / (result["measured_ns"] / 1e9), 1)}
        for key in TIMES:
            figure[key + "_ms"] = round(result[key + "_ns"] / 1e6, 3)
        figure.update(cost_figures(before, after, result["events"]))
        figure["checked"] = "each account with one balance, that of the load"
        yield figure


def suite_watch(bench, args):
    """How fast records are given out that are there, and how far behind a watcher is that waits."""
    transfers = Transfers(bench, args)
    transfers.run("filling", events=1000, in_flight=4, seconds=args.seconds)
    size = check_state(bench)
    for streams in (1, 4):
        command = transfers.load.command("watch", watch=size, clients=streams)
        result, before, after = transfers.load.run(command)
        if result["records"] != size * streams:
            raise Trouble(f"{result['records']} records were watched instead of {size * streams}")
        figure = {"figure": "watch", "clients": streams, "unit": "records/s",
                  "rate_per_s": round(result["records"] / (result["measured_ns"] / 1e9), 1),
                  "bytes_a_record": result["bytes"] // result["records"]}
        figure.update(cost_figures(before, after, result["records"]))
        figure["checked"] = "every position once, in order"
        yield figure
    count = 20 * args.seconds  # of 200 a second that are sent: reached on a slow machine, too
    watcher = subprocess.Popen(transfers.load.command("watch", watch=count, watch_from=size),
                               stdout=subprocess.PIPE, text=True)
    transfers.run("filling", events=1, in_flight=16, rate=200)
    output = watcher.communicate(timeout=120)[0]
    if watcher.returncode != 0:
        raise Trouble("the watcher failed")
    result = json.loads(output.splitlines()[-1])
    yield {"figure": "watch, live", "clients": 1, "unit": "records/s",
           "rate_per_s": round(result["records"] / (result["measured_ns"] / 1e9), 1),
           **{f"{key}_ms": round(result[f"behind_{key}_ns"] / 1e6, 3)
              for key in ("p50", "p99", "max")},
           "checked": "every position once, in order"}


# ---- restart, failover ----

def fill(bench, args, records, accounts):
    """Transfers until the ledger holds so many records."""
    transfers = Transfers(bench, args)
    while check_state(bench) < records:
        left = records - check_state(bench)
        seconds = max(2, min(args.fill_seconds, left // 20000))
        figure = transfers.run("filling", events=4000, in_flight=4, seconds=seconds, warmup=0,
                               accounts=accounts)
        args.progress(f"{check_state(bench)} of {records} records, {figure['rate_per_s']:.0f}/s")
    return check_state(bench)


def wait_listening(bench, name, seconds=120):
    nodes = json.loads(open(bench.lab.profile, encoding="utf-8").read())["nodes"]
    host, _, port = next(n["address"] for n in nodes if n["name"] == name).rpartition(":")
    deadline = time.time() + seconds
    while time.time() < deadline:
        try:
            with socket.create_connection((host, int(port)), timeout=1):
                return
        except OSError:
            time.sleep(0.01)
    raise Trouble(f"{name} does not listen after {seconds} s")


def restarts(bench, name, number):
    """One node ends by a signal and starts again."""
    bench.kill(name, number)
    bench.leader()
    began = time.time()
    bench.start(name)
    wait_listening(bench, name)
    while bench.status(name)[1] is None:
        time.sleep(0.01)
    answers = time.time() - began
    level(bench)
    return {"answers_s": round(answers, 2), "level_s": round(time.time() - began, 2)}


def suite_restart(bench, args):
    size = fill(bench, args, args.records, args.restart_accounts)
    names = bench.nodes
    follower = [n for n in names if n != bench.leader()][0]
    for what, number in (("SIGTERM", 15), ("SIGKILL", 9)):
        yield {"figure": f"restart, {what}", "records": size, **restarts(bench, follower, number),
               "rss_peak_mb": Cost(bench).peak, "checked": "equal digests afterwards"}
    for name in names:
        bench.kill(name, 9)
    began = time.time()
    for name in names:
        bench.start(name)
    bench.leader(120)
    bench.run("balance", f"{CONTRACT}/wallet[nobody]")
    served = time.time() - began
    check_state(bench)
    yield {"figure": "restart, all, SIGKILL", "records": size, "answers_s": round(served, 2),
           "level_s": round(time.time() - began, 2), "rss_peak_mb": Cost(bench).peak,
           "checked": "a read through a quorum; equal digests, trial balance zero"}


def suite_failover(bench, args):
    """The leader is killed while batches run: the longest time without an answer."""
    transfers, gaps = Transfers(bench, args), []
    for _ in range(args.kills):
        leader = bench.leader()

        def end_leader(name=leader):
            time.sleep(1)
            bench.kill(name, 9)

        prefix = transfers.prefix()
        command = transfers.load.command(prefix, first=leader, everywhere=True, clients=1,
                                         events=100, in_flight=4, seconds=6, warmup=1,
                                         accounts=args.accounts)
        result, _, _ = transfers.load.run(command, end_leader)
        bench.start(leader)
        bench.wait_well(120)
        check_state(bench)
        check_accounts(bench, result["cents"])
        gaps.append(result["gap_ns"] / 1e6)
        args.progress(f"{leader} killed: {gaps[-1]:.0f} ms without an answer")
    yield {"figure": "failover", "kills": len(gaps), "election_timeout_ms": args.election_ms,
           "p50_ms": round(statistics.median(gaps), 1), "max_ms": round(max(gaps), 1),
           "gaps_ms": [round(g, 1) for g in gaps],
           "checked": "nothing acknowledged is lost or doubled: balances, equal digests"}


# ---- growth ----

def suite_growth(bench, args):
    """The same figures at each million of records."""
    transfers = Transfers(bench, args)
    for millions in range(1, args.millions + 1):
        size = fill(bench, args, millions * 1000000, args.growth_accounts)
        for name, options in (("one", {}), ("many", {"clients": 64}),
                              ("batch", {"events": 1000, "in_flight": 4,
                                         "accounts": args.growth_accounts})):
            figure = transfers.run(f"growth, {name}", **options)
            figure["size"] = size
            figure["disk_bytes_per_record"] = [d // size for d in disk_bytes(bench)]
            yield figure


SUITES = {"one": suite_one, "many": suite_many, "batch": suite_batch, "import": suite_import,
          "rules": suite_rules, "reads": suite_reads, "watch": suite_watch,
          "restart": suite_restart, "failover": suite_failover, "growth": suite_growth}
