#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How many user stacks are whole: table.py RESULTS FRAMES

RESULTS is what tests/vm/stock.sh has left, FRAMES says where programs and threads
begin (tests/vm/stock/frames.py). A stack is whole if its outermost frame lies in
_start (of the program or of the dynamic loader), clone or clone3 (a thread's first
code) or __start_context (a coroutine's). Stacks of the kernel's alone do not count.

Prints "table stock ...", "# ..." and verdicts ("ok ...", "not ok ... # why"); false
when one is not ok.
"""
import collections
import os
import re
import sys
import urllib.parse

# Whose processes count as whose: the files' names.
SERVICES = {
    "python3": r"python3(\.\d+)?",
    "perl": r"perl",
    "bash": r"bash",
    "git": r"git",
    "gcc": r"cc1|as|collect2|ld(\.bfd)?|x86_64-linux-gnu-.*",
    "sqlite3": r"sqlite3",
    "openssl": r"openssl",
    "redis": r"redis-.*",
    "nginx": r"nginx|ab",
    "postgres": r"postgres|pgbench|psql",
    "node": r"node",
    "java": r"java",
    "java-fp": r"java",
    "stress-ng": r"stress-ng",
}
METHODS = "kstrata", "kstrata_fp", "perf_fp", "perf_dwarf"
GOAL = 99.5
# Java's compiler uses the frame pointer for other things, and tells nobody in what
# way the caller is to be found: how much of a run is in such code varies.
JIT_WITHOUT_FP = {"java"}
GOAL_JIT = 98.5
# What the kernel's part of a stack begins with.
KERNEL = re.compile(r"(entry_|asm_|ret_from_fork|error_entry|xen_|irq_entries_start|"
                    r"common_interrupt|sysvec_|exc_|do_syscall|nmi|\[kernel\])")
CUT = re.compile(r"\[cut: (.*)\]$")
ASKED = re.compile(r'== .*cgroup="/(warm-)?([^"]*)",service_name="([^"]*)"')
PLACE = re.compile(r"\[(.*)\+(0x[0-9a-f]+)\]$")


class Frames:
    """What truly is outermost."""

    def __init__(self, path):
        self.at = collections.defaultdict(list)
        self.names = {"_start", "__clone", "clone", "clone3", "__clone3",
                      "__start_context"}
        with open(path, encoding="utf-8") as f:
            for line in f:
                name, file, first, last = line.split()
                where = int(first, 16), int(last, 16), name
                self.at[os.path.basename(file)].append(where)

    def name(self, file, offset):
        """Of the code at an offset of a file; None: nothing begins there."""
        for first, last, name in self.at.get(os.path.basename(file), ()):
            if first <= offset <= last:
                return name
        return None


class Count:
    def __init__(self):
        self.whole = self.all = 0
        self.ends = collections.Counter()
        self.why = collections.Counter()
        self.example = {}

    def add(self, weight, whole, why, end, stack):
        self.all += weight
        if whole:
            self.whole += weight
            self.ends[end] += weight
        else:
            self.why[why] += weight
            self.example.setdefault(why, collections.Counter())[stack] += weight

    def merge(self, other):
        self.all += other.all
        self.whole += other.whole
        self.ends += other.ends
        self.why += other.why
        for why, stacks in other.example.items():
            self.example.setdefault(why, collections.Counter()).update(stacks)

    def share(self):
        return 100 * self.whole / self.all if self.all else None


def service_of(program, file):
    return re.fullmatch(SERVICES[program], file) is not None


def folded(path, frames):
    """{(run, program): Count} of what a daemon has stored."""
    counts = collections.defaultdict(Count)
    lines = []
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            asked = ASKED.match(urllib.parse.unquote(line))
            if not asked:
                lines.append(line)
                continue
            run = "first" if asked[1] else "steady"
            if service_of(asked[2], asked[3]):
                for stack in lines:
                    count_folded(counts[run, asked[2]], stack, frames)
            lines = []
    return counts


def count_folded(count, line, frames):
    stack, weight = line.rsplit(" ", 1)
    if not weight.strip().isdigit():
        return
    stack = stack.split(";")
    cut = CUT.match(stack[0])
    if cut:
        stack = stack[1:]
    if not stack or KERNEL.match(stack[0]):
        return
    place = PLACE.match(stack[0])
    if place:
        end = frames.name(place[1], int(place[2], 16))
    else:
        end = stack[0] if stack[0] in frames.names else None
    why = cut[1] if cut else "said to be whole"
    count.add(int(weight), end, why, end, ";".join(stack))


# At time 0, what was there already is told as if it came then.
EXEC = re.compile(r"(?:PERF_RECORD_COMM exec| 0\.0+: PERF_RECORD_COMM): .*:(\d+)/\1$")
FORK = re.compile(r"PERF_RECORD_FORK\((\d+):\d+\):\((\d+):\d+\)")
# The first code that a process maps is its program's.
MMAP = re.compile(r"PERF_RECORD_MMAP2? (\d+)/\d+: \[.*\]: ..x. (/.*)$")
SAMPLE = re.compile(r"\s*(\d+)/\d+\s+(\d+\.\d+):\s*$")
# Of a file's code, perf script prints the offset in the file.
CALL = re.compile(r"\s*([0-9a-f]+) \((.*)\)$")
KERNEL_ADDRESS = 1 << 63


def phase_of(phases, time):
    for name, begin, end in phases:
        if begin <= time <= end:
            return name
    return None


def perf(path, frames, phases):
    """The same of a recording, as perf script prints it."""
    counts = collections.defaultdict(Count)
    programs = {}
    sample = None

    def done():
        if sample is None:
            return
        pid, time, chain = sample
        user = [c for c in chain if c[0] < KERNEL_ADDRESS]
        program = phase_of(phases, time)
        if not user or not program or not service_of(program,
                                                     programs.get(pid, "")):
            return
        offset, file = user[-1]
        # The only frame may be the interrupted instruction, not a return address.
        end = frames.name(file, offset - (len(chain) > 1))
        why = "in a file" if file.startswith("/") else "in no file"
        counts["steady", program].add(1, end, why, end, ";".join(
            f"{os.path.basename(f)}+{o:#x}" for o, f in reversed(user)))

    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            line = line.rstrip("\n")
            if sample and (call := CALL.match(line)):
                sample[2].append((int(call[1], 16), call[2]))
                continue
            done()
            sample = None
            if start := SAMPLE.match(line):
                sample = int(start[1]), float(start[2]), []
            elif m := MMAP.search(line):
                programs.setdefault(int(m[1]), os.path.basename(m[2]))
            elif m := FORK.search(line):
                if m[1] != m[2] and int(m[2]) in programs:
                    programs[int(m[1])] = programs[int(m[2])]
            elif m := EXEC.search(line):
                programs.pop(int(m[1]), None)
    done()
    return counts


def verdict(good, name, why):
    print(f"ok {name}" if good else f"not ok {name} # {why}")
    return good


def text(count):
    share = count.share()
    return "-" if share is None else f"{share:.2f}"


def reasons(count):
    return ", ".join(f"{why} {100 * n / count.all:.2f} %"
                     for why, n in count.why.most_common()) or "none"


def main():
    results, frames = sys.argv[1], Frames(sys.argv[2])
    with open(f"{results}/phases", encoding="utf-8") as f:
        phases = [(n, float(b), float(e)) for n, b, e in map(str.split, f)]
    programs = [p[0] for p in phases]
    found = {m: folded(f"{results}/{m}.folded", frames) for m in METHODS[:2]}
    found |= {m: perf(f"{results}/{m}.script", frames, phases) for m in METHODS[2:]}
    overall = {m: Count() for m in METHODS}
    first = Count()
    for program in programs:
        cells = {m: found[m]["steady", program] for m in METHODS}
        for m in METHODS:
            overall[m].merge(cells[m])
        once = found["kstrata"]["first", program]
        first.merge(once)
        line = " ".join(f"{m.removeprefix('kstrata_')}={text(c)}"
                        for m, c in cells.items())
        print(f"table stock program={program} {line} first={text(once)} "
              f"samples={cells['perf_fp'].all} "
              f"cut=\"{reasons(cells['kstrata'])}\"")
    ahead = Count()
    for program in set(programs) - JIT_WITHOUT_FP:
        ahead.merge(found["kstrata"]["steady", program])
    line = " ".join(f"{m.removeprefix('kstrata_')}={text(c)}"
                    for m, c in overall.items())
    print(f"table stock program=all-but-jit kstrata={text(ahead)} "
          f"cut=\"{reasons(ahead)}\"")
    print(f"table stock program=all {line} first={text(first)} "
          f"samples={overall['perf_fp'].all} cut=\"{reasons(overall['kstrata'])}\"")
    for m in METHODS:
        print(f"# {m}: ends: {dict(overall[m].ends)}, of the rest: {reasons(overall[m])}")
    with open(f"{results}/misses", "w", encoding="utf-8") as out:
        for m in METHODS:
            for program in programs:
                count = found[m]["steady", program]
                for why, stacks in count.example.items():
                    for stack, n in stacks.most_common(8):
                        print(f"{m} {program} {100 * n / count.all:.3f} {why}: {stack}",
                              file=out)
    good = True
    for program in programs:
        seen = found["kstrata"]["steady", program].all
        good &= verdict(seen > 0, f"{program} is seen at work", "no user stacks")
    ours, theirs = overall["kstrata"].share() or 0, overall["perf_dwarf"].share() or 0
    good &= verdict((ahead.share() or 0) >= GOAL,
                    f"{GOAL} % of user stacks of code compiled ahead are whole",
                    f"{text(ahead)} %")
    good &= verdict(ours >= GOAL_JIT, f"{GOAL_JIT} % are, with what a JIT made",
                    f"{ours:.2f} %")
    good &= verdict(ours >= theirs, "as many as perf finds from copies of the stack",
                    f"{ours:.2f} %, perf {theirs:.2f} %")
    return not good


sys.exit(main())
