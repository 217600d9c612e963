"""The command line: a row per command line, with the exit status and what must stand on which stream."""
import csv
import io
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

import lake as L

DAYS = ("--from", "2013-01-01", "--to", "2013-01-03")
WINDOW = "20130101T050000Z_20130102T050000Z"
COMMANDS = ["init", "contract draft", "check", "explain", "plan", "run", "ingest", "prepare", "refine", "status", "runs", "show", "query",
            "trace", "raw ls", "raw cat", "accept", "verify", "gc", "repair", "digest", "parity", "compact", "config push", "help"]


def sluice(*args, cwd=None, **environment):
    env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "ASAN_OPTIONS",
                                                        "SLUICE_STORE_NO_PATHS")}
    got = subprocess.run([L.SLUICE, *args], capture_output=True, text=True, timeout=120, cwd=cwd, env={**env, **environment})
    return L.Done(["sluice", *args], got.returncode, got.stdout, got.stderr)


@pytest.fixture(scope="session")
def api(tmp_path_factory):
    m = L.Mock(tmp_path_factory.mktemp("cli-api"), L.example_mock(), L.FLIGHTS)
    yield m
    assert m.stop() == 0


@pytest.fixture(scope="session")
def days(tmp_path_factory, api):
    """Two days of all resources, prepared and refined."""
    p = L.example_project(os.path.join(tmp_path_factory.mktemp("cli"), "flights"), api.url)
    p.first = p.sluice("run", *DAYS)
    return p


def check(done, status, out, err):
    assert done.status == status, repr(done)
    for stream, pieces in ((done.out, out), (done.err, err)):
        for piece in pieces:
            assert piece in stream, f"{piece!r} is missing\n{done!r}"
    for line in done.err.splitlines():
        assert line.startswith(("sluice: ", "  hint: ")), repr(done)


# ── words ──

@pytest.mark.parametrize("line,status,out,err", [
    ("", 2, ["Commands:", "raw cat"], []),
    ("help", 0, ["Commands:", "sluice init https://"], []),
    ("--help", 0, ["Commands:"], []),
    ("run --help", 0, ["sluice run [OPTION...]", "--takeover", "Exit status:", "143"], []),
    ("help run", 0, ["--refetch[=NAME]", "Examples:"], []),
    ("help raw", 0, ["sluice raw ls", "sluice raw cat"], []),
    ("help raw cat", 0, ["--record OFF,LEN"], []),
    ("help pipeline-file", 0, ["resources", "paginate"], []),
    ("help exit-status", 0, ["  5  lost to another run"], []),
    ("help rnu", 2, [], ["there is no command `rnu`", "did you mean `sluice run`?"]),
    ("--version", 0, ["sluice 0.", "DuckDB v1.5."], []),
    ("-V", 0, ["sluice 0."], []),
    ("rnu", 2, [], ["there is no command `rnu`", "did you mean `sluice run`?"]),
    ("raw", 2, [], ["`raw` is not a whole command", "sluice raw ls"]),
    ("contract", 2, [], ["`contract` is not a whole command", "there is `sluice contract draft`"]),
    ("config", 2, [], ["there is `sluice config push`"]),
    ("engine", 2, [], ["`engine` is not a whole command", "there is `sluice engine duckdb`"]),
    ("help engine", 0, ["sluice engine duckdb JOB"], []),
    ("raw sl", 2, [], ["there is no command `raw sl`", "did you mean `sluice raw ls`?"]),
    ("contract drafts flights", 2, [], ["did you mean `sluice contract draft`?"]),
    ("zzzzzz", 2, [], ["`sluice help` lists the commands"]),
    ("run --form 2013-01-01", 2, [], ["there is no option --form", "did you mean --from?"]),
    ("run --keepgoing", 2, [], ["did you mean --keep-going?"]),
    ("run -x", 2, [], ["there is no option -x", "`sluice help run`"]),
    ("show airlines --threads 2", 2, [], ["`sluice show` takes no --threads"]),
    ("run --from", 2, [], ["--from needs a value: --from TIME"]),
    ("run --from=", 2, [], ["--from: the value is empty"]),
    ("run --stale=yes", 2, [], ["--stale takes no value"]),
    ("run --from 2013-01-01 --from 2013-01-02", 2, [], ["--from stands twice"]),
    ("run 2013", 2, [], ["`sluice run` takes no operand"]),
    ("show", 2, [], ["something is missing: sluice show TABLE"]),
    ("show a b", 2, [], ["too many operands (b ...)"]),
    ("run --threads 0", 2, [], ["--threads 0: a whole number from 1 to"]),
    ("show x --limit many", 2, [], ["--limit many"]),
    ("show x --format xml", 2, [], ["--format xml: table, csv or json"]),
    ("run -f nothing.yaml", 2, [], []),
    ("init ftp://example.com", 2, [], ["http"]),
    ("init --bearer abc https://example.com", 2, [], ["a reference to a secret"]),
    ("init --bearer env:NOT_SET_AT_ALL https://example.invalid/x", 2, [], ["NOT_SET_AT_ALL is not set"]),
    ("init --bearer env:T http://example.com/x", 2, [], ["not sent over plain http"]),
])
def test_words(line, status, out, err, tmp_path):
    done = sluice(*line.split(), cwd=tmp_path, T="0123456789")
    if "nothing.yaml" in line:
        assert done.status == status and "nothing.yaml" in done.err and "sluice init -f nothing.yaml" in done.err
    else:
        check(done, status, out, err)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(command):
    done = sluice("help", *command.split())
    assert done.status == 0 and done.out.startswith(f"sluice {command}") and "Exit status:" in done.out
    assert [line for line in done.out.splitlines() if len(line) > 80 and not line.startswith("  sluice ")] == []
    assert "\t" not in done.out
    assert f"  {command} " in sluice("help").out


def test_list_names_all_commands():
    listed = re.findall(r"(?m)^  ([a-z]+(?: [a-z]+)?)  +\S", sluice("help").out.split("Commands:")[1].split("\n\n")[0])
    assert listed == COMMANDS


def test_data_cannot_drive_the_terminal():
    done = sluice("\x1b[31mrun\x9b")
    assert "\x1b" not in done.err and "\\x1b[31mrun" in done.err


# ── commands ──

