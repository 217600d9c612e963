"""What it costs to go on after a kill, beside the length of the ledger: time until the first request goes out, and pages
asked for a second time."""
import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time

from measure import SLUICE, Mock, Project, Wrong, median

LENGTHS = (10, 1_000, 100_000)
ROWS_PER_PAGE = 3  # 112,259 pages
RUNS = 9
WAIT_S = 600


def start(p):
    return subprocess.Popen([SLUICE, "ingest", "-f", p.file, "--lake", p.lake, "--from", "2013-12-31", "--to",
                             "2014-01-01", "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def served(mock):
    return mock.ask("/_mock/stats")["requests"]


def run_until(mock, p, reached):
    """Starts an ingest, kills it once reached() holds, and tells when its first request had come, in ms."""
    at = served(mock)
    started, first = time.monotonic(), None
    process = start(p)
    while process.poll() is None and time.monotonic() < started + WAIT_S:
        if first is None and served(mock) > at:
            first = time.monotonic() - started
        if first is not None and reached():
            break
        time.sleep(0 if first is None else 0.002)
    if process.poll() is not None:
        raise Wrong(f"resume: ingest ended with {process.returncode} before it was killed")
    process.send_signal(signal.SIGKILL)
    process.wait()
    if first is None:
        raise Wrong(f"resume: no request in {WAIT_S} s")
    return first * 1000


def ledger_folder(p):
    found = glob.glob(os.path.join(p.lake, "raw", "*", "*", "*", "g1", "ledger"))
    return found[0] if found else None


def ledger_length(p):
    folder = ledger_folder(p)
    return len(os.listdir(folder)) if folder else 0


def has_entry(p, n):
    folder = ledger_folder(p)
    return folder is not None and os.path.exists(os.path.join(folder, f"{n:020}.json"))


def listing_ms(folder):
    """The ledger is listed twice: for the plan, and by the lane that takes the window over."""
    begin = time.monotonic()
    for _ in range(2):
        sorted(os.listdir(folder))
    return (time.monotonic() - begin) * 1000


def measure(figures):
    place = figures.place("resume")
    # 100,000 entries are 200,000 fsyncs: in memory where there is such a place, since the disk is not what is measured.
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else place
    lake = tempfile.mkdtemp(prefix="sluice-bench-", dir=fast)
    try:
        with Mock(place) as mock:
            p = Project(os.path.join(place, "project"), mock, change=[
                ("limit: 1000", f"limit: {ROWS_PER_PAGE}"),
                ("    records: data\n", "    records: data\n    segment: {pages: 1}\n")])
            p.lake = lake
            measured = [at_length(mock, p, n) for n in LENGTHS]
        for i, (n, ms, listing, again) in enumerate(measured):
            figures.add(f"resume, {n:,} entries", f"{ms:.1f} ms", f"{listing:.1f} ms two listings", None, ms, unit="ms")
            if i:
                more = (ms - listing) / (measured[0][1] - measured[0][2])
                figures.add("  but for the listing", f"{ms - listing:.1f} ms", f"at {LENGTHS[0]} entries", 1.5, more, better=min,
                            note="names are sorted and looked through for a gap; only the last entry and its claim are read")
            figures.add("  pages asked again", f"{again:.1f}", "a kill", 1, again, unit="", better=min)
    finally:
        shutil.rmtree(lake, ignore_errors=True)


def at_length(mock, p, n):
    if ledger_length(p) < n:
        run_until(mock, p, lambda: has_entry(p, n - 1))
    times, listings, asked, kept = [], [], served(mock), ledger_length(p)
    for _ in range(RUNS):
        listings.append(listing_ms(ledger_folder(p)))
        here = ledger_length(p)
        times.append(run_until(mock, p, lambda: has_entry(p, here + 1)))
    # Each start writes a claim; every other entry is one page.
    pages = ledger_length(p) - kept - RUNS
    return n, median(times), median(listings), max(0, served(mock) - asked - pages) / RUNS
