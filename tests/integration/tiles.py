#!/usr/bin/env python3
"""The tree over HTTPS GET, read with curl by somebody without a certificate: every record is fetched,
every hash computed again (RFC 6962, c2sp.org/tlog-tiles) and compared; nothing else is open."""
import base64
import hashlib
import json
import os
import shutil
import struct
import subprocess
import time

import harness
import restart
from harness import check


def curl(bench, name, path, *options):
    """Status, headers and body of a request to a node."""
    with open(bench.lab.profile, encoding="utf-8") as f:
        address = {n["name"]: n["address"] for n in json.load(f)["nodes"]}[name]
    head = os.path.join(bench.folder, "head")
    done = subprocess.run(
        ["curl", "--silent", "--http2", "--path-as-is", "--max-time", "30", "--cacert",
         bench.lab.path(name, "keys", "ca.crt"), "--dump-header", head, *options,
         f"https://{address}{path}"], capture_output=True, check=False)
    if done.returncode != 0:
        return None, "", f"curl: exit {done.returncode}".encode()
    with open(head, encoding="latin-1") as f:
        text = f.read()
    return int(text.split()[1]), text.lower(), done.stdout


def get(bench, name, path):
    status, head, body = curl(bench, name, path)
    check(status == 200, f"{name}: GET {path}: {status}, {len(body)} bytes")
    return head, body


def leaf(record):
    return hashlib.sha256(b"\0" + record).digest()


def root(hashes):
    """MTH of RFC 6962 section 2.1, from leaf hashes."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    return hashlib.sha256(b"\1" + root(hashes[:k]) + root(hashes[k:])).digest()


def tile_name(n, width):
    text = f"{n % 1000:03}"
    while n >= 1000:
        n //= 1000
        text = f"x{n % 1000:03}/{text}"
    return text + (f".p/{width}" if width < 256 else "")


def records(body):
    out = []
    while body:
        size = struct.unpack(">H", body[:2])[0]
        out.append(body[2:2 + size])
        if len(out[-1]) != size:
            raise AssertionError(f"an entry of {size} bytes is cut off")
        body = body[2 + size:]
    return out


def read_tree(bench, name, size):
    """All leaf hashes, from the entries; each tile of level 0 must hold the same."""
    leaves = []
    for n in range(0, (size + 255) // 256):
        width = min(256, size - 256 * n)
        head, entries = get(bench, name, "/tile/entries/" + tile_name(n, width))
        check("immutable" in head and "application/octet-stream" in head, "said to stay as it is")
        hashes = [leaf(r) for r in records(entries)]
        _, tile = get(bench, name, "/tile/0/" + tile_name(n, width))
        check(tile == b"".join(hashes), f"tile {n} holds the hashes of its {width} records")
        leaves += hashes
    full = size // 256
    if full:
        _, tile = get(bench, name, f"/tile/1/000.p/{full}")
        check(tile == b"".join(root(leaves[256 * i:256 * i + 256]) for i in range(full)),
              "the tile above holds their roots")
    return leaves


def wait_checkpoint(bench, name, least, seconds=60):
    deadline = time.time() + seconds
    while time.time() < deadline:
        status, _, body = curl(bench, name, "/checkpoint")
        if status == 200 and int(body.split(b"\n")[1]) >= least:
            return body.decode()
        time.sleep(0.3)
    raise AssertionError(f"{name}: no checkpoint of {least} records after {seconds} s")


def refused(bench, name):
    for path, status in (("/", 404), ("/metrics", 404), ("/tile/0/00", 400), ("/tile/0/x000", 400),
                         ("/tile/8/000", 400), ("/tile/0/../../checkpoint", 400),
                         ("/tile/0/000?x=1", 400), ("/tile/0/x999/999", 404),
                         ("/tile/5/000.p/1", 404), ("/tile/0/000.p/0", 400)):
        is_status, _, _ = curl(bench, name, path)
        check(is_status == status, f"GET {path}: {is_status}")
    for method in ("PUT", "DELETE", "HEAD"):
        extra = ["--head"] if method == "HEAD" else ["--request", method]
        is_status, _, _ = curl(bench, name, "/checkpoint", *extra)
        check(is_status == 405, f"{method} /checkpoint: {is_status}")
    message = os.path.join(bench.folder, "message")
    with open(message, "wb") as f:
        f.write(bytes(5))
    status, head, body = curl(bench, name, "/concordat.v1.Query/Balance", "--request", "POST", "--header",
                      "content-type: application/grpc", "--header", "te: trailers",
                      "--data-binary", "@" + message)
    # the stream may be closed while curl still sends, which then shows no header at all (exit 92)
    check("grpc-status: 16" in head or (status is None and b"exit 92" in body),
          "a call without a certificate is UNAUTHENTICATED, or closed at once")


def opened(bench):
    """Anybody may read: the whole tree, and nothing else."""
    bench.up(3, options=["--public-reading"])
    name = bench.nodes[0]
    bench.run("contract", "deploy", os.path.join(harness.ROOT, "contracts", "transfer.rules"))
    load = restart.start_load(bench, bench.leader(), os.path.join(bench.folder, "acks"))
    load.communicate(timeout=120)
    bench.wait_level()
    size = bench.json("balance", "transfer.roquefort/wallet[a]", "--node", name)["at"]["size"]
    check(size > 300, f"{size} records")
    leaves = read_tree(bench, name, size)
    text = wait_checkpoint(bench, name, size)
    origin, count, digest = text.split("\n")[:3]
    check(int(count) == size and base64.b64decode(digest) == root(leaves),
          f"the cosigned root of {origin} at {count} records is the one computed from the entries")
    refused(bench, name)


def closed(bench):
    """Without public reading nobody gets in who has no certificate; a client's opens the tree."""
    bench.up(3)
    name = bench.nodes[0]
    status, _, _ = curl(bench, name, "/checkpoint")
    check(status is None, "no certificate: the handshake fails")
    own = ["--cert", bench.lab.path(name, "client", "client.crt"), "--key",
           bench.lab.path(name, "client", "client.key")]
    status, _, _ = curl(bench, name, "/tile/0/x999/999", *own)
    check(status == 404, "a client's certificate: answered")


def main(bench, _args):
    """Tiles, entries and checkpoint by curl, with and without a certificate."""
    closed(bench)
    bench.down()
    shutil.rmtree(bench.lab.folder)
    opened(bench)


if __name__ == "__main__":
    harness.main(main)
