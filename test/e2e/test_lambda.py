"""The Lambda function: the program itself, under a fake of the Runtime API that can misbehave."""
import hashlib
import os
import re
import shutil
import signal
import socket
import sys
import time

import pytest

import lake as L
from lambda_api import LAMBDA, Function

pytest_plugins = ["lake_fixtures"]

WEEK = {"from": "2013-01-07", "to": "2013-01-14"}


def weekly(rate):
    """One window of a week, many pages, and a rate that makes it take longer than an invocation may."""
    def edit(text):
        text = re.sub(r"limit: *\d+", "limit: 150", text)
        text = text.replace("every: 1d", "every: 1w")
        return re.sub(r"(?m)^( *)url:(.*)$", rf"\g<1>url:\2\n\g<1>rate: {{requests: {rate}, per: 1s}}", text, count=1)
    return edit


class Package:
    """The folder that a zip would be unpacked to, a lake beside it, and the function over them."""

    def __init__(self, folder, url, edit=lambda text: text):
        self.folder = str(folder)
        self.project = L.example_project(os.path.join(self.folder, "pipelines", "nycflights"), url, edit)
        self.project.lake = os.path.join(self.folder, "lake")
        self.functions = []

    def function(self, **environment):
        f = Function(self.folder, FLIGHTS_TOKEN=L.TOKEN, SLUICE_LAKE=self.project.lake, **environment)
        self.functions.append(f)
        return f

    def ingest(self, **more):
        return {"action": "ingest", "pipeline": "nycflights", **WEEK, **more}


@pytest.fixture
def package(tmp_path, calm):
    p = Package(tmp_path, calm.url)
    yield p
    for f in p.functions:
        f.stop(signal.SIGKILL)


def test_a_window_that_needs_several_invocations(tmp_path, calm):
    laptop = L.example_project(os.path.join(tmp_path, "laptop"), calm.url, weekly(1000))
    laptop.sluice("run", "--from", WEEK["from"], "--to", WEEK["to"])
    cloud = Package(os.path.join(tmp_path, "cloud"), calm.url, weekly(20))
    f = cloud.function()
    try:
        event, answers = cloud.ingest(run_id="nightly-1", margin_ms=300), []
        while not answers or answers[-1]["status"] == "continue":
            assert len(answers) < 30, f.log()
            got = f.invoke(event, seconds=1.2)
            assert got.kind == "response", got
            answers.append(got.body)
        assert len(answers) >= 3, "the deadline was not short enough"
        for a in answers[:-1]:
            assert a["windows_left"] >= 1 and a["run_id"] == "nightly-1"
        assert answers[-1]["windows_left"] == 0
        again = f.invoke(event).body
        assert again["status"] == "done" and again["fetched"] == 0 and again["requests"] == 0 and again["nothing_to_do"]
        assert f.api.registered == [("sluice-stops-in-order", {"events": []})] and f.api.extension_waits.is_set()
        pages = [a["pages"] for a in answers]
        assert sum(a["requests"] for a in answers) <= max(pages) + 20 * len(answers), "a part goes on where the one before ended"
    finally:
        assert f.stop() == 0
    parts = sorted(os.listdir(os.path.join(cloud.project.lake, "runs", "nycflights")))
    assert "nightly-1" in parts and "nightly-1.2" in parts and len(parts) == len(answers) + 1
    # The rest on any machine; the lakes are the same, and whole.
    cloud.project.sluice("prepare", "--from", WEEK["from"], "--to", WEEK["to"])
    cloud.project.sluice("refine")
    assert cloud.project.digest() == laptop.digest()
    cloud.project.sluice("verify")


