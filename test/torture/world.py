"""The mock, and a case as files: what the torture and the power cuts have in common."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import cases as C
import effects as E
import judge as J

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "e2e"))
from s3_server import KEYS, SERVER, Server  # noqa: E402

DEV = os.environ.get("SLUICE_DEV_BIN_DIR", os.path.join(ROOT, "build", "dev", "bin"))
RELEASE = os.environ.get("SLUICE_BIN_DIR", os.path.join(ROOT, "build", "release", "bin"))
TIMEOUT_S = 60

# The search for leaks stops all threads, and one that ends just then has no registers: no finding, and the exit status is not 99.
ENDED_THREAD = re.compile(r"(?m)^==\d+==Unable to get registers from thread \d+\.$")


class Mock:
    """Serves the rows of all cases, each under a path of its own. Its clock stands still: an answer is always the same."""

    def __init__(self, folder, chosen, second):
        os.makedirs(folder)
        resources = {}
        for case in chosen:
            rows = case["second"] if second and case["second"] is not None else case["resource"]["rows"]
            name = case["name"]
            with open(os.path.join(folder, name + ".ndjson"), "w", encoding="utf-8") as f:
                f.writelines(json.dumps(row) + "\n" for row in rows)
            resources[name] = {**case["resource"]["mock"], "file": name + ".ndjson", "path": "/" + name}
        with open(os.path.join(folder, "mock.yaml"), "w", encoding="utf-8") as f:
            json.dump({"base": "/v1", "resources": resources}, f)
        self.process = subprocess.Popen(
            [os.path.join(DEV, "sluice-mock"), os.path.join(folder, "mock.yaml"), "--data", folder, "--listen",
             "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "SLUICE_EFFECTS_NOW": str(time.time_ns() // 1000)})
        line = self.process.stdout.readline()
        if not line:
            sys.exit("torture: the mock does not start: " + self.process.stderr.read())
        self.url = json.loads(line)["url"]

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def copy(begin, lake):
    """By hard links: no object of a lake is ever written twice (and the end of a torture looks whether that is true)."""
    shutil.copytree(begin, lake, copy_function=os.link)


def damage(lake, how, pattern):
    """One byte of the first file is another one; or a file that is none of ours is put there."""
    if how == "write":
        write(os.path.join(lake, pattern), "{}\n")
        return
    path = sorted(glob.glob(os.path.join(lake, pattern)))[0]
    with open(path, "rb") as f:
        data = bytearray(f.read())
    data[len(data) // 2] ^= 1
    with open(path, "wb") as f:
        f.write(data)


class Case:
    """A project, the lake in which the case begins, and the digest with which it must end."""

    def __init__(self, case, folder, mock, second, server=None):
        self.server = server  # of S3; the lakes are its files
        self.timeout_s = 240 if server else TIMEOUT_S  # a store that does not answer is asked again, with pauses
        self.name, self.command, self.folder = case["name"], case["command"], os.path.join(folder, case["name"])
        self.good, self.damage, self.damaged = case["good"], case["damage"], case["command"][0] == "repair"
        self.once, self.answers, self.file = case["once"], case["answers"], case["file"]
        self.digests, self.outcomes = {}, {}  # of lakes, by judge.tree
        self.url, self.is_init = f"{mock.url}/{case['name']}", self.command == ["init"]  # it has no lake, but a file to write
        if self.is_init:
            self.file = "pipeline.yaml"
        self.project, self.begin = os.path.join(self.folder, "project"), os.path.join(self.folder, "begin")
        self.environment = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "SLUICE_DUCKDB",
                                                                         "LD_LIBRARY_PATH", "SLUICE_CACHE")}
        if server:
            self.environment |= {**KEYS, "AWS_ENDPOINT_URL_S3": server.url}
        pipeline = {
            "pipeline": "torture", "lake": "./lake",
            "source": {"url": mock.url, "retry": {"attempts": 3, "first": "1ms", "max": "2ms"}},
            "resources": {"things": {k: v for k, v in case["resource"]["pipeline"].items() if v != ""}},
            "environments": {"second": {"source": {"url": second.url}}},
        }
        pipeline["resources"]["things"]["path"] = "/" + self.name
        if case["contract"]:
            write(os.path.join(self.project, "contracts", "things.yaml"), case["contract"])
        for name, sql in case["models"].items():
            write(os.path.join(self.project, "models", name + ".sql"), sql)
            write(os.path.join(self.project, "contracts", name + ".yaml"), C.MODEL_CONTRACT.format(name=name))
        if case["secret"]:
            pipeline["source"]["auth"] = {"bearer": {"secret": "file:token"}}
            write(os.path.join(self.project, "token"), "not-so-secret-here\n")
            os.chmod(os.path.join(self.project, "token"), 0o600)
        write(os.path.join(self.project, "pipeline.yaml"), json.dumps(pipeline, indent=1))
        self.before = case["before"]

    def place(self, work):
        """Where a lake stands for a run that has the folder `work`."""
        return os.path.join(self.server.folder, "lakes", os.path.basename(work)) if self.server else os.path.join(work, "lake")

    def name_of(self, lake):
        """As the program is told: the URL, where it is a server's. Where the case begins is a folder in any case."""
        buckets = os.path.join(self.server.folder, "") if self.server else None
        return "s3://" + lake[len(buckets):] if buckets and lake.startswith(buckets) else lake

    def end(self, work):
        shutil.rmtree(work)
        if self.server:
            shutil.rmtree(self.place(work), ignore_errors=True)

    def call(self, program, command, lake, scratch, **environment):
        command = [word.replace("LAKE", lake).replace("BEGIN", self.begin) for word in command]
        line = [program, *command, "-f", os.path.join(self.project, "pipeline.yaml"), "--lake", self.name_of(lake)]
        if command == ["init"]:
            line = [program, "init", self.url, "-f", os.path.join(lake, "pipeline.yaml")]
        if command[0] in ("ingest", "prepare", "refine", "run"):
            line += ["--threads", "1"]
        try:
            done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=scratch, timeout=self.timeout_s,
                                  env={**self.environment, "TMPDIR": scratch, **environment})
        except subprocess.TimeoutExpired as e:
            return J.Done(line, f"no end after {self.timeout_s} s", "", (e.stderr or b"").decode("utf-8", "replace"))
        return J.Done(line, done.returncode, done.stdout.decode(), done.stderr.decode("utf-8", "replace"))

    def release(self, command, lake, scratch):
        return self.call(os.path.join(RELEASE, "sluice"), command, lake, scratch)

    def digest_of(self, lake, scratch):
        text = ""
        if self.file:
            path = os.path.join(lake, self.file)
            text = "no file\n"
            if os.path.exists(path):
                with open(path, encoding="utf-8") as f:
                    text = f.read().replace(lake, "LAKE")
        if self.is_init:
            return text
        done = self.release(["digest"], lake, scratch)
        return done.out + done.err + text

    def answer_of(self, done, lake):
        """What it printed, without what is another word in each run."""
        return done.out.replace(self.name_of(lake), "LAKE")

    def verify(self, lake, scratch):
        return J.Done(["nothing to verify"], 0, "", "") if self.is_init else self.release(["verify"], lake, scratch)

    def again(self, lake, scratch):
        if self.is_init and self.file in J.files(lake):
            return J.Done(["it is there"], 0, "", "")  # `init` replaces nothing, and what is there is compared
        return self.release(self.command, lake, scratch)

    def prepare(self, work):
        """Where it begins, what its effects are, and how it ends when nothing goes wrong."""
        scratch = os.path.join(work, "tmp")
        os.makedirs(scratch)
        os.makedirs(self.begin)
        for command in self.before + self.damage:
            status, command = command if isinstance(command[0], int) else (0, command)
            if isinstance(command, tuple):
                damage(self.begin, *command)
                continue
            done = self.release(command, self.begin, scratch)
            assert done.status == status, f"{self.name}: {done}"
        self.now_us = time.time_ns() // 1000
        lake, counted = self.place(work), os.path.join(work, "effects")
        copy(self.begin, lake)
        self.begin_tree = J.tree(self.begin)
        done = self.call(os.path.join(DEV, "sluice"), self.command, lake, scratch, SLUICE_EFFECTS=counted,
                         SLUICE_EFFECTS_NOW=str(self.now_us))
        assert done.status == self.good, f"{self.name}: {done}"
        if not os.path.exists(counted):
            sys.exit(f"torture: {DEV}/sluice does not count its effects: configure it with -DSLUICE_EFFECTS=ON")
        self.effects, self.answer = E.read(counted), self.answer_of(done, lake)
        assert self.answer.strip() or not self.answers, f"{self.name}: it answers nothing"
        self.digest = self.digest_of(lake, scratch)
        assert self.digest.strip(), f"{self.name}: a digest of nothing proves nothing"
        self.project_files = J.files(self.project)
        assert os.listdir(scratch) == [], os.listdir(scratch)
        self.end(work)

    def torture(self, spec, work):
        """One run with something wrong, and its outcome: a list of complaints, what it said, what was met."""
        lake, scratch, counted = self.place(work), *(os.path.join(work, n) for n in ("tmp", "effects"))
        os.makedirs(scratch)
        copy(self.begin, lake)
        reports = os.path.join(work, "asan")
        done = self.call(os.path.join(DEV, "sluice"), self.command, lake, scratch, SLUICE_EFFECTS=counted, SLUICE_FAIL=spec,
                         SLUICE_EFFECTS_NOW=str(self.now_us),
                         ASAN_OPTIONS=f"log_path={reports}:exitcode=99", UBSAN_OPTIONS=f"log_path={reports}:exitcode=99")
        met = E.read(counted)
        j = J.Judge(self, spec, met, done, lake, scratch)
        for name in sorted(os.listdir(work)):
            if name.startswith("asan"):
                with open(os.path.join(work, name), encoding="utf-8", errors="replace") as f:
                    found = ENDED_THREAD.sub("", f.read())
                if found.strip():
                    j.complain("a report of the sanitizers:\n" + found[:3000])
        os.makedirs(lake, exist_ok=True)  # the server takes folders away that have become empty
        j.judge()
        self.end(work)
        return j.complaints, done, met, j.looked

    def begin_is_whole(self):
        return J.tree(self.begin) == self.begin_tree


class World:
    """A folder, the mocks and the chosen cases in it; gone at the end."""

    def __init__(self, names, lake="disk"):
        known = [c["name"] for c in C.CASES]
        for name in names:
            if name not in known:
                sys.exit(f"no case {name}: {', '.join(known)}")
        self.chosen = [c for c in C.CASES if (c["name"] in names if names else c["lake"] == lake)]
        # Short, since paths stand in messages; in memory where that can be: nothing here is cut off from real power.
        base = os.environ.get("SLUICE_TORTURE_DIR") or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.folder, self.mocks, self.server = tempfile.mkdtemp(prefix="torture-", dir=base), [], None

    def __enter__(self):
        try:
            for second in (False, True):
                self.mocks.append(Mock(os.path.join(self.folder, f"mock{second}"), self.chosen, second))
            if any(c["lake"] == "s3" for c in self.chosen):
                self.server = Server(self.folder)
            self.cases = [Case(c, self.folder, *self.mocks, self.server if c["lake"] == "s3" else None) for c in self.chosen]
            for case in self.cases:
                case.prepare(os.path.join(self.folder, "setup"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for m in [*self.mocks, *([self.server] if self.server else [])]:
            m.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
