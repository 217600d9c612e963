"""Arrays of objects as tables of their own: what the API sent, computed here from the file that the mock serves, against
what deltalake, pyarrow and DuckDB read."""
import glob
import json
import os
import shutil
import time

import duckdb
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable

import lake as L

CONTRACT = L.contract_head("orders", "shop-orders") + """\
    customProperties:
      - {property: sluice.window_column, value: at}
      - {property: sluice.sort, value: [-amount, id]}
      - {property: sluice.budget_percent, value: 60}
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: at, logicalType: timestamp, required: true}
      - {name: amount, logicalType: integer, logicalTypeOptions: {minimum: 0}}
      - name: ship
        logicalType: object
        properties:
          - {name: city, logicalType: string}
#PARCELS
      - name: lines
        logicalType: array
        customProperties: [{property: sluice.path, value: orderLines}#SORT]
        items:
          logicalType: object
          properties:
            - {name: sku, logicalType: string, required: true}
            - {name: qty, logicalType: integer, logicalTypeOptions: {minimum: 1}}
            - {name: price, logicalType: number, customProperties: [{property: sluice.precision, value: 9}, {property: sluice.scale, value: 2}]}
            - {name: tags, logicalType: array}
            - name: maker
              logicalType: object
              properties: [{name: name, logicalType: string}]
"""
PARCELS = """\
          - name: parcels
            logicalType: array
            items: {logicalType: object, properties: [{name: weight, logicalType: integer}]}
"""
# in the order of their commits
TABLES = [("quarantine", "orders__lines"), ("prepare", "orders__lines"), ("quarantine", "orders__ship__parcels"),
          ("prepare", "orders__ship__parcels"), ("quarantine", "orders"), ("prepare", "orders")]
DAYS = 4
DAY = "2024-01-{:02}"
RUN = ("--from", "2024-01-01", "--to", "2024-01-05")


def orders(per_day=60):
    """Rows of the file, as text: an order each line, in the order in which the API lists them."""
    number = 0
    for day in range(1, DAYS + 1):
        for i in range(per_day if day != 3 else 0):
            number += 1
            o = {"id": 100000 * day + (i if i % 17 != 16 else i - 5 if i < 1500 else i - 1403), "at": f"{DAY.format(day)}T{i % 24:02}:30:00Z",
                 "amount": -i if i % 11 == 4 else i, "ship": {"city": f"c{i}", "parcels": [{"weight": i}, {"weight": i + 1}][:i % 3]}}
            o["orderLines"] = [{"sku": f"s{number}-{k}", "qty": k + 1, "price": round(k + i / 100, 2), "tags": ["x", k],
                                "maker": {"name": f"m\u00e9{k}"}} for k in range(i % 4)]
            if i % 13 == 1:
                o["orderLines"] = None
            elif i % 13 == 2:
                del o["orderLines"]
            elif i % 13 == 3:
                o["orderLines"] = "none, sorry"
            elif i % 13 == 5:
                o["orderLines"] = [7, {"sku": f"s{number}-ok", "unknown": {"a": 1}}, None, ["sku"], {"qty": 3}, {"sku": "q", "qty": 0}]
            elif i % 13 == 6:
                o["orderLines"] = {"sku": "alone"}
            if i % 19 == 7:
                o["ship"] = None
            elif i % 19 == 8:
                o["ship"]["parcels"] = [{"weight": "heavy"}]
            yield o


