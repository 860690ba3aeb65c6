"""Histories of concurrent clients: is there one order of all operations that explains every answer?

An operation is a transfer or a balance read, with the time it began, the time it was answered and
the answer. A history is linearizable (Herlihy and Wing 1990) when its operations can be put into one
order in which each takes effect between its begin and its answer and each answer is what the
contract says there. An operation without an answer may have taken effect at any time after its
begin, or never.

check_groups   knows only what the clients saw. It searches for an order as Wing and Gong (1993) did,
               remembers (operations done, state) so that nothing is tried twice (Lowe 2017), and
               looks at each group of accounts alone.
check_order    knows the ledger's records too. Their positions are the order, so nothing is searched:
               it must agree with real time, with every outcome and with every balance read.

Why groups: linearizability is local; a history is linearizable if it is for each object alone. A
transfer touches two accounts, so an account is no object here. The workload draws both accounts of a
transfer from one small group and never from two; a group, with all its balances as its state, is an
object. The workload leaves a group after some seconds and takes a fresh one, so the operations that
stay unanswered in one group are few: each of them doubles what a search may have to try.
"""
from dataclasses import dataclass

LIMIT = 10_000_000  # cents that an account may owe; contracts/transfer.rules
ACCEPTED, REJECTED, UNKNOWN = "accepted", "rejected", "unknown"
STEPS_MAX = 20_000_000  # of one search: then it gives up, which counts as a failure


@dataclass
class Op:
    """begin and end in ns of one clock; end None: never answered."""
    kind: str            # "pay", or "read": a linearizable balance, or "local": a balance of some past
    group: str
    begin: int
    end: int | None
    a: int               # pay: who pays; read: whose balance. Number of the account in its group
    b: int = 0           # pay: who gets it
    cents: int = 0       # pay: how much; read: the balance that was answered
    result: str = UNKNOWN
    ident: str = ""      # pay: the request hash
    size: int = 0        # records of the ledger that the answer speaks of; pay: its position + 1
    who: str = ""        # which client, at which node

    def text(self):
        what = (f"pay {self.a} to {self.b} {self.cents}: {self.result}" if self.kind == "pay"
                else f"{self.kind} {self.a}: {self.cents}")
        return f"{self.begin}..{self.end} {self.who} {self.group} {what} {self.ident[:12]}"


def groups_of(ops):
    groups = {}
    for op in ops:
        if op.kind != "local":
            groups.setdefault(op.group, []).append(op)
    return groups


def step(state, op):
    """The state after op, or None when op cannot have had its answer in this state."""
    if op.kind == "read":
        return state if state[op.a] == op.cents else None
    if state[op.a] - op.cents < -LIMIT:
        return None if op.result == ACCEPTED else state
    if op.result == REJECTED:
        return None
    after = list(state)
    after[op.a] -= op.cents
    after[op.b] += op.cents
    return tuple(after)


class Search:
    """One group. Answered operations are numbered in order of their begin. `low` is the first that
    is not in the order yet, bit i of `mask` says that low + i is, bit i of `used` that the unanswered
    operation i is."""

    def __init__(self, ops):
        self.ops = sorted((o for o in ops if o.end is not None), key=lambda o: o.begin)
        # One without an answer that is a read, or that changes nothing, explains nothing.
        self.open = sorted((o for o in ops if o.end is None and o.kind == "pay"
                            and o.result != REJECTED), key=lambda o: o.begin)
        self.accounts = 1 + max(max(o.a, o.b) for o in ops) if ops else 0
        self.steps = 0
        self.best = (-1, None, ())

    def next_ones(self, low, mask, used):
        """Numbers of the operations that can be next: all that began before the first answer among
        those that are still to come. Unanswered ones last, and negative: -1 - number."""
        ops, found, first_end, i = self.ops, [], None, low
        while i < len(ops) and (first_end is None or ops[i].begin <= first_end):
            if not mask >> (i - low) & 1:
                found.append(i)
                if first_end is None or ops[i].end < first_end:
                    first_end = ops[i].end
            i += 1
        found = [i for i in found if ops[i].begin <= first_end]
        found.sort(key=lambda i: ops[i].end)
        for i, op in enumerate(self.open):
            if first_end is None or op.begin > first_end:
                break
            if not used >> i & 1:
                found.append(-1 - i)
        return found

    def run(self):
        """True, False, or None when it gave up."""
        state = (0,) * self.accounts
        seen = set()
        low, mask, used = 0, 0, 0
        stack = [(low, mask, used, state, iter(self.next_ones(low, mask, used)))]
        while stack:
            low, mask, used, state, choices = stack[-1]
            if low == len(self.ops):
                return True
            number = next(choices, None)
            if number is None:
                stack.pop()
                continue
            self.steps += 1
            if self.steps > STEPS_MAX:
                return None
            if number >= 0:
                after = step(state, self.ops[number])
                if after is None:
                    continue
                mask |= 1 << (number - low)
                while mask & 1:
                    mask >>= 1
                    low += 1
            else:
                after = step(state, self.open[-1 - number])
                if after == state:
                    continue
                used |= 1 << (-1 - number)
            key = (low, mask, used, after)
            if key in seen:
                continue
            seen.add(key)
            if low > self.best[0]:
                self.best = (low, after, mask)
            stack.append((low, mask, used, after, iter(self.next_ones(low, mask, used))))
        return False

    def explain(self):
        """Around the place that no order got past."""
        low, state, mask = self.best
        low = max(low, 0)
        lines = [f"    balances {list(state or ())} after {low} operations; none of these can be next:"]
        for i in self.next_ones(low, mask or 0, 0):
            op = self.ops[i] if i >= 0 else self.open[-1 - i]
            lines.append("    " + op.text())
        return "\n".join(lines)


