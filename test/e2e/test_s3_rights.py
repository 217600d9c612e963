"""What the documentation says that each command needs of S3: with that and nothing else it does its work, it uses no less, and
where one is missing the message names it. Between program and server stands a proxy that has a policy."""
import os
import re
import shutil
import urllib.parse

import pytest

import lake as L
from lake_fixtures import small_pages
from s3_server import FaultProxy, S3Project, Server

pytest_plugins = ["lake_fixtures"]

DAYS = ("--from", "2013-01-01", "--to", "2013-01-03")
NOW_AND_THEN = "now and then"


def documented():
    """{command: {action: "yes" or "now and then"}}"""
    with open(os.path.join(L.ROOT, "docs", "pipeline-file.md"), encoding="utf-8") as f:
        lines = [line.strip() for line in f if line.startswith("| ")]
    at = next(i for i, line in enumerate(lines) if line.startswith("| command | `s3:ListBucket`"))
    actions = re.findall(r"`(s3:\w+)`", lines[at])
    table = {}
    for line in lines[at + 1:at + 11]:
        commands, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        for command in [commands.replace("`", "")] if "without" in commands else re.findall(r"`([^`]+)`", commands):
            table[command] = {a: c for a, c in zip(actions, cells, strict=True) if c}
    return table


TABLE = documented()


class Policy(FaultProxy):
    """Refuses what is not allowed, and knows what was used."""

    def __init__(self, server):
        super().__init__(server)
        self.allowed, self.used = set(), set()

    def action(self, method, path):
        url = urllib.parse.urlsplit(path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        key = url.path.strip("/").split("/", 1)[1:]
        if method == "GET" and not key:
            return "s3:ListBucketMultipartUploads" if "uploads" in query else "s3:ListBucket"
        if method == "DELETE":
            return "s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject"
        return {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "POST": "s3:PutObject"}[method]

    def choose(self, method, path):
        action = self.action(method, path)
        with self.lock:
            self.used.add(action)
        return None if action in self.allowed else "403"

    def begin(self, allowed):
        self.allowed, self.used = set(allowed), set()


@pytest.fixture(scope="module")
def world(tmp_path_factory, calm):
    """A server, and two days of the demo in it at each stage: `empty`, `raw`, `prepared`, `made`."""
    folder = tmp_path_factory.mktemp("rights")
    server = Server(folder)
    base = L.example_project(os.path.join(folder, "flights"), calm.url, small_pages)
    w = World(server, base)
    p = w.project("made", server.url)
    for command, stage in (("ingest", "raw"), ("prepare", "prepared"), ("refine", None)):
        p.sluice(command, *DAYS)
        if stage:
            shutil.copytree(w.files("made"), w.files(stage))
    yield w
    w.policy.stop()
    server.stop()


class World:
    def __init__(self, server, base):
        self.server, self.base, self.policy, self.n = server, base, Policy(server), 0

    def files(self, prefix):
        return os.path.join(self.server.folder, "lakes", prefix)

    def project(self, prefix, endpoint):
        return S3Project(self.base.folder, "s3://lakes/" + prefix, endpoint)

    def at(self, stage):
        """A copy of its own, behind the policy."""
        self.n += 1
        if stage != "empty":
            shutil.copytree(self.files(stage), self.files(f"{stage}-{self.n}"))
        p = self.project(f"{stage}-{self.n}", self.policy.url)
        p.files = self.files(f"{stage}-{self.n}")
        return p


def damage(p):
    """A table's file is gone: something to repair."""
    for folder, _, names in os.walk(os.path.join(p.files, "prepare")):
        for name in names:
            if name.endswith(".parquet"):
                os.remove(os.path.join(folder, name))
                return
    raise AssertionError("no file")


def staged(p):
    """Something for gc, nine days old."""
    path = os.path.join(p.files, "prepare", p.name, "flights", "data", "0123456789abcdef-000000000001")
    os.makedirs(path)
    with open(os.path.join(path, "0.parquet"), "wb") as f:
        f.write(b"x")
    before = os.stat(path).st_mtime - 9 * 86400
    os.utime(os.path.join(path, "0.parquet"), (before, before))


def window(p):
    return sorted(os.listdir(os.path.join(p.files, "raw", p.name, "flights")))[0]


# command: (stage, arguments, what is done before)
SCENARIOS = {
    "plan": ("raw", DAYS, None), "status": ("made", (), None), "runs": ("made", (), None), "digest": ("made", (), None),
    "verify": ("made", (), None), "raw ls": ("raw", ("flights",), None),
    "raw cat": ("raw", lambda p: ("flights", window(p), 1), None), "show": ("made", ("airlines",), None),
    "query": ("made", ("select count(*) from prepare.airlines",), None),
    "trace": ("made", ("flights", "2013-01-01T10:00:00Z", "UA", "1545"), None), "contract draft": ("raw", ("airlines", "-"), None),
    "gc without --yes": ("made", (), staged), "gc --yes": ("made", ("--yes",), staged), "ingest": ("empty", DAYS, None),
    "prepare": ("raw", DAYS, None), "refine": ("prepared", DAYS, None), "run": ("empty", DAYS, None), "repair": ("made", (), damage),
    "compact": ("made", (), None), "config push": ("empty", (), None),
}
ELSEWHERE = {"parity", "accept", "engine duckdb s3://…"}  # Java; a window that shrank; test_lambda_s3.py has its engine on S3


def call(p, command, args, status):
    return p.sluice(command.split(" without")[0].replace(" --yes", ""), *args, status=status)


def test_the_table_is_whole():
    assert set(TABLE) == set(SCENARIOS) | ELSEWHERE


@pytest.mark.parametrize("command", SCENARIOS)
def test_rights(world, command):
    stage, args, before = SCENARIOS[command]
    rights = TABLE[command]

    def begin(allowed):
        p = world.at(stage)
        if before:
            before(p)
        world.policy.begin(allowed)
        return p, args(p) if callable(args) else args
    p, a = begin(rights)
    call(p, command, a, 0)
    assert world.policy.used <= set(rights), world.policy.used
    # what is always needed is always used; what a small lake does not need may be another's need
    always = {r for r, how in rights.items() if how == "yes"}
    assert always <= world.policy.used or command == "compact", world.policy.used
    for refused in sorted(world.policy.used & always):
        p, a = begin(set(rights) - {refused})
        done = call(p, command, a, 7)  # no damage: nobody knows
        assert refused in done.err and "AccessDenied" in done.err and "DAMAGED" not in done.out, done


def test_raw_of_another_lake(world, tmp_path):
    p = world.at("raw")
    other = L.Project(world.base.folder, str(tmp_path / "lake"))
    inherited = p.environment
    other.environment = inherited
    world.policy.begin({"s3:ListBucket", "s3:GetObject"})
    other.sluice("run", *DAYS, "--raw-from", p.lake)
    assert world.policy.used == {"s3:ListBucket", "s3:GetObject"}