class Expected:
    """Rule by rule, from the file."""

    def __init__(self, rows):
        self.orders, self.lines, self.bad_lines, self.parcels, self.bad_parcels = [], [], [], [], []
        self.gone_lines = self.gone_parcels = self.duplicates = self.bad_orders = 0
        last = {}
        for n, o in enumerate(rows):
            last[o["id"]] = n
        for n, o in enumerate(rows):
            lines, parcels = o.get("orderLines"), (o["ship"] or {}).get("parcels")
            n_lines = 0 if lines is None else len(lines) if isinstance(lines, list) else 1
            if last[o["id"]] != n or o["amount"] < 0:
                self.duplicates += last[o["id"]] != n
                self.bad_orders += last[o["id"]] == n
                self.gone_lines += n_lines
                self.gone_parcels += len(parcels or [])
                continue
            self.orders.append(o["id"])
            if lines is not None and not isinstance(lines, list):
                self.bad_lines.append((None, "record", json.dumps(lines, separators=(",", ":"))))
            for k, x in enumerate(lines if isinstance(lines, list) else []):
                raw = json.dumps(x, separators=(",", ":"), ensure_ascii=False)
                if not isinstance(x, dict):
                    self.bad_lines.append((k, "record", raw))
                elif "sku" not in x:
                    self.bad_lines.append((k, "sku.required", raw))
                elif x.get("qty", 1) < 1:
                    self.bad_lines.append((k, "qty.minimum", raw))
                else:
                    tags = json.dumps(x["tags"], separators=(",", ":")) if "tags" in x else None
                    price = f"{x['price']:.2f}" if "price" in x else None
                    extra = '{"unknown":{"a":1}}' if "unknown" in x else None
                    self.lines.append((o["id"], k, x["sku"], x.get("qty"), price, tags, x.get("maker", {}).get("name"), extra))
            for k, x in enumerate(parcels or []):
                if isinstance(x["weight"], int):
                    self.parcels.append((o["id"], k, x["weight"]))
                else:
                    self.bad_parcels.append((k, "weight.type", json.dumps(x, separators=(",", ":"))))


def write(path, rows):
    with open(path, "w", encoding="utf-8") as f:
        for o in rows:
            f.write(json.dumps(o, separators=(",", ":"), ensure_ascii=False) + "\n")


def contract(parcels=True, sort=False):
    text = CONTRACT.replace("#PARCELS\n", PARCELS if parcels else "")
    return text.replace("#SORT", ", {property: sluice.sort, value: [-qty, sku]}" if sort else "")


def project(folder, mock, text, file_rows=None, models=None):
    os.makedirs(folder / "contracts")
    (folder / "contracts" / "orders.yaml").write_text(text)
    os.makedirs(folder / "models")
    for name, (sql, promise) in (models or {}).items():
        (folder / "models" / f"{name}.sql").write_text(sql)
        (folder / "contracts" / f"{name}.yaml").write_text(promise)
    pipeline = {"pipeline": "shop", "lake": "./lake",
                "source": {"url": mock.url, "network": "private", "auth": {"bearer": {"secret": "env:FLIGHTS_TOKEN"}},
                           "retry": {"first": "5ms", "max": "20ms"}},
                "resources": {"orders": {"path": "/orders", "kind": "window", "window": {"every": "1d", "zone": "UTC"},
                                         "query": {"date_from": "{window.from:date}", "date_to": "{window.last:date}"},
                                         "records": "data", "paginate": {"page": {"query": "page"}}}}}
    if file_rows:
        pipeline["prepare"] = {"file_rows": file_rows}
    (folder / "pipeline.yaml").write_text(json.dumps(pipeline))
    return L.Project(folder)


