#!/usr/bin/env python3
"""A second writer of policies, receipts, statements and consistency proofs, made from docs/formats
and the C2SP texts, not from the C. It writes a small ledger of 13 records into this folder:

    make.py           writes the files
    make.py --check   compares them with what it would write

tests/unit/verify/sample.c is the first writer, of the same ledger with the same keys."""
import base64
import hashlib
import os
import struct
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HERE = os.path.dirname(os.path.abspath(__file__))
ORIGIN = "concordat.example/roquefort"
SIZE, OLD = 13, 6
DASH = "\u2014 "


def sha(*parts): return hashlib.sha256(b"".join(parts)).digest()
def u8(v): return struct.pack(">B", v)
def u16(v): return struct.pack(">H", v)
def u32(v): return struct.pack(">I", v)
def u64(v): return struct.pack(">Q", v)
def i32(v): return struct.pack(">i", v)
def i64(v): return struct.pack(">q", v)
def sized(b): return u32(len(b)) + b
def b64(b): return base64.b64encode(b).decode()


LEDGER_ID = sha(b"genesis of the sample")


# ---- keys ----

class Key:
    def __init__(self, seed, name="", kind=0):
        self.private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) + bytes(31))
        self.public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.name, self.kind = name, kind
        self.id = sha(name.encode(), b"\n", bytes([kind]), self.public)[:4]

    def vkey(self):
        return f"{self.name}+{self.id.hex()}+{b64(bytes([self.kind]) + self.public)}"


# institution, node, seed of the head key, from, until: sigra has changed its key at size 5
NODES = [("ville", 1, 1, 0, None), ("enedis", 2, 2, 0, None), ("sigra", 3, 3, 5, None),
         ("ville", 4, 4, 0, None), ("sigra", 3, 5, 0, 5)]


def log_key(seed): return Key(seed, ORIGIN, 1)
def witness_key(node): return Key(node[2], f"{ORIGIN}/{node[0]}/{node[1]}", 4)


def policy():
    lines, members = [], {}
    for n in NODES:
        lines.append("log " + log_key(n[2]).vkey())
    for n in NODES:
        name = f"{n[0]}/{n[1]}/{n[2]}"
        lines.append(f"witness {name} {witness_key(n).vkey()}")
        members.setdefault(n[0], []).append(name)
    for name in sorted(members):
        lines.append(f"group {name} any " + " ".join(members[name]))
    lines += ["group institutions 2 " + " ".join(sorted(members)), "quorum institutions"]
    for n in NODES:
        for key in (log_key(n[2]), witness_key(n)):
            lines.append(f"# valid {key.vkey()} {n[3]} {'-' if n[4] is None else n[4]}")
    text = "\n".join(lines) + "\n"
    return text + "# sha256 " + sha(text.encode()).hex() + "\n"


def note(text, nodes, time):
    out = text + "\n"
    for n in nodes:
        key = log_key(n[2])
        out += f"{DASH}{key.name} {b64(key.id + key.private.sign(text.encode()))}\n"
    for i, n in enumerate(nodes):
        key = witness_key(n)
        signature = key.private.sign(f"cosignature/v1\ntime {time + i}\n{text}".encode())
        out += f"{DASH}{key.name} {b64(key.id + u64(time + i) + signature)}\n"
    return out


# ---- trees (RFC 6962 section 2.1, recursively) ----

def split(n): return 1 << ((n - 1).bit_length() - 1)
def leaf(b): return sha(b"\0", b)


def root(d):
    if len(d) == 1:
        return d[0]
    k = split(len(d))
    return sha(b"\1", root(d[:k]), root(d[k:]))


def path(m, d):
    if len(d) == 1:
        return []
    k = split(len(d))
    return path(m, d[:k]) + [root(d[k:])] if m < k else path(m - k, d[k:]) + [root(d[:k])]


def sided(m, d):
    """The same, each sibling with its side."""
    if len(d) == 1:
        return []
    k = split(len(d))
    if m < k:
        return sided(m, d[:k]) + [("right", root(d[k:]))]
    return sided(m - k, d[k:]) + [("left", root(d[:k]))]


def consistency(m, d, whole=True):
    if m == len(d):
        return [] if whole else [root(d)]
    k = split(len(d))
    if m <= k:
        return consistency(m, d[:k], whole) + [root(d[k:])]
    return consistency(m - k, d[k:], False) + [root(d[:k])]


# ---- accounts ----

CONTRACT = b"solar.roquefort"
A = CONTRACT + b"\0wallet\0c01\0\0"
B = CONTRACT + b"\0wallet\0c02\0\0"
FUND = CONTRACT + b"\0fund\0"
POSTINGS = {  # position: (debited, credited, quanta)
    1: [(A, FUND, 500)], 3: [(B, FUND, 200)], 6: [(FUND, A, 1250), (FUND, B, 300), (A, B, 50)],
    7: [(B, A, 10)], 9: [(FUND, B, 5)], 11: [(A, FUND, 700), (FUND, A, 1)]}


class Account:
    def __init__(self):
        self.count, self.chain, self.balance = 0, bytes(32), 0
        self.history = []  # (position, ordinal, quanta, balance, counter)
        self.heads = {}    # position: (count, chain) after it

    def post(self, position, ordinal, quanta, counter):
        self.balance += quanta
        self.count += 1
        self.chain = sha(b"concordat/posting/v1\n", self.chain, u64(self.count), u64(position),
                         u32(ordinal), i64(quanta), i64(self.balance), counter)
        self.history.append((position, ordinal, quanta, self.balance, counter))
        self.heads[position] = (self.count, self.chain)


def account_leaf(name, head): return leaf(sized(name) + u64(head[0]) + head[1])