ROWS = [
    ("check", 0, ["pipeline nycflights: 5 resources", "no mistakes"], []),
    ("plan " + " ".join(DAYS), 0, ["Ingest and prepare", "nothing to do: 2 windows are sealed and prepared", "Refine"], []),
    ("plan --from 2013-01-01 --to 2013-01-04", 0, ["20130103T050000Z_20130104T050000Z", "1 of 3 windows to fetch"], []),
    ("run --dry-run --from 2013-01-01 --to 2013-01-04", 0, ["1 of 3 windows to fetch"], []),
    ("plan --from yesterday", 2, [], ["--from yesterday: a date"]),
    ("plan --only flihts", 2, [], ["--only", "flihts", "did you mean flights?"]),
    ("status", 0, ["flights", "2 sealed", "1,785 rows", "Last run"], []),
    ("runs", 0, ["exit   0"], []),
    ("runs 20130101T000000Z-0000", 6, [], ["no record", "`sluice runs -f "]),
    ("show airlines --limit 2", 0, ["carrier", "Endeavor Air Inc.", "2 of 16 rows of prepare.airlines"], []),
    ("show prepare.airlines --limit 1", 0, ["1 of 16 rows"], []),
    ("show flights --quarantine", 0, ["_reasons", "rows of quarantine.flights"], []),
    ("show flihts", 2, [], ["flihts", "did you mean flights?"]),
    ("show refine.flights", 2, [], ["flights is a resource"]),
    ("show carrier_scorecard --limit 1", 0, ["1 of 14 rows of refine.carrier_scorecard"], []),
    ("raw ls", 0, ["flights", "2 windows"], []),
    ("raw ls flights", 0, [WINDOW, "sealed", "842 records"], []),
    ("raw ls flights " + WINDOW, 0, ["GET /flights?date_from=2013-01-01"], []),
    ("raw ls flights 20140101T050000Z_20140102T050000Z", 6, [], ["nothing was fetched"]),
    ("raw ls flights today", 2, [], ["today is no name of a window"]),
    ("raw ls flihts", 2, [], ["no resource flihts", "did you mean flights?"]),
    ("raw cat flights " + WINDOW + " 99", 6, [], ["no page 99"]),
    ("raw cat flights " + WINDOW + " none", 2, [], ["page none"]),
    ("raw cat flights " + WINDOW + " 1 --record 5", 2, [], ["two numbers"]),
    ("raw cat flights " + WINDOW + " 1 --record 5,999999999", 2, [], ["the body has"]),
    ("raw cat ../../etc/passwd 0", 2, [], ["no key of a segment"]),
    ("raw cat raw/nycflights/none 0", 6, [], ["raw/nycflights/none"]),
    ("accept flights " + WINDOW, 2, [], ["no fetch waits to be accepted"]),
    ("verify", 0, ["All is well", "tables"], []),
    ("verify -q", 0, [], []),
    ("digest", 0, ["window flights " + WINDOW, "file prepare.flights 1 rows=", "rows refine.carrier_scorecard full rows=14"], []),
    ("trace airlines UA", 0, ["United Air Lines Inc.", "GET /airlines", '{"carrier":"UA"', "`sluice raw cat -f "], []),
    ("trace carrier_scorecard UA", 0, ["refine.carrier_scorecard", "from prepare.airlines: 1 row\n", "10 rows shown, there are more"], []),
    ("trace flights UA", 2, [], ["has 3 parts", "time_hour carrier flight"]),
    ("trace flights when UA 1", 2, [], ["time_hour is a timestamp, and `when` is not one"]),
    ("trace airlines XX", 6, [], ["no row with this key", "--quarantine"]),
    ("contract draft airlines -", 0, ["apiVersion: v3.1.0", "sluice.draft"], []),
    ("contract draft airlines", 2, [], ["is there already", "--force"]),
    ("contract draft flights -", 0, ["{property: sluice.window_column, value: \"time_hour\"}"], []),
    ("contract draft carrier_scorecard", 2, [], ["carrier_scorecard is a model", "docs/contracts.md"]),
    ("trace flights 2013-01-01T10:00:00Z UA abc", 2, [], ["flight is an integer, and `abc` is not one"]),
    ("prepare --refetch", 2, [], ["takes no --refetch"]),
    ("refine --refetch", 2, [], ["takes no --refetch"]),
]


@pytest.mark.parametrize("line,status,out,err", ROWS, ids=[r[0][:60] for r in ROWS])
def test_commands(days, line, status, out, err):
    words = line.split()
    two = " ".join(words[:2]) in COMMANDS
    command, args = (" ".join(words[:2]), words[2:]) if two else (words[0], words[1:])
    check(days.sluice(command, *args, status=None), status, out, err)


@pytest.mark.parametrize("sql,status,err", [
    ("SELEC 1", 2, "Parser Error"),
    ("SELECT * FROM prepare.nothing", 2, "nothing"),
    ("SELECT nothing FROM prepare.airlines", 2, "LINE 1, column 8: SELECT nothing"),
    ("SELECT * FROM read_csv('/etc/passwd')", 2, "etc/passwd"),
    ("COPY (SELECT 1) TO '/tmp/sluice-must-not-write'", 2, ""),
    ("ATTACH '/tmp/sluice-must-not-write'", 2, ""),
    ("SET threads = 9", 2, "this is no SELECT"),
    ("CREATE TABLE t AS SELECT 1", 2, "this is no SELECT"),
    ("DROP VIEW prepare.airlines", 2, "this is no SELECT"),
    ("WITH x AS (SELECT 1 AS n) INSERT INTO prepare.airlines SELECT n FROM x", 2, ""),
    ("SELECT 1; DROP VIEW prepare.airlines", 2, "2 statements"),
    ("", 2, "no statement"),
    ("/* nothing */", 2, "no statement"),
    ("SELECT 1/0 AS x", 0, ""),
    ("SELECT 1 AS x; -- the end", 0, ""),
    ("WITH x AS (SELECT 1 AS n) SELECT * FROM x", 0, ""),
    ("FROM prepare.airlines", 0, ""),
    ("VALUES (1, 2)", 0, ""),
    ("DESCRIBE prepare.airlines", 0, ""),
    ("SUMMARIZE prepare.airlines", 0, ""),
    ("SHOW ALL TABLES", 0, ""),
    ("EXPLAIN SELECT 1", 0, ""),
])
def test_query_refuses(days, sql, status, err):
    done = days.sluice("query", sql, status=None)
    assert done.status == status, repr(done)
    assert err in done.err
    assert not os.path.exists("/tmp/sluice-must-not-write")


