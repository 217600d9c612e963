"""The cases of the torture: data only. Each is as small as it can be and still go the whole way.

A case has resources (what the mock serves, how the pipeline asks for it), contracts and models; `before`: commands that
bring the lake to where the case begins; `command`: the one that is disturbed, and afterwards, undisturbed, ends the job.
`second`: what the mock serves to `--env second`. `needs`: a command that this version must have. `secret`: the
token stands in a file."""

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


def case(name, what, command, before=(), models=False, contract=True, second=None, needs=None, secret=False):
    return dict(name=name, resource=what, command=command, before=list(before), models=MODELS if models else {},
                contract=CONTRACT if contract else None, second=second, needs=needs, secret=secret)


INGEST, PREPARE, REFINE, RUN = (["ingest", *INTERVAL], ["prepare", *INTERVAL], ["refine", *INTERVAL], ["run", *INTERVAL])
BAD = dict(PAGED["cursor_body"], rows=WITH_BAD)

CASES = [
    *[case(f"ingest_{style}", what, INGEST, contract=False, secret=style == "none") for style, what in PAGED.items()],
    case("prepare", BAD, PREPARE, before=[INGEST]),
    case("refine", PAGED["none"], REFINE, before=[INGEST, PREPARE], models=True),
    case("run", PAGED["page"], RUN, models=True),
    case("refetch_same", PAGED["page"], [*RUN, "--refetch=again"], before=[RUN], models=True),
    case("refetch_other", BAD, [*RUN, "--refetch=again", "--env", "second"], before=[RUN], models=True, second=OTHER),
    case("again", PAGED["page"], RUN, before=[RUN], models=True),
    case("check", PAGED["none"], ["check"], before=[RUN], models=True, secret=True),
    case("status", PAGED["none"], ["status"], before=[RUN], models=True),
    case("verify", BAD, ["verify"], before=[RUN], models=True),
    case("query", PAGED["none"], ["query", "SELECT count(*) FROM prepare.things"], before=[RUN], models=True),
    case("gc", BAD, ["gc", "--yes", "--generations", "--keep-days", "0", "--keep-versions", "1"],
         before=[RUN, [*RUN, "--refetch=again", "--env", "second"]], models=True, second=OTHER, needs="gc"),
]
