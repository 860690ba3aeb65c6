#!/usr/bin/env python3
"""The syntax files of contracts/editor know the words of the language, no more and no fewer.

usage: docs_editor.py EDITOR_FOLDER CONTRACT...

The words are read from rules/. The grammar for VS Code must parse and name only patterns that
compile. Where Vim with syntax is installed, it colours the contracts, and a few places of a line
must come out in the right group."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from docs_examples import UNUSED, language_words  # noqa: E402

# A line, and the group that each of its marked places must have.
LINE = 'transfer round(max(a, 2 kWh) * 0.13 EUR/kWh, EUR, half_up) from w["b\\n"] to x.size() // note'
PLACES = {"transfer": "rulesStatement", "round": "rulesFunction", "max(": "rulesFunction",
          "2 ": "rulesNumber", "kWh)": "rulesUnit", "0.13": "rulesNumber", "EUR/": "rulesUnit",
          "EUR,": "rulesMeasure", "half_up": "rulesMode", "from": "rulesStatement",
          "b\\n": "rulesString", "\\n": "rulesEscape", "size": "rulesFunction",
          "note": "rulesComment"}


def patterns_of(node):
    """All regular expressions of a TextMate grammar."""
    if isinstance(node, list):
        return [p for item in node for p in patterns_of(item)]
    if not isinstance(node, dict):
        return []
    own = [node[k] for k in ("match", "begin", "end") if isinstance(node.get(k), str)]
    return own + [p for value in node.values() for p in patterns_of(value)]


def check_words(name, text, failures):
    words, functions = language_words()
    known = set(re.findall(r"[A-Za-z_]+", re.sub(r"\\(z[es]|.)", " ", text)))
    for word in sorted((words | functions | UNUSED) - known):
        failures.append(f"{name} does not know '{word}'")


def check_grammar(folder, failures):
    for name in ("package.json", "language-configuration.json", "rules.tmLanguage.json"):
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            parsed = json.load(f)
    patterns = patterns_of(parsed)
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as e:
            failures.append(f"rules.tmLanguage.json: {pattern}: {e}")
    check_words("rules.tmLanguage.json", " ".join(patterns), failures)


def vim(lines, folder):
    """Runs commands of Vim in silent mode; what they echo."""
    with open(os.path.join(folder, "do.vim"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\nqall!\n")
    done = subprocess.run(["vim", "-es", "-u", "NONE", "-i", "NONE", "-N", "-S",
                           os.path.join(folder, "do.vim")], capture_output=True, text=True,
                          timeout=60, check=False, env=dict(os.environ, TERM="dumb"))
    return done.stdout + done.stderr


def check_vim(editor, contracts, failures):
    with open(os.path.join(editor, "vim", "syntax", "rules.vim"), encoding="utf-8") as f:
        check_words("rules.vim", f.read(), failures)
    if shutil.which("vim") is None:
        print("SKIP of the colours: there is no vim")
        return
    with tempfile.TemporaryDirectory() as folder:
        if "yes" not in vim(["if has('syntax') && has('eval')", "verbose echo 'yes'", "endif"],
                            folder):
            print("SKIP of the colours: this vim has no syntax")
            return
        path = os.path.join(folder, "line.rules")
        with open(path, "w", encoding="utf-8") as f:
            f.write("rules 1\n" + LINE + "\n")
        start = [f"set runtimepath^={os.path.abspath(editor)}/vim", "filetype on", "syntax on"]
        asked = [f"verbose echo 'GROUP ' . synIDattr(synID(2, {LINE.index(place) + 1}, 1), 'name')"
                 for place in PLACES]
        groups = re.findall(r"GROUP (\w*)", vim(start + ["edit " + path] + asked, folder))
        for place, group in zip(PLACES, groups + ["nothing"] * len(PLACES)):
            if group != PLACES[place]:
                failures.append(f"rules.vim: '{place}' is {group}, not {PLACES[place]}")
        for contract in contracts:
            seen = vim(start + ["edit " + os.path.abspath(contract),
                                "verbose echo 'TYPE ' . &filetype",
                                "let g:bad = 0",
                                "for n in range(1, line('$'))",
                                "  for c in range(1, col([n, '$']) - 1)",
                                "    if synIDattr(synIDtrans(synID(n, c, 1)), 'name') ==# 'Error'",
                                "      let g:bad += 1", "    endif", "  endfor", "endfor",
                                "verbose echo 'BAD ' . g:bad"], folder)
            if "TYPE rules" not in seen or "BAD 0" not in seen:
                failures.append(f"rules.vim: {contract}: {seen.strip()}")


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    failures = []
    check_grammar(os.path.join(sys.argv[1], "vscode"), failures)
    check_vim(sys.argv[1], sys.argv[2:], failures)
    for text in failures:
        print(text)
    print(f"docs_editor: {len(sys.argv) - 2} contracts, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
