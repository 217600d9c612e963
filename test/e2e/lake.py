"""What the end-to-end tests of lakes have in common: the mock, projects, runs, and readers of a lake that know only the
words of spec/, not one line of the program."""
import gzip
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import urllib.parse

from warcio.archiveiterator import ArchiveIterator
from warcio.recordloader import ArcWarcRecordLoader

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("SLUICE_BIN_DIR", os.path.join(ROOT, "build", "release", "bin"))
SLUICE, MOCK = os.path.join(BIN, "sluice"), os.path.join(BIN, "sluice-mock")
DEPS = os.environ.get("SLUICE_DEPS") or os.path.expanduser("~/.cache/sluice/deps")
FLIGHTS = os.path.join(DEPS, "data", "nycflights13")
EXAMPLE = os.path.join(ROOT, "examples", "nycflights")
TOKEN = "c4nary+Tok/en~2013=="  # changes under percent-encoding, and fits into Authorization (RFC 6750)
TIMEOUT_S = 240
# Whoever was started in the background ignores SIGINT, and so would everything that is started from here.
signal.signal(signal.SIGINT, signal.default_int_handler)


def contract_head(name, id=None):
    """The first lines of a contract; what the table has comes behind them."""
    return f"""\
apiVersion: v3.1.0
kind: DataContract
id: {id or name}
name: {name}
version: 1.0.0
status: active
schema:
  - name: {name}
"""


