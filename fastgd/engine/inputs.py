"""The gate for data: what X and y may be, checked before any work, and how backends read them.

X is never copied as a whole where that would cost much memory: what a backend cannot read as it
is (other dtypes, orders, alignments) is converted a piece at a time.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastgd.engine.architecture import Architecture
from fastgd.engine.rows import Rows
from fastgd.engine.scaling import standard_inputs, standard_targets
from fastgd.engine.sparse import Sparse, compress, counts, mostly_zeros
from fastgd.engine.weights import check_weights
from fastgd.errors import SettingError, SettingTypeError

__all__ = ["Examples", "Inputs", "Targets", "check_examples", "check_inputs", "check_targets"]

Array = np.ndarray

#: Kinds of number backends read as they are.
DIRECT = ("float32", "float64", "uint8")
#: How much of X or y is converted or checked at once, in numbers.
PIECE = 1 << 20
#: By how much a row of probabilities may miss 1: what rounding to float32 explains. The slope of
#: softmax outputs is that of rows that sum to 1.
SUM_TOLERANCE = 1e-5
#: X is converted, or its zeros are left out, where that takes at most this and a quarter of X.
COPY_BYTES = 48 << 20


class Inputs:
    """The rows of a checked X, as backends read them.

    Parameters
    ----------
    given : ndarray of shape (n, n_inputs), or Sparse
        Checked by `check_inputs`.
    architecture : Architecture
        The network's: what has to be converted becomes its dtype, or float64 where it shifts or
        scales columns, which is not rounded before.
    """

    def __init__(self, given: Array | Sparse, architecture: Architecture):
        self.given, self.architecture = given, architecture
        self.shifts = architecture.shifts_inputs
        self.dtype = architecture.dtype if architecture.input_columns is None else "float64"
        self.sparse: Sparse | None = None
        if isinstance(given, Sparse) and not self.shifts:
            self.sparse = given

    @cached_property
    def X(self) -> Array | Sparse:
        """What is read: the given rows, or those converted where that takes little memory."""
        X = self.given
        if self.sparse is not None:
            return X
        if isinstance(X, Sparse):
            fits = _fits(len(X) * X.n_columns, X.values.dtype.name, X.values)
            return X.dense() if fits else X
        return _require(X, self.dtype) if not _readable(X) and _fits(X.size, self.dtype, X) else X

    @cached_property
    def direct(self) -> bool:
        """Whether backends can read the rows where they lie."""
        X = self.X
        return not self.shifts if isinstance(X, Sparse) else _readable(X)

    def under(self, architecture: Architecture) -> Inputs:
        """Return the same rows, read by another architecture."""
        return Inputs(self.given, architecture)

    def __len__(self) -> int:
        return len(self.given)

    @property
    def most_rows(self) -> int:
        """How many rows may be asked for at once."""
        if self.direct:
            return len(self.X)
        width = self.X.n_columns if isinstance(self.X, Sparse) else self.X.shape[1]
        return max(1, PIECE // width)

    def leave_out_zeros(self) -> None:
        """Keep only the numbers that are not zero, where they are few: worth it before a fit."""
        X = self.X
        if self.sparse or self.shifts or isinstance(X, Sparse) or not self.direct:
            return
        if not mostly_zeros(X, 100):
            return
        kept = counts(X)
        if kept.sum() * (X.itemsize + 4) <= COPY_BYTES + X.nbytes // 4:
            self.sparse = compress(X, kept)

    def visit(self, order: Array) -> tuple[Array | Sparse, Array]:
        """Return inputs and the rows of them that are the rows ``order`` of X."""
        if self.sparse is not None or self.direct:
            X = self.X if self.sparse is None else self.sparse
            return X, order.astype(np.int64, copy=False)
        return self.take(order), np.arange(len(order), dtype=np.int64)

    def take(self, order: Array) -> Array | Sparse:
        """Return the rows ``order``, copied."""
        if isinstance(self.X, Sparse):
            return self.X.dense(order) if self.shifts else self.X.take(order)
        return _require(self.X[order], self.dtype if not self.direct else self.X.dtype)

    def rows(self, start: int, stop: int) -> Array | Sparse:
        """Return the rows from start to stop."""
        if self.direct:
            return self.X[start:stop]
        if isinstance(self.X, Sparse):
            return self.X.dense(slice(start, stop))
        return _require(self.X[start:stop], self.dtype)

    def largest(self) -> float:
        """Return the largest size the network sees among the first rows: enough for advice."""
        most = max(1, PIECE // self.architecture.n_inputs)
        rows = self.rows(0, min(len(self), 1000, self.most_rows, most))
        dense = rows.dense() if isinstance(rows, Sparse) else rows
        with np.errstate(over="ignore"):
            seen = standard_inputs(self.architecture, dense)
        return float(np.abs(seen).max(initial=0))


def _readable(X: Array) -> bool:
    flags = X.flags
    return X.dtype.name in DIRECT and X.dtype.isnative and flags.c_contiguous and flags.aligned


def _require(X: Array, dtype: np.typing.DTypeLike) -> Array:
    """Return X as C-contiguous, aligned and native numbers of ``dtype``."""
    return np.require(X, np.dtype(dtype), ["C", "A"])


def _fits(n: int, dtype: str, X: Array) -> bool:
    """Return whether n numbers of ``dtype`` may be kept beside X."""
    return n * np.dtype(dtype).itemsize <= COPY_BYTES + X.nbytes // 4


class Targets:
    """The checked targets, as backends read them: classes or one row of numbers each.

    Parameters
    ----------
    y : ndarray
        Classes (n,) or numbers (n, n_outputs), checked by `check_targets`; in the user's units.
    architecture : Architecture
        The network's: how numbers are scaled for it, and their dtype.
    """

    def __init__(self, y: Array, architecture: Architecture):
        self.y, self.architecture, self.n_outputs = y, architecture, architecture.n_outputs
        classes = y.ndim == 1 and architecture.output_columns is None
        self.dtype = np.dtype(np.int64 if classes else architecture.dtype)

    def __len__(self) -> int:
        return len(self.y)

    @property
    def most_rows(self) -> int:
        """How many rows may be asked for at once."""
        return max(1, PIECE // (1 if self.y.ndim == 1 else self.y.shape[1]))

    @property
    def are_classes(self) -> bool:
        """Whether each target is the number of a class."""
        return self.y.ndim == 1

    @cached_property
    def are_exclusive(self) -> bool:
        """Whether each target is one class of several, as a number or one-hot."""
        if self.are_classes:
            return True
        pieces = (self.y[i : i + self.most_rows] for i in range(0, len(self), self.most_rows))
        return self.n_outputs > 1 and all(
            bool(((piece == 0) | (piece == 1)).all() and (piece.sum(axis=1) == 1).all())
            for piece in pieces
        )

    @cached_property
    def classes(self) -> Array | None:
        """Each target's class, int64 (n,); None where targets are numbers."""
        if self.are_classes:
            return np.asarray(self.y, dtype=np.int64)
        if self.are_exclusive:
            return self.y.argmax(axis=1)
        one = self.n_outputs == 1 and bool(((self.y == 0) | (self.y == 1)).all())
        return self.y[:, 0].astype(np.int64) if one else None

    def visit(self, order: Array | slice) -> Array:
        """Return the targets of some rows, as the network sees them."""
        y = self.y[order] if isinstance(order, slice) else self.y.take(order, axis=0)  # faster
        if self.architecture.output_columns is None:
            return _require(y, self.dtype)
        return standard_targets(self.architecture, y)

    def rows(self, start: int, stop: int) -> Array:
        """Return the targets of the rows from start to stop, as the network sees them."""
        return self.visit(slice(start, stop))

    def in_units(self, rows: slice) -> Array:
        """Return the targets of some rows in the user's units: float64 where those are scaled."""
        if self.architecture.output_columns is None:
            return self.visit(rows)
        return self.y[rows] if self.are_classes else self.y[rows].astype(np.float64)