def test_the_interval_of_a_run_is_found_once(package):
    """Without `from` it hangs on the clock: the second part of a run takes the first one's."""
    f = package.function()
    first = f.invoke({"action": "ingest", "pipeline": "nycflights", "resources": ["airlines"], "run_id": "r1",
                      "now": "2013-03-01T12:00:00Z"}).body
    assert first["status"] == "done" and first["fetched"] == 1
    second = f.invoke({"action": "ingest", "pipeline": "nycflights", "resources": ["airlines"], "run_id": "r1"}).body
    assert second["now"] == "2013-03-01T12:00:00Z" and second["fetched"] == 0 and second["requests"] == 0
    other = f.invoke(package.ingest(run_id="r1"))
    assert other.kind == "error" and "another interval" in other.body["errorMessage"]


def test_runs_that_were_given_a_name(tmp_path, calm):
    cloud = Package(os.path.join(tmp_path, "cloud"), calm.url, weekly(20))
    f, p = cloud.function(), cloud.project
    try:
        status = "continue"
        for _ in range(30):
            if status == "continue":
                status = f.invoke(cloud.ingest(run_id="2013-01-07", resources=["flights"], margin_ms=300), seconds=1.2).body["status"]
        assert status == "done"
        assert f.invoke(cloud.ingest(resources=["airlines"])).body["fetched"] == 1
        assert f.invoke(cloud.ingest(run_id="r1", resources=["airports"])).body["fetched"] == 1
    finally:
        assert f.stop() == 0
    there = os.listdir(os.path.join(p.lake, "runs", "nycflights"))
    assert "2013-01-07.2" in there
    for name in ("graph", "no run", "r1.x", "r1.", ".2", "x" * 81):
        os.makedirs(os.path.join(p.lake, "runs", "nycflights", name), exist_ok=True)
    listed = p.sluice("runs", "--json", "--limit", "0").json
    assert sorted(r["run"] for r in listed) == sorted(there)
    assert [r["started"] for r in listed] == sorted((r["started"] for r in listed), reverse=True)
    assert listed[0]["run"] == "r1" and listed[-1]["run"] == "2013-01-07" and listed[-2]["run"] == "2013-01-07.2"
    assert p.sluice("runs").out.startswith("r1  ingest ")
    assert p.sluice("runs", "2013-01-07.2").json["run"] == "2013-01-07.2" and p.sluice("runs", "r1").json["command"] == "ingest"
    for name in ("graph", "no run", "r1.x", "../nycflights/r1", "r2"):
        assert "no record of a run" in p.sluice("runs", name, status=6).err
    last = p.sluice("status", "--json").json["last_run"]
    assert last["run"] == "r1" and "Last run  r1  ingest" in p.sluice("status").out
    # Killed, as a name that tells no time: it goes by when its plan was written.
    os.remove(os.path.join(p.lake, "runs", "nycflights", "2013-01-07", "record.json"))
    os.utime(os.path.join(p.lake, "runs", "nycflights", "2013-01-07", "plan.json"), (1, 1))
    lines = p.sluice("runs", "--limit", "0").out.splitlines()
    assert lines[-1] == "2013-01-07  ended without a record (killed)" and len(lines) == len(there)


def test_plan(package):
    f = package.function()
    plan = f.invoke({"action": "plan", "pipeline": "nycflights", **WEEK}).body
    assert plan["anything"] and [s["source"] for s in plan["ingest"]] == [""]
    assert set(plan["ingest"][0]["resources"]) == {"flights", "weather", "airlines", "airports", "planes"}
    assert plan["models_known"] is False and plan["refine"] == [], "no engine, and no graph in the lake"
    assert set(plan["prepare"]) == {"flights", "weather", "airlines", "airports", "planes"}
    assert not os.path.exists(os.path.join(package.project.lake, "raw")), "a plan writes nothing"


@pytest.mark.parametrize("fault", ["slow_head", "close_after", "no_deadline", "400_after_take", "reset"])
def test_what_costs_nothing(package, fault):
    f = package.function()
    for n in range(2):  # the second finds the connection that the first left
        got = f.invoke({"action": "plan", "pipeline": "nycflights", **WEEK}, faults=[fault])
        assert got.kind == "response" and got.body["status"] == "done", got
        time.sleep(0.05)
    assert f.stop() == 0


