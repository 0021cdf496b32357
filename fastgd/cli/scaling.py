"""Data brought to the size networks learn from, without the model file knowing of it.

Columns of a table may be years, prices or fractions. For training each is brought to mean 0 and
deviation 1, and so are the targets of a regression. Both are linear, so that afterwards they are
folded into the first and last layer: the saved network reads and answers in the data's own units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fastgd.network import Network
    from fastgd.rules.losses import Loss

__all__ = ["Scaling", "input_scale_of", "scaling_for"]

Array = np.ndarray

#: No input is further than this from its mean, in deviations: rare large values are shrunk.
FURTHEST = 10.0


@dataclass(frozen=True)
class Scaling:
    """What is taken off and divided by: inputs column by column, targets by one number.

    One deviation for all targets keeps the cost what it is, times a number.
    """

    x_mean: Array
    x_scale: Array
    y_mean: Array
    y_scale: float

    def inputs(self, X: Array, dtype: str) -> Array:
        """Return scaled inputs, (n, n_in)."""
        if not self.x_mean.any() and (self.x_scale == 1).all():
            return X
        return ((X - self.x_mean) / self.x_scale).astype(dtype)

    def targets(self, y: Array) -> Array:
        """Return scaled targets; classes stay as they are."""
        if y.dtype.kind == "i":
            return y
        scaled = (y.reshape(len(y), -1) - self.y_mean) / self.y_scale
        return scaled.reshape(y.shape)

    def cost_factor(self, loss: Loss) -> float:
        """Return what a cost of scaled targets is multiplied by to be one of the targets."""
        return self.y_scale**2 if loss.squared else self.y_scale if loss.output_average else 1.0

    def fold_into(self, network: Network) -> None:
        """Change a network for scaled data into the same one for the data itself."""
        W, b = (layer[0].astype(np.float64) for layer in (network.weights, network.biases))
        W /= self.x_scale[:, None]
        network.weights[0][...] = W
        network.biases[0][...] = b - self.x_mean @ W
        network.weights[-1][...] *= self.y_scale
        network.biases[-1][...] = network.biases[-1] * self.y_scale + self.y_mean


def scaling_for(X: Array, y: Array, columns: bool, numbers: bool) -> Scaling:
    """Return the scaling for a training part.

    Parameters
    ----------
    X, y : array
        (n, n_in) inputs; classes (n,), or targets (n,) or (n, n_out).
    columns, numbers : bool
        Whether to scale the columns of X, and targets that are no classes.

    Examples
    --------
    >>> X, y = np.array([[1990.0], [2010.0]]), np.array([10.0, 30.0])
    >>> scaling = scaling_for(X, y, columns=True, numbers=True)
    >>> scaling.inputs(X, "float32").ravel(), scaling.targets(y)
    (array([-1.,  1.], dtype=float32), array([-1.,  1.]))
    """
    mean, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
    if columns:
        mean = X.mean(axis=0, dtype=np.float64)
        furthest = np.maximum(X.max(axis=0) - mean, mean - X.min(axis=0))
        scale = np.maximum(X.std(axis=0, dtype=np.float64), furthest / FURTHEST)
        scale[scale == 0] = 1
    rows = y.reshape(len(y), -1).astype(np.float64)
    y_mean, y_scale = np.zeros(rows.shape[1]), 1.0
    if numbers and y.dtype.kind != "i":
        y_mean = rows.mean(axis=0)
        y_scale = float(np.sqrt(rows.var(axis=0).mean())) or 1.0
    return Scaling(mean, scale, y_mean, y_scale)


def input_scale_of(X: Array, input_scale: float) -> float:
    """Return what inputs are multiplied by: the data's own factor; bytes end at 1.

    >>> input_scale_of(np.array([[0, 200]], np.uint8), 1.0)
    0.005
    """
    if input_scale == 1 and X.dtype == np.uint8 and X.max() > 1:
        return 1 / float(X.max())
    return input_scale
