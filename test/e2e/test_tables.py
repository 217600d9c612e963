"""Tables that live long: many commits, folded states, checkpoints, compaction; judged by other readers of Delta."""
import glob
import json
import os
import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

import lake as L

pytest_plugins = ["lake_fixtures"]

DAYS = 51


def day(n):
    import datetime
    return (datetime.date(2013, 1, 1) + datetime.timedelta(days=n)).isoformat()


@pytest.fixture(scope="module")
def daily(tmp_path_factory, calm):
    """Flights and weather, a run for each day: version 50 of four tables, a file for each day."""
    p = L.example_project(os.path.join(tmp_path_factory.mktemp("daily"), "flights"), calm.url)
    for n in range(DAYS):
        p.sluice("run --only flights", "--from", day(n), "--to", day(n + 1))
    return p


@pytest.fixture
def daily_copy(daily, tmp_path):
    shutil.copytree(daily.lake, tmp_path / "lake", symlinks=True)
    return daily.on(tmp_path / "lake")


def log_files(table, pattern="*"):
    return sorted(os.path.basename(f) for f in glob.glob(os.path.join(table, "_delta_log", pattern)))


def rows_of(table, version=None):
    t = DeltaTable(table, version=version).to_pyarrow_table()
    return t.sort_by([(c, "ascending") for c in ("_window", "_page", "_off")])


def test_a_checkpoint_is_read_by_others(daily_copy):
    for zone in ("prepare", "quarantine"):
        table = daily_copy.table(zone, "flights")
        whole = DeltaTable(table)
        assert whole.version() == DAYS - 1
        files, want, fields = sorted(whole.file_uris()), rows_of(table), json.loads(whole.schema().to_json())
        assert log_files(table, "*.checkpoint.parquet") == ["00000000000000000050.checkpoint.parquet"]
        hint = L.load_json(os.path.join(table, "_delta_log", "_last_checkpoint"))
        actions = pq.read_table(os.path.join(table, "_delta_log", "00000000000000000050.checkpoint.parquet"))
        assert hint["version"] == 50 and hint["size"] == actions.num_rows
        assert {f.name for f in actions.schema} == {"txn", "add", "remove", "metaData", "protocol"}
        # without the log before it, by the hint and by listing: nothing but the checkpoint tells which files there are
        for n in range(DAYS):
            os.remove(os.path.join(table, "_delta_log", f"{n:020}.json"))
        for hinted in (True, False):
            if not hinted:
                os.remove(os.path.join(table, "_delta_log", "_last_checkpoint"))
            t = DeltaTable(table)
            assert t.version() == 50
            assert sorted(t.file_uris()) == files
            assert json.loads(t.schema().to_json()) == fields
            assert t.metadata().name == "flights" and t.metadata().configuration.keys() == {"sluice.contract"}
            assert t.protocol().min_reader_version == 1 and t.protocol().min_writer_version == 2
            assert rows_of(table).equals(want)


def test_a_checkpoint_holds_what_the_log_says(daily_copy):
    table = daily_copy.table("prepare", "flights")
    text = pq.read_table(os.path.join(table, "_delta_log", "00000000000000000050.checkpoint.parquet")).to_pylist()
    adds = [r["add"] for r in text if r["add"]]
    assert len(adds) == DAYS and all(a["dataChange"] is False and a["partitionValues"] == [] for a in adds)
    for a in adds:
        tags = dict(a["tags"])
        assert set(tags) == {"sluice.windows", "sluice.sha256"}
        assert json.loads(a["stats"])["numRecords"] == sum(w["rows"] for w in json.loads(tags["sluice.windows"]))
    assert sum(1 for r in text if r["metaData"]) == sum(1 for r in text if r["protocol"]) == 1


@pytest.mark.parametrize("column", ["_off", "_extra"])
def test_damaged_files_are_not_compacted(daily_copy, column):
    """In columns that no row hash covers: the copy would stand behind a SHA-256 of its own."""
    p = daily_copy
    table = p.table("prepare", "flights")
    path = sorted(DeltaTable(table).file_uris())[3]
    rows = pq.read_table(path)
    at = rows.schema.get_field_index(column)
    other = pa.array(["{}"] * rows.num_rows) if column == "_extra" else pc.add(rows[column], 1)
    pq.write_table(rows.set_column(at, rows.schema.field(at), other), path)
    before = L.snapshot(p.lake)
    assert os.path.basename(os.path.dirname(path)) in p.sluice("compact flights", status=8).err
    assert L.snapshot(p.lake) == before
    p.sluice("repair")
    p.sluice("compact flights")
    p.sluice("verify")


