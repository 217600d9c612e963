"""One model on Spark: its inputs as views, its SELECT, the contract's columns in their order and types, files, and what
these hold, read back. Mirrors src/refine/refine.c; the texts of errors are the same.

Tasks write Parquet straight to its final place, under a name that no other attempt has, read it back, and answer with that
name. A file counts only if an answer that Spark took names it: of an attempt that failed, was lost or came second there is at
most a file that nobody names. Nothing is renamed, so a store without renames (S3) is as safe as a disk.

Where the lake is no folder, tasks bring the inputs' objects and send their files, as whole objects that were read back (lake.py)."""

import contextlib
import ctypes
import decimal
import functools
import json
import math
import os
import re
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor

from sluice_spark import lake, native, settings
from sluice_spark.errors import JobError, TaskError, from_spark

GROUP_ROWS, GROUP_BYTES = 122880, 64 << 20  # of a row group

# ── libsluice (src/refine/refine_native.h) ──


@functools.lru_cache(maxsize=None)
def _functions():
    lib = native.library()
    handle, text, pointer = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
    for name, result, arguments in (
            ("shape", pointer, [text]), ("open", handle, [text, ctypes.POINTER(pointer)]), ("close", None, [handle]),
            ("written", pointer, [handle, pointer, pointer]), ("read", pointer, [handle, pointer, pointer]),
            ("file", pointer, [handle, text]), ("part", pointer, [handle]), ("finish", pointer, [text, text, text])):
        function = getattr(lib, "sluice_refine_" + name)
        function.restype, function.argtypes = result, arguments
    return lib


def _answer(pointer, raising):
    answer = native.answer_of(pointer)
    if "error" in answer:
        raise raising(answer)
    return answer


class Check:
    """What the files of one task hold."""

    def __init__(self, contract):
        self.lib = _functions()
        failure = ctypes.c_void_p()
        self.handle = self.lib.sluice_refine_open(contract.encode(), ctypes.byref(failure))
        if not self.handle:
            _answer(failure.value, TaskError)

    def _rows(self, function, batch):
        schema, array = (ctypes.c_uint64 * 9)(), (ctypes.c_uint64 * 10)()  # the two structures of the C data interface
        at = [ctypes.addressof(x) for x in (schema, array)]
        batch._export_to_c(at[1], at[0])
        failed = function(self.handle, *at)
        if failed:
            _answer(failed, TaskError)

    def written(self, batch):
        self._rows(self.lib.sluice_refine_written, batch)

    def read(self, batch):
        self._rows(self.lib.sluice_refine_read, batch)

    def file(self, path):
        return _answer(self.lib.sluice_refine_file(self.handle, path.encode()), TaskError)

    def part(self):
        return native.answer_of(self.lib.sluice_refine_part(self.handle))

    def close(self):
        self.lib.sluice_refine_close(self.handle)


# ── in a task: rows into files ──


def _parquet_schema(columns):
    import pyarrow as pa
    types = {"string": pa.string(), "json": pa.string(), "boolean": pa.bool_(), "integer": pa.int64(), "double": pa.float64(),
             "date": pa.date32(), "timestamp": pa.timestamp("us", "UTC")}
    return pa.schema([pa.field(c["name"], pa.decimal128(c["precision"], c["scale"]) if c["type"] == "decimal"
                               else types[c["type"]]) for c in columns])


