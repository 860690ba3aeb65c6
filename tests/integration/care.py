#!/usr/bin/env python3
"""Personal care budgets on three nodes: registers, mandates, documents and claims, deployed together.

The claims are worked examples of a care budget, moved to the weeks before today: approved (A), cut
by a highest rate that changes inside the period (B), refused because a parent's authority ended and
cured by a mandate (D), the penalty for a late decision (F), a budget that is short (H)."""
import datetime
import json
import os
import time
import zoneinfo

import harness
from harness import check

TEXTS = ("mandates", "documents", "care-office", "care", "care-recovery")
OFFICE, CITY, COURT, PAYER = "zorgkantoor.midden", "gemeente.dam", "rechtbank.midden", "betaalkantoor"
PEOPLE = ("register", "parent.1", "holder.a", "holder.b", "holder.d", "holder.h")
CARE, MANDATES, DOCUMENTS = "care.pgb", "registry.mandates", "documents.care"
REGISTERS, RECOVERY = "care.office", "care.recovery"
ZONE = zoneinfo.ZoneInfo("Europe/Amsterdam")
# What care.pgb reads of others, for telling a decision outside the ledger.
READ = {"latest": MANDATES, "attestation": MANDATES, "agreement": DOCUMENTS, "cap": REGISTERS,
        "officer": REGISTERS}
READ_FIELDS = {
    "attestation": ("issuer", "parent", "scope", "from", "until", "limit", "state"),
    "agreement": ("holder", "caregiver", "kind", "rate", "functions", "minutes", "top_up", "from", "until"),
}
# Which decision, the language of its letter, and what it must say.
LETTERS = (
    ("A", "fr", ("Décision : acceptée", "175,63 EUR")),
    ("B", "nl", ("Besluit: aanvaard", "447,30 EUR", "8,76 EUR", "R10")),
    ("D refused", "en", ("Decision: refused under clause 5", "Reason: R17 the mandate is not in force today",
                         "file_until = ", "claimed = 420.00 EUR", "Nothing was changed")),
    ("D cured", "en", ("420.00 EUR", "M2")),
    ("F", "en", ("230.00 EUR",)),
    ("H refused", "nl", ("Besluit: afgewezen op grond van artikel 11", "Reden: R14 the budget is short",
                         "claimed = 520,00 EUR", "taken = 412,50 EUR", "Er is niets veranderd.")),
    ("H", "en", ("412.50 EUR", "107.50 EUR")),
    ("H again", "fr", ("REPLAY already decided",)),
)
TIMER = """rules 1
contract lab.timer version 1 effective 2019-01-01
"One timer, to see it fire"
party payer = "betaalkantoor"
table rung [id: int] { at: timestamp, times: int }
on wind(id: int, wake: timestamp) signed by payer dated day(now, "UTC") {
  clause 1 "The payer asks to be woken"
  schedule ring(id: id) at wake
}
on ring(id: int) signed by clock {
  clause 2 "It is noted when, and how often"
  if has(rung[id]) { add 1 to rung[id].times } else { set rung[id] = { at: now, times: 1 } }
}
"""


def day(back):
    """The civil day so many days before today."""
    return (datetime.datetime.now(ZONE).date() - datetime.timedelta(days=back)).isoformat()


