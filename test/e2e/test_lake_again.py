"""Promise 1: run it again, run it twice at once, kill it anywhere: the same lake."""
import glob
import os
import random
import re
import shutil
import signal
import time

import pytest

import lake as L
from lake_fixtures import MONTH, YEAR

pytest_plugins = ["lake_fixtures"]


def test_a_second_run_changes_nothing(year):
    """Not a byte and not a time outside of runs/, not one request; and it says why."""
    before = year.mock.stats()["requests"]
    started = time.monotonic()
    done = year.project.sluice("run", *YEAR)
    assert time.monotonic() - started < 5
    assert L.snapshot(year.lake) == year.files
    assert year.mock.stats()["requests"] == before
    assert "othing to do" in done.out + done.err
    for resource in ("flights", "weather", "airlines", "airports", "planes"):
        assert resource in done.out + done.err
    assert year.project.records()[-1]["nothing_to_do"] is True
    plan = year.project.sluice("plan", *YEAR, "--json").json
    assert plan["anything"] is False
    assert L.snapshot(year.lake) == year.files


def test_reading_commands_change_nothing(year):
    for command in (["status"], ["runs"], ["show", "flights"], ["raw ls"], ["raw ls", "flights"], ["digest"], ["check"]):
        year.project.sluice(*command)
    assert L.snapshot(year.lake) == year.files


def test_one_and_two_threads_give_the_same_digest(year, tmp_path):
    """Two fresh lakes, other faults on the way, 1 and 2 workers: files byte for byte."""
    digests = []
    for threads in (1, 2):
        p = year.project.on(tmp_path / f"lake{threads}")
        p.sluice("run", *YEAR, "--threads", threads)
        digests.append(p.digest())
        shutil.rmtree(p.lake)
    assert digests[0] == digests[1] == year.project.digest()


def data_files(lake):
    return {f: v for f, v in L.snapshot(lake).items() if f.endswith(".parquet")}


def test_the_same_content_again_changes_no_data(month_copy):
    """Rule 31: fetched again, the same bytes: tags at most, no data file."""
    before, pages = data_files(month_copy.lake), L.published(month_copy.lake)
    month_copy.sluice("run", *MONTH, "--refetch=again")
    assert data_files(month_copy.lake) == before
    windows = [g for _, _, g, _ in L.generations(month_copy.lake, month_copy.name)]
    assert max(windows) == 2
    for table, commits in L.published(month_copy.lake).items():
        assert commits - pages[table] in (0, 1), table
        log = os.path.join(month_copy.lake, table, "_delta_log")
        for name in sorted(os.listdir(log))[pages[table]:]:
            with open(os.path.join(log, name), encoding="utf-8") as f:
                assert '"dataChange":true' not in f.read(), (table, name)
    # the same name asks only once
    files = L.snapshot(month_copy.lake)
    month_copy.sluice("run", *MONTH, "--refetch=again")
    assert L.snapshot(month_copy.lake) == files
    month_copy.sluice("verify")


def test_without_caches_nothing_is_lost(month_copy):
    """What is not raw, a table or a run record is derived: deleted, the next run still has nothing to do."""
    for name in os.listdir(month_copy.lake):
        if name not in ("raw", "prepare", "quarantine", "refine", "runs"):
            shutil.rmtree(os.path.join(month_copy.lake, name))
    month_copy.sluice("run", *MONTH)
    assert month_copy.records()[-1]["nothing_to_do"] is True
    assert month_copy.digest() == month_copy.undisturbed


# ── kill -9 ──

POINTS = 12


def kill_when(project, reached, delay_s=0.0):
    """Starts a run and kills it as soon as `reached()`, and a little later by the dice. True: it was alive."""
    child = project.begin("run", *MONTH)
    try:
        end = time.monotonic() + L.TIMEOUT_S
        while child.poll() is None and not reached():
            assert time.monotonic() < end
        if delay_s:
            until = time.monotonic() + delay_s
            while child.poll() is None and time.monotonic() < until:
                pass
        alive = child.poll() is None
        if alive:
            os.kill(child.pid, signal.SIGKILL)
        child.communicate(timeout=60)
        return alive
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()


