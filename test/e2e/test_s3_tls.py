"""A lake behind TLS with a CA of one's own: the right one works for every process of a run, all else is an error that names
the setting, and nothing goes out unencrypted."""
import datetime
import ipaddress
import os
import re
import shutil
import ssl
import tempfile

import pytest

import aws
import lake as L
from s3_server import KEYS, S3Project, Server, free_port

x509 = pytest.importorskip("cryptography.x509", reason="cryptography is not installed")
pytest_plugins = ["lake_fixtures"]

DAYS = ("--from", "2013-01-01", "--to", "2013-01-02")


class Authority:
    def __init__(self, folder, name):
        from cryptography.hazmat.primitives.asymmetric import ec
        self.folder, self.name, self.key = str(folder), name, ec.generate_private_key(ec.SECP256R1())
        self.certificate = self.sign(name, self.key, None)
        self.file = self.write(f"{name}.pem", self.certificate)

    def sign(self, name, key, hosts):
        from cryptography.hazmat.primitives import hashes
        now = datetime.datetime.now(datetime.timezone.utc)
        names = [x509.NameAttribute(x509.NameOID.COMMON_NAME, n) for n in (name, self.name)]
        b = (x509.CertificateBuilder().subject_name(x509.Name(names[:1])).issuer_name(x509.Name(names[1:])).public_key(key.public_key())
             .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
             .not_valid_after(now + datetime.timedelta(days=7))
             .add_extension(x509.BasicConstraints(ca=hosts is None, path_length=None), critical=True)
             .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
             .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False))
        if hosts is not None:
            b = b.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        return b.sign(self.key, hashes.SHA256())

    def write(self, name, certificate, key=None):
        from cryptography.hazmat.primitives import serialization as s
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(certificate.public_bytes(s.Encoding.PEM))
        if key:
            with open(path + ".key", "wb") as f:
                f.write(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
        return path

    def server(self, *hosts):
        """Files of a certificate for these hosts, and of its key."""
        from cryptography.hazmat.primitives.asymmetric import ec
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.IPAddress(ipaddress.ip_address(h)) if re.fullmatch(r"[\d.]+", h) else x509.DNSName(h) for h in hosts]
        path = self.write(f"{self.name}-{len(os.listdir(self.folder))}.pem", self.sign(hosts[0], key, names), key)
        return path, path + ".key"


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


@pytest.fixture(scope="module")
def server(tmp_path_factory, ours):
    s = Server(tmp_path_factory.mktemp("tls"), tls=ours.server("localhost", "127.0.0.1"))
    yield s
    s.stop()


def with_settings(p, lake, **settings):
    """A copy whose pipeline file has the lake and its `s3`; nothing of them in the environment."""
    copy = tempfile.mkdtemp(dir=os.path.dirname(p.folder))
    shutil.copytree(p.folder, copy, dirs_exist_ok=True, symlinks=True, ignore=shutil.ignore_patterns("lake"))
    q = S3Project(copy, lake, "")
    with open(q.file, encoding="utf-8") as f:
        text = f.read()
    inside = ", ".join(f"{k}: '{v}'" for k, v in settings.items())
    text = re.sub(r"(?m)^lake:.*$", f"lake: {lake}", text)
    with open(q.file, "w", encoding="utf-8") as f:
        f.write(text + f"\ns3: {{{inside}}}\n")
    q.environment = lambda: {**L.Project.environment(q), **KEYS, "SSL_CERT_FILE": ""}
    return q


def in_profile(p, lake, endpoint, bundle):
    """As botocore reads it."""
    os.makedirs(os.path.join(p.folder, "home", ".aws"), exist_ok=True)
    with open(os.path.join(p.folder, "home", ".aws", "config"), "w", encoding="utf-8") as f:
        f.write(f"[default]\nca_bundle = {bundle}\n")
    q = in_environment(p, lake, endpoint, None)
    inherited = q.environment
    q.environment = lambda: {**inherited(), "HOME": os.path.join(p.folder, "home")}
    return q


def in_environment(p, lake, endpoint, bundle):
    q = S3Project(p.folder, lake, endpoint)
    inherited = q.environment
    q.environment = lambda: {**inherited(), **({"AWS_CA_BUNDLE": bundle} if bundle else {})}
    return q


@pytest.fixture(scope="module")
def folder(tmp_path_factory, calm):
    """The same in a folder, without TLS."""
    p = L.example_project(os.path.join(tmp_path_factory.mktemp("folder"), "flights"), calm.url)
    p.sluice("run", *DAYS)
    return p


@pytest.mark.parametrize("how", ["setting", "environment", "profile"])
def test_the_right_authority(tmp_path, calm, folder, ours, server, how):
    """A whole run: the engine's processes speak TLS, too."""
    p = L.example_project(os.path.join(tmp_path, "flights"), calm.url)
    lake = f"s3://lakes/{how}"
    if how == "setting":
        # relative to the pipeline file
        os.symlink(ours.file, os.path.join(p.folder, "ca.pem"))
        q = with_settings(p, lake, endpoint=server.url.replace("127.0.0.1", "localhost"), ca_file="ca.pem")
    else:
        q = (in_environment if how == "environment" else in_profile)(p, lake, server.url, ours.file)
    q.sluice("run", *DAYS)
    assert q.digest() == folder.digest()
    q.sluice("verify")
    assert "16" in q.sluice("query", "select count(*) from prepare.airlines").out


