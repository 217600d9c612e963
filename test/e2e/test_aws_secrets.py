"""Secrets that AWS keeps, and where the credentials for them come from: against moto, and fakes on loopback."""
import json
import os
import subprocess

import pytest

import lake as L

pytest.importorskip("moto.server", reason="moto is not installed")
import aws  # noqa: E402

DAYS = ("--from", "2013-01-01", "--to", "2013-01-05")
TOKEN = "c4nary-first/Tok+en==2013"
SECOND = "c4nary-second/Tok+en==2014"
OFF = {"AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    m = aws.Moto(tmp_path_factory.mktemp("moto"))
    m.key, m.secret = m.user("sluice", "secretsmanager:GetSecretValue", "ssm:GetParameter")
    m.poor = m.user("poor", "s3:ListBucket")
    m.sts = m.user("roles", "sts:AssumeRole")
    m.client("secretsmanager").create_secret(Name="prod/api", SecretString=json.dumps({"other": "c4nary-beside-it", "token": TOKEN}))
    m.client("secretsmanager").create_secret(Name="plain", SecretString=TOKEN + "\n")
    m.client("secretsmanager").create_secret(Name="binary", SecretBinary=b"c4nary-binary")
    m.client("ssm").put_parameter(Name="/prod/token", Value=TOKEN, Type="SecureString")
    m.check_signatures()
    yield m
    m.stop()


def static(moto, **more):
    return {"AWS_ACCESS_KEY_ID": moto.key, "AWS_SECRET_ACCESS_KEY": moto.secret, "AWS_ENDPOINT_URL": moto.url, **OFF, **more}


def nothing_told(p, *done, secrets):
    places = L.secret_places(p.lake, secrets) if os.path.isdir(p.lake) else []
    assert places == []
    for d in done:
        for s in secrets:
            for form in L.spellings(s):
                assert form not in d.out.encode() and form not in d.err.encode(), d


def plain(p, *args):
    got = subprocess.run([L.SLUICE, *args], capture_output=True, text=True, timeout=L.TIMEOUT_S, env=p.environment(), cwd=p.folder)
    assert got.returncode == 0, got
    return L.Done(list(args), got.returncode, got.stdout, got.stderr)


@pytest.mark.parametrize("reference", ["aws-secret:prod/api#token", "aws-secret:plain", "aws-ssm:/prod/token"])
def test_a_run(tmp_path, moto, reference):
    with aws.Api(TOKEN) as api:
        p = aws.project(tmp_path / "p", api, reference, static(moto))
        done = p.sluice("ingest", *DAYS)
        assert api.refused == 0 and api.served == 12
    verified = p.sluice("verify")
    plan = p.sluice("plan", *DAYS)
    nothing_told(p, done, verified, plan, secrets=[TOKEN, "c4nary-beside-it", moto.secret])
    (record,) = p.records()
    assert "c4nary" not in json.dumps(record)


@pytest.mark.parametrize("reference, status, words", [
    ("aws-secret:nobody", 2, "Secrets Manager in eu-central-1 has none of that name"),
    ("aws-ssm:/nobody", 2, "Parameter Store in eu-central-1 has none of that name"),
    ("aws-secret:prod/api#toke", 2, "its JSON has no key toke"),
    ("aws-secret:plain#token", 2, "it is no JSON object"),
    ("aws-secret:binary", 2, "it is no text"),
])
def test_what_is_not_there(tmp_path, moto, reference, status, words):
    with aws.Api(TOKEN) as api:
        p = aws.project(tmp_path / "p", api, reference, static(moto))
        done = p.sluice("ingest", *DAYS, status=status)
        assert words in done.err and reference in done.err, done
        assert api.asked == []
    nothing_told(p, done, secrets=[TOKEN, "c4nary-beside-it", "c4nary-binary", moto.secret])


@pytest.mark.parametrize("more, words", [
    ({"AWS_SECRET_ACCESS_KEY": "c4nary-wrong-secret-key"}, "SignatureDoesNotMatch"),
    ({"AWS_ACCESS_KEY_ID": "AKIANOBODY"}, "status 4"),
    ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no AWS credentials"),
    ({"AWS_REGION": ""}, "the AWS region is not known"),
    ({"AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://secrets.example.com"}, "over plain http"),
])
def test_credentials_that_do_not_do(tmp_path, moto, more, words):
    with aws.Api(TOKEN) as api:
        p = aws.project(tmp_path / "p", api, "aws-secret:plain", static(moto, **more))
        done = p.sluice("ingest", *DAYS, status=2)
        assert words in done.err, done
    nothing_told(p, done, secrets=[TOKEN, moto.secret, "c4nary-wrong-secret-key"])


def test_somebody_who_may_not(tmp_path, moto):
    with aws.Api(TOKEN) as api:
        env = static(moto, AWS_ACCESS_KEY_ID=moto.poor[0], AWS_SECRET_ACCESS_KEY=moto.poor[1])
        p = aws.project(tmp_path / "p", api, "aws-secret:plain", env)
        done = p.sluice("ingest", *DAYS, status=2)
        assert "AccessDenied" in done.err, done
    nothing_told(p, done, secrets=[TOKEN, moto.poor[1]])


def test_an_endpoint_that_is_down(tmp_path, moto):
    with aws.Api(TOKEN) as api:
        p = aws.project(tmp_path / "p", api, "aws-secret:plain", static(moto, AWS_ENDPOINT_URL=f"http://127.0.0.1:{aws.free_port()}"))
        done = p.sluice("ingest", *DAYS, status=3)
        assert "AWS secretsmanager (127.0.0.1:" in done.err and api.asked == [], done


def test_init_takes_one(tmp_path, moto):
    with aws.Api(TOKEN) as api:
        p = aws.project(tmp_path / "p", api, "env:UNUSED", static(moto))
        os.remove(p.file)
        done = plain(p, "init", "--bearer", "aws-secret:prod/api#token", api.url + "/v1/things?date=2013-01-01&page=1")
        assert api.refused == 0 and api.served == 1
    with open(p.file, encoding="utf-8") as f:
        text = f.read()
    assert "aws-secret:prod/api#token" in text and "c4nary" not in text
    nothing_told(p, done, secrets=[TOKEN, moto.secret])


def test_check_fetches_nothing(tmp_path):
    def nobody(*_):
        return 500, ""
    with aws.Server(nobody) as server, aws.Api(TOKEN) as api:
        p = aws.project(tmp_path / "p", api, "aws-secret:prod/api#token", {"AWS_ENDPOINT_URL": server.url})
        done = p.sluice("check")
        assert f"a run fetches aws-secret:prod/api#token from Secrets Manager in eu-central-1, asked at {server.url}" in done.out
        del p.secrets["AWS_REGION"]
        done = p.sluice("check")
        assert "the AWS region is not known" in done.out + done.err
        assert server.asked == [] and api.asked == []


def manager(texts):
    """A Secrets Manager whose secret is texts[0], texts[1], ... and then the last one for ever."""
    texts = list(texts)

    def answer(method, path, headers, body):
        text = texts.pop(0) if len(texts) > 1 else texts[0]
        return 200, json.dumps({"Name": "x", "SecretString": text})
    return aws.Server(answer)


@pytest.mark.parametrize("in_flight", [1, 4])
def test_a_secret_that_is_changed_meanwhile(tmp_path, in_flight):
    """The API takes the new token only, from the sixth request on: the run goes on with it, and loses and doubles nothing."""
    def change(api, n):
        if n == 6:
            api.token = SECOND
    keys = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "c4nary-key-of-ours", **OFF}
    with manager([TOKEN, SECOND]) as secrets, aws.Api(TOKEN, change) as api:
        p = aws.project(tmp_path / "p", api, "aws-secret:x", {**keys, "AWS_ENDPOINT_URL_SECRETS_MANAGER": secrets.url},
                        in_flight)
        done = p.sluice("ingest", *DAYS)
        assert len(secrets.asked) == 2 and 1 <= api.refused <= in_flight
        api_refused = api.refused
    assert "c4nary" not in json.dumps(p.records())
    p.sluice("verify")
    nothing_told(p, done, secrets=[TOKEN, SECOND, "c4nary-key-of-ours"])
    with aws.Api(TOKEN) as api:
        calm = aws.project(tmp_path / "q", api, "env:TOKEN_Q", {"TOKEN_Q": TOKEN})
        calm.sluice("ingest", *DAYS)
    pages = {}
    for q in (p, calm):
        pages[q] = [(resource, window, [page["body"] for e, _ in L.entries(folder) for page in e.get("pages", [])])
                    for resource, window, _, folder in L.generations(q.lake, "p")]
    assert pages[p] == pages[calm] and len(pages[p]) == 4
    (record,) = p.records()
    (told,) = record["resources"]
    assert (told["windows_fetched"], told["windows_failed"], told["pages"], told["resumed_pages"]) == (4, 0, 12, 0)
    assert told["requests"] == 12 + api_refused and told["failed_attempts"] >= 1


