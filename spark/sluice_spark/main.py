"""spark-submit … sluice_spark/main.py JOB.json
   spark-submit … sluice_spark/main.py --jobs FIFO

Carries out the job, which is a file or an object of a lake (s3://bucket/…/job.json), and writes what it names under "result": a result,
or {"error":{code,message,hint}}; a file by a temporary name. Standard output has progress, a line each: {"progress":{"rows":N}}. The
exit status is that of the error's code.

With --jobs it does one job after the other, a line with its path each, in one Spark, until the FIFO ends.
"""

import io
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
if __package__ in (None, ""):  # spark-submit runs this file, not the package
    if os.path.basename(HERE) == "sluice_spark":
        sys.path[0] = os.path.dirname(HERE)
    else:  # a copy of this file alone; the package is installed, and what lies beside the copy is nobody's
        del sys.path[0]

from sluice_spark import lake, master, native, settings
from sluice_spark.errors import JobError, from_spark, stopped_at_start

FORMAT = "sluice-engine-job/1"


def progress(rows):
    print(json.dumps({"progress": {"rows": rows}}, separators=(",", ":")), flush=True)


def write_result(path, text):
    temporary = f"{path}.{os.getpid()}.new"
    try:
        with open(temporary, "wb") as out:
            out.write(text.encode())
            out.flush()
            os.fsync(out.fileno())
        os.rename(temporary, path)
    except OSError as e:
        raise JobError("STORAGE", f"the result cannot be written: {e}") from e


def ship_package(context, folder=None):
    """Executors import this package from here, and find libsluice.so among Spark's files."""
    for file in native.library_files():
        context.addFile(file)
    here = native.HERE  # of the package; this file may be a copy
    if not os.path.isdir(here):  # in an archive (--py-files), which executors have as well
        return None
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as z:
        for name in sorted(os.listdir(here)):
            if name.endswith(".py"):
                z.write(os.path.join(here, name), f"sluice_spark/{name}")
    # Executors may come later and ask for it, so it stays as long as the context.
    there = folder or context.getConf().get("spark.local.dir", "")
    made = tempfile.mkdtemp(prefix="sluice-spark-", dir=there if os.path.isdir(there) else None)
    path = os.path.join(made, "sluice_spark.zip")
    with open(path, "wb") as out:
        out.write(packed.getvalue())
    context.addPyFile(path)
    return made


class Spark:
    """What jobs of this process share: one context. Each gets a session of its own, so that no setting and no view of one is seen by
    the next."""

    def __init__(self):
        self.first, self.shipped, self.folder = None, None, None

    def open(self, job):
        if self.first is not None and not self.is_alive():
            self.close()
        if self.first is None:
            self.start(job)
        self.first.sparkContext.setJobDescription(f"sluice {job['pipeline']}.{job['table']} {job['kind']}")
        settings.pin(self.first)  # whoever asks for "the" session gets this one
        return self.first.newSession()

    def start(self, job):
        from pyspark import SparkConf, SparkContext
        from pyspark.sql import SparkSession

        SparkContext._ensure_initialized()  # the JVM, which knows the settings
        master.check(SparkConf().get("spark.master", "local"))
        try:
            if SparkConf().get("spark.master", "local").startswith("local"):  # workers find the packages that this one has found
                os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
            # Python's instants without a zone are those of its machine; in UTC they are Spark's, in each worker too.
            self.first = (SparkSession.builder.appName(f"sluice {job['pipeline']}").config("spark.executorEnv.TZ", "UTC")
                          .getOrCreate())
            self.first.sparkContext.setLogLevel(os.environ.get("SLUICE_SPARK_LOG", "WARN"))
            self.shipped = ship_package(self.first.sparkContext, self.folder)
        except BaseException as failure:
            self.close()
            told = stopped_at_start(failure, SparkConf().get("spark.master", "local"))  # known once there is a JVM
            if told:
                raise told from failure
            raise

    def is_alive(self):
        """A cluster may have stopped it, and so may a model."""
        context = self.first.sparkContext._jsc
        return context is not None and not context.sc().isStopped()

    def settle(self):
        """What the job may have left at work."""
        if self.first is not None and self.is_alive():
            self.first.sparkContext.cancelAllJobs()

    def close(self):
        if self.first is not None:
            self.first.stop()
            self.first = None
        if self.shipped:
            shutil.rmtree(self.shipped, ignore_errors=True)
            self.shipped = None


