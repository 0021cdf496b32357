"""What every backend must do: cases, and comparisons with the reference number for number.

A backend is compared through the contract in `fastgd.backends`, on any case whatever. To hold a
new backend to it, nothing is added here; to try a new kind of case, add a field to `Case`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np

from fastgd.backends import reference
from fastgd.engine.architecture import Architecture
from fastgd.engine.rows import Rows
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.dropout import Draw
from fastgd.rules.losses import LOSSES
from fastgd.rules.optimizers import OPTIMIZERS as REGISTERED
from fastgd.rules.optimizers import SGD, Adam, Optimizer
from fastgd.rules.registry import Rule

Array = np.ndarray

#: The same sums in another order differ by their rounding, up to a hundred units in the last place
#: where terms cancel (measured); errors are relative to the largest number of a layer.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}

#: Ways to step: every optimizer of the registry, and penalties and limits on some. A larger epsilon
#: than the default keeps rounding of tiny gradients from growing into steps.
PENALTIES = {"l1": 0.01, "l2": 0.03, "weight_decay": 0.1}
LIMITS = {"clip_norm": 0.1, "clip_value": 0.02, "max_norm": 0.9}


def _in_test(optimizer: Optimizer) -> Optimizer:
    calm = {"epsilon": 1e-3} if hasattr(optimizer, "epsilon") else {}
    return replace(optimizer, learning_rate=0.01, **calm)


STEPPING = {name: _in_test(one) for name, one in REGISTERED.items() if not one.whole}
OPTIMIZERS: dict[str, Optimizer] = {
    **STEPPING,
    "plain": SGD(0.1),
    "l2": SGD(0.1, l2=0.03),
    "l1": SGD(0.1, l1=0.03),
    "decay": SGD(0.1, weight_decay=0.3),
    "momentum": SGD(0.05, momentum=0.9),
    "nesterov": SGD(0.05, momentum=0.9, nesterov=True),
    "everything": SGD(0.05, momentum=0.5, nesterov=True, **PENALTIES),
    "clip_norm": SGD(0.1, clip_norm=0.05),
    "clip_value": SGD(0.1, clip_value=0.01),
    "max_norm": SGD(0.1, max_norm=0.9),
    "limits": SGD(0.05, momentum=0.5, **PENALTIES, **LIMITS),
    "adam_limits": Adam(0.01, epsilon=1e-3, **PENALTIES, **LIMITS),
    "schedule": SGD(lambda step: 0.1 / (1 + step), momentum=0.5),
}

#: The activations hidden layers may have, with other parameters than the defaults.
HIDDEN = [name for name, rule in ACTIVATIONS.items() if not rule.row_wise]
#: Every loss with every output it goes with.
PAIRS = [(output, name) for name, loss in LOSSES.items() for output in loss.outputs]
#: Every rule in its place: (activation, output, loss).
RULE_TRIPLES = [
    *((activation, "sigmoid", "quadratic") for activation in HIDDEN),
    *(("tanh", *pair) for pair in PAIRS),
]


def varied(rule: Rule) -> Rule:
    """Return a rule with other parameters than its defaults, all within their bounds."""
    changed = {f.name: getattr(rule, f.name) * 0.75 or 0.2 for f in fields(rule)}
    return replace(rule, **changed)


@dataclass(frozen=True)
class Case:
    """A network, data and a way to train, all drawn from ``seed``."""

    sizes: tuple[int, ...] = (5, 17, 16, 3)
    activation: Any = "sigmoid"
    output: Any = "sigmoid"
    loss: Any = "quadratic"
    dtype: str = "float64"
    kind: str = "float32"  # the dtype of X
    input_scale: Any = 1.0
    input_shift: Any = 0.0
    zeros: float = 0.0  # the share of X that is 0
    n: int = 23
    classes: bool = False
    batch_size: int = 10
    optimizer: Optimizer = field(default=OPTIMIZERS["plain"])
    dropout: Any = 0.0
    weights: bool = False
    seed: int = 0

    @cached_property
    def architecture(self) -> Architecture:
        return Architecture(
            self.sizes, self.activation, self.output, self.loss, self.dtype, self.input_scale,
            self.dropout, self.input_shift,
        )  # fmt: skip

    @property
    def stepping(self) -> Optimizer:
        """The optimizer, slower where the cost is a sum: its gradient is 2 m times as large."""
        rate = self.optimizer.learning_rate
        if self.architecture.loss.batch_average or callable(rate):
            return self.optimizer
        return replace(self.optimizer, learning_rate=rate / (2 * self.batch_size))

    @property
    def draw(self) -> Draw | None:
        """Where the chance of dropout comes from."""
        return (
            Draw(seed=0x123456789ABCDEF + self.seed, step=2)
            if self.architecture.has_dropout
            else None
        )

    def rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, purpose])

    @cached_property
    def parameters(self) -> Array:
        """Start parameters that keep z near 1 in every layer."""
        rng = self.rng(0)
        layers = [
            np.vstack([rng.standard_normal((n_in, n_out)) / n_in**0.5, rng.normal(0, 0.1, n_out)])
            for n_in, n_out in self.architecture.layout.shapes
        ]
        return np.concatenate([layer.ravel() for layer in layers]).astype(self.dtype)

    @cached_property
    def X(self) -> Array:
        rng, shape = self.rng(1), (self.n, self.sizes[0])
        if self.kind == "uint8":
            X = rng.integers(0, 256, shape, dtype=np.uint8)
        else:
            X = rng.standard_normal(shape).astype(self.kind)
        return np.where(rng.random(shape) < self.zeros, X.dtype.type(0), X)

    @cached_property
    def Y(self) -> Array:
        """Classes (n,), or targets (n, n_out) that suit the output."""
        rng, n_out = self.rng(2), self.sizes[-1]
        if self.classes:
            return rng.integers(0, n_out, self.n)
        Y = rng.random((self.n, n_out))
        if self.architecture.output.row_wise:
            Y /= Y.sum(axis=1, keepdims=True)
        return Y.astype(self.dtype)

    @cached_property
    def w(self) -> Array | None:
        """What each row counts: some nothing, one batch not at all."""
        if not self.weights:
            return None
        w = self.rng(4).random(self.n).astype(self.dtype)
        w[::5] = 0
        return w

    def rows(self, order: Array | None = None) -> Rows:
        """Return the rows, all of them or visited in an order."""
        if order is None:
            return Rows(self.X, self.Y, None, self.w)
        w = None if self.w is None else self.w[order]
        return Rows(self.X, np.ascontiguousarray(self.Y[order]), order, w)


def assert_close(actual: Array, expected: Array, dtype: str, what: str, floor: float = 0.0) -> None:
    """Compare to the dtype's tolerance, relative to the largest number expected."""
    assert np.shape(actual) == np.shape(expected), what
    largest = max(float(np.abs(expected).max()), float(np.finfo(dtype).tiny), floor)
    error = float(np.abs(np.asarray(actual, float) - np.asarray(expected, float)).max())
    assert error <= TOLERANCE[dtype] * largest, (
        f"{what}: off by {error:g}, {error / largest:.2g} of the largest, {largest:g}"
    )


