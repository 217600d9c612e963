"""A disk that forgets what was not made durable.

Fed with the trace of src/base/effect_trace.c it knows two states: what a process sees (the cache), and what is there
when the power comes back. Its rules are those of POSIX and no better, whatever file systems do today:

  - the content of a file is durable as it was at its last fsync; what was written since is there, or is not, or in part,
    or as zeros or as anything at all;
  - a name is durable once the folder that holds it was fsynced: a new file's, a new folder's, a link's, and that a name
    is gone. fsync of a file says nothing about its name;
  - of what is not durable any part may have reached the disk, in any order."""
import os
import random


class Node:
    def __init__(self, is_folder):
        self.is_folder = is_folder
        self.seen, self.kept = (({}, {}) if is_folder else (b"", None))  # names to nodes; or bytes, None: nothing yet


class Disk:
    def __init__(self, root):
        """All that lies under `root` now is durable."""
        self.root, self.nodes = os.path.realpath(root), {}
        self.top = self.add(self.root)

    def add(self, path):
        info = os.lstat(path)
        node = self.nodes.get(info.st_ino)
        if node:
            return node
        node = self.nodes[info.st_ino] = Node(os.path.isdir(path))
        if node.is_folder:
            for name in os.listdir(path):
                node.seen[name] = self.add(os.path.join(path, name))
            node.kept = dict(node.seen)
        else:
            with open(path, "rb") as f:
                node.seen = node.kept = f.read()
        return node

    # ── the trace ──

    def parent(self, path):
        """The folder of a path, as it is seen, and the last part; None outside of the disk."""
        if not path.startswith(self.root + "/"):
            return None, ""
        *folders, name = path[len(self.root) + 1:].split("/")
        node = self.top
        for part in folders:
            node = node.seen.get(part)
            if node is None or not node.is_folder:
                return None, ""
        return node, name

    def concerns(self, line):
        return self.root + "/" in line or line.startswith("settle") and line.split("\t")[2] == self.root \
            or line.startswith("write") and int(line.split("\t")[1]) in self.nodes

    def apply(self, line):
        what, *fields = line.rstrip("\n").split("\t")
        getattr(self, "do_" + what)(*fields)

    def enter(self, inode, path, is_folder):
        folder, name = self.parent(path)
        if folder is not None:
            folder.seen[name] = self.nodes[int(inode)] = Node(is_folder)

    def do_create(self, inode, path):
        self.enter(inode, path, False)

    def do_folder(self, inode, path):
        self.enter(inode, path, True)

    def do_write(self, inode, offset, content):
        node, at, data = self.nodes.get(int(inode)), int(offset), bytes.fromhex(content)
        if node:
            node.seen = node.seen[:at].ljust(at, b"\0") + data + node.seen[at + len(data):]

    def do_link(self, old, new):
        folder, name = self.parent(old)
        to, new_name = self.parent(new)
        if folder is not None and to is not None:
            to.seen[new_name] = folder.seen[name]

    def do_rename(self, old, new):
        self.do_link(old, new)
        self.do_remove(old)

    def do_remove(self, path):
        folder, name = self.parent(path)
        if folder is not None:
            folder.seen.pop(name, None)

    def do_sync(self, inode, path, content):
        """The file may be one that a library wrote, and met here for the first time."""
        folder, name = self.parent(path)
        node = self.nodes.get(int(inode))
        if node is None:
            node = self.nodes[int(inode)] = Node(False)
        if folder is not None and name not in folder.seen and not path.endswith(" (deleted)"):
            folder.seen[name] = node
        node.seen = node.kept = bytes.fromhex(content)

    def do_settle(self, inode, path, entries):
        node = self.nodes.get(int(inode))
        if node is None:
            return
        node.kept = {}
        for entry in entries.rstrip("/").split("/") if entries else []:
            number, name = entry.split(":", 1)
            child = self.nodes.get(int(number))
            if child is None:  # somebody's whom the trace has not met: its name is durable, its bytes are not
                child = self.nodes[int(number)] = Node(False)
                node.seen.setdefault(name, child)
            node.kept[name] = child

    # ── the power ──

    def write_seen(self, folder):
        """As a process sees it that comes after one that was killed."""
        self.write(folder, lambda node: node.seen)

    def write_kept(self, folder, seed=None):
        """As the disk is after a cut: nothing but what is durable; with a seed, and some of the rest."""
        rng = random.Random(seed) if seed is not None else None

        def content(node):
            if node.is_folder:
                if rng is None:
                    return node.kept
                names = dict(node.kept)
                for name in sorted(set(node.seen) | set(node.kept)):
                    if node.seen.get(name) is not node.kept.get(name) and rng.random() < 0.5:
                        if name in node.seen:
                            names[name] = node.seen[name]
                        else:
                            del names[name]
                return names
            if node.kept is not None and node.kept == node.seen:
                return node.kept
            old, new = node.kept or b"", node.seen
            if rng is None:
                return old
            at = rng.randrange(len(new) + 1)
            return rng.choice([old, new, new[:at], new[:at].ljust(len(new), b"\0"), bytes(len(new)),
                               new[:at] + rng.randbytes(len(new) - at)])

        self.write(folder, content)

    def write(self, folder, content):
        written, todo = {}, [(folder, self.top)]
        while todo:
            path, node = todo.pop()
            if id(node) in written and not node.is_folder:
                os.link(written[id(node)], path)
            elif node.is_folder:
                if id(node) in written:
                    continue  # a folder that was moved: it has one name only
                os.makedirs(path, exist_ok=True)
                todo += [(os.path.join(path, name), child) for name, child in sorted(content(node).items())]
            else:
                with open(path, "wb") as f:
                    f.write(content(node))
            written[id(node)] = path

    def moved_to(self, folder):
        """The same disk, seen state written to `folder`, of which the next trace will speak."""
        self.write_seen(folder)
        other = Disk.__new__(Disk)
        other.root, other.nodes, other.top = os.path.realpath(folder), {}, self.top
        todo = [(other.root, self.top)]
        while todo:
            path, node = todo.pop()
            other.nodes[os.lstat(path).st_ino] = node
            if node.is_folder:
                todo += [(os.path.join(path, name), child) for name, child in node.seen.items()]
        return other
