"""Malformed pipeline, contract and model files through `sluice check --json`: all mistakes at once, each with file, line,
column and advice; and `run` refuses the same before it asks for anything."""
import ast
import json
import os
import re
import subprocess

import pytest

import lake as L

PIPELINE = """\
pipeline: shop
lake: ./lake
source:
  url: http://127.0.0.1:9/v1
  auth: {bearer: {secret: env:FLIGHTS_TOKEN}}
resources:
  things: {path: /things, kind: snapshot, records: data}
"""
CONTRACT = L.contract_head("things") + """\
    properties:
      - name: id
        logicalType: integer
        primaryKey: true
        primaryKeyPosition: 1
      - name: name
        logicalType: string
"""


def make(folder, pipeline=PIPELINE, contract=CONTRACT, models=None):
    os.makedirs(folder / "contracts", exist_ok=True)
    (folder / "pipeline.yaml").write_bytes(pipeline if isinstance(pipeline, bytes) else pipeline.encode())
    (folder / "contracts" / "things.yaml").write_text(contract)
    for name, text in (models or {}).items():
        os.makedirs(folder / "models", exist_ok=True)
        (folder / "models" / name).write_text(text)
    return L.Project(folder)


def problems(p, status=2):
    done = p.sluice("check", "--json", status=status)
    found = done.json
    return found if isinstance(found, list) else found["problems"]


def replaced(text, old, new):
    assert old in text
    return text.replace(old, new, 1)


def test_a_good_project(tmp_path):
    assert [x for x in problems(make(tmp_path), status=0) if x["level"] == "error"] == []


@pytest.mark.parametrize("use,status", [("duckdb", 0), ("spark", 2), ("auto", 2)])
def test_submit_that_is_no_program(tmp_path, use, status):
    """Where Spark is wanted a mistake, else a warning: this may not be the machine that has it."""
    text = PIPELINE.replace("resources:", f"engine: {{use: {use}, spark: {{submit: ./nothing}}}}\nresources:")
    found, = [x for x in problems(make(tmp_path, text), status) if "engine.spark.submit" in x["message"]]
    assert "nothing is no program" in found["message"] and found["level"] == ("error" if status else "warning")


@pytest.mark.parametrize("more", ["engine: {use: spark}\n", "engine: {use: auto}\n", "models: {m: {engine: spark}}\n", ""])
def test_a_spark_that_is_not_here(tmp_path, more):
    """A warning before the night in which it is wanted."""
    p = make(tmp_path, PIPELINE + more, models={"m.sql": "SELECT id FROM prepare.things\n"})
    (tmp_path / "contracts" / "m.yaml").write_text(CONTRACT.replace("things", "m").split("      - name: name")[0])
    there = tmp_path / "bin"
    there.mkdir()
    p.secrets = {**p.secrets, "PATH": str(there), "SPARK_HOME": "", "JAVA_HOME": ""}
    said = [x["message"] for x in problems(p, 0) if "Spark" in x["message"]]
    assert said == ["Spark is wanted, and spark-submit is neither in $SPARK_HOME/bin nor in PATH"] * bool(more)
    (there / "spark-submit").write_text("")
    (there / "spark-submit").chmod(0o755)
    said = [x["message"] for x in problems(p, 0) if "Spark" in x["message"]]
    assert said == ["Spark needs a Java, and there is none in PATH"] * bool(more)


@pytest.mark.parametrize("master", ["local", "local[2]", "local[2,4]", "local[*]", "local[*,4]", "spark://a:7077,b:7077", "yarn",
                                    "k8s://https://h:443", "mesos://h:5050", "local-cluster[2,1,1024]"])
def test_masters(tmp_path, master):
    text = PIPELINE.replace("resources:", f"engine: {{spark: {{master: '{master}'}}}}\nresources:")
    assert [x for x in problems(make(tmp_path, text), status=0) if x["level"] == "error"] == []


