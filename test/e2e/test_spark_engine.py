"""Models by Spark as a run calls it: the same rows as DuckDB, the same words for what is wrong, nothing but settings that are
pinned. Most cases are jobs that `run` wrote, carried out in the one Spark of all files; few start spark-submit."""
import decimal
import glob
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
import types

import pytest

import engines
import lake as L

pytest_plugins = ["lake_fixtures", "engines"]
pytestmark = pytest.mark.skipif(bool(engines.spark_missing()), reason=str(engines.spark_missing()))

PACKAGE = os.path.join(L.ROOT, "spark")
LIBRARY = os.path.join(os.path.dirname(L.BIN), "lib", "libsluice.so")
SUBMIT = None if engines.spark_missing() else engines.spark_submit()
WEEK = ("--from", "2013-01-01", "--to", "2013-01-08")
MODELS = sorted(os.path.basename(f)[:-4] for f in glob.glob(os.path.join(L.EXAMPLE, "models", "*.sql")))

# Keeps the job and how it was called, and gives up.
FAKE = """#!/bin/sh
for fifo; do :; done
read -r last < "$fifo"
name=$(sed 's/.*"table":"\\([a-z_]*\\)","lake".*/\\1/' "$last" | head -c 100)
cp "$last" KEEP/$name.json; printf '%s\\n' "$@" > KEEP/$name.argv; env > KEEP/$name.env
echo "noise of a JVM"; echo '{"progress":{"rows":7}}'; echo "the last words" >&2
exit 3
"""


def edited(project, change):
    with open(project.file, encoding="utf-8") as f:
        text = f.read()
    with open(project.file, "w", encoding="utf-8") as f:
        f.write(change(text))


def engine(settings):
    return lambda text: re.sub(r"(?m)^engine: .*\n", "", text) + "\nengine: " + json.dumps(settings) + "\n"


@pytest.fixture(scope="module")
def week(tmp_path_factory, calm):
    p = L.example_project(os.path.join(tmp_path_factory.mktemp("week"), "flights"), calm.url)
    p.sluice("run", *WEEK)
    p.rows = rows_of(p)
    return p


def rows_of(project):
    return [line for line in project.digest().splitlines() if line.startswith("rows")]


def copied(folder, project):
    p = L.Project(os.path.join(folder, "flights"))
    shutil.copytree(project.folder, p.folder)
    return p


@pytest.fixture(scope="module")
def jobs(tmp_path_factory, week):
    """What run/ writes for Spark, model by model."""
    folder = tmp_path_factory.mktemp("jobs")
    p = copied(folder, week)
    keep = folder / "keep"
    keep.mkdir()
    fake = folder / "spark-submit"
    fake.write_text(FAKE.replace("KEEP", str(keep)))
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    edited(p, engine({"use": "spark", "spark": {"submit": str(fake), "master": "local[2]", "conf": {"spark.x": "y z"}}}))
    out = {}
    for name in MODELS:  # a table that is missing is asked for, and what it reads stands
        shutil.rmtree(p.table("refine", name))
        done = p.sluice("refine", "--only", name, *WEEK, status=9)
        assert "the last words" in done.err and "noise" not in done.err
        out[name] = L.load_json(keep / f"{name}.json")
        shutil.copytree(week.table("refine", name), p.table("refine", name), dirs_exist_ok=True)
    out["argv"] = (keep / f"{MODELS[0]}.argv").read_text().splitlines()
    out["env"] = (keep / f"{MODELS[0]}.env").read_text().splitlines()
    return out


@pytest.fixture(scope="module")
def refine(spark):
    """A job by Spark, in this process; and by DuckDB."""
    sys.path.insert(0, PACKAGE)
    os.environ["SLUICE_LIBRARY"] = LIBRARY
    from sluice_spark import errors, main, refine as kind
    main.ship_package(spark.sparkContext)

    def run(folder, job, **changes):
        results = []
        for side in ("duckdb", "spark"):
            x = json.loads(json.dumps({**job, **changes}))
            x["output"], x["scratch"] = str(folder / side / "out-1"), str(folder / side / "scratch")
            x["result"] = str(folder / side / "result.json")
            os.makedirs(x["output"])
            os.makedirs(x["scratch"])
            text = json.dumps(x, separators=(",", ":"), ensure_ascii=False)
            if side == "duckdb":
                path = folder / "job.json"
                path.write_text(text, encoding="utf-8")
                subprocess.run([L.SLUICE, "engine", "duckdb", str(path)], capture_output=True, timeout=120, check=False)
                results.append(L.load_json(x["result"]))
            else:
                try:
                    results.append(kind.run(spark, x, text))
                except errors.JobError as e:
                    results.append(e.as_dict())
                names = [os.path.basename(f["path"]) for f in results[-1].get("files", [])]
                if names:  # what is named, and nothing else
                    assert sorted(names) == sorted(os.listdir(x["output"]))
                    assert all(f["path"].startswith("data/out-1/") for f in results[-1]["files"])
            results[-1]["folder"] = x["output"]
        return results

    yield run
    sys.path.remove(PACKAGE)