def test_an_event_that_came_cut(package):
    f = package.function()
    got = f.invoke(package.ingest(), faults=["cut_body"])
    assert got.kind == "error" and got.body["errorType"] == "Function.ShortBody", got
    assert f.invoke({"action": "plan", "pipeline": "nycflights"}).kind == "response"


def test_an_event_without_an_id_is_passed_over(package):
    f = package.function()
    f.send(package.ingest(), faults=["no_request_id"])
    assert f.invoke({"action": "plan", "pipeline": "nycflights"}).kind == "response"
    assert any("Request-Id" in line["message"] for line in f.lines())


def test_an_answer_that_is_too_large(package):
    f = package.function()
    got = f.invoke({"action": "plan", "pipeline": "nycflights"}, faults=["413"])
    assert got.kind == "error" and got.body["errorType"] == "Function.TooLarge", got
    assert f.invoke({"action": "plan", "pipeline": "nycflights"}).kind == "response"


def test_the_service_says_that_it_is_over(package):
    """500 is its word for "end this process"."""
    f = package.function()
    f.send({"action": "plan", "pipeline": "nycflights"}, faults=["500"])
    assert f.process.wait(20) == 1
    assert any("500" in line["message"] and line["level"] == "ERROR" for line in f.lines())


def test_a_deadline_that_is_over(package):
    f = package.function()
    for seconds, error, status in ((-5, "Function.Budget", 7), (1, "Function.Config", 2)):  # too late; too short for its margin
        got = f.invoke(package.ingest(), seconds=seconds)
        assert got.kind == "error" and got.body["errorType"] == error and got.body["exitStatus"] == status, got
        assert "no time for anything" in got.body["errorMessage"]
    assert not os.path.exists(os.path.join(package.project.lake, "raw"))


@pytest.mark.parametrize("event, part", [
    (b"{", "JSON"), (b"[]", "must be an object"), (b"{}", "\"action\""), (b'{"action":"ingest","pipelin":"x"}', "unknown member \"pipelin\""),
    (b'{"action":"ingest"}', "names no pipeline"), (b'{"action":"ingest","pipeline":"../x"}', "no name of a pipeline"),
    (b'{"action":"ingest","pipeline":"nobody"}', "has no pipeline nobody"),
    (b'{"action":"ingest","pipeline":"nycflights","resources":[]}', "empty list"),
    (b'{"action":"ingest","pipeline":"nycflights","resources":["nothing"]}', "nothing"),
    (b'{"action":"ingest","pipeline":"nycflights","resources":"flights"}', "a list of texts"),
    (b'{"action":"ingest","pipeline":"nycflights","source":"other"}', "no source"),
    (b'{"action":"ingest","pipeline":"nycflights","run_id":"../../x"}', "\"run_id\""),
    (b'{"action":"ingest","pipeline":"nycflights","run_id":"a.b"}', "\"run_id\""),
    (b'{"action":"ingest","pipeline":"nycflights","margin_ms":1.5}', "whole number"),
    (b'{"action":"ingest","pipeline":"nycflights","job":"x"}', "no meaning"),
    (b'{"action":"ingest","pipeline":"nycflights","to":"2013-01-01"}', "needs \"from\""),
    (b'{"action":"ingest","pipeline":"nycflights","now":"today"}', "no instant"),
    (b'{"action":"ingest","pipeline":"nycflights","from":"2013-99-99"}', "2013-99-99"),
    (b'{"action":"prepare","pipeline":"nycflights"}', "no engine"),
    (b'{"action":"ingest","config":"/etc/passwd"}', "/config/<digest>"),
    ("{\"action\":\"ingest\",\"pipelin\u00e9\n\":1}".encode(), "JSON"),
], ids=lambda v: None if isinstance(v, str) else hashlib.sha256(v).hexdigest()[:6])
def test_events_that_are_refused(refusing, event, part):
    got = refusing.invoke(event)
    assert got.kind == "error", got
    assert part in got.body["errorMessage"] and got.body["errorType"] in ("Function.Usage", "Function.Config"), got
    assert got.headers["Lambda-Runtime-Function-Error-Type"] == got.body["errorType"]
    assert got.headers["Content-Type"] == "application/vnd.aws.lambda.error+json"
    cause = L.json.loads(got.headers["Lambda-Runtime-Function-XRay-Error-Cause"])
    assert cause["exceptions"][0]["type"] == got.body["errorType"] and cause["paths"] == []