class FileWriter:
    """Rows of a partition, in their order, into files of at most file_rows rows. place: Place."""

    def __init__(self, shape, place, prefix):
        self.place, self.file_rows, self.prefix = place, place.file_rows, prefix
        self.scratch = lake.Scratch(place.scratch) if place.lake else None
        self.folder = self.scratch.path if self.scratch else place.output
        self.schema = _parquet_schema(shape["columns"])
        # A dictionary would keep one of several doubles that equal each other with other bits.
        self.dictionary = [c["name"] for c in shape["columns"] if c["type"] not in ("double", "boolean")]
        self.check = Check(shape["contract"])
        self.writer, self.held, self.held_rows, self.held_bytes, self.rows = None, [], 0, 0, 0
        self.files, self.write_us, self.read_us = [], 0, 0

    def _open(self):
        import pyarrow.parquet as pq
        self.name = f"{self.prefix}-{len(self.files):05d}.parquet"
        self.path = os.path.join(self.folder, self.name)
        self.writer = pq.ParquetWriter(self.path, self.schema, version="2.6", compression="zstd", data_page_version="1.0",
                                       use_dictionary=self.dictionary, coerce_timestamps="us", store_schema=False)
        self.rows = 0

    def _flush(self):
        import pyarrow as pa
        if self.held:
            self.writer.write_table(pa.Table.from_batches(self.held, self.schema), row_group_size=GROUP_ROWS)
        self.held, self.held_rows, self.held_bytes = [], 0, 0

    def add(self, batch):
        import pyarrow as pa
        batch = pa.RecordBatch.from_arrays(batch.columns, schema=self.schema)
        at = 0
        while at < batch.num_rows:
            started = time.monotonic()
            if self.writer is None:
                self._open()
            take = min(batch.num_rows - at, self.file_rows - self.rows, GROUP_ROWS - self.held_rows)
            piece = batch.slice(at, take)
            self.check.written(piece)
            self.held.append(piece)
            self.held_rows += take
            self.held_bytes += piece.nbytes
            self.rows += take
            at += take
            if self.held_rows >= GROUP_ROWS or self.held_bytes >= GROUP_BYTES:
                self._flush()
            self.write_us += int((time.monotonic() - started) * 1e6)
            if self.rows == self.file_rows:
                self.end_file()

    def end_file(self):
        import pyarrow.parquet as pq
        started = time.monotonic()
        self._flush()
        self.writer.close()
        self.writer = None
        middle = time.monotonic()
        with pq.ParquetFile(self.path) as f:
            for batch in f.iter_batches(batch_size=lake.READ_ROWS, columns=self.schema.names):
                self.check.read(batch)
        found = self.check.file(self.path)
        found.update(path=self.name, size=os.path.getsize(self.path))
        if self.scratch:
            found.update(lake.send(self.place.lake, self.path, self.name))
            os.unlink(self.path)
        self.files.append(found)
        self.write_us += int((middle - started) * 1e6)
        self.read_us += int((time.monotonic() - middle) * 1e6)

    def finish(self, at_least_one=False):
        if self.writer is None and at_least_one and not self.files:
            self._open()
        if self.writer is not None:
            self.end_file()
        return {"files": self.files, "part": self.check.part(), "write_us": self.write_us, "read_back_us": self.read_us}

    def close(self):
        if self.writer is not None:
            self.writer.close()
        self.check.close()
        if self.scratch:
            self.scratch.close()


class Place:
    """Where a job's files go. lake: how they are sent there; None where `output` is a folder."""

    def __init__(self, job):
        self.output, self.scratch, self.file_rows = job["output"], job["scratch"], job["file_rows"]
        self.lake = lake.job_of_lake(job) if lake.is_url(job["output"]) else None


def write_partition(shape, place, batches):
    import pyarrow as pa
    from pyspark import TaskContext

    context = TaskContext.get()
    prefix = f"{context.partitionId():05d}-{context.taskAttemptId()}-{uuid.uuid4().hex[:12]}"
    writer = FileWriter(shape, place, prefix)
    try:
        for batch in batches:
            writer.add(batch)
        answer = writer.finish()
    finally:
        writer.close()
    yield pa.RecordBatch.from_arrays([pa.array([context.partitionId()], pa.int64()), pa.array([json.dumps(answer)])],
                                     names=["part", "answer"])


# ── inputs ──


def _spark_type(column):
    names = {"string": "string", "json": "string", "boolean": "boolean", "integer": "bigint", "double": "double",
             "date": "date", "timestamp": "timestamp"}
    if column["type"] == "decimal":
        return f"decimal({column['precision']},{column['scale']})"
    return names[column["type"]]


def _quoted(name):
    return "`" + name.replace("`", "``") + "`"


def _file_schema(path):
    import pyarrow.parquet as pq
    return str(pq.read_schema(path).remove_metadata())


