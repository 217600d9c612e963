"""Lakes on S3: the same keys and bytes as in a folder, whatever the way to the store does. Judged by a server that we did not
write, and by the same commands on its files as a lake in a folder."""
import json
import os
import re
import shutil
import signal
import time

import pytest

import lake as L
from lake_fixtures import MONTH, small_pages
from s3_server import KEYS, FaultProxy, S3Project, Server

pytest_plugins = ["lake_fixtures"]

DAYS = ("--from", "2013-01-01", "--to", "2013-01-08")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("s3"))
    yield s
    s.stop()


@pytest.fixture(scope="module")
def disk(tmp_path_factory, calm, server):
    """The same week in a folder: what S3 is held against."""
    p = L.example_project(os.path.join(tmp_path_factory.mktemp("disk"), "flights"), calm.url, small_pages)
    p.sluice("ingest", *DAYS)
    p.undisturbed = p.digest()
    return p


def on_s3(disk, server, prefix, endpoint=None):
    p = S3Project(disk.folder, f"s3://lakes/{prefix}", endpoint or server.url)
    p.files = os.path.join(server.folder, "lakes", prefix)
    return p


def nothing_left(server, prefix):
    """Neither probes nor unfinished uploads."""
    base = os.path.join(server.folder, "lakes")
    assert not os.path.exists(os.path.join(base, prefix, ".tmp"))
    unfinished = [f for _, _, names in os.walk(os.path.join(base, ".sgwtmp", "multipart")) for f in names]
    assert unfinished == []


def names_without_hashes(lake):
    """Keys, but for what differs between two runs: the hash in a segment's name, the run's id."""
    found = [re.sub(r"-[0-9a-f]{64}\.", "-H.", f) for f in L.snapshot(lake)]
    return sorted(found)


def test_same_as_in_a_folder(disk, server):
    p = on_s3(disk, server, "same")
    p.sluice("ingest", *DAYS)
    assert p.digest() == disk.undisturbed
    assert names_without_hashes(p.files) == names_without_hashes(disk.lake)
    as_folder = disk.on(p.files)  # the bucket's files are a lake in a folder
    assert as_folder.digest() == disk.undisturbed
    as_folder.sluice("verify")
    p.sluice("verify")
    p.sluice("verify", "--fast")
    nothing_left(server, "same")


def test_reading(disk, server):
    p = on_s3(disk, server, "reading")
    p.sluice("ingest", *DAYS)
    listed, there = p.sluice("raw ls flights").out, disk.sluice("raw ls flights").out
    assert listed == there and "sealed" in listed
    window = sorted(os.listdir(os.path.join(p.files, "raw", p.name, "flights")))[0]
    pages = [q.sluice("raw cat", "flights", window, 1).out for q in (p, disk, disk.on(p.files))]
    assert pages[0] == pages[1] == pages[2] and '"data"' in pages[0]
    assert "20" in p.sluice("status").out
    again = p.sluice("ingest", *DAYS)
    assert "Nothing to do" in again.out


def test_a_lake_in_a_folder_read_through_s3(disk, server):
    """Written in a folder, read as s3://."""
    os.rename(os.path.join(L.shutil.copytree(disk.lake, os.path.join(server.folder, "copied"))),
              os.path.join(server.folder, "lakes", "copied"))
    p = on_s3(disk, server, "copied")
    assert p.digest() == disk.undisturbed
    p.sluice("verify")


def test_no_lake_there(disk, server):
    p = on_s3(disk, server, "not/there")
    assert "there is no lake" in p.sluice("digest", status=6).err
    p.lake = "s3://no-such-bucket/x"
    assert "NoSuchBucket" in p.sluice("ingest", *DAYS, status=2).err
    p = on_s3(disk, server, "denied")
    p.environment = lambda: {**on_s3(disk, server, "x").environment(), "AWS_SECRET_ACCESS_KEY": "wrong/secret"}
    done = p.sluice("ingest", *DAYS, status=2)
    assert "SignatureDoesNotMatch" in done.err and "wrong/secret" not in done.err + done.out


