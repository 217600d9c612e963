"""The tables of a whole year, judged by programs that we did not write: deltalake, DuckDB, pyarrow."""
import functools
import hashlib
import json
import os
import re
import struct
import urllib.parse

import deltalake
import duckdb
import pyarrow as pa
import pytest

import expected as X
import lake as L

pytest_plugins = ["lake_fixtures"]

META = ["_extra", "_window", "_gen", "_page", "_off", "_len"]
QUARANTINE = ["_window", "_gen", "_page", "_off", "_len", "_idx", "_reasons", "_raw"]
MODELS = sorted(f[:-4] for f in os.listdir(os.path.join(L.EXAMPLE, "models")) if f.endswith(".sql")
                and not f.endswith(".spark.sql")) if os.path.isdir(os.path.join(L.EXAMPLE, "models")) else []


def delta(year, zone, name):
    return deltalake.DeltaTable(year.project.table(zone, name))


@functools.cache
def read(year, zone, name):
    return delta(year, zone, name).to_pyarrow_table()


def connect():
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    return db


def same_rows(db, a, b, columns):
    """Differences as multisets, in both directions."""
    names = ", ".join(f'"{c}"' for c in columns)
    return [db.execute(f"SELECT count(*) FROM (SELECT {names} FROM {x} EXCEPT ALL SELECT {names} FROM {y})").fetchone()[0]
            for x, y in ((a, b), (b, a))]


def all_tables(year):
    found = []
    for zone in ("prepare", "quarantine", "refine"):
        base = os.path.join(year.lake, zone, year.name)
        found += [(zone, n) for n in sorted(os.listdir(base))] if os.path.isdir(base) else []
    return found


def test_the_run_is_quick_and_meets_faults(year):
    assert year.took_s < 120, f"{year.took_s:.1f} s"  # 3 to 8 on a quiet machine of two cores
    faults = year.stats["faults"]
    assert len(faults) >= 4 and sum(faults.values()) >= 5, faults
    retries = sum(r["retries"] for r in year.record["resources"])
    # A connection that the server closed before any byte of an answer: the transport itself may ask again on a new one.
    hidden = sum(faults.values()) - retries
    assert 0 <= hidden <= faults.get("reset", 0), (retries, faults)
    assert sum(r["requests"] for r in year.record["resources"]) == year.stats["requests"] - hidden


def test_all_tables_are_there(year):
    wanted = [(zone, r) for zone in ("prepare", "quarantine") for r in X.RESOURCES] + [("refine", m) for m in MODELS]
    assert len(MODELS) >= 6
    assert all_tables(year) == sorted(wanted)


@pytest.mark.parametrize("resource", X.RESOURCES)
def test_every_row_is_the_files(year, resource):
    """Not a sample, not a checksum: each value of each row, typed by the contract."""
    got = read(year, "prepare", resource)
    wanted = X.ordered(X.published(resource), X.KEYS[resource])
    assert got.column_names == list(X.COLUMNS[resource]) + META
    got = X.ordered(got.select(list(X.COLUMNS[resource])), X.KEYS[resource])
    for name, kind in X.COLUMNS[resource].items():
        assert got[name].type == kind, name
    assert got.num_rows == wanted.num_rows
    for name in got.column_names:
        assert got[name].combine_chunks().equals(wanted[name].combine_chunks()), name


@pytest.mark.parametrize("resource", X.RESOURCES)
def test_nothing_extra(year, resource):
    assert read(year, "prepare", resource)["_extra"].null_count == read(year, "prepare", resource).num_rows


def test_the_one_row_set_aside(year):
    rows = read(year, "quarantine", "weather").to_pylist()
    wanted = X.quarantined("weather").to_pylist()
    assert len(rows) == len(wanted) == 1 and wanted[0]["wind_speed"] > 1000
    row = rows[0]
    reasons = json.loads(row["_reasons"])
    assert [r["rule"] for r in reasons] == ["wind_speed.maximum"], reasons
    assert reasons[0]["column"] == "wind_speed" and float(reasons[0]["value"]) == wanted[0]["wind_speed"]
    raw = json.loads(row["_raw"])
    assert raw["origin"] == wanted[0]["origin"] and raw["time_hour"] == wanted[0]["time_hour"].strftime("%Y-%m-%dT%H:%M:%SZ")
    assert raw["wind_speed"] == wanted[0]["wind_speed"]
    assert row["_len"] == len(row["_raw"].encode())


@pytest.mark.parametrize("resource", [r for r in X.RESOURCES if r != "weather"])
def test_empty_quarantines(year, resource):
    got = read(year, "quarantine", resource)
    assert got.num_rows == 0 and got.column_names == QUARANTINE


