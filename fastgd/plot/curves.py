"""Training and validation cost over the epochs, and where overfitting begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastgd.errors import SettingError, SettingTypeError
from fastgd.explain.overfitting import MARGIN, Overfitting, overfitting
from fastgd.plot.display import Display
from fastgd.plot.style import palette

__all__ = ["CurvesDisplay"]

#: Costs that span more than this, as a ratio, are drawn on a logarithmic axis. On a linear one the
#: rise of a validation cost is easier to see.
SPAN = 1000.0


class CurvesDisplay(Display):
    """How cost and score went, epoch by epoch.

    The training cost is that of `History`: measured on each mini-batch before its step, averaged
    over the epoch. Where overfitting begins follows the rule of
    `fastgd.explain.overfitting.overfitting`.

    Parameters
    ----------
    history : History, or a mapping with ``cost`` and perhaps ``validation_cost`` and
        ``validation_score``
    overfitting : Overfitting or None
        None where there is no validation cost.

    Attributes
    ----------
    epochs : ndarray of shape (n,)
        From 1.
    cost, validation_cost, validation_score : ndarray of shape (n,)
        Empty where there is none.
    overfitting : Overfitting or None

    Examples
    --------
    >>> from fastgd.plot import CurvesDisplay
    >>> history = {"cost": [3, 2, 1, 0.5], "validation_cost": [3, 2, 2.5, 3]}
    >>> CurvesDisplay.from_history(history).overfitting.begins  # doctest: +SKIP
    2
    """

    def __init__(
        self, *, history: Mapping[str, Sequence[float]], overfitting: Overfitting | None = None
    ):
        self.cost = np.array(history["cost"], dtype=np.float64)
        self.validation_cost = np.array(history.get("validation_cost", ()), dtype=np.float64)
        self.validation_score = np.array(history.get("validation_score", ()), dtype=np.float64)
        self.epochs = np.arange(1, len(self.cost) + 1)
        self.overfitting = overfitting

    @classmethod
    def from_history(
        cls, history: Mapping[str, Sequence[float]], *, margin: float = MARGIN, ax: Any = None
    ) -> CurvesDisplay:
        """Draw what `Network.fit` returned; ``margin`` is how far the validation cost must rise."""
        if not isinstance(history, Mapping) or "cost" not in history:
            raise SettingTypeError(
                "history",
                f"must be what net.fit returns, or a mapping with a list 'cost'; got "
                f"{type(history).__name__}",
            )
        if not len(history["cost"]):
            raise SettingError("history", "must hold at least one epoch; got none")
        found = overfitting(history, margin) if len(history.get("validation_cost", ())) else None
        return cls(history=history, overfitting=found).plot(ax=ax)

    def plot(self, ax: Any = None) -> CurvesDisplay:
        """Draw the costs and, below, the score; ``ax`` is an array of two axes then, else one."""
        scored = len(self.validation_score) > 0
        rows = 2 if scored else 1
        ratios = {"height_ratios": [1.6, 1]} if scored else {}
        size = (7.0, 5.4 if scored else 4.0)
        axes = np.atleast_1d(self._axes(ax, size, rows, 1, sharex=True, **ratios)).ravel()
        self._draw_costs(axes[0])
        if scored:
            axes[1].plot(self.epochs, self.validation_score, "--", color=palette().negative)
            best = int(self.validation_score.argmax())
            title = f"Validation score: best {self.validation_score[best]:.3g} in epoch {best + 1}"
            axes[1].set(ylabel="score", title=title)
        axes[-1].set_xlabel("epoch")
        axes[-1].xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        if self.overfitting and self.overfitting.begins:
            for axis in axes:
                axis.axvline(self.overfitting.begins, color=palette().muted, linestyle=":")
                axis.axvspan(
                    self.overfitting.begins, self.epochs[-1], color=palette().muted, alpha=0.12
                )
        self._settle(ax is None)
        return self

    def _draw_costs(self, axis: Any) -> None:
        colors, found = palette(), self.overfitting
        few = "o" if len(self.epochs) == 1 else ""
        axis.plot(self.epochs, self.cost, f"{few}-", color=colors.positive, label="training")
        title = "The cost falls as the network learns"
        if self.cost[-1] >= self.cost[0]:
            title = "The cost over the epochs"
        if found is not None:
            axis.plot(
                self.epochs, self.validation_cost, f"{few}--", color=colors.negative,
                label="validation",
            )  # fmt: skip
            axis.plot(
                found.best_epoch, found.least, "o", color=colors.negative, markersize=8,
                markerfacecolor="none", markeredgewidth=2,
                label=f"least validation cost: {found.least:.3g} in epoch {found.best_epoch}",
            )  # fmt: skip
            title = "No overfitting so far"
            if found.begins:
                title = f"Overfitting begins after epoch {found.begins} (shaded)"
        shown = self.validation_cost if len(self.validation_cost) else self.cost
        if shown.min() > 0 and shown.max() > SPAN * shown.min():
            axis.set_yscale("log")
        axis.set(ylabel="cost", title=title)
        axis.legend(fontsize="small")
