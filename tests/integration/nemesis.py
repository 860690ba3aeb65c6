"""Faults of real nodes on a schedule that a seed makes: the same seed, the same faults at the same
times. Whom "the leader" means is looked up when the time comes."""
import collections
import os
import random
import signal
import time
from dataclasses import dataclass

import isolate
from lab_client import leader_of

DISK_MB = 1536         # of each node: two log segments, state, and room above the alarm
DISK_LEFT = 0          # the log's segment has its room already; the state gets none
DIED_OF_DISK_S = 20    # so long after a full disk a node may still die of it

# kind -> (weight, least and most seconds, what it needs)
KINDS = {
    "kill": (6, 0.2, 5, None),         # -9, and started again
    "kill_all": (1, 0.2, 2, None),
    "stop": (2, 0.1, 3, None),         # SIGTERM
    "pause": (5, 0.3, 6, None),        # SIGSTOP, SIGCONT
    "isolate": (4, 1, 8, "net"),       # a node and the other nodes hear nothing of each other
    "mute": (3, 1, 8, "net"),          # one way: the others do not hear it
    "deaf": (3, 1, 8, "net"),          # one way: it does not hear the others
    "split": (2, 1, 8, "net"),         # two halves
    "bridge": (1, 1, 8, "net"),        # two nodes do not hear each other, the third hears both
    "no_clients": (2, 1, 6, "net"),    # clients do not reach a node, nodes do
    "slow": (3, 2, 8, "net"),          # all links: delay, reordering, loss
    "full_disk": (2, 3, 8, "disk"),    # of half of them the node is killed and started as well
}


@dataclass
class Fault:
    at: float
    until: float
    kind: str
    target: str  # a node, or "leader"
    draw: int

    def text(self):
        return f"{self.at:7.2f} s to {self.until:7.2f} s  {self.kind} {self.target}"


def schedule(seed, seconds, nodes, features):
    """Faults between 2 s after the begin and 5 s before the end; at times two at once."""
    draw = random.Random(f"schedule/{seed}")
    kinds = [k for k, (_, _, _, needs) in KINDS.items() if needs is None or needs in features]
    weights = [KINDS[k][0] for k in kinds]
    faults, at = [], 2.0
    while at < seconds - 6:
        kind = draw.choices(kinds, weights)[0]
        _, least, most, _ = KINDS[kind]
        until = min(at + draw.uniform(least, most), seconds - 3)
        target = draw.choice(["leader", *nodes])
        faults.append(Fault(at, until, kind, target, draw.randrange(1 << 30)))
        both = draw.random() < 0.25
        at = (at if both else until) + draw.uniform(0.2, 3.0)
    return faults


