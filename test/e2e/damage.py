"""Damage, by classes of objects: what can be done to the bytes of a lake, and at which places. Data in, bytes out."""
import glob
import json
import os
import re
import zlib

import lake as L

CASES = os.path.join(L.ROOT, "test", "case", "verify", "damage.txt")


def cases():
    with open(CASES, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if not line.strip() or line.startswith("#"):
                continue
            cells = [c.strip() for c in line.split("|")]
            assert len(cells) == 5, f"{CASES}:{number}"
            objects, damage, full, fast, why = cells
            assert {full, fast} <= {"found", "unseen", "any"} and (why or (full, fast) == ("found", "found")), f"{CASES}:{number}"
            for kind in objects.split(","):
                yield kind.strip(), damage, full, fast, why


# ── objects ──

def objects(p):
    """Keys by class."""
    found = {}

    def add(kind, path):
        found.setdefault(kind, []).append(os.path.relpath(path, p.lake))

    tagged = set()
    for log in glob.glob(os.path.join(p.lake, "prepare", "*", "*", "_delta_log")):
        table = os.path.basename(os.path.dirname(log))
        for name in sorted(os.listdir(log)):
            with open(os.path.join(log, name), encoding="utf-8") as f:
                adds = [a["add"] for a in map(json.loads, f) if "add" in a]
            for a in adds:
                for w in json.loads(a["tags"]["sluice.windows"]):
                    tagged = {t for t in tagged if t[:2] != (table, w["window"])} | {(table, w["window"], w["generation"])}
    for resource, window, g, folder in L.generations(p.lake, p.name):
        entries = sorted(glob.glob(os.path.join(folder, "ledger", "*")))
        for e in entries[:-1]:
            add("entry", e)
        add("seal_of_table" if (resource, window, g) in tagged else "newest_entry", entries[-1])
        for s in sorted(glob.glob(os.path.join(folder, "segments", "*"))):
            add("segment", s)
    for grid in sorted(glob.glob(os.path.join(p.lake, "raw", "*", "*", "grid", "*"))):
        add("grid", grid)
    for zone in ("prepare", "quarantine", "refine"):
        for table in sorted(glob.glob(os.path.join(p.lake, zone, "*", "*"))):
            log = sorted(glob.glob(os.path.join(table, "_delta_log", "*.json")))
            live = {}
            for version in log:
                with open(version, encoding="utf-8") as f:
                    for action in map(json.loads, f):
                        if "add" in action:
                            live[action["add"]["path"]] = True
                        if "remove" in action:
                            del live[action["remove"]["path"]]
            for version in log[:-1]:
                add("commit", version)
            add("newest_commit", log[-1])
            for path in live:
                add("parquet", os.path.join(table, path))
    for run in sorted(glob.glob(os.path.join(p.lake, "runs", "*", "2*"))):
        add("record", os.path.join(run, "record.json"))
        add("plan", os.path.join(run, "plan.json"))
    return found


# ── places ──

TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[-+.eE\d]*|true|false|null|[{}\[\],:]')


def json_fields(text):
    """(name of the member, from, to) of each scalar of a JSON document, and of each name; inside of texts that are JSON
    themselves (tags, statistics) as well."""
    name, stack, expect = "", [], False
    for m in TOKEN.finditer(text):
        t = m.group()
        if t in b"{[":
            stack.append((name, t))
            expect = t == b"{"
        elif t in b"}]":
            name, _ = stack.pop()
            expect = False
        elif t == b",":
            expect = bool(stack) and stack[-1][1] == b"{"
        elif t == b":":
            expect = False
        elif expect:
            name = t[1:-1].decode()
            yield "(name)", m.start() + 1, m.end() - 1
        else:
            quoted = t[:1] == b'"'
            inner = list(re.finditer(rb'\\"(\w+)\\":(?:\\")?([^\\,}\]]+)', t)) if quoted else []
            for i in inner:
                yield name + "." + i.group(1).decode(), m.start() + i.start(2), m.start() + i.end(2)
            if not inner and m.end() - m.start() > 2 * quoted:
                yield name, m.start() + quoted, m.end() - quoted


def members(data):
    """(from, to) of each gzip member."""
    at = 0
    while at < len(data):
        z = zlib.decompressobj(31)
        z.decompress(data[at:])
        end = len(data) - len(z.unused_data)
        yield at, end
        at = end


def places(kind, data, only=None, but=()):
    """(what it is, byte) for `flip`."""
    if kind == "segment":
        for n, (a, b) in enumerate(members(data)):
            yield from ((f"member {n} head", a + 3), (f"member {n} data", (a + b) // 2), (f"member {n} end", b - 2))
        return
    if kind == "parquet":
        footer = int.from_bytes(data[-8:-4], "little")
        yield from (("magic", 1), ("page head", 6), ("pages", (len(data) - footer) // 2), ("pages end", len(data) - footer - 9),
                    ("footer", len(data) - 8 - footer + 3), ("footer middle", len(data) - 8 - footer // 2),
                    ("footer length", len(data) - 7), ("last magic", len(data) - 1))
        return
    seen = {}
    for name, a, b in json_fields(data):
        last = name.split(".")[-1]
        if (only is not None and last not in only) or last in but or seen.setdefault(name, 0) >= 3:
            continue
        seen[name] += 1
        yield name, (a + b) // 2


# ── what is done ──

def flipped(data, at, bit=1):
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1:]


def next_name(path):
    folder, name = os.path.split(path)
    m = re.match(r"(\d+)(.*)$", name)
    return os.path.join(folder, str(int(m.group(1)) + 1).zfill(len(m.group(1))) + m.group(2))


def reordered(kind, data):
    if kind == "segment":
        parts = [data[a:b] for a, b in members(data)]
        return b"".join(parts[:-2] + [parts[-1], parts[-2]])
    lines = data.splitlines(keepends=True)
    return b"".join(lines[:-2] + [lines[-1], lines[-2]]) if len(lines) > 2 else b"".join(reversed(lines))


def damages(p, kind, damage, keys, excepted):
    """(words, {key: bytes, or None for no object}) for each way to do this damage to this class."""
    def read(key):
        with open(os.path.join(p.lake, key), "rb") as f:
            return f.read()

    verb, _, fields = damage.partition(":")
    only = set(fields.split(",")) if fields else None
    if verb == "swapped":
        for x, y in zip(keys, keys[1:]):
            if read(x) != read(y) and (kind != "entry" or os.path.dirname(x) == os.path.dirname(y)):
                yield f"swapped {x} with {y}", {x: read(y), y: read(x)}
        return
    for key in keys:
        data = read(key)
        if verb == "flip":
            for n, (what, at) in enumerate(places(kind, data, only, excepted if only is None else ())):
                bit = 1 << (hash_of(key, at) % 7)
                yield f"flip {what} of {key} at {at}", {key: flipped(data, at, bit)}
        elif verb == "doubled":
            yield f"doubled {key}", {next_name(key): data}
        elif verb == "reordered":
            yield f"reordered {key}", {key: reordered(kind, data)}
        else:
            yield f"{verb} {key}", {key: {"cut": data[:len(data) // 2], "byte-less": data[:-1], "emptied": b"",
                                          "appended": data + b"\n", "gone": None}[verb]}


def hash_of(*words):
    return zlib.crc32(repr(words).encode())


class Damaged:
    """Does it, and puts everything back."""

    def __init__(self, p, change):
        self.p, self.change, self.before = p, change, {}

    def __enter__(self):
        for key, data in self.change.items():
            path = os.path.join(self.p.lake, key)
            self.before[path] = open(path, "rb").read() if os.path.exists(path) else None
            self.put(path, data)
        return self

    def __exit__(self, *_):
        for path, data in self.before.items():
            self.put(path, data)

    @staticmethod
    def put(path, data):
        if os.path.exists(path):
            os.chmod(path, 0o644)
            os.remove(path)
        if data is not None:
            with open(path, "wb") as f:
                f.write(data)


def named(key, out):
    """Does a line of the findings name the object, or the generation, table, run or grid that it belongs to?"""
    parts = key.split("/")
    owner = "/".join(parts[:5] if parts[0] == "raw" and parts[3] != "grid" else parts[:3])
    return any(line.startswith((key, owner)) for line in out.splitlines())
