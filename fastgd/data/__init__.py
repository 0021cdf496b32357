"""Data to train on: the embedded digits, MNIST, tables and NumPy archives.

One reader for each kind of file, one rule for what is a class (`targets.py`), and one
`Dataset` that all of them return. Inputs stay in the type they are stored in: the
network multiplies them by `input_scale` as it reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from fastgd.data.dataset import KINDS, Dataset, split
from fastgd.data.digits import load_digits
from fastgd.data.fetch import download_mnist, fetch_mnist, known_mnist
from fastgd.data.idx import load_idx
from fastgd.data.npz import load_npz
from fastgd.data.predictions import write_predictions
from fastgd.data.reading import not_found
from fastgd.data.tables import is_table, load_csv
from fastgd.data.targets import check_task, encode_digits
from fastgd.errors import DataError, SettingError
from fastgd.rules.checks import check_integer

__all__ = [
    "KINDS",
    "Dataset",
    "fetch_mnist",
    "load",
    "load_csv",
    "load_digits",
    "load_idx",
    "load_npz",
    "split",
    "write_predictions",
]

_ACCEPTED = (
    "'digits', 'mnist', a folder of MNIST IDX files, a table (.csv, .tsv, .txt, plain, .gz or "
    ".zip; .parquet, .feather, .xlsx), or an .npz"
)


def load(
    source: str | PathLike[str],
    *,
    target: str | Sequence[str] | None = None,
    need_target: bool = True,
    task: str | None = None,
    class_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    sample_weight: str | None = None,
    max_bytes: int | None = None,
    **described: Any,
) -> Dataset:
    """Read a dataset, whatever it is.

    Parameters
    ----------
    source : str or path
        "digits", "mnist", a folder of MNIST IDX files, a table (see `load_csv`) or .npz.
        What is called "mnist" in the current folder comes first, then the folder that
        the environment's FASTGD_MNIST names; where there is no such thing, `fetch_mnist`
        downloads it once and keeps it.
    target : str or sequence of str, optional
        The target column or columns, for tables.
    need_target : bool
        False for prediction: targets need not be there, and y is None.
    task : None, "classification" or "regression"
        Forces what the target otherwise decides; see `load_csv`.
    class_names : sequence of str, optional
        The labels of a trained model: labels become their positions in it.
    feature_names : sequence of str, optional
        The columns to read as inputs, in this order, for tables; ignored elsewhere.
    sample_weight : str, optional
        The column that says what each row counts, for tables.
    max_bytes : int, optional
        How far a compressed file (.gz, .zip, .npz, .parquet, .xlsx) may grow as it is unpacked;
        by default 1 GiB, or 20 times its size if that is more. One that grows beyond is refused.
    described
        `columns`, `learned`, `sep`, `ignore` and `categorical` of `load_csv`, for tables.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        In one line, if there is no such source or it cannot be read.
    ValueError
        If an argument does not fit the source.

    Examples
    --------
    >>> import fastgd.data
    >>> fastgd.data.load("digits")
    <Dataset digits: 1,797 x 64 uint8, 10 classes>
    """
    check_task(task)
    if max_bytes is not None:
        check_integer("max_bytes", max_bytes, 1)
    path = Path(source)
    fetched = source == "mnist" and not path.exists()
    if source != "digits" and not fetched:
        if not path.exists():
            raise DataError(
                f"{not_found(path, also=['digits', 'mnist'])}; accepted are {_ACCEPTED}"
            )
        if not path.is_dir():
            given = (target, need_target, task, class_names, feature_names, sample_weight)
            return _load_file(path, *given, max_bytes, described)
    _only_for_tables(source, described)
    if sample_weight is not None:
        raise SettingError("sample_weight", f"names a column of a table; {fspath(source)} is none")
    if target is not None:
        raise SettingError("target", f"is for tables; {fspath(source)} has labels of its own")
    if task == "regression":
        raise SettingError(
            "task", f"cannot be 'regression': {fspath(source)} holds images of classes"
        )
    if source != "digits":
        if fetched:
            path = known_mnist() or download_mnist()
        return load_idx(path, need_target=need_target, class_names=class_names, max_bytes=max_bytes)
    return _digits(need_target, class_names)


def _digits(need_target: bool, class_names: Sequence[str] | None) -> Dataset:
    digits = load_digits()
    if not need_target or digits.y is None:
        return replace(digits, y=None)
    y, names = encode_digits(digits.y, class_names, "digits")
    return replace(digits, y=y, class_names=names)


def _load_file(
    path: Path,
    target,
    need_target,
    task,
    class_names,
    feature_names,
    sample_weight,
    max_bytes,
    described,
) -> Dataset:
    name = path.name.lower()
    if is_table(name):
        return load_csv(
            path,
            target,
            need_target=need_target,
            task=task,
            class_names=class_names,
            feature_names=feature_names,
            sample_weight=sample_weight,
            max_bytes=max_bytes,
            **described,
        )
    _only_for_tables(path, described)
    if sample_weight is not None:
        raise SettingError("sample_weight", f"names a column of a table; {path} is none")
    if name.endswith(".npz"):
        if target is not None:
            raise SettingError("target", f"is for tables; the target of {path} is its array y")
        return load_npz(
            path,
            need_target=need_target,
            task=task,
            class_names=class_names,
            max_bytes=max_bytes,
        )
    hint = "; give the folder it is in" if "ubyte" in name else ""
    raise DataError(f"{path}: not a kind of file that is read here{hint}; accepted are {_ACCEPTED}")


def _only_for_tables(source: str | PathLike[str], described: dict[str, Any]) -> None:
    """Refuse what is said about columns where there are none."""
    for name, value in described.items():
        if value:
            raise SettingError(name, f"is for tables; {fspath(source)} is none")