@dataclass(frozen=True, eq=False)
class Examples:
    """Checked inputs and targets, and what each example counts: where `Rows` come from.

    Parameters
    ----------
    inputs : Inputs
    targets : Targets
    weights : ndarray of shape (n,) in the network's dtype, optional
        All 1 if None.
    """

    inputs: Inputs
    targets: Targets
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @cached_property
    def total_weight(self) -> float:
        """The sum of the weights."""
        return len(self) if self.weights is None else float(self.weights.sum(dtype=np.float64))

    @property
    def most_rows(self) -> int:
        """How many rows may be asked for at once."""
        return min(self.inputs.most_rows, self.targets.most_rows)

    def weights_of(self, rows: Array | slice) -> Array | None:
        """Return the weights of some rows, or None."""
        return None if self.weights is None else self.weights[rows]

    def visit(self, order: Array) -> Rows:
        """Return the rows ``order``, X where it lies if a backend can read it there."""
        X, rows = self.inputs.visit(order)
        return Rows(X, self.targets.visit(order), rows, self.weights_of(order))

    def take(self, order: Array) -> Rows:
        """Return the rows ``order``, copied."""
        X = self.inputs.take(order)
        return Rows(X, self.targets.visit(order), None, self.weights_of(order))

    def rows(self, start: int, stop: int) -> Rows:
        """Return the rows from start to stop."""
        X, Y = self.inputs.rows(start, stop), self.targets.rows(start, stop)
        return Rows(X, Y, None, self.weights_of(slice(start, stop)))

    def by_class(self, class_weight: Any, architecture: Architecture) -> Examples:
        """Return the same examples, each counting as much as its class says, too."""
        if class_weight is None:
            return self
        weights = check_weights(
            self.weights, class_weight, self.targets.classes, len(self),
            max(2, architecture.n_outputs), architecture.dtype,
        )  # fmt: skip
        return Examples(self.inputs, self.targets, weights)

    def split(self, held_out: Array) -> tuple[Examples, Examples]:
        """Return the rows where ``held_out`` (n,) is False, and the others."""
        return self._some(np.flatnonzero(~held_out)), self._some(np.flatnonzero(held_out))

    def _some(self, rows: Array) -> Examples:
        X = self.inputs.given
        chosen = X.take(rows) if isinstance(X, Sparse) else X[rows]
        architecture = self.targets.architecture
        targets = Targets(self.targets.y[rows], architecture)
        return Examples(Inputs(chosen, architecture), targets, self.weights_of(rows))

    def under(self, architecture: Architecture) -> Examples:
        """Return the same examples, read by another architecture."""
        targets = Targets(self.targets.y, architecture)
        return Examples(self.inputs.under(architecture), targets, self.weights)


