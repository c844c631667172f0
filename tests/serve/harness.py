# SPDX-License-Identifier: Apache-2.0
"""A daemon without a device, requests to it, and tests that count one by one."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from urllib.parse import urlencode

BUILD = os.environ.get("BUILD", "build")
TEMP = os.environ["TEMP_DIR"]
CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"

_tests = []


def test(function):
    """Marks a test; its first line of documentation is its name."""
    _tests.append(function)
    return function


def run_all():
    failed = 0
    for function in _tests:
        begin = time.monotonic()
        name = function.__doc__.strip().splitlines()[0].rstrip(".")
        try:
            function()
            print(f"ok {name}", flush=True)
        except Exception as error:
            failed += 1
            traceback.print_exc(file=sys.stdout)
            text = str(error).replace("\n", " ")[:300]
            print(f"not ok {name} # {type(error).__name__}: {text}", flush=True)
        finally:
            Daemon.end_all()
            print(f"# {time.monotonic() - begin:.1f} s", flush=True)
    print(f"serve: {len(_tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


def equal(got, want, what=""):
    assert got == want, f"{what}: {got!r:.200}, not {want!r:.200}"


def contains(text, part):
    assert part in text, f"{part!r} is not in {text!r:.300}"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.05)


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=120)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Daemon:
    running = []
    serial = 0

    def __init__(self, *options, store=None, config=None, env=None, ready=True):
        Daemon.serial += 1
        self.dir = os.path.join(TEMP, f"d{Daemon.serial}")
        os.mkdir(self.dir)
        self.store = store or os.path.join(self.dir, "store")
        self.port = free_port()
        self.socket = os.path.join(self.dir, "sock")
        self.log_path = os.path.join(self.dir, "log")
        command = [f"{BUILD}/kstratad", "--no-device", "--store", self.store,
                   "--http", f"127.0.0.1:{self.port}", "--socket", self.socket]
        command += ["--config", config] if config else ["--config", "/dev/null"]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command + list(options), stdout=log, stderr=log,
                                            env={**os.environ, **(env or {})})
        Daemon.running.append(self)
        if ready:
            until(self.answers, "the daemon answers")

    @property
    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def answers(self):
        assert self.process.poll() is None, self.log
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False

    def request(self, method, path, body=None, headers=None, local=False, **params):
        if params:
            path += "?" + urlencode({k.replace("_", "-"): v for k, v in params.items()})
        if local:
            connection = UnixConnection(self.socket)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body, headers or {})
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def ingest(self, body, name="app.cpu", headers=None, **params):
        params = {"name": name, "format": "folded", **params}
        return self.request("POST", "/ingest?" + urlencode(params), body, headers)

    def folded(self, query, since="now-1h", until="now+1h", **more):
        """{stack: weight}; a stack told twice is an error."""
        reply = self.get("/pyroscope/render", query=query, format="folded",
                         **{"from": since, "until": until}, **more)
        equal(reply.status, 200, reply.body[:200])
        out = {}
        for line in reply.text.split("\n")[:-1]:
            stack, _, weight = line.rpartition(" ")
            assert stack not in out, f"twice: {stack}"
            out[stack] = int(weight)
        return out

    def raw(self, data, local=False):
        """Bytes as they are; everything that comes back until the end."""
        if local:
            s = socket.socket(socket.AF_UNIX)
            s.connect(self.socket)
        else:
            s = socket.create_connection(("127.0.0.1", self.port))
        s.settimeout(60)
        out = b""
        try:
            s.sendall(data)
            while chunk := s.recv(65536):
                out += chunk
        except ConnectionError:
            pass
        finally:
            s.close()
        return out

    def kill(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Ends it; its exit code."""
        self.kill(number)
        return self.wait()

    def wait(self):
        code = self.process.wait(timeout=60)
        if self in Daemon.running:
            Daemon.running.remove(self)
        return code

    @classmethod
    def end_all(cls):
        for d in list(cls.running):
            d.process.kill()
            d.wait()


def run(*command):
    return subprocess.run(command, capture_output=True, timeout=120, check=False)


def tool(daemon, *arguments):
    return run(f"{BUILD}/kstrata", *arguments, "--socket", daemon.socket)
