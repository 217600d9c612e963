"""A small emulator of AWS Lambda, for a laptop: the Runtime API for one function on one side, Invoke on the other.

    lambda_emulator.py serve ADDRESS SECONDS [PROGRAM...] starts PROGRAM with the first event; SECONDS is the function's timeout.
                                                          Without one somebody else starts it, once ADDRESS answers
    lambda_emulator.py invoke ADDRESS EVENT               prints the answer; again, as long as that says `continue`. Exit status 1
                                                          for a failure, 2 where nothing answers

PROGRAM is told AWS_LAMBDA_RUNTIME_API (ADDRESS) and LAMBDA_TASK_ROOT (this folder), where they are not set.
One event at a time, in one process that is kept for the next. A function past its deadline is ended, as Lambda does it.
"""
import http.client
import http.server
import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid

RUNTIME, INVOKE = "/2018-06-01/runtime/", "/2015-03-31/functions/function/invocations"


class Emulator:
    def __init__(self, address, seconds, program):
        self.seconds, self.program, self.process = seconds, program, None
        self.environment = {"AWS_LAMBDA_RUNTIME_API": address, "LAMBDA_TASK_ROOT": os.getcwd(), **os.environ}
        self.one_at_a_time, self.events, self.answers = threading.Lock(), queue.Queue(), queue.Queue()

    def invoke(self, body):
        """(good, answer)"""
        with self.one_at_a_time:
            request_id, deadline = str(uuid.uuid4()), time.time() + self.seconds
            for q in (self.events, self.answers):
                while not q.empty():
                    q.get()
            self.events.put((request_id, deadline, body))
            if self.program and (self.process is None or self.process.poll() is not None):
                self.process = subprocess.Popen(self.program, stdin=subprocess.DEVNULL, env=self.environment)
            while time.time() < deadline + 0.5:
                try:
                    of, kind, answer = self.answers.get(timeout=0.1)
                except queue.Empty:
                    if self.process and self.process.poll() is not None and self.answers.empty():
                        return False, json.dumps({"errorType": "Runtime.ExitError", "errorMessage": f"it ended with status {self.process.returncode}"}).encode()
                    continue
                if of in (request_id, None):
                    return kind == "response", answer
            if self.process:
                self.process.kill()
                self.process.wait()
            return False, json.dumps({"errorType": "Sandbox.Timedout", "errorMessage": f"timed out after {self.seconds} seconds"}).encode()

    def next_event(self):
        while True:
            try:
                return self.events.get(timeout=0.1)
            except queue.Empty:
                pass


def handler(emulator):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def say(self, status, body, **headers):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            if self.path == RUNTIME + "invocation/next":
                request_id, deadline, body = emulator.next_event()
                self.say(200, body, Lambda_Runtime_Aws_Request_Id=request_id, Lambda_Runtime_Deadline_Ms=str(int(deadline * 1000)),
                         Lambda_Runtime_Invoked_Function_Arn="arn:aws:lambda:us-east-1:000000000000:function:sluice")
            elif self.path == "/2020-01-01/extension/event/next":
                threading.Event().wait()  # no extension is ever told of an event
            else:
                self.say(404, b"{}")

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == INVOKE:
                good, answer = emulator.invoke(body)
                self.say(200, answer, **({} if good else {"X_Amz_Function_Error": "Unhandled"}))
            elif self.path == "/2020-01-01/extension/register":
                self.say(200, b"{}", Lambda_Extension_Identifier=str(uuid.uuid4()))
            elif self.path == RUNTIME + "init/error":
                emulator.answers.put((None, "error", body))
                self.say(202, b"{}")
            elif self.path.startswith(RUNTIME + "invocation/") and self.path.count("/") == 5:
                request_id, kind = self.path.split("/")[4:]
                emulator.answers.put((request_id, kind, body))
                self.say(202, b"{}")
            else:
                self.say(404, b"{}")

    return Handler


def serve(address, seconds, *program):
    host, port = address.rsplit(":", 1)
    server = http.server.ThreadingHTTPServer((host, int(port)), handler(Emulator(address, float(seconds), program)))
    server.daemon_threads = True
    server.serve_forever()


def invoke(address, event):
    for _ in range(1000):
        connection = http.client.HTTPConnection(address, timeout=1000)
        try:
            connection.request("POST", INVOKE, event.encode())
            response = connection.getresponse()
            answer = response.read().decode()
        except OSError as e:
            sys.exit(print(f"{address}: {e}", file=sys.stderr) or 2)
        print(answer, flush=True)
        if response.getheader("X-Amz-Function-Error") or response.status != 200:
            return 1
        if json.loads(answer).get("status") != "continue":
            return 0
    return 1


if __name__ == "__main__":
    if len(sys.argv) > 3 and sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    elif len(sys.argv) == 4 and sys.argv[1] == "invoke":
        sys.exit(invoke(*sys.argv[2:]))
    else:
        sys.exit(print(__doc__, file=sys.stderr) or 2)
