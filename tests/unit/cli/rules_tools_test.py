#!/usr/bin/env python3
"""rules_tools_test.py CONCORDAT: the commands fmt, mutate and explain as their user meets them:
what they print, what they write, and their exit codes."""
import json
import os
import subprocess
import sys
import tempfile

HEAD = 'rules 1\ncontract a.b version 1 effective 2026-07-01\n"A till"\nmeasure EUR to 0.01\n'
UGLY = HEAD + '''party p="x"
account w: EUR
on e(x:EUR) signed by p dated day(now, "UTC") {
clause 1 "Only what is worth it"
require x>=1 EUR else "too little" // edge
issue x into w
}
test "pays" { when e(x: 2 EUR) by "x"
then balance(w) == 2 EUR }
'''
NEAT = HEAD + '''party p = "x"
account w: EUR
on e(x: EUR) signed by p dated day(now, "UTC") {
  clause 1 "Only what is worth it"
  require x >= 1 EUR else "too little"  // edge
  issue x into w
}
test "pays" { when e(x: 2 EUR) by "x"
  then balance(w) == 2 EUR }
'''
EVENT = '{"event":"e","by":["x"],"now":"2026-07-02T10:00:00Z","args":{"x":"%s"}}\n'


def run(*args, stdin=""):
    done = subprocess.run([CONCORDAT, "rules", *args], input=stdin, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def check(what, have, want):
    if have != want:
        sys.exit(f"{what}:\n have {have!r}\n want {want!r}")


def test_fmt(path):
    check("fmt prints", run("fmt", path)[:2], (0, NEAT))
    check("fmt --check of another layout", run("fmt", "--check", path)[0], 1)
    check("fmt --write", run("fmt", "--write", path), (0, "", ""))
    with open(path, encoding="utf-8") as f:
        check("the file", f.read(), NEAT)
    check("fmt --check of the layout", run("fmt", "--check", path), (0, "", ""))
    check("fmt of no file", run("fmt", path + ".absent")[0], 1)


def test_mutate(path):
    code, out, _ = run("mutate", "--json", path)
    lines = [json.loads(line) for line in out.splitlines()]
    check("mutate", (code, [m.get("fate") for m in lines[:-1]]), (0, ["survived", "survived"]))
    check("totals", lines[-1], {"killed": 0, "survived": 2, "guarded": 0, "percent": 0})
    check("a place", (lines[0]["line"], lines[0]["change"], lines[0]["was"], lines[0]["clause"]),
          (9, "require", "x >= 1 EUR", "1"))
    check("mutate --least", run("mutate", "--least", "1", path)[0], 1)
    check("mutate --least 101", run("mutate", "--least", "101", path)[0], 2)
    with open(path, "a", encoding="utf-8") as f:
        f.write('test "edge" { when e(x: 0.99 EUR) by "x" rejected by clause 1\n'
                '  when e(x: 1 EUR) by "x" }\n')
    code, out, _ = run("mutate", "--least", "100", path)
    check("all are killed", (code, out),
          (0, "2 of 2 changes noticed by the tests: 100 %; 0 more are refused by the compiler\n"))


def test_explain(path):
    events = EVENT % "0.25 EUR" + EVENT % "3.00 EUR"
    code, out, _ = run("explain", path, "-", "1", "--lang", "fr", stdin=events)
    check("explain", code, 0)
    for text in ("Contrat a.b, version 1 : A till", "article 1 « Only what is worth it »",
                 "Motif : too little", "exigé : x >= 1 EUR",
                 "constaté : 0,25 EUR contre 1 EUR; écart 0,75 EUR", "Rien n'a été modifié."):
        check(text, text in out, True)
    code, out, _ = run("explain", path, "-", "2", "--json", stdin=events)
    result = json.loads(out)
    check("explain --json", (code, result["n"], result["outcome"]["end"]), (0, 2, "accepted"))
    check("its text", "3.00 EUR newly issued into w (clause 1)" in result["text"], True)
    for n in ("0", "x", "-1", "3"):
        check(f"result {n}", run("explain", path, "-", n, stdin=events)[0], 2)
    check("--lang de", run("explain", path, "-", "1", "--lang", "de", stdin=events)[0], 2)
    check("a bad line", run("explain", path, "-", "1", stdin="{}\n")[0], 2)


def main():
    for name in ("fmt", "mutate", "explain"):
        code, out, _ = run(name, "--help")
        check(f"{name} --help", (code, f"concordat rules {name}" in out), (0, True))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.rules")
        with open(path, "w", encoding="utf-8") as f:
            f.write(UGLY)
        test_fmt(path)
        test_mutate(path)
        test_explain(path)
    print("fmt, mutate, explain: as stated")


CONCORDAT = sys.argv[1]
main()
