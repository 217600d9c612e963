"""Who is asked past the proxy: curl's rule, and nobody on this machine is asked through it."""
import json
import os
import shutil
import subprocess

import pytest

import aws
import lake as L
from s3_server import S3Project, Server

CASES = [json.loads(line) for line in open(os.path.join(L.ROOT, "test/case/driver/no_proxy.ndjson"), encoding="utf-8")]


def test_curl_has_the_same_rule():
    """The unit test holds us against these cases; this one curl itself."""
    if not shutil.which("curl"):
        pytest.skip("no curl on PATH")

    def here(*_):
        return 200, "direct"

    def proxy(*_):
        return 502, "proxy"
    with aws.Server(here) as server, aws.Server(proxy) as between:
        for c in CASES:
            if c["host"].startswith("["):  # versions before 8 take them for names here
                continue
            between.asked.clear()
            subprocess.run(["curl", "-s", "-o", "/dev/null", "-x", between.url, "--noproxy", c["no_proxy"], "--max-time", "20",
                            "--connect-to", f"::127.0.0.1:{server.server_port}", f"http://{c['host']}/"], check=False,
                           env={"PATH": os.environ["PATH"]})
            assert (between.asked == []) == c["direct"], c


def test_a_lake_on_this_machine(tmp_path):
    """API and S3 server on loopback, and SLUICE_PROXY set: neither is asked through the proxy, unless somebody wants that."""
    server = Server(tmp_path)

    def proxy(*_):
        return 502, "no"
    try:
        with aws.Server(proxy) as between, aws.Api("c4nary-token") as api:
            p = aws.project(tmp_path / "p", api, "env:TOKEN", {})
            q = S3Project(p.folder, "s3://lakes/x", server.url)
            more = {"SLUICE_PROXY": between.url, "TOKEN": "c4nary-token"}
            inherited = q.environment
            q.environment = lambda: {**inherited(), **more}
            q.sluice("ingest", "--from", "2013-01-01", "--to", "2013-01-03")
            assert between.asked == [] and api.served == 6
            assert "Nothing to do" in q.sluice("ingest", "--from", "2013-01-01", "--to", "2013-01-03").out
            more["NO_PROXY"] = "elsewhere.test"  # is not the whole rule
            q.sluice("digest")
            assert between.asked == []
            more["SLUICE_PROXY_LOOPBACK"] = "true"
            done = q.sluice("digest", status=7)
            assert between.asked and "502" in done.err
            between.asked.clear()
            more["NO_PROXY"] = "elsewhere.test, 127.0.0.0/8"
            q.sluice("digest")
            assert between.asked == []
    finally:
        server.stop()