@pytest.mark.parametrize("point", range(POINTS))
def test_kill_and_run_again(month, tmp_path, point):
    """Killed at a twelfth of its work, two twelfths, ...; each second one is killed again on the way."""
    dice = random.Random(point)
    p = month.on(tmp_path / "lake")
    whole = L.count_files(month.lake)
    wanted = whole * (point + 0.5) / POINTS
    assert kill_when(p, lambda: L.count_files(p.lake) >= wanted, dice.random() * 0.02) or point == POINTS - 1
    if point % 2:
        kill_when(p, lambda: True, 0.02 + dice.random() * 0.3)
    p.sluice("run", *MONTH)
    assert p.digest() == month.undisturbed
    p.sluice("verify")
    before = L.snapshot(p.lake)
    p.sluice("run", *MONTH)
    assert L.snapshot(p.lake) == before


def test_a_kill_costs_at_most_a_segment(month, calm, tmp_path):
    """Pages whose entries are there are not asked for again."""
    p = month.on(tmp_path / "lake")
    calm.reset()
    kill_when(p, lambda: L.count_files(p.lake) >= L.count_files(month.lake) / 3)
    kept = set()
    for resource, window, g, folder in L.generations(p.lake, p.name):
        for entry, _ in L.entries(folder):
            kept |= {page["request"].split(" ", 1)[1] for page in entry.get("pages", [])}
    assert kept
    calm.reset()
    p.sluice("run", *MONTH)
    asked = {r["target"].removeprefix("/v1") for r in calm.requests(limit=100000)}
    assert not asked & kept
    assert p.digest() == month.undisturbed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_a_signal(month, tmp_path, number):
    p = month.on(tmp_path / "lake")
    child = p.begin("run", *MONTH)
    while child.poll() is None and L.count_files(p.lake) < 60:
        pass
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 128 + number, err
    assert b"run the same command again" in err
    p.sluice("run", *MONTH)
    assert p.digest() == month.undisturbed


def test_two_runs_at_once(month, tmp_path):
    """One wins, or they share: the lake is exact, whatever the exit statuses say."""
    p = month.on(tmp_path / "lake")
    children = [p.begin("run", *MONTH) for _ in range(2)]
    ends = [(c, c.communicate(timeout=L.TIMEOUT_S)) for c in children]
    codes = sorted(c.returncode for c, _ in ends)
    assert codes in ([0, 0], [0, 5]), [e for _, e in ends]
    p.sluice("verify")
    before = L.snapshot(p.lake)
    p.sluice("run", *MONTH)
    assert L.snapshot(p.lake) == before
    assert p.digest() == month.undisturbed


def test_two_runs_race_for_the_tables(month, tmp_path):
    """Raw is there; both only prepare and refine."""
    p = month.on(tmp_path / "lake")
    shutil.copytree(os.path.join(month.lake, "raw"), os.path.join(p.lake, "raw"))
    children = [p.begin("run", *MONTH) for _ in range(2)]
    ends = [(c, c.communicate(timeout=L.TIMEOUT_S)) for c in children]
    codes = sorted(c.returncode for c, _ in ends)
    assert codes in ([0, 0], [0, 5]), [e for _, e in ends]
    assert p.digest() == month.undisturbed


def test_takeover_fences_the_other(month, tmp_path):
    """A stopped process keeps its lease; --takeover goes on without it, and when it wakes up it writes nothing more."""
    p = month.on(tmp_path / "lake")
    first = p.begin("run", *MONTH)
    while first.poll() is None and L.count_files(p.lake) < 60:
        pass
    assert first.poll() is None
    os.kill(first.pid, signal.SIGSTOP)
    try:
        p.sluice("run", *MONTH, "--takeover")
        before = L.snapshot(p.lake, without=("runs", ".tmp"))
    finally:
        os.kill(first.pid, signal.SIGCONT)
    _, err = first.communicate(timeout=60)
    assert first.returncode == 5, err
    after = L.snapshot(p.lake, without=("runs", ".tmp"))
    assert {k: v for k, v in after.items() if k in before} == before
    assert not [k for k in after if k not in before and "/ledger/" in k and not k.endswith(".json")]
    p.sluice("verify")
    assert p.digest() == month.undisturbed


# ── damage ──

