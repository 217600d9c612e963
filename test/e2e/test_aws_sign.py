"""Our signatures against those of botocore: a few thousand generated requests, header and query signing, S3 and others.
The other side is the unit test's program, which prints what it signs for a file of cases."""
import datetime
import json
import os
import random
import subprocess
import urllib.parse

import pytest

auth = pytest.importorskip("botocore.auth", reason="botocore is not installed")
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEV = os.environ.get("SLUICE_DEV_BIN_DIR", os.path.join(ROOT, "build", "dev", "bin"))
SIGNER = os.path.join(os.path.dirname(DEV), "unit", "unit_driver_aws_sign_test")
CASES, SEED = 4000, 20261122

PARTS = ["a", "B9", "-_.~", "=", "+", " ", "%", "%2F", "%20", "&", "?", "#", "ä", "日本", "😀", "'", "\"", "<", ">", "*", "!",
         "(", ")", "@", ":", ";", ",", "$", "[", "]", "{", "}", "|", "\\", "^", "`", "\u00a0", "\u0301", "2013=01", "x.gz",
         "\x01", "\x7f", "+=", "~", "..", "."]
TOKENS = ["1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=", "a+b/c%2B==", "x" * 300, "%2B%2F"]
HEADERS = [("Range", "bytes=0-99"), ("Content-Type", "application/x-ndjson; charset=utf-8"), ("If-None-Match", "*"),
           ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="), ("X-AMZ-Meta-Many", "a   b\t c"), ("x-amz-meta-blank", ""),
           ("x-amz-meta-edges", "  two  "), ("X-Amz-Target", "secretsmanager.GetSecretValue"), ("User-Agent", "sluice"),
           ("X-Amzn-Trace-Id", "Root=1"), ("x-amz-meta-same", "1"), ("x-amz-meta-same", "2"), ("Content-MD5", "XrY7u+Ae7tCTyyK7j1rNww=="),
           ("Accept", "*/*"), ("Cache-Control", "no-store"), ("a-b", "1"), ("a1", "2"), ("a", "3"), ("Te", "gzip")]
HOSTS = ["bucket.s3.eu-central-1.amazonaws.com", "sts.amazonaws.com", "Bucket.Example.COM", "127.0.0.1:9000", "localhost:80",
         "localhost:443", "[::1]:9000", "minio.internal:8443"]


def text(rng, most):
    return "".join(rng.choice(PARTS) for _ in range(rng.randint(1, most)))


def path(rng):
    folders = [text(rng, 4) if rng.random() < 0.8 else rng.choice(["", ".", "..", "a"]) for _ in range(rng.randint(0, 5))]
    return "/" + "/".join(folders)


def case(rng):
    s3, presigned = rng.random() < 0.5, rng.random() < 0.4
    pairs = [(text(rng, 2), rng.choice([lambda: "", lambda: text(rng, 5), lambda: rng.choice(TOKENS)])())
             for _ in range(rng.randint(0, 5))]
    if rng.random() < 0.4:
        pairs += [("list-type", "2"), ("continuation-token", rng.choice(TOKENS)), ("start-after", text(rng, 3)), ("prefix", "")]
    if presigned:  # botocore keeps one value of a name there
        pairs = list(dict(pairs).items())
    elif pairs and rng.random() < 0.3:
        pairs.append((pairs[0][0], text(rng, 2)))
    rng.shuffle(pairs)
    return {
        "kind": "query" if presigned else "header",
        "method": rng.choice(["GET", "PUT", "POST", "HEAD", "DELETE"]),
        "scheme": rng.choice(["https", "http"]),
        "host": rng.choice(HOSTS),
        "path": path(rng),
        "query": pairs,
        "headers": [list(h) for h in rng.sample(HEADERS, rng.randint(0, 6))],
        "payload": rng.choice(["UNSIGNED-PAYLOAD", "%064x" % rng.getrandbits(256)]),
        "region": rng.choice(["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"]),
        "service": "s3" if s3 else rng.choice(["sts", "secretsmanager", "ssm", "execute-api", "es"]),
        "time": rng.randint(1400000000, 4000000000) * 1000000 + rng.randint(0, 999999),
        "access": rng.choice(["AKIDEXAMPLE", "ASIA" + "X" * 16]),
        "secret": rng.choice(["wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "short", "k" * 60, "k" * 61, "long" * 40]),
        "token": rng.choice(["", "", "IQoJb3JpZ2luX2VjE+/=" * 20]),
        "lifetime": rng.randint(1, 604800),
    }


def judge(c, monkeypatch):
    """URL and headers as botocore signs them."""
    now = datetime.datetime.fromtimestamp(c["time"] // 1000000, datetime.timezone.utc)
    monkeypatch.setattr(auth, "get_current_datetime", lambda *a, **k: now)
    s3, presigned = c["service"] == "s3", c["kind"] == "query"
    base = {(True, False): auth.S3SigV4Auth, (True, True): auth.S3SigV4QueryAuth,
            (False, False): auth.SigV4Auth, (False, True): auth.SigV4QueryAuth}[s3, presigned]
    if s3 and presigned:
        signer = base
    else:
        signer = type("Given", (base,), {"payload": lambda self, request: c["payload"]})
    url = c["scheme"] + "://" + c["host"] + urllib.parse.quote(c["path"], safe="/~")
    if c["query"]:
        url += "?" + "&".join(urllib.parse.quote(n, safe="-_.~") + "=" + urllib.parse.quote(v, safe="-_.~")
                              for n, v in c["query"])
    request = AWSRequest(method=c["method"], url=url)
    for name, value in c["headers"]:
        request.headers[name] = value  # an e-mail message's headers: this adds
    more = {"expires": c["lifetime"]} if presigned else {}
    signer(Credentials(c["access"], c["secret"], c["token"] or None), c["service"], c["region"], **more).add_auth(request)
    given = {n.lower() for n, _ in c["headers"]}
    return request.url, {n.lower(): v for n, v in request.headers.items() if n.lower() not in given}


def plain(url):
    """What two URLs have in common if only the order of parameters differs; the default port and the host's case are free."""
    u = urllib.parse.urlsplit(url)
    default = {"https": 443, "http": 80}[u.scheme]
    port = u.port if u.port != default else None
    return u.scheme, u.hostname, port, u.path, sorted(urllib.parse.parse_qsl(u.query, keep_blank_values=True))


def test_botocore_signs_the_same(tmp_path, monkeypatch):
    rng = random.Random(SEED)
    cases = [case(rng) for _ in range(CASES)]
    with open(tmp_path / "cases", "w", encoding="utf-8") as f:
        f.writelines(json.dumps(c, ensure_ascii=False) + "\n" for c in cases)
    out = subprocess.run([SIGNER, str(tmp_path / "cases")], capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert out.returncode == 0, out.stderr
    lines = out.stdout.split("\n")[:-1]
    assert len(lines) == len(cases)
    kinds = set()
    for c, line in zip(cases, lines):
        ours = line.split("\t")
        url, headers = judge(c, monkeypatch)
        assert plain(ours[0]) == plain(url), c
        assert {n.lower(): v for n, v in zip(ours[1::2], ours[2::2])} == headers, c
        assert c["secret"] not in line or c["secret"] == "short"
        kinds.add((c["kind"], c["service"] == "s3"))
    assert len(kinds) == 4