def test_deltalake_and_duckdb_agree(year):
    """DuckDB reads the files that the log names by itself (as JSON), deltalake reads the table: the same rows."""
    db = connect()
    for zone, name in all_tables(year):
        table = delta(year, zone, name)
        base = year.project.table(zone, name)
        log = os.path.join(base, "_delta_log", "*.json")
        live = {urllib.parse.unquote(p) for (p,) in db.execute(
            "SELECT add.path FROM read_json(?, format='newline_delimited', columns={add: 'STRUCT(path VARCHAR)'}) "
            "WHERE add IS NOT NULL", [log]).fetchall()}
        live -= {p for (p,) in db.execute(
            "SELECT remove.path FROM read_json(?, format='newline_delimited', columns={remove: 'STRUCT(path VARCHAR)'}) "
            "WHERE remove IS NOT NULL", [log]).fetchall()}
        assert {os.path.join(base, p) for p in live} == {urllib.parse.unquote(u).removeprefix("file://")
                                                         for u in table.file_uris()}, (zone, name)
        db.register("theirs", read(year, zone, name))
        db.execute("CREATE OR REPLACE TEMP TABLE ours AS SELECT * FROM read_parquet(?)",
                   [sorted(os.path.join(base, p) for p in live)])
        columns = read(year, zone, name).column_names
        assert [c[0] for c in db.execute("DESCRIBE ours").fetchall()] == columns, (zone, name)
        assert same_rows(db, "ours", "theirs", columns) == [0, 0], (zone, name)


def test_delta_says_what_is_in_the_files(year):
    """Statistics of each `add` against the file's own, by pyarrow."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    for zone, name in all_tables(year):
        table = delta(year, zone, name)
        assert table.protocol().min_reader_version == 1 and table.protocol().min_writer_version == 2
        assert table.metadata().partition_columns == []
        for action in adds(year.project.table(zone, name)):
            path = os.path.join(year.project.table(zone, name), action["path"])
            data = pq.read_table(path)
            assert action["size"] == os.path.getsize(path)
            stats = json.loads(action["stats"])
            assert stats["numRecords"] == data.num_rows, path
            for column, nulls in stats.get("nullCount", {}).items():
                assert nulls == data[column].null_count, (path, column)
            for column, low in stats.get("minValues", {}).items():
                if pa.types.is_integer(data[column].type) or pa.types.is_floating(data[column].type):
                    got = pc.min_max(data[column]).as_py()
                    assert (low, stats["maxValues"][column]) == (got["min"], got["max"]), (path, column)


def adds(base):
    live = {}
    log = os.path.join(base, "_delta_log")
    for name in sorted(os.listdir(log)):
        if not name.endswith(".json"):
            continue
        with open(os.path.join(log, name), encoding="utf-8") as f:
            for line in f:
                action = json.loads(line)
                if "remove" in action:
                    live.pop(action["remove"]["path"], None)
                if "add" in action:
                    live[action["add"]["path"]] = action["add"]
    return list(live.values())


# ── row hashes, from the words of spec/row-hash.md ──

def hash_of_row(row, kinds):
    out = b""
    for name in sorted(kinds, key=str.encode):
        value, kind = row[name], kinds[name]
        if value is None:
            continue
        out += struct.pack("<H", len(name.encode())) + name.encode()
        if pa.types.is_string(kind):
            out += b"s" + struct.pack("<I", len(value.encode())) + value.encode()
        elif pa.types.is_int64(kind):
            out += b"i" + struct.pack("<q", value)
        elif pa.types.is_float64(kind):
            out += b"f" + struct.pack("<d", value)
        elif pa.types.is_timestamp(kind):
            seconds = int(value.timestamp())
            out += b"t" + struct.pack("<q", seconds * 1000000 + value.microsecond)
        elif pa.types.is_decimal(kind):
            unscaled = int(value.scaleb(kind.scale))
            out += b"n" + bytes([kind.scale]) + unscaled.to_bytes(16, "little", signed=True)
        else:
            raise AssertionError(kind)
    return int.from_bytes(hashlib.sha256(out).digest()[:16], "little")


@pytest.mark.parametrize("resource", ["airlines", "airports", "planes", "weather"])
def test_row_hashes(year, resource):
    """Per window, computed again from what deltalake reads; the digest prints the same."""
    kinds = X.COLUMNS[resource]
    sums, counts = {}, {}
    for row in read(year, "prepare", resource).to_pylist():
        w = row["_window"]
        sums[w] = (sums.get(w, 0) + hash_of_row(row, kinds)) % 2**128
        counts[w] = counts.get(w, 0) + 1
    tagged, rows = {}, {}
    for action in adds(year.project.table("prepare", resource)):
        for tag in json.loads(action["tags"]["sluice.windows"]):
            tagged[tag["window"]] = (tagged.get(tag["window"], 0) + int(tag["row_hash"], 16)) % 2**128
            rows[tag["window"]] = rows.get(tag["window"], 0) + tag["rows"]
    assert {w: n for w, n in rows.items() if n} == counts
    assert {w: h for w, h in tagged.items() if rows[w]} == sums
    assert all(h == 0 for w, h in tagged.items() if not rows[w])
    if resource == "weather":
        assert len(tagged) == 365 and len(counts) == 364


# ── the books ──

def test_it_adds_up(year):
    """Promise 3, from record.json and from the tables."""
    tables = {t["table"]: t for t in year.record["tables"] if t["zone"] == "prepare"}
    fetched = {r["resource"]: r for r in year.record["resources"]}
    assert sorted(tables) == X.RESOURCES
    for name, t in tables.items():
        books = t["books"]
        assert books["read"] == books["published"] + books["quarantined"] + books["duplicates"], name
        assert books["read"] == X.ROWS[name] == fetched[name]["records"], name
        assert books["published"] == t["rows"] == X.published(name).num_rows, name
        assert books["quarantined"] == read(year, "quarantine", name).num_rows, name
        assert books["duplicates"] == 0 and t["changed"] and t["error"] is None, name


def test_relationships_are_warnings(year):
    flights = next(t for t in year.record["tables"] if t["table"] == "flights")
    rows = {r["rule"]: r["rows"] for r in flights["relationships"]}
    assert rows.pop("keys in several windows", 0) == 0
    assert rows == {"tailnum -> planes.tailnum": 50094, "dest -> airports.faa": 7602, "carrier -> airlines.carrier": 0}


# ── models ──

@pytest.fixture(scope="module")
def curated(year):
    """DuckDB over the CSV-derived tables, with the models' SQL as it stands in the example."""
    db = connect()
    db.execute("CREATE SCHEMA prepare; CREATE SCHEMA refine")
    for r in X.RESOURCES:
        db.register("t_" + r, X.published(r))
        db.execute(f"CREATE TABLE prepare.{r} AS SELECT * FROM t_{r}")
    left = list(MODELS)
    while left:
        before, problem = len(left), None
        for m in list(left):
            with open(os.path.join(L.EXAMPLE, "models", m + ".sql"), encoding="utf-8") as f:
                sql = f.read().strip().rstrip(";")
            try:
                db.execute(f"CREATE TABLE refine.{m} AS {sql}")
                left.remove(m)
            except duckdb.CatalogException as e:  # reads a model that comes later
                problem = e
        if len(left) == before:
            raise problem
    return db


