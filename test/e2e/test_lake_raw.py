"""Raw of a whole year, judged by warcio and by a second reading of the ledger: hashlib, json and the words of spec/."""
import hashlib
import json
import os
import re

import pytest
from warcio.archiveiterator import ArchiveIterator
from warcio.checker import Checker

import expected as X
import lake as L

pytest_plugins = ["lake_fixtures"]

RECORDS = {"flights": "data", "weather": "items", "airlines": "data", "airports": "data", "planes": ""}


def segments(year):
    for resource, window, g, folder in L.generations(year.lake, year.name):
        base = os.path.join(folder, "segments")
        for name in sorted(os.listdir(base)) if os.path.isdir(base) else []:
            yield resource, window, folder, os.path.join(base, name)


def test_nothing_but_what_is_described(year):
    """Every file has a name that spec/lake.md knows; no temporary file is left."""
    known = [r"raw/\w+/\w+/grid/\d+\.json", r"raw/\w+/\w+/\d{8}T\d{6}Z_\d{8}T\d{6}Z/g\d+/ledger/\d{20}\.json",
             r"raw/\w+/\w+/\d{8}T\d{6}Z_\d{8}T\d{6}Z/g\d+/segments/\d+-[0-9a-f]{64}\.warc\.gz",
             r"(prepare|quarantine|refine)/\w+/\w+/_delta_log/\d{20}\.json",
             r"(prepare|quarantine|refine)/\w+/\w+/data/[0-9a-f]+-[0-9a-f]+/[\w-]+\.parquet"]
    odd = [f for f in year.files if not any(re.fullmatch(k, f) for k in known)]
    # derived things may stand beside: they can be deleted at any time
    odd = [f for f in odd if not re.match(r"(cache|state|graph|runs)/|.*/state/", f)]
    assert odd == []


def test_warcio_checks_every_digest(year, capsys):
    checked = 0
    for _, _, _, path in segments(year):
        checker = Checker(type("Arguments", (), {"inputs": [path], "verbose": True})())
        checker.process_all()
        said = capsys.readouterr().out
        assert checker.exit_value == 0, said
        assert "digest pass" in said and "no digest to check" not in said.replace("warcinfo", ""), said
        checked += 1
    assert checked >= 365 + 365 + 3


def test_pairs_of_requests_and_responses(year):
    """Each segment: warcinfo, then request and response, bound to each other; nothing of the transfer framing is left."""
    kinds = {}
    for resource, window, _, path in segments(year):
        waiting = None
        with open(path, "rb") as f:
            for i, record in enumerate(ArchiveIterator(f)):
                head = record.rec_headers
                assert head.protocol == "WARC/1.1"
                kinds[record.rec_type] = kinds.get(record.rec_type, 0) + 1
                if i == 0:
                    assert record.rec_type == "warcinfo" and b"software: sluice/" in record.raw_stream.read()
                    continue
                if record.rec_type == "request":
                    waiting = record
                    assert record.http_headers.protocol == "GET"
                    assert record.http_headers.get_header("Authorization").startswith("Bearer ~secret.")
                    continue
                assert record.rec_type == "response"
                assert head.get_header("WARC-Concurrent-To") == waiting.rec_headers.get_header("WARC-Record-ID")
                assert head.get_header("WARC-Target-URI") == waiting.rec_headers.get_header("WARC-Target-URI")
                target = waiting.http_headers.statusline.split(" ")[0]
                assert head.get_header("WARC-Target-URI").endswith(target)
                assert f"/v1/{resource}" in target
                if window_parameters := re.search(r"date_from=(\d{4}-\d\d-\d\d)", target):
                    assert window.startswith(window_parameters.group(1).replace("-", ""))
                assert record.http_headers.get_header("Transfer-Encoding") is None
    assert kinds["request"] >= kinds["response"] > 365 * 2
    assert kinds["warcinfo"] == sum(1 for _ in segments(year))


def test_failed_attempts_are_kept(year):
    """What the API did wrong is in Raw: the statuses, and bodies that were cut, marked as such."""
    listed = {}
    for _, _, _, folder in L.generations(year.lake, year.name):
        for entry, _ in L.entries(folder):
            for attempt in entry.get("failed", []):
                listed[attempt["error"]] = listed.get(attempt["error"], 0) + 1
                record = L.member_at(os.path.join(folder, "segments", entry["segment"]["name"]), attempt["offset"],
                                     attempt["size"])
                if attempt["status"]:
                    assert record.rec_type == "response"
                    assert record.http_headers.get_statuscode() == str(attempt["status"])
                    body = record.raw_stream.read()
                    assert hashlib.sha256(body).hexdigest() == attempt["body"]
                else:
                    assert record.rec_type == "request"
    faults = year.stats["faults"]
    hidden = sum(faults.values()) - sum(listed.values())  # asked again by the transport: see test_lake_tables.py
    assert 0 <= hidden <= faults.get("reset", 0), (listed, faults)
    assert listed.get("HTTP_BUSY", 0) == faults.get("status_500", 0) + faults.get("status_503", 0)


