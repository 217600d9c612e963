"""Each fault that the mock knows, met on the third of five pages: once, and for ever. What counts: the exit status, that
the message names the page, and that nothing half-done is ever published."""
import gzip
import http.server
import json
import os
import threading
import urllib.parse

import pytest

import lake as L

ROWS, SIZE, DAY = 100, 20, ("--from", "2024-01-01", "--to", "2024-01-02")
CONTRACT = L.contract_head("things") + """\
    properties:
      - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}
      - {name: name, logicalType: string, required: true}
      - name: at
        logicalType: timestamp
        required: true
"""
STYLES = {
    "page": ({"style": "page", "size": SIZE, "size_param": "size", "total": "meta.total"},
             {"page": {"query": "page", "size": {"query": "size", "value": SIZE}}}, "page=3"),
    "cursor": ({"style": "cursor", "size": SIZE, "next": "meta.next", "total": "meta.total"},
               {"cursor": {"from": "meta.next", "query": "cursor"}}, "cursor="),
    "next_url": ({"style": "next_url", "by": "page", "size": SIZE, "next": "links.next"},
                 {"next_url": {"from": "links.next"}}, "page=3"),
    "link": ({"style": "link", "by": "page", "size": SIZE}, {"link": {"rel": "next"}}, "page=3"),
    "offset": ({"style": "offset", "size": SIZE, "total": "meta.total"},
               {"offset": {"query": "offset", "limit": {"query": "limit", "value": SIZE}}}, "offset=40"),
    "blind": ({"style": "page", "size": SIZE, "size_param": "size"},
              {"page": {"query": "page", "size": {"query": "size", "value": SIZE}}}, "page=3"),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("things")
    with open(folder / "things.ndjson", "w", encoding="utf-8") as f:
        for i in range(ROWS):
            f.write(json.dumps({"id": i, "name": f"thing {i} " + "x" * (i * 7 % 40), "at": f"2024-01-01T{i % 24:02}:00:00Z"})
                    + "\n")
    return folder


@pytest.fixture(scope="module")
def mocks(data, tmp_path_factory):
    """One mock per style of pagination; each test gives it its faults."""
    running = {}

    def get(style):
        if style not in running:
            running[style] = L.Mock(tmp_path_factory.mktemp(style), {"base": "/v1", "token": L.TOKEN, "resources": {
                "things": {"file": "things.ndjson", "records": "data", "paginate": STYLES[style][0],
                           "window": {"column": "at", "from": "from", "to": "to", "form": "date"}}}}, data)
        running[style].reset()
        return running[style]

    yield get
    for m in running.values():
        assert m.stop() == 0


def make(folder, mock, style="page", **source):
    """A project with one resource; `source` is put over the source's settings."""
    os.makedirs(folder / "contracts")
    (folder / "contracts" / "things.yaml").write_text(CONTRACT)
    things = {"path": "/things", "kind": "window", "window": {"every": "1d"},
              "query": {"from": "{window.from:date}", "to": "{window.last:date}"}, "records": "data",
              "paginate": STYLES[style][1]}
    if "total" in STYLES[style][0]:
        things["total"] = STYLES[style][0]["total"]
    (folder / "pipeline.yaml").write_text(json.dumps({
        "pipeline": "shop", "lake": "./lake",
        "source": {"url": mock.url, "auth": {"bearer": {"secret": "env:FLIGHTS_TOKEN"}}, "in_flight": 1,
                   "retry": {"attempts": 3, "first": "1ms", "max": "5ms", "wait_max": "5s"},
                   "timeout": {"connect": "2s", "first_byte": "1s", "total": "2s"}, **source},
        "resources": {"things": things}}))
    return L.Project(folder)


def check_all_there(p, rows=ROWS):
    import deltalake
    table = deltalake.DeltaTable(p.table("prepare", "things")).to_pyarrow_table()
    assert sorted(table["id"].to_pylist()) == list(range(rows))
    p.sluice("verify")


def failing_page(style):
    return STYLES[style][2]


# ── once: asked again, and all is well ──

PASSING = [("page", {"fault": f}) for f in (
    "status_500", "status_502", "status_503", "status_504", "status_429", "reset", "close", "reset_body", "short_body",
    "html_200", "error_object_200", "missing_records", "null_records", "empty_200", "truncated_gzip", "gzip_crc",
    "gzip_garbage", "not_gzip", "bad_json", "json_twice", "bad_utf8", "nul_byte", "chunk_cut", "slow", "stall")] + [
    ("page", {"fault": "status_429", "retry_after": v}) for v in ("1", "0", "0.2", "date+1", "date+-100", "soon")] + [
    ("page", {"fault": "status_503", "retry_after": v}) for v in ("1", "0.1", "date+1")] + [
    ("page", {"fault": "status", "status": 408}), ("page", {"fault": "status", "status": 520}),
    ("cursor", {"fault": "reset_body"}), ("link", {"fault": "truncated_gzip"}), ("next_url", {"fault": "html_200"}),
    ("offset", {"fault": "short_body"}),
]


@pytest.mark.parametrize("style, rule", PASSING, ids=lambda v: v if isinstance(v, str) else "-".join(map(str, v.values())))
def test_once(tmp_path, mocks, style, rule):
    m = mocks(style)
    m.reset({"match": failing_page(style), "nth": 1, "times": 1, "wait": "30s", **rule})
    p = make(tmp_path / "p", m, style)
    p.sluice("run", *DAY)
    check_all_there(p)
    assert m.stats()["faults"] == {rule["fault"]: 1}
    assert not [r for r in m.requests() if r["retried_early"]]
    things = p.records()[-1]["resources"][0]
    if rule["fault"] in ("reset", "close"):
        return  # on a connection that was used before, the transport itself may ask once more (RFC 9112 9.3.1)
    assert things["failed_attempts"] >= 1, things
    assert (things["busy"] if "429" in rule["fault"] or "retry_after" in rule else things["retries"]) >= 1, things


HARMLESS = ["no_length", "close_idle", "drip"]


@pytest.mark.parametrize("fault", HARMLESS)
def test_harmless(tmp_path, mocks, fault):
    """Odd, but HTTP/1.1 allows it: no data is lost and none is refused."""
    m = mocks("page")
    m.reset({"match": "page=3", "fault": fault, "nth": 1, "times": 1, "wait": "200ms"})
    p = make(tmp_path / "p", m)
    p.sluice("run", *DAY)
    check_all_there(p)
    assert m.stats()["faults"] == {fault: 1}


# ── for ever: exit 3, the page is named, nothing is published ──

LASTING = [("page", f, words) for f, words in (
    ("status_500", ["500"]), ("status_503", ["503"]), ("status_401", ["401"]), ("status_403", ["403"]),
    ("status_404", ["404"]), ("status_204", []), ("empty_200", []), ("html_200", ["HTML"]),
    ("error_object_200", ["data", "error"]), ("missing_records", ["data"]), ("null_records", ["data", "null"]),
    ("bad_json", ["JSON", "byte"]), ("json_twice", ["JSON", "byte"]), ("bad_utf8", ["byte"]), ("nul_byte", ["byte"]),
    ("bom", ["byte order mark"]), ("truncated_gzip", []), ("gzip_crc", []), ("gzip_garbage", []), ("not_gzip", []),
    ("gzip_bomb", []), ("deep_json", []), ("redirect", ["localhost"]), ("reset", []), ("close", []), ("reset_body", []),
    ("short_body", []), ("chunk_cut", []), ("bad_chunk", []), ("length_twice", ["Content-Length"]),
    ("length_and_chunked", ["Content-Length"]), ("header_flood", []), ("continue_flood", ["interim"]), ("bad_status_line", []), ("slow", []),
    ("stall", []))] + [
    ("cursor", "same_cursor", []), ("cursor", "error_object_200", ["data"]), ("cursor", "missing_records", ["data"]),
    ("next_url", "other_origin", ["localhost"]), ("link", "other_origin", ["localhost"]), ("next_url", "same_cursor", []),
    ("next_url", "missing_records", ["data"]), ("offset", "null_records", ["data"]), ("link", "bad_json", ["JSON"]),
    ("blind", "error_object_200", ["data"]), ("blind", "missing_records", ["data"]),
]


@pytest.mark.parametrize("style, fault, words", LASTING, ids=lambda v: v if isinstance(v, str) else "")
def test_for_ever(tmp_path, mocks, style, fault, words):
    m = mocks(style)
    rule = {"match": failing_page(style), "fault": fault, "nth": 0, "wait": "30s"}
    if style == "cursor":
        rule = {**rule, "match": "", "nth": 3, "times": 1000}
    m.reset(rule)
    p = make(tmp_path / "p", m, style)
    done = p.sluice("run", *DAY, status=3)
    said = done.out + done.err
    assert "page 3" in done.err, said
    for word in words:
        assert word.lower() in said.lower(), f"'{word}' is not in:\n{said}"
    assert L.published(p.lake) == {}
    for _, _, _, folder in L.generations(p.lake, p.name):
        assert not [e for e, _ in L.entries(folder) if "seal" in e]
    failure = p.records()[-1]["failures"][0]
    assert failure["resource"] == "things" and failure["error"]["exit_status"] == 3
    # what the API said is in Raw, and the message says how to see it
    if fault not in ("reset", "close", "bad_status_line", "header_flood", "slow", "length_twice", "length_and_chunked",
                     "bad_chunk", "continue_flood"):
        assert "sluice raw cat" in said, said
    # nothing leaked to the other origin
    assert not [r for r in m.requests() if r["host"].startswith("localhost") and r["auth"] != "missing"]
    # the API is mended: the next run goes on and all is there
    m.reset()
    p.sluice("run", *DAY)
    check_all_there(p)


def test_an_error_object_is_never_the_end(tmp_path, mocks):
    """The bar: a 200 with an error object as page 3 of 5. Others publish 40 % of the rows."""
    m = mocks("blind")
    m.reset({"match": "page=3", "fault": "error_object_200", "nth": 0})
    p = make(tmp_path / "p", m, "blind")
    done = p.sluice("run", *DAY, status=3)
    assert "page 3" in done.err and "page=3" in done.err
    assert L.published(p.lake) == {}
    # pages 1 and 2 are kept, and not asked for again
    m.reset()
    p.sluice("run", *DAY)
    check_all_there(p)
    assert not [r for r in m.requests() if "page=1" in r["target"] or "page=2" in r["target"]]


def test_a_cut_window_keeps_the_others(tmp_path, mocks, data):
    """Rule 30: a table is prepared when all wanted windows are sealed; --keep-going publishes the sealed ones."""
    m = mocks("page")
    m.reset({"match": "from=2024-01-01&to=2024-01-01", "fault": "status_404", "nth": 0})
    p = make(tmp_path / "p", m)
    both = ("--from", "2023-12-31", "--to", "2024-01-02")
    p.sluice("run", *both, status=3)
    assert L.published(p.lake) == {}
    p.sluice("run", *both, "--keep-going", status=3)
    assert "prepare/shop/things" in L.published(p.lake)
    m.reset()
    p.sluice("run", *both)
    check_all_there(p)


# ── totals, loops ──

def test_totals_that_differ_are_recorded(tmp_path, mocks):
    """Rule 8: pages that declare different totals say that the source moved: the class is the lowest, with evidence."""
    m = mocks("page")
    m.reset({"match": "page=3", "fault": "total_wrong", "nth": 0})
    p = make(tmp_path / "p", m)
    p.sluice("run", *DAY)
    check_all_there(p)
    seal = [e["seal"] for _, _, _, folder in L.generations(p.lake, p.name) for e, _ in L.entries(folder) if "seal" in e]
    assert seal[0]["class"] == "best-effort" and "differ" in seal[0]["evidence"]


@pytest.mark.parametrize("style, fault, said", [
    ("page", "total_wrong", "101"), ("cursor", "total_wrong", "101"), ("offset", "total_wrong", "101"),
    ("page", "short_page", "99"), ("cursor", "short_page", "99")])
def test_wrong_totals_are_refused(tmp_path, mocks, style, fault, said):
    """The API declares more than it gives: abandoned, exit 3, nothing published; the next run starts at page 1."""
    m = mocks(style)
    every = fault == "total_wrong"
    m.reset({"match": "page=3" if style == "page" and not every else "", "fault": fault,
             "nth": 0 if every else 3 if style == "cursor" else 1, "times": 1})
    p = make(tmp_path / "p", m, style)
    done = p.sluice("run", *DAY, status=3)
    assert said in done.err and "things" in done.err, done
    assert L.published(p.lake) == {}
    kinds = [[e["kind"] for e, _ in L.entries(f)] for _, _, _, f in L.generations(p.lake, p.name)]
    assert [k[-1] for k in kinds] == ["abandon"]
    m.reset()
    p.sluice("run", *DAY)
    check_all_there(p)
    assert [g for _, _, g, _ in L.generations(p.lake, p.name)] == [1, 2]


def test_a_short_page_moves_the_offset(tmp_path, mocks):
    """The next offset is where the records ended, not where a full page would have."""
    m = mocks("offset")
    m.reset({"match": "offset=40", "fault": "short_page", "nth": 1})
    p = make(tmp_path / "p", m, "offset")
    p.sluice("run", *DAY)
    check_all_there(p)
    assert [r["rows"] for r in m.requests() if "offset=40" in r["target"] or "offset=59" in r["target"]] == [19, 20]


@pytest.mark.parametrize("back", [0, 1, 2])
@pytest.mark.parametrize("style", ["cursor", "next_url", "link"])
def test_cycles_of_any_length(tmp_path, mocks, style, back):
    m = mocks(style)
    m.reset({"fault": "same_cursor", "back": back, "nth": 4, "times": 100000})
    p = make(tmp_path / "p", m, style)
    done = p.sluice("run", *DAY, status=3)
    assert "page" in done.err and ("before" in done.err or "just used" in done.err), done
    assert L.published(p.lake) == {}
    assert m.stats()["requests"] < 40
    m.reset()
    p.sluice("run", *DAY)
    check_all_there(p)


def test_a_page_in_the_middle_may_be_empty(tmp_path, mocks):
    """With a cursor, an empty page that leads on is no end; the declared total finds what is missing."""
    m = mocks("cursor")
    m.reset({"fault": "empty_page", "nth": 3, "times": 1})
    p = make(tmp_path / "p", m, "cursor")
    done = p.sluice("run", *DAY, status=3)
    assert "80" in done.err and "100" in done.err
    assert len([r for r in m.requests() if r["resource"]]) == 5


# ── rate ──

@pytest.mark.parametrize("form", ["seconds", "decimal", "date", "none"])
def test_429s_of_all_forms(tmp_path, data, form):
    """No rate is declared, the server has one: what it says is obeyed, no request comes early, all is there."""
    m = L.Mock(tmp_path, {"base": "/v1", "token": L.TOKEN, "rate": {"requests": 2, "per": "1s", "burst": 4, "answer": form,
               "headers": "none"}, "resources": {"things": {"file": "things.ndjson", "records": "data", "paginate": STYLES["page"][0],
                                                 "window": {"column": "at", "from": "from", "to": "to"}}}}, data)
    try:
        p = make(tmp_path / "p", m, retry={"attempts": 6, "first": "100ms", "max": "400ms"})
        p.sluice("run", *DAY)
        check_all_there(p)
        stats = m.stats()
        assert stats["rate_limited"] >= 1
        assert form == "none" or not [r for r in m.requests() if r["retried_early"]]
        assert p.records()[-1]["resources"][0]["busy"] == stats["rate_limited"]
    finally:
        assert m.stop() == 0


@pytest.mark.parametrize("burst", [1, 2, 10])
def test_a_declared_rate_is_never_exceeded(tmp_path, burst):
    """The bar: at the rate that both sides know, not one 429, and the rate is used."""
    text = L.example_mock() + f"\nrate: {{requests: 50, per: 1s, burst: {burst}, reset: decimal}}\n"
    m = L.Mock(tmp_path, text, L.FLIGHTS)
    try:
        p = L.example_project(tmp_path / "flights", m.url, lambda text: text.replace(
            f"url: {m.url}\n", f"url: {m.url}\n  rate: {{requests: 50, per: 1s, burst: {burst}}}\n", 1))
        p.sluice("ingest", "--only", "flights", "--from", "2013-01-01", "--to", "2013-03-01")
        stats = m.stats()
        assert stats["rate_limited"] == 0, stats
        times = [r["at_us"] for r in m.requests(limit=100000, resource="flights")]
        ideal_s = (len(times) - burst) / 50
        used = ideal_s / ((times[-1] - times[0]) / 1e6)
        # with a burst of 1 each request must leave a margin for the jitter of the one before
        assert len(times) >= 59 and used >= (0.7 if burst == 1 else 0.9), f"{len(times)} requests, {used:.1%} of the rate"
    finally:
        assert m.stop() == 0


def test_a_wait_that_is_too_long_ends_the_run(tmp_path, mocks):
    """Retry-After beyond wait_max: exit 3 at once, and the message says both times."""
    m = mocks("page")
    m.reset({"match": "page=3", "fault": "status_429", "retry_after": "3600", "nth": 0})
    done = make(tmp_path / "p", m).sluice("run", *DAY, status=3)
    assert "3600" in done.err and "wait_max" in done.err


# ── secrets ──

WAYS = {"query": ({"api_key": {"query": "key", "secret": "env:KEY"}}, {"auth": "query", "auth_name": "key"}),
        "header": ({"api_key": {"header": "X-Key", "secret": "env:KEY"}}, {"auth": "header", "auth_name": "X-Key"}),
        "basic": ({"basic": {"user": "me", "password": "env:KEY"}}, {"auth": "basic", "user": "me"}),
        "bearer": ({"bearer": {"secret": "env:KEY"}}, {"auth": "bearer"})}


class Echo(http.server.BaseHTTPRequestHandler):
    """An API that repeats what it was shown, in each place that an answer has."""
    status, place, packed = 200, "body", False

    def do_GET(self):
        shown = self.headers["Authorization"].split(" ", 1)[1]
        record = {"id": 1, "name": shown if self.place == "body" else "x", "at": "2024-01-01T00:00:00Z"}
        body = json.dumps({"data": [record], "next": shown if self.place == "cursor" else None}).encode()
        if self.packed:
            body = gzip.compress(body)
        self.send_response(self.status, shown if self.place == "reason" else None)
        self.send_header("Content-Length", str(len(body)))
        for place in ("Content-Encoding", "Transfer-Encoding", "Content-Length"):
            if self.place == place:
                self.send_header(place, shown)
        if self.packed:
            self.send_header("Content-Encoding", "gzip")
        if self.place == "header":
            self.send_header("X-You-Said", shown)
            self.send_header("Set-Cookie", "token=" + shown)
        if self.place == "location":
            self.send_header("Location", "/elsewhere?key=" + urllib.parse.quote(shown))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("status, place, ends", [
    (200, "body", 2), (401, "body", 3), (404, "body", 3), (500, "body", 3), (200, "header", 0), (401, "header", 3),
    (302, "location", 3), (200, "cursor", 2), (200, "reason", 0), (500, "reason", 3), (200, "Content-Encoding", 3),
    (200, "Transfer-Encoding", 3), (200, "Content-Length", 3)])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_an_api_that_echoes_the_secret(tmp_path, status, place, ends, packed):
    """What the API repeats is kept out of Raw, messages and records as well, whatever the status."""
    handler = type("Handler", (Echo,), {"status": status, "place": place, "packed": packed})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mock = type("M", (), {"url": f"http://127.0.0.1:{server.server_address[1]}"})
        p = make(tmp_path / "p", mock, "cursor")
        text = open(p.file, encoding="utf-8").read()
        config = json.loads(text)
        config["resources"]["things"].pop("total")
        config["resources"]["things"]["paginate"]["cursor"]["from"] = "next"
        with open(p.file, "w", encoding="utf-8") as f:
            json.dump(config, f)
        done = p.sluice("run", *DAY, status=ends)
        server.shutdown()
    assert L.secret_places(p.lake, [L.TOKEN]) == []
    for form in L.spellings(L.TOKEN):
        assert form not in (done.out + done.err).encode()
        for command in (["status", "--json"], ["runs", "--json"], ["status"], ["runs"]):
            told = p.sluice(*command)
            assert form not in (told.out + told.err).encode()
    if (status, place) == (200, "body"):
        assert "FLIGHTS_TOKEN" in done.err  # which secret it was, by reference
    if ends:
        assert L.published(p.lake) == {}
    p.sluice("verify")


@pytest.mark.parametrize("style", ["page", "next_url", "link"])
@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_secrets_never_leave(tmp_path, data, way, style, right):
    """Each way to show a token; the API is asked, refuses, redirects away and breaks off. The token is nowhere."""
    key = "Kanari env/4711+geheim=" if way != "bearer" else L.TOKEN
    auth, theirs = WAYS[way]
    m = L.Mock(tmp_path, {"base": "/v1", "token": key, **theirs, "resources": {
        "things": {"file": "things.ndjson", "records": "data", "paginate": STYLES[style][0],
                   "window": {"column": "at", "from": "from", "to": "to"}}}}, data)
    said = ""
    try:
        p = make(tmp_path / "p", m, style, auth=auth)
        p.secrets = {"KEY": key if right else key[::-1]}
        if right:
            for fault in ("redirect", "html_200", "reset_body", "status_404", "bad_json"):
                m.reset({"match": failing_page(style), "fault": fault, "nth": 0})
                done = p.sluice("run", *DAY, status=3)
                said += done.out + done.err
            m.reset()
        done = p.sluice("run", *DAY, status=0 if right else 3)
        said += done.out + done.err
        for command in (["plan", *DAY], ["status"], ["runs"], ["check"], ["raw ls", "things"]):
            done = p.sluice(*command, status=None)
            said += done.out + done.err
        if right:
            check_all_there(p)
        else:
            assert "401" in said
        assert not [r for r in m.requests(limit=1000) if r["host"].startswith("localhost")]
    finally:
        assert m.stop() == 0
    secret = p.secrets["KEY"]
    assert L.secret_places(p.lake, [secret]) == []
    for form in L.spellings(secret):
        assert form not in said.encode()
