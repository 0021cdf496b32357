"""From target values to classes or numbers: the one rule for every source."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fastgd.data.reading import plain, short
from fastgd.errors import DataError
from fastgd.rules.registry import unknown_name

__all__ = [
    "FEW",
    "MANY",
    "KnownLabels",
    "Labels",
    "check_many",
    "check_task",
    "encode_array",
    "encode_digits",
    "encode_numbers",
    "number_or_none",
]

FEW = 20
#: More classes than these are learned only where somebody says that they are classes.
MANY = 1000
_MOST_LABELS = 65_536  # a network has one output a class; more is a column of names

Encoded = tuple[np.ndarray, "tuple[str, ...] | None"]


def check_task(task: str | None) -> None:
    """Raise ValueError unless `task` is None, "classification" or "regression"."""
    if task not in (None, "classification", "regression"):
        raise unknown_name("task", task, ["classification", "regression"])


def check_many(count: int, rows: int, where: str) -> None:
    """Refuse to take many values for classes without being told: each would be an output."""
    if count > MANY:
        raise DataError(
            f"{where}: {count:,} different values in {rows:,} rows are many for classes; --target "
            "names another column, --task regression takes numbers as they are, --task "
            "classification takes each as a class all the same"
        )


def number_or_none(text: str) -> float | None:
    """Return the number that a cell spells, possibly nan or inf, or None."""
    try:
        return None if "_" in text else float(text)  # Python reads 1_000, no other tool does
    except ValueError:
        return None


def encode_numbers(values: np.ndarray, task: str | None, where: str) -> Encoded:
    """Decide whether numbers are classes, and return classes or targets.

    Numbers are classes if all are whole, and either at most 20 differ, or they are
    exactly 0..k-1 with two examples a class on average; more than 1,000 classes are
    refused. (scikit-learn's `type_of_target` takes any whole numbers for classes; a column
    of prices or years would become thousands of outputs.) `task` overrides the rule.

    Parameters
    ----------
    values : finite numbers (n,)
    task : None, "classification" or "regression"
    where : str
        File and column, for the message.

    Returns
    -------
    y : int64 array (n,) of classes, or float array (n,)
    class_names : tuple of str, or None if the classes are 0..k-1 or there are none

    Raises
    ------
    DataError
        If classes are asked for and a number is not whole, or there are too many unasked.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgd.data.targets import encode_numbers
    >>> encode_numbers(np.array([3.0, 1.0, 3.0]), None, "data.csv")
    (array([1, 0, 1]), ('1', '3'))
    >>> encode_numbers(np.array([0.5, 1.0]), None, "data.csv")
    (array([0.5, 1. ]), None)
    """
    numbers = values if values.dtype.kind == "f" and values.itemsize >= 4 else values.astype(float)
    if task == "regression":
        return numbers, None
    classes, codes = np.unique(numbers, return_inverse=True)
    fractions = classes[classes != np.floor(classes)]
    from_zero = classes[0] == 0 and classes[-1] == len(classes) - 1
    few = len(classes) <= FEW or (from_zero and 2 * len(classes) <= len(values))
    if task is None and (fractions.size or not few):
        return numbers, None
    if task is None:
        check_many(len(classes), len(values), where)
    if fractions.size:
        raise DataError(f"{where}: {fractions[0]} is no class; classes are whole numbers or words")
    names = None if from_zero else tuple(str(int(c)) for c in classes)
    return codes.reshape(-1).astype(np.int64), names


class Labels:
    """Codes for the words of a target column, in the order of first sight.

    Called with a cell, it returns the code of its label; ValueError says what is
    wrong with the cell. Numbers among words are refused (one stray word in a column
    of numbers must not make classes of it) unless `numbers` allows them.
    """

    def __init__(self, numbers: bool):
        self.numbers = numbers
        self.labels: list[str] = []
        self._codes: dict[str, int] = {}

    def __call__(self, cell: str) -> int:
        code = self._codes.get(cell)
        return self._add(cell) if code is None else code

    def _add(self, cell: str) -> int:
        label = cell.strip()
        number = number_or_none(label)
        if not label:
            raise ValueError("the cell is empty")
        if "\n" in label or "\r" in label:
            raise ValueError(f"{short(label)} runs over a line end; is a quote left open?")
        if number is not None and not math.isfinite(number):
            raise ValueError(f"{short(label)} is not a label")
        if number is not None and not self.numbers:
            raise ValueError(
                f"{short(label)} is a number among words; "
                "task='classification' takes both as labels"
            )
        code = self._codes.setdefault(label, len(self.labels))
        if code == len(self.labels):
            if code == _MOST_LABELS:
                raise ValueError(f"more than {_MOST_LABELS:,} different labels")
            self.labels.append(label)
        self._codes[cell] = code
        return code

    def encode(self, codes: np.ndarray, where: str) -> Encoded:
        """Return classes in the sorted order of their labels, and the labels."""
        count = len(self.labels)
        if not self.numbers and count > max(FEW, len(codes) // 2):
            raise DataError(
                f"{where}: {count:,} different words in {len(codes):,} rows look like names, "
                "not classes; task='classification' takes them as classes"
            )
        numbers = [number_or_none(label) for label in self.labels]
        if None not in numbers:
            return encode_numbers(np.array(numbers, float)[codes], "classification", where)
        order = sorted(range(count), key=self.labels.__getitem__)
        rank = np.empty(count, np.int64)
        rank[order] = np.arange(count)
        return rank[codes], tuple(self.labels[i] for i in order)


class KnownLabels:
    """Codes for labels that are given: those of a trained model.

    Examples
    --------
    >>> from fastgd.data.targets import KnownLabels
    >>> [KnownLabels(("1", "2"))(cell) for cell in ("2", " 1", "2.0")]
    [1, 0, 1]
    """

    def __init__(self, class_names: Sequence[str]):
        self.class_names = tuple(class_names)
        self._codes = {name: code for code, name in enumerate(self.class_names)}

    def __call__(self, cell: str) -> int:
        label = cell.strip()
        code = self._codes.get(label)
        number = number_or_none(label)
        if code is None and number is not None and math.isfinite(number) and number == int(number):
            code = self._codes.get(str(int(number)))
        if code is None:
            some = ", ".join(map(plain, self.class_names[:10])) + (
                ", ..." if self.class_names[10:] else ""
            )
            raise ValueError(f"{short(label)} is not one of the classes {some}")
        return code

    def encode(self, codes: np.ndarray, where: str) -> Encoded:
        """Return the codes as they are, and the labels that were given."""
        return codes.astype(np.int64), self.class_names


def encode_array(
    values: np.ndarray, task: str | None, class_names: Sequence[str] | None, where: str
) -> Encoded:
    """Encode an array (n,) of numbers or text: as the cells of a column would be."""
    if class_names is None and values.dtype.kind != "U":
        return encode_numbers(values, task, where)
    if task == "regression":
        raise DataError(f"{where}: text cannot be the target of a regression")
    labels = KnownLabels(class_names) if class_names is not None else Labels(numbers=True)
    distinct, inverse = np.unique(values, return_inverse=True)
    try:
        codes = np.array([labels(str(value)) for value in distinct])
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None
    return labels.encode(codes[inverse.reshape(-1)], where)


def encode_digits(labels: np.ndarray, class_names: Sequence[str] | None, where: str) -> Encoded:
    """Return the labels of digit images: they are their own classes unless names are given."""
    if class_names is None:
        return labels.astype(np.int64), None
    return encode_array(labels, None, class_names, where)
