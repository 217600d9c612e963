"""The zip of a Lambda function: the same bytes for the same files (sorted names, one time, plain rights), written by zipfile.

    lambda_zip.py OUT.zip BOOTSTRAP DEPS [PIPELINE_FOLDER...]        prints size, SHA-256 and name
    lambda_zip.py --into FOLDER [PIPELINE_FOLDER...]                 the pipelines only, as files: for an image
"""
import hashlib
import os
import re
import shutil
import sys
import zipfile

TIME = (1980, 1, 1, 0, 0, 0)
OF_A_PIPELINE = re.compile(r"pipeline\.yaml|(contracts|models)/[A-Za-z0-9_.-]+\.(ya?ml|sql|py)")


def files_below(folder):
    for at, below, names in os.walk(folder):
        below.sort()
        for n in sorted(names):
            path = os.path.join(at, n)
            yield os.path.relpath(path, folder).replace(os.sep, "/"), path


def name_of(folder):
    with open(os.path.join(folder, "pipeline.yaml"), encoding="utf-8") as f:
        m = re.search(r"(?m)^[\"{ ]*pipeline\"?: *\"?([a-z][a-z0-9_]*)", f.read())
    if not m:
        sys.exit(f"{folder}/pipeline.yaml: no line `pipeline: <name>`")
    return m.group(1)


def pipelines_of(folders):
    """Only what sluice reads: a lake, or a secret that lies beside it, is not for a package."""
    return {f"pipelines/{name_of(folder)}/{name}": path for folder in folders for name, path in files_below(folder) if OF_A_PIPELINE.fullmatch(name)}


def copy(out, *folders):
    os.makedirs(os.path.join(out, "pipelines"), exist_ok=True)
    for name, path in pipelines_of(folders).items():
        os.makedirs(os.path.dirname(os.path.join(out, name)), exist_ok=True)
        shutil.copyfile(path, os.path.join(out, name))


def main(out, bootstrap, deps, *folders):
    members = {"bootstrap": bootstrap, "ca-bundle.crt": os.path.join(deps, "ca-bundle.crt"), **pipelines_of(folders)}
    for name, path in files_below(os.path.join(deps, "zoneinfo")):
        members["zoneinfo/" + name] = path
    with zipfile.ZipFile(out + ".new", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, TIME)
            info.create_system = 3
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o100755 if name == "bootstrap" else 0o100644) << 16
            with open(members[name], "rb") as f:
                z.writestr(info, f.read(), compresslevel=9)
    os.replace(out + ".new", out)
    with open(out, "rb") as f:
        data = f.read()
    print(f"{len(data):>9,} bytes  {hashlib.sha256(data).hexdigest()}  {out}")


if __name__ == "__main__":
    copy(*sys.argv[2:]) if sys.argv[1] == "--into" else main(*sys.argv[1:])