def pinned():
    """Settings of Spark on which answers depend, as the package sets them."""
    path = os.path.join(L.ROOT, "spark", "sluice_spark", "settings.py")
    with open(path, encoding="utf-8") as f:
        tree = ast.parse(f.read())
    return next(ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "PINNED")


def with_conf(conf):
    return PIPELINE.replace("resources:", f"engine: {{spark: {{conf: {json.dumps(conf)}}}}}\nresources:")


def test_pinned_settings_are_known_here_too(tmp_path):
    with open(os.path.join(L.ROOT, "src", "config", "spark_pinned.def"), encoding="utf-8") as f:
        assert dict(re.findall(r'(?m)^PINNED\("([^"]+)", "([^"]+)"\)$', f.read())) == pinned()
    same = {name: value.upper() if value in ("true", "false") else value for name, value in pinned().items()}
    same["spark.driver.extraJavaOptions"] = "-Xss4m -Duser.timezone=Europe/Berlin -Duser.timezone=Etc/UTC"
    assert [x for x in problems(make(tmp_path, with_conf(same)), status=0) if x["level"] == "error"] == []
    other = {name: "LEGACY" for name in same}
    other["spark.driver.extraJavaOptions"] = "-Duser.timezone=UTC -Duser.timezone=Europe/Berlin"
    other["spark.executor.extraJavaOptions"] = "-Duser.language=tr"
    found = [x for x in problems(make(tmp_path, with_conf(other))) if x["level"] == "error"]
    assert {re.match(r"`([^:`]+)", x["message"]).group(1) for x in found} == set(other)
    assert all("other rows than DuckDB" in x["message"] and "sluice sets it itself" in x["advice"] for x in found)


# old, new, line, part of message or advice
PIPELINES = [
    *(("resources:", f"engine: {{spark: {{master: '{master}'}}}}\nresources:", 6, "no master of Spark")
      for master in ("locl[2]", "local[]", "local[0]", "local[2", "local[2,0]", "local[x]", "http://127.0.0.1:7077", "spark://", "-x", "yarn-x")),
    ("kind: snapshot", "kind: snapshott", 7, "snapshot"),
    ("records: data", "recods: data", 7, "records"),
    ("resources:", "ressources:", 6, "resources"),
    ("url: http://127.0.0.1:9/v1", "url: ftp://host/v1", 4, "http"),
    ("url: http://127.0.0.1:9/v1", "url: http://me:pw@host/v1", 4, "user"),
    ("secret: env:FLIGHTS_TOKEN", "secret: my-real-token", 5, "env:"),
    ("{bearer: {secret: env:FLIGHTS_TOKEN}}", "{oauth2: {token_url: x}}", 5, "not here yet"),
    ("{bearer: {secret: env:FLIGHTS_TOKEN}}", "{bearer: {secret: 'aws-secret:x y'}}", 5, "no secret of AWS"),
    ("kind: snapshot", "kind: changes", 7, "not here yet"),
    ("records: data}", "records: data, method: POST}", 7, "POST"),
    ("records: data}", "records: data, parent: other}", 7, "not here yet"),
    ("records: data}", "records: data, paginate: {page: {query: page}, link: {}}}", 7, "paginate"),
    ("records: data}", "records: data, query: {d: '{window.form:date}'}}", 7, "window.from"),
    ("kind: snapshot", "kind: window, window: {every: 1d, zone: America/New_Yrok}", 7, "America/New_York"),
    ("kind: snapshot", "kind: window, window: {every: 7x}", 7, "every"),
    ("pipeline: shop", "pipeline: ../shop", 1, "a-z"),
    ("lake: ./lake", "lake: [a, b]", 2, "lake"),
    ("lake: ./lake", "lake: &x ./lake", 2, "anchor"),
    ("lake: ./lake", "lake: ./lake\nlake: ./other", 3, "twice"),
    ("  auth:", "\tauth:", 5, "tab"),
    ("auth: {bearer: {secret: env:FLIGHTS_TOKEN}}", "auth: {bearer: {secret: env:FLIGHTS_TOKEN}", 6, ""),
    ("lake: ./lake", "lake: ./lake\nrate: {requests: 5}", 3, "rate"),
]


