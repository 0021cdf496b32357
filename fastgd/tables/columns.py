"""What is done to each column of a table, so that a network can read it.

The description is fitted on the rows given (those trained on), is plain JSON, and does the same
to any later table, whatever the order of its columns. The manners are those of skrub's
TableVectorizer where a plain rule can have them. Numbers stay in their units: standardising them
is the network's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from fastgd.data.reading import did_you_mean, plain, short
from fastgd.errors import DataError
from fastgd.storage import brief, parse
from fastgd.tables.cells import Cells
from fastgd.tables.column import Column, column_from
from fastgd.tables.fitting import column_of

__all__ = ["Columns"]

Array = np.ndarray
FORMAT = 1
#: So many numbers are written at a time.
BLOCK = 1 << 18


class Columns:
    """The columns of a table and the network's inputs made of them.

    Parameters
    ----------
    columns : sequence of Column

    Examples
    --------
    >>> import pandas as pd
    >>> from fastgd.tables import Columns
    >>> pets = pd.DataFrame({"age": [3.0, None, 7.0], "kind": ["cat", "dog", "cat"]})
    >>> columns = Columns.of(pets)
    >>> columns.names
    ('age', 'age is missing', 'kind=cat', 'kind=dog')
    >>> columns.transform(pets)
    array([[3., 0., 1., 0.],
           [5., 1., 0., 1.],
           [7., 0., 1., 0.]])
    """

    def __init__(self, columns: Sequence[Column]):
        self.columns = tuple(columns)
        self.used = tuple(column for column in self.columns if column.width)
        self.names = tuple(name for column in self.used for name in column.names)
        self.groups: dict[str, slice] = {}
        start = 0
        for column in self.used:
            self.groups[column.name] = slice(start, start + column.width)
            start += column.width

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        *,
        categorical: Iterable[str] = (),
        ignore: Iterable[str] = (),
        drop: bool = True,
        style: str = "",
    ) -> Columns:
        """Decide what to do to each column of a frame, from the rows it has.

        Parameters
        ----------
        frame : pandas.DataFrame
        categorical : iterable of str
            Columns whose numbers are names.
        ignore : iterable of str
            Columns to leave out.
        drop : bool
            Whether columns that are constant, or look like an id, are left out.
        style : str
            "decimal" where commas are decimal, if both are possible.

        Raises
        ------
        DataError
            If a cell is not what nearly all others of its column are, or nothing is left.
        """
        return cls.fit(frame, categorical, ignore, drop, style)[0]

    @classmethod
    def fit(
        cls, frame: pd.DataFrame, categorical: Iterable[str] = (), ignore: Iterable[str] = (),
        drop: bool = True, style: str = "",
    ) -> tuple[Columns, Array]:  # fmt: skip
        """Return what `of` and then `transform` do; words are told apart once."""
        categorical, ignore = tuple(categorical), tuple(ignore)
        for name in (*categorical, *ignore):
            check_columns([name], frame)
        cells = {name: Cells(frame[name]) for name in frame.columns}
        columns = cls._of(cells, categorical, ignore, drop, style)
        return columns, columns._encode(cells, len(frame), "float64", [])

    @classmethod
    def _of(
        cls, cells: dict[str, Cells], categorical: tuple[str, ...], ignore: tuple[str, ...],
        drop: bool, style: str,
    ) -> Columns:  # fmt: skip
        made = []
        for name, column in cells.items():
            if name in ignore:
                made.append(Column(name, "left out", done="ignored, as asked"))
            else:
                made.append(column_of(column, name in categorical, drop, style))
        if not any(column.width for column in made):
            if drop:  # what there is, is better than nothing
                return cls._of(cells, categorical, ignore, False, style)
            reasons = ", ".join(f"{plain(c.name)}: {c.done}" for c in made[:5])
            raise DataError(f"no column is left for inputs{f' ({reasons})' if reasons else ''}")
        return cls(made)

    @classmethod
    def plain(cls, names: Sequence[str]) -> Columns:
        """Describe columns of numbers, without a gap, that are read as they are."""
        return cls([Column(name, "number", fill=np.nan) for name in names])

    @property
    def dropped(self) -> dict[str, str]:
        """The columns left out, each with the reason."""
        return {column.name: column.done for column in self.columns if not column.width}

    def __repr__(self) -> str:
        return f"<Columns: {len(self.columns)} columns, {len(self.names)} inputs>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Columns) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    def transform(self, frame: pd.DataFrame, dtype: str = "float64") -> Array:
        """Return the inputs, (n, len(names)) in C order.

        Raises
        ------
        DataError
            If a column is not there, or a cell cannot be taken.
        """
        return self.encode(frame, dtype)[0]

    def report(self, frame: pd.DataFrame) -> list[str]:
        """Say what `transform` meets that was not in the rows of the fit, and fills."""
        return self.encode(frame)[1]

    def encode(
        self, frame: pd.DataFrame, dtype: str = "float64", where: str = ""
    ) -> tuple[Array, list[str]]:
        """Return the inputs of `transform` and the sentences of `report`."""
        check_columns([column.name for column in self.used], frame, where, "input")
        notes: list[str] = []
        cells = {column.name: Cells(frame[column.name]) for column in self.used}
        return self._encode(cells, len(frame), dtype, notes), notes

    def _encode(self, cells: dict[str, Cells], n: int, dtype: str, notes: list[str]) -> Array:
        """Write all inputs, so many rows at a time that they stay in the cache."""
        writers = [(self.groups[c.name], c.encode(cells[c.name], notes)) for c in self.used]
        X = np.zeros((n, len(self.names)), dtype)
        step = max(1, BLOCK // len(self.names))
        for start in range(0, n, step):
            rows = slice(start, min(start + step, n))
            block = X[rows]
            for group, write in writers:
                write(block[:, group], rows)
        return X

    def rows(self) -> list[tuple[str, str, str]]:
        """Return a short table: columns, kind, what was done; alike columns share a row."""
        alike: dict[tuple[str, str], list[str]] = {}
        for column in self.columns:
            alike.setdefault((column.kind, column.done), []).append(plain(column.name))
        table = []
        for (kind, done), names in alike.items():
            more = f", ... ({len(names)} columns)" if len(names) > 5 else ""
            table.append((", ".join(names[:5]) + more, kind, done))
        return table

    def to_json(self) -> str:
        """Return the description as JSON."""
        bare = Column("", "")
        listed = []
        for column in self.columns:
            entry = {k: v for k, v in asdict(column).items() if v != getattr(bare, k)}
            if column.fill != column.fill:
                entry["fill"] = None  # JSON has no nan
            listed.append(entry)
        return json.dumps({"format": FORMAT, "columns": listed}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Columns:
        """Return the columns that `to_json` described.

        Raises
        ------
        DataError
            If the text is something else.
        """
        try:
            return cls([column_from(entry) for entry in parse(text)["columns"]])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise DataError(f"not a description of columns: {brief(error)}") from None


def check_columns(
    names: Sequence[str], frame: pd.DataFrame, where: str = "", what: str = ""
) -> None:
    """Refuse a frame that lacks columns; the first of them by name."""
    known = set(frame.columns)
    absent = [name for name in names if name not in known]
    if not absent:
        return
    listed = ", ".join(plain(name) for name in list(frame.columns)[:10])
    more = f", ... ({len(frame.columns)} in all)" if len(frame.columns) > 10 else ""
    others = f" (nor {', '.join(map(short, absent[1:4]))})" if len(absent) > 1 else ""
    hint = did_you_mean(absent[0], frame.columns)
    prefix = f"{where}: " if where else ""
    kind = f"{what} column" if what else "column"
    raise DataError(
        f"{prefix}no {kind} {short(absent[0])}{others}{hint}; columns are {listed}{more}"
    )
