"""A server of S3's protocol for lakes (versitygw), and a proxy before it that loses answers, cuts them and makes up errors."""
import http.client
import http.server
import os
import random
import socket
import subprocess
import threading
import time

import pytest

import lake as L

SERVER = os.path.join(L.DEPS, "versitygw", "versitygw")
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret/EXAMPLE+key", "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true"}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """versitygw over a folder: the object b/k is its file b/k, so what lies in a bucket is a lake in a folder, too."""

    def __init__(self, folder, buckets=("lakes",), keys=(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"]), tls=None):
        """tls: files of a certificate and its key."""
        if not os.access(SERVER, os.X_OK):
            pytest.skip("no versitygw (tools/setup test builds it where there is Go)")
        self.folder, self.port = os.path.join(str(folder), "objects"), free_port()
        for b in buckets:
            os.makedirs(os.path.join(self.folder, b))
        self.log = open(os.path.join(str(folder), "versitygw.log"), "wb")
        self.process = subprocess.Popen([SERVER, "--access", keys[0], "--secret", keys[1], "--port",
                                         f"127.0.0.1:{self.port}", *(("--cert", tls[0], "--key", tls[1]) if tls else ()),
                                         "posix", self.folder],
                                        stdout=self.log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, "versitygw does not start"
                time.sleep(0.02)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"

    def stop(self):
        self.process.kill()
        self.process.wait(20)
        self.log.close()


class S3Project(L.Project):
    """A project whose lake is s3://…; `endpoint` is the server's or a proxy's."""

    def __init__(self, folder, lake, endpoint):
        super().__init__(folder, lake)
        self.endpoint = endpoint

    def environment(self):
        return {**super().environment(), **KEYS, "AWS_ENDPOINT_URL_S3": self.endpoint}


ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>%s</Code><Message>made up</Message><RequestId>FAULT</RequestId></Error>'


class FaultProxy:
    """Forwards to the server and counts; each request meets a fault with the given probability. Faults: `lost` (done, and
    the connection closed without an answer), `never` (closed, not done), `after` (done, 500 answered), `500`, `503`, `409` (for
    writes), `cut` (done, half of the answer's body), `200` (an error in the body of a 200, for the end of uploads; not done),
    `200after` (the same, done)."""

    FAULTS = ("lost", "never", "after", "500", "503", "409", "cut", "200", "200after")

    def __init__(self, server, percent=0, seed=1, faults=FAULTS, latency_s=0):
        self.dice, self.lock = random.Random(seed), threading.Lock()
        self.percent, self.faults, self.counts, self.met = percent, faults, {}, {}
        self.only = None  # a function of (method, path): whether a request may meet a fault
        self.latency_s, self.spans = latency_s, []  # of each request: (begun, done, method, path)
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def forward(self, body):
                c = getattr(self.server_local, "c", None)
                if c is None:
                    c = self.server_local.c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
                c.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("connection",):
                        c.putheader(name, value)
                c.endheaders(body)
                r = c.getresponse()
                return r.status, r.getheaders(), r.read()

            server_local = threading.local()

            def answer(self, status, headers, body, cut=False):
                self.send_response_only(status)
                declared = None
                for name, value in headers:
                    if name.lower() in ("transfer-encoding", "connection", "content-length"):
                        declared = value if name.lower() == "content-length" else declared
                        continue
                    self.send_header(name, value)
                self.send_header("Content-Length", declared if self.command == "HEAD" and declared else str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body[:len(body) // 2] if cut else body)
                if cut:
                    self.close_connection = True

            def error(self, status, code):
                self.answer(status, [("Content-Type", "application/xml")], (ERROR % code).encode())

            def do(self):
                body, begun = self.rfile.read(int(self.headers.get("Content-Length") or 0)), time.monotonic()
                if proxy.latency_s:
                    time.sleep(proxy.latency_s)
                    with proxy.lock:
                        proxy.spans.append((begun, time.monotonic(), self.command, self.path))
                fault = proxy.choose(self.command, self.path)
                if fault == "never":
                    self.close_connection = True
                elif fault == "500":
                    self.error(500, "InternalError")
                elif fault == "403":
                    self.error(403, "AccessDenied")
                elif fault == "503":
                    self.error(503, "SlowDown")
                elif fault == "409":
                    self.error(409, "ConditionalRequestConflict")
                elif fault == "200":
                    self.error(200, "InternalError")
                else:
                    status, headers, answer = self.forward(body)
                    proxy.answered()
                    if fault == "lost":
                        self.close_connection = True
                    elif fault == "after":
                        self.error(500, "InternalError")
                    elif fault == "200after":
                        self.error(200, "InternalError")
                    else:
                        self.answer(status, headers, answer, cut=fault == "cut" and len(answer) > 1)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do

        class Threads(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, address):  # the program went away in the middle, as it was told to
                pass

        self.server = Threads(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def rounds(self, of=lambda method, path: True):
        """How many requests were made one after the other: the most of which no two were under way together. With a latency that
        is far above what the program needs between two of them, it is how often somebody far from the store waits for it."""
        n, free = 0, 0
        for done, begun in sorted((done, begun) for begun, done, method, path in self.spans if of(method, path)):
            if begun >= free:
                n, free = n + 1, done
        return n

    def most_at_once(self):
        now = most = 0
        for _, step in sorted([(begun, 1) for begun, *_ in self.spans] + [(done, -1) for _, done, *_ in self.spans]):
            now += step
            most = max(most, now)
        return most

    def forget(self):
        with self.lock:
            self.counts.clear()
            self.spans.clear()

    def answered(self):
        """The server has; the program has not heard of it yet."""

    def choose(self, method, path):
        with self.lock:
            self.counts[method] = self.counts.get(method, 0) + 1
            if self.dice.random() * 100 >= self.percent or (self.only and not self.only(method, path)):
                return None
            fault = self.dice.choice(self.faults)
            if fault == "409" and method != "PUT" or fault.startswith("200") and not (method == "POST" and "uploadId=" in path):
                return None
            self.met[fault] = self.met.get(fault, 0) + 1
            return fault

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