def check_examples(
    X: Any,
    y: Any,
    architecture: Architecture,
    sample_weight: Any = None,
    names: tuple[str, ...] = ("X", "y", "sample_weight"),
) -> Examples:
    """Return `Examples` of the same length, or raise."""
    inputs = check_inputs(X, architecture, names[0])
    targets = check_targets(y, architecture, names[1])
    if len(inputs) != len(targets):
        raise ValueError(
            f"{names[0]} and {names[1]} must have one row for each example; "
            f"got {len(inputs)} rows and {len(targets)} targets"
        )
    if sample_weight is None:
        return Examples(inputs, targets)
    weights = check_weights(sample_weight, None, None, len(inputs), 0, architecture.dtype, names[2])
    return Examples(inputs, targets, weights)


def check_inputs(
    X: Any, architecture: Architecture, name: str = "X", finite: bool = True
) -> Inputs:
    """Return the inputs, or raise an error that names the row and column at fault.

    Without ``finite``, whoever reads them finds out about NaN and infinity.

    Raises
    ------
    TypeError
        If X is not numeric.
    ValueError
        If X is empty, has the wrong shape or holds NaN or infinity.
    """
    if hasattr(X, "tocsr"):
        return Inputs(_check_sparse(X, architecture, name), architecture)
    array = _numeric(X, name)
    if array.ndim != 2:
        one = architecture.n_inputs == 1
        hint = "one number for each example" if one else "one example"
        place = "[:, None]" if one else "[None, :]"
        hint = f"; reshape {hint} with {name}{place}" if array.ndim == 1 else ""
        raise SettingError(
            name, f"must be 2-D, (examples, {architecture.n_inputs}); got shape {array.shape}{hint}"
        )
    if len(array) == 0:
        raise SettingError(name, f"must hold at least one example; got shape {array.shape}")
    if array.shape[1] != architecture.n_inputs:
        raise SettingError(
            name,
            f"must have {architecture.n_inputs} columns, one for each input; "
            f"got shape {array.shape}",
        )
    if finite:
        _check_finite(array, name, architecture.dtype, _seen_by(architecture))
    return Inputs(array, architecture)


