"""What the attacks have in common: a source in several shapes, the lakes made of it, attempts that end by force, and the
judges. Judged is what other programs read: the bodies through warcio, the tables through deltalake, the requests in the
mock's own log."""
import collections
import csv
import glob
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "e2e"))

import deltalake  # noqa: E402
import lake as L  # noqa: E402
import pyarrow  # noqa: E402

MOMENT = os.path.join(ROOT, "build", "kill", "moment.so")
PAGE, DAYS = 150, 8
FROM, MIDDLE, TO = "2013-01-01", "2013-01-05", "2013-01-09"
MODELS = ["carrier_scorecard", "daily_operations", "worst_days"]  # one of them reads another one
STYLES = ["cursor", "offset", "page", "next_url", "link"]


class Broken(Exception):
    """A promise that does not hold."""


def require(condition, *what):
    if not condition:
        raise Broken(" ".join(str(w) for w in what))


def build_moment():
    """The library that stops or kills a process at an effect."""
    source = os.path.join(ROOT, "test", "kill", "moment.c")
    if os.path.exists(MOMENT) and os.path.getmtime(MOMENT) > os.path.getmtime(source):
        return
    os.makedirs(os.path.dirname(MOMENT), exist_ok=True)
    made = f"{MOMENT}.{os.getpid()}"
    subprocess.run([os.environ.get("CC", "cc"), "-std=c17", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror", "-shared",
                    "-fPIC", "-o", made, source, "-ldl"], check=True)
    os.rename(made, MOMENT)


# ── the source ──

def make_data(folder):
    """The first days of the flights, as they are and as they were corrected later; the small tables."""
    first = os.path.join(folder, "first")
    later = os.path.join(folder, "later")
    for place in (first, later):
        os.makedirs(place)
        for name in ("airlines.csv", "airports.csv", "planes.csv"):
            shutil.copy(os.path.join(L.FLIGHTS, name), place)
    for name in ("flights.csv", "weather.csv"):
        with open(os.path.join(L.FLIGHTS, name), encoding="utf-8") as f:
            lines = f.read().split("\n")
        kept = [line for line in lines[1:] if re.search(r",2013-01-0[1-9]T|,2013-01-0[1-9] ", line)]
        write_lines(os.path.join(first, name), [lines[0], *kept])
        if name == "flights.csv":  # a row in 97 is corrected (its distance), one in 501 was withdrawn
            at = lines[0].split(",").index("distance")
            kept = [correct(line, at) if i % 97 == 5 else line for i, line in enumerate(kept) if i % 501 != 17]
        write_lines(os.path.join(later, name), [lines[0], *kept])
    return first, later


def write_lines(path, lines):
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


def correct(line, at):
    cells = line.split(",")
    cells[at] = str(int(float(cells[at])) + 1)
    return ",".join(cells)


