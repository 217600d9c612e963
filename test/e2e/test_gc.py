"""`sluice gc`: what nothing names goes, what anything names stays, and afterwards nothing has changed for any reader."""
import datetime
import glob
import hashlib
import json
import os
import shutil
import signal
import time

import deltalake
import pytest

import lake as L
import test_forgery as F

pytest_plugins = ["whole_lake"]
WEEK = 7 * 86400
OLD = "7-0-0123456789abcdef"
OPEN = "raw/shop/things/20240104T000000Z_20240105T000000Z/g1"
SEALED = F.OF_TABLE
ALL = ("--keep-days", 0, "--keep-versions", 1)
DAYS = ("--from", "2024-01-01", "--to", "2024-01-04")


def keys(done, kind):
    return sorted(i["key"] for i in done.json["items"] if i["class"] == kind)


def stray(p, generation, epoch, text=b"nobody's"):
    data = text + str(epoch).encode()
    name = f"{epoch}-{hashlib.sha256(data).hexdigest()}.warc.gz"
    with open(os.path.join(p.lake, generation, "segments", name), "wb") as f:
        f.write(data)
    return f"{generation}/segments/{name}"


def aged(path, seconds):
    when = time.time() - seconds
    os.utime(path, (when, when))
    if os.path.isdir(path):
        for name in os.listdir(path):
            os.utime(os.path.join(path, name), (when, when))
        os.utime(path, (when, when))


def staged(p, name, seconds):
    folder = os.path.join(p.table("prepare", "things"), "data", name)
    os.makedirs(folder)
    with open(os.path.join(folder, "00000.parquet"), "wb") as f:
        f.write(b"PAR1")
    aged(folder, seconds)
    return f"prepare/shop/things/data/{name}/00000.parquet"


def unchanged(p):
    """For whoever reads or runs."""
    p.sluice("verify")
    assert p.digest() == p.undisturbed
    before = L.snapshot(p.lake)
    p.sluice("run", *DAYS, status=4)  # the candidate still waits
    assert L.snapshot(p.lake) == before
    for table in ("prepare/shop/things", "quarantine/shop/things", "refine/shop/buckets", "refine/shop/large"):
        deltalake.DeltaTable(os.path.join(p.lake, table)).to_pyarrow_table()


def test_nothing_to_collect(whole_copy):
    before = L.snapshot(whole_copy.lake)
    assert "Nothing to remove" in whole_copy.sluice("gc", "--yes").out
    assert L.snapshot(whole_copy.lake) == before


def test_each_class(whole_copy):
    p = whole_copy
    entries = len(os.listdir(os.path.join(p.lake, OPEN, "ledger")))
    fenced, newcomer, late = stray(p, OPEN, 0), stray(p, OPEN, entries + 5), stray(p, SEALED, 7)
    old, young = staged(p, "0123456789abcdef-000000000001", WEEK + 60), staged(p, "0123456789abcdef-000000000002", WEEK - 60)
    os.makedirs(os.path.join(p.lake, ".tmp"), exist_ok=True)
    for name, age in ((OLD, WEEK + 60), ("7-1-00000000000000aa", WEEK - 60), ("old", WEEK + 60)):
        path = os.path.join(p.lake, ".tmp", name)
        open(path, "wb").close()
        aged(path, age)
    before = L.snapshot(p.lake)
    dry = p.sluice("gc", "--json")
    assert L.snapshot(p.lake) == before
    assert keys(dry, "segment") == sorted([fenced, late]) and keys(dry, "staged") == [old] and keys(dry, "file") == []
    assert dry.json["temporary"]["objects"] == 1 and dry.json["removed"] is False
    text = p.sluice("gc").out
    assert fenced in text and "no entry names it" in text and "`sluice gc" in text and "--yes`" in text
    done = p.sluice("gc", "--yes", "--json")
    assert done.json["items"] == dry.json["items"] and done.json["removed"] is True
    after = L.snapshot(p.lake)
    gone, new = set(before) - set(after), set(after) - set(before)
    assert gone == {fenced, late, old, ".tmp/" + OLD}
    assert new == {f"{OPEN}/ledger/{entries:020}.json"}  # the claim
    assert newcomer in after and young in after and not os.path.exists(os.path.dirname(os.path.join(p.lake, old)))
    os.remove(os.path.join(p.lake, newcomer))
    assert "Nothing to remove" in p.sluice("gc", "--yes").out
    unchanged(p)


