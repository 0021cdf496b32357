"""What people call their classes, and the numbers 0, 1, ... that networks know them by."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from fastgd.engine.architecture import Architecture
from fastgd.errors import SettingError, SettingTypeError

__all__ = ["NO_LABELS", "Labels", "check_labels"]

Array = np.ndarray

#: Labels that an error names.
SOME = 10


@dataclass(frozen=True, eq=False)
class Labels:
    """The label of each class: text, or numbers that are not 0, 1, ... themselves.

    Where labels are text, the numbers 0, 1, ... mean the classes as well.

    Parameters
    ----------
    values : ndarray of shape (n_classes,), or None
        All different; of kind text, integer, float or boolean. None where there are no labels:
        targets are then taken as they are.

    Examples
    --------
    >>> Labels(np.array(["cat", "dog"])).encode(["dog", "cat"])
    array([1, 0])
    >>> Labels(np.array([3, 5])).encode([5, 5])
    array([1, 1])
    """

    values: Array | None = None

    def learned_from(self, y: Any, architecture: Architecture, name: str = "y") -> Labels:
        """Return these labels, or where there are none yet those that the targets y speak of.

        Raises
        ------
        TypeError, ValueError
            If they are labels, but not as many as the network has classes.
        """
        if self.values is not None or y is None or hasattr(y, "tocsr"):
            return self
        values = _labels_in(y, architecture, name)
        return self if values is None else Labels(values)

    def encode(self, y: Any, name: str = "y") -> Any:
        """Return the classes 0, 1, ... of labels (n,); other targets as they are.

        Raises
        ------
        ValueError
            If a label is none of these; the message says which row it is in.
        """
        given = None if self.values is None else _plain(y, name)
        if given is None or self.values is None:
            return y
        text = given.dtype.kind == "U"
        if text != (self.values.dtype.kind == "U"):
            if not text:
                return y
            self._refuse(given, 0, name)
        order = np.argsort(self.values, kind="stable")
        ranked = self.values[order]
        place = np.searchsorted(ranked, given).clip(max=len(ranked) - 1)
        wrong = ranked[place] != given
        if wrong.any():
            self._refuse(given, int(np.argmax(wrong)), name)
        return order[place]

    def encode_weights(self, class_weight: Any) -> Any:
        """Return a dict of weights by label as one by class; anything else as it is."""
        if not isinstance(class_weight, Mapping) or self.values is None:
            return class_weight
        codes = {label: code for code, label in enumerate(self.values.tolist())}
        return {codes.get(label, label): weight for label, weight in class_weight.items()}

    def _refuse(self, given: Array, row: int, name: str) -> NoReturn:
        assert self.values is not None
        raise SettingError(
            name,
            f"must hold the network's classes, {_listed(self.values)}; "
            f"got {given[row].item()!r} at {name}[{row}] (row {row})",
        )


NO_LABELS = Labels()


def _labels_in(y: Any, architecture: Architecture, name: str) -> Array | None:
    """Return the labels in their order; None where targets are 0, 1, ..., or no classes."""
    given = _plain(y, name)
    if given is None or (not architecture.classifies and architecture.n_outputs == 1):
        return None
    n = architecture.n_classes
    if given.dtype.kind == "U":
        values = np.array(sorted(np.unique(given).tolist(), key=_in_order))
        if len(values) == n:
            return values
        raise SettingError(
            name,
            f"must hold as many classes as the network has outputs for, {n}; got {len(values)}: "
            f"{_listed(values)} (set network.classes where some do not occur)",
        )
    if not architecture.classifies or given.dtype.kind == "b" or not np.isfinite(given).all():
        return None
    low, high = (0, n - 1) if architecture.n_outputs > 1 else _bounds(architecture)
    if given.min() >= low and given.max() <= high:
        return None
    values = np.unique(given)
    # With 0 among them they count from 0, and one is out of bounds: for the gate to refuse.
    learned = len(values) == n and 0 not in values and (values == np.floor(values)).all()
    return values if learned else None


def check_labels(classes: Any, n_classes: int) -> Labels:
    """Return labels that are given, one for each class.

    Raises
    ------
    TypeError, ValueError
        If they are not a list of so many different texts or numbers.
    """
    if isinstance(classes, (list, tuple)):  # NumPy would make text of a 1 among words
        classes = np.array([*classes, None], dtype=object)[:-1]
    given = None if isinstance(classes, (str, bytes)) else _plain(classes, "classes")
    if given is None:
        raise SettingTypeError(
            "classes", f"must be a list of {n_classes} labels; got {reprlib.repr(classes)}"
        )
    if len(given) != n_classes or len(np.unique(given)) != n_classes:
        raise SettingError(
            "classes",
            f"must be {n_classes} different labels, one for each class; got {len(given)}: "
            f"{_listed(given)}",
        )
    return Labels(given)


def _plain(y: Any, name: str) -> Array | None:
    """Return labels (n,) as text or numbers, without those of pandas; None where y has others."""
    try:
        array = np.asarray(y)
    except (TypeError, ValueError):  # ragged lists: for the gate to refuse
        return None
    if array.ndim != 1 or len(array) == 0:
        return None
    plain = _of_objects(array, name) if array.dtype.kind in "OT" else array
    return plain if plain is not None and plain.dtype.kind in "biufU" else None


def _of_objects(array: Array, name: str) -> Array | None:
    text = [isinstance(label, str) for label in array]
    if all(text):
        return array.astype(str)
    if any(text):
        row = text.index(False)
        raise SettingTypeError(
            name, f"must hold labels of one kind; got {array[row]!r} among text at {name}[{row}]"
        )
    kinds = {type(label) for label in array}
    if kinds <= {bool, int, np.bool_, np.int64, float, np.float64}:
        return np.array(array.tolist())
    return None


def _bounds(architecture: Architecture) -> tuple[float, float]:
    low, high = architecture.loss.minimum, architecture.loss.maximum
    return (-np.inf if low is None else low), (np.inf if high is None else high)


def _in_order(label: str) -> tuple[float, str]:
    """Sort by the number where labels spell numbers: 2 comes before 10."""
    try:
        return float(label), label
    except ValueError:
        return np.inf, label


def _listed(values: Array) -> str:
    shown = ", ".join(map(repr, values[:SOME].tolist()))
    return shown + (", ..." if len(values) > SOME else "")
