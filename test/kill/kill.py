"""Kills, again and again, at any moment: and in the end the lake is the one of a run that nobody disturbed.

A story is a lake's life: first days, more days, fetched again, another contract, a corrected source; each step is ingest,
prepare, refine. It is lived once in peace; then it is lived again, and each command is killed until it ends by itself.
After each kill `sluice verify` must pass, and what is asked for again is counted in the mock's own log."""
import collections
import json
import os
import random
import re
import shutil
import signal
import time

import remote
import world as W
from world import FROM, MIDDLE, TO, Broken, require

DEV = os.path.join(os.environ.get("SLUICE_DEV_BIN_DIR", os.path.join(W.ROOT, "build", "dev", "bin")), "sluice")
KILLS_MAX = 7  # of one command
FIRST, ALL = ("--from", FROM, "--to", MIDDLE), ("--from", FROM, "--to", TO)
KINDS = [("segment", "link", "*/segments/*"), ("entry", "link", "*/ledger/*"), ("quarantine commit", "link",
         "*/quarantine/*/_delta_log/*"), ("prepare commit", "link", "*/prepare/*/_delta_log/*"),
         ("refine commit", "link", "*/refine/*/_delta_log/*"), ("table folder", "mkdir", "*/data/*"),
         ("record", "link", "*/record.json"), ("plan", "link", "*/plan.json"), ("result", "rename", "*/result.json"),
         ("job", "rename", "*/job.json"), ("fsync", "fsync", "*"), ("unlink", "unlink", "*"),
         ("data file", "link", "*/data/*")]  # a request, on S3


def steps(n=None):
    """(name, what changes before it, commands); the first n."""
    def of(interval, *more, ingest=True):
        first = [("ingest", *interval, *(m for m in more if m.startswith("--refetch")))] if ingest else []
        return [*first, ("prepare", *interval, *(m for m in more if m == "--stale")), ("refine",)]
    return [("first days", None, of(FIRST)),
            ("more days", None, of(ALL)),
            ("fetched again", None, of(ALL, "--refetch=again")),
            ("another contract", lambda p: p.tighten(), of(ALL, "--stale", ingest=False)),
            ("a corrected source", lambda p: p.ask(1), of(ALL, "--refetch=corrected"))][:n]


class Tally:
    def __init__(self):
        self.attempts = self.lakes = self.verified = self.no_lake = 0
        self.kills = collections.Counter()      # by stage
        self.ways = collections.Counter()       # by what was killed how
        self.codes = collections.Counter()      # of the commands, by stage and code
        self.worst_pages = self.worst_beyond = 0
        self.again_pages = self.windows_hit = 0
        self.orphans = self.judged = 0
        self.took_s = 0.0

    def as_json(self):
        return {"rounds": sum(self.kills.values()), "kills": dict(self.kills), "ways": dict(self.ways), "lakes": self.lakes,
                "attempts": self.attempts, "verified": self.verified, "verify_failures": 0, "digest_mismatches": 0,
                "missing": 0, "duplicates": 0, "worst_pages_again": self.worst_pages,
                "worst_pages_again_beyond_a_segment": self.worst_beyond, "pages_again": self.again_pages,
                "windows_with_pages_again": self.windows_hit, "records_judged": self.judged,
                "staged_files_left": self.orphans, "exit_codes": dict(self.codes), "seconds": round(self.took_s, 1)}

    def print(self, say):
        j = self.as_json()
        say(f"rounds {j['rounds']} on {self.lakes} lakes, {self.took_s:.0f} s: "
              + ", ".join(f"{k} {n}" for k, n in sorted(self.kills.items())))
        say("ways:   " + ", ".join(f"{k} {n}" for k, n in sorted(self.ways.items())))
        say("exits:  " + ", ".join(f"{k} {n}x" for k, n in sorted(self.codes.items())))
        say(f"again:  {self.again_pages} pages in all; at worst {self.worst_pages} pages of a window by one kill, "
            f"{self.worst_beyond} of them beyond a segment")
        say(f"verify: {self.verified} times after a kill, 0 failures; digests: 0 mismatches; {self.judged:,} records judged "
              "by warcio and deltalake: 0 missing, 0 twice")


