"""One step of an update rule over a whole network, in NumPy: the definition of what kernels do."""

from __future__ import annotations

import math

import numpy as np

from fastgd.engine.layout import Layout
from fastgd.rules.update import CLIP_NORM, COLUMNS, MAX_NORM, NORM_EPSILON, Update, prepare

__all__ = ["apply_update"]

Array = np.ndarray


def apply_update(
    layout: Layout,
    parameters: Array,
    gradient: Array,
    slots: Array,
    update: type[Update],
    rows: Array,
) -> None:
    """Change the parameters (n_parameters,) and slots (n_slots, n_parameters) in place.

    ``rows`` (2, n_columns) are the settings of weights and of biases, as of `Optimizer.table`.
    """
    factor = clip_factor(gradient, float(rows[0, CLIP_NORM]))
    for views, settings in ((layout.weights, rows[0]), (layout.biases, rows[1])):
        # Python's floats leave float32 what it is.
        row = tuple(map(float, settings))
        for w, g, s in zip(views(parameters), views(gradient), views(slots), strict=True):
            update.apply(w, prepare(w, g, row[: len(COLUMNS)], factor), s, row[len(COLUMNS) :])
    limit = float(rows[0, MAX_NORM])
    if math.isfinite(limit):
        for w in layout.weights(parameters):
            lengths = np.sqrt((w.astype(np.float64) ** 2).sum(axis=0))
            w *= np.minimum(1, limit / np.maximum(lengths, limit)).astype(w.dtype)


def clip_factor(gradient: Array, limit: float) -> float:
    """Return what scales the gradient so that its norm is at most the limit.

    As torch.nn.utils.clip_grad_norm_ does: min(1, limit / (norm + 1e-6)).
    """
    if not math.isfinite(limit):
        return 1.0
    norm = math.sqrt((gradient.astype(np.float64) ** 2).sum())
    return min(1.0, limit / (norm + NORM_EPSILON))
