"""`make demo`, as a newcomer meets it: the script itself, in a folder of its own."""
import json
import os
import re
import socket
import subprocess
import time

import pytest

import lake as L

pytest_plugins = ["lake_fixtures"]


def demo(folder, **environment):
    started = time.monotonic()
    done = subprocess.run([os.path.join(L.ROOT, "tools", "demo")], capture_output=True, text=True, timeout=L.TIMEOUT_S,
                          stdin=subprocess.DEVNULL,
                          env={**os.environ, "SLUICE_BIN_DIR": L.BIN, "SLUICE_DEPS": L.DEPS, "SLUICE_DEMO_DIR": str(folder),
                               **environment})
    done.took_s = time.monotonic() - started
    return done


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The port of the pipeline file is taken: the demo takes another one and goes on."""
    with open(os.path.join(L.EXAMPLE, "pipeline.yaml"), encoding="utf-8") as f:
        port = int(re.search(r"url: *http://127\.0\.0\.1:(\d+)/", f.read()).group(1))
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
            s.listen()
        except OSError:
            pass  # taken by somebody else: just as good
        folder = tmp_path_factory.mktemp("demo")
        done = demo(folder)
    done.folder = folder
    return done


def test_the_demo(first):
    assert first.returncode == 0, first.stdout + first.stderr
    said = first.stdout
    for part in ("is taken", "336,776", "26,114", "Refine", "Hawaiian Airlines Inc.", "airport_hour_load", "N14228",
                 "GET /flights?date_from=2013-01-01", "What to try next"):
        assert part in said, part
    assert re.search(r"flights +365 +379 +336,776 ", said), "resource, windows, pages, records"
    assert max(len(line) for line in said.split("What to try next")[0].splitlines() if "raw" not in line
               and not line.startswith(("$", "    segment")) and "all of it" not in line) < 160
    assert first.stderr == ""


def test_no_429_at_the_declared_rate(first):
    """Limit and rate are the same 200 a second: never exceeded."""
    base = os.path.join(first.folder, "lake", "runs", "nycflights")
    record = L.load_json(os.path.join(base, sorted(os.listdir(base))[0], "record.json"))
    assert sum(r["busy"] for r in record["resources"]) == 0
    assert sum(r["retries"] for r in record["resources"]) >= 5, "2 % faults"


def test_it_leaves_nothing_running(first):
    url = re.search(r"The API: http://127\.0\.0\.1:(\d+)/", first.stdout)
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", int(url.group(1)))) != 0


def test_the_second_time(first):
    before = L.snapshot(os.path.join(first.folder, "lake"))
    again = demo(first.folder)
    assert again.returncode == 0, again.stderr
    assert again.took_s < 5
    assert "already" in again.stdout and "Nothing to do" in again.stdout and "nothing to do: 365 windows" in again.stdout
    assert "Hawaiian Airlines Inc." in again.stdout and "N14228" in again.stdout
    assert "The API:" not in again.stdout
    assert L.snapshot(os.path.join(first.folder, "lake")) == before


def test_what_it_advises_works(first):
    """Each `sluice` line of the advice, as it stands, but the one that needs an API."""
    import shlex
    advice = first.stdout.split("What to try next")[1]
    lines = [line.strip() for line in advice.splitlines() if "/sluice " in line and " init " not in line]
    assert len(lines) >= 5
    for line in lines:
        done = subprocess.run(shlex.split(line), cwd=L.ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (line, done.stderr)
        assert done.stdout, line


def test_the_lake_is_the_one_of_the_tests(first, year):
    """Other port, other faults, a rate: the same digest."""
    p = L.Project(L.EXAMPLE, os.path.join(first.folder, "lake"))
    assert p.digest() == year.project.digest()


@pytest.mark.parametrize("environment, said", [
    ({"SLUICE_DEPS": "/nowhere"}, "tools/setup demo"),
    ({"SLUICE_BIN_DIR": "/nowhere"}, "make demo"),
    ({"SLUICE_DEMO_PORT": "http"}, "SLUICE_DEMO_PORT"),
    ({"SLUICE_DEMO_PORT": "taken"}, "cannot listen on port")])
def test_what_is_missing_is_said(tmp_path, environment, said):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        if environment.get("SLUICE_DEMO_PORT") == "taken":
            environment = {"SLUICE_DEMO_PORT": str(s.getsockname()[1])}
        done = demo(tmp_path, **environment)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert json.dumps(done.stderr).count("\\n") <= 3
