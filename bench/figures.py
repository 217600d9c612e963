"""The figures of `make bench`: each one measures us and somebody else in turns, checks both results, and compares medians.
A wrong result ends it with exit status 1; a short figure only says by how much."""
import argparse
import gzip
import json
import os
import shutil
import sys
import tempfile
import time

import duckdb

import attack
import engines
import function
import resume
import s3
import spark
from measure import (DATA, LAND_LIMIT, MOCK, PYTHON, PYTHON_PEERS, ROOT, SLUICE, Mock, Project, Wrong, median, run)

ROWS = 336776
SNAPSHOT = ["--from", "2013-12-31", "--to", "2014-01-01", "-q"]
COLUMNS = ("year month day dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay carrier flight tailnum "
           "origin dest air_time distance hour minute").split()
TEXTS = ("carrier", "tailnum", "origin", "dest")


class Figures:
    def __init__(self, folder, runs):
        self.folder, self.runs, self.rows, self.truth = folder, runs, [], None

    def place(self, name):
        path = os.path.join(self.folder, name)
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        return path

    def add(self, figure, ours, other, goal, value=None, unit="x", better=max, note=""):
        """`value` beside `goal`: a ratio or whatever `unit` says; reached if it is on the better side."""
        reached = None if goal is None else better(value, goal) == value
        if reached is not False:
            note = ""
        self.rows.append({"figure": figure, "ours": ours, "other": other, "value": value, "unit": unit, "goal": goal,
                          "at_most": better is min, "reached": reached, "note": note})
        print(line_of(self.rows[-1]), file=sys.stderr if AS_JSON else sys.stdout, flush=True)

    # ── are they the same rows? ──

    def digest(self, source):
        """Rows and a sum over all of them that no order changes."""
        values = [f'"{c}"' + ("" if c in TEXTS else "::DOUBLE::BIGINT") for c in COLUMNS]
        values.append("epoch_us(time_hour::TIMESTAMPTZ)")
        db = duckdb.connect()
        db.execute("SET TimeZone = 'UTC'")
        return db.sql(f"SELECT count(*), sum(hash({', '.join(values)})::HUGEINT) FROM {source}").fetchone()

    def check(self, what, source, times=1):
        if self.truth is None:
            csv = f"read_csv('{DATA}/flights.csv', nullstr = 'NA', types = {{'time_hour': 'TIMESTAMPTZ'}})"
            self.truth = self.digest(csv)
            if self.truth[0] != ROWS:
                raise Wrong(f"flights.csv has {self.truth[0]} rows, not {ROWS}")
        if self.digest(source) != (self.truth[0] * times, self.truth[1] * times):
            raise Wrong(f"{what}: its rows are not those of flights.csv")

    def check_lake(self, p, times=1):
        files = os.path.join(p.lake, "prepare", "bench", "flights", "data", "*", "*.parquet")
        self.check("sluice", f"read_parquet('{files}')", times)

    # ── the figures ──

    def end(self):
        """All flights from the API to Parquet."""
        ours, hand, peer = [], [], []
        with Mock(self.place("end")) as mock:
            p = Project(self.place("end/project"), mock)
            scratch = os.path.join(self.folder, "end/by_hand")
            for turn in range(self.runs + 1):  # the first one warms the mock and is not counted
                p.fresh()
                ours.append(p.sluice("run", *SNAPSHOT))
                self.check_lake(p)
                self.place("end/by_hand")
                hand.append(run([PYTHON, os.path.join(ROOT, "bench", "by_hand.py"), mock.url, scratch]))
                self.check("by_hand.py", f"read_parquet('{scratch}/flights.parquet')")
            if os.environ.get("PEERS"):
                for turn in range(2):
                    scratch = self.place("end/dlt")
                    peer.append(run([PYTHON_PEERS, os.path.join(ROOT, "bench", "dlt_peer.py"), mock.url, scratch]))
                    self.check("dlt", f"read_parquet('{scratch}/out/**/flights/*.parquet')")
        wall, cpu = best(ours[1:])
        wall_hand, cpu_hand = best(hand[1:])
        self.add("end to end", f"{wall:.2f} s", f"{wall_hand:.2f} s by hand", 1.5, wall_hand / wall)
        self.add("  its CPU", f"{cpu:.2f} s", f"{cpu_hand:.2f} s by hand", 1.0, cpu / cpu_hand, better=min)
        if peer:
            wall_peer, cpu_peer = best(peer)
            self.add("  beside dlt", f"{wall:.2f} s", f"{wall_peer:.1f} s dlt", None, wall_peer / wall)
            self.add("  its CPU", f"{cpu:.2f} s", f"{cpu_peer:.1f} s dlt", None, cpu_peer / cpu)

    def land(self):
        for gzip_on in (False, True):
            self.land_once(gzip_on)

    def land_once(self, gzip_on):
        """Pages into durable Raw; the year three times over, so that starting up is not what is measured."""
        ours, limit, times = [], [], 3
        with Mock(self.place("land"), {"gzip": "true" if gzip_on else "false"}, {"repeat": times}) as mock:
            p = Project(self.place("land/project"), mock)
            scratch = os.path.join(self.folder, "land/limit")
            for turn in range(self.runs + 1):
                p.fresh()
                ours.append(p.sluice("ingest", *SNAPSHOT))
                self.place("land/limit")
                limit.append(run([LAND_LIMIT, mock.url + "/flights?limit=1000", scratch] + ["gzip"] * gzip_on))
                with open(os.path.join(scratch, "pages.txt"), encoding="ascii") as f:
                    theirs = [line.split() for line in f]
                pages = [[q["body"], str(q["records"])] for _, e in p.entries() for q in e.get("pages", ())]
                if [[h.removeprefix("sha256:"), n] for h, n in pages] != theirs:
                    raise Wrong("land: the pages in the ledger are not those that the limit program received")
                said = json.loads(limit[-1].out)
                if said["records"] != ROWS * times:
                    raise Wrong(f"land: {said['records']} records, not {ROWS * times}")
        size = said["bytes"] / 1e6
        wall, wall_limit = best(ours[1:])[0], best(limit[1:])[0]
        name = "land, bodies come gzipped" if gzip_on else "land, bodies come plain"
        self.add(name, f"{size / wall:.0f} MB/s", f"{size / wall_limit:.0f} MB/s limit", 0.7, wall_limit / wall,
                 note="counted on our side only: every byte is parsed, three more digests and a record's head a page, a ledger "
                      "entry and two folders made durable a segment; on two cores the mock has its share, too")

    def prepare(self):
        """JSON per core into ordered zstd Parquet, from the same gzipped pages of 150 KB; the year three times over, so
        that starting up is not what is measured."""
        ours, peer, times = [], [], 3
        with Mock(self.place("prepare"), None, {"repeat": times, "number": "number"}) as mock:
            p = Project(self.place("prepare/project"), mock, change=[("limit: 1000", "limit: 500")], number="number")
            p.sluice("ingest", *SNAPSHOT)
        pages, out = self.place("prepare/pages"), os.path.join(self.folder, "prepare", "peer.parquet")
        size = write_pages(p, pages)
        for turn in range(self.runs + 1):
            p.fresh("prepare", "quarantine", "runs")
            ours.append(p.sluice("prepare", "--threads", "1", *SNAPSHOT))
            self.check_lake(p, times)
            got = run([PYTHON, os.path.join(ROOT, "bench", "prepare_peer.py"), pages, out])
            self.check("prepare_peer.py", f"read_parquet('{out}')", times)
            peer.append(json.loads(got.out)["cpu_s"])
        cpu, cpu_peer = best(ours[1:])[1], median(peer[1:])
        self.add("prepare, per core", f"{size / cpu:.0f} MB/s", f"{size / cpu_peer:.0f} MB/s DuckDB", 1.5, cpu_peer / cpu,
                 note="counted on our side only: the start of two processes, SHA-256 of every page and row, keys and rules, "
                      "five more columns, the read-back; DuckDB's sort, Parquet and reading back alone cost half as much as "
                      "all that DuckDB does for its figure")

    def memory(self):
        """The sum of the peaks of all processes, at 1 GB and (BENCH_LARGE) 10 GB."""
        small = self.memory_at(9)
        if os.environ.get("BENCH_LARGE"):
            large = self.memory_at(90)
            for stage in ("ingest", "prepare"):
                self.add(f"memory, {stage}, 10 GB", f"{large[stage]:.0f} MB", f"{small[stage]:.0f} MB at 1 GB", 1.2,
                         large[stage] / small[stage], better=min)

    def memory_at(self, repeat):
        name = f"memory{repeat}"
        with Mock(self.place(name), {"cache": "256MiB"}, {"repeat": repeat, "number": "number"}) as mock:
            p = Project(self.place(name + "/project"), mock, "windows.yaml", number="number")
            days = ["--from", "2013-01-01", "--to", "2014-01-01", "-q"]
            landed = p.sluice("ingest", *days, memory=True)
        prepared = p.sluice("prepare", *days, memory=True)
        size = sum(q["body_bytes"] for _, e in p.entries() for q in e.get("pages", ()))
        files = os.path.join(p.lake, "prepare", "bench", "flights", "data", "*", "*.parquet")
        got = duckdb.sql(f"SELECT count(*), count(DISTINCT (_window, number)), sum(distance) FROM '{files}'").fetchone()
        want = duckdb.sql(f"SELECT sum(distance) FROM '{DATA}/flights.csv'").fetchone()
        if got != (ROWS * repeat, ROWS * repeat, want[0] * repeat):
            raise Wrong(f"memory: {got} is not {repeat} times flights.csv")
        used = {"ingest": landed.rss_bytes / 1e6, "prepare": prepared.rss_bytes / 1e6}
        for stage, cost in (("ingest", landed), ("prepare", prepared)):
            self.add(f"memory, {stage}, {size / 1e9:.1f} GB", f"{used[stage]:.0f} MB", f"{size / 1e6 / cost.wall_s:.0f} MB/s",
                     512, used[stage], unit="MB", better=min)
        shutil.rmtree(os.path.join(self.folder, name))
        return used

    def rate(self):
        """A declared rate is used to the full and never passed."""
        rate, burst = 50, 2
        limit = f"requests: {rate}, per: 1s, burst: {burst}"
        with Mock(self.place("rate"), {"rate": f"{{{limit}, reset: decimal}}"}) as mock:
            p = Project(self.place("rate/project"), mock, "windows.yaml",
                        change=[("/v1\n", f"/v1\n  rate: {{{limit}}}\n"), ("limit: 1000", "limit: 500")])
            p.sluice("ingest", "--from", "2013-01-01", "--to", "2013-09-01", "-q")
            stats, log = mock.ask("/_mock/stats"), mock.ask("/_mock/requests?limit=10000")
        records = sum(q["records"] for _, e in p.entries() for q in e.get("pages", ()))
        want = duckdb.sql(f"SELECT count(*) FROM '{DATA}/flights.csv' WHERE month < 9").fetchone()[0]
        if records != want:
            raise Wrong(f"rate: {records} records, not {want}")
        times = sorted(request_times(log))
        ideal = (len(times) - burst) / rate
        used = ideal / (times[-1] - times[0])
        self.add("rate, share used", f"{used * 100:.1f} %", f"{len(times)} requests at {rate}/s", 98, used * 100, unit="%")
        self.add("  answered 429", str(stats["rate_limited"]), "", 0, stats["rate_limited"], unit="", better=min)

    def start(self):
        with Mock(self.place("start")) as mock:
            p = Project(self.place("start/project"), mock)
            p.sluice("run", *SNAPSHOT)
            self.check_lake(p)
            for name, args in (("start, --version", None), ("start, nothing to do", SNAPSHOT)):
                costs = [p.sluice("run", *args) if args else run([SLUICE, "--version"]) for _ in range(21)]
                ms = median([c.wall_s for c in costs]) * 1000
                self.add(name, f"{ms:.1f} ms", "", None, ms, unit="ms")

    def resume(self):
        """Going on after a kill costs the same however long the ledger is."""
        resume.measure(self)

    def function(self):
        """The Lambda function before it has done anything."""
        function.measure(self)

    def s3(self):
        """What a lake on S3 costs in requests, and the speed of its store."""
        s3.measure(self)

    def spark(self):
        """Prepare on Spark, beside Spark's own reader of JSON."""
        spark.measure(self, write_pages)

    def engines(self):
        """Prepare and Refine by DuckDB and by Spark."""
        engines.measure(self)

    def attack(self):
        """Faults, branches, kills: in numbers."""
        attack.measure(self)


