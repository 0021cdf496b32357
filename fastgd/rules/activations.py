"""Activation functions: a = f(z) and da/dz, as NumPy arrays and as scalars.

A rule is an instance, ``LeakyReLU(alpha=0.01)``; its name alone means the defaults. To add one,
write a frozen dataclass with a ``name``, both NumPy forms, both scalar forms and the second
derivative (an array form only: no kernel needs it), and list it in ``ACTIVATIONS``: every backend
that compiles the scalar forms then has it, and the tests find it there. All derivatives receive z
and a = f(z) and use whichever is cheaper. Scalar forms receive the rule's parameters as ``p``, in
the order of its fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fastgd.rules.registry import Registry, Rule
from fastgd.rules.scalar import exp, like, tanh

__all__ = ["ACTIVATIONS", "Activation"]

Array = np.ndarray
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Activation(Rule):
    """One activation function.

    Attributes
    ----------
    name : str
        The public name, as in ``Network(activation=name)``.
    formula : str
        The function, as people write it.
    row_wise : bool
        True where an output depends on its whole row of z (softmax). Such a rule has no
        elementwise derivative and serves as an output only.
    """

    formula: ClassVar[str]
    row_wise: ClassVar[bool] = False

    def value(self, z: Array) -> Array:
        """Return f(z), elementwise; the shape of z."""
        raise NotImplementedError

    def derivative(self, z: Array, a: Array) -> Array:
        """Return da/dz, elementwise; the shape of z."""
        raise NotImplementedError

    def second_derivative(self, z: Array, a: Array) -> Array:
        """Return d2a/dz2, elementwise; the shape of z."""
        raise NotImplementedError

    def change(self, z: Array, a: Array, dz: Array) -> Array:
        """Return how a changes, to first order, where z changes by dz; the shape of z."""
        return self.derivative(z, a) * dz

    @staticmethod
    def scalar_value(z: float, p: Numbers) -> float:
        """Return f(z) of one number."""
        raise NotImplementedError

    @staticmethod
    def scalar_derivative(z: float, a: float, p: Numbers) -> float:
        """Return da/dz of one number."""
        raise NotImplementedError


@dataclass(frozen=True)
class Identity(Activation):
    """a = z; for regression outputs."""

    name = "identity"
    formula = "a = z"

    def value(self, z: Array) -> Array:
        return z.copy()

    def derivative(self, z: Array, a: Array) -> Array:
        return np.ones_like(z)

    def second_derivative(self, z: Array, a: Array) -> Array:
        return np.zeros_like(z)

    @staticmethod
    def scalar_value(z: float, p: Numbers) -> float:
        return z

    @staticmethod
    def scalar_derivative(z: float, a: float, p: Numbers) -> float:
        return like(1.0, z)


@dataclass(frozen=True)
class Sigmoid(Activation):
    """a = 1 / (1 + e^-z) (Nielsen, Neural Networks and Deep Learning, eq. 3)."""

    name = "sigmoid"
    formula = "a = 1 / (1 + e^-z)"

    def value(self, z: Array) -> Array:
        # e^-|z| cannot overflow; both halves are the same function.
        e = np.exp(-np.abs(z))
        return np.where(z >= 0, 1 / (1 + e), e / (1 + e)).astype(z.dtype, copy=False)

    def derivative(self, z: Array, a: Array) -> Array:
        return a * (1 - a)

    def second_derivative(self, z: Array, a: Array) -> Array:
        return a * (1 - a) * (1 - 2 * a)

    @staticmethod
    def scalar_value(z: float, p: Numbers) -> float:
        one = like(1.0, z)
        return one / (one + exp(-z))

    @staticmethod
    def scalar_derivative(z: float, a: float, p: Numbers) -> float:
        return a * (like(1.0, a) - a)


@dataclass(frozen=True)
class Tanh(Activation):
    """a = tanh z (LeCun et al., Efficient BackProp, 1998, section 4.4)."""

    name = "tanh"
    formula = "a = tanh z"

    def value(self, z: Array) -> Array:
        return np.tanh(z)

    def derivative(self, z: Array, a: Array) -> Array:
        return 1 - a * a

    def second_derivative(self, z: Array, a: Array) -> Array:
        return -2 * a * (1 - a * a)

    @staticmethod
    def scalar_value(z: float, p: Numbers) -> float:
        return tanh(z)

    @staticmethod
    def scalar_derivative(z: float, a: float, p: Numbers) -> float:
        return like(1.0, a) - a * a


@dataclass(frozen=True)
class Relu(Activation):
    """a = max(0, z), da/dz = 0 at z = 0 (Nair and Hinton, 2010)."""

    name = "relu"
    formula = "a = max(0, z)"

    def value(self, z: Array) -> Array:
        return np.maximum(z, 0)

    def derivative(self, z: Array, a: Array) -> Array:
        return (z > 0).astype(z.dtype)

    def second_derivative(self, z: Array, a: Array) -> Array:
        # Also at the kink, z = 0, where there is no second derivative.
        return np.zeros_like(z)

    @staticmethod
    def scalar_value(z: float, p: Numbers) -> float:
        # This way round a NaN stays a NaN, so that divergence is seen.
        return like(0.0, z) if z < like(0.0, z) else z

    @staticmethod
    def scalar_derivative(z: float, a: float, p: Numbers) -> float:
        return like(1.0, z) if z > like(0.0, z) else like(0.0, z)


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """a = z where z > 0, else alpha z (Maas, Hannun and Ng 2013).

    Parameters
    ----------
    alpha : float, default 0.01
        The slope below 0, finite.

    Examples
    --------
    >>> import numpy as np
    >>> LeakyReLU(alpha=0.1).value(np.array([-2.0, 3.0])).tolist()
    [-0.2, 3.0]
    """

    name = "leaky_relu"
    formula = "a = z, or alpha z below 0"
    alpha: float = 0.01

    def __post_init__(self) -> None:
        self._check("alpha")

    def value(self, z: Array) -> Array:
        return np.where(z < 0, self.alpha * z, z)

    def derivative(self, z: Array, a: Array) -> Array:
        return np.where(z > 0, 1, self.alpha).astype(z.dtype)

    def second_derivative(self, z: Array, a: Array) -> Array:
        return np.zeros_like(z)

    @staticmethod
    def scalar_value(z: float, p: Numbers) -> float:
        return p[0] * z if z < like(0.0, z) else z

    @staticmethod
    def scalar_derivative(z: float, a: float, p: Numbers) -> float:
        return like(1.0, z) if z > like(0.0, z) else p[0]


@dataclass(frozen=True)
class Softmax(Activation):
    """a_j = e^z_j / sum_k e^z_k over each row (Nielsen, eq. 78); an output only."""

    name = "softmax"
    formula = "a_j = e^z_j / sum_k e^z_k"
    row_wise = True

    def value(self, z: Array) -> Array:
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def change(self, z: Array, a: Array, dz: Array) -> Array:
        # da_j/dz_k = a_j (1 if j is k, else 0) - a_j a_k
        return a * (dz - (a * dz).sum(axis=1, keepdims=True))


ACTIVATIONS: Registry[Activation] = Registry(
    "activation", [Identity(), Sigmoid(), Tanh(), Relu(), LeakyReLU(), Softmax()]
)
