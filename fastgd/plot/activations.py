"""The activation functions beside their derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgd.plot.display import Display
from fastgd.plot.style import palette
from fastgd.rules.activations import ACTIVATIONS

__all__ = ["ActivationsDisplay"]

#: How many panels stand side by side.
MOST_COLUMNS = 5


class ActivationsDisplay(Display):
    """Every activation function a = f(z), and its slope da/dz.

    Parameters
    ----------
    z : ndarray of shape (n,)
    values, slopes : dict of str to ndarray of shape (n,)
        For each function's name, f(z) and da/dz.

    Examples
    --------
    >>> from fastgd.plot import ActivationsDisplay
    >>> display = ActivationsDisplay.from_function(["sigmoid", "relu"])  # doctest: +SKIP
    >>> display.slopes["sigmoid"].max()  # doctest: +SKIP
    0.25
    """

    def __init__(
        self, *, z: np.ndarray, values: dict[str, np.ndarray], slopes: dict[str, np.ndarray]
    ):
        self.z, self.values, self.slopes = z, values, slopes

    @classmethod
    def from_function(
        cls, names: str | list[str] | None = None, *, span: float = 5.0, ax: Any = None
    ) -> ActivationsDisplay:
        """Draw functions by name, by default all that have a slope, for z from -span to span."""
        if isinstance(names, str):
            names = [names]
        elif names is None:
            names = [name for name, rule in ACTIVATIONS.items() if not rule.row_wise]
        z = np.linspace(-span, span, 401)
        rules = {name: ACTIVATIONS.find(name) for name in names}
        values = {name: rule.value(z) for name, rule in rules.items()}
        slopes = {name: rule.derivative(z, values[name]) for name, rule in rules.items()}
        return cls(z=z, values=values, slopes=slopes).plot(ax=ax)

    def plot(self, ax: Any = None) -> ActivationsDisplay:
        """Draw one panel for each function; ``ax`` is an array of as many axes, or None."""
        n, colors = len(self.values), palette()
        columns = n if ax is not None else min(n, MOST_COLUMNS)
        rows = -(-n // columns)
        size = (2.6 * columns, 3.0 if rows == 1 else 2.4 * rows)
        axes = np.atleast_1d(self._axes(ax, size, rows, columns, sharex=True)).ravel()
        for spare in axes[n:]:
            spare.remove()
        for i, (name, value) in enumerate(self.values.items()):
            axis = axes[i]
            axis.axhline(0, color=colors.muted, linewidth=0.8)
            axis.axvline(0, color=colors.muted, linewidth=0.8)
            axis.plot(self.z, value, color=colors.positive, label="a = f(z)")
            axis.plot(self.z, self.slopes[name], "--", color=colors.negative, label="slope da/dz")
            axis.set(title=name, ylim=(-1.3, 1.6))
            if i + columns >= n:  # nothing is below it
                axis.set_xlabel("z")
                axis.tick_params(labelbottom=True)
        axes[0].set_ylabel("a, and its slope")
        axes[0].legend(loc="lower right", fontsize="small")
        return self