def test_query_knows_functions_of_spark(days):
    got = json.loads(days.sluice("query", "--json", "SELECT nvl(NULL, pmod(-1, 3)) AS a, datediff('day', DATE '2013-01-01', day) AS b, "
                                 "datediff(day, DATE '2013-01-01') AS c FROM (SELECT DATE '2013-02-01' AS day)").out)
    assert list(got.values()) == [2, 31, 31]


def test_wall_clocks_have_no_zone(days):
    """A TIMESTAMP without a zone is no instant, and a Z would make it one."""
    sql = ("SELECT TIMESTAMPTZ '2013-01-01 05:00:00+00' AS i, TIMESTAMPTZ '2013-07-01 05:00:00+00' AT TIME ZONE 'Europe/Berlin' AS w, "
           "TIMESTAMP_S '2013-01-01 05:00:00' AS s, TIMESTAMP_MS '2013-01-01 05:00:00.5' AS m, '-infinity'::TIMESTAMP AS f")
    want = ["2013-01-01T05:00:00Z", "2013-07-01T07:00:00", "2013-01-01T05:00:00", "2013-01-01T05:00:00.500000", "-infinity"]
    assert list(json.loads(days.sluice("query", "--json", sql).out).values()) == want
    assert days.sluice("query", "--format", "csv", sql).out.split("\n")[1].split(",") == want
    assert days.sluice("query", sql).out.split("\n")[2].split() == want


def test_json_of_a_failure(days, tmp_path):
    """Where there is no result, the failure is the object; rows are never mixed with one."""
    none = days.on(tmp_path / "none")
    for words, status in ((["status"], 6), (["runs"], 6), (["raw ls"], 6), (["verify"], 6), (["digest"], 6), (["trace", "airlines", "UA"], 6)):
        done = none.sluice(*words, "--json", status=status)
        assert done.json["exit_status"] == status and done.json["error"]["code"] == "MISSING", repr(done)
    for words in (["show", "airlines"], ["query", "SELECT 1"]):
        assert none.sluice(*words, "--json", status=6).out == ""
    done = days.sluice("query", "SELECT 1 AS x, 2 AS x", "--json", status=2)
    assert "two columns are called x" in done.err and done.out == ""
    assert "contradict" in days.sluice("query", "SELECT 1", "--json", "--format", "csv", status=2).err


def test_query_is_bounded(days):
    """What a query may use is a number, whatever the query says; a crash of the engine would not be ours either."""
    many = "select string_agg(i::varchar, ',') from range(200000000) t(i)"
    for sql, form in (("select repeat('x', 2000000000)", "csv"), (many, "table"), ("select list(i) from range(300000000) t(i)", "json")):
        done = days.sluice("query", "--format", form, sql, status=7)
        assert "Out of Memory" in done.err and "engine.memory" in done.err and "SET " not in done.err, repr(done)
        assert "sluice query -f" in done.err and done.out == ""
    wide = "select 1 as n, repeat('x', 70000000) as w"
    assert len(days.sluice("query", wide).out) < 400000
    for form in ("csv", "json"):
        done = days.sluice("query", "--format", form, wide, status=2)
        assert "column w of row 1 has 70000000 bytes" in done.err and "left(" in done.err


def test_a_query_ends_when_it_is_told(days):
    for signal, status in ((2, 130), (15, 143)):
        p = subprocess.Popen(days.command("query", "select count(*) from range(100000000000) t(i) where hash(i) % 7 = 9"),
                             stderr=subprocess.PIPE, env=days.environment(), text=True)
        children = f"/proc/{p.pid}/task/{p.pid}/children"
        while not open(children, encoding="ascii").read():
            pass
        p.send_signal(signal)
        assert p.wait(30) == status and "stopped by a signal" in p.stderr.read()


CELLS = """SELECT 1 AS n, '=1+1' AS a, '+1' AS b, '-1' AS c, '@x' AS d, chr(9) || 'x' AS e, chr(13) || 'x' AS f, -5 AS g,
    'q"uote, comma' AS h, '' AS i, NULL AS j, 12345678901234567890123456789.10::DECIMAL(38,2) AS k, 9223372036854775807 AS l,
    0.1::DOUBLE AS m, '-0.0'::DOUBLE AS o, DATE '2013-01-01' AS p, TIMESTAMPTZ '2013-01-01 05:00:00+00' AS q, true AS r,
    'x' || chr(10) || 'y' AS s, 'nan'::DOUBLE AS t, '2013' AS u"""


def test_csv_is_safe_and_exact(days):
    raw = subprocess.run(days.command("query", "--format", "csv", CELLS), capture_output=True, env=days.environment())
    text = raw.stdout.decode()  # as bytes: a carriage return is a case
    row = list(csv.DictReader(io.StringIO(text, newline="")))[0]
    assert [row[c] for c in "abcdef"] == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "'\rx"]
    assert row["g"] == "-5" and row["h"] == 'q"uote, comma' and row["s"] == "x\ny"
    assert row["k"] == "12345678901234567890123456789.10" and row["l"] == "9223372036854775807"
    assert (row["m"], row["o"], row["p"], row["q"], row["r"]) == ("0.1", "-0", "2013-01-01", "2013-01-01T05:00:00Z", "true")
    assert ',"",,' in text  # the empty text, then NULL


def test_json_is_exact(days):
    text = days.sluice("query", "--format", "json", CELLS).out
    row = json.loads(text, parse_float=str, parse_int=str)
    assert row["a"] == "=1+1" and row["e"] == "\tx" and row["i"] == "" and row["j"] is None
    assert row["k"] == "12345678901234567890123456789.10" and row["l"] == "9223372036854775807"
    assert row["r"] is True and row["t"] == "NaN" and row["u"] == "2013"


def test_table_escapes(days):
    text = days.sluice("query", "SELECT 'a' || chr(27) || '[31m' AS x, 'l' || chr(10) || 'm' AS y").out
    assert "a\\x1b[31m" in text and "l\\nm" in text and "\x1b" not in text


def test_many_rows_stream(days):
    out = days.sluice("query", "--format", "csv", "SELECT range AS n FROM range(100000)").out.split("\n")
    assert len(out) == 100002 and out[1] == "0" and out[100000] == "99999"


