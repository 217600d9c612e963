"""Ties the program to the models: the calls to its store, as it made them, obey the rules of spec/ledger.pml and
spec/table.pml (test/spec/audit.py); and each rule of the auditor is broken once by a forged log."""
import copy
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
from lake_fixtures import MONTH, small_pages

sys.path.insert(0, os.path.join(L.ROOT, "test", "spec"))
import audit as A  # noqa: E402

pytest_plugins = ["lake_fixtures"]
WEEK = ("--from", "2013-01-01", "--to", "2013-01-04")


def traced(project, folder):
    """The same project; whatever it does to its store is noted in .trace."""
    p = L.Project(project.folder, project.lake, {**project.secrets, "SLUICE_STORE_TRACE": os.path.join(folder, "trace")})
    p.trace = os.path.join(folder, "trace")
    return p


def audited(p, at_least=20):
    found = A.Audit(A.read(p.trace), p.lake)
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


def things(tmp_path, rows):
    data = tmp_path / "data"
    os.makedirs(data, exist_ok=True)
    with open(data / "things.ndjson", "w", encoding="utf-8") as f:
        for i in range(rows):
            f.write(json.dumps({"id": i, "name": "" if i == 3 else f"thing {i}", "at": f"2024-01-01T{i % 24:02}:00:00Z"}) + "\n")
    return L.Mock(tmp_path, {"base": "/v1", "token": L.TOKEN, "resources": {"things": {
        "file": "things.ndjson", "records": "data", "window": {"column": "at", "from": "from", "to": "to", "form": "date"},
        "paginate": {"style": "page", "size": 20, "size_param": "size", "total": "meta.total"}}}}, data)


CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: things
name: things
version: 1.0.0
status: active
schema:
  - name: things
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


# ── the auditor itself ──

def creates(lines, pattern):
    """Both lines of each create of such a key, in order."""
    calls = [(i, line) for i, line in enumerate(lines) if line["call"] == "create" and re.search(pattern, line["key"])]
    begins = [(i, line) for i, line in calls if "text" in line]
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
    "an operation": lambda x: edit_action(x, MAIN, 1, "commitInfo", lambda c: c.update(operation="sluice compact")),
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
    assert set(FORGED) == A.RULES | A.AUDIT_ONLY


# ── the same words in the code, the models and the auditor ──

def text_of(*parts):
    with open(os.path.join(L.ROOT, *parts), encoding="utf-8") as f:
        return f.read()


def mtypes(model):
    return [set(re.split(r"[,\s]+", m.strip())) for m in re.findall(r"(?m)^mtype = \{(.*?)\};", text_of("spec", model), re.S)]


def test_the_rules_of_models_and_auditor_are_the_same():
    rules = set()
    for model in ("ledger.pml", "table.pml"):
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
        code |= set(re.findall(r'operation = STR\("sluice (\w+)"\)', text_of(path)))
    assert code == A.OPERATIONS and code in mtypes("table.pml")
    delta = text_of("src", "format", "delta.c")
    read = set(re.findall(r'json_get\(action, "(\w+)"\)', delta))
    written = set(re.findall(r'json_begin_object\(\w+, "(commitInfo|protocol|metaData|remove|add|cdc|txn|domainMetadata)"\)', delta))
    assert read == A.ACTIONS and written <= A.ACTIONS and A.ACTIONS in mtypes("table.pml")
