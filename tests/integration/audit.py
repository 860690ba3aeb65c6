#!/usr/bin/python3
"""A ledger audited from outside: a node, a stopped node's data, and an exported directory, in which
faults are planted; then the exported page in a browser that has no server to ask."""
import glob
import html
import json
import os
import re
import shutil
import subprocess
import time

import community
import harness
from harness import check

CONTRACT = community.CONTRACT
BROWSER = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
           "--no-first-run", "--disable-background-networking", "--disable-component-update",
           "--disable-sync", "--virtual-time-budget=600000"]


def audit(bench, *source, code=0, timeout=600):
    began = time.time()
    told = json.loads(bench.run("audit", *source, "--json", code=code, timeout=timeout).stdout)
    return told, time.time() - began


def wait_covered(bench, size, seconds=60):
    """Until a cosigned head covers so many records."""
    deadline = time.time() + seconds
    folder = os.path.join(bench.folder, "probe")
    while time.time() < deadline:
        done = bench.run("receipt", "get", "--position", str(size - 1), "--out", folder,
                         code=(0, 1, 3))
        if done.returncode == 0:
            return
        time.sleep(0.3)
    raise AssertionError(f"no cosigned head covers {size} records after {seconds} s: {done.stderr}")


# ---- faults in a directory: (name, kind that must be found, how) ----

def flip(path, at=None):
    with open(path, "r+b") as f:
        f.seek(0, 2)
        f.seek(f.tell() // 2 if at is None else at)
        octet = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([octet[0] ^ 1]))


def swap_text(path, old, new):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert old in text, f"{path} has no {old}"
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new, 1))


def last_of(folder, pattern):
    return sorted(glob.glob(os.path.join(folder, pattern), recursive=True))[-1]


def block_swap(folder):
    """Exchanges the second and the third block of the first file."""
    path = sorted(glob.glob(os.path.join(folder, "blocks", "*")))[0]
    with open(path, "rb") as f:
        wire = f.read()
    blocks = []
    while wire:
        size = 4 + int.from_bytes(wire[:4], "big")
        blocks.append(wire[:size])
        wire = wire[size:]
    blocks[1], blocks[2] = blocks[2], blocks[1]
    with open(path, "wb") as f:
        f.write(b"".join(blocks))


def signature_flip(folder):
    """An envelope ends with its last signature, a block with its last envelope."""
    path = sorted(glob.glob(os.path.join(folder, "blocks", "*")))[0]
    with open(path, "rb") as f:
        size = int.from_bytes(f.read(4), "big")
    flip(path, 4 + size - 1)


def cosignature_drop(folder):
    """Leaves one institution's lines alone, in the newest head and in the list of heads."""
    path = os.path.join(folder, "checkpoint")
    with open(path, encoding="utf-8") as f:
        note = f.read()
    text, lines = note.split("\n\n")
    lines = lines.splitlines()
    keep = [line for line in lines if "/" not in line.split(" ")[1].partition("/")[2]][:1] + \
           [line for line in lines if "/" in line.split(" ")[1].partition("/")[2]][:1]
    poor = text + "\n\n" + "\n".join(keep) + "\n"
    heads = os.path.join(folder, "heads")
    with open(heads, "rb") as f:
        wire = f.read()
    old = len(note.encode()).to_bytes(4, "big") + note.encode()
    assert old in wire
    with open(heads, "wb") as f:
        f.write(wire.replace(old, len(poor.encode()).to_bytes(4, "big") + poor.encode()))
    with open(path, "w", encoding="utf-8") as f:
        f.write(poor)


FAULTS = {
    "genesis": ("genesis", lambda d: flip(f"{d}/genesis")),
    "a founder's signature": ("genesis", lambda d: flip(f"{d}/genesis.sig")),
    "a request's signature": ("request", signature_flip),
    "the order of blocks": ("block", block_swap),
    "a missing block": ("head", lambda d: os.remove(last_of(d, "blocks/*"))),
    "a record": ("record", lambda d: flip(sorted(glob.glob(f"{d}/tile/entries/*"))[0], 400)),
    "a missing bundle": ("source", lambda d: os.remove(f"{d}/tile/entries/000")),
    "a hash of the tree": ("export", lambda d: flip(f"{d}/tile/0/000")),
    "a missing tile": ("export", lambda d: os.remove(f"{d}/tile/0/000")),
    "a root": (("head", "source", "export"), lambda d: flip(f"{d}/checkpoint", 60)),
    "a cosignature": (("cosignature", "source"), lambda d: flip(f"{d}/heads", os.path.getsize(
        f"{d}/heads") - 20)),
    "too few cosignatures": ("cosignature", cosignature_drop),
    "a contract text": ("export", lambda d: flip(last_of(d, "contracts/*.rules"))),
    "the policy": ("export", lambda d: flip(f"{d}/policy")),
    "an amount of a posting": ("export", lambda d: swap_text(f"{d}/page/decisions/0.js", "Wh", "Xh")),
    "an outcome": ("export", lambda d: swap_text(f"{d}/page/decisions/0.js", "accepted", "rejected")),
    "an account's records": ("export", lambda d: next(
        swap_text(p, ",[", ",[9") for p in sorted(glob.glob(f"{d}/page/accounts/*.js"))
        if os.path.getsize(p))),
    "a request's record": ("export", lambda d: next(
        swap_text(p, ");", "9);") for p in sorted(glob.glob(f"{d}/page/requests/*.js"))
        if os.path.getsize(p))),
    "the page's proof": ("export", lambda d: swap_text(f"{d}/page/verify.js", "throw", "     ")),
    "a hash for the page": ("export", lambda d: flip(f"{d}/page/tree/0.js", 12)),
}


