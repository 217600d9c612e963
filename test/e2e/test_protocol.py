"""Ties the program to the models: the calls to its store, as it made them, obey the rules of spec/ledger.pml and
spec/table.pml (test/spec/audit.py); and each rule of the auditor is broken once by a forged log."""
import copy
import datetime
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import sys
import time

import pytest

import lake as L
import test_children as TC
import test_faults as TF
from lake_fixtures import MONTH, small_pages

sys.path.insert(0, os.path.join(L.ROOT, "test", "spec"))
import audit as A  # noqa: E402
sys.path.insert(0, os.path.join(L.ROOT, "test", "kill"))
import world as W  # noqa: E402

pytest_plugins = ["lake_fixtures"]
WEEK = ("--from", "2013-01-01", "--to", "2013-01-04")


def traced(project, folder):
    """The same project; whatever it does to its store is noted in .trace."""
    p = L.Project(project.folder, project.lake, {**project.secrets, "SLUICE_STORE_TRACE": os.path.join(folder, "trace")})
    p.trace = os.path.join(folder, "trace")
    return p


def audited(p, at_least=20, damaged=()):
    found = A.Audit(A.read(p.trace), p.lake, damaged)
    assert not found.findings, "\n".join(map(str, found.findings[:10]))
    assert found.applied >= at_least
    return found


def kinds(found):
    return {e["kind"] for g in found.generations.values() for e in g.entries}


@pytest.fixture
def week(tmp_path, month):
    return traced(month.on(tmp_path / "lake"), tmp_path)


def test_a_run(week):
    """Pages, seals, quarantine, models: every effect is one that the models know."""
    week.sluice("run", *WEEK)
    found = audited(week, 50)
    assert kinds(found) == {"claim", "pages"}
    assert {t.split("/")[0] for t in found.tables} == {"prepare", "quarantine", "refine"}


def test_the_same_again_and_stale(week):
    """A re-fetch of the same content: tags only."""
    week.sluice("run", *WEEK)
    week.sluice("run", *WEEK, "--refetch=again")
    found = audited(week)
    assert max(number for _, number in found.generations) == 2
    assert "sluice tags" in open(week.trace, encoding="utf-8").read()


def test_collection(week):
    """A superseded generation is expired, then its segments go."""
    week.sluice("run", *WEEK)
    week.sluice("run", *WEEK, "--refetch=again")
    week.sluice("gc", "--yes", "--generations", "--keep-days", 0, "--keep-versions", 1)
    audited(week)


def test_collection_of_what_is_damaged(week):
    """A superseded fetch whose ledger cannot be read; a snapshot that came again in a later window (rows name the first one)."""
    week.sluice("run", *WEEK)
    week.sluice("run", *WEEK, "--refetch=again")
    week.sluice("run", "--from", "2013-01-03", "--to", "2013-01-05")
    entry = sorted(glob.glob(os.path.join(week.lake, "raw/*/flights/*/g1/ledger/0*0.json")))[0]
    snapshot = sorted(glob.glob(os.path.join(week.lake, "raw/*/airlines/*/g2/segments/*")))[0]
    os.chmod(entry, 0o644)
    os.truncate(entry, 7)
    os.remove(snapshot)
    damaged = [os.path.relpath(entry, week.lake), os.path.relpath(snapshot, week.lake)]
    week.sluice("gc", "--yes", "--generations", "--keep-days", 0, "--keep-versions", 1)
    found = audited(week, damaged=damaged)
    assert sum(g.given_up for g in found.generations.values()) == 1
    assert [g.status for (w, k), g in sorted(found.generations.items()) if "/airlines/" in w] == ["promoted", "expired", "promoted"]
    week.sluice("verify")


def test_faults(tmp_path, month):
    """The API fails now and then: attempts are kept, generations resumed."""
    m = L.Mock(tmp_path, L.example_mock(percent=8), L.FLIGHTS)
    p = L.example_project(str(tmp_path / "flights"), m.url, small_pages)
    p = traced(p, tmp_path)
    for _ in range(3):
        p.sluice("run", *WEEK, status=None)
    audited(p)
    m.stop()


@pytest.mark.parametrize("point", [0.1, 0.35, 0.6, 0.85])
def test_kill_and_run_again(week, month, point):
    child = week.begin("run", *WEEK)
    wanted = point * 90
    while child.poll() is None and L.count_files(week.lake) < wanted:
        pass
    child.kill()
    child.communicate()
    week.sluice("run", *WEEK)
    week.sluice("gc", "--yes")
    audited(week)


def test_two_runs_at_once(week):
    children = [week.begin("run", *WEEK) for _ in range(2)]
    for c in children:
        c.communicate(timeout=L.TIMEOUT_S)
    week.sluice("run", *WEEK)
    audited(week)


def test_two_runs_race_for_the_tables(week):
    week.sluice("ingest", *WEEK)
    children = [week.begin("run", *WEEK) for _ in range(2)]
    for c in children:
        c.communicate(timeout=L.TIMEOUT_S)
    audited(week)


