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

from fastgd.rules.activation import Activation
from fastgd.rules.registry import Registry
from fastgd.rules.scalar import erf, exp, like, log1p, tanh

__all__ = [
    "ACTIVATIONS", "ELU", "GELU", "SELU", "Activation", "Exp", "GELUTanh", "HardSigmoid",
    "LeakyReLU", "SiLU", "Softplus", "Softsign",
]  # fmt: skip

Array = np.ndarray
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Identity(Activation):
    """a = z; for regression outputs.

    Examples
    --------
    >>> Identity.scalar_value(-2.0, ())
    -2.0
    """

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
    """a = 1 / (1 + e^-z) (Nielsen, Neural Networks and Deep Learning, eq. 3).

    Examples
    --------
    >>> Sigmoid.scalar_value(0.0, ())
    0.5
    """

    name = "sigmoid"
    reach = (0.0, 1.0)
    saturates = True
    formula = "a = 1 / (1 + e^-z)"
    slope_in_words = "{a} x (1 - {b})"

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


SIGMOID = Sigmoid()


@dataclass(frozen=True)
class Tanh(Activation):
    """a = tanh z (LeCun et al., Efficient BackProp, 1998, section 4.4).

    Examples
    --------
    >>> Tanh.scalar_value(0.0, ())
    0.0
    """

    name = "tanh"
    reach = (-1.0, 1.0)
    saturates = True
    formula = "a = tanh z"
    slope_in_words = "1 - {b}^2"

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
    """a = max(0, z), da/dz = 0 at z = 0 (Nair and Hinton, 2010).

    Examples
    --------
    >>> Relu.scalar_value(-2.0, ()), Relu.scalar_value(3.0, ())
    (0.0, 3.0)
    """

    name = "relu"
    reach = (0.0, np.inf)
    dies = True
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
class Softmax(Activation):
    """a_j = e^z_j / sum_k e^z_k over each row (Nielsen, eq. 78); an output only.

    Examples
    --------
    >>> Softmax().value(np.zeros((1, 4)))
    array([[0.25, 0.25, 0.25, 0.25]])
    """

    name = "softmax"
    formula = "a_j = e^z_j / sum_k e^z_k"
    row_wise = True
    reach = (0.0, 1.0)

    def value(self, z: Array) -> Array:
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def change(self, z: Array, a: Array, dz: Array) -> Array:
        # da_j/dz_k = a_j (1 if j is k, else 0) - a_j a_k
        return a * (dz - (a * dz).sum(axis=1, keepdims=True))


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
class ELU(Activation):
    """a = z where z > 0, else alpha (e^z - 1) (Clevert, Unterthiner and Hochreiter 2016).

    Parameters
    ----------
    alpha : float, default 1
        Minus the value far below 0; above 0.

    Examples
    --------
    >>> import numpy as np
    >>> ELU(alpha=2.0).value(np.array([-50.0, 3.0])).round(6).tolist()
    [-2.0, 3.0]
    """

    name = "elu"
    formula = "a = z, or alpha (e^z - 1) below 0"
    alpha: float = 1.0

    def __post_init__(self) -> None:
        self._check("alpha", above=0)

    def value(self, z: Array) -> Array:
        return np.where(z > 0, z, self.alpha * np.expm1(np.minimum(z, 0)))

    def derivative(self, z: Array, a: Array) -> Array:
        return np.where(z > 0, 1, a + self.alpha).astype(z.dtype)

    def second_derivative(self, z: Array, a: Array) -> Array:
        return np.where(z > 0, 0, a + self.alpha).astype(z.dtype)

    @staticmethod
    def scalar_value(z: float, p: Numbers) -> float:
        return z if z > like(0.0, z) else p[0] * (exp(z) - like(1.0, z))

    @staticmethod
    def scalar_derivative(z: float, a: float, p: Numbers) -> float:
        return like(1.0, z) if z > like(0.0, z) else a + p[0]


