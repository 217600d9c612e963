#!/usr/bin/env python3
"""Holds the calls that the program made to its store (SLUICE_STORE_TRACE) against the rules of spec/ledger.pml, table.pml and
repair.pml: test/spec/audit.py TRACE LAKE. A rule has the name that it has in the model; what the models do not know
(a kind of entry, an operation, a key, a removal) is a finding as well.

Calls of several processes overlap. A create took effect between its two lines; it is taken to have done so when its answer
comes, or earlier if what another process did shows it. One without an answer (the process was killed) counts if somebody
builds on it or if the object is there in the end.

What else happened to the lake is no call: tests name the keys that they damaged (`damaged`).
"""
import hashlib
import json
import os
import re
import sys

ENTRY = re.compile(r"(raw/[^/]+/[^/]+/[^/]+)/g(\d+)/ledger/(\d{20})\.json$")
GIVEN_UP = re.compile(r"(raw/[^/]+/[^/]+/[^/]+)/g(\d+)/ledger/given-up\.json$")
SEGMENT = re.compile(r"(raw/[^/]+/[^/]+/[^/]+)/g(\d+)/segments/((\d+)-([0-9a-f]{64})\.warc\.gz)$")
COMMIT = re.compile(r"((prepare|quarantine|refine)/([^/]+)/([^/]+))/_delta_log/(\d{20})\.json$")
TABLE_FILE = re.compile(r"((?:prepare|quarantine|refine)/[^/]+/[^/]+)/(data/.+)$")
STATE = re.compile(r"((?:prepare|quarantine|refine)/[^/]+/[^/]+)/state/(\d{20})\.json$")
CHECKPOINT = re.compile(r"((?:prepare|quarantine|refine)/[^/]+/[^/]+)/_delta_log/(\d{20})\.checkpoint\.parquet$")
HINT = re.compile(r"((?:prepare|quarantine|refine)/[^/]+/[^/]+)/_delta_log/_last_checkpoint$")
MARK = re.compile(r"((?:prepare|quarantine|refine)/[^/]+/[^/]+)/_delta_log/_repair\.(\d{20})\.json$")
CUT = re.compile(r"((?:prepare|quarantine|refine)/[^/]+/[^/]+)/damaged/[^/]+/(\d{20})\.json$")
OTHER = re.compile(r"(raw/[^/]+/[^/]+/grid/.+|runs/.+)$")  # labels and settings: no protocol

KINDS = {"claim", "pages", "seal", "accept", "abandon", "expire"}
OPERATIONS = {"quarantine", "prepare", "tags", "refine", "compact", "repair"}
ACTIONS = {"commitInfo", "protocol", "metaData", "remove", "add"}
# Rules of the models that the calls cannot show: they are about what a reader makes of the bytes, or about exit statuses.
MODEL_ONLY = {"reads_promoted", "reads_all", "done_means_all", "heals", "whole_again"}
# Rules that the models leave out: the chain, durability, what is derived from the log, and whatever they have no word for.
AUDIT_ONLY = {"create_once", "chained", "settled_first", "known", "collect_claimed", "state_follows", "checkpoint_follows"}
STATE_EVERY, CHECKPOINT_EVERY = 20, 50
RULES = {"number_follows", "claim_is_its_epoch", "open_after_close", "claim_once", "newest_claim_writes", "fenced_is_silent",
         "nothing_after_close", "accept_candidate", "expire_superseded", "pages_continue", "payload_first", "payload_kept", "one_definition",
         "seal_complete", "collect_unnamed", "version_follows", "rows_once", "generation_has_its_content", "promoted_only",
         "older_never_wins", "window_stays", "quarantine_first", "children_first", "tags_change_no_rows", "compact_moves_only",
         "cut_in_order", "renewed_after_cut"}


class Call:
    def __init__(self, line, at):
        self.pid, self.id, self.call, self.key = line["pid"], line["id"], line["call"], line["key"]
        self.sha256 = line.get("sha256")  # of bytes that are no text
        self.text, self.begun, self.ended, self.result, self.applied = line.get("text"), at, None, None, False


