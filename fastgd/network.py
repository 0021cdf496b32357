"""The face: a dense network that trains, predicts, and shows every number it has."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Iterable
from threading import get_ident
from typing import Any

import numpy as np

from fastgd import files
from fastgd.backends import backend as _backend
from fastgd.backends.reference import feed_forward
from fastgd.checkpoint import Checkpoint
from fastgd.engine.answers import Answers
from fastgd.engine.architecture import Architecture, check_size, one_for_all
from fastgd.engine.chunks import Chunks, are_chunks
from fastgd.engine.fit import Fit, check_on_interrupt
from fastgd.engine.hints import hint_at_pixels
from fastgd.engine.history import History
from fastgd.engine.inputs import Examples, check_examples, check_inputs
from fastgd.engine.labels import NO_LABELS, Labels
from fastgd.engine.listeners import Listeners, check_callbacks
from fastgd.engine.metrics import check_metrics, score_for
from fastgd.engine.numbers import Numbers
from fastgd.engine.runner import Runner
from fastgd.engine.scaling import Scaled, standardized
from fastgd.engine.session import Session
from fastgd.engine.state import State
from fastgd.engine.stepping import Stepper, check_finite
from fastgd.engine.summary import Summary
from fastgd.engine.threads import check_threads
from fastgd.engine.validation import held_out
from fastgd.errors import SettingError, SettingTypeError
from fastgd.explaining import Explaining
from fastgd.lbfgs import WholeFit
from fastgd.recipe import Training
from fastgd.rules.checks import check_flag, check_integer, check_number
from fastgd.rules.initializers import INITIALIZERS
from fastgd.rules.optimizers import Optimizer, find_optimizer
from fastgd.writing import StrPath

__all__ = ["Network", "load"]

Array = np.ndarray


class Network(Answers, Numbers, Scaled, Explaining):
    """A fully connected network, trained by gradient descent.

    z = a_prev @ W + b and a = activation(z), layer after layer; rows are examples.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, hidden layers (any number, also none), outputs; each at least 1.
    activation : str, Activation, or a sequence of them, default "sigmoid"
        The activation of the hidden layers, a name of `fastgd.rules.activations` or an instance
        such as ``fastgd.LeakyReLU(alpha=0.1)``: one for all, or one each.
    output : str or Activation, default "sigmoid"
        The activation of the output.
    loss : str or Loss, default "quadratic"
        The cost, a name of `fastgd.rules.losses` or an instance such as ``fastgd.Huber(delta=2)``.
        ``cross_entropy`` goes with sigmoid and softmax outputs.
    init : str, default "normal"
        How weights start; see `fastgd.rules.initializers`.
    dtype : {"float32", "float64"}, default "float32"
        The number type of parameters and arithmetic.
    input_scale : float or array of shape (n_inputs,), default 1
        What inputs are multiplied by as they are read; part of the model. Pixels from 0 to 255
        can stay uint8 with 1/255.
    input_shift : float or array of shape (n_inputs,), default 0
        What is taken off inputs before: the network sees (X - input_shift) * input_scale.
    output_shift, output_scale : float or array of shape (n_outputs,), default 0 and 1
        For numbers to predict: the network sees targets (y - output_shift) / output_scale, and
        `predict` returns output_shift + output_scale * a, in float64. Parameters, costs,
        gradients and activations are in the units the network sees; predictions and scores in
        those of y. ``fit(standardize=True)`` finds all four.
    dropout : float or sequence of float, default 0
        The share of units each training step leaves out (Srivastava et al. 2014), from 0 to below
        1: one number for all hidden layers, or one for the inputs and one for each hidden layer.
        Those that stay are scaled up, so that predictions need no change.
    seed : int, numpy.random.Generator or None
        Where randomness comes from: the initial parameters, then one permutation an epoch. The same
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
        activation: Any = "sigmoid",
        output: Any = "sigmoid",
        loss: Any = "quadratic",
        init: str = "normal",
        dtype: Any = "float32",
        input_scale: Any = 1.0,
        dropout: Any = 0.0,
        input_shift: Any = 0.0,
        output_shift: Any = 0.0,
        output_scale: Any = 1.0,
        seed: int | np.random.Generator | None = None,
        backend: str | None = None,
        threads: int | str = "auto",
    ):
        self._architecture = Architecture(
            sizes,  # type: ignore[arg-type]
            activation,
            output,
            loss,
            dtype,
            input_scale,
            dropout,
            input_shift,
            output_shift,
            output_scale,
        )
        check_size(self.architecture)
        initializer = INITIALIZERS.find(init)
        if not isinstance(seed, np.random.Generator) and seed is not None:
            check_integer("seed", seed, 0)
        if backend is not None:
            _backend(backend)
        self.backend = backend
        self.threads = threads
        self._seeded = seed is not None
        self._begun: set[str] = set()  # where its runs with a checkpoint began
        self.notes: dict[str, str] = {}
        self.labels: Labels = NO_LABELS
        parameters = np.zeros(self.n_parameters, dtype=self.dtype)
        self.state = State(parameters, np.random.default_rng(seed))
        self._quick: tuple[Any, Any] | None = None
        self._stepper: Stepper | None = None
        for W, b in zip(self.weights, self.biases, strict=True):
            initializer.fill(self.state.rng, W, b)

    def __repr__(self) -> str:
        a = self.architecture
        names = [str(rule) for rule in a.activation]
        same = not names or names.count(names[0]) == len(names)
        activation = names[0] if names and same else names
        dropout = f", dropout={list(a.dropout)}" if a.has_dropout else ""
        return (
            f"Network({list(a.sizes)}, activation={activation!r}, output={str(a.output)!r}, "
            f"loss={str(a.loss)!r}, dtype={a.dtype!r}{dropout})"
        )

    @property
    def architecture(self) -> Architecture:
        """Sizes, rules, dtype and scaling. It belongs to the parameters, and cannot be set."""
        return self._architecture

    @property
    def threads(self) -> int | str:
        """Threads inside each step, or ``"auto"``."""
        return self._threads

    @threads.setter
    def threads(self, threads: int | str) -> None:
        self._threads = check_threads("threads", threads)

    @property
    def rng(self) -> np.random.Generator:
        """Where the network's randomness comes from."""
        return self.state.rng

    @property
    def runner(self) -> Runner:
        """What computes the network: its architecture, backend and threads."""
        return Runner(self.architecture, lambda: _backend(self.backend), self.threads)

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        optimizer: str | Optimizer | None = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        validation_data: tuple[Any, ...] | None = None,
        validation_split: float = 0.0,
        callbacks: Any = (),
        metrics: Any = (),
        shuffle: bool = True,
        on_interrupt: str = "stop",
        standardize: bool | None = None,
        verbose: bool = True,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_seconds: float = 30.0,
    ) -> History:
        """Train on examples, from the parameters the network has.

        Where no optimizer is given, `fastgd.recipe` chooses it, and what else is not said, by what
        is learned and from how many examples; one line says what it chose.

        Parameters
        ----------
        X : array of shape (n, n_inputs)
            Of any numeric dtype, order and alignment; a pandas frame, a memory map or a sparse
            matrix will do. Without ``y``: an iterable of chunks (X, y) or (X, y, weight), or a
            function that returns one, which is gone through once an epoch.
        y : array
            Classes (n,), targets (n, n_outputs), or numbers (n,) for one output. Classes are 0,
            1, ..., or labels, text for example, which become the network's `classes`.
        epochs : int, optional
            How often every example is visited; 10 by default where an optimizer is given.
        batch_size : int, optional
            Examples in a mini-batch; the last of an epoch may be smaller. More than n means n. 32
            by default where an optimizer is given.
        optimizer : Optimizer or str, optional
            How the gradient changes the parameters. What it gathers (momentum, averages, the place
            in its schedule) is kept from fit to fit for as long as the optimizer is equal.
        sample_weight : array of shape (n,), optional
            What each example counts, at least 0. Costs are averaged over the sum of a batch's
            weights.
        class_weight : dict or "balanced", optional
            What the examples of each class count; ``"balanced"`` makes all classes count the same.
        validation_data : tuple (X, y) or (X, y, weight), optional
            Measured after every epoch, never trained on.
        validation_split : float, default 0
            The share of the examples to hold out for that instead, from 0 to below 1, drawn at
            random, of each class alike; the same in every fit on so many examples.
        callbacks : object or sequence of objects
            Each with any of ``on_train_begin(network)``, ``on_epoch_begin(network, epoch)``,
            ``on_batch_end(network, step, logs)`` (after every ``callback.every`` steps),
            ``on_epoch_end(network, epoch, logs)``, ``on_train_end(network, history)``, epoch from
            0; ``on_batch_end`` and ``on_epoch_end`` may return True to stop; and
            ``on_progress(network, epoch, logs)``, several times a second; it may return True to
            stop, too. fastgd has `EarlyStopping`, `BestParameters`, `TimeBudget`, `CSVLog` and
            `Progress`.
        metrics : sequence of str or callable
            What to measure after every epoch besides: ``"accuracy"``, ``"top_5"``, ``"f1"``
            (macro), ``"r2"``, ``"mae"``, or functions ``metric(y, outputs)``; on the examples
            and, as ``validation_...``, on those held out.
        shuffle : bool, default True
            Whether each epoch visits the examples in a new order.
        on_interrupt : {"stop", "raise"}, default "stop"
            Whether Ctrl-C ends the fit, which returns, or is raised; the network keeps what it has
            learned either way. A second Ctrl-C within 5 s is always raised.
        standardize : bool, optional
            Whether to scale columns, where the network has no scaling of its own yet: each input
            to mean 0 and standard deviation 1 over the examples trained on (less where a number
            would be further than 10 from 0), and so each output where numbers are predicted
            without bounds. Sparse inputs are scaled, not shifted. X is not copied for it, and the
            scaling is part of the network from then on: see ``input_shift`` of `Network`. By
            default not where an optimizer is given.
        verbose : bool, default True
            Whether to print the line that says what was chosen; nothing is printed where an
            optimizer is given.
        checkpoint : path, optional
            A file to keep the fit in: parameters, optimizer, order and place in the epoch, history,
            and what callbacks keep (``state_dict()`` and ``load_state_dict(kept)``, where they have
            them). The same call again, on a network made the same way, goes on from there and ends
            in the same bytes, however the first was stopped. Not with L-BFGS.
        checkpoint_seconds : float, default 30
            How often it is written at least; also after epochs of more than a second, and when
            training ends in whatever way (kill -9 leaves the one written last).

        Returns
        -------
        History
            Cost, learning rate and seconds per epoch, validation cost and score, and metrics.

        Raises
        ------
        TypeError, ValueError
            If an argument is not accepted; nothing has changed then.
        DivergenceError
            If the cost becomes NaN or infinite; the last finite parameters are kept.
        """
        said = Training.said(optimizer, epochs, batch_size, standardize)
        check_flag("shuffle", shuffle), check_flag("verbose", verbose)
        share = check_number("validation_split", validation_split, minimum=0, below=1)
        turn = self.state.turn
        turn.check()
        listeners = Listeners(self, check_callbacks(callbacks))
        makers = check_metrics(metrics)
        every = check_number("checkpoint_seconds", checkpoint_seconds, minimum=0)
        check_finite(self.state.parameters)
        labels = self.labels.learned_from(y, self.architecture)
        class_weight = labels.encode_weights(class_weight)
        examples, chunks = self._check_data(X, y, sample_weight, class_weight, labels)
        validation = self.check_validation(validation_data, labels)
        if share:
            if checkpoint is not None and not self._seeded:
                raise SettingError(
                    "validation_split", "would hold out other examples after a checkpoint: make "
                    "the network with a seed, or give validation_data",
                )  # fmt: skip
            examples, validation = self._hold_out(examples, share, validation)
        with turn.lock:
            chosen, epochs, batch_size, scaled = said.complete(self.architecture, examples)
            runner = self.runner
            if scaled:
                runner.architecture = standardized(self.architecture, examples)
            if runner.architecture is not self.architecture and examples is not None:
                examples = examples.under(runner.architecture)
                validation = validation and validation.under(runner.architecture)
            if examples is not None:
                trained = examples.by_class(class_weight, runner.architecture)
                batch_size, chunks = min(batch_size, len(trained)), lambda: (trained,)
            history = History()
            session = Session(
                runner, chosen, self.state, batch_size=batch_size, shuffle=shuffle,
                epochs=self.state.epoch_of(chosen) + epochs, history=history,
            )  # fmt: skip
            fit = (WholeFit if chosen.whole else Fit)(
                session, chunks, examples, validation, listeners, makers, history,
                on_interrupt=check_on_interrupt(on_interrupt),
            )  # fmt: skip
            if checkpoint is not None:
                fit.checkpoint = Checkpoint(checkpoint, every, fit, self._seeded, self._begun)
            fit.check()
            if examples is not None:
                hint_at_pixels(examples.inputs, runner.architecture)
                if getattr(runner.backend(), "leaves_out_zeros", True):
                    examples.inputs.leave_out_zeros()
            self.labels = labels
            self._become(runner.architecture)
            if verbose and said.optimizer is None:
                print(Training(chosen, epochs, batch_size, scaled))
            try:
                turn.thread = get_ident()
                fit.run(epochs)
            finally:
                turn.thread = None
            self.notes["training"] = history.in_words(str(chosen), batch_size)
        return history

    def _become(self, architecture: Architecture) -> None:
        """Take another architecture for the same parameters."""
        if architecture is not self.architecture:
            self._architecture, self._quick, self._stepper = architecture, None, None

    def _check_data(
        self, X: Any, y: Any, sample_weight: Any, class_weight: Any, labels: Labels
    ) -> tuple[Examples | None, Any]:
        """Return the examples, or what yields them in chunks."""
        if not are_chunks(X, y):
            if y is None:
                raise SettingTypeError("y", "must be given: classes, or targets; got None")
            if callable(X) or hasattr(X, "__next__"):
                raise SettingError("y", "must come with the chunks, as (X, y), where X yields them")
            y = labels.encode(y)
            return check_examples(X, y, self.architecture, sample_weight), None
        if sample_weight is not None:
            raise SettingError("sample_weight", "must come with the chunks, as (X, y, weight)")
        return None, Chunks(X, self.architecture, class_weight, labels)

    def _hold_out(
        self, examples: Examples | None, share: float, validation: Examples | None
    ) -> tuple[Examples, Examples]:
        if examples is None:
            raise SettingError("validation_split", "needs X and y as arrays; give validation_data")
        if validation is not None:
            raise ValueError("validation_split and validation_data must not both be given")
        return examples.split(held_out(examples.targets, share, self.state.seed))

    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        optimizer: str | Optimizer | None = None,
        sample_weight: Any = None,
        class_weight: Any = None,
    ) -> float:
        """Make one step on one mini-batch, with little overhead; return its cost before the step.

        Calls from several threads, also of `fit`, come one after the other; callbacks of a fit must
        not make any.

        Parameters
        ----------
        X, y, sample_weight, class_weight
            The mini-batch, as in `fit`.
        optimizer : Optimizer or str, optional
            Its state (momentum) is kept from call to call for as long as its update rule is the
            same, whatever its numbers; by default the one of the last call, at first
            ``SGD(learning_rate=0.1)``. A schedule of epochs stays at its first.

        Raises
        ------
        TypeError, ValueError
            If an argument is not accepted; nothing has changed then.
        DivergenceError
            If the cost, or a parameter after the step, is not finite; no step is made then.
        """
        if optimizer is not None and find_optimizer(optimizer).whole:
            raise SettingError("optimizer", "must be one that steps, for partial_fit; got 'lbfgs'")
        if self.labels is not NO_LABELS:
            y, class_weight = self.labels.encode(y), self.labels.encode_weights(class_weight)
        turn = self.state.turn
        turn.check()
        with turn.lock:
            stepper, last = self._stepper, self.state.optimizer
            if stepper is None or stepper.optimizer is not last or optimizer not in (None, last):
                chosen = find_optimizer(optimizer or last or "sgd")
                stepper = self._stepper = Stepper(self.runner, chosen, self.state)
            return stepper.step(X, y, sample_weight, class_weight)

    def predict(self, X: Any) -> Array:
        """Return the outputs (n, n_outputs) for examples X (n, n_inputs).

        They are in the targets' units: float64 where the network scales those, else its dtype.
        """
        quick = self._quick_for_predictions()
        outputs = quick.predict(X) if quick else None
        if outputs is None:
            inputs = check_inputs(X, self.architecture, finite=False)
            outputs, finite = self.runner.predict(self.state.parameters, inputs)
            if not finite:
                check_inputs(X, self.architecture)  # says which number it is
                a = self.architecture
                scale = f" ({a.input_scale:g})" if isinstance(a.input_scale, float) else ""
                raise ValueError(f"X times input_scale{scale} must be finite in {self.dtype}")
        return outputs

    def activations(self, X: Any) -> list[Array]:
        """Return the outputs of every layer for examples X, hidden layers first.

        Returns
        -------
        list of ndarray
            One of shape (n, n_units) for each layer; the last are the predictions, where the
            network scales targets in the units it sees.
        """
        inputs = check_inputs(X, self.architecture)
        dense = inputs.rows(0, len(inputs))
        X = dense if isinstance(dense, np.ndarray) else dense.dense()
        layers = feed_forward(self.architecture, self.state.parameters, X)[1]
        return layers[1:]

    def score(self, X: Any, y: Any, *, sample_weight: Any = None) -> float:
        """Return the accuracy for classes, R^2 for numbers.

        Targets are classes where they are given as such, are one-hot, or the loss is one for
        classes.
        """
        examples = self.check_examples(X, y, sample_weight)
        score = score_for(self.architecture, examples)
        return self.runner.score(self.state.parameters, examples, [score])[0]

    def loss(self, X: Any, y: Any, *, sample_weight: Any = None) -> float:
        """Return the cost of the examples: their average (for ``sse``, their sum).

        Of targets as the network sees them: see ``output_scale`` of `Network`.
        """
        examples = self.check_examples(X, y, sample_weight)
        return self.runner.loss(self.state.parameters, examples)

    def gradient(self, X: Any, y: Any, *, sample_weight: Any = None) -> Array:
        """Return the gradient of `loss`, flat: one number for each of `parameters`."""
        examples = self.check_examples(X, y, sample_weight)
        return self.runner.gradient(self.state.parameters, examples)

    def copy(self) -> Network:
        """Return a network of its own with the same parameters, and all that training needs."""
        return copy.deepcopy(self)

    def like(self, **settings: Any) -> Network:
        """Return a new network made as this one is, but for some settings of `Network`.

        Its parameters are drawn anew, from ``seed``.

        Examples
        --------
        >>> import fastgd
        >>> fastgd.Network([4, 8, 3], activation="tanh").like(loss="mse", seed=1)
        Network([4, 8, 3], activation='tanh', output='sigmoid', loss='mse', dtype='float32')
        """
        a = self.architecture
        same = {
            field.name: getattr(a, field.name)
            for field in dataclasses.fields(a)
            if field.name not in settings
        }
        if "sizes" in settings:  # one activation for each hidden layer: how many may change
            same |= {k: one_for_all(k, getattr(a, k)) for k in ("activation", "dropout")}
        made = {**same, "backend": self.backend, "threads": self.threads, **settings}
        network = Network(made.pop("sizes"), **made)
        if network.architecture.n_classes == a.n_classes:
            network.labels = self.labels
        return network

    def summary(self) -> Summary:
        """Return a table of the layers: units, activation, shapes and parameters. Print it.

        Examples
        --------
        >>> import fastgd
        >>> print(fastgd.Network([784, 16, 16, 10], seed=1).summary())
        layer     units  activation   weights  biases  parameters
        inputs      784
        hidden 1     16  sigmoid     784 x 16      16      12,560
        hidden 2     16  sigmoid      16 x 16      16         272
        output       10  sigmoid      16 x 10      10         170
        in all                                             13,002
        loss quadratic, float32
        """
        return Summary.of(self.architecture)

    def save(self, path: StrPath) -> None:
        """Write the network to a safetensors file, whole or not at all (see docs/files.md).

        Its backend and threads are not part of it. The name must not end as another format's.

        Raises
        ------
        TypeError, ValueError
            If the name promises another format, a parameter is not finite, or notes are no texts.
        FileNotFoundError, IsADirectoryError, WriteError
            If there is no such folder, or the file cannot be written; what was there still is.
        """
        files.check_name(path)
        self.check_parameters()
        files.write(path, self.architecture, self.state.parameters, self.notes, self.labels)

    def _quick_for_predictions(self) -> Any:
        """Return what predicts a few rows with little overhead, if the backend has it."""
        module = _backend(self.backend)
        if self._quick is None or self._quick[0] is not module:
            make = getattr(module, "quick", None)
            self._quick = (module, make and make(self.architecture, self.state.parameters))
        return self._quick[1]

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy needs: not what only speeds up calls."""
        return {**self.__dict__, "_quick": None, "_stepper": None}

    def check_parameters(self) -> None:
        """Raise ValueError unless every parameter is finite."""
        check_finite(self.state.parameters)


def load(path: StrPath, *, backend: str | None = None, verify: bool = True) -> Network:
    """Read a network that `Network.save` wrote, in this version or an earlier one.

    Parameters
    ----------
    path : str or path
    backend : str or None
        As in `Network`.
    verify : bool, default True
        Whether to hold the numbers against the file's checksum, about a second for each GB.

    Raises
    ------
    ModelFileError
        If the file is damaged or not fastgd's; the message names it and says what is wrong.
    FileNotFoundError, PermissionError
        If there is no such file, or it may not be read.
    """
    architecture, parameters, notes, labels = files.read(path, verify=verify)
    fields = {f.name: getattr(architecture, f.name) for f in dataclasses.fields(architecture)}
    network = Network(fields.pop("sizes"), **fields, init="zeros", backend=backend)
    network.parameters = parameters
    network.notes, network.labels = notes, labels
    return network
