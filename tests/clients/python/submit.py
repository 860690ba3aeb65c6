#!/usr/bin/python3
"""Submits one signed event with grpcio and reads it back; see ../README.md."""
import argparse
import datetime
import hashlib
import json
import os
import secrets
import struct
import subprocess
import sys
import tempfile

import grpc
from cryptography.hazmat.primitives import serialization

PROTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../proto")
FILES = ["concordat/v1/ledger.proto", "concordat/v1/operator.proto", "concordat/v1/rules.proto",
         "concordat/v1/query.proto", "grpc/health/v1/health.proto"]


def load_messages(folder):
    """Generates the message modules from the .proto files. The health module would be called grpc.*,
    as the grpcio package is: it is imported from a folder of its own."""
    subprocess.run(["protoc", "-I" + PROTO, "--python_out=" + folder] + FILES[:-1], check=True)
    subprocess.run(["protoc", "-I" + os.path.join(PROTO, "grpc/health/v1"),
                    "--python_out=" + folder, "health.proto"], check=True)
    sys.path.insert(0, folder)
    import health_pb2
    from concordat.v1 import ledger_pb2, operator_pb2, rules_pb2
    return ledger_pb2, operator_pb2, rules_pb2, health_pb2


def fill_amount(amount, text):
    number, unit = text.split(" ", 1)
    whole, _, fraction = number.partition(".")
    amount.count = int(whole + fraction)
    amount.decimals = len(fraction)
    amount.unit = unit


def fill_time(time, text):
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    time.seconds = since.days * 86400 + since.seconds
    time.nanos = since.microseconds * 1000


def fill_value(value, given):
    (kind, content), = given.items()
    if kind == "date":
        value.date = (datetime.date.fromisoformat(content) - datetime.date(1970, 1, 1)).days
    elif kind == "octets":
        value.octets = bytes.fromhex(content)
    elif kind == "amount":
        fill_amount(value.amount, content)
    elif kind == "time":
        fill_time(value.time, content)
    elif kind == "list":
        value.list.SetInParent()
        for item in content:
            fill_value(value.list.items.add(), item)
    elif kind == "record":
        value.record.SetInParent()
        fill_fields(value.record.fields, content)
    else:
        setattr(value, kind, content)


def fill_fields(fields, given):
    for name, value in given.items():
        field = fields.add(name=name)
        fill_value(field.value, value)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


class Client:
    def __init__(self, options, modules):
        self.options = options
        self.ledger, self.operator, self.rules, self.health = modules
        roots = b"".join(read(path) for path in options.ca)
        credentials = grpc.ssl_channel_credentials(roots, read(options.key), read(options.cert))
        settings = []
        if options.server_name:
            settings.append(("grpc.ssl_target_name_override", options.server_name))
        self.channel = grpc.secure_channel(options.target, credentials, settings)

    def call(self, path, request, reply_type):
        method = self.channel.unary_unary(path, type(request).SerializeToString,
                                          reply_type.FromString)
        return method(request, timeout=self.options.timeout)

    def check_health(self):
        reply = self.call("/grpc.health.v1.Health/Check", self.health.HealthCheckRequest(),
                          self.health.HealthCheckResponse)
        return self.health.HealthCheckResponse.ServingStatus.Name(reply.status)

    def ledger_id(self):
        if self.options.ledger_id:
            return bytes.fromhex(self.options.ledger_id)
        return self.call("/concordat.v1.Operator/Status", self.operator.StatusRequest(),
                         self.operator.StatusReply).ledger_id

    def body(self, ledger_id):
        o = self.options
        args = self.rules.Args()
        fill_fields(args.args, json.loads(o.args))
        body = self.ledger.Body(
            ledger_id=ledger_id, on_behalf=o.party, salt=secrets.token_bytes(32),
            request_id=bytes.fromhex(o.request_id) if o.request_id else secrets.token_bytes(16))
        body.events.add(contract=o.contract, action=o.action, args=args.SerializeToString())
        return body

    def sign(self, body_bytes):
        key = serialization.load_pem_private_key(read(self.options.party_key), None)
        public = key.public_key().public_bytes(serialization.Encoding.Raw,
                                               serialization.PublicFormat.Raw)
        envelope = self.ledger.Envelope(body=body_bytes)
        envelope.signatures.add(
            key_id=sha256(public),
            signature=key.sign(b"concordat/request/v1\n" + sha256(body_bytes)))
        return envelope.SerializeToString()

    def submit(self, envelope):
        return self.call("/concordat.v1.Ledger/Submit",
                         self.ledger.SubmitRequest(envelope=envelope), self.ledger.SubmitReply)

    def outcome(self, body):
        return self.call("/concordat.v1.Ledger/GetOutcome",
                         self.ledger.GetOutcomeRequest(party=body.on_behalf,
                                                       request_id=body.request_id),
                         self.ledger.SubmitReply)

    def watch(self, position, count):
        """The first `count` records from a position on; the stream is then given up."""
        method = self.channel.unary_stream("/concordat.v1.Ledger/Watch",
                                           self.ledger.WatchRequest.SerializeToString,
                                           self.ledger.WatchReply.FromString)
        found = []
        stream = method(self.ledger.WatchRequest(from_position=position),
                        timeout=self.options.timeout)
        for reply in stream:
            found += reply.entries
            if len(found) >= count:
                stream.cancel()
                break
        return found[:count]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def expect(fact, text):
    if not fact:
        raise AssertionError(text)