def test_old_versions_of_tables(whole_copy):
    p = whole_copy
    assert deltalake.DeltaTable(p.table("prepare", "things"), version=0).to_pyarrow_table().num_rows == 351
    assert keys(p.sluice("gc", "--json"), "file") == []
    assert keys(p.sluice("gc", "--json", "--keep-days", 0), "file") == []
    assert keys(p.sluice("gc", "--json", "--keep-versions", 1), "file") == []
    files = keys(p.sluice("gc", "--json", "--yes", *ALL), "file")
    assert [f.split("/data/")[0] for f in files] == ["prepare/shop/things", "quarantine/shop/things"]
    assert "Nothing to remove" in p.sluice("gc", "--yes", *ALL).out
    with pytest.raises(Exception):
        deltalake.DeltaTable(p.table("prepare", "things"), version=0).to_pyarrow_table()
    unchanged(p)


def test_versions_by_their_age(whole_copy):
    """A version is kept while it was the newest one within the days."""
    p = whole_copy

    def older(days):
        def change(actions):
            for a in actions:
                if "commitInfo" in a:
                    a["commitInfo"]["timestamp"] -= days * 86400 * 1000
        F.write_log(p.table("prepare", "things"), change)

    older(29)
    assert keys(p.sluice("gc", "--json", "--keep-versions", 1), "file") == []
    older(2)
    assert len(keys(p.sluice("gc", "--json", "--keep-versions", 1), "file")) == 1
    assert keys(p.sluice("gc", "--json", "--keep-versions", 2), "file") == []
    assert len(keys(p.sluice("gc", "--json", "--yes", "--keep-versions", 1), "file")) == 1
    assert p.digest() == p.undisturbed


def test_superseded_generations(whole_copy):
    p = whole_copy
    segments = os.path.join(p.lake, F.SUPERSEDED, "segments")
    n = len(os.listdir(segments))
    assert n == 4
    for options in ([], ["--generations"], ["--generations", "--keep-days", 0], ["--generations", "--keep-versions", 1], ALL):
        assert keys(p.sluice("gc", "--json", *options), "generation") == []  # a kept version was made of it, or nobody asked
    assert len(keys(p.sluice("gc", "--json", "--generations", *ALL), "generation")) == n
    assert len(os.listdir(segments)) == n
    done = p.sluice("gc", "--json", "--yes", "--generations", *ALL)
    assert len(keys(done, "generation")) == n and os.listdir(segments) == []
    assert F.read_ledger(p, F.SUPERSEDED)[-1]["kind"] == "expire"
    # the candidate, the open one and what the tables are made of stay
    for g in (F.CANDIDATE, OPEN, F.OF_TABLE):
        assert os.listdir(os.path.join(p.lake, g, "segments"))
    assert "Nothing to remove" in p.sluice("gc", "--yes", "--generations", *ALL).out
    unchanged(p)
    assert "generation 2" in p.sluice("trace", "things", "2001").out
    # a new fetch goes on counting
    p.sluice("ingest", "--from", "2024-01-02", "--to", "2024-01-03", "--only", "things", "--refetch=later")
    p.sluice("verify")


def test_the_same_content_again_keeps_the_first_fetch(whole_copy):
    """Its rows still say `_gen` 1, whatever the tags say."""
    p = whole_copy
    p.sluice("run", "--from", "2024-01-01", "--to", "2024-01-02", "--only", "things", "--refetch=same")
    done = p.sluice("gc", "--json", "--yes", "--generations", *ALL)
    assert not [k for k in keys(done, "generation") if "20240101" in k]
    assert "generation 1" in p.sluice("trace", "things", "1001").out


def test_a_live_run_is_left_alone(whole_copy):
    p = whole_copy
    entries = F.read_ledger(p, OPEN)
    with open("/proc/self/stat", encoding="utf-8") as f:
        started = int(f.read().rsplit(")", 1)[1].split()[19])
    entries[0]["lease"].update(pid=os.getpid(), started=started, run="another")
    entries[-1]["time"] = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    F.write_ledger(p, OPEN, entries)
    key = stray(p, OPEN, 0)
    before = L.snapshot(p.lake)
    done = p.sluice("gc", "--yes", "--json")
    assert done.json["items"] == [] and done.json["left"][0]["key"] == OPEN and "looks alive" in done.json["left"][0]["why"]
    assert L.snapshot(p.lake) == before and os.path.exists(os.path.join(p.lake, key))


