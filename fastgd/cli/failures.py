"""How the program ends: an exit code, and one line on stderr where something went wrong.

======  ==========================================================
code    meaning
======  ==========================================================
0       done
1       a bug in fastgd
2       a bad argument or file, divergence, no memory, a full disk
129     ended by SIGHUP: the terminal was closed
130     ended by Ctrl-C
141     nobody reads the output any more (``| head``)
143     ended by SIGTERM
======  ==========================================================
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import click

from fastgd.cli.signals import Ending, ending
from fastgd.errors import DivergenceError
from fastgd.visible import visible

__all__ = ["NobodyReadsError", "drop_stdout", "guarded", "one_line"]

#: What the library raises on purpose.
EXPECTED = (ValueError, TypeError, ArithmeticError, OSError, MemoryError, ImportError)


class NobodyReadsError(Exception):
    """Who read the output has left."""


def guarded(run: Callable[[], Any], debug: bool) -> NoReturn:
    """Run the program and exit; a traceback appears only with --debug or FASTGD_DEBUG=1."""
    debug = debug or os.environ.get("FASTGD_DEBUG", "0") not in ("", "0")
    with ending() as came:
        try:
            _guarded(run, debug, came)
        except KeyboardInterrupt:  # among the last lines of that
            _ended(came)


def _guarded(run: Callable[[], Any], debug: bool, came: Ending) -> NoReturn:
    try:
        came.begin()
        with warnings.catch_warnings():
            warnings.showwarning = _each_once()
            warnings.simplefilter("default", UserWarning)  # also under python -W error
            code = run()
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except (BrokenPipeError, NobodyReadsError):
        drop_stdout()
        sys.exit(141)
    except (click.Abort, KeyboardInterrupt):
        _ended(came)
    except click.ClickException as error:
        _explain(error, error, debug, 2)
    except EXPECTED as error:
        if came.number and isinstance(error, ImportError):  # what a module makes of a signal
            _ended(came)
        _explain(error, describe(error), debug, 2)
    except Exception as error:
        what = f"{type(error).__name__}: {error} (a bug in fastgd; FASTGD_DEBUG=1 shows where)"
        _explain(error, what, debug, 1)


def _ended(came: Ending) -> NoReturn:
    _complain(f"fastgd: {came.words}")
    exec("")  # or Python ends itself by SIGINT, where KeyboardInterrupt went through an exec
    sys.exit(came.code)


def describe(error: BaseException) -> str:
    """Say what happened, for people.

    >>> describe(FileNotFoundError(2, "No such file or directory", "model.safetensors"))
    'model.safetensors: No such file or directory'
    """
    if isinstance(error, DivergenceError) and error.kept:
        return error.told("Nothing is written.")
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}".removesuffix(": ")
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def one_line(text: object) -> str:
    """Return text as one line that a terminal can show.

    >>> one_line("no column 'a'\\n  in file")
    "no column 'a' in file"
    """
    return visible(" ".join(str(text).split()))


def drop_stdout() -> None:
    """Send what is still to be printed nowhere, so that Python does not complain at its exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _explain(error: BaseException, what: object, debug: bool, code: int) -> NoReturn:
    if debug:
        raise error
    try:
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):  # on a full disk; closed; none
        with suppress(OSError, ValueError, AttributeError):
            drop_stdout()
    hint = ""
    if isinstance(error, click.ClickException):
        what = error.format_message()
        what = f"{what[:1].lower()}{what[1:]}".rstrip(".")
    lost = (click.MissingParameter, click.NoSuchOption)
    if isinstance(error, lost) and error.ctx is not None:
        hint = f" ('{error.ctx.command_path} --help' lists what there is)"
    _complain(f"fastgd: error: {what}{hint}")
    sys.exit(code)


def _complain(text: str) -> None:
    with suppress(OSError):  # nobody can be told
        click.echo(one_line(text), err=True)


def _each_once() -> Callable[..., None]:
    """Return what shows a warning as one line, once."""
    said: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in said:
            said.add(str(message))
            _complain(f"fastgd: note: {message}")

    return show