def test_ledgers_by_a_second_reading(year):
    """Chain, numbers, epochs; fingerprints and content digests computed again from the bytes in the segments."""
    sealed = pages = 0
    for resource, window, g, folder in L.generations(year.lake, year.name):
        previous, digest, number, records, total_bytes, seal = None, bytes(32), 0, 0, 0, None
        for n, (entry, own_hash) in enumerate(L.entries(folder)):
            where = f"{folder} entry {n}"
            assert entry["format"] == "sluice-ledger/1" and entry["n"] == n, where
            assert entry["previous"] == previous, where
            assert entry["epoch"] <= n and (entry["kind"] != "claim" or entry["epoch"] == n), where
            assert (n == 0) == ("opened" in entry), where
            assert seal is None, f"{where}: something stands behind the seal"
            if n == 0:
                assert entry["kind"] == "claim"
                canonical = json.dumps(entry["opened"]["request"], separators=(",", ":"), ensure_ascii=False)
                assert hashlib.sha256(canonical.encode()).hexdigest() == entry["opened"]["definition"], where
            if segment := entry.get("segment"):
                path = os.path.join(folder, "segments", segment["name"])
                with open(path, "rb") as f:
                    data = f.read()
                assert len(data) == segment["size"], where
                sha = hashlib.sha256(data).hexdigest()
                assert sha == segment["sha256"] and segment["name"] == f"{entry['epoch']}-{sha}.warc.gz", where
            for page in entry.get("pages", []):
                number += 1
                pages += 1
                assert page["page"] == number, where
                record = L.member_at(path, page["offset"], page["size"])
                assert record.rec_headers.get_header("WARC-Target-URI").endswith(page["request"].split(" ", 1)[1])
                assert record.http_headers.get_statuscode() == str(page["status"]) == "200"
                body = L.decoded(record)
                assert hashlib.sha256(body).hexdigest() == page["body"] and len(body) == page["body_bytes"], where
                held = json.loads(body)
                rows = held[RECORDS[resource]] if RECORDS[resource] else held
                assert len(rows) == page["records"], where
                fingerprint = L.fingerprint(page["request"])
                assert fingerprint.hex() == page["fingerprint"], where
                digest = hashlib.sha256(digest + fingerprint + hashlib.sha256(body).digest()).digest()
                records += len(rows)
                total_bytes += len(body)
            if "pages" in entry:
                assert entry["state"]["digest"] == digest.hex() and entry["state"]["pages"] == number, where
                assert entry["state"]["records"] == records and entry["state"]["bytes"] == total_bytes, where
            seal = entry.get("seal")
            previous = own_hash
        assert seal, f"{folder}: not sealed"
        assert (seal["pages"], seal["records"], seal["bytes"], seal["digest"]) == (number, records, total_bytes, digest.hex())
        assert seal["promoted"] is True
        sealed += 1
    assert sealed == 365 + 365 + 3 and pages >= sealed


def test_no_segment_without_an_entry(year):
    for _, _, g, folder in L.generations(year.lake, year.name):
        named = {e["segment"]["name"] for e, _ in L.entries(folder) if e.get("segment")}
        assert set(os.listdir(os.path.join(folder, "segments"))) == named


def test_windows_are_days_of_new_york(year):
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo
    zone, utc = ZoneInfo("America/New_York"), ZoneInfo("UTC")
    wanted = []
    for i in range(365):
        a, b = (datetime(2013, 1, 1, tzinfo=zone) + timedelta(days=d) for d in (i, i + 1))
        wanted.append("_".join(t.astimezone(utc).strftime("%Y%m%dT%H%M%SZ") for t in (a, b)))
    for resource in ("flights", "weather"):
        assert sorted(w for r, w, _, _ in L.generations(year.lake, year.name) if r == resource) == wanted
    for resource in ("airlines", "airports", "planes"):
        assert len([1 for r, _, _, _ in L.generations(year.lake, year.name) if r == resource]) == 1


@pytest.mark.parametrize("resource", X.RESOURCES)
def test_addresses_of_rows(year, resource):
    """_page, _off, _len of every 97th row: the very bytes of its record."""
    import deltalake
    table = deltalake.DeltaTable(year.project.table("prepare", resource)).to_pyarrow_table()
    bodies = {}
    for _, window, g, folder in (x for x in L.generations(year.lake, year.name) if x[0] == resource):
        for entry, _ in L.entries(folder):
            for page in entry.get("pages", []):
                bodies[window, g, page["page"]] = (os.path.join(folder, "segments", entry["segment"]["name"]),
                                                  page["offset"], page["size"])
    step = 97 if resource == "flights" else 17
    for row in table.take(list(range(0, table.num_rows, step))).to_pylist():
        place = row["_window"], row["_gen"], row["_page"]
        if isinstance(bodies[place], tuple):
            bodies[place] = L.decoded(L.member_at(*bodies[place]))
        record = json.loads(bodies[place][row["_off"]:row["_off"] + row["_len"]])
        for key in X.KEYS[resource]:
            sent = row[key].strftime("%Y-%m-%dT%H:%M:%SZ") if key == "time_hour" else row[key]
            assert record[key] == sent


def test_raw_cat_gives_the_body(year):
    resource, window, g, folder = next(x for x in L.generations(year.lake, year.name) if x[0] == "flights")
    entry = next(e for e, _ in L.entries(folder) if e.get("pages"))
    page = entry["pages"][0]
    body = L.decoded(L.member_at(os.path.join(folder, "segments", entry["segment"]["name"]), page["offset"], page["size"]))
    done = year.project.sluice("raw cat", resource, window, 1)
    assert done.out.encode() == body
    head = year.project.sluice("raw cat", resource, window, 1, "--head").out
    assert "200 OK" in head and "~secret." in head and "GET /v1/flights?" in head


def test_verify_is_content(year):
    year.project.sluice("verify")


def test_no_secret_anywhere(year):
    """Promise 9: the token is in no file and in nothing that was printed, in no spelling."""
    assert L.secret_places(year.lake, [L.TOKEN]) == []
    for form in L.spellings(L.TOKEN):
        assert form not in year.done.out.encode() and form not in year.done.err.encode()


def test_io_is_only_what_is_needed(year):
    """No page is asked for twice but those that met a fault."""
    seen = {}
    for r in year.requests:
        if r["resource"]:
            seen.setdefault(r["target"], []).append(r["fault"])
    for target, faults in seen.items():
        assert [f for f in faults if not f] == [None], (target, faults)