def planted(bench, folder):
    for name, (kinds, plant) in FAULTS.items():
        copy = os.path.join(bench.folder, "planted")
        shutil.copytree(folder, copy)
        plant(copy)
        told, _ = audit(bench, copy, code=1)
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        check(not told["ok"] and told["kind"] in kinds, f"{name}: {told['kind']}: {told['text']}")
        shutil.rmtree(copy)


# ---- the page ----

def page(folder, fragment, shot=None):
    """What the page shows after everything it does by itself."""
    profile = os.path.join(os.path.dirname(folder), "browser")
    command = [*BROWSER, f"--user-data-dir={profile}"]
    command += [f"--screenshot={shot}", "--window-size=1000,1400"] if shot else ["--dump-dom"]
    done = subprocess.run([*command, f"file://{folder}/index.html{fragment}"], capture_output=True,
                          text=True, timeout=300)
    return html.unescape(re.sub(r"<[^>]+>", " ", done.stdout.partition("</header>")[2]))


def in_browser(bench, folder, shot):
    if shutil.which("chromium") is None:
        print("SKIP: the page: chromium is not installed")
        return
    with open(glob.glob(f"{folder}/page/decisions/0.js")[0], encoding="utf-8") as f:
        request = re.search(r'"enedis","([0-9a-f]{32})"', f.read()).group(1)
    seen = page(folder, f"#request={request}")
    check("signed by a majority" in seen and "under the signed root" in seen,
          "the page proves the head and the tree")
    check("Not proved" not in seen and "The record stands under the signed root" in seen,
          f"it finds the request {request} and proves its record")
    place = account_of(folder)
    seen = page(folder, f"#account={place}&complete")
    check("Complete: every record" in seen and "Not proved" not in seen,
          f"it shows {place} and that nothing is left out")
    if shot:
        page(folder, f"#account={place}&complete", shot)
    broken = os.path.join(bench.folder, "broken")
    shutil.copytree(folder, broken)
    swap_text(f"{broken}/page/decisions/0.js", "Wh", "Xh")
    seen = page(broken, f"#account={place}&complete")
    check("Not proved" in seen, "a changed posting is not proved")


def account_of(folder):
    for path in sorted(glob.glob(f"{folder}/page/accounts/*.js")):
        with open(path, encoding="utf-8") as f:
            found = re.search(r'A\("([^"]+)","([^"]+)"', f.read())
        if found:
            return f"{found.group(1)}/{found.group(2)}"
    raise AssertionError("no account in the export")


# ---- all ----

def main(bench, args):
    """Export, audit, find what was planted, and prove in a browser."""
    if args.data == "real":
        path = harness.shared("data", "energy", "at_eeg28_15min_2022q4.csv")
    else:
        path = os.path.join(bench.folder, "readings.csv")
        community.generate(path, args.days)
    bench.up(3)
    bench.run("contract", "deploy", harness.contract_for(bench.folder))
    community.admit_all(bench, bench.folder)
    report, seconds = community.run_import(bench, path, False)
    print(f"imported in {seconds:.1f} s: {report}")
    bench.wait_level()
    _, facts = bench.status()
    wait_covered(bench, facts["size"])
    told, seconds = audit(bench)
    check(told["ok"] and told["heads"] > 0, f"a node: {told['records']} records, {told['heads']} heads, "
                                            f"{seconds:.1f} s")
    folder = os.path.join(bench.folder, "export")
    bench.run("export", folder, timeout=600)
    check(os.path.exists(f"{folder}/index.html"), "the export is there")
    told, seconds = audit(bench, folder, "--policy", f"{folder}/policy")
    check(told["ok"], f"the directory: {told['records']} records in {seconds:.1f} s")
    victim = [n for n in bench.nodes if n != bench.leader()][0]
    bench.kill(victim, 15)
    told, seconds = audit(bench, bench.lab.path(victim, "data"))
    check(told["ok"], f"{victim}'s data: {told['records']} records in {seconds:.1f} s")
    work = os.path.join(bench.folder, "work")
    first, _ = audit(bench, folder, "--from", work)
    again, _ = audit(bench, folder, "--from", work)
    check(first["records"] > 0 and again["records"] == 0 and again["size"] == first["size"],
          "an audit goes on where the last one ended")
    planted(bench, folder)
    in_browser(bench, folder, args.shot)


if __name__ == "__main__":
    harness.main(main, data="generated", days=3, shot="")
