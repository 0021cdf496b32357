"""Predictions, written as a table."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike

import numpy as np

from fastgd.data.dataset import KINDS
from fastgd.errors import DataError, SettingError
from fastgd.rules.registry import unknown_name
from fastgd.visible import as_cell
from fastgd.writing import write_whole

__all__ = ["prediction_lines", "write_predictions"]

#: So many lines are made at a time.
BLOCK = 1 << 14


def write_predictions(
    path: str | PathLike[str],
    dataset_kind: str,
    classes_or_values: np.ndarray,
    class_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> None:
    """Write predictions to a .csv file, one line for each example.

    For kind "kaggle" the columns are `ImageId,Label`, as its competition wants them. For
    any other they are `row,prediction`; several outputs are
    `row,prediction_0,prediction_1,...`, or have the names that are given.
    Rows count from 1: the first example is row 1. A name that a spreadsheet would take for a
    formula, as it begins with = + - @, has ' before it.

    It is written whole or not at all: a failed write loses nothing.

    Parameters
    ----------
    path : path
    dataset_kind : str
        The `kind` of the dataset that was predicted.
    classes_or_values : array
        Classes, an integer vector (n,), or values, (n,) or (n, n_outputs).
    class_names : sequence of str, optional
        Written in place of the classes.
    output_names : sequence of str, optional
        The columns of values.

    Raises
    ------
    ValueError
        If the kind is unknown, or the array is not one of the above.
    DataError
        If the file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from fastgd.data import write_predictions
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "predictions.csv"
    ...     write_predictions(path, "kaggle", np.array([3, 7]))
    ...     path.read_text()
    'ImageId,Label\\n1,3\\n2,7\\n'
    """
    lines = prediction_lines(dataset_kind, classes_or_values, class_names, output_names)
    try:
        write_whole(path, (line.encode() for line in lines))
    except BrokenPipeError:  # who read it has left
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error


def prediction_lines(
    dataset_kind: str,
    classes_or_values: np.ndarray,
    class_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> Iterator[str]:
    """Return the lines of `write_predictions`, many in one text; what is wrong is raised at once.

    >>> "".join(prediction_lines("csv", np.array([0.5, 2.0])))
    'row,prediction\\n1,0.5\\n2,2.0\\n'
    """
    header, rows = _table(dataset_kind, np.asarray(classes_or_values), class_names)
    if output_names is not None and len(output_names) == len(header) - 1:
        header = ["row", *map(str, output_names)]
    return _written(itertools.chain([header], rows))


def _written(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    rows = iter(rows)
    while some := list(itertools.islice(rows, BLOCK)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([map(as_cell, row) for row in some])
        yield text.getvalue()


def _table(
    kind: str, values: np.ndarray, class_names: Sequence[str] | None
) -> tuple[list[str], Iterable[list[object]]]:
    """Check everything before the file is touched; return header and rows."""
    if kind not in KINDS:
        raise unknown_name("dataset_kind", kind, KINDS)
    classes = values.dtype.kind in "iu"
    if not classes and values.dtype.kind != "f":
        raise SettingError("predictions", f"must be integers or floats; got {values.dtype}")
    if values.ndim != 1 and (classes or values.ndim != 2):
        raise SettingError(
            "predictions",
            f"must be classes (n,) or values (n,) or (n, n_outputs); got shape {values.shape}",
        )
    if kind == "kaggle" and not classes:
        raise ValueError("predictions of kind 'kaggle' must be classes, an integer vector")
    names = ["ImageId", "Label"] if kind == "kaggle" else ["row", "prediction"]
    if not classes:
        columns = values.reshape(len(values), -1)
        if columns.shape[1] > 1:
            names = ["row", *(f"prediction_{i}" for i in range(columns.shape[1]))]
        # str of a NumPy number is the shortest text that reads back as the same number
        return names, ([i, *map(str, row)] for i, row in enumerate(columns, 1))
    if class_names is None:
        return names, ([i, c] for i, c in enumerate(values.tolist(), 1))
    if values.size and not (values.min() >= 0 and values.max() < len(class_names)):
        raise SettingError(
            "predictions",
            f"must be from 0 to {len(class_names) - 1}, for {len(class_names)} "
            f"class_names; got {values.min()} to {values.max()}",
        )
    return names, ([i, class_names[c]] for i, c in enumerate(values.tolist(), 1))