@pytest.mark.parametrize("command", ["status", "runs", "plan", "check", "raw ls", "raw ls flights", "raw ls flights " + WINDOW,
                                     "verify", "trace airlines UA", "trace carrier_scorecard UA"])
def test_json_of_everything(days, command):
    words = command.split()
    n = 2 if words[0] == "raw" else 1
    done = days.sluice(" ".join(words[:n]), *words[n:], "--json")
    assert done.json is not None and done.out.count("\n") == 1 and done.err == ""


def test_digest_lines_as_json(days):
    text, lines = days.digest().splitlines(), days.sluice("digest", "--json").out.splitlines()
    assert len(text) == len(lines)
    assert {json.loads(line)["kind"] for line in lines} == {"window", "file", "rows"}


@pytest.mark.parametrize("sql,wanted", [
    ("select * from prepare.nothing", ["there is no table nothing; LINE 1, column 15", "hint: there are: prepare.flights, "]),
    ("select * from nowhere.airlnes", ["there is no table nowhere.airlnes; LINE 1", "did you mean prepare.airlines? There are: prepare."]),
    ("select * from flights", ["there is no table flights", "did you mean prepare.flights?"]),
])
def test_names_of_tables(days, sql, wanted):
    err = days.sluice("query", sql, status=2).err
    assert all(w in err for w in wanted) and "Did you mean \"" not in err, err


def test_each_model_that_fails_is_told(days, tmp_path):
    """With its file and its own line; also what is sealed and not prepared is told as that."""
    p = L.Project(shutil.copytree(days.folder, tmp_path / "p", ignore=shutil.ignore_patterns("lake")), tmp_path / "lake", days.secrets)
    p.sluice("ingest", *DAYS)
    assert "nothing to do: 2 windows are sealed and not prepared yet\n" in p.sluice("ingest", *DAYS).out
    p.sluice("prepare", *DAYS)
    wrong = ("airport_hour_load", "carrier_scorecard", "worst_days")
    for name in wrong:
        path = os.path.join(p.folder, "models", name + ".sql")
        with open(path, encoding="utf-8") as f:
            text = f.read().rstrip().rstrip(";")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"SELECT * FROM ({text}\n) AS q WHERE CAST(concat('a word of ', '{name}') AS BIGINT) = 1\n")
    done = p.sluice("refine", "--keep-going", *DAYS, status=(2, 9))
    for name in wrong:
        line = open(os.path.join(p.folder, "models", name + ".sql"), encoding="utf-8").read().count("\n")
        said, = [text for text in done.err.splitlines() if f"model {name}: " in text]
        assert f"a word of {name}" in said, done.err
        assert "LINE " not in said and f"; models/{name}.sql, line {line}, column " in said, done.err


def test_run_says_why_there_is_nothing(days):
    again = days.sluice("run", *DAYS)
    assert "nothing to do: 2 windows are sealed and prepared" in again.out and again.err == ""
    record = days.sluice("run", *DAYS, "--json").json
    assert record["nothing_to_do"] is True and record["exit_status"] == 0
    assert days.sluice("run", *DAYS, "-q").out == ""


def test_raw_cat_gives_the_bytes_of_a_row(days):
    row = json.loads(days.sluice("trace", "flights", "2013-01-01T10:00:00Z", "UA", "1545", "--json").out)["rows"][0]
    origin = row["origin"]
    cut = f"{origin['offset']},{origin['length']}"
    assert days.sluice("raw cat", "flights", WINDOW, origin["page"], "--record", cut).out == origin["raw"]
    assert json.loads(origin["raw"])["tailnum"] == row["row"]["tailnum"] == "N14228"
    head = days.sluice("raw cat", origin["segment"], origin["segment_offset"], "--head").out
    assert head.startswith("GET /v1/flights?") and "\nHTTP/1.1 200 OK\n" in head and L.TOKEN not in head
    body = days.sluice("raw cat", origin["segment"], origin["segment_offset"]).out
    assert body == days.sluice("raw cat", "flights", WINDOW, origin["page"]).out


def test_lake_that_is_not_there(days, tmp_path):
    p = days.on(tmp_path / "none")
    assert p.sluice("plan", *DAYS, "--json").json["anything"] is True
    for command in ("status", "verify", "digest", "raw ls"):
        done = p.sluice(command, status=6)
        assert "hint: `sluice run -f " in done.err and f"--lake {p.lake}" in done.err
    assert not os.path.exists(p.lake)


def test_the_folder_of_a_pipeline_will_do(days):
    assert sluice("check", "-f", days.folder, FLIGHTS_TOKEN=L.TOKEN).status == 0


def test_missing_secret_is_a_warning_of_check_and_an_error_of_run(days, tmp_path):
    p = L.Project(days.folder, tmp_path / "lake", secrets={})
    assert "FLIGHTS_TOKEN is not set" in p.sluice("check").out
    assert "FLIGHTS_TOKEN is not set" in p.sluice("run", *DAYS, status=2).err


# ── failures ──

def test_failing_exchange_is_shown(days, api, tmp_path):
    api.reset({"fault": "status", "status": 418, "path": "/airlines", "nth": 0})
    try:
        p = days.on(tmp_path / "lake")
        done = p.sluice("run", "--only", "airlines", *DAYS, status=3)
    finally:
        api.reset()
    assert "GET /airlines" in done.err and "418" in done.err and "  | " in done.err and L.TOKEN not in done.err
    command = re.search(r"`sluice (raw cat) ([^`]*)`", done.err)
    assert command, repr(done)
    shown = sluice("raw", "cat", *command.group(2).split(), FLIGHTS_TOKEN=L.TOKEN)
    assert shown.status == 0 and "HTTP/1.1 418" in shown.out