@pytest.mark.parametrize("old, new, line, part", PIPELINES, ids=lambda v: str(v)[:40])
def test_pipeline_files(tmp_path, old, new, line, part):
    p = make(tmp_path, replaced(PIPELINE, old, new))
    found = [x for x in problems(p) if x["level"] == "error"]
    near = [x for x in found if abs(x["line"] - line) <= 1 and x["file"].endswith("pipeline.yaml")]
    assert near and all(x["column"] >= 1 for x in near), found
    assert any(part.lower() in (x["message"] + " " + x["advice"]).lower() for x in near), near
    if line != 6:
        assert any(x["line"] == line for x in near), near
    done = p.sluice("run", status=2)
    assert f"pipeline.yaml:{near[0]['line']}:" in done.err, done
    assert not os.path.exists(os.path.join(p.lake, "raw"))


CONTRACTS = [
    ("logicalType: integer", "logicalType: intger", 11, "integer"),
    ("logicalType: string", "logicalType: string\n        requird: true", 16, "required"),
    ("logicalType: string", "logicalType: string\n        logicalTypeOptions: {minimum: 1}", 16, "minimum"),
    ("logicalType: string", "logicalType: string\n        logicalTypeOptions: {pattern: '('}", 16, "pattern"),
    ("logicalType: integer", "logicalType: integer\n        logicalTypeOptions: {minimum: 5, maximum: 1}", 12, "m"),
    ("      - name: name", "      - name: id", 14, "id"),
    ("      - name: name", "      - name: _gen", 14, "_gen"),
    ("primaryKeyPosition: 1", "primaryKeyPosition: 2", 10, "position"),
    ("logicalType: string", "logicalType: string\n        customProperties:\n"
     "          - {property: sluice.scle, value: 2}", 17, "sluice.scale"),
    ("kind: DataContract", "kind: DataProduct", 2, "DataContract"),
    ("apiVersion: v3.1.0", "apiVersion: v2.0.0", 1, "v3"),
]


@pytest.mark.parametrize("old, new, line, part", CONTRACTS, ids=lambda v: str(v)[:40])
def test_contract_files(tmp_path, old, new, line, part):
    p = make(tmp_path, contract=replaced(CONTRACT, old, new))
    found = [x for x in problems(p) if x["level"] == "error"]
    near = [x for x in found if x["line"] == line and x["file"].endswith("things.yaml")]
    assert near, found
    assert any(part.lower() in (x["message"] + " " + x["advice"]).lower() for x in near), near
    assert p.sluice("prepare", status=2).err


def test_all_at_once(tmp_path):
    """Mistakes of three files in one go, in the order of files and lines."""
    p = make(tmp_path, replaced(PIPELINE, "records: data", "recods: data"),
             replaced(replaced(CONTRACT, "logicalType: integer", "logicalType: intger"), "kind: DataContract", "kind: X"))
    found = [(os.path.basename(x["file"]), x["line"]) for x in problems(p) if x["level"] == "error"]
    assert {("pipeline.yaml", 7), ("things.yaml", 2), ("things.yaml", 11)} <= set(found)


@pytest.mark.parametrize("sql, part", [
    ("SELECT * FROM prepare.thngs", "things"), ("SELEC 1", ""), ("SELECT 1 AS id; DROP TABLE x", ""), ("", ""),
    ("DELETE FROM prepare.things", ""), ("SELECT * FROM read_csv('/etc/passwd')", "")])
def test_models(tmp_path, sql, part):
    p = make(tmp_path, models={"top.sql": sql})
    (tmp_path / "contracts" / "top.yaml").write_text(CONTRACT.replace("things", "top"))
    found = [x for x in problems(p) if x["level"] == "error"]
    assert any("top" in x["file"] + x["message"] and part in x["message"] + x["advice"] for x in found), found