def test_takeover(week):
    """A run is stopped, another takes over, the first wakes up: it is fenced and stays silent."""
    first = week.begin("run", *WEEK)
    while first.poll() is None and L.count_files(week.lake) < 40:
        pass
    assert first.poll() is None
    os.kill(first.pid, signal.SIGSTOP)
    try:
        week.sluice("run", *WEEK, "--takeover")
    finally:
        os.kill(first.pid, signal.SIGCONT)
    first.communicate(timeout=60)
    found = audited(week)
    assert any(g.newest_claim for g in found.generations.values()), "nobody took anything over"


def things(tmp_path, rows, days=1):
    data = tmp_path / "data"
    os.makedirs(data, exist_ok=True)
    with open(data / "things.ndjson", "w", encoding="utf-8") as f:
        for i in range(rows):
            f.write(json.dumps({"id": i, "name": "" if i == 3 else f"thing {i}", "at": f"{day(i * days // rows)}T{i % 24:02}:00:00Z"}) + "\n")
    return L.Mock(tmp_path, {"base": "/v1", "token": L.TOKEN, "resources": {"things": {
        "file": "things.ndjson", "records": "data", "window": {"column": "at", "from": "from", "to": "to", "form": "date"},
        "paginate": {"style": "page", "size": 20, "size_param": "size", "total": "meta.total"}}}}, data)


def day(n):
    return (datetime.date(2024, 1, 1) + datetime.timedelta(days=n)).isoformat()


CONTRACT = L.contract_head("things") + """\
    customProperties: [{property: sluice.budget_percent, value: 60}]
    properties:
      - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}
      - {name: name, logicalType: string, required: true, logicalTypeOptions: {minLength: 1}}
      - {name: at, logicalType: timestamp, required: true}
"""
DAY = ("--from", "2024-01-01", "--to", "2024-01-02")


def things_project(tmp_path, mock, path="/things", **source):
    folder = tmp_path / "p"
    os.makedirs(folder / "contracts", exist_ok=True)
    (folder / "contracts" / "things.yaml").write_text(CONTRACT)
    (folder / "pipeline.yaml").write_text(json.dumps({
        "pipeline": "shop", "lake": "./lake",
        "source": {"url": mock.url, "auth": {"bearer": {"secret": "env:FLIGHTS_TOKEN"}}, "in_flight": 1,
                   "retry": {"attempts": 1, "first": "1ms", "max": "5ms"}, **source},
        "resources": {"things": {
            "path": path, "kind": "window", "window": {"every": "1d"}, "records": "data", "total": "meta.total",
            "query": {"from": "{window.from:date}", "to": "{window.last:date}"}, "segment": {"pages": 1},
            "paginate": {"page": {"query": "page", "size": {"query": "size", "value": 20}}}}}}))
    return traced(L.Project(folder), tmp_path)


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """One lake with everything in it: a failure, a changed definition (abandon), a re-fetch, a candidate that is
    accepted, a quarantined row."""
    tmp_path = tmp_path_factory.mktemp("story")
    m = things(tmp_path, 200)
    m.reset({"match": "page=4", "fault": "status_500", "nth": 1, "times": 100})
    p = things_project(tmp_path, m)
    p.sluice("run", *DAY, status=3)
    m.reset()
    with open(p.file, encoding="utf-8") as f:
        text = f.read()
    with open(p.file, "w", encoding="utf-8") as f:
        f.write(text.replace('"value": 20', '"value": 25'))
    p.sluice("run", *DAY)
    m.stop()
    m = things(tmp_path, 120)
    with open(p.file, encoding="utf-8") as f:
        text = f.read()
    with open(p.file, "w", encoding="utf-8") as f:
        f.write(re.sub(r'"url": "[^"]*"', json.dumps("url") + ": " + json.dumps(m.url), text, count=1))
    p.sluice("run", *DAY, "--refetch=fewer", status=4)
    window = sorted(n for n in os.listdir(os.path.join(p.lake, "raw", "shop", "things")) if n != "grid")[0]
    p.sluice("accept", "things", window)
    p.sluice("run", *DAY)
    m.stop()
    p.lines = A.read(p.trace)
    return p


def test_abandon_refetch_accept(story):
    found = audited(story)
    assert kinds(found) == {"claim", "pages", "abandon", "accept"}
    assert [g.status for g in found.generations.values()] == ["abandoned", "promoted", "promoted"]
    assert len(found.tables["prepare/shop/things"].hashes) == 2


@pytest.mark.parametrize("style, rule, said", [
    ("cursor", {"fault": "same_cursor", "back": 2, "nth": 4, "times": 1000}, "page"),
    ("cursor", {"fault": "total_wrong", "nth": 0, "times": 1000}, "101")], ids=["loop", "total"])