def table(result):
    """What is promised across engines, of all files together."""
    import pyarrow.parquet as pq
    assert "error" not in result, result
    rows = []
    for f in result["files"]:
        t = pq.read_table(os.path.join(result["folder"], os.path.basename(f["path"])))
        assert t.num_rows == f["rows"] and json.loads(f["stats"])["numRecords"] == f["rows"]
        rows.append((t.schema.remove_metadata(), t.to_pylist()))
    assert len({str(s) for s, _ in rows}) == 1
    return rows[0][0], [r for _, part in rows for r in part]


def hashes(result):
    return [(w["rows"], w["row_hash"] if "row_hash" in w else w["hash"]) for f in result["files"] for w in f["windows"]]


def test_how_it_is_called(jobs):
    argv, env = jobs["argv"], jobs["env"]
    assert argv[:2] == ["--master", "local[2]"] and argv[-3].endswith("/sluice_spark/main.py") and argv[-2] == "--jobs"
    assert "spark.x=y z" in argv and "spark.executor.extraJavaOptions=-Duser.timezone=UTC -Duser.language=en" in argv
    assert "SPARK_LOCAL_IP=127.0.0.1" in env and "SLUICE_LIBRARY=" + LIBRARY in [
        e.split("=")[0] + "=" + os.path.realpath(e.split("=", 1)[1]) if e.startswith("SLUICE_LIB") else e for e in env]


@pytest.mark.parametrize("name", MODELS)
def test_same_rows(tmp_path, jobs, refine, name):
    duck, spark = refine(tmp_path, jobs[name])
    assert table(spark) == table(duck) and table(spark)[1]
    assert hashes(spark) == hashes(duck)
    assert [f["stats"] for f in spark["files"]] == [f["stats"] for f in duck["files"]]
    assert spark["failed_rules"] == duck["failed_rules"] and spark["engine"].startswith("Spark ")


def test_paths_are_this_machines(tmp_path, jobs, refine, spark):
    """Also where a cluster's own file system (YARN's HDFS) is the default for paths."""
    settings = spark.sparkContext._jsc.hadoopConfiguration()
    before = settings.get("fs.defaultFS")
    settings.set("fs.defaultFS", "hdfs://127.0.0.1:9")
    try:
        duck, made = refine(tmp_path, jobs["airport_hour_load"])
    finally:
        settings.set("fs.defaultFS", before)
    assert hashes(made) == hashes(duck)


def with_text(job, text, language="sql", **changes):
    """The same for both engines; DuckDB's with the names of the lake."""
    out = json.loads(json.dumps({**job, **changes}))
    out["spark"].update(text=text.replace("prepare.", "sluice_prepare_"), language=language)
    out["sql"][0]["text"] = text
    return out


ALL = "SELECT * FROM ({}) AS made"


def test_many_files_and_none(tmp_path, jobs, refine):
    name = "route_punctuality"
    small = refine(tmp_path / "small", jobs[name], file_rows=50)
    assert table(small[1]) == table(small[0]) and len(small[1]["files"]) > 3
    assert max(f["rows"] for f in small[1]["files"]) <= 50
    nothing = json.loads(json.dumps(jobs[name]))
    for text in (nothing["spark"], nothing["sql"][0]):
        text["text"] = ALL.format(text["text"]) + " WHERE 1 = 0"
    none = refine(tmp_path / "none", nothing)
    assert table(none[1]) == table(none[0]) and len(none[1]["files"]) == 1 and none[1]["rows"] == 0


