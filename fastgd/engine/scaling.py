"""Inputs and targets at the size networks learn from: shifted and scaled as they are read.

A network sees x = (X - input_shift) * input_scale and targets (Y - output_shift) / output_scale,
and answers output_shift + output_scale * a. Each is one number for all columns, or a `Vector` of
one for each; computed in float64, and rounded once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.engine.sparse import Sparse
from fastgd.errors import SettingError, SettingTypeError
from fastgd.rules.checks import check_number

if TYPE_CHECKING:
    from fastgd.engine.architecture import Architecture
    from fastgd.engine.inputs import Examples

__all__ = [
    "SCALINGS", "Scaled", "Vector", "check_scaling", "in_units", "scaling_words",
    "standard_answers", "standard_inputs", "standard_targets", "standardized",
]  # fmt: skip

Array = np.ndarray

#: The settings, each with the number that changes nothing.
SCALINGS = {"input_shift": 0.0, "input_scale": 1.0, "output_shift": 0.0, "output_scale": 1.0}
#: No number is further than this from the shift, in scales: rare large values are shrunk.
FURTHEST = 10.0
#: How many numbers are looked at together: they and what is made of them stay in the cache.
PIECE = 1 << 15
#: How many numbers lie side by side.
SIDE = 256


class Vector:
    """Numbers that never change, as part of what a network is: float64, with a hash.

    Parameters
    ----------
    numbers : array of shape (n,)

    Examples
    --------
    >>> Vector([1, 2]) == Vector([1.0, 2.0]), np.asarray(Vector([1, 2]))
    (True, array([1., 2.]))
    """

    __slots__ = ("_array", "_hash")

    def __init__(self, numbers: Any):
        values = np.array(numbers, dtype=np.float64).reshape(-1) + 0.0  # there is one zero
        content = values.tobytes()
        self._array = np.frombuffer(content, dtype=np.float64)  # nobody can make it writable
        self._hash = hash(content)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy or (dtype is not None and np.dtype(dtype) != np.float64):
            return self._array.astype(dtype or np.float64)
        return self._array

    def __len__(self) -> int:
        return len(self._array)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Vector):
            return NotImplemented
        return self._hash == other._hash and self._array.tobytes() == other._array.tobytes()

    def __repr__(self) -> str:
        return f"Vector({np.array2string(self._array, threshold=6)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Vector, (np.array(self._array),)

    def __copy__(self) -> Vector:
        return self

    def __deepcopy__(self, memo: Any) -> Vector:
        return self


def check_scaling(name: str, given: Any, n: int) -> float | Vector:
    """Return one number where all n columns have the same, else a `Vector`; or raise."""
    what = "input" if name.startswith("input") else "output"
    if np.ndim(given) == 0 and not isinstance(given, Vector):
        numbers = np.array([check_number(name, given)])
    else:
        try:
            numbers = np.asarray(given)
        except ValueError:  # ragged lists
            raise SettingError(name, "must be one number, or an array of them") from None
        if numbers.dtype.kind not in "iuf":
            raise SettingTypeError(name, f"must be real numbers; got dtype {numbers.dtype}")
        if numbers.shape != (n,):
            raise SettingError(
                name,
                f"must be one number, or an array of shape ({n},), one for each {what}; "
                f"got shape {numbers.shape}",
            )
        numbers = numbers.astype(np.float64)
    scale = SCALINGS[name] == 1
    wrong = ~np.isfinite(numbers) | (scale & (numbers == 0))
    if wrong.any():
        at = int(np.argmax(wrong))
        place = "" if np.ndim(given) == 0 and not isinstance(given, Vector) else f" at {name}[{at}]"
        accepted = "not be 0" if numbers[at] == 0 else "be finite"
        raise SettingError(name, f"must {accepted}; got {numbers[at]:g}{place}")
    if (numbers == numbers[0]).all():
        return float(numbers[0]) + 0.0
    return Vector(numbers)


def standard_inputs(architecture: Architecture, X: Array) -> Array:
    """Return inputs as the network sees them, in its dtype."""
    columns, dtype = architecture.input_columns, np.dtype(architecture.dtype)
    if columns is None:
        return X.astype(dtype) * dtype.type(architecture.input_scale)
    shift, scale = columns
    return ((X.astype(np.float64) - shift) * scale).astype(dtype)


def seen_as_finite(architecture: Architecture, X: Array | Sparse, most: int = 1024) -> bool:
    """Return whether inputs (n, n_in), dense or sparse, are finite as the network sees them."""
    for start in range(0, len(X), most):
        rows = X[start : start + most]
        seen = standard_inputs(architecture, rows.dense() if isinstance(rows, Sparse) else rows)
        if not np.isfinite(seen).all():
            return False
    return True


def standard_targets(architecture: Architecture, Y: Array) -> Array:
    """Return targets (n, n_outputs) as the network sees them, in its dtype; classes as rows."""
    if Y.ndim == 1:
        Y = np.eye(architecture.n_outputs)[Y]
    return np.require(standard_answers(architecture, Y), architecture.dtype, "C")


def standard_answers(architecture: Architecture, Y: Array) -> Array:
    """Return targets or predictions (n, n_outputs) in the network's units, float64."""
    columns, Y = architecture.output_columns, Y.astype(np.float64)
    return Y if columns is None else (Y - columns[0]) / columns[1]


def in_units(architecture: Architecture, outputs: Array) -> Array:
    """Return the network's outputs in the units of the targets: float64 where those are scaled."""
    columns = architecture.output_columns
    if columns is None:
        return outputs
    shift, scale = columns
    return shift + scale * outputs.astype(np.float64)


