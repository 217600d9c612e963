"""Files of tables, written and read with pyarrow as libsluice asks (struct sluice_calls in src/prepare/native.h).

What is written are DuckDB's files over again, as far as readers see them: ZSTD 1, data pages V1, row groups of 122,880
rows, instants in UTC, no schema of Arrow's."""

import ctypes
import errno
import json
import os
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sluice_spark import native

ROW_GROUP_ROWS = 122880


class _Refused(Exception):
    """libsluice has the reason already."""


def _code_of(failure):
    if isinstance(failure, (MemoryError, pa.ArrowMemoryError)):
        return b"MEMORY"
    if isinstance(failure, OSError) and failure.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES,
                                                          errno.ENOENT, errno.EMFILE):
        return b"STORAGE"
    return b"ENGINE"


def _reason(path, failure):
    return f"{path}: {type(failure).__name__}: {failure}"[:1800].encode()


def _schema(lib, rows):
    memory = ctypes.create_string_buffer(72)  # struct ArrowSchema
    lib.sluice_rows_schema(rows, memory)
    return pa.Schema._import_from_c(ctypes.addressof(memory))


def _batches(lib, rows, schema):
    memory = ctypes.create_string_buffer(80)  # struct ArrowArray
    while True:
        said = lib.sluice_rows_next(rows, memory)
        if said < 0:
            raise _Refused
        if said == 0:
            return
        yield pa.RecordBatch._import_from_c(ctypes.addressof(memory), schema)


def _sorted(table, order):
    """Indices of the rows in that order. NULL first where a column ascends, last where it descends: since Arrow has one place
    for all NULLs, a flag in front of each column decides."""
    keys, names = [], []
    for i, by in enumerate(order):
        column = table.column(by["column"])
        way = "descending" if by["descending"] else "ascending"
        if column.null_count:
            keys.append((f"n{i}", way))
            names.append((f"n{i}", pc.cast(pc.is_valid(column), pa.int8())))
        keys.append((f"c{i}", way))
        names.append((f"c{i}", column))
    plan = pa.table([c for _, c in names], names=[n for n, _ in names])
    return pc.sort_indices(plan, sort_keys=keys)


def _in_order(table, spec):
    indices = _sorted(table, spec["order"])
    if spec["drop_last"]:
        table = table.select(range(table.num_columns - 1))
    for at in range(0, table.num_rows, ROW_GROUP_ROWS):
        yield table.take(indices.slice(at, ROW_GROUP_ROWS))


def _write(lib, path, spec, rows):
    schema = _schema(lib, rows)
    written = schema.remove(len(schema) - 1) if spec["drop_last"] else schema
    settings = {"compression": "zstd", "compression_level": 1, "version": "1.0", "data_page_version": "1.0",
                "use_dictionary": not spec["plain"], "store_schema": False}
    if int(pa.__version__.split(".")[0]) >= 20:
        settings["store_decimal_as_integer"] = True
    with open(path, "xb") as out:  # no name is ever written twice
        try:
            with pq.ParquetWriter(out, written, **settings) as writer:
                groups = _batches(lib, rows, schema)
                if spec["order"]:
                    groups = _in_order(pa.Table.from_batches(groups, schema), spec)
                for group in groups:
                    if isinstance(group, pa.RecordBatch):
                        group = pa.Table.from_batches([group], schema)
                    writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
        except BaseException:
            os.unlink(path)
            raise


def _read(lib, path, columns, take):
    array, schema = ctypes.create_string_buffer(80), ctypes.create_string_buffer(72)
    with pq.ParquetFile(path) as f:
        for batch in f.iter_batches(batch_size=65536, use_threads=False):
            batch.select(columns)._export_to_c(ctypes.addressof(array), ctypes.addressof(schema))
            if lib.sluice_take_batch(take, schema, array) != 0:
                raise _Refused


class Calls:
    """What libsluice calls; keep it until the call into libsluice is back. `keys` gets (window, bucket, bytes)."""

    def __init__(self, keys=None):
        lib = native.library()

        def guard(fail, work):
            def call(_user, path, text, handle):
                try:
                    path = os.fsdecode(path)
                    work(lib, path, json.loads(text), handle)
                    return 0
                except _Refused:
                    return -1
                except BaseException as failure:  # told by libsluice with all that it knows
                    fail(handle, _code_of(failure), _reason(path, failure))
                    return -1

            return call

        def give(_user, window, bucket, entries, n):
            try:
                keys(window, bucket, ctypes.string_at(entries, n * native.KEY_BYTES))
                return 0
            except BaseException as failure:
                print(f"sluice: keys: {failure}", file=sys.stderr)
                return -1

        self._kept = (native.WRITE(guard(lib.sluice_rows_fail, _write)), native.READ(guard(lib.sluice_take_fail, _read)),
                      native.KEYS(give) if keys else native.KEYS())
        self.calls = native.Calls(None, *self._kept)
