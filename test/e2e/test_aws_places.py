"""Regions and endpoints as botocore finds them, over the same cases that the unit test holds us against; logins of IAM Identity
Center as botocore reads them; and a command for credentials that ends when the run is asked to."""
import json
import os
import signal
import subprocess
import sys
import time

import pytest

import lake as L

botocore_session = pytest.importorskip("botocore.session", reason="botocore is not installed")
import aws  # noqa: E402
from s3_server import S3Project  # noqa: E402

CASES = [json.loads(line) for line in open(os.path.join(L.ROOT, "test/case/driver/aws_places.ndjson"), encoding="utf-8")]
SERVICES = {"S3": "s3", "STS": "sts", "SECRETS_MANAGER": "secretsmanager", "SSM": "ssm"}
AMBIENT = [k for k in os.environ if k.startswith("AWS_")]


def write_files(folder, files):
    for name, text in files.items():
        path = os.path.join(str(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as f:
            f.write(text)
        os.chmod(path, 0o600)


@pytest.mark.parametrize("case", CASES, ids=[c["name"] for c in CASES])
def test_botocore_says_the_same(tmp_path, monkeypatch, case):
    from botocore.exceptions import BotoCoreError
    for name in AMBIENT:
        monkeypatch.delenv(name)
    for name, value in case["env"].items():
        monkeypatch.setenv(name, value.replace("$DIR", str(tmp_path)))
    write_files(tmp_path, case["files"])
    want = case["want"]

    def client(service, region=None):
        session = botocore_session.Session()
        return session.create_client(service, region_name=region, aws_access_key_id="a", aws_secret_access_key="b")
    if want["region"] is not None:
        assert (botocore_session.Session().get_config_variable("region") or "") == want["region"]
    if "ca_bundle" in want:
        assert (botocore_session.Session().get_config_variable("ca_bundle") or "") == want["ca_bundle"]
    if want["error"] == "region":
        with pytest.raises((BotoCoreError, ValueError)):
            client("ssm")
    elif "host" in want:
        assert client("ssm").meta.endpoint_url == "https://" + want["host"]
    for service, endpoint in want["endpoints"].items():
        if endpoint is None:
            with pytest.raises(BotoCoreError):
                client(SERVICES[service], "eu-central-1")
            continue
        got = client(SERVICES[service], "eu-central-1").meta.endpoint_url
        assert got == endpoint if endpoint else "amazonaws" in got or "host" in want


def portal(keys):
    """What aws sso login's token is good for."""
    def answer(method, path, headers, body):
        if headers.get("x-amz-sso_bearer_token") != "c4nary-access-token":
            return 401, json.dumps({"message": "Session token not found or invalid"}), {"x-amzn-ErrorType": "UnauthorizedException"}
        return 200, json.dumps({"roleCredentials": {"accessKeyId": keys, "secretAccessKey": "c4nary-secret", "sessionToken": "c4nary-tok",
                                                    "expiration": int(time.time() + 3600) * 1000}})
    return aws.Server(answer)


@pytest.mark.parametrize("form", ["session", "start url"])
def test_a_login_of_identity_center(tmp_path, form):
    """The token lies where botocore puts it; botocore's and our own question of the portal are the same."""
    from botocore.utils import JSONFileCache, SSOTokenLoader
    home = tmp_path / "p" / "home"
    session = "sso_session = my corp\n" if form == "session" else "sso_start_url = https://corp.example/start\nsso_region = eu-north-1\n"
    config = ("[profile s]\nsso_account_id = 123456789012\nsso_role_name = Read+Only\nregion = eu-west-1\n" + session +
              "[sso-session \"my corp\"]\nsso_region = eu-north-1\nsso_start_url = https://corp.example/start\n")
    secret = aws.Server(lambda *_: (200, json.dumps({"Name": "x", "SecretString": "c4nary-of-the-api"})))
    with portal("AKSSO") as login, secret, aws.Api("c4nary-of-the-api") as api:
        p = aws.project(tmp_path / "p", api, "aws-secret:x", {
            "AWS_REGION": "", "AWS_PROFILE": "s", "AWS_ENDPOINT_URL_SSO": login.url, "AWS_ENDPOINT_URL_SECRETS_MANAGER": secret.url,
            "AWS_EC2_METADATA_DISABLED": "true"})
        write_files(home, {".aws/config": config})
        done = p.sluice("ingest", "--from", "2013-01-01", "--to", "2013-01-02", status=2)
        assert "aws sso login --profile s" in done.err and login.asked == []
        for year in (2013, 2099):
            SSOTokenLoader(JSONFileCache(str(home / ".aws" / "sso" / "cache"))).save_token(
                "https://corp.example/start", {"startUrl": "https://corp.example/start", "region": "eu-north-1",
                                               "accessToken": "c4nary-access-token", "expiresAt": f"{year}-01-01T00:00:00Z"},
                "my corp" if form == "session" else None)
            if year == 2013:
                done = p.sluice("ingest", "--from", "2013-01-01", "--to", "2013-01-02", status=2)
                assert "the login ended at 2013-01-01" in done.err and "aws sso login --profile s" in done.err and login.asked == []
        done = p.sluice("ingest", "--from", "2013-01-01", "--to", "2013-01-02")
        (asked,) = login.asked
        assert "Credential=AKSSO/" in secret.asked[0][2]["Authorization"] and "/eu-west-1/" in secret.asked[0][2]["Authorization"]
        program = "import botocore.session as b; print(b.Session().get_credentials().get_frozen_credentials().access_key)"
        theirs = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True,
                                env={"PATH": os.environ["PATH"], **p.secrets})
        assert theirs.stdout.strip() == "AKSSO"
        assert [a[:2] for a in login.asked] == [asked[:2]] * 2, login.asked
    assert "c4nary" not in done.out + done.err and L.secret_places(p.lake, ["c4nary"]) == []


def alive(group):
    return subprocess.run(["pgrep", "-g", str(group)], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stop_does_not_wait_for_credentials(tmp_path, number, status):
    """credential_process hangs: a signal ends it with all that it has begun, and the program at once."""
    p = S3Project(tmp_path, "s3://lakes/x", "http://127.0.0.1:9")
    with open(p.file, "w", encoding="utf-8") as f:
        f.write("pipeline: p\nlake: s3://lakes/x\nsource: {url: 'http://127.0.0.1:9/'}\n"
                "resources: {a: {path: /a, kind: snapshot, records: d, paginate: none}}\n")
    write_files(tmp_path, {"home/.aws/config": "[default]\nregion = eu-central-1\ncredential_process = "
                           f"echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; sleep 55 & sleep 55; true\n"})
    environment = {**L.Project.environment(p), "HOME": str(tmp_path / "home"), "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    p.environment = lambda: environment
    run = p.begin("plan")
    until = time.monotonic() + 30
    while not (tmp_path / "pid").exists() and time.monotonic() < until and run.poll() is None:
        time.sleep(0.01)
    group = int((tmp_path / "pid").read_text())
    assert alive(group)
    began = time.monotonic()
    run.send_signal(number)
    out, err = run.communicate(timeout=60)
    assert run.returncode == status and time.monotonic() - began < 10, (run.returncode, err)
    assert b"stopped by a signal" in err
    while alive(group) and time.monotonic() - began < 10:  # its descendants are init's to reap
        time.sleep(0.01)
    assert not alive(group)
