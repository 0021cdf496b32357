"""What is learned: the target's columns as classes with labels, or as numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fastgd.data.reading import plain, short
from fastgd.data.targets import FEW, check_many, check_task, encode_numbers, number_or_none
from fastgd.errors import DataError
from fastgd.storage import brief, parse
from fastgd.tables.cells import BadCell, Cells, Words, numbers_of, text_of, words_of
from fastgd.tables.column import numbers_in

__all__ = ["Target"]

Array = np.ndarray
FORMAT = 1
BOTH = "task='classification' takes both words and numbers as labels"


@dataclass(frozen=True)
class Target:
    """The column or columns to learn.

    Attributes
    ----------
    columns : tuple of str
    labels : tuple of str or None
        The label of each class; None where numbers are learned.
    integers : bool
        Whether labels are the integers 0, 1, 2, ...
    written : str
        What a comma is in numbers: "", "thousands" or "decimal".
    """

    columns: tuple[str, ...]
    labels: tuple[str, ...] | None = None
    integers: bool = False
    written: str = ""

    @property
    def classifies(self) -> bool:
        """Whether classes are learned."""
        return self.labels is not None

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The labels, None for the integers 0, 1, 2, ... and for numbers."""
        return None if self.integers else self.labels

    @classmethod
    def of(
        cls, frame: pd.DataFrame, columns: Sequence[str], task: str | None = None, style: str = ""
    ) -> Target:
        """Decide whether a frame's target is classes or numbers.

        Words are classes. Numbers are classes if all are whole, and at most 20 differ or they are
        exactly 0..k-1 with two rows a class on average. Words mixed with numbers are refused
        unless `task` is "classification".

        Raises
        ------
        DataError
            If it is neither, or not what `task` says.
        """
        check_task(task)
        names = tuple(columns)
        if len(names) > 1:
            if task == "classification":
                raise DataError(f"classes are one column; got {', '.join(map(plain, names))}")
            for name in names:
                _numbers(frame[name], style)
            return cls(names, written=style)
        series = frame[names[0]]
        if pd.api.types.is_datetime64_any_dtype(series.dtype):
            raise DataError(f"column {short(names[0])} holds dates; a target is numbers or classes")
        if not series.notna().any():
            raise BadCell(int(series.index[0]), names[0], "the whole column is empty")
        is_bool = pd.api.types.is_bool_dtype(series.dtype)
        if pd.api.types.is_numeric_dtype(series.dtype) and not is_bool:
            return cls._of_numbers(series, names, task, style)
        return cls._of_words(series, names, task, style)

    @classmethod
    def _of_numbers(
        cls, series: pd.Series, names: tuple[str, ...], task: str | None, style: str
    ) -> Target:
        values = _numbers(series, style)
        known = values[~np.isnan(values)]
        if task is None and (known[:1000] != np.floor(known[:1000])).any():
            return cls(names, written=style)  # all of many numbers need not be sorted for that
        y, labels = encode_numbers(known, task, f"column {short(names[0])}")
        if y.dtype.kind != "i":
            return cls(names, written=style)
        return cls(names, labels or tuple(map(str, range(int(y.max()) + 1))), labels is None)

    @classmethod
    def _of_words(
        cls, series: pd.Series, names: tuple[str, ...], task: str | None, style: str
    ) -> Target:
        words = words_of(series)
        numbers = numbers_of(words.words, style)
        is_number = np.isfinite(numbers.values)
        categorical = isinstance(series.dtype, pd.CategoricalDtype)
        if task == "regression" or (
            task is None and not categorical and numbers.good.all() and is_number.any()
        ):
            return cls._of_numbers(series, names, task, numbers.style)
        if task is None and not categorical and is_number.any():
            _refuse_mixture(series, words, is_number)
        return cls(names, *_labels(series, words, forced=task is not None or categorical))

    def encode(self, frame: pd.DataFrame) -> tuple[Array, Array]:
        """Return classes (n,) or numbers (n,) or (n, k), and in which rows they are known.

        Raises
        ------
        DataError
            If a label is not one of those learned, or a number is none.
        """
        if self.labels is None:
            y = np.column_stack([_numbers(frame[name], self.written) for name in self.columns])
            known = ~np.isnan(y).any(axis=1)
            return (y[:, 0] if y.shape[1] == 1 else y), known
        series = frame[self.columns[0]]
        words = words_of(series)
        place = {label: i for i, label in enumerate(self.labels)}
        codes = [_place_of(word, place) for word in words.words]
        for code, count in zip(codes, words.counts, strict=True):
            if code < 0 and count:
                i = int(np.argmax(np.append(np.array(codes) < 0, False)[words.codes]))
                some = ", ".join(map(plain, self.labels[:10])) + ", ..." * (len(self.labels) > 10)
                word = short(words.words[words.codes[i]])
                problem = f"{word} is not one of the classes {some}"
                raise BadCell(int(series.index[i]), self.columns[0], problem)
        y = np.array([*codes, -1], np.int64)[words.codes]
        return y, y >= 0

    def to_json(self) -> str:
        """Return the description as JSON."""
        entry = {"format": FORMAT, "columns": self.columns, "labels": self.labels}
        entry |= {"integers": self.integers, "written": self.written}
        return json.dumps(entry, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Target:
        """Return the target that `to_json` described."""
        try:
            entry = parse(text)
            columns, labels = entry["columns"], entry["labels"]
            for words in (columns, [] if labels is None else labels):
                if not isinstance(words, list) or not all(isinstance(w, str) for w in words):
                    raise TypeError(f"columns and labels are lists of texts; got {words}")
            kept = None if labels is None else tuple(labels)
            return cls(tuple(columns), kept, bool(entry["integers"]), str(entry["written"]))
        except (ValueError, LookupError, TypeError) as error:
            raise DataError(f"not a description of a target: {brief(error)}") from None


def _numbers(series: pd.Series, style: str) -> Array:
    """Return a target's numbers; refuse infinite ones, which no rule would fill."""
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        raise DataError(f"column {short(str(series.name))} holds dates; a target is numbers")
    values = numbers_in(Cells(series), style)
    if pd.api.types.is_float_dtype(series.dtype):
        infinite = np.isinf(series.to_numpy(np.float64, na_value=np.nan))
        if infinite.any():
            row = int(series.index[int(np.argmax(infinite))])
            raise BadCell(row, str(series.name), "the number is infinite")
    return values


def _refuse_mixture(series: pd.Series, words: Words, is_number: Array) -> None:
    """Refuse words among numbers: one stray word must not make classes of them."""
    first = int(words.codes[words.codes >= 0][0])
    others = np.flatnonzero(is_number != is_number[first])
    rows = np.isin(words.codes, others)
    i = int(np.argmax(rows))
    word = short(words.words[words.codes[i]])
    problem = f"{word} is {'not a number' if is_number[first] else 'a number among words'}; {BOTH}"
    raise BadCell(int(series.index[i]), str(series.name), problem)


def _labels(series: pd.Series, words: Words, forced: bool) -> tuple[tuple[str, ...], bool]:
    """Return labels in their sorted order, and whether they are 0, 1, 2, ..."""
    present = [word for word, count in zip(words.words, words.counts, strict=True) if count]
    for word in present:
        if "\n" in word or "\r" in word:
            row = int(series.index[words.first_row(words.words.index(word))])
            problem = f"{short(word)} runs over a line end; is a quote left open?"
            raise BadCell(row, str(series.name), problem)
    distinct = sorted(set(present))
    total = int(words.counts.sum())
    if not forced and len(distinct) > max(FEW, total // 2):
        raise DataError(
            f"column {short(str(series.name))}: {len(distinct):,} different words in {total:,} "
            "rows look like names, not classes; task='classification' takes them as classes"
        )
    if not forced:
        check_many(len(distinct), total, f"column {short(str(series.name))}")
    numbers = [number_or_none(word) for word in distinct]
    if all(number is not None and number == np.floor(number) for number in numbers):
        whole = sorted({int(number) for number in numbers})  # type: ignore[arg-type]
        return tuple(map(str, whole)), whole == list(range(len(whole)))
    return tuple(distinct), False


def _place_of(word: str, place: dict[str, int]) -> int:
    """Return the class of a word, also of 2.0 where 2 is one; -1 where there is none."""
    if word in place:
        return place[word]
    number = number_or_none(word)
    return -1 if number is None else place.get(text_of(number), -1)
