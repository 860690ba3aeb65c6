#!/usr/bin/env python3
"""Every message of the compiler and of the input check has a case that produces it, word for word.

The messages are taken from the source: each text given to compile_fail, compile_fail_at and, in the
check of input, to refuse. The cases are those of tests/unit/rules/messages.golden and those below,
whose results stand in tests/vectors/rules/messages.txt. The test fails when a case says something
else, and when a message in the source is produced by no case.
"""
import argparse
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

HEAD = "rules 1 contract a.b version 1 effective 2026-01-01 "
DECLS = HEAD + """measure EUR to 0.01 measure Wh to 0.001 measure EUR/kWh to 0.00001
party boss = "boss"
record R { who: party, e: Wh }
record S { n: int, list: list<int, max 2> }
table t [k: party] { price: EUR/kWh, note?: string(8), kind: "a" | "b" }
table m [d: date, k: party] max 5 { n: int }
table u [d: date] { n: int, s: S }
account w [k: party]: EUR
account x: Wh
term fee: EUR = 1.00 EUR
"""
EVENT = DECLS + """on ring(n: int) signed by clock { }
on go(who: party, e: Wh, a: EUR, n: int, d: date, b: bool, q: int, l: list<int, max 3>, s: string,
      y: bytes(4), ts: timestamp, r: R, p: list<R by who, max 3>)
    signed by boss dated day(now, "UTC") {
clause 1 "one"
tally sum[k: party]: EUR
"""


def body(statements):
    return EVENT + statements + "\n}\n"


def test(steps):
    return EVENT + "}\ntest \"x\" {\n" + steps + "\n}\n"


def many(template, count, between=" "):
    return between.join(template.format(i) for i in range(count))


