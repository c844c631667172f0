#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where programs and threads begin: frames.py ROOT DEBUG

Of all programs below ROOT, and of its C library by the symbols in DEBUG (what
libc6-dbg has), prints lines "NAME PATH FIRST LAST", offsets in the file.
"""
import os
import struct
import subprocess
import sys

PT_LOAD, PT_INTERP = 1, 3
# x86-64's crt1.o has no branch in _start but its one call, and ends with hlt.
START_BYTES = 64
THREADS = {"__clone3": "clone3", "clone3": "clone3", "__clone": "clone",
           "clone": "clone", "__start_context": "__start_context"}


def headers(path):
    """(e_type, entry point, program headers) of an ELF file, or None."""
    with open(path, "rb") as f:
        data = f.read(64)
        if len(data) < 64 or data[:6] != b"\x7fELF\x02\x01":
            return None
        e_type, = struct.unpack_from("<H", data, 16)
        entry, phoff = struct.unpack_from("<QQ", data, 24)
        size, count = struct.unpack_from("<HH", data, 54)
        f.seek(phoff)
        table = f.read(size * count)
    segments = []
    for n in range(count if len(table) == size * count else 0):
        p_type, _, offset, vaddr, _, filesz = struct.unpack_from(
            "<IIQQQQ", table, n * size)
        segments.append((p_type, offset, vaddr, filesz))
    return e_type, entry, segments


def offset_of(segments, address):
    for p_type, offset, vaddr, filesz in segments:
        if p_type == PT_LOAD and vaddr <= address < vaddr + filesz:
            return address - vaddr + offset
    return None


def start_of(path, elf):
    """_start, from the entry point to its hlt."""
    offset = offset_of(elf[2], elf[1])
    if offset is None:
        return None
    with open(path, "rb") as f:
        f.seek(offset)
        code = f.read(START_BYTES)
    end = code.find(b"\xf4")
    # Interrupted at its first instruction, it is told as the one before.
    return offset - 1, offset + (end if end > 0 else START_BYTES)


def build_id(path):
    out = subprocess.run(["readelf", "-n", path], capture_output=True, text=True,
                         check=False).stdout
    for line in out.splitlines():
        if "Build ID:" in line:
            return line.split()[-1]
    return ""


def symbols(path, names):
    out = subprocess.run(["readelf", "-sW", path], capture_output=True, text=True,
                         check=True).stdout
    for line in out.splitlines():
        field = line.split()
        if len(field) >= 8 and field[7].split("@")[0] in names:
            yield field[7].split("@")[0], int(field[1], 16), int(field[2], 0)


def main():
    root, debug = sys.argv[1:]
    found = set()
    for directory, _, files in os.walk(root + "/usr"):
        for name in files:
            path = os.path.join(directory, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            elf = headers(path)
            loader = name.startswith("ld-linux")
            if not elf or not elf[1] or not (
                    loader or any(s[0] == PT_INTERP for s in elf[2])):
                continue
            # Libraries that can be run, to tell their version, are not programs.
            if ".so" in name and not loader:
                continue
            inside = path[len(root):]
            start = start_of(path, elf)
            if loader:
                # Its _start goes on behind, with what runs constructors.
                start = start and (start[0], start[0] + START_BYTES)
            if start:
                found.add(("_start", inside, *start))
    libc = "/usr/lib/x86_64-linux-gnu/libc.so.6"
    elf = headers(root + libc)
    ident = build_id(root + libc)
    detached = f"{debug}/usr/lib/debug/.build-id/{ident[:2]}/{ident[2:]}.debug"
    for name, address, size in symbols(detached, THREADS):
        offset = offset_of(elf[2], address)
        if offset is not None and size:
            found.add((THREADS[name], libc, offset, offset + size))
    if not any(f[0] == "clone3" for f in found):
        print("frames.py: clone3 is not in the C library", file=sys.stderr)
        return 1
    for name, path, first, last in sorted(found):
        print(f"{name} {path} {first:#x} {last:#x}")
    return 0


sys.exit(main())
