#!/usr/bin/python3
"""Every bad input gets one clear error, nothing is half done, and the node goes on."""
import argparse
import glob
import importlib.util
import os
import secrets
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import time

import harness
from harness import check

CONTRACT = "solar.roquefort"


def load_client():
    """The stock client of tests/clients, as a module."""
    path = os.path.join(harness.ROOT, "tests", "clients", "python", "submit.py")
    spec = importlib.util.spec_from_file_location("submit", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


try:
    import grpc
    submit = load_client()
except ImportError as missing:
    grpc = None
    MISSING = str(missing)


class Caller:
    """Calls a node with grpcio, well or badly."""

    def __init__(self, bench, node, folder, cert="ville/client/client"):
        self.bench, self.node = bench, node
        lab = bench.lab
        with open(lab.profile, encoding="utf-8") as f:
            profile = harness.json.load(f)
        self.address = {n["name"]: n["address"] for n in profile["nodes"]}[node]
        self.options = argparse.Namespace(
            target=self.address, server_name=None, ca=[lab.path(node, "keys", "ca.crt")],
            cert=lab.path(cert + ".crt"), key=lab.path(cert + ".key"), party="pmo.roquefort",
            party_key=lab.path("parties", "pmo.roquefort.key"), ledger_id=profile["ledger_id"],
            request_id=None, contract=CONTRACT, action="admit",
            args='{"meter": {"text": "c01"}}', timeout=20)
        self.modules = submit.load_messages(folder) if not hasattr(Caller, "cache") else Caller.cache
        Caller.cache = self.modules
        self.client = submit.Client(self.options, self.modules)
        self.ledger = self.modules[0]

    def raw(self, path, message, metadata=()):
        """A unary call with these bytes; (code, reason, text)."""
        method = self.client.channel.unary_unary(path)
        try:
            method(message, timeout=20, metadata=metadata)
            return "OK", None, ""
        except grpc.RpcError as error:
            trailers = dict(error.trailing_metadata() or ())
            return error.code().name, trailers.get("concordat-reason"), error.details()

    def submit_raw(self, envelope):
        return self.raw("/concordat.v1.Ledger/Submit",
                        self.ledger.SubmitRequest(envelope=envelope).SerializeToString())

    def body(self, change=None, **options):
        for name, value in options.items():
            setattr(self.options, name, value)
        body = self.client.body(bytes.fromhex(self.options.ledger_id))
        if change:
            change(body)
        return body

    def envelope(self, body):
        return self.client.sign(body.SerializeToString())

    def outcome(self, **options):
        """The one outcome of an event that enters the ledger."""
        saved = vars(self.options).copy()
        reply = self.client.submit(self.envelope(self.body(**options)))
        vars(self.options).update(saved)
        return reply.outcomes[0]


def expect(got, code, reason, words, what):
    good = got[0] == code and (reason is None or got[1] == reason) and words in (got[2] or "")
    check(good, f"{what}: {got[0]} {got[1]} '{(got[2] or '')[:90]}'" if good
          else f"{what}: expected {code} {reason} '{words}', got {got}")


def messages(c):
    ledger = c.ledger
    expect(c.raw("/concordat.v1.Ledger/Submit", b"\xff\xff\xff"), "INVALID_ARGUMENT", "MALFORMED",
           "SubmitRequest: not", "malformed message")
    expect(c.submit_raw(b"\x0a\x05abc"), "INVALID_ARGUMENT", "MALFORMED", "", "malformed envelope")
    expect(c.submit_raw(b""), "INVALID_ARGUMENT", "MALFORMED", "", "empty envelope")
    expect(c.raw("/concordat.v1.Query/Balance", b"\x0a\xff"), "INVALID_ARGUMENT", "BAD_REQUEST", "",
           "malformed query")
    expect(c.raw("/concordat.v1.Ledger/Nothing", b""), "UNIMPLEMENTED", None, "", "unknown method")
    expect(c.raw("/concordat.v1.Ledger/Submit", b"\x0a" + bytes(5 << 20)), "RESOURCE_EXHAUSTED", None,
           "", "oversized message")
    expect(c.raw("/concordat.v1.Operator/Status", b"", (("x-big", "y" * 20000),)),
           "RESOURCE_EXHAUSTED", None, "", "oversized header")
    many = c.body(lambda b: [b.events.add(contract=CONTRACT, action="admit") for _ in range(4096)])
    expect(c.submit_raw(c.envelope(many)), "INVALID_ARGUMENT", "TOO_LARGE", "events",
           "oversized batch")
    big = c.body(lambda b: setattr(b.events[0], "args", bytes(256 * 1024 + 1)))
    expect(c.submit_raw(c.envelope(big)), "INVALID_ARGUMENT", "TOO_LARGE", "args", "oversized arguments")
    del ledger


def meanings(c):
    for options, words, what in (
            ({"contract": "no.such"}, "'no.such' is not known", "unknown contract"),
            ({"action": "dance"}, "'dance' is not declared", "unknown action"),
            ({"args": '{"meter": {"text": "c01"}, "colour": {"text": "red"}}'},
             "args.colour: not declared", "unknown field"),
            ({"args": '{}'}, "args.meter: missing", "missing field"),
            ({"args": '{"meter": {"int": 5}}'}, "args.meter: party expected", "wrong type"),
            ({"args": '{"meter": {"text": "p01"}, "price": {"amount": "0.13 EUR"}}'},
             "args.price: EUR/kWh expected", "wrong unit")):
        outcome = c.outcome(**options)
        check(outcome.clause == "0.1" and words in outcome.text,
              f"{what}: recorded as rejected by 0.1: {outcome.text}")


def signatures(c):
    good = c.body()
    expect(c.submit_raw(c.ledger.Envelope(body=good.SerializeToString()).SerializeToString()),
           "UNAUTHENTICATED", "UNSIGNED", "signatures", "unsigned")
    envelope = c.ledger.Envelope.FromString(c.envelope(good))
    envelope.signatures[0].signature = bytes(64)
    expect(c.submit_raw(envelope.SerializeToString()), "PERMISSION_DENIED", "BAD_SIGNATURE", "",
           "wrongly signed")
    envelope.signatures[0].key_id = secrets.token_bytes(32)
    expect(c.submit_raw(envelope.SerializeToString()), "PERMISSION_DENIED", "UNKNOWN_KEY", "",
           "signed by nobody we know")
    other = c.body(lambda b: setattr(b, "on_behalf", "enedis"))
    expect(c.submit_raw(c.envelope(other)), "PERMISSION_DENIED", "NOT_A_SIGNER", "",
           "on behalf of somebody else")
    foreign = c.body(lambda b: setattr(b, "ledger_id", bytes(32)))
    expect(c.submit_raw(c.envelope(foreign)), "FAILED_PRECONDITION", "WRONG_LEDGER", "",
           "for another ledger")
    late = c.body(lambda b: setattr(b, "not_after_ns", 1))
    expect(c.submit_raw(c.envelope(late)), "FAILED_PRECONDITION", "EXPIRED", "", "expired")


def repeats(c):
    body = c.body()
    envelope = c.envelope(body)
    first = c.client.submit(envelope)
    again = c.client.submit(envelope)
    check(again.duplicate and again.outcomes == first.outcomes, "replayed: the first answer again")
    changed = c.body(lambda b: setattr(b, "request_id", body.request_id))
    expect(c.submit_raw(c.envelope(changed)), "ALREADY_EXISTS", "REQUEST_ID_REUSED", "",
           "reused request id")


def certificates(bench, c, folder):
    def refused(options, what):
        channel = submit.Client(options, c.modules)
        try:
            channel.call("/concordat.v1.Operator/Status", channel.operator.StatusRequest(),
                         channel.operator.StatusReply)
        except grpc.RpcError as error:
            trailers = dict(error.trailing_metadata() or ())
            check(error.code().name in ("UNAVAILABLE", "PERMISSION_DENIED", "UNAUTHENTICATED"),
                  f"{what}: {error.code().name} {trailers.get('concordat-reason', '')}")
            return
        raise AssertionError(f"{what}: was served")

    def options(**changes):
        return argparse.Namespace(**{**vars(c.options), **changes, "timeout": 5})

    root = open(c.options.ca[0], "rb").read()
    channel = grpc.secure_channel(c.address, grpc.ssl_channel_credentials(root))
    try:
        channel.unary_unary("/concordat.v1.Operator/Status")(b"", timeout=5)
        raise AssertionError("a client without certificate was served")
    except grpc.RpcError as error:
        check(error.code().name == "UNAVAILABLE", "client without certificate: not connected")
    foreign = os.path.join(folder, "foreign")
    bench.run("keygen", "institution", "ville", "--origin", harness.lab_module.ORIGIN, "--dir",
              foreign)
    bench.run("keygen", "client", "lab", "--institution-dir", foreign, "--dir", foreign)
    refused(options(cert=os.path.join(foreign, "client.crt"), key=os.path.join(foreign, "client.key")),
            "client from a foreign CA of the same name")
    node = bench.lab.path("ville", "node", "node")
    refused(options(cert=node + ".crt", key=node + ".key"), "client with a node's certificate")
    other = os.path.join(folder, "other")
    bench.run("keygen", "institution", "ville", "--origin", "concordat.example/else", "--dir", other)
    shutil.copy(bench.lab.path("ville", "keys", "ca.crt"), other)
    os.unlink(os.path.join(other, "ca.key"))
    shutil.copy(bench.lab.path("ville", "keys", "ca.key"), other)
    bench.run("keygen", "client", "lab", "--institution-dir", other, "--dir", other)
    refused(options(cert=os.path.join(other, "client.crt"), key=os.path.join(other, "client.key")),
            "client of another ledger")


def peers(bench, folder):
    """Somebody who is no node of this ledger on the port for nodes."""
    with open(bench.lab.path("genesis.json"), encoding="utf-8") as f:
        spec = harness.json.load(f)
    host, _, port = spec["nodes"][0]["peer"].partition(":")
    stranger = os.path.join(folder, "stranger")
    bench.run("keygen", "node", "unknown", "--institution-dir", bench.lab.path("ville", "keys"),
              "--dir", stranger)
    for cert, what in ((os.path.join(stranger, "node"), "a node that is not in the ledger"),
                       (bench.lab.path("ville", "client", "client"), "a client on the nodes' port")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(bench.lab.path("ville", "keys", "ca.crt"))
        context.load_cert_chain(cert + ".crt", cert + ".key")
        closed = False
        try:
            with socket.create_connection((host, int(port)), 5) as plain:
                with context.wrap_socket(plain) as tls:
                    tls.settimeout(10)
                    closed = tls.recv(4096) == b"" or closed
        except (ssl.SSLError, ConnectionError):
            closed = True
        check(closed, f"{what}: cut off")
    with socket.create_connection((host, int(port)), 5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
        plain.settimeout(10)
        try:
            while plain.recv(4096):
                pass
        except ConnectionError:
            pass
        check(True, "no TLS on the nodes' port: cut off")


def files(bench, folder):
    csv = os.path.join(folder, "bad.csv")
    height = bench.status()[1]["height"]
    for text, where, words in (
            ("ts,c01,p01\n1664834400,1,2\n1664835300,x,2\n", ":3:", "x"),
            ("ts,c01,p01\n1664834400,1,2\n1664835300,1.2345,2\n", ":3:", "1.2345"),
            ("ts,c01,p01\n1664834400,1,2\n1664834400,1,2\n", ":3:", ""),
            ("ts,c01,p01\n1664834400,1,2\n1664835300,-1,2\n", ":3:", "-1"),
            ("ts,c01,p01\n1664834400,1\n", ":2:", ""),
            ("c01,p01\n1,2\n", ":1:", "ts")):
        with open(csv, "w", encoding="utf-8") as f:
            f.write(text)
        done = bench.run("import", "readings", csv, "--contract", CONTRACT, "--as", "enedis", code=2)
        check(where in done.stderr and words in done.stderr, f"CSV: {done.stderr.strip()[-120:]}")
    check(bench.status()[1]["height"] == height, "nothing of these files was imported")
    yaml = bench.lab.path("ville", "bad.yaml")
    with open(bench.lab.path("ville", "node.yaml"), encoding="utf-8") as f:
        text = f.read()
    with open(yaml, "w", encoding="utf-8") as f:
        f.write(text + "colour: red\n")
    done = subprocess.run([bench.lab.facts["concordatd"], "--config", yaml], capture_output=True,
                          text=True, timeout=30)
    line = text.count("\n") + 1
    check(done.returncode == 1 and f"{yaml}:{line}: unknown key 'colour'" in done.stderr,
          "configuration with an unknown key: file and line")


def last_segment(bench, name):
    return sorted(glob.glob(bench.lab.path(name, "data", "log", "*")), key=os.path.getsize)[-1]


def used_bytes(path):
    with open(path, "rb") as f:
        content = f.read()
    return len(content.rstrip(b"\0"))


def restart_fails(bench, name, what):
    bench.start(name)
    deadline = time.time() + 20
    while bench.lab.pid(name) and time.time() < deadline:
        time.sleep(0.1)
    check(not bench.lab.pid(name), f"{what}: the node does not start")
    return harness.lab_module.last_words(bench.lab, name, 3)


def damaged_log(bench):
    """Damage in what was synced is refused with file and offset; a torn last write is cut."""
    name = [n for n in bench.nodes if n != bench.leader()][0]
    bench.kill(name)
    path = last_segment(bench, name)
    shutil.copy(path, path + ".saved")
    size = used_bytes(path)
    with open(path, "r+b") as f:
        f.seek(size // 2)
        byte = f.read(1)
        f.seek(size // 2)
        f.write(bytes([byte[0] ^ 0x40]))
    words = restart_fails(bench, name, "a flipped bit in the middle of the log")
    check(os.path.basename(path) in words and "offset" in words,
          f"it names file and offset: {words.strip()[-160:]}")
    os.replace(path + ".saved", path)
    with open(path, "r+b") as f:
        f.seek(used_bytes(path) + 3)
        f.write(struct.pack(">I", 70) + os.urandom(40))  # a write that was under way
    bench.start(name)
    bench.wait_well()
    height, _ = bench.wait_level()
    check(height > 0, f"a torn last write: the node comes back and is level at {height}")


def garbled(bench):
    """A node of this ledger that sends what no sound node sends: cut off each time, then named."""
    with open(bench.lab.path("genesis.json"), encoding="utf-8") as f:
        spec = harness.json.load(f)
    with open(bench.lab.profile, encoding="utf-8") as f:
        ledger_id = bytes.fromhex(harness.json.load(f)["ledger_id"])
    host, _, port = spec["nodes"][0]["peer"].partition(":")
    sender = spec["nodes"][1]["name"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(bench.lab.path("ville", "keys", "ca.crt"))
    own = bench.lab.path(sender, "node", "node")
    context.load_cert_chain(own + ".crt", own + ".key")
    context.set_alpn_protocols(["concordat-peer/1"])
    hello = struct.pack(">H32sQQ", 1, ledger_id, 2, 1)
    with open(bench.lab.path(sender, "data", "identity"), "rb") as f:
        disk = f.read()[9:25]  # a node that does not show its disk is not listened to
    for _ in range(3):
        with socket.create_connection((host, int(port)), 5) as plain:
            with context.wrap_socket(plain) as tls:
                tls.settimeout(10)
                tls.sendall(struct.pack(">IB", len(hello), 240) + hello)
                welcome = tls.recv(4096)
                check(welcome[4:5] == bytes([241]), f"{sender} is welcome")
                tls.sendall(struct.pack(">IBB", 17, 16, 1) + disk)
                tls.sendall(struct.pack(">IB", 6, 1) + b"\x01\x01nono")
                try:
                    closed = tls.recv(4096) == b""
                except (ssl.SSLError, ConnectionError):
                    closed = True
                check(closed, f"{sender} sends a malformed frame: cut off")
    facts = bench.wait_alarm("ville", "frames-malformed")
    text = [a["text"] for a in facts["alarms"] if a["code"] == "frames-malformed"][0]
    check("3 malformed frames" in text, f"and named: {text}")


def main(bench, _args):
    """Every line of bad input, on three real nodes."""
    if grpc is None:
        raise harness.Skip(f"python3-grpcio is not installed ({MISSING})")
    bench.up(3)
    bench.run("contract", "deploy", harness.contract_for(bench.folder))
    with tempfile.TemporaryDirectory() as folder:
        for node in (bench.leader(), [n for n in bench.nodes if n != bench.leader()][0]):
            c = Caller(bench, node, folder)
            messages(c)
            meanings(c)
            signatures(c)
            repeats(c)
        certificates(bench, c, folder)
        peers(bench, folder)
        files(bench, folder)
        check(bench.status()[0] == 0, "after all of this the ledger is well")
        check(c.outcome().clause == "", "and takes a good request")
    damaged_log(bench)
    garbled(bench)


if __name__ == "__main__":
    harness.main(main)
