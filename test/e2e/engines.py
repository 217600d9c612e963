"""DuckDB and Spark side by side, each with the settings that a run pins: one Spark for all files that compare them."""
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "spark"))
from sluice_spark.settings import PINNED  # noqa: E402

DUCKDB_SETTINGS = {  # src/driver/engine_duckdb.c
    "default_null_order": "NULLS_FIRST_ON_ASC_LAST_ON_DESC", "TimeZone": "UTC", "Calendar": "gregorian",
    "integer_division": False, "old_implicit_casting": False, "ieee_floating_point_ops": True, "threads": 1,
}


def duckdb_open():
    import duckdb
    db = duckdb.connect()
    for k, v in DUCKDB_SETTINGS.items():
        db.execute(f"SET {k} = {v!r}" if isinstance(v, str) else f"SET {k} = {str(v).lower()}")
    return db


def spark_missing():
    """Why there is no Spark, or None."""
    try:
        import pyspark  # noqa: F401
    except ImportError:
        return "pyspark is not installed"
    return None if shutil.which("java") else "Spark needs a Java"


def spark_submit():
    """Of the Spark that is imported here: beside its Python, or (deps/spark4) in a folder of its own."""
    import pyspark
    own = os.path.join(os.path.dirname(os.path.dirname(pyspark.__file__)), "bin", "spark-submit")
    return own if os.path.exists(own) else os.path.join(os.path.dirname(sys.executable), "spark-submit")


def spark_open(folder):
    from pyspark.sql import SparkSession
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    b = (SparkSession.builder.master("local[2]").appName("models").config("spark.ui.enabled", "false")
         .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.memory", "1g")
         .config("spark.driver.extraJavaOptions", f"-Duser.timezone=UTC -Dderby.system.home={folder}")
         .config("spark.sql.warehouse.dir", f"{folder}/warehouse").config("spark.sql.shuffle.partitions", "4"))
    for k, v in PINNED.items():
        b = b.config(k, v)
    s = b.getOrCreate()
    s.sparkContext.setLogLevel("OFF")
    for k, v in PINNED.items():
        assert s.conf.get(k) == v, k
    return s


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    s = spark_open(tmp_path_factory.mktemp("spark"))
    yield s
    s.stop()
