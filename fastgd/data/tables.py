"""Tables, as datasets: what `fastgd.tables` reads, all rows encoded."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

from fastgd.data.dataset import Dataset

if TYPE_CHECKING:
    from fastgd.tables import Columns, Target

__all__ = ["SUFFIXES", "is_table", "load_csv"]

#: What the name of a table ends in.
SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".feather", ".xlsx")
PACKED = (".gz", ".zip")


def is_table(name: str) -> bool:
    """Whether a file of that name is read as a table.

    >>> is_table("pets.CSV.gz"), is_table("pets.npz")
    (True, False)
    """
    name = name.lower()
    for end in PACKED:
        name = name.removesuffix(end)
    return name.endswith(SUFFIXES)


def load_csv(
    path: str | PathLike[str],
    target: str | Sequence[str] | None = None,
    *,
    need_target: bool = True,
    task: str | None = None,
    class_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    sample_weight: str | None = None,
    columns: Columns | None = None,
    learned: Target | None = None,
    sep: str | None = None,
    ignore: Sequence[str] = (),
    categorical: Sequence[str] = (),
    max_bytes: int | None = None,
) -> Dataset:
    """Read a table with a header line, and make numbers of all its columns.

    What is done to each column is in the dataset's `columns`, fitted on all rows;
    `fastgd.Table.divide` fits it on the rows that are not held out. Kaggle's
    digit-recognizer layout, `label,pixel0..pixel783` or the pixels alone, is known by
    its header and kept in bytes.

    A target of words is classes. Numbers are classes if all are whole, and at most 20
    differ or they are exactly 0..k-1 with two examples a class on average; else they are
    values. Words mixed with numbers are refused unless `task` is "classification".

    Parameters
    ----------
    path : path
        .csv, .tsv or .txt, plain or in .gz or .zip; .parquet, .feather, .xlsx.
    target : str or sequence of str, optional
        The target; without it, a column called target, label, class or y.
    need_target : bool
        False for prediction: y is None; a target column is ignored, whatever it holds.
    task : None, "classification" or "regression"
        Forces what is otherwise decided as above.
    class_names : sequence of str, optional
        The labels of a trained model: labels become their positions in it.
    feature_names : sequence of str, optional
        Columns of numbers to read as inputs, as they are, in this order.
    sample_weight : str, optional
        The column that says what each row counts: numbers of at least 0. It is no input then.
    columns, learned : Columns, Target, optional
        How a model reads its inputs and its target.
    sep : str, optional
        What separates the columns; else it is seen from the first lines.
    ignore, categorical : sequence of str
        Columns that are no inputs; columns whose numbers are names.
    max_bytes : int, optional
        How far a compressed file may grow; see `load`.

    Returns
    -------
    Dataset
        X is float64 (n, n_inputs), or uint8 (n, 784) with an `input_scale` of 1/255.

    Raises
    ------
    DataError
        In one line that names file, line (from 1) and column.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "pets.csv"
    ...     _ = path.write_text("weight,fur,pet\\n4,long,cat\\n30,short,dog\\n")
    ...     pets = load_csv(path, target="pet")
    >>> pets, pets.feature_names
    (<Dataset pets.csv: 2 x 3 float64, 2 classes>, ('weight', 'fur=long', 'fur=short'))
    """
    from fastgd.tables.loading import load_table  # pandas is loaded where it is used

    return load_table(
        path,
        target,
        need_target=need_target,
        task=task,
        class_names=class_names,
        feature_names=feature_names,
        weights=sample_weight,
        columns=columns,
        learned=learned,
        sep=sep,
        ignore=ignore,
        categorical=categorical,
        max_bytes=max_bytes,
    )