@pytest.mark.parametrize("damage", ["another_table", "flip", "cut", "gone", "hint"])
def test_a_checkpoint_that_lies_is_told_and_removed(daily_copy, damage):
    """Other readers believe it before the log."""
    p = daily_copy
    table = p.table("prepare", "flights")
    want, folder = rows_of(table), os.path.join(table, "_delta_log")
    path, hint = os.path.join(folder, f"{50:020}.checkpoint.parquet"), os.path.join(folder, "_last_checkpoint")
    with open(path, "rb") as f:
        data = bytearray(f.read())
    if damage == "another_table":
        shutil.copyfile(os.path.join(p.table("quarantine", "flights"), "_delta_log", f"{50:020}.checkpoint.parquet"), path)
    elif damage == "flip":
        data[len(data) // 2] ^= 0xff
        with open(path, "wb") as f:
            f.write(data)
    elif damage == "cut":
        os.truncate(path, len(data) // 2)
    elif damage == "gone":
        os.remove(path)
    else:
        with open(hint, "w", encoding="utf-8") as f:
            f.write('{"version":')
    told = p.sluice("verify", status=8).out
    assert "_delta_log/_last_checkpoint: " in told
    assert (f"{50:020}.checkpoint.parquet: " in told) == (damage not in ("gone", "hint"))
    p.sluice("repair")
    p.sluice("verify")
    assert not os.path.exists(hint) and os.path.exists(path) == (damage == "hint")
    assert rows_of(table).equals(want)


def test_states_fold_the_log(daily_copy):
    """By the words of spec/table.md; one that is broken is passed over with a word, and verify tells."""
    p = daily_copy
    table = p.table("prepare", "flights")
    assert sorted(os.listdir(os.path.join(table, "state"))) == ["00000000000000000020.json", "00000000000000000040.json"]
    path = os.path.join(table, "state", "00000000000000000040.json")
    with open(path, "rb") as f:
        text = f.read()
    lines = text.splitlines(keepends=True)
    head, end = json.loads(lines[0])["state"], json.loads(lines[-1])
    import hashlib
    assert end["end"] == hashlib.sha256(b"".join(lines[:-1])).hexdigest()
    with open(os.path.join(table, "_delta_log", f"{40:020}.json"), "rb") as f:
        assert head["log"] == hashlib.sha256(f.read()).hexdigest()
    assert head["version"] == 40 and head["files"] == 41 == len(lines) - 4
    at = DeltaTable(table, version=40)
    assert {os.path.relpath(u, table) for u in at.file_uris()} == {json.loads(x)["add"]["path"] for x in lines[3:-1]}
    p.sluice("verify")
    undisturbed = p.digest()
    for broken in (b"", text[:-1], text.replace(b'"size":', b'"size":1', 1)):
        with open(path, "wb") as f:
            f.write(broken)
        assert p.digest() == undisturbed
        done = p.sluice("run --only flights", "--from", day(0), "--to", day(DAYS))
        assert "state/00000000000000000040.json" in done.err and "passed over" in done.err
        assert "state/00000000000000000040.json" in p.sluice("verify", status=8).out
        assert p.digest() == undisturbed
    os.remove(path)
    assert "passed over" not in p.sluice("plan", "--from", day(0), "--to", day(DAYS)).err
    p.sluice("verify")
    assert p.digest() == undisturbed


# ── compaction ──

def content(digest):
    """Without the lines about files: what does not depend on how windows are spread over them."""
    return [line for line in digest.splitlines() if not line.startswith("file ")]


@pytest.fixture(scope="module")
def at_once(tmp_path_factory, daily):
    """The same days in one run."""
    p = daily.on(tmp_path_factory.mktemp("once") / "lake")
    p.sluice("run --only flights", "--from", day(0), "--to", day(DAYS))
    p.undisturbed = p.digest()
    return p


def test_compaction_gives_the_files_of_one_run(daily_copy, at_once):
    p = daily_copy
    zones = ("prepare", "quarantine")
    before = {z: (rows_of(p.table(z, "flights")), p.digest()) for z in zones}
    old = {z: L.snapshot(p.table(z, "flights")) for z in zones}
    say = p.sluice("compact", "--dry-run").out
    assert "prepare.flights: 51 files with" in say and "would become 1 file" in say
    assert {z: L.snapshot(p.table(z, "flights")) for z in zones} == old
    done = p.sluice("compact", "--json").json
    assert [(t["table"], t["merged"], t["made"], t["files_after"]) for t in done] == [
        ("prepare.flights", 51, 1, 1), ("quarantine.flights", 51, 1, 1)]
    for z in zones:
        table = p.table(z, "flights")
        t = DeltaTable(table)
        assert t.version() == DAYS and len(t.file_uris()) == 1
        want, digest = before[z]
        assert rows_of(table).equals(want)
        assert rows_of(table, DAYS - 1).equals(want)                      # time travel: the old files are there
        assert rows_of(table, 0).num_rows < want.num_rows or want.num_rows == 0
        now = L.snapshot(table)
        assert {k: now[k] for k in old[z]} == old[z]
        with open(os.path.join(table, "_delta_log", f"{DAYS:020}.json"), encoding="utf-8") as f:
            actions = [json.loads(line) for line in f]
        assert actions[0]["commitInfo"]["operation"] == "sluice compact"
        assert not any("metaData" in a for a in actions)
        assert {a[k]["dataChange"] for a in actions[1:] for k in a} == {False}
        assert content(p.digest()) == content(digest)
    assert p.digest() == at_once.undisturbed                              # byte for byte what one run writes
    p.sluice("verify")
    # nothing is stale, and nothing is left to compact
    p.sluice("run --only flights", "--from", day(0), "--to", day(DAYS))
    assert DeltaTable(p.table("prepare", "flights")).version() == DAYS
    assert all(t["made"] == 0 for t in p.sluice("compact", "--json").json)
    assert DeltaTable(p.table("prepare", "flights")).version() == DAYS
    # a day more, a day again, and compaction again
    p.sluice("run --only flights", "--from", day(DAYS), "--to", day(DAYS + 2))
    p.sluice("run --only flights", "--from", day(3), "--to", day(4), "--refetch")
    p.sluice("compact", "flights")
    newest = sorted(glob.glob(os.path.join(p.lake, "prepare/*/flights/_delta_log/*.json")))[-1]
    os.rename(newest, newest + ".away")  # the record of the compaction vouches for it
    found = p.sluice("verify", "--fast", "--json", status=8).json["findings"]
    assert any("left version" in f["what"] for f in found), found
    os.rename(newest + ".away", newest)
    p.sluice("verify", "--fast")
    assert len(DeltaTable(p.table("prepare", "flights")).file_uris()) == 1
    p.sluice("verify")
    q = at_once
    q.sluice("run --only flights", "--from", day(DAYS), "--to", day(DAYS + 2))
    q.sluice("compact")
    assert p.digest() == q.digest()


def folders(p, zone):
    return len(os.listdir(os.path.join(p.table(zone, "flights"), "data")))


@pytest.mark.parametrize("zone", ["prepare", "quarantine"])
@pytest.mark.parametrize("point", ["folder", "file", "commit"])
def test_a_killed_compaction_changes_nothing_or_all(daily_copy, at_once, zone, point):
    p = daily_copy
    table = p.table(zone, "flights")
    reached = {
        "folder": lambda: folders(p, zone) > DAYS,
        "file": lambda: len(glob.glob(os.path.join(table, "data", "*", "*.parquet"))) > DAYS,
        "commit": lambda: len(log_files(table, "*.json")) > DAYS,
    }[point]
    child = p.begin("compact")
    while child.poll() is None and not reached():
        pass
    if child.poll() is None:
        child.kill()
    child.communicate(timeout=60)
    p.sluice("verify")
    p.sluice("run --only flights", "--from", day(0), "--to", day(DAYS))
    assert content(p.digest()) == content(at_once.undisturbed)
    p.sluice("compact")
    p.sluice("verify")
    assert p.digest() == at_once.undisturbed


@pytest.mark.parametrize("words, status, part", [
    (["airlines"], 2, "not asked by window"),
    (["flihgts"], 2, "did you mean flights"),
    (["weather"], 0, ""),  # never made
])
def test_what_cannot_be_compacted(daily, words, status, part):
    done = daily.sluice("compact", *words, status=status)
    assert part in done.err


def test_damage_is_not_compacted(daily_copy):
    """Rows that are not those of their tags go into no new file."""
    p = daily_copy
    table = p.table("prepare", "flights")
    path = sorted(glob.glob(os.path.join(table, "data", "*", "*.parquet")))[5]
    rows = pq.read_table(path)
    i = rows.schema.get_field_index("dep_time")
    import pyarrow as pa
    changed = rows.set_column(i, rows.schema.field(i), pa.array([1] * rows.num_rows, type=rows.schema.field(i).type))
    pq.write_table(changed, path)
    done = p.sluice("compact", status=8)
    assert "the table's log says" in done.err
    assert DeltaTable(table).version() == DAYS - 1
