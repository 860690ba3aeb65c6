"""What the integration tests share: a lab of real nodes in a folder of its own, the command, checks.

Each test is a program: harness.main(test) gives it a Lab and ends with 0, 1 or 77 (skipped).
"""
import argparse
import contextlib
import importlib.machinery
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SHARED = os.environ.get("CONCORDAT_SHARED", os.path.join(ROOT, "..", "shared"))


class Skip(Exception):
    """The machine lacks something; the test prints SKIP and why."""


def load_lab_module():
    loader = importlib.machinery.SourceFileLoader("lab", os.path.join(ROOT, "deploy", "lab"))
    spec = importlib.util.spec_from_loader("lab", loader)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


lab_module = load_lab_module()


def check(fact, text):
    """A fact that must hold; says it either way."""
    if not fact:
        raise AssertionError(text)
    print(f"ok: {text}", flush=True)


def shared(*parts):
    path = os.path.join(SHARED, *parts)
    if not os.path.exists(path):
        raise Skip(f"{os.path.join(*parts)} is not beside this checkout")
    return path


def sanitized(build):
    """Whether the build watches itself: then times are ten times longer and memory says nothing."""
    try:
        with open(os.path.join(build, "meson-info", "intro-buildoptions.json"),
                  encoding="utf-8") as f:
            options = {o["name"]: o["value"] for o in json.load(f)}
    except OSError:
        return False
    return options.get("b_sanitize", "none") != "none"


def busy():
    """Whether over four processes want to run for each core: then times say little."""
    return os.getloadavg()[0] > 4 * os.cpu_count()