def test_python_model(tmp_path, jobs, refine):
    name = "airport_hour_load"
    job = json.loads(json.dumps(jobs[name]))
    job["spark"].update(language="python", file="models/x.py",
                        text="def model(spark, inputs):\n    return spark.sql('''" + jobs[name]["spark"]["text"] + "''')\n")
    duck, spark = refine(tmp_path / "same", job)
    assert hashes(spark) == hashes(duck)
    for i, (text, said) in enumerate((
            ("def other(): pass", "x.py: there is no function model"), ("def model(s, i): return 1", "x.py: model() gave a int"),
            ("def model(s, i):\n\n  return i['prepare.none']", "x.py, line 3: KeyError: "),
            ("def part(i): return i.nothing\ndef model(s, i):\n  return part(i)", "x.py, line 1: AttributeError: "),
            ("def model(s, i): return i['prepare.none']", "that the SELECT beside it reads: prepare.airports, prepare.flights"),
            ("def model(", "x.py: SyntaxError: "), ("def model(s, i): raise SystemExit(0)", "x.py, line 1: SystemExit: "))):
        job["spark"]["text"] = text
        error = refine(tmp_path / str(i), job)[1]["error"]
        assert error["code"] == "CONFIG" and said in error["message"] and error["hint"] == "only Spark runs it: mend models/x.py"
    # What is wrong with its rows is mended there, too.
    text = jobs[name]["spark"]["text"]
    for i, (more, part) in enumerate(((".limit(0).drop('hour')", "the columns of models/x.py and contracts/"),
                                      (".transform(lambda r: r.union(r))", "mend models/x.py, or the rule in contracts/"),
                                      (".withColumn('days', __import__('pyspark.sql').sql.functions.expr('days + 0.5'))",
                                       "round or cast in models/x.py, or "))):
        job["spark"]["text"] = f"def model(spark, inputs):\n    return spark.sql('''{text}'''){more}\n"
        assert part in refine(tmp_path / f"rows{i}", job)[1]["error"]["hint"]
    # Spark does it later; and other texts have no lines that it knows.
    job["spark"]["text"] = ("from pyspark.sql import functions as f\ndef half(x):\n    return x // (x - x)\ndef model(spark, inputs):\n"
                            f"    rows = spark.sql('''{text}''')\n    return rows.withColumn('days', f.udf(half, 'long')('days'))\n")
    error = refine(tmp_path / "later", job)[1]["error"]
    assert error["code"] == "ENGINE" and error["message"].startswith(f"model {name}: Spark: ZeroDivisionError")
    assert error["hint"] == "this comes of models/x.py, line 3, or of a row that it reads"
    job["spark"].update(language="sql", file="models/x.spark.sql", text=f"SELECT * FROM ({text}) AS q WHERE CAST('x' || origin AS INT) = 1")
    error = refine(tmp_path / "sql", job)[1]["error"]
    assert error["code"] == "ENGINE" and "[CAST_INVALID_INPUT]" in error["message"]
    assert error["hint"] == "this comes of models/x.spark.sql, or of a row that it reads"


def test_what_is_said_to_somebody_else(tmp_path):
    """Not to `sluice run`: on EMR there is a log, and an exit status."""
    (tmp_path / "old.json").write_text('{"format": "sluice-engine-job/0"}')
    for arguments, status, said in (([], 2, "usage: spark-submit"), (["--nothing"], 2, "usage: spark-submit"),
                                    (["a", "b"], 2, "usage: spark-submit"), (["--help"], 0, "usage: spark-submit"),
                                    ([str(tmp_path / "old.json")], 2, "  hint: take sluice and this package from one release")):
        got = subprocess.run([sys.executable, "-m", "sluice_spark", *arguments], capture_output=True, text=True, check=False,
                             env={**os.environ, "PYTHONPATH": PACKAGE, "SLUICE_LIBRARY": LIBRARY})
        assert (got.returncode, said in (got.stderr if status else got.stdout)) == (status, True), got


