"""`sluice config push`: what a run reads, under the digest of its listing; what lies beside it stays."""
import json
import os

import pytest

import lake as L
from s3_server import S3Project, Server
from test_lambda import listing_digest


@pytest.fixture
def project(tmp_path):
    return L.example_project(os.path.join(tmp_path, "flights"), "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("s3"))
    yield s
    s.stop()


def push(p, status=0):
    done = p.sluice("config push", "--json", status=status)
    return json.loads(done.out) if status == 0 else done


def files(folder):
    return {os.path.relpath(os.path.join(at, n), folder): open(os.path.join(at, n), "rb").read()
            for at, _, names in os.walk(folder) for n in names}


@pytest.mark.parametrize("where", ["folder", "s3"])
def test_the_same_listing_as_sha256sum(tmp_path, project, server, where):
    there = files(project.folder)
    digest = listing_digest(project.folder)
    p = project if where == "folder" else S3Project(project.folder, "s3://lakes/pushed", server.url)
    if where == "folder":
        p.lake = str(tmp_path / "elsewhere")
    base = p.lake if where == "folder" else os.path.join(server.folder, "lakes", "pushed")
    told = push(p)
    assert told == {"digest": digest, "config": f"{p.lake}/config/{digest}", "files": len(there), "new": len(there),
                    "bytes": sum(map(len, there.values()))}
    assert files(os.path.join(base, "config", digest)) == there
    assert push(p) == {**told, "new": 0}
    said = p.sluice("config push").out
    assert said.startswith(told["config"] + "\n") and "all of it was there" in said
    # an upload that was cut off is gone on with
    os.remove(os.path.join(base, "config", digest, "contracts", "airlines.yaml"))
    assert push(p) == {**told, "new": 1}
    p.sluice("gc", "--yes")
    assert push(p) == {**told, "new": 0}


def test_only_what_a_run_reads(project):
    digest = push(project)["digest"]
    for name in ("notes.txt", ".env", "contracts/old.yaml.bak", "models/query.sql~", "secrets/token", "contracts/nobody.yaml"):
        os.makedirs(os.path.dirname(os.path.join(project.folder, name)), exist_ok=True)
        with open(os.path.join(project.folder, name), "w", encoding="utf-8") as f:
            f.write("c4nary-beside-it\n")
    assert push(project)["digest"] == digest
    assert L.secret_places(os.path.join(project.lake, "config"), ["c4nary-beside-it"]) == []
    other = os.path.join(project.folder, "production.yaml")
    os.rename(project.file, other)
    project.file = other
    assert push(project)["digest"] == digest, "it is called pipeline.yaml there"
    # a text for Spark is part of it
    with open(os.path.join(project.folder, "models", "worst_days.py"), "w", encoding="utf-8") as f:
        f.write("def model(spark, tables):\n    return tables['refine.daily_operations']\n")
    told = push(project)
    assert told["digest"] != digest and "models/worst_days.py" in files(os.path.join(project.lake, "config", told["digest"]))


def test_a_certificate_beside_it_goes_along(project, server):
    with open(os.path.join(project.folder, "ca.pem"), "w", encoding="utf-8") as f:
        f.write("-----BEGIN CERTIFICATE-----\n")
    with open(project.file, "a", encoding="utf-8") as f:
        f.write("\ns3: {ca_file: ca.pem}\n")
    told = push(project)
    assert "ca.pem" in files(os.path.join(project.lake, "config", told["digest"]))


def test_secrets_in_files_are_told(project, tmp_path):
    with open(project.file, encoding="utf-8") as f:
        text = f.read()
    with open(project.file, "w", encoding="utf-8") as f:
        f.write(text.replace("env:FLIGHTS_TOKEN", "file:token"))
    with open(os.path.join(project.folder, "token"), "w", encoding="utf-8") as f:
        f.write("c4nary-token")
    os.chmod(os.path.join(project.folder, "token"), 0o600)
    done = project.sluice("config push")
    assert "file:token is not among them" in done.out
    assert L.secret_places(project.lake, ["c4nary-token"]) == []


def test_mistakes_are_not_pushed(project):
    with open(os.path.join(project.folder, "contracts", "airlines.yaml"), "a", encoding="utf-8") as f:
        f.write("nonsense: [\n")
    done = push(project, status=2)
    assert "airlines.yaml" in done.err and not os.path.exists(os.path.join(project.lake, "config"))


def test_something_else_under_that_name(project):
    told = push(project)
    place = os.path.join(project.lake, "config", told["digest"])
    path = os.path.join(place, "contracts", "airlines.yaml")
    os.chmod(path, 0o644)
    with open(path, "a", encoding="utf-8") as f:
        f.write("\n")
    assert "airlines.yaml is there, and is another file" in push(project, status=8).err
    os.remove(path)
    with open(os.path.join(place, "more.yaml"), "w", encoding="utf-8") as f:
        f.write("\n")
    assert "not those that its name stands for" in push(project, status=8).err