def test_a_generation_is_given_up(tmp_path, style, rule, said):
    """The pages go round, or are fewer than the API says: abandoned, and the next run begins another generation."""
    data = tmp_path / "data"
    os.makedirs(data)
    with open(data / "things.ndjson", "w", encoding="utf-8") as f:
        for i in range(100):
            f.write(json.dumps({"id": i, "name": f"thing {i}", "at": "2024-01-01T00:00:00Z"}) + "\n")
    m = L.Mock(tmp_path, {"base": "/v1", "token": L.TOKEN, "resources": {"things": {
        "file": "things.ndjson", "records": "data", "paginate": TF.STYLES[style][0],
        "window": {"column": "at", "from": "from", "to": "to", "form": "date"}}}}, data)
    m.reset(rule)
    p = traced(TF.make(tmp_path / "p", m, style), tmp_path)
    assert said in p.sluice("run", *DAY, status=3).err
    found = audited(p, 5)
    assert [g.status for g in found.generations.values()] == ["abandoned"] and "seal" not in kinds(found)
    m.reset()
    p.sluice("run", *DAY)
    found = audited(p, 10)
    assert [g.status for g in found.generations.values()] == ["abandoned", "promoted"]
    assert all(w["generation"] == 2 for t in found.tables.values() for tags in t.tags().values() for w in tags)
    m.stop()


# ── tables that grow old ──