def mock_of(folder, size=7):
    return L.Mock(folder, {"base": "/v1", "token": L.TOKEN, "resources": {"orders": {
        "file": "orders.ndjson", "records": "data",
        "window": {"column": "at", "from": "date_from", "to": "date_to", "form": "date", "zone": "UTC", "to_inclusive": True},
        "paginate": {"style": "page", "page_param": "page", "size": size}}}}, folder)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Four days of orders, prepared: .lake, .project, .x (what is expected)."""
    folder = tmp_path_factory.mktemp("shop")
    rows = list(orders())
    write(folder / "orders.ndjson", rows)
    mock = mock_of(folder)
    p = project(folder / "p", mock, contract())
    p.mock, p.x, p.rows = mock, Expected(rows), rows
    p.done = p.sluice("run", *RUN)
    p.record = p.records()[-1]
    p.undisturbed = p.digest()
    yield p
    assert mock.stop() == 0


@pytest.fixture
def shop_copy(shop, tmp_path):
    shutil.copytree(shop.lake, tmp_path / "lake", symlinks=True)
    p = shop.on(tmp_path / "lake")
    p.x, p.undisturbed = shop.x, shop.undisturbed
    return p


def files(p, zone, table):
    return DeltaTable(p.table(zone, table)).file_uris()


def joined(p, child, columns):
    """Children beside the key of their records, by the join that docs/contracts.md shows."""
    got = duckdb.sql(f"""SELECT o.id, c._idx, {columns} FROM read_parquet({files(p, 'prepare', child)}) c
        JOIN read_parquet({files(p, 'prepare', 'orders')}) o
        ON c._window = o._window AND c._page = o._page AND c._parent_off = o._off ORDER BY 1, 2""").fetchall()
    count = duckdb.sql(f"SELECT count(*) FROM read_parquet({files(p, 'prepare', child)})").fetchone()[0]
    assert count == len(got), "a child without its record, or with two"
    return got


LINES = "c.sku, c.qty, CAST(c.price AS VARCHAR), c.tags, c.maker__name, c._extra"


def check_rows(p, x):
    assert sorted(ds.dataset(files(p, "prepare", "orders")).to_table(["id"])["id"].to_pylist()) == sorted(x.orders)
    assert joined(p, "orders__lines", LINES) == sorted(x.lines)
    assert joined(p, "orders__ship__parcels", "c.weight") == sorted(x.parcels)


def set_aside(p, table):
    """(_idx, rule, raw) of the quarantine."""
    t = DeltaTable(p.table("quarantine", table)).to_pyarrow_table()
    return [(r["_idx"], json.loads(r["_reasons"])[0]["rule"], r["_raw"]) for r in t.to_pylist()]


def by_text(rows):
    return sorted(rows, key=str)


def test_rows(shop):
    check_rows(shop, shop.x)
    assert shop.x.gone_lines > 0 and shop.x.duplicates > 0 and shop.x.bad_orders > 0


def test_quarantines(shop):
    assert by_text(set_aside(shop, "orders__lines")) == by_text(shop.x.bad_lines)
    assert by_text(set_aside(shop, "orders__ship__parcels")) == by_text(shop.x.bad_parcels)
    assert len(set_aside(shop, "orders")) == shop.x.bad_orders
    assert {r for _, r, _ in shop.x.bad_lines} == {"record", "sku.required", "qty.minimum"}


def test_the_books(shop):
    books = {t["table"]: t["books"] for t in shop.record["tables"]}
    x = shop.x
    lines, parcels = books["orders__lines"], books["orders__ship__parcels"]
    for b in books.values():
        assert b["read"] == b["published"] + b["quarantined"] + b["duplicates"] + b["with_parent"]
    assert (lines["published"], lines["quarantined"], lines["with_parent"]) == (len(x.lines), len(x.bad_lines), x.gone_lines)
    assert (parcels["published"], parcels["quarantined"], parcels["with_parent"]) == \
        (len(x.parcels), len(x.bad_parcels), x.gone_parcels)
    assert books["orders"]["duplicates"] == x.duplicates and books["orders"]["with_parent"] == 0
    assert {t["table"]: t.get("parent") for t in shop.record["tables"]} == \
        {"orders": None, "orders__lines": "orders", "orders__ship__parcels": "orders"}
    assert "orders__lines" in shop.done.out + shop.done.err
    assert f" {x.gone_lines:,} rows\n" in shop.done.out


def bodies(p):
    """(window, page): decoded body, from Raw."""
    found = {}
    for _, window, _, folder in L.generations(p.lake, "shop"):
        for entry, _ in L.entries(folder):
            for page in entry.get("pages", []):
                segment = os.path.join(folder, "segments", entry["segment"]["name"])
                found[window, page["page"]] = L.decoded(L.member_at(segment, page["offset"], page["size"]))
    return found


@pytest.mark.parametrize("zone", ["prepare", "quarantine"])
def test_addresses(shop, zone):
    raw = bodies(shop)
    rows = DeltaTable(shop.table(zone, "orders__lines")).to_pyarrow_table().to_pylist()
    assert rows
    for r in rows:
        body = raw[r["_window"], r["_page"]]
        text = body[r["_off"]:r["_off"] + r["_len"]].decode()
        if zone == "quarantine":
            assert text == r["_raw"]
            continue
        assert json.loads(text)["sku"] == r["sku"]
        order, _ = json.JSONDecoder().raw_decode(body[r["_parent_off"]:].decode())
        assert order["orderLines"][r["_idx"]]["sku"] == r["sku"]


def test_order_and_key(shop):
    rows = ds.dataset(files(shop, "prepare", "orders__lines")).to_table().to_pylist()
    keys = [(r["_window"], r["_page"], r["_off"]) for r in rows]
    assert keys == sorted(keys)
    assert len({(r["_window"], r["_page"], r["_parent_off"], r["_idx"]) for r in rows}) == len(rows)


def tags(p, zone, table):
    last = {}
    for name in sorted(glob.glob(os.path.join(p.table(zone, table), "_delta_log", "*.json"))):
        with open(name, encoding="utf-8") as f:
            for action in map(json.loads, f):
                if "add" in action:
                    last[action["add"]["path"]] = action["add"]
                elif "remove" in action:
                    last.pop(action["remove"]["path"], None)
    return {t["window"]: t for add in last.values() for t in json.loads(add["tags"]["sluice.windows"])}


def test_every_table_carries_every_window(shop):
    """Also the day without a row (rule 28)."""
    main = tags(shop, "prepare", "orders")
    assert len(main) == DAYS
    for table in ("orders", "orders__lines", "orders__ship__parcels"):
        for zone in ("prepare", "quarantine"):
            got = tags(shop, zone, table)
            assert {w: t["key"] for w, t in got.items()} == {w: t["key"] for w, t in main.items()}, (zone, table)
    assert tags(shop, "prepare", "orders__lines")["20240103T000000Z_20240104T000000Z"]["rows"] == 0


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    rows = list(orders(2300))
    write(folder / "orders.ndjson", rows)
    mock = mock_of(folder, 400)
    mock.x = Expected(rows)
    yield mock
    assert mock.stop() == 0


@pytest.mark.parametrize("file_rows, sort", [(1000, False), (1000, True), (3000, False), (None, True)])
def test_files_sorts_and_threads(many, tmp_path, file_rows, sort):
    """Windows that are cut, duplicates across their parts, a sort order of the child: the same rows, and the same bytes
    with one thread and with four."""
    p = project(tmp_path / "p", many, contract(sort=sort), file_rows)
    p.sluice("run", "--threads", 1, *RUN)
    check_rows(p, many.x)
    assert by_text(set_aside(p, "orders__lines")) == by_text(many.x.bad_lines)
    other = p.on(tmp_path / "other")
    other.sluice("run", "--threads", 4, *RUN)
    assert other.digest() == p.digest()
    p.sluice("verify")
    if sort:
        rows = ds.dataset(files(p, "prepare", "orders__lines")).to_table().to_pylist()
        if not file_rows:
            keys = [(r["_window"], r["qty"] is None, -(r["qty"] or 0), r["sku"]) for r in rows]
            assert keys == sorted(keys)


def test_a_second_run_has_nothing_to_do(shop):
    before = L.snapshot(shop.lake)
    assert "Nothing to do" in shop.sluice("run", *RUN).out
    assert L.snapshot(shop.lake) == before


# ── commands ──

def test_commands_know_children(shop):
    assert shop.sluice("verify").out.strip()
    assert shop.sluice("check").status == 0
    status = shop.sluice("status", "--json").json
    child = {c["table"]: c for c in status["resources"][0]["children"]}["orders__lines"]
    assert (child["rows"], child["quarantined"]) == (len(shop.x.lines), len(shop.x.bad_lines))
    assert "orders__lines" in shop.sluice("status").out
    digest = shop.digest()
    for zone in ("prepare", "quarantine"):
        assert f"rows {zone}.orders__lines 2024" in digest and f"file {zone}.orders__ship__parcels 1 " in digest
    shown = shop.sluice("show", "orders__lines", "--format", "json", "--limit", "0").out
    assert len([x for x in shown.splitlines() if x.strip()]) == len(shop.x.lines)
    aside = shop.sluice("show", "orders__lines", "--quarantine", "--format", "json", "--limit", "0").out
    assert len([x for x in aside.splitlines() if x.strip()]) == len(shop.x.bad_lines)
    count = shop.sluice("query", "SELECT count(*) AS n FROM prepare.orders__lines", "--format", "json").out
    assert str(len(shop.x.lines)) in count
    only = ("--only", "orders__lines")  # a table of its resource: both are fetched and prepared together
    assert "not asked for" not in shop.sluice("plan", *RUN, *only).out
    assert "Nothing to do" in shop.sluice("run", *RUN, *only).out
    assert shop.sluice("verify", *only).out.strip()
    assert "no resource" in shop.sluice("plan", "--only", "orders__line", status=2).err


def test_trace(shop):
    row = ds.dataset(files(shop, "prepare", "orders__lines")).to_table().to_pylist()[5]
    got = shop.sluice("trace", "--json", "orders__lines", row["_window"], row["_page"], row["_parent_off"], row["_idx"]).json
    assert json.loads(got["rows"][0]["origin"]["raw"])["sku"] == row["sku"]
    assert "_parent_off" in shop.sluice("trace", "orders__lines", "x", status=2).err


def test_damage_is_found(shop_copy):
    path = [f for f in files(shop_copy, "prepare", "orders__lines")][0]
    path = path.removeprefix("file://")
    os.chmod(path, 0o644)
    with open(path, "r+b") as f:
        f.seek(40)
        f.write(b"\xff\xfe\xfd")
    assert "orders__lines" in shop_copy.sluice("verify", status=8).out


# ── changes ──

SALES = ("SELECT o.id, l._idx AS line, l.sku, count(*) OVER () AS n FROM prepare.orders o JOIN prepare.orders__lines l\n"
         "ON l._window = o._window AND l._page = o._page AND l._parent_off = o._off\n")
SALES_CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: sales
version: 1.0.0
status: active
schema:
  - name: sales
    customProperties: [{property: sluice.action, value: fail}]
    properties:
      - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}
      - {name: line, logicalType: integer, primaryKey: true, primaryKeyPosition: 2}
      - {name: sku, logicalType: string}
      - {name: n, logicalType: integer}
"""


