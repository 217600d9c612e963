"""Damage with right hashes: whoever can write to the lake can make a chain that holds. What vouches from outside of it finds
it: the tables know the seals, the records of runs know the newest commits, row hashes know the values."""
import glob
import gzip
import hashlib
import json
import os

import pyarrow.parquet
import pytest

import damage as D
import lake as L

pytest_plugins = ["whole_lake"]
OF_TABLE = "raw/shop/things/20240102T000000Z_20240103T000000Z/g2"
CANDIDATE = "raw/shop/things/20240103T000000Z_20240104T000000Z/g2"
SUPERSEDED = "raw/shop/things/20240102T000000Z_20240103T000000Z/g1"
ZERO = bytes(32)


def sha(data):
    return hashlib.sha256(data).hexdigest()


def put(path, data):
    D.Damaged.put(path, data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode() + b"\n")


def read_ledger(p, generation):
    return [e for e, _ in L.entries(os.path.join(p.lake, generation))]


def write_ledger(p, generation, entries):
    """The chain, the digests and the totals made right again."""
    previous, digest = None, ZERO
    for n, e in enumerate(entries):
        for page in e.get("pages", []):
            digest = hashlib.sha256(digest + bytes.fromhex(page["fingerprint"]) + bytes.fromhex(page["body"])).digest()
        e["previous"], e["state"]["digest"] = previous, digest.hex()
        if "seal" in e:
            e["seal"]["digest"] = digest.hex()
        path = os.path.join(p.lake, generation, "ledger", f"{n:020}.json")
        put(path, e)
        with open(path, "rb") as f:
            previous = sha(f.read())


def another_page(p, generation):
    """A ledger that names another body of a page."""
    entries = read_ledger(p, generation)
    page = next(e for e in entries if e.get("pages"))["pages"][0]
    page["body"] = sha(b"another body")
    write_ledger(p, generation, entries)


def another_segment(p, generation):
    """A segment with another answer in it, and all that names it."""
    entries = read_ledger(p, generation)
    e = next(e for e in entries if e.get("pages"))
    folder = os.path.join(p.lake, generation, "segments")
    with open(os.path.join(folder, e["segment"]["name"]), "rb") as f:
        data = f.read()
    page = e["pages"][0]
    assert page["offset"] + page["size"] == len(data)
    plain = gzip.decompress(data[page["offset"]:])
    head, _, rest = plain.partition(b"\r\n\r\n")
    http_head, _, body = rest.partition(b"\r\n\r\n")
    assert body[:2] == b"\x1f\x8b"
    clear = gzip.decompress(body[:body.rindex(b"\r\n\r\n")])
    forged = clear.replace(b"thing 1", b"thinG 1", 1)
    assert forged != clear
    packed = gzip.compress(forged, mtime=0)
    import re
    block = re.sub(rb"(?i)(content-length: )\d+", rb"\g<1>%d" % len(packed), http_head) + b"\r\n\r\n" + packed
    head = re.sub(rb"(Content-Length: )\d+", rb"\g<1>%d" % len(block), head)
    head = re.sub(rb"(WARC-Block-Digest: sha256:)\w+", rb"\g<1>" + sha(block).encode(), head)
    head = re.sub(rb"(WARC-Payload-Digest: sha256:)\w+", rb"\g<1>" + sha(packed).encode(), head)
    member = gzip.compress(head + b"\r\n\r\n" + block + b"\r\n\r\n", mtime=0)
    data = data[:page["offset"]] + member
    page["size"], page["body"], page["body_bytes"] = len(member), sha(forged), len(forged)
    os.remove(os.path.join(folder, e["segment"]["name"]))
    e["segment"] = {"name": f"{e['epoch']}-{sha(data)}.warc.gz", "size": len(data), "sha256": sha(data)}
    put(os.path.join(folder, e["segment"]["name"]), data)
    write_ledger(p, generation, entries)


