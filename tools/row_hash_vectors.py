#!/usr/bin/env python3
"""Writes test/case/format/row_hash.tsv: spec/row-hash.md in Python, a second implementation.

    tools/row_hash_vectors.py             writes the file
    tools/row_hash_vectors.py --check     says whether the file is what it would write

One set of rows is a stanza; fields stand between tabs:

    set      what it shows
    columns  name:type ...                 type: string json boolean integer date timestamp double decimal(precision,scale)
    row      value ...                     \\N is NULL; string and json: a JSON string; boolean: 0 or 1; double: its 64 bits
                                           in hex; decimal: the unscaled integer; date: days; timestamp: microseconds
    hash     number of rows, row hash
"""
import hashlib
import json
import os
import random
import re
import struct
import sys

FILE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "test/case/format/row_hash.tsv")
NAN = 0x7FF8000000000000


def value_bytes(kind, value):
    if kind in ("string", "json"):
        text = value.encode()
        return b"sj"[kind == "json":][:1] + struct.pack("<I", len(text)) + text
    if kind == "boolean":
        return b"b" + bytes([value])
    if kind in ("integer", "timestamp"):
        return kind[:1].encode() + struct.pack("<q", value)
    if kind == "date":
        return b"d" + struct.pack("<i", value)
    if kind == "double":
        not_a_number = value >> 52 & 0x7FF == 0x7FF and value & (1 << 52) - 1
        return b"f" + struct.pack("<Q", NAN if not_a_number else value)
    scale = int(re.fullmatch(r"decimal\(\d+,(\d+)\)", kind)[1])
    return b"n" + bytes([scale]) + value.to_bytes(16, "little", signed=True)


def row_number(columns, row):
    data = b""
    for (name, kind), value in sorted(zip(columns, row), key=lambda c: c[0][0].encode()):
        if value is not None:
            data += struct.pack("<H", len(name.encode())) + name.encode() + value_bytes(kind, value)
    return int.from_bytes(hashlib.sha256(data).digest()[:16], "little")


def row_hash(columns, rows):
    return f"{sum(row_number(columns, r) for r in rows) % 2**128:032x}"


def shown(kind, value):
    if value is None:
        return "\\N"
    if kind in ("string", "json"):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:016x}" if kind == "double" else str(value)


def bits(x):
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def sets():
    one = [("a", "integer")]
    yield "no rows", one, []
    yield "one row", one, [[1]]
    yield "the same row twice is another set", one, [[1], [1]]
    yield "two rows", one, [[1], [2]]
    yield "the same in another order", one, [[2], [1]]
    yield "a row of NULLs: the hash of no bytes", one, [[None]]
    yield "a NULL column changes nothing", [("b", "string"), ("a", "integer")], [[None, 1]]
    yield "columns in the order of their names", [("b", "integer"), ("a", "integer")], [[2, 1]]
    yield "the same with the columns declared the other way", [("a", "integer"), ("b", "integer")], [[1, 2]]
    yield "capitals before small letters, shorter names first", [("b", "boolean"), ("B", "boolean"), ("ba", "boolean"),
                                                                 ("a_", "boolean")], [[1, 0, 1, None], [0, 1, 0, 0]]
    yield "edges of integers", one, [[0], [-1], [2**63 - 1], [-2**63]]
    yield "a timestamp is no integer", [("a", "timestamp")], [[1]]
    yield "dates", [("a", "date")], [[0], [-1], [15706], [-2**31], [2**31 - 1]]
    yield "texts", [("a", "string")], [[""], ["x"], ["å\u0000\U0001f600 \"\\\n"], ["y" * 13], ["z" * 5000]]
    yield "json is no text", [("a", "json")], [["x"], ["[1, 2.50]"]]
    yield "lengths keep neighbours apart", [("a", "string"), ("b", "string")], [["xy", ""], ["x", "y"], ["", "xy"]]
    yield "many texts longer than what is collected", [(f"t{i}", "string") for i in range(5)], \
        [[c * 1500 for c in "abcde"], ["f" * 4096, "g", "h" * 4095, "i", None]]
    yield "every length around the blocks of SHA-256", [("a", "string")], [["q" * (n * 37 % 131)] for n in range(131)]
    yield "doubles", [("a", "double")], [[bits(0.0)], [bits(-0.0)], [bits(0.1)], [bits(5e-324)], [bits(float("inf"))]]
    yield "every NaN is one", [("a", "double")], [[NAN], [0xFFF8000000000001], [0x7FF0000000000001]]
    yield "decimals", [("a", "decimal(38,10)")], [[0], [-1], [10**38 - 1], [-(10**38 - 1)], [2**64]]
    yield "the scale counts", [("a", "decimal(10,2)")], [[150]]
    yield "the same digits at another scale", [("a", "decimal(10,3)")], [[150]]
    yield "the precision does not", [("a", "decimal(12,2)")], [[150]]
    flight = [("year", "integer"), ("carrier", "string"), ("dep_delay", "integer"), ("fare", "decimal(9,2)"),
              ("share", "double"), ("day", "date"), ("time_hour", "timestamp"), ("cancelled", "boolean"), ("extra", "json")]
    r = random.Random(2013)
    rows = [[2013, r.choice(["UA", "AA", "B6"]), r.choice([None, r.randrange(-30, 900)]), r.randrange(10**9),
             bits(r.random()), 15706 + r.randrange(365), 1357016400000000 + r.randrange(365) * 3600000000,
             r.randrange(2), r.choice([None, '{"gate":"A%d"}' % r.randrange(40)])] for _ in range(40)]
    yield "forty flights", flight, rows


def main():
    lines = []
    for title, columns, rows in sets():
        lines.append(["set", title])
        lines.append(["columns"] + [f"{n}:{k}" for n, k in columns])
        lines += [["row"] + [shown(k, v) for (_, k), v in zip(columns, r)] for r in rows]
        lines.append(["hash", str(len(rows)), row_hash(columns, rows)])
    text = "".join("\t".join(line) + "\n" for line in lines)
    if sys.argv[1:] == ["--check"]:
        sys.exit(None if open(FILE, encoding="utf-8").read() == text else f"{FILE} is not what the specification says")
    with open(FILE, "w", encoding="utf-8") as f:
        f.write(text)


main()