#: Slots gather gradients whose terms are about 1 and may cancel: their rounding stays that of 1.
SLOT_FLOOR = 1e-3


def assert_layers_close(
    case: Case, actual: Array, expected: Array, what: str, floor: float = 0.0
) -> None:
    """Compare flat vectors layer by layer: early layers may be much smaller than late ones."""
    layout = case.architecture.layout
    ends = [*layout.offsets[1:], layout.n_parameters]
    for layer, (start, end) in enumerate(zip(layout.offsets, ends, strict=True)):
        part = (..., slice(start, end))
        assert_close(actual[part], expected[part], case.dtype, f"{what} of layer {layer}", floor)


def forward(module: ModuleType, case: Case) -> Array:
    outputs = np.full((case.n, case.sizes[-1]), np.nan, dtype=case.dtype)
    assert module.forward(case.architecture, case.parameters, case.X, outputs), "X is finite"
    return outputs


def loss_and_gradient(module: ModuleType, case: Case) -> tuple[float, Array]:
    gradient = np.zeros_like(case.parameters)
    arguments = (case.architecture, case.parameters, case.rows(), gradient)
    return module.loss_and_gradient(*arguments, draw=case.draw), gradient


def train(
    module: ModuleType, case: Case, epochs: int = 2
) -> tuple[list[tuple[int, float]], Array, Array]:
    """Return what each epoch's call returned, the parameters and the slots."""
    optimizer = case.stepping
    parameters = case.parameters.copy()
    slots = np.zeros((len(optimizer.update.slots), parameters.size), dtype=case.dtype)
    optimizer.start(slots)
    rng, returned = case.rng(3), []
    n_steps = -(-case.n // case.batch_size)
    for epoch in range(epochs):
        draw = case.draw and case.draw._replace(step=epoch * n_steps)
        returned.append(
            module.train(
                case.architecture, parameters, slots, case.rows(rng.permutation(case.n)),
                case.batch_size, optimizer.update, optimizer.table(epoch * n_steps, n_steps),
                draw=draw,
            )
        )  # fmt: skip
    return returned, parameters, slots


def check_forward(module: ModuleType, case: Case) -> None:
    assert_close(forward(module, case), forward(reference, case), case.dtype, "outputs")


def check_loss_and_gradient(module: ModuleType, case: Case) -> None:
    cost, gradient = loss_and_gradient(module, case)
    expected_cost, expected_gradient = loss_and_gradient(reference, case)
    assert_close(cost, expected_cost, case.dtype, "cost")
    assert_layers_close(case, gradient, expected_gradient, "gradient")
    arguments = (case.architecture, case.parameters, case.rows(), None)
    alone = module.loss_and_gradient(*arguments, draw=case.draw)
    assert_close(alone, expected_cost, case.dtype, "cost alone")


def check_train(module: ModuleType, case: Case) -> None:
    """Compare steps, costs, parameters and slots after a few epochs."""
    returned, parameters, slots = train(module, case)
    expected, expected_parameters, expected_slots = train(reference, case)
    n_steps = -(-case.n // case.batch_size)
    assert [steps for steps, _ in returned] == [steps for steps, _ in expected]
    assert [steps for steps, _ in expected] == [n_steps] * len(expected), "the case diverges"
    costs, expected_costs = ([cost for _, cost in costs] for costs in (returned, expected))
    assert_close(costs, expected_costs, case.dtype, "costs")
    assert_layers_close(case, parameters, expected_parameters, "parameters")
    assert slots.shape == expected_slots.shape
    for slot, expected_slot in zip(slots, expected_slots, strict=True):
        assert_layers_close(case, slot, expected_slot, "slots", SLOT_FLOOR)


def check(module: ModuleType, case: Case) -> None:
    """Compare all three functions with the reference."""
    check_forward(module, case)
    check_loss_and_gradient(module, case)
    check_train(module, case)
