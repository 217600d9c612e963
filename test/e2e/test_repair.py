"""`sluice repair`: whatever is derived and damaged is made again; afterwards verify is clean and the digest is that of the
lake that nothing happened to. Raw is never touched: what is lost of it is told, with the command that asks again."""
import glob
import json
import os
import random
import re
import shutil
import subprocess
import sys

import deltalake
import pytest

import damage as D
import lake as L
import test_forgery as F

sys.path.insert(0, os.path.join(L.ROOT, "test", "kill"))
import world as W  # noqa: E402

pytest_plugins = ["whole_lake"]
TABLES = ["prepare/shop/things", "prepare/shop/kinds", "quarantine/shop/things", "refine/shop/buckets", "refine/shop/large"]


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


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
    assert table.replace("/shop/", ".") + ": 1 data file would be made again" in dry.out and "is made" not in dry.out and L.snapshot(p.lake) == files
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
    told = p.sluice("repair", "--json", status=8).json["lost"][0]  # Raw keeps what it has
    assert told["generation"] == 1 and told["same_content"]["generation"] == 2
    not_lost = p.sluice("repair", status=8).out
    assert "not lost" in not_lost and "generation 2, has the same content" in not_lost and "no table was made" not in not_lost
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


def test_the_advice_ends_the_damage(whole_copy):
    """Lost Raw, fetched again with the same content: all goes on with the good fetch, and what is damaged can go."""
    p = whole_copy
    for segment in [k for k in D.objects(p)["segment"] if "things/20240101" in k and "/g1/" in k]:
        os.remove(os.path.join(p.lake, segment))
    day = ("--from", "2024-01-01", "--to", "2024-01-02", "--only", "things")
    p.sluice("run", *day, "--refetch=again")
    origin = p.sluice("trace", "things", "1003", "--json").json["rows"][0]["origin"]
    assert origin["generation"] == 1 and origin["instead"]["generation"] == 2 and "/g1/segments/" in origin["instead"]["why"]
    assert json.loads(origin["raw"])["id"] == 1003
    assert "generation 2" in p.sluice("trace", "things", "1003").out
    text = read(os.path.join(p.folder, "contracts/things.yaml"))
    F.put(os.path.join(p.folder, "contracts/things.yaml"), (text + "      - {name: more, logicalType: string}\n").encode())
    p.sluice("run", *day, "--stale", "--keep-going", status=(0, 4))
    assert p.sluice("query", "select distinct _gen from prepare.things where id = 1003", "--format", "csv").out.split() == ["_gen", "2"]
    found = p.sluice("verify", "--json", status=8).json["findings"]
    assert {f["kind"] for f in found} == {"raw"} and all("--generations --yes" in f["todo"] for f in found)
    told = p.sluice("gc", "--only", "things", "--generations", "--keep-days", "7")
    assert "Would be given up: 1 damaged generation" in told.out and "--keep-days 7 --generations --yes" in told.out
    p.sluice("gc", "--only", "things", "--generations", "--yes")
    p.sluice("verify")
    assert "Nothing to repair" in p.sluice("repair").out
    p.sluice("trace", "things", "1003")


def test_a_log_never_goes_back(whole_copy):
    """Damage at a version in the middle: what is before it stays, and its number and those behind it are not used again."""
    p = whole_copy
    table = os.path.join(p.lake, "prepare/shop/things")
    text = read(os.path.join(p.folder, "contracts/things.yaml"))
    for i in range(3):
        F.put(os.path.join(p.folder, "contracts/things.yaml"), (text + f"      - {{name: more{i}, logicalType: string}}\n").encode())
        p.sluice("run", "--from", "2024-01-01", "--to", "2024-01-04", "--stale", "--keep-going", status=(0, 4, 6))
    log = sorted(glob.glob(os.path.join(table, "_delta_log", "*.json")))
    assert len(log) >= 4
    rows = deltalake.DeltaTable(table).to_pyarrow_table().num_rows
    kept = [open(name, "rb").read() for name in log]
    for bad in (len(log) - 2, len(log) - 1, 0):
        seen = deltalake.DeltaTable(table).version()
        log = sorted(glob.glob(os.path.join(table, "_delta_log", "*.json")))
        before = [open(name, "rb").read() for name in log]
        with open(log[bad], "ab") as f:
            f.write(b"x")
        told = p.sluice("repair")
        assert f"good up to {bad} version" in told.out, told.out
        now = deltalake.DeltaTable(table)
        assert now.version() > seen and now.to_pyarrow_table().num_rows == rows
        log = sorted(glob.glob(os.path.join(table, "_delta_log", "*.json")))
        assert [open(name, "rb").read() for name in log[:bad]] == before[:bad]
        assert len(log) == now.version() + 1
        p.sluice("verify")


