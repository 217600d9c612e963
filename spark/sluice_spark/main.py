"""spark-submit … sluice_spark/main.py JOB.json

Reads the job, writes the file that it names under "result", by a temporary name: a result, or {"error":{code,message,hint}}.
Standard output has progress, a line each: {"progress":{"rows":N}}. The exit status is that of the error's code.
"""

import io
import json
import os
import sys
import tempfile
import traceback
import zipfile

if __package__ in (None, ""):  # spark-submit runs this file, not the package
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from sluice_spark import native, settings
from sluice_spark.errors import JobError, from_spark

FORMAT = "sluice-engine-job/1"


def progress(rows):
    print(json.dumps({"progress": {"rows": rows}}, separators=(",", ":")), flush=True)


def write_result(path, text):
    temporary = f"{path}.{os.getpid()}.new"
    with open(temporary, "wb") as out:
        out.write(text.encode())
        out.flush()
        os.fsync(out.fileno())
    os.rename(temporary, path)


def ship_package(context):
    """Executors import this package from here, and find libsluice.so among Spark's files."""
    folder = os.path.dirname(os.path.abspath(__file__))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as z:
        for name in sorted(os.listdir(folder)):
            if name.endswith(".py"):
                z.write(os.path.join(folder, name), f"sluice_spark/{name}")
    path = os.path.join(tempfile.mkdtemp(prefix="sluice-spark-"), "sluice_spark.zip")
    with open(path, "wb") as out:
        out.write(packed.getvalue())
    context.addPyFile(path)
    for file in native.library_files():
        context.addFile(file)


def open_session(job):
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

    if SparkConf().get("spark.master", "local").startswith("local"):  # workers find the packages that this one has found
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    name = f"sluice {job['pipeline']}.{job['table']} {job['kind']}"
    return SparkSession.builder.appName(name).getOrCreate()


def run(job, text):
    """The result."""
    if job.get("format") != FORMAT:
        raise JobError("USAGE", f"the job's format is {job.get('format')!r}, not {FORMAT!r}")
    if job["kind"] == "prepare":
        from sluice_spark import prepare as kind
    elif job["kind"] == "refine":
        from sluice_spark import refine as kind
    else:
        raise JobError("USAGE", f"jobs of kind {job['kind']!r} are not for Spark")
    native.library()  # a library that is missing is told before Spark has started
    spark = open_session(job)
    try:
        spark.sparkContext.setLogLevel(os.environ.get("SLUICE_SPARK_LOG", "WARN"))
        pinned = settings.pin(spark)
        ship_package(spark.sparkContext)
        result = kind.run(spark, job, text)
        result = json.loads(result) if isinstance(result, str) else result
        result["settings"] = pinned
        return result
    finally:
        spark.stop()


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        sys.exit("usage: spark-submit sluice_spark/main.py JOB.json")
    with open(arguments[0], "rb") as f:
        text = f.read().decode()
    job = json.loads(text)
    try:
        result = run(job, text)
    except JobError as e:
        failed = e
    except MemoryError:
        failed = JobError("MEMORY", "the driver has no memory left")
    except ImportError as e:
        failed = JobError("ENGINE", f"Python on Spark's side: {e}", "the driver and the executors need pyspark and pyarrow")
    except Exception as e:  # of Spark, or a mistake here: told, never lost
        traceback.print_exc()
        failed = from_spark(e)
    else:
        write_result(job["result"], json.dumps(result, separators=(",", ":")))
        return
    write_result(job["result"], json.dumps(failed.as_dict(), separators=(",", ":")))
    print(f"{failed.code}: {failed.message}", file=sys.stderr)
    sys.exit(native.exit_status(failed.code))


if __name__ == "__main__":
    main()
