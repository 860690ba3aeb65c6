"""A gRPC client of the lab's nodes (grpcio, from the .proto alone), for tests that count answers."""
import hashlib
import json
import os
import sys
import time

import harness

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it would tell of every node that we kill

try:
    import grpc
    from cryptography.hazmat.primitives import serialization
except ImportError as error:
    raise SystemExit(f"SKIP: {error}; deploy/setup installs it") from error

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "clients", "python"))
import submit as stock  # noqa: E402  pylint: disable=wrong-import-position

CONTRACT, PARTY = "transfer.roquefort", "pmo.roquefort"
CHANNEL = [("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 20),
           ("grpc.min_reconnect_backoff_ms", 500), ("grpc.max_reconnect_backoff_ms", 100)]
ENDS = {1: "accepted", 2: "rejected", 3: "fault"}


class Access:
    """The lab's profile: addresses, the client certificate, the key that signs transfers."""

    def __init__(self, lab_folder, scratch):
        def path(name):
            return os.path.join(lab_folder, name)
        with open(path("profile.json"), encoding="utf-8") as f:
            profile = json.load(f)
        self.ledger, self.operator, self.rules, _ = stock.load_messages(scratch)
        from concordat.v1 import query_pb2  # generated just now
        self.query = query_pb2
        self.nodes = {n["name"]: n["address"] for n in profile["nodes"]}
        self.ledger_id = bytes.fromhex(profile["ledger_id"])
        self.credentials = grpc.ssl_channel_credentials(
            b"".join(stock.read(path(p)) for p in profile["ca"]), stock.read(path(profile["key"])),
            stock.read(path(profile["cert"])))
        self.key = serialization.load_pem_private_key(
            stock.read(path(profile["parties"][PARTY])), None)
        public = self.key.public_key().public_bytes(serialization.Encoding.Raw,
                                                    serialization.PublicFormat.Raw)
        self.key_id = hashlib.sha256(public).digest()

    def pay(self, debtor, creditor, cents, draw):
        """A signed transfer: (encoded envelope, request id, request hash)."""
        args = self.rules.Args()
        stock.fill_fields(args.args, {"debtor": {"text": debtor}, "creditor": {"text": creditor},
                                      "amount": {"amount": f"{cents // 100}.{cents % 100:02} EUR"}})
        body = self.ledger.Body(ledger_id=self.ledger_id, on_behalf=PARTY, salt=draw.randbytes(32),
                                request_id=draw.randbytes(16))
        body.events.add(contract=CONTRACT, action="pay", args=args.SerializeToString())
        wire = body.SerializeToString()
        envelope = self.ledger.Envelope(body=wire)
        envelope.signatures.add(key_id=self.key_id, signature=self.key.sign(
            b"concordat/request/v1\n" + hashlib.sha256(wire).digest()))
        request_hash = hashlib.sha256(b"concordat/body/v1\n" + wire).hexdigest()
        return envelope.SerializeToString(), body.request_id, request_hash


class Refused(Exception):
    """An answer other than OK. reason "": nobody said so in the ledger's name."""

    def __init__(self, error):
        trailers = dict(error.trailing_metadata() or ())
        self.reason = trailers.get("concordat-reason", "")
        self.never = trailers.get("concordat-retry") == "never"
        super().__init__(f"{error.code().name} {self.reason}: {error.details()}")


class Line:
    """One connection to one node."""

    def __init__(self, access, node):
        self.access, self.node = access, node
        self.channel = grpc.secure_channel(access.nodes[node], access.credentials, CHANNEL)

    def call(self, path, request, reply_type, timeout):
        method = self.channel.unary_unary(path, type(request).SerializeToString,
                                          reply_type.FromString)
        try:
            return method(request, timeout=timeout)
        except grpc.RpcError as error:
            raise Refused(error) from None

    def submit(self, envelope, timeout):
        ledger = self.access.ledger
        return self.call("/concordat.v1.Ledger/Submit", ledger.SubmitRequest(envelope=envelope),
                         ledger.SubmitReply, timeout)

    def balance(self, who, local, timeout):
        query = self.access.query
        request = query.BalanceRequest(local=local)
        request.account.contract, request.account.place = CONTRACT, f'wallet["{who}"]'
        return self.call("/concordat.v1.Query/Balance", request, query.BalanceReply, timeout)

    def status(self, timeout):
        operator = self.access.operator
        return self.call("/concordat.v1.Operator/Status", operator.StatusRequest(),
                         operator.StatusReply, timeout)

    def watch(self, position, until_now, timeout):
        """A generator of replies."""
        ledger = self.access.ledger
        method = self.channel.unary_stream("/concordat.v1.Ledger/Watch",
                                           ledger.WatchRequest.SerializeToString,
                                           ledger.WatchReply.FromString)
        request = ledger.WatchRequest(from_position=position, until_now=until_now)
        try:
            yield from method(request, timeout=timeout)
        except grpc.RpcError as error:
            raise Refused(error) from None

    def close(self):
        self.channel.close()


def leader_of(access, seconds=60):
    """The name of the node that calls itself leader in the highest term."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        best = (0, None)
        for node in access.nodes:
            line = Line(access, node)
            try:
                reply = line.status(0.5)
                own = [n for n in reply.nodes if n.self]
                if own and own[0].role == access.operator.NODE_ROLE_LEADER:
                    best = max(best, (reply.term, node))
            except Refused:
                pass
            finally:
                line.close()
        if best[1]:
            return best[1]
        time.sleep(0.05)
    raise AssertionError(f"no leader in {seconds} s")
