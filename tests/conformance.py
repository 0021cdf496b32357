"""What every backend must do: cases, and comparisons with the reference number for number.

A backend is compared through the contract in `fastgd.backends`, on any case whatever. To hold a
new backend to it, nothing is added here; to try a new kind of case, add a field to `Case`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType

import numpy as np

from fastgd.rules.activations import ACTIVATIONS
from fastgd.engine.architecture import Architecture
from fastgd.backends import reference
from fastgd.rules.losses import LOSSES
from fastgd.rules.optimizers import SGD

Array = np.ndarray

#: The same sums in another order differ by their rounding, up to a hundred units in the last place
#: where terms cancel (measured); errors are relative to the largest number of a layer.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}

OPTIMIZERS = {
    "plain": SGD(0.1),
    "l2": SGD(0.1, l2=0.03),
    "momentum": SGD(0.05, momentum=0.9),
    "nesterov": SGD(0.05, momentum=0.9, nesterov=True),
    "everything": SGD(0.05, momentum=0.5, nesterov=True, l2=0.03),
}


#: The activations hidden layers may have.
HIDDEN = [name for name, rule in ACTIVATIONS.items() if not rule.row_wise]
#: Every (activation, output, loss) that is allowed, by public names.
RULE_TRIPLES = [
    (activation, output, loss.public_name)
    for activation in HIDDEN
    for loss in LOSSES.values()
    for output in loss.outputs
]


@dataclass(frozen=True)
class Case:
    """A network, data and a way to train, all drawn from ``seed``."""

    sizes: tuple[int, ...] = (5, 17, 16, 3)
    activation: str = "sigmoid"
    output: str = "sigmoid"
    loss: str = "quadratic"
    dtype: str = "float64"
    kind: str = "float32"  # the dtype of X
    input_scale: float = 1.0
    zeros: float = 0.0  # the share of X that is 0
    n: int = 23
    classes: bool = False
    batch_size: int = 10
    optimizer: SGD = field(default=OPTIMIZERS["plain"])
    seed: int = 0

    @cached_property
    def architecture(self) -> Architecture:
        return Architecture(
            self.sizes, self.activation, self.output, self.loss, self.dtype, self.input_scale
        )

    @property
    def learning_rate(self) -> float:
        """The optimizer's; less for ``sse``, whose gradient is 2 m times that of ``quadratic``."""
        return self.optimizer.schedule(0) / (2 * self.batch_size if self.loss == "sse" else 1)

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
        if self.output == "softmax":
            Y /= Y.sum(axis=1, keepdims=True)
        return Y.astype(self.dtype)


def assert_close(actual: Array, expected: Array, dtype: str, what: str) -> None:
    """Compare to the dtype's tolerance, relative to the largest number expected."""
    assert np.shape(actual) == np.shape(expected), what
    largest = max(float(np.abs(expected).max()), float(np.finfo(dtype).tiny))
    error = float(np.abs(np.asarray(actual, float) - np.asarray(expected, float)).max())
    assert error <= TOLERANCE[dtype] * largest, (
        f"{what}: off by {error:g}, {error / largest:.2g} of the largest, {largest:g}"
    )


def assert_layers_close(case: Case, actual: Array, expected: Array, what: str) -> None:
    """Compare flat vectors layer by layer: early layers may be much smaller than late ones."""
    layout = case.architecture.layout
    ends = [*layout.offsets[1:], layout.n_parameters]
    for layer, (start, end) in enumerate(zip(layout.offsets, ends, strict=True)):
        part = (..., slice(start, end))
        assert_close(actual[part], expected[part], case.dtype, f"{what} of layer {layer}")


def forward(module: ModuleType, case: Case) -> Array:
    outputs = np.full((case.n, case.sizes[-1]), np.nan, dtype=case.dtype)
    assert module.forward(case.architecture, case.parameters, case.X, outputs), "X is finite"
    return outputs


def loss_and_gradient(module: ModuleType, case: Case) -> tuple[float, Array]:
    gradient = np.zeros_like(case.parameters)
    arguments = (case.architecture, case.parameters, case.X, case.Y)
    return module.loss_and_gradient(*arguments, gradient), gradient


def train(
    module: ModuleType, case: Case, epochs: int = 2
) -> tuple[list[tuple[int, float]], Array, Array]:
    """Return what each epoch's call returned, the parameters and the slots."""
    update, settings = case.optimizer.update, case.optimizer.settings(case.learning_rate)
    parameters = case.parameters.copy()
    slots = np.zeros((update.n_slots, parameters.size), dtype=case.dtype)
    rng, returned = case.rng(3), []
    for _ in range(epochs):
        order = rng.permutation(case.n)
        returned.append(
            module.train(
                case.architecture, parameters, slots, case.X, order,
                np.ascontiguousarray(case.Y[order]), case.batch_size, update, settings,
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
    arguments = (case.architecture, case.parameters, case.X, case.Y)
    assert_close(
        module.loss_and_gradient(*arguments, None), expected_cost, case.dtype, "cost alone"
    )


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
        assert_layers_close(case, slot, expected_slot, "slots")


def check(module: ModuleType, case: Case) -> None:
    """Compare all three functions with the reference."""
    check_forward(module, case)
    check_loss_and_gradient(module, case)
    check_train(module, case)
