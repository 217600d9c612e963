"""Prepare on Spark, one core, several times in one session, so that neither Java's start nor its warming up is what is measured:

    spark_way.py sluice LIBRARY JOB.json TIMES         through libsluice: the job's outputs are emptied before each time
    spark_way.py read_json PAGES OUT TIMES             Spark's own reader with the schema given, into ordered zstd Parquet

Prints the CPU seconds of each time, of this process and all below it (Java, its Python workers)."""
import json
import os
import shutil
import sys
import time

COLUMNS = [("year", "BIGINT"), ("month", "BIGINT"), ("day", "BIGINT"), ("dep_time", "BIGINT"),
           ("sched_dep_time", "BIGINT"), ("dep_delay", "BIGINT"), ("arr_time", "BIGINT"), ("sched_arr_time", "BIGINT"),
           ("arr_delay", "BIGINT"), ("carrier", "STRING"), ("flight", "BIGINT"), ("tailnum", "STRING"),
           ("origin", "STRING"), ("dest", "STRING"), ("air_time", "BIGINT"), ("distance", "BIGINT"),
           ("hour", "BIGINT"), ("minute", "BIGINT"), ("time_hour", "TIMESTAMP"), ("number", "BIGINT")]
TICK = os.sysconf("SC_CLK_TCK")


def cpu_s():
    """Of this process and those below it, also of their children that have ended."""
    stat, below = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8") as f:
                    fields = f.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            stat[int(entry)] = sum(map(int, fields[11:15]))
            below.setdefault(int(fields[1]), []).append(int(entry))
    waiting, ticks = [os.getpid()], 0
    while waiting:
        pid = waiting.pop()
        ticks += stat.get(pid, 0)
        waiting += below.get(pid, [])
    return ticks / TICK


def session():
    from pyspark.sql import SparkSession
    os.environ.update(SPARK_LOCAL_IP="127.0.0.1", PYSPARK_PYTHON=sys.executable)
    b = SparkSession.builder.master("local[1]").appName("bench").config("spark.ui.enabled", "false")
    b = b.config("spark.driver.memory", "2g").config("spark.sql.session.timeZone", "UTC").config("spark.sql.shuffle.partitions", "1")
    spark = b.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def folders(job):
    return [t[kind] for t in [job] + job.get("children", []) for kind in ("output", "quarantine_output")]


def by_sluice(library, path):
    os.environ["SLUICE_LIBRARY"] = library
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "spark"))
    from sluice_spark import main, prepare
    with open(path, encoding="utf-8") as f:
        text = f.read()
    job, spark = json.loads(text), session()
    main.ship_package(spark.sparkContext)

    def once():
        for folder in folders(job):
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
        begin = cpu_s()
        prepare.run(spark, job, text)
        return cpu_s() - begin

    return once


def by_read_json(pages, out):
    spark = session()
    record = "array<struct<" + ", ".join(f"{name}: {kind}" for name, kind in COLUMNS) + ">>"

    def once():
        begin = cpu_s()
        (spark.read.schema(f"data {record}").option("multiLine", "true").json(pages).selectExpr("inline(data)")
         .repartition(1).sortWithinPartitions("time_hour", "carrier", "flight")
         .write.mode("overwrite").option("compression", "zstd").parquet(out))
        return cpu_s() - begin

    return once


def main():
    once = {"sluice": by_sluice, "read_json": by_read_json}[sys.argv[1]](*sys.argv[2:4])
    begin = time.monotonic()
    print(json.dumps({"cpu_s": [round(once(), 3) for _ in range(int(sys.argv[4]))], "wall_s": time.monotonic() - begin}))


main()
