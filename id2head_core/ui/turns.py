"""Whose turn it is: one head is made at a time, the others wait in line and know their place."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import BusyError

FIRST_GUESS = 45.0
"""Seconds of a run, before the first has been measured."""

MEMORY = 0.7
"""Share of the earlier estimate of a run's duration that a finished run leaves unchanged."""


class Turns:
    """A first-come line with a longest length; thread-safe.

    Args:
        limit: visitors who may wait besides the one whose head is being made.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.typical = FIRST_GUESS
        self._line: list[Ticket] = []
        self._changed = threading.Condition()

    @contextmanager
    def ticket(self) -> Iterator["Ticket"]:
        """Stand in line until the block ends, however it ends.

        Raises:
            BusyError: the line is full.
        """
        ticket = Ticket(self)
        with self._changed:
            if len(self._line) > self.limit:
                raise BusyError(
                    f"{self.limit} visitors are waiting already. Try again in "
                    f"{in_words(self.typical)}."
                )
            self._line.append(ticket)
            self._start_first()
        try:
            yield ticket
        finally:
            with self._changed:
                self._line.remove(ticket)
                if ticket.finished and ticket.started is not None:
                    seconds = time.monotonic() - ticket.started
                    self.typical = MEMORY * self.typical + (1 - MEMORY) * seconds
                self._start_first()
                self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """How many wait besides the one whose turn it is."""
        with self._changed:
            return max(0, len(self._line) - 1)

    def _start_first(self) -> None:
        if self._line and self._line[0].started is None:
            self._line[0].started = time.monotonic()


class Ticket:
    """One visitor's place in the line.

    Attributes:
        started: monotonic time at which its turn came, or None.
        ends: monotonic time at which its run should be over, or None while nothing is known.
        finished: set by the holder after a complete run, whose duration then counts.
    """

    def __init__(self, turns: Turns):
        self._turns = turns
        self.started: float | None = None
        self.ends: float | None = None
        self.finished = False

    @property
    def place(self) -> int:
        """How many are served before; 0 = it is this one's turn."""
        with self._turns._changed:
            return self._turns._line.index(self)

    def expect(self, seconds_left: float | None) -> None:
        """Tell those who wait how long this one's run still takes; None or infinite: unknown."""
        known = seconds_left is not None and math.isfinite(seconds_left)
        self.ends = time.monotonic() + seconds_left if known else None

    @property
    def seconds(self) -> float:
        """Expected wait: what the first still takes, and whole runs of the others before."""
        now = time.monotonic()
        with self._turns._changed:
            line = self._turns._line
            place, first = line.index(self), line[0]
        typical = self._turns.typical - (now - (first.started or 0.0))
        left = typical if first.ends is None else first.ends - now
        return (max(left, 3.0) if place else 0.0) + max(0, place - 1) * self._turns.typical

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; returns whether it is this one's turn."""
        with self._turns._changed:
            mine = self._turns._line[0] is self
            return mine or self._turns._changed.wait_for(
                lambda: self._turns._line[0] is self, seconds
            )

    def __str__(self) -> str:
        """A line for the visitor."""
        before = self.place
        who = "One visitor is" if before == 1 else f"{before} visitors are"
        return f"{who} before you: about {in_words(self.seconds)}."


def in_words(seconds: float) -> str:
    """Rounded duration, such as "20 seconds" or "3 minutes"."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} seconds"
    return f"{round(seconds / 60)} minutes"