class Peace:
    """The undisturbed life: digests, durations, effects, requests."""

    def __init__(self, world, n_steps=None):
        self.steps = steps(n_steps)
        p = world.project("peace")
        self.digests, self.took_s, self.effects, self.good = [], {}, {}, {}
        for i, (name, change, commands) in enumerate(self.steps):
            if change:
                change(p)
            for k, command in enumerate(commands):
                log = os.path.join(p.folder, f"effects-{i}-{k}")
                before = p.mock.stats()["requests"]
                started = time.monotonic()
                code, said = p.end(p.begin(command[0], *command[1:], log=log))
                self.took_s[i, k] = time.monotonic() - started
                require(code == 0, f"{name}: {command[0]} in peace ended with {code}:", said)
                self.effects[i, k] = read_effects(log)
                self.good[i, k] = len(W.good_answers(log_since(p.mock, before)))
            self.digests.append(p.digest())
        W.judge_raw(p, p.source)
        W.judge_tables(p, p.source)
        p.sluice("verify")
        shutil.rmtree(p.lake)


def read_effects(path):
    """How often each kind of moment came, in the run's process and in the engine's."""
    found = collections.Counter()
    with open(path, encoding="utf-8") as f:
        for line in f:
            who, call, where = line.rstrip("\n").split(" ", 2)
            for kind, kind_call, pattern in KINDS:
                if call == kind_call and re.fullmatch(pattern.replace(".", r"\.").replace("*", ".*"), where):
                    found[who, kind] += 1
                    break
    os.remove(path)
    return found


def log_since(mock, before):
    n = mock.stats()["requests"] - before
    return mock.requests(limit=n) if n else []


class Life:
    """A lake that is killed on its way."""

    def __init__(self, world, peace, tally, dice, dev=False, kills_left=10**9):
        self.p = world.project(f"life{world.made}")
        world.made += 1
        self.peace, self.tally, self.dice, self.dev, self.kills_left = peace, tally, dice, dev, kills_left
        if dev:
            self.p.binary = DEV
        self.story = f"shape {world.shape.seed} ({world.shape})"

    def live(self):
        tally = self.tally
        for i, (name, change, commands) in enumerate(self.peace.steps):
            if change:
                change(self.p)
            for k, command in enumerate(commands):
                self.where = f"{self.story}, {name}, {' '.join(command)}"
                self.until_done((i, k), command)
            require(self.p.digest() == self.peace.digests[i], f"{self.where}: another digest than in peace")
        tally.judged += W.judge_raw(self.p, self.p.source)
        tally.judged += W.judge_tables(self.p, self.p.source)
        tally.lakes += 1
        self.swept()
        shutil.rmtree(self.p.folder)

    # ── one command, until it is done ──

    def until_done(self, key, command):
        p = self.p
        for _ in range(KILLS_MAX if self.kills_left > 0 else 0):
            held, started = self.newest(), p.mock.stats()["requests"]
            way, code, said = self.attempt(key, command)
            self.tally.attempts += 1
            self.note_code(command[0], code)
            if code == 0:
                return
            require(code in ALLOWED[way], f"{self.where}: after {way} it ended with {code}:", said)
            self.kills_left -= 1
            self.tally.kills[command[0]] += 1
            self.tally.ways[way] += 1
            self.verify()
            if command[0] == "ingest":
                self.count_again(held, log_since(p.mock, started))
        held, started = self.newest(), p.mock.stats()["requests"]
        code, said = p.end(self.begin(command))
        self.tally.attempts += 1
        self.note_code(command[0], code)
        require(code == 0, f"{self.where}: left in peace it ended with {code}:", said)
        if command[0] == "ingest":
            self.asked_again(held, log_since(p.mock, started))

    def note_code(self, stage, code):
        self.tally.codes[f"{stage} {'SIGKILL' if code == -9 else 143 if code == -15 else code}"] += 1

    def begin(self, command, **more):
        return self.p.begin(command[0], *command[1:], "--threads", self.dice.choice([1, 2]), **more)

    def attempt(self, key, command):
        """Begins it and kills it, or is too late. The way, its exit status, its words."""
        dice, p = self.dice, self.p
        kinds = self.peace.effects[key]
        if kinds and not self.dev and dice.random() < 0.5:
            who, kind = dice.choice(sorted(kinds))
            call, pattern = next((c, q) for n, c, q in KINDS if n == kind)
            nth = dice.randint(1, kinds[who, kind])
            number = signal.SIGKILL if dice.random() < 0.85 or who == "engine" else signal.SIGTERM
            moment = f"{who}:{call}:{dice.choice(['before', 'after'])}:{nth}:{int(number)}:{pattern}"
            self.where += f" [{moment}]"
            code, said = p.end(self.begin(command, moment=moment))
            return ("engine" if who == "engine" else "SIGTERM" if number == signal.SIGTERM else "run") + " at an effect", code, said
        child = self.begin(command)
        slow = 8 if self.dev else 1
        wait_s = dice.random() * self.peace.took_s[key] * 1.05 * slow
        try:
            child.wait(wait_s)
        except W.subprocess.TimeoutExpired:
            pass
        way = dice.choice(["all", "all", "run alone", "engine", "SIGTERM"])
        return way, *self.strike(child, way)

    def strike(self, child, way):
        engines = W.engines_of(child.pid) if child.poll() is None else []
        if way == "engine" and not engines:
            way = "run alone"
        if child.poll() is None:
            if way in ("all", "engine"):
                for pid in engines:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
            if way != "engine":
                child.send_signal(signal.SIGTERM if way == "SIGTERM" else signal.SIGKILL)
        code, said = self.p.end(child)
        W.wait_gone(engines)
        return code, said

    # ── after a kill ──

    def verify(self):
        if not os.path.isdir(self.p.lake):
            self.tally.no_lake += 1
            return
        done = self.p.sluice("verify", status=None)
        require(done.status == 0, f"{self.where}: verify after the kill:", repr(done))
        self.tally.verified += 1

    def newest(self):
        """Accepted targets of the newest generation of each window: {(resource, first day): (generation, targets)}"""
        found = {}
        for (resource, window, g), targets in sorted(W.committed_targets(self.p).items(), key=lambda i: i[0][1:]):
            day = W.first_window_day(window) if resource in ("flights", "weather") else ""
            found[resource, day] = ((window, g), targets)
        return found

    def asked_again(self, held, log):
        """What was accepted is not asked for again, but for the first page that is compared in the end."""
        now = self.newest()
        for target in {r["target"].removeprefix("/v1") for r in log}:
            place = W.target_window(target)
            if place in held and place in now and held[place][0] == now[place][0]:
                first = "offset=0" in target or "page=1" in target or not re.search("offset=|page=", target)
                require(first or target not in held[place][1], f"{self.where}: accepted, and asked for again: {target}")

    def count_again(self, held, log):
        self.asked_again(held, log)
        now, lost = self.newest(), collections.Counter()
        for target in set(W.good_answers(log)):
            place = W.target_window(target)
            if place in now and target not in now[place][1]:
                lost[place] += 1
        size = self.p.world.shape.segment_pages
        for (resource, _), n in lost.items():
            require(n <= size, f"{self.where}: one kill cost {n} pages of one window of {resource}")
            self.tally.windows_hit += 1
            self.tally.again_pages += n
            self.tally.worst_pages = max(self.tally.worst_pages, n)
            self.tally.worst_beyond = max(self.tally.worst_beyond, n - size)

    # ── in the end ──

    def swept(self):
        """Everything temporary is of a kind that is swept once it is old enough."""
        tmp, scratch, orphans = W.leftovers(self.p)
        self.tally.orphans += len(orphans)
        for path in tmp + scratch:
            old = time.time() - 8 * 24 * 3600
            os.utime(path, (old, old))
        self.p.sluice("run", *ALL)
        self.p.sluice("query", "SELECT 1")  # whoever starts the engine removes what other engines left
        tmp, scratch, _ = W.leftovers(self.p)
        require(not tmp, f"{self.story}: never swept:", tmp[:3])
        require(not scratch, f"{self.story}: scratch folders of dead runs are never swept:", scratch[:3])


