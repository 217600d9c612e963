"""What the Lambda function costs before it has done anything: from its start to its question for an event, from an event to the first
entry that is committed; its memory after a day of flights; its size. Under a Runtime API of a few lines."""
import json
import os
import platform
import socket
import subprocess
import time

import s3
from measure import BUILD, DEPS, ROOT, Mock, Project, Wrong, median, run

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "?")
NEXT = b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: id-1\r\nLambda-Runtime-Deadline-Ms: %d\r\nContent-Length: %d\r\n\r\n%s"
TAKEN = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"
WAIT_S = 30


def question(connection):
    """Head and body of a request."""
    text = b""
    while b"\r\n\r\n" not in text:
        more = connection.recv(65536)
        if not more:
            raise Wrong("function: it hung up")
        text += more
    head, _, body = text.partition(b"\r\n\r\n")
    length = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while length and len(body) < length[0]:
        body += connection.recv(65536)
    return head, body


def first_entry(lake, until):
    while time.monotonic() < until:
        for folder, _, names in os.walk(os.path.join(lake, "raw")):
            if os.path.basename(folder) == "ledger" and len(names) > 1:  # the claim, and pages
                return time.monotonic()
        time.sleep(0.0002)
    raise Wrong("function: nothing was committed")


def one(bootstrap, task, lake, event, files=None, more=()):
    """(init ms, first commit ms, peak RSS bytes). `files`: where its server keeps a lake that is no folder."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(WAIT_S)
        env = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:%d" % server.getsockname()[1], "LAMBDA_TASK_ROOT": task, "SLUICE_LAKE": lake,
               "AWS_LAMBDA_LOG_FORMAT": "JSON", "SLUICE_MARGIN_MS": "100", **dict(more)}
        began = time.monotonic()
        process = subprocess.Popen([bootstrap], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            connection, _ = server.accept()
            question(connection)  # the extension; it is told that there are none, so it asks for nothing more
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            question(connection)
            init = time.monotonic() - began
            body = json.dumps(event).encode()
            sent = time.monotonic()
            connection.sendall(NEXT % (int((time.time() + WAIT_S) * 1000), len(body), body))
            commit = first_entry(files or lake, sent + WAIT_S) - sent
            head, answer = question(connection)
            connection.sendall(TAKEN)
            if b"/response " not in head or json.loads(answer)["status"] != "done":
                raise Wrong(f"function: {answer.decode()}")
            question(connection)
            with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
                rss = [int(line.split()[1]) for line in f if line.startswith("VmHWM:")][0] * 1024
        finally:
            process.kill()
            process.wait()
    return init * 1000, commit * 1000, rss


def measure_s3(figures, bootstrap, task, event):
    if not os.access(s3.SERVER, os.X_OK):
        return []
    server = s3.Server(figures.place("function-s3"))
    try:
        keys = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
        return [one(bootstrap, task, f"s3://lakes/f{n}", event, os.path.join(server.folder, f"f{n}"), keys) for n in range(11)]
    finally:
        server.stop()


def measure(figures):
    if not os.path.exists(os.path.join(DEPS, "lambda", ARCH, "lib", "libcurl.a")):
        print("function: its static libraries are not there (tools/setup lambda): the dynamic program is measured")
        bootstrap = os.path.join(BUILD, "bin", "sluice-lambda")
        said = ""
    else:
        out = figures.place("function-zip")
        said = run(["/bin/bash", os.path.join(ROOT, "tools", "lambda"), "--arch", ARCH, "--out", out,
                    "--build", os.path.join(ROOT, "build", "lambda")]).out
        bootstrap = os.path.join(ROOT, "build", "lambda", ARCH, "bootstrap")
    with Mock(figures.place("function")) as mock:
        task = figures.place("function/task")
        p = Project(os.path.join(task, "pipelines", "bench"), mock, "windows.yaml")
        event = {"action": "ingest", "pipeline": "bench", "from": "2013-01-01", "to": "2013-01-02"}
        got = []
        for _ in range(21):
            p.fresh()
            got.append(one(bootstrap, task, p.lake, event))
        on_s3 = measure_s3(figures, bootstrap, task, event)
    init, commit = median([g[0] for g in got]), median([g[1] for g in got])
    figures.add("function, start to first question", f"{init:.1f} ms", "", 10, init, unit="ms", better=min)
    figures.add("  event to first commit", f"{commit:.1f} ms", "", None, commit, unit="ms")
    figures.add("  peak memory", f"{max(g[2] for g in got) / 1e6:.1f} MB", "", None)
    if on_s3:
        commit = median([g[1] for g in on_s3])
        figures.add("  the lake on S3 (versitygw): event to first commit", f"{commit:.1f} ms", "", None, commit, unit="ms")
        figures.add("    peak memory", f"{max(g[2] for g in on_s3) / 1e6:.1f} MB", "", None)
    figures.add("  size of the program", f"{os.path.getsize(bootstrap) / 1e6:.1f} MB", said.split("  ")[0].strip() and f"zip {said.split('bytes')[0].strip()} B", None)