class Mock:
    """sluice-mock as a child; `config` is the text of its YAML file (JSON is YAML)."""

    def __init__(self, folder, config, data):
        text = config if isinstance(config, str) else json.dumps(config)
        path = os.path.join(folder, f"mock-{hashlib.sha256(text.encode()).hexdigest()[:12]}.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        with open(path + ".err", "wb") as errors:
            self.process = subprocess.Popen([MOCK, path, "--data", str(data), "--listen", "127.0.0.1:0"],
                                            stdout=subprocess.PIPE, stderr=errors)
        line = self.process.stdout.readline()
        assert line, open(path + ".err", encoding="utf-8").read()
        first = json.loads(line)
        self.port, self.url = first["port"], first["url"]

    def ask(self, method, target, value=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            c.request(method, target, body=None if value is None else json.dumps(value))
            r = c.getresponse()
            body = r.read()
            assert r.status == 200, (r.status, body)
            return json.loads(body) if body.strip() else None
        finally:
            c.close()

    def stats(self):
        return self.ask("GET", "/_mock/stats")

    def requests(self, **query):
        return self.ask("GET", "/_mock/requests?" + urllib.parse.urlencode(query))

    def reset(self, *rules, **dice):
        self.ask("POST", "/_mock/reset", {})
        self.ask("POST", "/_mock/faults", {"script": list(rules), "faults": dice})

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        self.process.stdout.close()
        return status


class Done:
    def __init__(self, args, status, out, err):
        self.args, self.status, self.out, self.err = args, status, out, err

    def __repr__(self):
        return f"{' '.join(self.args)}\nexit {self.status}\n--- stdout\n{self.out[-3000:]}\n--- stderr\n{self.err[-3000:]}"

    @property
    def json(self):
        return json.loads(self.out)


class Project:
    """A folder with pipeline, contracts and models, and a lake beside it."""

    def __init__(self, folder, lake=None, secrets=None):
        self.folder = str(folder)
        self.file = os.path.join(self.folder, "pipeline.yaml")
        self.lake = str(lake or os.path.join(self.folder, "lake"))
        self.secrets = {"FLIGHTS_TOKEN": TOKEN} if secrets is None else secrets

    def on(self, lake):
        return Project(self.folder, lake, self.secrets)

    @property
    def name(self):
        with open(self.file, encoding="utf-8") as f:
            text = f.read()
        return json.loads(text)["pipeline"] if text.startswith("{") else re.search(r"(?m)^pipeline: *(\w+)", text).group(1)

    def environment(self):
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "SLUICE_STORE_NO_PATHS")}
        return {**keep, **self.secrets}

    def command(self, command, *args):
        return [SLUICE, *command.split(), "-f", self.file, "--lake", self.lake, *[str(a) for a in args]]

    def begin(self, command, *args):
        return subprocess.Popen(self.command(command, *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=self.environment(), cwd=self.folder)

    def sluice(self, command, *args, status=0):
        """Runs it to its end; `status`: the exit status it must have, or several, or None."""
        line = self.command(command, *args)
        got = subprocess.run(line, capture_output=True, text=True, timeout=TIMEOUT_S, env=self.environment(),
                             cwd=self.folder)
        done = Done(line, got.returncode, got.stdout, got.stderr)
        allowed = status if isinstance(status, (tuple, set)) else (status,)
        assert status is None or done.status in allowed, f"exit status {done.status}, wanted {status}\n{done!r}"
        return done

    def digest(self):
        text = self.sluice("digest").out
        assert text.strip(), "a digest of nothing proves nothing"
        return text

    def records(self):
        """All run records, oldest first; the names of runs tell seconds only."""
        base = os.path.join(self.lake, "runs", self.name)
        names = [n for n in os.listdir(base) if os.path.exists(os.path.join(base, n, "record.json"))]
        return sorted((load_json(os.path.join(base, n, "record.json")) for n in names),
                      key=lambda r: (r["run"][:16], "." in r["started"], r["started"]))

    def table(self, zone, name):
        return os.path.join(self.lake, zone, self.name, name)


def load_json(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def drop_key(text, key):
    """A YAML text without `key:` (at any depth) and what is indented under it."""
    out, skip = [], None
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip())
        if skip is not None and (not line.strip() or indent > skip):
            continue
        skip = None
        if re.match(rf" *{key}:", line):
            skip = indent
            continue
        out.append(line)
    return "\n".join(out)


def example_mock(percent=0):
    """The demo's API without its limit; the token is ours."""
    with open(os.path.join(EXAMPLE, "mock.yaml"), encoding="utf-8") as f:
        text = drop_key(f.read(), "rate")
    text = re.sub(r"(?m)^token:.*$", "token: " + json.dumps(TOKEN), text)
    return re.sub(r"(?m)^( *percent:).*$", rf"\g<1> {percent}", text)


def example_project(folder, url, edit=lambda text: text):
    """The demo's pipeline, pointed at `url`, without its rate; pauses between attempts are short."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("mock.yaml"))
    path = os.path.join(folder, "pipeline.yaml")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for key in ("rate", "retry"):
        text = drop_key(text, key)
    text, n = re.subn(r"(?m)^( *)url:.*$", rf"\g<1>url: {url}\n\g<1>retry: {{first: 5ms, max: 20ms}}", text, count=1)
    assert n == 1
    with open(path, "w", encoding="utf-8") as f:
        f.write(edit(text))
    return Project(folder)


# ── files ──

def snapshot(lake, without=("runs",)):
    """Every file: time, size, content."""
    found = {}
    for folder, names, files in os.walk(lake):
        if folder == lake:
            names[:] = [n for n in names if n not in without]
        for name in files:
            path = os.path.join(folder, name)
            info = os.stat(path)
            with open(path, "rb") as f:
                found[os.path.relpath(path, lake)] = (info.st_mtime_ns, info.st_size, hashlib.sha256(f.read()).hexdigest())
    return found


def count_files(lake):
    return sum(len(files) for _, _, files in os.walk(lake))


def published(lake):
    """Commits of tables, by table."""
    found = {}
    for folder, _, files in os.walk(lake):
        if os.path.basename(folder) == "_delta_log":
            found[os.path.relpath(os.path.dirname(folder), lake)] = len([f for f in files if f.endswith(".json")])
    return {k: v for k, v in found.items() if v}


def spellings(secret):
    """How a secret could look in a file: as it is, encoded for a URL, in JSON, in Base64 at each of three offsets."""
    import base64
    raw = secret.encode()
    forms = {raw, urllib.parse.quote(secret, safe="").encode(), urllib.parse.quote(secret, safe="").lower().encode(),
             json.dumps(secret)[1:-1].encode(), json.dumps(secret).replace("/", "\\/")[1:-1].encode()}
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * shift + raw)
            # without the characters that neighbours share
            forms.add(whole[(shift * 8 + 5) // 6:len(whole) - 4])
    return {f for f in forms if len(f) >= 8}


def secret_places(lake, secrets):
    """Files in which one of the secrets stands, also inside gzip."""
    forms = set().union(*(spellings(s) for s in secrets))
    bad = []
    for folder, names, files in os.walk(lake):
        for name in files + names:
            if any(f in name.encode() for f in forms):
                bad.append(os.path.join(folder, name))
        for name in files:
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                data = f.read()
            texts = [data]
            if name.endswith(".gz"):
                with open(path, "rb") as f:
                    for record in ArchiveIterator(f, no_record_parse=True):
                        block = record.raw_stream.read()
                        texts += [str(record.rec_headers.headers).encode(), block]
                        head, _, body = block.partition(b"\r\n\r\n")
                        if b"gzip" in head and body[:2] == b"\x1f\x8b":
                            try:
                                texts.append(gzip.decompress(body))
                            except (EOFError, OSError):
                                pass  # an attempt that was cut
            bad += [path for text in texts if any(f in text for f in forms)]
    return bad


# ── Raw ──

def generations(lake, pipeline):
    """(resource, window, generation, folder), in order."""
    base = os.path.join(lake, "raw", pipeline)
    for resource in sorted(os.listdir(base)):
        for window in sorted(os.listdir(os.path.join(base, resource))):
            if window == "grid":
                continue
            for g in sorted(os.listdir(os.path.join(base, resource, window)), key=lambda g: int(g[1:])):
                yield resource, window, int(g[1:]), os.path.join(base, resource, window, g)


def entries(folder):
    """The ledger of a generation: (entry, SHA-256 of its bytes)."""
    base = os.path.join(folder, "ledger")
    for name in sorted(os.listdir(base)) if os.path.isdir(base) else []:
        with open(os.path.join(base, name), "rb") as f:
            text = f.read()
        yield json.loads(text), hashlib.sha256(text).hexdigest()


def member_at(path, offset, size):
    """One record of a segment by its byte range alone: as a reader would that fetches a range of an object."""
    with open(path, "rb") as f:
        f.seek(offset)
        block = f.read(size)
    plain = gzip.decompress(block)
    import io
    return ArcWarcRecordLoader().parse_record_stream(io.BytesIO(plain), known_format="warc")


def decoded(record):
    body = record.raw_stream.read()
    coding = record.http_headers.get_header("Content-Encoding")
    assert coding in (None, "gzip", "identity"), coding
    return gzip.decompress(body) if coding == "gzip" else body


def fingerprint(request, cursor_line=b"", body=b""):
    """Rule of spec/ledger.md: METHOD target LF [header: cursor LF] LF body."""
    return hashlib.sha256(request.encode() + b"\n" + cursor_line + b"\n" + body).digest()
