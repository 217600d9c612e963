"""The wheel that `make wheel` builds: the same bytes twice, the level that its name says, and a Prepare job by it alone in an
environment that knows no checkout."""
import glob
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import venv
import zipfile

import pytest

import engines
import lake as L
import test_lambda_zip as Z
from test_spark_prepare import Case, compare, ended, shop  # noqa: F401

pytest_plugins = ["lake_fixtures", "engines"]
pytestmark = Z.pytestmark


def build(root, out, **environment):
    done = subprocess.run(["bash", os.path.join(root, "tools", "wheel"), "--arch", Z.ARCH[0], "--out", out, "--build", out + ".build"],
                          env={**os.environ, "SLUICE_DEPS": L.DEPS, "PYTHON": sys.executable, **environment}, capture_output=True,
                          text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    path, = glob.glob(os.path.join(out, "*.whl"))
    with open(path, "rb") as f:
        assert hashlib.sha256(f.read()).hexdigest() in done.stdout
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """From a clean tree of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    return build(Z.tree_copy(str(folder / "tree"), ("spark/", "cmake/", "deploy/wheel/")), str(folder / "out"))


def test_the_same_bytes_twice(wheel, tmp_path):
    """From another folder, under another umask, time zone and language."""
    root = Z.tree_copy(str(tmp_path / "somewhere" / "else"), ("spark/", "cmake/", "deploy/wheel/"))
    old = os.umask(0o077)
    try:
        again = build(root, str(tmp_path / "out"), TZ="Asia/Tokyo", LC_ALL="C.UTF-8")
    finally:
        os.umask(old)
    with open(wheel, "rb") as a, open(again, "rb") as b:
        assert os.path.basename(wheel) == os.path.basename(again) and a.read() == b.read()


def test_what_is_in_it(wheel):
    with zipfile.ZipFile(wheel) as z:
        names, record = z.namelist(), z.read(next(n for n in z.namelist() if n.endswith("/RECORD"))).decode()
        library, metadata = z.read("sluice_spark/libsluice.so"), z.read(next(n for n in names if n.endswith("/METADATA"))).decode()
    assert sorted(n for n in names if n.endswith(".py")) == sorted(
        "sluice_spark/" + os.path.basename(f) for f in glob.glob(os.path.join(L.ROOT, "spark", "sluice_spark", "*.py")))
    assert {line.split(",")[0] for line in record.splitlines()} == set(names)
    assert "Requires-Dist: pyspark>=3.5,<4.1\n" in metadata  # those that the tests try
    assert L.ROOT.encode() not in library and os.path.dirname(wheel).encode() not in library


def test_the_level_by_an_outside_judge(wheel):
    if not importlib.util.find_spec("auditwheel"):
        pytest.skip("auditwheel is not installed")
    line = [sys.executable, "-m", "auditwheel", "show", wheel]
    got = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    said = re.sub(r"\s+", " ", got)
    tag = re.search(r"manylinux_2_\d+_\w+(?=\.whl)", wheel).group()
    assert f'is consistent with the following platform tag: "{tag}"' in said, said
    asked = said.split("system-provided shared libraries:")[1]
    assert set(re.findall(r"\S+\.so\S*(?= with versions)", asked)) <= {"libc.so.6", "libm.so.6"}, said


@pytest.mark.skipif(bool(engines.spark_missing()), reason=str(engines.spark_missing()))
def test_a_job_by_the_wheel_alone(wheel, shop, tmp_path):  # noqa: F811
    """A fresh environment; PySpark and pyarrow are lent to it, since another half gigabyte of them would prove nothing."""
    import pyspark
    home = str(tmp_path / "venv")
    venv.create(home, with_pip=False)
    python = os.path.join(home, "bin", "python")
    place, = glob.glob(os.path.join(home, "lib", "python3*", "site-packages"))
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", "--disable-pip-version-check",
                    wheel], check=True, timeout=120)
    with open(os.path.join(place, "lent.pth"), "w", encoding="utf-8") as f:
        f.write(os.path.dirname(os.path.dirname(pyspark.__file__)) + "\n")
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": python}
    where = subprocess.run([python, "-c", "from sluice_spark import native; print(native.library_path(), native.library() is not None)"],
                           env=env, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert where == os.path.join(place, "sluice_spark", "libsluice.so") + " True\n"
    a, b = Case(tmp_path / "a", shop, file_rows=100).by_duckdb(), Case(tmp_path / "b", shop, file_rows=100)
    line = [engines.spark_submit(), "--master", "local[2]", "--conf", "spark.ui.enabled=false", "--conf",
            "spark.driver.extraJavaOptions=-Duser.timezone=UTC", os.path.join(place, "sluice_spark", "main.py"), b.path]
    with open(b.folder + "/out", "wb") as out, open(b.folder + "/err", "wb") as err:
        ended(b, subprocess.Popen(line, stdout=out, stderr=err, env=env, cwd=tmp_path, start_new_session=True))
    compare(a, b)
