"""One Spark for all jobs of a command, and what a job does to the next: spark-submit itself."""
import json
import os
import shutil
import signal
import stat
import sys
import time

import pytest

import engines
import lake as L

pytest_plugins = ["lake_fixtures"]
pytestmark = pytest.mark.skipif(bool(engines.spark_missing()), reason=str(engines.spark_missing()))

SUBMIT = None if engines.spark_missing() else engines.spark_submit()
DAYS = ("--from", "2013-01-01", "--to", "2013-01-03")
COUNTING = f'#!/bin/sh\necho $$ >> "$0.started"\nexec {SUBMIT} "$@"\n'  # the number is the JVM's: spark-submit becomes it

DIES = """import os, signal
def model(spark, inputs):
    os.kill(os.getppid(), signal.SIGKILL)  # the JVM around this process
"""
RAISES = """def model(spark, inputs):
    spark.conf.set("spark.sql.ansi.enabled", "false")
    inputs["prepare.flights"].createOrReplaceTempView("left_behind")
    raise ValueError("out of sorts")
"""
# A worker of Python's is killed in the middle of its rows, once.
LOSES_A_WORKER = """import os, signal, time
TEXT = '''@SQL@'''
def model(spark, inputs):
    assert not [t for t in spark.catalog.listTables() if t.name == "left_behind"]
    assert spark.conf.get("spark.sql.ansi.enabled") == "true"
    rows = spark.sql(TEXT)
    assert time.tzname[0] == "UTC"
    def once(some):
        assert time.tzname[0] == "UTC"
        for row in some:
            yield row
            if not os.path.exists("@MARK@"):
                open("@MARK@", "x").close()
                os.kill(os.getpid(), signal.SIGKILL)
    return spark.createDataFrame(rows.rdd.mapPartitions(once), rows.schema)
"""
WAITS = """import time
def model(spark, inputs):
    open("@MARK@", "x").close()
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def days(tmp_path_factory, calm):
    p = L.example_project(os.path.join(tmp_path_factory.mktemp("days"), "flights"), calm.url)
    p.sluice("run", *DAYS)
    return p


class Counted(L.Project):
    """A copy of a project whose Sparks are counted."""

    def __init__(self, folder, of):
        super().__init__(os.path.join(folder, "flights"),
                         secrets={**of.secrets, "PYSPARK_PYTHON": sys.executable, "TMPDIR": os.path.join(folder, "tmp"),
                                  "TZ": "America/New_York", "LC_ALL": "C"})
        os.makedirs(os.path.join(folder, "tmp"))
        shutil.copytree(of.folder, self.folder)
        self.submit = os.path.join(folder, "spark-submit")
        with open(self.submit, "w", encoding="utf-8") as f:
            f.write(COUNTING)
        os.chmod(self.submit, os.stat(self.submit).st_mode | stat.S_IXUSR)
        with open(self.file, "a", encoding="utf-8") as f:
            f.write("\nengine: " + json.dumps({"spark": {"submit": self.submit}}) + "\n")

    def forget(self, *models):
        for name in models:
            shutil.rmtree(self.table("refine", name))

    def say(self, model, text, **put):
        for name, value in put.items():
            text = text.replace(f"@{name.upper()}@", str(value))
        with open(os.path.join(self.folder, "models", model + ".py"), "w", encoding="utf-8") as f:
            f.write(text)

    @property
    def started(self):
        with open(self.submit + ".started", encoding="utf-8") as f:
            return [int(line) for line in f]


def sql_for_spark(project, model):
    with open(os.path.join(project.folder, "models", model + ".sql"), encoding="utf-8") as f:
        return f.read().replace("prepare.", "sluice_prepare_").replace("refine.", "sluice_refine_")


def rows_of(project, *tables):
    return [line for line in project.digest().splitlines() if line.startswith("rows") and any(t in line for t in tables)]


def test_jobs_one_after_the_other(tmp_path, days):
    """A model that is wrong leaves no trace in the next, whose worker dies once; one that takes its Spark along is alone in that."""
    p = Counted(str(tmp_path), days)
    wrong, loses, dies, last = "airport_hour_load", "carrier_scorecard", "daily_operations", "route_punctuality"
    p.say(wrong, RAISES)
    p.say(loses, LOSES_A_WORKER, sql=sql_for_spark(p, loses), mark=tmp_path / "killed")
    p.say(dies, DIES)
    p.forget(wrong, loses, dies, last)
    done = p.sluice("refine", "--engine", "spark", "--keep-going", "--only", ",".join((wrong, loses, dies, last)), "--threads", 2,
                    *DAYS, status=(2, 9))
    assert "out of sorts" in done.err + done.out
    errors = {t["table"]: (t.get("error") or {}).get("code") for t in p.records()[-1]["tables"]}
    assert errors[wrong] == "CONFIG" and errors[dies] == "ENGINE_FAULT" and not errors[loses] and not errors[last], done
    assert os.path.exists(tmp_path / "killed")
    assert rows_of(p, loses, last) == rows_of(days, loses, last)
    assert len(p.started) == 2, p.started
    data = os.path.join(p.table("refine", loses), "data")
    files = [f for folder in os.listdir(data) for f in os.listdir(os.path.join(data, folder))]
    assert len(files) == 1, files  # nothing of the attempt that was killed
    assert not any(os.path.exists(f"/proc/{pid}") for pid in p.started)
    assert [n for n in os.listdir(tmp_path / "tmp") if n.startswith("sluice")] == []


def test_stopped(tmp_path, days):
    p = Counted(str(tmp_path), days)
    p.say("carrier_scorecard", WAITS, mark=tmp_path / "waits")
    p.forget("carrier_scorecard")
    process = p.begin("refine", "--engine", "spark", "--only", "carrier_scorecard", *DAYS)
    deadline = time.monotonic() + 120
    while not os.path.exists(tmp_path / "waits"):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert len(p.started) == 1 and not os.path.exists(f"/proc/{p.started[0]}")
    assert not os.path.exists(p.table("refine", "carrier_scorecard") + "/_delta_log")