@pytest.fixture(scope="module")
def refusing(tmp_path_factory, calm):
    p = Package(tmp_path_factory.mktemp("refusing"), calm.url, lambda text: text + "environments: {prod: {lake: /srv/lake}}\n")
    os.makedirs(p.project.lake)
    os.makedirs(os.path.join(p.folder, "pipelines", "no-pipeline"))
    f = p.function()
    yield f
    assert f.stop() == 0, "one process has refused them all"


@pytest.mark.parametrize("event, error, hint", [
    ({"action": "prepare", "pipeline": "nycflights"}, "Usage", "make lambda-image"),
    ({"action": "ingest", "pipeline": "nobody"}, "Config", "it has nycflights: `make lambda PIPELINES="),
    ({"action": "ingest", "pipeline": "nycflights", "environment": "prdo"}, "Config", "did you mean --env prod?"),
    ({"action": "ingest", "config": "0" * 64}, "Missing", "sluice config push"),
    ({"action": "ingest", "config": "/nowhere/config/" + "0" * 64}, "Missing", "sluice config push"),
    ({"action": "ingest", "pipeline": "nycflights", "margin_ms": 900000}, "Config", "a shorter \"margin_ms\""),
], ids=["engine", "pipeline", "environment", "config", "lake", "margin"])
def test_what_to_do_about_it(refusing, event, error, hint):
    got = refusing.invoke(event)
    assert got.kind == "error" and got.body["errorType"] == "Function." + error and hint in got.body["hint"], got


def test_log_lines_metrics_and_what_goes_back(package):
    f = package.function(AWS_LAMBDA_LOG_LEVEL="DEBUG")
    got = f.invoke(package.ingest(resources=["weather"]), headers={
        "Lambda-Runtime-Aws-Tenant-Id": "tenant-7", "Lambda-Runtime-Trace-Id": "Root=1-5e1b4151-0;Sampled=1",
        "Lambda-Runtime-Invocation-Id": "inv-9"})
    assert got.kind == "response" and got.headers["Lambda-Runtime-Invocation-Id"] == "inv-9"
    bad = f.invoke({"action": "nothing"})
    lines = f.lines()
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
        assert line["level"] in ("DEBUG", "INFO", "WARN", "ERROR")
    assert [x for x in lines if x["message"] == "tenant tenant-7"][0]["requestId"] == got.request_id
    assert [x for x in lines if x["level"] == "ERROR"][-1]["requestId"] == bad.request_id
    by_resource = [m for m in f.metrics() if m.get("resource") == "weather"]
    whole = [m for m in f.metrics() if m.get("command") == "ingest"]
    assert len(by_resource) == len(whole) == 1
    assert by_resource[0]["Records"] == got.body["records"] > 0 and by_resource[0]["WindowsLeft"] == 0
    for m in by_resource + whole:
        directive = m["_aws"]["CloudWatchMetrics"][0]
        assert directive["Namespace"] == "sluice" and abs(m["_aws"]["Timestamp"] / 1000 - time.time()) < 300
        assert all(isinstance(m[x["Name"]], int) and x["Unit"] for x in directive["Metrics"])
        assert all(d in m for d in directive["Dimensions"][0])
    assert L.TOKEN not in f.log() + L.json.dumps(f.metrics())


