#!/usr/bin/env python3
"""Checks what the compiler cannot: layers, foreign headers, banned calls, sizes, dead files.

usage: tidy.py [ROOT]      prints FILE:LINE: message for each finding; exit 1 if there is any

The table of layers is that of docs/ARCHITECTURE.md. There is no list of exceptions.
"""
import os
import re
import subprocess
import sys

LAYER = {"base": 0, "crypto": 1, "rules": 1, "storage": 1, "proto": 2, "net": 2,
         "ledger": 3, "consensus": 3, "verify": 3, "server": 4, "audit": 4, "cli": 5}

# Foreign header -> where it may be included (folder or file prefixes).
FOREIGN = {
    r"raft\.h": ["consensus/", "tests/sim/", "tests/unit/consensus/", "tests/fuzz/consensus/"],
    r"rocksdb/.*": ["storage/kv_rocks"],
    r"ev\.h": ["net/"],
    r"nghttp2/.*": ["net/", "tests/unit/net/"],
    r"openssl/.*": ["crypto/", "net/", "tests/unit/net/", "tests/unit/crypto/"],
    r"protobuf-c/.*": ["proto/"],
    r".*\.pb-c\.h": ["proto/"],
    r"yaml\.h": ["server/"],
    r"jansson\.h": ["cli/", "tests/"],
    r"cmocka\.h": ["tests/"],
}

# Pattern, where it is banned (empty: everywhere in the product), what to use instead.
BANNED = [
    (r"\b(strcpy|strcat|sprintf|gets|strtok)\s*\(", [], "use snprintf, buf_ or arena_ functions"),
    (r"\b(atoi|atol|atoll|atof)\s*\(", [], "use strtoll with a check of the whole text"),
    (r"\balloca\s*\(", [], "use the arena"),
    (r"\b(malloc|calloc|realloc)\s*\(", ["rules/", "ledger/", "server/", "cli/"],
     "use mem_new, mem_resize or an arena"),
    (r"\b(float|double)\b", ["base/", "crypto/", "rules/", "storage/", "proto/", "ledger/",
                             "consensus/"], "no floating point below server/"),
    (r"\b(time|gettimeofday|clock_gettime|rand|random|getrandom|setlocale|localtime|mktime)\s*\(",
     ["rules/", "ledger/", "consensus/", "proto/"], "time and randomness come in from the edge"),
    (r"\blog_(debug|info|warn|error|line)\s*\(", ["base/", "crypto/", "rules/", "storage/",
     "proto/", "net/", "ledger/", "consensus/"], "only server/ and cli/ log"),
    (r"\bassert\s*\(", ["base/", "crypto/", "rules/", "storage/", "proto/", "net/", "ledger/",
     "consensus/", "server/", "cli/"], "use require or static_assert"),
]
MARKS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 700
LINE_CHARS_MAX = 100


def tracked(root):
    if os.path.isdir(os.path.join(root, ".git")):
        out = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"],
                             check=True, capture_output=True, text=True).stdout
        return sorted(f for f in out.split("\n") if f and os.path.exists(os.path.join(root, f)))
    found = []
    for folder, _, names in os.walk(root):
        found += [os.path.relpath(os.path.join(folder, n), root) for n in names]
    return sorted(found)


def strip_code(text):
    """Comments and literals become blanks of the same length and lines."""
    pattern = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.S)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def check_includes(name, text, report):
    folder = name.split("/")[0]
    for m in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', text, re.M):
        header, line = m.group(2), line_of(text, m.start())
        target = header.split("/")[0]
        if folder in LAYER and m.group(1) == '"' and target in LAYER and target != folder:
            if LAYER[target] >= LAYER[folder]:
                report(name, line, f"{folder}/ may not include {header}: includes only point down")
        for pattern, allowed in FOREIGN.items():
            if re.fullmatch(pattern, header) and not any(name.startswith(a) for a in allowed):
                report(name, line, f"<{header}> may only be included in {', '.join(allowed)}")


def check_banned(name, code, report):
    folder = name.split("/")[0]
    if folder not in LAYER or name.startswith("base/clock.c"):
        return
    for pattern, where, instead in BANNED:
        if where and not any(name.startswith(w) for w in where):
            continue
        for m in re.finditer(pattern, code):
            if name in ("base/log.c", "base/mem.c", "base/log.h"):
                continue  # where the thing itself is made
            report(name, line_of(code, m.start()), f"'{m.group(0).strip()}' is banned: {instead}")


def check_sizes(name, text, code, report):
    lines = text.split("\n")
    if len(lines) - 1 > FILE_LINES_MAX:
        report(name, FILE_LINES_MAX, f"{len(lines) - 1} lines; at most {FILE_LINES_MAX} a file")
    start = None
    for number, line in enumerate(code.split("\n"), 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            if number - start + 1 > FUNCTION_LINES_MAX + 2:
                report(name, start, f"function of {number - start - 1} lines; at most "
                                    f"{FUNCTION_LINES_MAX}")
            start = None
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_CHARS_MAX:
            report(name, number, f"{len(line)} characters; at most {LINE_CHARS_MAX} a line")


def check_dead(names, root, report):
    builds = ""
    for name in names:
        if os.path.basename(name) == "meson.build":
            with open(os.path.join(root, name), encoding="utf-8") as f:
                builds += f.read()
    headers_used = set()
    for name in names:
        if name.endswith((".c", ".h")):
            with open(os.path.join(root, name), encoding="utf-8") as f:
                headers_used.update(re.findall(r'#\s*include\s*"([^"]+)"', f.read()))
    for name in names:
        base = os.path.basename(name)
        if name.endswith(".c"):
            stem = re.escape(re.sub(r"(_test|_fuzz)?\.c$", "", base))
            if not re.search(rf"\b{stem}(_test|_fuzz)?(\.c)?'", builds):
                report(name, 1, "is in no meson.build: a dead file")
        elif name.endswith(".h"):
            if name not in headers_used and base not in headers_used:
                report(name, 1, "is included nowhere: a dead file")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../..")
    findings = []

    def report(name, line, text):
        findings.append(f"{name}:{line}: {text}")

    names = tracked(root)
    for name in names:
        if not name.endswith((".c", ".h", ".py", ".sh", ".proto", ".js", ".rules")):
            continue
        with open(os.path.join(root, name), encoding="utf-8") as f:
            text = f.read()
        if not name.startswith("tests/tidy/"):
            for m in MARKS.finditer(text):
                report(name, line_of(text, m.start()), f"{m.group(0)}: finish it or remove it")
        if name.endswith((".c", ".h")):
            code = strip_code(text)
            check_includes(name, text, report)
            check_banned(name, code, report)
            check_sizes(name, text, code, report)
    check_dead(names, root, report)
    for finding in findings:
        print(finding)
    print(f"tidy: {len(names)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
