"""The exceptions fastgd raises on purpose; everything else is a ValueError or TypeError."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastgd.engine.history import History

__all__ = ["DataError", "DivergenceError", "MissingExtraError"]


class DivergenceError(ArithmeticError):
    """Training stopped because the cost became NaN or infinite.

    The network keeps the last parameters that were finite.

    Attributes
    ----------
    epoch : int
        The epoch, from 1, in which the cost stopped being finite.
    learning_rate : float
        The learning rate in force in that epoch.
    history : History or None
        What the fit went through before.
    """

    def __init__(self, message: str, epoch: int, learning_rate: float):
        super().__init__(message)
        self.epoch = epoch
        self.learning_rate = learning_rate
        self.history: History | None = None

    def __reduce__(self):
        return type(self), (self.args[0], self.epoch, self.learning_rate)


class DataError(ValueError):
    """A data file that cannot be read; the message names file, line and column."""


class MissingExtraError(ImportError):
    """An optional dependency is needed and absent; the message names the extra to install."""
