"""An estimator's network and data in fastgd's terms."""

from __future__ import annotations

import multiprocessing
import threading
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from fastgd.backends import backend as backend_named
from fastgd.engine.architecture import Architecture
from fastgd.engine.layout import Layout
from fastgd.engine.sparse import Sparse, compress, mostly_zeros
from fastgd.engine.threads import threads_for
from fastgd.rules.clipped import ClippedBinaryCrossEntropy, ClippedCategoricalCrossEntropy
from fastgd.rules.losses import Loss, Poisson, find_loss

__all__ = [
    "Problem", "architecture_of", "computer", "flat_parameters", "inputs_for", "loss_for",
    "threads_of",
]  # fmt: skip

Array = np.ndarray
#: scikit-learn's names of activations, and fastgd's.
ACTIVATIONS = {
    "identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu",
    "softmax": "softmax", "exp": "exp",
}  # fmt: skip
#: scikit-learn's losses, and fastgd's that have the same slope.
LOSSES = {"squared_error": "quadratic", "poisson": "poisson"}
#: Below that exp(z) is 0.
LOWEST = {"float32": -103.97208, "float64": -745.13321910194}
#: Probabilities closer to 0 or 1 than that of the dtype are clipped in log_loss.
CLIPPED = {"logistic": ClippedBinaryCrossEntropy, "softmax": ClippedCategoricalCrossEntropy}
#: Fewer rows are not worth looking at for zeros to leave out.
LOOK_ROWS = 256


@dataclass(frozen=True)
class SummedPoisson(Poisson):
    """`Poisson`, summed over the outputs as scikit-learn's is, and not finite where exp(z) is 0."""

    output_average = False
    lowest: float

    def numbers_for(self, n_outputs: int) -> tuple[float, ...]:
        return (self.lowest,)


def loss_for(loss: str | Loss, output: str, dtype: str) -> Any:
    """Return the rule that is an estimator's loss: scikit-learn's own of a name come first."""
    if loss == "log_loss":
        return CLIPPED[output](float(np.finfo(dtype).eps))
    if loss == "poisson":
        return SummedPoisson(LOWEST[dtype])
    known = LOSSES.get(loss) if isinstance(loss, str) else None
    return known or find_loss(loss, ACTIVATIONS[output])


@lru_cache(maxsize=128)
def _architecture(
    sizes: tuple, activation: str, output: str, loss: str | Loss, dtype: str, dropout: Any
) -> Architecture:
    rule = loss_for(loss, output, dtype)
    return Architecture(
        sizes, ACTIVATIONS[activation], ACTIVATIONS[output], rule, dtype, dropout=dropout
    )


def architecture_of(estimator: Any, dtype: Any, dropout: Any = 0.0) -> Architecture:
    """Return the architecture of an estimator that has coefficients."""
    coefs = estimator.coefs_
    sizes = (*(len(W) for W in coefs), coefs[-1].shape[1])
    dropout = tuple(dropout) if isinstance(dropout, (list, np.ndarray)) else dropout
    return _architecture(
        sizes, estimator.activation, estimator.out_activation_, estimator.loss,
        np.dtype(dtype).name, dropout,
    )  # fmt: skip


def flat_parameters(layout: Layout, coefs: list[Array], biases: list[Array], dtype: Any) -> Array:
    """Return coefficients and intercepts as one new vector in fastgd's order."""
    flat = np.empty(layout.n_parameters, dtype)
    for W, coef in zip(layout.weights(flat), coefs, strict=True):
        W[:] = coef
    for b, bias in zip(layout.biases(flat), biases, strict=True):
        b[:] = bias
    return flat


def inputs_for(X: Any, looks: bool = True) -> Array | Sparse:
    """Return checked inputs as a backend reads them; without their zeros where that is faster."""
    if hasattr(X, "tocsr"):
        csr = X.tocsr()
        if not csr.has_canonical_format:
            csr = csr.copy()
            csr.sum_duplicates()
        columns, pointers = csr.indices.astype(np.int32), csr.indptr.astype(np.int64)
        return Sparse(np.ascontiguousarray(csr.data), columns, pointers, csr.shape[1])
    X = np.ascontiguousarray(X)
    return compress(X) if looks and len(X) >= LOOK_ROWS and mostly_zeros(X, 100) else X


def computer(estimator: Any) -> ModuleType:
    """Return the backend that computes an estimator."""
    return backend_named(estimator.backend)


def threads_of(estimator: Any, architecture: Architecture, n_rows: int) -> int:
    """Return how many threads work on so many rows.

    "auto" means one where several fits may run side by side: in workers of a pool.
    """
    alone = (
        threading.current_thread() is threading.main_thread()
        and multiprocessing.current_process().name == "MainProcess"
    )
    threads = estimator.threads
    return threads_for(threads if threads != "auto" or alone else 1, architecture, n_rows)


@dataclass(eq=False)
class Problem:
    """What an estimator is fitted to, as the backends read it.

    Attributes
    ----------
    X : ndarray or Sparse
    Y : ndarray
        Classes (n,) int64, or targets (n, n_outputs).
    weights : ndarray of shape (n,) or None
    per_output : float
        What a cost is divided by: the outputs where scikit-learn takes their mean.
    """

    architecture: Architecture
    X: Any
    Y: Array
    weights: Array | None
    per_output: float

    @classmethod
    def of(cls, estimator: Any, X: Any, y: Array, weights: Array | None, dtype: Any) -> Problem:
        """Return the problem of an estimator that has been initialised."""
        architecture = architecture_of(estimator, dtype, getattr(estimator, "dropout", 0.0))
        classes = architecture.output.row_wise
        Y = y.argmax(axis=1) if classes else np.ascontiguousarray(y, architecture.dtype)
        squared = isinstance(estimator.loss, str) and estimator.loss == "squared_error"
        return cls(
            architecture,
            inputs_for(X, looks=estimator.max_iter > 1),
            Y,
            None if weights is None else np.ascontiguousarray(weights, architecture.dtype),
            architecture.n_outputs if squared else 1,
        )

    def __len__(self) -> int:
        return len(self.Y)