@pytest.mark.parametrize("kind", ["segment", "entry", "parquet"])
def test_damage_is_found(month_copy, kind):
    """One bit of a file that counts: verify names the file, exit 8."""
    suffix = {"segment": ".warc.gz", "entry": ".json", "parquet": ".parquet"}[kind]
    place = {"segment": "/segments/", "entry": "/ledger/", "parquet": "/data/"}[kind]
    path = sorted(f for f in L.snapshot(month_copy.lake) if f.endswith(suffix) and place in f)[3]
    full = os.path.join(month_copy.lake, path)
    os.chmod(full, 0o644)
    if kind == "parquet":
        os.truncate(full, os.path.getsize(full) - 1)
    else:
        with open(full, "r+b") as f:
            f.seek(os.path.getsize(full) // 2)
            byte = f.read(1)[0]
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte ^ 1]))
    done = month_copy.sluice("verify", status=8)
    assert os.path.basename(path) in done.out + done.err or path.rsplit("/", 2)[0] in done.out + done.err


def rewrite(path, change):
    os.chmod(path, 0o644)
    with open(path, "rb") as f:
        text = f.read()
    with open(path, "wb") as f:
        f.write(change(text))


@pytest.mark.parametrize("damage", ["emptied", "cut at a line", "cut in a line"])
def test_a_table_log_that_is_not_whole(month_copy, damage):
    """Whoever reads the table says so: exit 8, with table and version. The newest version has nobody behind it who would
    know its bytes; what it lacks is found all the same."""
    log = os.path.join(month_copy.lake, "prepare", month_copy.name, "flights", "_delta_log")
    name = sorted(os.listdir(log))[-1]
    rewrite(os.path.join(log, name), {
        "emptied": lambda text: b"",
        "cut at a line": lambda text: text[:text[:-1].rindex(b"\n") + 1],
        "cut in a line": lambda text: text[:-20],
    }[damage])
    for command in (["verify", "--fast"], ["query", "SELECT count(*) FROM prepare.flights"], ["plan"], ["run"]):
        done = month_copy.sluice(*command, status=8)
        assert f"prepare/{month_copy.name}/flights, version {int(name[:20])}" in done.out + done.err


@pytest.mark.parametrize("name", ["../../x", "", "0-ab.warc.gz", "gone"])
def test_a_segment_that_no_key_can_name(month_copy, name):
    """In the newest entry, which no other one vouches for; and a segment that is not there."""
    window = os.path.join(month_copy.lake, "raw", month_copy.name, "flights", "20130101T050000Z_20130102T050000Z")
    entry = sorted(glob.glob(os.path.join(window, "g1", "ledger", "*.json")))[-1]
    if name == "gone":
        for path in glob.glob(os.path.join(window, "g1", "segments", "*")):
            os.chmod(os.path.dirname(path), 0o755)
            os.remove(path)
    else:
        rewrite(entry, lambda text: re.sub(rb'"name":"[^"]*warc.gz"', b'"name":"%s"' % name.encode(), text))
    done = month_copy.sluice("raw cat", "flights", os.path.basename(window), "1", status=8)
    assert "segment" in done.err
    month_copy.sluice("raw cat", "flights", os.path.basename(window), "1", "--head", status=8)
    month_copy.sluice("contract draft", "flights", "-", status=8)


def test_a_lake_may_have_any_name(month, tmp_path):
    """A path that reads like a pattern, or like a column of Hive's, means itself: the lake beside it is nobody's input."""
    ways = tmp_path / "l?[1]*", tmp_path / "lx1y"
    for way in ways:
        shutil.copytree(month.lake, way / "year=1999" / "lake", symlinks=True)
    shutil.rmtree(ways[1] / "year=1999" / "lake" / "raw")
    p = month.on(ways[0] / "year=1999" / "lake")
    assert p.digest() == month.digest()
    for zone in ("prepare", "quarantine", "refine", "runs"):
        shutil.rmtree(os.path.join(p.lake, zone), ignore_errors=True)
    p.sluice("run", *MONTH)
    assert p.digest() == month.digest()
    count = "SELECT count(*) AS n, min(year) AS y FROM prepare.flights"
    assert p.sluice("query", count).out == month.sluice("query", count).out
    p.sluice("compact")
    p.sluice("verify")
    assert p.digest() == month.digest()
