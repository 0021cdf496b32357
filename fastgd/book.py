"""Nielsen's `network.py` and `mnist_loader.py`, with the same names, on fastgd's kernels.

Michael Nielsen, Neural Networks and Deep Learning (2015), chapter 1,
http://neuralnetworksanddeeplearning.com/chap1.html. The chapter's commands run as they
stand, in seconds, with ``from fastgd import book``:

    training_data, validation_data, test_data = book.load_data_wrapper()  # or ("FOLDER")
    net = book.Network([784, 30, 10])
    net.SGD(training_data, 30, 10, 3.0, test_data=test_data)

Examples are pairs of column vectors. Numbers are float64, as in the book, where NumPy's own
are: `fastgd.Network` computes in float32 unless it is told otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import Any

import numpy as np

import fastgd
from fastgd import data
from fastgd.errors import DataError, SettingError
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.checks import check_integer

__all__ = [
    "Network",
    "load_data",
    "load_data_wrapper",
    "sigmoid",
    "sigmoid_prime",
    "vectorized_result",
]

Array = np.ndarray
Example = tuple[Any, Any]
Part = tuple[Array, Array]

#: mnist.pkl.gz, which the book comes with, has pixels divided by 256, not by 255.
PIXEL = 1 / 256


class Network:
    """The book's network: sigmoid neurons, the quadratic cost, stochastic gradient descent.

    Parameters
    ----------
    sizes : list of int
        The neurons of each layer, inputs first.
    seed : int, numpy.random.Generator or None
        Where initial weights and shuffles come from; the book has no such argument. None is
        different every time.

    Attributes
    ----------
    num_layers : int
    sizes : list of int
    network : fastgd.Network
        What computes; it holds the same numbers, in float64.

    Notes
    -----
    Weights and biases start from a normal distribution of mean 0 and variance 1. A subclass
    may replace `cost_derivative`, `backprop`, `update_mini_batch` or `evaluate` and `SGD` goes
    by it: with the first three one mini-batch at a time from Python, and that much slower.

    Examples
    --------
    >>> from fastgd import book
    >>> training_data, validation_data, test_data = book.load_data_wrapper("digits")
    >>> net = book.Network([64, 30, 10], seed=1)
    >>> [w.shape for w in net.weights], [b.shape for b in net.biases]
    ([(30, 64), (10, 30)], [(30, 1), (10, 1)])
    >>> net.SGD(training_data, 2, 10, 3.0)
    Epoch 0 complete
    Epoch 1 complete
    >>> net.evaluate(test_data) > 100
    True
    """

    def __init__(self, sizes: Iterable[int], seed: int | np.random.Generator | None = None):
        self.network = fastgd.Network(
            sizes,
            activation="sigmoid",
            output="sigmoid",
            loss="quadratic",
            init="standard_normal",
            dtype="float64",
            seed=seed,
        )
        self.sizes = self.network.sizes
        self.num_layers = len(self.sizes)

    @property
    def weights(self) -> list[Array]:
        """Each layer's weights (n_out, n_in): entries, arrays and the list can be assigned."""
        return _Layers("weights", [W.T for W in self.network.weights])

    @weights.setter
    def weights(self, values: Iterable[Any]) -> None:
        self.weights[:] = values

    @property
    def biases(self) -> list[Array]:
        """Each layer's biases, a column (n_out, 1), to be changed like `weights`."""
        return _Layers("biases", [b[:, np.newaxis] for b in self.network.biases])

    @biases.setter
    def biases(self, values: Iterable[Any]) -> None:
        self.biases[:] = values

    def feedforward(self, a: Any) -> Array:
        """Return the output (n_out, 1) for the input ``a`` (n_in, 1); or several, side by side."""
        a = np.asarray(a)
        if a.ndim != 2 or len(a) != self.sizes[0]:
            raise SettingError("a", f"must be a column ({self.sizes[0]}, 1); got shape {a.shape}")
        return self.network.predict(a.T).T

    def SGD(
        self,
        training_data: Iterable[Example],
        epochs: int,
        mini_batch_size: int,
        eta: float,
        test_data: Iterable[Example] | None = None,
    ) -> None:
        """Train by mini-batch stochastic gradient descent (eqs. 20 and 21), and print how it goes.

        Parameters
        ----------
        training_data : iterable of (x, y)
            Inputs (n_in, 1) and desired outputs (n_out, 1): a list, or a zip. It stays as it
            is, where the book shuffles it: the order is drawn from the network's generator.
        epochs : int
        mini_batch_size : int
            The last mini-batch of an epoch may be smaller.
        eta : float
            The learning rate.
        test_data : iterable of (x, digit), optional
            Evaluated and printed after each epoch.

        Raises
        ------
        ValueError
            If there are no examples, or they do not fit the network.
        DivergenceError
            If the cost becomes NaN or infinite.
        """
        check_integer("epochs", epochs, 0)
        check_integer("mini_batch_size", mini_batch_size, 1)
        pairs = list(training_data)
        X, Y = self._arrays(pairs, "training_data")
        report = _Report(self._evaluator([] if test_data is None else list(test_data)))
        if self._replaced("update_mini_batch", "backprop", "cost_derivative"):
            for epoch in range(epochs):
                order = self.network.rng.permutation(len(pairs))  # as `fit` does
                for start in range(0, len(pairs), mini_batch_size):
                    chosen = order[start : start + mini_batch_size]
                    self.update_mini_batch([pairs[i] for i in chosen], eta)
                report.on_epoch_end(None, epoch, None)
            return
        self.network.fit(
            X,
            Y,
            epochs=epochs,
            batch_size=mini_batch_size,
            optimizer=fastgd.SGD(learning_rate=eta),
            callbacks=report,
        )

    def update_mini_batch(self, mini_batch: Iterable[Example], eta: float) -> None:
        """Make one step: w <- w - (eta/m) sum of dC_x/dw over the m examples (eqs. 20 and 21)."""
        pairs = list(mini_batch)
        X, Y = self._arrays(pairs, "mini_batch")
        if not self._replaced("backprop", "cost_derivative"):
            self.network.partial_fit(X, Y, optimizer=fastgd.SGD(learning_rate=eta))
            return
        nablas = [self.backprop(x, y) for x, y in pairs]
        for values, gradients in zip(
            (self.biases, self.weights), zip(*nablas, strict=True), strict=True
        ):
            for value, layer in zip(values, zip(*gradients, strict=True), strict=True):
                value -= eta / len(pairs) * sum(layer)

    def backprop(self, x: Any, y: Any) -> tuple[list[Array], list[Array]]:
        """Return (nabla_b, nabla_w), the gradient of the cost C_x of one example.

        Parameters
        ----------
        x, y : arrays (n_in, 1) and (n_out, 1)

        Returns
        -------
        nabla_b, nabla_w : lists of arrays
            Layer by layer, shaped as `biases` and `weights`.
        """
        X, Y = self._arrays([(x, y)], "(x, y)")
        if self._replaced("cost_derivative"):
            # Backpropagation begins with a - y of the quadratic cost: the y that makes it this.
            a = self.feedforward(X.T)
            Y = (a - self.cost_derivative(a, Y.T)).T
        gradient = self.network.gradient(X, Y)
        layout = self.network.architecture.layout
        nabla_b = [b[:, np.newaxis] for b in layout.biases(gradient)]
        return nabla_b, [W.T for W in layout.weights(gradient)]

    def evaluate(self, test_data: Iterable[Example]) -> int:
        """Return for how many inputs the most active output is the right digit.

        Parameters
        ----------
        test_data : iterable of (x, y)
            Inputs (n_in, 1) and digits, or desired outputs (n_out, 1) as in the training data.
        """
        pairs = list(test_data)
        return self._count_right(*self._digits(pairs)) if pairs else 0

    def cost_derivative(self, output_activations: Any, y: Any) -> Any:
        """Return dC_x/da of the outputs: a - y for the quadratic cost (eq. 6)."""
        return output_activations - y

    def _replaced(self, *names: str) -> bool:
        """Return whether a subclass, or this object, has a method of its own."""
        return any(
            getattr(getattr(self, name), "__func__", None) is not getattr(Network, name)
            for name in names
        )

    def _evaluator(self, pairs: list[Example]) -> Callable[[], tuple[int, int]] | None:
        """Return what counts the right answers, out of how many; the data are read here, once."""
        if not pairs:
            return None
        if self._replaced("evaluate"):
            return lambda: (self.evaluate(pairs), len(pairs))
        X, digits = self._digits(pairs)
        return lambda: (self._count_right(X, digits), len(pairs))

    def _count_right(self, X: Array, digits: Array) -> int:
        return int(np.count_nonzero(self.network.predict(X).argmax(axis=1) == digits))

    def _arrays(self, pairs: Sequence[Example], name: str) -> tuple[Array, Array]:
        """Return examples as rows: inputs (n, n_in) and desired outputs (n, n_out)."""
        xs, ys = _unzip(pairs, name)
        X = _rows(xs, self.sizes[0], name, 0)
        return X, _rows(ys, self.sizes[-1], name, 1)

    def _digits(self, pairs: Sequence[Example]) -> tuple[Array, Array]:
        """Return test examples as inputs (n, n_in) and digits (n,)."""
        xs, ys = _unzip(pairs, "test_data")
        X = _rows(xs, self.sizes[0], "test_data", 0)
        digits = [y if np.ndim(y) == 0 else np.argmax(y) for y in ys]
        return X, np.array(digits)


