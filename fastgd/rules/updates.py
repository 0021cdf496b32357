"""Update rules: how one step changes a parameter, as NumPy arrays and as scalars.

See `fastgd.rules.update` for what all have in common, and `fastgd.rules.optimizers` for what people
set. To add one, write a class with both forms and list it in ``UPDATES``.
"""

from __future__ import annotations

import numpy as np

from fastgd.rules.registry import Registry
from fastgd.rules.scalar import like, sqrt
from fastgd.rules.update import Update

__all__ = ["UPDATES", "GradientDescent"]

Array = np.ndarray
Numbers = tuple[float, ...]


class GradientDescent(Update):
    """w <- w - eta g (Nielsen, eqs. 20 and 21)."""

    name = "gradient_descent"
    columns = ("rate",)
    linear = True

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, row: Numbers) -> None:
        w -= row[0] * g

    @staticmethod
    def scalar_apply(w: float, g: float, slots: Numbers, row: Numbers) -> tuple[float, Numbers]:
        return w - row[0] * g, slots


class Momentum(Update):
    """v <- mu v - eta g, w <- w + v (Nielsen, eqs. 107, 108); Nesterov's form looks ahead.

    That is w <- w + mu v - eta g with the new v (Sutskever et al. 2013, as scikit-learn writes it).
    """

    name = "momentum"
    slots = ("velocity",)
    columns = ("rate", "momentum", "nesterov")

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, row: Numbers) -> None:
        rate, momentum, nesterov = row
        step, velocity = rate * g, slots[0]
        velocity *= momentum
        velocity -= step
        w += momentum * velocity - step if nesterov else velocity

    @staticmethod
    def scalar_apply(w: float, g: float, slots: Numbers, row: Numbers) -> tuple[float, Numbers]:
        rate, momentum, nesterov = row
        step = rate * g
        velocity = momentum * slots[0] - step
        ahead = momentum * velocity - step
        return w + (ahead if nesterov > like(0.0, w) else velocity), (velocity,)


class AdaptiveMoments(Update):
    """m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, w <- w - rate m / (root sqrt(v) + eps).

    Kingma and Ba 2015, algorithm 1; ``rate`` and ``root`` hold the bias corrections, ``new1`` is
    1 - b1.
    """

    name = "adaptive_moments"
    slots = ("m", "v")
    columns = ("rate", "root", "new1", "new2", "epsilon")

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, row: Numbers) -> None:
        rate, root, new1, new2, epsilon = row
        m, v = slots
        m += new1 * (g - m)
        v += new2 * (g * g - v)
        w -= rate * m / (root * np.sqrt(v) + epsilon)

    @staticmethod
    def scalar_apply(w: float, g: float, slots: Numbers, row: Numbers) -> tuple[float, Numbers]:
        rate, root, new1, new2, epsilon = row
        m = slots[0] + new1 * (g - slots[0])
        v = slots[1] + new2 * (g * g - slots[1])
        return w - rate * m / (root * sqrt(v) + epsilon), (m, v)


class LargestMoments(Update):
    """`AdaptiveMoments` with the largest v so far under the root (Reddi, Kale and Kumar 2018)."""

    name = "largest_moments"
    slots = ("m", "v", "largest")
    columns = AdaptiveMoments.columns

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, row: Numbers) -> None:
        rate, root, new1, new2, epsilon = row
        m, v, largest = slots
        m += new1 * (g - m)
        v += new2 * (g * g - v)
        np.maximum(largest, v, out=largest)
        w -= rate * m / (root * np.sqrt(largest) + epsilon)

    @staticmethod
    def scalar_apply(w: float, g: float, slots: Numbers, row: Numbers) -> tuple[float, Numbers]:
        rate, root, new1, new2, epsilon = row
        m = slots[0] + new1 * (g - slots[0])
        v = slots[1] + new2 * (g * g - slots[1])
        largest = slots[2] if slots[2] > v else v
        return w - rate * m / (root * sqrt(largest) + epsilon), (m, v, largest)


class NesterovMoments(Update):
    """`AdaptiveMoments` that looks ahead: w <- w - (now g + ahead m) / (root sqrt(v) + eps).

    Dozat 2016, as torch.optim.NAdam has it.
    """

    name = "nesterov_moments"
    slots = ("m", "v")
    columns = ("now", "ahead", "root", "new1", "new2", "epsilon")

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, row: Numbers) -> None:
        now, ahead, root, new1, new2, epsilon = row
        m, v = slots
        m += new1 * (g - m)
        v += new2 * (g * g - v)
        w -= (now * g + ahead * m) / (root * np.sqrt(v) + epsilon)

    @staticmethod
    def scalar_apply(w: float, g: float, slots: Numbers, row: Numbers) -> tuple[float, Numbers]:
        now, ahead, root, new1, new2, epsilon = row
        m = slots[0] + new1 * (g - slots[0])
        v = slots[1] + new2 * (g * g - slots[1])
        return w - (now * g + ahead * m) / (root * sqrt(v) + epsilon), (m, v)


