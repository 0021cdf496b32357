"""A table in, a model out: what ``fastgd train`` does, in one call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fastgd.data.notes import notes_for
from fastgd.errors import SettingError
from fastgd.network import Network
from fastgd.recipe import recipe_for
from fastgd.rules.checks import check_flag, check_number
from fastgd.tables.model import Model
from fastgd.tables.table import Table

__all__ = ["HOLDOUT", "train"]

#: The share of the rows that is held out of training.
HOLDOUT = 0.2


def train(
    source: Any,
    target: str | Sequence[str] | None = None,
    *,
    ignore: Iterable[str] = (),
    categorical: Iterable[str] = (),
    weights: str | None = None,
    sep: str | None = None,
    task: str | None = None,
    max_bytes: int | None = None,
    holdout: float = HOLDOUT,
    seed: int = 0,
    hidden: int | Sequence[int] | None = None,
    activation: Any = None,
    dropout: Any = 0.0,
    dtype: Any = "float32",
    backend: str | None = None,
    verbose: bool = True,
    **fit: Any,
) -> Model:
    """Train a network on a table, whatever its columns hold, and return it as a model.

    Parameters
    ----------
    source : path, frame or Table
        .csv, .tsv or .txt, plain or in .gz or .zip; .parquet, .feather, .xlsx; a frame of pandas,
        polars or pyarrow; a dict of columns.
    target, ignore, categorical, weights, sep, task, max_bytes
        As in `Table.read`; not with a Table, which has them.
    holdout : float, default 0.2
        The share of the rows kept out of training, to measure the model on, from 0 to below 1.
    seed : int, default 0
        Where the rows held out, the first parameters and the order of rows come from.
    hidden : int or sequence of int, optional
        Units of the hidden layers; by default what `fastgd.recipe` chooses.
    activation, dropout, dtype, backend
        As in `Network`; the activation is by default what the recipe chooses.
    verbose : bool, default True
        Whether to print what was chosen, and how good the model is on the rows held out.
    **fit
        What `Network.fit` takes besides: ``optimizer``, ``epochs``, ``callbacks``, ...

    Returns
    -------
    Model
        Its ``network.notes`` remember which rows were held out, so that ``fastgd evaluate`` finds
        them again.

    Raises
    ------
    DataError
        If the table cannot be read, or has nothing to learn; the message names file, line and
        column.
    TypeError, ValueError
        If a setting is not accepted.

    Examples
    --------
    >>> import fastgd
    >>> houses = {"rooms": [2, 3, 4, 5] * 30, "price": [220.5, 330.5, 440.5, 550.5] * 30}
    >>> model = fastgd.train(houses, target="price", verbose=False)
    >>> model.predict({"rooms": [5]}).round(-1)
    array([550.])
    """
    check_flag("verbose", verbose)
    check_number("holdout", holdout, minimum=0, below=1)
    about = {"ignore": ignore, "categorical": categorical, "weights": weights, "sep": sep}
    table = _table(source, {"target": target, **about, "task": task, "max_bytes": max_bytes})
    dataset = table.divide(holdout, seed)
    recipe = recipe_for(dataset, len(dataset.X)).changed(hidden, activation)
    network = Network(
        recipe.sizes, **recipe.rules, dropout=dropout, dtype=dtype, seed=seed, backend=backend
    )
    network.notes = notes_for(dataset, seed, holdout)
    network.classes = dataset.class_names
    history = network.fit(
        dataset.X, dataset.y, sample_weight=dataset.weights, verbose=verbose,
        **{"standardize": True, **fit},
    )  # fmt: skip
    assert dataset.columns is not None and dataset.target is not None
    model = Model(network, dataset.columns, dataset.target, history)
    model.notes = list(dataset.notes)
    if verbose and dataset.X_test is not None:
        name = "accuracy" if dataset.is_classification else "R^2"
        score = network.score(dataset.X_test, dataset.y_test)
        print(f"{name} {score:.4f} on the {len(dataset.X_test):,} rows held out")
    return model


def _table(source: Any, options: dict[str, Any]) -> Table:
    """Return the table to learn from, read where it is not one yet."""
    if not isinstance(source, Table):
        table = Table.read(source, **options)
        if not table.target_names:
            names = ", ".join(map(str, list(table.frame.columns)[:10]))
            raise SettingError("target", f"must name the column to learn; columns are {names}")
        return table
    given = [name for name, value in options.items() if value not in (None, ())]
    if given:
        raise SettingError(given[0], "belongs to Table.read; the table that was given has its own")
    if not source.target_names:
        raise SettingError("source", "must be a table with a target: Table.read(..., target=...)")
    return source
