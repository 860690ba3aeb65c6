#!/usr/bin/python3
"""Concurrent clients that write down what they asked and what they heard, one JSON line each.

Each client sends transfers and balance reads to one node and goes to the next when that one is of no
use. Some wait until they know the answer; some give up at once, and their request stays unanswered.
It runs until its standard input ends, then finishes what is under way, and prints its counts.
"""
import argparse
import collections
import dataclasses
import json
import os
import random
import sys
import tempfile
import threading
import time

import harness
from lab_client import ENDS, Access, Line, Refused

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "history"))
from history import Op  # noqa: E402  pylint: disable=wrong-import-position

ACCOUNTS = 3          # of a group
GROUPS = 5            # at a time
GROUP_SECONDS = 10    # then come fresh ones: see tests/history/history.py
CENTS_MAX = 4_000_000  # the limit of an account is 10,000,000: some are rejected
ATTEMPT_S = (0.1, 1.0, 3.0)  # how long an attempt may take, drawn for each operation
PATIENCE_S = 25
HASTY = 0.15          # of the transfers are given up after one attempt
AGAIN = 0.05          # of the answered transfers are sent once more
LOCAL = 0.2           # of the reads


class Clients:
    def __init__(self, access, args):
        self.access, self.args = access, args
        self.out = open(args.out, "w", encoding="utf-8")
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.faults = []
        self.stop = threading.Event()
        self.began = time.monotonic()
        self.longest_gap, self.last_ack = 0.0, time.monotonic()

    def write(self, op):
        with self.lock:
            self.out.write(json.dumps(dataclasses.asdict(op)) + "\n")

    def count(self, what):
        with self.lock:
            self.counts[what] += 1
            if what == "acknowledged":
                now = time.monotonic()
                self.longest_gap = max(self.longest_gap, now - self.last_ack)
                self.last_ack = now

    def fault(self, text):
        with self.lock:
            self.faults.append(text)


class Client:
    def __init__(self, clients, number):
        self.all, self.number = clients, number
        self.draw = random.Random(f"{clients.args.seed}/{number}")
        self.nodes = list(clients.access.nodes)
        self.at = number % len(self.nodes)
        self.line = None
        self.answered = collections.deque(maxlen=20)

    def connected(self):
        if self.line is None:
            self.line = Line(self.all.access, self.nodes[self.at])
        return self.line

    def leave(self):
        if self.line:
            self.line.close()
        self.line = None
        self.at = (self.at + 1) % len(self.nodes)

    def account(self):
        epoch = int((time.monotonic() - self.all.began) / GROUP_SECONDS)
        return f"e{epoch}g{self.draw.randrange(GROUPS)}"

    def attempts(self, what, patience):
        """Calls what(line, timeout) until it answers or the patience is over; else None."""
        timeout = self.draw.choice(ATTEMPT_S)
        until = time.monotonic() + patience
        while True:
            try:
                return what(self.connected(), timeout)
            except Refused as refused:
                self.all.count("not answered: " + (refused.reason or "no reason"))
                if refused.never:
                    raise
                self.leave()
                if time.monotonic() >= until or self.all.stop.is_set() and patience:
                    return None
                timeout = min(3.0, 2 * timeout)
                time.sleep(self.draw.uniform(0.005, 0.1))

    def pay(self):
        group = self.account()
        a, b = self.draw.sample(range(ACCOUNTS), 2)
        cents = self.draw.randrange(1, CENTS_MAX)
        envelope, _, ident = self.all.access.pay(f"{group}.{a}", f"{group}.{b}", cents, self.draw)
        op = Op("pay", group, time.monotonic_ns(), None, a, b, cents, ident=ident)
        patience = 0 if self.draw.random() < HASTY else PATIENCE_S
        try:
            reply = self.attempts(lambda line, t: line.submit(envelope, t), patience)
        except Refused as refused:
            self.all.fault(f"a sound request was refused for ever: {refused}; {op.text()}")
            op.result = "refused"
            reply = None
        op.who = f"c{self.number}@{self.nodes[self.at]}"
        if reply:
            op.end = time.monotonic_ns()
            op.result = ENDS.get(reply.outcomes[0].end, "?")
            op.size = reply.outcomes[0].position + 1
            self.answered.append((envelope, op, reply.height, reply.digest))
            self.all.count("acknowledged")
            self.all.count(op.result)
        else:
            self.all.count("given up")
        self.all.write(op)

    def pay_again(self):
        """The one true answer, for ever."""
        envelope, op, height, digest = self.draw.choice(self.answered)
        try:
            reply = self.attempts(lambda line, t: line.submit(envelope, t), PATIENCE_S)
        except Refused as refused:
            self.all.fault(f"sent again it was refused: {refused}; {op.text()}")
            return
        if reply:
            outcome = reply.outcomes[0]
            # Not so `duplicate`: a node that still replays its log finds the request there anew.
            self.all.count("sent again: duplicate" if reply.duplicate else "sent again: as new")
            if (reply.height != height or reply.digest != digest or
                    outcome.position + 1 != op.size or ENDS.get(outcome.end) != op.result):
                self.all.fault(f"another answer to the same request: height {reply.height}, not "
                               f"{height}, digest {reply.digest.hex()}, not {digest.hex()}, "
                               f"position {outcome.position}; {op.text()}")

    def read(self):
        group, a = self.account(), self.draw.randrange(ACCOUNTS)
        local = self.draw.random() < LOCAL
        op = Op("local" if local else "read", group, time.monotonic_ns(), None, a)

        def ask(line, timeout):
            try:
                return line.balance(f"{group}.{a}", local, timeout)
            except Refused as refused:
                if refused.reason == "NOT_FOUND" and not local:
                    self.all.fault(f"a linearizable read found no contract; {op.text()}")
                raise
        try:
            reply = self.attempts(ask, 5)
        except Refused as refused:
            self.all.fault(f"a read was refused for ever: {refused}; {op.text()}")
            return
        if reply:
            op.end, op.cents, op.size = time.monotonic_ns(), reply.quanta, reply.at.size
            op.who = f"c{self.number}@{self.nodes[self.at]}"
            self.all.count(op.kind)
            self.all.write(op)

    def run(self):
        try:
            pause = self.all.args.clients / self.all.args.rate
            while not self.all.stop.is_set():
                began = time.monotonic()
                if self.answered and self.draw.random() < AGAIN:
                    self.pay_again()
                elif self.draw.random() < 0.5:
                    self.pay()
                else:
                    self.read()
                time.sleep(max(0.0, began + pause * self.draw.uniform(0.5, 1.5) - time.monotonic()))
        except Exception as error:  # pylint: disable=broad-except
            self.all.fault(f"client {self.number} broke: {error!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", required=True, help="the lab's directory")
    parser.add_argument("--out", required=True, help="the history, made anew")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rate", type=float, default=200, help="operations a second, all together")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        clients = Clients(Access(args.lab, scratch), args)
        threads = [threading.Thread(target=Client(clients, i).run) for i in range(args.clients)]
        for thread in threads:
            thread.start()
        print("started", flush=True)
        sys.stdin.read()
        clients.stop.set()
        for thread in threads:
            thread.join()
        clients.out.close()
        print(json.dumps({"counts": clients.counts, "faults": clients.faults[:20],
                          "longest_gap_s": round(clients.longest_gap, 2)}), flush=True)
        os._exit(0)  # grpcio may hang at the end of a process whose peers are gone


if __name__ == "__main__":
    main()