def test_models_read_children(shop, tmp_path):
    p = project(tmp_path / "p", shop.mock, contract(), models={"sales": (SALES, SALES_CONTRACT)})
    p.sluice("check")
    p.sluice("run", *RUN)
    rows = DeltaTable(p.table("refine", "sales")).to_pyarrow_table().to_pylist()
    assert [(r["id"], r["line"], r["sku"]) for r in rows] == [x[:3] for x in sorted(shop.x.lines)]
    plan = p.sluice("plan", "--json", *RUN).json
    assert plan["models"][0]["reads"] == ["prepare.orders", "prepare.orders__lines"] and not plan["models"][0]["run"]
    (tmp_path / "p" / "models" / "sales.sql").write_text(SALES.replace("orders__lines", "orders__linse"))
    assert "did you mean prepare.orders__lines?" in p.sluice("check", status=2).out


def test_a_child_added_later(shop, tmp_path):
    """The meaning of the contract changed: everything is prepared again from Raw, without asking the API."""
    p = project(tmp_path / "p", shop.mock, contract(parcels=False))
    p.sluice("run", *RUN)
    assert not os.path.exists(p.table("prepare", "orders__ship__parcels"))
    (tmp_path / "p" / "contracts" / "orders.yaml").write_text(contract())
    asked = len(shop.mock.requests(limit=100000))
    p.sluice("run", *RUN)
    assert len(shop.mock.requests(limit=100000)) == asked
    check_rows(p, shop.x)
    assert p.digest() == shop.undisturbed