ALLOWED = {"all": (-9, 9), "run alone": (-9,), "engine": (9, -9), "SIGTERM": (143, -15), "run at an effect": (-9,),
           "engine at an effect": (9,), "SIGTERM at an effect": (143, -15)}


def run(folder, seed, rounds, seconds=None, dev_share=0.0, say=print, data=None, server=None, n_steps=None):
    """Kills until there are `rounds` of them (or the time is over). Raises Broken."""
    W.build_moment()
    dice, tally = random.Random(seed), Tally()
    started = time.monotonic()
    data = data or W.make_data(folder)
    number = seed
    while sum(tally.kills.values()) < rounds and (seconds is None or time.monotonic() - started < seconds):
        shape = W.Shape(number)
        number += 1
        world = W.World(os.path.join(folder, f"shape{shape.seed}"), shape, data, make=remote.maker(server))
        try:
            peace = Peace(world, n_steps)
            for _ in range(2):
                left = rounds - sum(tally.kills.values())
                if left <= 0:
                    break
                dev = dice.random() < dev_share
                Life(world, peace, tally, dice, dev, left).live()
                tally.took_s = time.monotonic() - started
                say(f"{sum(tally.kills.values())} kills, {tally.took_s:.0f} s: {shape}{', with sanitizers' if dev else ''}")
                if seconds is not None and time.monotonic() - started > seconds:
                    break
        finally:
            world.close()
        shutil.rmtree(world.folder)
    tally.took_s = time.monotonic() - started
    return tally