def _seen_by(architecture: Architecture) -> Callable[[Array], Array] | None:
    """Return what makes of inputs what the network sees; None where that is no larger."""
    scale = architecture.input_scale
    if architecture.input_columns is None and abs(float(scale)) <= 1:
        return None
    return lambda piece: standard_inputs(architecture, piece)


def check_targets(y: Any, architecture: Architecture, name: str = "y") -> Targets:
    """Return the targets, or raise an error that names the row at fault.

    A 1-D y holds classes where the network has several outputs, numbers where it has one.
    """
    array = _numeric(y, name)
    n_outputs = architecture.n_outputs
    if len(np.atleast_1d(array)) == 0:
        raise SettingError(name, f"must hold at least one target; got shape {array.shape}")
    if array.ndim == 1 and n_outputs == 1:
        array = array.reshape(-1, 1)
    if array.ndim == 1:
        return Targets(_check_classes(array, n_outputs, name), architecture)
    if array.ndim != 2 or array.shape[1] != n_outputs:
        accepted = f"targets of shape (n, {n_outputs})"
        if n_outputs == 1:
            accepted += " or (n,)"
        else:
            accepted = f"classes of shape (n,) or {accepted}"
        raise SettingError(name, f"must be {accepted}; got shape {array.shape}")
    columns = architecture.output_columns
    seen = columns and (lambda piece: standard_targets(architecture, piece))
    _check_finite(array, name, architecture.dtype, seen)
    _check_bounds(array, architecture, name)
    return Targets(array, architecture)


def _numeric(given: Any, name: str) -> Array:
    """Return an array of real numbers, converting text and objects if they are numbers."""
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        raise SettingError(name, "must have no masked values; fill them first")
    if hasattr(given, "tocsr"):
        raise SettingTypeError(
            name, f"must be a dense array; got a sparse matrix (try {name}.toarray())"
        )
    try:
        array = np.asarray(given)
    except ValueError as error:  # ragged lists
        raise SettingError(name, f"must be a rectangular array of numbers: {error}") from None
    if array.ndim == 0 and array.dtype.kind not in "biufcMm":
        raise SettingTypeError(name, f"must be an array of numbers; got {reprlib.repr(given)}")
    if array.dtype.kind in "OUS":
        array = _from_objects(array, name)
    if array.dtype.kind not in "biuf":
        raise SettingTypeError(name, f"must hold real numbers; got dtype {array.dtype}")
    return array


def _check_indices(X: Any, name: str) -> None:
    """Raise where scipy's way to CSR would write outside its arrays."""
    try:
        if X.format in ("csc", "bsr"):
            copy(X).check_format(full_check=True)  # which may cut what is given
        for at, n in zip((X.row, X.col), X.shape, strict=True) if X.format == "coo" else ():
            if len(at) and not 0 <= at.min() <= at.max() < n:
                raise ValueError(f"from {at.min()} to {at.max()}, of {n}")
    except ValueError as error:
        raise SettingError(name, f"must have whole indices ({X.format}): {error}") from None


