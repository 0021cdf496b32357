"""Ctrl-C while the command line's modules are imported: one line and exit code 130.

Nothing is to be kept yet, and no ``try`` of ours is around the imports: it ends the process.
"""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["end"]  # and few imports: before them there is no help


def end(number: int, frame: object) -> None:
    """End the process; what ``fastgd`` answers Ctrl-C with until it runs a command."""
    os.write(2, b"fastgd: interrupted\n")
    os._exit(130)


def _is_command() -> bool:
    """Whether this process is ``fastgd`` or ``python -m fastgd``."""
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":  # as it is while the package of the module is imported
        return sys.orig_argv[-len(sys.argv)] in ("fastgd", "-mfastgd")
    name = os.path.basename(program).lower()
    return name.removesuffix(".exe").removesuffix(".py").removesuffix("-script") == "fastgd"


if _is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, end)