def best(costs):
    return median([c.wall_s for c in costs]), median([c.cpu_s for c in costs])


def request_times(log):
    entries = log if isinstance(log, list) else log["requests"]
    return [e["at_us"] / 1e6 for e in entries]


def write_pages(p, folder):
    """The bodies of a landed lake as gzip files, in order; the bytes of their JSON."""
    n = size = 0
    for segments, e in p.entries():
        for page in e.get("pages", ()):
            with open(os.path.join(segments, e["segment"]["name"]), "rb") as f:
                f.seek(page["offset"])
                record = gzip.decompress(f.read(page["size"]))
            _, head, body = record.split(b"\r\n\r\n", 2)
            body = body[:-4]
            if b"content-encoding: gzip" not in head.lower():
                body = gzip.compress(body, 1)
            with open(os.path.join(folder, f"{n:06}.json.gz"), "wb") as f:
                f.write(body)
            n, size = n + 1, size + page["body_bytes"]
    return size / 1e6


def line_of(r):
    value = f"{r['value']:.2f} x" if r["unit"] == "x" and r["value"] is not None else ""
    if r["goal"] is None:
        goal, verdict = "", ""
    else:
        goal = f"{'<=' if r['at_most'] else '>='} {r['goal']:g} {r['unit']}".rstrip()
        short = abs(r["value"] - r["goal"]) / r["goal"] * 100 if r["goal"] else 100
        verdict = "reached" if r["reached"] else f"short by {short:.0f} %"
    return f"{r['figure']:<28} {r['ours']:>12} {r['other']:>24} {value:>10} {goal:>12}  {verdict}"


