"""What must hold after a run in which something failed."""
import errno
import hashlib
import json
import os
import re

import effects as E

# What a run may end with, by the class of what failed. 0 where the failure was one that is got over; then everything must
# be as if nothing had happened. Never 1, never a signal.
STATUSES = {
    "memory": {0, 7},
    "http": {0, 3},
    "engine": {0, 9},
    "load": {0, 9},
    "spawn": {0, 7, 9},
    "wait": {0, 9},
    "thread": {0, 7},
    "say": {0},
    "look": {0},
}
STORAGE = {0, 7}
ENGINE_WORDS = {
    "": {"INTERNAL Error: Attempted", "DuckDB gives no", "is refused", "DuckDB refuses it"},
    "ENOSPC": {"No space left on device"},
    "ENOMEM": {"Out of Memory Error"},
}
# Places whose failure may say something else, and why.
SPECIAL = {
}


# What stands in a lake: spec/lake.md.
KNOWN = (r"raw/torture/things/(grid/\d+\.json|\w+/g\d+/(ledger/\d{20}\.json|segments/\d+-[0-9a-f]{64}\.warc\.gz))$|"
         r"(prepare|quarantine|refine)/torture/\w+/(_delta_log/(\d{20}\.(json|checkpoint\.parquet)|_last_checkpoint|"
         r"_repair\.\d{20}\.json)|damaged/[\w-]+/\d{20}\.json|state/\d+\.json|"
         r"data/[0-9a-f]{16}-[0-9a-f]{12}/[\d.]+\.parquet)$|runs/torture/")

TEMPORARY = r"\.sluice-\w{6}|.*\.\d+\.tmp"  # beside a file that is not of the lake


class Done:
    def __init__(self, line, status, out, err):
        self.line, self.status, self.out, self.err = line, status, out, err

    def __str__(self):
        return f"{' '.join(self.line)}\nexit {self.status}\n--- stdout\n{self.out[-3000:]}\n--- stderr\n{self.err[-4000:]}"


def files(folder):
    found = {}
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, folder)] = hashlib.sha256(f.read()).hexdigest()
    return found


def without_words(record):
    """A run record without what differs from run to run and is read by people only: durations, memory, words of errors."""
    def clean(x):
        if isinstance(x, dict):
            return {k: clean(v) for k, v in x.items() if not k.endswith("_us") and k not in ("error", "peak_rss_engine_bytes")}
        return [clean(v) for v in x] if isinstance(x, list) else x
    try:
        return json.dumps(clean(json.loads(record))).encode()
    except ValueError:
        return record