class Shape:
    """One way to ask for the same data."""

    def __init__(self, seed):
        dice = random.Random(seed)
        self.seed = seed
        self.style = STYLES[seed % len(STYLES)]
        self.segment_pages = dice.choice([1, 2, 3, 8])
        self.in_flight = dice.choice([1, 4, 8])
        self.every = dice.choice(["1d", "1d", "2d"])
        self.file_rows = dice.choice([1500, 200000])
        self.faults = dice.choice([2, 3, 5])

    def __str__(self):
        return (f"{self.style}, {self.segment_pages} pages a segment, {self.in_flight} in flight, windows of {self.every}, "
                f"{self.file_rows} rows a file, {self.faults} % faults")

    def mock(self, percent):
        flights = {"page": {"style": "page", "page_param": "page", "total": "meta.total"},
                   "offset": {"style": "offset", "offset_param": "offset", "total": "meta.total"},
                   "cursor": {"style": "cursor", "cursor_param": "cursor", "next": "meta.next", "total": "meta.total"},
                   "next_url": {"style": "next_url", "by": "offset", "next": "links.next"},
                   "link": {"style": "link", "by": "cursor"}}[self.style]
        window = {"column": "time_hour", "from": "date_from", "to": "date_to", "form": "date", "zone": "America/New_York",
                  "to_inclusive": True}
        text = "string"
        return {"base": "/v1", "token": L.TOKEN, "seed": self.seed, "latency": "1ms", "log": 100000,
                "faults": {"percent": percent, "in_a_row": 2}, "resources": {
                    "flights": {"file": "flights.csv", "null": "NA", "window": window, "records": "data",
                                "types": {"flight": "integer", "tailnum": text, "time_hour": text},
                                "paginate": {"size": PAGE, "size_param": "limit", **flights}},
                    "weather": {"file": "weather.csv", "null": "NA", "window": window, "records": "items",
                                "types": {c: "number" for c in ("temp dewp humid wind_speed wind_gust precip pressure "
                                                                "visib").split()},
                                "paginate": {"style": "offset", "size": 25, "size_param": "limit", "total": "total"}},
                    "airlines": {"file": "airlines.csv", "null": "NA", "records": "data"},
                    "airports": {"file": "airports.csv", "null": "NA", "records": "data",
                                 "types": {"lat": "number", "lon": "number"},
                                 "paginate": {"style": "page", "size_param": "per_page", "size": 200,
                                              "total": "meta.total", "pages": "meta.pages"}},
                    "planes": {"file": "planes.csv", "null": "NA", "records": "",
                               "paginate": {"style": "link", "by": "page", "size_param": "per_page", "size": 500}}}}

    def pipeline(self, url):
        size = {"query": "limit", "value": PAGE}
        paginate = {"page": {"page": {"query": "page", "size": size}}, "offset": {"offset": {"query": "offset", "limit": size}},
                    "cursor": {"cursor": {"from": "meta.next", "query": "cursor"}},
                    "next_url": {"next_url": {"from": "links.next"}}, "link": {"link": {"rel": "next"}}}[self.style]
        day = {"date_from": "{window.from:date}", "date_to": "{window.last:date}"}
        common = {"segment": {"pages": self.segment_pages}}
        window = {"kind": "window", "window": {"every": self.every, "zone": "America/New_York"}, **common}
        flights = {"path": "/flights", **window, "records": "data", "paginate": paginate,
                   "query": dict(day) if self.style in ("page", "offset") else {**day, "limit": PAGE}}
        if self.style in ("page", "offset", "cursor"):
            flights["total"] = "meta.total"
        return {"pipeline": "nycflights", "lake": "./lake", "prepare": {"file_rows": self.file_rows},
                "schedule": {"cron": "0 5 * * *", "window": "1d", "zone": "America/New_York"},
                "source": {"url": url, "network": "private", "in_flight": self.in_flight,
                           "auth": {"bearer": {"secret": "env:FLIGHTS_TOKEN"}}, "retry": {"first": "2ms", "max": "10ms"}},
                "resources": {
                    "flights": flights,
                    "weather": {"path": "/weather", **window, "query": day, "records": "items", "total": "total",
                                "paginate": {"offset": {"query": "offset", "limit": {"query": "limit", "value": 25},
                                                        "end": "short"}}},
                    "airlines": {"path": "/airlines", "kind": "snapshot", "records": "data"},
                    "airports": {"path": "/airports", "kind": "snapshot", "records": "data", "total": "meta.total", **common,
                                 "paginate": {"page": {"query": "page", "size": {"query": "per_page", "value": 200},
                                                       "pages": "meta.pages"}}},
                    "planes": {"path": "/planes", "kind": "snapshot", "query": {"per_page": 500}, **common,
                               "paginate": {"link": {"rel": "next"}}}}}


class World:
    """Two sources (first, corrected later) of one shape, and projects that ask them."""

    def __init__(self, folder, shape, data, percent=None, make=None):
        os.makedirs(folder)
        self.make = make or Lake
        self.folder, self.shape, self.data, self.made, self.digests = folder, shape, data, 0, {}
        config = shape.mock(shape.faults if percent is None else percent)
        self.mocks = [L.Mock(make_folder(folder, f"mock{i}"), config, d) for i, d in enumerate(data)]

    def close(self):
        for m in self.mocks:
            require(m.stop() == 0, "the mock did not end well")

    def project(self, name):
        place = os.path.join(self.folder, name)
        shutil.copytree(L.EXAMPLE, place, ignore=shutil.ignore_patterns("mock.yaml", "pipeline.yaml"))
        for path in glob.glob(os.path.join(place, "models", "*.sql")):
            if os.path.basename(path)[:-4] not in MODELS:
                os.remove(path)
                os.remove(os.path.join(place, "contracts", os.path.basename(path)[:-4] + ".yaml"))
        p = self.make(place)
        p.world, p.scratch = self, make_folder(place, "scratch")
        p.ask(0)
        return p


def make_folder(*parts):
    path = os.path.join(*parts)
    os.makedirs(path, exist_ok=True)
    return path