def main():
    global AS_JSON
    names = ["end", "land", "prepare", "memory", "rate", "start", "resume", "s3", "function", "spark", "engines", "attack"]
    a = argparse.ArgumentParser(prog="bench/run", description="Measures sluice beside limits and peers.")
    a.add_argument("--json", action="store_true", help="the table as JSON on standard output")
    a.add_argument("--runs", type=int, default=5, help="of each side, in turns (default 5)")
    a.add_argument("--only", default=",".join(names), help=f"of {', '.join(names)}")
    o = a.parse_args()
    AS_JSON = o.json
    chosen = o.only.split(",")
    if not set(chosen) <= set(names):
        a.error(f"figures are {', '.join(names)}")
    for program in (SLUICE, MOCK, LAND_LIMIT):
        if not os.access(program, os.X_OK):
            a.error(f"{program} is missing: make build; tools/build release benches")
    began, load = time.monotonic(), os.getloadavg()[0]
    print(f"{'figure':<28} {'sluice':>12} {'beside':>24} {'ratio':>10} {'goal':>12}  verdict",
          file=sys.stderr if AS_JSON else sys.stdout)
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        figures = Figures(folder, o.runs)
        try:
            for name in chosen:
                getattr(figures, name)()
        except Wrong as e:
            print(f"WRONG: {e}", file=sys.stderr)
            return 1
    if AS_JSON:
        print(json.dumps({"took_s": round(time.monotonic() - began, 1), "cores": os.cpu_count(), "load_before": load,
                          "figures": figures.rows}))
    else:
        for r in figures.rows:
            if r["note"]:
                print(f"{r['figure'].strip()}: {r['note']}")
        print(f"took {time.monotonic() - began:.0f} s on {os.cpu_count()} cores (load before: {load:.1f}); "
              f"medians of {o.runs} runs in turns")
    return 0


AS_JSON = False
if __name__ == "__main__":
    sys.exit(main())
