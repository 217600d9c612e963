"""The Docker image, where a daemon runs and has one of this revision; and AWS on one laptop, in processes."""
import os
import re
import subprocess

import pytest

import lake as L


def call(*command, seconds=300, **environment):
    return subprocess.run(command, cwd=L.ROOT, env={**os.environ, "SLUICE_DEPS": L.DEPS, "SLUICE_BIN_DIR": L.BIN, **environment},
                          capture_output=True, text=True, timeout=seconds)


def test_image():
    try:
        if call("docker", "info", seconds=20).returncode != 0:
            pytest.skip("no Docker daemon answers")
    except (OSError, subprocess.TimeoutExpired):
        pytest.skip("no docker here")
    label = call("docker", "image", "inspect", "-f", '{{index .Config.Labels "org.opencontainers.image.revision"}}', "sluice:latest")
    head = call("git", "rev-parse", "HEAD").stdout.strip()
    if label.returncode != 0 or not head or label.stdout.strip() != head:
        pytest.skip("there is no image of this revision (make image)")
    got = call("tools/image-test", "--quick")
    assert got.returncode == 0 and not re.search("(?m)^not ok", got.stdout), got.stdout + got.stderr


def test_aws_on_a_laptop():
    if not os.access(os.path.join(L.DEPS, "versitygw", "versitygw"), os.X_OK):
        pytest.skip("no versitygw (tools/setup s3 builds it where there is Go)")
    before = set(os.listdir(os.path.join(L.ROOT, "build")))
    got = call("tools/local-aws", "--with", "processes", "--to", "2013-01-04")
    assert got.returncode == 0, got.stdout + got.stderr
    said = re.search(r"answer: (\{.*\})", got.stdout).group(1)
    assert "'status': 'done'" in said and "'fetched': 9" in said, "three days of two resources, three snapshots"
    assert "0 of 3 windows to fetch, 3 to prepare" in got.stdout, "the run finds what the function brought"
    for key, what in (("raw/nycflights/flights", "3 windows"), ("prepare/nycflights/flights", "2,699 rows"),
                      ("refine/nycflights/daily_operations", "9 rows")):
        assert re.search(rf"s3://lakes/demo/{key}/ +{what}\n", got.stdout), got.stdout
    assert "local-aws" not in " ".join(set(os.listdir(os.path.join(L.ROOT, "build"))) - before), "its files are gone"


def test_aws_on_a_laptop_that_keeps_running():
    """The lines that it prints do what they say."""
    if not os.access(os.path.join(L.DEPS, "versitygw", "versitygw"), os.X_OK):
        pytest.skip("no versitygw (tools/setup s3 builds it where there is Go)")
    before = set(os.listdir(os.path.join(L.ROOT, "build")))
    got = call("tools/local-aws", "--with", "processes", "--to", "2013-01-02", "--keep")
    said = dict(re.findall(r"(?m)^  (the lake|the function|to stop it) +(.*)$", got.stdout))
    try:
        assert set(said) == {"the lake", "the function", "to stop it"}, got.stdout + got.stderr
        assert "s3://lakes/demo" in call("sh", "-c", said["the lake"]).stdout
        answer = call("sh", "-c", said["the function"])
        assert answer.returncode == 0 and '"status":"done"' in answer.stdout, answer
    finally:
        assert call("sh", "-c", said["to stop it"]).returncode == 0
    assert "local-aws" not in " ".join(set(os.listdir(os.path.join(L.ROOT, "build"))) - before), "its files are gone"