def test_a_writer_that_slept_is_fenced(whole, tmp_path):
    """Its lease is over, the collection claims, and the writer that wakes up adds nothing."""
    import whole_lake as W
    slow = W.open_mock(tmp_path, os.path.join(os.path.dirname(whole.folder), "a"), [{"match": "page=3", "fault": "stall", "wait": "2s"}])
    p = W.write_project(tmp_path / "shop", slow.url)
    child = p.begin("ingest", "--from", "2024-01-01", "--to", "2024-01-02", "--only", "things")
    ledger = os.path.join(p.lake, "raw/shop/things/20240101T000000Z_20240102T000000Z/g1")
    while child.poll() is None and len(glob.glob(os.path.join(ledger, "ledger", "*.json"))) < 3:
        pass
    os.kill(child.pid, signal.SIGSTOP)
    try:
        generation = os.path.relpath(ledger, p.lake)
        entries = F.read_ledger(p, generation)
        key = stray(p, generation, 0)
        assert p.sluice("gc", "--yes", "--json").json["left"]  # it looks alive
        entries[0]["lease"].update(boot="another host", pids="pid:[1]")
        for e in entries:
            e["time"] = "2024-01-01T00:00:00Z"
        F.write_ledger(p, generation, entries)
        assert key in keys(p.sluice("gc", "--yes", "--json"), "segment")
        assert not os.path.exists(os.path.join(p.lake, key))
    finally:
        os.kill(child.pid, signal.SIGCONT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 5, err
    slow.reset()
    p.sluice("ingest", "--from", "2024-01-01", "--to", "2024-01-02", "--only", "things")
    p.sluice("verify")
    assert slow.stop() == 0


def test_killed_anywhere(whole_copy, tmp_path):
    p = whole_copy
    for i in range(150):
        stray(p, SEALED, 9, str(i).encode())
        staged(p, f"0123456789abcdef-{i:012}", WEEK + 60)
    before = L.count_files(p.lake)
    other = p.on(tmp_path / "other")
    shutil.copytree(p.lake, other.lake, copy_function=shutil.copy2)
    for wanted in (20, 120, 220, 299):
        child = p.begin("gc", "--yes", "--generations", *ALL)
        while child.poll() is None and L.count_files(p.lake) > before - wanted:
            pass
        if child.poll() is None:
            os.kill(child.pid, signal.SIGKILL)
        child.communicate(timeout=60)
        p.sluice("verify")
    p.sluice("gc", "--yes", "--generations", *ALL)
    other.sluice("gc", "--yes", "--generations", *ALL)
    assert set(L.snapshot(p.lake)) == set(L.snapshot(other.lake))
    unchanged(p)


def test_damage_is_left_alone(whole_copy):
    p = whole_copy
    log = os.path.join(p.table("prepare", "things"), "_delta_log", "00000000000000000000.json")
    os.remove(log)
    kept, removed = stray(p, F.SUPERSEDED, 3), staged(p, "0123456789abcdef-000000000001", WEEK + 60)
    entry = os.path.join(p.lake, F.SUPERSEDED, "ledger", "00000000000000000001.json")
    F.put(entry, b"{}")
    done = p.sluice("gc", "--yes", "--json", "--generations", *ALL, status=8)
    assert {x["key"] for x in done.json["left"] if x["damaged"]} >= {"prepare/shop/things", F.SUPERSEDED}
    for key in (kept, removed):
        assert os.path.exists(os.path.join(p.lake, key))


def test_words(whole_copy):
    assert "one of them" in whole_copy.sluice("gc", "--yes", "--dry-run", status=2).err
    assert "--keep-versions 0" in whole_copy.sluice("gc", "--keep-versions", 0, status=2).err


def all_old(p):
    for folder, _, _ in os.walk(p.lake):
        aged(folder, 2 * WEEK)


@pytest.mark.parametrize("lost", ["newest version", "log"])
def test_a_log_that_lost_its_end(whole_copy, lost):
    """It replays, or is none: what it named is no garbage. The records of runs know."""
    p = whole_copy
    log = os.path.join(p.table("prepare", "things"), "_delta_log")
    all_old(p)
    if lost == "log":
        shutil.rmtree(log)
    else:
        os.remove(max(glob.glob(os.path.join(log, "*.json"))))
    before = L.snapshot(p.lake)
    done = p.sluice("gc", "--yes", "--generations", *ALL, status=8)
    assert "left alone  prepare/shop/things: the end of its log is gone: run " in done.out
    gone = set(before) - set(L.snapshot(p.lake))
    assert not [k for k in gone if k.startswith(("raw/", "prepare/"))], gone
    p.sluice("repair")
    assert p.digest() == p.undisturbed


def test_a_ledger_that_lost_its_end(whole_copy):
    """Without its seal a generation looks open, and its last segment like one that nobody named: it is the only copy."""
    p = whole_copy
    entries = os.path.join(p.lake, F.OF_TABLE, "ledger")
    os.remove(os.path.join(entries, max(os.listdir(entries))))
    before = L.snapshot(p.lake)
    done = p.sluice("gc", "--yes", "--generations", *ALL, status=8)
    assert f"left alone  {F.OF_TABLE}: a table was made of it, and its seal is gone" in done.out
    after = L.snapshot(p.lake)
    assert {k: v for k, v in after.items() if k.startswith(F.OF_TABLE)} == {k: v for k, v in before.items() if k.startswith(F.OF_TABLE)}


def test_a_folder_that_is_no_lake(whole_copy, tmp_path):
    """A mistyped --lake: what lies in its .tmp is somebody's."""
    mine = tmp_path / "home" / ".tmp" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    aged(mine, 100 * WEEK)
    assert "Nothing to remove" in whole_copy.on(tmp_path / "home").sluice("gc", "--yes").out
    assert mine.read_text() == "mine"


# ── damage that nobody needs any more ──

FIRST = "raw/shop/things/20240101T000000Z_20240102T000000Z/g1"

def damage_ledger(p, generation, entry=1):
    F.put(os.path.join(p.lake, generation, "ledger", f"{entry:020}.json"), b"{}")


def segments_of(p, generation):
    return sorted(os.listdir(os.path.join(p.lake, generation, "segments")))


def given_up(p, generation):
    """Dry first, then done; then there is nothing left to do, and nothing to find."""
    segments = segments_of(p, generation)
    before = L.snapshot(p.lake)
    dry = p.sluice("gc", "--generations", *ALL)
    assert L.snapshot(p.lake) == before
    assert "Would be given up: 1 damaged generation" in dry.out and "--yes`" in dry.out, repr(dry)
    done = p.sluice("gc", "--json", "--yes", "--generations", *ALL)
    assert [k for k in keys(done, "generation") if k.startswith(generation)] == [f"{generation}/segments/{s}" for s in segments]
    assert segments_of(p, generation) == []
    p.sluice("verify")
    assert "Nothing to remove" in p.sluice("gc", "--yes", "--generations", *ALL).out


def test_a_superseded_fetch_whose_ledger_is_damaged(whole_copy):
    p = whole_copy
    damage_ledger(p, F.SUPERSEDED)
    before = L.snapshot(p.lake)
    for options in ((*ALL,), ("--generations", "--keep-versions", 1), ("--generations", "--keep-days", 0)):
        done = p.sluice("gc", "--json", "--yes", *options, status=8)  # not asked, too young, or a kept version was made of it
        assert [x["key"] for x in done.json["left"]] == [F.SUPERSEDED] and keys(done, "generation") == []
    raw = lambda lake: {k: v for k, v in lake.items() if k.startswith("raw/")}
    assert raw(L.snapshot(p.lake)) == raw(before)
    assert "given up" not in p.sluice("gc", "--generations", *ALL, "--only", "kinds").out
    given_up(p, F.SUPERSEDED)
    assert len(os.listdir(os.path.join(p.lake, F.SUPERSEDED, "ledger"))) > 1  # its entries stay
    window = F.SUPERSEDED.split("/")[3]
    assert "given up" in p.sluice("raw", "ls", "things", window).out
    unchanged(p)
    assert "Nothing to repair" in p.sluice("repair").out


@pytest.mark.parametrize("what", ["segment", "ledger"])
def test_a_damaged_ledger_is_kept_where_the_newer_fetch_is_damaged(whole_copy, what):
    """It may be all that is left."""
    p = whole_copy
    damage_ledger(p, F.SUPERSEDED)
    newer = F.SUPERSEDED.replace("/g1", "/g2")
    if what == "segment":
        os.remove(os.path.join(p.lake, newer, "segments", segments_of(p, newer)[0]))
    else:
        damage_ledger(p, newer)
    done = p.sluice("gc", "--json", "--yes", "--generations", *ALL, status=8)
    assert F.SUPERSEDED in [x["key"] for x in done.json["left"]] or os.path.dirname(newer) in [x["key"] for x in done.json["left"]]
    assert keys(done, "generation") == [] and segments_of(p, F.SUPERSEDED)


@pytest.mark.parametrize("what", ["segment", "ledger"])
def test_rows_that_name_what_was_given_up(whole_copy, what):
    """The same content was fetched again; the rows still say `_gen` 1. They lead on to the fetch that is whole."""
    p = whole_copy
    p.sluice("run", "--from", "2024-01-01", "--to", "2024-01-02", "--only", "things", "--refetch=same")
    if what == "segment":
        os.remove(os.path.join(p.lake, FIRST, "segments", segments_of(p, FIRST)[0]))
    else:
        damage_ledger(p, FIRST)
    done = p.sluice("gc", "--yes", "--generations", *ALL)
    assert "Given up: 1 damaged generation" in done.out and segments_of(p, FIRST) == []
    p.sluice("verify")
    origin = p.sluice("trace", "things", "1001", "--json").json["rows"][0]["origin"]
    assert origin["generation"] == 1 and origin["instead"]["generation"] == 2 and json.loads(origin["raw"])["id"] == 1001


def test_a_damaged_ledger_that_rows_need(whole_copy):
    """Its content is unknown, and rows of a kept version may have come with it: no other fetch has that content."""
    p = whole_copy
    again = FIRST.replace("/g1", "/g2")
    p.sluice("run", "--from", "2024-01-01", "--to", "2024-01-02", "--only", "things", "--refetch=same")
    p.sluice("run", "--from", "2024-01-01", "--to", "2024-01-02", "--only", "things", "--refetch=more")
    os.remove(os.path.join(p.lake, again, "segments", segments_of(p, again)[0]))
    damage_ledger(p, FIRST)
    given = p.sluice("gc", "--yes", "--generations", *ALL)  # generation 3 has the same content, and is whole
    assert "Given up: 2 damaged generations" in given.out
    p.sluice("verify")


def test_a_snapshot_whose_twin_came_in_another_window(whole_copy):
    p = whole_copy
    p.sluice("run", "--from", "2024-01-04", "--to", "2024-01-05", "--only", "kinds")
    base = "raw/shop/kinds"
    old, new = sorted(n for n in os.listdir(os.path.join(p.lake, base)) if n != "grid")
    for generation in (f"{base}/{old}/g1", f"{base}/{new}/g1"):
        assert segments_of(p, generation)
    lost = os.path.join(p.lake, base, old, "g1", "segments", segments_of(p, f"{base}/{old}/g1")[0])
    os.remove(lost)
    assert "not lost" in p.sluice("repair", status=8).out
    assert keys(p.sluice("gc", "--json", "--yes", *ALL), "generation") == []
    p.sluice("gc", "--generations", "--yes", *ALL)
    assert F.read_ledger(p, f"{base}/{old}/g1")[-1]["kind"] == "expire"
    p.sluice("verify")
    assert "Nothing to repair" in p.sluice("repair").out
    assert p.sluice("trace", "kinds", "1", "--json").json["rows"][0]["origin"]["raw"]
    before = L.snapshot(p.lake)
    p.sluice("run", "--from", "2024-01-01", "--to", "2024-01-05", "--only", "kinds")  # nothing is asked for again
    assert L.snapshot(p.lake) == before


@pytest.mark.parametrize("later", [False, True])
def test_a_snapshot_that_is_the_only_copy(whole_copy, tmp_path, later):
    """The newest one, or of another content than all others: it stays, whatever it has lost."""
    p = whole_copy
    base = "raw/shop/kinds"
    if later:
        import whole_lake as W
        os.makedirs(tmp_path / "other")
        for name in ("kinds", "things"):
            (tmp_path / "other" / f"{name}.ndjson").write_text('{"id": 1, "name": "another", "at": "2024-01-01T00:00:00Z"}\n')
        other = W.open_mock(tmp_path, tmp_path / "other")
        W.point_at(p, other.url)
        p.sluice("run", "--from", "2024-01-04", "--to", "2024-01-05", "--only", "kinds", status=(0, 4))
        assert other.stop() == 0
    old = next(n for n in sorted(os.listdir(os.path.join(p.lake, base))) if n != "grid")
    for name in segments_of(p, f"{base}/{old}/g1"):
        os.remove(os.path.join(p.lake, base, old, "g1", "segments", name))
    done = p.sluice("gc", "--json", "--yes", "--generations", *ALL)
    assert not [k for k in keys(done, "generation") if "kinds" in k]
    assert F.read_ledger(p, f"{base}/{old}/g1")[-1]["kind"] != "expire"
