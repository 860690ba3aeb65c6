#!/usr/bin/env python3
"""The checker of histories, checked: known good and bad ones, and many random ones.

HISTORY_SEED and HISTORY_COUNT choose other random histories.
"""
import itertools
import os
import random
import time
import unittest

from history import (ACCEPTED, LIMIT, REJECTED, UNKNOWN, Op, Record, check_groups, check_order,
                     check_positions, check_records, step)

SEED = int(os.environ.get("HISTORY_SEED", "1"))
COUNT = int(os.environ.get("HISTORY_COUNT", "400"))


def pay(begin, end, a, b, cents, result=ACCEPTED, **more):
    return Op("pay", "g", begin, end, a, b, cents, result, **more)


def read(begin, end, a, cents, **more):
    return Op("read", "g", begin, end, a, cents=cents, **more)


def brute_force(ops):
    """Every order of every choice of unanswered operations: slow and plain."""
    answered = [o for o in ops if o.end is not None]
    unanswered = [o for o in ops if o.end is None]
    for count in range(len(unanswered) + 1):
        for chosen in itertools.combinations(unanswered, count):
            for order in itertools.permutations(answered + list(chosen)):
                if all(x.end is None or x.end >= y.begin for k, y in enumerate(order)
                       for x in order[k + 1:]) and runs(order):
                    return True
    return False


def runs(order):
    state = (0, 0, 0)
    for op in order:
        state = step(state, op)
        if state is None:
            return False
    return True


