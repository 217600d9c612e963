"""A small lake with every kind of object in it: grids; sealed generations of several segments, one asked for again with
another content, a candidate, an open one, failed attempts; a resource by window and a snapshot; quarantine; two models, one
reading the other; records of runs. Made once a session; copies are cheap."""
import json
import os
import shutil

import pytest

import lake as L

DAYS = ("--from", "2024-01-01", "--to", "2024-01-04")
PER_DAY = 120
THINGS = L.contract_head("things") + """\
    properties:
      - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}
      - {name: name, logicalType: string, required: true}
      - {name: at, logicalType: timestamp, required: true}
"""
KINDS = THINGS.replace("things", "kinds").replace("      - {name: at, logicalType: timestamp, required: true}\n", "")
MODEL = L.contract_head("{0}") + """\
    properties:
      - {{name: bucket, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}}
      - {{name: n, logicalType: integer}}
"""
SQL = {"buckets": "SELECT id % 7 AS bucket, count(*) AS n FROM prepare.things GROUP BY 1\n",
       "large": "SELECT bucket, n FROM refine.buckets WHERE n > 1\n"}


def rows(day, extra=""):
    for i in range(PER_DAY):
        yield {"id": day * 1000 + i, "name": None if i % 40 == 7 else f"thing {i}{extra}",
               "at": f"2024-01-{day:02}T{i % 24:02}:00:00Z"}


def write_rows(folder, days):
    os.makedirs(folder)
    with open(folder / "things.ndjson", "w", encoding="utf-8") as f:
        for row in days:
            f.write(json.dumps(row) + "\n")
    with open(folder / "kinds.ndjson", "w", encoding="utf-8") as f:
        for i in range(5):
            f.write(json.dumps({"id": i, "name": f"kind {i}"}) + "\n")


def open_mock(folder, data, script=()):
    return L.Mock(folder, {"base": "/v1", "token": L.TOKEN, "script": list(script), "resources": {
        "things": {"file": "things.ndjson", "records": "data", "window": {"column": "at", "from": "from", "to": "to", "form": "date"},
                   "paginate": {"style": "page", "size": 30, "size_param": "size", "total": "meta.total"}},
        "kinds": {"file": "kinds.ndjson", "records": "data"}}}, data)


def write_project(folder, url):
    os.makedirs(folder / "contracts")
    os.makedirs(folder / "models")
    (folder / "contracts" / "things.yaml").write_text(THINGS)
    (folder / "contracts" / "kinds.yaml").write_text(KINDS)
    for name, sql in SQL.items():
        (folder / "contracts" / f"{name}.yaml").write_text(MODEL.format(name))
        (folder / "models" / f"{name}.sql").write_text(sql)
    (folder / "pipeline.yaml").write_text(json.dumps({
        "pipeline": "shop", "lake": "./lake", "schedule": {"cron": "0 5 * * *", "window": "1d"},
        "source": {"url": url, "auth": {"bearer": {"secret": "env:FLIGHTS_TOKEN"}}, "in_flight": 1, "network": "private",
                   "retry": {"attempts": 2, "first": "1ms", "max": "5ms", "wait_max": "5s"}},
        "resources": {
            "things": {"path": "/things", "kind": "window", "window": {"every": "1d"}, "segment": {"pages": 1},
                       "query": {"from": "{window.from:date}", "to": "{window.last:date}"}, "records": "data",
                       "paginate": {"page": {"query": "page", "size": {"query": "size", "value": 30}}}, "total": "meta.total"},
            "kinds": {"path": "/kinds", "kind": "snapshot", "records": "data"}}}))
    return L.Project(folder)


def point_at(p, url):
    """The same API somewhere else: what is asked for stays as it was."""
    with open(p.file, encoding="utf-8") as f:
        value = json.load(f)
    value["source"]["url"] = url
    with open(p.file, "w", encoding="utf-8") as f:
        json.dump(value, f)


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    base = tmp_path_factory.mktemp("whole")
    days = {d: list(rows(d)) for d in (1, 2, 3, 4)}
    write_rows(base / "a", [r for d in days.values() for r in d])
    write_rows(base / "b", [*days[1], *rows(2, "!"), *days[3], *days[4]])
    write_rows(base / "c", [*days[1], *days[2], *days[3][:20], *days[4]])
    first = [{"match": "page=2", "nth": 1, "times": 1, "fault": "status_503", "retry_after": "0"}]
    mocks = [open_mock(base, base / "a", first), open_mock(base, base / "b"), open_mock(base, base / "c"),
             open_mock(base, base / "a", [{"match": "page=3", "nth": 1, "times": 1000, "fault": "status_500"}])]
    p = write_project(base / "shop", mocks[0].url)
    p.sluice("run", *DAYS)
    point_at(p, mocks[1].url)
    p.sluice("run", "--from", "2024-01-02", "--to", "2024-01-03", "--refetch=b", "--only", "things,buckets,large")
    point_at(p, mocks[2].url)
    p.sluice("run", "--from", "2024-01-03", "--to", "2024-01-04", "--refetch=c", "--only", "things,buckets,large", status=4)
    point_at(p, mocks[3].url)
    p.sluice("ingest", "--from", "2024-01-04", "--to", "2024-01-05", "--only", "things", status=3)
    point_at(p, mocks[0].url)
    for m in mocks[1:]:
        assert m.stop() == 0
    p.undisturbed = p.digest()
    p.mock, p.base = mocks[0], base
    p.sluice("verify")
    yield p
    assert mocks[0].stop() == 0


@pytest.fixture
def whole_copy(whole, tmp_path):
    """Lake and project: a test may change the contracts, too."""
    shutil.copytree(whole.lake, tmp_path / "lake", symlinks=True)
    shutil.copytree(whole.folder, tmp_path / "shop", ignore=lambda folder, names: ["lake"] if folder == whole.folder else [])
    p = L.Project(tmp_path / "shop", tmp_path / "lake", whole.secrets)
    p.undisturbed = whole.undisturbed
    return p