def seal(p, generation, **change):
    entries = read_ledger(p, generation)
    for k, v in change.items():
        if v is None:
            entries[-1]["seal"].pop(k, None)
        else:
            entries[-1]["seal"][k] = v
    write_ledger(p, generation, entries)


def write_log(table, change):
    """Every version rewritten by `change(actions)`, the chain made right again."""
    previous = None
    for path in sorted(glob.glob(os.path.join(table, "_delta_log", "*.json"))):
        with open(path, encoding="utf-8") as f:
            actions = [json.loads(line) for line in f]
        change(actions)
        actions[0]["commitInfo"]["sluice.previous"] = previous
        data = b"".join(json.dumps(a, separators=(",", ":")).encode() + b"\n" for a in actions)
        put(path, data)
        previous = sha(data)


def other_statistics(p):
    def change(actions):
        for a in actions:
            if "add" in a:
                a["add"]["stats"] = a["add"]["stats"].replace('"minValues"', '"minvalues"')
    write_log(p.table("prepare", "things"), change)


def rewritten_file(p, zone, edit, rows):
    """The table's newest file with other rows, valid and named by the log with its size, hash and number of rows."""
    table = p.table(zone, "things")
    with open(sorted(glob.glob(os.path.join(table, "_delta_log", "*.json")))[-1], encoding="utf-8") as f:
        path = [json.loads(line) for line in f][-1]["add"]["path"]
    full = os.path.join(table, path)
    with pyarrow.parquet.ParquetFile(full) as f:
        old = f.read()
    os.chmod(full, 0o644)
    pyarrow.parquet.write_table(edit(old), full, compression="zstd")
    with open(full, "rb") as f:
        data = f.read()

    def change(actions):
        for a in actions:
            if a.get("add", {}).get("path") != path:
                continue
            a["add"]["size"] = len(data)
            tags, stats = a["add"]["tags"], json.loads(a["add"]["stats"])
            tags["sluice.sha256"] = sha(data)
            stats["numRecords"] += rows
            windows = json.loads(tags["sluice.windows"])
            next(w for w in windows if w["rows"] > 0)["rows"] += rows
            tags["sluice.windows"] = json.dumps(windows, separators=(",", ":"))
            a["add"]["stats"] = json.dumps(stats, separators=(",", ":"))
    write_log(table, change)


def other_value(p, zone="prepare"):
    import pyarrow

    def edit(t):
        names = t["name"].to_pylist()
        names[0] += "?"
        return t.set_column(t.schema.get_field_index("name"), t.schema.field("name"), pyarrow.array(names, t.schema.field("name").type))
    rewritten_file(p, zone, edit, 0)


def row_less(p):
    rewritten_file(p, "quarantine", lambda t: t.slice(1), -1)


def without_records(change):
    def both(p):
        change(p)
        for path in glob.glob(os.path.join(p.lake, "runs", "*", "2*", "record.json")):
            os.remove(path)
    return both


def other_grid(p):
    path = os.path.join(p.lake, "raw", "shop", "things", "grid", "0.json")
    with open(path, encoding="utf-8") as f:
        put(path, f.read().replace('"every":"1d"', '"every":"2d"').encode())