class Lake(L.Project):
    """A project with its lake; scratch folders of the engine stand in a folder of its own."""

    binary = L.SLUICE

    def command(self, command, *args):
        return [self.binary, *super().command(command, *args)[1:]]

    def environment(self):
        return {**super().environment(), "TMPDIR": self.scratch}

    def ask(self, which):
        """From now on the source is that of `which`: 0 as first seen, 1 as corrected."""
        self.mock, self.source = self.world.mocks[which], self.world.data[which]
        with open(self.file, "w", encoding="utf-8") as f:
            json.dump(self.world.shape.pipeline(self.mock.url), f, indent=1)

    def tighten(self):
        """The contract of the flights changes its mind about delays: some rows go to quarantine, all are prepared again."""
        path = os.path.join(self.folder, "contracts", "flights.yaml")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        text, n = re.subn(r"minimum: -60, maximum: 1440", "minimum: -60, maximum: 400", text)
        require(n == 1, "the example's contract of flights has no limit of delays any more")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def begin(self, command, *args, moment=None, log=None):
        env = self.environment()
        if moment or log:
            env["LD_PRELOAD"] = MOMENT
        if moment:
            env["MOMENT"] = moment
        if log:
            env["MOMENT_LOG"] = log
        out = os.path.join(self.scratch, "..", f"out-{time.monotonic_ns()}")
        with open(out, "wb") as f:
            child = subprocess.Popen(self.command(command, *args, "-q"), stdout=f, stderr=subprocess.STDOUT, env=env,
                                     cwd=self.folder)
        child.said_in = out
        return child

    def end(self, child, timeout_s=120):
        """Its exit status (143 for a signal that it took as such, -9 for one that took it) and its words."""
        try:
            child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise Broken("no end after", timeout_s, "s:", *child.args) from None
        with open(child.said_in, encoding="utf-8", errors="replace") as f:
            said = f.read()
        os.remove(child.said_in)
        return child.returncode, said


# ── processes ──

def engines_of(pid):
    """Its engine, if it has one; the leak checker of a sanitizer build is a child for a moment, too, and none of ours."""
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path, encoding="ascii") as f:
                children = [int(c) for c in f.read().split()]
            for child in children:
                with open(f"/proc/{child}/cmdline", "rb") as f:
                    if f.read().split(b"\0")[1:2] == [b"engine"]:
                        found.append(child)
        except OSError:
            pass  # it ended meanwhile
    return found


def wait_gone(pids, timeout_s=10):
    """The engine must not outlive its run."""
    end = time.monotonic() + timeout_s
    for pid in pids:
        while os.path.exists(f"/proc/{pid}") and not is_zombie(pid):
            require(time.monotonic() < end, "the engine's process outlived its run:", pid)
            time.sleep(0.002)


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def wait_stopped(child, timeout_s=60):
    """True: it stands still (SIGSTOP). False: it came to its end without."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        got = os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if got is not None:
            return got.si_code == os.CLD_STOPPED
        time.sleep(0.002)
    raise Broken("neither stopped nor ended:", *child.args)


# ── judges ──

def source_rows(folder, name):
    """Each row of the source as the tuple of its texts; NA is None."""
    with open(os.path.join(folder, name + ".csv"), encoding="utf-8", newline="") as f:
        rows = list(csv.reader(f))
    return rows[0], [tuple(None if c == "NA" else c for c in r) for r in rows[1:]]


def record_tuple(header, record):
    value = [record[c] for c in header]
    return tuple(None if v is None else str(v).lower() if isinstance(v, bool) else v for v in value)


def first_window_day(window):
    """Windows of New York in winter begin at 05:00 UTC."""
    return f"{window[:4]}-{window[4:6]}-{window[6:8]}"


def promoted(lake, name):
    """The newest sealed generation of each window, as the ledger's files say: {resource: {window: [(entry, folder)]}}"""
    found = collections.defaultdict(dict)
    if not os.path.isdir(os.path.join(lake, "raw", name)):
        return found
    for resource, window, _, folder in L.generations(lake, name):
        entries = [e for e, _ in L.entries(folder)]
        if entries and "seal" in entries[-1] and entries[-1]["seal"]["promoted"]:
            found[resource][window] = (entries, folder)
    return found


def raw_records(entries, folder, place):
    """The records of a generation, in order, numbers as their texts."""
    for entry in entries:
        for page in entry.get("pages", ()):
            path = os.path.join(folder, "segments", entry["segment"]["name"])
            body = json.loads(L.decoded(L.member_at(path, page["offset"], page["size"])), parse_int=str, parse_float=str)
            for key in place.split(".") if place else ():
                body = body[key]
            yield from body


PLACES = {"flights": "data", "weather": "items", "airlines": "data", "airports": "data", "planes": ""}


def same_bag(what, wanted, got):
    wanted, got = collections.Counter(wanted), collections.Counter(got)
    missing, more = wanted - got, got - wanted
    require(not missing and not more, what, f"{sum(missing.values())} missing, {sum(more.values())} too many or twice:",
            list(missing)[:2], list(more)[:2])
    return sum(wanted.values())