DAYS = 52
OLD = ["prepare/shop/things", "quarantine/shop/things"]


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A run a day: 52 versions of two tables, with states and a checkpoint."""
    tmp_path = tmp_path_factory.mktemp("old")
    m = things(tmp_path, 4 * DAYS, DAYS)
    p = things_project(tmp_path, m)
    for n in range(DAYS):
        p.sluice("run", "--from", day(n), "--to", day(n + 1))
    p.lines = A.read(p.trace)
    yield p
    m.stop()


@pytest.fixture
def old_copy(old, tmp_path):
    shutil.copytree(old.lake, tmp_path / "lake", symlinks=True)
    shutil.copy(old.trace, tmp_path / "trace")
    return traced(old.on(tmp_path / "lake"), tmp_path)


def derived(found, table):
    return sorted(key.removeprefix(table + "/") for key in found.tables[table].derived)


def test_states_and_checkpoints(old):
    found = audited(old, 300)
    for table in OLD:
        assert derived(found, table) == ["_delta_log/00000000000000000050.checkpoint.parquet", "state/00000000000000000020.json",
                                         "state/00000000000000000040.json"]


def test_compact(old_copy):
    """Compacted, run again, collected: what was merged goes, and nothing else."""
    p = old_copy
    p.sluice("compact")
    found = audited(p)
    assert [len(found.tables[t].alive) < 4 and len(found.tables[t].hashes) == DAYS + 1 for t in OLD] == [True, True]
    p.sluice("run", *DAY, "--refetch=again")
    p.sluice("compact")
    p.sluice("gc", "--yes", "--keep-days", 0, "--keep-versions", 1)
    found = audited(p)
    assert L.count_files(p.table("prepare", "things") + "/data") == len(found.tables[OLD[0]].alive)
    p.sluice("verify")


def test_compact_beside_runs(old_copy):
    """Runs replace windows of the files that compactions merge; whoever is late builds again."""
    p = old_copy
    for n in (3, 30):
        children = [p.begin("run", "--from", day(n), "--to", day(n + 2), "--refetch=again"), p.begin("compact"), p.begin("compact")]
        assert {c.wait(60) for c in children} <= {0, 5}
        for c in children:
            c.communicate()
    p.sluice("compact")
    found = audited(p)
    assert "sluice compact" in open(p.trace, encoding="utf-8").read() and len(found.tables[OLD[0]].tags()) == DAYS
    p.sluice("verify")


def break_log(p, table, version, gone=False):
    key = f"{table}/_delta_log/{version:020}.json"
    path = os.path.join(p.lake, key)
    os.chmod(path, 0o644)
    if gone:
        os.remove(path)
    else:
        os.truncate(path, os.path.getsize(path) - 1)
    return key


@pytest.mark.parametrize("table", OLD)
@pytest.mark.parametrize("version, gone", [(30, False), (DAYS - 1, True), (0, False)])
def test_repair_of_a_log(old_copy, table, version, gone):
    """It goes on under another id; each version that was cut off is kept, and nothing derived from it stays. Then collected."""
    p = old_copy
    log = {v: open(os.path.join(p.lake, f"{table}/_delta_log/{v:020}.json"), "rb").read() for v in range(DAYS)}
    damaged = [break_log(p, table, version, gone)]
    p.sluice("repair")
    found = audited(p, damaged=damaged)
    assert table in {t for _, t in found.cutters}
    copies = {int(m.group(2)): k for k in found.objects for m in [A.CUT.match(k)] if m}
    assert sorted(copies) == ([] if gone else list(range(version, DAYS)))
    for v, key in copies.items():
        there = open(os.path.join(p.lake, key), "rb").read()
        assert there == log[v] if v != version else log[v].startswith(there), key
    if not gone or version < DAYS - 1:
        assert len(found.tables[table].versions) > DAYS  # no number that readers know comes again
    p.sluice("gc", "--yes", "--keep-days", 0, "--keep-versions", 1)
    audited(p, damaged=damaged)
    p.sluice("verify")


def test_repairs_that_are_killed(old_copy, tmp_path):
    """In the middle of the cut, of the numbers that are passed, before and behind the commit that ends it; a run between them."""
    W.build_moment()
    p = old_copy
    damaged = [break_log(p, OLD[0], 45)]
    log = f"{p.lake}/{OLD[0]}/_delta_log/"
    for call, when, nth, name in (("link", "before", 1, "_repair*"), ("unlink", "after", 3, "0*.json"), ("link", "after", 4, "0*.json"),
                                  ("link", "before", 4, "0*.json"), ("link", "after", 1, f"{DAYS:020}.json"),
                                  ("unlink", "before", 1, "_repair*")):
        L.Project(p.folder, p.lake, {**p.secrets, "LD_PRELOAD": W.MOMENT, "MOMENT": f"run:{call}:{when}:{nth}:9:{log}{name}"}).sluice(
            "repair", status=-9)
        audited(p, damaged=damaged)
        p.sluice("run", *DAY, status=8)
    p.sluice("repair")
    found = audited(p, damaged=damaged)
    assert len({pid for pid, table in found.cutters if table == OLD[0]}) == 6
    table = found.tables[OLD[0]]
    assert len(table.hashes) == DAYS + 1 and not table.marks and len(table.tags()) == DAYS  # no more than an undisturbed one
    p.sluice("run", *DAY, "--refetch=again")
    audited(p, damaged=damaged)
    p.sluice("verify")


def test_repair_of_derived_things(old_copy):
    """A data file: made again by a commit as of a run. A state: removed."""
    p = old_copy
    found = audited(p)
    file = os.path.join(p.lake, OLD[0], next(iter(found.tables[OLD[0]].alive)))
    os.remove(file)
    key = OLD[0] + "/state/00000000000000000040.json"
    os.chmod(os.path.join(p.lake, key), 0o644)
    with open(os.path.join(p.lake, key), "r+b") as f:
        f.write(b"[")
    p.sluice("repair")
    found = audited(p, damaged=[key])
    assert not os.path.exists(os.path.join(p.lake, key)) and len(found.tables[OLD[0]].hashes) == DAYS + 1
    p.sluice("verify")


def test_repair_and_compact(old_copy):
    p = old_copy
    damaged = [break_log(p, OLD[0], 45)]
    p.sluice("repair")
    p.sluice("compact")
    p.sluice("run", *DAY, "--refetch=again")
    audited(p, damaged=damaged)
    p.sluice("verify")


@pytest.fixture(scope="module")
def worn(old, tmp_path_factory):
    """Version 39 of a table was damaged; repaired, compacted."""
    tmp_path = tmp_path_factory.mktemp("worn")
    shutil.copytree(old.lake, tmp_path / "lake", symlinks=True)
    shutil.copy(old.trace, tmp_path / "trace")
    p = traced(old.on(tmp_path / "lake"), tmp_path)
    p.damaged = [break_log(p, OLD[0], 39)]
    p.sluice("repair")
    p.sluice("compact")
    audited(p, damaged=p.damaged)
    p.lines = A.read(p.trace)
    return p


# ── tables of arrays ──

@pytest.fixture(scope="module")
def orders(tmp_path_factory):
    """Orders with lines and parcels, a run for each of two days, then all again."""
    tmp_path = tmp_path_factory.mktemp("orders")
    TC.write(tmp_path / "orders.ndjson", TC.orders())
    m = TC.mock_of(tmp_path)
    p = traced(TC.project(tmp_path / "p", m, TC.contract()), tmp_path)
    for n in range(2):
        p.sluice("run", "--from", day(n), "--to", day(n + 1))
    p.sluice("run", *TC.RUN)
    p.lines = A.read(p.trace)
    yield p
    m.stop()


def test_child_tables(orders):
    """Children before the quarantine of their table, the table last."""
    found = audited(orders)
    assert {t for t in found.tables} == {f"{zone}/shop/{name}" for zone, name in TC.TABLES}
    log = [A.COMMIT.match(line["key"]) for line in orders.lines if line["call"] == "create" and "text" in line]
    order = [(m.group(2), m.group(4)) for m in log if m]
    assert order == 3 * TC.TABLES
    for table in found.tables.values():
        assert len(table.tags()) == TC.DAYS


def test_child_tables_again(orders, tmp_path):
    """The same content fetched again: tags of all tables. Compacted, a child's log repaired, two runs at once."""
    shutil.copytree(orders.lake, tmp_path / "lake", symlinks=True)
    shutil.copy(orders.trace, tmp_path / "trace")
    p = traced(orders.on(tmp_path / "lake"), tmp_path)
    p.sluice("run", *TC.RUN, "--refetch=again")
    p.sluice("compact")
    children = [p.begin("run", *TC.RUN, "--refetch=again") for _ in range(2)]
    assert {c.wait(60) for c in children} <= {0, 5}
    for c in children:
        c.communicate()
    damaged = [break_log(p, "prepare/shop/orders__lines", 1)]
    p.sluice("repair")
    p.sluice("gc", "--yes", "--generations", "--keep-days", 0, "--keep-versions", 1)
    audited(p, damaged=damaged)
    p.sluice("verify")