def _spark_types(columns):
    return ", ".join(f"{_quoted(c['name'])} {_spark_type(c)}" for c in columns)


def filled_up(rows, columns):
    """All columns; those that `rows` lacks are there by name and type alone."""
    from pyspark.sql import functions as f
    there = set(rows.columns)
    return rows.select([f.col(_quoted(c["name"])) if c["name"] in there else
                        f.expr(f"CAST(raise_error('{lake.NOT_READ}') AS {_spark_type(c)})").alias(c["name"]) for c in columns])


def read_input(spark, job, table, needed=None):
    """The table as its contract types it; a file that lacks a column has NULL there. needed: numbers of the columns that are asked
    for; None: all."""
    from pyspark.sql import functions as f
    from pyspark.sql.types import _parse_datatype_string

    columns = table["columns"]
    if not table["files"]:
        return spark.createDataFrame([], _parse_datatype_string(_spark_types(columns)))
    if lake.is_url(job["lake"]):
        asked = [c for i, c in enumerate(columns) if needed is None or i in needed] or columns[:1]
        return filled_up(lake.rows_of(spark, job, table, _parquet_schema(asked), map_in_arrow, _spark_types(asked)), columns)
    with ThreadPoolExecutor(8) as pool:  # files of one shape are read together
        schemas = list(pool.map(_file_schema, table["files"]))
    groups = {}
    for path, schema in zip(table["files"], schemas):
        groups.setdefault(schema, []).append(path)
    out = None
    for files in groups.values():
        # On a cluster a path alone may be one of its own file system (HDFS). A path is no pattern: lake? would be lake1 as well.
        rows = (spark.read.option("mergeSchema", "false").option("recursiveFileLookup", "true").option("__globPaths__", "false")
                .parquet(*["file://" + os.path.abspath(f) for f in files]))
        there = {c.lower() for c in rows.columns}
        rows = rows.select([(f.col(_quoted(c["name"])) if c["name"].lower() in there else f.lit(None))
                            .cast(_spark_type(c)).alias(c["name"]) for c in table["columns"]])
        out = rows if out is None else out.union(rows)
    return out


def view_name(table):
    """As src/refine/model_spark.c writes it."""
    return f"sluice_{table['schema']}_{table['table']}"


def columns_needed(spark, job):
    """Of each input the numbers of the columns that the SELECT needs; None: all, for all that is known."""
    from pyspark.sql.types import _parse_datatype_string

    if job["spark"]["language"] != "sql":
        return [None] * len(job["inputs"])
    for table in job["inputs"]:
        nothing = spark.createDataFrame(spark.sparkContext.emptyRDD(), _parse_datatype_string(_spark_types(table["columns"])))
        nothing.createOrReplaceTempView(view_name(table))
    plan = spark.sql(job["spark"]["text"])._jdf.queryExecution().optimizedPlan()
    return lake.columns_read(plan.toJSON(), [[c["name"] for c in table["columns"]] for table in job["inputs"]])


def inputs_open(spark, job, all_columns):
    needed, inputs = [None] * len(job["inputs"]), {}
    if lake.is_url(job["lake"]):
        lake.joins_settle(spark)
        try:
            needed = needed if all_columns else columns_needed(spark, job)
        except Exception:  # what is wrong with the text is told where it is run
            pass
    for i, table in enumerate(job["inputs"]):
        rows = inputs[f"{table['schema']}.{table['table']}"] = read_input(spark, job, table, needed[i])
        rows.createOrReplaceTempView(view_name(table))
    return inputs


# ── the model ──


def _said(failure):
    text = getattr(failure, "desc", None) or str(failure)
    text = text.split("\nJVM stacktrace")[0].strip()
    return " ".join(line.strip() for line in text.split("\n== SQL")[0].split(";\n'")[0].splitlines() if line.strip())[:1500]


def is_stopped(spark):
    context = spark.sparkContext._jsc
    return context is None or context.sc().isStopped()


def _line(failure, file):
    """Of the author's text, the last that was being done; nothing where the failure says it itself, as a SyntaxError does."""
    lines = [at.lineno for at in traceback.extract_tb(failure.__traceback__) if at.filename == file]
    return f", line {lines[-1]}" if lines else ""


