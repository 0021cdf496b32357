"""Signals: Ctrl-C, SIGTERM and SIGHUP end a command in order, and what was learned is kept."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fastgd.starting import SIGNALS, end, words_for

__all__ = ["Ending", "ending"]

#: What comes within so many seconds of the last signal is the same wish, told twice: a terminal
#: that closes tells of it twice. A second Ctrl-C is somebody who does not want to wait.
AGAIN = 5.0


class Ending:
    """Which signal has come, and whether one raises KeyboardInterrupt or waits.

    Attributes
    ----------
    number : int or None
        The first that came.
    held : bool
        Whether signals wait for what is at work.
    insists : bool
        Whether Ctrl-C has come twice, which waits for nothing.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.held = self.insists = False
        self._last = -math.inf

    @property
    def code(self) -> int:
        """The shell's exit code for an end by the signal."""
        return 128 + (self.number or signal.SIGINT)

    @property
    def words(self) -> str:
        """What is said of the signal."""
        return words_for(self.number or signal.SIGINT)

    def come(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal; raise KeyboardInterrupt where it does not wait."""
        again = time.monotonic() - self._last < AGAIN
        self._last = time.monotonic()
        self.number = self.number or number
        self.insists |= again and number == signal.SIGINT
        if self.insists or not (self.held or again):
            raise KeyboardInterrupt

    def begin(self) -> None:
        """Let signals raise from now on, also one that has waited."""
        self.held = False
        if self.number is not None:
            raise KeyboardInterrupt


_now: list[Ending] = []


@contextmanager
def ending() -> Iterator[Ending]:
    """Give what takes note of signals, which wait until it begins; within a block, the same.

    Signals that somebody else listens to, or that are ignored (nohup), stay as they are.
    """
    if _now:
        yield _now[-1]
        return
    came = Ending()
    came.held = True
    ours = threading.current_thread() is threading.main_thread()
    found = {number: signal.getsignal(number) for number in SIGNALS if ours}
    free = (end, signal.SIG_DFL, signal.default_int_handler)
    taken = {number: before for number, before in found.items() if before in free}
    try:
        _now.append(came)
        for number in taken:
            signal.signal(number, came.come)
        yield came
    finally:
        came.held, came._last = True, -math.inf
        for number, before in taken.items():
            signal.signal(number, before)
        _now.remove(came)
