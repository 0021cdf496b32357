"""``python -m fastgd.sklearn script.py args...`` runs a script, its networks trained by fastgd."""

from __future__ import annotations

import builtins
import os
import pkgutil
import runpy
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec
from types import ModuleType, TracebackType
from typing import Any

from fastgd.sklearn.patching import patch_sklearn
from fastgd.sklearn.verbose import VERBOSE

USAGE = """\
usage: python -m fastgd.sklearn [-v] script.py [args...]
       python -m fastgd.sklearn [-v] -m module [args...]

Runs a script or module as python does; scikit-learn's MLPClassifier and MLPRegressor train
on fastgd, with the same results.

  -v          name each fit on standard error, how long it took, or why scikit-learn ran it
              (also: FASTGD_VERBOSE=1)
  -h, --help  show this
"""


def main(arguments: list[str]) -> None:
    """Run what the arguments name, as `python` itself would."""
    while arguments[:1] in (["-v"], ["--verbose"]):
        os.environ[VERBOSE] = "1"  # workers see it, too
        arguments = arguments[1:]
    if arguments[:1] in (["-h"], ["--help"]):
        sys.stdout.write(USAGE)
        return
    is_module = arguments[:1] == ["-m"]
    target, *args = arguments[is_module:] or [""]
    if not target or target.startswith("-"):
        sys.stderr.write(USAGE)
        sys.exit(2)
    if not is_module and not os.path.exists(target):
        path = os.path.join(os.getcwd(), target)
        sys.stderr.write(
            f"{sys.executable}: can't open file {path!r}: [Errno 2] No such file or directory\n"
        )
        sys.exit(2)
    patch_sklearn()
    sys.excepthook = _without_these_frames
    sys.argv[:] = [target, *args]
    if is_module:
        _run_module(target)
    else:
        _run_script(target)


def _run_script(path: str) -> None:
    file = os.path.join(os.getcwd(), path)  # as python does, and no more
    importer = pkgutil.get_importer(file)  # of a folder, or an archive
    first = os.path.dirname(os.path.realpath(path)) if importer is None else file
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = first  # it is the working directory
    elif importer is not None:
        sys.path.insert(0, first)
    if importer is None:
        script, loader = ModuleType("__main__"), SourceFileLoader("__main__", file)
        vars(script).update(__file__=file, __loader__=loader, __cached__=None)
        code = compile(loader.get_data(file), file, "exec", dont_inherit=True)
    else:
        spec: Any = importer.find_spec("__main__")
        if spec is None:
            sys.exit(f"{sys.executable}: can't find '__main__' module in {file!r}")
        script, code = module_from_spec(spec), spec.loader.get_code("__main__")
    vars(script)["__builtins__"] = builtins
    sys.modules["__main__"] = script
    exec(code, vars(script))


def _run_module(name: str) -> None:
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except ImportError as error:
        if _of_the_script(error.__traceback__) is None:  # there is none of that name
            sys.exit(f"{sys.executable}: {error}")
        raise


def _of_the_script(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames before the script's own: this file's and runpy's."""
    before = (globals(), vars(runpy))
    while traceback is not None and any(traceback.tb_frame.f_globals is its for its in before):
        traceback = traceback.tb_next
    return traceback


def _without_these_frames(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    error.__traceback__ = _of_the_script(traceback)
    sys.__excepthook__(kind, error, error.__traceback__)


if __name__ == "__main__":
    main(sys.argv[1:])