class Nemesis:
    def __init__(self, bench, access, net, disks):
        self.bench, self.access, self.net, self.disks = bench, access, net, disks
        self.nodes = bench.nodes
        self.links = []        # [fault, {(from, to): (loss, delay, jitter)}]
        self.down = set()      # nodes that we keep down
        self.full = {}         # node -> when its disk was last full
        self.counts = collections.Counter()
        self.deaths = []       # nodes that died and should not have

    # ---- links ----

    def set_links(self):
        total = {}
        for _, pairs in self.links:
            for pair, (loss, delay, jitter) in pairs.items():
                old = total.get(pair, (0, 0, 0))
                total[pair] = (max(old[0], loss), old[1] + delay, old[2] + jitter)
        for a in self.net.names:
            for b in self.net.names:
                if a != b:
                    self.net.set(a, b, *total.get((a, b), (0, 0, 0)))

    def pairs_of(self, fault, target):
        draw = random.Random(fault.draw)
        others = [n for n in self.nodes if n != target]
        cut = (1000, 0, 0)
        out, back = {(target, n): cut for n in others}, {(n, target): cut for n in others}
        if fault.kind == "isolate":
            return out | back
        if fault.kind == "mute":
            return out
        if fault.kind == "deaf":
            return back
        if fault.kind == "bridge":
            other = draw.choice(others)
            return {(target, other): cut, (other, target): cut}
        if fault.kind == "no_clients":
            return {(target, "clients"): cut, ("clients", target): cut}
        if fault.kind == "split":
            side = set(draw.sample(self.nodes, len(self.nodes) // 2))
            return {(a, b): cut for a in self.nodes for b in self.nodes
                    if (a in side) != (b in side)}
        loss, delay, jitter = draw.choice([0, 10, 50, 150]), draw.randrange(0, 80), \
            draw.randrange(1, 60)
        return {(a, b): (loss, delay, jitter) for a in self.net.names for b in self.net.names
                if a != b}

    # ---- one fault ----

    def resolve(self, target):
        if target != "leader":
            return target
        try:
            return leader_of(self.access, 0.2)
        except AssertionError:
            return self.nodes[0]

    def send_signal(self, node, number):
        pid = self.bench.lab.pid(node)
        if pid:
            os.kill(pid, number)
        return bool(pid)

    def kill(self, node, number=signal.SIGKILL):
        self.down.add(node)
        if not self.bench.lab.pid(node):
            return
        if number == signal.SIGTERM:
            self.send_signal(node, signal.SIGCONT)
        self.bench.kill(node, number)

    def start(self, node):
        self.down.discard(node)
        if not self.bench.lab.pid(node):
            self.bench.start(node)

    def begin(self, fault):
        """Returns what ends it."""
        self.counts[fault.kind] += 1
        target = self.resolve(fault.target)
        print(f"    {fault.text()}{' = ' + target if fault.target == 'leader' else ''}", flush=True)
        if fault.kind in ("kill", "stop"):
            self.kill(target, signal.SIGKILL if fault.kind == "kill" else signal.SIGTERM)
            return lambda: self.start(target)
        if fault.kind == "kill_all":
            for node in self.nodes:
                self.kill(node)
            return lambda: [self.start(node) for node in self.nodes]
        if fault.kind == "pause":
            self.send_signal(target, signal.SIGSTOP)
            return lambda: self.send_signal(target, signal.SIGCONT)
        if fault.kind == "full_disk":
            self.full[target] = time.monotonic() + 3600
            isolate.fill(self.disks[target], DISK_LEFT)
            if fault.draw % 2:  # it has to begin new files now
                self.kill(target)
                self.start(target)
            return lambda: self.end_full(target)
        entry = [fault, self.pairs_of(fault, target)]
        self.links.append(entry)
        self.set_links()
        return lambda: (self.links.remove(entry), self.set_links())

    def end_full(self, node):
        isolate.free(self.disks[node])
        self.full[node] = time.monotonic() + DIED_OF_DISK_S

    def look_after(self):
        """Starts nodes that died of a full disk; notes those that died of anything else."""
        for node in self.nodes:
            if node in self.down or self.bench.lab.pid(node):
                continue
            until = self.full.get(node, 0)
            if time.monotonic() > until:
                self.deaths.append(f"{node} died by itself: {self.last_words(node)}")
            elif until - time.monotonic() > DIED_OF_DISK_S:
                continue  # still full
            self.counts["died of a full disk"] += 1
            self.start(node)

    def last_words(self, node):
        return " / ".join(self.bench.log(node).splitlines()[-3:])

    def run(self, faults):
        events = sorted([(f.at, 1, i) for i, f in enumerate(faults)] +
                        [(f.until, 0, i) for i, f in enumerate(faults)])
        ends, began = {}, time.monotonic()
        for at, is_begin, i in events:
            while (left := began + at - time.monotonic()) > 0:
                time.sleep(min(left, 0.2))
                self.look_after()
            if is_begin:
                ends[i] = self.begin(faults[i])
            else:
                ends.pop(i)()
        self.heal()

    def heal(self):
        if self.net:
            self.links.clear()
            self.net.heal()
        for node in self.nodes:
            self.send_signal(node, signal.SIGCONT)
            if self.disks:
                isolate.free(self.disks[node])
            self.start(node)
        time.sleep(1)
        self.look_after()