@dataclass(frozen=True)
class SELU(Activation):
    """a = s z where z > 0, else s alpha (e^z - 1): keeps mean 0 and deviation 1.

    Klambauer et al. 2017, with s = 1.0507... and alpha = 1.6733...; goes with weights of
    deviation 1/sqrt(n_in), ``init="normal"``.

    Examples
    --------
    >>> import numpy as np
    >>> SELU().value(np.array([-50.0, 1.0])).round(4).tolist()
    [-1.7581, 1.0507]
    """

    name = "selu"
    formula = "a = 1.0507 z, or 1.7581 (e^z - 1) below 0"
    SCALE: ClassVar[float] = 1.0507009873554805
    FLOOR: ClassVar[float] = 1.0507009873554805 * 1.6732632423543772

    def value(self, z: Array) -> Array:
        return np.where(z > 0, self.SCALE * z, self.FLOOR * np.expm1(np.minimum(z, 0)))

    def derivative(self, z: Array, a: Array) -> Array:
        return np.where(z > 0, self.SCALE, a + self.FLOOR).astype(z.dtype)

    def second_derivative(self, z: Array, a: Array) -> Array:
        return np.where(z > 0, 0, a + self.FLOOR).astype(z.dtype)

    @staticmethod
    def scalar_value(z: float, p: Numbers) -> float:
        below = like(1.7580993408473766, z) * (exp(z) - like(1.0, z))
        return like(1.0507009873554805, z) * z if z > like(0.0, z) else below

    @staticmethod
    def scalar_derivative(z: float, a: float, p: Numbers) -> float:
        below = a + like(1.7580993408473766, z)
        return like(1.0507009873554805, z) if z > like(0.0, z) else below


@dataclass(frozen=True)
class Softplus(Activation):
    """a = log(1 + e^z), a smooth relu (Dugas et al. 2001).

    Examples
    --------
    >>> import numpy as np
    >>> Softplus().value(np.array([0.0, 1000.0])).round(4).tolist()
    [0.6931, 1000.0]
    """

    name = "softplus"
    reach = (0.0, np.inf)
    formula = "a = log(1 + e^z)"

    def value(self, z: Array) -> Array:
        return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))

    def derivative(self, z: Array, a: Array) -> Array:
        return SIGMOID.value(z)

    def second_derivative(self, z: Array, a: Array) -> Array:
        s = SIGMOID.value(z)
        return s * (1 - s)

    @staticmethod
    def scalar_value(z: float, p: Numbers) -> float:
        positive = like(0.0, z) if z < like(0.0, z) else z
        return positive + log1p(exp(-abs(z)))

    @staticmethod
    def scalar_derivative(z: float, a: float, p: Numbers) -> float:
        one = like(1.0, z)
        return one / (one + exp(-z))


@dataclass(frozen=True)
class GELU(Activation):
    """a = z P(Z <= z), Z standard normal: z (1 + erf(z / sqrt 2)) / 2 (Hendrycks and Gimpel 2016).

    Examples
    --------
    >>> import numpy as np
    >>> GELU().value(np.array([-1.0, 0.0, 1.0])).round(4).tolist()
    [-0.1587, 0.0, 0.8413]
    """

    name = "gelu"
    formula = "a = z (1 + erf(z / sqrt 2)) / 2"

    def value(self, z: Array) -> Array:
        return z * _normal_cdf(z)

    def derivative(self, z: Array, a: Array) -> Array:
        return _normal_cdf(z) + z * _normal_density(z)

    def second_derivative(self, z: Array, a: Array) -> Array:
        return (2 - z * z) * _normal_density(z)

    @staticmethod
    def scalar_value(z: float, p: Numbers) -> float:
        half = like(0.5, z)
        return z * (half + half * erf(z * like(0.7071067811865476, z)))

    @staticmethod
    def scalar_derivative(z: float, a: float, p: Numbers) -> float:
        half = like(0.5, z)
        below = half + half * erf(z * like(0.7071067811865476, z))
        return below + z * like(0.3989422804014327, z) * exp(-half * z * z)


