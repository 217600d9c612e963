"""AWS on this machine: moto (which checks signatures once it is told to), and small fakes of what moto lacks: the container's
endpoint, the instance's metadata, a Secrets Manager that tells who asked it."""
import contextlib
import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

import lake as L
from s3_server import free_port

REGION = "eu-central-1"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer, tls=None, newest=None):
        """answer(method, path, headers, body) gives (status, body) or (status, body, headers). tls: files of a certificate and its key;
        newest: the last version of TLS that is spoken, with all before it."""
        self.asked = []  # (method, path, headers, body)
        lock = threading.Lock()
        me = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with lock:
                    me.asked.append((self.command, self.path, dict(self.headers), body))
                    status, text, *more = answer(self.command, self.path, self.headers, body)
                data = text if isinstance(text, bytes) else text.encode()
                self.send_response(status)
                for name, value in (more[0] if more else {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_CONNECT = any

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.handle_error = lambda *_: None  # whoever asked went away
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            if newest:
                context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest
                context.set_ciphers("ALL:@SECLEVEL=0")
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Moto:
    def __init__(self, folder):
        self.errors = open(os.path.join(str(folder), "moto.err"), "wb")
        port = free_port()
        self.process = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
                                        stdout=self.errors, stderr=self.errors)
        self.url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(self.url + "/moto-api/data.json", timeout=5).read()
                break
            assert time.monotonic() < until and self.process.poll() is None, "moto does not start"
            time.sleep(0.1)

    def client(self, service, key="setup", secret="setup", token=None):
        import boto3
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, aws_access_key_id=key,
                            aws_secret_access_key=secret, aws_session_token=token)

    def user(self, name, *actions):
        """An IAM user who may do these; (access key, secret key)."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({
            "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def check_signatures(self, on=True):
        urllib.request.urlopen(urllib.request.Request(self.url + "/moto-api/reset-auth", method="POST", headers={"Content-Type": "text/plain"},
                                                      data=b"0" if on else b"1000000")).read()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.errors.close()


class Api(Server):
    """Two pages a day of three records each, behind a bearer token; `token` may be changed at any time. before(n) is called
    before the n-th request is judged. `denial` is what it answers to another token."""

    def __init__(self, token, before=lambda api, n: None, denial=401):
        self.token, self.refused, self.served = token, 0, 0

        def answer(method, path, headers, body):
            before(self, len(self.asked))
            if headers.get("Authorization") != "Bearer " + self.token:
                self.refused += 1
                return denial, json.dumps({"message": "who are you, " + headers.get("Authorization", "nobody")})
            self.served += 1
            query = dict(part.split("=", 1) for part in path.split("?", 1)[1].split("&"))
            page = int(query["page"])
            rows = [{"id": 10 * page + i, "day": query["date"]} for i in range(3)] if page < 3 else []
            return 200, json.dumps({"data": rows})

        super().__init__(answer)


def project(folder, api, secret, environment, in_flight=1):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "pipeline.yaml"), "w", encoding="utf-8") as f:
        json.dump({
            "pipeline": "p", "lake": "./lake",
            "source": {"url": api.url + "/v1", "auth": {"bearer": {"secret": secret}}, "in_flight": in_flight,
                       "retry": {"first": "5ms", "max": "20ms"}},
            "resources": {"things": {
                "path": "/things", "kind": "window", "window": {"every": "1d", "zone": "UTC"},
                "query": {"date": "{window.from:date}"}, "records": "data", "paginate": {"page": {"query": "page"}}}},
        }, f)
    home = os.path.join(folder, "home")
    os.makedirs(home, exist_ok=True)
    return L.Project(folder, secrets={"HOME": home, "AWS_REGION": REGION, **environment})