# ── the auditor itself ──

def creates(lines, pattern):
    """Both lines of each create of such a key, in order."""
    calls = [(i, line) for i, line in enumerate(lines) if line["call"] == "create" and re.search(pattern, line["key"])]
    begins = [(i, line) for i, line in calls if "result" not in line]
    return [(i, next(k for k, end in calls if end["id"] == b["id"] and end["pid"] == b["pid"] and "result" in end)) for i, b in begins]


def edit(lines, pattern, nth, change):
    """The text of one create, changed."""
    i, _ = creates(lines, pattern)[nth]
    lines[i]["text"] = change(lines[i]["text"])


def edit_json(lines, pattern, nth, change):
    def one(text):
        value = json.loads(text)
        change(value)
        return json.dumps(value) + "\n"
    edit(lines, pattern, nth, one)


def edit_action(lines, pattern, nth, name, change):
    def all_of(text):
        out = []
        for line in text.splitlines():
            action = json.loads(line)
            if name in action:
                change(action[name])
            out.append(json.dumps(action))
        return "\n".join(out) + "\n"
    edit(lines, pattern, nth, all_of)


def edit_tag(member, value):
    def change(add):
        windows = json.loads(add["tags"]["sluice.windows"])
        windows[0][member] = value
        add["tags"]["sluice.windows"] = json.dumps(windows)
    return change


def drop(lines, pattern, nth):
    for i in sorted(creates(lines, pattern)[nth], reverse=True):
        del lines[i]


def again(lines, pattern, nth, text=None, pid=None, key=None):
    """The same create once more at the end, perhaps with another text, by another process, under another key."""
    for i in creates(lines, pattern)[nth]:
        line = {**lines[i], "id": 10 ** 6}
        if text is not None and "text" in line:
            line["text"] = text(line["text"])
        if pid is not None:
            line["pid"] = pid
        if key is not None:
            line["key"] = key
        lines.append(line)


def call(lines, name, key, result="ok", at=None):
    two = [{"pid": 1, "id": 10 ** 6, "call": name, "key": key}, {"pid": 1, "id": 10 ** 6, "call": name, "key": key, "result": result}]
    if at is None:
        lines.extend(two)
    else:
        lines[at:at] = two


def lose(lines):
    """The second entry of the last generation was somebody else's: whoever met it writes on."""
    (b, e), (later, _) = creates(lines, "g3/ledger")[1:3]
    lines[e]["result"] = "exists"
    other = {**lines[b], "pid": 1, "text": lines[b]["text"] + " "}
    lines[b:b] = [other, {"pid": 1, "id": other["id"], "call": "create", "key": other["key"], "result": "created"}]


def pages_of(lines, pattern):
    return [k for k, (i, _) in enumerate(creates(lines, pattern)) if json.loads(lines[i]["text"]).get("pages")]


MAIN, ASIDE = r"^prepare/.*_delta_log", r"^quarantine/.*_delta_log"


def reseal(member, value):
    return lambda e: e["seal"].update({member: value})