def run(spark, job, text):
    """The result."""
    if job["kind"] == "prepare":
        from sluice_spark import prepare as kind
    elif job["kind"] == "refine":
        from sluice_spark import refine as kind
    else:
        raise JobError("USAGE", f"jobs of kind {job['kind']!r} are not for Spark")
    native.library()  # a library that is missing is told before Spark has started
    session = spark.open(job)
    try:
        pinned = settings.pin(session)
        result = kind.run(session, job, text)
        result = json.loads(result) if isinstance(result, str) else result
        result["settings"] = pinned
        return result
    finally:
        spark.settle()


def answer_of(spark, job, text):
    """The result, or the JobError that is told in its place."""
    try:
        return run(spark, job, text)
    except JobError as e:
        return e
    except MemoryError:
        return JobError("MEMORY", "the driver has no memory left")
    except ImportError as e:
        return JobError("ENGINE", f"Python on Spark's side: {e}", "the driver and the executors need pyspark and pyarrow")
    except Exception as e:  # of Spark, or a mistake here: told, never lost
        traceback.print_exc()
        return from_spark(e)


def read_job(name):
    if lake.is_url(name):
        return lake.job_read(name)
    try:
        with open(name, "rb") as f:
            return f.read().decode()
    except OSError as e:
        raise JobError("STORAGE", f"the job cannot be read: {e}") from e


def job_of(name, text):
    """What is used of it here; libsluice checks the rest."""
    try:
        job = json.loads(text)
    except ValueError as e:
        raise JobError("USAGE", f"{name} is no job of sluice: {e}") from e
    if not isinstance(job, dict) or job.get("format") != FORMAT:
        found = job.get("format") if isinstance(job, dict) else type(job).__name__
        raise JobError("USAGE", f"{name}: the job's format is {found!r}, not {FORMAT!r}", "take sluice and this package from one release")
    for member in ("kind", "pipeline", "table", "lake", "result", "scratch", "output"):
        if not isinstance(job.get(member), str):
            raise JobError("USAGE", f"{name} is no job of sluice: it has no {member}")
    return job


def write_answer(job, answer):
    text = json.dumps(answer.as_dict() if isinstance(answer, JobError) else answer, separators=(",", ":"))
    if lake.is_url(job["result"]):
        lake.job_answer(job, text)
    else:
        write_result(job["result"], text)


USAGE = "usage: spark-submit sluice_spark/main.py JOB.json, a file or s3://…; or --jobs FIFO"


def tell(error):
    """Where nobody but a log listens, as on EMR."""
    print(error, *([f"  hint: {error.hint}"] if error.hint else []), sep="\n", file=sys.stderr, flush=True)


def carry_out(spark, name, alone=False):
    """None, or the error that was told in place of a result."""
    text = read_job(name)
    job = job_of(name, text)
    answer = answer_of(spark, job, text)
    write_answer(job, answer)
    if not isinstance(answer, JobError):
        if alone:
            print(f"sluice: {job['kind']} {job['table']}: done, the result is {job['result']}", flush=True)
        return None
    tell(answer)
    return answer


def serve(spark, fifo):
    """Whoever waits sees that a job has ended by its result. So where none can be written this ends, which is seen, too."""
    spark.folder = os.path.dirname(fifo)
    # Whoever asks has opened it already. If nobody has, this must not wait for somebody who was killed.
    at = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(at, True)
    with open(at, encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            carry_out(spark, line.rstrip("\n"))


def end_with_parent():
    """Spark's JVM has started this. If it is killed, whatever a model is at here is nobody's any more, and must not go on."""
    parent = os.getppid()

    def look():
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=look, daemon=True).start()


def leave(status):
    """Threads that a model has left would be waited for, for ever perhaps."""
    if any(t is not threading.main_thread() and not t.daemon for t in threading.enumerate()):
        print("sluice: threads that a model has left at work are ended", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    os.environ["TZ"] = "UTC"
    time.tzset()
    end_with_parent()
    spark, failed = Spark(), None
    try:
        if len(arguments) == 2 and arguments[0] == "--jobs":
            serve(spark, arguments[1])
        elif len(arguments) == 1 and not arguments[0].startswith("-"):
            failed = carry_out(spark, arguments[0], alone=True)
        elif arguments in (["--help"], ["-h"]):
            print(USAGE)
        else:
            raise JobError("USAGE", USAGE)
    except JobError as e:  # of a lake that a job or result could not be read from, or written to
        tell(e)
        failed = e
    finally:
        spark.close()
    leave(0 if failed is None else native.exit_status(failed.code))


if __name__ == "__main__":
    main()