def compiler_cases():
    """(title, text of a contract)"""
    yield "a term of a list", HEAD + "term a: list<int, max 2> = [1]"
    yield "given of a row, not by fields", test("given t[\"a\"] = 1")
    yield "given of a row, named", test("given t[\"a\"] = R{who: \"a\", e: 1 Wh}")
    yield "given of a field", test("given t[\"a\"].kind = \"a\"")
    yield "wait for a number", test("wait 1")
    yield "has of two", body("let z = has(who, e)")
    yield "has of some keys", body("let z = has(m[d])")
    yield "has of a sum", body("let z = has(n + 1)")
    yield "balance in a term", HEAD + "measure EUR to 0.01 account x: EUR term a: EUR = balance(x)"
    yield "balance of a row", body("let z = balance(t[who])")
    yield "a date that is none", body("let z = date(\"2026-02-30\")")
    yield "a timestamp that is none", body("let z = timestamp(\"yesterday\")")
    yield "a duration that is none", body("let z = duration(\"soon\")")
    yield "the least of texts", body("let z = min(s, s)")
    yield "the least of money and energy", body("let z = min(a, e)")
    yield "the least of units too far apart", body("let z = min(" + TINY + ", 1 min/h)")
    yield "a sum of texts", body("let z = p.sum(i, i.who)")
    yield "all of a number", body("let z = n.all(i, i > 0)")
    yield "an item without a name", body("let z = l.all(1, 1 > 0)")
    yield "too many names", body(many("let v{} = 1", 4097, "\n"))
    yield "a term in dated", DECLS + ("on z() signed by boss "
                                      "dated add_days(day(now, \"UTC\"), size(string(fee))) {}")
    yield "a term in a test", test("then fee == 1.00 EUR")
    yield "an account as a value", body("let z = w")
    yield "a field of a number", body("let z = n.x")
    yield "no such field", body("let z = r.x")
    yield "a key of another type", body("let z = t[n]")
    yield "<= in a list", body("let z = l[<= 1]")
    yield "two items", body("let z = l[1, 2]")
    yield "a term for a number", body("let z = fee[n]")
    yield "no such record", body("let z = Q{n: 1}")
    yield "a record in a list", body("let z = [{n: 1}]")
    yield "a record of no name", body("set u[d].n = {n: 1}")
    yield "emit of no record", body("emit z 1")
    yield "a list too long", body("let z = [" + many("1", 10001, ",") + "]")
    yield "rounding a text", body("let z = round(s, EUR, half_up)")
    yield "rounding units too far apart", DECLS + (
        "measure pct to 0.0001 on z() signed by clock { let z = round(" + HUGE + ", pct, down) }")
    yield "an amount too large", body("transfer 999999999999999999 EUR from w[who] to w[boss]")
    yield "a list into a shorter one", body("set u[d] = {n: 1, s: S{n: 1, list: l}}")
    yield "adding units too far apart", body("let z = " + TINY + " + 1 min/h")
    yield "a text too long", body(doubled())
    yield "a unit too large", body("let z = " + " * ".join(["e"] * 200))
    yield "not of a number", body("let z = !n")
    yield "minus of a text", body("let z = -s")
    yield "lists in order", body("let z = l < l")
    yield "in a table of two keys", body("let z = who in m")
    yield "in a list of another type", body("let z = s in l")
    yield "the rest of money", body("let z = a % 2")
    yield "set of no field", body("set t[who].x = 1")
    yield "a field of a tally", body("add a to sum[who].x")
    yield "a field of an account", body("transfer a from w[who].x to w[boss]")
    yield "from a row", body("transfer a from t[who] to w[boss]")
    yield "set of a value", body("set t[who] = n")
    yield "add to a row", body("add a to t[who]")
    yield "remove of a field", body("remove t[who].kind")
    yield "no such argument", body("schedule ring(m: 1) at now + duration(\"60s\")")
    yield "a timer at a date", body("schedule ring(n: 1) at d")
    yield "for of a number", body("for i in n { }")
    yield "let of nothing", body("let z = []")
    yield "a text as weight", body("apportion a over p as i by i.who giving g { }")
    yield "an order without a measure", body(clear("i.e * 1", "1 EUR * i.e"))
    yield "orders of two kinds", HEAD + ORDERS + (
        "on z(b: list<A, max 2>, o: list<B, max 2>) signed by boss dated day(now, \"UTC\") { "
        "clause 1 \"x\" clear b as i for i.q at i.p against o as j for j.q at j.p "
        "giving g at price buyers { } sellers { } }")
    yield "a byte order mark", HEAD + "\ufeff"
    yield "another control character", HEAD + "// \u0085"
    yield "an octal escape", body("let z = \"\\0a\"")
    yield "a hexadecimal escape", body("let z = \"\\x1\"")
    yield "a hexadecimal number without digits", body("let z = 0x")
    yield "too many declarations", HEAD + many("party p{0} = \"p{0}\"", 2001)
    yield "a measure of no unit", HEAD + "measure banana to 1"
    yield "a step of zero", HEAD + "measure EUR/kWh to 0.00"
    yield "too many measures", measures()
    yield "a party with a blank", HEAD + "party p = \"a b\""
    yield "a small record", HEAD + "record r { n: int }"
    yield "a record called like a unit", HEAD + "record EUR { n: int }"
    yield "a contract with a long name", (
        "rules 1 contract " + many("a" * 22, 4, ".") + " version 1 effective 2026-01-01")
    yield "a field like its key", HEAD + "table t [k: party] { k: int }"
    yield "a table for no row", HEAD + "table t [k: party] max 0 { n: int }"
    yield "uses of itself", HEAD + "uses t [k: party] { n: int } from a.b"
    yield "an overdraft of nothing", HEAD + "measure EUR to 0.01 account x: EUR overdraft none"
    yield "an overdraft in another measure", HEAD + (
        "measure EUR to 0.01 account x: EUR overdraft 1 kWh")
    yield "too many that sign", HEAD + many("party p{0} = \"p{0}\"", 9) + (
        " on z() signed by " + many("p{}", 9, " and ") + " dated day(now, \"UTC\") {}")
    yield "too many events", HEAD + many("on z{}() signed by clock {{}}", 257)
    yield "too many arguments", HEAD + "on z(" + many("a{}: int", 61, ", ") + ") signed by clock {}"
    yield "no declaration", HEAD + "let z = 1"
    yield "version nought", "rules 1 contract a.b version 0 effective 2026-01-01"
    yield "a party without quotes", HEAD + "party p = p"
    yield "a max that is no number", HEAD + "table t [k: party] max many { n: int }"
    yield "a long sum", body("let z = " + " + ".join(["n"] * 600))
    yield "an amount of too many digits", body("let z = 0.1234567890 EUR")
    yield "a literal with too many fields", body("emit z {" + many("a{}: 1", 257, ", ") + "}")
    yield "rounding to a date", body("let z = round(a, date, half_up)")
    yield "a word of the language as value", body("let z = for")
    yield "too many signs", body("let z = " + "!" * 65 + "b")
    yield "a statement on nothing", body("transfer a from 1 to w[boss]")
    yield "a clause without number", body("clause \"x\"")
    yield "a clause number too long", body("clause 123456789 \"x\"")
    yield "too many else if", body("if b { }" + " else if b { }" * 65)
    yield "a tally of dates", body("tally z[k: party]: date")
    yield "a reason too long", body("require b else \"" + "x" * 201 + "\"")
    yield "too many that sign a test", test("when go() by " + many("\"p{}\"", 9, ", "))
    yield "a test of nothing", test("let z = 1")
    yield "a test without end", EVENT + "}\ntest \"x\" {\nwait duration(\"60s\")"
    yield "a word twice", HEAD + "table t [k: party] { n: \"a\" | \"a\" }"
    yield "too many words", HEAD + "table t [k: party] { n: " + many("\"w{}\"", 257, " | ") + " }"
    yield "a list of none", HEAD + "record R { l: list<int, max 0> }"
    yield "types too deep", HEAD + "record R { l: " + "list<" * 70 + "int"
    yield "a capital field", HEAD + "record R { N: int }"
    yield "a field twice", HEAD + "record R { n: int, n: int }"
    yield "too many fields", HEAD + "record R { " + many("a{}: int", 257, ", ") + " }"
    yield "too many keys", HEAD + "table t [" + many("a{}: int", 9, ", ") + "] { n: int }"
    yield "a table without keys", HEAD + "table t [] { n: int }"