def test_a_folder_that_may_not_execute():
    """docker run --tmpfs /tmp: what Java unpacks there cannot be loaded, and all that it says of it in the end is this."""
    from sluice_spark.errors import from_spark
    for cause in ("java.lang.NoClassDefFoundError: Could not initialize class com.github.luben.zstd.RecyclingBufferPool",
                  "java.lang.ExceptionInInitializerError: Cannot unpack libzstd-jni-1.5.5-4: /tmp/l.so: failed to map segment from shared object"):
        told = from_spark(Exception("org.apache.spark.SparkException: Job aborted due to stage failure: Task 1 in stage 1.0 failed 4 times, "
                                    f"most recent failure: Lost task 1.3 in stage 1.0 (TID 8) (localhost executor driver): {cause}\n\tat x"))
        assert told.code == "ENGINE" and cause in told.message and "noexec (docker run --tmpfs /tmp:exec)" in told.hint
    assert "noexec" not in from_spark(Exception("java.lang.NoClassDefFoundError: com/mine/Udf")).hint


def test_settings_that_a_model_changes(spark, refine):
    """The record would say UTC of rows that are Tokyo's. So do rows of a session that is not the job's."""
    from sluice_spark import refine as kind
    from sluice_spark.errors import JobError
    for text in ("s.conf.set('spark.sql.session.timeZone', 'Asia/Tokyo'); return s.range(3)",
                 "t = s.newSession(); t.conf.set('spark.sql.ansi.enabled', 'false'); return t.range(3)"):
        with pytest.raises(JobError) as e:
            kind.select(spark.newSession(), {"spark": {"language": "python", "file": "models/x.py", "text": "def model(s, i):\n    " + text}},
                        {})
        assert e.value.code == "CONFIG" and "models/x.py: it set spark.sql." in e.value.message
    before = (dict(os.environ), os.getcwd(), decimal.getcontext().prec, time.tzname)
    fine = ("import decimal, os, time\ndef model(s, i):\n    os.environ['TZ'] = 'Asia/Tokyo'; time.tzset(); os.chdir('/'); "
            "decimal.getcontext().prec = 3; return s.range(3)")
    assert kind.select(spark.newSession(), {"spark": {"language": "python", "file": "x", "text": fine}}, {}).count() == 3
    assert (dict(os.environ), os.getcwd(), decimal.getcontext().prec, time.tzname) == before  # the next model finds none of it


