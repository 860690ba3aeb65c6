#!/usr/bin/python3
"""Decisions tried before they are made and told afterwards: Contracts.Simulate and Explain, through
the command and through grpcio, at every node, after restarts, and for whom they are not."""
import argparse
import importlib.util
import json
import os
import subprocess
import sys

import harness
from harness import check

CONTRACT = "solar.roquefort"
OWN = "ville"  # node of the institution whose client the profile holds


def load_client():
    path = os.path.join(harness.ROOT, "tests", "clients", "python", "submit.py")
    spec = importlib.util.spec_from_file_location("submit", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def admit(bench, meter, command="submit", code=0, extra=()):
    return bench.json(command, CONTRACT, "admit", "--as", "pmo.roquefort", "--arg",
                      f"meter={meter}", *extra, code=code)


def by_command(bench):
    tried = admit(bench, "t01", "simulate")
    check(tried["accepted"] and tried["events"][0]["end"] == "accepted"
          and tried["events"][0]["effects"], f"a dry run says what would change: "
                                             f"{tried['events'][0]['effects'][0][:3]}")
    check(not bench.lines("rows", CONTRACT, "member[t01]"), "nothing was recorded")
    done = admit(bench, "t01")
    position = done["outcomes"][0]["position"]
    check(tried["events"][0]["position"] == position,
          f"and it then happens at the position that was told, {position}")
    check(len(bench.lines("rows", CONTRACT, "member[t01]")) == 1, "now it is recorded")
    told = bench.json("explain", str(position), "--lang", "nl")
    check(told["effects"] == tried["events"][0]["effects"]
          and told["trace"] == tried["events"][0]["trace"] and told["recomputed"],
          "explain evaluates it again: the same effects, the same trace")
    same = bench.json("explain", done["party"], done["request_id"], "--lang", "nl")
    check(same["words"] == told["words"] and same["position"] == position,
          "by request id the same words")
    return position, told


def refusals(bench):
    tried = bench.json("simulate", CONTRACT, "admit", "--as", "enedis", "--arg", "meter=t02", code=1)
    event = tried["events"][0]
    check(not tried["accepted"] and event["end"] == "rejected" and event["clause"] == "0.2",
          f"a dry run by the wrong party says why not: {event.get('why')}")
    done = bench.json("submit", CONTRACT, "admit", "--as", "enedis", "--arg", "meter=t02", code=1)
    position = done["outcomes"][0]["position"]
    told = bench.json("explain", str(position), "--lang", "fr", "--node", OWN)
    check(not told["recomputed"] and told["clause"] == "0.2" and told["words"],
          "a refusal is told from its kept trace")
    words = bench.run("explain", str(position), "--lang", "fr", "--node", OWN).stdout
    check("refus" in words.lower(), "in French: " + words.splitlines()[0])
    unknown = bench.run("explain", "999999", code=1)
    check("there is no record 999999" in unknown.stderr, "a record that is not there is named")
    govern = bench.run("explain", "0", code=1)
    check("action of the institutions" in govern.stderr, "governance has no trace")
    bad = bench.run("explain", "x1", code=2)
    check("a position" in bad.stderr, "a position that is none is wrong use")
    return position


def request_files(bench):
    """A file that goes around: unsigned, then signed; never submitted."""
    path = os.path.join(bench.folder, "later.jsonl")
    with open(path, "w", encoding="utf-8") as f:
        for meter in ("m1", "m2", "m1"):
            f.write(json.dumps({"action": "admit", "args": {"meter": meter}}) + "\n")
    tried = bench.json("simulate", CONTRACT, "--events", path, "--as", "pmo.roquefort",
                       code=(0, 1))
    check(len(tried["events"]) == 3, f"three events of a file: "
                                     f"{[e['end'] for e in tried['events']]}")
    late = bench.run("simulate", CONTRACT, "--events", path, "--as", "pmo.roquefort", "--time",
                     "2020-01-01T00:00:00Z", code=2)
    check("before the ledger's last block" in late.stderr, "the past has no dry run")


class Caller:
    def __init__(self, bench, submit, modules, node, cert):
        lab = bench.lab
        with open(lab.profile, encoding="utf-8") as f:
            profile = json.load(f)
        address = {n["name"]: n["address"] for n in profile["nodes"]}[node]
        options = argparse.Namespace(
            target=address, server_name=None, ca=[lab.path(node, "keys", "ca.crt")],
            cert=lab.path(cert, "client", "client.crt"), key=lab.path(cert, "client", "client.key"),
            party="pmo.roquefort", party_key=lab.path("parties", "pmo.roquefort.key"),
            ledger_id=profile["ledger_id"], request_id=None, contract=CONTRACT, action="admit",
            args='{"meter": {"text": "g01"}}', timeout=20)
        self.client = submit.Client(options, modules)
        self.ledger_id = bytes.fromhex(profile["ledger_id"])


def stock_clients(bench, position, told):
    """The same through grpcio and the .proto files alone, at each node, for each institution."""
    try:
        import grpc
        submit = load_client()
    except ImportError as missing:
        print(f"SKIP the grpcio part: {missing}")
        return
    modules = submit.load_messages(bench.folder)
    subprocess.run(["protoc", "-I" + submit.PROTO, "--python_out=" + bench.folder,
                    "concordat/v1/contracts.proto"], check=True)
    sys.path.insert(0, bench.folder)
    from concordat.v1 import contracts_pb2 as contracts
    institutions = {}
    for node in bench.nodes:
        caller = Caller(bench, submit, modules, node, node)
        body = caller.client.body(caller.ledger_id)
        wire = body.SerializeToString()
        unsigned = caller.client.call("/concordat.v1.Contracts/Simulate",
                                      contracts.SimulateRequest(body=wire, language="nl"),
                                      contracts.SimulateReply)
        signed = caller.client.call("/concordat.v1.Contracts/Simulate",
                                    contracts.SimulateRequest(envelope=caller.client.sign(wire)),
                                    contracts.SimulateReply)
        check(unsigned.accepted and signed.accepted
              and unsigned.events[0].effects == signed.events[0].effects
              and unsigned.events[0].words and not signed.events[0].words,
              f"{node}: a body and a signed envelope give the same")
        reply = caller.client.call("/concordat.v1.Contracts/Explain",
                                   contracts.ExplainRequest(position=position),
                                   contracts.ExplainReply)
        check(json.loads(reply.trace) == told["trace"] and reply.recomputed,
              f"{node}: its own institution is told")
        institutions[node] = caller
    denied = 0
    for node in bench.nodes:
        for other in bench.nodes:
            caller = Caller(bench, submit, modules, node, other)
            try:
                caller.client.call("/concordat.v1.Contracts/Explain",
                                   contracts.ExplainRequest(position=position),
                                   contracts.ExplainReply)
            except grpc.RpcError as error:
                check(error.code() == grpc.StatusCode.PERMISSION_DENIED
                      and dict(error.trailing_metadata())["concordat-reason"] == "DENIED",
                      f"{other} at {node}: denied, it is neither its node nor its party")
                denied += 1
    check(denied == 4, "two institutions of three are strangers to the request at two nodes each")
    bad(institutions[bench.nodes[0]].client, contracts, grpc)


def bad(client, contracts, grpc):
    for request, reply, reason in (
            (contracts.SimulateRequest(), contracts.SimulateReply, "BAD_REQUEST"),
            (contracts.SimulateRequest(body=b"x", envelope=b"y"), contracts.SimulateReply,
             "BAD_REQUEST"),
            (contracts.SimulateRequest(body=b"junk"), contracts.SimulateReply, "MALFORMED"),
            (contracts.SimulateRequest(body=b"junk", language="xx"), contracts.SimulateReply,
             "BAD_REQUEST"),
            (contracts.ExplainRequest(), contracts.ExplainReply, "BAD_REQUEST"),
            (contracts.ExplainRequest(party="pmo.roquefort", request_id=bytes(16)),
             contracts.ExplainReply, "NOT_FOUND")):
        path = "Simulate" if isinstance(request, contracts.SimulateRequest) else "Explain"
        try:
            client.call("/concordat.v1.Contracts/" + path, request, reply)
            raise AssertionError(f"{request} was answered")
        except grpc.RpcError as error:
            got = dict(error.trailing_metadata()).get("concordat-reason")
            check(got == reason, f"{path}: {reason}: {error.details()}")


def main(bench, _args):
    bench.up(3)
    bench.run("contract", "deploy", harness.contract_for(bench.folder))
    bench.leader()
    position, told = by_command(bench)
    refused = refusals(bench)
    request_files(bench)
    stock_clients(bench, position, told)
    for node in bench.nodes:
        bench.kill(node)
    for node in bench.nodes:
        bench.start(node)
    bench.wait_well()
    for node in bench.nodes:
        again = bench.json("explain", str(position), "--lang", "nl", "--node", node)
        check(again["words"] == told["words"] and again["recomputed"],
              f"{node}: after kill -9 of all nodes the same words")
    check(bench.json("explain", str(refused), "--node", OWN)["clause"] == "0.2",
          "and the refusal")


if __name__ == "__main__":
    harness.main(main)
