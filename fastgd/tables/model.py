"""A network with the table it was made for: rows in, answers in the table's own words out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.engine.metrics import classes_of
from fastgd.errors import DataError, ModelFileError
from fastgd.explain.dependence import Dependence, dependence_of
from fastgd.explain.importance import Importance, importance_of
from fastgd.explain.report import report
from fastgd.network import Network, load
from fastgd.tables.columns import Columns
from fastgd.tables.reading import read_frame
from fastgd.tables.table import Table
from fastgd.tables.target import Target

if TYPE_CHECKING:
    from fastgd.data.dataset import Dataset
    from fastgd.engine.history import History

__all__ = ["Model", "check_described"]

Array = np.ndarray


class Model:
    """A network, what was done to each column of its table, and what it learned.

    `fastgd.train` makes one, `Model.load` reads one. Whatever it is given may be a path or a frame
    of pandas, polars or pyarrow; columns are found by their names, whatever their order.

    Attributes
    ----------
    network : Network
    columns : Columns
    target : Target
    history : History or None
        Of the training, where it was just trained.
    notes : list of str
        What the last rows held that the training's did not, such as unseen categories.

    Examples
    --------
    >>> import fastgd
    >>> pets = {"kg": [4.0, 9.5, 5.0, 30.0] * 20, "kind": ["cat", "dog", "cat", "dog"] * 20}
    >>> model = fastgd.train(pets, target="kind", verbose=False)
    >>> model.predict({"kg": [3.5, 28.0]})
    array(['cat', 'dog'], dtype='<U3')
    """

    def __init__(
        self, network: Network, columns: Columns, target: Target, history: History | None = None
    ):
        self.network, self.columns, self.target, self.history = network, columns, target, history
        self.notes: list[str] = []

    def __repr__(self) -> str:
        learned = ", ".join(self.target.columns)
        return f"<Model of {learned}: {len(self.columns.used)} columns, {self.network!r}>"

    def _inputs(self, rows: Any) -> Array:
        """Return what the network reads of some rows."""
        source = read_frame(rows)
        X, self.notes = self.columns.encode(source.frame, where=source.path)
        return X

    def _dataset(self, rows: Any) -> Dataset:
        """Return rows with their targets, encoded as in training."""
        table = rows if isinstance(rows, Table) else Table(read_frame(rows), described=self.target)
        dataset = table.dataset(self.columns, self.target)
        self.notes = list(dataset.notes)
        return dataset

    def predict(self, rows: Any) -> Array:
        """Return each row's label, or number: (n,), or (n, k) where several are learned."""
        X = self._inputs(rows)
        classes = self.classes
        if classes is not None:
            outputs = self.network.predict(X)
            return classes[classes_of(outputs, self.network.architecture.loss.threshold)]
        outputs = self.network.predict(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def predict_proba(self, rows: Any) -> Array:
        """Return how likely each class is, (n, n_classes), in the order of `classes`."""
        return self.network.predict_proba(self._inputs(rows))

    @property
    def classes(self) -> Array | None:
        """The labels of the classes, whole numbers as such; None where numbers are predicted."""
        if self.target.labels is None:
            return None
        labels = np.array(self.target.labels)
        whole = all(label.removeprefix("-").isdecimal() for label in self.target.labels)
        return labels.astype(np.int64) if whole else labels

    def score(self, rows: Any) -> float:
        """Return the accuracy, or R^2, on rows with their targets."""
        dataset = self._dataset(rows)
        return self.network.score(dataset.X, dataset.y)

    def evaluate(self, rows: Any) -> dict[str, Any]:
        """Return all measures on rows with their targets: see `fastgd.explain.report`."""
        dataset = self._dataset(rows)
        return report(self.network, dataset.X, dataset.y).to_dict()

    def importance(self, rows: Any, *, repeats: int = 5, seed: int = 0) -> Importance:
        """Return what the score loses when each column is shuffled. Print it."""
        dataset, groups = self._dataset(rows), self.columns.groups
        return importance_of(
            self.network, dataset.X, dataset.y, groups, repeats=repeats, seed=seed
        )  # fmt: skip

    def dependence(self, rows: Any, *, seed: int = 0) -> Dependence:
        """Return how the answers go with each column, all others as they are."""
        groups, names = self.columns.groups, self.columns.names
        numbers = self.target.columns if self.target.labels is None else None
        return dependence_of(
            self.network, self._inputs(rows), groups, input_names=names, target_names=numbers,
            seed=seed,
        )  # fmt: skip

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a .safetensors file, which ``fastgd evaluate`` and ``predict`` read, too."""
        self.network.save(path)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, backend: str | None = None, verify: bool = True
    ) -> Model:
        """Read a model that `save` or ``fastgd train`` wrote; see `fastgd.load`.

        Raises
        ------
        ModelFileError
            If the file is no network of fastgd's, or one that knows nothing of a table.
        """
        network = load(path, backend=backend, verify=verify)
        notes = network.notes
        if "columns" not in notes or "target" not in notes:
            raise ModelFileError(
                f"{path}: a network, but not one of a table; read it with fastgd.load"
            )
        try:
            columns, target = Columns.from_json(notes["columns"]), Target.from_json(notes["target"])
            check_described(columns, target, network)
        except DataError as error:
            raise ModelFileError(f"{path}: {error}") from None
        return cls(network, columns, target)


def check_described(columns: Columns, target: Target, network: Network) -> None:
    """Raise DataError unless a description of a table goes with the network beside it."""
    a = network.architecture
    if len(columns.names) != a.n_inputs:
        raise DataError(
            f"its columns make {len(columns.names)} inputs; the network takes {a.n_inputs}"
        )
    n = len(target.columns) if target.labels is None else len(target.labels)
    if n != (a.n_outputs if target.labels is None else a.n_classes):
        raise DataError(f"its target has {n} values; the network has {a.n_outputs} outputs")