class Bench:
    """A lab under test."""

    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self.lab = lab_module.Lab(os.path.join(folder, "lab"))
        self.cli = lab_module.binary(build, "concordat")
        self.expected = None  # words in a log that the test itself has caused

    def up(self, nodes=3, election_ms=1000, options=(), **keys):
        done = subprocess.run(
            [os.path.join(ROOT, "deploy", "lab"), "up", "--nodes", str(nodes), "--build", self.build,
             "--dir", self.lab.folder, "--election-ms", str(election_ms), *options,
             *[f"--set={key}={value}" for key, value in keys.items()]], text=True,
            capture_output=True)
        if done.returncode != 0:
            raise AssertionError(f"lab up: {done.stdout}{done.stderr}")
        self.lab.load()

    def down(self):
        """Stops everything; a node that was told by a sanitizer must not pass unseen."""
        if os.path.exists(self.lab.file):
            self.lab.load()
            subprocess.run([os.path.join(ROOT, "deploy", "lab"), "down", "--keep-data", "--dir",
                            self.lab.folder], capture_output=True, text=True)

    def findings(self):
        """What sanitizers or internal errors wrote into the nodes' logs."""
        marks = ("ERROR: AddressSanitizer", "runtime error:", "ERROR: LeakSanitizer",
                 "WARNING: ThreadSanitizer", "internal error at", "concordat: fatal")
        found = []
        for name in self.lab.facts.get("nodes", {}):
            with contextlib.suppress(OSError):
                with open(self.lab.path(name, "log.txt"), errors="replace") as f:
                    found += [f"{name}: {line.strip()}" for line in f
                              if any(m in line for m in marks) and
                              not (self.expected and self.expected in line)]
        return found

    @property
    def nodes(self):
        return self.lab.nodes()

    def run(self, *arguments, code=0, timeout=120):
        """The command with this lab's profile; its exit code must be one of code."""
        command = [self.cli, *arguments, "--profile", self.lab.profile]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        codes = code if isinstance(code, tuple) else (code,)
        if done.returncode not in codes:
            raise AssertionError(f"{' '.join(arguments)}: exit {done.returncode}, not {codes}\n"
                                 f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done

    def json(self, *arguments, **options):
        return json.loads(self.run(*arguments, "--json", **options).stdout)

    def lines(self, *arguments, **options):
        out = self.run(*arguments, "--json", **options).stdout
        return [json.loads(line) for line in out.splitlines() if line]

    def status(self, name=None):
        code, facts = lab_module.status(self.lab, name)
        return code, facts

    def leader(self, seconds=30):
        deadline = time.time() + seconds
        while time.time() < deadline:
            code, facts = self.status()
            if facts and code != 2:
                for node in facts["nodes"]:
                    if node["role"] == "leader":
                        return node["name"]
            time.sleep(0.1)
        raise AssertionError(f"no leader in {seconds} s")

    def kill(self, name, number=9):
        lab_module.stop_node(self.lab, name, number)

    def start(self, name):
        lab_module.start_node(self.lab, name)

    def wait_well(self, seconds=60):
        lab_module.wait_ready(self.lab, self.nodes, seconds)

    def wait_level(self, seconds=120):
        """Waits until every node, asked by itself, says the same height and digest."""
        deadline = time.time() + seconds
        heads = []
        while time.time() < deadline:
            heads = []
            for name in self.nodes:
                _, facts = self.status(name)
                heads.append((facts or {}).get("height"), )
                if facts:
                    heads[-1] = (facts["height"], facts["digest"])
            if len(set(heads)) == 1 and heads[0] and heads[0][0] is not None:
                return heads[0]
            time.sleep(0.3)
        raise AssertionError(f"the nodes are not level after {seconds} s: {heads}")

    def wait_alarm(self, name, code, seconds=30):
        deadline = time.time() + seconds
        while time.time() < deadline:
            _, facts = self.status(name)
            if facts and any(a["code"] == code for a in facts["alarms"]):
                return facts
            time.sleep(0.2)
        raise AssertionError(f"no alarm {code} at {name} in {seconds} s")

    def wait_log(self, name, words, seconds=30):
        deadline = time.time() + seconds
        while time.time() < deadline:
            if words in self.log(name):
                return
            time.sleep(0.1)
        raise AssertionError(f"{name} did not say '{words}' in {seconds} s")

    def log(self, name):
        with open(self.lab.path(name, "log.txt"), errors="replace") as f:
            return f.read()


def contract_for(folder, effective="2022-10-01", zone="Europe/Berlin"):
    """solar.rules as shipped, with its dates moved back to the data and the zone of the data."""
    with open(os.path.join(ROOT, "contracts", "solar.rules"), encoding="utf-8") as f:
        text = f.read()
    text = text.replace("version 3 effective 2026-07-01 replaces 2", f"version 1 effective {effective}")
    text = text.replace("from 2026-07-01", f"from {effective}")
    head, _, tests = text.partition("\ntest \"")
    head = head.replace("Europe/Paris", zone)
    path = os.path.join(folder, "solar.rules")
    with open(path, "w", encoding="utf-8") as f:
        f.write(head)
    del tests  # They are dated by the shipped text; `contract test` runs them on the shipped file.
    return path


def main(test, **defaults):
    parser = argparse.ArgumentParser(description=test.__doc__)
    parser.add_argument("--build", default=os.environ.get("CONCORDAT_BUILD",
                                                          os.path.join(ROOT, "build")))
    parser.add_argument("--keep", action="store_true", help="leave the folder of the test")
    for name, value in defaults.items():
        name = name.replace("_", "-")
        if isinstance(value, bool):
            parser.add_argument("--" + name, action="store_true", default=value)
        else:
            parser.add_argument("--" + name, type=type(value), default=value)
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="concordat-test-")
    code = 1
    bench = None
    try:
        bench = Bench(args.build, folder)
        test(bench, args)
        code = 0
    except Skip as skip:
        print(f"SKIP: {skip}")
        code = 77
    except Exception:  # pylint: disable=broad-except
        traceback.print_exc()
        if bench:
            for name in bench.lab.facts.get("nodes", {}):
                print(f"--- the end of {name}'s log\n{lab_module.last_words(bench.lab, name, 25)}")
    finally:
        if bench:
            bench.down()
            findings = bench.findings() if code == 0 else []
            for finding in findings:
                print(f"FOUND: {finding}")
                code = 1
        if args.keep:
            print(f"left in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)