def test_fetched_again_with_fewer_children(tmp_path):
    rows = list(orders(30))
    write(tmp_path / "orders.ndjson", rows)
    mock = mock_of(tmp_path)
    p = project(tmp_path / "p", mock, contract())
    p.sluice("run", *RUN)
    assert mock.stop() == 0
    for o in rows:
        if o["id"] < 200000 and isinstance(o.get("orderLines"), list):
            o["orderLines"] = [x for x in o["orderLines"] if isinstance(x, dict) and x.get("qty") != 2]
    write(tmp_path / "orders.ndjson", rows)
    mock = mock_of(tmp_path)
    text = json.loads((tmp_path / "p" / "pipeline.yaml").read_text())
    text["source"]["url"] = mock.url
    (tmp_path / "p" / "pipeline.yaml").write_text(json.dumps(text))
    p.sluice("run", "--refetch", "--from", "2024-01-01", "--to", "2024-01-02")
    x = Expected(rows)
    check_rows(p, x)
    assert by_text(set_aside(p, "orders__lines")) == by_text(x.bad_lines)
    p.sluice("verify")
    assert mock.stop() == 0


@pytest.mark.parametrize("done", range(len(TABLES)))
@pytest.mark.parametrize("interval", [RUN, ("--from", "2024-01-02", "--to", "2024-01-03")], ids=["same", "one day"])
def test_stopped_between_commits(shop_copy, done, interval):
    """As a kill leaves it: the first `done` tables are committed. Whatever interval comes next, they come together."""
    for zone, table in TABLES[done:]:
        shutil.rmtree(os.path.join(shop_copy.table(zone, table), "_delta_log"))
    plan = shop_copy.sluice("plan", "--json", *RUN).json
    assert plan["resources"][0]["prepare"] == DAYS
    shop_copy.sluice("run", *interval)
    shop_copy.sluice("run", *RUN)
    check_rows(shop_copy, shop_copy.x)
    assert by_text(set_aside(shop_copy, "orders__lines")) == by_text(shop_copy.x.bad_lines)
    shop_copy.sluice("verify")
    assert not shop_copy.sluice("plan", "--json", *RUN).json["anything"]