class _Layers(list):
    """Views of a network's layers: assigning one writes into the network."""

    def __init__(self, name: str, views: list[Array]):
        super().__init__(views)
        self._name = name

    def __setitem__(self, index: Any, value: Any) -> None:
        if not isinstance(index, slice):
            index, value = [range(len(self))[index]], [value]
        else:
            index, value = range(len(self))[index], list(value)
        if len(index) != len(value):
            raise ValueError(f"{self._name} must be {len(index)} arrays; got {len(value)}")
        arrays = [np.array(array, dtype=np.float64) for array in value]  # may share memory with us
        for i, array in zip(index, arrays, strict=True):
            if array.shape != self[i].shape:
                raise ValueError(
                    f"{self._name}[{i}] must have shape {self[i].shape}; got shape {array.shape}"
                )
        for i, array in zip(index, arrays, strict=True):
            self[i][...] = array


class _Report:
    """Prints the book's line after each epoch."""

    def __init__(self, evaluator: Callable[[], tuple[int, int]] | None):
        self.evaluator = evaluator

    def on_epoch_end(self, network: Any, epoch: int, logs: Any) -> None:
        if self.evaluator is None:
            print(f"Epoch {epoch} complete")
        else:
            right, n = self.evaluator()
            print(f"Epoch {epoch}: {right} / {n}")