class Generation:
    def __init__(self):
        self.entries, self.pids, self.hashes = [], [], []
        self.given_up = False  # its entries cannot be read

    @property
    def status(self):
        if self.given_up:
            return "expired"
        if not self.entries:
            return "none"
        last = self.entries[-1]
        if last["kind"] == "abandon":
            return "abandoned"
        if last["kind"] == "expire":
            return "expired"
        if last["kind"] == "accept" or last.get("seal", {}).get("promoted"):
            return "promoted"
        return "candidate" if "seal" in last else "open"

    @property
    def seal(self):
        return next((e["seal"] for e in reversed(self.entries) if "seal" in e), None)

    @property
    def newest_claim(self):
        return max((i for i, e in enumerate(self.entries) if e["kind"] == "claim"), default=None)


class Table:
    def __init__(self):
        self.hashes, self.alive, self.ever_files, self.keys = [], {}, set(), {}
        self.versions, self.id, self.ids, self.derived = [], None, set(), {}
        self.marks, self.repairers = {}, set()  # number: id, while its log is cut and made again; who does that

    def drop_newest(self):
        self.hashes.pop()
        self.versions.pop()
        self.alive = dict(self.versions[-1]) if self.versions else {}

    def tags(self):
        found = {}
        for add in self.alive.values():
            for w in add["windows"]:
                found.setdefault(w["window"], []).append(w)
        return found


