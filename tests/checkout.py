"""Which fastgd the tests import: the one that is installed, also under ``python -m pytest``."""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

ROOT = Path(__file__).parents[1]


def paths_without_the_checkout(paths: list[str], named: str) -> list[str]:
    """Return where to import from: not the checkout, where another fastgd is installed.

    ``python -m pytest`` in a checkout puts it first: what was built and installed would not be
    tested. Whoever wants the checkout installs it with ``pip install -e``, or names it in
    PYTHONPATH.
    """
    others = [path for path in paths if Path(path or ".").resolve() != ROOT]
    wanted = any(path and Path(path).resolve() == ROOT for path in named.split(os.pathsep))
    return paths if wanted or PathFinder.find_spec("fastgd", others) is None else others


sys.path[:] = paths_without_the_checkout(sys.path, os.environ.get("PYTHONPATH", ""))
