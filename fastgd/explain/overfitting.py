"""Where a network stops learning what is general and begins to learn its examples by heart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fastgd.errors import SettingError
from fastgd.explain.columns import columns
from fastgd.rules.checks import check_number

__all__ = ["MARGIN", "Overfitting", "overfitting"]

#: How far the validation cost must rise above its least, as a share of it.
MARGIN = 0.05


@dataclass(frozen=True)
class Overfitting:
    """What training and validation cost say about overfitting; epochs count from 1.

    Attributes
    ----------
    begins : int or None
        The epoch after which the network overfits; None where it does not.
    best_epoch : int
        The epoch of the least validation cost.
    least, last : float
        The validation cost then, and at the end (the mean of the last tenth of the epochs).
    training_then, training_last : float
        The training cost then, and at the end, likewise.
    epochs : int
    score_then, score_last : float or None
        The validation score then and in the last epoch.
    margin : float
    """

    begins: int | None
    best_epoch: int
    least: float
    last: float
    training_then: float
    training_last: float
    epochs: int
    score_then: float | None
    score_last: float | None
    margin: float

    @property
    def verdict(self) -> str:
        """One sentence."""
        rise = f"{100 * (self.last / self.least - 1):.0f} %" if self.least > 0 else "from 0"
        if self.begins is not None:
            return (
                f"overfitting begins after epoch {self.begins}: since then the validation cost "
                f"rose by {rise} while the training cost fell"
            )
        if self.best_epoch == self.epochs:
            return "no overfitting: the validation cost was least in the last epoch"
        if self.last > (1 + self.margin) * self.least:
            return (
                f"no overfitting, but worse since epoch {self.best_epoch}: training and validation "
                f"cost both rose; try a lower learning rate"
            )
        return (
            f"no overfitting: the validation cost stays within {100 * self.margin:g} % of its "
            f"least (epoch {self.best_epoch})"
        )

    def __str__(self) -> str:
        rows = [
            ["training cost", f"{self.training_then:.4g}", f"{self.training_last:.4g}"],
            ["validation cost", f"{self.least:.4g}", f"{self.last:.4g}"],
        ]
        if self.score_then is not None and self.score_last is not None:
            score = [f"{self.score_then:.4f}", f"{self.score_last:.4f}"]
            rows.append(["validation score", *score])
        table = columns(["", f"epoch {self.best_epoch}", "at the end"], rows)
        return f"{table}\n{self.verdict}"


def overfitting(history: Mapping[str, Sequence[float]], margin: float = MARGIN) -> Overfitting:
    """Say whether, and after which epoch, a network overfits.

    The rule: it overfits after the epoch of the least validation cost, if at the end the
    validation cost is more than ``margin`` (a share) above that least, and the training cost is
    below what it was in that epoch. The end is the mean of the last tenth of the epochs (at least
    one), so that one unlucky epoch does not decide. This is the point at which early stopping
    would stop (Prechelt, Early Stopping - But When?, 1998: its "generalization loss" above 5 %).

    Parameters
    ----------
    history : History, or a mapping with ``cost`` and ``validation_cost``
        As `Network.fit` returns it.
    margin : float, default 0.05

    Raises
    ------
    ValueError
        If there is no validation cost, or no epoch.

    Examples
    --------
    >>> from fastgd.explain.overfitting import overfitting
    >>> history = {"cost": [3, 2, 1, 0.5], "validation_cost": [3, 2, 2.5, 3]}
    >>> overfitting(history).begins
    2
    """
    check_number("margin", margin, minimum=0)
    training = np.array(history["cost"], dtype=np.float64)
    validation = np.array(history.get("validation_cost", ()), dtype=np.float64)
    if not len(validation) or len(validation) != len(training):
        raise SettingError(
            "history",
            "must hold a validation cost for each epoch: "
            "net.fit(..., epochs=20, validation_data=(X, y))",
        )
    best, tail = int(validation.argmin()), max(1, len(validation) // 10)
    least, last = float(validation[best]), float(validation[-tail:].mean())
    then, end = float(training[best]), float(training[-tail:].mean())
    scores = list(history.get("validation_score", ()))
    overfits = best < len(validation) - 1 and last > (1 + margin) * least and end < then
    return Overfitting(
        begins=best + 1 if overfits else None,
        best_epoch=best + 1,
        least=least,
        last=last,
        training_then=then,
        training_last=end,
        epochs=len(training),
        score_then=scores[best] if scores else None,
        score_last=scores[-1] if scores else None,
        margin=margin,
    )