def _check_sparse(X: Any, architecture: Architecture, name: str) -> Sparse:
    """Return a scipy.sparse matrix or array as `Sparse`; the given one is never changed."""
    if X.ndim != 2 or X.shape[1] != architecture.n_inputs:
        raise SettingError(
            name,
            f"must have {architecture.n_inputs} columns, one for each input; got shape {X.shape}",
        )
    if X.shape[0] == 0:
        raise SettingError(name, f"must hold at least one example; got shape {X.shape}")
    if X.dtype.kind not in "biuf":
        raise SettingTypeError(name, f"must hold real numbers; got dtype {X.dtype}")
    _check_indices(X, name)
    csr = X.tocsr()
    # Copies: kernels go where these say, and whoever gave them may change them meanwhile.
    pointers, columns = csr.indptr.astype(np.int64), csr.indices.copy()
    _check_structure(csr, pointers, columns, name)
    columns = columns[: pointers[-1]]
    if not _ascend(columns, pointers):  # or twice the same; the matrix itself may say otherwise
        csr = type(csr)((csr.data[: len(columns)].copy(), columns, pointers), shape=csr.shape)
        csr.sum_duplicates()
        pointers, columns = csr.indptr.astype(np.int64), csr.indices
    data = csr.data[: len(columns)]
    with np.errstate(over="ignore", invalid="ignore"):
        seen = _seen_of_sparse(architecture, data, columns)
        finite = np.isfinite(seen.astype(architecture.dtype, copy=False))
    if not finite.all():
        at = int(np.argmin(finite))
        row = int(np.searchsorted(pointers, at, side="right")) - 1
        index, value = (row, int(columns[at])), data[at]
        why = _too_large(value, architecture.dtype)
        raise SettingError(name, f"must be finite; {_place(name, index)} is {value}{why}")
    wide = "float64" if architecture.input_columns else architecture.dtype
    kind = data.dtype if _readable(data) else wide
    return Sparse(
        _require(data, kind),
        _require(columns, np.int32),
        pointers,
        architecture.n_inputs,
    )


def _seen_of_sparse(architecture: Architecture, data: Array, columns: Array) -> Array:
    """Return what the network sees of numbers in some columns; where there are none it sees 0."""
    if architecture.input_columns is not None:
        shift, scale = architecture.input_columns
        return (data.astype(np.float64) - shift[columns]) * scale[columns]
    return data if _seen_by(architecture) is None else data * float(architecture.input_scale)


def _ascend(columns: Array, pointers: Array) -> bool:
    """Return whether columns ascend within each row."""
    if len(columns) < 2:
        return True
    ascend = columns[1:] > columns[:-1]
    starts = pointers[1:-1]
    ascend[starts[(starts > 0) & (starts < len(columns))] - 1] = True
    return bool(ascend.all())


def _check_structure(csr: Any, pointers: Array, columns: Array, name: str) -> None:
    """Raise where a CSR matrix points outside itself: kernels would read there."""
    broken = len(pointers) != csr.shape[0] + 1 or pointers[0] != 0 or (np.diff(pointers) < 0).any()
    if broken or pointers[-1] > min(len(columns), len(csr.data)):
        raise ValueError(f"{name} is no valid CSR matrix: its indptr does not fit its data")
    used = columns[: pointers[-1]]
    if len(used) and (used.min() < 0 or used.max() >= csr.shape[1]):
        wrong = int(np.flatnonzero((used < 0) | (used >= csr.shape[1]))[0])
        raise ValueError(
            f"{name} is no valid CSR matrix of {csr.shape[1]} columns: "
            f"indices[{wrong}] is {used[wrong]}"
        )