def test_verify_finds_a_changed_byte(days, tmp_path):
    import shutil
    shutil.copytree(days.lake, tmp_path / "lake")
    p = days.on(tmp_path / "lake")
    segment = next(os.path.join(f, n) for f, _, names in os.walk(p.lake) for n in names if n.endswith(".warc.gz"))
    data = bytearray(open(segment, "rb").read())
    data[len(data) // 2] ^= 1
    os.chmod(segment, 0o644)
    open(segment, "wb").write(data)
    done = p.sluice("verify", status=8)
    assert os.path.relpath(segment, p.lake) in done.out and "DAMAGED" in done.out
    found = p.sluice("verify", "--json", status=8).json["findings"]
    assert found[0]["where"] == os.path.relpath(segment, p.lake)
    parquet = next(os.path.join(f, n) for f, _, names in os.walk(os.path.join(p.lake, "refine")) for n in names
                   if n.endswith(".parquet"))
    os.remove(parquet)
    assert len(p.sluice("verify", "--json", status=8).json["findings"]) == 2


def test_verify_with_a_budget(days):
    done = days.sluice("verify", "--budget", "1ms", status=7)
    assert "Nothing found so far" in done.out and "Not looked at: " in done.out and "began at" in done.out
    assert "the next verification begins somewhere else" in done.err
    left = days.sluice("verify", "--budget", "1ms", "--json", status=7).json
    assert left["complete"] is False and left["windows_left"] > 0 and left["findings"] == []
    whole = days.sluice("verify", "--budget", "5m", "--json").json
    assert whole["complete"] is True and whole["windows_left"] == whole["files_left"] == 0 and whole["rows_read"] is True
    starts = {days.sluice("verify", "--fast", "--budget", "5m", "--json").json["began_at"] for _ in range(8)}
    assert len(starts) > 1
    assert "a time is expected" in days.sluice("verify", "--budget", "soon", status=2).err
    assert "--only" in days.sluice("verify", "--only", "flight", status=2).err
    only = days.sluice("verify", "--only", "airlines,planes", "--json").json
    assert only["tables"] == 4 and only["windows"] == 2


def test_verify_says_what_to_do(days, tmp_path):
    """The commands in a finding can be pasted."""
    import shutil
    shutil.copytree(days.lake, tmp_path / "lake")
    p = days.on(tmp_path / "lake")
    folder = os.path.join(p.lake, "raw", "nycflights", "flights", WINDOW, "g1", "segments")
    os.remove(os.path.join(folder, sorted(os.listdir(folder))[0]))
    line = p.sluice("verify", "--fast", status=8).out.splitlines()[0]
    command = re.search(r"`sluice (run [^`]*)`", line).group(1)
    assert f"--lake {p.lake}" in command and "--from 2013-01-01T05:00:00Z --to 2013-01-02T05:00:00Z" in command
    got = subprocess.run([L.SLUICE, *command.split()], capture_output=True, text=True, env=p.environment(), cwd=p.folder)
    assert got.returncode == 0, got.stderr
    assert os.path.isdir(os.path.join(os.path.dirname(os.path.dirname(folder)), "g2", "segments"))


def parquet_of(p, zone, table):
    folder = os.path.join(p.lake, zone, "nycflights", table)
    return max((os.path.join(f, n) for f, _, names in os.walk(folder) for n in names if n.endswith(".parquet")),
               key=os.path.getsize)


@pytest.fixture
def copied(days, tmp_path):
    import shutil
    shutil.copytree(days.lake, tmp_path / "lake")
    return days.on(tmp_path / "lake")


@pytest.mark.parametrize("zone,table", [("prepare", "flights"), ("quarantine", "weather"), ("refine", "carrier_scorecard")])
@pytest.mark.parametrize("part", [0.1, 0.3, 0.5])
def test_verify_reads_tables(copied, zone, table, part):
    """Some bytes of a data page, its size as it was: nothing but reading the rows can tell."""
    if zone == "quarantine":  # the day of the one bad wind
        copied.sluice("run", "--only", table, "--from", "2013-02-12", "--to", "2013-02-13")
        copied.sluice("verify")
    path = parquet_of(copied, zone, table)
    data = bytearray(open(path, "rb").read())
    footer = int.from_bytes(data[-8:-4], "little") + 8
    at = 4 + int((len(data) - footer - 4) * part)
    assert at + 4 < len(data) - footer
    for i in range(4):
        data[at + i] ^= 0x5a
    os.chmod(path, 0o644)
    open(path, "wb").write(data)
    done = copied.sluice("verify", status=8)
    assert os.path.relpath(path, copied.lake) in done.out and "1 finding\n" in done.out
    fast = copied.sluice("verify", "--fast")
    assert "only checked for their size" in fast.out and "(0 B)" not in fast.out


def test_tables_that_cannot_be_read(copied):
    """A file that is gone or cut concerns its own table, and names itself."""
    gone, broken = parquet_of(copied, "prepare", "flights"), parquet_of(copied, "prepare", "weather")
    os.remove(gone)
    data = bytearray(open(broken, "rb").read())
    os.chmod(broken, 0o644)
    data[-12:-8] = b"\xff\xff\xff\xff"
    data[4:60] = bytes(56)
    open(broken, "wb").write(data)
    for command, words, path in (("show", "flights", gone), ("query", "SELECT count(*) FROM prepare.flights", gone),
                                 ("show", "weather", broken), ("query", "SELECT max(temp) FROM prepare.weather", broken)):
        done = copied.sluice(command, words, status=8)
        assert os.path.relpath(path, copied.lake) in done.err and "`sluice verify " in done.err, repr(done)
    assert "is not there" in copied.sluice("show", "flights", status=8).err
    assert "16 rows" in copied.sluice("show", "airlines").out
    assert copied.sluice("query", "SELECT count(*) AS n FROM prepare.planes", "--json").json["n"] > 3000
    copied.sluice("query", "SELECT nothing FROM prepare.airlines", status=2)
    found = copied.sluice("verify", "--json", status=8).json["findings"]
    assert [f["where"] for f in found] == [os.path.relpath(x, copied.lake) for x in (gone, broken)]


@pytest.mark.parametrize("number,status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_a_resumable_run(days, api, tmp_path, number, status):
    p = days.on(tmp_path / "lake")
    child = p.begin("run", "--from", "2013-01-01", "--to", "2014-01-01")
    before = len(api.requests())
    deadline = time.monotonic() + 30
    while len(api.requests()) < before + 20 and child.poll() is None and time.monotonic() < deadline:
        select.select([], [], [], 0.01)
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert child.returncode == status, (out, err)
    assert b"stopped by a signal" in err
    p.sluice("verify")


# ── a terminal ──

def on_a_terminal(args, columns=80, env=None):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update({"COLUMNS": str(columns), "FLIGHTS_TOKEN": L.TOKEN, **(env or {})})
        os.execv(L.SLUICE, [L.SLUICE, *args])
    out = b""
    while True:
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        if not part:
            break
        out += part
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode()


def test_tables_fit_the_terminal(days):
    status, text = on_a_terminal(["query", "-f", days.file, "--lake", days.lake,
                                  "SELECT repeat('wide ', 60) AS a, 123456789 AS n, repeat('漢', 60) AS b"])
    assert status == 0
    lines = text.replace("\r", "").split("\n")
    width = [sum(2 if ord(c) > 0x2e80 else 1 for c in line) for line in lines]
    assert max(width) <= 80 and "…" in text and "123456789" in text


def test_progress_on_a_terminal_only(days, tmp_path):
    args = ["run", "-f", days.file, "--lake", str(tmp_path / "lake"), "--from", "2013-01-01", "--to", "2013-02-01"]
    status, text = on_a_terminal(args, 100)
    assert status == 0
    assert "\x1b[" in text and "windows" in text and "requests/s" in text
    end = text.split("\x1b[J")[-1]
    assert end.startswith("Run ")  # nothing of the display is left
    status, text = on_a_terminal([*args[:-1], "2013-02-02", "--no-progress"], 100)
    assert status == 0 and "\x1b[" not in text


# ── the first steps with an API of one's own ──

@pytest.mark.parametrize("resource,records,paginate,pages", [
    ("airports", "data", "page", 8), ("planes", "", "link", 7), ("airlines", "data", "none", 1),
])
def test_from_init_to_a_table(api, tmp_path, resource, records, paginate, pages):
    def run(*args):
        done = sluice(*args, cwd=tmp_path, FLIGHTS_TOKEN=L.TOKEN)
        assert done.status == 0, repr(done)
        return done
    made = run("init", "--json", "--bearer", "env:FLIGHTS_TOKEN", f"{api.url}/{resource}").json
    assert (made["resource"], made["records"], made["paginate"]) == (resource, records, paginate)
    text = (tmp_path / "pipeline.yaml").read_text()
    assert L.TOKEN not in text and "{bearer: {secret: \"env:FLIGHTS_TOKEN\"}}" in text
    again = sluice("init", f"{api.url}/{resource}", cwd=tmp_path)
    assert again.status == 2 and "is there already" in again.err and (tmp_path / "pipeline.yaml").read_text() == text
    (tmp_path / "pipeline.yaml").write_text(text.replace("requests: 5,", "requests: 500,"))
    assert "no mistakes" in run("check").out
    run("ingest")
    run("contract", "draft", resource)
    assert "draft" in run("check").out
    run("run")
    table = run("show", resource, "--limit", "0", "--json").out
    want = open(os.path.join(L.FLIGHTS, resource + ".csv"), encoding="utf-8")
    with want:
        assert table.count("\n") == sum(1 for _ in csv.reader(want)) - 1
    assert len(json.loads(run("raw", "ls", resource, json.loads(run("raw", "ls", resource, "--json").out)[0]["window"],
                              "--json").out)) == pages


def test_init_says_what_is_wrong(api, tmp_path):
    done = sluice("init", f"{api.url}/airlines", cwd=tmp_path)
    assert done.status == 3 and "401" in done.err and "--bearer" in done.err and os.listdir(tmp_path) == []
    done = sluice("init", f"{api.url}/airlines?api_key=sesame-open", cwd=tmp_path)
    assert "sesame-open" not in done.err
    done = sluice("init", "--bearer", "env:T", f"{api.url}/airlines?api_key=sesame-open&x=%7B1%7D", cwd=tmp_path, T=L.TOKEN)
    assert done.status == 0, repr(done)
    text = (tmp_path / "pipeline.yaml").read_text()
    assert "sesame" not in text and '"x": "{{1}}"' in text


# ── a window that shrank ──

def test_accept(tmp_path):
    (tmp_path / "data").mkdir()
    things = tmp_path / "data/things.ndjson"
    config = {"base": "/v1", "resources": {"things": {"file": "things.ndjson", "records": "data"}}}

    def serve(n):
        things.write_text("".join(f'{{"id":{i},"name":"n{i}"}}\n' for i in range(n)))
        return L.Mock(tmp_path, config, tmp_path / "data")

    def project(m):
        (tmp_path / "pipeline.yaml").write_text(f"""\
pipeline: shop
lake: ./lake
source: {{url: "{m.url}"}}
resources:
  things: {{path: /things, kind: snapshot, records: data}}
""")
        return L.Project(tmp_path, secrets={})

    interval = ("--from", "2024-01-01", "--to", "2024-01-02")
    window = "20240101T000000Z_20240102T000000Z"
    m = serve(200)
    p = project(m)
    p.sluice("ingest", *interval)
    p.sluice("contract draft", "things")
    p.sluice("run", *interval)
    m.stop()
    m = serve(150)
    p = project(m)
    done = p.sluice("run", *interval, "--refetch=less", status=4)
    m.stop()
    assert f"`sluice raw ls -f {p.file} --lake {p.lake} things {window}`" in done.err, repr(done)
    assert f"`sluice accept -f {p.file} --lake {p.lake} things {window}`" in done.err, repr(done)
    listed = p.sluice("raw ls", "things", window).out
    assert "g1 promoted, 200 records\n" in listed
    assert "g2 candidate, 150 records: 150 records where the generation before had 200\n" in listed
    assert [(x["generation"], x["state"], x["records"]) for x in p.sluice("raw ls", "things", window, "--json").json] == [
        (1, "promoted", 200), (2, "candidate", 150)]
    for words, records in (([], 200), (["--generation", "1"], 200), (["--generation", "2"], 150)):
        assert len(p.sluice("raw cat", "things", window, 1, *words).json["data"]) == records
    assert "there is no generation 3" in p.sluice("raw cat", "things", window, 1, "--generation", "3", status=6).err
    status = p.sluice("status").out
    assert f"`sluice accept -f {p.file} --lake {p.lake} things {window}`" in status
    assert p.sluice("show", "things", "--limit", "0", "--json").out.count("\n") == 200
    done = p.sluice("accept", "things", window)
    assert "generation 2 with 150 records" in done.out
    command = re.search(r"`sluice run ([^`]*)`", done.out).group(1)
    assert sluice("run", *command.split()).status == 0
    assert p.sluice("show", "things", "--limit", "0", "--json").out.count("\n") == 150
    assert p.sluice("raw ls", "things", "--json").json[0]["promoted"] == 2
    p.sluice("verify")
    p.sluice("accept", "things", window, status=2)


# ── check ──

GOOD = "SELECT id, name FROM prepare.things"
LONG = "SELECT id,\n\tconcat('é', '€', 'some text that is longer than what is shown of a line', 'and more') || nam AS name FROM prepare.things"
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: shop-{name}
version: 1.0.0
{status}
schema:
  - name: {name}
    customProperties: [{{property: sluice.action, value: fail}}]
    properties:
      - {{name: id, logicalType: integer, primaryKey: true}}
      - {{name: name, logicalType: string}}
"""


@pytest.mark.parametrize("sql,wanted", [
    (GOOD, []),
    (GOOD + ";\n-- the end", []),
    ("WITH x AS (SELECT * FROM prepare.things) SELECT id, name FROM x", []),
    ("SELECT id,\n  name\nFROM FROM prepare.things", ["models/sales.sql:3:6: syntax error at or near"]),
    ("DELETE FROM prepare.things", ["models/sales.sql:1:1: a model is one SELECT"]),
    (GOOD + ";\n" + GOOD, ["models/sales.sql:1:1: a model is one SELECT"]),
    ("SELECT id, name\nFROM prepare.thing", ["models/sales.sql:2:6: no resource gives the table prepare.thing",
                                             "did you mean prepare.things?"]),
    ("SELECT id,\n  nam AS name FROM prepare.things", ["models/sales.sql:2:3: ", "nam"]),
    (LONG, [f"models/sales.sql:2:{LONG.split(chr(10))[1].index('nam ') + 1}: ", "nam"]),
    ("SELECT id FROM prepare.things", ["models/sales.sql: the SELECT gives no column name, which the contract has"]),
    ("SELECT *, 1 AS more FROM prepare.things", ["gives a column more, which the contract does not have",
                                                 "gives a column _page, which"]),
    ("SELECT id,\n  upper(name) AS name FROM prepare.things", ["models/sales.sql:2:3: rule S12, upper and lower: upper of (VARCHAR)",
                                                               "translate(s, ", "`sluice explain S12`"]),
    ("-- sluice: allow S12\nSELECT id, upper(name) AS name FROM prepare.things", []),
    ("-- sluice: allow S99\n" + GOOD, ["models/sales.sql:1:1: rule P3", "there is no rule `S99`"]),
    ("SELECT CAST(id / 2 AS BIGINT) AS id, name FROM prepare.things", ["models/sales.sql:1:8: rule N6"]),
    ("-- sluice: duckdb-only\nSELECT CAST(id / 2 AS BIGINT) AS id, name FROM prepare.things", []),
    ("SELECT id, name FROM read_csv('/etc/passwd')", ["models/sales.sql:1:22: models read prepare.x and refine.y only"]),
])
def test_check_looks_into_models(tmp_path, sql, wanted):
    for folder in ("models", "contracts"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pipeline.yaml").write_text("""\
pipeline: shop
lake: ./lake
source: {url: "https://api.example.com"}
resources: {things: {path: /things, kind: snapshot, records: data}}
""")
    for name in ("things", "sales", "other"):
        (tmp_path / f"contracts/{name}.yaml").write_text(CONTRACT.format(name=name, status="status: active"))
    (tmp_path / "models/sales.sql").write_text(sql)
    (tmp_path / "models/other.sql").write_text("SELECT id, name FROM refine.sales")
    done = sluice("check", cwd=tmp_path)
    assert done.status == (2 if wanted else 0) and not (tmp_path / "lake").exists(), repr(done)
    for piece in wanted:
        assert piece in done.out
    assert "sluice check" not in done.out and "SQL: " not in done.out
    # two mistakes in two files: both are told
    (tmp_path / "contracts/things.yaml").write_text(CONTRACT.format(name="things", status=""))
    done = sluice("check", cwd=tmp_path)
    assert done.status == 2 and "contracts/things.yaml:1:1: `status` is missing" in done.out
    assert "proposed, draft, active, deprecated, retired" in done.out
    if "FROM FROM" in sql or "DELETE" in sql:
        assert wanted[0] in done.out and "2 mistakes" in done.out


def test_rules_are_explained(tmp_path):
    said = sluice("explain", "n6").out
    assert "Rule N6: " in said and "DuckDB  13" in said and "Spark   12" in said
    assert json.loads(sluice("explain", "--json", "N6").out)["rewrite"]
    assert sluice("explain", "N6666").status == 2
    with open(os.path.join(L.ROOT, "docs", "sql.md"), encoding="utf-8") as f:
        assert f.read().endswith(sluice("explain").out)
    every = json.loads(sluice("explain", "--json").out)
    assert len({r["rule"] for r in every}) == len(every) > 60
    assert 'CREATE MACRO "nvl"(a, b) AS COALESCE(a, b);' in sluice("explain", "pack").out


def test_words_for_a_missing_pipeline(tmp_path):
    for command in ("check", "status", "run"):
        done = sluice(command, cwd=tmp_path)
        assert done.status == 2 and "pipeline.yaml: no such file in this folder" in done.out + done.err
        assert "`sluice init URL`" in done.out + done.err
    got = json.loads(sluice("run", "--json", cwd=tmp_path).out)
    assert got["exit_status"] == 2 and got["error"]["code"] == "CONFIG" and got["problems"][0]["file"] == "pipeline.yaml"


def test_errors_of_run_as_json(days):
    done = days.sluice("run", "--from", "yesterday", "--json", status=2)
    assert done.json["exit_status"] == 2 and "--from yesterday" in done.json["error"]["message"]
    assert "--from yesterday" in done.err


def test_a_changed_step(api, tmp_path):
    def write(every):
        (tmp_path / "pipeline.yaml").write_text(f"""\
pipeline: shop
lake: ./lake
source: {{url: "{api.url}", auth: {{bearer: {{secret: env:FLIGHTS_TOKEN}}}}}}
resources:
  weather:
    path: /weather
    kind: window
    window: {{every: {every}, zone: America/New_York}}
    query: {{date_from: "{{window.from:date}}", date_to: "{{window.last:date}}"}}
    records: items
""")
    write("1d")
    p = L.Project(tmp_path)
    p.sluice("ingest", *DAYS)
    assert p.sluice("check").status == 0
    write("1w")
    assert "the lake holds windows of 1d" in p.sluice("check", status=2).out
    status = p.sluice("status").out
    assert "2 sealed" in status and "it will refuse: weather: the lake holds windows of 1d" in status
    told = p.sluice("status", "--json").json["resources"][0]
    assert told["next_run"] is None and told["next_run_text"].startswith("it will refuse: ")
    p.sluice("run", *DAYS, status=2)


def test_raw_works_while_contracts_are_wrong(days, tmp_path):
    import shutil
    shutil.copytree(days.folder, tmp_path / "p", ignore=shutil.ignore_patterns("lake"))
    contract = tmp_path / "p/contracts/airlines.yaml"
    contract.write_text(contract.read_text().replace("status: active", ""))
    p = L.Project(tmp_path / "p", tmp_path / "lake")
    done = p.sluice("ingest", "--only", "airlines", *DAYS)
    assert "airlines.yaml:1:1: `status` is missing" in done.err and "Done in" in done.out
    assert "airlines.yaml:1:1: `status` is missing" in p.sluice("raw ls").err
    p.sluice("contract draft", "airlines", "-")
    p.sluice("verify")
    p.sluice("run", "--only", "airlines", *DAYS, status=2)


def test_a_missing_path(api, tmp_path):
    (tmp_path / "pipeline.yaml").write_text(f"""\
pipeline: shop
lake: ./lake
source: {{url: "{api.url}", auth: {{bearer: {{secret: env:FLIGHTS_TOKEN}}}}}}
resources: {{nope: {{path: /nope, kind: snapshot, records: data}}}}
""")
    err = L.Project(tmp_path).sluice("run", "--from", "2024-01-01", "--to", "2024-01-02", status=3).err
    assert err.count("404 Not Found") == 1 and err.count("20240101T000000Z_20240102T000000Z, ") == 1, err
    assert "hint: check `path` of nope" in err


def test_runs_without_a_record(days, tmp_path):
    import shutil
    shutil.copytree(days.lake, tmp_path / "lake")
    p = days.on(tmp_path / "lake")
    runs = [line.split()[0] for line in p.sluice("runs", "--limit", "0").out.splitlines()]
    for name in ("20000101T000000Z-00000000", "29990101T000000Z-00000000"):
        os.makedirs(os.path.join(p.lake, "runs/nycflights", name))
    lines = p.sluice("runs", "--limit", "0").out.splitlines()
    assert [line.split()[0] for line in lines][1:-1] == runs
    assert lines[0].endswith("no record: it is running, or it was killed")
    assert lines[-1].endswith("ended without a record (killed)")
    started = [r["started"] for r in p.sluice("runs", "--json", "--limit", "0").json if r["record"]]
    assert started == sorted(started, reverse=True)


def test_status_says_when_the_next_run_is(days, tmp_path):
    """An instant, and what is done then in words: now, where there is something to do; else when the next window is over."""
    import datetime
    import shutil
    import zoneinfo
    shutil.copytree(days.lake, tmp_path / "lake")
    p = days.on(tmp_path / "lake")
    p.sluice("run", "--only", "airlines")
    asked = datetime.datetime.now(datetime.timezone.utc)
    told = {r["resource"]: r for r in p.sluice("status", "--json").json["resources"]}
    at = {name: datetime.datetime.fromisoformat(r["next_run"].replace("Z", "+00:00")) for name, r in told.items()}
    assert told["flights"]["next_run_text"].startswith("1 of 1 window to fetch")
    assert datetime.timedelta() <= at["flights"] - asked < datetime.timedelta(minutes=1)
    assert told["airlines"]["next_run_text"].startswith("nothing to do: ")
    there = at["airlines"].astimezone(zoneinfo.ZoneInfo("America/New_York"))
    assert (there.hour, there.minute, there.second) == (0, 0, 0)
    assert datetime.timedelta() < at["airlines"] - asked <= datetime.timedelta(hours=25)


def test_windows_left_behind_are_told(days, tmp_path):
    import shutil
    shutil.copytree(days.lake, tmp_path / "lake")
    p = days.on(tmp_path / "lake")
    for zone in ("prepare", "quarantine"):
        shutil.rmtree(p.table(zone, "weather"))
    last = ("--only", "weather", "--from", "2013-01-02", "--to", "2013-01-03")
    p.sluice("prepare", *last)
    told = "outside this interval 1 window is sealed and not prepared: `sluice "
    command = f"run -f {p.file} --lake {p.lake} "
    assert told + command + "--stale`" in p.sluice("status").out
    weather = [r for r in p.sluice("status", "--json").json["resources"] if r["resource"] == "weather"][0]
    assert (weather["unprepared_elsewhere"], weather["stale_elsewhere"]) == (1, 0)
    plan = p.sluice("plan", *last).out
    assert told + command in plan and "Nothing to do in this interval." in plan
    assert told in p.sluice("run", *last).out
    record = p.records()[-1]
    assert record["command"] == "run" and record["nothing_to_do"]
    assert [r["unprepared_elsewhere"] for r in record["resources"] if r["resource"] == "weather"] == [1]
    p.sluice("prepare", "--only", "weather", "--stale")  # although the newest closed window was never fetched
    assert "outside" not in p.sluice("status").out + p.sluice("plan", *last).out
    rows = [[line for line in x.digest().splitlines() if line.startswith("rows ")] for x in (p, days)]
    assert rows[0] == rows[1]
    assert [line.split()[1] for line in p.sluice("runs", "--limit", "3").out.splitlines()] == ["prepare", "run", "prepare"]


def test_technical_columns_give_way(days):
    status, text = on_a_terminal(["show", "-f", days.file, "--lake", days.lake, "airlines"])
    assert status == 0 and "Endeavor Air Inc." in text and "_len" not in text and "technical columns left out" in text
    assert max(len(line) for line in text.replace("\r", "").split("\n")) <= 80
    status, text = on_a_terminal(["show", "-f", days.file, "--lake", days.lake, "airlines"], columns=300)
    assert "_len" in text and "left out" not in text
    assert "_len" in days.sluice("show", "airlines").out


def test_check_sees_contracts_of_nobody(days, tmp_path):
    import shutil
    shutil.copytree(days.folder, tmp_path / "p", ignore=shutil.ignore_patterns("lake"))
    shutil.copy(tmp_path / "p/contracts/airlines.yaml", tmp_path / "p/contracts/airline.yaml")
    done = L.Project(tmp_path / "p").sluice("check")
    assert "contracts/airline.yaml: warning: no resource and no model is called airline" in done.out
