"""How each rival trains: the same network, from the same start, on the same mini-batches.

Each hands back the parameters it reached, so that a test can hold that they do the same work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastgd.benchmarks import nielsen
from fastgd.benchmarks.workloads import Parameters, Workload, one_hot
from fastgd.errors import SettingError

__all__ = [
    "FUNCTIONS",
    "SLOPES",
    "JaxTrainer",
    "NielsenTrainer",
    "NumpyTrainer",
    "ScipyTrainer",
    "SklearnSparseTrainer",
    "SklearnTrainer",
    "TorchTrainer",
    "Trainer",
    "jax_forward",
]

Array = np.ndarray


class Trainer:
    """One rival, ready to train one workload.

    Parameters
    ----------
    workload : Workload
        Its ``threads`` is for PyTorch what ``run`` sets; NumPy and scikit-learn follow
        ``timing.limit_threads``, and JAX the cores the process was pinned to before its import.
    X : (n_rows, n_in) array
    y : (n_rows,) classes or (n_rows, n_out) targets, as ``load_data`` gives them
    parameters : list of (W, b)
        The start of every run; never changed.

    Raises
    ------
    ValueError
        If X holds less than one mini-batch.
    """

    def __init__(self, workload: Workload, X: Array, y: Array, parameters: Parameters):
        if len(X) < workload.batch_size:
            raise SettingError(
                "X", f"must hold at least one mini-batch, {workload.batch_size} rows; got {len(X)}"
            )
        self.workload = workload
        self.batch_size = workload.batch_size
        self.threads = workload.threads
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
        """Return the targets as (n_rows, n_out) numbers, one-hot where they are classes."""
        if self.y.ndim == 1:
            return one_hot(self.y, self.workload.sizes[-1], self.workload.dtype)
        return self.y


class NumpyTrainer(Trainer):
    """Mini-batches as matrices: the NumPy most people would write, in the data's own dtype.

    ``np.dot`` costs less than ``@`` on matrices this small.
    """

    def set_up(self) -> None:
        self.t = self.targets()

    def inputs(self, batches: Array) -> Iterator[Any]:
        """Yield the rows of each mini-batch."""
        for rows in batches:
            yield self.X.take(rows, axis=0)

    def forward(self, x: Any, W: Array) -> Array:
        """Multiply a mini-batch of inputs with the first layer's weights."""
        return np.dot(x, W)

    def backward(self, x: Any, delta: Array) -> Array:
        """Return the gradient of the first layer's weights."""
        return np.dot(x.T, delta)

    def run(self, order: Array) -> Parameters:
        workload = self.workload
        activation, slope = FUNCTIONS[workload.activation], SLOPES[workload.activation]
        output = FUNCTIONS[workload.output]
        weights = [W.copy() for W, _ in self.parameters]
        biases = [b.copy() for _, b in self.parameters]
        update = UPDATES[workload.optimizer]([*weights, *biases], workload.learning_rate)
        share = self.X.dtype.type(1 / self.batch_size)
        batches = self.batches(order)
        for x, rows in zip(self.inputs(batches), batches, strict=True):
            a, z = [x], self.forward(x, weights[0]) + biases[0]
            for W, b in zip(weights[1:], biases[1:], strict=True):
                a.append(activation(z))
                z = np.dot(a[-1], W) + b
            out = output(z)
            delta = (out - self.t.take(rows, axis=0)) * share
            if workload.output == "sigmoid":
                delta *= out * (1 - out)
            update.begin()
            for layer in range(len(weights) - 1, 0, -1):
                upstream = np.dot(delta, weights[layer].T)
                update.change(layer, np.dot(a[layer].T, delta))
                update.change(len(weights) + layer, delta.sum(axis=0))
                delta = upstream * slope(a[layer])
            update.change(0, self.backward(x, delta))
            update.change(len(weights), delta.sum(axis=0))
        return list(zip(weights, biases, strict=True))


class Descent:
    """Plain gradient descent on a list of arrays."""

    def __init__(self, arrays: list[Array], rate: float):
        self.arrays, self.rate = arrays, arrays[0].dtype.type(rate)

    def begin(self) -> None:
        """Go on to the next step."""

    def change(self, i: int, gradient: Array) -> None:
        """Change one array, in place; its gradient may be overwritten."""
        gradient *= self.rate
        self.arrays[i] -= gradient