# 1/10^38 beside 1/60 has no common scale in 128 bits, nor has 10^36 one in millionths.
TINY = " * ".join(["0.000000001 pct"] * 3 + ["0.001 pct"])
HUGE = " * ".join(["1 MWh/Wh"] * 6)
ORDERS = ("measure EUR to 0.01 measure Wh to 0.001 measure EUR/kWh to 0.00001 "
          "measure EUR/h to 0.01 measure h to 0.25 party boss = \"boss\" record A { q: Wh, p: EUR/kWh } "
          "record B { q: h, p: EUR/h } ")


def doubled():
    lines = ["let z0 = \"" + "x" * 4000 + "\""]
    lines += [f"let z{i + 1} = z{i} + z{i}" for i in range(12)]
    return "\n".join(lines)


CURRENCIES = ["CA" + chr(ord("A") + i) for i in range(17)]
REGISTRY = "".join(f"measure {unit} to {step}\n" for unit, step in [
    ("EUR", "0.01"), ("Wh", "0.001"), ("h", "0.25"), ("g", "1"), ("pct", "0.0001"), ("CIG", "0.01"),
    *((c, "0.01") for c in CURRENCIES)])


def clear(quantity, price):
    return (f"clear p as i for {quantity} at {price} against p as j for j.e at 1 EUR giving g at "
            "cost buyers { } sellers { }")


def measures():
    pairs = [(a, b) for a in CURRENCIES for b in CURRENCIES if a != b]
    return HEAD + " ".join(f"measure {a}/{b} to 1" for a, b in pairs[:257])


INPUT = HEAD + """measure EUR to 0.01 measure Wh to 0.001
party boss = "boss"
record R { who: party, e: Wh }
on all(flag?: bool, n?: int, s?: string(3), y?: bytes(2), d?: date, ts?: timestamp, dur?: duration,
       who?: party, kind?: "a" | "b", a?: EUR, r?: R, l?: list<int, max 2>,
       p?: list<R by who, max 3>)
    signed by boss dated date("2026-01-01") { }
on need(n: int) signed by boss dated date("2026-01-01") { }
on timer() signed by clock { }
on any() signed by anyone as z dated date("2026-01-01") { }
"""


