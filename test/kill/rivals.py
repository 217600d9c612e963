"""Two runners on one lake. One is stopped at a chosen effect, the other one goes past it, and the first wakes up: one of them is
fenced or has nothing left to do, and the lake is the one that the commands would have made one after the other.

Each scenario is a row: what stands there before, where A is stopped, what B does meanwhile, what becomes of A, and the
commands whose lake it must be in the end."""
import os
import random
import signal
import time

import remote
import world as W
from world import FROM, require

DAYS, MORE = ("--from", FROM, "--to", "2013-01-03"), ("--from", FROM, "--to", "2013-01-05")
INGEST, PREPARE, REFINE = ("ingest", *DAYS), ("prepare", *DAYS), ("refine",)
OVER, CORRECTED, TIGHTEN = "--takeover", "corrected", "tighten"  # the words of B's list that are no commands
AGAIN, CHANGED = ("ingest", *DAYS, "--refetch=b"), ("ingest", *DAYS, "--refetch=c")
WINDOW = "20130101T050000Z_20130102T050000Z"
ENTRY = f"*/flights/{WINDOW}/g%d/ledger/%020d.json"


def log_of(zone, table, version):
    return f"*/{zone}/nycflights/{table}/_delta_log/{version:020d}.json"


class Case:
    def __init__(self, name, a, stop, b, codes, why, before=(), same_as=None, then=()):
        self.name, self.a, self.stop, self.b, self.codes, self.why = name, a, stop, b, codes, why
        self.before, self.then = before, then
        self.same_as = same_as  # what makes the same lake in peace; default: before, A, then B


# `then`: what the loser's operator does next, the same command again; the lake is compared after it.
CASES = [
    # ── fetching: A holds the lease and stands still, B is told to take over ──
    Case("after the claim", INGEST, "link:after:1:" + ENTRY % (1, 0), [(*INGEST, OVER)], {5},
         "its next entry finds B's claim", same_as=[INGEST]),
    Case("after the segment, before its entry", INGEST, "link:before:1:" + ENTRY % (1, 1), [(*INGEST, OVER)], {5},
         "the number of its entry is taken by B's claim; its segment is garbage", same_as=[INGEST]),
    Case("before the segment", INGEST, f"link:before:2:*/flights/{WINDOW}/g1/segments/*", [(*INGEST, OVER)], {5},
         "the segment is stored, the entry is not", same_as=[INGEST]),
    Case("B without a takeover", INGEST, "link:after:1:" + ENTRY % (1, 1), [INGEST], {0},
         "B sees a living process and ends with 5; A goes on undisturbed", same_as=[INGEST]),
    Case("with a window sealed", INGEST, "link:after:3:*/weather/*/g1/ledger/*", [(*INGEST, OVER)], {0, 5},
         "0 only if nothing of its windows was left", same_as=[INGEST]),
    Case("at the record of the run", INGEST, "link:before:1:*/record.json", [INGEST], {0},
         "all its windows are sealed: nothing is left to lose", same_as=[INGEST]),
    Case("between two fetches", ("ingest", *DAYS, "--refetch=a"), "link:after:1:" + ENTRY % (2, 0), [(*AGAIN, OVER)], {5},
         "B goes on with A's open generation", before=[INGEST], same_as=[INGEST, AGAIN]),
    # ── publishing ──
    Case("the engine is done, no commit yet", PREPARE, "link:before:1:" + log_of("quarantine", "flights", 0), [PREPARE], {0},
         "B published the same windows with the same keys: done", before=[INGEST], same_as=[INGEST, PREPARE]),
    Case("between quarantine and main table", PREPARE, "link:before:1:" + log_of("prepare", "flights", 0), [PREPARE], {0},
         "B builds on A's quarantine and publishes the same keys", before=[INGEST], same_as=[INGEST, PREPARE]),
    Case("between the commits of two generations", PREPARE, "link:before:1:" + log_of("quarantine", "flights", 0),
         [CORRECTED, CHANGED, PREPARE], {5}, "B published generation 2 of A's windows", before=[INGEST],
         same_as=[INGEST, CORRECTED, CHANGED, PREPARE]),
    Case("between the commits of two generations, same content", PREPARE,
         "link:before:1:" + log_of("quarantine", "flights", 0), [AGAIN, PREPARE], {0},
         "B published generation 2, which has A's content: the keys agree", before=[INGEST],
         same_as=[INGEST, AGAIN, PREPARE]),
    Case("quarantine of one generation, main table of the next", PREPARE, "link:before:1:" + log_of("prepare", "flights", 0),
         [CORRECTED, CHANGED, PREPARE], {5}, "B replaced both", before=[INGEST],
         same_as=[INGEST, CORRECTED, CHANGED, PREPARE]),
    Case("after the main commit, before the tags are read", PREPARE, "link:after:1:" + log_of("prepare", "flights", 0),
         [CORRECTED, CHANGED, PREPARE], {5}, "its quarantine was replaced meanwhile, and the other tables are B's",
         before=[INGEST], same_as=[INGEST, (*PREPARE, "--only", "flights"), CORRECTED, CHANGED, PREPARE]),
    Case("new tags for the same content", PREPARE, "link:before:1:" + log_of("quarantine", "flights", 1),
         [CORRECTED, CHANGED, PREPARE], {5}, "B published generation 3, A came with the tags of generation 2",
         before=[INGEST, PREPARE, AGAIN], same_as=[INGEST, PREPARE, AGAIN, CORRECTED, CHANGED, PREPARE]),
    Case("more days", PREPARE, "link:before:1:" + log_of("quarantine", "flights", 0),
         [("ingest", *MORE), ("prepare", *MORE)], {0}, "B published A's windows and others", before=[INGEST],
         same_as=[INGEST, ("ingest", *MORE), ("prepare", *MORE)]),
    Case("an older snapshot wakes up", PREPARE, "link:before:1:" + log_of("quarantine", "airports", 0),
         [("ingest", *MORE), ("prepare", *MORE)], {0}, "a newer one is there: nothing to do",
         before=[INGEST], same_as=[INGEST, (*PREPARE, "--only", "flights,weather,airlines"), ("ingest", *MORE),
                                   ("prepare", *MORE)]),
    Case("another contract", PREPARE, "link:before:1:" + log_of("quarantine", "flights", 0), [TIGHTEN, PREPARE], {5},
         "B published the same generation under another contract", before=[INGEST], same_as=[INGEST, TIGHTEN, PREPARE]),
    Case("a model", REFINE, "link:before:1:" + log_of("refine", "daily_operations", 0), [REFINE], {0},
         "B published the same key", before=[INGEST, PREPARE], same_as=[INGEST, PREPARE, REFINE]),
    Case("a model of older tables", REFINE, "link:before:1:" + log_of("refine", "daily_operations", 0),
         [CORRECTED, CHANGED, PREPARE, REFINE], {5}, "B's inputs are newer", before=[INGEST, PREPARE],
         same_as=[INGEST, PREPARE, CORRECTED, CHANGED, PREPARE, REFINE]),
    Case("tables while they are fetched again", CHANGED, "link:after:1:" + ENTRY % (2, 1), [PREPARE, REFINE], {0},
         "B prepares the sealed generation, A goes on fetching", before=[INGEST],
         same_as=[INGEST, PREPARE, REFINE, CHANGED]),
    Case("a model while its table is replaced", PREPARE, "link:after:1:" + log_of("quarantine", "weather", 1), [REFINE], {0},
         "B reads the version that stands there", before=[INGEST, PREPARE, CORRECTED, CHANGED],
         same_as=[INGEST, PREPARE, CORRECTED, REFINE, CHANGED, PREPARE], then=[REFINE]),
]


