#!/usr/bin/env python3
"""Shows that tidy.py fails when a rule is broken: each case plants one fault in a small tree."""
import os
import subprocess
import sys
import tempfile

TIDY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tidy.py")
CLEAN = {
    "base/x.h": "int x_get(void);\n",
    "base/x.c": '#include "base/x.h"\n\nint x_get(void)\n{\n    return 1;\n}\n',
    "base/meson.build": "files('x.c')\n",
    "ledger/y.c": '#include "base/x.h"\n',
    "ledger/meson.build": "files('y.c')\n",
}
FAULTS = {
    "upward include": ("base/x.c", '#include "ledger/z.h"\n#include "base/x.h"\n', "only point down"),
    "sideways include": ("ledger/y.c", '#include "base/x.h"\n#include "consensus/c.h"\n',
                         "only point down"),
    "foreign header": ("ledger/y.c", '#include "base/x.h"\n#include <rocksdb/c.h>\n',
                       "may only be included"),
    "float": ("ledger/y.c", '#include "base/x.h"\nstatic double v;\n', "no floating point"),
    "clock": ("ledger/y.c", '#include "base/x.h"\nlong f(void)\n{\n    return time(0);\n}\n',
              "from the edge"),
    "unbounded copy": ("base/x.c", '#include "base/x.h"\nvoid f(void)\n{\n    strcpy(a, b);\n}\n',
                       "is banned"),
    "long function": ("ledger/y.c", '#include "base/x.h"\nint f(void)\n{\n' + "    g();\n" * 71 + "}\n",
                      "function of 71 lines"),
    "long file": ("ledger/y.c", '#include "base/x.h"\n' + "int a;\n" * 701, "at most 700 a file"),
    "dead file": ("ledger/dead.c", "int a;\n", "a dead file"),
    "mark": ("ledger/y.c", '#include "base/x.h"\n/* TO' + 'DO later */\n', "finish it"),
}


def tidy(files):
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        return subprocess.run([sys.executable, TIDY, root], capture_output=True, text=True)


def main():
    bad = 0
    clean = tidy(CLEAN)
    if clean.returncode != 0:
        print("a clean tree is refused:\n" + clean.stdout)
        bad += 1
    for fault, (name, text, expected) in FAULTS.items():
        run = tidy({**CLEAN, name: text})
        if run.returncode != 1 or expected not in run.stdout:
            print(f"{fault}: not found; tidy said:\n{run.stdout}")
            bad += 1
    print(f"selftest: {len(FAULTS) + 1 - bad} of {len(FAULTS) + 1} cases")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