def event(args, name="all", by=("boss",), **more):
    return json.dumps({"event": name, "by": list(by), "now": "2026-01-01T10:00:00Z", "args": args,
                       **more})


def input_cases():
    """(title, line of an events file)"""
    for name, bad in (("flag", 1), ("n", "1"), ("s", 1), ("y", "XX"), ("d", "2026-02-30"),
                      ("ts", "now"), ("dur", "soon"), ("who", 1), ("a", "1 Wh"), ("a", 1), ("r", 1),
                      ("l", 1), ("n", None), ("kind", 1), ("n", True)):
        yield f"{name} is {bad!r}", event({name: bad})
    yield "missing", event({}, "need")
    yield "missing in a record", event({"r": {"who": "a"}})
    yield "not declared", event({"zzz": 1})
    yield "not declared in a record", event({"r": {"who": "a", "e": "1 Wh", "x": 1}})
    yield "out of range", event({"a": "99999999999999999999 EUR"})
    yield "out of range after conversion", event({"a": "999999999999999999 EUR"})
    need = event({}, "need")
    yield "an int out of range", need.replace("{}", '{"n": 9223372036854775808}')
    yield "a number with a point", need.replace("{}", '{"n": 1.5}')
    yield "longer text", event({"s": "abcd"})
    yield "longer bytes", event({"y": "010203"})
    yield "more items", event({"l": [1, 2, 3]})
    yield "not a word", event({"kind": "c"})
    yield "not a party", event({"who": "A b"})
    yield "finer", event({"a": "0.001 EUR"})
    yield "not in order", event({"p": [{"who": "b", "e": "1 Wh"}, {"who": "a", "e": "1 Wh"}]})
    yield "twice in order", event({"p": [{"who": "b", "e": "1 Wh"}, {"who": "b", "e": "1 Wh"}]})
    yield "an item of a list", event({"l": [1, "x"]})
    yield "no such event", event({}, "nothing")
    yield "a timer's event", event({}, "timer")
    yield "two that sign", event({}, "any", ("a", "b"))
    yield "nobody signs", event({}, "any", ())
    yield "the wrong one signs", event({"n": 1}, "need", ("a",))
    yield "another legal date", event({"n": 1}, "need", legal="2026-01-02")
    yield "before the version", event({"n": 1}, "need", legal="2025-12-31")


# Messages that no text produces, each with the reason why it stands there all the same.
GUARDS = {
    # The command does not read such a file; tests/unit/rules/messages_test.c asks rules_compile.
    r"a\ contract\ has\ at\ most\ .*\ bytes",
    # The scales of the registry's units are at most 10^6 and at least 1/100: a quotient of
    # two, with nine decimals, always fits 128 bits.
    r"this\ unit\ is\ too\ large",
    r"this\ amount\ is\ too\ small",
    # Expressions alone are only compiled for the tests of CEL; tests/unit/rules/expr_test.c.
    r"the\ expression\ should\ end\ here",
}


# ---- messages in the source ----

def calls(name, text):
    """The argument lists of all calls of a function, with their offsets."""
    for match in re.finditer(r"\b" + name + r"\s*\(", text):
        depth, at, quoted = 1, match.end(), False
        while depth:
            c = text[at]
            if quoted:
                at += c == "\\"
                quoted = c != '"'
            elif c == '"':
                quoted = True
            elif c in "()":
                depth += 1 if c == "(" else -1
            at += 1
        yield match.start(), text[match.end():at - 1]


def pattern(arguments):
    """The first text among the arguments as a regular expression; None if there is none, or if it
    is made of other texts, which are cases of their own ("given twice" needs an Args message that
    JSON cannot say: tests/unit/rules/args_test.c)."""
    match = re.search(r'"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*', arguments)
    if not match:
        return None
    text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', match.group()))
    text = text.replace('\\"', '"').replace("\\\\", "\\")
    out, at = "", 0
    for mark in re.finditer(r"%[-+0-9.*]*(?:ll|l|z)?[a-z%]", text):
        out += re.escape(text[at:mark.start()]) + ("%" if mark.group() == "%%" else ".*")
        at = mark.end()
    return out + re.escape(text[at:])


