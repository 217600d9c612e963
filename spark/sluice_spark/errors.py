"""Errors with the codes of src/base/err.def."""

import json
import re


class JobError(Exception):
    """Ends the job. `code` is a name in src/base/err.def; the message says what failed, where and why."""

    def __init__(self, code, message, hint=""):
        super().__init__(code, message, hint)
        self.code, self.message, self.hint = code, message, hint

    def __str__(self):
        return f"{self.code}: {self.message}"

    def as_dict(self):
        error = {"code": self.code, "message": self.message}
        if self.hint:
            error["hint"] = self.hint
        return {"error": error}

    @classmethod
    def from_dict(cls, answer):
        error = answer["error"]
        return cls(error.get("code", "ENGINE"), error.get("message", ""), error.get("hint", ""))


class TaskError(Exception):
    """In a task, where another attempt may go better. Its text carries the error over Spark's stack traces."""

    MARK = "sluice-task-error:"

    def __init__(self, answer):
        super().__init__(self.MARK + json.dumps(answer["error"]) + "\n")


# A process of Spark's ended: the worker that did the task (its pipe broke), its daemon, or the executor around it.
LOST = ("Python worker exited unexpectedly", "ExecutorLostFailure", "Python worker failed to connect back", "java.io.EOFException",
        "Connection reset", "Broken pipe", "Executor heartbeat timed out", "SparkContext was shut down")


def stopped_at_start(failure, master):
    """Where no master answers, Spark ends its context and stumbles over that a minute later. None: something else failed."""
    text = str(failure)
    if "stopped SparkContext" in text or "masters are unresponsive" in text or "SparkContext was shut down" in text:
        return JobError("ENGINE", f"Spark was stopped while it started: the master {master} did not answer, or it ended the application",
                        "is engine.spark.master right, does a Spark of this version run there, and may this machine reach it?")
    return None


# Of Python's OSError, and of Java's words for the same.
NO_ROOM = re.compile(r"\[Errno (5|23|24|28|30|122)\]|No space left on device|Disk quota exceeded|Read-only file system|Too many open files")
# Java unpacks its compressors' libraries into a folder, and may not load them from there: with docker's --tmpfs, for one.
NO_EXEC = re.compile(r"UnsatisfiedLinkError|failed to map segment|Could not initialize class (com\.github\.luben\.zstd|org\.xerial\.snappy)")
# Hints of Spark's that sluice refuses.
NOT_HERE = re.compile(r'\s*If necessary set "?spark\.sql\.[\w.]+"? to [^.]*\.')


def _cause(text):
    """The line of a stack trace that says what it was."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # Of a Python exception in a task the last line says what it was.
    said = (next((line for line in lines if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Warning)(:|$)", line)
                  and not line.startswith(("org.", "java.", "py4j."))), None)
            or next((m.group(0) for m in (re.search(r"\[[A-Z][A-Z0-9_.]+\] .*", line) for line in lines) if m), None)
            or next((line for line in lines if "Job aborted" in line or "Exception" in line), None)
            or (lines[0] if lines else "no reason"))
    said = re.sub(r"^.*most recent failure: [^)]*\)[^:]*: ", "", said)
    return NOT_HERE.sub("", said.lstrip(": "))[:1500]


def from_spark(failure):
    """What ended a Spark job: the error that a task told, or that executors were lost."""
    text = str(failure)
    at = text.rfind(TaskError.MARK)
    if at >= 0:
        try:
            error, _ = json.JSONDecoder().raw_decode(text[at + len(TaskError.MARK):])
            return JobError.from_dict({"error": error})
        except ValueError:
            pass
    said = _cause(text)
    if "OutOfMemoryError" in text or re.match(r"(pyarrow\.lib\.Arrow)?MemoryError", said) or "Container killed" in text and "memory" in text:
        return JobError("MEMORY", f"Spark: {said}", "give it more memory (engine.memory where it runs on this machine; else "
                        "spark.executor.memory, spark.executor.memoryOverhead), or make files smaller")
    if NO_EXEC.search(text):
        return JobError("ENGINE", f"Spark: {said}", "its JVM may not load what it unpacks: let TMPDIR (on a cluster -Djava.io.tmpdir= in "
                        "spark.executor.extraJavaOptions) name a folder that is not mounted noexec (docker run --tmpfs /tmp:exec)")
    if NO_ROOM.search(text):
        return JobError("STORAGE", f"Spark: {said}", "make room where it works ($TMPDIR, or spark.local.dir) and where the lake is; "
                        "then the same command again")
    if any(sign in text for sign in LOST):
        return JobError("ENGINE_FAULT", f"Spark lost an executor too often: {said}")
    return JobError("ENGINE", f"Spark: {said}")
