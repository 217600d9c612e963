"""A wheel (PEP 427) with a shared library: the same bytes for the same files.

    wheel_zip.py PROJECT LIBRARY PLATFORM OUT_FOLDER        prints size, SHA-256 and path

PROJECT has pyproject.toml and the package beside it; what the metadata needs is read from there, without a build tool."""
import base64
import hashlib
import os
import sys
import tomllib
import zipfile

TIME = (1980, 1, 1, 0, 0, 0)


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def metadata(project):
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project['version']}",
             f"Summary: {project['description']}", f"Requires-Python: {project['requires-python']}"]
    return "\n".join(lines + [f"Requires-Dist: {d}" for d in project["dependencies"]]) + "\n"


def main(folder, library, platform, out):
    with open(os.path.join(folder, "pyproject.toml"), "rb") as f:
        project = tomllib.load(f)["project"]
    package = project["name"].replace("-", "_")
    tag, info = f"py3-none-{platform}", f"{package}-{project['version']}.dist-info"
    members = {}
    for name in os.listdir(os.path.join(folder, package)):
        if name.endswith(".py"):
            with open(os.path.join(folder, package, name), "rb") as f:
                members[f"{package}/{name}"] = f.read()
    with open(library, "rb") as f:
        members[f"{package}/libsluice.so"] = f.read()
    members[f"{info}/METADATA"] = metadata(project).encode()
    members[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: sluice\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
    members[f"{info}/entry_points.txt"] = "".join(
        ["[console_scripts]\n"] + [f"{k} = {v}\n" for k, v in project["scripts"].items()]).encode()
    record = [f"{name},sha256={digest(data)},{len(data)}" for name, data in sorted(members.items())]
    members[f"{info}/RECORD"] = "\n".join(record + [f"{info}/RECORD,,"]).encode() + b"\n"
    path = os.path.join(out, f"{package}-{project['version']}-{tag}.whl")
    with zipfile.ZipFile(path + ".new", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for name in sorted(members, key=lambda n: (".dist-info/" in n, n)):  # metadata last
            member = zipfile.ZipInfo(name, TIME)
            member.create_system = 3
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = (0o100755 if name.endswith(".so") else 0o100644) << 16
            z.writestr(member, members[name], compresslevel=9)
    os.replace(path + ".new", path)
    with open(path, "rb") as f:
        data = f.read()
    print(f"{len(data):>9,} bytes  {hashlib.sha256(data).hexdigest()}  {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