def test_a_path_is_no_pattern(tmp_path, spark, refine):
    """lake? is one folder, though there is lake1 with the same files; and {a} is one that is called so."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from sluice_spark import refine as kind
    for folder in ("in ?{a}%41#*'", "in 1{a}%41#*'", "in ?a%41#*'"):
        os.makedirs(tmp_path / folder)
        pq.write_table(pa.table({"k": pa.array([1, 2], pa.int64())}), tmp_path / folder / "0[1].parquet")
    files = [str(tmp_path / "in ?{a}%41#*'" / "0[1].parquet")]
    rows = kind.read_input(spark, {"lake": str(tmp_path)}, {"files": files, "columns": [{"name": "k", "type": "integer"}]})
    assert sorted(r.k for r in rows.collect()) == [1, 2]


def test_key_columns_may_have_any_name(spark, refine):
    from sluice_spark import refine as kind
    from sluice_spark.errors import JobError
    shape = {"key": ["count", "_n"], "sort": [{"column": "x", "descending": False}]}
    rows = spark.createDataFrame([(1, 1, 1), (1, 2, 1), (2, 1, 1)], "count int, _n int, x int")
    kind.keys_count(rows, shape, "m", "models/m.sql")
    with pytest.raises(JobError, match="1 keys occur more than once"):
        kind.keys_count(rows.union(rows.limit(1)), shape, "m", "models/m.sql")


@pytest.mark.parametrize("given", ["double", "timestamp", "decimal(3,3)"])
def test_texts_that_each_engine_writes_otherwise(spark, refine, given):
    from sluice_spark import refine as kind
    from sluice_spark.errors import JobError
    rows = spark.sql(f"SELECT CAST(NULL AS {given}) AS t")
    with pytest.raises(JobError, match=f"column t is a {given.split('(')[0].upper()}") as e:
        kind.losses_check(rows, [{"name": "t", "type": "string", "sql": "STRING"}], "models/m.py")
    assert e.value.code == "CONFIG" and e.value.hint.startswith("cast it in models/m.py")


WRONG = [  # what is put around the model's text, the code, words that both engines say
    ("SELECT * FROM ({}) AS m JOIN nowhere ON true", None, "nowhere"),
    ("SELEC * FROM ({}) AS m", None, ""),
    ("SELECT *, 1 AS extra FROM ({}) AS m", "CONFIG", "the contract does not have columns of the SELECT: extra"),
    ("SELECT origin FROM ({}) AS m", "CONFIG", "the SELECT does not give columns of the contract: "),
    ("SELECT * FROM ({0}) AS m UNION ALL SELECT * FROM ({0}) AS n", "CONTRACT", " rows break the rule primary_key.unique"),
]


@pytest.mark.parametrize("case", range(len(WRONG)))
def test_what_is_wrong(tmp_path, jobs, refine, case):
    around, code, said = WRONG[case]
    job = json.loads(json.dumps(jobs["airport_hour_load"]))
    for text in (job["spark"], job["sql"][0]):
        text["text"] = around.format(text["text"])
    duck, spark = (r["error"] for r in refine(tmp_path, job))
    assert spark["message"].startswith("model airport_hour_load: ") and said in spark["message"]
    if code:
        assert duck["code"] == spark["code"] == code and spark["hint"] == duck["hint"]
        if code == "CONFIG":
            assert spark["message"] == duck["message"]
        else:  # which rows are named may differ where several have one key
            assert spark["message"].split(", for instance")[0] == duck["message"].split(", for instance")[0]
    else:
        assert spark["code"] == "CONFIG"


def test_settings_that_others_set(spark, refine):
    from sluice_spark import settings
    from sluice_spark.errors import JobError

    class Conf(dict):
        set = dict.__setitem__

    def session(given, zone="UTC", language="en"):
        fake = types.SimpleNamespace(getDefault=lambda: types.SimpleNamespace(getID=lambda: zone, getLanguage=lambda: language))
        jvm = types.SimpleNamespace(java=types.SimpleNamespace(util=types.SimpleNamespace(TimeZone=fake, Locale=fake)))
        return types.SimpleNamespace(sparkContext=types.SimpleNamespace(getConf=lambda: Conf(given)), conf=Conf(), _jvm=jvm)

    assert settings.pin(session({}))["spark.sql.ansi.enabled"] == "true"
    assert settings.pin(spark)["user.timezone"] == "UTC"
    for given, zone in (({"spark.sql.session.timeZone": "Europe/Berlin"}, "UTC"), ({}, "Europe/Berlin")):
        with pytest.raises(JobError) as e:
            settings.pin(session(given, zone))
        assert e.value.code == "CONFIG" and "Europe/Berlin where UTC is wanted" in e.value.message
    for name, value in (("spark.sql.files.ignoreMissingFiles", "true"), ("spark.sql.files.ignoreCorruptFiles", "true"),
                        ("spark.sql.timestampType", "TIMESTAMP_NTZ"), ("spark.sql.parser.escapedStringLiterals", "true")):
        with pytest.raises(JobError, match=f"{name} = {value} where"):
            settings.pin(session({name: value}))
    with pytest.raises(JobError, match="the language of its JVM. = tr"):
        settings.pin(session({}, language="tr"))


# ── spark-submit itself ──

def by_spark(project, **more):
    edited(project, engine({"spark": {"submit": SUBMIT, "master": "local[2]", **more}}))


def test_run_by_spark(tmp_path, week):
    """A model, and another by a text of its own: the lake is the same, the record says who made it."""
    p = copied(tmp_path, week)
    by_spark(p)
    shutil.rmtree(p.table("refine", "airport_hour_load"))
    plan = p.sluice("plan", "--engine", "spark", "--only", "airport_hour_load", *WEEK).out
    assert "by Spark (--engine)" in plan
    done = p.sluice("refine", "--engine", "spark", "--only", "airport_hour_load", *WEEK)
    assert "by Spark " in done.out and rows_of(p) == week.rows
    made = [t for t in p.records()[-1]["tables"] if t["table"] == "airport_hour_load"][0]
    assert made["engine"].startswith("Spark ") and made["engine_settings"]["spark.sql.session.timeZone"] == "UTC"
    # The engine is no part of the key...
    assert "nothing that it reads changed" in p.sluice("refine", "--only", "airport_hour_load", *WEEK).out
    # ...a text that only Spark runs is.
    with open(os.path.join(p.folder, "models", "airport_hour_load.py"), "w", encoding="utf-8") as f:
        f.write("def model(spark, inputs):\n    return spark.createDataFrame([], 'nothing int')\n")
    assert "nothing that it reads changed" in p.sluice("plan", "--only", "airport_hour_load", *WEEK).out
    again = p.sluice("plan", "--engine", "spark", "--only", "airport_hour_load", *WEEK).out
    assert "airport_hour_load.py" in again and "its inputs or its text changed" in again


def test_setting_is_refused(tmp_path, week):
    p = copied(tmp_path, week)
    by_spark(p)
    shutil.rmtree(p.table("refine", "airport_hour_load"))
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "spark-defaults.conf").write_text("spark.sql.ansi.enabled false\n")
    p.secrets = {**p.secrets, "SPARK_CONF_DIR": str(tmp_path / "conf")}
    done = p.sluice("refine", "--engine", "spark", "--only", "airport_hour_load", *WEEK, status=2)
    assert "spark.sql.ansi.enabled = false where true is wanted" in done.err
    # The pipeline file's is told before anything has started.
    by_spark(p, conf={"spark.sql.ansi.enabled": "false"}, submit="/nowhere/spark-submit")
    done = p.sluice("refine", "--engine", "spark", "--only", "airport_hour_load", *WEEK, status=2)
    assert "`spark.sql.ansi.enabled: false` would give other rows than DuckDB" in done.err and "/nowhere" not in done.err


def test_spark_that_is_not_there(tmp_path, week):
    p = copied(tmp_path, week)
    edited(p, engine({"use": "auto", "spark": {"submit": "/nowhere/spark-submit", "from": "1"}}))
    shutil.rmtree(p.table("refine", "airport_hour_load"))
    assert "by Spark (auto: " in p.sluice("plan", "--only", "airport_hour_load", *WEEK).out
    done = p.sluice("refine", "--only", "airport_hour_load", *WEEK, status=2)
    assert "engine.spark.submit: /nowhere/spark-submit" in done.err
    p.sluice("refine", "--engine", "duckdb", "--only", "airport_hour_load", *WEEK)
    assert rows_of(p) == week.rows
    assert "duckdb, spark or auto" in p.sluice("plan", "--engine", "spork", status=2).err


def stood_in_for(folder):
    """A spark-submit that ends at once."""
    folder.mkdir()
    path = folder / "spark-submit"
    path.write_text("#!/bin/sh\necho 'no such luck' >&2\nexit 1\n")
    path.chmod(0o755)
    return str(path)


def test_yarn_that_is_nowhere(tmp_path, week):
    """It would be told in a stack trace, with the advice to try again."""
    p = copied(tmp_path, week)
    by_spark(p, master="yarn", submit=stood_in_for(tmp_path / "bin"))
    shutil.rmtree(p.table("refine", "airport_hour_load"))
    p.secrets = {**p.secrets, "HADOOP_CONF_DIR": "", "YARN_CONF_DIR": ""}
    refine = ("refine", "--engine", "spark", "--only", "airport_hour_load", *WEEK)
    assert "HADOOP_CONF_DIR is not set" in p.sluice(*refine, status=2).err
    p.secrets = {**p.secrets, "YARN_CONF_DIR": "/etc/hadoop/conf"}
    assert "no such luck" in p.sluice(*refine, status=9).err


AS_NOBODY = ["unshare", "--user", "--map-user=54321"]


@pytest.mark.skipif(subprocess.run([*AS_NOBODY, "true"], capture_output=True, check=False).returncode != 0, reason="no user namespaces")
def test_a_user_without_a_name(tmp_path, week):
    """docker run --user N: Spark's Java asks for the name, and ends in a stack trace."""
    p = copied(tmp_path, week)
    by_spark(p, submit=stood_in_for(tmp_path / "bin"))
    shutil.rmtree(p.table("refine", "airport_hour_load"))
    line = p.command("refine", "--engine", "spark", "--only", "airport_hour_load", *WEEK)
    for user in ([], AS_NOBODY):
        done = subprocess.run([*user, *line], cwd=p.folder, env=p.environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 9 and "no such luck" in done.stderr
        assert ("user 54321 has no name in /etc/passwd" in done.stderr) == bool(user)


def test_lint_stops_spark(tmp_path, week):
    p = copied(tmp_path, week)
    by_spark(p)
    path = os.path.join(p.folder, "models", "carrier_scorecard.sql")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write("SELECT * FROM (" + text.rstrip().rstrip(";") + "\n) AS q WHERE CAST(1.5 AS BIGINT) = 2\n")
    done = p.sluice("refine", "--engine", "spark", "--only", "carrier_scorecard", *WEEK, status=2)
    assert "carrier_scorecard.sql" in done.err


def test_masters_are_asked_first(monkeypatch):
    """Before Spark spends a minute on it. One of several is enough; what is of another form is Spark's business."""
    sys.path.insert(0, PACKAGE)
    from sluice_spark import master
    from sluice_spark.errors import JobError
    monkeypatch.setattr(master, "PATIENCE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as there, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        up, down = there.getsockname()[1], bound.getsockname()[1]
        assert master.addresses(f"spark://a:{up},[::1]:7077") == [("a", up), ("::1", 7077)]
        for fine in (f"spark://127.0.0.1:{up}", f"spark://127.0.0.1:{down},127.0.0.1:{up}", "local[2]", "yarn", "k8s://127.0.0.1:1", "spark://x"):
            master.check(fine)
        with pytest.raises(JobError) as e:
            master.check(f"spark://127.0.0.1:{down},localhost:{down}")
        assert e.value.code == "ENGINE" and f"127.0.0.1 port {down}: Connection refused; localhost port {down}" in e.value.message


def test_run_where_no_master_answers(tmp_path, week):
    p = copied(tmp_path, week)
    shutil.rmtree(p.table("refine", "airport_hour_load"))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        by_spark(p, master=f"spark://127.0.0.1:{bound.getsockname()[1]}")
        done = p.sluice("refine", "--engine", "spark", "--only", "airport_hour_load", *WEEK, status=9)
    assert "does not answer: 127.0.0.1 port" in done.err and "is engine.spark.master right" in done.err


def test_a_master_that_goes_away():
    """Spark ends its context then, and a minute later stumbles over that: what is told is the cause."""
    sys.path.insert(0, PACKAGE)
    from sluice_spark.errors import stopped_at_start
    said = stopped_at_start(Exception("java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext.\nThis stopped ..."),
                            "spark://127.0.0.1:1")
    assert said.code == "ENGINE" and "the master spark://127.0.0.1:1 did not answer" in said.message and "engine.spark.master" in said.hint
    assert stopped_at_start(Exception("java.net.BindException"), "local[2]") is None


TOLD = [  # what Spark says, the code, what is said of it, and what not
    ("An error occurred.\n: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 1.0 failed 4 times, most "
     "recent failure: Lost task 0.3 in stage 1.0 (TID 4) (localhost executor driver): org.apache.spark.SparkArithmeticException: "
     "[ARITHMETIC_OVERFLOW] long overflow. Use 'try_multiply' to tolerate overflow and return NULL instead. If necessary set "
     '"spark.sql.ansi.enabled" to "false" to bypass this error.\n\tat org.apache.spark',
     "ENGINE", "Spark: [ARITHMETIC_OVERFLOW] long overflow. Use 'try_multiply'", "spark.sql.ansi.enabled"),
    (": java.nio.file.FileSystemException: /a/libsluice.so -> /b/libsluice.so: No space left on device\n\tat java",
     "STORAGE", "Spark: java.nio.file.FileSystemException: /a/libsluice.so", "Lost task"),
    ("org.apache.spark.SparkException: Job aborted due to stage failure: Lost task 0.3 in stage 1.0: PythonException: Traceback:\n  File x\n"
     "OSError: [Errno 28] No space left on device\n\n\tat org", "STORAGE", "Spark: OSError: [Errno 28] No space left", "Traceback"),
    (": java.lang.OutOfMemoryError: Java heap space\n\tat java", "MEMORY", "Java heap space", "\tat"),
    ("org.apache.spark.api.python.PythonException: Traceback:\n  File x\nMemoryError\n", "MEMORY", "Spark: MemoryError", "Traceback"),
    ("[PATH_NOT_FOUND] Path does not exist: file:/a.", "ENGINE", "Spark: [PATH_NOT_FOUND] Path does not exist: file:/a.", "::"),
    (": org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 1.0 failed 4 times, most recent failure: Lost task "
     "0.3 in stage 1.0 (TID 4) (10.0.0.1 executor 2): java.lang.IllegalStateException: odd\n", "ENGINE",
     "Spark: java.lang.IllegalStateException: odd", "most recent"),
]


@pytest.mark.parametrize("case", range(len(TOLD)))
def test_what_is_told(case):
    sys.path.insert(0, PACKAGE)
    from sluice_spark.errors import from_spark
    text, code, said, unsaid = TOLD[case]
    told = from_spark(Exception(text))
    assert told.code == code and said in told.message and unsaid not in told.message, told


def test_jobs_that_are_none(tmp_path):
    """No trace of Python's, and the exit status says whose fault it is."""
    whole = {"format": "sluice-engine-job/1", "kind": "refine", "pipeline": "p", "table": "t", "lake": "/l", "scratch": "", "output": "/o",
             "result": str(tmp_path / "r")}
    for text, said in (('{"format":"sluice-eng', "is no job of sluice"), ("[]", "the job's format is 'list'"),
                       (json.dumps({**whole, "format": "sluice-engine-job/2"}), "is 'sluice-engine-job/2', not"),
                       (json.dumps({**whole, "result": None}), "it has no result"), (None, "cannot be read")):
        path = tmp_path / "job.json"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        done = subprocess.run([sys.executable, os.path.join(PACKAGE, "sluice_spark", "main.py"), str(path)], capture_output=True, text=True,
                              env={**os.environ, "SLUICE_LIBRARY": LIBRARY}, timeout=60, check=False)
        assert said in done.stderr and "Traceback" not in done.stderr and done.returncode == (2 if text else 7), done


def test_nobody_asks(tmp_path):
    """Whoever would have asked was killed; and so is what started this: it does not stay behind."""
    fifo = str(tmp_path / "jobs")
    os.mkfifo(fifo)
    main = os.path.join(PACKAGE, "sluice_spark", "main.py")
    subprocess.run([sys.executable, main, "--jobs", fifo], timeout=60, check=True)
    writer = os.open(fifo, os.O_RDWR)
    try:
        shell = subprocess.Popen(["sh", "-c", f"{sys.executable} {main} --jobs {fifo} & echo $!; wait"], stdout=subprocess.PIPE, text=True)
        assert int(shell.stdout.readline())
        time.sleep(0.5)  # it has seen who its parent is
        shell.kill()
        shell.communicate(timeout=60)  # ends when nobody holds it any more
    finally:
        os.close(writer)


def test_parity(tmp_path, week):
    """One that is equal, one whose text for Spark says something else."""
    p = copied(tmp_path, week)
    by_spark(p)
    source = os.path.join(p.folder, "models", "carrier_scorecard.sql")
    with open(source, encoding="utf-8") as f:
        text = f.read().rstrip().rstrip(";")
    with open(source[:-4] + ".spark.sql", "w", encoding="utf-8") as f:
        f.write("-- prepare.flights in a comment stays\nSELECT * FROM (" + text + "\n) AS q WHERE carrier <> 'UA'\n")
    before = L.snapshot(p.lake)
    done = p.sluice("parity", "airport_hour_load", "carrier_scorecard", "--json", status=4)
    equal, other = json.loads(done.out)
    assert equal["equal"] and equal["duckdb"]["row_hash"] == equal["spark"]["row_hash"] and equal["duckdb"]["rows"] > 0
    assert not other["equal"] and other["only_duckdb"] == 1 and other["only_spark"] == 0
    carrier = [c for c in other["columns"] if c["column"] == "carrier"][0]
    assert carrier["differ"] == 0 and carrier["nulls"] == ["0", "0"]
    assert carrier["min"][0].startswith("'") and other["examples"] == ["carrier='UA': only DuckDB"]
    assert L.snapshot(p.lake) == before
    assert "there is no model nothing" in p.sluice("parity", "nothing", status=2).err


def test_parity_that_compares_nothing(tmp_path, week):
    """An engine that gives no rows is no difference: the cause, its hint and its exit status."""
    p = copied(tmp_path, week)
    by_spark(p)
    p.secrets = {**p.secrets, "JAVA_HOME": "/nowhere"}
    done = p.sluice("parity", "airport_hour_load", status=2)
    assert "not compared" in done.out and "DIFFERENT" not in done.out
    assert "/nowhere/bin/java is none" in done.out and "hint: install Java 17" in done.out
    report, = json.loads(p.sluice("parity", "airport_hour_load", "--json", status=2).out)
    assert report["compared"] is False and report["equal"] is False and "Java 17" in report["spark"]["hint"]
