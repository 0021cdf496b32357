"""Activation functions: a = f(z) and da/dz, as NumPy arrays and as scalars.

To add one, write a class with a ``name``, both NumPy forms, both scalar forms and the second
derivative (an array form only: no kernel needs it), and list it in ``ACTIVATIONS``: every backend
that compiles the scalar forms then has it, and the tests find it there. All derivatives receive z
and a = f(z) and use whichever is cheaper.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fastgd.rules.registry import Registry
from fastgd.rules.scalar import exp, like, tanh

__all__ = ["ACTIVATIONS", "Activation"]

Array = np.ndarray


class Activation:
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

    name: ClassVar[str]
    formula: ClassVar[str]
    row_wise: ClassVar[bool] = False

    @staticmethod
    def value(z: Array) -> Array:
        """Return f(z), elementwise; the shape of z."""
        raise NotImplementedError

    @staticmethod
    def derivative(z: Array, a: Array) -> Array:
        """Return da/dz, elementwise; the shape of z."""
        raise NotImplementedError

    @staticmethod
    def second_derivative(z: Array, a: Array) -> Array:
        """Return d2a/dz2, elementwise; the shape of z."""
        raise NotImplementedError

    @classmethod
    def change(cls, z: Array, a: Array, dz: Array) -> Array:
        """Return how a changes, to first order, where z changes by dz; the shape of z."""
        return cls.derivative(z, a) * dz

    @staticmethod
    def scalar_value(z: float) -> float:
        """Return f(z) of one number."""
        raise NotImplementedError

    @staticmethod
    def scalar_derivative(z: float, a: float) -> float:
        """Return da/dz of one number."""
        raise NotImplementedError


class Identity(Activation):
    """a = z; for regression outputs."""

    name = "identity"
    formula = "a = z"

    @staticmethod
    def value(z: Array) -> Array:
        return z.copy()

    @staticmethod
    def derivative(z: Array, a: Array) -> Array:
        return np.ones_like(z)

    @staticmethod
    def second_derivative(z: Array, a: Array) -> Array:
        return np.zeros_like(z)

    @staticmethod
    def scalar_value(z: float) -> float:
        return z

    @staticmethod
    def scalar_derivative(z: float, a: float) -> float:
        return like(1.0, z)


class Sigmoid(Activation):
    """a = 1 / (1 + e^-z) (Nielsen, Neural Networks and Deep Learning, eq. 3)."""

    name = "sigmoid"
    formula = "a = 1 / (1 + e^-z)"

    @staticmethod
    def value(z: Array) -> Array:
        # e^-|z| cannot overflow; both halves are the same function.
        e = np.exp(-np.abs(z))
        return np.where(z >= 0, 1 / (1 + e), e / (1 + e)).astype(z.dtype, copy=False)

    @staticmethod
    def derivative(z: Array, a: Array) -> Array:
        return a * (1 - a)

    @staticmethod
    def second_derivative(z: Array, a: Array) -> Array:
        return a * (1 - a) * (1 - 2 * a)

    @staticmethod
    def scalar_value(z: float) -> float:
        one = like(1.0, z)
        return one / (one + exp(-z))

    @staticmethod
    def scalar_derivative(z: float, a: float) -> float:
        return a * (like(1.0, a) - a)


class Tanh(Activation):
    """a = tanh z (LeCun et al., Efficient BackProp, 1998, section 4.4)."""

    name = "tanh"
    formula = "a = tanh z"

    @staticmethod
    def value(z: Array) -> Array:
        return np.tanh(z)

    @staticmethod
    def derivative(z: Array, a: Array) -> Array:
        return 1 - a * a

    @staticmethod
    def second_derivative(z: Array, a: Array) -> Array:
        return -2 * a * (1 - a * a)

    @staticmethod
    def scalar_value(z: float) -> float:
        return tanh(z)

    @staticmethod
    def scalar_derivative(z: float, a: float) -> float:
        return like(1.0, a) - a * a


class Relu(Activation):
    """a = max(0, z), da/dz = 0 at z = 0 (Nair and Hinton, 2010)."""

    name = "relu"
    formula = "a = max(0, z)"

    @staticmethod
    def value(z: Array) -> Array:
        return np.maximum(z, 0)

    @staticmethod
    def derivative(z: Array, a: Array) -> Array:
        return (z > 0).astype(z.dtype)

    @staticmethod
    def second_derivative(z: Array, a: Array) -> Array:
        # Also at the kink, z = 0, where there is no second derivative.
        return np.zeros_like(z)

    @staticmethod
    def scalar_value(z: float) -> float:
        # This way round a NaN stays a NaN, so that divergence is seen.
        return like(0.0, z) if z < like(0.0, z) else z

    @staticmethod
    def scalar_derivative(z: float, a: float) -> float:
        return like(1.0, z) if z > like(0.0, z) else like(0.0, z)


class Softmax(Activation):
    """a_j = e^z_j / sum_k e^z_k over each row (Nielsen, eq. 78); an output only."""

    name = "softmax"
    formula = "a_j = e^z_j / sum_k e^z_k"
    row_wise = True

    @staticmethod
    def value(z: Array) -> Array:
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    @classmethod
    def change(cls, z: Array, a: Array, dz: Array) -> Array:
        # da_j/dz_k = a_j (1 if j is k, else 0) - a_j a_k
        return a * (dz - (a * dz).sum(axis=1, keepdims=True))


ACTIVATIONS: Registry[type[Activation]] = Registry(
    "activation", [Identity, Sigmoid, Tanh, Relu, Softmax]
)
