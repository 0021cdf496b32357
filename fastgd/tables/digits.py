"""Kaggle's digit-recognizer layout: a table that holds images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fastgd.data.dataset import Dataset
from fastgd.data.reading import reading, short
from fastgd.data.targets import encode_digits, number_or_none
from fastgd.errors import DataError
from fastgd.tables.reading import Header

__all__ = ["is_digits", "read_digits"]

Array = np.ndarray
# Kaggle counts pixels from 0; Fashion-MNIST and its like there count from 1.
PIXELS = [[f"pixel{i}" for i in range(start, start + 784)] for start in (0, 1)]
ROWS = 4096


def is_digits(names: Sequence[str]) -> bool:
    """Whether a header is `label,pixel0..pixel783`, or the pixels alone."""
    return list(names[1:] if names[0] == "label" else names) in PIXELS


def read_digits(header: Header, need_target: bool, class_names: Sequence[str] | None) -> Dataset:
    """Read pixels in bytes, and the labels before them unless only the pixels are needed."""
    path, labelled = header.path, header.names[0] == "label"
    if need_target and not labelled:
        raise DataError(
            f"{path}: has pixels but no column 'label'; without it, it can only be predicted"
        )
    skipped = int(labelled and not need_target)
    pieces = []
    with reading(path), header.read(chunksize=ROWS) as chunks:
        for chunk in chunks:
            pieces.append(_bytes(header, chunk.iloc[:, skipped:]))
    if not pieces:
        raise DataError(f"{path}: has column names but no rows")
    values = np.concatenate(pieces)
    y, names = None, None
    if need_target:
        y, names = encode_digits(values[:, 0], class_names, f"{path}, column 'label'")
        values = np.ascontiguousarray(values[:, 1:])
    return Dataset(
        values,
        y,
        input_scale=1 / 255,
        name=path.name,
        kind="kaggle",
        image_shape=(28, 28),
        class_names=names,
    )


def _bytes(header: Header, chunk: pd.DataFrame) -> Array:
    """Return whole numbers from 0 to 255 as bytes; refuse the first cell that is none."""
    try:
        values = chunk.to_numpy(np.float64)
        with np.errstate(invalid="ignore"):
            held: Array = values.astype(np.uint8)
        if (held == values).all():
            return held
        row = int(np.argmax((held != values).any(axis=1)))
    except ValueError:  # words
        row = 0
    for line, cells in header.records():
        for name, cell in zip(header.names, cells, strict=False):
            if line > 1 + row and name in chunk.columns and _is_no_byte(cell):
                problem = f"{short(cell)} is not a whole number from 0 to 255"
                problem = problem if cell.strip() else "the cell is empty"
                raise DataError(f"{header.path}, line {line}, column {short(name)}: {problem}")
    raise DataError(f"{header.path}: holds cells that are not whole numbers from 0 to 255")


def _is_no_byte(cell: str) -> bool:
    number = number_or_none(cell)
    return number is None or not 0 <= number <= 255 or number != int(number)
