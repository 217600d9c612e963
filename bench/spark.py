"""Prepare on Spark through libsluice beside Spark's own reader: MB of JSON for a second of one core's time."""
import glob
import json
import os
import shutil
import sys

from measure import BUILD, PYTHON, ROOT, Mock, Project, Wrong, median, run

SNAPSHOT = {"from": "2013-12-31", "to": "2014-01-01"}
FILE_ROWS = 200000  # several tasks, and so an exchange of keys


def job_of(task, p):
    """The job of the prepare, as written for an engine elsewhere."""
    sys.path.insert(0, os.path.join(ROOT, "test", "e2e"))
    os.environ["SLUICE_BIN_DIR"] = os.path.join(BUILD, "bin")
    from lambda_api import Function
    f = Function(task, SLUICE_LAKE=p.lake)
    try:
        posted = f.invoke({"action": "jobs", "pipeline": "bench", "run_id": "b", **SNAPSHOT})
    finally:
        f.stop()
    if posted.kind != "response" or len(posted.body["jobs"]) != 1:
        raise Wrong(f"spark: no job: {posted}")
    with open(os.path.join(p.lake, posted.body["jobs"][0]["job"]), encoding="utf-8") as f:
        return json.load(f)


def measure(figures, write_pages):
    if not shutil.which("java"):
        print("spark: there is no Java")
        return
    times, way = 3, os.path.join(ROOT, "bench", "spark_way.py")
    task = figures.place("spark")
    with Mock(figures.place("spark/mock"), None, {"repeat": times, "number": "number"}) as mock:
        p = Project(os.path.join(task, "pipelines", "bench"), mock, change=[("limit: 1000", "limit: 500")], number="number")
        p.sluice("ingest", "--from", SNAPSHOT["from"], "--to", SNAPSHOT["to"], "-q")
    pages, out = figures.place("spark/pages"), os.path.join(task, "peer")
    size = write_pages(p, pages)
    job = job_of(task, p)
    job.update(file_rows=FILE_ROWS, scratch=figures.place("spark/scratch"), output=os.path.join(task, "out", "t"),
               quarantine_output=os.path.join(task, "bad", "t"))
    path = os.path.join(task, "job.json")
    with open(path, "w", encoding="utf-8") as f:  # the contract stays as it is written
        json.dump(job, f, separators=(",", ":"), ensure_ascii=False)
    runs = str(figures.runs + 2)  # two to warm up
    ours = json.loads(run([PYTHON, way, "sluice", os.path.join(BUILD, "lib", "libsluice.so"), path, runs]).out.splitlines()[-1])
    figures.check("sluice on Spark", f"read_parquet('{job['output']}/*.parquet')", times)
    peer = json.loads(run([PYTHON, way, "read_json", pages, out, runs]).out.splitlines()[-1])
    if not glob.glob(out + "/*.parquet"):
        raise Wrong("spark: read_json has written nothing")
    figures.check("Spark's read.json", f"read_parquet('{out}/*.parquet')", times)
    cpu, cpu_peer = median(ours["cpu_s"][2:]), median(peer["cpu_s"][2:])
    figures.add("prepare on Spark, per core", f"{size / cpu:.0f} MB/s", f"{size / cpu_peer:.0f} MB/s read.json", 1.5, cpu_peer / cpu,
                note="counted on our side only: SHA-256 of every page, keys and their exchange, rules, five more columns, the "
                     "read-back")
