"""A fake of the Lambda Runtime API and Extensions API, on loopback, that can be told to misbehave; and the function under it.

A fault is a word in the event's `faults`:
  next:     slow_head, cut_body, no_request_id, no_deadline, close_after (the kept connection is closed once the event is out)
  answer:   413, 500, 400_after_take (taken, and the connection closed without a word: the second try is answered 400), reset
"""
import http.server
import json
import os
import queue
import signal
import socket
import subprocess
import threading
import time

import lake as L

LAMBDA = os.path.join(L.BIN, "sluice-lambda")


class RuntimeApi:
    def __init__(self):
        self.events = queue.Queue()
        self.answers = queue.Queue()  # (request id, "response" | "error" | "init", headers, body)
        self.current, self.registered, self.extension_waits = None, [], threading.Event()
        self.taken, self.closing, self.asked = set(), False, 0
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                api.get(self)

            def do_POST(self):
                api.post(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # the function was ended in the middle of a call

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.closing = True
        self.server.shutdown()
        self.server.server_close()

    @staticmethod
    def say(h, status, headers, body):
        h.send_response(status)
        for name, value in headers.items():
            h.send_header(name, value)
        h.send_header("Content-Length", str(len(body)))
        h.end_headers()
        h.wfile.write(body)

    def get(self, h):
        if h.path == "/2020-01-01/extension/event/next":
            assert h.headers["Lambda-Extension-Identifier"] == "ext-1"
            self.extension_waits.set()
            while not self.closing:
                time.sleep(0.05)
            return
        assert h.path == "/2018-06-01/runtime/invocation/next", h.path
        self.asked += 1
        while True:
            try:
                self.current = event = self.events.get(timeout=0.05)
                break
            except queue.Empty:
                if self.closing:
                    return
        faults = event["faults"]
        headers = {"Lambda-Runtime-Aws-Request-Id": event["id"], "Lambda-Runtime-Deadline-Ms": str(event["deadline_ms"]),
                   "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:ingest",
                   "Lambda-Runtime-Client-Context": "{\"custom\": \"is not ours\"}", **event["headers"]}
        if "no_request_id" in faults:
            del headers["Lambda-Runtime-Aws-Request-Id"]
        if "no_deadline" in faults:
            del headers["Lambda-Runtime-Deadline-Ms"]
        body = event["body"]
        if "slow_head" in faults:
            text = "HTTP/1.1 200 OK\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + f"Content-Length: {len(body)}\r\n\r\n"
            for i in range(0, len(text), 40):
                h.wfile.write(text[i:i + 40].encode())
                h.wfile.flush()
                time.sleep(0.02)
            h.wfile.write(body)
        elif "cut_body" in faults:
            h.send_response(200)
            for name, value in headers.items():
                h.send_header(name, value)
            h.send_header("Content-Length", str(len(body)))
            h.end_headers()
            h.wfile.write(body[:len(body) // 2])
            h.wfile.flush()
            h.connection.shutdown(socket.SHUT_WR)  # half closed: the rest never comes
            h.close_connection = True
        else:
            self.say(h, 200, headers, body)
            if "close_after" in faults:
                h.close_connection = True  # without `Connection: close`: the other side finds out when it writes

    def post(self, h, body):
        if h.path == "/2020-01-01/extension/register":
            self.registered.append((h.headers["Lambda-Extension-Name"], json.loads(body)))
            return self.say(h, 200, {"Lambda-Extension-Identifier": "ext-1"}, b"{}")
        if h.path == "/2018-06-01/runtime/init/error":
            self.answers.put((None, "init", dict(h.headers), json.loads(body)))
            return self.say(h, 202, {}, b'{"status":"OK"}')
        _, _, _, _, request_id, kind = h.path.split("/")
        faults = self.current["faults"]
        assert request_id == self.current["id"], "an answer to another event"
        if "400_after_take" in faults:
            if request_id in self.taken:
                return self.say(h, 400, {}, b'{"errorType":"InvalidStateTransition"}')
            self.taken.add(request_id)
            self.answers.put((request_id, kind, dict(h.headers), json.loads(body)))
            h.close_connection = True
            return None
        if "reset" in faults and request_id not in self.taken:
            self.taken.add(request_id)
            h.close_connection = True
            return None
        if "413" in faults and kind == "response":
            return self.say(h, 413, {}, b'{"errorType":"RequestEntityTooLarge"}')
        if "500" in faults:
            return self.say(h, 500, {}, b'{"errorType":"ContainerError"}')
        self.answers.put((request_id, kind, dict(h.headers), json.loads(body)))
        return self.say(h, 202, {}, b'{"status":"OK"}')


class Answer:
    def __init__(self, request_id, kind, headers, body):
        self.request_id, self.kind, self.headers, self.body = request_id, kind, headers, body

    def __repr__(self):
        return f"{self.kind}: {json.dumps(self.body)}"


class Function:
    """The bootstrap as a process. `environment` is added to what Lambda sets."""

    def __init__(self, folder, program=LAMBDA, **environment):
        self.api = RuntimeApi()
        self.n = 0
        self.out_path, self.err_path = os.path.join(folder, "function.out"), os.path.join(folder, "function.err")
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "SLUICE_DUCKDB", "ASAN_OPTIONS", "LD_LIBRARY_PATH")}
        env = {**keep, "AWS_LAMBDA_RUNTIME_API": self.api.address, "LAMBDA_TASK_ROOT": str(folder), "AWS_LAMBDA_LOG_FORMAT": "JSON",
               "TMPDIR": str(folder), **environment}
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen([*program] if isinstance(program, (list, tuple)) else [program], stdout=out, stderr=err,
                                            stdin=subprocess.DEVNULL, env=env, cwd=str(folder))

    def send(self, event, seconds=60.0, faults=(), headers=None):
        self.n += 1
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        request_id = f"00000000-0000-4000-8000-{self.n:012d}"
        self.api.events.put({"id": request_id, "body": body, "deadline_ms": int((time.time() + seconds) * 1000), "faults": set(faults),
                             "headers": headers or {}})
        return request_id

    def take(self, timeout=60):
        limit = time.monotonic() + timeout
        while True:
            try:
                return Answer(*self.api.answers.get(timeout=0.05))
            except queue.Empty:
                assert self.process.poll() is None or not self.api.answers.empty(), f"it ended with {self.process.poll()}: {self.log()}"
                assert time.monotonic() < limit, f"no answer: {self.log()}"

    def invoke(self, event, **how):
        request_id = self.send(event, **how)
        answer = self.take()
        assert answer.request_id == request_id
        return answer

    def log(self):
        with open(self.err_path, encoding="utf-8") as f:
            return f.read()

    def lines(self):
        return [json.loads(line) for line in self.log().splitlines()]

    def metrics(self):
        with open(self.out_path, encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def stop(self, number=signal.SIGTERM, timeout=10):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.api.close()
