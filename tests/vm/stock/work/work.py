# SPDX-License-Identifier: Apache-2.0
"""Python at work for so many seconds: objects, strings, recursion, C modules."""
import ast
import hashlib
import json
import re
import sys
import threading
import time
import zlib


class Node:
    def __init__(self, depth):
        self.kids = [Node(depth - 1) for _ in range(2)] if depth else []

    def count(self):
        return 1 + sum(map(Node.count, self.kids))


def text(n):
    return " ".join(f"word{i * 7919 % n} {i * i}" for i in range(n))


def rounds():
    words = text(1500)
    found = re.findall(r"(\w+?)(\d+) (\d*[13579])\b", words)
    table = {a + b: sorted(c) for a, b, c in found}
    again = json.loads(json.dumps(table))
    assert again == table and Node(9).count() == 1023
    hashlib.sha256(words.encode() * 20).hexdigest()
    zlib.compress(words.encode(), 9)
    sorted(found, key=lambda f: (f[2][::-1], f[0]))
    compile(ast.parse("x = [f(i, j=i) for i in range(9) if i]\n" * 60), "-", "exec")


def until(end):
    while time.monotonic() < end:
        rounds()


stop = time.monotonic() + float(sys.argv[1])
thread = threading.Thread(target=until, args=(stop,))
thread.start()
until(stop)
thread.join()