@pytest.mark.parametrize("model", MODELS)
def test_models(year, curated, model):
    got = read(year, "refine", model)
    assert got.num_rows > 0
    curated.register("got", got)
    types = {c[0]: c[1] for c in curated.execute("DESCRIBE got").fetchall()}
    casts = ", ".join(f'CAST("{c}" AS {t}) AS "{c}"' for c, t in types.items())
    curated.execute(f"CREATE OR REPLACE TEMP VIEW wanted AS SELECT {casts} FROM refine.{model}")
    assert same_rows(curated, "got", "wanted", list(types)) == [0, 0]


def test_no_double_is_summed_up_for_publication():
    """Sums of doubles depend on the order of the rows; the example's doubles are winds."""
    for m in MODELS:
        with open(os.path.join(L.EXAMPLE, "models", m + ".sql"), encoding="utf-8") as f:
            assert not re.search(r"(?i)\b(sum|avg)\s*\([^)]*wind_(speed|gust)", f.read()), m


# ── what people ask for ──

@pytest.mark.parametrize("form", ["json", "csv", "table"])
def test_show_and_query(year, form):
    done = year.project.sluice("query", "--format", form,
                               "SELECT carrier, count(*) AS flights FROM prepare.flights GROUP BY carrier ORDER BY carrier")
    import pyarrow.compute as pc
    counts = {r["values"]: r["counts"] for r in pc.value_counts(X.published("flights")["carrier"]).to_pylist()}
    if form == "json":
        assert {r["carrier"]: r["flights"] for r in map(json.loads, done.out.splitlines())} == counts
    elif form == "csv":
        assert done.out.splitlines() == ["carrier,flights"] + [f"{c},{n}" for c, n in sorted(counts.items())]
    else:
        for c, n in counts.items():
            assert any(c in line and str(n) in line.replace(",", "") for line in done.out.splitlines())
    shown = year.project.sluice("show", "airlines", "--format", "json", "--limit", "0")
    rows = [json.loads(line) for line in shown.out.splitlines()]
    assert {(r["carrier"], r["name"]) for r in rows} == {tuple(r.values()) for r in X.source("airlines").to_pylist()}


def test_trace_leads_to_the_bytes(year):
    """The address of a row, by trace, is where the record stands in the page's body, by `raw cat`."""
    done = year.project.sluice("trace", "flights", "2013-01-01T10:00:00Z", "UA", "1545", "--json")
    text = done.out
    assert "N14228" in text and "/flights?" in text and "date_from=2013-01-01" in text
    row = next(r for r in read(year, "prepare", "flights").slice(0, 5000).to_pylist()
               if r["carrier"] == "UA" and r["flight"] == 1545)
    cut = year.project.sluice("raw cat", "flights", row["_window"], row["_page"], "--record",
                              f"{row['_off']},{row['_len']}")
    record = json.loads(cut.out)
    assert (record["tailnum"], record["dest"], record["time_hour"]) == ("N14228", "IAH", "2013-01-01T10:00:00Z")