FORGED = {
    "number_follows": lambda x, s: drop(x, "g2/ledger", 2),
    "claim_is_its_epoch": lambda x, s: edit_json(x, "g2/ledger", 0, lambda e: e.update(epoch=7)),
    "open_after_close": lambda x, s: drop(x, "g1/ledger", -1),
    "claim_once": lambda x, s: again(x, "g3/ledger", 0, key=creates_key(x, "g3/ledger", 99)),
    "newest_claim_writes": lambda x, s: edit_json(x, "g2/ledger", 1, lambda e: e.update(epoch=1)),
    "fenced_is_silent": lambda x, s: lose(x),
    "nothing_after_close": lambda x, s: again(x, "g2/ledger", 1, key=creates_key(x, "g2/ledger", 99)),
    "accept_candidate": lambda x, s: again(x, "g3/ledger", -1, key=creates_key(x, "g3/ledger", 99)),
    "expire_superseded": lambda x, s: again(x, "g3/ledger", -1, key=creates_key(x, "g3/ledger", len(creates(x, "g3/ledger"))),
                                            text=lambda t: json.dumps({**json.loads(t), "kind": "expire"})),
    "pages_continue": lambda x, s: edit_json(x, "g2/ledger", 2, lambda e: e["pages"][0].update(page=9)),
    "payload_first": lambda x, s: edit_json(x, "g2/ledger", 2, lambda e: e["segment"].update(name="0-" + "0" * 64 + ".warc.gz")),
    "payload_kept": lambda x, s: edit_json(x, "g2/ledger", 2, lambda e: e["segment"].update(name="0-" + "0" * 64 + ".warc.gz")),
    "one_definition": lambda x, s: edit_json(x, "g2/ledger", 2, lambda e: e["pages"][0].update(request="GET /other?page=1")),
    "seal_complete": lambda x, s: edit_json(x, "g3/ledger", -2, reseal("records", 1)),
    "collect_unnamed": lambda x, s: call(x, "remove", next(l["key"] for l in x if l["call"] == "finish" and "/g2/" in l["key"])),
    "version_follows": lambda x, s: drop(x, MAIN, 0),
    "rows_once": lambda x, s: edit_action(x, MAIN, 1, "remove", lambda r: r.update(path="data/another.parquet")),
    "generation_has_its_content": lambda x, s: edit_action(x, MAIN, 1, "add", edit_tag("content", "0" * 64)),
    "promoted_only": lambda x, s: edit_action(x, MAIN, 0, "add", edit_tag("generation", 1)),
    "older_never_wins": lambda x, s: edit_action(x, MAIN, 0, "add", edit_tag("generation", 9)),
    "window_stays": lambda x, s: edit_action(x, MAIN, 1, "add", lambda add: add["tags"].update({"sluice.windows": "[]"})),
    "quarantine_first": lambda x, s: drop(x, ASIDE, 1),
    "tags_change_no_rows": lambda x, s: edit_action(x, MAIN, 1, "commitInfo", lambda c: c.update(operation="sluice tags")),
    "create_once": lambda x, s: again(x, "g2/ledger", 1),
    "chained": lambda x, s: edit_json(x, "g2/ledger", 1, lambda e: e.update(previous="0" * 64)),
    "settled_first": lambda x, s: x.__setitem__(slice(None), [l for l in x if l["call"] != "settle"]),
    "known": lambda x, s: edit_json(x, "g2/ledger", 1, lambda e: e.update(kind="checkpoint")),
    "collect_claimed": lambda x, s: call(x, "remove", first_segment(x), at=creates(x, "g2/ledger")[1][0]),
}
UNKNOWN = {
    "an entry": lambda x: edit_json(x, "g2/ledger", 1, lambda e: e.update(kind="erase")),
    "an operation": lambda x: edit_action(x, MAIN, 1, "commitInfo", lambda c: c.update(operation="sluice move")),
    "an operation in another zone": lambda x: edit_action(x, ASIDE, 1, "commitInfo", lambda c: c.update(operation="sluice prepare")),
    "an action": lambda x: edit(x, MAIN, 1, lambda t: t + '{"txn":{"appId":"a","version":1}}\n'),
    "a key": lambda x: again(x, "g2/ledger", 1, key="raw/shop/things/cursor.json"),
    "a removal": lambda x: call(x, "remove", creates_key(x, "g2/ledger", 1)),
    "a call": lambda x: call(x, "overwrite", creates_key(x, "g2/ledger", 1)),
    "an object in pieces": lambda x: call(x, "finish", "raw/shop/things/other.bin"),
}


def creates_key(lines, pattern, number):
    key = lines[creates(lines, pattern)[0][0]]["key"]
    return re.sub(r"\d{20}", f"{number:020}", key)


def first_segment(lines):
    return re.sub(r"segments/\d+-", "segments/3-", next(l["key"] for l in lines if l["call"] == "finish" and "/g2/" in l["key"]))


LOG, STATE_20, HINT = r"^prepare/.*_delta_log/\d+\.json", r"^prepare/.*state/0+20\.json", r"^quarantine/.*_last_checkpoint"
POINT = "_delta_log/00000000000000000050.checkpoint.parquet"


def removed(lines, pattern):
    """Both lines of each removal of such a key."""
    return [i for i, line in enumerate(lines) if line["call"] == "remove" and re.search(pattern, line["key"])]


def keep(lines, pattern):
    """It was never removed."""
    found = removed(lines, pattern)
    assert len(found) == 2, found
    for i in reversed(found):
        del lines[i]


def after(lines, pattern, nth, other, other_nth):
    """The one create moved behind another."""
    (b, e), (_, to) = creates(lines, pattern)[nth], creates(lines, other)[other_nth]
    lines[to + 1:to + 1] = [lines[b], lines[e]]
    for i in (e, b):
        del lines[i]


def edit_line(lines, pattern, nth, number, change):
    def one(text):
        rows = text.splitlines()
        rows[number] = change(rows[number])
        return "\n".join(row for row in rows if row) + "\n"
    edit(lines, pattern, nth, one)