def test_raw_and_a_table_are_both_damaged(whole_copy):
    """What cannot be made again stays as it is, and is told."""
    p = whole_copy
    for key in ([k for k in D.objects(p)["segment"] if "20240101" in k][0], only(p, "parquet", "prepare/shop/things")[0],
                only(p, "parquet", "refine/shop/large")[0]):
        os.remove(os.path.join(p.lake, key))
    commits = L.published(p.lake)
    done = p.sluice("repair", status=8)
    assert "Lost in Raw" in done.out and "cannot be made again, since window 20240101" in done.out
    assert "still has" not in done.out and "made again," not in done.out.replace("cannot be made again,", "")
    assert "it reads" in done.out or "it cannot be made again" in done.out
    assert L.published(p.lake)["prepare/shop/things"] == commits["prepare/shop/things"]
    # with the window fetched again, everything can be made
    p.sluice("run", "--from", "2024-01-01", "--to", "2024-01-02", "--only", "things", "--refetch=again", status=(0, 8))
    p.sluice("repair", status=8)
    left = p.sluice("verify", "--json", status=8).json["findings"]
    assert {f["kind"] for f in left} <= {"raw", "file"}


def follow(p, text, status=0):
    """The commands that a text gives, in their order."""
    commands = re.findall(r"`sluice ([^`]*)`", text)
    for command in commands:
        done = subprocess.run([L.SLUICE, *command.split()], capture_output=True, text=True, env=p.environment(), cwd=p.folder)
        last = command == commands[-1]
        assert done.returncode == (status if last else 0), (command, done.stdout, done.stderr)
    return commands


@pytest.mark.parametrize("answers", ["a", "b"])
def test_raw_and_a_log_are_both_damaged(whole_copy, whole, tmp_path, answers):
    """The rows that the log no longer tells are asked for again, as they were (a) or as they are now (b); then all is made."""
    import whole_lake as X
    p = whole_copy
    window = "20240102T000000Z_20240103T000000Z"
    for segment in [k for k in D.objects(p)["segment"] if f"things/{window}/" in k]:
        os.remove(os.path.join(p.lake, segment))
    log = sorted(glob.glob(os.path.join(p.lake, "prepare/shop/things/_delta_log", "*.json")))
    F.put(log[0], b"{}\n")
    commits = L.published(p.lake)
    done = p.sluice("repair", status=8)
    assert f"cannot be made again, since window {window}, generation 2, is lost in Raw" in done.out, repr(done)
    assert L.published(p.lake)["prepare/shop/things"] == commits["prepare/shop/things"]
    told = [l for l in p.sluice("repair", "--json", status=8).json["lost"] if l["generation"] == 2]
    assert len(told) == 1 and re.match(r"sluice ingest .*--only things .*--refetch$", told[0]["refetch"])
    advice, = [line for line in done.out.splitlines() if "ask for it again" in line and "repair" in line][-1:]
    mock = X.open_mock(tmp_path, os.path.join(whole.base, answers))
    X.point_at(p, mock.url)
    commands = follow(p, advice, 8)
    assert mock.stop() == 0
    assert [c.split()[0] for c in commands] == ["ingest", "repair"]
    left = p.sluice("verify", "--json", status=8).json["findings"]
    assert {f["kind"] for f in left} == {"raw"}  # it keeps what it has
    lines = p.sluice("query", f"select name from prepare.things where _window = '{window}'", "--format", "json").out.splitlines()
    names = {json.loads(line)["name"] for line in lines}
    assert len(names) == 117 and all(n.endswith("!") == (answers == "b") for n in names)
    rows = lambda text: [line for line in text.splitlines() if line.startswith("rows prepare/shop/things")]
    if answers == "b":  # generation 2 was of these answers
        assert rows(p.digest()) == rows(p.undisturbed)
    p.sluice("run", "--from", "2024-01-01", "--to", "2024-01-03")
    deltalake.DeltaTable(os.path.join(p.lake, "prepare/shop/things")).to_pyarrow_table()
    done = p.sluice("repair", status=8)  # there is nothing that could be made again, and nothing to ask for
    assert "Made again" not in done.out and "ask for it" not in done.out
    assert "a later fetch, generation 3, is the window's truth: nothing needs this one" in done.out


