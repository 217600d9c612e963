"""A standalone cluster of Spark on loopback: a master and workers as processes of ours, each worker on an address of its own,
since Spark repeats a slow task on another host only."""
import os
import re
import signal
import subprocess
import sys
import threading

START_S = 60


def children(pid, word):
    """Processes right below it whose command line has the word."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8") as f:
                above = int(f.read().rsplit(")", 1)[1].split()[1])
            with open(f"/proc/{entry}/cmdline", encoding="utf-8") as f:
                if entry.isdigit() and above == pid and word in f.read():
                    found.append(int(entry))
        except (OSError, ValueError, UnicodeDecodeError):
            pass
    return found


class Daemon:
    """spark-class NAME ...; what it says is read until a line fits."""

    def __init__(self, home, address, name, *arguments):
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR", "JAVA_HOME")}
        env.update(SPARK_LOCAL_IP=address, SPARK_DAEMON_MEMORY="256m", SPARK_HOME=home, PYSPARK_PYTHON=sys.executable,
                   SPARK_DAEMON_JAVA_OPTS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1")
        self.process = subprocess.Popen([os.path.join(home, "bin", "spark-class"), "org.apache.spark.deploy." + name, "--host",
                                         address, "--port", "0", "--webui-port", "0", *arguments], env=env, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.said, self.changed = [], threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.said.append(line)
                self.changed.notify_all()
        with self.changed:
            self.said.append(None)
            self.changed.notify_all()

    def heard(self, pattern):
        for line in self.said:
            m = re.search(pattern, line or "")
            if m:
                return m
        return None

    def wait(self, pattern):
        with self.changed:
            self.changed.wait_for(lambda: self.heard(pattern) or None in self.said, START_S)
            m = self.heard(pattern)
            assert m, "".join(line for line in self.said if line)[-3000:]
            return m

    def executors(self):
        return children(self.process.pid, "CoarseGrainedExecutorBackend")

    def end(self):
        for pid in [*self.executors(), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(20)
        self.reader.join(20)
        self.process.stdout.close()


class Cluster:
    def __init__(self, folder):
        import pyspark
        self.home, self.folder = os.path.dirname(pyspark.__file__), str(folder)
        self.master = Daemon(self.home, "127.0.0.1", "master.Master")
        self.url = self.master.wait(r"Starting Spark master at (spark://\S+)").group(1)
        self.workers = {}

    def worker(self, address, wait=True):
        """A new one there."""
        made = Daemon(self.home, address, "worker.Worker", "--cores", "1", "--memory", "700m", "--work-dir",
                      os.path.join(self.folder, address), self.url)
        self.workers[address] = made
        if wait:
            made.wait("Successfully registered with master")
        return made

    def end(self):
        for daemon in [*self.workers.values(), self.master]:
            daemon.end()
