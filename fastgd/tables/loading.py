"""From a table's file to a dataset: with a model's description, or with one of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fastgd.data.dataset import Dataset
from fastgd.data.reading import plain
from fastgd.data.targets import check_task
from fastgd.errors import DataError, SettingError
from fastgd.tables.cells import BadCell, Cells
from fastgd.tables.column import numbers_in
from fastgd.tables.columns import Columns
from fastgd.tables.digits import is_digits, read_digits
from fastgd.tables.reading import Header, Source, header_of, read_frame
from fastgd.tables.table import TARGET_NAMES, Table
from fastgd.tables.target import Target

__all__ = ["check_fits", "load_table", "open_table"]

#: Files that are text are looked at before they are read: they may hold images.
TEXT = (".csv", ".tsv", ".txt", ".gz", ".zip")


def open_table(
    path: str | PathLike[str],
    target: str | Sequence[str] | None = None,
    *,
    need_target: bool = True,
    class_names: Sequence[str] | None = None,
    sep: str | None = None,
    max_bytes: int | None = None,
    **options: Any,
) -> Table | Dataset:
    """Read a table, or the images that are written as one.

    Parameters
    ----------
    path : path
    target, sep, max_bytes, options
        As `Table.read` takes them.
    need_target : bool
        Whether a target must be there.
    class_names : sequence of str, optional
        The labels of images.
    """
    check_task(options.get("task"))
    source = peek(path, sep, max_bytes)
    if isinstance(source, Header) and not any(options.values()) and shows_digits(source, target):
        return read_digits(source, need_target, class_names)
    table = Table.read(source, target if need_target else None, sep=sep, max_bytes=max_bytes,
                       **options)  # fmt: skip
    if need_target and not table.target_names:
        raise _name_it(table.source)
    return table


def load_table(
    path: str | PathLike[str],
    target: str | Sequence[str] | None = None,
    *,
    need_target: bool = True,
    task: str | None = None,
    class_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    weights: str | None = None,
    columns: Columns | None = None,
    learned: Target | None = None,
    sep: str | None = None,
    ignore: Sequence[str] = (),
    categorical: Sequence[str] = (),
    max_bytes: int | None = None,
) -> Dataset:
    """Read a table and encode all of its rows; see `fastgd.data.load`."""
    check_task(task)
    names = [target] if isinstance(target, str) else list(target or ())
    told = feature_names or columns or weights or ignore or categorical or task == "regression"
    opened = peek(path, sep, max_bytes)
    if isinstance(opened, Header) and not told and shows_digits(opened, target):
        return read_digits(opened, need_target, class_names)
    source = read_frame(opened, sep, max_bytes)
    usual = [name for name in source.frame.columns if name.casefold() in TARGET_NAMES]
    usual = [name for name in usual if name not in (feature_names or ())]
    if need_target and not names:
        names = list(learned.columns) if learned is not None else usual
        if len(names) != 1 and learned is None:
            raise _name_it(source, usual)
    elif not names and len(usual) == 1:
        names = usual
    if columns is None and feature_names is not None:
        columns = _plain(source, feature_names, names + ([weights] if weights else []))
    if learned is not None and names and tuple(names) != learned.columns:
        learned = replace(learned, columns=tuple(names))
    if learned is None and class_names is not None and names:
        integers = list(class_names) == [str(i) for i in range(len(class_names))]
        learned = Target(tuple(names[:1]), tuple(class_names), integers)
    if need_target:
        return _learned(source, names, task, columns, learned, weights, ignore, categorical)
    present = [name for name in names if name in source.frame.columns]
    if columns is None:
        inputs = source.frame.drop(columns=[*present, *([weights] if weights else [])])
        columns = Columns.of(inputs, drop=False, style=source.style)
    return Table(source, weights=weights).dataset(columns, learned, need_target=False)


def _learned(
    source: Source,
    names: list[str],
    task: str | None,
    columns: Columns | None,
    learned: Target | None,
    weights: str | None,
    ignore: Sequence[str],
    categorical: Sequence[str],
) -> Dataset:
    """Encode rows with their targets."""
    options: dict[str, Any] = {"weights": weights, "ignore": ignore, "categorical": categorical}
    read = Table(source, names, task=task, described=learned, **options)
    if columns is None:
        return read.divide()
    return read.dataset(columns, read.target)


def _plain(source: Source, names: Sequence[str], taken: Sequence[str]) -> Columns:
    """Describe columns of numbers for a model that knows their names alone."""
    if len(set(names)) < len(names):
        raise SettingError("feature_names", "names a column twice")
    for name in names:
        if name in taken:
            raise DataError(f"{source.path}: column {name!r} is input and target")
    return Columns.plain(names)


def check_fits(
    source: Source, frame: pd.DataFrame, columns: Columns | None, dtype: str, hint: str
) -> None:
    """Refuse the first number among a table's inputs that a dtype cannot hold.

    Parameters
    ----------
    source : Source
    frame : pandas.DataFrame
        Its rows that matter.
    columns : Columns or None
    dtype : str
    hint : str
        What the message advises.
    """
    for column in columns.used if columns is not None else ():
        if column.kind != "number":
            continue
        values = numbers_in(Cells(frame[column.name]), column.written)
        large = np.abs(values) > np.finfo(dtype).max
        if large.any():
            at = int(np.argmax(large))
            problem = f"{values[at]:g} is too large for {dtype}; {hint}"
            raise source.error(BadCell(int(frame.index[at]), column.name, problem))


def peek(path: str | PathLike[str], sep: str | None, max_bytes: int | None) -> Header | Path:
    """Return the header of a text file, another file's path."""
    path = Path(path)
    return header_of(path, sep, max_bytes) if path.name.lower().endswith(TEXT) else path


def shows_digits(header: Header, target: str | Sequence[str] | None) -> bool:
    """Whether a text file holds images, and nothing else is to be learned than their labels."""
    return target in (None, "label", ["label"], ("label",)) and is_digits(header.names)


def _name_it(source: Source, usual: Sequence[str] = ()) -> DataError:
    if len(usual) > 1:
        return DataError(
            f"{source.path}: name the target column (--target), as {' and '.join(usual)} could "
            "each be it"
        )
    names = list(source.frame.columns)
    more = f", ... ({len(names)} in all)" if len(names) > 10 else ""
    return DataError(
        f"{source.path}: name the target column (--target), as none is called "
        f"{', '.join(TARGET_NAMES)}; columns are {', '.join(map(plain, names[:10]))}{more}"
    )
