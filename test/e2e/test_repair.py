"""`sluice repair`: whatever is derived and damaged is made again; afterwards verify is clean and the digest is that of the
lake that nothing happened to. Raw is never touched: what is lost of it is told, with the command that asks again."""
import glob
import os
import re
import shutil
import subprocess

import deltalake
import pytest

import damage as D
import lake as L
import test_forgery as F

pytest_plugins = ["whole_lake"]
TABLES = ["prepare/shop/things", "prepare/shop/kinds", "quarantine/shop/things", "refine/shop/buckets", "refine/shop/large"]


def raw(p):
    return {k: v for k, v in L.snapshot(p.lake).items() if k.startswith("raw/")}


def healed(p, before, rows_only=False):
    assert raw(p) == before
    p.sluice("verify")
    keep = lambda text: [line for line in text.splitlines() if not (rows_only and line.startswith("file "))]
    assert keep(p.digest()) == keep(p.undisturbed)
    for table in TABLES:
        deltalake.DeltaTable(os.path.join(p.lake, table)).to_pyarrow_table()
    files = L.snapshot(p.lake)
    assert "Nothing to repair" in p.sluice("repair").out
    assert L.snapshot(p.lake) == files


def only(p, kind, table):
    return [k for k in D.objects(p)[kind] if k.startswith(table + "/")]


@pytest.mark.parametrize("table,damage", [(t, ["flip", "cut", "gone"][i % 3]) for i, t in enumerate(TABLES)])
def test_data_files(whole_copy, table, damage):
    p = whole_copy
    before = raw(p)
    for words, change in list(D.damages(p, "parquet", damage, only(p, "parquet", table), ()))[-1:]:
        D.Damaged(p, change).__enter__()
    files = L.snapshot(p.lake)
    dry = p.sluice("repair", "--dry-run", status=8)
    assert table.replace("/shop/", ".") + ": 1 data file made again" in dry.out and L.snapshot(p.lake) == files
    done = p.sluice("repair")
    assert "Made again, and verified" in done.out, repr(done)
    record = p.records()[-1]
    assert record["command"] == "repair" and not record["nothing_to_do"]
    healed(p, before)
    assert deltalake.DeltaTable(os.path.join(p.lake, table)).version() == len(glob.glob(os.path.join(p.lake, table, "_delta_log", "*"))) - 1


@pytest.mark.parametrize("kind,damage", [("newest_commit", "flip"), ("newest_commit", "gone"), ("commit", "flip"),
                                         ("commit", "gone")])
@pytest.mark.parametrize("table", ["prepare/shop/things", "quarantine/shop/things", "refine/shop/buckets"])
def test_logs(whole_copy, table, kind, damage):
    p = whole_copy
    before = raw(p)
    for words, change in list(D.damages(p, kind, damage, only(p, kind, table), ()))[-1:]:
        D.Damaged(p, change).__enter__()
    p.sluice("verify", status=8)
    done = p.sluice("repair")
    assert "Made again, and verified" in done.out, repr(done)
    healed(p, before)


def test_a_table_that_is_gone(whole_copy):
    p = whole_copy
    before = raw(p)
    for table in ("prepare/shop/things", "refine/shop/large"):
        shutil.rmtree(os.path.join(p.lake, table))
    p.sluice("repair")
    healed(p, before)


def test_all_tables_at_once(whole_copy):
    p = whole_copy
    before = raw(p)
    for key in D.objects(p)["parquet"]:
        os.chmod(os.path.join(p.lake, key), 0o644)
        os.truncate(os.path.join(p.lake, key), 10)
    for key in D.objects(p)["newest_commit"][::2]:
        F.put(os.path.join(p.lake, key), b"")
    p.sluice("repair")
    healed(p, before)


def test_only_what_is_named(whole_copy):
    p = whole_copy
    for table in ("prepare/shop/kinds", "refine/shop/large"):
        os.remove(os.path.join(p.lake, only(p, "parquet", table)[0]))
    p.sluice("repair", "large")
    found = p.sluice("verify", "--json", status=8).json["findings"]
    assert [f["where"].split("/data")[0] for f in found] == ["prepare/shop/kinds"]
    p.sluice("repair", "nothing", status=2)
    p.sluice("repair")
    p.sluice("verify")


def test_what_raw_has_lost(whole_copy):
    """The segment of a page that a table was made of: its rows are still there; the command asks for the window again."""
    p = whole_copy
    segment = [k for k in D.objects(p)["segment"] if "20240101" in k][0]
    os.remove(os.path.join(p.lake, segment))
    before = L.snapshot(p.lake)
    done = p.sluice("repair", status=8)
    assert L.snapshot(p.lake) == before
    assert "Lost in Raw: things, window 20240101T000000Z_20240102T000000Z, generation 1: 1 page with 30 records" in done.out
    assert segment in done.out and "prepare.things still has its 117 rows" in done.out
    told = p.sluice("repair", "--json", status=8).json["lost"][0]
    assert told["pages"] == 1 and told["records"] == 30 and told["rows"] == 117 and told["in_table"] is True
    command = re.search(r"`sluice (run [^`]*--refetch)`", done.out).group(1)
    again = subprocess.run([L.SLUICE, *command.split()], capture_output=True, text=True, env=p.environment(), cwd=p.folder)
    assert again.returncode == 0, again.stderr
    assert p.sluice("repair", "--json", status=8).json["lost"][0]["generation"] == 1  # Raw keeps what it has
    assert [line for line in p.digest().splitlines() if line.startswith(("window", "rows"))] == \
        [line for line in p.undisturbed.splitlines() if line.startswith(("window", "rows"))]


@pytest.mark.parametrize("kind", ["entry", "seal_of_table"])
def test_a_ledger_that_cannot_be_read_is_asked_for_again(whole_copy, kind):
    p = whole_copy
    key = [k for k in D.objects(p)[kind] if "things/20240101" in k][-1]
    F.put(os.path.join(p.lake, key), b"{}\n")
    done = p.sluice("repair", status=8)
    command = re.search(r"`sluice (run [^`]*--refetch)`", done.out).group(1)
    again = subprocess.run([L.SLUICE, *command.split()], capture_output=True, text=True, env=p.environment(), cwd=p.folder)
    assert again.returncode == 0, again.stderr
    assert F.read_ledger(p, "raw/shop/things/20240101T000000Z_20240102T000000Z/g2")[-1]["seal"]["promoted"] is True


def test_raw_and_a_table_are_both_damaged(whole_copy):
    """What cannot be made again stays as it is, and is told."""
    p = whole_copy
    for key in ([k for k in D.objects(p)["segment"] if "20240101" in k][0], only(p, "parquet", "prepare/shop/things")[0],
                only(p, "parquet", "refine/shop/large")[0]):
        os.remove(os.path.join(p.lake, key))
    commits = L.published(p.lake)
    done = p.sluice("repair", status=8)
    assert "Lost in Raw" in done.out and "20240101" in done.err
    assert L.published(p.lake)["prepare/shop/things"] == commits["prepare/shop/things"]
    # with the window fetched again, everything can be made
    p.sluice("run", "--from", "2024-01-01", "--to", "2024-01-02", "--only", "things", "--refetch=again", status=(0, 8))
    p.sluice("repair", status=8)
    left = p.sluice("verify", "--json", status=8).json["findings"]
    assert {f["kind"] for f in left} <= {"raw", "file"}
