#!/usr/bin/env python3
"""Checks receipts, statements and consistency proofs of a ledger with nothing but Python's standard
library and the `cryptography` of Debian (python3-cryptography). It was written from the C2SP texts
(signed-note, tlog-checkpoint, tlog-cosignature, tlog-proof, tlog-policy, tlog-witness), RFC 6962,
RFC 9162 and docs/formats, and shares no line with the programs in C.

    verify.py receipt FILE --policy POLICY [--request FILE] [--outcome FILE] [--effects FILE]
    verify.py statement FILE --policy POLICY
    verify.py consistency FILE --old CHECKPOINT --policy POLICY

Prints what is proved as JSON. Exit 0 proved, 1 not proved, 2 wrong use."""
import argparse
import base64
import hashlib
import json
import re
import struct
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LOG, WITNESS = 1, 4
DASH = "\u2014 "


class NotProved(Exception):
    pass


def need(fact, why):
    if not fact:
        raise NotProved(why)


def sha(*parts): return hashlib.sha256(b"".join(parts)).digest()


def unbase64(text):
    """The one padded form."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise NotProved(f"no base64: {text[:40]}") from None
    need(base64.b64encode(data).decode() == text, f"another form of base64: {text[:40]}")
    return data


def decimal(text, sign=False):
    need(re.fullmatch(r"(-?[1-9][0-9]*|0)" if sign else r"([1-9][0-9]*|0)", text),
         f"no number: {text[:40]}")
    n = int(text)
    need(-2 ** 63 <= n < 2 ** 63, "a number too large")
    return n


def a_hash(text):
    data = unbase64(text)
    need(len(data) == 32, "no hash")
    return data


def ed25519(public, message, signature):
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        return True
    except (InvalidSignature, ValueError):
        return False


# ---- whom one believes: c2sp.org/tlog-policy, and the lines `# valid` and `# sha256` ----

class Key:
    def __init__(self, vkey):
        name, ident, data = vkey.split("+", 2)
        raw = unbase64(data)
        need(len(raw) == 33 and raw[0] in (LOG, WITNESS), "a key that is none")
        self.vkey, self.name, self.kind, self.public = vkey, name, raw[0], raw[1:]
        self.id = sha(name.encode(), b"\n", raw)[:4]
        need(self.id.hex() == ident, "a key whose id is not its own")


class Policy:
    def __init__(self, data, sealed=True):
        text = data.decode()
        if sealed:
            seal = re.search(r"\n# sha256 ([0-9a-f]{64})\n\Z", text)
            need(seal and sha(text[:seal.start() + 1].encode()).hex() == seal.group(1),
                 "the policy was altered, or has no seal")
        self.logs, self.witnesses, self.groups, self.valid, self.quorum = [], {}, {}, {}, None
        for line in text.splitlines():
            self.read(line.split())
        need(self.quorum is not None, "the policy has no quorum")

    def read(self, words):
        if words[:2] == ["#", "valid"]:
            self.valid[words[2]] = (decimal(words[3]),
                                    None if words[4] == "-" else decimal(words[4]))
        elif not words or words[0].startswith("#"):
            return
        elif words[0] == "log":
            self.logs.append(Key(words[1]))
        elif words[0] == "witness":
            self.witnesses[words[1]] = Key(words[2])
        elif words[0] == "group":
            n = {"any": 1, "all": len(words) - 3}.get(words[2])
            self.groups[words[1]] = (n or decimal(words[2]), words[3:])
        else:
            need(words[0] == "quorum" and len(words) == 2, f"the policy says {words[0]}")
            self.quorum = words[1]

    def key(self, name, ident):
        for key in self.logs + list(self.witnesses.values()):
            if (key.name, key.id) == (name, ident):
                return key
        raise NotProved(f"{name} is nobody whom the policy names")

    def counts(self, key, size):
        start, end = self.valid.get(key.vkey, (0, None))
        return start <= size and (end is None or size < end)

    def institution(self, key):
        names = [n for n, k in self.witnesses.items() if k is key]
        return next((g for g, (_, members) in self.groups.items() if set(names) & set(members)), "")

    def reached(self, keys, size, what):
        """Whether these keys are the quorum."""
        if self.quorum == "none":
            return
        done = {n for n, k in self.witnesses.items() if k in keys and self.counts(k, size)}
        for name, (n, members) in self.groups.items():  # members stand before their groups
            if len(done & set(members)) >= n:
                done.add(name)
        need(self.quorum in done, f"too few have signed {what}")


# ---- signed notes ----

def checkpoint(note):
    """(origin, size, root) that a note claims; text, lines."""
    need("\n\n" in note and note.endswith("\n"), "no signed note")
    text, _, rest = note.rpartition("\n\n")
    text += "\n"
    lines = text.split("\n")
    need(len(lines) == 4 and lines[3] == "" and lines[0], "no checkpoint of three lines")
    return (lines[0], decimal(lines[1]), a_hash(lines[2])), text, rest[:-1].split("\n")


def check_note(policy, note):
    (origin, size, root), text, lines = checkpoint(note)
    signed, voices, seen = [], [], set()
    for line in lines:
        need(line.startswith(DASH) and line.count(" ") == 2, "no signature line")
        name, blob = line[len(DASH):].split(" ")
        need(line not in seen, "a signature line stands twice")
        seen.add(line)
        raw = unbase64(blob)
        key = policy.key(name, raw[:4])
        message, time = text.encode(), None
        need(len(raw) == (68 if key.kind == LOG else 76), f"{name}: a signature of another size")
        if key.kind == WITNESS:
            time = struct.unpack(">Q", raw[4:12])[0]
            message = f"cosignature/v1\ntime {time}\n".encode() + message
        need(ed25519(key.public, message, raw[-64:]), f"the signature of {name} is forged")
        signed.append(key)
        if key.kind == WITNESS:
            voices.append({"institution": policy.institution(key), "key": name, "time": time,
                           "counts": policy.counts(key, size)})
    need(any(k.kind == LOG and k.name == origin and policy.counts(k, size) for k in signed),
         "no log of the policy has signed")
    policy.reached(signed, size, "the checkpoint")
    return {"origin": origin, "size": size, "root": root.hex(), "cosigned": voices}


# ---- trees: RFC 6962 section 2.1, RFC 9162 sections 2.1.3.2 and 2.1.4.2 ----

def leaf(data): return sha(b"\0", data)
def inner(left, right): return sha(b"\1", left, right)


def root_of_path(digest, index, size, path):
    need(index < size, "an index outside the tree")
    fn, sn, r = index, size - 1, digest
    for p in path:
        need(sn != 0, "a path too long")
        if fn & 1 or fn == sn:
            r = inner(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = inner(r, p)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0, "a path too short")
    return r


def grew(first, first_root, second, second_root, path):
    if first == 0:
        return not path
    if first == second:
        return not path and first_root == second_root
    if not path or first > second:
        return False
    path = list(path)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = inner(c, fr), inner(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = inner(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and (fr, sr) == (first_root, second_root)


# ---- records: docs/formats/records.md ----

class Cursor:
    def __init__(self, data): self.data, self.at = data, 0

    def take(self, n):
        need(self.at + n <= len(self.data), "the record ends early")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, n): return int.from_bytes(self.take(n), "big")


def record(data):
    c = Cursor(data)
    need(c.number(2) == 1, "a record of another version")
    r = {"position": c.number(8), "height": c.number(8), "time_ns": c.number(8),
         "kind": c.number(1), "source": c.take(32), "index": c.number(4)}
    need(r["kind"] in (1, 2, 3), "a record of another kind")
    r["contract"] = c.take(c.number(4)).decode()
    r["contract_version"], r["text_hash"] = c.number(8), c.take(32)
    r["legal_date"] = (c.number(1), c.number(4))
    for name in ("outcome", "effects", "trace", "digest", "accounts_root"):
        r[name] = c.take(32)
    need(c.at == len(data), "the record has bytes left over")
    return r


def say(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {k: say(v) for k, v in value.items()}
    return [say(v) for v in value] if isinstance(value, (list, tuple)) else value


# ---- requests: the fields of Envelope and Body that a check needs ----

def fields(data):
    """(number, value) of a protobuf message."""
    def varint(at):
        n = shift = 0
        while True:
            need(at < len(data) and shift < 64, "the request ends early")
            n |= (data[at] & 0x7f) << shift
            shift, at = shift + 7, at + 1
            if not data[at - 1] & 0x80:
                return n, at
    at = 0
    while at < len(data):
        tag, at = varint(at)
        if tag & 7 == 0:
            value, at = varint(at)
        elif tag & 7 == 1:
            value, at = data[at:at + 8], at + 8
        else:
            need(tag & 7 == 2, "another wire type")
            size, at = varint(at)
            need(at + size <= len(data), "the request ends early")
            value, at = data[at:at + size], at + size
        yield tag >> 3, value


def one(data, number):
    return next((v for n, v in fields(data) if n == number), b"")


def check_content(r, args):
    if not args.request:
        need(not (args.outcome or args.effects), "without the request there is no salt")
        return {}
    with open(args.request, "rb") as f:
        body = one(f.read(), 1)
    need(sha(b"concordat/body/v1\n", body) == r["source"], "the record is of another request")
    blind = sha(one(body, 7), struct.pack(">I", r["index"]))
    said = {"on_behalf": one(body, 6).decode(), "request_id": one(body, 2).hex()}
    for name in ("outcome", "effects"):
        if getattr(args, name):
            with open(getattr(args, name), "rb") as f:
                content = f.read()
            need(sha(blind, content) == r[name], f"the {name} is not what was recorded")
            said[name + "_text"] = content.decode()
    return said


# ---- the three kinds of text ----

def check_receipt(text, args, policy):
    head, _, note = text.partition("\n\n")
    lines = head.split("\n")
    need(lines[0] == "c2sp.org/tlog-proof@v1" and len(lines) >= 3, "no proof")
    need(lines[1].startswith("extra ") and lines[2].startswith("index "), "no record, or no index")
    data, index = unbase64(lines[1][6:]), decimal(lines[2][6:])
    r = record(data)
    need(r["position"] == index, "the record is of another position")
    said = check_note(policy, note)
    root = root_of_path(leaf(data), index, said["size"], [a_hash(h) for h in lines[3:]])
    need(root.hex() == said["root"], "the record does not stand there")
    return {**said, **say(r), **say(check_content(r, args))}


class Statement:
    """Reads line by line and follows the account's chain."""

    def __init__(self, text):
        head, _, self.note = text.partition("\n\n")
        self.lines, self.at = head.split("\n"), 0
        need(self.take("concordat/statement/v1") == "", "no statement")
        self.account = unbase64(self.take("account "))
        count, chain = self.take("before ").split(" ")
        self.count, self.chain = decimal(count), a_hash(chain)
        need(self.count > 0 or self.chain == bytes(32), "a chain of nothing")
        self.balance = 0 if self.count == 0 else None
        self.opening, self.position, self.postings = self.balance, -1, []

    def next_is(self, word):
        return self.at < len(self.lines) and self.lines[self.at].startswith(word)

    def take(self, word):
        need(self.next_is(word), f"'{word.strip()}' must stand in line {self.at + 1}")
        self.at += 1
        return self.lines[self.at - 1][len(word):]

    def entry(self, size, root):
        data = unbase64(self.take("record "))
        r = record(data)
        need(r["position"] > self.position, "a record stands twice or out of order")
        self.position = r["position"]
        path, sides = [], []
        while self.at < len(self.lines) and " " not in self.lines[self.at]:
            path.append(a_hash(self.take("")))
        while self.next_is("left ") or self.next_is("right "):
            left = self.next_is("left ")
            sides.append((left, a_hash(self.take("left " if left else "right "))))
        need(root_of_path(leaf(data), self.position, size, path) == root,
             f"record {self.position} does not stand there")
        need(self.next_is("posting "), "a record without posting")
        while self.next_is("posting "):
            self.posting(self.take("posting ").split(" "))
        node = leaf(self.sized_head())
        for left, h in sides:
            node = inner(h, node) if left else inner(node, h)
        need(node == r["accounts_root"], f"the account's chain breaks at record {self.position}")

    def posting(self, words):
        need(len(words) == 4, "a posting has four parts")
        ordinal, counter = decimal(words[0]), unbase64(words[3])
        quanta, balance = decimal(words[1], True), decimal(words[2], True)
        if self.balance is None:
            self.balance = self.opening = balance - quanta
        need(self.balance + quanta == balance, "a balance does not follow")
        self.balance = balance
        self.count += 1
        self.chain = sha(b"concordat/posting/v1\n", self.chain,
                         struct.pack(">QQIqq", self.count, self.position, ordinal, quanta, balance),
                         counter)
        self.postings.append({"number": self.count, "position": self.position, "quanta": quanta,
                              "balance": balance, "counter": counter})

    def sized_head(self):
        return (struct.pack(">I", len(self.account)) + self.account +
                struct.pack(">Q", self.count) + self.chain)

    def end(self, policy, size):
        """Who says that nothing followed."""
        if not self.next_is("end "):
            return None
        message = (b"concordat/account/v1\n" + a_hash(self.take("end ")) + struct.pack(">Q", size) +
                   self.sized_head())
        keys, names = [], []
        while self.next_is("mark "):
            name, blob = self.take("mark ").split(" ")
            raw = unbase64(blob)
            key = policy.key(name, raw[:4])
            need(key.kind == WITNESS and len(raw) == 68, "an end mark of no witness")
            need(ed25519(key.public, message, raw[4:]), f"the end mark of {name} is forged")
            need(not names or names[-1] < name, "end marks out of order")
            keys.append(key)
            names.append(name)
        policy.reached(keys, size, "the end")
        return [policy.institution(k) for k in keys]


