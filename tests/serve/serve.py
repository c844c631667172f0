# SPDX-License-Identifier: Apache-2.0
"""The daemon and the tool, as their users see them."""

import gzip
import json
import os
import random
import signal
import socket
import stat
import sys
import time

from harness import (BUILD, CPU, Daemon, TEMP, UnixConnection, contains, equal, run,
                     run_all, test, tool, until)

SAMPLE = 10_000_000  # of a push without a sample rate, ns


def app(name):
    return f'{CPU}{{service_name="{name}"}}'


# ---- folded text ------------------------------------------------------------

def random_stacks(number):
    """Distinct stacks, of depths and names as real ones have them."""
    rng = random.Random(42)
    words = ["main", "run loop", "operator<<", "std::vector<int, std::allocator<int>>::push_back",
             "net/http.(*conn).serve", "größe", "函数", "[unknown]", "0x7f001234", "lambda(1)", "a.b",
             "-[NSObject init]", "x 12", "$LT$alloc..vec..Vec$GT$", "entry_SYSCALL_64", "<clinit>"]
    stacks = {}
    while len(stacks) < number:
        depth = min(1 + int(rng.expovariate(1 / 12)), 120)
        stack = ";".join(f"{rng.choice(words)}_{int(rng.paretovariate(0.7)) % 1000}"
                         for _ in range(depth))
        stacks[stack] = rng.choice([1, 1, 1, 2, 3, 17, 1000, 123456789])
    return stacks


def as_text(stacks):
    return "".join(f"{s} {n}\n" for s, n in stacks.items()).encode()


@test
def hundred_thousand():
    """100,000 stacks come back as they went in, and again after a restart."""
    stacks = random_stacks(100_000)
    want = {s: n * SAMPLE for s, n in stacks.items()}
    d = Daemon()
    reply = d.ingest(as_text(stacks), "many.cpu{host=a}")
    equal(reply.status, 200, reply.body)
    assert d.folded(app("many")) == want, "what comes back differs"
    equal(d.stop(), 0, "exit code")
    d = Daemon(store=d.store)
    assert d.folded(app("many")) == want, "what a restarted daemon serves differs"
    # The same stacks pushed again share every node: only weights change.
    equal(d.ingest(gzip.compress(as_text(stacks)), "many.cpu{host=a}",
                   {"Content-Encoding": "gzip"}).status, 200)
    assert d.folded(app("many")) == {s: 2 * n for s, n in want.items()}, "the sum differs"


@test
def folded_details():
    """Folded text: CRLF, blank lines, repeated stacks, spaces, no last newline."""
    d = Daemon()
    equal(d.ingest(b"a;b 1\r\n\r\n\na;b 2\nmain loop;x y 3\na 4").status, 200)
    equal(d.folded(app("app")), {"a;b": 3 * SAMPLE, "main loop;x y": 3 * SAMPLE, "a": 4 * SAMPLE})
    equal(d.ingest(b"").status, 200, "an empty body")
    equal(d.ingest(b"one;two\none\none;two\n", "lines.cpu", format="lines").status, 200)
    equal(d.folded(app("lines")), {"one;two": 2 * SAMPLE, "one": SAMPLE})
    equal(d.ingest(b"g 1\n", "groups.cpu", format="groups").status, 200)
    equal(d.ingest(b"g 1\n", "groups.cpu", format="").status, 200)
    equal(d.folded(app("groups")), {"g": 2 * SAMPLE})


@test
def broken_folded():
    """Broken folded text: 422 names the line, nothing of the body is kept."""
    d = Daemon()
    for body, line in ((b"good 1\nno count\n", 2), (b"a;b -1\n", 1), (b"a 1.5\n", 1),
                       (b"good 1\ngood 2\na 99999999999999999999\n", 3), (b"a 1\n  \n", 2),
                       (b"good 1\na;b\x00c 1\n", 2), (b"\xff\xfe\x00\n", 1)):
        reply = d.ingest(body)
        equal(reply.status, 422, body)
        contains(reply.json["message"], f"line {line}")
    equal(d.folded(app("app")), {})
    deep = ";".join(["f"] * 100_000).encode() + b" 1\n"
    assert d.ingest(deep).status in (200, 422), "an absurdly deep stack"
    equal(d.get("/healthz").status, 200)