def test_the_same_content_again_changes_no_data(shop_copy):
    before = {t: sorted(files(shop_copy, *t)) for t in TABLES}
    shop_copy.sluice("run", "--refetch", *RUN)
    for t in TABLES:
        assert sorted(files(shop_copy, *t)) == before[t]
        assert {x["generation"] for x in tags(shop_copy, *t).values()} == {2}, t
    shop_copy.sluice("verify")
    assert not shop_copy.sluice("plan", "--json", *RUN).json["anything"]


@pytest.mark.parametrize("after", [1, 7, 10, 13, 16])
def test_kill_and_run_again(shop, tmp_path, after):
    """Killed when so many of its objects below prepare/ and quarantine/ are there."""
    p = shop.on(tmp_path / "lake")

    def count():
        return sum(L.count_files(os.path.join(p.lake, z)) for z in ("prepare", "quarantine"))
    child = p.begin("run", *RUN)
    while child.poll() is None and count() < after:
        time.sleep(0.0005)
    child.kill()
    child.communicate()
    p.sluice("run", *RUN)
    check_rows(p, shop.x)
    assert p.digest() == shop.undisturbed
    p.sluice("verify")


def test_two_runs_at_once(shop, tmp_path):
    p = shop.on(tmp_path / "lake")
    p.sluice("ingest", *RUN)
    runs = [p.begin("run", *RUN) for _ in range(2)]
    for r in runs:
        r.communicate()
    assert {r.returncode for r in runs} <= {0, 5} and 0 in [r.returncode for r in runs] or \
        p.sluice("run", *RUN).status == 0
    p.sluice("run", *RUN)
    assert p.digest() == shop.undisturbed


def without_files(digest):
    return [line for line in digest.split("\n") if not line.startswith("file")]


def test_small_files_become_the_files_of_one_run(shop, tmp_path):
    """A run a day leaves files of a day in each table; compacted they are those of one run over all days, byte for byte."""
    p = shop.on(tmp_path / "lake")
    for day in range(1, DAYS + 1):
        p.sluice("run", "--from", DAY.format(day), "--to", DAY.format(day + 1))
    assert without_files(p.digest()) == without_files(shop.undisturbed) and p.digest() != shop.undisturbed
    assert len(files(p, "prepare", "orders__lines")) == DAYS
    p.sluice("compact")
    assert p.digest() == shop.undisturbed
    for zone, table in TABLES:
        assert len(files(p, zone, table)) == len(files(shop, zone, table)), (zone, table)
    p.sluice("verify")
    check_rows(p, shop.x)
    assert "nothing to do" in p.sluice("run", *RUN).out
    assert p.digest() == shop.undisturbed


