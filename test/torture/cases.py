"""The cases of the torture: data only. Each is as small as it can be and still go the whole way.

A case has resources (what the mock serves, how the pipeline asks for it), contracts and models; `before`: commands that
bring the lake to where the case begins; `command`: the one that is disturbed, and afterwards, undisturbed, ends the job.
In `command` LAKE is the lake of the run and BEGIN the one that it was copied from.
`second`: what the mock serves to `--env second`. `secret`: the token stands in a file. `damage`: what happens to the lake
after `before`, and what is run after that. `good`: how the command ends when nothing goes wrong. `once`: what it says, with exit
status 2, where it has been done already. `lake`: where it lies, disk or s3. `answers`: what it prints is what it is for, so
it either fails or says the whole of it, word for word. `file`: in the lake's folder, that the command writes."""

INTERVAL = ["--from", "2026-01-01", "--to", "2026-01-02"]
SEVEN = [{"id": i, "name": f"thing {i}", "price": i + 0.5} for i in range(1, 8)]
OTHER = SEVEN[:5] + [{"id": i, "name": f"thing {i}", "price": 0.99} for i in (6, 7, 8)]
WITH_BAD = SEVEN[:3] + [{"id": 4, "name": None, "price": 4.5}, {"id": "five", "name": "x", "price": 1},
                        {"id": 1, "name": "again", "price": 2}]

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: things
name: things
version: 1.0.0
status: active
schema:
  - name: things
    customProperties: [{property: sluice.budget_percent, value: 100}]
    properties:
      - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}
      - {name: name, logicalType: string, required: true}
      - {name: price, logicalType: number, customProperties: [{property: sluice.precision, value: 10}, {property: sluice.scale, value: 2}]}
"""
MANY = [{"id": i, "name": "x", "price": 1} for i in range(1, 121)]
# By day, with lines: a table of its own. Bad: a line without a name, one that is no object, a thing without a name.
DAILY = [{"id": 10 * day + i, "at": f"2026-01-0{day}T0{i}:00:00Z", "name": None if i == 3 and day < 3 else f"thing {i}", "price": i,
          "lines": [{"name": f"line {k}", "number": k} for k in range(i)] + [{"number": 7}, "no line"] * (i == 2)}
         for day in range(1, 5) for i in range(1, 4)]
DAILY_CONTRACT = CONTRACT.replace("    customProperties: [", "    customProperties: [{property: sluice.window_column, value: at}, ") + """\
      - {name: at, logicalType: timestamp, required: true}
      - name: lines
        logicalType: array
        items:
          logicalType: object
          properties:
            - {name: name, logicalType: string, required: true}
            - {name: number, logicalType: integer}
"""
MODEL_CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: {name}
name: {name}
version: 1.0.0
status: active
schema:
  - name: {name}
    properties:
      - {{name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}}
      - {{name: price, logicalType: number, customProperties: [{{property: sluice.precision, value: 10}}, {{property: sluice.scale, value: 2}}]}}
"""
MODELS = {
    "cheap": "SELECT id, price FROM prepare.things WHERE price < 5\n",
    "cheapest": "SELECT id, price FROM refine.cheap WHERE price < 3\n",
}


def resource(paginate="none", mock=None, records="data", rows=SEVEN, **more):
    """How it is asked for, and how the mock serves it."""
    return {
        "pipeline": {"path": "/things", "kind": "snapshot", "records": records, "segment": {"pages": 2},
                     "paginate": paginate, **more},
        "mock": {"file": "things.ndjson", "records": records, **({"paginate": mock} if mock else {})},
        "rows": rows,
    }


PAGED = dict(
    none=resource(),
    page=resource({"page": {"query": "page", "size": {"query": "limit", "value": 3}}}, {"style": "page", "size": 3}),
    offset=resource({"offset": {"query": "offset", "limit": {"query": "limit", "value": 3}}, },
                    {"style": "offset", "size": 3, "total": "meta.total"}, total="meta.total"),
    cursor_body=resource({"cursor": {"from": "meta.next", "query": "cursor"}},
                         {"style": "cursor", "size": 2, "next": "meta.next"}),
    cursor_header=resource({"cursor": {"from_header": "X-Next-Cursor", "query": "cursor"}},
                           {"style": "cursor", "size": 3, "next": "", "next_header": "X-Next-Cursor"}),
    next_url=resource({"next_url": {"from": "links.next"}}, {"style": "next_url", "size": 3, "next": "links.next"}),
    link=resource({"link": {}}, {"style": "link", "size": 3}, records="", rows=SEVEN),
)
PAGED["link"]["pipeline"]["records"] = ""


BAD = dict(PAGED["cursor_body"], rows=WITH_BAD)
SHRINKS = dict(PAGED["page"], rows=MANY)
SHRINKS["pipeline"] = {**SHRINKS["pipeline"], "paginate": {"page": {"query": "page", "size": {"query": "limit", "value": 100}}}}
SHRINKS["mock"] = {**SHRINKS["mock"], "paginate": {"style": "page", "size": 100}}
WINDOWS = {
    "pipeline": {"path": "/things", "kind": "window", "records": "data", "paginate": "none",
                 "window": {"every": "1d", "lookback": "1d"},
                 "query": {"from": "{window.from:datetime}", "to": "{window.to:datetime}"}},
    "mock": {"file": "things.ndjson", "records": "data", "window": {"column": "at", "from": "from", "to": "to", "form": "datetime"}},
    "rows": DAILY,
}