NOBODY = "no table was made of it: nobody else knows its bytes"
FORGERIES = [  # what, how, named object, full, fast, why not
    ("a ledger with another page", lambda p: another_page(p, OF_TABLE), OF_TABLE, True, True, ""),
    ("the same, of a generation that no table knows", lambda p: another_page(p, SUPERSEDED), SUPERSEDED, True, False,
     "--fast reads no body"),
    ("a segment and its ledger", lambda p: another_segment(p, OF_TABLE), OF_TABLE, True, True, ""),
    ("the same, of a generation that no table knows", lambda p: another_segment(p, SUPERSEDED), SUPERSEDED, False, False, NOBODY),
    ("a seal that promotes", lambda p: seal(p, CANDIDATE, promoted=True), CANDIDATE, True, True, ""),
    ("a seal that promotes, without the reason why not", lambda p: seal(p, CANDIDATE, promoted=True, candidate=None), CANDIDATE,
     False, False, NOBODY + "; the next run that prepares it writes its hash down"),
    ("a seal that promotes no longer", lambda p: seal(p, OF_TABLE, promoted=False, candidate="few"), OF_TABLE, True, True, ""),
    ("a log with other statistics", other_statistics, "prepare/shop/things", True, True, ""),
    ("the same, and no records", without_records(other_statistics), "prepare/shop/things", False, False,
     "a log that was written anew as a whole, and every record that knew it is gone"),
    ("another value in a file", other_value, "prepare/shop/things", True, True, ""),
    ("the same, and no records", without_records(other_value), "prepare/shop/things", True, False, "--fast reads no row"),
    ("a row less in the quarantine", row_less, "quarantine/shop/things", True, True, ""),
    ("the same, and no records", without_records(row_less), "quarantine/shop/things", True, False, "--fast reads no row"),
    ("another grid", other_grid, "raw/shop/things/grid/0.json", True, True, ""),
]


@pytest.mark.parametrize("number", range(len(FORGERIES)), ids=[f[0].replace(" ", "-") for f in FORGERIES])
def test_forgery(whole_copy, number):
    what, forge, named, full, fast, why = FORGERIES[number]
    forge(whole_copy)
    for wanted, options in ((full, []), (fast, ["--fast"])):
        done = whole_copy.sluice("verify", *options, status=8 if wanted else 0)
        assert wanted or why, what
        assert not wanted or any(line.startswith(named) for line in done.out.splitlines()), repr(done)


# ── what is damaged is nobody's input ──

def tables(p):
    return L.published(p.lake)


def drop(p, *zones):
    import shutil
    for zone in zones:
        shutil.rmtree(os.path.join(p.lake, zone))


DAYS = ("--from", "2024-01-01", "--to", "2024-01-04", "--only", "things,kinds,buckets,large")


@pytest.mark.parametrize("command", ["prepare", "run"])
@pytest.mark.parametrize("kind,damage", [("segment", "flip"), ("segment", "cut"), ("segment", "gone"), ("segment", "swapped"),
                                         ("entry", "flip"), ("entry", "gone"), ("entry", "swapped"), ("seal_of_table", "cut")])
def test_raw_that_is_damaged_is_not_prepared(whole_copy, command, kind, damage):
    p = whole_copy
    keys = [k for k in D.objects(p)[kind] if "things/20240101" in k]
    words, change = list(D.damages(p, kind, damage, keys, ()))[-1]
    drop(p, "prepare", "quarantine", "refine")
    with D.Damaged(p, change):
        done = p.sluice(command, *DAYS, status=8)
        assert "prepare/shop/things" not in tables(p) and "refine/shop/buckets" not in tables(p), words
        assert "things/20240101" in done.err, repr(done)
    # the candidate of the third day still waits, which `run` says
    p.sluice("run", *DAYS, status=(0, 4))


@pytest.mark.parametrize("command", ["refine", "run"])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "another value"])
@pytest.mark.parametrize("table,reader", [("prepare/shop/things", "buckets"), ("refine/shop/buckets", "large")])
def test_tables_that_are_damaged_are_not_read(whole_copy, command, damage, table, reader):
    import shutil
    p = whole_copy
    keys = [k for k in D.objects(p)["parquet"] if k.startswith(table + "/")]
    shutil.rmtree(p.table("refine", reader))
    if damage == "another value":
        change = {}
        full = os.path.join(p.lake, keys[0])
        with pyarrow.parquet.ParquetFile(full) as f:
            rows = f.read()
        put(full, b"")
        pyarrow.parquet.write_table(rows.slice(1), full)
    else:
        change = list(D.damages(p, "parquet", damage, keys[:1], ()))[0][1]
    with D.Damaged(p, change):
        before = tables(p)
        done = p.sluice(command, *DAYS, status=8)
        assert "refine/shop/" + reader not in tables(p) and tables(p) == before, repr(done)
        assert keys[0] in done.err and "sluice repair" in done.err, repr(done)
