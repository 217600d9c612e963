"""The peer of prepare: gzipped pages into one ordered zstd Parquet, by DuckDB's own reader with the schema given, on one
thread. prepare_peer.py FOLDER_OF_PAGES OUT prints the CPU seconds of the work itself (Python's start is not counted)."""
import json
import sys
import time

import duckdb

COLUMNS = [("year", "BIGINT"), ("month", "BIGINT"), ("day", "BIGINT"), ("dep_time", "BIGINT"),
           ("sched_dep_time", "BIGINT"), ("dep_delay", "BIGINT"), ("arr_time", "BIGINT"), ("sched_arr_time", "BIGINT"),
           ("arr_delay", "BIGINT"), ("carrier", "VARCHAR"), ("flight", "BIGINT"), ("tailnum", "VARCHAR"),
           ("origin", "VARCHAR"), ("dest", "VARCHAR"), ("air_time", "BIGINT"), ("distance", "BIGINT"),
           ("hour", "BIGINT"), ("minute", "BIGINT"), ("time_hour", "TIMESTAMPTZ"), ("number", "BIGINT")]

pages, out = sys.argv[1:]
record = "STRUCT(" + ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS) + ")[]"
begin = time.process_time()
db = duckdb.connect(config={"threads": 1})
db.execute("SET TimeZone = 'UTC'")
db.execute(f"""COPY (SELECT * FROM (SELECT unnest(data, recursive := true)
                                    FROM read_json('{pages}/*.json.gz', format = 'unstructured', compression = 'gzip',
                                                   columns = {{data: '{record}'}}))
                     ORDER BY time_hour, carrier, flight)
               TO '{out}' (FORMAT parquet, COMPRESSION zstd)""")
print(json.dumps({"cpu_s": time.process_time() - begin}))
