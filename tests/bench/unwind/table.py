# SPDX-License-Identifier: Apache-2.0
"""
Tables of what unwind rows cost.

  table.py tables DIR                         from DIR/unwind-*.jsonl
  table.py verdicts DIR                       ok and not ok
  table.py callgrind FILE PATTERN LOOKUPS     callgrind_annotate's text, to JSON
"""

import json
import os
import re
import sys

OTHERS = ("paged", "eight", "fourteen")
MIB = 1 << 20


def lines(directory, name):
    path = os.path.join(directory, f"unwind-{name}.jsonl")
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return [json.loads(line) for line in f]


def total(directory, name):
    return next((x for x in lines(directory, name) if x["file"] == "sum"), None)


def size(count):
    return f"{count / MIB:.2f}" if count < 100 * MIB else f"{count / MIB:.0f}"


def row(*cells):
    print("| " + " | ".join(str(c) for c in cells) + " |")


def size_row(name, x):
    row(name, f"{x['rows']:,}", f"{x['rules']:,}", size(x["ours"]),
        f"{x['ours'] / x['rows']:.2f}", *(size(x[o]) for o in OTHERS),
        size(x["frame_bytes"]), f"{x['microseconds'] / 1000:,.0f}",
        f"{x['microseconds'] / 1000 / (x['file_bytes'] / MIB):.2f}")


def tables(directory):
    files = [x for x in lines(directory, "files") if x["file"] != "sum"]
    usr = total(directory, "usr")
    if files or usr:
        print("MiB of tables; ms of one CPU to compile:\n")
        row("file", "rows", "rules", "ours", "bytes/row", "paged", "8-byte rows",
            "14-byte rows", ".eh_frame", "ms", "ms/MiB")
        row(*["---"] * 11)
        for x in sorted(files, key=lambda x: x["rows"]):
            size_row(os.path.basename(x["file"]), x)
        if usr:
            size_row(f"/usr, {usr['files']:,} files", usr)
    for name, what in (("mapped", "mapped executable here"),
                       ("stock", "stock programs and their libraries")):
        x = total(directory, name)
        if x and x["rows"]:
            size_row(f"{what}, {x['files']} files", x)
    cost, count = lines(directory, "cost"), lines(directory, "count")
    if cost:
        print("\nA look-up (time: ours is 1):\n")
        row("file", "places", "", "ours", "paged", "8-byte rows", "14-byte rows")
        row(*["---"] * 7)
    for x in cost:
        name = os.path.basename(x["file"])
        row(name, x["pattern"], "time", "1", *(f"{x[o]:.2f}" for o in OTHERS))
        for c in count:
            if (c["file"], c["pattern"]) != (x["file"], x["pattern"]):
                continue
            for key, what in (("instructions", "instructions"),
                              ("misses", "cache lines missed")):
                row(name, x["pattern"], what,
                    *(f"{c[key][o]:.{0 if key == 'instructions' else 1}f}"
                      for o in ("ours",) + OTHERS))


def verdicts(directory):
    failed = False

    def verdict(good, text):
        nonlocal failed
        failed = failed or not good
        print("ok" if good else "not ok", text)

    usr = total(directory, "usr")
    # A larger /usr may have more.
    limit = 64 * MIB * max(1, usr["file_bytes"] / (3 << 30))
    verdict(usr["ours"] < limit,
            "the tables of all of /usr take less than 64 MiB, 3 GiB of files"
            f" # {size(usr['ours'])}, {usr['file_bytes'] / (1 << 30):.2f}")
    verdict(usr["ours"] < 4 * usr["rows"],
            f"a row takes less than 4 bytes # {usr['ours'] / usr['rows']:.2f}")
    for other in OTHERS:
        verdict(usr["ours"] < usr[other],
                f"other layouts take more: {other} # {usr[other] / usr['ours']:.2f} times")
    stock = total(directory, "stock")
    verdict(stock["ours"] < 8 * MIB,
            "the tables of a host's usual programs take less than 8 MiB"
            f" # {size(stock['ours'])}, {stock['files']} files")
    return failed


def callgrind(name, pattern, lookups):
    sums = {}
    for line in sys.stdin:
        m = re.match(r"\s*([\d,]+) \([^)]*\)\s+([\d,.]+)(?: \([^)]*\))?.*:measure_(\w+)",
                     line)
        if m:
            sums[m[3]] = [int(v.replace(",", "").replace(".", "") or 0)
                          for v in (m[1], m[2])]
    base = sums.pop("nothing")
    print(json.dumps({
        "file": name, "pattern": pattern,
        "instructions": {k: (v[0] - base[0]) / lookups for k, v in sums.items()},
        "misses": {k: (v[1] - base[1]) / lookups for k, v in sums.items()}}))


def main():
    if sys.argv[1] == "tables":
        tables(sys.argv[2])
    elif sys.argv[1] == "verdicts":
        sys.exit(verdicts(sys.argv[2]))
    else:
        callgrind(sys.argv[2], sys.argv[3], int(sys.argv[4]))


main()