def _comes_of(job, text):
    """An author's text was being carried out; Python's stack traces tell its line."""
    lines = re.findall(rf'File "{re.escape(job["spark"]["file"])}", line (\d+)', text)
    return f"this comes of {mended_in(job)}{', line ' + lines[-1] if lines else ''}, or of a row that it reads"


class Inputs(dict):
    def __missing__(self, name):
        raise KeyError(f"{name} is none of the tables that the SELECT beside it reads: {', '.join(sorted(self)) or 'none'}")


def mended_in(job):
    """The file in which an author mends what was wrong with the rows."""
    file = os.path.basename(job["spark"]["file"])
    return f"models/{file}" if file.endswith((".py", ".spark.sql")) else f"models/{job['table']}.sql"


def _of_rows(error, job):
    """libsluice knows of no text for Spark alone."""
    return JobError(error.code, error.message, error.hint.replace(f"models/{job['table']}.sql", mended_in(job)))


@contextlib.contextmanager
def nothing_left():
    """What an author's code sets for this whole process is not there for the next model."""
    variables, folder, digits = dict(os.environ), os.getcwd(), decimal.getcontext().copy()
    try:
        yield
    finally:
        for name in set(os.environ) - set(variables):
            del os.environ[name]
        os.environ.update({name: value for name, value in variables.items() if os.environ.get(name) != value})
        time.tzset()
        os.chdir(folder)
        decimal.setcontext(digits)


def select(spark, job, inputs):
    from pyspark.sql import DataFrame
    from pyspark.errors import AnalysisException, ParseException

    text, file = job["spark"]["text"], job["spark"]["file"]
    if job["spark"]["language"] == "sql":
        try:
            return spark.sql(text)
        except (ParseException, AnalysisException) as e:
            raise JobError("CONFIG", f"{file}: Spark: {_said(e)}", f"this text runs on Spark: mend {file}") from e
    space = {"__name__": "sluice_model", "__file__": file}
    try:
        with nothing_left():
            exec(compile(text, file, "exec"), space)
            model = space.get("model")
            if not callable(model):
                raise JobError("CONFIG", f"{file}: there is no function model(spark, inputs)", f"only Spark runs it: mend {file}")
            rows = model(spark, Inputs(inputs))
    except (JobError, MemoryError):
        raise
    except (Exception, SystemExit) as e:  # whatever an author's code may raise
        told = from_spark(e) if type(e).__module__.startswith(("py4j.", "pyspark.")) else None
        if told and told.code != "ENGINE":  # of Spark's, while it asked for rows
            raise told from e
        raise JobError("CONFIG", f"{file}{_line(e, file)}: {type(e).__name__}: {_said(e)}", f"only Spark runs it: mend {file}") from e
    if not isinstance(rows, DataFrame):
        raise JobError("CONFIG", f"{file}: model() gave a {type(rows).__name__}, not a DataFrame", f"only Spark runs it: mend {file}")
    if is_stopped(spark):
        raise JobError("CONFIG", f"{file}: it stopped Spark, which others need after it", f"take spark.stop() out of {file}")
    for session in (spark, rows.sparkSession):  # rows may come from one of its own
        settings.hold(session, file)
    return rows


def columns_match(given, wanted, name, file):
    lacking = [c for c in wanted if c.lower() not in {g.lower() for g in given}]
    extra = [g for g in given if g.lower() not in {c.lower() for c in wanted}]
    said = []
    if lacking:
        said.append("the SELECT does not give columns of the contract: " + ", ".join(lacking))
    if extra:
        said.append("the contract does not have columns of the SELECT: " + ", ".join(extra))
    if said:
        raise JobError("CONFIG", "; ".join(said)[:1500],
                       f"the columns of {file} and contracts/{name}.yaml must be the same")
    for i, g in enumerate(given):
        if g.lower() in {x.lower() for x in given[:i]}:
            raise JobError("CONFIG", f"the SELECT gives two columns {g}")


