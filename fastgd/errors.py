"""The exceptions fastgd raises on purpose; everything else is a ValueError or TypeError.

What a program may want to know of an error is in its attributes; its text is for people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastgd.visible import visible

if TYPE_CHECKING:
    from fastgd.engine.history import History

__all__ = [
    "DataError",
    "DivergenceError",
    "MissingExtraError",
    "ModelFileError",
    "SettingError",
    "SettingTypeError",
    "WriteError",
]


class DivergenceError(ArithmeticError):
    """Training stopped because the cost became NaN or infinite.

    The network keeps the last parameters that were finite.

    Attributes
    ----------
    problem : str
        What happened; the error's text goes on with the advice and what was kept.
    advice : str
        What to try, or "".
    kept : str
        A sentence on what became of the network, or "".
    epoch : int
        The epoch, from 1, in which the cost stopped being finite.
    learning_rate : float
        The learning rate in force in that epoch.
    history : History or None
        What the fit went through before.
    """

    def __init__(
        self, problem: str, epoch: int, learning_rate: float, *, advice: str = "", kept: str = ""
    ):
        super().__init__(problem, epoch, learning_rate)
        self.problem, self.advice, self.kept = problem, advice, kept
        self.epoch = epoch
        self.learning_rate = learning_rate
        self.history: History | None = None

    def __str__(self) -> str:
        return self.told(self.kept)

    def told(self, kept: str) -> str:
        """Return the error's text with another sentence on what was kept."""
        text = f"{self.problem}; try {self.advice}" if self.advice else self.problem
        return f"{text}. {kept}" if kept else text


class DataError(ValueError):
    """A data file that cannot be read; the message names file, line and column.

    What a terminal would act on in names of strangers is spelled out.
    """

    def __str__(self) -> str:
        return visible(super().__str__())


class ModelFileError(DataError):
    """A file that is no model or checkpoint of fastgd's, or a damaged one; the message names it."""


class WriteError(OSError):
    """A file that cannot be written; what was there before still is.

    ``errno``, ``strerror`` and ``filename`` are those of every OSError.

    Examples
    --------
    >>> str(WriteError(28, "No space left on device", "model.safetensors"))
    'model.safetensors: No space left on device'
    """

    def __str__(self) -> str:
        return visible(f"{self.filename}: {self.strerror}")


class MissingExtraError(ImportError):
    """An optional dependency is needed and absent; the message names the extra to install."""


class _OfSetting(Exception):
    """What errors about a setting have in common."""

    def __init__(self, setting: str, problem: str):
        super().__init__(setting, problem)
        self.setting, self.problem = setting, problem

    def __str__(self) -> str:
        return f"{self.setting} {self.problem}"


class SettingError(_OfSetting, ValueError):
    """A setting, such as an argument or a variable of the environment, with a bad value.

    Attributes
    ----------
    setting : str
        Its name.
    problem : str
        What is wrong with it: "must be at least 1; got 0".

    Examples
    --------
    >>> str(SettingError("epochs", "must be at least 1; got 0"))
    'epochs must be at least 1; got 0'
    """


class SettingTypeError(_OfSetting, TypeError):
    """A setting of the wrong type; as `SettingError` otherwise."""
