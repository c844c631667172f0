#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tables of what run.sh measured: table.py RESULTS.

Verdicts ("ok ...", "not ok ... # why") come first; false when one is not ok.
"""
import json
import sys

failed = False


def verdict(good, name, why):
    global failed
    print(f"ok {name}" if good else f"not ok {name} # {why}")
    failed = failed or not good


def samples_of(r):
    """Counted where we can; bpftrace and perf have a timer of a fixed period."""
    return r["samples"] or r["hz"] * r["ns"] / 1e9


def per_sample(r, base):
    """Instructions per sample in the kernel: none are idle, nobody drains."""
    return (r["ns"] - base["ns"] - r["others_ns"]) / samples_of(r)


def text_table(title, head, rows):
    width = [max(len(str(row[i])) for row in [head] + rows) for i in range(len(head))]
    print(f"\n{title}\n")
    for n, row in enumerate([head] + rows):
        print("| " + " | ".join(str(c).rjust(w) for c, w in zip(row, width)) + " |")
        if n == 0:
            print("|" + "|".join("-" * (w + 1) + ":" for w in width) + "|")


def mean(r, field):
    return f"{r[field] / r['samples']:.1f}"


def put(cell, r):
    """Measured twice: without what the kernel does now and then."""
    before = cell.get(r["profiler"])
    if not before or r["ns"] < before["ns"]:
        cell[r["profiler"]] = r


def stacks(part, results):
    """One row for each load and depth."""
    cells = {}
    for r in results:
        if r["part"] == part:
            put(cells.setdefault((r["load"], r["depth"]), {}), r)
    if not cells:
        return
    rows = []
    for (load, depth), cell in cells.items():
        base, ours, perf = cell["none"], cell["kstrata"], cell["perf"]
        lost = ours["lost"] + perf["lost"]
        verdict(lost == 0, f"{load}, {depth} user frames: all samples were kept",
                f"{lost} lost")
        row = [load, mean(ours, "kernel_frames"), mean(perf, "kernel_frames"),
               mean(ours, "user_frames")]
        cost = per_sample(ours, base)
        row += [round(ours["handler_ns"] / ours["samples"]), round(cost)]
        # Without objects in the module, this is the same as addresses.
        objects = cell["objects"]
        named = objects["raw_frames"] < objects["user_frames"]
        row.append(round(per_sample(objects, base)) if named else "-")
        theirs = per_sample(perf, base)
        row += [round(theirs)]
        bpf = cell.get("bpftrace")
        row.append(round(per_sample(bpf, base)) if bpf else "-")
        row.append(f"{cost / theirs:.2f}")
        rows.append(row)
        if part == "smoke":
            verdict(cost < theirs,
                    f"{load}, {depth} user frames: a sample costs less than perf's",
                    f"{cost:.0f} instructions, perf {theirs:.0f}")
            found = per_sample(objects, base)
            verdict(named and found < theirs,
                    f"{load}, {depth} user frames: so does one with objects",
                    f"{found:.0f} instructions, {objects['raw_frames']} frames "
                    f"raw, perf {theirs:.0f}")
            print(f"# {load}: {cost:.0f} instructions per sample, "
                  f"{found:.0f} with objects, perf {theirs:.0f}")
    text_table("Instructions per sample, the kernel's half alone",
               ["load", "kernel frames", "perf's", "user frames",
                "in our handler", "kstrata", "objects", "perf", "bpftrace",
                "kstrata/perf"], rows)


def slope(cells):
    """Instructions for each user frame more, by least squares over the depths."""
    points = [(r["user_frames"] / r["samples"], cost) for r, cost in cells]
    n = len(points)
    x, y = sum(p[0] for p in points) / n, sum(p[1] for p in points) / n
    return (sum((p[0] - x) * (p[1] - y) for p in points) /
            sum((p[0] - x) ** 2 for p in points))


def rows_of(results):
    """User stacks by rows, of programs with frame pointers and without."""
    cells = {}
    for r in results:
        if r["part"] == "rows":
            put(cells.setdefault((r["program"], r["depth"]), {}), r)
    if not cells:
        return
    kinds = [("kbench", "objects"), ("kbench", "rows"), ("kbench-rows", "rows"),
             ("kbench", "perf"), ("kbench", "dwarf")]
    table, found = [], {k: [] for k in kinds}
    for depth in sorted({d for _, d in cells}):
        line = [depth]
        for program, probe in kinds:
            cell = cells[program, depth]
            r = cell[probe]
            cost = per_sample(r, cell["none"])
            found[program, probe].append((r, cost))
            line += [round(cost), round(r["bytes"] / r["samples"])]
            if probe == "rows":
                line.insert(-1, mean(r, "user_frames"))
                share = r["rows_frames"] / (r["user_frames"] - r["samples"])
                verdict(share > .98, f"{program}, {depth} frames: by rows",
                        f"{100 * share:.1f} % of the callers")
            verdict(r["lost"] == 0, f"{program}, {depth} frames, {probe}: all "
                    "samples were kept", f"{r['lost']} lost")
        table.append(line)
    head = ["depth"]
    for name in ("frame pointers", "rows", "no frame pointers, rows", "perf -g",
                 "perf dwarf"):
        head += [name]
        head += ["frames"] if "rows" in name else []
        head += ["bytes"]
    text_table("Instructions and bytes per sample, the kernel's half alone", head,
               table)
    print()
    for program, probe in kinds[:4]:
        print(f"# {program}, {probe}: {slope(found[program, probe]):.1f} "
              "instructions per user frame")


def loads(results):
    base = {}
    rows = {}
    for r in results:
        if r["part"] != "loads":
            continue
        if r["profiler"] == "none":
            put(base.setdefault(r["load"], {}), r)
            continue
        b = base[r["load"]]["none"]["ns"]
        extra = r["ns"] - b
        key = (r["load"], r["hz"])
        rows.setdefault(key, {})[r["profiler"]] = (
            100 * extra / b, 100 * (extra - r["others_ns"]) / b)
    if not rows:
        return
    names = ["kstratad", "fponly", "perf", "dwarf", "bpf"]
    table = []
    for (load, hz), cell in rows.items():
        row = [load, hz, f"{base[load]['none']['ns'] / 1e9:.2f}"]
        for name in names:
            both = cell.get(name)
            row += [f"{both[0]:.3f}", f"{both[1]:.3f}"] if both else ["-", "-"]
        table.append(row)
    head = ["load", "Hz", "10^9 instr."]
    for name in names:
        head += [f"{name} %", "kernel %"]
    text_table("Slowdown of fixed work, whole and without the profiler's process",
               head, table)


def loss(results):
    rows = []
    for r in results:
        if r["part"] != "loss":
            continue
        if "case" in r:
            rows.append([r["cpus"], r["case"], r["samples"], r["lost"], r["missed"],
                         r["throttles"], r["sampled_s"], r["lost_s"], r["idle_s"],
                         r["on_s"]])
            continue
        verdict(r["lost"] == r["told"] and r["lost"] > 0,
                "LOST records tell exactly what was dropped",
                f"{r['lost']} dropped, {r['told']} told")
        # All but what passed from the last expiry to STOP: one period at most.
        total = r["weight"] + r["told_weight"] + r["off_weight"]
        slack = r["on_ns"] - total
        verdict(0 <= slack <= 1.5e9 / r["hz"],
                "kept + lost weight is the time between START and STOP",
                f"{total} of {r['on_ns']} ns")
        print(f"# {r['samples']} kept, {r['lost']} lost and told; "
              f"{slack} ns of {r['on_ns']} since the last expiry")
    if rows:
        text_table("10 kHz on all CPUs",
                   ["CPUs", "daemon", "samples", "lost", "missed", "throttles",
                    "sampled s", "lost s", "idle s", "on s"], rows)


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        results = [json.loads(line) for line in f if line.strip()]
    for part in "stacks", "smoke":
        stacks(part, results)
    rows_of(results)
    loads(results)
    loss(results)
    return failed or not results


sys.exit(main())
