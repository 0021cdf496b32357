"""The face: a dense network that trains, predicts, and shows every number it has."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.engine.architecture import Architecture
from fastgd.backends import backend as _backend
from fastgd.backends import current
from fastgd.engine.threads import check_threads, threads_for
from fastgd.rules.checks import check_flag, check_integer
from fastgd.engine.history import History
from fastgd.rules.initializers import INITIALIZERS
from fastgd.engine.inputs import Inputs, Targets, check_inputs, check_pair
from fastgd.engine.metrics import score_for
from fastgd.rules.optimizers import Optimizer, find_optimizer
from fastgd.engine.stepping import Stepper
from fastgd.engine.training import Trainer

if TYPE_CHECKING:
    from fastgd.explain.diagnose import Diagnosis
    from fastgd.explain.nudges import Nudges
    from fastgd.explain.update import UpdateExplanation

__all__ = ["Network"]

Array = np.ndarray

#: One call to a backend computes at most about this many multiplications: under 100 ms.
CALL_WORK = 1 << 30


class Network:
    """A fully connected network, trained by gradient descent.

    z = a_prev @ W + b and a = activation(z), layer after layer; rows are examples.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, hidden layers (any number, also none), outputs; each at least 1.
    activation : {"sigmoid", "tanh", "relu", "identity"}, default "sigmoid"
        The activation of the hidden layers.
    output : {"sigmoid", "softmax", "identity", "tanh", "relu"}, default "sigmoid"
        The activation of the output.
    loss : {"quadratic", "sse", "mse", "cross_entropy"}, default "quadratic"
        The cost. ``cross_entropy`` goes with sigmoid and softmax outputs, the others with all but
        softmax.
    init : str, default "normal"
        How weights start; see `fastgd.rules.initializers`.
    dtype : {"float32", "float64"}, default "float32"
        The number type of parameters and arithmetic.
    input_scale : float, default 1
        What inputs are multiplied by as they are read; part of the model. Pixels from 0 to 255
        can stay uint8 with 1/255.
    seed : int, numpy.random.Generator or None
        Where randomness comes from: the initial parameters, then one shuffle an epoch. The same
        seed gives the same run on every backend, to rounding; None is different every time.
    backend : {"native", "numba", "numpy"} or None
        The backend of this network; None is the one chosen by `fastgd.set_backend`.
    threads : "auto" or int
        Threads inside each step. ``"auto"`` takes more than one only where that is faster, and
        never more than FASTGD_NUM_THREADS, the process's cores or its control group allow.
        Results are the same to the last bit for any number.

    Raises
    ------
    TypeError, ValueError
        If a setting is not accepted; the message names it, what was given and what is accepted.

    Examples
    --------
    >>> import fastgd
    >>> net = fastgd.Network([784, 16, 16, 10], seed=1)
    >>> net.n_parameters
    13002
    >>> net.weights[0].shape, net.biases[0].shape
    ((784, 16), (16,))
    """

    def __init__(
        self,
        sizes: Iterable[int],
        *,
        activation: str = "sigmoid",
        output: str = "sigmoid",
        loss: str = "quadratic",
        init: str = "normal",
        dtype: Any = "float32",
        input_scale: float = 1.0,
        seed: int | np.random.Generator | None = None,
        backend: str | None = None,
        threads: int | str = "auto",
    ):
        self.architecture = Architecture(
            sizes,  # type: ignore[arg-type]
            activation,
            output,
            loss,
            dtype,
            input_scale,
        )
        _check_size(self.architecture)
        initializer = INITIALIZERS.find(init)
        if not isinstance(seed, np.random.Generator) and seed is not None:
            check_integer("seed", seed, 0)
        if backend is not None:
            _backend(backend)
        self.backend = backend
        self.threads = check_threads("threads", threads)
        self.rng = np.random.default_rng(seed)
        self.notes: dict[str, str] = {}
        self._quick: tuple[str, Any] | None = None
        self._stepper: Stepper | None = None
        self._parameters = np.zeros(self.n_parameters, dtype=self.dtype)
        for W, b in zip(self.weights, self.biases, strict=True):
            initializer.fill(self.rng, W, b)

    def __repr__(self) -> str:
        a = self.architecture
        return (
            f"Network({list(a.sizes)}, activation={a.activation!r}, output={a.output!r}, "
            f"loss={a.loss!r}, dtype={a.dtype!r})"
        )

    @property
    def input_scale(self) -> float:
        """What inputs are multiplied by as they are read."""
        return self.architecture.input_scale

    @property
    def sizes(self) -> list[int]:
        """Inputs, hidden layers, outputs."""
        return list(self.architecture.sizes)

    @property
    def dtype(self) -> str:
        """The number type, ``"float32"`` or ``"float64"``."""
        return self.architecture.dtype

    @property
    def n_parameters(self) -> int:
        """How many weights and biases there are."""
        return self.architecture.layout.n_parameters

    @property
    def parameters(self) -> Array:
        """All weights and biases, flat (n_parameters,): W[0] row by row, b[0], W[1], b[1], ...

        The array itself: changing its entries changes the network. Setting it copies.
        """
        return self._parameters

    @parameters.setter
    def parameters(self, values: Any) -> None:
        given = np.asarray(values)
        if given.shape != (self.n_parameters,):
            raise ValueError(
                f"parameters must have shape ({self.n_parameters},); got shape {given.shape}"
            )
        if given.dtype.kind not in "biuf":
            raise TypeError(f"parameters must be real numbers; got dtype {given.dtype}")
        with np.errstate(over="ignore"):
            converted = given.astype(self.dtype)
        finite = np.isfinite(converted)
        if not finite.all():
            index = int(np.argmin(finite))
            raise ValueError(f"parameters must be finite; parameters[{index}] is {given[index]}")
        self._parameters[:] = converted

    @property
    def weights(self) -> tuple[Array, ...]:
        """Each layer's weights (n_in, n_out): views, changing them changes the network."""
        return tuple(self.architecture.layout.weights(self._parameters))

    @property
    def biases(self) -> tuple[Array, ...]:
        """Each layer's biases (n_out,): views, changing them changes the network."""
        return tuple(self.architecture.layout.biases(self._parameters))

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        epochs: int = 10,
        batch_size: int = 32,
        optimizer: str | Optimizer = "sgd",
        validation_data: tuple[Any, Any] | None = None,
        callbacks: Any = (),
        shuffle: bool = True,
    ) -> History:
        """Train on examples, from the parameters the network has.

        Parameters
        ----------
        X : array of shape (n, n_inputs)
            Of any numeric dtype, order and alignment; a pandas frame will do.
        y : array
            Classes (n,), targets (n, n_outputs), or numbers (n,) for one output.
        epochs : int, default 10
            How often every example is visited.
        batch_size : int, default 32
            Examples in a mini-batch; the last of an epoch may be smaller. More than n means n.
        optimizer : Optimizer or str, default ``SGD(learning_rate=0.1)``
            How the gradient changes the parameters.
        validation_data : tuple (X, y), optional
            Measured after every epoch, never trained on.
        callbacks : object or sequence of objects
            Each with ``on_epoch_end(network, epoch, logs)``, epoch from 0, which may return True
            to stop, and/or ``on_progress(network, epoch, logs)``, several times a second.
        shuffle : bool, default True
            Whether each epoch visits the examples in a new order.

        Returns
        -------
        History
            Cost, learning rate and seconds per epoch, and validation cost and score.

        Raises
        ------
        TypeError, ValueError
            If an argument is not accepted; nothing has changed then.
        DivergenceError
            If the cost becomes NaN or infinite; the last finite parameters are kept.
        """
        inputs, targets = check_pair(X, y, self.architecture)
        check_integer("epochs", epochs, 0)
        check_integer("batch_size", batch_size, 1)
        check_flag("shuffle", shuffle)
        trainer = Trainer(
            network=self,
            inputs=inputs,
            targets=targets,
            optimizer=find_optimizer(optimizer),
            batch_size=min(batch_size, len(inputs)),
            validation=self._check_validation(validation_data),
            callbacks=_check_callbacks(callbacks),
            shuffle=shuffle,
        )
        self.check_parameters()
        return trainer.run(epochs)

    def partial_fit(self, X: Any, y: Any, *, optimizer: str | Optimizer | None = None) -> float:
        """Make one step on one mini-batch, with little overhead; return its cost before the step.

        Parameters
        ----------
        X, y : array
            The mini-batch, as in `fit`.
        optimizer : Optimizer or str, optional
            Its state (momentum) is kept from call to call for as long as the optimizer is equal;
            by default the one of the last call, at first ``SGD(learning_rate=0.1)``. A schedule
            stays at its first epoch.

        Raises
        ------
        TypeError, ValueError
            If an argument is not accepted; nothing has changed then.
        DivergenceError
            If the cost, or a parameter after the step, is not finite; no step is made then.
        """
        if self._stepper is None or (
            optimizer is not None and optimizer is not self._stepper.optimizer
        ):
            chosen = find_optimizer("sgd" if optimizer is None else optimizer)
            if self._stepper is None or chosen != self._stepper.optimizer:
                self._stepper = Stepper(self, chosen)
        return self._stepper.step(X, y)

    def predict(self, X: Any) -> Array:
        """Return the outputs (n, n_outputs) for examples X (n, n_inputs)."""
        quick = self._quick_for_predictions()
        outputs = quick.predict(X) if quick else None
        if outputs is None:
            outputs, finite = self._predict(check_inputs(X, self.architecture, finite=False))
            if not finite:
                check_inputs(X, self.architecture)  # says which number it is
                raise ValueError(
                    f"X times input_scale ({self.input_scale:g}) must be finite in {self.dtype}"
                )
        return outputs

    def score(self, X: Any, y: Any) -> float:
        """Return the accuracy for classes, R^2 for numbers.

        Targets are classes where they are given as such, are one-hot, or the loss is
        cross-entropy.
        """
        return self._score(*check_pair(X, y, self.architecture))

    def loss(self, X: Any, y: Any) -> float:
        """Return the cost of the examples: their average (for ``sse``, their sum)."""
        return self._loss(*check_pair(X, y, self.architecture))

    def gradient(self, X: Any, y: Any) -> Array:
        """Return the gradient of `loss`, flat: one number for each of `parameters`."""
        inputs, targets = check_pair(X, y, self.architecture)
        gradient = np.zeros_like(self._parameters)
        self._sum(inputs, targets, gradient)
        if self.architecture.loss.batch_average:
            gradient /= len(inputs)
        return gradient

    def explain_update(
        self, x: Any, y: Any, layer: int, i: int, j: int, learning_rate: float = 0.1
    ) -> UpdateExplanation:
        """Return the chain of slopes that makes the step of one weight, for one example.

        The weight is ``weights[layer][i, j]``. Print what is returned to read it; see
        `fastgd.explain.update.explain_update`.
        """
        from fastgd.explain.update import explain_update

        return explain_update(self, x, y, layer, i, j, learning_rate)

    def nudges(self, X: Any, y: Any, top: int = 20, learning_rate: float = 0.1) -> Nudges:
        """Return the negative gradient, read aloud: which weights should change, and how much.

        Print what is returned to read it; see `fastgd.explain.nudges.nudges`.
        """
        from fastgd.explain.nudges import nudges

        return nudges(self, X, y, top, learning_rate)

    def hessian_vector(self, X: Any, y: Any, v: Any) -> Array:
        """Return the Hessian of `loss` times a flat vector v, exactly (Pearlmutter 1994).

        One number for each of `parameters`; see `fastgd.explain.curvature`.
        """
        from fastgd.explain.curvature import hessian_vector

        return hessian_vector(self, X, y, v)

    def diagnose(
        self,
        X: Any,
        y: Any,
        *,
        validation_data: tuple[Any, Any] | None = None,
        history: History | None = None,
        optimizer: str | Optimizer | None = None,
        learning_rate: float | None = None,
        batch_size: int = 32,
        seed: int = 0,
    ) -> Diagnosis:
        """Return what is wrong with the network or its training, with evidence and what to try.

        Print what is returned to read it. What it is told of the training (its history, learning
        rate and validation data) makes it see more: see `fastgd.explain.diagnose.diagnose`.
        """
        from fastgd.explain.diagnose import diagnose

        return diagnose(
            self, X, y, validation_data=validation_data, history=history, optimizer=optimizer,
            learning_rate=learning_rate, batch_size=batch_size, seed=seed,
        )  # fmt: skip

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file, whole or not at all.

        Its backend and threads are not part of it.
        """
        from fastgd.files import save

        save(self, path)

    def _quick_for_predictions(self) -> Any:
        """Return what predicts a few rows with little overhead, if the backend has it."""
        name = self.backend or current()
        if self._quick is None or self._quick[0] != name:
            make = getattr(_backend(name), "quick", None)
            self._quick = (name, make and make(self.architecture, self._parameters))
        return self._quick[1]

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy needs: not what only speeds up calls."""
        return {**self.__dict__, "_quick": None, "_stepper": None}

    def _check_validation(self, validation_data: Any) -> tuple[Inputs, Targets] | None:
        if validation_data is None:
            return None
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
            raise TypeError(
                f"validation_data must be a pair (X, y); got {type(validation_data).__name__}"
            )
        names = ("validation_data[0]", "validation_data[1]")
        X, y = validation_data
        return check_pair(X, y, self.architecture, names)

    def check_parameters(self) -> None:
        """Raise ValueError unless every parameter is finite."""
        if not np.isfinite(self._parameters).all():
            index = int(np.argmin(np.isfinite(self._parameters)))
            raise ValueError(
                f"the network's parameters must be finite; parameters[{index}] is "
                f"{self._parameters[index]}"
            )

    @property
    def rows_per_call(self) -> int:
        """How many rows one call to a backend may take: few enough to be back in 100 ms."""
        return max(256, CALL_WORK // self.n_parameters)

    def _pieces(self, inputs: Inputs, targets: Targets | None = None) -> Iterator[slice]:
        """Yield slices of the rows, each for one call."""
        n = len(inputs)
        rows = min(self.rows_per_call, inputs.most_rows, targets.most_rows if targets else n)
        for start in range(0, n, rows):
            yield slice(start, min(start + rows, n))

    def _outputs(self, inputs: Inputs, rows: slice, outputs: Array) -> bool:
        X = inputs.rows(rows.start, rows.stop)
        n_threads = threads_for(self.threads, self.architecture, len(X))
        forward = _backend(self.backend).forward
        with np.errstate(over="ignore", invalid="ignore"):
            return forward(self.architecture, self._parameters, X, outputs, n_threads)

    def _predict(self, inputs: Inputs) -> tuple[Array, bool]:
        """Return the outputs, and whether all inputs are finite."""
        outputs = np.empty((len(inputs), self.architecture.n_outputs), dtype=self.dtype)
        finite = [self._outputs(inputs, rows, outputs[rows]) for rows in self._pieces(inputs)]
        return outputs, all(finite)

    def _sum(self, inputs: Inputs, targets: Targets, gradient: Array | None) -> float:
        """Return the sum of the rows' costs, and add their gradients."""
        loss_and_gradient = _backend(self.backend).loss_and_gradient
        total = 0.0
        for rows in self._pieces(inputs, targets):
            X, Y = inputs.rows(rows.start, rows.stop), targets.rows(rows.start, rows.stop)
            n_threads = threads_for(self.threads, self.architecture, len(X))
            with np.errstate(over="ignore", invalid="ignore"):
                total += loss_and_gradient(
                    self.architecture, self._parameters, X, Y, gradient, n_threads
                )
        return float(total)

    def _loss(self, inputs: Inputs, targets: Targets) -> float:
        total = self._sum(inputs, targets, None)
        return total / len(inputs) if self.architecture.loss.batch_average else total

    def _score(self, inputs: Inputs, targets: Targets) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            score = score_for(self.architecture, targets)
            for rows in self._pieces(inputs, targets):
                n = rows.stop - rows.start
                outputs = np.empty((n, self.architecture.n_outputs), dtype=self.dtype)
                self._outputs(inputs, rows, outputs)
                score.add(outputs, targets.rows(rows.start, rows.stop))
            return score.result()


def _check_size(architecture: Architecture) -> None:
    """Raise ValueError if the parameters alone would not fit this machine's memory."""
    n = architecture.layout.n_parameters
    needed = n * np.dtype(architecture.dtype).itemsize
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        memory = 1 << 40
    if needed > memory:
        raise ValueError(
            f"sizes {list(architecture.sizes)} make {n:,} parameters, which need "
            f"{needed / 2**30:,.1f} GiB; this machine has {memory / 2**30:,.1f} GiB"
        )


def _check_callbacks(callbacks: Any) -> list[Any]:
    given = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
    for callback in given:
        methods = ("on_epoch_end", "on_progress")
        if isinstance(callback, type) or not any(
            callable(getattr(callback, name, None)) for name in methods
        ):
            raise TypeError(
                "callbacks must be objects with a method on_epoch_end(network, epoch, logs) or "
                f"on_progress(network, epoch, logs); got {callback!r}"
            )
    return given
