"""What the surroundings of a run do to it: signals that the parent process ignores, limits, disks, readers that go away."""
import os
import signal
import struct
import subprocess
import time

import pytest

import lake as L
from test_mistakes import CONTRACT, PIPELINE, make, replaced

DEV = os.path.join(os.environ.get("SLUICE_DEV_BIN_DIR", os.path.join(L.ROOT, "build", "dev", "bin")), "sluice")
SECOND_S = 1


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A run that needs its engine's process: one resource of three records."""
    folder = tmp_path_factory.mktemp("surroundings")
    (folder / "things.ndjson").write_text('{"id":1,"name":"a"}\n{"id":2,"name":"b"}\n{"id":3,"name":"c"}\n')
    mock = L.Mock(folder, {"base": "/v1", "token": L.TOKEN, "resources": {
        "things": {"file": "things.ndjson", "records": "data"}}}, folder)
    yield lambda where: make(where, replaced(PIPELINE, "http://127.0.0.1:9/v1", mock.url), CONTRACT)
    assert mock.stop() == 0


def run_after(p, before, *args):
    """`before` is called in the process that becomes sluice."""
    return subprocess.run(p.command("run", *args), capture_output=True, text=True, timeout=L.TIMEOUT_S, cwd=p.folder,
                          env=p.environment(), preexec_fn=before)


def test_a_parent_that_ignores_its_children(tmp_path, project):
    """The engine is a child of ours: how it ended must reach us also where SIGCHLD was ignored when we began."""
    p = project(tmp_path)
    done = run_after(p, lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert done.returncode == 0, done.stderr
    p.sluice("verify")


def test_a_limit_of_file_sizes(tmp_path, project):
    import resource
    p = project(tmp_path)
    done = run_after(p, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600)))
    assert done.returncode == 7 and "File too large" in done.stderr, done
    p.sluice("run")
    p.sluice("verify")


def test_a_lake_that_cannot_be_made(tmp_path, project):
    p = project(tmp_path).on("/proc/sluice-lake")
    done = p.sluice("run", status=2)
    assert "/proc/sluice-lake: the folder cannot be made" in done.err


@pytest.mark.parametrize("command", [["show", "things"], ["query", "SELECT * FROM range(300000)"], ["runs", "--json"], ["check"]])
def test_a_reader_that_has_seen_enough(tmp_path, project, command):
    """`sluice ... | head -c 1`: done, or ended by SIGPIPE like any other filter; nothing on standard error."""
    p = project(tmp_path)
    p.sluice("run")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(p.command(command[0], *command[1:]), stdout=write, stderr=subprocess.PIPE, timeout=L.TIMEOUT_S,
                          cwd=p.folder, env=p.environment())
    os.close(write)
    assert done.returncode in (0, -signal.SIGPIPE) and done.stderr == b"", done


def test_a_release_counts_no_effects(tmp_path, project):
    """What test builds can be told to fail at cannot be told to a release, not even by its environment."""
    p = project(tmp_path)
    env = {**p.environment(), "SLUICE_FAIL": "1+", "SLUICE_EFFECTS": str(tmp_path / "count"),
           "SLUICE_EFFECTS_TRACE": str(tmp_path / "trace")}
    done = subprocess.run(p.command("run"), capture_output=True, text=True, timeout=L.TIMEOUT_S, cwd=p.folder, env=env)
    assert done.returncode == 0, done
    assert not (tmp_path / "count").exists() and not (tmp_path / "trace").exists()
    with open(L.SLUICE, "rb") as f:
        assert b"SLUICE_FAIL" not in f.read()


def asked_for_long(p, folder, signal_number, **more):
    """A query that never ends, until its engine is at work; then a signal. How many effects it had before, the scratch
    folders then and in the end, its exit status and its words."""
    counted, scratch = os.path.join(folder, "effects"), os.path.join(folder, "tmp")
    os.makedirs(scratch)
    command = [DEV, *p.command("query", "SELECT count(*) FROM range(1000000000000)")[1:]]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=p.folder,
                             env={**p.environment(), "TMPDIR": scratch, "SLUICE_EFFECTS": counted, **more})
    n, since = 0, time.monotonic()
    while child.poll() is None and (time.monotonic() < since + SECOND_S or not os.listdir(scratch)):
        if os.path.exists(counted) and os.path.getsize(counted) >= 8:
            with open(counted, "rb") as f:
                now = struct.unpack("Q", f.read(8))[0]
            n, since = now, since if now == n else time.monotonic()
    if n == 0:
        child.terminate()
        child.communicate()
        pytest.skip(f"{DEV} does not count its effects (-DSLUICE_EFFECTS=ON)")
    during = os.listdir(scratch)
    child.send_signal(signal_number)
    said = child.communicate(timeout=L.TIMEOUT_S)[1]
    return n, during, os.listdir(scratch), child.returncode, said


def test_a_wait_for_the_engine_fails(tmp_path, project):
    """Nothing is known about the engine then: it is made to end, and its scratch folder goes with it."""
    p = project(tmp_path / "project")
    p.sluice("run")
    n, during, after, code, said = asked_for_long(p, tmp_path / "calm", signal.SIGTERM)
    assert (len(during), after, code) == (1, [], 143), said
    _, during, after, code, said = asked_for_long(p, tmp_path / "fails", signal.SIGCHLD, SLUICE_FAIL=f"{n + 1}@wait")
    assert (len(during), after, code) == (1, [], 9), said
    assert "how the engine ended is not known" in said
