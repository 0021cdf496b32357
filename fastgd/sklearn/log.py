"""What each fit ran on: whoever wants to know appends a function to ``listeners``."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Fit", "listeners", "tell"]


class Fit(NamedTuple):
    """One fit, as listeners hear of it.

    Parameters
    ----------
    estimator : str
        The class's name.
    seconds : float
        How long the solver took.
    backend : str or None
        fastgd's backend that computed it; None where scikit-learn did.
    reason : str
        Why scikit-learn did; empty where fastgd did all of it.
    """

    estimator: str
    seconds: float
    backend: str | None
    reason: str = ""


#: Called with each `Fit` when it has ended.
listeners: list[Callable[[Fit], None]] = []


def tell(fit: Fit) -> None:
    """Tell all listeners of a fit."""
    for listener in listeners:
        listener(fit)
