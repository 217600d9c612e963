"""`engine: auto` counts what a job would read: all of its pages, whoever fetched them, and whatever the tables say already."""
import glob
import json
import os

import pytest

import lake as L

pytest_plugins = ["lake_fixtures"]

DAYS = ("--from", "2013-01-01", "--to", "2013-01-05")
SPARK = {"use": "auto", "spark": {"submit": "/nowhere/spark-submit", "from": "100GiB"}}


def sealed_bytes(project, resource):
    """As the ledgers have it."""
    total = 0
    for path in glob.glob(os.path.join(project.lake, "raw", project.name, resource, "*", "g*", "ledger", "*.json")):
        with open(path, encoding="utf-8") as f:
            entry = json.load(f)
        total += (entry.get("seal") or {}).get("bytes", 0)
    return total


def shown(n):
    for unit in ("B", "kB", "MB"):
        if n < 1000 or unit == "MB":
            return f"{n:.0f} B" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    return None


def choices(project):
    plan = project.sluice("plan", *DAYS, "--json").json
    return {r["resource"]: (r["engine"], r["engine_why"]) for r in plan["resources"]}


@pytest.fixture
def project(tmp_path, calm):
    p = L.example_project(os.path.join(str(tmp_path), "flights"), calm.url)
    with open(p.file, "a", encoding="utf-8") as f:
        f.write("\nengine: " + json.dumps(SPARK) + "\n")
    return p


def test_what_auto_counts(project):
    engine, why = choices(project)["flights"]
    assert engine == "duckdb" and why == "auto: 0 B to read, Spark from 107.4 GB; 4 windows are not fetched yet"
    project.sluice("ingest", *DAYS)
    size = sealed_bytes(project, "flights")
    assert size > 100000
    assert choices(project)["flights"] == ("duckdb", f"auto: {shown(size)} to read, Spark from 107.4 GB")
    assert f"by DuckDB (auto: {shown(size)} to read" in project.sluice("plan", *DAYS).out
    project.sluice("run", *DAYS)
    assert choices(project)["flights"][1].startswith("auto: 0 B to read")
    # All is to be made anew, and the tables' tags say everything but how much there is to read.
    path = os.path.join(project.folder, "contracts", "flights.yaml")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("maximum: 2100", "maximum: 2099", 1))
    assert choices(project)["flights"] == ("duckdb", f"auto: {shown(size)} to read, Spark from 107.4 GB")


def test_the_threshold_decides_by_it(project):
    project.sluice("ingest", *DAYS)
    size = sealed_bytes(project, "flights")
    with open(project.file, encoding="utf-8") as f:
        text = f.read()
    with open(project.file, "w", encoding="utf-8") as f:
        f.write(text.replace("100GiB", str(size)))
    found = choices(project)
    assert found["flights"][0] == "spark" and found["airlines"][0] == "duckdb"
    done = project.sluice("run", *DAYS, "--only", "flights", status=2)  # decided again, of what has been fetched then
    assert "/nowhere/spark-submit" in done.err
