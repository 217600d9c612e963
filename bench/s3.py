"""Lakes on S3: requests a page costs, and the speed of the store beside boto3, on a server of this machine (versitygw)."""
import json
import os
import shutil
import socket
import subprocess
import time

from measure import BUILD, DEPS, PYTHON, ROOT, Mock, Project, Wrong, median, run

SERVER = os.path.join(DEPS, "versitygw", "versitygw")
OBJECTS, BYTES, THREADS = 24, 8 << 20, 4


class Server:
    def __init__(self, folder):
        os.makedirs(os.path.join(folder, "objects", "lakes"))
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        os.environ.update(AWS_ACCESS_KEY_ID="AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY="secretEXAMPLE", AWS_REGION="us-east-1",
                          AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{port}")
        self.folder = os.path.join(folder, "objects", "lakes")
        self.process = subprocess.Popen([SERVER, "--access", "AKIDEXAMPLE", "--secret", "secretEXAMPLE", "--port", f"127.0.0.1:{port}",
                                         "posix", os.path.dirname(self.folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Wrong("versitygw does not start") from None
                time.sleep(0.05)

    def stop(self):
        self.process.kill()
        self.process.wait()


def puts_per_1000_pages(figures, server):
    """What is created in the lake by landing all flights, as the trace of the store's calls says."""
    with Mock(figures.place("s3/mock")) as mock:
        p = Project(os.path.join(figures.folder, "s3", "project"), mock)
        p.lake, trace = "s3://lakes/land", os.path.join(figures.folder, "s3", "trace.json")
        os.environ["SLUICE_STORE_TRACE"] = trace
        try:
            p.sluice("ingest", "--from", "2013-12-31", "--to", "2014-01-01", "-q")
        finally:
            del os.environ["SLUICE_STORE_TRACE"]
        with open(trace, encoding="utf-8") as f:
            calls = [c for c in map(json.loads, f) if "result" in c]
        puts = sum(c["call"] in ("create", "finish") for c in calls)
        p.lake = os.path.join(server.folder, "land")
        pages = sum(len(entry.get("pages", [])) for _, entry in p.entries())
        if pages == 0:
            raise Wrong("no page was landed")
        figures.add("S3, PUTs per 1,000 pages", f"{puts * 1000 / pages:.0f}", f"{pages} pages, {puts} PUTs", None,
                    puts * 1000 / pages, unit="", better=min)


def speed(figures, server):
    program, peer = os.path.join(BUILD, "bench", "s3_speed"), os.path.join(ROOT, "bench", "s3_peer.py")
    size = OBJECTS * BYTES / 1e6
    ours, theirs = {"put": [], "get": []}, {"put": [], "get": []}
    for _ in range(figures.runs):
        for who in ("speed", "peer"):
            shutil.rmtree(os.path.join(server.folder, who), ignore_errors=True)
        for mode in ("put", "get"):
            ours[mode].append(float(run([program, mode, "s3://lakes/speed", OBJECTS, BYTES, THREADS]).out))
            theirs[mode].append(float(run([PYTHON, peer, mode, "lakes", "peer", OBJECTS, BYTES, THREADS]).out))
    for mode in ("put", "get"):
        a, b = median(ours[mode]), median(theirs[mode])
        figures.add(f"S3 {mode}, {OBJECTS} x 8 MiB", f"{size / a:.0f} MB/s", f"{size / b:.0f} MB/s boto3", 1.0, b / a)


def measure(figures):
    if not os.access(SERVER, os.X_OK):
        print("S3: no versitygw, skipped (tools/setup test builds it where there is Go)")
        return
    server = Server(figures.place("s3"))
    try:
        puts_per_1000_pages(figures, server)
        speed(figures, server)
    finally:
        server.stop()