def check_groups(ops):
    """[] when the history is linearizable, else a text for each group that is not."""
    faults = []
    for name, members in sorted(groups_of(ops).items()):
        search = Search(members)
        verdict = search.run()
        if verdict is None:
            faults.append(f"group {name}: no verdict after {STEPS_MAX} steps of the search")
        elif not verdict:
            faults.append(f"group {name}: no order of its {len(members)} operations explains all "
                          f"answers\n{search.explain()}")
    return faults


# ---- with the ledger's records ----

@dataclass
class Record:
    position: int
    ident: str
    result: str


def check_positions(records):
    """All records of a ledger, of whatever contract, as Watch brought them: no hole, no second."""
    return [f"record number {number} has position {record.position}"
            for number, record in enumerate(records) if record.position != number]


def check_records(ops, records):
    """Every acknowledged transfer is recorded exactly once, with its answer; none twice."""
    faults = []
    by_ident = {}
    for record in records:
        if record.ident in by_ident:
            faults.append(f"request {record.ident} is recorded twice: at positions "
                          f"{by_ident[record.ident].position} and {record.position}")
        by_ident[record.ident] = record
    known = set()
    for op in ops:
        if op.kind != "pay":
            continue
        known.add(op.ident)
        record = by_ident.get(op.ident)
        if op.result == "refused" and record:
            faults.append(f"refused and yet recorded at {record.position}: {op.text()}")
        if op.result in (ACCEPTED, REJECTED):
            if record is None:
                faults.append(f"acknowledged and lost: {op.text()}")
            elif (record.position + 1, record.result) != (op.size, op.result):
                faults.append(f"answered {op.result} at {op.size - 1}, recorded {record.result} at "
                              f"{record.position}: {op.text()}")
    faults += [f"nobody sent what is recorded at {r.position}" for r in records
               if r.ident not in known]
    return faults


def check_order(ops, records):
    """The order of the records explains every outcome and every balance, and agrees with time."""
    faults = []
    pays = {op.ident: op for op in ops if op.kind == "pay"}
    reads = sorted((op for op in ops if op.kind != "pay" and op.end is not None),
                   key=lambda op: op.size)
    balances, at = {}, 0
    for record in [*records, None]:
        upto = record.position if record else None
        while at < len(reads) and (upto is None or reads[at].size <= upto):
            op, at = reads[at], at + 1
            if balances.get((op.group, op.a), 0) != op.cents:
                faults.append(f"the ledger says {balances.get((op.group, op.a), 0)} at size {op.size}:"
                              f" {op.text()}")
        op = pays.get(record.ident) if record else None
        if op is None:
            continue
        debtor, creditor = (op.group, op.a), (op.group, op.b)
        owes = balances.get(debtor, 0) - op.cents
        if (owes >= -LIMIT) != (record.result == ACCEPTED):
            faults.append(f"recorded as {record.result} with a balance of {owes} to come: {op.text()}")
        if record.result == ACCEPTED:
            balances[debtor] = owes
            balances[creditor] = balances.get(creditor, 0) + op.cents
    return faults + check_time(ops, {r.ident: r.position + 1 for r in records})


def check_time(ops, sizes):
    """Whatever began after an answer sees at least what that answer saw. Of each operation: what it
    saw (the size of the ledger after it), and the least it must have seen."""
    faults, events = [], []
    for op in ops:
        size = sizes.get(op.ident, 0) if op.kind == "pay" else op.size
        if op.kind == "local" or size == 0:
            continue
        events.append((op.begin, 0, size, op))
        if op.end is not None:
            events.append((op.end, 1, size, op))
    events.sort(key=lambda e: e[:2])
    seen, witness = 0, None
    for _, is_end, size, op in events:
        if is_end and size > seen:
            seen, witness = size, op
        elif not is_end and (size <= seen if op.kind == "pay" else size < seen):
            faults.append(f"speaks of size {size}: {op.text()}\n    although size {seen} had been "
                          f"answered before it began: {witness.text()}")
    return faults