@pytest.mark.parametrize("junk", [b"", b"\0", b"\xff\xfe\x00", b"a" * 100000, b"{" * 5000, b"[" * 5000 + b"]" * 5000,
                                  b"- " * 3000 + b"x", b"? " * 3000, b"a: " * 2000, b"pipeline: x\n" + b"#" * (2 << 20),
                                  "pipeline: \u202eevil\u2066\n".encode(), b"%YAML 9.9\n---\na: b\n", b"!!python/x {}"],
                         ids=range(13))
def test_junk(tmp_path, junk):
    """Whatever the bytes: exit 2 and words, no crash, no control characters on the terminal."""
    p = make(tmp_path, junk)
    found = problems(p)
    assert found and all(x["file"] for x in found)
    said = p.sluice("check", status=2).out + p.sluice("check", status=2).err
    assert not [c for c in said if ord(c) < 32 and c not in "\n\t" or c in "\u202e\u2066\x7f"]


@pytest.mark.parametrize("at", range(0, len(PIPELINE), 23))
def test_cut_off_pipelines(tmp_path, at):
    p = make(tmp_path, PIPELINE[:at])
    assert problems(p)


def test_a_missing_secret_is_named(tmp_path):
    p = make(tmp_path)
    p.secrets = {}
    done = p.sluice("run", status=2)
    assert "FLIGHTS_TOKEN" in done.err and not os.path.exists(os.path.join(p.lake, "raw"))
    assert any("FLIGHTS_TOKEN" in x["message"] for x in problems(p, status=(0, 2)))


def test_an_api_that_is_not_there(tmp_path):
    """Port 9 of this machine: exit 3, the address is in the message."""
    p = make(tmp_path, replaced(PIPELINE, "  auth:", "  retry: {attempts: 2, first: 1ms}\n  auth:"))
    done = p.sluice("run", "--from", "2024-01-01", "--to", "2024-01-02", status=3)
    assert "127.0.0.1:9" in done.err
    assert L.published(p.lake) == {}
    assert "All is well" in p.sluice("verify").out  # attempts that were never sent are read, too
    assert json.loads(p.sluice("plan", "--from", "2024-01-01", "--to", "2024-01-02", "--json").out)["anything"] is True


def test_names_of_files_look_alike(tmp_path):
    """Named on the command line or found in the folder: contracts/x.yaml, never ./contracts/x.yaml."""
    p = make(tmp_path, contract=CONTRACT.replace("apiVersion: v3.1.0", "apiVersion: v9"))
    with open(tmp_path / "pipeline.yaml", "a", encoding="utf-8") as f:
        f.write("nothing: 1\n")
    got = subprocess.run([L.SLUICE, "check"], capture_output=True, text=True, timeout=L.TIMEOUT_S, cwd=p.folder, env=p.environment())
    assert "\npipeline.yaml:" in "\n" + got.stdout and "\ncontracts/" in "\n" + got.stdout and "./contracts" not in got.stdout, got


def test_a_mistake_hides_none_of_another_file(tmp_path):
    """A model's own mistake is told beside one of another model, and of a contract that it does not read."""
    two = PIPELINE + "  others: {path: /others, kind: snapshot, records: data}\n"
    top = "SELECT id,\n  nam AS name\nFROM prepare.things"
    for models, contract in (({"top.sql": top, "worse.sql": "SELEC 1"}, CONTRACT),
                             ({"top.sql": top, "worse.sql": "SELECT id, name FROM prepare.nowhere"}, CONTRACT),
                             ({"top.sql": top}, CONTRACT.replace("logicalType: string", "logicalType: strin"))):
        p = make(tmp_path, two, models=models)
        for name in ("top", "worse"):
            (tmp_path / "contracts" / f"{name}.yaml").write_text(CONTRACT.replace("things", name))
        (tmp_path / "contracts" / "others.yaml").write_text(contract.replace("things", "others"))
        found = [x for x in problems(p) if x["level"] == "error"]
        assert [x["line"] for x in found if x["file"].endswith("top.sql")] == [2], found
        assert any(not x["file"].endswith("top.sql") for x in found), found
        os.unlink(tmp_path / "models/worse.sql") if len(models) > 1 else None
