"""What a network is: its sizes, rules and number type. No numbers live here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastgd.rules.activations import ACTIVATIONS, Activation
from fastgd.rules.checks import check_integer, check_number
from fastgd.engine.layout import Layout
from fastgd.rules.losses import Loss, find_loss
from fastgd.rules.registry import unknown_name

__all__ = ["DTYPES", "Architecture"]

DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Architecture:
    """Sizes, rules and number type of a dense network, checked when made.

    Parameters
    ----------
    sizes : tuple of int
        Inputs, hidden layers if any, outputs; each at least 1.
    activation, output : str
        The activation of the hidden layers and of the output.
    loss : str
        The loss, one that goes with ``output``.
    dtype : str
        ``"float32"`` or ``"float64"``.
    input_scale : float
        What inputs are multiplied by as they are read; not 0.
    """

    sizes: tuple[int, ...]
    activation: str = "sigmoid"
    output: str = "sigmoid"
    loss: str = "quadratic"
    dtype: str = "float32"
    input_scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", _check_sizes(self.sizes))
        hidden = [name for name, rule in ACTIVATIONS.items() if not rule.row_wise]
        if self.activation not in hidden:
            raise unknown_name("activation", self.activation, hidden)
        ACTIVATIONS.find(self.output, "output")
        find_loss(self.loss, self.output)
        object.__setattr__(self, "dtype", _check_dtype(self.dtype))
        object.__setattr__(self, "input_scale", _check_scale(self.input_scale, self.dtype))

    @cached_property
    def layout(self) -> Layout:
        """Where each weight and bias lies in the flat vector."""
        return Layout(self.sizes)

    @cached_property
    def rules(self) -> tuple[type[Activation], ...]:
        """The activation of each layer, hidden layers first."""
        n_hidden = len(self.sizes) - 2
        names = [self.activation] * n_hidden + [self.output]
        return tuple(ACTIVATIONS[name] for name in names)

    @cached_property
    def loss_rule(self) -> type[Loss]:
        """The loss for this output activation."""
        return find_loss(self.loss, self.output)

    @property
    def n_inputs(self) -> int:
        """How many numbers one example has."""
        return self.sizes[0]

    @property
    def n_outputs(self) -> int:
        """How many numbers the network answers with."""
        return self.sizes[-1]


def _check_sizes(sizes: object) -> tuple[int, ...]:
    if isinstance(sizes, (str, bytes)) or not isinstance(sizes, Iterable):
        raise TypeError(f"sizes must be a list of integers such as [784, 30, 10]; got {sizes!r}")
    values = list(sizes)
    if len(values) < 2:
        raise ValueError(f"sizes must name inputs and outputs at least; got {values!r}")
    return tuple(check_integer(f"sizes[{i}]", size, 1) for i, size in enumerate(values))


def _check_dtype(dtype: Any) -> str:
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = None
    if dtype is None or name not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    return name


def _check_scale(scale: object, dtype: str) -> float:
    value = check_number("input_scale", scale)
    with np.errstate(over="ignore", under="ignore"):
        rounded = np.dtype(dtype).type(value)
    if rounded == 0 or not np.isfinite(rounded):
        raise ValueError(f"input_scale must not be 0 or infinite in {dtype}; got {scale!r}")
    return value
