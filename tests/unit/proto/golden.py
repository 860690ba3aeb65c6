#!/usr/bin/env python3
"""A second writer of the canonical formats, from docs/formats/records.md alone. It prints golden.h:
    python3 golden.py > golden.h
The Body and Envelope in it were made by protoc --encode from golden_body.txt."""
import hashlib
import os
import struct
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
PROTO = os.path.join(HERE, "../../../proto")


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def u8(v): return struct.pack(">B", v)
def u16(v): return struct.pack(">H", v)
def u32(v): return struct.pack(">I", v)
def i32(v): return struct.pack(">i", v)
def u64(v): return struct.pack(">Q", v)
def sized(b): return u32(len(b)) + b
def many(items, write): return u32(len(items)) + b"".join(write(i) for i in items)
def key(n): return bytes([n]) * 32


def protoc(message, text):
    return subprocess.run(
        ["protoc", "-I" + PROTO, "--encode=concordat.v1." + message, "concordat/v1/ledger.proto"],
        input=text, stdout=subprocess.PIPE, check=True).stdout


def escaped(b): return "".join("\\x%02x" % c for c in b).encode()


body = protoc("Body", open(os.path.join(HERE, "golden_body.txt"), "rb").read())
envelope = protoc("Envelope", b'body: "%s"' % escaped(body) + b"".join(
    b' signatures { key_id: "%s" signature: "%s" }' % (escaped(k), escaped(s))
    for k, s in ((b"1" * 32, b"s" * 64), (b"2" * 32, b"t" * 64))))
request_hash = sha(b"concordat/body/v1\n", body)

header = u16(1) + u64(7) + key(0x11) + u64(1785400000000000001) + u32(2)
block = header + sized(envelope) + sized(b"no envelope")
block_hash = sha(b"concordat/block/v1\n", header, request_hash,
                 sha(b"concordat/body/v1\n", b"no envelope"))

tail = key(0x21) + u8(1) + i32(-3) + key(0x22) + key(0x23) + key(0x24) + key(0x25) + key(0x26)
record_head = u16(1) + u64(41) + u64(7) + u64(1785400000000000001)
record = (record_head + u8(1) + request_hash + u32(2) + sized(b"solar.roquefort") + u64(3) + tail)
timer = (record_head + u8(2) + bytes(24) + u64(12) + u32(5) + sized(b"solar.roquefort") + u64(3) +
         tail)


def institution(i):
    name, base = i
    return (sized(name) + many([b"CA-" + name], sized) + many([key(base), key(base + 1)], lambda k: k) +
            many([(b"anna", key(base + 2))], lambda o: sized(o[0]) + o[1]))


def node(n):
    number, name, base = n
    return (u64(number) + sized(name) + sized(b"n1") + sized(b"127.0.0.1:%d" % (7000 + number)) +
            sized(b"[::1]:%d" % (8000 + number)) + sized(b"SPKI-" + name) + sized(b"") + key(base) +
            (key(base + 1) if number == 1 else bytes(32)))


def party(p):
    return sized(p[0]) + sized(p[1]) + many(p[2], lambda k: k)


genesis = (
    u16(1) + sized(b"concordat.example/roquefort") + u64(1785300000000000000) +
    many([b"measure EUR to 0.01", b"measure Wh to 1"], sized) + sized(b"Europe/Paris") +
    u32(1 << 20) + u32(4096) + u64(500000000) + u64(4000000) + u64(1 << 30) + u32(1000) + u8(1) +
    many([(1, 2), (3, 3)], lambda t: u8(t[0]) + u8(t[1])) +
    many([(b"energie", 0x30), (b"social", 0x40), (b"ville", 0x50)], institution) +
    many([(1, b"energie", 0x60), (2, b"social", 0x70), (3, b"ville", 0x80)], node) +
    many([(b"enedis", b"energie", [key(0x90), key(0x91)]), (b"pmo.roquefort", b"ville", [key(0x92)])],
         party) +
    many([b"rules 1\ncontract a version 1\n", b"rules 1\ncontract b version 1\n"], sized))
ledger_id = sha(genesis)
sig = (u16(1) + ledger_id +
       many([(b"energie", 0x30), (b"social", 0x41), (b"ville", 0x50)],
            lambda s: sized(s[0]) + key(s[1]) + bytes([s[1]]) * 64))

print("/* Written by golden.py: the canonical formats as a second writer makes them. */")
print("#ifndef TESTS_UNIT_PROTO_GOLDEN_H\n#define TESTS_UNIT_PROTO_GOLDEN_H\n")
for name, value in (
        ("BODY", body), ("ENVELOPE", envelope), ("REQUEST_HASH", request_hash),
        ("SIGNING_INPUT", b"concordat/request/v1\n" + sha(body)),
        ("EVENT_HASH_2", sha(b"concordat/event/v1\n", request_hash, u32(2))),
        ("BLOCK", block), ("BLOCK_HASH", block_hash), ("RECORD", record),
        ("RECORD_LEAF", sha(b"\0", record)), ("RECORD_TIMER", timer),
        ("SALTED_HASH", sha(sha(key(0x5a), u32(2)), b"bytes")), ("GENESIS", genesis),
        ("LEDGER_ID", ledger_id), ("GENESIS_SIGNING_INPUT", b"concordat/genesis/v1\n" + ledger_id),
        ("GENESIS_SIG", sig)):
    text = value.hex()
    print("static const char GOLDEN_%s[] =" % name)
    lines = [text[i:i + 90] for i in range(0, len(text), 90)]
    print("\n".join('    "%s"' % line for line in lines) + ";")
print("\n#endif")
