"""The gate for weights: what each example counts, given by example or by class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastgd.errors import SettingError, SettingTypeError
from fastgd.rules.checks import check_number

__all__ = ["check_weights"]

Array = np.ndarray


def check_weights(
    sample_weight: Any, class_weight: Any, classes: Array | None, n: int, n_classes: int,
    dtype: str, name: str = "sample_weight",
) -> Array | None:  # fmt: skip
    """Return what each example counts, or None where all count 1.

    Parameters
    ----------
    sample_weight : array of shape (n,) or None
    class_weight : dict of class to number, "balanced" or None
        ``"balanced"`` is n / (number of classes present * how many of the class), as
        scikit-learn's; classes a dict does not name count 1. Multiplied by ``sample_weight``.
    classes : ndarray of shape (n,) or None
        Each example's class; None where targets are no classes.

    Raises
    ------
    TypeError, ValueError
        If weights are of another length, negative, NaN, infinite or all zero, or classes have
        weights that are not there.
    """
    weights = None if sample_weight is None else _check_sample_weight(sample_weight, n, name)
    if class_weight is not None:
        by_class = _check_class_weight(class_weight, classes, n_classes)
        assert classes is not None
        weights = by_class[classes] * (1.0 if weights is None else weights)
    if weights is None:
        return None
    if not weights.any():
        which = name if class_weight is None else "sample_weight and class_weight"
        raise SettingError(which, "must not be all zero; nothing would be learned")
    with np.errstate(over="ignore"):
        narrow = np.ascontiguousarray(weights, dtype=dtype)
    if not np.isfinite(narrow.sum(dtype=np.float64)) or not np.isfinite(narrow).all():
        raise SettingError(name, f"must be finite in {dtype}; the largest is {weights.max():g}")
    return narrow


def _check_sample_weight(given: Any, n: int, name: str) -> Array:
    try:
        weights = np.asarray(given)
    except ValueError as error:
        raise SettingError(name, f"must be a 1-D array of numbers: {error}") from None
    if weights.dtype.kind not in "biuf":
        raise SettingTypeError(name, f"must hold real numbers; got dtype {weights.dtype}")
    if weights.shape != (n,):
        raise SettingError(
            name, f"must have shape ({n},), one number for each example; got shape {weights.shape}"
        )
    weights = weights.astype(np.float64)
    with np.errstate(invalid="ignore"):
        wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise SettingError(
            name, f"must be finite and at least 0; {name}[{row}] is {weights[row]:g}"
        )
    return weights


def _check_class_weight(given: Any, classes: Array | None, n_classes: int) -> Array:
    """Return the weight of each class."""
    accepted = 'class_weight must be "balanced" or a dict of class to weight'
    if classes is None:
        raise ValueError(f"{accepted}, and y must hold classes; y holds numbers")
    if isinstance(given, str) and given == "balanced":
        counts = np.bincount(classes, minlength=n_classes)
        present = counts > 0
        return np.where(present, len(classes) / (present.sum() * np.maximum(counts, 1)), 0.0)
    if not isinstance(given, Mapping):
        raise (ValueError if isinstance(given, str) else TypeError)(f"{accepted}; got {given!r}")
    weights = np.ones(n_classes)
    for key, value in given.items():
        if isinstance(key, bool) or not isinstance(key, (int, np.integer)):
            raise TypeError(f"{accepted}, classes being integers; got the class {key!r}")
        if not 0 <= key < n_classes:
            raise SettingError(
                "class_weight", f"names class {key}; classes are 0 to {n_classes - 1}"
            )
        weights[key] = check_number(f"class_weight[{key}]", value, minimum=0)
    return weights