def check_records(entries, reply, body, request_hash):
    expect(len(entries) == len(reply.outcomes), "Watch brought too few records")
    for index, (entry, outcome) in enumerate(zip(entries, reply.outcomes)):
        expect(entry.position == outcome.position, "position of a watched record")
        expect(entry.request_hash == request_hash, "request_hash of a watched record")
        expect(entry.event_index == index and entry.end == outcome.end, "a watched record differs")
        blind = sha256(body.salt, struct.pack(">I", index))
        expect(sha256(blind, entry.outcome) in entry.record, "the record does not hold its outcome")
        expect(sha256(blind, entry.effects) in entry.record, "the record does not hold its effects")


def run(client):
    health = client.check_health()
    body = client.body(client.ledger_id())
    body_bytes = body.SerializeToString()
    envelope = client.sign(body_bytes)
    request_hash = sha256(b"concordat/body/v1\n", body_bytes)
    first = client.submit(envelope)
    again = client.submit(envelope)
    asked = client.outcome(body)
    expect(first.request_hash == request_hash, "the reply speaks of another request")
    expect(len(first.outcomes) == 1, "one event, one outcome")
    for other in (again, asked):
        expect(other.outcomes == first.outcomes, "the same request got another outcome")
        expect(other.digest == first.digest and other.height == first.height,
               "the same request got another digest or height")
    expect(again.duplicate, "a repeated request is not marked as a duplicate")
    entries = client.watch(first.outcomes[0].position, len(first.outcomes))
    check_records(entries, first, body, request_hash)
    outcome = first.outcomes[0]
    return {
        "client": "grpcio " + grpc.__version__,
        "health": health,
        "request_id": body.request_id.hex(),
        "height": first.height,
        "position": outcome.position,
        "end": client.ledger.End.Name(outcome.end)[len("END_"):],
        "clause": outcome.clause,
        "text": outcome.text,
        "digest": first.digest.hex(),
        "outcome": json.loads(entries[0].outcome),
    }


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("target", "cert", "key", "party", "party-key", "contract", "action", "args"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--ca", action="append", required=True)
    for name in ("server-name", "ledger-id", "request-id"):
        parser.add_argument("--" + name)
    parser.add_argument("--timeout", type=float, default=20)
    return parser.parse_args()


def main():
    options = parse()
    try:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(run(Client(options, load_messages(folder)))))
    except grpc.RpcError as error:
        trailers = dict(error.trailing_metadata() or ())
        print(json.dumps({"code": error.code().name, "message": error.details(),
                          "reason": trailers.get("concordat-reason"),
                          "retry": trailers.get("concordat-retry")}), file=sys.stderr)
        return 2
    except AssertionError as error:
        print(json.dumps({"difference": str(error)}), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
