"""Examples that come in chunks: iterators of (X, y) or (X, y, weight)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fastgd.engine.architecture import Architecture
from fastgd.engine.inputs import Examples, check_examples
from fastgd.engine.labels import NO_LABELS, Labels
from fastgd.errors import SettingError, SettingTypeError

__all__ = ["Chunks", "are_chunks"]


def are_chunks(X: Any, y: Any) -> bool:
    """Return whether X is an iterator of chunks, or a function that returns one."""
    return y is None and (callable(X) or hasattr(X, "__next__") or _is_plain_iterable(X))


def _is_plain_iterable(X: Any) -> bool:
    arrays = ("shape", "__array__", "tocsr", "iloc")
    return isinstance(X, Iterable) and not any(hasattr(X, name) for name in arrays)


class Chunks:
    """What yields an epoch's chunks, each checked as it comes.

    Parameters
    ----------
    source : iterable or callable
        An iterable of (X, y) or (X, y, weight); one that can be gone through again, or a function
        that returns a new one, serves several epochs.
    architecture : Architecture
    class_weight : dict, optional
    labels : Labels, optional
        What the classes are called.
    """

    def __init__(
        self, source: Any, architecture: Architecture, class_weight: Any = None,
        labels: Labels = NO_LABELS,
    ):  # fmt: skip
        self.source, self.architecture = source, architecture
        self.class_weight, self.labels = class_weight, labels
        self.epochs = 0

    def __call__(self) -> Iterator[Examples]:
        """Go through the chunks of one epoch."""
        source: Callable[[], Any] | Any = self.source
        number = 0
        chunks = source() if callable(source) else source
        if not isinstance(chunks, Iterable):
            raise SettingTypeError(
                "X", f"must return an iterator of chunks (X, y); it returned {chunks!r}"
            )
        for chunk in chunks:
            yield self._check(chunk, number)
            number += 1
        self.epochs += 1
        if number:
            return
        if self.epochs == 1:
            raise SettingError("X", "must yield at least one chunk (X, y); the iterator is empty")
        raise ValueError(
            f"X is an iterator that ended in epoch {self.epochs - 1}: it can be gone through once. "
            "For more epochs, give a function that returns a new iterator"
        )

    def _check(self, chunk: Any, number: int) -> Examples:
        if not isinstance(chunk, (tuple, list)) or len(chunk) not in (2, 3):
            raise SettingTypeError(
                "X",
                f"must yield pairs (X, y) or triples (X, y, weight); chunk {number} is "
                f"{type(chunk).__name__}",
            )
        names = tuple(f"{name} of chunk {number}" for name in ("X", "y", "weight"))
        X, y, weight = (*chunk, None) if len(chunk) == 2 else chunk
        y = self.labels.encode(y, names[1])
        examples = check_examples(X, y, self.architecture, weight, names)
        return examples.by_class(self.class_weight, self.architecture)
