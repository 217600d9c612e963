"""DuckDB and Spark do the same jobs on this machine, at 1 and 10 (BENCH_LARGE: 100) times the year of flights: seconds, seconds of CPU,
memory, the same rows. Then a line through each engine's times, and where the two would cross on more machines."""
import os
import shutil

from measure import PYTHON, ROOT, Mock, Project, Wrong, median

DAYS = ["--from", "2013-01-01", "--to", "2014-01-01", "-q"]
MODEL = "flight_legs"  # as many rows as it reads; the demo's daily_operations has few
SELECT = """SELECT time_hour, carrier, flight, number, origin, dest, dep_delay,
	CAST(ROW_NUMBER() OVER (PARTITION BY tailnum ORDER BY time_hour, carrier, flight, number) AS BIGINT) AS leg
FROM prepare.flights
"""
COLUMNS = [("time_hour", "timestamp", 1), ("carrier", "string", 2), ("flight", "integer", 3), ("number", "integer", 4),
           ("origin", "string", 0), ("dest", "string", 0), ("dep_delay", "integer", 0), ("leg", "integer", 0)]
MACHINES = (2, 4, 8, 16)


def spark_and_models(p):
    with open(p.file, "a", encoding="utf-8") as f:
        f.write(f"engine: {{spark: {{submit: {os.path.join(os.path.dirname(PYTHON), 'spark-submit')}}}}}\n")
    os.makedirs(os.path.join(p.folder, "models"))
    example = os.path.join(ROOT, "examples", "nycflights")
    for folder, ending in (("models", ".sql"), ("contracts", ".yaml")):
        shutil.copy(os.path.join(example, folder, "daily_operations" + ending), os.path.join(p.folder, folder))
    with open(os.path.join(p.folder, "models", MODEL + ".sql"), "w", encoding="utf-8") as f:
        f.write(SELECT)
    lines = [f"apiVersion: v3.1.0\nkind: DataContract\nid: bench-{MODEL}\nname: {MODEL}\nversion: 1.0.0\nstatus: active\nschema:",
             f"  - name: {MODEL}\n    properties:"]
    for name, kind, position in COLUMNS:
        lines.append(f"      - name: {name}\n        logicalType: {kind}")
        if position:
            lines.append(f"        primaryKey: true\n        primaryKeyPosition: {position}")
    with open(os.path.join(p.folder, "contracts", MODEL + ".yaml"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


def rows_of(p):
    return [line for line in p.sluice("digest").out.splitlines() if line.startswith("rows")]


def line(points):
    """Seconds at nothing, seconds per GB: through the first and the last point."""
    (x, y), (x2, y2) = points[0], points[-1]
    slope = (y2 - y) / (x2 - x)
    return y - slope * x, slope


def crossing(duckdb, spark, machines):
    """GB from which Spark on so many machines would be done before DuckDB on one; None: never."""
    gain = duckdb[1] - spark[1] / machines
    return None if gain <= 0 else max(0.0, (spark[0] - duckdb[0]) / gain)


def text(cost):
    return f"{cost['wall_s']:.1f} s, {cost['cpu_s']:.1f} s CPU, {cost['rss_mb']:.0f} MB"


def measure(figures):
    if not shutil.which("java"):
        print("engines: there is no Java")
        return
    points = {}
    for times in (1, 10, 100) if os.environ.get("BENCH_LARGE") else (1, 10):
        size, costs = measure_at(figures, times)
        for (stage, engine), cost in costs.items():
            points.setdefault((stage, engine), []).append((size / 1e9, cost["wall_s"]))
        for stage in ("prepare", "refine"):
            ours, theirs = costs[stage, "duckdb"], costs[stage, "spark"]
            figures.add(f"{stage}, {size / 1e9:.2f} GB, DuckDB : Spark", text(ours), text(theirs), None, theirs["wall_s"] / ours["wall_s"])
    for stage in ("prepare", "refine"):
        duckdb, spark = line(points[stage, "duckdb"]), line(points[stage, "spark"])
        found = {m: crossing(duckdb, spark, m) for m in MACHINES}
        figures.add(f"{stage}, lines", f"{duckdb[0]:.1f} s + {duckdb[1]:.1f} s/GB", f"{spark[0]:.1f} s + {spark[1]:.1f} s/GB", None,
                    spark[1] / duckdb[1])
        figures.add("  would cross (computed)", "; ".join(f"{m} machines: {'never' if at is None else f'{at:.1f} GB'}"
                                                          for m, at in found.items()), "", None)


def measure_at(figures, times):
    name = f"engines{times}"
    with Mock(figures.place(name), {"cache": "256MiB"}, {"repeat": times, "number": "number"}) as mock:
        p = Project(os.path.join(figures.folder, name, "project"), mock, "windows.yaml", number="number")
        p.sluice("ingest", *DAYS)
    spark_and_models(p)
    size = sum(q["body_bytes"] for _, e in p.entries() for q in e.get("pages", ()))
    seen, costs = {}, {}
    for _ in range(figures.runs if times < 100 else 1):
        for engine in ("duckdb", "spark"):
            p.fresh("prepare", "quarantine", "refine", "runs")
            for stage in ("prepare", "refine"):
                costs.setdefault((stage, engine), []).append(p.sluice(stage, "--engine", engine, *DAYS, memory=True))
            found = rows_of(p)
            if not found or seen.setdefault("rows", found) != found:
                raise Wrong(f"engines: the rows of {engine} are others than DuckDB's")
    shutil.rmtree(os.path.join(figures.folder, name))
    return size, {k: {"wall_s": median([c.wall_s for c in v]), "cpu_s": median([max(c.cpu_s, c.all_cpu_s) for c in v]),
                      "rss_mb": median([c.rss_bytes for c in v]) / 1e6} for k, v in costs.items()}