def scaling_words(architecture: Architecture) -> list[str]:
    """Return what is shifted and scaled, in words; nothing for one scale of all inputs."""
    a, words = architecture, []
    if a.input_columns is not None:
        words.append(f"inputs {'shifted and ' if a.shifts_inputs else ''}scaled column by column")
    if a.output_columns is not None:
        words.append("outputs in the targets' own units")
    return words


class Scaled:
    """The four settings as people read them: one number, or an array that cannot be written to."""

    @property
    def architecture(self) -> Architecture:
        """The network's."""
        raise NotImplementedError

    @property
    def input_shift(self) -> float | Array:
        """What is taken off inputs as they are read: one number, or (n_inputs,) float64."""
        return _plain(self.architecture.input_shift)

    @property
    def input_scale(self) -> float | Array:
        """What inputs are multiplied by then: one number, or (n_inputs,) float64."""
        return _plain(self.architecture.input_scale)

    @property
    def output_shift(self) -> float | Array:
        """What is added to outputs, and taken off targets: one number, or (n_outputs,)."""
        return _plain(self.architecture.output_shift)

    @property
    def output_scale(self) -> float | Array:
        """What outputs are multiplied by, and targets divided by: one number, or (n_outputs,)."""
        return _plain(self.architecture.output_scale)


def _plain(value: float | Vector) -> float | Array:
    return np.asarray(value) if isinstance(value, Vector) else value


def standardized(architecture: Architecture, examples: Examples | None) -> Architecture:
    """Return the architecture with the scaling these examples ask for, where it has none yet.

    Inputs are brought to mean 0 and standard deviation 1, or less where one number would be
    further than `FURTHEST` from the mean; so are targets, where they are numbers without bounds.
    Sparse inputs are scaled only, so that zeros stay zeros.
    """
    a = architecture
    found: dict[str, Any] = {}
    loss, free = a.loss, not np.isfinite(a.output.reach).any()
    numbers = free and loss.minimum is None and loss.maximum is None and not loss.classifies
    inputs = a.input_columns is None and a.input_scale == 1
    outputs = a.output_columns is None and numbers
    if examples is None:
        if inputs or outputs:
            raise SettingError("standardize", "needs X and y as arrays, not chunks of them")
        return a
    if inputs:
        X = examples.inputs.given
        shift, scale = _of_sparse(X) if isinstance(X, Sparse) else _of_columns(X)
        found = {"input_shift": shift, "input_scale": scale}
    if outputs and not examples.targets.are_exclusive:
        shift, scale = _of_columns(examples.targets.y)
        found |= {"output_shift": shift, "output_scale": 1 / scale}
    return replace(a, **found) if found else a


def _of_columns(X: Array) -> tuple[Array, Array]:
    """Return each column's mean and what scales it, reading a piece of the rows at a time."""
    n, width = X.shape
    mean, low, high = np.zeros(width), np.full(width, np.inf), np.full(width, -np.inf)
    for piece in _pieces(X):
        mean += _down(np.add, piece, width) / n
        low = np.minimum(low, _down(np.minimum, piece, width))
        high = np.maximum(high, _down(np.maximum, piece, width))
    furthest = np.maximum(high - mean, mean - low)
    reach = np.where(furthest > 0, furthest, 1)  # squares neither overflow nor vanish
    squares = np.zeros(width)
    for piece in _pieces(X):
        side = piece.shape[1] // width
        away = piece - np.tile(mean, side)
        away /= np.tile(reach, side)
        away *= away
        squares += _down(np.add, away, width)
    # What a mean rounds to is no spread.
    furthest[furthest <= 1e-15 * np.abs(mean)] = 0
    return mean, _scale(furthest, np.sqrt(squares / n) * reach)


def _pieces(X: Array) -> Iterator[Array]:
    """Yield rows as float64, in one order: sums then do not depend on how X lies.

    Several narrow rows lie side by side, for NumPy is slow where rows are short.
    """
    n, width = X.shape
    side = max(1, SIDE // width)
    step = max(1, PIECE // (width * side)) * side
    for start in range(0, n, step):
        piece = X[start : start + step].astype(np.float64, order="C", copy=False)
        whole = len(piece) // side * side
        if whole:
            yield piece[:whole].reshape(-1, width * side)
        if whole < len(piece):
            yield piece[whole:]


def _down(reduce: np.ufunc, piece: Array, width: int) -> Array:
    """Reduce the rows of a piece, those side by side, too, to one number a column."""
    return reduce.reduce(reduce.reduce(piece, axis=0).reshape(-1, width), axis=0)


def _of_sparse(X: Sparse) -> tuple[float, Array]:
    """Return no shift, and what scales each column's root mean square about 0 to 1."""
    kept = slice(X.pointers[0], X.pointers[-1])
    values, columns = X.values[kept], X.columns[kept]
    furthest, squares = np.zeros(X.n_columns), np.zeros(X.n_columns)
    pieces = [slice(start, start + PIECE) for start in range(0, len(values), PIECE)]
    for part in pieces:
        np.maximum.at(furthest, columns[part], np.abs(values[part].astype(np.float64)))
    reach = np.where(furthest > 0, furthest, 1)
    for part in pieces:
        share = values[part].astype(np.float64) / reach[columns[part]]
        squares += np.bincount(columns[part], weights=share**2, minlength=X.n_columns)
    return 0.0, _scale(furthest, np.sqrt(squares / len(X)) * reach)


def _scale(furthest: Array, spread: Array) -> Array:
    """Return what columns are multiplied by; 1 where they never change."""
    size = np.maximum(spread, furthest / FURTHEST)
    with np.errstate(divide="ignore", over="ignore"):
        scale = 1 / size
    return np.where((furthest > 0) & np.isfinite(scale), scale, 1.0)
