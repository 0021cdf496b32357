"""Ctrl-C while the command line's modules are imported: one line and exit code 130.

Nothing is to be kept yet, and no ``try`` of ours is around the imports: it ends the process.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

__all__ = ["interrupts"]


def _end(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, b"fastgd: interrupted\n")
    os._exit(130)


def _is_command() -> bool:
    """Whether this process is ``fastgd`` or ``python -m fastgd``."""
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":  # as it is while the package of the module is imported
        return sys.orig_argv[-len(sys.argv)] in ("fastgd", "-mfastgd")
    name = os.path.basename(program).lower()
    return name.removesuffix(".exe").removesuffix(".py").removesuffix("-script") == "fastgd"


@contextmanager
def interrupts() -> Iterator[list[int]]:
    """Let Ctrl-C raise KeyboardInterrupt in the block; give a list that it is added to."""
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        came.append(number)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    ours = threading.current_thread() is threading.main_thread()
    ours = ours and before in (_end, signal.default_int_handler)
    try:
        if ours:
            signal.signal(signal.SIGINT, interrupt)
        yield came
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)


if _is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)
