"""What fastgd is measured against, each tool at its best.

Every rival trains the same network from the same start on the same mini-batches, and hands back
the parameters it reached, so that a test can hold that they do the same work. A rival's package is
imported when it is used, never before: JAX and BLAS count the cores they may use on import.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgd.benchmarks import nielsen
from fastgd.benchmarks.workloads import Parameters, Workload, one_hot
from fastgd.errors import MissingExtraError, SettingError
from fastgd.rules.registry import Registry

__all__ = ["RIVALS", "Rival", "Trainer"]

Array = np.ndarray


class Trainer:
    """One rival, ready to train one workload.

    Parameters
    ----------
    workload : Workload
    X : (n_rows, n_in) float32 array
    y : (n_rows,) classes or (n_rows, n_out) float32 targets, as ``load_data`` gives them
    parameters : list of (W, b)
        The start of every run; never changed.
    threads : int
        For PyTorch, what ``run`` sets. NumPy and scikit-learn follow ``timing.limit_threads``
        and JAX the cores the process was pinned to before its import.

    Raises
    ------
    ValueError
        If X holds less than one mini-batch.
    """

    def __init__(
        self, workload: Workload, X: Array, y: Array, parameters: Parameters, threads: int = 1
    ):
        if len(X) < workload.batch_size:
            raise SettingError(
                "X", f"must hold at least one mini-batch, {workload.batch_size} rows; got {len(X)}"
            )
        self.workload = workload
        self.batch_size = workload.batch_size
        self.threads = threads
        self.X = X
        self.y = y
        self.parameters = parameters
        self.set_up()

    def set_up(self) -> None:
        """Put the data into the form this rival likes best; not timed."""

    def warm_up(self, order: Array | None = None) -> None:
        """Do what only the first run would: compile, allocate, start threads.

        Parameters
        ----------
        order : (n,) integer array, optional
            Of the length that is going to be timed; all rows when not given.
        """
        order = np.arange(len(self.X)) if order is None else order
        self.run(order[: 8 * self.batch_size])

    def run(self, order: Array) -> Parameters:
        """Train from the start, one step per mini-batch of consecutive entries of order.

        Parameters
        ----------
        order : (n,) integer array
            Rows of X; what does not fill a mini-batch at its end is left out.

        Returns
        -------
        list of (W, b)
            The parameters reached, as NumPy arrays; W is (n_in, n_out).
        """
        raise NotImplementedError

    def batches(self, order: Array) -> Array:
        """Return the order as (n_steps, batch_size) rows."""
        n_steps = len(order) // self.batch_size
        return order[: n_steps * self.batch_size].reshape(n_steps, self.batch_size)

    def targets(self) -> Array:
        """Return the targets as (n_rows, n_out) float32, one-hot where they are classes."""
        return one_hot(self.y, self.workload.sizes[-1]) if self.y.ndim == 1 else self.y


class NumpyTrainer(Trainer):
    """Mini-batches as matrices: the NumPy most people would write, in float32.

    ``np.dot`` costs less than ``@`` on matrices this small.
    """

    def set_up(self) -> None:
        self.t = self.targets()

    def run(self, order: Array) -> Parameters:
        activation = FUNCTIONS[self.workload.activation]
        slope = SLOPES[self.workload.activation]
        output = FUNCTIONS[self.workload.output]
        weights = [W.copy() for W, _ in self.parameters]
        biases = [b.copy() for _, b in self.parameters]
        rate = np.float32(self.workload.learning_rate / self.batch_size)
        for rows in self.batches(order):
            a = [self.X.take(rows, axis=0)]
            for W, b in zip(weights[:-1], biases[:-1], strict=True):
                a.append(activation(np.dot(a[-1], W) + b))
            out = output(np.dot(a[-1], weights[-1]) + biases[-1])
            delta = (out - self.t.take(rows, axis=0)) * rate
            if self.workload.output == "sigmoid":
                delta *= out * (1 - out)
            for layer in range(len(weights) - 1, -1, -1):
                upstream = np.dot(delta, weights[layer].T) if layer else None
                weights[layer] -= np.dot(a[layer].T, delta)
                biases[layer] -= delta.sum(axis=0)
                if upstream is not None:
                    delta = upstream * slope(a[layer])
        return list(zip(weights, biases, strict=True))


def sigmoid(z: Array) -> Array:
    """1 / (1 + e^-z), as tanh, which cannot overflow and which NumPy vectorises."""
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def relu(z: Array) -> Array:
    """max(0, z)."""
    return np.maximum(z, 0)


def softmax(z: Array) -> Array:
    """e^z over each row's sum."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": sigmoid,
    "relu": relu,
    "softmax": softmax,
    "identity": lambda z: z,
}
SLOPES: dict[str, Callable[[Array], Array]] = {  # da/dz, from a
    "sigmoid": lambda a: a * (1 - a),
    "relu": lambda a: a > 0,
}