@test
def scales():
    """Sample rate, units, names with labels: weights and series as Pyroscope has them."""
    d = Daemon()
    equal(d.ingest(b"a 7\n", "rate.cpu", sampleRate=1000).status, 200)
    equal(d.folded(app("rate")), {"a": 7_000_000})
    equal(d.ingest(b"a 7\n", 'lab.cpu{region=eu-1,zone="b c"}').status, 200)
    equal(d.folded(f'{CPU}{{service_name="lab",region="eu-1"}}'), {"a": 7 * SAMPLE})
    equal(d.folded(f'{CPU}{{service_name="lab",region!="eu-1"}}'), {})
    equal(d.folded(f'{CPU}{{service_name=~"l.b",zone=~"b.*"}}'), {"a": 7 * SAMPLE})
    for rate in ("0", "x", "-1"):
        equal(d.ingest(b"a 7\n", sampleRate=rate).status, 400, f"sampleRate={rate}")


@test
def times():
    """from and until: a push lies in its window, and ranges select it."""
    d = Daemon()
    t = 1_700_000_000
    equal(d.ingest(b"old 1\n", **{"from": t, "until": t + 10}).status, 200)
    equal(d.ingest(b"new 1\n", **{"from": (t + 3600) * 1000, "until": (t + 3610) * 1000}).status, 200)
    equal(d.folded(app("app"), t - 10, t + 20), {"old": SAMPLE})
    equal(d.folded(app("app"), t, t + 3620), {"old": SAMPLE, "new": SAMPLE})
    equal(d.folded(app("app"), t + 100, t + 200), {})
    equal(d.folded(app("app"), (t + 3600) * 10**9, (t + 3610) * 10**9), {"new": SAMPLE})
    for bad in ("yesterday", "now-1x", "-5", "1e99", "99999999999999999999999"):
        equal(d.ingest(b"a 1\n", **{"from": bad}).status, 400, f"from={bad}")
        equal(d.get("/pyroscope/render", query="{}", **{"from": bad}).status, 400, f"from={bad}")
    equal(d.get("/pyroscope/render", query="{}", **{"from": t, "until": t - 1}).status, 400)


# ---- other formats ----------------------------------------------------------

def walk(bearer):
    """{stack: self} out of a flamebearer in its "single" form."""
    out = {}
    above = [((), 0, float("inf"))]  # (stack, begin, end)
    for level in bearer["levels"]:
        here = []
        at = 0
        for i in range(0, len(level), 4):
            offset, total, self_, name = level[i:i + 4]
            at += offset
            parent = next(p for p in above if p[1] <= at and at + total <= p[2])
            stack = parent[0] + (bearer["names"][name],)
            here.append((stack, at, at + total))
            at += total
            if self_:
                key = ";".join(stack[1:])
                out[key] = out.get(key, 0) + self_
        above = here
    return out


