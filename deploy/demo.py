#!/usr/bin/env python3
"""Concordat in five minutes: three institutions settle a month of a solar community.

Builds, starts the nodes of a city, an energy supplier and a social service on this machine, deploys
contracts/solar.rules, imports a month of readings, kills the leader in the middle of it, closes the
month and shows the accounts. Everything it starts it stops, unless you say --keep.
"""
import argparse
import csv
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zoneinfo

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LAB = os.path.join(ROOT, "deploy", "lab")
CONTRACT, ORGANISER, GRID = "solar.roquefort", "pmo.roquefort", "enedis"
ZONE = zoneinfo.ZoneInfo("Europe/Paris")  # as the contract says
CONSUMERS, PRODUCERS = 28, 6
EPILOG = """examples:
  deploy/demo                        with generated readings of last month
  deploy/demo --data readings.csv    with yours: ts,c01,...,p01,... (Wh), or ts,point,wh
  deploy/demo --keep                 leaves the nodes running and says how to use them
"""


class Failure(Exception):
    """Something a person must read; ends the program with code 1."""


def say(text=""):
    print(text, flush=True)


def step(text):
    say(f"\n== {text}")


def run(*command, quiet=False):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE if quiet else None)
    if done.returncode != 0:
        raise Failure(f"`{' '.join(command)}` ended with code {done.returncode}")
    return done.stdout


# ---- readings ----

