"""What is in the image, as CycloneDX 1.5 (JSON): Debian's packages, Python's, the jars inside of them, and what was pinned by
hand. Runs in the image with its own Python, while it is built:  sbom.py OUT.json   The same image gives the same bytes."""
import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from urllib.parse import quote

HERE = os.path.dirname(os.path.abspath(__file__))
LIB = os.path.join(os.path.dirname(os.path.dirname(HERE)), "lib")


def sha256(path):
    with open(path, "rb") as f:
        return [{"alg": "SHA-256", "content": hashlib.file_digest(f, "sha256").hexdigest()}]


def component(kind, name, version, purl, **more):
    found = {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl, **more}
    if not purl:
        found["bom-ref"] = f"{name}@{version}"
        del found["purl"]
    return found


def debian():
    with open("/etc/os-release", encoding="utf-8") as f:
        release = dict(re.findall(r'(?m)^(\w+)="?([^"\n]*)"?$', f.read()))
    yield component("operating-system", release["ID"], release.get("VERSION_ID", ""), "")
    form = "${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n"
    for line in subprocess.run(["dpkg-query", "-W", "-f", form], check=True, capture_output=True, text=True).stdout.splitlines():
        status, name, version, arch, source, source_version = line.split("\t")
        if status == "installed":
            yield component("library", name, version, f"pkg:deb/debian/{name}@{quote(version, safe='')}?arch={arch}&distro=debian-"
                            f"{release.get('VERSION_ID', '')}", properties=[{"name": "sluice:source", "value": f"{source} {source_version}"}])


def python():
    for d in importlib.metadata.distributions(path=[sysconfig.get_path("purelib")]):
        name = re.sub(r"[-_.]+", "-", d.metadata["Name"]).lower()
        yield component("library", name, d.version, f"pkg:pypi/{name}@{quote(d.version, safe='')}")


def jars():
    """Spark's: what Maven wrote into them says what they are; else their file's name does."""
    for at, below, names in os.walk(sysconfig.get_path("purelib")):
        below.sort()
        for n in sorted(names):
            m = re.fullmatch(r"(.+?)-(\d[\w.+-]*)\.jar", n)
            if not m:
                continue
            name, version, group = m.group(1), m.group(2), None
            with zipfile.ZipFile(os.path.join(at, n)) as z:
                for inside in z.namelist():
                    if re.fullmatch(rf"META-INF/maven/[^/]+/{re.escape(name)}/pom\.properties", inside):
                        group = inside.split("/")[2]
            purl = f"pkg:maven/{group}/{name}@{quote(version, safe='')}" if group else ""
            yield component("library", name, version, purl, hashes=sha256(os.path.join(at, n)))


def pinned():
    """tools/setup.d/downloads.txt: what the programs were built with or brought along."""
    machine = os.uname().machine
    with open(os.path.join(HERE, "downloads.txt"), encoding="utf-8") as f:
        rows = [line.split() for line in f if line.strip() and not line.startswith("#")]
    for client, of, name, version, digest in rows:
        if client == "npm" and of == machine:
            yield component("library", "duckdb", version.split("-")[0], f"pkg:npm/{quote(name)}@{version}",
                            hashes=sha256(os.path.join(LIB, "sluice", "libduckdb.so")),
                            properties=[{"name": "sluice:package-sha256", "value": digest}])


def main(out):
    version = subprocess.run(["sluice", "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    rows = {c["bom-ref"]: c for source in (debian, python, jars, pinned) for c in source()}
    bom = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
           "metadata": {"component": component("application", "sluice", version, f"pkg:generic/sluice@{version}")},
           "components": [rows[k] for k in sorted(rows)]}
    with open(out, "w", encoding="utf-8") as f:
        json.dump(bom, f, indent=1, sort_keys=True)
        f.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