def sigmoid(z: Any) -> Any:
    """Return 1/(1 + exp(-z)) (eq. 3), elementwise.

    >>> float(sigmoid(0.0)), float(sigmoid(-1000.0))
    (0.5, 0.0)
    """
    return ACTIVATIONS.find("sigmoid").value(np.asarray(z, dtype=np.float64))


def sigmoid_prime(z: Any) -> Any:
    """Return the derivative of `sigmoid`: sigmoid(z) (1 - sigmoid(z)).

    >>> float(sigmoid_prime(0.0))
    0.25
    """
    a = sigmoid(z)
    return a * (1 - a)


def load_data(folder: str | PathLike[str] | None = None) -> tuple[Part, Part, Part]:
    """Return MNIST as the book's `mnist_loader.load_data` does.

    Parameters
    ----------
    folder : path, optional
        A folder of MNIST's files, or "digits" for the small images that come with fastgd; by
        default the folder "mnist" if there is one here, else `fastgd.data.fetch_mnist`
        downloads the files once.

    Returns
    -------
    training_data, validation_data, test_data : tuples (images, digits)
        Images float32 (n, 784), pixels from 0 to 255/256 as in the book's mnist.pkl.gz, and
        digits int64 (n,). The last sixth of the training images validates: of MNIST, 50,000
        train, 10,000 validate and 10,000 test.

    Raises
    ------
    DataError
        If the data cannot be read or downloaded, or are no images of classes.

    Examples
    --------
    >>> training_data, validation_data, test_data = load_data("digits")
    >>> training_data[0].shape, training_data[1].shape, len(test_data[0])
    ((1199, 64), (1199,), 359)
    """
    source = "mnist" if folder is None else folder
    whole = data.split(data.load(source), seed=0)  # MNIST has a test part, and stays as it is
    if whole.image_shape is None or not whole.is_classification:
        raise DataError(f"{source}: holds no images of classes; give a folder of MNIST's files")
    X, y, X_test, y_test = (
        np.asarray(array) for array in (whole.X, whole.y, whole.X_test, whole.y_test)
    )
    scale = PIXEL if whole.kind == "idx" else whole.input_scale
    images, test_images = (
        np.multiply(pixels, np.float32(scale), dtype=np.float32) for pixels in (X, X_test)
    )
    n = len(images) - len(images) // 6
    return (images[:n], y[:n]), (images[n:], y[n:]), (test_images, y_test)