@pytest.mark.parametrize("denial", [401, 403])
def test_rotations_under_way(tmp_path, moto, denial):
    """Secrets Manager has another version twice while a run is under way, and the API refuses the one before, in either way."""
    tokens = ["c4nary-rotated/one+1==", "c4nary-rotated/two+2==", "c4nary-rotated/three+3=="]
    manager_of_moto = moto.client("secretsmanager", moto.key, moto.secret)
    setup = moto.client("secretsmanager")
    moto.check_signatures(False)
    setup.create_secret(Name=f"rotated-{denial}", SecretString=json.dumps({"token": tokens[0]}))
    moto.check_signatures()
    rotated = []

    def rotate(api, n):
        if n in (4, 9):
            api.token = tokens[len(rotated) + 1]
            moto.check_signatures(False)
            rotated.append(setup.put_secret_value(SecretId=f"rotated-{denial}", SecretString=json.dumps({"token": api.token})))
            moto.check_signatures()
    with aws.Api(tokens[0], rotate, denial) as api:
        p = aws.project(tmp_path / "p", api, f"aws-secret:rotated-{denial}#token", static(moto))
        done = p.sluice("ingest", *DAYS)
        assert len(rotated) == 2 and api.refused == 2 and api.served == 12
    now = manager_of_moto.get_secret_value(SecretId=f"rotated-{denial}")
    assert now["VersionId"] == rotated[1]["VersionId"] and json.loads(now["SecretString"]) == {"token": tokens[2]}
    p.sluice("verify")
    (told,) = p.records()[0]["resources"]
    assert (told["windows_fetched"], told["windows_failed"], told["pages"], told["resumed_pages"]) == (4, 0, 12, 0)
    nothing_told(p, done, secrets=[*tokens, moto.secret])