def edit_state(member, value):
    return lambda row: json.dumps({"state": {**json.loads(row)["state"], member: value}})


def renewing(lines):
    """The first commit behind the cut: the last one that says what the table is."""
    return max(n for n, (i, _) in enumerate(creates(lines, LOG)) if '{"metaData"' in lines[i]["text"])


def edit_renewing(lines, change):
    edit_action(lines, LOG, renewing(lines), "metaData", change)


def first_id(lines):
    text = lines[creates(lines, LOG)[0][0]]["text"]
    return next(a["metaData"]["id"] for a in map(json.loads, text.splitlines()) if "metaData" in a)


def by_another(lines):
    for i in creates(lines, LOG)[renewing(lines)]:
        lines[i]["pid"] = 1


MARK = OLD[0] + "/_delta_log/_repair.{:020}.json"
NEW_ID = '{"metaData":{"id":"another","schemaString":"{}"}}\n'
FORGED_LATER = {  # rule: (lake, what is forged)
    "compact_moves_only": {
        "another generation": ("worn", lambda x: edit_action(x, LOG, -1, "add", edit_tag("generation", 2))),
        "other rows": ("worn", lambda x: edit_action(x, LOG, -1, "add", edit_tag("rows", 77))),
        "changed data": ("worn", lambda x: edit_action(x, LOG, -1, "add", lambda add: add.update(dataChange=True))),
        "removed data": ("worn", lambda x: edit_action(x, LOG, -1, "remove", lambda r: r.update(dataChange=True))),
        "a window less": ("worn", lambda x: edit_action(x, LOG, -1, "add", lambda add: add["tags"].update({"sluice.windows": "[]"}))),
        "a file that stays": ("worn", lambda x: edit_line(x, LOG, -1, 1, lambda row: "")),
        "another schema": ("worn", lambda x: edit(x, LOG, -1, lambda t: t + NEW_ID)),
    },
    "rows_once": {
        "a file that was gone": ("worn", lambda x: edit_action(x, LOG, -1, "remove", lambda r: r.update(path="data/another.parquet"))),
    },
    "state_follows": {
        "another log": ("worn", lambda x: edit_line(x, STATE_20, 0, 0, edit_state("log", "0" * 64))),
        "another version": ("worn", lambda x: edit_line(x, STATE_20, 0, 0, edit_state("version", 40))),
        "a file less": ("worn", lambda x: edit_line(x, STATE_20, 0, 4, lambda row: "")),
        "no end": ("worn", lambda x: edit_line(x, STATE_20, 0, -1, lambda row: json.dumps({"end": "0" * 64}))),
        "removed": ("worn", lambda x: call(x, "remove", OLD[1] + "/state/00000000000000000020.json")),
        "stays behind a cut": ("worn", lambda x: keep(x, r"^prepare/.*state/0+40\.json")),
    },
    "checkpoint_follows": {
        "a hint at nothing": ("worn", lambda x: edit_json(x, HINT, 0, lambda h: h.update(version=100))),
        "a hint with another size": ("worn", lambda x: edit_json(x, HINT, 0, lambda h: h.update(sizeInBytes=1))),
        "of another version": ("worn", lambda x: again(x, "^quarantine/.*" + POINT, 0, key=OLD[1] + "/" + POINT.replace("50", "30"))),
        "another file": ("worn", lambda x: edit_action(x, r"^quarantine/.*_delta_log/0+49\.json", 0, "add",
                                                       lambda add: add.update(path="data/another.parquet"))),
        "removed": ("worn", lambda x: call(x, "remove", OLD[1] + "/" + POINT)),
        "stays behind a cut": ("worn", lambda x: keep(x, "^prepare/.*" + POINT)),
    },
    "cut_in_order": {
        "no copy": ("worn", lambda x: drop(x, r"damaged/.*0+45\.json", 0)),
        "another copy": ("worn", lambda x: edit(x, r"damaged/.*0+45\.json", 0, lambda t: t.replace("sluice", "other"))),
        "a newer version stays": ("worn", lambda x: keep(x, r"_delta_log/0+51\.json")),
        "no mark": ("worn", lambda x: drop(x, r"_delta_log/_repair", 0)),
        "a mark with a lower number": ("worn", lambda x: again(x, r"_delta_log/_repair", 0, key=MARK.format(7),
                                                               text=lambda t: t.replace('"seen":51', '"seen":7'))),
    },
    "renewed_after_cut": {
        "the same id": ("worn", lambda x: edit_renewing(x, lambda m: m.update(id=first_id(x)))),
        "by another": ("worn", by_another),
        "an id of before": ("worn", lambda x: edit_json(x, r"_delta_log/_repair", 0, lambda m: m.update(id=first_id(x)))),
        "another id than the mark says": ("worn", lambda x: edit_json(x, r"_delta_log/_repair", 0, lambda m: m.update(id="a"))),
        "a number is left out": ("worn", lambda x: drop(x, LOG, renewing(x) - 1)),
        "the mark goes too early": ("worn", lambda x: call(x, "remove", MARK.format(51), at=creates(x, LOG)[renewing(x)][0])),
        "the mark stays": ("worn", lambda x: keep(x, r"_delta_log/_repair")),
        "without a cut": ("worn", lambda x: edit_action(x, LOG, -1, "commitInfo", lambda c: c.update(operation="sluice repair"))),
        "another id without a cut": ("worn", lambda x: edit(x, LOG, 1, lambda t: t + NEW_ID)),
    },
    "known": {
        "a copy goes": ("worn", lambda x: call(x, "remove", next(l["key"] for l in x if "/damaged/" in l["key"]))),
        "a repair with rows": ("worn", lambda x: edit_action(x, LOG, renewing(x), "commitInfo",
                                                             lambda c: c.update(operation="sluice repair"))),
        "a state elsewhere": ("worn", lambda x: again(x, STATE_20, 0, key="prepare/shop/things/state/newest.json")),
    },
    "children_first": {
        zone: ("orders", lambda x, zone=zone: after(x, rf"^{zone}/shop/orders__lines/_delta_log", 0, "^prepare/shop/orders/_delta_log", 0))
        for zone in ("quarantine", "prepare")
    },
    "quarantine_first": {
        "of a child": ("orders", lambda x: after(x, "^quarantine/shop/orders__lines/_delta_log", 0,
                                                 "^prepare/shop/orders__lines/_delta_log", 0)),
    },
    "promoted_only": {
        "of a child": ("orders", lambda x: edit_action(x, "^prepare/shop/orders__lines/_delta_log", 0, "add", edit_tag("generation", 9))),
    },
}


