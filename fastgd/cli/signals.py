"""Signals: SIGTERM and SIGHUP end a training as Ctrl-C does, and what was learned is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from fastgd.starting import end

__all__ = ["Ending", "ending", "interrupts"]


class Ending:
    """Which signal has come, and the exit code for it."""

    number: int = signal.SIGINT

    @property
    def code(self) -> int:
        """The shell's exit code for an end by a signal."""
        return 128 + self.number


@contextmanager
def ending() -> Iterator[Ending]:
    """Let the signals raise KeyboardInterrupt in the block, where they would end the process."""
    came = Ending()

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        came.number = number
        raise KeyboardInterrupt

    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    taken = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    try:
        for number in taken:
            signal.signal(number, interrupt)
        yield came
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def interrupts() -> Iterator[list[int]]:
    """Let Ctrl-C raise KeyboardInterrupt in the block; give a list that it is added to."""
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        came.append(number)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    ours = threading.current_thread() is threading.main_thread()
    ours = ours and before in (end, signal.default_int_handler)
    try:
        if ours:
            signal.signal(signal.SIGINT, interrupt)
        yield came
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)