def judge_raw(p, sources):
    """Each record of the source is in Raw once, none twice. `sources`: the folder for each window day, or one for all."""
    total = 0
    for resource, windows in promoted(p.lake, p.name).items():
        header, rows = source_rows(sources, resource)
        got = []
        newest = max(windows)
        for window, (entries, folder) in windows.items():
            if resource in ("flights", "weather") or window == newest:
                got += [record_tuple(header, r) for r in raw_records(entries, folder, PLACES[resource])]
        if resource in ("flights", "weather"):
            days = set()
            for window in windows:
                days |= window_days(window)
            rows = [r for r in rows if local_day(r[header.index("time_hour")]) in days]
        total += same_bag(f"Raw, {resource}:", rows, got)
    return total


def window_days(window):
    import datetime
    first, last = (datetime.datetime.strptime(t[:8], "%Y%m%d") for t in window.split("_"))
    return {(first + datetime.timedelta(days=i)).strftime("%Y-%m-%d") for i in range((last - first).days)}


def local_day(instant):
    """New York in January."""
    import datetime
    t = datetime.datetime.strptime(instant[:19].replace("T", " "), "%Y-%m-%d %H:%M:%S") - datetime.timedelta(hours=5)
    return t.strftime("%Y-%m-%d")


KEYS = {"flights": ["time_hour", "carrier", "flight", "origin"], "weather": ["origin", "time_hour"],
        "airlines": ["carrier"], "airports": ["faa"], "planes": ["tailnum"]}


def text_of(v):
    import datetime
    return v.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(v, datetime.datetime) else str(v)


def judge_tables(p, source):
    """Each record of the sealed windows is published or in quarantine, once."""
    total = 0
    for resource, windows in promoted(p.lake, p.name).items():
        header, _ = source_rows(source, resource)
        read = []
        newest = max(windows)
        for window, (entries, folder) in windows.items():
            if resource in ("flights", "weather") or window == newest:
                read += [tuple(text_of(r[k]) for k in KEYS[resource])
                         for r in raw_records(entries, folder, PLACES[resource])]
        key = KEYS[resource]
        table = deltalake.DeltaTable(p.table("prepare", resource)).to_pyarrow_table(columns=key)
        got = [tuple(text_of(r[k]) for k in key) for r in table.to_pylist()]
        require(len(set(got)) == len(got), "prepare,", resource, "has a key twice")
        aside = deltalake.DeltaTable(p.table("quarantine", resource)).to_pyarrow_table(columns=["_raw"])
        for raw in aside["_raw"].to_pylist():
            record = json.loads(raw, parse_int=str, parse_float=str)
            got.append(tuple(text_of(record[k]) for k in key))
        total += same_bag(f"tables, {resource}:", [normal(r) for r in read], [normal(r) for r in got])
    return total


def normal(key):
    return tuple(k.replace("+00:00", "Z") for k in key)


def table_rows(p, zone, name):
    return deltalake.DeltaTable(p.table(zone, name)).to_pyarrow_table()


def committed_targets(p):
    """What the ledgers call accepted: targets by (resource, window)."""
    found = collections.defaultdict(set)
    if os.path.isdir(os.path.join(p.lake, "raw", p.name)):
        for resource, window, g, folder in L.generations(p.lake, p.name):
            for entry, _ in L.entries(folder):
                targets = found[resource, window, g]  # also of a claim alone
                targets |= {page["request"].split(" ", 1)[1] for page in entry.get("pages", ())}
    return found


def good_answers(log):
    return [r["target"].removeprefix("/v1") for r in log if r["status"] == 200 and not r.get("fault")]


def target_window(target):
    """The window that a target belongs to, as far as it shows: its path and first day."""
    day = re.search(r"date_from=([0-9-]+)", target)
    return target.split("?")[0].strip("/"), day.group(1) if day else ""


def leftovers(p):
    """Temporary files, scratch folders of the engine, files of tables that no version names."""
    tmp = glob.glob(os.path.join(p.lake, ".tmp", "*"))
    scratch = glob.glob(os.path.join(p.scratch, "sluice-*"))
    named, there = set(), set(glob.glob(os.path.join(p.lake, "*", p.name, "*", "data", "*", "*")))
    for log in glob.glob(os.path.join(p.lake, "*", p.name, "*", "_delta_log", "*.json")):
        with open(log, encoding="utf-8") as f:
            for line in f:
                action = json.loads(line).get("add")
                if action:
                    named.add(os.path.join(os.path.dirname(os.path.dirname(log)), action["path"]))
    return tmp, scratch, sorted(there - named)
