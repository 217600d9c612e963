"""A lake that is no folder, by libsluice's own store (src/prepare/lake_native.h), in executors as in the driver: the credentials,
settings and retries of all of sluice, and every object compared with what its table's log says of it.

Spark's own reader would need a second client (s3a: jars, credentials and certificates of Java's), which is set up in another way on
each kind of cluster, and compares nothing. The price: objects come as a whole, and rows go through Python's workers. So of a
SELECT only the columns that it needs are read (columns_read)."""

import ctypes
import functools
import json
import os
import shutil
import tempfile

from sluice_spark import native
from sluice_spark.errors import JobError, TaskError

SCRATCH = "sluice-task-"
READ_ROWS = 1 << 16
TASK_BYTES = 32 << 20  # of files, that a task reads
NOT_READ = "sluice: a column that was taken for one that nobody reads"


@functools.lru_cache(maxsize=None)
def _functions():
    lib = native.library()
    text, size = ctypes.c_char_p, ctypes.c_size_t
    for name, arguments in (("job_read", [text]), ("job_answer", [text, size, text, size]),
                            ("object_bring", [text, size, size, text]), ("object_send", [text, size, text, text])):
        function = getattr(lib, "sluice_" + name)
        function.restype, function.argtypes = ctypes.c_void_p, arguments
    return lib


def is_url(name):
    return "://" in name


# ── jobs and results ──


def _checked(answer):
    if "error" in answer:
        raise JobError.from_dict(answer)
    return answer


def job_read(name):
    text = native.text_of(_functions().sluice_job_read(os.fsencode(name)))
    if text.startswith('{"error"'):
        raise JobError.from_dict(json.loads(text))
    return text


def job_answer(job, answer):
    text = job_of_lake(job)
    answer = answer.encode()
    _checked(native.answer_of(_functions().sluice_job_answer(text, len(text), answer, len(answer))))


# ── in tasks ──


def job_of_lake(job, objects=()):
    """The text of a job without its work: what has to be known to reach the lake, and these objects."""
    keep = {k: job[k] for k in ("format", "run", "pipeline", "table", "lake", "store", "result", "output") if k in job}
    return json.dumps({**keep, "kind": "count", "scratch": "", "cache": "", "scratch_bytes": 0, "threads": 1, "memory_bytes": 0,
                       "file_rows": 1, "sql": [], "inputs": [], "objects": list(objects)}).encode()


def _done(answer):
    if "error" in answer:
        raise TaskError(answer)
    return answer


def scratch_make(job_scratch):
    """A folder in the job's where this machine has it, else in what Spark gives its workers and removes behind them, though they
    were killed; else where this machine keeps such things."""
    for there in (job_scratch, os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0]):
        if there and os.path.isdir(there):
            return tempfile.mkdtemp(prefix=SCRATCH, dir=there)
    return tempfile.mkdtemp(prefix=SCRATCH)


class Scratch:
    """A folder of a task's own."""

    def __init__(self, job_scratch):
        self.path = scratch_make(job_scratch)

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)


def send(lake, path, name):
    """{"size","sha256"} of the object that the file has become."""
    return _done(native.answer_of(_functions().sluice_object_send(lake, len(lake), os.fsencode(path), os.fsencode(name))))