class Care:
    """The contracts on a lab, and what the test says to them."""

    def __init__(self, bench):
        self.bench = bench
        self.texts = {}
        self.calls = 0
        self.said = []  # to care.pgb, as `rules run` reads it, but for the times
        self.changed = set(READ)  # tables of others that it may see anew
        self.decided = {}  # the position of a decision by its name in LETTERS

    def submit(self, contract, action, by, code=0, name=None, **args):
        """One event; its record."""
        self.calls += 1
        path = os.path.join(self.bench.folder, f"args-{self.calls}.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(args, f)
        signers = [x for party in by.split("+") for x in ("--as", party)]
        if contract == CARE:
            self.said += [{"given": table, "key": list(key), "row": row}
                          for table in sorted(self.changed) for key, row in self.read(READ[table], table)]
            self.said.append({"event": action, "by": by.split("+"), "args": args})
            self.changed = set()
        self.changed |= {table for table, owner in READ.items() if owner == contract}
        out = self.bench.run("submit", contract, action, *signers, "--args", path, "--json", code=code)
        done = json.loads(out.stdout)
        self.decided[name] = done["outcomes"][0]["position"]
        return done

    def read(self, owner, table):
        """Rows of another contract, with the fields that care.pgb declares."""
        fields = READ_FIELDS.get(table)
        return [(key, {f: v for f, v in row.items() if fields is None or f in fields})
                for key, row in self.rows(owner, table).items()]

    def rows(self, contract, table):
        return {tuple(r["key"]): r["row"] for r in self.bench.lines("rows", contract, table)}

    def balance(self, account):
        return self.bench.json("balance", f"{CARE}/{account}")["amount"]


def register_parties(bench):
    with open(bench.lab.profile, encoding="utf-8") as f:
        profile = json.load(f)
    for party in (OFFICE, CITY, COURT, PAYER, *PEOPLE):
        path = os.path.join(bench.folder, party + ".key")
        bench.run("keygen", "party", party, "--out", path)
        bench.run("party", "add", party, "--key", path + ".pub", "--as", "ville.officer")
        profile["parties"][party] = path
    with open(bench.lab.profile, "w", encoding="utf-8") as f:
        json.dump(profile, f)


def deploy(care):
    """The texts as shipped, in force since before the examples; their own tests stay behind, because
    they are dated."""
    for name in TEXTS:
        with open(os.path.join(harness.ROOT, "contracts", name + ".rules"), encoding="utf-8") as f:
            text = f.read().split('\ntest "')[0] + "\n"
        text = text.replace("version 1 effective 2026-01-01", "version 1 effective 2019-01-01")
        care.texts[name] = os.path.join(care.bench.folder, name + ".rules")
        with open(care.texts[name], "w", encoding="utf-8") as f:
            f.write(text)
        care.bench.run("contract", "deploy", care.texts[name])
    names = sorted(c["name"] for c in care.bench.lines("contract", "list"))
    check(set(names) >= {CARE, MANDATES, DOCUMENTS, REGISTERS, RECOVERY},
          f"deployed together: {', '.join(names)}")


def prepare(care):
    """Rates, agreements, budgets. The later rate first: what is known of the past cannot change."""
    both = f"{OFFICE}+{CITY}"
    care.submit(REGISTERS, "set_cap", both, law="Wmo", kind="informal", since=day(20), rate="20.73 EUR/h")
    care.submit(REGISTERS, "set_cap", both, law="Wmo", kind="informal", since=day(70), rate="20.00 EUR/h")
    care.submit(REGISTERS, "set_cap", both, law="Wlz", kind="informal", since=day(70), rate="24.44 EUR/h")
    care.submit(REGISTERS, "set_cap", both, law="Wlz", kind="formal", since=day(70), rate="77.00 EUR/h")
    done = care.submit(REGISTERS, "set_cap", both, code=1, law="Wmo", kind="informal", since=day(10),
                       rate="21.00 EUR/h")
    check(done["outcomes"][0]["clause"] == "1", "a highest rate is not changed for a past day")
    for who, kind, rate, top_up in (("a", "informal", "22.50", False), ("b", "informal", "20.73", True),
                                    ("d", "informal", "21.00", False), ("h", "formal", "65.00", False)):
        holder = "holder." + who
        care.submit(DOCUMENTS, "entitle", f"{CITY}+{COURT}", type="agreement", who=holder,
                    since=day(0), until=day(-300))
        care.submit(DOCUMENTS, "register", holder, id="AG-" + who, no=1, type="agreement",
                    seal=(who.encode() * 32).hex(), since=day(50))
        care.submit(DOCUMENTS, "agree", OFFICE, id="AG-" + who, no=1, holder=holder,
                    caregiver="carer." + who, kind=kind, rate=rate + " EUR/h",
                    functions=["personal_care"], top_up=top_up, since=day(50))
    for budget, who, law, amount, short in (
            ("A", "a", "Wlz", "30000.00", "full"), ("B", "b", "Wmo", "10000.00", "full"),
            ("D", "d", "Wlz", "30000.00", "full"), ("H1", "h", "Wlz", "412.50", "full"),
            ("H2", "h", "Wlz", "412.50", "partial")):
        care.submit(CARE, "grant", OFFICE, id=budget, holder="holder." + who, law=law, since=day(100),
                    before=day(-100), amount=amount + " EUR", any_period=True, short=short,
                    late="reject", hours="cut")
    care.submit(CARE, "pay_in", PAYER, ref="own-1", holder="holder.b", amount="5.00 EUR")


def file(care, name, budget, actor, lines, rate, attempt=1, code=0):
    """A claim over the last forty days; lines are days back and minutes."""
    return care.submit(
        CARE, "submit", actor, code=code, name=name, agreement_id="AG-" + budget[0].lower(),
        budget_id=budget, no=1,
        attempt=attempt, since=day(40), before=day(0), handed_over=day(0),
        lines=[{"day": day(back), "minutes": m, "rate": rate + " EUR/h", "care": "personal_care"}
               for back, m in lines])


def claim(care, key):
    return care.rows(CARE, "claim")[(key,)]


def postings(care, done):
    """What the record of an event moved."""
    position = done["outcomes"][0]["position"]
    record = care.bench.lines("watch", "--from", str(position))[0]
    return [(f"{e[3]}[{e[4][0]}]" if e[4] else e[3], f"{e[5]}[{e[6][0]}]" if e[6] else e[5], e[7])
            for e in record["effects"] if e[0] == "transfer"]


def refused(done, clause, code):
    """The end of a rejected event; nothing else came of it."""
    one = done["outcomes"][0]
    check(one["end"] == "rejected" and one["clause"] == clause and one["why"].startswith(code),
          f"refused by clause {one['clause']}: {one['why']}")


def approved_and_cut(care):
    done = file(care, "A", "A", "holder.a", [(36, 615), (29, 630), (22, 645), (15, 615), (8, 630)],
                "22.50")
    check(postings(care, done) == [("avail[A]", "held[A]", "1175.63 EUR"),
                                   ("held[A]", "spent[A]", "1175.63 EUR"),
                                   ("expense[Wlz]", "payable[carer.a]", "1175.63 EUR")],
          "A: 52.25 hours at 22.50, rounded once: 1175.63")
    check(claim(care, "AG-a/1/1")["status"] == "approved" and care.balance("avail[A]") == "28824.37 EUR",
          "A: approved; 28824.37 is left")
    done = file(care, "B", "B", "holder.b", [(30, 240), (26, 240), (21, 240), (20, 300), (15, 300)],
                "20.73")
    check(postings(care, done) == [("avail[B]", "held[B]", "447.30 EUR"),
                                   ("held[B]", "spent[B]", "447.30 EUR"),
                                   ("expense[Wmo]", "payable[carer.b]", "447.30 EUR"),
                                   ("deposit[holder.b]", "payable[carer.b]", "5.00 EUR")],
          "B: 12 hours at 20.00, 10 at 20.73, and 5.00 of her own")
    row = claim(care, "AG-b/1/1")
    check(row["status"] == "approved_cut" and row["claimed"] == "456.06 EUR", "B: cut, of 456.06")
    check(care.rows(CARE, "reason")[("AG-b/1/1", "R10")]["amount"] == "8.76 EUR", "B: R10 cost 8.76")


def ended_and_cured(care):
    """A parent's authority ends; the entry after that refuses; the child's own mandate cures it."""
    lines = [(36, 240), (29, 240), (22, 240), (15, 240), (8, 240)]
    care.submit(MANDATES, "entitle", f"{CITY}+{COURT}", type="parent", who="register", since=day(0),
                until=day(-300))
    care.submit(MANDATES, "attest", "register", id="M1", type="parent", holder="holder.d",
                agent="parent.1", scope="approve", since=day(3000), until=day(-100), may_pass_on=False,
                evidence="11" * 32)
    before = care.submit(MANDATES, "may_act", "parent.1", holder="holder.d", scope="approve")
    ended = care.submit(MANDATES, "revoke", "register", id="M1", from_day=day(20), reason="end")
    done = file(care, "D refused", "D", "parent.1", lines, "21.00", code=1)
    refused(done, "5", "R17")
    check(done["height"] == ended["height"] + 1 == before["height"] + 2,
          f"D: valid at {before['height']}, ended at {ended['height']}, refused at {done['height']}")
    check(postings(care, done) == [] and care.balance("avail[D]") == "30000.00 EUR", "D: nothing moved")
    care.submit(MANDATES, "attest", "holder.d", id="M2", type="own", holder="holder.d", agent="parent.1",
                scope="approve", since=day(0), until=day(-100), may_pass_on=False, evidence="22" * 32)
    done = file(care, "D cured", "D", "parent.1", lines, "21.00", attempt=2)
    row = claim(care, "AG-d/1/2")
    check(row["status"] == "approved" and row["paid"] == "420.00 EUR" and row["mandate"] == "M2"
          and care.balance("avail[D]") == "29580.00 EUR", "D: cured by a mandate, 420.00 paid")


def penalties(care):
    for days, amount in ((10, "230.00 EUR"), (20, "532.00 EUR"), (42, "1442.00 EUR"), (60, "1442.00 EUR")):
        care.submit(RECOVERY, "late_decision", OFFICE, name="F" if days == 10 else None, ref=f"late-{days}", holder="holder.a",
                    last_day=day(60), decided=day(60 - days))
        row = care.rows(RECOVERY, "penalty")[(f"late-{days}",)]
        check(row["amount"] == amount, f"F: {days} days late cost {amount}")


def short_budgets(care):
    lines = [(30, 240), (20, 240)]
    done = file(care, "H refused", "H1", "holder.h", lines, "65.00", code=1)
    refused(done, "11", "R14")
    check(care.balance("avail[H1]") == "412.50 EUR", "H: all or nothing, nothing moved")
    done = file(care, "H", "H2", "holder.h", lines, "65.00")
    check(postings(care, done) == [("avail[H2]", "held[H2]", "412.50 EUR"),
                                   ("held[H2]", "spent[H2]", "412.50 EUR"),
                                   ("expense[Wlz]", "payable[carer.h]", "412.50 EUR")],
          "H: in part, 412.50 of 520.00")
    check(care.rows(CARE, "reason")[("AG-h/1/1", "R14")]["amount"] == "107.50 EUR", "H: R14 cost 107.50")
    done = file(care, "H again", "H2", "holder.h", lines, "65.00", code=1)
    refused(done, "6", "REPLAY")


def letters(care):
    """Each decision again, outside the ledger, from what was recorded: the same bytes. Then its letter,
    from the same file and from a node, which checks what it evaluates against the recorded hash."""
    bench = care.bench
    recorded = [r for r in bench.lines("watch", "--contract", CARE) if r["kind"] == "event"]
    times = iter([r["outcome"]["now"] for r in recorded])
    path = os.path.join(bench.folder, "care.jsonl")
    with open(path, "w", encoding="utf-8") as f:
        for line in care.said:
            f.write(json.dumps(dict(line, now=next(times)) if "event" in line else line) + "\n")
    out = bench.run("rules", "run", care.texts["care"], path).stdout.splitlines()
    again = [json.loads(line) for line in out]
    check([(r["outcome"], r["effects"]) for r in recorded]
          == [(r["outcome"], r["effects"]) for r in again],
          f"{len(again)} decisions are recomputed alone, to the byte")
    number = {r["position"]: i for i, r in enumerate(recorded)}
    for name, lang, words in LETTERS:
        told = bench.json("explain", str(care.decided[name]), "--lang", lang)
        missing = [w for w in words if w not in told["words"]]
        check(not missing, f"the letter about {name} ({lang}) says {words[0]} {missing or ''}")
        if care.decided[name] in number:
            one = again[number[care.decided[name]]]
            alone = bench.run("rules", "explain", "--lang", lang, care.texts["care"], path, str(one["n"]))
            check(told["words"].strip() == alone.stdout.strip() and told["trace"] == one["trace"],
                  "a node tells it in the same words, of the trace whose hash is recorded")


def deploy_timer(care):
    text = os.path.join(care.bench.folder, "timer.rules")
    with open(text, "w", encoding="utf-8") as f:
        f.write(TIMER)
    care.bench.run("contract", "deploy", text)


def wind_timer(care, number):
    """Asks to be woken as soon as a contract may; when that will be."""
    wake = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(seconds=62)
    care.submit("lab.timer", "wind", PAYER, id=number, wake=wake.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return wake


def timer_while_down(care, wake):
    """The claims have filled the minute that a timer waits at least; on a slow machine more than that."""
    bench = care.bench
    number = 1
    if time.time() > wake.timestamp() - 5:
        number, wake = 2, wind_timer(care, 2)
    stamp = wake.strftime("%Y-%m-%dT%H:%M:%SZ")
    for name in bench.nodes:
        bench.kill(name)
    check(time.time() < wake.timestamp(), "and all of them are gone before")
    time.sleep(max(0, wake.timestamp() + 1 - time.time()))
    for name in bench.nodes:
        bench.start(name)
    bench.wait_well()
    deadline = time.time() + 30
    while time.time() < deadline and (number,) not in care.rows("lab.timer", "rung"):
        time.sleep(0.2)
    check(care.rows("lab.timer", "rung")[(number,)] == {"at": stamp, "times": 1},
          f"a timer due at {stamp}, while every node was down, fired with its own time")
    care.submit("lab.timer", "wind", PAYER, id=3, wake=day(-9) + "T00:00:00Z")
    fired = [r["outcome"]["now"] for r in bench.lines("watch", "--contract", "lab.timer")
             if r["action"] == "ring"]
    check(len(fired) == number and fired.count(stamp) == 1, "it fired once")


def main(bench, _args):
    """Claims through the command, on real nodes."""
    bench.up(3)
    care = Care(bench)
    register_parties(bench)
    deploy_timer(care)
    wake = wind_timer(care, 1)
    deploy(care)
    prepare(care)
    approved_and_cut(care)
    ended_and_cured(care)
    penalties(care)
    short_budgets(care)
    letters(care)
    timer_while_down(care, wake)
    bench.wait_level()
    totals = bench.json("trial-balance")["totals"]
    check(totals and all(t["sum"] == 0 for t in totals), "every family sums to zero")


if __name__ == "__main__":
    harness.main(main)