# Every value of the first is one of the second, and stays what it is.
EXACT = {("tinyint", "integer"), ("smallint", "integer"), ("int", "integer"), ("bigint", "integer"), ("float", "double"),
         ("double", "double"), ("string", "string"), ("string", "json"), ("boolean", "boolean"), ("date", "date"),
         ("timestamp", "timestamp"), ("timestamp_ntz", "timestamp")}
PLAIN = {"tinyint", "smallint", "int", "bigint", "float", "double", "string", "boolean", "date", "timestamp", "timestamp_ntz",
         "void"}


def fraction_only(kind):
    """decimal(4,4): DuckDB writes .5, Spark 0.5."""
    if not kind.startswith("decimal("):
        return False
    precision, scale = kind[8:-1].split(",")
    return precision == scale


def losses_check(rows, columns, file):
    """A value is lost where it does not come back from the column's type."""
    types = {field.name.lower(): field.dataType.simpleString() for field in rows.schema.fields}
    asked, sums = [], []
    for c in columns:
        given = types[c["name"].lower()]
        if given not in PLAIN and not given.startswith("decimal("):
            raise JobError("CONFIG", f"column {c['name']} is a {given.upper()}: models give plain columns, so cast it")
        if c["type"] in ("string", "json") and (given in ("double", "float") or given.startswith("timestamp") or fraction_only(given)):
            raise JobError("CONFIG", f"column {c['name']} is a {given.upper()}, which each engine writes otherwise as a text",
                           f"cast it in {file}, or give the column its type in the contract")
        if given == "void" or (given, c["type"]) in EXACT or given == _spark_type(c):
            continue
        q = _quoted(c["name"])
        lost = f"NOT (try_cast(try_cast({q} AS {_spark_type(c)}) AS {given}) <=> {q})"
        sums += [f"count_if({lost})", f"min(CAST({q} AS string)) FILTER (WHERE {lost})"]
        asked.append(c)
    if not asked:
        return
    found = rows.selectExpr(*sums).first()
    for i, c in enumerate(asked):
        if found[2 * i]:
            raise JobError("CONTRACT", f"column {c['name']}: {found[2 * i]} values cannot be {c['sql']} without loss, for "
                           f"instance {str(found[2 * i + 1])[:100]}",
                           f"round or cast in {file}, or give the column another type in its contract")


def _order(shape):
    from pyspark.sql import functions as f
    order = [f.col(_quoted(s["column"])).desc_nulls_last() if s["descending"] else f.col(_quoted(s["column"])).asc_nulls_first()
             for s in shape["sort"]]
    return order + [f.col(_quoted(k)).asc_nulls_first() for k in shape["key"]]


def keys_count(rows, shape, name, file):
    """Equal keys are neighbours only if the sort order is made of key columns. Otherwise they are counted."""
    if all(s["column"] in shape["key"] for s in shape["sort"]):
        return
    from pyspark.sql import functions as f
    n = "_n"
    while n in shape["key"]:  # whatever key columns are called
        n += "_"
    doubles = rows.groupBy(*[_quoted(k) for k in shape["key"]]).agg(f.count(f.lit(1)).alias(n)).where(f.col(n) > 1).count()
    if doubles:
        raise JobError("CONTRACT", f"{doubles} keys occur more than once (rule primary_key.unique)",
                       f"nothing was published; mend {file}, or the key in contracts/{name}.yaml")


# ── all of it ──


def map_in_arrow(rows, task, schema):
    """rows.mapInArrow, which in PySpark 3.5 and 4.0 asks for a pandas that it does not use."""
    import importlib.util
    if importlib.util.find_spec("pandas"):
        return rows.mapInArrow(task, schema)
    from pyspark.rdd import PythonEvalType
    from pyspark.sql import DataFrame
    from pyspark.sql.udf import UserDefinedFunction
    udf = UserDefinedFunction(task, returnType=schema, name="write_partition", evalType=PythonEvalType.SQL_MAP_ARROW_ITER_UDF)
    column = udf(*[rows[_quoted(c)] for c in rows.columns])
    if rows.sparkSession.version.startswith("3."):
        made = rows._jdf.pythonMapInArrow(column._jc.expr(), False)
    else:
        made = rows._jdf.mapInArrow(column._jc, False, None)
    return DataFrame(made, rows.sparkSession)