def refused(p, command, *words):
    done = p.sluice(command, status=7)
    for word in words:
        assert word in done.err, done
    return done


def test_the_wrong_authority(tmp_path, folder, server):
    other = Authority(tmp_path, "others")
    refused(in_environment(folder, "s3://lakes/x", server.url, other.file), "plan", "certificate", other.file, "AWS_CA_BUNDLE")
    refused(with_settings(folder, "s3://lakes/x", endpoint=server.url, ca_file=other.file), "plan", "certificate", other.file,
            "`s3.ca_file`")
    # and without one the system's, which do not know it
    refused(with_settings(folder, "s3://lakes/x", endpoint=server.url), "plan", "certificate", "`s3.ca_file`", "AWS_CA_BUNDLE")
    # the setting goes before the environment
    q = with_settings(folder, "s3://lakes/x", endpoint=server.url, ca_file=other.file)
    inherited = q.environment
    q.environment = lambda: {**inherited(), "AWS_CA_BUNDLE": "/nowhere"}
    refused(q, "plan", other.file)


def test_files_that_are_no_authority(tmp_path, folder, server):
    (tmp_path / "empty.pem").write_text("no certificate\n")
    for path in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        refused(in_environment(folder, "s3://lakes/x", server.url, str(path)), "plan", str(path), "AWS_CA_BUNDLE")


def test_another_hosts_certificate(tmp_path, folder, ours):
    s = Server(tmp_path, tls=ours.server("elsewhere.test"))
    try:
        refused(in_environment(folder, "s3://lakes/x", s.url, ours.file), "plan", "127.0.0.1", "or it is of another host")
    finally:
        s.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_protocols(folder, ours, newest):
    with aws.Server(lambda *_: (200, ""), tls=ours.server("127.0.0.1"), newest=newest) as s:
        refused(in_environment(folder, "s3://lakes/x", s.url, ours.file), "plan", "protocol version")


def test_nobody_leads_us_to_plain_http(folder, ours):
    """A redirect is not followed, and a server without TLS at a https endpoint is none."""
    with aws.Server(lambda *_: (200, "")) as plain:
        for status in (301, 302, 307, 308):
            moved = (status, "", {"Location": plain.url + "/lakes"})
            with aws.Server(lambda *_, moved=moved: moved, tls=ours.server("127.0.0.1")) as s:
                folder_done = in_environment(folder, "s3://lakes/x", s.url, ours.file).sluice("plan", status=(2, 7))
                assert str(status) in folder_done.err
        assert plain.asked == []
        done = refused(in_environment(folder, "s3://lakes/x", plain.url.replace("http:", "https:"), ours.file), "plan", "speaks no TLS",
                       "begins with http://", "`s3.endpoint`")
        assert plain.asked == [] and "ca_file" not in done.err
    done = in_environment(folder, "s3://lakes/x", f"https://127.0.0.1:{free_port()}", ours.file).sluice("plan", status=7)
    assert "s3.endpoint" in done.err


def test_plain_http_to_a_server_with_tls(folder, ours, server):
    """Some say so, some close, some answer in TLS."""
    said = aws.Server(lambda *_: (400, "Client sent an HTTP request to an HTTPS server.\n"))
    with said, aws.Server(lambda *_: (200, ""), tls=ours.server("127.0.0.1")) as closes:
        for url in (server.url, closes.url, said.url):
            done = in_environment(folder, "s3://lakes/x", url.replace("https:", "http:"), ours.file).sluice("plan", status=7)
            assert "begins with https://" in done.err and "`s3.endpoint`" in done.err, done


def test_a_server_of_something_else(folder):
    for answer in ((404, "<html><body>Not found</body></html>"), (404, "404 page not found\n"), (404, "")):
        with aws.Server(lambda *_, answer=answer: answer) as s:
            done = in_environment(folder, "s3://lakes/x", s.url, None).sluice("plan", status=2)
            assert "is a store with S3's protocol at this endpoint" in done.err and "NoSuchKey" not in done.err, done
            assert len(s.asked) == 1
    with aws.Server(lambda *_: (200, "<html><body>It works!</body></html>")) as s:
        done = in_environment(folder, "s3://lakes/x", s.url, None).sluice("plan", status=7)
        assert "no ListBucketResult" in done.err and "is a store with S3's protocol at this endpoint" in done.err, done


def test_secrets_behind_the_same_authority(tmp_path, ours):
    """AWS_CA_BUNDLE is for the other services, too."""
    with aws.Api("c4nary-token") as api:
        inner = aws.Server(lambda *_: (200, '{"Name": "x", "SecretString": "c4nary-token"}'), tls=ours.server("127.0.0.1"))
        with inner:
            env = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": inner.url}
            p = aws.project(tmp_path / "p", api, "aws-secret:x", env)
            done = p.sluice("ingest", *DAYS, status=3)
            assert "certificate" in done.err and inner.asked == []
            p.secrets["AWS_CA_BUNDLE"] = ours.file
            p.sluice("ingest", *DAYS)
            assert len(inner.asked) == 1
            del p.secrets["AWS_CA_BUNDLE"]
            os.makedirs(os.path.join(p.folder, "home", ".aws"))
            with open(os.path.join(p.folder, "home", ".aws", "config"), "w", encoding="utf-8") as f:
                f.write(f"[default]\nca_bundle = {ours.file}\n")
            p.sluice("ingest", *DAYS, "--refetch")
            assert len(inner.asked) == 2