class NielsenTrainer(Trainer):
    """One example at a time, as in Nielsen's book; the examples are column vectors beforehand."""

    def set_up(self) -> None:
        columns, targets = self.X[:, :, None], self.targets()[:, :, None]
        self.examples = list(zip(columns, targets, strict=True))

    def run(self, order: Array) -> Parameters:
        net = nielsen.Network(
            biases=[b[:, None] for _, b in self.parameters],
            weights=[np.ascontiguousarray(W.T) for W, _ in self.parameters],
            activation=self.workload.activation,
            output=self.workload.output,
        )
        mini_batches = ([self.examples[row] for row in rows] for rows in self.batches(order))
        net.sgd(mini_batches, self.workload.learning_rate)
        return [(w.T, b[:, 0]) for w, b in zip(net.weights, net.biases, strict=True)]


class SklearnTrainer(Trainer):
    """scikit-learn's MLPClassifier or MLPRegressor: plain SGD, no momentum, no penalty.

    One ``partial_fit`` per epoch, without shuffling, over the rows gathered in order visits
    exactly the mini-batches of the others, and costs up to 40 us less per step than
    ``fit(shuffle=True)``, which gathers each batch on its own. Gathering and validation are part
    of it; the check for NaN is switched off, as scikit-learn's documentation suggests for speed.

    It has no quadratic loss for sigmoid outputs: there it trains the same shapes with its own
    log loss, so that its parameters differ.
    """

    def set_up(self) -> None:
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        workload = self.workload
        classes = workload.output != "identity"
        self.targets_ = self.y if classes else self.y.ravel()
        self.model = (MLPClassifier if classes else MLPRegressor)(
            hidden_layer_sizes=workload.sizes[1:-1],
            activation={"sigmoid": "logistic"}.get(workload.activation, workload.activation),
            solver="sgd",
            learning_rate="constant",
            learning_rate_init=workload.learning_rate,
            batch_size=workload.batch_size,
            alpha=0,
            momentum=0,
            nesterovs_momentum=False,
            shuffle=False,
            random_state=0,
        )
        # A first step builds its layers and its optimizer; run overwrites what they hold.
        first: dict[str, Any] = {"classes": np.arange(workload.sizes[-1])} if classes else {}
        rows = slice(workload.batch_size)
        self.model.partial_fit(self.X[rows], self.targets_[rows], **first)
        # Memory fresh from the system for every gathering would cost up to 60 us a step.
        self.gathered = self.X.copy()

    def run(self, order: Array) -> Parameters:
        from sklearn import config_context

        model = self.model
        coefs, intercepts = model.coefs_, model.intercepts_
        for coef, intercept, (W, b) in zip(coefs, intercepts, self.parameters, strict=True):
            coef[...], intercept[...] = W, b
        batches = self.batches(order)
        per_pass = len(self.X) // self.batch_size
        with config_context(assume_finite=True):
            for start in range(0, len(batches), per_pass):
                rows = batches[start : start + per_pass].ravel()
                X = self.X.take(rows, axis=0, out=self.gathered[: len(rows)], mode="clip")
                model.partial_fit(X, self.targets_[rows])
        return [(W.copy(), b.copy()) for W, b in zip(model.coefs_, model.intercepts_, strict=True)]


class TorchTrainer(Trainer):
    """Eager PyTorch with autograd, without what its modules and optimizers cost.

    Fastest of what was tried: tensors in memory, ``index_select`` per batch, ``addmm`` on
    (n_in, n_out) weights, ``autograd.grad``, one ``_foreach_add_`` for the update. ``optim.SGD``,
    fused or foreach, costs 30 us a step more; tracing and ``torch.compile`` do not help.
    """

    def set_up(self) -> None:
        import torch

        self.tensors = torch.from_numpy(self.X), torch.from_numpy(self.y)

    def run(self, order: Array) -> Parameters:
        import torch

        torch.set_num_threads(self.threads)
        X, y = self.tensors
        flat = [torch.from_numpy(p.copy()) for layer in self.parameters for p in layer]
        parameters = [p.requires_grad_() for p in flat]
        layers = list(zip(parameters[::2], parameters[1::2], strict=True))
        hidden, (W_out, b_out) = layers[:-1], layers[-1]
        activation = {"sigmoid": torch.sigmoid, "relu": torch.relu}[self.workload.activation]
        cost, share = self.cost()
        rate = -self.workload.learning_rate * share
        for rows in torch.from_numpy(self.batches(order)).unbind():
            a = X.index_select(0, rows)
            for W, b in hidden:
                a = activation(torch.addmm(b, a, W))
            loss = cost(torch.addmm(b_out, a, W_out), y.index_select(0, rows))
            gradient = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                torch._foreach_add_(parameters, gradient, alpha=rate)
        return [(W.detach().numpy(), b.detach().numpy()) for W, b in layers]

    def cost(self) -> tuple[Callable[[Any, Any], Any], float]:
        """Return a cost of (z, y), and its share in the workload's cost, one factor less a step."""
        import torch
        from torch.nn import functional

        if self.workload.loss == "cross_entropy":
            return functional.cross_entropy, 1.0
        share = 1 / (2 * self.batch_size)
        if self.workload.output == "sigmoid":
            return lambda z, y: functional.mse_loss(torch.sigmoid(z), y, reduction="sum"), share
        return lambda z, y: functional.mse_loss(z, y, reduction="sum"), share