def test_a_refusal_that_is_no_matter_of_the_secret(tmp_path):
    """403 also says that somebody may not do this. A secret that AWS keeps is looked at once more; others are what they were."""
    keys = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "c4nary-key-of-ours", **OFF}
    with manager([TOKEN]) as secrets, aws.Api("another", denial=403) as api:
        p = aws.project(tmp_path / "p", api, "aws-secret:x", {**keys, "AWS_ENDPOINT_URL": secrets.url})
        done = p.sluice("ingest", *DAYS, status=3)
        assert len(secrets.asked) == 2 and api.refused == 1 and "403" in done.err
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)

    def change(api, n):
        (tmp_path / "token").write_text(SECOND)
    with aws.Api("another", change, 403) as api:
        p = aws.project(tmp_path / "q", api, f"file:{tmp_path}/token", {})
        p.sluice("ingest", *DAYS, status=3)
        assert api.refused == 1


def test_a_secret_that_is_new_each_time_is_no_loop(tmp_path):
    keys = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "c4nary-key-of-ours", **OFF}
    texts = [f"c4nary-version-{i}-of-many" for i in range(100)]
    with manager(texts) as secrets, aws.Api("another") as api:
        p = aws.project(tmp_path / "p", api, "aws-secret:x", {**keys, "AWS_ENDPOINT_URL": secrets.url})
        p.sluice("ingest", *DAYS, status=3)
        assert len(secrets.asked) == 2 and api.refused == 2


