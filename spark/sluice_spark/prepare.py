"""Prepare on Spark: each file of the table is a task, and rows never leave it.

    plan ─▶ task: range of Raw ─▶ libsluice: judged, sorted ─▶ pyarrow ─▶ file ─▶ read back, hashed      (executors)
              └─ keys, only of windows that are cut into several files ─▶ by hash ─▶ losers ─▶ those tasks once more
         ─▶ join: books, budgets, the result                                                         (driver)

The committer: there is none of Spark's or Hadoop's, and no rename. Each attempt at a task writes under names of its own
(a random mark), straight to where the files stay: on S3 libsluice puts each as one object when it was read back. The driver
takes exactly one answer for each task and only its files are named in the result; `run/` checks these and commits them by one
conditional put. So retries, speculation and lost executors leave at most files that nobody names: removed here at the end
where the lake is a folder, else by `sluice gc`."""

import json
import os
import secrets
import shutil
import threading
import uuid
from functools import partial

from sluice_spark import native
from sluice_spark.errors import JobError, TaskError, from_spark
from sluice_spark.files import Calls
from sluice_spark.lake import SCRATCH, scratch_make

PARTITIONS_MAX = 1000  # of what is exchanged


# ── in executors ──


def run_task(job, settings, done, exact, task, losers=b""):
    """Yields (None, (task, answer)), and ((window, bucket), entries) for what other tasks have to know."""
    keys = {}

    def take(window, bucket, entries):
        keys.setdefault((window, bucket), bytearray()).extend(entries)

    calls = Calls(take if settings["exchange"] and not exact else None)
    scratch = scratch_make(settings["scratch"])
    try:
        answer = native.prepare_task(job.value, {
            "task": task, "mark": f"t{task}-{uuid.uuid4().hex}", "secret": settings["secret"], "scratch": scratch,
            "exact": exact}, losers, calls.calls)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if answer.startswith('{"error"'):
        said = json.loads(answer)
        if said.get("again"):
            raise TaskError(said)
    elif not exact:
        done.add(settings["records"][task])
    yield None, (task, answer)
    for where, entries in keys.items():
        yield where, bytes(entries)


def first_round(job, settings, done, tasks):
    for task in tasks:
        yield from run_task(job, settings, done, False, task)


def losers_of(parts):
    """All entries of a window's bucket: (task, records that lost)."""
    entries = bytearray()
    for part in parts:
        entries += part
    return native.keys_losers(entries).items()


def second_round(job, settings, done, tasks):
    for task, parts in tasks:
        for _, answer in run_task(job, settings, done, True, task, b"".join(parts)):
            yield answer


def same(task):
    return task


# ── in the driver ──


def _check(answers):
    """The first failure by the order of the files is told."""
    for _, answer in sorted(answers.items()):
        if answer.startswith('{"error"'):
            raise JobError.from_dict(json.loads(answer))


def _rounds(spark, job, settings):
    from pyspark import StorageLevel

    context = spark.sparkContext
    n = len(settings["records"])
    shared = context.broadcast(job)
    done = context.accumulator(0)
    ended = threading.Event()

    def tell():
        from sluice_spark.main import progress

        said, most = 0, sum(settings["records"])
        while not ended.wait(0.5):
            if said != min(done.value, most):
                said = min(done.value, most)
                progress(said)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        first = context.parallelize(range(n), n).mapPartitions(partial(first_round, shared, settings, done))
        if not settings["exchange"]:
            answers = dict(answer for _, answer in first.collect())
            _check(answers)
            return answers
        first.persist(StorageLevel.DISK_ONLY)  # else a task would run again to give its keys
        answers = dict(first.filter(lambda x: x[0] is None).values().collect())
        _check(answers)
        parts = min(n, PARTITIONS_MAX, max(2 * context.defaultParallelism, sum(settings["records"]) >> 20))
        again = (first.filter(lambda x: x[0] is not None).groupByKey(parts).values().flatMap(losers_of)
                 .groupByKey(parts, same).mapPartitions(partial(second_round, shared, settings, done)))
        answers.update(again.collect())
        _check(answers)
        first.unpersist()
        return answers
    finally:
        ended.set()
        teller.join()


def _folders(job):
    for table in [job] + job.get("children", []):
        for kind, files in (("output", "files"), ("quarantine_output", "quarantine_files")):
            yield table[kind], files


def _sweep(job, result):
    """What attempts left that nobody asks for any more: their scratch, and where the lake is a folder, their files. These
    folders are this job's alone."""
    if job["scratch"] and os.path.isdir(job["scratch"]):
        for name in os.listdir(job["scratch"]):
            if name.startswith(SCRATCH):
                shutil.rmtree(os.path.join(job["scratch"], name), ignore_errors=True)
    tables = [] if result is None else [result] + result.get("children", [])
    named = {f["path"].rsplit("/", 1)[-1] for t in tables for kind in ("files", "quarantine_files") for f in t[kind]}
    for folder, _ in _folders(job):
        if not os.path.isabs(folder) or not os.path.isdir(folder):
            continue
        for name in os.listdir(folder):
            if name not in named:
                try:
                    os.unlink(os.path.join(folder, name))
                except OSError:
                    pass  # left to gc


def run(spark, job, text):
    """The result as JSON text."""
    raw = text.encode()
    plan = native.prepare_plan(raw)
    if "error" in plan:
        raise JobError.from_dict(plan)
    settings = {"secret": secrets.token_hex(16), "scratch": job["scratch"], "exchange": plan["exchange"],
                "records": [t["records"] for t in plan["tasks"]]}
    result = None
    try:
        try:
            answers = _rounds(spark, raw, settings)
        except JobError:
            raise
        except Exception as failure:
            raise from_spark(failure) from failure
        calls, scratch = Calls(), scratch_make(job["scratch"])
        try:
            answer = native.prepare_join(raw, {"mark": f"rest-{uuid.uuid4().hex}", "scratch": scratch,
                                               "engine": f"Spark {spark.version}"},
                                         [answers[i] for i in sorted(answers)], calls.calls)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        result = json.loads(answer)
        if "error" in result:
            failed, result = result, None
            raise JobError.from_dict(failed)
        return answer
    finally:
        _sweep(job, result)