class Adam(Descent):
    """Adam (Kingma and Ba 2015), with its usual rates; five passes over memory of its own."""

    def __init__(self, arrays: list[Array], rate: float):
        super().__init__(arrays, rate)
        self.m, self.v = [[np.zeros_like(p) for p in arrays] for _ in range(2)]
        self.spare = [np.empty_like(p) for p in arrays]
        self.step = 0

    def begin(self) -> None:
        self.step += 1

    def change(self, i: int, gradient: Array) -> None:
        number = gradient.dtype.type
        m, v, spare = self.m[i], self.v[i], self.spare[i]
        m *= number(0.9)
        m += np.multiply(gradient, number(0.1), out=spare)
        v *= number(0.999)
        gradient *= gradient
        gradient *= number(0.001)
        v += gradient
        np.sqrt(v, out=spare)
        # m / (1 - 0.9^t) / (sqrt(v / (1 - 0.999^t)) + epsilon), its factors drawn together.
        root = (1 - 0.999**self.step) ** 0.5
        spare += number(1e-8 * root)
        np.divide(m, spare, out=spare)
        spare *= number(self.rate * root / (1 - 0.9**self.step))
        self.arrays[i] -= spare


UPDATES = {"sgd": Descent, "adam": Adam}


class ScipyTrainer(NumpyTrainer):
    """The same with the inputs in a CSR matrix: their zeros are neither stored nor multiplied.

    One gathering an epoch, and a matrix around the arrays of each mini-batch: ``csr[rows]`` in
    every step costs 70 us more.
    """

    def set_up(self) -> None:
        import scipy.sparse

        super().set_up()
        self.csr = scipy.sparse.csr_array(self.X)

    def inputs(self, batches: Array) -> Iterator[Any]:
        from scipy.sparse import csc_array, csr_array

        gathered = self.csr[batches.ravel()]
        starts, m, width = gathered.indptr, self.batch_size, self.X.shape[1]
        for i in range(0, batches.size, m):
            first, last = starts[i], starts[i + m]
            data, columns = gathered.data[first:last], gathered.indices[first:last]
            arrays = data, columns, starts[i : i + m + 1] - first
            # The transposed matrix is the same arrays, read by columns.
            yield csr_array(arrays, shape=(m, width)), csc_array(arrays, shape=(width, m))

    def forward(self, x: Any, W: Array) -> Array:
        return x[0] @ W

    def backward(self, x: Any, delta: Array) -> Array:
        return x[1] @ delta


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
    """scikit-learn's MLPClassifier or MLPRegressor: SGD without momentum, or Adam; no penalty.

    One ``partial_fit`` per epoch, without shuffling, over the rows gathered in order visits
    exactly the mini-batches of the others, and costs up to 40 us less per step than
    ``fit(shuffle=True)``, which gathers each batch on its own. Gathering and validation are part
    of it; the check for NaN is switched off, as scikit-learn's documentation suggests for speed.

    It has no quadratic loss for sigmoid outputs: there it trains the same shapes with its own
    log loss, so that its parameters differ. Its Adam adds epsilon to the uncorrected root, which
    shows in weights whose gradients are tiny. For two classes it has one output, whose weights are
    the differences of the two.
    """

    def set_up(self) -> None:
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        workload = self.workload
        classes = workload.output != "identity"
        one = not classes and workload.sizes[-1] == 1
        self.targets_ = self.y.ravel() if one else self.y
        self.model = (MLPClassifier if classes else MLPRegressor)(
            hidden_layer_sizes=workload.sizes[1:-1],
            activation={"sigmoid": "logistic"}.get(workload.activation, workload.activation),
            solver=workload.optimizer,
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
        self.hold()

    def hold(self) -> None:
        """Keep what rows are gathered from, and into.

        Memory fresh from the system for every gathering would cost up to 60 us a step.
        """
        self.gathered = self.X.copy()

    def gather(self, rows: Array) -> Any:
        """Return the rows of an epoch."""
        return self.X.take(rows, axis=0, out=self.gathered[: len(rows)], mode="clip")

    def restart(self) -> None:
        """Give the model the parameters of the start."""
        model = self.model
        coefs, intercepts = model.coefs_, model.intercepts_
        for coef, intercept, (W, b) in zip(coefs, intercepts, self.parameters, strict=True):
            one_of_two = coef.shape != W.shape
            coef[...] = W[:, 1:] - W[:, :1] if one_of_two else W
            intercept[...] = b[1:] - b[:1] if one_of_two else b
        del model._optimizer  # its moments; partial_fit makes a new one

    def run(self, order: Array) -> Parameters:
        from sklearn import config_context

        self.restart()
        model = self.model
        batches = self.batches(order)
        per_pass = len(self.X) // self.batch_size
        with config_context(assume_finite=True):
            for start in range(0, len(batches), per_pass):
                rows = batches[start : start + per_pass].ravel()
                model.partial_fit(self.gather(rows), self.targets_[rows])
        return [(W.copy(), b.copy()) for W, b in zip(model.coefs_, model.intercepts_, strict=True)]


class SklearnSparseTrainer(SklearnTrainer):
    """The same on a CSR matrix, as scikit-learn takes one."""

    def hold(self) -> None:
        import scipy.sparse

        self.csr = scipy.sparse.csr_array(self.X)

    def gather(self, rows: Array) -> Any:
        return self.csr[rows]


class TorchTrainer(Trainer):
    """Eager PyTorch with autograd, without what its modules and optimizers cost.

    Fastest of what was tried: tensors in memory, ``index_select`` per batch, ``addmm`` on
    (n_in, n_out) weights, ``autograd.grad``, one ``_foreach_add_`` for the update. ``optim.SGD``,
    fused or foreach, costs 30 us a step more; tracing and ``torch.compile`` do not help. Adam is
    its own, fused.
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
        update = self.update(parameters, share)
        for rows in torch.from_numpy(self.batches(order)).unbind():
            a = X.index_select(0, rows)
            for W, b in hidden:
                a = activation(torch.addmm(b, a, W))
            loss = cost(torch.addmm(b_out, a, W_out), y.index_select(0, rows))
            update(torch.autograd.grad(loss, parameters))
        return [(W.detach().numpy(), b.detach().numpy()) for W, b in layers]

    def update(self, parameters: list[Any], share: float) -> Callable[[Any], None]:
        """Return what changes the parameters, given the gradient of the unshared cost."""
        import torch

        rate = self.workload.learning_rate
        if self.workload.optimizer == "sgd":

            def descend(gradient: Any) -> None:
                with torch.no_grad():
                    torch._foreach_add_(parameters, gradient, alpha=-rate * share)

            return descend
        adam = torch.optim.Adam(parameters, rate, fused=True)

        def step(gradient: Any) -> None:
            if share != 1:
                torch._foreach_mul_(gradient, share)
            for p, g in zip(parameters, gradient, strict=True):
                p.grad = g
            adam.step()

        return step

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
    Adam is optax's.
    """

    def set_up(self) -> None:
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", self.workload.dtype == "float64")
        self.arrays = jnp.asarray(self.X), jnp.asarray(self.y)
        loss = self.loss()
        begin, update = self.update()

        def epoch(parameters: Any, X: Any, y: Any, batches: Any) -> Any:
            def step(carry: Any, rows: Any) -> Any:
                gradient = jax.grad(loss)(carry[0], X[rows], y[rows])
                return update(carry[0], carry[1], gradient), None

            return jax.lax.scan(step, (parameters, begin(parameters)), batches)[0][0]

        self.epoch = jax.jit(epoch, donate_argnums=0)

    def update(self) -> tuple[Callable[[Any], Any], Callable[[Any, Any, Any], Any]]:
        """Return what an optimizer begins with, and its (parameters, state, gradient) to both."""
        import jax

        rate = self.workload.learning_rate
        if self.workload.optimizer == "sgd":

            def descend(parameters: Any, state: Any, gradient: Any) -> Any:
                return jax.tree.map(lambda p, g: p - rate * g, parameters, gradient), state

            return (lambda parameters: ()), descend
        import optax

        adam = optax.adam(rate)

        def update(parameters: Any, state: Any, gradient: Any) -> Any:
            change, state = adam.update(gradient, state)
            return optax.apply_updates(parameters, change), state

        return adam.init, update

    def loss(self) -> Callable[[Any, Any, Any], Any]:
        """Return the workload's cost of (parameters, x, y), averaged over the batch."""
        import jax
        import jax.numpy as jnp

        workload, forward = self.workload, jax_forward(self.workload)

        def loss(parameters: Any, x: Any, y: Any) -> Any:
            z = forward(parameters, x)
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


def jax_forward(workload: Workload) -> Callable[[Any, Any], Any]:
    """Return JAX's (parameters, x) to the last layer's z."""
    import jax

    activation = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu}[workload.activation]

    def forward(parameters: Any, a: Any) -> Any:
        for W, b in parameters[:-1]:
            a = activation(a @ W + b)
        W, b = parameters[-1]
        return a @ W + b

    return forward