def load_data_wrapper(
    folder: str | PathLike[str] | None = None,
) -> tuple[list[Example], list[Example], list[Example]]:
    """Return MNIST as the book's `mnist_loader.load_data_wrapper` does.

    Parameters
    ----------
    folder : path, optional
        As in `load_data`.

    Returns
    -------
    training_data, validation_data, test_data : lists of (x, y)
        x is a column (784, 1). y is a column (10, 1), 1.0 for the digit and 0.0 elsewhere, in
        the training data, and the digit itself in the others.

    Raises
    ------
    DataError
        As in `load_data`.

    Examples
    --------
    >>> training_data, validation_data, test_data = load_data_wrapper("digits")
    >>> x, y = training_data[0]
    >>> x.shape, y.shape, int(test_data[0][1])
    ((64, 1), (10, 1), 5)
    """
    training, validation, test = load_data(folder)
    units = [vectorized_result(j) for j in range(10)]
    return (
        list(zip(_columns(training[0]), [units[j].copy() for j in training[1]], strict=True)),
        list(zip(_columns(validation[0]), validation[1], strict=True)),
        list(zip(_columns(test[0]), test[1], strict=True)),
    )


def vectorized_result(j: int) -> Array:
    """Return the desired output for digit j: a column (10, 1), 1.0 at j and 0.0 elsewhere.

    >>> vectorized_result(3).ravel().tolist()
    [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    e = np.zeros((10, 1))
    e[j] = 1.0
    return e


def _columns(images: Array) -> list[Array]:
    return list(images[:, :, np.newaxis])


def _unzip(pairs: Sequence[Example], name: str) -> tuple[list[Any], list[Any]]:
    """Return the first and the second entries of pairs."""
    if not pairs:
        raise SettingError(name, "must hold examples (x, y); got none")
    try:
        return [x for x, _ in pairs], [y for _, y in pairs]
    except (TypeError, ValueError):
        raise SettingError(name, f"must hold pairs (x, y); got {type(pairs[0]).__name__}") from None


def _rows(columns: list[Any], n: int, name: str, which: int) -> Array:
    """Return column vectors (n, 1) as the rows of one array."""
    shapes = {np.shape(column) for column in columns}
    if shapes != {(n, 1)}:
        found = next(i for i, column in enumerate(columns) if np.shape(column) != (n, 1))
        raise ValueError(
            f"the {'xy'[which]} of {name} must be columns ({n}, 1); number {found} has shape "
            f"{np.shape(columns[found])}"
        )
    return np.concatenate(columns).reshape(len(columns), n)