def _from_objects(array: Array, name: str) -> Array:
    try:
        if any(isinstance(item, np.complexfloating) for item in array.flat):
            raise TypeError
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        for index, item in np.ndenumerate(array):
            try:
                if isinstance(item, np.complexfloating):  # its imaginary part would be dropped
                    raise TypeError
                float(item)
            except (TypeError, ValueError):
                word = str(item) if isinstance(item, str) else item
                hint = "; labels are learned by fit, or set as network.classes"
                raise SettingTypeError(
                    name,
                    f"must hold numbers; got {word!r} at {_place(name, index)}"
                    + hint * (isinstance(item, str) and array.ndim == 1),
                ) from None
            except OverflowError:
                raise SettingError(
                    name, f"must be finite; {_place(name, index)} is too large"
                ) from None
        raise


def _place(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, index))}] ({' '.join(_words(index))})"


def _words(index: tuple[int, ...]) -> list[str]:
    words = [f"row {index[0]}"]
    if len(index) > 1:
        words.append(f"column {index[1]}")
    return words


def _check_finite(array: Array, name: str, dtype: str, seen: Any = None) -> None:
    """Raise where a number is NaN, infinite or too large for ``dtype``; a piece at a time.

    ``seen`` makes of a piece what the network sees of it; by default the numbers as they are.
    """
    if array.dtype.kind != "f":
        return
    narrow = array.dtype.itemsize > np.dtype(dtype).itemsize
    step = max(1, PIECE // max(1, array.shape[1] if array.ndim == 2 else 1))
    for start in range(0, len(array), step):
        piece = array[start : start + step]
        with np.errstate(over="ignore", invalid="ignore"):
            piece = seen(piece) if seen else piece.astype(dtype) if narrow else piece
        finite = np.isfinite(piece)
        if not finite.all():
            first = np.unravel_index(np.argmin(finite), finite.shape)
            index = (start + int(first[0]), *map(int, first[1:]))
            value = array[index]
            why = _too_large(value, dtype) or ", not finite"
            raise SettingError(name, f"must be finite; {_place(name, index)} is {value}{why}")


def _too_large(value: Any, dtype: str) -> str:
    """Return the words for a number that is finite, but not as the network sees it."""
    if not np.isfinite(value):
        return ""
    with np.errstate(over="ignore"):
        fits = np.isfinite(np.dtype(dtype).type(value))
    return f", too large for {dtype}" + " as the network scales it" * bool(fits)


def _check_classes(y: Array, n_classes: int, name: str) -> Array:
    """Return a copy of classes, or raise: kernels count by them, and the given ones may change."""
    y = y.copy()
    accepted = f"{name} must hold classes, integers from 0 to {n_classes - 1}"
    if y.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            whole = np.isfinite(y) & (y == np.floor(y))
        if not whole.all():
            row = int(np.argmin(whole))
            raise ValueError(f"{accepted}; {_place(name, (row,))} is {y[row]}")
    elif y.dtype.kind == "b":
        y = y.view(np.uint8)
    low, high = y.min(), y.max()
    if low < 0 or high >= n_classes:
        row = int(np.argmin(y) if low < 0 else np.argmax(y))
        raise ValueError(f"{accepted}; {_place(name, (row,))} is {y[row]}")
    return y


def _check_bounds(y: Array, architecture: Architecture, name: str) -> None:
    """Refuse targets the loss has no cost, or no slope, for."""
    loss = architecture.loss
    low = -np.inf if loss.minimum is None else loss.minimum
    high = np.inf if loss.maximum is None else loss.maximum
    wrong = (y < low) | (y > high)
    if wrong.any():
        index = tuple(map(int, np.unravel_index(np.argmax(wrong), wrong.shape)))
        accepted = f"be at least {low:g}" if high == np.inf else f"lie between {low:g} and {high:g}"
        raise SettingError(
            name, f"must {accepted} for loss {str(loss)!r}; {_place(name, index)} is {y[index]}"
        )
    if architecture.rules[-1].row_wise:
        sums = y.sum(axis=1, dtype=np.float64)
        off = np.abs(sums - 1) > SUM_TOLERANCE
        if off.any():
            row = int(np.argmax(off))
            raise ValueError(
                f"each row of {name} must sum to 1 for output {str(architecture.output)!r}; "
                f"row {row} sums to {sums[row]:.9g} (divide each row by its sum)"
            )