def write(rows, n, shape, job):
    """What the tasks said, in the order of the table."""
    if n == 0:
        writer = FileWriter(shape, Place(job), f"00000-{uuid.uuid4().hex[:12]}")
        try:
            return [writer.finish(at_least_one=True)]
        finally:
            writer.close()
    parts, order = math.ceil(n / job["file_rows"]), _order(shape)
    rows = rows.repartition(1) if parts == 1 else rows.repartitionByRange(parts, *order)
    task = functools.partial(write_partition, shape, Place(job))
    answers = map_in_arrow(rows.sortWithinPartitions(*order), task, "part bigint, answer string").collect()
    return [json.loads(a["answer"]) for a in sorted(answers, key=lambda a: a["part"])]


def sweep(output, files):
    """What attempts left that nobody took; one that is still at work, and each in a lake that is no folder, leaves its file to
    `sluice gc`."""
    if lake.is_url(output):
        return
    named = {f["path"] for f in files}
    for name in os.listdir(output):
        if name.endswith(".parquet") and name not in named:
            os.unlink(os.path.join(output, name))


def _result(value, column):
    """0.0 and -0.0 equal each other: which of them comes out of MAX, DISTINCT or a group is each engine's own choice."""
    from pyspark.sql import functions as f
    return f.when(value == 0, f.lit(0.0)).otherwise(value) if column["type"] == "double" else value


def refine(spark, job, shape, all_columns=False):
    from pyspark import StorageLevel
    from pyspark.sql import functions as f

    started, name, file = time.monotonic(), job["table"], mended_in(job)
    rows = select(spark, job, inputs_open(spark, job, all_columns))
    columns_match(rows.columns, [c["name"] for c in shape["columns"]], name, file)
    rows = rows.persist(StorageLevel.MEMORY_AND_DISK)  # the SELECT runs once
    losses_check(rows, shape["columns"], file)
    rows = rows.select([_result(f.col(_quoted(c["name"])).cast(_spark_type(c)), c).alias(c["name"]) for c in shape["columns"]])
    n = rows.count()
    keys_count(rows, shape, name, file)
    parsed = time.monotonic()
    answers = write(rows, n, shape, job)
    files = [file for a in answers for file in a["files"]]
    written = sum(file["rows"] for file in files)
    if written != n:
        raise JobError("ENGINE", f"{written} rows were written where there are {n}")
    sweep(job["output"], files)
    parts = json.dumps([a["part"] for a in answers])
    result = _answer(_functions().sluice_refine_finish(shape["contract"].encode(), name.encode(), parts.encode()),
                     lambda answer: _of_rows(JobError.from_dict(answer), job))
    folder = os.path.basename(job["output"].rstrip("/"))
    for file in files:
        file["path"] = f"data/{folder}/{file['path']}"
    result.update(engine=f"Spark {spark.version}", rows=n, files=files, parse_us=int((parsed - started) * 1e6),
                  write_us=sum(a["write_us"] for a in answers), read_back_us=sum(a["read_back_us"] for a in answers))
    return result


def run(spark, job, text):
    name = job["table"]
    if "spark" not in job:
        raise JobError("CONFIG", f"model {name}: the job was written for DuckDB", "engine: spark, where the job is written")
    try:
        shape = _answer(_functions().sluice_refine_shape(text.encode()), JobError.from_dict)
        try:
            return refine(spark, job, shape)
        except Exception as e:
            if lake.NOT_READ not in str(e):
                raise
            return refine(spark, job, shape, all_columns=True)
    except (MemoryError, ImportError):
        raise
    except Exception as failure:
        e = failure
        if not isinstance(e, JobError):  # of Spark, or a mistake here: told, never lost
            traceback.print_exc()
            e = from_spark(failure)
            if e.code == "ENGINE" and not e.hint:
                e = JobError(e.code, e.message, _comes_of(job, str(failure)))
        front = f"model {name}: "
        raise JobError(e.code, e.message if e.message.startswith(front.rstrip()) else front + e.message, e.hint) from failure
    finally:
        if not is_stopped(spark):
            spark.catalog.clearCache()