def generate(draw, count, clients=4, groups=1, unknown=0.1, unit=10):
    """A history that is linearizable by construction: a ledger that answers at a moment between
    begin and end. Returns the operations and the records. All amounts are multiples of unit."""
    free = [0] * clients
    planned = []
    for _ in range(count):
        client = draw.randrange(clients)
        begin = free[client] + draw.randrange(1, 20)
        moment = begin + draw.randrange(1, 30)
        end = moment + draw.randrange(1, 30)
        free[client] = end
        planned.append((moment, begin, end, client))
    planned.sort()
    balances, ops, records = {}, [], []
    for moment, begin, end, client in planned:
        group = f"g{draw.randrange(groups)}"
        a, b = draw.sample(range(3), 2)
        if draw.random() < 0.4:
            ops.append(Op("read", group, begin, end, a, cents=balances.get((group, a), 0),
                          size=len(records)))
            continue
        cents = unit * draw.randrange(1, LIMIT // unit)
        op = Op("pay", group, begin, end, a, b, cents, ident=f"{len(ops)}", who=f"c{client}")
        ops.append(op)
        lost = draw.random() < unknown
        if lost and draw.random() < 0.5:
            op.end = None  # never took effect
            continue
        owes = balances.get((group, a), 0) - cents
        op.result = ACCEPTED if owes >= -LIMIT else REJECTED
        records.append(Record(len(records), op.ident, op.result))
        op.size = len(records)
        if op.result == ACCEPTED:
            balances[group, a] = owes
            balances[group, b] = balances.get((group, b), 0) + cents
        if lost:  # took effect, and nobody heard it
            op.end, op.result, op.size = None, UNKNOWN, 0
    return ops, records


class Known(unittest.TestCase):
    """Histories written by hand."""

    def good(self, *ops):
        self.assertEqual(check_groups(list(ops)), [])
        self.assertTrue(brute_force(ops))

    def bad(self, *ops):
        self.assertNotEqual(check_groups(list(ops)), [])
        self.assertFalse(brute_force(ops))

    def test_one_after_the_other(self):
        self.good(pay(0, 1, 0, 1, 5), read(2, 3, 0, -5), read(4, 5, 1, 5), read(6, 7, 2, 0))

    def test_a_read_beside_a_transfer_sees_either(self):
        self.good(pay(0, 9, 0, 1, 5), read(1, 2, 0, 0), read(3, 4, 0, -5))
        self.good(pay(0, 9, 0, 1, 5), read(1, 2, 0, 0), read(3, 4, 0, 0))

    def test_time_does_not_go_back(self):
        self.bad(pay(0, 9, 0, 1, 5), read(1, 2, 0, -5), read(3, 4, 0, 0))

    def test_stale_read(self):
        self.bad(pay(0, 1, 0, 1, 5), read(2, 3, 0, 0))

    def test_lost_write(self):
        self.bad(pay(0, 1, 0, 1, 5), pay(2, 3, 0, 1, 7), read(4, 5, 0, -7))

    def test_double_apply(self):
        self.bad(pay(0, 1, 0, 1, 5), read(2, 3, 0, -10))

    def test_half_a_transfer(self):
        self.bad(pay(0, 1, 0, 1, 5), read(2, 3, 0, -5), read(4, 5, 1, 0))

    def test_unanswered_once_never_or_late(self):
        self.good(pay(0, None, 0, 1, 5, UNKNOWN), read(2, 3, 0, -5))
        self.good(pay(0, None, 0, 1, 5, UNKNOWN), read(2, 3, 0, 0))
        self.good(pay(0, None, 0, 1, 5, UNKNOWN), read(2, 3, 0, 0), read(4, 5, 0, -5))

    def test_unanswered_not_twice_not_undone_not_early(self):
        self.bad(pay(0, None, 0, 1, 5, UNKNOWN), read(2, 3, 0, -10))
        self.bad(pay(0, None, 0, 1, 5, UNKNOWN), read(2, 3, 0, -5), read(4, 5, 0, 0))
        self.bad(read(0, 1, 0, -5), pay(2, None, 0, 1, 5, UNKNOWN))

    def test_the_limit(self):
        self.good(pay(0, 1, 0, 1, LIMIT), pay(2, 3, 0, 1, 1, REJECTED))
        self.bad(pay(0, 1, 0, 1, LIMIT), pay(2, 3, 0, 1, 1))
        self.bad(pay(0, 1, 0, 1, LIMIT - 1), pay(2, 3, 0, 1, 1, REJECTED))
        self.good(pay(0, 1, 0, 1, LIMIT), pay(2, None, 1, 0, 9, UNKNOWN), pay(3, 4, 0, 1, 1))

    def test_two_that_exclude_each_other(self):
        self.good(pay(0, 5, 0, 1, LIMIT), pay(0, 5, 0, 1, 1, REJECTED))
        self.bad(pay(0, 5, 0, 1, LIMIT, REJECTED), pay(0, 5, 0, 1, 1, REJECTED))


class WithRecords(unittest.TestCase):
    """What the ledger's own order adds."""

    def setUp(self):
        self.ops = [pay(0, 1, 0, 1, 5, ident="x", size=1), pay(2, 3, 0, 1, 7, ident="y", size=2),
                    read(4, 5, 0, -12, size=2)]
        self.records = [Record(0, "x", ACCEPTED), Record(1, "y", ACCEPTED)]

    def faults(self):
        return check_records(self.ops, self.records) + check_order(self.ops, self.records)

    def test_good(self):
        self.assertEqual(self.faults(), [])

    def test_lost(self):
        del self.records[1]
        self.assertTrue(any("lost" in f for f in self.faults()))

    def test_twice(self):
        self.records.append(Record(2, "x", ACCEPTED))
        self.assertTrue(any("twice" in f for f in self.faults()))

    def test_a_stranger(self):
        self.records.append(Record(2, "z", ACCEPTED))
        self.assertTrue(any("nobody sent" in f for f in self.faults()))

    def test_a_hole(self):
        self.assertEqual(check_positions(self.records), [])
        self.records[1].position = 2
        self.assertNotEqual(check_positions(self.records), [])

    def test_other_outcome(self):
        self.records[1].result = REJECTED
        self.assertTrue(any("recorded as rejected" in f for f in self.faults()))

    def test_refused_and_recorded(self):
        self.ops[1].result = "refused"
        self.assertTrue(any("refused and yet" in f for f in self.faults()))

    def test_order_against_time(self):
        self.records = [Record(0, "y", ACCEPTED), Record(1, "x", ACCEPTED)]
        self.ops[0].size, self.ops[1].size = 2, 1
        self.assertTrue(any("had been answered" in f for f in self.faults()))

    def test_stale_read(self):
        self.ops[2].size, self.ops[2].cents = 1, -5
        self.assertTrue(any("had been answered" in f for f in self.faults()))

    def test_a_local_read_may_be_old_but_not_wrong(self):
        self.ops[2] = Op("local", "g", 4, 5, 0, cents=-5, size=1)
        self.assertEqual(self.faults(), [])
        self.ops[2].cents = -4
        self.assertTrue(any("the ledger says" in f for f in self.faults()))


class Random(unittest.TestCase):
    """HISTORY_SEED reruns."""

    def test_small_ones_agree_with_all_permutations(self):
        verdicts = {True: 0, False: 0}
        for seed in range(SEED, SEED + COUNT):
            draw = random.Random(seed)
            ops, _ = generate(draw, draw.randrange(2, 7), clients=3, unknown=0.3,
                              unit=draw.choice([10, LIMIT // 2]))
            if draw.random() < 0.8:
                self.mutate(draw, ops)
            wanted = brute_force(ops)
            verdicts[wanted] += 1
            self.assertEqual(check_groups(ops) == [], wanted, f"HISTORY_SEED={seed}")
        self.assertGreater(min(verdicts.values()), COUNT // 10)

    def mutate(self, draw, ops):
        op = draw.choice(ops)
        kind = draw.randrange(4)
        if op.kind == "read":
            op.cents += draw.choice([-1, 1]) * draw.choice([10, LIMIT // 2])
        elif kind == 0:
            op.result = REJECTED if op.result == ACCEPTED else ACCEPTED
        elif kind == 1:
            op.cents += 10
        elif kind == 2:
            op.begin += 15
            op.end = None if op.end is None else op.end + 15
        else:
            ops.remove(op)
            ops.append(op)

    def test_good_ones_pass_and_one_wrong_answer_is_found(self):
        for seed in range(SEED, SEED + COUNT // 10):
            draw = random.Random(seed)
            ops, records = generate(draw, 300, clients=8, groups=2)
            self.assertEqual(check_groups(ops), [], f"HISTORY_SEED={seed}")
            self.assertEqual(check_records(ops, records) + check_order(ops, records), [],
                             f"HISTORY_SEED={seed}")
            op = draw.choice([o for o in ops if o.kind == "read"])
            op.cents += 1  # amounts are multiples of 10: nothing can explain it
            self.assertNotEqual(check_groups(ops), [], f"HISTORY_SEED={seed}")
            self.assertNotEqual(check_order(ops, records), [], f"HISTORY_SEED={seed}")

    def test_a_write_lost_or_doubled_is_found_in_the_records(self):
        for seed in range(SEED, SEED + COUNT // 10):
            draw = random.Random(seed)
            ops, records = generate(draw, 200, unknown=0)
            at = draw.randrange(len(records))
            lost = records[:at] + records[at + 1:]
            doubled = records[:at] + [records[at]] + records[at:]
            for wrong in (lost, doubled):
                self.assertNotEqual(check_records(ops, wrong), [], f"HISTORY_SEED={seed}")

    def test_a_hundred_thousand_in_seconds(self):
        ops, records = generate(random.Random(SEED), 100_000, clients=16, groups=400, unknown=0.02)
        began = time.time()
        self.assertEqual(check_groups(ops), [])
        self.assertEqual(check_order(ops, records), [])
        print(f"100000 operations in {time.time() - began:.1f} s")


if __name__ == "__main__":
    unittest.main()