@pytest.mark.parametrize("table", ["prepare/shop/things", "refine/shop/large"])
def test_damage_in_one_table_is_no_matter_of_others(whole_copy, table):
    p = whole_copy
    name = table.rsplit("/", 1)[1]
    log = sorted(glob.glob(os.path.join(p.lake, table, "_delta_log", "*.json")))[-1]
    F.put(log, b"{}\n")
    p.sluice("show", "kinds")
    p.sluice("query", "select count(*) from prepare.kinds")
    p.sluice("trace", "kinds", "1")
    p.sluice("run", "--only", "kinds", "--from", "2024-01-01", "--to", "2024-01-04")
    for done in (p.sluice("show", name, status=8), p.sluice("query", f"select * from {table.split('/')[0]}.{name}", status=8),
                 p.sluice("run", "--only", name, "--from", "2024-01-01", "--to", "2024-01-04", status=8),
                 p.sluice("status", status=8), p.sluice("plan", "--from", "2024-01-01", "--to", "2024-01-04", status=8),
                 p.sluice("run", "--from", "2024-01-01", "--to", "2024-01-04", "--keep-going", status=8)):
        assert f"verify --only {name}" in done.err.replace(f"-f {p.file} ", "").replace(f"--lake {p.lake} ", ""), repr(done)
    fetched = p.sluice("ingest", "--from", "2024-01-01", "--to", "2024-01-03")  # whatever the tables are like
    assert ("`sluice repair things` makes the table again" in fetched.err) == (name == "things"), repr(fetched)
    assert "nothing to do: 2 windows are sealed" in fetched.out + fetched.err, repr(fetched)
    shown = p.sluice("status", status=8).out
    assert "kinds" in shown and "DAMAGED" in shown and "Last run" in shown
    told = p.sluice("status", "--json", status=8).json
    assert [x.get("resource", x.get("model")) for x in told["resources"] + told["models"] if "damaged" in x] == [name]
    p.sluice("verify", "--only", name, status=8)
    p.sluice("repair")
    p.sluice("verify")


def test_a_damaged_record_does_not_hide_the_others(whole_copy):
    p = whole_copy
    records = sorted(glob.glob(os.path.join(p.lake, "runs/shop/2*/record.json")))
    F.put(records[0], b"{")
    shown = p.sluice("runs", status=8).out.splitlines()
    assert len(shown) == len(records) and "DAMAGED" in shown[-1] and "exit" in shown[0]
    p.sluice("status")
    told = p.sluice("runs", "--json", status=8).json
    assert [("damaged" in r, r["record"]) for r in told][-1] == (True, False)
    p.sluice("runs", os.path.basename(os.path.dirname(records[0])), status=8)


def test_names_that_do_not_fit(whole):
    p = whole
    assert "have no key" in p.sluice("trace", "quarantine.things", "1", status=2).err
    assert "large is a model" in p.sluice("compact", "large", status=2).err
    assert "models: buckets, large" in p.sluice("plan", "--only", "nosuchname", status=2).err


# ── a repair that is killed ──

SEED = int(os.environ.get("KILL_SEED", "1"))
KILLS = None if os.environ.get("SLUICE_MUTATIONS") == "all" else 8  # of all moments, or of a sample
CUT = {"prepare/shop/things": "middle", "quarantine/shop/things": "newest", "refine/shop/buckets": "first", "prepare/shop/kinds": "all",
       "refine/shop/large": "file"}


def break_tables(p):
    """A log in the middle, one at its end, one at its beginning, one that is gone altogether, and a data file."""
    for table, where in CUT.items():
        log = sorted(glob.glob(os.path.join(p.lake, table, "_delta_log", "*.json")))
        if where == "all":
            shutil.rmtree(os.path.join(p.lake, table))
        elif where == "newest":
            os.remove(log[-1])
        elif where == "file":
            for name in glob.glob(os.path.join(p.lake, table, "data", "*", "*.parquet")):
                os.remove(name)
        else:
            with open(log[1 if where == "middle" else 0], "ab") as f:
                f.write(b"x")


def armed(p, moment=None, log=None):
    more = {"LD_PRELOAD": W.MOMENT, **({"MOMENT": moment} if moment else {}), **({"MOMENT_LOG": log} if log else {})}
    return L.Project(p.folder, p.lake, {**p.secrets, **more})


