"""A sample of `make kill`: kills, rivals (test/kill/), and what only a user with power does to a lake."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

import lake as L
from s3_server import Server

sys.path.insert(0, os.path.join(L.ROOT, "test", "kill"))
import kill  # noqa: E402
import remote  # noqa: E402
import rivals  # noqa: E402
import world as W  # noqa: E402

SEED = int(os.environ.get("KILL_SEED", "1"))
ROUNDS = int(os.environ.get("KILL_ROUNDS", "24"))
SHARES = 2  # of the kills, each a shape of its own


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    W.build_moment()
    return W.make_data(tmp_path_factory.mktemp("data"))


def cursor_shape():
    shape = W.Shape(0)
    shape.segment_pages, shape.every, shape.file_rows = 2, "1d", 200000
    return shape


@pytest.fixture(scope="module")
def world(tmp_path_factory, data):
    """By cursor, so that a day is a chain of pages; no faults."""
    w = W.World(str(tmp_path_factory.mktemp("world") / "w"), cursor_shape(), data, percent=0)
    yield w
    w.close()


# ── kills ──

@pytest.mark.parametrize("share", range(SHARES))
def test_killed_at_any_moment(tmp_path, data, share):
    tally = kill.run(str(tmp_path), SEED + share, ROUNDS // SHARES, data=data, say=lambda text: None)
    assert sum(tally.kills.values()) >= ROUNDS // SHARES, tally.as_json()
    assert tally.verified + tally.no_lake == sum(tally.kills.values())
    assert tally.lakes >= 1 and tally.judged > 0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("s3"))
    yield s
    s.stop()


def test_killed_on_s3(tmp_path, data, server):
    """The first days only: `make kill ARGS='--lake s3'` goes the whole way."""
    tally = kill.run(str(tmp_path), SEED, ROUNDS // 4, data=data, say=lambda text: None, server=server, n_steps=1)
    assert sum(tally.kills.values()) >= ROUNDS // 4 and tally.judged > 0, tally.as_json()


# ── rivals ──

@pytest.mark.parametrize("case", rivals.CASES, ids=lambda c: c.name)
def test_rivals(world, case):
    rivals.run_case(world, case)


ON_S3 = ["after the segment, before its entry", "between quarantine and main table", "a model of older tables"]


@pytest.mark.parametrize("case", [c for c in rivals.CASES if c.name in ON_S3], ids=lambda c: c.name)
def test_rivals_on_s3(tmp_path, data, server, case):
    """A's request is on its way, or done and not answered, while A stands still."""
    w = W.World(str(tmp_path / "w"), cursor_shape(), data, percent=0, make=remote.maker(server))
    try:
        rivals.run_case(w, case)
    finally:
        w.close()


def test_races(world):
    rivals.run_races(world, SEED, 3)


# ── what the seams of test builds do not reach ──

DAYS = ("--from", W.FROM, "--to", "2013-01-03")


