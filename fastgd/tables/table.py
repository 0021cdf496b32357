"""A table with a target: read, divided, and encoded for a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from fastgd.data.dataset import Dataset, held_out
from fastgd.data.reading import plain, short
from fastgd.data.targets import check_task
from fastgd.errors import DataError
from fastgd.tables.cells import BadCell
from fastgd.tables.columns import Columns, check_columns
from fastgd.tables.reading import Source, read_frame
from fastgd.tables.target import Target

__all__ = ["Table"]

Array = np.ndarray
TARGET_NAMES = ("target", "label", "class", "y")


class Table:
    """A table as it was read, with what is to be learned from it.

    Make one with `Table.read`.

    Attributes
    ----------
    frame : pandas.DataFrame
        The rows whose target is known; the index counts the rows of the source from 0.
    name : str
    notes : list of str
        What was done in reading that somebody might not expect.

    Examples
    --------
    >>> import fastgd
    >>> pets = {"age": [3, 1, 7, 4], "kind": ["cat", "dog", "cat", "cow"], "kg": [4, 9.5, 5, 480]}
    >>> table = fastgd.Table.read(pets, target="kg")
    >>> table
    <Table the table: 4 rows, 3 columns; numbers in kg>
    >>> table.divide(0.25, seed=0).feature_names
    ('age', 'kind=cat', 'kind=cow', 'kind=dog')
    """

    def __init__(
        self,
        source: Source,
        target: Sequence[str] = (),
        *,
        ignore: Iterable[str] = (),
        categorical: Iterable[str] = (),
        weights: str | None = None,
        task: str | None = None,
        described: Target | None = None,
    ):
        check_task(task)
        self.source, self.name, self.frame = source, source.name, source.frame
        self.notes = list(source.notes)
        self.task, self.described = task, described
        self.target_names = tuple(described.columns if described is not None else target)
        self.ignore, self.categorical = tuple(ignore), tuple(categorical)
        self.weights_name = weights
        check_columns([*self.ignore, *self.categorical], self.frame, source.path)
        check_columns([weights] if weights else [], self.frame, source.path, "weight")
        check_columns(self.target_names, self.frame, source.path, "target")
        self._check_roles()
        if self.target_names:
            self._drop_unknown()

    @classmethod
    def read(
        cls,
        source: Any,
        target: str | Sequence[str] | None = None,
        *,
        ignore: Iterable[str] = (),
        categorical: Iterable[str] = (),
        weights: str | None = None,
        sep: str | None = None,
        task: str | None = None,
        max_bytes: int | None = None,
    ) -> Table:
        """Read a table: a path, or a frame of pandas, polars or pyarrow.

        Rows whose target is empty are left out, and a note says so.

        Parameters
        ----------
        source : path or frame
            .csv, .tsv or .txt, plain or in .gz or .zip; .parquet, .feather, .xlsx.
        target : str or sequence of str, optional
            What is to be learned; without it, a column called target, label, class or y, if
            there is just one.
        ignore : iterable of str
            Columns that are no inputs.
        categorical : iterable of str
            Columns whose numbers are names, such as postal codes.
        weights : str, optional
            The column that says what each row counts: numbers of at least 0.
        sep : str, optional
            What separates the columns of a text file; else it is seen from its first lines.
        task : None, "classification" or "regression"
            Forces what the target otherwise decides.
        max_bytes : int, optional
            How far a compressed file may grow; see `fastgd.data.load`.

        Raises
        ------
        DataError
            In one line that names file, line and column.
        """
        read = read_frame(source, sep, max_bytes)
        names = [target] if isinstance(target, str) else list(target or ())
        if not names:
            usual = [name for name in read.frame.columns if name.casefold() in TARGET_NAMES]
            names = usual if len(usual) == 1 else []
        ignore = [ignore] if isinstance(ignore, str) else ignore
        categorical = [categorical] if isinstance(categorical, str) else categorical
        return cls(
            read, names, ignore=ignore, categorical=categorical, weights=weights, task=task
        )  # fmt: skip

    def _check_roles(self) -> None:
        """Refuse a column that is asked to be two things."""
        roles = [*self.target_names, *self.ignore]
        if self.weights_name is not None:
            if self.weights_name in self.target_names:
                raise DataError(
                    f"{self.source.path}: column {short(self.weights_name)} is target and weight"
                )
            roles.append(self.weights_name)
        twice = next((name for i, name in enumerate(roles) if name in roles[:i]), None)
        if twice is not None:
            raise DataError(f"{self.source.path}: column {short(twice)} is named twice")

    def _drop_unknown(self) -> None:
        """Leave out rows without a target: nothing is to be learned from them."""
        _, known = self._encoded
        if known.all():
            return
        n = int(len(known) - known.sum())
        if n == len(known):
            raise DataError(f"{self.source.path}: no row has a target")
        rows = "1 row has" if n == 1 else f"{n:,} rows have"
        names = ", ".join(map(plain, self.target_names))
        self.notes.append(f"{rows} no {names}, and {'is' if n == 1 else 'are'} left out")
        self.frame = self.frame[known]
        del self._encoded

    @contextmanager
    def _located(self) -> Iterator[None]:
        """Name file and line of a cell that cannot be taken."""
        try:
            yield
        except BadCell as error:
            raise self.source.error(error) from None
        except DataError as error:
            if str(error).startswith(self.source.path):
                raise
            raise DataError(f"{self.source.path}: {error}") from None

    @cached_property
    def target(self) -> Target | None:
        """What is learned; None if no column is."""
        if self.described is not None or not self.target_names:
            return self.described
        with self._located():
            return Target.of(self.frame, self.target_names, self.task, self.source.style)

    @cached_property
    def _encoded(self) -> tuple[Array, Array]:
        assert self.target is not None
        with self._located():
            return self.target.encode(self.frame)

    @property
    def y(self) -> Array | None:
        """Classes, int64 (n,), or numbers, float64 (n,) or (n, k); None without a target."""
        return self._encoded[0] if self.target_names else None

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The labels of the classes; None where they are 0, 1, 2, ..., and for numbers."""
        return None if self.target is None else self.target.class_names

    @cached_property
    def weights(self) -> Array | None:
        """What each row counts, (n,), if a column says so."""
        if self.weights_name is None:
            return None
        with self._located():
            counts = Columns.plain([self.weights_name]).transform(self.frame)[:, 0]
            if not (counts.min() >= 0 and counts.any()):
                raise DataError(
                    f"column {short(self.weights_name)}: weights must be at least 0 and not all "
                    f"0; the least is {counts.min():g}"
                )
        return counts

    @property
    def inputs(self) -> pd.DataFrame:
        """The columns that are neither target nor weights."""
        return self.frame.drop(columns=[*self.target_names, *filter(None, [self.weights_name])])

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        what = "no target"
        if self.target is not None:
            labels = self.target.labels
            what = "numbers" if labels is None else f"{len(labels)} classes"
            what += f" in {', '.join(self.target_names)}"
        return f"<Table {self.name}: {len(self):,} rows, {self.frame.shape[1]} columns; {what}>"

    def divide(
        self, holdout: float | None = None, seed: int = 0, test: Table | None = None
    ) -> Dataset:
        """Hold rows out, and encode both parts as the rows left for training say.

        Parameters
        ----------
        holdout : float, optional
            The share held out: the rows `fastgd.data.split` draws for this share and seed. None
            or 0 holds out none.
        seed : int
        test : Table, optional
            Rows from another source, held out instead.

        Returns
        -------
        Dataset
            With the `columns` and the `target` that made it.
        """
        y, target = self.y, self.target
        out = np.zeros(len(self), bool)
        if holdout and test is None:
            out = held_out(len(self), y, holdout, seed, self.name)
        inputs, weights = self.inputs, self.weights
        train = inputs[~out] if out.any() else inputs
        with self._located():
            columns, X = Columns.fit(train, self.categorical, self.ignore, style=self.source.style)
            X_test = columns.encode(inputs[out])[0] if out.any() else None
        y_test = y[out] if y is not None and out.any() else None
        if test is not None:
            held = test.dataset(columns, target)
            X_test, y_test = held.X, held.y
            self.notes += [f"{test.name}: {note}" for note in held.notes]
        return Dataset(
            X,
            None if y is None else y[~out],
            X_test,
            y_test,
            name=self.name,
            kind="csv",
            feature_names=columns.names,
            class_names=self.class_names,
            weights=None if weights is None else weights[~out],
            columns=columns,
            target=target,
            checksum=self.source.checksum,
            notes=(*self.notes, *self._rare_classes(y)),
        )

    def _rare_classes(self, y: Array | None) -> list[str]:
        """Name the classes of a single row: none is left to test them on."""
        if y is None or self.target is None or self.target.labels is None:
            return []
        counts = np.bincount(y, minlength=len(self.target.labels))
        once = [label for label, n in zip(self.target.labels, counts, strict=True) if n == 1]
        if not once or len(y) <= len(counts):
            return []
        listed = ", ".join(map(plain, once[:5])) + ", ..." * (len(once) > 5)
        which = f"class {listed} has" if len(once) == 1 else f"classes {listed} have"
        return [f"{which} one row only, which is trained on"]

    def dataset(self, columns: Columns, target: Target | None, need_target: bool = True) -> Dataset:
        """Encode all rows as a model describes them.

        Parameters
        ----------
        columns, target : Columns, Target
            Of the model.
        need_target : bool
            False for prediction: y is None, and the target's column need not be there.
        """
        table = self
        if target is not None and need_target and table.described != target:
            weights = self.weights_name
            table = Table(self.source, described=target, weights=weights)
        with table._located():
            X, notes = columns.encode(table.frame, where=self.source.path)
        labelled = target is not None and need_target
        return Dataset(
            X,
            table.y if labelled else None,
            name=self.name,
            kind="csv",
            feature_names=columns.names,
            class_names=target.class_names if labelled and target is not None else None,
            weights=table.weights,
            columns=columns,
            target=target,
            checksum=self.source.checksum,
            notes=(*table.notes, *notes),
        )