@test
def flamebearer():
    """JSON: levels, names and ticks say what the folded text says."""
    stacks = random_stacks(500)
    d = Daemon()
    equal(d.ingest(as_text(stacks), "json.cpu").status, 200)
    reply = d.get("/pyroscope/render", query=app("json"), until="now+1h", max_nodes=0)
    equal(reply.headers["Content-Type"].split(";")[0], "application/json")
    whole = reply.json
    bearer = whole["flamebearer"]
    equal(whole["metadata"]["format"], "single")
    equal(whole["metadata"]["units"], "samples")
    equal(bearer["names"][0], "total")
    equal(bearer["numTicks"], sum(stacks.values()) * SAMPLE)
    equal(walk(bearer), d.folded(app("json")))
    equal(len(whole["objects"]["index"]), len(bearer["names"]))
    equal(sum(whole["timeline"]["samples"]), bearer["numTicks"])

    pruned = d.get("/pyroscope/render", query=app("json"), until="now+1h", max_nodes=50).json
    equal(pruned["flamebearer"]["numTicks"], bearer["numTicks"])
    assert sum(len(x) // 4 for x in pruned["flamebearer"]["levels"]) < 200
    contains(pruned["flamebearer"]["names"], "other")


@test
def pprof():
    """format=pprof: go's reader finds the same weights."""
    d = Daemon()
    equal(d.ingest(b"main;work;hot 70\nmain;work;cold 20\nmain 10\n", "go.cpu").status, 200)
    reply = d.get("/pyroscope/render", query=app("go"), until="now+1h", format="pprof")
    equal(reply.status, 200)
    raw = gzip.decompress(reply.body)
    for name in (b"main", b"work", b"hot", b"cold", b"nanoseconds"):
        contains(raw, name)
    path = os.path.join(TEMP, "profile.pb.gz")
    with open(path, "wb") as f:
        f.write(reply.body)
    top = run("go", "tool", "pprof", "-top", "-unit=ms", path).stdout.decode()
    contains(top, "Type: cpu")
    rows = {f[-1]: (f[0], f[3]) for f in map(str.split, top.splitlines()[-4:]) if len(f) == 6}
    equal(rows, {"hot": ("700ms", "700ms"), "cold": ("200ms", "200ms"),
                 "main": ("100ms", "1000ms"), "work": ("0", "900ms")})


@test
def labels():
    """Label names, values, series, status and metrics."""
    d = Daemon()
    equal(d.ingest(b"a 1\n", "one.cpu{region=eu}").status, 200)
    equal(d.ingest(b"a 1\n", "two.cpu{region=us}").status, 200)
    names = d.get("/pyroscope/label-names").json
    for name in ("service_name", "region", "__profile_type__"):
        contains(names, name)
    equal(sorted(d.get("/pyroscope/label-values", label="region").json), ["eu", "us"])
    equal(sorted(d.get("/pyroscope/label-values", label="service_name").json), ["one", "two"])
    equal(d.get("/pyroscope/label-values", label="nobody").json, [])
    equal(d.get("/pyroscope/label-values").status, 400)
    equal(d.get("/api/v1/status").json["store"]["series"], 2)
    metrics = d.get("/metrics")
    contains(metrics.headers["Content-Type"], "text/plain")
    families = set()
    for line in metrics.text.splitlines():
        if line.startswith("# TYPE "):
            families.add(line.split()[2])
        elif not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            float(value)
            contains(families, name.split("{")[0])
    top = d.get("/api/v1/top", query=app("one"), until="now+1h").json
    equal([(f["name"], f["self"]) for f in top["functions"]], [("a", SAMPLE)])


# ---- HTTP -------------------------------------------------------------------

@test
def wrong_requests():
    """Wrong paths, methods, parameters, bodies: 4xx with a reason."""
    d = Daemon()
    for method, path, status in (
            ("GET", "/nothing", 404), ("GET", "/../../etc/passwd", 404), ("GET", "/ingest?name=a", 405),
            ("POST", "/pyroscope/render?query={}", 405), ("DELETE", "/", 405), ("PUT", "/ingest", 405),
            ("POST", "/", 405), ("POST", "/ingest", 400), ("POST", "/ingest?name=", 400),
            ("POST", "/ingest?name=a{b", 400), ("POST", "/ingest?name={a=b}", 400),
            ("POST", "/ingest?name=a.cpu&format=pprof", 422),
            ("GET", "/pyroscope/render", 400), ("GET", "/pyroscope/render?query={", 400),
            ("GET", "/pyroscope/render?query={a=}", 400),
            ("GET", "/pyroscope/render?query={a=~%22(%22}", 400),
            ("GET", "/pyroscope/render?query={}&format=svg", 400),
            ("GET", "/pyroscope/render?query={}&max-nodes=many", 400),
            ("GET", "/pyroscope/render?query=a:b{}&format=pprof", 400)):
        reply = d.request(method, path)
        equal(reply.status, status, f"{method} {path}")
        assert reply.json["code"] and reply.json["message"], reply.body
    equal(d.request("DELETE", "/").headers["Allow"], "GET, HEAD, POST")
    equal(d.get("/pyroscope/render?query=" + "{" * 20000).status // 100, 4)
    equal(d.get("/pyroscope/render", query='{a=~"' + "(a*)*" * 500 + 'b"}').status in (200, 400), True)


@test
def large_bodies():
    """A body over the limit, a gzip bomb, no gzip: refused, and the daemon goes on."""
    d = Daemon()
    before = d.get("/api/v1/status").json["process"]["resident_bytes"]
    equal(d.ingest(b"a 1\n" * (17 << 20)).status, 413)
    bomb = gzip.compress(gzip.compress(b"\0" * (1 << 30), 9), 9)
    packed = gzip.decompress(bomb)
    assert len(packed) < 2 << 20
    equal(d.ingest(packed, headers={"Content-Encoding": "gzip"}).status, 413)
    equal(d.ingest(b"a 1\n", headers={"Content-Encoding": "gzip"}).status, 400)
    equal(d.ingest(gzip.compress(b"a 1\n" * 999)[:-9], headers={"Content-Encoding": "gzip"}).status, 400)
    equal(d.ingest(b"a 1\n", headers={"Content-Encoding": "br"}).status, 415)
    equal(d.folded(app("app")), {})
    after = d.get("/api/v1/status").json["process"]["resident_bytes"]
    assert after < before + (100 << 20), f"resident: {before} -> {after}"


@test
def compression():
    """Answers are compressed for who asks; HEAD, ETag, 304; headers of safety."""
    d = Daemon()
    plain = d.get("/")
    packed = d.get("/", headers={"Accept-Encoding": "gzip"})
    equal(packed.headers["Content-Encoding"], "gzip")
    equal(gzip.decompress(packed.body), plain.body)
    contains(plain.text, "<!doctype html>")
    etag = plain.headers["ETag"]
    not_modified = d.get("/", headers={"If-None-Match": etag})
    equal((not_modified.status, not_modified.body), (304, b""))
    equal(d.get("/", headers={"If-None-Match": '"other"'}).status, 200)
    head = d.request("HEAD", "/")
    equal((head.status, head.body), (200, b""))
    contains(plain.headers["Content-Security-Policy"], "default-src 'none'")
    equal(plain.headers["X-Content-Type-Options"], "nosniff")
    equal(d.ingest(as_text(random_stacks(300))).status, 200)
    query = {"query": app("app"), "until": "now+1h", "format": "folded"}
    text = d.get("/pyroscope/render", **query).body
    reply = d.get("/pyroscope/render", headers={"Accept-Encoding": "gzip"}, **query)
    equal(gzip.decompress(reply.body), text)


@test
def hosts():
    """A page of another site cannot have requests sent here under its own name."""
    d = Daemon()
    for host, status in (("evil.example", 403), ("evil.example:4040", 403), ("localhost:1", 200),
                         ("LOCALHOST", 200), ("127.0.0.1:4040", 200), ("[::1]:4040", 200),
                         ("127.0.0.1.evil.example", 403), ("localhost.evil.example", 403)):
        equal(d.get("/healthz", headers={"Host": host}).status, status, host)
    equal(d.get("/healthz", headers={"Host": "anything"}, local=True).status, 200, "Unix socket")


@test
def hostile_bytes():
    """Bytes that are no HTTP, requests cut short, many connections: nothing breaks."""
    d = Daemon()
    d.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n")
    d.raw(b"GET / HTTP/9.9\r\n\r\n")
    d.raw(b"GET " + b"/a" * 100_000 + b" HTTP/1.1\r\n\r\n")
    d.raw(b"POST /ingest?name=a HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n")
    d.raw(b"POST /ingest?name=a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
          b"FFFFFFFFFFFFFFFFF\r\n")
    d.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" +
          b"".join(b"X-%d: y\r\n" % i for i in range(5000)) + b"\r\n", local=True)
    contains(d.raw(b"POST /ingest?name=c.cpu HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                   b"Transfer-Encoding: chunked\r\n\r\n3\r\na;b\r\n3\r\n 2\n\r\n0\r\n\r\n"), b" 200 ")
    equal(d.folded(app("c")), {"a;b": 2 * SAMPLE})
    idle = [socket.create_connection(("127.0.0.1", d.port)) for _ in range(100)]
    contains(d.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", local=True), b"ok\n")
    for s in idle:
        s.close()
    until(d.answers, "it answers when they are gone")
    # Somebody who hangs up in the middle of a body leaves nothing.
    s = socket.create_connection(("127.0.0.1", d.port))
    s.sendall(b"POST /ingest?name=cut.cpu HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\na 1\n")
    s.close()
    until(d.answers, "it answers after a cut body")
    equal(d.folded(app("cut")), {})


# ---- the daemon -------------------------------------------------------------

def refused(code, *options):
    p = run(f"{BUILD}/kstratad", *options)
    text = (p.stderr + p.stdout).decode(errors="replace")
    equal(p.returncode, code, text)
    return text


@test
def usage():
    """Exit codes, --help, --version, --check-config, unknown options."""
    equal(run(f"{BUILD}/kstratad", "--help").returncode, 0)
    contains(run(f"{BUILD}/kstratad", "--help").stdout.decode(), "--no-device")
    contains(run(f"{BUILD}/kstratad", "--version").stdout.decode(), "kstratad")
    contains(refused(2, "--banana"), "banana")
    contains(refused(2, "--hz", "0"), "hz")
    contains(refused(2, "--http", "somewhere"), "http")
    contains(refused(2, "--config", "/nonexistent/file"), "/nonexistent/file")
    refused(2, "stray")
    path = os.path.join(TEMP, "broken.conf")
    for text, line, word in (("log-level = info\nhz = banana\n", 2, "hz"), ("no equals\n", 1, ""),
                             ("unknown = 1\n", 1, "unknown"), ("\n\n\xff\n", 3, "")):
        with open(path, "w", encoding="latin-1") as f:
            f.write(text)
        message = refused(2, "--config", path, "--check-config")
        contains(message, f"broken.conf:{line}")
        contains(message, word)
    with open(path, "wb") as f:
        f.write(b"\n\0\n")
    contains(refused(2, "--config", path, "--check-config"), "NUL")
    equal(run(f"{BUILD}/kstratad", "--config", "/dev/null", "--check-config").returncode, 0)


@test
def occupied():
    """An occupied port, socket or store: an error that names it, exit code 1."""
    d = Daemon()
    common = ["--no-device", "--config", "/dev/null"]
    contains(refused(1, *common, "--store", "memory", "--socket", "none",
                     "--http", f"127.0.0.1:{d.port}"), str(d.port))
    contains(refused(1, *common, "--store", "memory", "--socket", d.socket, "--http", "none"),
             d.socket)
    contains(refused(1, *common, "--store", d.store, "--socket", "none", "--http", "none"), d.store)
    contains(refused(1, *common, "--store", "/proc/nothing", "--socket", "none", "--http", "none"),
             "/proc/nothing")
    contains(refused(1, "--config", "/dev/null", "--device", "/dev/nothing", "--store", "memory",
                     "--socket", "none", "--http", "none"), "/dev/nothing")
    equal(d.get("/healthz").status, 200)
    equal(d.get("/healthz", local=True).status, 200, "its socket is still its own")


@test
def sockets():
    """The Unix socket: its mode, replaced when stale, removed at the end, never a file."""
    d = Daemon()
    equal(stat.S_IMODE(os.stat(d.socket).st_mode), 0o660)
    equal(d.stop(signal.SIGKILL), -signal.SIGKILL)
    assert os.path.exists(d.socket)
    second = Daemon("--socket", d.socket, store=d.store)
    connection = UnixConnection(d.socket)
    connection.request("GET", "/healthz")
    equal(connection.getresponse().status, 200)
    connection.close()
    equal(second.stop(), 0)
    assert not os.path.exists(d.socket)
    path = os.path.join(TEMP, "precious")
    with open(path, "w", encoding="utf-8") as f:
        f.write("data")
    refused(1, "--no-device", "--config", "/dev/null", "--store", "memory", "--http", "none",
            "--socket", path)
    with open(path, encoding="utf-8") as f:
        equal(f.read(), "data")


@test
def signals():
    """TERM and INT store all and exit 0; HUP reloads; a broken file changes nothing."""
    config = os.path.join(TEMP, "reload.conf")
    with open(config, "w", encoding="utf-8") as f:
        f.write("log-level = info\n")
    d = Daemon(config=config)
    equal(d.ingest(b"kept 1\n").status, 200)
    with open(config, "w", encoding="utf-8") as f:
        f.write("log-level = debug\n")
    d.kill(signal.SIGHUP)
    until(lambda: "configuration reloaded" in d.log, "a reload")
    with open(config, "w", encoding="utf-8") as f:
        f.write("log-level = loud\n")
    d.kill(signal.SIGHUP)
    until(lambda: "not reloaded" in d.log, "a refused reload")
    contains(d.log, "reload.conf:1")
    equal(d.folded(app("app")), {"kept": SAMPLE})
    equal(d.stop(signal.SIGINT), 0)
    d = Daemon(store=d.store)
    equal(d.folded(app("app")), {"kept": SAMPLE})
    equal(d.stop(signal.SIGTERM), 0)


@test
def notifies():
    """systemd hears READY, RELOADING, WATCHDOG and STOPPING."""
    path = os.path.join(TEMP, "notify")
    heard = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(30)
        d = Daemon(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"})
        d.kill(signal.SIGHUP)
        for word in (b"READY=1", b"RELOADING=1", b"WATCHDOG=1"):
            while word not in heard:
                heard += s.recv(4096) + b"\n"
        d.kill(signal.SIGTERM)
        while b"STOPPING=1" not in heard:
            heard += s.recv(4096) + b"\n"
        equal(d.wait(), 0)


@test
def killed():
    """What was synced outlives kill -9."""
    d = Daemon("--sync", "1s")
    now = int(time.time()) - 3600
    equal(d.ingest(b"synced 1\n", **{"from": now, "until": now}).status, 200)

    def on_disk():
        for directory, _, names in os.walk(d.store):
            for name in names:
                with open(os.path.join(directory, name), "rb") as f:
                    if b"synced" in f.read():
                        return True
        return False

    until(on_disk, "it is on disk", 60)
    # Names come before the windows that use them.
    time.sleep(2.5)
    d.stop(signal.SIGKILL)
    d = Daemon(store=d.store)
    equal(d.folded(app("app"), now - 60, now + 60), {"synced": SAMPLE})


@test
def damaged():
    """A damaged store: what is whole is served, what is not is told and kept."""
    d = Daemon()
    t = 1_700_000_000
    for i in range(20):
        equal(d.ingest(f"f{i} 1\n".encode(), **{"from": t + 60 * i, "until": t + 60 * i}).status, 200)
    equal(d.stop(), 0)
    files = [os.path.join(r, n) for r, _, names in os.walk(d.store) for n in names]
    largest = max(files, key=os.path.getsize)
    with open(largest, "r+b") as f:
        f.seek(os.path.getsize(largest) * 2 // 3)
        f.write(b"\xa5" * 16)
    d = Daemon(store=d.store)
    contains(d.log, "damaged")
    got = d.folded(app("app"), t - 10, t + 3600)
    assert got.items() <= {f"f{i}": SAMPLE for i in range(20)}.items(), got
    equal(d.ingest(b"after 1\n").status, 200)
    equal(d.stop(), 0)
    d = Daemon(store=d.store)
    equal(d.folded(app("app")), {"after": SAMPLE})


# ---- the tool ---------------------------------------------------------------

@test
def kstrata():
    """kstrata: status, top, flame in each of their formats."""
    d = Daemon()
    equal(d.ingest(b"main;hot 70\nmain;cold 30\n", "tool.cpu").status, 200)
    ask = ("-s", "tool", "-u", "now+1h")
    p = tool(d, "flame", *ask)
    equal((p.returncode, p.stdout), (0, b"main;cold 300000000\nmain;hot 700000000\n"))
    equal(json.loads(tool(d, "flame", *ask, "-o", "json").stdout)["flamebearer"]["numTicks"], 100 * SAMPLE)
    contains(gzip.decompress(tool(d, "flame", *ask, "-o", "pprof").stdout), b"hot")
    text = tool(d, "top", *ask).stdout.decode()
    contains(text, "hot")
    contains(text, "70.00%")
    functions = json.loads(tool(d, "top", *ask, "-o", "json").stdout)["functions"]
    equal(functions[0]["name"], "hot")
    contains(tool(d, "status").stdout.decode(), "--no-device")
    equal(json.loads(tool(d, "status", "-o", "json").stdout)["store"]["series"], 1)


@test
def cut_stacks():
    """Cut stacks: every answer says what they weigh and why, also after a restart."""
    d = Daemon()
    body = b"[cut: no rows];hot 3\n[cut: fault];hot 1\nmain;hot 95\nmain;[cut: fault] 1\n"
    equal(d.ingest(body, "cut.cpu").status, 200)
    equal(d.ingest(b"main;hot 1\n", "whole.cpu").status, 200)
    want = {"fault": SAMPLE, "no_rows": 3 * SAMPLE}

    def ask(path, **more):
        reply = d.get(path, query=app("cut"), until="now+1h", **more)
        equal(reply.status, 200)
        equal(reply.headers["Kstrata-Cut"],
              f"total={100 * SAMPLE}, fault={SAMPLE}, no_rows={3 * SAMPLE}" if "render" in path else None)
        return reply

    def answers():
        equal(ask("/pyroscope/render").json["metadata"]["cut"], want)
        # A limit on what is shown is none on what is told.
        equal(ask("/pyroscope/render", **{"max-nodes": 2}).json["metadata"]["cut"], want)
        contains(ask("/pyroscope/render", format="folded").text, f"[cut: no rows];hot {3 * SAMPLE}\n")
        contains(gzip.decompress(ask("/pyroscope/render", format="pprof").body), b"cut stacks, no rows: ")
        top = ask("/api/v1/top").json
        equal(top["cut"], want)
        equal([(f["name"], f["self"]) for f in top["functions"]],
              [("hot", 99 * SAMPLE), ("main", 0)])

    answers()
    whole = d.get("/pyroscope/render", query=app("whole"), until="now+1h")
    equal(whole.headers["Kstrata-Cut"], None)
    assert "cut" not in whole.json["metadata"]
    line = "kstrata: cut stacks: 4.00 % (no rows 3.00 %, fault 1.00 %)\n"
    for verb in (("top",), ("flame",), ("flame", "-o", "pprof"), ("flame", "-o", "json")):
        equal(tool(d, *verb, "-s", "cut", "-u", "now+1h").stderr.decode(), line, verb)
        equal(tool(d, *verb, "-s", "whole", "-u", "now+1h").stderr, b"", verb)
    equal(d.stop(), 0)
    d = Daemon(store=d.store)
    answers()


@test
def kstrata_errors():
    """kstrata: no daemon, wrong usage, the daemon's refusal: exit codes and reasons."""
    d = Daemon()
    for code, word, arguments in ((2, "banana", ("banana",)), (2, "", ()), (2, "xml", ("top", "-o", "xml")),
                                  (2, "", ("top", "--what")), (1, "query", ("flame", "-q", "{")),
                                  (1, "from", ("flame", "-f", "banana"))):
        p = tool(d, *arguments)
        equal(p.returncode, code, arguments)
        contains(p.stderr.decode(), word)
        equal(p.stdout, b"", arguments)
    p = run(f"{BUILD}/kstrata", "status", "--socket", f"{TEMP}/nobody")
    equal(p.returncode, 1)
    contains(p.stderr.decode(), f"{TEMP}/nobody")
    # A reader that goes away is no crash.
    p = run("sh", "-c", f"{BUILD}/kstrata flame --socket {d.socket} | true")
    equal(p.returncode, 0)
    p = run("sh", "-c", f"{BUILD}/kstrata status --socket {d.socket} >/dev/full")
    equal(p.returncode, 1, "a full disk")


sys.exit(run_all())