def mount_or_skip(where, *options):
    """In a mount namespace this would be the test's own; so it is the machine's, and taken away in the end."""
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    done = subprocess.run(["mount", *options, where], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("mounting is not allowed here: " + done.stderr.strip())


@pytest.fixture
def mounted():
    places = []

    def mount(where, *options):
        mount_or_skip(where, *options)
        places.append(where)
        return where

    yield mount
    for where in reversed(places):
        subprocess.run(["umount", where], check=True)


@pytest.fixture(scope="module")
def whole(world):
    """The digest of two days, undisturbed."""
    p = world.project("whole")
    p.sluice("run", *DAYS)
    return p.digest()


def test_a_disk_that_is_full(tmp_path, world, whole, mounted):
    """A small file system of its own: whatever did not fit, the run ends with 7 and says where; with room it goes on."""
    disk = mounted(str(make(tmp_path / "disk")), "-t", "tmpfs", "-o", "size=300k", "none")
    p = world.project("full")
    p.lake = os.path.join(disk, "lake")
    sizes, ends = [300], []
    for _ in range(40):
        done = p.sluice("run", *DAYS, status=None)
        ends.append(done.status)
        assert done.status in (0, 7), repr(done)
        if done.status == 0:
            break
        assert "No space left" in done.err, repr(done)
        assert p.lake in done.err and "run the same command again" in done.err, repr(done)
        p.sluice("verify")
        sizes.append(sizes[-1] + 150)
        subprocess.run(["mount", "-o", f"remount,size={sizes[-1]}k", disk], check=True)
    assert ends[-1] == 0 and len(ends) > 3, ends
    assert p.digest() == whole
    W.judge_raw(p, p.source)
    W.judge_tables(p, p.source)


def test_no_room_for_the_engine(tmp_path, world, whole, mounted):
    """$TMPDIR is full, the lake is not."""
    p = world.project("no-scratch")
    scratch, p.scratch = p.scratch, mounted(str(make(tmp_path / "scratch")), "-t", "tmpfs", "-o", "size=4k,nr_inodes=3", "none")
    done = p.sluice("run", *DAYS, status=7)
    assert "No space left" in done.err and p.scratch in done.err, repr(done)
    p.scratch = scratch
    p.sluice("run", *DAYS)
    assert p.digest() == whole


def test_a_disk_that_may_not_be_written(tmp_path, world, whole, mounted):
    """A lake on a read-only mount is read as ever; a run that wants to write ends with 7; nothing is fetched in vain."""
    p = world.project("read-only")
    p.sluice("run", *DAYS)
    mounted(p.lake, "--bind", p.lake)
    subprocess.run(["mount", "-o", "remount,bind,ro", p.lake], check=True)
    assert p.digest() == whole
    for command in ("verify", "status", "plan"):
        p.sluice(command, *(DAYS if command == "plan" else ()))
    before = p.mock.stats()["requests"]
    done = p.sluice("run", "--from", W.FROM, "--to", W.TO, status=7)
    assert "Read-only file system" in done.err and p.lake in done.err, repr(done)
    assert p.mock.stats()["requests"] == before
    subprocess.run(["mount", "-o", "remount,bind,rw", p.lake], check=True)
    p.sluice("run", "--from", W.FROM, "--to", W.TO)
    p.sluice("verify")


@pytest.mark.parametrize("nth, what", [(1, "ledger"), (7, "ledger"), (1, "prepare/*/_delta_log"), (1, "refine/*/_delta_log")])
def test_a_lake_that_is_deleted(world, whole, nth, what):
    """`rm -rf lake` while a run is at work: a clean end that says so. The next one makes all of it anew."""
    world.made += 1
    p = world.project(f"deleted{world.made}")
    a = p.begin("run", *DAYS, moment=f"run:link:after:{nth}:{int(signal.SIGSTOP)}:*/{what}/*")
    assert W.wait_stopped(a)
    shutil.rmtree(p.lake)
    a.send_signal(signal.SIGCONT)
    code, said = p.end(a)
    assert code == 7 and f"lake {p.lake}: its folder is gone" in said, (code, said)
    assert "nothing is lost" not in said
    assert len(re.findall(r"(?m)^sluice: ", said)) == 1, said  # what windows and tables met in it is beside the point
    p.sluice("run", *DAYS)
    assert p.digest() == whole
    p.sluice("verify")


def test_a_lake_that_moves_away(world, whole):
    """Renamed and put back: the run goes on in the folder that it opened, or ends cleanly."""
    p = world.project("moved")
    a = p.begin("run", *DAYS, moment=f"run:link:after:9:{int(signal.SIGSTOP)}:*/ledger/*")
    assert W.wait_stopped(a)
    os.rename(p.lake, p.lake + "-away")
    a.send_signal(signal.SIGCONT)
    code, said = p.end(a)
    assert code == 0 or code == 7 and f"lake {p.lake}: " in said, (code, said)
    if os.path.isdir(p.lake):
        shutil.rmtree(p.lake)
    os.rename(p.lake + "-away", p.lake)
    p.sluice("run", *DAYS)
    assert p.digest() == whole
    p.sluice("verify")


def test_a_clean_sweep(world):
    """Temporary files of dead runs go after a week, scratch folders of dead runs with the next engine."""
    p = world.project("sweep")
    a = p.begin("run", *DAYS, moment=f"run:link:before:20:{int(signal.SIGKILL)}:*/ledger/*")
    assert p.end(a)[0] == -signal.SIGKILL
    a = p.begin("run", *DAYS, moment=f"engine:rename:before:1:{int(signal.SIGSTOP)}:*/result.json")
    while not W.engines_of(a.pid) and a.poll() is None:
        time.sleep(0.002)
    while not any(open(f"/proc/{c}/stat", encoding="ascii", errors="replace").read().rpartition(")")[2].split()[0] == "T"
                  for c in W.engines_of(a.pid)):
        assert a.poll() is None, p.end(a)
        time.sleep(0.002)
    engines = W.engines_of(a.pid)
    a.kill()
    assert p.end(a)[0] == -signal.SIGKILL
    W.wait_gone(engines)
    tmp, scratch, _ = W.leftovers(p)
    assert tmp and scratch
    p.sluice("run", *DAYS)
    assert W.leftovers(p)[:2] == (tmp, scratch)  # too young
    old = time.time() - 8 * 24 * 3600
    for path in tmp + scratch:
        os.utime(path, (old, old))
    p.sluice("run", *DAYS)
    p.sluice("query", "SELECT 1")
    assert W.leftovers(p)[:2] == ([], [])


def make(path):
    os.makedirs(path)
    return path