def play(p, commands):
    for c in commands:
        if c == CORRECTED:
            p.ask(1)
        elif c == TIGHTEN:
            p.tighten()
        else:
            code, said = p.end(p.begin(c[0], *c[1:]))
            require(code == 0 or code == 5 and c == INGEST, f"{' '.join(c)} ended with {code}:", said)
            yield c, code


def run_case(world, case):
    """A's and B's exit statuses. Raises Broken."""
    world.made += 1
    peace, p = in_peace(world, [*case.same_as, *case.then]), world.project(f"rivals{world.made}")
    list(play(p, case.before))
    call, when, nth, pattern = case.stop.split(":", 3)
    a = p.begin(case.a[0], *case.a[1:], "--threads", 1, moment=f"run:{call}:{when}:{nth}:{int(signal.SIGSTOP)}:{pattern}")
    try:
        stopped = W.wait_stopped(a)
        require(stopped, f"{case.name}: A never came to where it was to be stopped:", *([] if stopped else p.end(a)))
        b_codes = [code for _, code in play(p, case.b)]
        done = p.sluice("verify", status=None)
        require(done.status == 0, f"{case.name}: verify while A stands still:", repr(done))
    finally:
        if a.poll() is None:
            a.send_signal(signal.SIGCONT)
    code, said = p.end(a)
    require(code in case.codes, f"{case.name}: A ended with {code}, not {sorted(case.codes)} ({case.why}):", said)
    require(code != 5 or "another run" in said or "at work" in said, f"{case.name}: it does not say who was first:", said)
    done = p.sluice("verify", status=None)
    require(done.status == 0, f"{case.name}: verify in the end:", repr(done))
    list(play(p, case.then))
    require(p.digest() == peace, f"{case.name}: another lake than the one of these commands one after the other")
    W.judge_raw(p, p.source)
    W.shutil.rmtree(p.folder)
    return code, b_codes


