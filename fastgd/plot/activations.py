"""The activation functions beside their derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgd.plot.display import Display
from fastgd.plot.style import palette
from fastgd.rules.activations import ACTIVATIONS

__all__ = ["ActivationsDisplay"]


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
        axes = np.atleast_1d(self._axes(ax, (2.6 * n, 3.0), 1, n, sharex=True))
        for axis, (name, value) in zip(axes.flat, self.values.items(), strict=True):
            axis.axhline(0, color=colors.muted, linewidth=0.8)
            axis.axvline(0, color=colors.muted, linewidth=0.8)
            axis.plot(self.z, value, color=colors.positive, label="a = f(z)")
            axis.plot(self.z, self.slopes[name], "--", color=colors.negative, label="slope da/dz")
            axis.set(title=name, xlabel="z", ylim=(-1.3, 1.6))
        axes.flat[0].set_ylabel("a, and its slope")
        axes.flat[0].legend(loc="lower right", fontsize="small")
        return self