class JaxTrainer(Trainer):
    """JAX: the whole epoch, gathering included, compiled into one scan over its mini-batches.

    JAX takes the cores the process may use when it is imported, and nothing later changes that:
    ``threads`` says so only if the process was pinned first (``timing.pin``, or ``taskset``).
    """

    def set_up(self) -> None:
        import jax
        import jax.numpy as jnp

        self.arrays = jnp.asarray(self.X), jnp.asarray(self.y)
        loss = self.loss()
        rate = self.workload.learning_rate

        def epoch(parameters: Any, X: Any, y: Any, batches: Any) -> Any:
            def step(parameters: Any, rows: Any) -> Any:
                gradient = jax.grad(loss)(parameters, X[rows], y[rows])
                return jax.tree.map(lambda p, g: p - rate * g, parameters, gradient), None

            return jax.lax.scan(step, parameters, batches)[0]

        self.epoch = jax.jit(epoch, donate_argnums=0)

    def loss(self) -> Callable[[Any, Any, Any], Any]:
        """Return the workload's cost of (parameters, x, y), averaged over the batch."""
        import jax
        import jax.numpy as jnp

        workload = self.workload
        activation = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu}[workload.activation]

        def loss(parameters: Any, a: Any, y: Any) -> Any:
            for W, b in parameters[:-1]:
                a = activation(a @ W + b)
            W, b = parameters[-1]
            z = a @ W + b
            if workload.loss == "cross_entropy":
                log_a = jax.nn.log_softmax(z)
                return -jnp.mean(jnp.take_along_axis(log_a, y[:, None], axis=1))
            out = jax.nn.sigmoid(z) if workload.output == "sigmoid" else z
            return 0.5 * jnp.sum((out - y) ** 2) / len(y)

        return loss

    def warm_up(self, order: Array | None = None) -> None:
        # The number of steps is part of what JAX compiles: nothing shorter would do.
        self.run(np.arange(len(self.X)) if order is None else order)

    def run(self, order: Array) -> Parameters:
        import jax.numpy as jnp

        start = [(jnp.array(W), jnp.array(b)) for W, b in self.parameters]
        batches = jnp.asarray(self.batches(order).astype(np.int32))
        return [(np.array(W), np.array(b)) for W, b in self.epoch(start, *self.arrays, batches)]


@dataclass(frozen=True)
class Rival:
    """A tool to measure against.

    Attributes
    ----------
    name : str
        The name on the command line.
    trainer : type
        The ``Trainer`` that runs it.
    module, package : str
        What is imported, and what pip installs; empty where NumPy is enough.
    replaces : tuple of (output, loss)
        Where it trains a loss of its own instead; see the trainer.
    """

    name: str
    trainer: type[Trainer]
    module: str = ""
    package: str = ""
    replaces: tuple[tuple[str, str], ...] = ()

    def available(self) -> str | None:
        """Return None, or in one line why it cannot run here; imports nothing."""
        if not self.module or importlib.util.find_spec(self.module):
            return None
        return f"{self.package} is not installed: pip install {self.package} (or fastgd[bench])"

    def prepare(
        self, workload: Workload, X: Array, y: Array, parameters: Parameters, threads: int = 1
    ) -> Trainer:
        """Return a trainer with the data in place.

        Raises
        ------
        fastgd.errors.MissingExtraError
            If its package is not installed.

        Examples
        --------
        >>> from fastgd.benchmarks import workloads
        >>> table = workloads.WORKLOADS["table"]
        >>> X, y, _ = workloads.load_data(table)
        >>> start = workloads.initial_parameters(table, seed=1)
        >>> trainer = RIVALS["numpy"].prepare(table, X, y, start)
        >>> W, b = trainer.run(np.arange(5 * table.batch_size))[0]
        >>> W.shape
        (8, 64)
        """
        reason = self.available()
        if reason:
            raise MissingExtraError(f"rival {self.name!r}: {reason}")
        return self.trainer(workload, X, y, parameters, threads)

    def same_loss(self, workload: Workload) -> bool:
        """Return whether it trains the workload's own loss."""
        return (workload.output, workload.loss) not in self.replaces


RIVALS: Registry[Rival] = Registry(
    "rival",
    [
        Rival("numpy", NumpyTrainer),
        Rival("nielsen", NielsenTrainer),
        Rival("sklearn", SklearnTrainer, "sklearn", "scikit-learn", (("sigmoid", "quadratic"),)),
        Rival("torch", TorchTrainer, "torch", "torch"),
        Rival("jax", JaxTrainer, "jax", "jax"),
    ],
)