def test_a_secret_file_that_is_changed_meanwhile(tmp_path):
    """Tokens that a platform writes into files are the same matter."""
    def change(api, n):
        if n == 6:
            api.token = SECOND
            (tmp_path / "token").write_text(SECOND)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    with aws.Api(TOKEN, change) as api:
        p = aws.project(tmp_path / "p", api, f"file:{tmp_path}/token", {})
        done = p.sluice("ingest", *DAYS)
    nothing_told(p, done, secrets=[TOKEN, SECOND])


def test_a_secret_that_stays_refused(tmp_path):
    """Once more, not for ever: the same secret again ends the run as it did before, another one that is refused too."""
    keys = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "c4nary-key-of-ours", **OFF}
    for texts, refused in (([TOKEN], 1), ([TOKEN, SECOND], 2)):
        with manager(texts) as secrets, aws.Api("another") as api:
            p = aws.project(tmp_path / str(refused), api, "aws-secret:x", {**keys, "AWS_ENDPOINT_URL": secrets.url})
            done = p.sluice("ingest", *DAYS, status=3)
            assert len(secrets.asked) == 2 and api.refused == refused, (len(secrets.asked), api.refused)
        nothing_told(p, done, secrets=[TOKEN, SECOND, "c4nary-key-of-ours"])


# ── where credentials come from ──

def json_credentials(key):
    return json.dumps({"Code": "Success", "Version": 1, "AccessKeyId": key, "SecretAccessKey": "c4nary-secret-of-" + key,
                       "Token": "c4nary-token-of-" + key, "SessionToken": "c4nary-token-of-" + key,
                       "Expiration": "2099-01-01T00:00:00Z"})


def container(folder, home):
    def answer(method, path, headers, body):
        if headers.get("Authorization") != "c4nary-container":
            return 401, "{}"
        return 200, json_credentials("AKCONTAINER")
    (folder / "container-token").write_text("c4nary-container\n")
    server = aws.Server(answer)
    return server, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url + "/creds",
                    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(folder / "container-token")}


def instance(folder, home):
    def answer(method, path, headers, body):
        if method == "PUT" and path == "/latest/api/token":
            return (200, "c4nary-imds") if headers.get("X-aws-ec2-metadata-token-ttl-seconds") else (400, "")
        if headers.get("X-aws-ec2-metadata-token") != "c4nary-imds":
            return 401, ""
        base = "/latest/meta-data/iam/security-credentials/"
        if path == "/latest/meta-data/placement/region":
            return 200, "ap-south-1"
        return (200, "role") if path == base else (200, json_credentials("AKINSTANCE")) if path == base + "role" else (404, "")
    server = aws.Server(answer)  # where nobody says a region, it is the instance's
    return server, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url, "AWS_REGION": ""}


def files(folder, home):
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text("[default]\naws_access_key_id=AKFILE\naws_secret_access_key=c4nary-in-a-file\n")
    (home / ".aws" / "credentials").chmod(0o600)
    return None, {}


def process(folder, home):
    (home / ".aws").mkdir()
    (folder / "creds.json").write_text(json_credentials("AKPROCESS"))
    (home / ".aws" / "config").write_text(f"[profile p]\ncredential_process = cat '{folder}/creds.json'\nregion = us-west-2\n")
    return None, {"AWS_PROFILE": "p", "AWS_REGION": ""}