def test_a_snapshot_has_children(shop, tmp_path):
    """The whole resource each time: the tables hold the newest only, children and all."""
    text = contract().replace("      - {property: sluice.window_column, value: at}\n", "")
    p = project(tmp_path / "p", shop.mock, text)
    pipeline = json.loads((tmp_path / "p" / "pipeline.yaml").read_text())
    pipeline["resources"]["orders"] = {"path": "/orders", "kind": "snapshot", "records": "data",
                                       "paginate": {"page": {"query": "page"}}}
    (tmp_path / "p" / "pipeline.yaml").write_text(json.dumps(pipeline))
    p.sluice("run", "--from", "2024-01-01", "--to", "2024-01-05")
    check_rows(p, shop.x)
    p.sluice("run", "--from", "2024-01-05", "--to", "2024-01-06")
    check_rows(p, shop.x)
    for t in TABLES:
        assert list(tags(p, *t)) == ["20240105T000000Z_20240106T000000Z"]
    p.sluice("verify")


def test_relationships_of_children(shop, tmp_path):
    """No order has the number of a quantity."""
    p = project(tmp_path / "p", shop.mock, contract().replace(
        "logicalTypeOptions: {minimum: 1}}", "logicalTypeOptions: {minimum: 1}, relationships: [{to: orders.id}]}"))
    p.sluice("check")
    p.sluice("run", *RUN)
    table = {t["table"]: t for t in p.records()[-1]["tables"]}["orders__lines"]
    assert table["relationships"] == [{"rule": "qty -> orders.id", "action": "warn",
                                       "rows": len([x for x in shop.x.lines if x[3] is not None])}]


def test_a_child_that_was_taken_away_is_made_again(shop_copy):
    shutil.rmtree(shop_copy.table("prepare", "orders__lines"))
    plan = shop_copy.sluice("plan", "--json", *RUN).json
    assert plan["resources"][0]["prepare"] == DAYS
    shop_copy.sluice("run", *RUN)
    check_rows(shop_copy, shop_copy.x)


# ── budgets and actions ──

@pytest.mark.parametrize("old, new, said", [
    ("{property: sluice.path, value: orderLines}", "{property: sluice.path, value: orderLines}, "
     "{property: sluice.budget_percent, value: 1}", "orders__lines: "),
    ("{property: sluice.path, value: orderLines}", "{property: sluice.path, value: orderLines}, "
     "{property: sluice.action, value: fail}", "orders__lines: rule"),
])
def test_a_broken_child_publishes_nothing(shop, tmp_path, old, new, said):
    p = project(tmp_path / "p", shop.mock, contract().replace(old, new))
    done = p.sluice("run", *RUN, status=4)
    assert said in done.err
    assert not L.published(p.lake)


def test_a_child_kept_as_json(shop, tmp_path):
    p = project(tmp_path / "p", shop.mock, contract().replace("value: orderLines}", "value: orderLines}, "
                                                              "{property: sluice.as, value: json}"))
    p.sluice("run", *RUN)
    assert not os.path.exists(p.table("prepare", "orders__lines"))
    t = ds.dataset(files(p, "prepare", "orders")).to_table().to_pylist()
    by_id = {o["id"]: o for o in shop.rows}
    for r in t:
        want = by_id[r["id"]].get("orderLines")
        assert (json.loads(r["lines"]) if r["lines"] is not None else None) == want


def test_a_draft_proposes_tables(shop, tmp_path):
    """Items for arrays of nothing but objects; what the draft says holds for the data it was made of."""
    p = project(tmp_path / "p", shop.mock, contract())
    os.unlink(tmp_path / "p" / "contracts" / "orders.yaml")
    p.sluice("ingest", *RUN)
    p.sluice("contract draft", "orders")
    text = (tmp_path / "p" / "contracts" / "orders.yaml").read_text()
    assert text.count("items:") == 1 and 'name: "ship__parcels"' in text
    p.sluice("check")
    p.sluice("run", *RUN)
    parcels = sum(len((o["ship"] or {}).get("parcels", [])) for o in shop.rows)
    books = {t["table"]: t["books"] for t in max(p.records(), key=lambda r: r["started"])["tables"]}["orders__ship__parcels"]
    assert books["read"] == parcels and books["quarantined"] == 0
    assert duckdb.sql(f"SELECT count(*) FROM read_parquet({files(p, 'prepare', 'orders__ship__parcels')})").fetchone()[0] == \
        books["published"] > 0


def test_names_that_clash(shop, tmp_path):
    p = project(tmp_path / "p", shop.mock, contract(), models={"orders__lines": ("SELECT 1 AS id", SALES_CONTRACT)})
    assert "orders__lines" in p.sluice("check", status=2).out
