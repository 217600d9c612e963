"""test/kill/run: real kills, real rivals, real surroundings. See `test/kill/run --help`."""
import argparse
import json
import os
import shutil
import sys
import tempfile

import kill
import rivals
from world import Broken

from s3_server import Server  # behind world, which knows where it lies


def main():
    a = argparse.ArgumentParser(prog="test/kill/run", description=__doc__)
    a.add_argument("what", nargs="*", default=["kills", "rivals"], help="kills, rivals; default: both")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--rounds", type=int, default=300, help="kills, over all lakes")
    a.add_argument("--races", type=int, default=40, help="pairs of runners that start at once")
    a.add_argument("--seconds", type=float, help="begin no further lake of kills, nor race, after so long (each)")
    a.add_argument("--dev", type=float, default=0.1, help="share of lakes that meet the program with sanitizers")
    a.add_argument("--only", help="rivals: only cases with this in their name, and no races")
    a.add_argument("--lake", choices=["disk", "s3"], default="disk", help="where the lakes are; s3: on versitygw")
    a.add_argument("--json", action="store_true", help="the figures as JSON on standard output")
    a.add_argument("--keep", action="store_true", help="leave everything where it is after a failure")
    o = a.parse_args()
    say = lambda text: print(text, file=sys.stderr if o.json else sys.stdout, flush=True)  # noqa: E731
    folder, figures = tempfile.mkdtemp(prefix="kill-"), {}
    os.makedirs(os.path.join(folder, "kills"))
    os.makedirs(os.path.join(folder, "rivals"))
    good, server = False, None
    try:
        if o.lake == "s3":
            server = Server(folder)
        if "kills" in o.what:
            kills = kill.run(os.path.join(folder, "kills"), o.seed, o.rounds, o.seconds, o.dev, say,
                             server=server)
            kills.print(say)
            figures["kills"] = kills.as_json()
        if "rivals" in o.what:
            figures["rivals"] = rivals.run(os.path.join(folder, "rivals"), o.seed, 0 if o.only else o.races, o.only, say,
                                          server, o.seconds)
            codes = ", ".join(f"{k} {n}x" for k, n in sorted(figures["rivals"]["codes"].items()))
            say(f"{len(figures['rivals']['cases'])} cases of rivals, {figures['rivals']['races']} races: {codes}")
        good = True
    except Broken as e:
        say(f"BROKEN (seed {o.seed}): {e}")
    finally:
        if server:
            server.stop()
        if o.keep and not good:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if good and o.json:
        print(json.dumps(figures, indent=1))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
