"""One line for each fit, where they are asked for: what it ran on, how long it took, or why not."""

from __future__ import annotations

import os
import sys

from fastgd.sklearn.log import Fit, listeners

__all__ = ["VERBOSE", "show"]

#: The variable of the environment that turns the lines on, also in worker processes.
VERBOSE = "FASTGD_VERBOSE"


def show(fit: Fit) -> None:
    """Name a fit on standard error, if ``FASTGD_VERBOSE`` is set, and not to 0."""
    if os.environ.get(VERBOSE, "0") in ("", "0"):
        return
    if fit.backend is None:
        what = f"fell back to scikit-learn, {fit.seconds:.3f} s: {fit.reason}"
    elif fit.reason:
        what = f"on fastgd ({fit.backend}), then on scikit-learn, {fit.seconds:.3f} s: {fit.reason}"
    else:
        what = f"on fastgd ({fit.backend}), {fit.seconds:.3f} s"
    print(f"fastgd: {fit.estimator} {what}", file=sys.stderr, flush=True)


listeners.append(show)