@pytest.mark.parametrize("source, key, more", [(container, "AKCONTAINER", {}), (instance, "AKINSTANCE", {}), (files, "AKFILE", OFF),
                                               (process, "AKPROCESS", OFF)], ids=["container", "instance", "files", "process"])
def test_sources_of_credentials(tmp_path, source, key, more):
    with manager([TOKEN]) as secrets, aws.Api(TOKEN) as api:
        p = aws.project(tmp_path / "p", api, "aws-secret:x", {"AWS_ENDPOINT_URL": secrets.url, "SLUICE_PROXY": "", **more})
        server, env = source(tmp_path, tmp_path / "p" / "home")
        p.secrets.update(env)
        done = p.sluice("ingest", *DAYS)
        (asked,) = secrets.asked
        region = {process: "us-west-2", instance: "ap-south-1"}.get(source, "eu-central-1")
        assert f"Credential={key}/" in asked[2]["Authorization"] and f"/{region}/secretsmanager/" in asked[2]["Authorization"]
        if server:
            server.__exit__()
    assert L.secret_places(p.lake, [TOKEN, "c4nary"]) == []
    assert "c4nary" not in done.out + done.err


def test_a_proxy_is_not_shown_the_credentials(tmp_path):
    """What lies beside us is asked past SLUICE_PROXY, with what it answers; everything else through it, and encrypted."""
    def proxy(*_):
        return 502, ""
    with aws.Server(proxy) as between, aws.Api(TOKEN) as api:
        server, env = container(tmp_path, None)
        for name, url in (("beside", "http://127.0.0.1:9"), ("elsewhere", "https://secrets.test:9")):
            p = aws.project(tmp_path / name, api, "aws-secret:x", {"AWS_ENDPOINT_URL": url, "SLUICE_PROXY": between.url})
            p.secrets.update(env)
            done = p.sluice("ingest", *DAYS, status=3)
            assert url[-14:].split("/")[-1] in done.err and server.asked, done.err
            if name == "beside":
                assert between.asked == []
        assert between.asked and all(asked[:2] == ("CONNECT", "secrets.test:9") for asked in between.asked)
        server.__exit__()


@pytest.mark.parametrize("kind", ["web identity", "role of a profile"])
def test_roles_by_sts(tmp_path, moto, kind):
    home = tmp_path / "p" / "home"
    with manager([TOKEN]) as secrets, aws.Api(TOKEN) as api:
        p = aws.project(tmp_path / "p", api, "aws-secret:x",
                        {"AWS_ENDPOINT_URL_STS": moto.url, "AWS_ENDPOINT_URL_SECRETS_MANAGER": secrets.url, **OFF})
        role = "arn:aws:iam::123456789012:role/reader"
        if kind == "web identity":
            (tmp_path / "jwt").write_text("c4nary.web.identity")
            p.secrets.update({"AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "jwt"), "AWS_ROLE_ARN": role})
            moto.check_signatures(False)  # moto wants one here, too; the service does not
        else:
            (home / ".aws").mkdir()
            (home / ".aws" / "config").write_text(
                f"[profile r]\nrole_arn = {role}\nsource_profile = base\n"
                f"[profile base]\naws_access_key_id = {moto.sts[0]}\naws_secret_access_key = {moto.sts[1]}\n")
            (home / ".aws" / "config").chmod(0o600)
            p.secrets["AWS_PROFILE"] = "r"
        try:
            done = p.sluice("ingest", *DAYS)
        finally:
            moto.check_signatures()
        (asked,) = secrets.asked
        assert "Credential=ASIA" in asked[2]["Authorization"] and asked[2]["X-Amz-Security-Token"]
    nothing_told(p, done, secrets=[TOKEN, "c4nary.web.identity", moto.sts[1]])
