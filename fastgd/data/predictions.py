"""Predictions, written as a table."""

from __future__ import annotations

import csv
import os
import secrets
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from fastgd.data.dataset import KINDS
from fastgd.errors import DataError, SettingError
from fastgd.rules.registry import unknown_name

__all__ = ["write_predictions"]


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
    Rows count from 1: the first example is row 1.

    It is written beside its place and then renamed: a failed write loses nothing.

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
    header, rows = _table(dataset_kind, np.asarray(classes_or_values), class_names)
    if output_names is not None and len(output_names) == len(header) - 1:
        header = ["row", *map(str, output_names)]
    # A link keeps pointing where it points; a device such as /dev/stdout cannot be replaced.
    place = Path(path).resolve()
    special = place.exists() and not place.is_file()
    scratch = place if special else place.with_name(f".{place.name}.{secrets.token_hex(4)}.tmp")
    try:
        with scratch.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
        if not special:
            os.replace(scratch, place)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if not special:
            scratch.unlink(missing_ok=True)


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
