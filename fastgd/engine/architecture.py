"""What a network is: its sizes, rules and number type. No numbers live here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastgd.engine.layout import Layout
from fastgd.engine.scaling import SCALINGS, Vector, check_scaling
from fastgd.errors import SettingError, SettingTypeError
from fastgd.rules.activations import ACTIVATIONS, Activation
from fastgd.rules.checks import check_integer, check_number
from fastgd.rules.losses import find_loss
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
    activation : str, Activation, or a sequence of them
        The activation of the hidden layers: one for all, or one each. Kept as a tuple.
    output : str or Activation
        The activation of the output.
    loss : str or Loss
        The loss, one that goes with ``output``.
    dtype : str
        ``"float32"`` or ``"float64"``.
    input_scale : float or array of shape (n_inputs,)
        What inputs are multiplied by as they are read; not 0. Kept as a `Vector` where columns
        differ, as are the other three.
    dropout : float or sequence of float
        The share of units a training step leaves out, from 0 to below 1: one number for every
        hidden layer, or one for the inputs and one for each hidden layer. Kept as the latter.
    input_shift : float or array of shape (n_inputs,)
        What is taken off inputs before.
    output_shift, output_scale : float or array of shape (n_outputs,)
        Targets are (y - output_shift) / output_scale for the network, its answers
        output_shift + output_scale * a.
    """

    sizes: tuple[int, ...]
    activation: Any = "sigmoid"
    output: Any = "sigmoid"
    loss: Any = "quadratic"
    dtype: str = "float32"
    input_scale: Any = 1.0
    dropout: Any = 0.0
    input_shift: Any = 0.0
    output_shift: Any = 0.0
    output_scale: Any = 1.0

    def __post_init__(self) -> None:
        settings: dict[str, Any] = {"sizes": _check_sizes(self.sizes)}
        n_hidden = len(settings["sizes"]) - 2
        settings["activation"] = _check_activation(self.activation, n_hidden)
        output = ACTIVATIONS.find(self.output, "output")
        settings["output"], settings["loss"] = output, find_loss(self.loss, output.name)
        settings["dtype"] = _check_dtype(self.dtype)
        for name in SCALINGS:
            n = settings["sizes"][0 if name.startswith("input") else -1]
            settings[name] = check_scaling(name, getattr(self, name), n)
        _check_rounded(settings["input_scale"], settings["dtype"])
        _check_output_scaling(settings)
        settings["dropout"] = _check_dropout(self.dropout, n_hidden)
        for name, value in settings.items():
            object.__setattr__(self, name, value)

    @cached_property
    def layout(self) -> Layout:
        """Where each weight and bias lies in the flat vector."""
        return Layout(self.sizes)

    @cached_property
    def input_columns(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The shift and scale of each input, float64; None where one scale says it all."""
        if not isinstance(self.input_scale, Vector) and not self.shifts_inputs:
            return None
        return self._columns("input", self.n_inputs)

    @cached_property
    def output_columns(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The shift and scale of each output, float64; None where answers are the outputs."""
        if (self.output_shift, self.output_scale) == (0.0, 1.0):
            return None
        return self._columns("output", self.n_outputs)

    def _columns(self, what: str, n: int) -> tuple[np.ndarray, np.ndarray]:
        shift, scale = (
            np.ascontiguousarray(np.broadcast_to(np.asarray(getattr(self, name), np.float64), n))
            for name in (f"{what}_shift", f"{what}_scale")
        )
        return shift, scale

    @property
    def shifts_inputs(self) -> bool:
        """Whether inputs that are 0 are other numbers for the network."""
        return self.input_shift != 0.0

    @property
    def rules(self) -> tuple[Activation, ...]:
        """The activation of each layer, hidden layers first."""
        return (*self.activation, self.output)

    @property
    def activation_name(self) -> str:
        """The hidden layers' activation, or several separated by commas; empty without any."""
        return ", ".join(dict.fromkeys(map(str, self.activation)))

    @property
    def has_dropout(self) -> bool:
        """Whether training steps leave out any units."""
        return any(self.dropout)

    @property
    def n_inputs(self) -> int:
        """How many numbers one example has."""
        return self.sizes[0]

    @property
    def n_outputs(self) -> int:
        """How many numbers the network answers with."""
        return self.sizes[-1]

    @property
    def n_classes(self) -> int:
        """How many classes it tells apart, where it does."""
        return max(2, self.n_outputs)

    @property
    def classifies(self) -> bool:
        """Whether its rules are those of a network that tells classes apart."""
        several = self.n_outputs > 1 and self.output.reach == (0.0, 1.0)
        return self.output.row_wise or self.loss.classifies or several

    def spec(self) -> dict[str, Any]:
        """Return it as plain values, from which ``Architecture(**spec)`` makes it again."""
        names = [rule.spec() for rule in self.activation]
        return {
            "sizes": list(self.sizes),
            "activation": names[0] if names and names.count(names[0]) == len(names) else names,
            "output": self.output.spec(),
            "loss": self.loss.spec(),
            "dtype": self.dtype,
            "dropout": list(self.dropout) if self.has_dropout else 0.0,
            **{
                name: np.asarray(value).tolist() if isinstance(value, Vector) else value
                for name, value in ((name, getattr(self, name)) for name in SCALINGS)
                if name == "input_scale" or value != SCALINGS[name]
            },
        }


def _check_sizes(sizes: object) -> tuple[int, ...]:
    if isinstance(sizes, (str, bytes)) or not isinstance(sizes, Iterable):
        raise SettingTypeError(
            "sizes", f"must be a list of integers such as [784, 30, 10]; got {sizes!r}"
        )
    values = list(sizes)
    if len(values) < 2:
        raise SettingError("sizes", f"must name inputs and outputs at least; got {values!r}")
    return tuple(check_integer(f"sizes[{i}]", size, 1) for i, size in enumerate(values))


def _check_activation(given: Any, n_hidden: int) -> tuple[Activation, ...]:
    hidden = [name for name, rule in ACTIVATIONS.items() if not rule.row_wise]
    each = isinstance(given, (list, tuple))
    if each and len(given) != n_hidden:
        raise SettingError(
            "activation",
            f"must be one activation, or a list of one for each of the {n_hidden} "
            f"hidden layers; got {len(given)}: {given!r}",
        )
    found = []
    for i, one in enumerate(given if each else [given]):
        argument = f"activation[{i}]" if each else "activation"
        name = one.get("name") if isinstance(one, Mapping) else getattr(one, "name", one)
        if name not in hidden or isinstance(one, type):
            raise unknown_name(argument, one, hidden)
        found.append(ACTIVATIONS.find(one, argument))
    return tuple(found) if each else tuple(found * n_hidden)


def _check_dropout(given: Any, n_hidden: int) -> tuple[float, ...]:
    each = isinstance(given, (list, tuple))
    if each and len(given) != n_hidden + 1:
        raise SettingError(
            "dropout",
            f"must be one number for all hidden layers, or a list of {n_hidden + 1}: for "
            f"the inputs, and for each of the {n_hidden} hidden layers; got {given!r}",
        )
    shares = [
        check_number(f"dropout[{i}]" if each else "dropout", share, minimum=0, below=1)
        for i, share in enumerate(given if each else [given])
    ]
    return tuple(shares) if each else (0.0, *(shares * n_hidden))


def _check_dtype(dtype: Any) -> str:
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = None
    if dtype is None or name not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    return name


def _check_rounded(scale: float | Vector, dtype: str) -> None:
    """Refuse one scale for all inputs that is 0 or infinite in the network's dtype."""
    if isinstance(scale, Vector):  # multiplies in float64
        return
    with np.errstate(over="ignore", under="ignore"):
        rounded = np.dtype(dtype).type(scale)
    if rounded == 0 or not np.isfinite(rounded):
        raise SettingError("input_scale", f"must not be 0 or infinite in {dtype}; got {scale!r}")


def _check_output_scaling(settings: dict[str, Any]) -> None:
    """Refuse to scale targets that are classes, or that the loss bounds."""
    loss, output = settings["loss"], settings["output"]
    bounded = loss.minimum is not None or loss.maximum is not None or output.row_wise
    for name in ("output_shift", "output_scale"):
        if settings[name] != SCALINGS[name] and (loss.classifies or bounded):
            raise SettingError(
                name,
                f"goes with numbers to predict, not with output {str(output)!r} and loss "
                f"{str(loss)!r}, which bound their targets",
            )


def check_size(architecture: Architecture) -> None:
    """Raise ValueError if the parameters alone would not fit this machine's memory."""
    n = architecture.layout.n_parameters
    needed = n * np.dtype(architecture.dtype).itemsize
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        memory = 1 << 40
    if needed > memory:
        raise SettingError(
            "sizes",
            f"{list(architecture.sizes)} make {n:,} parameters, which need "
            f"{needed / 2**30:,.1f} GiB; this machine has {memory / 2**30:,.1f} GiB",
        )


def one_for_all(name: str, values: tuple) -> Any:
    """Return the one value that all hidden layers have, or refuse to guess for others."""
    hidden = values if name == "activation" else values[1:]
    default: Any = "sigmoid" if name == "activation" else 0.0
    if len(set(hidden)) > 1 or (name == "dropout" and values[0]):
        raise ValueError(f"like(sizes=...) needs {name}=...: the layers of this one differ in it")
    return hidden[0] if hidden else default
