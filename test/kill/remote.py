"""The same lives on S3. The server keeps the object b/k as its file b/k, so the judges read the lake as a folder; the program is told
its URL. Between the program and the server stands a gate of its own: the moments of the file system at which an object is born
are here requests, and a request is held, or never sent on, or its answer never sent back."""
import fnmatch
import os
import signal
import threading
import time
import urllib.parse

import world as W
from s3_server import KEYS, FaultProxy

CONTINUED_S = 120


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


class Gate(FaultProxy):
    """For one process: stops or kills it (or its engine) before its nth PUT of a key that matches is sent on, or after that was done and
    before it is answered. `log`: each PUT as a line, as moment.so writes them."""

    def __init__(self, server, moment=None, log=None):
        self.pid, self.ready, self.here, self.seen, self.log = None, threading.Event(), threading.local(), 0, log
        self.moment = None
        if moment:
            who, _, when, nth, number, pattern = moment.split(":", 5)
            self.moment = (who, when, int(nth), int(number), pattern)
        super().__init__(server)

    def choose(self, method, path):
        key = urllib.parse.unquote(path.partition("?")[0])
        self.here.strikes = False
        if method != "PUT":
            return None
        if self.log:
            with self.lock, open(self.log, "a", encoding="utf-8") as f:
                f.write(f"{'engine' if '/data/' in key else 'run'} link {key}\n")
        if self.moment is None or not fnmatch.fnmatchcase(key, self.moment[4]):
            return None
        with self.lock:
            self.seen += 1
            if self.seen != self.moment[2]:
                return None
        if self.moment[1] == "after":
            self.here.strikes = True
            return None
        return self.strike()

    def answered(self):
        if self.here.strikes:
            self.strike()

    def strike(self):
        who, _, _, number, _ = self.moment
        self.ready.wait(10)
        for pid in W.engines_of(self.pid) if who == "engine" else [self.pid]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        if number == signal.SIGSTOP:
            self.wait_for(lambda state: state in "TZX", 10)
            self.wait_for(lambda state: state not in "T", CONTINUED_S)
        return "never" if number == signal.SIGKILL else None

    def wait_for(self, wanted, seconds):
        end = time.monotonic() + seconds
        while not wanted(state_of(self.pid)) and time.monotonic() < end:
            time.sleep(0.002)


class S3Lake(W.Lake):
    """`lake` is the bucket's folder, for judges."""

    def __init__(self, place, server):
        super().__init__(place)
        prefix = os.path.join(*place.split(os.sep)[-2:])
        self.server, self.endpoint, self.url = server, server.url, f"s3://lakes/{prefix}"
        self.lake = os.path.join(server.folder, "lakes", prefix)

    def command(self, command, *args):
        return [self.url if part == self.lake else part for part in super().command(command, *args)]

    def environment(self):
        return {**super().environment(), **KEYS, "AWS_ENDPOINT_URL_S3": self.endpoint}

    def begin(self, command, *args, moment=None, log=None):
        gate = None
        if log or moment and moment.split(":")[1] == "link":
            gate = Gate(self.server, moment, log)
            self.endpoint, moment = gate.url, None
        child = super().begin(command, *args, moment=moment, log=log)
        self.endpoint, child.gate = self.server.url, gate
        if gate:
            gate.pid = child.pid
            gate.ready.set()
        return child

    def end(self, child, timeout_s=120):
        try:
            return super().end(child, timeout_s)
        finally:
            if child.gate:
                child.gate.stop()


def maker(server):
    """What makes the lakes of a world: None is a folder's."""
    return (lambda place: S3Lake(place, server)) if server else W.Lake
