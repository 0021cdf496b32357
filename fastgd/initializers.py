"""Initialisations: the weights and biases a network starts from.

To add one, write a function and list it in ``INITIALIZERS``. All are drawn layer by layer from the
input on, weights first and then (for ``standard_normal``) biases, in float64 and then rounded to
the network's dtype, so that one seed starts float32 and float64 networks from the same place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastgd.registry import Registry

__all__ = ["INITIALIZERS", "Initializer"]

Array = np.ndarray
Draw = Callable[[np.random.Generator, int, int], Array]


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
        ``weights(rng, n_in, n_out)`` returns an (n_in, n_out) float64 array.
    random_biases : bool
        Whether biases are standard normal instead of 0.
    """

    name: str
    description: str
    weights: Draw
    random_biases: bool = False

    def draw(self, rng: np.random.Generator, n_in: int, n_out: int) -> tuple[Array, Array]:
        """Return one layer's weights (n_in, n_out) and biases (n_out,)."""
        weights = self.weights(rng, n_in, n_out)
        biases = rng.standard_normal(n_out) if self.random_biases else np.zeros(n_out)
        return weights, biases


def _normal(scale: Callable[[int, int], float]) -> Draw:
    return lambda rng, n_in, n_out: rng.standard_normal((n_in, n_out)) * scale(n_in, n_out)


def _uniform(bound: Callable[[int, int], float]) -> Draw:
    def draw(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
        limit = bound(n_in, n_out)
        return rng.uniform(-limit, limit, (n_in, n_out))

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
            lambda rng, n_in, n_out: np.zeros((n_in, n_out)),
        ),
    ],
)
