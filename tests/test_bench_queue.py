"""The bench of the queue, on the app with a pipeline that needs no weights."""

import re

import pytest

from id2head_core import bench_queue
from id2head_core.errors import ID2HeadError

STUB = ("-m", "tests.browser.stub_app")


@pytest.mark.slow
def test_visitors_are_served_one_after_the_other(monkeypatch):
    monkeypatch.setattr(bench_queue, "VISITORS", 3)
    lines = []
    bench_queue.bench_queue(lines.append, STUB)
    values = {line[:44].strip(): float(line[44:].split()[0]) for line in lines}
    assert len(lines) == 5
    assert values["last head finished after"] > values["first head finished after"] + 2.0
    assert 0.9 < values["a head every"]  # the stub's steps take 1.4 s
    assert values["page meanwhile, median"] > 0


@pytest.mark.slow
def test_visitors_who_are_turned_away_are_counted(monkeypatch):
    monkeypatch.setattr(bench_queue, "VISITORS", 3)
    lines = []
    bench_queue.bench_queue(lines.append, (*STUB, "--max-queue", "0"))
    assert re.match(r"2 of 3 visitors got no head: 0 visitors are waiting already", lines[0])


def test_app_that_does_not_start_is_an_error():
    with pytest.raises(ID2HeadError, match="unrecognized arguments: --nonsense"):
        bench_queue.bench_queue(str, (*STUB, "--nonsense"))