def check_statement(text, _, policy):
    s = Statement(text)
    (_, size, root), _, _ = checkpoint(s.note)
    while s.next_is("record "):
        s.entry(size, root)
    ended = s.end(policy, size)
    need(s.at == len(s.lines), f"line {s.at + 1} does not belong here")
    need(ended is not None or s.position >= 0, "nothing is proved")
    said = check_note(policy, s.note)
    return {**said, "account": s.account.hex(), "list": say(s.postings), "opening": s.opening,
            "closing": s.balance, "ended": ended is not None, "ended_by": ended or []}


def check_consistency(text, args, policy):
    head, _, note = text.partition("\n\n")
    lines = head.split("\n")
    need(lines[0].startswith("old "), "no consistency proof")
    with open(args.old, encoding="utf-8") as f:
        old = f.read()
    if old.startswith("c2sp.org/tlog-proof"):
        old = old.partition("\n\n")[2]
    before, now = check_note(policy, old), check_note(policy, note)
    need(before["origin"] == now["origin"], "two ledgers")
    need(before["size"] == decimal(lines[0][4:]), "the proof begins at another size")
    need(grew(before["size"], bytes.fromhex(before["root"]), now["size"], bytes.fromhex(now["root"]),
              [a_hash(h) for h in lines[1:]]), "the tree was rewritten")
    return {**now, "old_size": before["size"], "old_root": before["root"]}


def main():
    parser = argparse.ArgumentParser(description="Checks what a ledger's institutions have signed.")
    parser.add_argument("what", choices=("receipt", "statement", "consistency"))
    parser.add_argument("file")
    parser.add_argument("--policy", required=True)
    parser.add_argument("--unsealed", action="store_true")
    for name in ("request", "outcome", "effects", "old"):
        parser.add_argument("--" + name)
    args = parser.parse_args()
    check = {"receipt": check_receipt, "statement": check_statement,
             "consistency": check_consistency}[args.what]
    try:
        with open(args.policy, "rb") as f:
            policy = Policy(f.read(), not args.unsealed)
        with open(args.file, encoding="utf-8", newline="") as f:
            print(json.dumps({"proved": True, **check(f.read(), args, policy)}))
        return 0
    except (NotProved, UnicodeDecodeError, IndexError, ValueError) as e:
        print(json.dumps({"proved": False, "reason": str(e)}))
        return 1


if __name__ == "__main__":
    sys.exit(main())