def test_quieter(package):
    f = package.function(AWS_LAMBDA_LOG_LEVEL="ERROR")
    f.send(package.ingest(), faults=["no_request_id"])
    assert f.invoke({"action": "plan", "pipeline": "nycflights"}).kind == "response"
    assert f.log() == ""


def test_sigterm_while_it_waits(package):
    f = package.function()
    assert f.invoke({"action": "plan", "pipeline": "nycflights"}).kind == "response"
    began = time.monotonic()
    assert f.stop() == 0 and time.monotonic() - began < 2


def test_sigterm_at_work(tmp_path, calm):
    cloud = Package(tmp_path, calm.url, weekly(20))
    f = cloud.function()
    event = cloud.ingest(run_id="r1", resources=["flights"])
    f.send(event)
    limit = time.monotonic() + 20
    while not any(name.endswith(".json") for _, _, names in os.walk(os.path.join(cloud.project.lake, "raw")) for name in names):
        assert time.monotonic() < limit, f.log()
        time.sleep(0.02)
    f.process.send_signal(signal.SIGTERM)
    got = f.take()
    assert got.kind == "error" and got.body["errorType"] == "Function.Sigterm" and got.body["exitStatus"] == 143
    assert f.stop() == 0
    g = cloud.function()
    done = g.invoke(event).body
    assert done["status"] == "done" and done["windows_left"] == 0
    assert g.stop() == 0
    cloud.project.sluice("verify")


def test_a_package_with_a_mistake_says_so_before_the_first_event(package):
    path = package.project.file
    with open(path, "a", encoding="utf-8") as f:
        f.write("nonsense: 1\n")
    f = package.function(SLUICE_PIPELINE="nycflights")
    got = f.take()
    assert got.kind == "init" and got.body["errorType"] == "Function.Config" and "nonsense" in got.body["errorMessage"], got
    assert f.process.wait(20) == 1 and f.api.asked == 0


def test_an_api_that_fails_is_a_typed_error(package):
    def dead(text):
        return re.sub(r"url: .*", "url: http://127.0.0.1:1/v1", text)
    with open(package.project.file, encoding="utf-8") as f:
        text = dead(f.read())
    with open(package.project.file, "w", encoding="utf-8") as f:
        f.write(text)
    f = package.function()
    got = f.invoke(package.ingest(resources=["airlines"]))
    assert got.kind == "error" and got.body["errorType"] == "Function.Connect" and got.body["exitStatus"] == 3, got
    assert [m["Failed"] for m in f.metrics() if "Failed" in m] == [1]


def listing_digest(folder):
    """As `find . -type f | sort | xargs sha256sum | sha256sum` has it."""
    names = sorted(os.path.relpath(os.path.join(at, n), folder) for at, _, files in os.walk(folder) for n in files)
    text = "".join(f"{hashlib.sha256(open(os.path.join(folder, n), 'rb').read()).hexdigest()}  {n}\n" for n in names)
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_pipeline_in_the_lake(package):
    digest = listing_digest(package.project.folder)
    place = os.path.join(package.project.lake, "config", digest)
    shutil.copytree(package.project.folder, place)
    shutil.rmtree(os.path.join(package.folder, "pipelines"))
    f = package.function()
    event = {"action": "ingest", "config": place, "resources": ["airlines"], **WEEK}
    for n in range(2):
        got = f.invoke(event)
        assert got.kind == "response" and got.body["records"] == (0 if n else 16), got
    f.stop()
    assert [n for n in os.listdir(package.folder) if n.startswith("sluice")] == [], "nothing is left in TMPDIR"
    with open(os.path.join(place, "contracts", "airlines.yaml"), "a", encoding="utf-8") as c:
        c.write("\n")
    got = package.function().invoke(event)
    assert got.kind == "error" and got.body["errorType"] == "Function.Damage", got


