"""Every kind of damage to every kind of object: `verify` finds it, or the case says why nobody could. A sample by default;
SLUICE_MUTATIONS=all (or `test/mutation`) does them all. The cases: test/case/verify/damage.txt."""
import os
import random
import shutil

import pytest

import damage as D
import lake as L

pytest_plugins = ["whole_lake"]
SAMPLE = 2  # of each line of the cases
WHOLE = os.environ.get("SLUICE_MUTATIONS") == "all"
CASES = list(D.cases())


def check(p, words, change, wanted, *options):
    done = p.sluice("verify", *options, status=(0, 8))
    if wanted == "any":
        return done.status == 8
    assert done.status == (8 if wanted == "found" else 0), f"{words}: {wanted} with {options}\n{done!r}"
    if wanted == "found":
        assert any(D.named(key, done.out) for key in change), f"{words}: no line names it\n{done!r}"
        assert all("; to do: " in line for line in done.out.splitlines()[:-2] if "/" in line), repr(done)
    return done.status == 8


@pytest.fixture(scope="module")
def lake(whole, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mutation") / "lake"
    shutil.copytree(whole.lake, folder, symlinks=True)
    return whole.on(folder)


@pytest.mark.parametrize("kind,damage,full,fast,why", CASES, ids=lambda v: None if " " in v else v[:30])
def test_damage(lake, kind, damage, full, fast, why):
    excepted = {f for k, d, _, _, _ in CASES if k == kind and d.startswith("flip:") for f in d[5:].split(",")}
    todo = list(D.damages(lake, kind, damage, D.objects(lake)[kind], excepted))
    assert todo, "no object has such a place"
    if not WHOLE:
        todo = random.Random(f"{kind} {damage}").sample(todo, min(SAMPLE, len(todo)))
    for words, change in todo:
        with D.Damaged(lake, change):
            check(lake, words, change, full)
            check(lake, words, change, fast, "--fast")


def test_nothing_is_left_of_it(lake):
    lake.sluice("verify")
    assert lake.digest() == lake.sluice("digest").out