def tree(lake):
    """What stands in a lake, as one hash: names, folders and bytes. Temporary files count without their random names."""
    lines = []
    for where, folders, names in os.walk(lake):
        below = os.path.relpath(where, lake)
        lines += [f"{below}/{name}/" for name in folders]
        for name in names:
            with open(os.path.join(where, name), "rb") as f:
                data = f.read()
            if below.startswith("runs"):
                data = without_words(data)
            lines.append(f"{below}/{'' if below == '.tmp' else name} {hashlib.sha256(data).hexdigest()}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


class Judge:
    def __init__(self, case, spec, met, done, lake, scratch):
        self.case, self.met, self.done, self.lake, self.scratch = case, met, done, lake, scratch
        self.complaints, self.looked = [], False
        self.failed = [s for s, n in zip(met.sites, met.fails) if n]
        m = re.fullmatch(r"(\d+)(\+?)(?::(\w+))?(?:@(.*))?", spec)
        self.all_after, self.how = bool(m.group(2)), m.group(3) or ""

    def complain(self, text):
        self.complaints.append(text)

    def judge(self):
        if not isinstance(self.done.status, int) or self.done.status < 0:
            self.complain(f"ended by {self.done.status}\n{self.done.err[-2000:]}")
        else:
            self.judge_status()
            self.judge_words()
        self.judge_left_over()
        self.judge_lake()

    def allowed(self):
        if not self.failed:  # the count differs a little from run to run: nothing of that kind was there
            return {self.case.good}
        allowed = set()
        for site in self.failed:
            allowed |= SPECIAL.get((site.place.split(":")[0], site.call), STATUSES.get(site.cls, STORAGE))
        if self.case.server and any(s.cls == "http" for s in self.failed):  # of the API or of the store
            allowed |= {7}
        if self.engine_says():  # of a disk, of memory
            allowed = {0, 7}
        # An object that the disk does not give back is a finding; that the engine fails says nothing of the lake.
        if self.case.command[0] in ("verify", "repair") and {s.cls for s in self.failed} != {"engine"}:
            allowed |= {8}
        if self.how == "EACCES":  # of a file of the user: a mistake, not trouble; of the program: the engine's end
            allowed |= {2, 9}
        return {self.case.good if status == 0 else status for status in allowed}

    def engine_says(self):
        engine = {s.call for s in self.failed if s.cls == "engine"}
        return self.how.startswith("E") and engine and engine <= E.SPEAKING

    def judge_status(self):
        status, allowed = self.done.status, self.allowed()
        if status not in allowed:
            what = ", ".join(sorted({f"{s.cls} {s.call} at {s.place}" for s in self.failed})[:4])
            self.complain(f"exit status {status}, not one of {sorted(allowed)}, after {what}\n{self.done.err[-1500:]}")
        if self.case.answers and status == self.case.good:
            self.judge_answer()
        met = {s.call for s in self.failed}  # the count may differ from run to run, and so what was met
        if status != self.case.good and (self.how == "short" or self.how == "EINTR" and met <= E.INTERRUPTIBLE):
            self.complain(f"exit status {status}, though {self.how} is no failure\n{self.done.err[-1500:]}")

    def judge_answer(self):
        """The whole, or less with the reason in it: `verify` without an engine, a secret that `check` may not read."""
        said = self.case.answer_of(self.done, self.lake)
        if said != self.case.answer and not any(c in said and c not in self.case.answer for c in self.causes()):
            self.complain(f"exit status {self.done.status}, and what it said is not the whole:\n{said}wanted\n{self.case.answer}")

    def causes(self):
        names = {getattr(errno, self.how)} if self.how.startswith("E") else set()
        causes = {os.strerror(n) for n in names or self.usual_errors()}
        if any(s.cls == "http" for s in self.failed):
            causes |= {"connection reset", "Could not connect", "Couldn't connect", "Failed to connect"}
        if any(s.cls == "wait" for s in self.failed):
            causes |= {"how it ended is not known"}
        if any(s.cls == "engine" for s in self.failed):
            causes = ENGINE_WORDS[self.how if self.engine_says() else ""]
        if any(s.cls == "load" for s in self.failed):
            causes |= {"cannot be loaded"}
        return causes

    def judge_words(self):
        """What failed, where, why; and what to do."""
        status, err = self.done.status, self.done.err
        if self.case.command[0] in ("verify", "check", "repair") and status in (2, 7, 8):
            err += self.done.out  # findings are what was asked for
        said = any(s.cls == "say" for s in self.failed)
        if status == self.case.good or said:
            return
        if not err.strip():
            self.complain(f"exit status {status} without a word")
            return
        if status == 7 and any(s.cls == "memory" for s in self.failed):
            if "out of memory" not in err:
                self.complain("memory ran out, but that is not what it said: " + err)
            return
        causes = self.causes()
        if not any(c in err for c in causes):
            self.complain(f"none of {sorted(causes)} in what it said:\n{err}")
        if "mistake in sluice" in err:
            self.complain("says that it is our mistake:\n" + err)
        if not re.search(r"/|\.yaml|things|standard output|engine|DuckDB|SQL|model ", err):
            self.complain("names no object:\n" + err)
        if len(err.strip().split("\n")) < 2:
            self.complain("does not say what to do:\n" + err)

    def usual_errors(self):
        usual = {"open": errno.EMFILE, "write": errno.ENOSPC, "mkdir": errno.ENOSPC, "descriptor": errno.EMFILE,
                 "spawn": errno.EAGAIN, "thread": errno.EAGAIN, "wait": errno.ECHILD, "http": errno.ECONNRESET, "memory": errno.ENOMEM}
        return {usual.get(s.cls, errno.EIO) for s in self.failed}

    def judge_left_over(self):
        """Nothing in the scratch folder or the project; in the lake only what spec/lake.md knows."""
        if files(self.case.project) != self.case.project_files:
            self.complain("the project's files have changed")
        died = any(s.cls == "memory" for s in self.failed) and self.done.status == 7
        died = died or any(s.cls == "wait" for s in self.failed)  # the child is killed; the next scratch folder sweeps its own
        cleaning = any(s.cls in ("unlink", "list", "open", *(["http", "descriptor"] if self.case.server else [])) for s in self.failed)
        left = sorted(os.listdir(self.scratch))
        if left and not died and not cleaning and not self.all_after:
            self.complain(f"left behind in TMPDIR: {left}")
        for where, folders, names in os.walk(self.lake):
            for name in names:
                path = os.path.relpath(os.path.join(where, name), self.lake)
                temporary = path.startswith(".tmp/") or (self.case.file and re.fullmatch(TEMPORARY, name))
                if not temporary and path != self.case.file and (self.case.is_init or not re.match(KNOWN, path)):
                    self.complain(f"a file that no rule knows: {path}")
                if temporary and not died and not cleaning and not self.all_after:
                    self.complain(f"left behind: {path}")

    def judge_lake(self):
        """What comes after depends on the lake alone, and so on whatever lakes were the same: each is looked at once."""
        c = self.case
        key = tree(self.lake)
        scratch = os.path.join(self.scratch, "after")
        os.makedirs(scratch)
        if self.done.status == c.good:
            if key not in c.digests:
                c.digests[key] = c.digest_of(self.lake, scratch)
            if c.digests[key] != c.digest:
                self.complain(f"exit status {c.good}, but the lake is not as it should be:\n{c.digests[key]}")
        if key not in c.outcomes:
            c.outcomes[key] = self.come_after(scratch)
            self.looked = True
        self.complaints += c.outcomes[key]

    def has_anything(self):
        return bool(files(self.lake)) if self.case.server else bool(os.listdir(self.lake))

    def come_after(self, scratch):
        """The complaints of whoever comes next."""
        c, wrong = self.case, []
        found = c.verify(self.lake, scratch)
        if found.status != 0 and not (found.status == 6 and not self.has_anything()) and not (found.status == 8 and c.damaged):
            wrong.append(f"verify: {found}")
        again = c.again(self.lake, scratch)
        if again.status != c.good and not (c.once and again.status == 2 and c.once in again.err):
            wrong.append(f"the next run fails: {again}")
        now = c.digest_of(self.lake, scratch)
        if now != c.digest:
            wrong.append(f"after the next run the digest is another one:\n{now}wanted\n{c.digest}")
        found = c.verify(self.lake, scratch)
        if found.status != 0:
            wrong.append(f"verify after the next run: {found}")
        return wrong