@pytest.mark.parametrize("rule, what", [(rule, what) for rule in FORGED_LATER for what in FORGED_LATER[rule]])
def test_a_forged_log_of_old_tables_is_refused(request, rule, what):
    lake, forge = FORGED_LATER[rule][what]
    p = request.getfixturevalue(lake)
    damaged = getattr(p, "damaged", ())
    lines = copy.deepcopy(p.lines)
    forge(lines)
    assert rule in {r for r, _, _ in A.Audit(lines, p.lake, damaged).findings}


@pytest.mark.parametrize("rule", sorted(FORGED))
def test_a_forged_log_is_refused(story, rule):
    lines = copy.deepcopy(story.lines)
    FORGED[rule](lines, story)
    assert rule in {r for r, _, _ in A.Audit(lines, story.lake).findings}


@pytest.mark.parametrize("what", sorted(UNKNOWN))
def test_what_the_models_do_not_know_is_refused(story, what):
    lines = copy.deepcopy(story.lines)
    UNKNOWN[what](lines)
    assert "known" in {r for r, _, _ in A.Audit(lines, story.lake).findings}


def test_every_rule_is_forged_once():
    assert set(FORGED) | set(FORGED_LATER) == A.RULES | A.AUDIT_ONLY


# ── the same words in the code, the models and the auditor ──

def text_of(*parts):
    with open(os.path.join(L.ROOT, *parts), encoding="utf-8") as f:
        return f.read()


def mtypes(model):
    return [set(re.split(r"[,\s]+", m.strip())) for m in re.findall(r"(?m)^mtype = \{(.*?)\};", text_of("spec", model), re.S)]


def test_the_rules_of_models_and_auditor_are_the_same():
    rules = set()
    for model in ("ledger.pml", "table.pml", "repair.pml"):
        used = set(re.findall(r"\brule\((\w+),", text_of("spec", model))) - {"name"}
        assert used in mtypes(model), model
        rules |= used
    assert rules == A.RULES | A.MODEL_ONLY


def test_kinds_of_entries_are_the_same():
    enum = re.search(r"enum entry_kind \{(.*?)\}", text_of("src", "format", "ledger.h")).group(1)
    code = {w.strip().removeprefix("ENTRY_").lower() for w in enum.split(",")}
    assert code == A.KINDS and code in mtypes("ledger.pml")


def test_operations_and_actions_of_tables_are_the_same():
    code = set()
    for path in glob.glob(os.path.join(L.ROOT, "src", "run", "*.c")):
        for line in re.findall(r"operation = (.*)", text_of(path)):
            code |= set(re.findall(r'STR\("sluice (\w+)"\)', line))
    assert code == A.OPERATIONS and code in mtypes("table.pml")
    delta = text_of("src", "format", "delta.c")
    read = set(re.findall(r'json_get\(action, "(\w+)"\)', delta))
    written = set(re.findall(r'json_begin_object\(\w+, "(commitInfo|protocol|metaData|remove|add|cdc|txn|domainMetadata)"\)', delta))
    assert read == A.ACTIONS and written <= A.ACTIONS and A.ACTIONS in mtypes("table.pml")