class Numbers:
    """The same numbers on every machine (a linear congruence, Knuth's constants)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % limit


# Use of a household in a quarter-hour, in Wh, for each hour of a day.
HOME = [28, 24, 22, 22, 24, 32, 62, 96, 84, 60, 54, 62, 92, 80, 58, 54, 62, 90, 142, 160, 138, 104, 70, 42]
SHOP = [12, 12, 12, 12, 14, 24, 60, 120, 190, 220, 225, 220, 190, 205, 220, 215, 200, 170, 110, 50, 24, 16, 12, 12]


def month_bounds(day):
    first = day.replace(day=1)
    following = (first + datetime.timedelta(days=32)).replace(day=1)
    return first, following


def instant(day):
    return int(datetime.datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp())


def generate(path):
    """Last month, quarter-hour by quarter-hour: 28 consumers, 6 producers; integers in mWh."""
    last_of_month = datetime.datetime.now(ZONE).date().replace(day=1) - datetime.timedelta(days=1)
    first, following = month_bounds(last_of_month)
    points = [f"c{i:02d}" for i in range(1, CONSUMERS + 1)] + \
             [f"p{i:02d}" for i in range(1, PRODUCERS + 1)]
    numbers = Numbers(20220701)
    size = {p: 600 + numbers.below(900) for p in points}  # in thousandths of the usual one
    with open(path, "w", encoding="utf-8") as f:
        f.write("ts," + ",".join(points) + "\n")
        clouds = 700
        for ts in range(instant(first), instant(following), 900):
            when = datetime.datetime.fromtimestamp(ts, ZONE)
            minute = when.hour * 60 + when.minute
            if minute == 0:
                clouds = 250 + numbers.below(750)
            # A parabola between seven and nineteen o'clock with its top at one kilowatt-hour.
            sun = max(0, (minute - 420) * (1140 - minute)) * 1000000 // (360 * 360)
            row = [str(ts)]
            for p in points:
                noise = 800 + numbers.below(400)
                if p[0] == "p":
                    mwh = sun * clouds // 1000 * size[p] // 1000 * noise // 1000
                else:
                    shape = SHOP if p in ("c07", "c19") else HOME
                    mwh = shape[when.hour] * size[p] * noise // 1000
                row.append(f"{mwh // 1000}.{mwh % 1000:03d}".rstrip("0").rstrip("."))
            f.write(",".join(row) + "\n")


def read_seconds(text):
    if text.isdigit():
        return int(text)
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def survey(path):
    """Points, first and last time, number of slots; the import itself checks the file."""
    with open(path, encoding="utf-8-sig", newline="") as f:
        rows = csv.reader(f)
        header = [h.strip() for h in next(rows, [])]
        long_form = header == ["ts", "point", "wh"]
        points = {h for h in header if re.fullmatch(r"[cp][0-9]+", h)}
        times = set()
        for row in rows:
            if row:
                try:
                    times.add(read_seconds(row[0].strip()))
                except ValueError:
                    raise Failure(f"{path}:{rows.line_num}: '{row[0]}' is no time") from None
                if long_form:
                    points.add(row[1].strip())
    if not times or not points:
        raise Failure(f"{path}: there are no readings; see deploy/demo --help")
    return sorted(points), min(times), max(times), len(times)


def write_contract(path, first_day):
    """The contract as shipped, as the first version on this ledger, in force not after the data.

    Its examples are dated July 2026, so it never starts later than that; the supplier's price of the
    first period is moved with it.
    """
    with open(os.path.join(ROOT, "contracts", "solar.rules"), encoding="utf-8") as f:
        text = f.read()
    found = re.search(r"version \d+ effective (\d{4}-\d\d-\d\d)( replaces \d+)?", text)
    effective = min(found.group(1), first_day.isoformat())
    text = text.replace(found.group(0), f"version 1 effective {effective}", 1)
    text = text.replace(f"from {found.group(1)}", f"from {effective}")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return effective


# ---- the steps ----

class Demo:
    def __init__(self, args):
        self.args = args
        self.folder = tempfile.mkdtemp(prefix="concordat-demo-")
        self.lab = os.path.join(self.folder, "lab")
        self.cli = os.path.join(args.build, "cli", "concordat")

    def concordat(self, *arguments, quiet=False):
        return run(self.cli, *arguments, "--profile", os.path.join(self.lab, "profile.json"),
                   quiet=quiet)

    def status(self):
        done = subprocess.run([self.cli, "status", "--json", "--profile",
                               os.path.join(self.lab, "profile.json")],
                              capture_output=True, text=True)
        return done.returncode, json.loads(done.stdout) if done.stdout else None

    def build(self):
        if not os.path.exists(os.path.join(self.args.build, "build.ninja")):
            run("meson", "setup", "--buildtype=debugoptimized", self.args.build, ROOT, quiet=True)
        run("ninja", "-C", self.args.build, "cli/concordat", "server/concordatd", quiet=True)
        say(f"built in {os.path.relpath(self.args.build)}")

    def found(self):
        run(LAB, "up", "--nodes", "3", "--dir", self.lab, "--build", self.args.build)

    def readings(self):
        path = self.args.data
        if not path:
            path = os.path.join(self.folder, "readings.csv")
            generate(path)
            say("these readings are GENERATED: an invented community, not anybody's data")
        self.points, self.first, self.last, self.slots = survey(path)
        day = datetime.datetime.fromtimestamp
        say(f"{path}: {self.slots} slots of {len(self.points)} points, "
            f"{day(self.first, ZONE):%Y-%m-%d %H:%M} to {day(self.last, ZONE):%Y-%m-%d %H:%M}")
        return path

    def deploy(self):
        first_day = datetime.datetime.fromtimestamp(self.first, ZONE).date().replace(day=1)
        path = os.path.join(self.folder, "solar.rules")
        effective = write_contract(path, first_day)
        say(f"contracts/solar.rules, in force from {effective}, signed by all three institutions")
        self.concordat("contract", "test", path)
        self.concordat("contract", "deploy", path)

    def admit(self):
        path = os.path.join(self.folder, "admit.jsonl")
        with open(path, "w", encoding="utf-8") as f:
            for i, point in enumerate(self.points):
                arguments = {"meter": point}
                if point[0] == "p":
                    arguments["price"] = f"0.{12 + i % 4}000 EUR/kWh"
                f.write(json.dumps({"action": "admit", "args": arguments}) + "\n")
        self.concordat("submit", CONTRACT, "--events", path, "--as", ORGANISER, quiet=True)
        producers = sum(p[0] == "p" for p in self.points)
        say(f"{len(self.points) - producers} members and {producers} producers are admitted")

    def load(self, path):
        command = [self.cli, "import", "readings", path, "--contract", CONTRACT, "--as", GRID,
                   "--profile", os.path.join(self.lab, "profile.json")]
        begin = self.status()[1]["size"]
        process = subprocess.Popen(command)
        killed = None
        try:
            while process.poll() is None and not killed:
                time.sleep(0.1)
                _, facts = self.status()
                if facts and facts["size"] - begin > self.slots // 4:
                    leaders = [n["name"] for n in facts["nodes"] if n["role"] == "leader"]
                    killed = leaders[0] if leaders and process.poll() is None else None
            if killed:
                say(f"\n-- {facts['size'] - begin} of {self.slots} slots are recorded; now the "
                    f"leader dies: kill -9 {killed}")
                run(LAB, "kill", killed, "--dir", self.lab, quiet=True)
                time.sleep(3)
                say(f"\n-- {killed} comes back; the import went on with the others meanwhile")
                run(LAB, "start", killed, "--dir", self.lab, quiet=True)
            if process.wait() != 0:
                raise Failure("the import did not end well")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if not killed:
            say("(the import was over before the leader could be killed)")

    def wait_level(self, seconds=60):
        names = ("ville", "energie", "social")
        deadline = time.time() + seconds
        heads = {}
        while time.time() < deadline:
            for name in names:
                done = subprocess.run(
                    [self.cli, "status", "--json", "--node", name, "--profile",
                     os.path.join(self.lab, "profile.json")], capture_output=True, text=True)
                facts = json.loads(done.stdout) if done.stdout else {}
                heads[name] = (facts.get("height"), facts.get("digest"))
            if len(set(heads.values())) == 1 and heads["ville"][0]:
                say(f"all three nodes: height {heads['ville'][0]}, digest {heads['ville'][1]}")
                return
            time.sleep(0.3)
        raise Failure(f"the nodes do not agree: {heads}")

    def close(self):
        day, _ = month_bounds(datetime.datetime.fromtimestamp(self.first, ZONE).date())
        closed = []
        while instant(day) <= self.last:
            _, following = month_bounds(day)
            if instant(following) > time.time():
                say(f"{day:%Y-%m} is not over yet and stays open")
            else:
                self.concordat("submit", CONTRACT, "close", "--as", ORGANISER, "--arg",
                               f"period={day.isoformat()}")
                closed.append(f"{day:%Y-%m}")
            day = following
        return ", ".join(closed)

    def show(self):
        household = next((p for p in self.points if p[0] == "c"), self.points[0])
        step(f"The account of household {household}")
        self.concordat("statement", f"{CONTRACT}/wallet[{household}]", "--limit", "1000")
        step("The trial balance")
        self.concordat("trial-balance")
        step("The nodes")
        subprocess.run([self.cli, "status", "--profile", os.path.join(self.lab, "profile.json")])

    def run(self):
        began = time.time()
        step("Set up and build")
        self.build()
        step("Found a ledger: ville, energie, social, each with its own keys and node")
        self.found()
        step("Readings")
        path = self.readings()
        step("Deploy the contract")
        self.deploy()
        step("Admit members and producers")
        self.admit()
        step("Import the readings, signed by the grid operator")
        self.load(path)
        self.wait_level()
        step("Close the month")
        say(f"closed: {self.close() or 'nothing'}")
        self.show()
        say(f"\ndone in {time.time() - began:.0f} s")

    def end(self):
        kept = os.path.exists(os.path.join(self.lab, "lab.json")) and self.args.keep
        if kept:
            relative = os.path.relpath(self.cli)
            say(f"\nthe nodes go on. Use them:\n"
                f"  export CONCORDAT_PROFILE={self.lab}/profile.json\n"
                f"  {relative} status\n"
                f"  {relative} rows {CONTRACT} member\n"
                f"  {relative} watch --from 0 | tail\n"
                f"stop them and remove everything:\n"
                f"  deploy/lab down --dir {self.lab} && rm -r {self.folder}")
            return
        if os.path.exists(os.path.join(self.lab, "lab.json")):
            subprocess.run([LAB, "down", "--dir", self.lab], stdout=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)
        say("everything that was started is stopped and removed")


def main():
    parser = argparse.ArgumentParser(prog="deploy/demo", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="FILE", help="your readings instead of generated ones")
    parser.add_argument("--keep", action="store_true", help="leave the nodes running")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), help="build directory")
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    demo = Demo(args)
    try:
        demo.run()
        return 0
    except Failure as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 1
    finally:
        demo.end()


if __name__ == "__main__":
    sys.exit(main())