class RootMeanSquare(Update):
    """v <- a v + (1 - a) g^2, b <- mu b + g / (sqrt(v) + eps), w <- w - rate b (Hinton 2012)."""

    name = "root_mean_square"
    slots = ("v", "velocity")
    columns = ("rate", "new", "momentum", "epsilon")

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, row: Numbers) -> None:
        rate, new, momentum, epsilon = row
        v, velocity = slots
        v += new * (g * g - v)
        velocity *= momentum
        velocity += g / (np.sqrt(v) + epsilon)
        w -= rate * velocity

    @staticmethod
    def scalar_apply(w: float, g: float, slots: Numbers, row: Numbers) -> tuple[float, Numbers]:
        rate, new, momentum, epsilon = row
        v = slots[0] + new * (g * g - slots[0])
        velocity = momentum * slots[1] + g / (sqrt(v) + epsilon)
        return w - rate * velocity, (v, velocity)


class SumOfSquares(Update):
    """s <- s + g^2, w <- w - rate g / (sqrt(s) + eps) (Duchi, Hazan and Singer 2011)."""

    name = "sum_of_squares"
    slots = ("sum",)
    columns = ("rate", "epsilon")

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, row: Numbers) -> None:
        rate, epsilon = row
        slots[0] += g * g
        w -= rate * g / (np.sqrt(slots[0]) + epsilon)

    @staticmethod
    def scalar_apply(w: float, g: float, slots: Numbers, row: Numbers) -> tuple[float, Numbers]:
        rate, epsilon = row
        total = slots[0] + g * g
        return w - rate * g / (sqrt(total) + epsilon), (total,)


class AdaptiveDelta(Update):
    """v <- r v + (1 - r) g^2, d = sqrt((u + eps) / (v + eps)) g, w <- w - rate d (Zeiler 2012).

    Then u <- r u + (1 - r) d^2.
    """

    name = "adaptive_delta"
    slots = ("v", "u")
    columns = ("rate", "new", "epsilon")

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, row: Numbers) -> None:
        rate, new, epsilon = row
        v, u = slots
        v += new * (g * g - v)
        step = np.sqrt(u + epsilon) / np.sqrt(v + epsilon) * g
        u += new * (step * step - u)
        w -= rate * step

    @staticmethod
    def scalar_apply(w: float, g: float, slots: Numbers, row: Numbers) -> tuple[float, Numbers]:
        rate, new, epsilon = row
        v = slots[0] + new * (g * g - slots[0])
        step = sqrt(slots[1] + epsilon) / sqrt(v + epsilon) * g
        u = slots[1] + new * (step * step - slots[1])
        return w - rate * step, (v, u)


class SignedSteps(Update):
    """Each weight has a step size, longer while its slope keeps its sign (Riedmiller, Braun 1993).

    As torch.optim.Rprop: after a change of sign the step shrinks and the slope counts as 0.
    """

    name = "signed_steps"
    slots = ("slope", "size")
    columns = ("eta_plus", "eta_minus", "smallest", "largest")

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, row: Numbers) -> None:
        eta_plus, eta_minus, smallest, largest = row
        slope, size = slots
        same = g * slope
        factor = np.where(same > 0, eta_plus, np.where(same < 0, eta_minus, 1)).astype(w.dtype)
        np.clip(size * factor, smallest, largest, out=size)
        slope[:] = np.where(same < 0, 0, g)
        w -= np.sign(slope) * size

    @staticmethod
    def scalar_apply(w: float, g: float, slots: Numbers, row: Numbers) -> tuple[float, Numbers]:
        eta_plus, eta_minus, smallest, largest = row
        zero, one = like(0.0, w), like(1.0, w)
        same = g * slots[0]
        size = slots[1] * (eta_plus if same > zero else (eta_minus if same < zero else one))
        size = smallest if size < smallest else size
        size = largest if size > largest else size
        slope = zero if same < zero else g
        sign = one if slope > zero else (-one if slope < zero else slope)
        return w - sign * size, (slope, size)


class SignedMomentum(Update):
    """w <- w - rate sign(b1 m + (1 - b1) g), m <- b2 m + (1 - b2) g (Chen et al. 2023)."""

    name = "signed_momentum"
    slots = ("m",)
    columns = ("rate", "new1", "new2")

    @staticmethod
    def apply(w: Array, g: Array, slots: Array, row: Numbers) -> None:
        rate, new1, new2 = row
        m = slots[0]
        w -= rate * np.sign(m + new1 * (g - m))
        m += new2 * (g - m)

    @staticmethod
    def scalar_apply(w: float, g: float, slots: Numbers, row: Numbers) -> tuple[float, Numbers]:
        rate, new1, new2 = row
        zero, m = like(0.0, w), slots[0]
        mixed = m + new1 * (g - m)
        step = rate if mixed > zero else (-rate if mixed < zero else mixed)
        return w - step, (m + new2 * (g - m),)


#: csrc/rules.h has them in this order; rules that are only here come last.
UPDATES: Registry[type[Update]] = Registry(
    "update",
    [
        GradientDescent, Momentum, AdaptiveMoments, LargestMoments, NesterovMoments,
        RootMeanSquare, SumOfSquares, AdaptiveDelta, SignedSteps, SignedMomentum,
    ],
)  # fmt: skip
