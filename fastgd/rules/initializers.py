"""Initialisations: the weights and biases a network starts from.

To add one, write a function and list it in ``INITIALIZERS``. All are drawn layer by layer from the
input on, weights first and then (for ``standard_normal``) biases, in float64 and then rounded to
the network's dtype, so that one seed starts float32 and float64 networks from the same place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastgd.rules.registry import Registry

__all__ = ["INITIALIZERS", "Initializer"]

Array = np.ndarray
#: How one layer's weights are drawn: (rng, shape, n_in, n_out) to an array of that shape.
Draw = Callable[[np.random.Generator, tuple[int, int], int, int], Array]

#: How many numbers are drawn at once: a large layer is not in memory a second time.
PIECE = 1 << 20


@dataclass(frozen=True)
class Initializer:
    """One initialisation.

    Attributes
    ----------
    name : str
        The name, as in ``Network(init=name)``.
    description : str
        What is drawn, with its source.
    weights : callable
        ``weights(rng, shape, n_in, n_out)`` returns float64 numbers of that shape, rows of the
        weights (n_in, n_out).
    random_biases : bool
        Whether biases are standard normal instead of 0.
    """

    name: str
    description: str
    weights: Draw
    random_biases: bool = False

    def fill(self, rng: np.random.Generator, W: Array, b: Array) -> None:
        """Set one layer's weights (n_in, n_out) and biases (n_out,)."""
        n_in, n_out = W.shape
        step = max(1, PIECE // n_out)
        for start in range(0, n_in, step):
            rows = W[start : start + step]
            rows[:] = self.weights(rng, rows.shape, n_in, n_out)
        b[:] = rng.standard_normal(n_out) if self.random_biases else 0


def _normal(scale: Callable[[int, int], float]) -> Draw:
    return lambda rng, shape, n_in, n_out: rng.standard_normal(shape) * scale(n_in, n_out)


def _uniform(bound: Callable[[int, int], float]) -> Draw:
    def draw(rng: np.random.Generator, shape: tuple[int, int], n_in: int, n_out: int) -> Array:
        limit = bound(n_in, n_out)
        return rng.uniform(-limit, limit, shape)

    return draw


INITIALIZERS: Registry[Initializer] = Registry(
    "init",
    [
        Initializer(
            "normal",
            "normal with standard deviation 1/sqrt(n_in) (Nielsen, chapter 3)",
            _normal(lambda n_in, n_out: n_in**-0.5),
        ),
        Initializer(
            "standard_normal",
            "weights and biases standard normal (Nielsen, chapter 1: the book's first network)",
            _normal(lambda n_in, n_out: 1.0),
            random_biases=True,
        ),
        Initializer(
            "glorot_normal",
            "normal with variance 2/(n_in + n_out) (Glorot and Bengio 2010)",
            _normal(lambda n_in, n_out: (2 / (n_in + n_out)) ** 0.5),
        ),
        Initializer(
            "glorot_uniform",
            "uniform within sqrt(6/(n_in + n_out)) (Glorot and Bengio 2010, eq. 16)",
            _uniform(lambda n_in, n_out: (6 / (n_in + n_out)) ** 0.5),
        ),
        Initializer(
            "he_normal",
            "normal with variance 2/n_in, for relu (He et al. 2015, eq. 10)",
            _normal(lambda n_in, n_out: (2 / n_in) ** 0.5),
        ),
        Initializer(
            "he_uniform",
            "uniform within sqrt(6/n_in), for relu (He et al. 2015)",
            _uniform(lambda n_in, n_out: (6 / n_in) ** 0.5),
        ),
        Initializer(
            "zeros",
            "all zero: every hidden unit stays a copy of the others (to see why not)",
            lambda rng, shape, n_in, n_out: np.zeros(shape),
        ),
    ],
)
