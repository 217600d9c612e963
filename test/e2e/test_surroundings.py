"""What the surroundings of a run do to it: signals that the parent process ignores, limits, disks, readers that go away."""
import os
import signal
import subprocess

import pytest

import lake as L
from test_mistakes import CONTRACT, PIPELINE, make, replaced


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
