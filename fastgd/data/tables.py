"""Tables: which column is what, and Kaggle's digit-recognizer layout among them."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from fastgd.data.dataset import Dataset
from fastgd.data.reading import short
from fastgd.data.table_reader import (
    Cell,
    Table,
    as_number,
    as_pixel,
    as_target,
    ignored,
    table_at,
)
from fastgd.data.targets import (
    KnownLabels,
    Labels,
    check_task,
    encode_digits,
    encode_numbers,
    number_or_none,
)
from fastgd.errors import DataError, SettingError

__all__ = ["SUFFIXES", "load_csv"]

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_TARGET_NAMES = ("target", "label", "class", "y")
# Kaggle counts pixels from 0; Fashion-MNIST and its like there count from 1.
_PIXELS = [tuple(f"pixel{i}" for i in range(start, start + 784)) for start in (0, 1)]


def load_csv(
    path: str | PathLike[str],
    target: str | None = None,
    *,
    need_target: bool = True,
    task: str | None = None,
    class_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    sample_weight: str | None = None,
) -> Dataset:
    """Read a table with a header line: .csv or .tsv, plain or .gz, UTF-8.

    Every column but the target is an input and holds finite numbers. Kaggle's
    digit-recognizer layout, `label,pixel0..pixel783` or the pixels alone, is known by
    its header and kept in bytes. Blank lines are skipped.

    A target of words is classes. Numbers are classes if all are whole, and at most 20
    differ or they are exactly 0..k-1 with two examples a class on average; else they are
    values. Words mixed with numbers are refused unless `task` is "classification".

    Parameters
    ----------
    path : str or path
    target : str, optional
        The target column; without it, one called target, label, class or y.
    need_target : bool
        False for prediction: y is None; a target column is ignored, whatever it holds.
    task : None, "classification" or "regression"
        Forces what is otherwise decided as above.
    class_names : sequence of str, optional
        The labels of a trained model: labels become their positions in it.
    feature_names : sequence of str, optional
        The columns to read as inputs, in this order.
    sample_weight : str, optional
        The column that says what each row counts: numbers of at least 0. It is no input then.

    Returns
    -------
    Dataset
        X is float64 (n, n_features), or uint8 (n, 784) with an `input_scale` of 1/255.

    Raises
    ------
    DataError
        In one line that names file, line (from 1) and column.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "pets.csv"
    ...     _ = path.write_text("weight,height,pet\\n4,25,cat\\n30,60,dog\\n")
    ...     load_csv(path, target="pet")
    <Dataset pets.csv: 2 x 2 float64, 2 classes>
    """
    check_task(task)
    table = table_at(Path(path))
    plain = feature_names is None and sample_weight is None and task != "regression"
    if plain and _is_kaggle(table, target):
        return _read_kaggle(table, need_target, class_names)
    column = _target_column(table, target, need_target, feature_names)
    weights = None if sample_weight is None else _weight_column(table, sample_weight, column)
    inputs = _input_columns(table, (column, weights), feature_names)
    return _read(table, inputs, column if need_target else None, weights, task, class_names)


def _read(
    table: Table,
    inputs: list[int],
    target: int | None,
    weights: int | None,
    task: str | None,
    class_names: Sequence[str] | None,
) -> Dataset:
    """Read the inputs and, unless they are None, the target and the weights."""
    cells: list[Cell] = [ignored] * len(table.names)
    for column in inputs if weights is None else [*inputs, weights]:
        cells[column] = as_number
    y, names = None, None
    if target is None:
        values = table.read(np.float64, cells)
    else:
        labels = _labels(task, class_names, table.first_row[target : target + 1])
        cells[target] = labels or as_target
        values = table.read(np.float64, cells)
        where = f"{table.path}, column {short(table.names[target])}"
        cells_read = values[:, target].copy()
        if labels is not None:
            y, names = labels.encode(cells_read.astype(np.int64), where)
        else:
            y, names = encode_numbers(cells_read, task, where)
    counts = None if weights is None else values[:, weights].copy()
    if counts is not None and not (counts.min() >= 0 and counts.any()):
        raise DataError(
            f"{table.path}, column {short(table.names[weights or 0])}: weights must be at least 0 "
            f"and not all 0; the least is {counts.min():g}"
        )
    return Dataset(
        _take_columns(values, inputs),
        y,
        weights=counts,
        name=table.path.name,
        kind="csv",
        feature_names=tuple(table.names[column] for column in inputs),
        class_names=names,
    )


def _labels(
    task: str | None, class_names: Sequence[str] | None, first_cell: Sequence[str]
) -> KnownLabels | Labels | None:
    """Choose how the target is read: as labels, or (None) as numbers."""
    if class_names is not None:
        return KnownLabels(class_names)
    if task == "classification":
        return Labels(numbers=True)
    is_word = any(cell.strip() and number_or_none(cell) is None for cell in first_cell)
    return Labels(numbers=False) if task is None and is_word else None


def _target_column(
    table: Table, target: str | None, need_target: bool, feature_names: Sequence[str] | None
) -> int | None:
    """Find the target column; None only where it is not needed."""
    if target in table.names:
        return table.names.index(target)
    if target is None:
        usual = [
            name
            for name in table.names
            if name.casefold() in _TARGET_NAMES and name not in (feature_names or ())
        ]
        if len(usual) > 1 and need_target:
            raise DataError(
                f"{table.path}: name the target column (--target), as {' and '.join(usual)} "
                f"could each be it"
            )
        if usual:
            return table.names.index(usual[0])
    if not need_target:
        return None
    if target is not None:
        raise table.no_column("target", target)
    raise DataError(
        f"{table.path}: name the target column (--target), as none is called "
        f"{', '.join(_TARGET_NAMES)}; columns are {table.listing()}"
    )


def _weight_column(table: Table, name: str, target: int | None) -> int:
    """Find the column of weights."""
    if name not in table.names:
        raise table.no_column("weight", name)
    if table.names.index(name) == target:
        raise DataError(f"{table.path}: column {short(name)} is target and weight")
    return table.names.index(name)


def _input_columns(
    table: Table, taken: tuple[int | None, ...], feature_names: Sequence[str] | None
) -> list[int]:
    """Find the inputs: the columns named, or all that nothing else has ``taken``."""
    if feature_names is None:
        columns = [column for column in range(len(table.names)) if column not in taken]
    else:
        for name in feature_names:
            if name not in table.names:
                raise table.no_column("input", name)
        columns = [table.names.index(name) for name in feature_names]
    if not columns:
        raise DataError(f"{table.path}: no column is left for inputs")
    if len(set(columns)) < len(columns):
        raise SettingError("feature_names", "names a column twice")
    for column in set(columns) & set(taken):
        raise DataError(f"{table.path}: column {short(table.names[column])} is input and target")
    return columns


def _is_kaggle(table: Table, target: str | None) -> bool:
    pixels = table.names[1:] if table.names[0] == "label" else table.names
    return target in (None, "label") and pixels in _PIXELS


def _read_kaggle(table: Table, need_target: bool, class_names: Sequence[str] | None) -> Dataset:
    """Read pixels, and the labels before them unless only the pixels are needed."""
    labelled = table.names[0] == "label"
    if need_target and not labelled:
        raise DataError(
            f"{table.path}: has pixels but no column 'label'; without it, it can only be predicted"
        )
    cells: list[Cell] = [as_pixel] * len(table.names)
    if labelled and not need_target:
        cells[0] = ignored
    values = table.read(np.uint8, cells)
    y, names = None, None
    if need_target:
        y, names = encode_digits(values[:, 0], class_names, f"{table.path}, column 'label'")
    return Dataset(
        _take_columns(values, list(range(int(labelled), len(table.names)))),
        y,
        input_scale=1 / 255,
        name=table.path.name,
        kind="kaggle",
        image_shape=(28, 28),
        class_names=names,
    )


def _take_columns(values: np.ndarray, columns: list[int]) -> np.ndarray:
    """Keep some columns, in the memory the array already has, and in C order.

    A block of rows moves at a time, always towards the front: what it overwrites has
    been read before.
    """
    n, width = len(values), len(columns)
    if columns == list(range(values.shape[1])):
        return values
    flat = values.reshape(-1)
    step = max(1, (1 << 20) // values.shape[1])
    for start in range(0, n, step):
        block = values[start : start + step, columns]
        flat[start * width : (start + len(block)) * width] = block.reshape(-1)
    return flat[: n * width].reshape(n, width)