def test_a_lake_that_would_be_gone_with_the_function(package):
    """The example says `lake: ./lake`: a folder beside the pipeline file, which here is one of the function."""
    digest = listing_digest(package.project.folder)
    place = os.path.join(package.project.lake, "config", digest)
    shutil.copytree(package.project.folder, place)
    event = {"resources": ["airlines"], **WEEK}

    def refused(got, lake):
        assert got.kind == "error" and got.body["errorType"] == "Function.Config" and got.body["exitStatus"] == 2, got
        assert f"the lake {lake} is a folder of the function" in got.body["errorMessage"], got
        assert "SLUICE_LAKE" in got.body["errorMessage"], got
    f = Function(package.folder, FLIGHTS_TOKEN=L.TOKEN)
    package.functions.append(f)
    for action in ("plan", "ingest", "jobs"):
        refused(f.invoke({"action": action, "pipeline": "nycflights", **event}), "./lake")
    refused(f.invoke({"action": "ingest", "pipeline": "nycflights", "lake": "other/lake", **event}), "other/lake")
    assert not os.path.exists(os.path.join(package.project.folder, "lake"))
    # A pipeline that lies in a lake is for that one, if nobody says another.
    got = f.invoke({"action": "ingest", "config": place, **event})
    assert got.kind == "response" and got.body["fetched"] == 1, got
    assert os.listdir(os.path.join(package.project.lake, "raw", "nycflights")) == ["airlines"]
    assert f.invoke({"action": "ingest", "config": place, **event}).body["fetched"] == 0
    other = os.path.join(package.folder, "other")
    got = f.invoke({"action": "ingest", "config": place, "lake": other, **event})
    assert got.kind == "response" and got.body["fetched"] == 1 and os.path.exists(os.path.join(other, "raw")), got
    # One that is written as a whole path may be a mount: it is as the file says.
    mount = os.path.join(package.folder, "mount")
    with open(package.project.file, encoding="utf-8") as old:
        text = re.sub(r"(?m)^lake:.*$", f"lake: {mount}", old.read())
    with open(package.project.file, "w", encoding="utf-8") as new:
        new.write(text if "lake: " in text else f"{text}lake: {mount}\n")
    got = f.invoke({"action": "ingest", "pipeline": "nycflights", **event})
    assert got.kind == "response" and os.path.exists(os.path.join(mount, "raw")), got


def test_the_emulator_of_the_service(package):
    """As docs/lambda.md has it: started where the package was unpacked, without the variables that Lambda sets."""
    program = [sys.executable, os.path.join(L.ROOT, "deploy", "docker", "lambda_emulator.py")]
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % s.getsockname()[1]
    environment = {k: v for k, v in package.project.environment().items() if k not in ("AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT")}
    environment.update(FLIGHTS_TOKEN=L.TOKEN, SLUICE_LAKE=package.project.lake)
    serves = L.subprocess.Popen([*program, "serve", address, "30", LAMBDA], cwd=package.folder, env=environment, start_new_session=True)
    try:
        for _ in range(100):
            got = L.subprocess.run([*program, "invoke", address, L.json.dumps(package.ingest(resources=["airlines"]))],
                                   capture_output=True, text=True, timeout=60)
            if got.returncode != 2:
                break
            time.sleep(0.1)
        assert got.returncode == 0 and L.json.loads(got.stdout)["fetched"] == 1, (got.stdout, got.stderr)
    finally:
        os.killpg(serves.pid, signal.SIGKILL)
        serves.wait()
    assert os.listdir(os.path.join(package.project.lake, "raw", "nycflights")) == ["airlines"]


# ── an engine somewhere else: jobs are written, carried out, and committed by a function that has none ──

def carry_out(project, key):
    done = L.subprocess.run([L.SLUICE, "engine", "duckdb", os.path.join(project.lake, key)], capture_output=True, text=True,
                            env=project.environment(), timeout=120)
    return done.returncode


