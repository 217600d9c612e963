"""What src/base/effect.h leaves in its file, and what of it is made to fail."""
import collections
import os
import struct

SITES_AT, SITE_BYTES, TEXT_BYTES, SITES_MAX, LOG_MAX = 32, 128, 104, 512, 1 << 18
Site = collections.namedtuple("Site", "place cls call")  # "src/base/file.c:43", "read", "read"


class Effects:
    """One run: its effects in their order, and which places were met."""

    def __init__(self, path):
        with open(path, "rb") as f:
            data = f.read()
        self.count, self.failed, n, _ = struct.unpack_from("4Q", data)
        assert 0 < n <= SITES_MAX, n
        self.sites, self.hits, self.fails = [], [], []
        for i in range(n):
            at = SITES_AT + i * SITE_BYTES
            text = data[at:at + TEXT_BYTES].split(b"\0")[0].decode()
            self.sites.append(Site(*text.split(" ")))
            hits, failed, _ = struct.unpack_from("3Q", data, at + TEXT_BYTES)
            self.hits.append(hits)
            self.fails.append(failed)
        at = SITES_AT + SITES_MAX * SITE_BYTES
        assert self.count <= LOG_MAX, f"{self.count} effects: more than are remembered"
        self.log = struct.unpack_from(f"{min(self.count, LOG_MAX)}H", data, at)

    def site(self, number):
        return self.sites[self.log[number - 1]]


def read(path):
    effects = Effects(path)
    os.unlink(path)
    return effects


DISK = "open,read,write,sync,close,link,rename,mkdir,unlink,list,stat,descriptor,spawn,thread,load,store"
LOSABLE = {"linkat", "rename", "renameat2", "mkdir", "mkdirat", "unlink", "unlinkat", "store_create", "store_remove",
           "store_settle", "store_writer_finish", "store_make_folder"}
SHORT = {"read", "pread", "write"}
# Of these DuckDB says why, and that decides between exit status 7 and 9.
SPEAKING = {"duckdb_open_ext", "duckdb_query", "duckdb_extract_statements", "duckdb_prepare", "duckdb_pending_prepared_streaming",
            "duckdb_execute_pending", "duckdb_fetch_chunk"}
INTERRUPTIBLE = {"read", "pread", "write", "fsync", "waitid", "wait4"}


def variants(number, site):
    """Each way in which effect `number` can go wrong: (kind, what SLUICE_FAIL says). The number of an effect differs a
    little from run to run, hence the class: nothing is answered in a way that its call never would."""
    yield "once", f"{number}"
    if site.cls in ("memory", "say", "look"):
        return
    if site.cls in ("http", "engine"):
        yield "on", f"{number}+@{site.cls}"
        if site.call in SPEAKING:
            yield "full", f"{number}:ENOSPC@engine"
            yield "memory", f"{number}:ENOMEM@engine"
        return
    yield "on", f"{number}+@{DISK}"
    if site.call in LOSABLE:
        yield "lost", f"{number}:lost@{site.cls}"
    if site.call in SHORT:
        yield "short", f"{number}:short@{site.cls}"
    if site.call in INTERRUPTIBLE:
        yield "interrupted", f"{number}:EINTR@{site.cls}"
    if site.cls in ("write", "mkdir", "link", "rename"):
        yield "full", f"{number}+:ENOSPC@write,mkdir,link,rename"
    if site.cls == "sync":
        yield "sync_on", f"{number}+@sync"
        yield "sync_full", f"{number}:ENOSPC@{site.cls}"
    if site.cls in ("open", "descriptor", "list"):
        yield "descriptors", f"{number}+:EMFILE@open,descriptor,list"
    if site.cls == "open":
        yield "refused", f"{number}:EACCES@{site.cls}"
    if site.cls == "link":
        yield "no_links", f"{number}+:EPERM@link"
        yield "neither", f"{number}+:EPERM@link,rename"


def all_variants(effects):
    """(group, number, kind, spec): a group is one place going wrong in one way."""
    for number in range(1, effects.count + 1):
        site = effects.site(number)
        for kind, spec in variants(number, site):
            group = (site.place, site.call, kind)
            yield (group + (number % 25,) if site.cls == "memory" else group), number, kind, spec
