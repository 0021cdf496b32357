"""Answers in the words of whoever asked: classes by their labels, and probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgd.engine.architecture import Architecture
from fastgd.engine.inputs import Examples, Targets, check_examples, check_targets
from fastgd.engine.labels import NO_LABELS, Labels, check_labels
from fastgd.engine.metrics import classes_of
from fastgd.errors import SettingTypeError

__all__ = ["Answers"]

Array = np.ndarray


class Answers:
    """What a network knows of its classes: a part of `fastgd.Network`."""

    labels: Labels

    @property
    def architecture(self) -> Architecture:
        """The network's."""
        raise NotImplementedError

    def predict(self, X: Any) -> Array:
        """Return the outputs (n, n_outputs)."""
        raise NotImplementedError

    @property
    def classes(self) -> Array | None:
        """The label of each class, (n_classes,): 0, 1, ... where there is no other.

        Labels are learned by the first `fit` whose y holds text, or whole numbers other than 0,
        1, ... (1, 2, 3; or -1 and 1); or they are set, in the order of the outputs (for a single
        output: the label of 0, then that of 1). They are kept in copies and files. None where
        the network predicts numbers.

        Examples
        --------
        >>> import fastgd
        >>> net = fastgd.Network([1, 2], output="softmax", loss="cross_entropy", seed=1)
        >>> history = net.fit([[-1.0], [1.0]] * 9, ["cat", "dog"] * 9, verbose=False)
        >>> net.classes.tolist(), net.predict_classes([[2.0], [-3.0]]).tolist()
        (['cat', 'dog'], ['dog', 'cat'])
        """
        if self.labels.values is not None:
            return self.labels.values.copy()
        return np.arange(self.architecture.n_classes) if self.architecture.classifies else None

    @classes.setter
    def classes(self, classes: Any) -> None:
        a = self.architecture
        self.labels = NO_LABELS if classes is None else check_labels(classes, a.n_classes)

    def predict_classes(self, X: Any) -> Array:
        """Return the label of the most likely class, (n,), for examples X (n, n_inputs).

        Raises
        ------
        ValueError
            If the network predicts numbers.
        """
        classes = self._known_classes("predict_classes")
        return classes[classes_of(self.predict(X), self.architecture.loss.threshold)]

    def predict_proba(self, X: Any) -> Array:
        """Return how likely each class is, (n, n_classes), in the order of `classes`.

        Rows sum to 1. A single output is the probability of the second class; several that do
        not sum to 1 by themselves (sigmoid) are divided by their sum.

        Raises
        ------
        ValueError
            If the network predicts numbers, or has outputs that are no probabilities.
        """
        self._known_classes("predict_proba")
        a = self.architecture
        if a.output.reach != (0.0, 1.0):
            raise ValueError(
                f"predict_proba needs outputs from 0 to 1; those of output {str(a.output)!r} with "
                f"loss {str(a.loss)!r} are no probabilities (predict_classes answers with classes)"
            )
        outputs = self.predict(X)
        if outputs.shape[1] == 1:
            return np.concatenate([1 - outputs, outputs], axis=1)
        total = outputs.sum(axis=1, keepdims=True)
        even = outputs.dtype.type(1 / a.n_classes)
        return np.divide(outputs, total, out=np.full_like(outputs, even), where=total > 0)

    def _known_classes(self, asked: str) -> Array:
        classes = self.classes
        if classes is None:
            a = self.architecture
            raise ValueError(
                f"{asked} is for networks that tell classes apart; this one, with output "
                f"{str(a.output)!r} and loss {str(a.loss)!r}, predicts numbers: use predict (or "
                "set network.classes)"
            )
        return classes

    def check_targets(self, y: Any, name: str = "y") -> Targets:
        """Return `Targets`, from labels, too, or raise."""
        return check_targets(self.labels.encode(y, name), self.architecture, name)

    def check_examples(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        names: tuple[str, ...] = ("X", "y", "sample_weight"),
    ) -> Examples:
        """Return `Examples`, from labels, too, or raise."""
        classes = self.labels.encode(y, names[1])
        return check_examples(X, classes, self.architecture, sample_weight, names)

    def check_validation(
        self, validation_data: Any, labels: Labels | None = None
    ) -> Examples | None:
        """Return the `Examples` of a pair (X, y) or a triple (X, y, weight), or raise."""
        if validation_data is None:
            return None
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
            raise SettingTypeError(
                "validation_data", f"must be a pair (X, y); got {type(validation_data).__name__}"
            )
        X, y, *weight = validation_data
        names = tuple(f"validation_data[{i}]" for i in range(3))
        y = (labels or self.labels).encode(y, names[1])
        return check_examples(X, y, self.architecture, weight[0] if weight else None, names)