class Audit:
    def __init__(self, lines, lake, damaged=()):
        self.lake, self.findings, self.damaged = lake, [], set(damaged)
        self.cutters, self.taken, self.hints = set(), [], set()
        self.generations, self.tables, self.objects, self.segments = {}, {}, {}, {}
        self.settled, self.fenced, self.claims, self.at, self.applied = {}, set(), set(), 0, 0
        self.pending = {}
        open_calls = {}
        for at, line in enumerate(lines):
            self.at = at
            if "result" not in line:
                call = Call(line, at)
                open_calls[call.pid, call.id] = call
                self.pending.setdefault(call.key, []).append(call)
                if call.call == "create":
                    self.begins(call)
                continue
            call = open_calls.pop((line["pid"], line["id"]), None)
            if call is None:
                self.say("known", line["key"], "an answer to a call that was never begun")
                continue
            call.ended, call.result = at, line["result"]
            self.answer(call)
        self.finish()

    def say(self, rule, key, what):
        assert rule in RULES | AUDIT_ONLY, rule
        self.findings.append((rule, key, what))

    def must(self, rule, holds, key, what):
        if not holds:
            self.say(rule, key, what)

    # ── which call took effect when ──

    def on_disk(self, key):
        try:
            with open(os.path.join(self.lake, key), "rb") as f:
                return f.read()
        except OSError:
            return None

    def need(self, key):
        """Somebody acts as if `key` were there: if its create has begun, it was done."""
        if key in self.objects:
            return
        waiting = [c for c in self.pending.get(key, ()) if c.call == "create" and not c.applied and c.result != "exists"]
        there = self.on_disk(key)
        waiting.sort(key=lambda c: not same_bytes(c, there))
        if waiting:
            self.apply(waiting[0])

    def gone(self, key):
        """Somebody acts as if `key` were not there: if its removal has begun, it was done."""
        for call in self.pending.get(key, ()):
            if call.call == "remove" and not call.applied and call.result is None and key in self.objects:
                call.applied = True
                self.removed(call)

    def begins(self, call):
        """What a run does after it has lost counts from the moment in which it begins to do it."""
        m = ENTRY.match(call.key)
        if m:
            self.must("fenced_is_silent", (call.pid, m.group(1)) not in self.fenced, call.key,
                      "written by a run that had lost this window")

    def answer(self, call):
        if call.call == "create":
            if call.result == "created":
                if not call.applied:
                    self.apply(call)
            elif call.result == "exists":
                self.need(call.key)
                if MARK.match(call.key) and self.objects.get(call.key) == call.text:
                    self.repairs(call, MARK.match(call.key).group(1))
                m = ENTRY.match(call.key)
                if m and self.objects.get(call.key) != call.text:
                    self.fenced.add((call.pid, m.group(1)))
        elif call.call == "finish" and call.result == "ok":
            if not SEGMENT.match(call.key):
                self.say("known", call.key, "an object in pieces that is no segment")
            self.segments.setdefault(call.key, []).append(call)
        elif call.call == "settle" and call.result == "ok":
            self.settled[call.pid, call.key] = call.ended
        elif call.call == "remove":
            if not call.applied:
                self.removed(call)
        elif call.call not in ("get", "list", "finish", "settle"):
            self.say("known", call.key, f"a call of another kind: {call.call}")

    def apply(self, call):
        call.applied = True
        if call.key in self.damaged and self.objects.get(call.key):
            del self.objects[call.key]  # it was lost
        self.must("create_once", call.key not in self.objects or HINT.match(call.key), call.key, "created twice")
        for pattern, take in ((ENTRY, self.entry), (COMMIT, self.commit), (STATE, self.state), (CHECKPOINT, self.checkpoint),
                              (HINT, self.hint), (CUT, self.copy), (MARK, self.mark),
                              (GIVEN_UP, self.give_up)):
            m = pattern.match(call.key)
            if m:
                take(call, m)
                break
        else:
            self.must("known", OTHER.match(call.key), call.key, "nothing that is known")
        self.objects[call.key] = call.text if call.sha256 is None else call.sha256
        self.applied += 1

    # ── ledger.pml ──

    def entry(self, call, m):
        window, number, n = m.group(1), int(m.group(2)), int(m.group(3))
        key, e = call.key, json.loads(call.text)
        if n > 0:
            self.need(f"{window}/g{number}/ledger/{n - 1:020}.json")
        g = self.generations.setdefault((window, number), Generation())
        kind, last = e["kind"], g.entries[-1] if g.entries else None
        self.must("known", kind in KINDS, key, f"an entry of the kind {kind}")
        self.must("number_follows", n == len(g.entries) == e["n"] and (n > 0 or kind == "claim"), key,
                  f"entry {e['n']} behind {len(g.entries)} entries")
        self.must("chained", e["previous"] == (g.hashes[-1] if g.hashes else None), key, "does not name the entry before")
        if n > 0 and kind in ("claim", "accept", "expire"):
            before = f"{window}/g{number}/ledger/{n - 1:020}.json"
            self.must("settled_first", self.settled.get((call.pid, before), call.begun) < call.begun, key,
                      "builds on an entry that it did not make durable")
        if kind == "claim":
            self.must("claim_is_its_epoch", e["epoch"] == n, key, f"epoch {e['epoch']}")
            self.must("claim_once", (call.pid, window, number) not in self.claims, key, "a run claims twice")
            self.claims.add((call.pid, window, number))
            if n == 0 and number > 1:
                before = self.generations.get((window, number - 1), Generation())
                self.need(f"{window}/g{number - 1}/ledger/{len(before.entries):020}.json")
                self.must("open_after_close", before.status not in ("none", "open"), key,
                          f"generation {number - 1} is {before.status}")
        else:
            self.must("newest_claim_writes", g.newest_claim is not None and e["epoch"] == g.newest_claim and
                      (kind in ("accept", "expire") or g.pids[g.newest_claim] == call.pid), key, "not by the newest claim")
        if kind == "accept":
            self.must("accept_candidate", g.status == "candidate", key, f"accepts a generation that is {g.status}")
        elif kind == "expire":
            self.must("expire_superseded", self.is_superseded(window, number) and g.status in ("promoted", "candidate", "abandoned"), key,
                      f"expires a generation that is {g.status} and not superseded")
        else:
            self.must("nothing_after_close", g.status in ("none", "open"), key, f"the generation is {g.status}")
        had = last["state"]["pages"] if last else 0
        pages = [p["page"] for p in e.get("pages", [])]
        self.must("pages_continue", pages == list(range(had + 1, had + 1 + len(pages))) and
                  e["state"]["pages"] == had + len(pages) and (kind == "pages" or not pages), key,
                  f"pages {pages} behind {had}")
        if "segment" in e:
            self.payload(call, e, window, number)
        else:
            self.must("payload_first", not pages, key, "pages without a segment")
        self.definition(key, e, g)
        self.seal(key, e)
        g.entries.append(e)
        g.pids.append(call.pid)
        g.hashes.append(hashlib.sha256(call.text.encode()).hexdigest())

    def is_superseded(self, window, number):
        """By a newer generation; of a snapshot also by a later window."""
        resource, _, name = window.rpartition("/")
        return any(o.status == "promoted" and (w == window and k > number or self.is_snapshot(resource) and
                                               w.rpartition("/")[0] == resource and w.rpartition("/")[2] > name)
                   for (w, k), o in self.generations.items())

    def give_up(self, call, m):
        window, number = m.group(1), int(m.group(2))
        g = self.generations.setdefault((window, number), Generation())
        newer = any(w == window and k > number and o.status == "promoted" for (w, k), o in self.generations.items())
        self.must("expire_superseded", newer and any(k.startswith(f"{window}/g{number}/ledger/") for k in self.damaged), call.key,
                  "gives up a generation that is not superseded, or can be read")
        g.given_up = True

    def payload(self, call, e, window, number):
        name = e["segment"]["name"]
        made = [c for c in self.segments.get(f"{window}/g{number}/segments/{name}", ())
                if c.pid == call.pid and c.ended < call.begun]
        self.must("payload_first", made and name == f"{e['epoch']}-{e['segment']['sha256']}.warc.gz", call.key,
                  f"names {name} before it was durable, or under another epoch")

    def definition(self, key, e, g):
        opened = (g.entries[0] if g.entries else e).get("opened")
        if not opened:
            self.say("one_definition", key, "entry 0 does not say what is asked for")
            return
        asked = opened["request"]
        if "{" in asked["path"] or asked["paginate"]["style"] in ("next_url", "link"):
            return
        for p in e.get("pages", []):
            method, target = p["request"].split(" ", 1)
            self.must("one_definition", (method, target.split("?")[0]) == (asked["method"], asked["path"]), key,
                      f"{p['request']} in a generation of {asked['path']}")

    def seal(self, key, e):
        s, state = e.get("seal"), e["state"]
        if s is None:
            self.must("seal_complete", e["kind"] != "seal", key, "a seal without a seal")
            return
        total = state.get("total")
        self.must("seal_complete", e["kind"] in ("pages", "seal") and state["next"] is None and
                  all(s[k] == state[k] for k in ("pages", "records", "bytes", "digest")) and
                  (total is None or state.get("totals_differ") or total == state["records"]), key,
                  "sealed before all is there")

    def removed(self, call):
        m, t = SEGMENT.match(call.key), TABLE_FILE.match(call.key)
        if m:
            g = self.generations.get((m.group(1), int(m.group(2))), Generation())
            named = any(e.get("segment", {}).get("name") == m.group(3) for e in g.entries)
            self.must("collect_unnamed", not named or g.status == "expired", call.key, "removed, and an entry names it")
            claim = g.newest_claim
            self.must("collect_claimed", g.status != "open" or (claim is not None and g.pids[claim] == call.pid), call.key,
                      "removed from an open generation by somebody who did not claim it")
            self.segments.pop(call.key, None)
        elif t:
            self.must("collect_unnamed", t.group(2) not in self.tables.get(t.group(1), Table()).alive, call.key,
                      "removed, and the table names it")
        elif COMMIT.match(call.key):
            self.cut(call, COMMIT.match(call.key))
        elif STATE.match(call.key) or CHECKPOINT.match(call.key):
            m = STATE.match(call.key) or CHECKPOINT.match(call.key)
            self.tables.setdefault(m.group(1), Table()).derived.pop(call.key, None)
            self.taken.append((call, m.group(1)))
            self.objects.pop(call.key, None)
        elif HINT.match(call.key):  # it may be missing at any time
            self.objects.pop(call.key, None)
        elif MARK.match(call.key):
            self.unmark(call, MARK.match(call.key))
        else:
            self.say("known", call.key, "a removal that the models do not know")

    # ── table.pml ──

    def actions(self, call):
        found = []
        for line in call.text.splitlines():
            action = json.loads(line)
            (name, value), = action.items()
            self.must("known", name in ACTIONS, call.key, f"an action {name}")
            if name == "add":
                value["windows"] = json.loads(value["tags"]["sluice.windows"])
            found.append((name, value))
        return found

    def commit(self, call, m):
        table, zone, pipeline, name, version = m.group(1), m.group(2), m.group(3), m.group(4), int(m.group(5))
        key = call.key
        if version > 0:
            self.need(f"{table}/_delta_log/{version - 1:020}.json")
        t = self.tables.setdefault(table, Table())
        actions = self.actions(call)
        self.must("known", actions and actions[0][0] == "commitInfo", key, "does not begin with commitInfo")
        info = actions[0][1]
        operation = info["operation"].removeprefix("sluice ")
        fits = {"prepare": {"prepare", "tags", "compact", "repair"}, "quarantine": {"quarantine", "tags", "compact", "repair"},
                "refine": {"refine", "repair"}}[zone]
        self.renewed(call, table, t, operation, version, actions)
        self.must("known", operation in OPERATIONS & fits, key, f"an operation {operation} in {zone}")
        self.must("version_follows", version == len(t.hashes), key, f"version {version} behind {len(t.hashes)}")
        self.must("chained", info["sluice.previous"] == (t.hashes[-1] if t.hashes else None), key,
                  "does not name the version before")
        before, resource = t.tags(), self.resource(pipeline, name) if zone != "refine" else name
        self.change(call, table, t, operation, actions)
        after = t.tags()
        for window, tags in after.items():
            same = {(w["generation"], w["key"], w["content"], w["seal"]) for w in tags}
            self.must("rows_once", len(same) == 1, key, f"window {window} under {len(same)} tags")
            if zone != "refine":
                self.window(key, f"raw/{pipeline}/{resource}/{window}", tags[0], name == resource)
                if name != resource:
                    self.child(key, pipeline, resource, t, window, tags[0])
            if zone == "prepare":
                self.published(key, f"quarantine/{pipeline}/{name}", window, tags[0],
                               before.get(window) if name == resource else None)
            t.keys.setdefault(window, set()).add(tags[0]["key"])
        if zone == "prepare" and not self.is_snapshot(f"raw/{pipeline}/{resource}"):
            for window in before:
                self.must("window_stays", window in after, key, f"window {window} is gone")
        t.hashes.append(hashlib.sha256(call.text.encode()).hexdigest())
        t.versions.append(dict(t.alive))

    def resource(self, pipeline, name):
        """A child table is called <resource>__<field>."""
        known = {k[0].split("/")[2] for k in self.generations if k[0].split("/")[1] == pipeline}
        parts = name.split("__")
        fitting = ["__".join(parts[:n]) for n in range(len(parts), 0, -1)]
        return next((f for f in fitting if f in known), name)

    def child(self, key, pipeline, resource, t, window, tag):
        """The key says which children there are: all of them carry it before the main table and its quarantine do."""
        for zone in ("quarantine", "prepare"):
            main = self.tables.get(f"{zone}/{pipeline}/{resource}", Table())
            self.must("children_first", tag["key"] in t.keys.get(window, ()) or tag["key"] not in main.keys.get(window, ()),
                      key, f"window {window}: {zone}.{resource} was there first")

    def change(self, call, table, t, operation, actions):
        if operation == "compact":
            self.moved(call, table, t, actions)
            return
        self.must("known", operation != "repair" or {name for name, _ in actions} <= {"commitInfo", "protocol", "metaData"},
                  call.key, "a repair that is more than a new beginning")
        for action, value in actions:
            if action == "remove":
                self.must("rows_once", value["path"] in t.alive, call.key, f"{value['path']} is removed and was not there")
                self.must("tags_change_no_rows", operation != "tags", call.key, "a removal in a commit of tags")
                t.alive.pop(value["path"], None)
            elif action == "add" and value["dataChange"]:
                path = value["path"]
                self.must("tags_change_no_rows", operation != "tags", call.key, "data in a commit of tags")
                self.must("rows_once", path not in t.ever_files, call.key, f"{path} is written twice")
                self.must("settled_first", self.settled.get((call.pid, f"{table}/{path}"), call.begun) < call.begun, call.key,
                          f"names {path} before it was durable")
                t.ever_files.add(path)
                t.alive[path] = value
            elif action == "add":
                old = t.alive.get(value["path"])
                self.must("rows_once", old is not None, call.key, f"tags of {value['path']}, which is not there")
                if old:
                    self.must("tags_change_no_rows", old["size"] == value["size"] and
                              sum(w["rows"] for w in old["windows"]) == sum(w["rows"] for w in value["windows"]) and
                              old["tags"].get("sluice.sha256") == value["tags"].get("sluice.sha256"), call.key,
                              f"tags of {value['path']} say other rows than before")
                t.alive[value["path"]] = value

    def moved(self, call, table, t, actions):
        """compact: some files go, their windows come back as they were."""
        gone, come = [], []
        for action, value in actions:
            self.must("compact_moves_only", action in ("commitInfo", "add", "remove") and not value.get("dataChange"), call.key,
                      f"an action {action} that is more than a move")
            if action == "remove":
                old = t.alive.pop(value["path"], None)
                self.must("rows_once", old is not None, call.key, f"{value['path']} is removed and was not there")
                gone += old["windows"] if old else []
            elif action == "add":
                path = value["path"]
                self.must("rows_once", path not in t.ever_files, call.key, f"{path} is written twice")
                self.must("settled_first", self.settled.get((call.pid, f"{table}/{path}"), call.begun) < call.begun, call.key,
                          f"names {path} before it was durable")
                t.ever_files.add(path)
                t.alive[path] = value
                come += value["windows"]
        by_name = lambda windows: sorted((json.dumps(w, sort_keys=True) for w in windows))
        self.must("compact_moves_only", gone and by_name(gone) == by_name(come), call.key, "other windows than before")

    # ── what follows from the log ──

    def state(self, call, m):
        table, version = m.group(1), int(m.group(2))
        self.need(f"{table}/_delta_log/{version:020}.json")
        t = self.tables.setdefault(table, Table())
        lines = call.text.splitlines()
        first, last = json.loads(lines[0]).get("state", {}), json.loads(lines[-1]).get("end")
        log = t.versions[version] if version < len(t.versions) else None
        self.must("state_follows", log is not None and version > 0 and version % STATE_EVERY == 0 and
                  first.get("version") == version and first.get("log") == t.hashes[version], call.key,
                  "of a version that is not there")
        body = "".join(line + "\n" for line in lines[:-1])
        self.must("state_follows", last == hashlib.sha256(body.encode()).hexdigest(), call.key, "not whole")
        files = [a["add"] for a in map(json.loads, lines[1:-1]) if "add" in a]
        plain = lambda add: {k: v for k, v in add.items() if k not in ("dataChange", "windows")}
        self.must("state_follows", log is not None and first.get("files") == len(files) and
                  [plain(f) for f in files] == [plain(f) for f in log.values()], call.key, "other files than the log has")
        t.derived[call.key] = version

    def checkpoint(self, call, m):
        table, version = m.group(1), int(m.group(2))
        self.need(f"{table}/_delta_log/{version:020}.json")
        t = self.tables.setdefault(table, Table())
        there = version < len(t.versions)
        self.must("checkpoint_follows", there and version > 0 and version % CHECKPOINT_EVERY == 0, call.key,
                  "of a version that is not there")
        t.derived[call.key] = version
        if there and same_bytes(call, self.on_disk(call.key)):
            self.must("checkpoint_follows", checkpoint_files(os.path.join(self.lake, call.key)) == set(t.versions[version]),
                      call.key, "other files than the log has")

    def hint(self, call, m):
        named = json.loads(call.text)
        key = f"{m.group(1)}/_delta_log/{named['version']:020}.checkpoint.parquet"
        self.need(key)
        there = self.on_disk(key)
        self.must("checkpoint_follows", key in self.objects and (there is None or len(there) == named["sizeInBytes"] or
                  any(k.startswith(m.group(1) + "/_delta_log/") for k in self.damaged)), call.key,  # it may be another since
                  f"names {key}, which is not there or has another size")
        self.hints.add((call.key, call.text))

    # ── repair ──

    def copy(self, call, m):
        key = f"{m.group(1)}/_delta_log/{m.group(2)}.json"
        self.must("cut_in_order", key in self.damaged or self.objects.get(key) == call.text, call.key,
                  "is not the version that it stands for")

    def cut(self, call, m):
        table, version = m.group(1), int(m.group(5))
        t = self.tables.setdefault(table, Table())
        self.shrink(table, t, version + 1)
        self.must("cut_in_order", t.marks and call.pid in t.repairers, call.key, "cut off without a mark that says so")
        copies = [k for k in self.objects if CUT.match(k) and CUT.match(k).groups() == (table, m.group(5))]
        self.must("cut_in_order", version == len(t.hashes) - 1 and copies, call.key,
                  "cut off before the versions behind it, or before it was copied")
        if version == len(t.hashes) - 1:
            t.drop_newest()
        self.objects.pop(call.key, None)

    def repairs(self, call, table):
        self.cutters.add((call.pid, table))
        self.tables.setdefault(table, Table()).repairers.add(call.pid)

    def mark(self, call, m):
        t, value = self.tables.setdefault(m.group(1), Table()), json.loads(call.text)
        self.repairs(call, m.group(1))
        self.must("cut_in_order", value["seen"] == int(m.group(2)) >= len(t.hashes) - 1, call.key,
                  f"number {value['seen']}, and {len(t.hashes)} versions were seen")
        self.must("renewed_after_cut", value["id"] not in t.ids, call.key, "an id that the table had before")
        t.marks[value["seen"]] = value["id"]

    def unmark(self, call, m):
        t, seen = self.tables.setdefault(m.group(1), Table()), int(m.group(2))
        self.need(f"{m.group(1)}/_delta_log/{len(t.hashes):020}.json")
        self.must("renewed_after_cut", call.pid in t.repairers and len(t.hashes) > max(t.marks, default=0) + 1 and
                  t.id == t.marks.get(max(t.marks, default=0)) and seen == min(t.marks), call.key,
                  "removed before the table was made again, or by somebody who does not repair it")
        t.marks.pop(seen, None)
        self.objects.pop(call.key, None)

    def shrink(self, table, t, versions):
        """The newest ones were lost (True), or a removal of which nobody heard was done."""
        dropped = False
        while len(t.hashes) > versions:
            before, key = len(t.hashes), self.version_key(table, t)
            if key in self.damaged:
                t.drop_newest()
                dropped = True
            else:
                self.gone(key)
            if len(t.hashes) == before:
                break
        return dropped

    def version_key(self, table, t):
        return f"{table}/_delta_log/{len(t.hashes) - 1:020}.json"

    def renewed(self, call, table, t, operation, version, actions):
        """A log that was cut goes on behind every number that was seen, under the id of its mark, by whoever repairs it."""
        dropped = self.shrink(table, t, version)
        for seen in sorted(t.marks) if call.pid not in t.repairers else ():
            self.gone(f"{table}/_delta_log/_repair.{seen:020}.json")
        self.must("renewed_after_cut", t.marks or not dropped, call.key, "behind versions that are gone, and nobody repairs it")
        new = next((value["id"] for name, value in actions if name == "metaData"), None)
        if t.marks:
            seen = max(t.marks)
            number = version <= seen and operation == "repair" and (new not in t.ids if version == 0 else new is None) and \
                all(name in ("commitInfo", "protocol", "metaData") for name, _ in actions)  # stands for one that was cut off
            renewed = version > seen and t.marks[seen] == (t.id if new is None else new)
            self.must("renewed_after_cut", call.pid in t.repairers and (number or renewed), call.key,
                      "goes on behind a cut as if nothing had happened, or was not made by one who repairs")
        else:
            self.must("renewed_after_cut", operation != "repair" and new in (None, t.id if t.id else new), call.key,
                      "another id without a cut")
        for key, of in t.derived.items():
            rule = "state_follows" if STATE.match(key) else "checkpoint_follows"
            self.must(rule, of < version, key, f"is still there when version {version} is made anew")
        t.id = new or t.id
        t.ids.add(t.id)

    def is_snapshot(self, resource):
        g = next((self.generations[k] for k in self.generations if k[0].rpartition("/")[0] == resource), None)
        return g is not None and g.entries[0]["opened"]["request"]["kind"] == "snapshot"

    def window(self, key, raw, tag, counts_records):
        g = self.generations.get((raw, tag["generation"]), Generation())
        n = len(g.entries)
        if g.status not in ("promoted",):
            self.need(f"{raw}/g{tag['generation']}/ledger/{n:020}.json")
            g = self.generations.get((raw, tag["generation"]), Generation())
        self.must("promoted_only", g.status == "promoted", key, f"{raw}: generation {tag['generation']} is {g.status}")
        if g.seal:
            sealed = next(h for e, h in zip(reversed(g.entries), reversed(g.hashes)) if "seal" in e)
            self.must("generation_has_its_content", tag["content"] == g.seal["digest"] and tag["seal"] == sealed and
                      (not counts_records or tag["read"] == g.seal["records"]), key,
                      f"{raw}: not what generation {tag['generation']} sealed")

    def published(self, key, aside, window, tag, before):
        carried = self.tables.get(aside, Table()).keys.get(window, set())
        self.must("quarantine_first", tag["key"] in carried, key, f"window {window}: its quarantine was never published")
        if before:
            self.must("older_never_wins", tag["generation"] >= before[0]["generation"], key,
                      f"window {window}: generation {tag['generation']} replaces {before[0]['generation']}")

    # ── the end ──

    def finish(self):
        for key in sorted(self.pending):  # killed in the middle, and yet done
            there = self.on_disk(key)
            for call in self.pending[key]:
                if call.call == "create" and not call.applied and key not in self.objects and same_bytes(call, there):
                    self.apply(call)
            if there is None:
                self.gone(key)
        for key, text in self.objects.items():
            there = self.on_disk(key)
            if HINT.match(key):
                self.must("checkpoint_follows", there is None or (key, there.decode()) in self.hints, key, "nobody wrote this")
            elif key not in self.damaged:
                self.must("create_once", there is not None and text in (there.decode("utf-8", "replace"),
                                                                        hashlib.sha256(there).hexdigest()), key,
                          "is not what was created")
        for call, table in self.taken:
            rule = "state_follows" if STATE.match(call.key) else "checkpoint_follows"
            self.must(rule, call.key in self.damaged or (call.pid, table) in self.cutters, call.key,
                      "removed by somebody who repaired nothing")
        for (window, number), g in self.generations.items():
            for e in g.entries:
                if "segment" in e and g.status != "expired":
                    path = f"{window}/g{number}/segments/{e['segment']['name']}"
                    self.must("payload_kept", self.on_disk(path) is not None, path, "an entry names it and it is gone")


def same_bytes(call, there):
    if there is None or call.sha256 is not None:
        return there is not None and hashlib.sha256(there).hexdigest() == call.sha256
    return call.text.encode() == there


def checkpoint_files(path):
    """Paths that its `add`s name."""
    import pyarrow.parquet  # only where there is one
    return {add["path"] for add in pyarrow.parquet.read_table(path).column("add").to_pylist() if add and add["path"]}


def read(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    lines = text.split("\n")
    return [json.loads(line) for line in lines if line.strip()]


def main():
    audit = Audit(read(sys.argv[1]), sys.argv[2])
    for rule, key, what in audit.findings:
        print(f"{rule}: {key}: {what}")
    print(f"{audit.applied} effects, {len(audit.findings)} findings")
    return 1 if audit.findings else 0


if __name__ == "__main__":
    sys.exit(main())
