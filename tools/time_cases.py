#!/usr/bin/env python3
"""Writes the tables of test/case/time: what Python's zoneinfo says about zones and steps, and the C library about TZ
strings (zoneinfo of Python 3.11 counts the days of Jn and n wrongly). Fields, between tabs:

    zone_offset.tsv  zone, instant, offset       all in seconds; offsets east of UTC
    zone_local.tsv   zone, wall clock, the first instant that shows it
    zone_rule.tsv    TZ string, instant, offset
    step.tsv         zone, step, instant, start and end of the step it is in

    tools/time_cases.py                          the tables of the repository
    tools/time_cases.py --out DIR --zones all --offsets 2000 --locals 300 --steps 40 --from 1850 --to 2600
                                                 a large set; run the tests over it with TIME_CASES=DIR

The tables of the repository keep to well-settled years, so that another version of tzdata agrees with them; rules for
the years to come are tested with TZ strings of their own.
"""
import argparse
import datetime as dt
import os
import random
import time
import zoneinfo

ZONES = """America/New_York America/Sao_Paulo America/St_Johns America/Havana America/Caracas America/Argentina/San_Luis
Europe/Berlin Europe/Dublin Europe/London Europe/Istanbul Africa/Casablanca Africa/Monrovia Asia/Beirut Asia/Kolkata
Asia/Kathmandu Asia/Tehran Asia/Gaza Australia/Lord_Howe Australia/Sydney Pacific/Apia Pacific/Kwajalein Pacific/Chatham
Antarctica/Troll Etc/GMT+12 Pacific/Kiritimati""".split()
RULES = ["<+03>-3", "UTC0", "EST5EDT,M3.2.0,M11.1.0", "CET-1CEST,M3.5.0,M10.5.0/3", "IST-1GMT0,M10.5.0,M3.5.0/1",
         "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "IST-2IDT,M3.4.4/26,M10.5.0", "EET-2EEST,M4.5.5/0,M10.5.4/24",
         "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45",
         "AAA3BBB,J60/2,J300", "AAA-3BBB,59,299/3:30:15", "AAA+4:30:30BBB+3:15,M2.5.1/-20,M8.4.6/50",
         "CCC-7DDD-6:30,J59,90", "AAA0BBB,M3.2.0/-167,M11.1.0/167"]
STEPS = [("d", 1), ("d", 2), ("d", 7), ("w", 1), ("w", 2), ("M", 1), ("M", 3), ("M", 12), ("h", 1), ("h", 7), ("m", 15)]
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
NAIVE = dt.datetime(1970, 1, 1)


def offset(zone, s):
    return int((EPOCH + dt.timedelta(seconds=s)).astimezone(zone).utcoffset().total_seconds())


def first_instant(zone, local_s):
    """The first instant that shows this wall clock; where none does, the jump over it."""
    near = list(range(local_s - 27 * 3600, local_s + 27 * 3600, 900))
    offsets = [offset(zone, s) for s in near]
    exact = [local_s - o for o in set(offsets) if offset(zone, local_s - o) == o]
    if exact:
        return min(exact)
    for i in range(1, len(near)):
        if near[i - 1] + offsets[i - 1] < local_s < near[i] + offsets[i]:
            low, high = near[i - 1], near[i]
            while high - low > 1:
                middle = (low + high) // 2
                if offset(zone, middle) == offsets[i - 1]:
                    low = middle
                else:
                    high = middle
            return high
    raise ValueError((zone, local_s))


def step_start(zone, unit, count, number):
    if unit == "M":
        year, month = divmod(number * count, 12)
        at = dt.datetime(1970 + year, month + 1, 1)
    else:
        at = NAIVE + dt.timedelta(days=number * count if unit == "d" else 4 + 7 * number * count)
    return first_instant(zone, int((at - NAIVE).total_seconds()))