def moments_of(p, tmp_path):
    """What an undisturbed repair does to names, each call before and after."""
    log = str(tmp_path / "moments")
    armed(p, log=log).sluice("repair")
    count, found = {"link": 0, "unlink": 0}, []
    for line in read(log).splitlines():
        who, call, path = line.split(" ", 2)
        if who == "run" and call in count and path.startswith(p.lake + "/") and "/.tmp/" not in path:
            count[call] += 1
            found += [f"run:{call}:{when}:{count[call]}:9:{p.lake}/[!.]*" for when in ("before", "after")]
    return found


def copy_of(p, folder):
    shutil.copytree(p.lake, folder / "lake", symlinks=True)
    q = L.Project(p.folder, folder / "lake", p.secrets)
    q.undisturbed = p.undisturbed
    return q


def table_of(p, table):
    t = deltalake.DeltaTable(os.path.join(p.lake, table))
    return t.version(), t.metadata().id


def test_a_repair_that_is_killed(whole_copy, tmp_path):
    """At any link and removal, and once more while it goes on: a run refuses what is not all there, and the next repair ends
    as one that nobody disturbed. No number and no id that a reader knows comes again."""
    W.build_moment()
    p, dice = whole_copy, random.Random(SEED)
    before, seen = raw(p), {t: table_of(p, t) for t in CUT}
    break_tables(p)
    os.makedirs(tmp_path / "first")
    moments = moments_of(copy_of(p, tmp_path / "first"), tmp_path)
    assert len(moments) > 40
    refused = 0
    for n, moment in enumerate(moments if KILLS is None else dice.sample(moments, KILLS)):
        q = copy_of(p, tmp_path / str(n))
        for which in (moment, dice.choice(moments)):
            which = which.replace(str(tmp_path / "first"), str(tmp_path / str(n)))
            armed(q, which).sluice("repair", status=None)
            there = L.snapshot(q.lake)
            run = q.sluice("run", "--from", "2024-01-01", "--to", "2024-01-03", status=None)
            assert run.status in (0, 8), (which, repr(run))
            refused += run.status
            if run.status == 8:
                assert "sluice repair" in q.sluice("verify", status=8).out, which
            assert {k: v for k, v in L.snapshot(q.lake).items() if "_delta_log" in k} == \
                {k: v for k, v in there.items() if "_delta_log" in k}, (which, repr(run))
        q.sluice("repair")
        healed(q, before)
        for table, where in CUT.items():
            version, name = table_of(q, table)
            assert version > seen[table][0] and (where == "file" or name != seen[table][1]), (which, table)
        assert not glob.glob(os.path.join(q.lake, "*", "shop", "*", "_delta_log", "_repair*")), which
        shutil.rmtree(tmp_path / str(n))
    assert refused > 0


def test_what_a_repair_that_was_cut_off_left(whole_copy, tmp_path):
    """Whoever would read or change the table says what is the matter; nothing of it is collected."""
    W.build_moment()
    p = whole_copy
    table = "prepare/shop/things"
    log = sorted(glob.glob(os.path.join(p.lake, table, "_delta_log", "*.json")))
    with open(log[1], "ab") as f:
        f.write(b"x")
    armed(p, f"run:link:before:1:9:{p.lake}/{table}/_delta_log/0*").sluice("repair", status=None)
    assert len(glob.glob(os.path.join(p.lake, table, "_delta_log", "_repair.*.json"))) == 1
    kept = lambda: {k: v for k, v in L.snapshot(p.lake).items() if k.startswith((table, "raw"))}
    there = kept()
    for done in (p.sluice("run", "--from", "2024-01-01", "--to", "2024-01-04", status=8), p.sluice("show", "things", status=8),
                 p.sluice("compact", "things", status=8), p.sluice("query", "select * from prepare.things", status=8),
                 p.sluice("status", status=8), p.sluice("digest", status=8),
                 p.sluice("gc", "--yes", "--keep-days", "0", "--keep-versions", "1", status=8)):
        assert "its repair was cut off" in done.out + done.err, repr(done)
    assert kept() == there
    dry = p.sluice("repair", "--dry-run", status=8).out
    assert "prepare.things: an earlier repair was cut off; its log is good up to 1 version" in dry
    assert p.sluice("repair", "--dry-run", "--json", status=8).json["tables"][0]["resumed"] is True
    before = raw(p)
    # a mark that cannot be read is another number
    mark, = glob.glob(os.path.join(p.lake, table, "_delta_log", "_repair.*.json"))
    F.put(mark, b"{}\n")
    p.sluice("repair")
    healed(p, before)
    assert not os.path.exists(mark)