def messages(root, functions, files):
    for path in sorted(files):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for function in functions:
            for at, arguments in calls(function, text):
                expression = pattern(arguments)
                if expression is not None:
                    where = f"{os.path.relpath(path, root)}:{text.count(chr(10), 0, at) + 1}"
                    yield where, expression


# ---- running ----

def compile_text(concordat, folder, text):
    path = os.path.join(folder, "x.rules")
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    with open(os.path.join(folder, "registry"), "w", encoding="utf-8") as f:
        f.write(REGISTRY)
    done = subprocess.run([concordat, "rules", "check", "x.rules", "--registry", "registry"],
                          cwd=folder, capture_output=True)
    if done.returncode == 0:
        return "it compiles"
    first = done.stderr.decode(errors="replace").split("\n")[0]
    return first if first else f"exit {done.returncode}"


def run_lines(concordat, folder, lines):
    with open(os.path.join(folder, "x.rules"), "w", encoding="utf-8") as f:
        f.write(INPUT)
    with open(os.path.join(folder, "events"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    done = subprocess.run([concordat, "rules", "run", "x.rules", "events"], cwd=folder,
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"rules run: {done.stderr}")
    for line in done.stdout.splitlines():
        outcome = json.loads(line)["outcome"]
        rejected = outcome["end"] == "rejected"
        yield f"{outcome['clause']} {outcome['why']}" if rejected else outcome["end"]


def golden_messages(path):
    with open(path, "rb") as f:
        text = f.read().decode(errors="replace")
    return re.findall(r"^x\.rules:\d+:\d+: .*$", text, re.M)


def compare(path, found, write):
    if write:
        with open(path, "w", encoding="utf-8") as f:
            f.write("".join(f"{title}: {text}\n" for title, text in found))
    with open(path, encoding="utf-8") as f:
        want = f.read().splitlines()
    have = [f"{title}: {text}" for title, text in found]
    wrong = [f"have {h}\nwant {w}" for h, w in zip(have, want) if h != w]
    if len(have) != len(want):
        wrong.append(f"{len(have)} cases, {len(want)} expected")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("concordat")
    parser.add_argument("root")
    parser.add_argument("--write", action="store_true", help="write messages.txt anew, to be read")
    args = parser.parse_args()
    concordat = os.path.abspath(args.concordat)
    with tempfile.TemporaryDirectory() as folder:
        compiled = [(t, compile_text(concordat, folder, text)) for t, text in compiler_cases()]
        lines = list(input_cases())
        judged = list(zip([t for t, _ in lines],
                          run_lines(concordat, folder, [line for _, line in lines])))
    wrong = compare(os.path.join(args.root, "tests/vectors/rules/messages.txt"), compiled + judged,
                    args.write)
    said = golden_messages(os.path.join(args.root, "tests/unit/rules/messages.golden"))
    said = [re.sub(r"^x\.rules:\d+:\d+: ", "", m) for m in said + [m for _, m in compiled]]
    refused = [re.sub(r"^0\.1 [^:]*: ", "", m) for _, m in judged]
    count = 0
    for functions, files, texts in (
            (("compile_fail", "compile_fail_at"), glob.glob(args.root + "/rules/*.c"), said),
            (("refuse",), [args.root + "/rules/input.c"], refused)):
        for where, expression in messages(args.root, functions, files):
            count += 1
            if not any(re.fullmatch(expression, text) for text in texts):
                if expression not in GUARDS:
                    wrong.append(f"{where}: no case says: {expression}")
            elif expression in GUARDS:
                wrong.append(f"{where}: a case says it, so it is no mere guard: {expression}")
    if wrong:
        print("\n".join(wrong))
        return 1
    print(f"{count} messages in the source, each said by one of {len(said) + len(refused)} cases; "
          f"{len(GUARDS)} guards")
    return 0


if __name__ == "__main__":
    sys.exit(main())