@dataclass(frozen=True)
class GELUTanh(Activation):
    """`GELU` by tanh: z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))) / 2 (Hendrycks, Gimpel 2016).

    Examples
    --------
    >>> import numpy as np
    >>> GELUTanh().value(np.array([-1.0, 0.0, 1.0])).round(4).tolist()
    [-0.1588, 0.0, 0.8412]
    """

    name = "gelu_tanh"
    formula = "a = z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))) / 2"
    ROOT: ClassVar[float] = 0.7978845608028654
    CUBE: ClassVar[float] = 0.044715

    def _parts(self, z: Array) -> tuple[Array, Array, Array]:
        """Return tanh u, u' and u'', of what stands under the tanh."""
        square = z * z
        t = np.tanh(self.ROOT * z * (1 + self.CUBE * square))
        return t, self.ROOT * (1 + 3 * self.CUBE * square), 6 * self.ROOT * self.CUBE * z

    def value(self, z: Array) -> Array:
        return z * (1 + self._parts(z)[0]) / 2

    def derivative(self, z: Array, a: Array) -> Array:
        t, du, _ = self._parts(z)
        return (1 + t) / 2 + z * (1 - t * t) * du / 2

    def second_derivative(self, z: Array, a: Array) -> Array:
        t, du, ddu = self._parts(z)
        dt = (1 - t * t) * du
        return dt + z * ((1 - t * t) * ddu - 2 * t * dt * du) / 2

    @staticmethod
    def scalar_value(z: float, p: Numbers) -> float:
        u = like(0.7978845608028654, z) * z * (like(1.0, z) + like(0.044715, z) * z * z)
        return like(0.5, z) * z * (like(1.0, z) + tanh(u))

    @staticmethod
    def scalar_derivative(z: float, a: float, p: Numbers) -> float:
        one, half, root = like(1.0, z), like(0.5, z), like(0.7978845608028654, z)
        cubed = like(0.044715, z) * z * z
        t = tanh(root * z * (one + cubed))
        return half * (one + t) + half * z * (one - t * t) * root * (one + like(3.0, z) * cubed)


@dataclass(frozen=True)
class SiLU(Activation):
    """a = z sigmoid(z), also called swish (Elfwing, Uchibe and Doya 2018).

    Examples
    --------
    >>> import numpy as np
    >>> SiLU().value(np.array([-1.0, 0.0, 1.0])).round(4).tolist()
    [-0.2689, 0.0, 0.7311]
    """

    name = "silu"
    formula = "a = z / (1 + e^-z)"

    def value(self, z: Array) -> Array:
        return z * SIGMOID.value(z)

    def derivative(self, z: Array, a: Array) -> Array:
        s = SIGMOID.value(z)
        return s * (1 + z * (1 - s))

    def second_derivative(self, z: Array, a: Array) -> Array:
        s = SIGMOID.value(z)
        return s * (1 - s) * (2 + z * (1 - 2 * s))

    @staticmethod
    def scalar_value(z: float, p: Numbers) -> float:
        return z / (like(1.0, z) + exp(-z))

    @staticmethod
    def scalar_derivative(z: float, a: float, p: Numbers) -> float:
        one = like(1.0, z)
        s = one / (one + exp(-z))
        return s * (one + z * (one - s))