def test_settings_in_the_pipeline_file(disk, server, tmp_path, calm):
    """Endpoint and region by the file, in place of the environment."""
    p = L.example_project(os.path.join(tmp_path, "flights"), calm.url, small_pages)
    with open(p.file, encoding="utf-8") as f:
        text = f.read()
    with open(p.file, "w", encoding="utf-8") as f:
        f.write(re.sub(r"(?m)^lake:.*$", f"lake: s3://lakes/by-file\ns3: {{endpoint: '{server.url}', region: eu-north-1}}", text))
    q = S3Project(p.folder, "s3://lakes/by-file", "http://127.0.0.1:1")
    q.environment = lambda: {**L.Project.environment(q), **{k: v for k, v in KEYS.items() if k != "AWS_REGION"}}
    # versitygw serves one region: the right one is named
    assert "us-east-1" in q.sluice("ingest", *DAYS, status=(2, 7)).err
    with open(p.file, encoding="utf-8") as f:
        text = f.read()
    with open(p.file, "w", encoding="utf-8") as f:
        f.write(text.replace("eu-north-1", "us-east-1"))
    q.sluice("ingest", *DAYS)
    assert q.digest() == disk.undisturbed


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_exact_through_faults(disk, server, seed):
    """Every eighth request goes wrong in some way; what comes of it is exact all the same."""
    proxy = FaultProxy(server, percent=12, seed=seed)
    p = on_s3(disk, server, f"faults-{seed}", proxy.url)
    try:
        for _ in range(6):  # whatever gives up, the same command goes on
            done = p.sluice("ingest", *DAYS, status=(0, 7))
            if done.status == 0:
                break
        assert done.status == 0, done
        for _ in range(6):
            done = p.sluice("digest", status=(0, 7))
            if done.status == 0:
                break
        assert done.out == disk.undisturbed
    finally:
        proxy.stop()
    assert len(proxy.met) >= 5, proxy.met
    as_folder = disk.on(p.files)
    as_folder.sluice("verify")
    assert as_folder.digest() == disk.undisturbed
    # what was lost or asked again has made nothing twice
    direct = on_s3(disk, server, f"faults-{seed}")
    direct.sluice("verify")


def parquet(lake):
    """The tables' files, whatever the run that wrote them is called."""
    return sorted(digest for name, (_, _, digest) in L.snapshot(lake).items() if name.endswith(".parquet"))


@pytest.mark.parametrize("percent", [0, 6])
def test_whole_pipeline(tmp_path, calm, server, percent):
    """From the API to models: the same digest, and the same bytes of all tables as in a folder; through faults, too."""
    days = ("--from", "2013-01-01", "--to", "2013-01-03")
    folder = L.example_project(os.path.join(tmp_path, "flights"), calm.url, small_pages)
    folder.sluice("run", *days)
    proxy = FaultProxy(server, percent=percent, seed=4)
    p = on_s3(folder, server, f"whole-{percent}", proxy.url)
    try:
        for _ in range(8):
            done = p.sluice("run", *days, status=(0, 7) if percent else 0)
            if done.status == 0:
                break
        assert done.status == 0, done
    finally:
        proxy.stop()
    p.endpoint = server.url
    assert p.digest() == folder.digest()
    assert parquet(p.files) == parquet(folder.lake) != []
    for q in (p, folder.on(p.files)):
        q.sluice("verify")
    assert p.sluice("trace flights", "2013-01-01T10:00:00Z", "UA", "1545").out.count("segment") >= 1
    assert "count" in p.sluice("query", "select count(*) from prepare.flights").out
    assert "Nothing to do" in p.sluice("run", *days).out
    if not percent:
        nothing_left(server, "whole-0")


def test_two_at_once(disk, server):
    """Two runs on one lake: whoever loses a window says so, nothing is twice."""
    p = on_s3(disk, server, "two")
    both = [p.begin("ingest", *DAYS) for _ in range(2)]
    statuses = [b.wait(L.TIMEOUT_S) for b in both]
    for b in both:
        b.communicate()
    assert set(statuses) <= {0, 5}, statuses
    p.sluice("ingest", *DAYS)
    assert p.digest() == disk.undisturbed
    disk.on(p.files).sluice("verify")


def test_killed_and_again(disk, server):
    """kill -9 whenever some PUTs have gone by; the same command goes on."""
    proxy = FaultProxy(server)
    p = on_s3(disk, server, "killed", proxy.url)
    try:
        for puts in (6, 14, 23, 40):
            run, deadline = p.begin("ingest", *DAYS), time.monotonic() + 60
            wanted = proxy.counts.get("PUT", 0) + puts
            while run.poll() is None and proxy.counts.get("PUT", 0) < wanted and time.monotonic() < deadline:
                time.sleep(0.001)
            run.send_signal(signal.SIGKILL)
            run.communicate()
        p.sluice("ingest", *DAYS)
    finally:
        proxy.stop()
    assert p.on(p.files).digest() == disk.undisturbed
    disk.on(p.files).sluice("verify")