DAYS = {"from": "2013-01-07", "to": "2013-01-09"}


def whole_run(f, project, event, fail=lambda n, job: None):
    """ingest, then jobs and commits until there are no more; every answer."""
    got = [f.invoke({"action": "ingest", **event})]
    while True:
        jobs = f.invoke({"action": "jobs", **event})
        got.append(jobs)
        assert jobs.kind == "response", jobs
        if not jobs.body["jobs"]:
            return got
        assert len(got) < 60
        for n, job in enumerate(jobs.body["jobs"]):
            fail(n, job)
            assert carry_out(project, job["job"]) == 0
            commit = f.invoke(job["commit"])
            assert commit.kind == "response" and commit.body["committed"], commit
            got.append(commit)


def test_jobs_for_an_engine_elsewhere(tmp_path, calm):
    laptop = L.example_project(os.path.join(tmp_path, "laptop"), calm.url)
    laptop.sluice("run", "--from", DAYS["from"], "--to", DAYS["to"])
    cloud = Package(os.path.join(tmp_path, "cloud"), calm.url)
    # The graph of the models comes from an engine: it is kept in the lake by whoever had one.
    shutil.copytree(os.path.join(laptop.lake, "runs", "nycflights", "graph"),
                    os.path.join(cloud.project.lake, "runs", "nycflights", "graph"))
    f = cloud.function()
    try:
        event = {"pipeline": "nycflights", "run_id": "r1", **DAYS}
        whole_run(f, cloud.project, event)
        again = f.invoke({"action": "jobs", **event}).body
        assert again["models_known"] and again["jobs"] == [] and not any(t["changed"] for t in again["tables"])
    finally:
        assert f.stop() == 0
    assert cloud.project.digest() == laptop.digest()
    cloud.project.sluice("verify")
    assert "Nothing to do" in cloud.project.sluice("plan", "--from", DAYS["from"], "--to", DAYS["to"]).out