def step_bounds(zone, unit, count, s):
    if unit in "mh":
        size = count * (60 if unit == "m" else 3600)
        return s // size * size, s // size * size + size
    local = NAIVE + dt.timedelta(seconds=s + offset(zone, s))
    days = (local - NAIVE).days
    number = {"M": (local.year - 1970) * 12 + local.month - 1, "d": days, "w": (days - 4) // 7}[unit] // count - 1
    while step_start(zone, unit, count, number + 1) <= s:
        number += 1
    return step_start(zone, unit, count, number), step_start(zone, unit, count, number + 1)


def changes(offset_at, low, high):
    """Instants at which the offset changes, as far as a look every six days finds them."""
    found, step = [], 6 * 86400
    before = offset_at(low)
    for s in range(low + step, high, step):
        now = offset_at(s)
        if now != before:
            a, b = s - step, s
            while b - a > 1:
                middle = (a + b) // 2
                a, b = (middle, b) if offset_at(middle) == before else (a, middle)
            found.append(b)
        before = now
    return found


def pick(rand, points, low, high):
    if points and rand.random() < 0.7:
        return rand.choice(points) + rand.choice([-86400, -3601, -3600, -1, 0, 1, 1800, 3599, 3600, 7200, 80000])
    return rand.randrange(low, high)


def c_offset(s):
    return time.localtime(s).tm_gmtoff


def rule_table(rand, file):
    """From 1971 on: glibc does not follow a rule into the years before."""
    for text in RULES:
        os.environ["TZ"] = text
        time.tzset()
        points = []
        for year in (1972, 1973, 2026, 2100, 2399, 2400, 2403, 2404, 5000):
            new_year = int(dt.datetime(year, 1, 3, tzinfo=dt.timezone.utc).timestamp())
            points += changes(c_offset, new_year, new_year + 366 * 86400)
        for s in sorted({pick(rand, points, 40000000, 200000000000) for _ in range(60)}):
            print(text, s, c_offset(s), sep="\t", file=file)


def main():
    arg = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    arg.add_argument("--out", default=os.path.join(here, "..", "test", "case", "time"))
    arg.add_argument("--zones", default=" ".join(ZONES), help="names, or `all`")
    arg.add_argument("--offsets", type=int, default=40)
    arg.add_argument("--locals", type=int, default=12)
    arg.add_argument("--steps", type=int, default=25)
    arg.add_argument("--from", type=int, default=1970, dest="low")
    arg.add_argument("--to", type=int, default=2024, dest="high")
    arg.add_argument("--seed", type=int, default=1)
    o = arg.parse_args()
    rand = random.Random(o.seed)
    low, high = (int(dt.datetime(y, 1, 2, tzinfo=dt.timezone.utc).timestamp()) for y in (o.low, o.high))
    names = o.zones.split()
    if names == ["all"]:
        names = sorted(n for n in zoneinfo.available_timezones() if n != "localtime")
    with open(os.path.join(o.out, "zone_offset.tsv"), "w") as offsets, \
            open(os.path.join(o.out, "zone_local.tsv"), "w") as clocks, \
            open(os.path.join(o.out, "step.tsv"), "w") as steps:
        for name in names:
            zone = zoneinfo.ZoneInfo(name)
            points = changes(lambda s: offset(zone, s), low, min(high, 4102444800))
            for s in sorted({pick(rand, points, low, high) for _ in range(o.offsets)}):
                print(name, s, offset(zone, s), sep="\t", file=offsets)
            for s in sorted({pick(rand, points, low, high) for _ in range(o.locals)}):
                local = s + offset(zone, s) + rand.choice([-3600, -1800, 0, 0, 1800, 3600])
                print(name, local, first_instant(zone, local), sep="\t", file=clocks)
            for i in range(o.steps):
                s = pick(rand, points, low, high)
                unit, count = STEPS[i % len(STEPS)]
                print(name, f"{count}{unit}", s, *step_bounds(zone, unit, count, s), sep="\t", file=steps)
    with open(os.path.join(o.out, "zone_rule.tsv"), "w") as rules:
        rule_table(rand, rules)


if __name__ == "__main__":
    main()
