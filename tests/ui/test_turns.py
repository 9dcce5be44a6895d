import threading
import time

import pytest

from id2head_core.errors import BusyError
from id2head_core.ui.turns import Turns, in_words


def test_first_come_first_served():
    turns, order = Turns(9), []
    with turns.ticket() as first:
        assert first.wait(0) and first.place == 0
        with turns.ticket() as second, turns.ticket() as third:
            assert (second.place, third.place, turns.waiting) == (1, 2, 2)
            assert not second.wait(0.01)
            assert str(second).startswith("One visitor is before you: about")
            assert str(third).startswith("2 visitors are before you")
    for name in ("a", "b"):
        with turns.ticket() as ticket:
            order.append((name, ticket.wait(0)))
    assert order == [("a", True), ("b", True)] and turns.waiting == 0


def test_leaving_the_line_lets_the_next_one_in_at_once():
    turns = Turns(9)
    waited = []

    def wait():
        with turns.ticket() as ticket:
            started = time.monotonic()
            assert ticket.wait(10)
            waited.append(time.monotonic() - started)

    with turns.ticket():
        thread = threading.Thread(target=wait)
        thread.start()
        while turns.waiting == 0:
            time.sleep(0.01)
    thread.join()
    assert waited[0] < 5


def test_full_line_is_refused_with_a_time():
    turns = Turns(1)
    with turns.ticket(), turns.ticket(), pytest.raises(BusyError, match="Try again in 45 seconds"):
        with turns.ticket():
            pass
    with turns.ticket() as ticket:  # nobody is left behind
        assert ticket.place == 0


def test_expected_wait_is_learned_from_complete_runs_only(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("id2head_core.ui.turns.time.monotonic", lambda: now[0])
    turns = Turns(9)
    for finished in (False, True):
        with turns.ticket() as ticket:
            now[0] += 5
            ticket.finished = finished
        assert turns.typical == pytest.approx(0.7 * 45 + 0.3 * 5 if finished else 45)
    with turns.ticket(), turns.ticket() as second, turns.ticket() as third:
        now[0] += 10
        assert second.seconds == pytest.approx(33 - 10)
        assert third.seconds == pytest.approx(2 * 33 - 10)
        now[0] += 60  # longer than usual: never a negative time
        assert second.seconds == 3


def test_expected_wait_is_what_the_run_itself_expects(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("id2head_core.ui.turns.time.monotonic", lambda: now[0])
    turns = Turns(9)
    with turns.ticket() as first, turns.ticket() as second, turns.ticket() as third:
        first.expect(90.0)
        now[0] += 10
        assert second.seconds == pytest.approx(80)
        assert third.seconds == pytest.approx(80 + 45)
        first.expect(float("inf"))
        assert second.seconds == pytest.approx(45 - 10)


@pytest.mark.parametrize(
    ("seconds", "words"), [(1, "5 seconds"), (42, "40 seconds"), (100, "2 minutes")]
)
def test_times_are_rounded(seconds, words):
    assert in_words(seconds) == words
