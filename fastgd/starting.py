"""Ctrl-C, SIGTERM and SIGHUP while the command line's modules are imported: a line, and the end.

Nothing is to be kept yet, and no ``try`` of ours is around the imports: it ends the process.
"""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["SIGNALS", "end", "words_for"]  # and few imports: before them there is no help

#: What ends a command in order; Windows has no SIGHUP.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP")
           if hasattr(signal, name)]  # fmt: skip


def end(number: int, frame: object) -> None:
    """End the process; what ``fastgd`` answers a signal with until it runs a command."""
    os.write(2, f"fastgd: {words_for(number)}\n".encode())
    os._exit(128 + number)


def words_for(number: int) -> str:
    """Return what is said of an end by a signal."""
    return "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"


def _is_command() -> bool:
    """Whether this process is ``fastgd`` or ``python -m fastgd``."""
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":  # as it is while the package of the module is imported
        return sys.orig_argv[-len(sys.argv)] in ("fastgd", "-mfastgd")
    name = os.path.basename(program).lower()
    return name.removesuffix(".exe").removesuffix(".py").removesuffix("-script") == "fastgd"


if _is_command():
    for _number in SIGNALS:  # not where nohup or somebody else has said otherwise
        if signal.getsignal(_number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(_number, end)
