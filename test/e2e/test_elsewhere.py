"""Lakes that are no folder of this machine (here: a folder that hides its paths), and Raw of another lake."""
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

import lake as L

pytest_plugins = ["lake_fixtures"]

MONTH = ("--from", "2013-01-01", "--to", "2013-02-01")


class Hidden(L.Project):
    """The engine is given no path of the lake; its scratch is below `tmp`."""
    tmp = None

    def environment(self):
        e = {**super().environment(), "SLUICE_STORE_NO_PATHS": "1"}
        return {**e, "TMPDIR": self.tmp} if self.tmp else e

    def left(self):
        return glob.glob(os.path.join(self.tmp, "*"))


def hidden(project, lake, tmp):
    p = Hidden(project.folder, lake, project.secrets)
    p.tmp = str(tmp)
    os.makedirs(p.tmp, exist_ok=True)
    return p


@pytest.fixture(scope="module")
def hidden_month(month, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hidden")
    p = hidden(month, folder / "lake", folder / "tmp")
    p.sluice("run", *MONTH, "--threads", "2")
    return p


@pytest.fixture
def hidden_copy(hidden_month, tmp_path):
    shutil.copytree(hidden_month.lake, tmp_path / "lake", symlinks=True)
    shutil.copytree(hidden_month.folder, tmp_path / "flights", ignore=shutil.ignore_patterns("lake"))
    return hidden(L.Project(tmp_path / "flights", None, hidden_month.secrets), tmp_path / "lake", tmp_path / "tmp")


def keys_of(record):
    return {(t["zone"], t["table"]): (t["rows"], t["row_hash"]) for t in record["tables"]}


def test_the_same_lake_without_paths(month, hidden_month, tmp_path):
    one = hidden(month, tmp_path / "one", tmp_path / "tmp")
    one.sluice("run", *MONTH, "--threads", "1")
    assert one.digest() == hidden_month.digest() == month.undisturbed
    assert keys_of(one.records()[-1]) == keys_of(month.records()[-1])
    assert one.left() == hidden_month.left() == []
    again = hidden_month.sluice("run", *MONTH, "--json").json
    assert again["nothing_to_do"], again
    # With paths it is the same lake.
    with_paths = L.Project(month.folder, hidden_month.lake, month.secrets)
    assert with_paths.sluice("run", *MONTH, "--json").json["nothing_to_do"]
    assert "All is well" in with_paths.sluice("verify").out


def test_it_is_read_by_all_commands(month, hidden_month):
    for command in (("show flights", "--format", "json"), ("show quarantine.flights", "--format", "json", "--limit", "0"),
                    ("query", "SELECT carrier, count(*) FROM prepare.flights JOIN refine.carrier_scorecard USING (carrier) "
                              "GROUP BY 1 ORDER BY 1"), ("query", "SELECT 1 AS x"),
                    ("query", "SELECT * FROM prepare.\"weather\" ORDER BY ALL LIMIT 5")):
        assert hidden_month.sluice(*command).out == month.sluice(*command).out, command
    origin = [re.sub(r"(fetched \S+ by run \S+|segment .*|bytes \S+\n|`sluice raw cat.*)", "", p.sluice("trace airlines UA").out)
              for p in (hidden_month, month)]
    assert origin[0] == origin[1] and "United Air Lines" in origin[0]
    assert "All is well" in hidden_month.sluice("verify").out
    assert hidden_month.sluice("query", "SELECT * FROM prepare.nowhere", status=2)
    hidden_month.sluice("query", "INSERT INTO prepare.flights SELECT * FROM prepare.flights", status=2)
    assert hidden_month.left() == []


def reword(p, model):
    """The same rows by another text: it has to be made again."""
    path = os.path.join(p.folder, "models", model + ".sql")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write("SELECT * FROM (\n" + text.rstrip().rstrip(";") + "\n) AS reworded\n")


def test_inputs_beyond_the_bound(month, tmp_path):
    folder = tmp_path / "flights"
    shutil.copytree(month.folder, folder, ignore=shutil.ignore_patterns("lake"))
    with open(folder / "pipeline.yaml", "a", encoding="utf-8") as f:
        f.write("\nengine: {scratch: 64MiB}\n")
    p = hidden(L.Project(folder, None, month.secrets), tmp_path / "lake", tmp_path / "tmp")
    p.sluice("run", *MONTH)
    # Logs that speak of much larger files: 64 MiB are the least that may be asked for.
    for log in glob.glob(os.path.join(p.lake, "prepare", "*", "flights", "_delta_log", "*.json")):
        with open(log, encoding="utf-8") as f:
            text = f.read()
        changed = re.sub(r'"size":\d+', '"size":99999999', text)
        assert changed != text
        with open(log, "w", encoding="utf-8") as f:
            f.write(changed)
    for command in (("show flights",), ("query", "SELECT count(*) FROM prepare.flights")):
        got = p.sluice(*command, status=7)
        assert "engine.scratch" in got.err and "may be brought to this machine" in got.err, got
    reword(p, "daily_operations")
    got = p.sluice("refine", "--only", "daily_operations", status=7)
    assert "engine.scratch" in got.err and "daily_operations reads" in got.err, got
    assert p.left() == []


def damaged_file(p, table):
    path, = glob.glob(os.path.join(p.lake, "prepare", "*", table, "data", "*", "*.parquet"))
    with open(path, "r+b") as f:
        f.seek(100)
        byte = f.read(1)
        f.seek(100)
        f.write(bytes([byte[0] ^ 1]))
    return os.path.relpath(path, p.lake)


def test_damage_on_the_way(hidden_copy):
    p = hidden_copy
    key = damaged_file(p, "weather")
    found = p.sluice("verify", "--json", status=8).json["findings"]
    assert [f["where"] for f in found] == [key] and "SHA-256" in found[0]["what"]
    got = p.sluice("query", "SELECT count(*) FROM prepare.weather", status=8)
    assert key in got.err and "SHA-256" in got.err, got
    assert p.sluice("query", "SELECT count(*) AS n FROM prepare.airlines", "--format", "json").out.strip() == '{"n":16}'
    reword(p, "weather_delay")
    got = p.sluice("refine", "--only", "weather_delay", status=8)
    assert key in got.err and re.search("`sluice repair .*weather`", got.err), got
    assert p.sluice("repair", "weather")
    p.sluice("refine", "--only", "weather_delay")
    assert "All is well" in p.sluice("verify").out
    assert p.left() == []


def test_compaction_and_collection(month, tmp_path):
    days = [f"2013-01-{d:02d}" for d in range(1, 6)]
    digests = []
    for project in (month.on(tmp_path / "with"), hidden(month, tmp_path / "without", tmp_path / "tmp")):
        for a, b in zip(days, days[1:]):
            project.sluice("run", "--from", a, "--to", b, "--only", "flights")
        assert "4 files" in project.sluice("compact flights").out
        assert "All is well" in project.sluice("verify").out
        project.sluice("gc", "--yes", "--keep-days", "0", "--keep-versions", "1")
        assert "All is well" in project.sluice("verify").out
        digests.append(project.digest())
    assert digests[0] == digests[1]
    assert os.listdir(tmp_path / "tmp") == []


def old(folder):
    """As if it had been left an hour ago."""
    for path in glob.glob(os.path.join(folder, "sluice-job-*")):
        os.utime(path, (time.time() - 3600,) * 2)


@pytest.mark.parametrize("after_s", [0.4, 1.2])
def test_a_kill_leaves_scratch_to_the_next_run(hidden_copy, after_s, month):
    p = hidden_copy
    for zone in ("prepare", "quarantine", "refine", "runs"):
        shutil.rmtree(os.path.join(p.lake, zone))
    run = subprocess.Popen(p.command("run", *MONTH), env=p.environment(), cwd=p.folder, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    time.sleep(after_s)
    run.send_signal(signal.SIGKILL)
    run.wait()
    time.sleep(0.1)  # the child dies with its parent
    old(p.tmp)
    p.sluice("run", *MONTH)
    assert p.left() == []
    assert p.digest() == month.undisturbed
    assert "All is well" in p.sluice("verify").out


# ── Raw of another lake ──

def tree(folder):
    """Names, bytes and times of all that is there."""
    found = {}
    for base, names, files in os.walk(folder):
        for name in names + files:
            path = os.path.join(base, name)
            info = os.lstat(path)
            with open(path, "rb") if name in files else open(os.devnull, "rb") as f:
                found[os.path.relpath(path, folder)] = (info.st_mtime_ns, info.st_mode, hashlib.sha256(f.read()).hexdigest())
    return found


@pytest.mark.parametrize("without_paths", [False, True])
def test_tables_of_another_lakes_raw(month, tmp_path, without_paths):
    before = tree(month.lake)
    p = hidden(month, tmp_path / "lake", tmp_path / "tmp") if without_paths else month.on(tmp_path / "lake")
    here = ("--raw-from", month.lake)
    plan = p.sluice("plan", *MONTH, *here, "--json").json
    assert plan["raw_from"].endswith(month.lake) and all(r["fetch"] == 0 for r in plan["resources"])
    assert month.lake in p.sluice("plan", *MONTH, *here).out
    done = p.sluice("run", *MONTH, *here)
    assert "nothing is fetched" in done.out and month.lake in done.out
    assert "raw" not in os.listdir(p.lake)
    assert p.sluice("digest", *here).out == month.undisturbed
    assert keys_of(p.records()[-1]) == keys_of(month.records()[-1])
    assert p.records()[-1]["raw_from"].endswith(month.lake)
    assert all(r["requests"] == 0 for r in p.records()[-1]["resources"])
    assert "All is well" in p.sluice("verify", *here).out
    resources = p.sluice("status", *here, "--json").json["resources"]
    assert [r["sealed"] for r in resources if r["resource"] == "flights"] == [31], resources
    without = p.sluice("verify", status=8)  # the tables are made of nothing
    assert f"this lake was made with --raw-from {L.os.path.realpath(month.lake)}" in without.err and "say it here, too" in without.err
    assert p.sluice("verify", "--json", status=8).json["findings"]
    without = p.sluice("trace airlines UA", status=8)
    assert f"made with --raw-from {L.os.path.realpath(month.lake)}: say it here, too" in without.err
    assert p.sluice("raw ls flights", *here).out.split("\n")[0] == month.sluice("raw ls flights").out.split("\n")[0]
    traced = p.sluice("trace airlines UA", *here).out
    assert "United Air Lines" in traced and "--raw-from" in traced
    assert p.sluice("run", *MONTH, *here, "--json").json["nothing_to_do"]
    assert tree(month.lake) == before


def test_what_is_not_fetched_there(month, tmp_path):
    before = tree(month.lake)
    p = month.on(tmp_path / "lake")
    done = p.sluice("run", "--from", "2013-01-30", "--to", "2013-02-03", "--raw-from", month.lake, "--only", "flights,airlines")
    assert "2 of 4 windows are not fetched yet; 2 to prepare" in done.out, done
    tables = {t["table"]: t for t in p.records()[-1]["tables"]}
    assert tables["flights"]["rows"] > 0 and tables["airlines"]["rows"] == 16
    assert "not fetched" in p.sluice("plan", "--from", "2013-02-01", "--to", "2013-02-03", "--raw-from", month.lake).out
    assert tree(month.lake) == before


def test_a_changed_contract_is_tried(month, tmp_path):
    before = tree(month.lake)
    shutil.copytree(month.folder, tmp_path / "flights", ignore=shutil.ignore_patterns("lake"))
    path = tmp_path / "flights" / "contracts" / "airlines.yaml"
    text = path.read_text(encoding="utf-8")
    changed = re.sub(r"(?ms)^( *)- name: name\n(.*?)(?=^\1- name: |\Z)", "", text)
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    p = L.Project(tmp_path / "flights", tmp_path / "lake", month.secrets)
    p.sluice("prepare", "--stale", "--only", "airlines", "--raw-from", month.lake)
    rows = [json.loads(r) for r in p.sluice("show airlines", "--format", "json").out.splitlines()]
    assert len(rows) == 16 and all("name" in json.loads(r["_extra"]) for r in rows if isinstance(r["_extra"], str))
    assert tree(month.lake) == before


def test_what_writes_to_raw_refuses(month, tmp_path):
    p = month.on(tmp_path / "lake")
    for command in ("ingest", "gc", "accept flights x", "repair", "compact"):
        assert "--raw-from" in p.sluice(command, "--raw-from", month.lake, status=2).err
    got = p.sluice("run", *MONTH, "--refetch", "--raw-from", month.lake, status=2)
    assert "asks nobody" in got.err
    got = p.sluice("run", *MONTH, "--raw-from", tmp_path / "nowhere", status=(2, 6))
    assert "nowhere" in got.err and "Traceback" not in got.err


def test_environments(month, tmp_path):
    shutil.copytree(month.folder, tmp_path / "flights", ignore=shutil.ignore_patterns("lake"))
    file = tmp_path / "flights" / "pipeline.yaml"
    text = file.read_text(encoding="utf-8")
    text = re.sub(r"(?ms)^environments:.*?(?=^\S|\Z)", "", text)
    file.write_text(text + f"\nenvironments:\n  prod:\n    lake: {tmp_path}/prod\n    engine: {{memory: 300MiB}}\n",
                    encoding="utf-8")
    p = L.Project(tmp_path / "flights", None, month.secrets)

    def sluice(*args):
        return subprocess.run([L.SLUICE, *args, "-f", str(file)], env=p.environment(), capture_output=True, text=True)
    done = sluice("run", "--env", "prod", "--only", "airlines", *MONTH)
    assert done.returncode == 0 and f"Environment prod, lake {tmp_path}/prod" in done.stdout, done
    record, = glob.glob(str(tmp_path / "prod" / "runs" / "*" / "*" / "record.json"))
    assert L.load_json(record)["environment"] == "prod"
    assert json.loads(sluice("plan", "--env", "prod", "--json").stdout)["environment"] == "prod"
    assert "environment" not in json.loads(sluice("plan", "--json").stdout)
    wrong = sluice("plan", "--env", "prd")
    assert wrong.returncode == 2 and "--env prod" in wrong.stderr
    file.write_text(text + "\nenvironments:\n  prod:\n    engin: {memory: 300MiB}\n", encoding="utf-8")
    wrong = sluice("check")
    line = text.count("\n") + 4
    assert wrong.returncode == 2 and f":{line}:5:" in wrong.stderr + wrong.stdout and "engine" in wrong.stderr + wrong.stdout
    file.write_text(text + "\nenvironments:\n  prod:\n    engine: {memry: 300MiB}\n", encoding="utf-8")
    wrong = sluice("check")
    assert wrong.returncode == 2 and "memory" in wrong.stderr + wrong.stdout
