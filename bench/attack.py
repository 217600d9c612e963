"""What is attacked, in numbers: places that can fail, branches of the commit path, kills. The tests judge; here it is told."""
import glob
import json
import os
import subprocess

from measure import PYTHON, ROOT, Wrong

KILLS = 20


def ask(*command, status=(0,)):
    env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode not in status:
        raise Wrong(f"{' '.join(command)}\nended with {done.returncode}:\n{(done.stderr + done.stdout)[-3000:]}")
    return json.loads(done.stdout)


def measure(figures):
    faults(figures)
    branches(figures)
    kills(figures)


def faults(figures):
    if not os.access(os.path.join(ROOT, "build", "dev", "bin", "sluice"), os.X_OK):
        figures.add("fault points", "-", "tools/build dev programs", None)
        return
    j = ask(PYTHON, "test/torture/torture", "--count", "--json")
    figures.add("fault points, met", str(j["met"]), f"{j['places']} there are", None, 100 * j["met"] / j["places"], unit="%",
                note="the others: " + "; ".join(j["never_met"]))
    if j["made_to_fail"]:
        figures.add("  made to fail", str(j["made_to_fail"]), "last `make torture`", None)


def branches(figures):
    if os.environ.get("COVERAGE"):
        subprocess.run(["test/coverage"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if not glob.glob(os.path.join(ROOT, "build", "coverage", "CMakeFiles", "*", "src", "run", "*.gcda")):
        figures.add("branches, commit path", "-", "COVERAGE=1 measures", None)
        return
    rows = ask("tools/coverage", "--json", "build/coverage")["commit_path"]
    taken, there = (sum(r[k] for r in rows) for k in ("taken", "branches"))
    excused = sum(m["branches"] for r in rows for m in r["missing"] if m["reason"])
    figures.add("branches, commit path", str(taken), f"{there} there are, {excused} excused", 100,
                100 * taken / max(1, there - excused), unit="%")


def kills(figures):
    k = ask("test/kill/run", "kills", "--rounds", str(KILLS), "--dev", "0", "--json")["kills"]
    wrong = k["duplicates"] + k["missing"] + k["verify_failures"] + k["digest_mismatches"]
    figures.add("kills, wrong ends", str(wrong), f"{k['rounds']} kills", 0, wrong, unit="", better=min)
    figures.add("  worst pages asked again", str(k["worst_pages_again"]), "of a window by a kill", None)
    figures.add("  beyond a segment", str(k["worst_pages_again_beyond_a_segment"]), "of a window", 0,
                k["worst_pages_again_beyond_a_segment"], unit="", better=min)