def test_requests_are_few(disk, server):
    """Pages share PUTs; a run with nothing to do writes its record only, and reads a window that is not prepared yet by its ledger."""
    proxy = FaultProxy(server)
    p = on_s3(disk, server, "few", proxy.url)
    try:
        p.sluice("ingest", *DAYS)
        first = dict(proxy.counts)
        proxy.counts.clear()
        p.sluice("ingest", *DAYS)
        again = dict(proxy.counts)
    finally:
        proxy.stop()
    pages = sum(int(n) for n in re.findall(r"pages=(\d+)", disk.undisturbed))
    segments = len([f for f in L.snapshot(disk.lake) if f.endswith(".warc.gz")])
    windows = disk.undisturbed.count("window ")
    # a segment and its entry, a claim and perhaps a seal a window, grids, the record, the probe
    assert first["PUT"] <= 2 * segments + 2 * windows + 5 + 8, (first, pages, segments, windows)
    assert again.get("PUT", 0) <= 5, again
    assert again["GET"] <= windows + 40, again


def test_many_windows_cost_few_requests(month, server):
    """A look at Raw is a listing (1,000 names a request), and at most two requests for each window that is not in the tables
    as Raw has it; where nothing is to be done it costs nothing a window. A listing that is cut at a segment goes on past it."""
    windows = month.undisturbed.count("window ")
    pages = -(-len([f for f in L.snapshot(month.lake) if f.startswith("raw/")]) // 1000)
    for prefix, parts, each in (("prepared", ("raw", "prepare", "quarantine", "refine", "runs"), 0), ("raw-only", ("raw",), 1)):
        proxy = FaultProxy(server)
        p = on_s3(month, server, prefix, proxy.url)
        for part in parts:
            shutil.copytree(os.path.join(month.lake, part), os.path.join(p.files, part))
        # one request at a time it would be dozens for tables, grids and models; none of them depends on the windows
        bounds = [("plan", (), each * windows), ("plan", MONTH, each * windows), ("ingest", MONTH, each * windows),
                  ("plan", (*MONTH, "--refetch"), 2 * windows), ("status", (), windows), ("digest", (), windows),
                  ("raw ls", ("flights",), windows)]
        try:
            for command, args, most in bounds:
                proxy.counts.clear()
                p.sluice(command, *args)
                assert sum(proxy.counts.values()) <= most + pages + 70, (prefix, command, args, proxy.counts, windows, pages)
        finally:
            proxy.stop()
        assert on_s3(month, server, prefix).sluice("raw ls", "flights").out == month.sluice("raw ls", "flights").out


# How often somebody far from the store waits for it, for a lake of January's 31 windows (and 3 snapshots) that was made in one
# run: about twice of what it is, since on a busy machine what could overlap does not always. One question after the other it
# would be 53, 63, 113, 73, 72, 154, 924 and 4. What grows with the number of windows is read 32 at a time.
ROUNDS = [("plan", (), 14), ("ingest", MONTH, 34), ("run", MONTH, 40), ("status", (), 34), ("digest", (), 66), ("verify", ("--fast",), 116),
          ("gc", (), 128), ("raw ls", ("flights",), 10)]


def test_far_away(month, server):
    """Questions that do not depend on each other are asked at the same time, never more than the cap at once."""
    proxy = FaultProxy(server, latency_s=0.02)
    p = on_s3(month, server, "far", proxy.url)
    for part in ("raw", "prepare", "quarantine", "refine", "runs"):
        shutil.copytree(os.path.join(month.lake, part), os.path.join(p.files, part))
    try:
        for command, args, most in ROUNDS:
            proxy.forget()
            p.sluice(command, *args)
            assert proxy.rounds() <= most, (command, args, proxy.rounds(), proxy.counts)
            # one connection may end before the proxy has noted it, while the next is under way
            assert proxy.most_at_once() <= 32 + 4, (command, args, proxy.most_at_once())
    finally:
        proxy.stop()


def test_gc_many_at_a_time(month, server):
    """What is removed goes many at a time, after the same question as ever: is there a version that was not looked at?"""
    proxy = FaultProxy(server, latency_s=0.02)
    p = on_s3(month, server, "garbage", proxy.url)
    for part in ("raw", "prepare", "quarantine", "refine", "runs"):
        shutil.copytree(os.path.join(month.lake, part), os.path.join(p.files, part))
    windows = sorted(w for w in os.listdir(os.path.join(p.files, "raw", p.name, "flights")) if w != "grid")
    orphans = []
    for w in windows[:20]:
        segments = os.path.join(p.files, "raw", p.name, "flights", w, "g1", "segments")
        for k in range(3):
            orphans.append(os.path.join(segments, f"0-{k:064x}.warc.gz"))
            with open(orphans[-1], "wb") as f:
                f.write(b"nobody's")
    old = time.time() - 30 * 86400
    for k in range(80):
        folder = os.path.join(p.files, "prepare", p.name, "flights", "data", f"{k:032x}-{k:08x}")
        os.makedirs(folder)
        orphans.append(os.path.join(folder, "0.parquet"))
        with open(orphans[-1], "wb") as f:
            f.write(b"nobody's")
        os.utime(orphans[-1], (old, old))
    try:
        said = p.sluice("gc").out
        assert all(os.path.exists(x) for x in orphans) and "140" in said, said
        proxy.forget()
        p.sluice("gc", "--yes")
        assert not any(os.path.exists(x) for x in orphans)
        assert proxy.counts["DELETE"] == len(orphans)
        # each of the twenty windows is looked at again, by itself, before anything of it goes
        removals = proxy.rounds(of=lambda method, path: method == "DELETE")
        assert removals <= 20 * 2 + -(-80 // 32) + 4, removals
        checks = proxy.counts.get("HEAD", 0)
        assert -(-80 // 32) <= checks <= 20, proxy.counts
        proxy.forget()
        assert "Nothing to remove" in p.sluice("gc", "--yes").out
        assert "DELETE" not in proxy.counts
    finally:
        proxy.stop()
    q = on_s3(month, server, "garbage")
    assert q.digest() == month.undisturbed
    q.sluice("verify")


def test_plain_http_is_warned_of_once(disk, server):
    """Engines ask the lake, too, and say nothing. Standard output stays what it was."""
    one_day = ("--from", "2013-01-01", "--to", "2013-01-02")
    p = on_s3(disk, server, "plain", server.url.replace("127.0.0.1", "0.0.0.0"))
    done = p.sluice("run", *one_day, "--json")
    warnings = [line for line in done.err.splitlines() if "plain http" in line]
    assert len(warnings) == 1 and "s3://lakes/plain" in warnings[0] and "`s3.endpoint`" in warnings[0], done.err
    assert "plain http" not in json.dumps(done.json)
    p.sluice("verify")
    q = on_s3(disk, server, "plain")
    assert "plain http" not in q.sluice("run", *one_day).err
    other = p.on("s3://lakes/plain-2")
    other.environment = p.environment
    done = other.sluice("run", *one_day, "--raw-from", p.lake)
    assert done.err.count("plain http") == 1


def test_a_grid_whose_zone_is_none(disk, server, tmp_path):
    """The same damage as in a folder, with the same status, whoever meets it."""
    local, p = L.Project(disk.folder, str(tmp_path / "lake")), on_s3(disk, server, "zone")
    for q, files in ((local, local.lake), (p, p.files)):
        shutil.copytree(disk.lake, files)
        grid = os.path.join(files, "raw", q.name, "flights", "grid", "0.json")
        with open(grid, encoding="utf-8") as f:
            text = f.read()
        os.chmod(grid, 0o644)
        with open(grid, "w", encoding="utf-8") as f:
            f.write(text.replace("America/New_York", "America/Nex_York"))
        assert "America/Nex_York" in q.sluice("plan", *DAYS, status=8).err
        found = q.sluice("verify", status=8).out
        assert "grid/0.json" in found and "1 finding" in found and "America/Nex_York" in found, found


def test_gc_ends_what_nobody_finished(disk, server):
    """An upload of somebody who was killed, a week ago; a fresh one stays."""
    boto3 = pytest.importorskip("boto3")
    p = on_s3(disk, server, "unfinished")
    p.sluice("ingest", "--from", "2013-01-01", "--to", "2013-01-02")
    s3 = boto3.client("s3", endpoint_url=server.url, aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
                      aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1")
    s3.create_multipart_upload(Bucket="lakes", Key="unfinished/raw/x")
    p.sluice("gc", "--yes")
    left = s3.list_multipart_uploads(Bucket="lakes").get("Uploads", [])
    assert len(left) == 1  # it is new: somebody may be at it
    assert "Nothing to remove" in p.sluice("gc").out
    s3.abort_multipart_upload(Bucket="lakes", Key=left[0]["Key"], UploadId=left[0]["UploadId"])