def _batches(path, schema):
    """Rows of a file as the contract types them; NULL in columns that it lacks."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as f:
        there = {name.lower(): name for name in f.schema_arrow.names}
        for batch in f.iter_batches(batch_size=READ_ROWS, columns=[there[n.lower()] for n in schema.names if n.lower() in there],
                                    use_threads=False):
            columns = []
            for field in schema:
                if field.name.lower() in there:
                    column = batch.column(there[field.name.lower()])
                    columns.append(column if column.type.equals(field.type) else column.cast(field.type))
                else:
                    columns.append(pa.nulls(batch.num_rows, field.type))
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def read_objects(lake, scratch, groups, schema, batches):
    lib = _functions()
    for batch in batches:
        for task in batch.column(0).to_pylist():
            folder = Scratch(scratch)
            try:
                path = os.path.join(folder.path, "object.parquet")
                text = lake.value
                for i in groups[task]:
                    _done(native.answer_of(lib.sluice_object_bring(text, len(text), i, os.fsencode(path))))
                    yield from _batches(path, schema)
                    os.unlink(path)
            finally:
                folder.close()


# ── in the driver ──


def _groups(objects, tasks):
    """Numbers of objects that a task reads, so that there are at least that many tasks where there are as many objects."""
    most = max(1, min(TASK_BYTES, sum(o["size"] for o in objects) // max(1, tasks)))
    out, held = [], 0
    for i, o in enumerate(objects):
        if not out or held + o["size"] > most:
            out.append([])
            held = 0
        out[-1].append(i)
        held += o["size"]
    return out


def rows_of(spark, job, table, schema, map_in_arrow, types):
    """The files' rows, of the columns of `schema`; `types` is the same for Spark."""
    known = {o["file"]: o for o in job["objects"]}
    try:
        objects = [known[f] for f in table["files"]]
    except KeyError as e:
        raise JobError("USAGE", f"the job lists no object for {e.args[0]}") from e
    groups = _groups(objects, 2 * spark.sparkContext.defaultParallelism)
    text = spark.sparkContext.broadcast(job_of_lake(job, objects))
    return map_in_arrow(spark.range(0, len(groups), 1, len(groups)),
                        functools.partial(read_objects, text, job["scratch"], groups, schema), types)


# Sizes of what tasks bring are not known to the planner, which would take each for a small one and send it to everybody. What
# is small is found out when it is there.
JOINS = {"spark.sql.autoBroadcastJoinThreshold": "-1", "spark.sql.adaptive.autoBroadcastJoinThreshold": "10485760"}


def joins_settle(spark):
    given = spark.sparkContext.getConf()
    for name, value in JOINS.items():
        if given.get(name, None) is None:
            spark.conf.set(name, value)


def _lists(value):
    """Plans within plans: those of subqueries stand in the expressions that use them."""
    waiting = [value]
    while waiting:
        x = waiting.pop()
        if isinstance(x, dict):
            waiting += x.values()
        elif isinstance(x, list):
            if x and all(isinstance(n, dict) and "num-children" in n for n in x):
                yield x
            waiting += x


def _parents(nodes):
    """Of a tree as a list, each node before its children: the index of each one's parent."""
    out, above = [], []  # above: (index, children that are still to come)
    for i, node in enumerate(nodes):
        while above and above[-1][1] == 0:
            above.pop()
        out.append(above[-1][0] if above else None)
        if above:
            above[-1][1] -= 1
        above.append([i, node["num-children"]])
    return out


def _attributes(node):
    """(id, name) of all attributes that it names."""
    waiting = [v for k, v in reversed(node.items())]
    while waiting:
        x = waiting.pop()
        if isinstance(x, list):
            waiting += reversed(x)
        elif isinstance(x, dict):
            if str(x.get("class", "")).endswith(".AttributeReference"):
                yield x["exprId"]["id"], x["name"]
            waiting += x.values()


def _is(node, *names):
    return node["class"].rsplit(".", 1)[-1] in names


def _asked(nodes, parents, leaf):
    """Ids of what is taken from a leaf: what stands in the first Project or Aggregate over it, and in filters in between. Where
    something else is there, None: all."""
    asked, at = set(), parents[leaf]
    while at is not None and _is(nodes[at], "Filter"):
        asked.update(key for key, _ in _attributes(nodes[at]))
        at = parents[at]
    if at is None or not _is(nodes[at], "Project", "Aggregate"):
        return None
    return asked.union(key for key, _ in _attributes(nodes[at]))


def columns_read(plan_json, tables):
    """Of an optimized plan over inputs whose columns have these names: the set of numbers that it needs of each, None where it is not
    found. Inputs with the same names are not told apart, and need what either needs."""
    needed = [None] * len(tables)
    for nodes in _lists(json.loads(plan_json)):
        parents = _parents(nodes)
        for i, node in enumerate(nodes):
            if not _is(node, "LogicalRDD"):
                continue
            own, asked = list(_attributes(node)), _asked(nodes, parents, i)
            names = [name for _, name in own]
            taken = {n for n, (key, _) in enumerate(own) if asked is None or key in asked}
            for number, table in enumerate(tables):
                if table == names:
                    needed[number] = (needed[number] or set()) | taken
    return needed
