"""Fixtures of the tests that need lakes. A module takes them with `pytest_plugins = ["lake_fixtures"]`."""
import os
import re
import shutil
import time

import pytest

import lake as L

YEAR = ("--from", "2013-01-01", "--to", "2014-01-01")
MONTH = ("--from", "2013-01-01", "--to", "2013-02-01")


class Year:
    """All of 2013 through the release programs, once; 2 % of the requests meet a fault."""


@pytest.fixture(scope="session")
def year(tmp_path_factory):
    folder = tmp_path_factory.mktemp("year")
    y = Year()
    y.mock = L.Mock(folder, L.example_mock(percent=2), L.FLIGHTS)
    y.project = L.example_project(os.path.join(folder, "flights"), y.mock.url)
    started = time.monotonic()
    y.done = y.project.sluice("run", *YEAR)
    y.took_s = time.monotonic() - started
    y.stats, y.requests = y.mock.stats(), y.mock.requests(limit=100000)
    y.lake, y.name = y.project.lake, y.project.name
    y.record = y.project.records()[-1]
    y.files = L.snapshot(y.lake)
    yield y
    assert y.mock.stop() == 0


def small_pages(text):
    """Many pages and segments in little data."""
    text, n = re.subn(r"limit: *\d+", "limit: 150", text)
    assert n >= 1, "the example's flights no longer say how many rows a page has"
    return re.sub(r"(?m)^( +)(path: */\w+)", r"\1segment: {pages: 2}\n\1\2", text)


@pytest.fixture(scope="session")
def calm(tmp_path_factory):
    """The demo's API without limit and faults."""
    m = L.Mock(tmp_path_factory.mktemp("calm"), L.example_mock(), L.FLIGHTS)
    yield m
    assert m.stop() == 0


@pytest.fixture(scope="session")
def month(tmp_path_factory, calm):
    """January, undisturbed, in small pages: a project with .undisturbed, its digest."""
    folder = tmp_path_factory.mktemp("month")
    p = L.example_project(os.path.join(folder, "flights"), calm.url, small_pages)
    p.sluice("run", *MONTH)
    p.undisturbed = p.digest()
    return p


@pytest.fixture
def month_copy(month, tmp_path):
    """A lake of one's own to break."""
    shutil.copytree(month.lake, tmp_path / "lake", symlinks=True)
    p = month.on(tmp_path / "lake")
    p.undisturbed = month.undisturbed
    return p
