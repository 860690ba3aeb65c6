#!/usr/bin/env python3
"""Runs every example of docs/RULES.md and compares every message that the page shows.

usage: docs_examples.py CONCORDAT PAGE...

Fenced blocks of a page, by the words behind the three backquotes:
  rules file=NAME    begins the text NAME; the blocks `rules` after it are added to its end
  rules frame=NAME   begins the text NAME; a block `rules` after it is added for itself alone: at the
                     line `…` if it begins with a statement, at the end if with a declaration;
                     a block that begins with `rules 1` is a whole text of its own
  rules              must compile, and its tests must pass
  rules error        must fail, with exactly the block `message` that follows it
  json file=NAME     is written to the file NAME
  console            `$ COMMAND` lines run in one directory; the other lines are their output
  sh                 is not run, but each `concordat` command in it must exist
The words and functions of the language are read from rules/: each must stand in an example that
passes."""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
DECLARATIONS = {"measure", "party", "term", "record", "table", "uses", "account", "on", "test"}
MARK = "  …\n"
# Reserved for other languages' sake: no construct uses them.
UNUSED = {"null", "break", "const", "continue", "function", "import", "loop", "package",
          "namespace", "return", "var", "void", "while"}


def language_words():
    """Reserved words, words of the grammar, and built-in functions, from the compiler's source."""
    with open(os.path.join(ROOT, "rules", "lex.c"), encoding="utf-8") as f:
        table = re.search(r"reserved\[\] = \{(.*?)\};", f.read(), re.S).group(1)
    words = set(re.findall(r'"(\w+)"', table)) - UNUSED
    with open(os.path.join(ROOT, "rules", "eval_call.c"), encoding="utf-8") as f:
        functions = set(re.findall(r'^    \{"(\w+)", (?:true|false), "', f.read(), re.M))
    with open(os.path.join(ROOT, "rules", "check_call.c"), encoding="utf-8") as f:
        functions |= set(re.findall(r'\{"(\w+)", \d, MACRO_', f.read()))
    if len(words) < 40 or len(functions) < 35:
        raise SystemExit("docs_examples: the words of the language were not found in rules/")
    return words, functions | {"has", "balance"}


def blocks_of(page):
    """(line of the fence, words behind it, text) of each fenced block."""
    found, start = [], None
    with open(page, encoding="utf-8") as f:
        lines = f.read().split("\n")
    for number, line in enumerate(lines, 1):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
            continue
        words = lines[start - 1][3:].split()
        found.append((start, words, "".join(row + "\n" for row in lines[start:number - 1])))
        start = None
    if start is not None:
        raise SystemExit(f"{page}:{start}: this block is not closed")
    return found


class Page:
    def __init__(self, concordat, page, folder):
        self.concordat, self.page, self.folder = concordat, page, folder
        self.name, self.text, self.frame = None, "", False
        self.failures, self.counts, self.passed = [], {}, []

    def fail(self, line, text):
        self.failures.append(f"{self.page}:{line}: {text}")

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as f:
            f.write(text)

    def run(self, words):
        done = subprocess.run([self.concordat] + words, cwd=self.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60, check=False)
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def placed(self, text):
        """The whole text with this example in it."""
        first = re.match(r"(?:\s|//[^\n]*\n)*(\w*)", text).group(1)
        if first == "rules" or self.name is None:
            return text
        if not self.frame or first in DECLARATIONS:
            return self.text.replace(MARK, "") + "\n" + text
        return self.text.replace(MARK, "".join("  " + row + "\n" for row in text.splitlines()))

    def rules(self, line, words, text):
        for word in words:
            if word.startswith(("file=", "frame=")):
                self.name, self.text = word.split("=", 1)[1], ""
                self.frame = word.startswith("frame=")
                self.text = text
        whole = self.placed(text)
        self.write(self.name, whole.replace(MARK, ""))
        code, output = self.run(["rules", "test", self.name])
        if "error" in words:
            return code, output
        if code != 0:
            self.fail(line, "this example fails:\n" + output)
        self.passed.append(text)
        if not self.frame:
            self.text = whole
        return None

    def message(self, line, failed, text):
        if failed is None:
            self.fail(line, "a message without a block 'rules error' before it")
            return
        code, output = failed
        if code == 0:
            self.fail(line, "the block before it passes; it should give this message")
        elif output != text:
            self.fail(line, "the message is\n" + output)

    def console(self, line, text):
        if self.name is not None:
            self.write(self.name, self.text.replace(MARK, ""))
        for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
            command, _, expected = part.partition("\n")
            words = command.split()
            if words[0] == "touch":
                self.write(words[1], "")
                output = ""
            elif words[:2] == ["concordat", "rules"]:
                _, output = self.run(words[1:])
            else:
                self.fail(line, f"'{command}' cannot be run here")
                continue
            if output != expected:
                self.fail(line, f"'{command}' prints\n{output}")

    def shell(self, line, text):
        for command in re.findall(r"concordat ([a-z][a-z -]*)", text):
            words = [word for word in command.split() if not word.startswith("-")]
            if not any(self.run(words[:n] + ["--help"])[0] == 0 for n in (1, 2) if words[:n]):
                self.fail(line, f"there is no command 'concordat {command.strip()}'")

    def check(self):
        failed = None
        for line, words, text in blocks_of(self.page):
            kind = words[0] if words else ""
            self.counts[kind] = self.counts.get(kind, 0) + 1
            if failed is not None and kind != "message":
                self.fail(line, "a block 'message' should come first")
                failed = None
            if kind == "rules":
                failed = self.rules(line, words[1:], text)
            elif kind == "message":
                self.message(line, failed, text)
                failed = None
            elif kind == "json":
                self.write(words[1].split("=", 1)[1], text)
            elif kind == "console":
                self.console(line, text)
            elif kind == "sh":
                self.shell(line, text)
            elif kind not in ("text", "proto"):
                self.fail(line, f"a block of unknown kind '{kind}'")


def missing_words(passed):
    code = "\n".join(re.sub(r'"(?:\\.|[^"\\])*"|//[^\n]*', " ", text) for text in passed)
    words, functions = language_words()
    missing = sorted(w for w in words if not re.search(rf"\b{w}\b", code))
    return missing + sorted(f for f in functions if not re.search(rf"\b{f}\(", code))


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    failures, passed, counts = [], [], {}
    for page in sys.argv[2:]:
        with tempfile.TemporaryDirectory() as folder:
            one = Page(os.path.abspath(sys.argv[1]), page, folder)
            one.check()
        failures += one.failures
        passed += one.passed
        for kind, count in one.counts.items():
            counts[kind] = counts.get(kind, 0) + count
    failures += [f"'{word}' stands in no example that passes" for word in missing_words(passed)]
    for text in failures:
        print(text)
    print("docs_examples:", ", ".join(f"{n} {kind or 'plain'}" for kind, n in sorted(counts.items())),
          f"- {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