NOBODY = CONTRACT + b"\0wallet\0c99\0\0"
accounts = {n: Account() for n in (A, B, FUND, NOBODY)}
touched = {}  # position: leaves of its accounts_root, by account


def post_all(position):
    names = set()
    for ordinal, (debit, credit, quanta) in enumerate(POSTINGS.get(position, [])):
        accounts[debit].post(position, ordinal, -quanta, credit)
        accounts[credit].post(position, ordinal, quanta, debit)
        names |= {debit, credit}
    touched[position] = {n: account_leaf(n, accounts[n].heads[position]) for n in sorted(names)}
    return root(list(touched[position].values())) if names else bytes(32)


# ---- the request behind record 6: its second event ----

def varint(v):
    out = b""
    while v >= 0x80:
        out, v = out + bytes([v & 0x7f | 0x80]), v >> 7
    return out + bytes([v])


def field(number, data): return varint(number << 3 | 2) + varint(len(data)) + data


SIGNER = Key(9)
SALT = sha(b"salt 6")
OUTCOME, EFFECTS, TRACE = b'["accepted","4.2"]', b'["post",0]', b"[]"


def request():
    def event(action, day):
        return field(1, CONTRACT) + field(2, action) + varint(4 << 3) + varint(day << 1)
    body = (field(1, LEDGER_ID) + field(2, bytes(range(16))) + field(5, event(b"join", 20459)) +
            field(5, event(b"settle", 20460)) + field(6, b"pmo.roquefort") + field(7, SALT))
    signature = SIGNER.private.sign(b"concordat/request/v1\n" + sha(body))
    return body, field(1, body) + field(2, field(1, sha(SIGNER.public)) + field(2, signature))


# ---- records ----

def record(i):
    body, _ = request()
    kind = 3 if i == 0 else 2 if i % 5 == 4 else 1
    index = 1 if i == 6 else 0
    source = sha(b"request %d" % i)
    if kind == 2:
        source = bytes(24) + u64(i - 1)
    elif i == 6:
        source = sha(b"concordat/body/v1\n", body)
    blind = sha(sha(b"salt %d" % i), u32(index))
    day = u8(1) + i32(20454 + i) if i % 2 == 0 else bytes(5)
    return (u16(1) + u64(i) + u64(1 + i // 2) + u64(1780000000000000000 + i * 60000000000) + u8(kind) +
            source + u32(index) + sized(CONTRACT) + u64(3) + sha(b"text") + day +
            sha(blind, OUTCOME) + sha(blind, EFFECTS) + sha(blind, TRACE) + sha(b"digest %d" % i) +
            post_all(i))


RECORDS = [record(i) for i in range(SIZE)]
LEAVES = [leaf(r) for r in RECORDS]


def head(size): return f"{ORIGIN}\n{size}\n{b64(root(LEAVES[:size]))}\n"


NOTE = note(head(SIZE), NODES[:3], 1780001000)
OLD_NOTE = note(head(OLD), NODES[:2], 1780000500)


def receipt(i):
    return (f"c2sp.org/tlog-proof@v1\nextra {b64(RECORDS[i])}\nindex {i}\n" +
            "".join(b64(h) + "\n" for h in path(i, LEAVES)) + "\n" + NOTE)


def statement(name, first, last, marked):
    """Of the records that touched the account, those from first to last."""
    account = accounts[name]
    positions = [p for p in sorted(account.heads) if first <= p <= last]
    below = [p for p in sorted(account.heads) if p < first]
    before = account.heads[below[-1]] if below else (0, bytes(32))
    out = f"concordat/statement/v1\naccount {b64(name)}\nbefore {before[0]} {b64(before[1])}\n"
    for p in positions:
        out += f"record {b64(RECORDS[p])}\n"
        out += "".join(b64(h) + "\n" for h in path(p, LEAVES))
        leaves = touched[p]
        for side, h in sided(list(leaves).index(name), list(leaves.values())):
            out += f"{side} {b64(h)}\n"
        for position, ordinal, quanta, balance, counter in account.history:
            if position == p:
                out += f"posting {ordinal} {quanta} {balance} {b64(counter)}\n"
    if marked:
        last_head = account.heads[positions[-1]] if positions else before
        message = (b"concordat/account/v1\n" + LEDGER_ID + u64(SIZE) + sized(name) +
                   u64(last_head[0]) + last_head[1])
        out += f"end {b64(LEDGER_ID)}\n"
        for n in sorted(NODES[:2], key=lambda n: witness_key(n).name):
            key = witness_key(n)
            out += f"mark {key.name} {b64(key.id + key.private.sign(message))}\n"
    return out + "\n" + NOTE


FILES = {
    "policy": policy(), "receipt": receipt(6), "timer.receipt": receipt(9),
    "statement": statement(A, 0, SIZE, True), "part.statement": statement(A, 6, 7, False),
    "none.statement": statement(NOBODY, 0, 0, True),
    "checkpoint": OLD_NOTE,
    "consistency": f"old {OLD}\n" + "".join(b64(h) + "\n" for h in consistency(OLD, LEAVES)) +
                   "\n" + NOTE,
    "request": request()[1], "outcome": OUTCOME, "effects": EFFECTS, "trace": TRACE,
    "signer": "ed25519:" + b64(SIGNER.public),
}


def main():
    wrong = 0
    for name, content in FILES.items():
        content = content if isinstance(content, bytes) else content.encode()
        file = os.path.join(HERE, name)
        if sys.argv[1:] != ["--check"]:
            with open(file, "wb") as f:
                f.write(content)
            continue
        with open(file, "rb") as f:
            if f.read() != content:
                print(f"{name} is not what this writer writes")
                wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