@dataclass(frozen=True)
class HardSigmoid(Activation):
    """a = (z + 3) / 6, kept between 0 and 1 (Howard et al. 2019, as torch has it).

    Examples
    --------
    >>> import numpy as np
    >>> HardSigmoid().value(np.array([-4.0, 0.0, 1.5, 4.0])).tolist()
    [0.0, 0.5, 0.75, 1.0]
    """

    name = "hard_sigmoid"
    reach = (0.0, 1.0)
    saturates = True
    formula = "a = (z + 3) / 6, from 0 to 1"

    def value(self, z: Array) -> Array:
        return np.clip((z + 3) / 6, 0, 1)

    def derivative(self, z: Array, a: Array) -> Array:
        return np.where(np.abs(z) < 3, 1 / 6, 0).astype(z.dtype)

    def second_derivative(self, z: Array, a: Array) -> Array:
        return np.zeros_like(z)

    @staticmethod
    def scalar_value(z: float, p: Numbers) -> float:
        zero, one = like(0.0, z), like(1.0, z)
        a = (z + like(3.0, z)) / like(6.0, z)
        a = zero if a < zero else a
        return one if a > one else a

    @staticmethod
    def scalar_derivative(z: float, a: float, p: Numbers) -> float:
        return like(1 / 6, z) if abs(z) < like(3.0, z) else like(0.0, z)


@dataclass(frozen=True)
class Softsign(Activation):
    """a = z / (1 + |z|) (Bergstra et al. 2009).

    Examples
    --------
    >>> import numpy as np
    >>> Softsign().value(np.array([-1.0, 0.0, 3.0])).tolist()
    [-0.5, 0.0, 0.75]
    """

    name = "softsign"
    reach = (-1.0, 1.0)
    saturates = True
    formula = "a = z / (1 + |z|)"

    def value(self, z: Array) -> Array:
        return z / (1 + np.abs(z))

    def derivative(self, z: Array, a: Array) -> Array:
        return (1 - np.abs(a)) ** 2

    def second_derivative(self, z: Array, a: Array) -> Array:
        return -2 * np.sign(z) * (1 - np.abs(a)) ** 3

    @staticmethod
    def scalar_value(z: float, p: Numbers) -> float:
        return z / (like(1.0, z) + abs(z))

    @staticmethod
    def scalar_derivative(z: float, a: float, p: Numbers) -> float:
        left = like(1.0, a) - abs(a)
        return left * left


@dataclass(frozen=True)
class Exp(Activation):
    """a = e^z: outputs that are means of counts, for the loss ``poisson`` (a log link).

    Examples
    --------
    >>> import numpy as np
    >>> Exp().value(np.array([0.0, 1.0])).round(4).tolist()
    [1.0, 2.7183]
    """

    name = "exp"
    formula = "a = e^z"
    reach = (0.0, np.inf)

    def value(self, z: Array) -> Array:
        return np.exp(z)

    def derivative(self, z: Array, a: Array) -> Array:
        return a.copy()

    def second_derivative(self, z: Array, a: Array) -> Array:
        return a.copy()

    @staticmethod
    def scalar_value(z: float, p: Numbers) -> float:
        return exp(z)

    @staticmethod
    def scalar_derivative(z: float, a: float, p: Numbers) -> float:
        return a


def _normal_cdf(z: Array) -> Array:
    """Return P(Z <= z) of a standard normal Z."""
    return ((1 + _erf(z * 2**-0.5)) / 2).astype(z.dtype)


def _normal_density(z: Array) -> Array:
    """Return the density of a standard normal."""
    return (np.exp(-z * z / 2) * (2 * np.pi) ** -0.5).astype(z.dtype)


def _erf(x: Array) -> Array:
    """Return the error function in float64; NumPy has none."""
    return np.asarray(np.frompyfunc(erf, 1, 1)(x.astype(np.float64)), dtype=np.float64)


#: csrc/rules.h has them in this order; rules that are only here come last.
ACTIVATIONS: Registry[Activation] = Registry(
    "activation",
    [
        Identity(), Sigmoid(), Tanh(), Relu(), Softmax(), LeakyReLU(), ELU(), SELU(), Softplus(),
        GELU(), GELUTanh(), SiLU(), HardSigmoid(), Softsign(), Exp(),
    ],
)  # fmt: skip