def case(name, what, command, before=(), models=False, contract=CONTRACT, second=None, secret=False, damage=(), good=0, once=None,
         lake="disk", answers=False, file=None):
    return dict(name=name, resource=what, command=command, before=list(before), models=MODELS if models else {},
                contract=contract, second=second, secret=secret, damage=list(damage), good=good, once=once, lake=lake,
                answers=answers, file=file)


INGEST, PREPARE, REFINE, RUN = (["ingest", *INTERVAL], ["prepare", *INTERVAL], ["refine", *INTERVAL], ["run", *INTERVAL])
OTHERS = [*RUN, "--refetch=again", "--env", "second"]
DAYS = [["run", "--from", f"2026-01-0{day}", "--to", f"2026-01-0{day + 1}"] for day in (1, 2, 3)]
WINDOW = "20260101T000000Z_20260102T000000Z"
LOG, DATA = "prepare/torture/things/_delta_log/", "prepare/torture/things/data/*/*.parquet"

CASES = [
    case("init", PAGED["cursor_body"], ["init"], contract=None),
    *[case(f"ingest_{style}", what, INGEST, contract=None, secret=style == "none") for style, what in PAGED.items()],
    case("prepare", BAD, PREPARE, before=[INGEST]),
    case("children", WINDOWS, ["prepare", "--from", "2026-01-01", "--to", "2026-01-03"], contract=DAILY_CONTRACT,
         before=[["ingest", "--from", "2026-01-01", "--to", "2026-01-03"]]),
    case("refine", PAGED["none"], REFINE, before=[INGEST, PREPARE], models=True),
    case("run", PAGED["page"], RUN, models=True),
    case("refetch_same", PAGED["page"], [*RUN, "--refetch=again"], before=[RUN], models=True),
    case("refetch_other", BAD, OTHERS, before=[RUN], models=True, second=OTHER),
    case("candidate", SHRINKS, OTHERS, before=[RUN], second=SEVEN, good=4),
    case("accept", SHRINKS, ["accept", "things", WINDOW], before=[RUN, (4, OTHERS)], second=SEVEN,
         once="no fetch waits to be accepted"),
    case("again", PAGED["page"], RUN, before=[RUN], models=True),
    # Version 100 has a folded state and a checkpoint. A log whose last version is number 98 and damaged is repaired to 99.
    case("upkeep", PAGED["page"], OTHERS, before=[RUN], second=OTHER,
         damage=[("write", LOG + f"{98:020}.json"), ["repair"]]),
    case("compact", WINDOWS, ["compact"], before=DAYS, contract=DAILY_CONTRACT),
    case("repair_data", BAD, ["repair"], before=[RUN], models=True, damage=[("flip", DATA)]),
    case("repair_log", BAD, ["repair"], before=[RUN, OTHERS], models=True, second=OTHER, damage=[("flip", LOG + f"{1:020}.json")]),
    case("raw_from", BAD, [*RUN, "--raw-from", "BEGIN"], before=[INGEST]),
    case("check", PAGED["none"], ["check"], before=[RUN], models=True, secret=True, answers=True),
    case("plan", BAD, ["plan", *INTERVAL], before=[INGEST], models=True, answers=True),
    case("status", PAGED["none"], ["status"], before=[RUN], models=True, answers=True),
    case("runs", PAGED["none"], ["runs"], before=[INGEST, PREPARE], answers=True),
    case("verify", BAD, ["verify"], before=[RUN], models=True, answers=True),
    case("digest", BAD, ["digest"], before=[RUN], models=True, answers=True),
    case("query", PAGED["none"], ["query", "SELECT count(*) FROM prepare.things"], before=[RUN], models=True, answers=True),
    case("show", BAD, ["show", "things", "--quarantine", "--format", "csv"], before=[RUN], answers=True),
    case("trace", PAGED["cursor_body"], ["trace", "things", "6"], before=[RUN], answers=True),
    case("trace_model", PAGED["page"], ["trace", "cheap", "2", "--json"], before=[RUN], models=True, answers=True),
    case("raw_ls", PAGED["page"], ["raw", "ls", "things", WINDOW], before=[INGEST], contract=None, answers=True),
    case("raw_cat", PAGED["page"], ["raw", "cat", "things", WINDOW, "2"], before=[INGEST], contract=None, answers=True),
    case("draft", PAGED["page"], ["contract", "draft", "things", "-"], before=[INGEST], contract=None, answers=True),
    case("draft_file", PAGED["none"], ["contract", "draft", "things", "LAKE/draft/things.yaml", "--force"], before=[INGEST],
         contract=None, file="draft/things.yaml"),
    case("gc", BAD, ["gc", "--yes", "--generations", "--keep-days", "0", "--keep-versions", "1"], before=[RUN, OTHERS],
         models=True, second=OTHER),
    # The lake is s3://: what fails are the calls of sockets and of HTTP, memory, scratch.
    case("s3_ingest", PAGED["cursor_body"], INGEST, contract=None, lake="s3"),
    case("s3_run", PAGED["page"], RUN, models=True, lake="s3"),
    case("s3_refetch", BAD, OTHERS, before=[RUN], second=OTHER, lake="s3"),
    case("s3_digest", BAD, ["digest"], before=[RUN], lake="s3", answers=True),
    case("s3_show", BAD, ["show", "things"], before=[RUN], lake="s3", answers=True),
    case("s3_gc", BAD, ["gc", "--yes", "--generations", "--keep-days", "0", "--keep-versions", "1"], before=[RUN, OTHERS],
         models=True, second=OTHER, lake="s3"),
]