def in_peace(world, commands):
    """The digest of the lake that these commands make, one after the other."""
    key = str(commands)
    if key not in world.digests:
        world.made += 1
        p = world.project(f"peace{world.made}")
        list(play(p, commands))
        world.digests[key] = p.digest()
        W.shutil.rmtree(p.folder)
    return world.digests[key]


# ── without a script ──

PAIRS = [(INGEST, INGEST), (PREPARE, PREPARE), (REFINE, REFINE), (INGEST, PREPARE), (PREPARE, REFINE), (INGEST, REFINE),
         (("run", *DAYS), ("run", *DAYS)), (("run", *DAYS), INGEST), (("run", *DAYS), PREPARE), (("run", *DAYS), REFINE)]
UPSTREAM = {"ingest": [], "prepare": [INGEST], "refine": [INGEST, PREPARE], "run": []}


def run_race(world, dice, peace):
    """Two at once, at random; afterwards the same commands in peace have the rest to do."""
    world.made += 1
    pair = dice.choice(PAIRS)
    p = world.project(f"race{world.made}")
    if pair[0] == pair[1]:
        list(play(p, UPSTREAM[pair[0][0]]))
    a = p.begin(pair[0][0], *pair[0][1:], "--threads", dice.choice([1, 2]))
    try:
        a.wait(dice.choice([0, 0, dice.random() * 0.3]) or 0.0001)
    except W.subprocess.TimeoutExpired:
        pass
    b = p.begin(pair[1][0], *pair[1][1:], "--threads", dice.choice([1, 2]))
    if dice.random() < 0.5:  # one of them is held up for a while
        held = dice.choice([a, b])
        try:
            held.wait(dice.random() * 0.2)
        except W.subprocess.TimeoutExpired:
            held.send_signal(signal.SIGSTOP)
            try:
                (b if held is a else a).wait(dice.random())
            except W.subprocess.TimeoutExpired:
                pass
            held.send_signal(signal.SIGCONT)
    codes = []
    for c, command in ((a, pair[0]), (b, pair[1])):
        code, said = p.end(c)
        # 6: what the stage reads is not there yet
        allowed = {0, 5} | ({6} if pair[0] != pair[1] and command[0] in ("prepare", "refine") else set())
        require(code in allowed, f"race of {' '.join(pair[0])} and {' '.join(pair[1])}: {code}:", said)
        codes.append(f"{command[0]} beside {(pair[1] if c is a else pair[0])[0]} {code}")
    done = p.sluice("verify", status=None)
    require(done.status == 0, "race: verify:", repr(done))
    list(play(p, [INGEST, PREPARE, REFINE]))
    require(p.digest() == peace, f"race of {' '.join(pair[0])} and {' '.join(pair[1])}: another lake than in peace")
    W.judge_raw(p, p.source)
    W.judge_tables(p, p.source)
    W.shutil.rmtree(p.folder)
    return codes


def run_races(world, seed, n, seconds=None, say=None):
    """How often which end came. After `seconds` no further race is begun."""
    dice, codes = random.Random(seed), {}
    peace, begun = in_peace(world, [INGEST, PREPARE, REFINE]), time.monotonic()
    for i in range(n):
        if seconds and time.monotonic() - begun > seconds:
            break
        for line in run_race(world, dice, peace):
            codes[line] = codes.get(line, 0) + 1
        if say and (i + 1) % 10 == 0:
            say(f"{i + 1} of {n} races, {(time.monotonic() - begun) / (i + 1):.1f} s each")
    return codes


def run(folder, seed, races, only=None, say=print, server=None, seconds=None):
    """All cases, then races. Raises Broken."""
    W.build_moment()
    shape = W.Shape(0)  # by cursor: a day is a chain of pages
    shape.segment_pages, shape.every, shape.file_rows = 2, "1d", 200000
    world = W.World(os.path.join(folder, "world"), shape, W.make_data(folder), percent=2, make=remote.maker(server))
    result = {"cases": {}, "races": races, "codes": {}}
    try:
        for case in CASES:
            if only and only not in case.name:
                continue
            code, b_codes = run_case(world, case)
            result["cases"][case.name] = {"a": code, "b": b_codes, "why": case.why}
            say(f"{case.name}: A {code}, B {' '.join(map(str, b_codes))} ({case.why})")
        if races:
            result["codes"] = run_races(world, seed, races, seconds, say)
            result["races"] = sum(result["codes"].values()) // 2
    finally:
        world.close()
    return result
