"""The package that `make lambda` builds: the same bytes twice, and at work: as it was unpacked, under the fake API, and under a
program that we did not write."""
import base64
import hashlib
import http.server
import json
import os
import platform
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import zipfile

import pytest

import lake as L
from lambda_api import Function

pytest_plugins = ["lake_fixtures"]

STATIC = os.path.join(L.DEPS, "lambda")
ARCH = {"x86_64": ("amd64", "x86_64"), "aarch64": ("arm64", "arm64")}.get(platform.machine(), ("?", "?"))
OTHER = {"amd64": ("arm64", "arm64"), "arm64": ("amd64", "x86_64")}.get(ARCH[0], ("?", "?"))

pytestmark = pytest.mark.skipif(not os.path.exists(os.path.join(STATIC, ARCH[0], "lib", "libcurl.a")),
                                reason="the static libraries are not there: tools/setup lambda says why")


def tree_copy(to, more=("lambda/", "deploy/lambda/", "examples/")):
    names = subprocess.run(["git", "ls-files", "-z"], cwd=L.ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in names:
        if name.startswith(("src/", "tools/", "CMakeLists.txt", *more)) and os.path.isfile(os.path.join(L.ROOT, name)):
            path = os.path.join(to, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copyfile(os.path.join(L.ROOT, name), path)
            os.chmod(path, 0o700)
    return to


def build(root, out, arch, pipeline, **environment):
    done = subprocess.run(["bash", os.path.join(root, "tools", "lambda"), "--arch", arch, "--out", out, "--build", os.path.join(out, "b"), pipeline],
                          env={**os.environ, "SLUICE_DEPS": L.DEPS, **environment}, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory, calm):
    """Built, and unpacked."""
    class Built:
        pass
    p = Built()
    p.folder = str(tmp_path_factory.mktemp("zip"))
    p.source = L.example_project(os.path.join(p.folder, "source"), calm.url).folder
    with open(os.path.join(p.source, "secret.txt"), "w", encoding="utf-8") as f:
        f.write("not for a package")
    p.said = build(L.ROOT, p.folder, ARCH[0], p.source)
    p.zip = os.path.join(p.folder, f"sluice-lambda-{ARCH[1]}.zip")
    p.task = os.path.join(p.folder, "task")
    subprocess.run([os.path.join(L.DEPS, "venv", "bin", "python"), "-m", "zipfile", "-e", p.zip, p.task], check=True)
    p.bootstrap = os.path.join(p.task, "bootstrap")
    os.chmod(p.bootstrap, 0o755)
    return p


def test_what_is_in_it(package):
    with zipfile.ZipFile(package.zip) as z:
        names = [i.filename for i in z.infolist()]
        assert names == sorted(names) and {i.date_time for i in z.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert z.getinfo("bootstrap").external_attr >> 16 == 0o100755
    for name in ("ca-bundle.crt", "zoneinfo/America/New_York", "pipelines/nycflights/pipeline.yaml", "pipelines/nycflights/models/worst_days.sql"):
        assert name in names
    assert not any("secret" in n or "lake" in n or "posix/" in n for n in names)
    with open(package.zip, "rb") as f:
        data = f.read()
    assert f"{len(data):,} bytes" in package.said and hashlib.sha256(data).hexdigest() in package.said
    assert len(data) < 8 << 20
    with open(package.bootstrap, "rb") as f:
        program = f.read()
    assert program[:5] == b"\x7fELF\x02" and b"duckdb_open" not in program, "the engine is left out"
    at, size, n = struct.unpack_from("<Q", program, 32)[0], *struct.unpack_from("<HH", program, 54)
    assert 3 not in [struct.unpack_from("<I", program, at + i * size)[0] for i in range(n)], "no PT_INTERP: static"
    for place in (L.ROOT, L.DEPS, package.folder):
        assert place.encode() not in program


def test_the_same_bytes_twice(package, tmp_path):
    """From another folder, with other rights on the files, another umask, time zone and language."""
    root = tree_copy(str(tmp_path / "somewhere" / "else"))
    old = os.umask(0o077)
    try:
        build(root, str(tmp_path / "out"), ARCH[0], package.source, TZ="Asia/Tokyo", LC_ALL="C.UTF-8")
    finally:
        os.umask(old)
    with open(package.zip, "rb") as f, open(tmp_path / "out" / f"sluice-lambda-{ARCH[1]}.zip", "rb") as g:
        assert f.read() == g.read()


def test_it_works_as_unpacked(package):
    lake = os.path.join(package.folder, "lake")
    f = Function(package.task, package.bootstrap, FLIGHTS_TOKEN=L.TOKEN, SLUICE_LAKE=lake)
    try:
        event = {"action": "ingest", "pipeline": "nycflights", "resources": ["weather", "airlines"], "from": "2013-01-07", "to": "2013-01-09"}
        got = f.invoke(event)
        assert got.kind == "response" and got.body["fetched"] == 3, got
        assert f.invoke(event).body["fetched"] == 0
    finally:
        assert f.stop() == 0
    L.Project(package.source, lake).sluice("verify")


def test_it_works_in_the_cloud(package, tmp_path, calm):
    """The static program asks S3, Secrets Manager and the container's endpoint itself; pipeline and lake are s3://…"""
    import lambda_cloud as C
    cloud = C.Cloud(tmp_path)
    d = C.Deployed(cloud, tmp_path / "d", calm.url, "static")
    f = d.function(program=package.bootstrap, LAMBDA_TASK_ROOT=package.task)
    try:
        event = {"action": "ingest", "resources": ["weather", "airlines"], "from": "2013-01-07", "to": "2013-01-09"}
        got = f.invoke(event)
        assert got.kind == "response" and got.body["fetched"] == 3, got
        assert f.invoke(event).body["fetched"] == 0
        assert f.stop() == 0
        d.project.sluice("verify")
    finally:
        d.close()
        cloud.stop()


def test_the_zones_are_the_package_s(package, tmp_path):
    """With another zone under the name of New York its days begin at another hour."""
    task = str(tmp_path / "task")
    shutil.copytree(package.task, task)
    shutil.copyfile(os.path.join(task, "zoneinfo", "Asia", "Tokyo"), os.path.join(task, "zoneinfo", "America", "New_York"))
    f = Function(task, os.path.join(task, "bootstrap"), FLIGHTS_TOKEN=L.TOKEN, SLUICE_LAKE=str(tmp_path / "lake"))
    try:
        assert f.invoke({"action": "ingest", "pipeline": "nycflights", "resources": ["weather"], "from": "2013-01-07",
                         "to": "2013-01-08"}).kind == "response"
    finally:
        assert f.stop() == 0
    assert "20130106T150000Z_20130107T150000Z" in os.listdir(tmp_path / "lake" / "raw" / "nycflights" / "weather")


def test_tls(package, tmp_path):
    """The static OpenSSL and resolver: a certificate that SSL_CERT_FILE vouches for is accepted, and without it refused."""
    key, cert = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            body = b'[{"id":1}]'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_):
            pass

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    folder = tmp_path / "task" / "pipelines" / "p"
    folder.mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(f"pipeline: p\nlake: {tmp_path}/lake\nsource: {{url: 'https://localhost:{server.server_port}', network: private,"
                                          " retry: {attempts: 1}}\nresources: {things: {path: /things, kind: snapshot, records: ''}}\n")
    try:
        for variables, kind in (({}, "error"), ({"SSL_CERT_FILE": cert}, "response")):
            f = Function(str(tmp_path / "task"), package.bootstrap, **variables)
            try:
                got = f.invoke({"action": "ingest", "pipeline": "p"})
                assert got.kind == kind, got
                assert kind == "response" or got.body["errorType"] == "Function.Tls", got
            finally:
                assert f.stop() == 0
    finally:
        server.shutdown()
        server.server_close()


def test_the_other_machine_s(package, tmp_path):
    if not os.path.exists(os.path.join(STATIC, OTHER[0], "lib", "libcurl.a")):
        pytest.skip(f"the compiler for {OTHER[0]} could not be had")
    build(L.ROOT, str(tmp_path), OTHER[0], package.source)
    if not os.path.exists(os.path.join(STATIC, "qemu")):
        pytest.skip("built; qemu-user-static could not be had, so it was not tried")
    with zipfile.ZipFile(tmp_path / f"sluice-lambda-{OTHER[1]}.zip") as z:
        z.extractall(tmp_path / "task")
    os.chmod(tmp_path / "task" / "bootstrap", 0o755)
    f = Function(str(tmp_path / "task"), [os.path.join(STATIC, "qemu"), str(tmp_path / "task" / "bootstrap")], FLIGHTS_TOKEN=L.TOKEN,
                 SLUICE_LAKE=str(tmp_path / "lake"))
    try:
        got = f.invoke({"action": "ingest", "pipeline": "nycflights", "resources": ["airlines"], "from": "2013-01-07", "to": "2013-01-09"})
        assert got.kind == "response" and got.body["records"] == 16, got
    finally:
        assert f.stop() == 0


def test_under_an_outside_judge(package, tmp_path):
    """ministack runs provided.al2023 zips as processes, with a Runtime API that we did not write."""
    program = os.path.join(L.DEPS, "venv-lambda", "bin", "ministack")
    if not os.path.exists(program) or ARCH[0] != "amd64":
        pytest.skip("ministack is not there (tools/setup lambda), or does not run packages of this machine")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    log = open(tmp_path / "log", "wb")
    process = subprocess.Popen([program], env={**os.environ, "GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1",
                                               "TMPDIR": str(tmp_path)}, stdout=log, stderr=subprocess.STDOUT)
    try:
        answers = judge(port, package.zip, {"FLIGHTS_TOKEN": L.TOKEN, "SLUICE_LAKE": str(tmp_path / "lake")}, [
            {"action": "ingest", "pipeline": "nycflights", "resources": ["airlines"], "from": "2013-01-07", "to": "2013-01-09", "run_id": "r"},
            {"action": "ingest", "pipeline": "nycflights", "resources": ["airlines"], "from": "2013-01-07", "to": "2013-01-09", "run_id": "r"},
            {"action": "ingest", "pipeline": "nobody"}])
        assert [a[0] for a in answers] == [None, None, "Unhandled"], answers
        assert answers[0][1]["records"] == 16 and answers[1][1]["fetched"] == 0
        assert answers[2][1]["errorType"] == "Function.Config"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()


def judge(port, zip_path, variables, events):
    """With botocore of the judge's own environment: [(FunctionError, payload)]."""
    text = """
import base64, botocore.session, json, socket, sys, time
port, package, variables, events = json.load(sys.stdin)
for _ in range(300):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        break
    except OSError:
        time.sleep(0.1)
c = botocore.session.get_session().create_client("lambda", region_name="eu-central-1", endpoint_url="http://127.0.0.1:%d" % port,
    aws_access_key_id="a", aws_secret_access_key="b")
c.create_function(FunctionName="f", Runtime="provided.al2023", Handler="any", Role="arn:aws:iam::000000000000:role/r", Timeout=60,
    Code={"ZipFile": base64.b64decode(package)}, Environment={"Variables": variables})
for event in events:
    r = c.invoke(FunctionName="f", Payload=json.dumps(event).encode())
    print(json.dumps([r.get("FunctionError"), json.loads(r["Payload"].read())]))
"""
    with open(zip_path, "rb") as f:
        package = base64.b64encode(f.read()).decode()
    done = subprocess.run([os.path.join(L.DEPS, "venv-lambda", "bin", "python"), "-c", text], text=True, capture_output=True, timeout=120,
                          input=json.dumps([port, package, variables, events]))
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