def test_results_that_are_not_taken(package):
    f, project = package.function(), package.project
    event = {"pipeline": "nycflights", "run_id": "r1", "resources": ["weather"], **DAYS}
    assert f.invoke({"action": "ingest", **event}).kind == "response"
    told = f.invoke({"action": "jobs", **event}).body
    assert told["models_known"] is False, "no engine has left their graph: \"done\" says nothing of models"
    first = told["jobs"]
    second = f.invoke({"action": "jobs", **event}).body["jobs"]
    assert len(first) == 1 and first == second, "the same job, once"
    job, commit = first[0], first[0]["commit"]
    result = os.path.join(project.lake, job["result"])
    got = f.invoke(commit)
    assert got.kind == "error" and got.body["errorType"] == "Function.Missing", got
    assert carry_out(project, job["job"]) == 0
    with open(result, encoding="utf-8") as r:
        good = r.read()

    def with_result(text, error, part):
        with open(result, "w", encoding="utf-8") as r:
            r.write(text)
        bad = f.invoke(commit)
        assert bad.kind == "error" and bad.body["errorType"] == error and part in bad.body["errorMessage"], bad
        assert not os.path.exists(project.table("prepare", "weather") + "/_delta_log")

    value = L.json.loads(good)
    path = value["files"][0]["path"]
    with_result('{"error":{"code":"CONTRACT","message":"too many","hint":""}}', "Function.Contract", "too many")
    with_result(good[:-20], "Function.Json", "engine result")
    with_result(good.replace(path, "data/other/0.parquet"), "Function.Engine", "not below")
    with_result(good.replace(path, os.path.dirname(path) + "/../../x"), "Function.Engine", "not below")
    with_result(good.replace(path, os.path.dirname(path) + "/9.parquet"), "Function.Missing", "9.parquet")
    with_result(good.replace('"size":%d' % value["files"][0]["size"], '"size":%d' % (value["files"][0]["size"] + 1)),
                "Function.Engine", "bytes")
    with_result(good.replace('"published":%d' % value["loss"]["published"], '"published":%d' % (value["loss"]["published"] - 1), 1),
                "Function.Engine", "books")
    for code in ("BUDGET", "SIGTERM"):  # not "continue", which would be asked again for ever
        with_result('{"error":{"code":"%s","message":"too slow","hint":""}}' % code, "Function.Engine", "too slow")

    def with_files(change, part):
        v = L.json.loads(good)
        change(v)
        with_result(L.json.dumps(v), "Function.Engine", part)

    def window(v, zone="files"):
        return v[zone][0]["windows"][0]

    with_files(lambda v: v["files"].append({**v["files"][0], "rows": 0, "windows": []}), "twice")
    with_files(lambda v: window(v).update(window="2013-01-01"), "which its job does not have")
    with_files(lambda v: window(v).update(generation=window(v)["generation"] + 1), "which its job does not have")
    with_files(lambda v: window(v).update(key="0" * 64), "which its job does not have")
    with_files(lambda v: window(v, "quarantine_files").update(window="2013-01-01"), "which its job does not have")
    with_files(lambda v: v["files"][-1]["windows"].pop(), "leaves out window")
    with_files(lambda v: v["quarantine_files"].clear(), "leaves out window")
    for key, part in (("job", "below"), ("result", "below")):
        bad = f.invoke({**commit, key: "raw/nycflights/weather/grid/0.json"})
        assert bad.kind == "error" and part in bad.body["errorMessage"], bad
    # Another day was fetched in between: what is to be done is no longer what the job is for.
    wider = {"pipeline": "nycflights", "resources": ["weather"], "from": "2013-01-07", "to": "2013-01-10"}
    assert f.invoke({"action": "ingest", "run_id": "r2", **wider}).kind == "response"
    with open(result, "w", encoding="utf-8") as r:
        r.write(good)
    bad = f.invoke({**commit, "run_id": "r1", "now": "2013-02-01T00:00:00Z", "from": "2013-01-07", "to": "2013-01-09", "stale": True})
    assert bad.kind == "error" and bad.body["errorType"] == "Function.Fenced" and bad.body["exitStatus"] == 5, bad
    done = f.invoke(commit)
    assert done.kind == "response" and done.body["committed"], done
    twice = f.invoke(commit)
    assert twice.kind == "response" and not twice.body["committed"], "the same event again changes nothing"
    assert [v for v in os.listdir(project.table("prepare", "weather") + "/_delta_log")] == ["00000000000000000000.json"]
    project.sluice("verify")


# ── the package with the engine ──

def test_prepare_and_refine_in_the_function(tmp_path, calm):
    laptop = L.example_project(os.path.join(tmp_path, "laptop"), calm.url)
    laptop.sluice("run", "--from", DAYS["from"], "--to", DAYS["to"])
    cloud = Package(os.path.join(tmp_path, "cloud"), calm.url)
    f = cloud.function(program=LAMBDA + "-engine")
    event = {"pipeline": "nycflights", "run_id": "r1", **DAYS}
    try:
        plan = f.invoke({"action": "plan", **event}).body
        assert plan["models_known"] and "daily_operations" in plan["refine"]
        for action in ("ingest", "prepare", "refine"):
            got = f.invoke({"action": action, **event})
            assert got.kind == "response" and got.body["status"] == "done", got
            again = f.invoke({"action": action, **event}).body
            assert again["nothing_to_do"] and not any(t["changed"] for t in again["tables"])
        late = f.invoke({"action": "refine", **event, "stale": True}, seconds=-1)
        assert late.kind == "error" and late.body["errorType"] == "Function.Budget"
        assert f.metrics()[-1]["Failed"] == 0
    finally:
        assert f.stop() == 0
    assert cloud.project.digest() == laptop.digest()
    cloud.project.sluice("verify")
