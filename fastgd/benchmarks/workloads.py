"""The workloads: which network, which data, which start and which order of examples.

Everything a contestant needs in order to do exactly the work the others do comes from here:
``load_data`` (the examples), ``initial_parameters`` (the start) and ``orders`` (the mini-batches).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fastgd.rules.losses import find_loss
from fastgd.rules.registry import unknown_name

__all__ = [
    "WORKLOADS",
    "Parameters",
    "Workload",
    "find_mnist",
    "find_workload",
    "initial_parameters",
    "load_data",
    "normal_rows",
    "one_hot",
    "orders",
    "synthetic_images",
    "synthetic_table",
]

Parameters = list[tuple[np.ndarray, np.ndarray]]

N_CLASSES = 10
MNIST_DENSITY = 0.19  # the share of MNIST pixels that are not zero
SYNTHETIC_SEED = 0
PREDICTED_ROWS = 1 << 16  # in an epoch of predictions, or 16 of them


@dataclass(frozen=True)
class Workload:
    """One column of the benchmark's tables.

    Attributes
    ----------
    name : str
        The name on the command line.
    sizes : tuple of int
        Units per layer, inputs first.
    activation, output, loss : str
        The rules, by fastgd's names.
    batch_size : int
        Examples per step, or rows per prediction.
    learning_rate : float
        The step size.
    source : str
        ``"mnist"``, ``"table"``, ``"normal"`` or ``"own"``; see `load_data`.
    n_rows : int
        Training examples.
    description : str
        One line for people.
    optimizer : str
        ``"sgd"``, plain, or ``"adam"`` with the moments' usual rates.
    task : str
        ``"step"`` or ``"predict"``: what is timed.
    threads : int
        How many cores, and threads, everybody may use.
    dtype : str
        Of inputs, targets and parameters.
    """

    name: str
    sizes: tuple[int, ...]
    activation: str
    output: str
    loss: str
    batch_size: int
    learning_rate: float
    source: str
    n_rows: int
    description: str
    optimizer: str = "sgd"
    task: str = "step"
    threads: int = 1
    dtype: str = "float32"


def _book(name: str, sizes: tuple[int, ...], source: str, n_rows: int, description: str,
          rate: float = 3.0) -> Workload:  # fmt: skip
    """Return a network as the book has it: sigmoids, quadratic cost, batches of 10."""
    rules = ("sigmoid", "sigmoid", "quadratic")
    return Workload(name, sizes, *rules, 10, rate, source, n_rows, description)


def _today(name: str, sizes: tuple[int, ...], batch_size: int, source: str, n_rows: int,
           description: str, rate: float = 0.1) -> Workload:  # fmt: skip
    """Return a classifier as most people train it: relu, softmax, cross entropy."""
    rules = ("relu", "softmax", "cross_entropy")
    return Workload(name, sizes, *rules, batch_size, rate, source, n_rows, description)


def _predicting(name: str, source: str, n_rows: int, description: str) -> Workload:
    """Return a prediction of so many rows at once."""
    rules = ("sigmoid", "softmax", "cross_entropy")
    sizes = (784, 30, 10)
    return Workload(name, sizes, *rules, n_rows, 0.0, source, n_rows, description, task="predict")


_STEPS = (
    _book("nielsen", (784, 30, 10), "mnist", 50_000,
          "the first network of Nielsen's book, chapter 1"),
    _book("dense-nielsen", (784, 30, 10), "normal", 20_000, "the same on normal numbers", 0.1),
    _book("threeblue", (784, 16, 16, 10), "mnist", 50_000,
          "the 13,002 weights and biases of 3Blue1Brown's film"),
    _today("dense-100", (100, 100, 10), 32, "normal", 20_000, "a table of a hundred columns"),
    _today("narrow", (784, 1, 10), 32, "normal", 20_000, "one unit: what padding costs"),
    _today("hundred", (784, 100, 10), 32, "mnist", 50_000,
           "what most people would train on digits today"),
    _today("dense-hundred", (784, 100, 10), 32, "normal", 20_000, "the same on normal numbers",
           0.02),
    _today("wide", (784, 512, 512, 10), 128, "mnist", 20_000,
           "wide enough that arithmetic, not overhead, decides"),
    _today("dense-wide", (784, 512, 512, 10), 128, "normal", 20_000,
           "the same on normal numbers", 0.02),
    _today("big", (256, 1024, 1024, 16), 256, "normal", 20_000,
           "weights beyond the second level of the cache", 0.02),
    Workload("table", (8, 64, 64, 1), "relu", "identity", "quadratic", 32, 0.01, "table", 20_000,
             "regression on a table of eight columns"),
)  # fmt: skip
_NAMED = {workload.name: workload for workload in _STEPS}
_LIST = (
    *_STEPS,
    *(
        replace(_NAMED[name], name=f"{name}-adam", optimizer="adam", learning_rate=0.001,
                description=f"{name} with Adam")
        for name in ("table", "hundred")
    ),
    *(
        replace(_NAMED[name], name=f"{name}-2", threads=2, description=f"{name} on two threads")
        for name in ("hundred", "dense-hundred", "wide", "big")
    ),
    _predicting("predict", "mnist", 10_000, "10,000 images at once"),
    _predicting("dense-predict", "normal", 10_000, "10,000 rows of normal numbers at once"),
    _predicting("row", "mnist", 1, "one image"),
    _predicting("dense-row", "normal", 1, "one row of normal numbers"),
)  # fmt: skip
WORKLOADS: dict[str, Workload] = {workload.name: workload for workload in _LIST}


def find_workload(name: str, known: Mapping[str, Workload] | None = None) -> Workload:
    """Return the workload of that name, of those that are known.

    Raises
    ------
    ValueError
        If nobody knows the name; the nearest known one is suggested.

    Examples
    --------
    >>> find_workload("nielsen").sizes
    (784, 30, 10)
    """
    known = WORKLOADS if known is None else known
    if name not in known:
        raise unknown_name("workload", name, known)
    return known[name]


def load_data(
    workload: Workload, mnist: str | os.PathLike[str] | None = None
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return a workload's training examples.

    Parameters
    ----------
    workload : Workload
        Which one; its first ``n_rows`` training images are taken, or as many rows are drawn.
    mnist : path, optional
        The folder of MNIST files; looked for as ``find_mnist`` describes when not given.

    Returns
    -------
    X : (n_rows, n_in) array in the workload's dtype, C-contiguous
    y : array
        (n_rows,) int64 classes for cross entropy, else (n_rows, n_out) targets in that dtype.
    origin : str
        ``"mnist"``, ``"synthetic"`` (no MNIST was found: seeded images of the same shape and the
        same share of non-zero pixels), ``"table"`` or ``"normal"`` (always seeded).

    Raises
    ------
    FileNotFoundError
        If the folder that was named does not exist.
    fastgd.errors.DataError
        If its files cannot be read.
    ValueError
        If it holds fewer images than the workload trains on.

    Examples
    --------
    >>> X, y, origin = load_data(WORKLOADS["table"])
    >>> X.shape, y.shape, origin
    ((20000, 8), (20000, 1), 'table')
    """
    if workload.source == "table":
        X, y = synthetic_table(workload.n_rows, SYNTHETIC_SEED)
        return X.astype(workload.dtype, copy=False), y.astype(workload.dtype, copy=False), "table"
    origin, folder = workload.source, None
    if origin == "mnist":
        folder = find_mnist(mnist)
        origin = "synthetic" if folder is None else origin
    if origin == "normal":
        n_in, *_, n_classes = workload.sizes
        X, classes = normal_rows(workload.n_rows, n_in, n_classes, SYNTHETIC_SEED)
    elif folder is None:
        X, classes = synthetic_images(workload.n_rows, SYNTHETIC_SEED)
    else:
        X, classes = _read_mnist(folder, workload)
    classifies = find_loss(workload.loss, workload.output).classifies
    y = classes if classifies else one_hot(classes, workload.sizes[-1], workload.dtype)
    return X.astype(workload.dtype, copy=False), y, origin


def find_mnist(mnist: str | os.PathLike[str] | None = None) -> Path | None:
    """Return the folder of MNIST files, or None where there is none.

    Looked for, in this order: the argument, the environment variable ``FASTGD_MNIST``, then
    ``../shared/data/mnist`` as seen from the checkout and from the current folder.

    Raises
    ------
    FileNotFoundError
        If the argument or the variable names a folder that does not exist: whoever names one
        should not get synthetic images in its place.
    """
    for origin, given in (("mnist", mnist), ("FASTGD_MNIST", os.environ.get("FASTGD_MNIST"))):
        if given:
            if not Path(given).is_dir():
                raise FileNotFoundError(f"{origin} must name a folder of MNIST files; got {given}")
            return Path(given)
    checkout = Path(__file__).resolve().parents[2]
    for base in (checkout, Path.cwd()):
        folder = base.parent / "shared" / "data" / "mnist"
        if folder.is_dir():
            return folder
    return None


def synthetic_images(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images that cost what MNIST costs: its shape, its density, ten learnable classes.

    Each class has its own probability of ink per pixel, from a beta distribution of mean 0.19
    that, as in MNIST, leaves many pixels nearly always blank.

    Returns
    -------
    X : (n_rows, 784) float32 array, from 0 to 1, 19 % of it non-zero
    classes : (n_rows,) int64 array, from 0 to 9

    Examples
    --------
    >>> X, classes = synthetic_images(1000, seed=0)
    >>> round(float((X != 0).mean()), 1)
    0.2
    """
    rng = np.random.default_rng(seed)
    a = 0.25
    ink = rng.beta(a, a * (1 - MNIST_DENSITY) / MNIST_DENSITY, (N_CLASSES, 784))
    ink = np.maximum(ink, 1e-6).astype(np.float32)
    classes = rng.integers(N_CLASSES, size=n_rows)
    X = rng.random((n_rows, 784), dtype=np.float32)
    X /= ink[classes]
    X[X >= 1] = 0  # a pixel has ink with its own probability, in any grey from 0 to 1
    return X, classes


def normal_rows(
    n_rows: int, n_columns: int, n_classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return normal numbers, none of them zero, and classes that a linear map decides.

    Returns
    -------
    X : (n_rows, n_columns) float32 array
    classes : (n_rows,) int64 array

    Examples
    --------
    >>> X, classes = normal_rows(100, 5, 3, seed=0)
    >>> bool((X != 0).all()), sorted(set(classes.tolist()))
    (True, [0, 1, 2])
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_columns), dtype=np.float32)
    directions = rng.standard_normal((n_columns, n_classes), dtype=np.float32)
    return X, np.dot(X, directions).argmax(axis=1)


def synthetic_table(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a regression table: Friedman's first function (1991), a tenth as large, plus noise.

    y = sin(pi x0 x1) + 2 (x2 - 1/2)^2 + x3 + x4 / 2 + e, e normal of scale 0.1; x5 to x7 say
    nothing.

    Returns
    -------
    X : (n_rows, 8) float32 array, from 0 to 1
    y : (n_rows, 1) float32 array
    """
    rng = np.random.default_rng(seed)
    X = rng.random((n_rows, 8), dtype=np.float32)
    x0, x1, x2, x3, x4 = X.T[:5]
    y = np.sin(np.pi * x0 * x1) + 2 * (x2 - 0.5) ** 2 + x3 + x4 / 2
    y = y + 0.1 * rng.standard_normal(n_rows)
    return X, y.astype(np.float32)[:, None]


def one_hot(classes: np.ndarray, n_classes: int, dtype: str = "float32") -> np.ndarray:
    """Return (n, n_classes) targets: 1 in each row's class, 0 elsewhere.

    Examples
    --------
    >>> one_hot(np.array([1, 0]), 2)
    array([[0., 1.],
           [1., 0.]], dtype=float32)
    """
    return np.eye(n_classes, dtype=dtype)[classes]


def initial_parameters(workload: Workload, seed: int) -> Parameters:
    """Return the start all contestants share: normal weights of scale 1/sqrt(n_in), zero biases.

    Returns
    -------
    list of (W, b)
        In the workload's dtype, one pair per layer; W is (n_in, n_out), b is (n_out,).

    Examples
    --------
    >>> [(W.shape, b.shape) for W, b in initial_parameters(WORKLOADS["nielsen"], seed=1)]
    [((784, 30), (30,)), ((30, 10), (10,))]
    """
    rng = np.random.default_rng(seed)
    return [
        (
            (rng.standard_normal((n_in, n_out)) / np.sqrt(n_in)).astype(workload.dtype),
            np.zeros(n_out, dtype=workload.dtype),
        )
        for n_in, n_out in zip(workload.sizes[:-1], workload.sizes[1:], strict=True)
    ]


def orders(workload: Workload, epochs: int, seed: int) -> np.ndarray:
    """Return the order in which each epoch visits the rows.

    A prediction takes the same rows every time; its epoch is many of them.

    Returns
    -------
    (epochs, n_rows) int64 array
        One shuffled order per epoch; ``batch_size`` consecutive entries are one mini-batch.

    Examples
    --------
    >>> orders(WORKLOADS["table"], epochs=2, seed=1).shape
    (2, 20000)
    """
    if workload.task == "predict":
        times = max(PREDICTED_ROWS // workload.n_rows, 16)
        return np.tile(np.arange(workload.n_rows, dtype=np.int64), (epochs, times))
    rng = np.random.default_rng(seed)
    rows = np.arange(workload.n_rows, dtype=np.int64)
    return np.stack([rng.permutation(rows) for _ in range(epochs)])


def _read_mnist(folder: Path, workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Return the first n_rows training images, from 0 to 1, and their classes."""
    from fastgd.data import load_idx

    data = load_idx(folder)
    if len(data.X) < workload.n_rows:
        raise ValueError(
            f"workload {workload.name!r} trains on {workload.n_rows:,} images; "
            f"{folder} holds {len(data.X):,}"
        )
    X = data.X[: workload.n_rows] / np.float32(255)
    return X, np.asarray(data.y, dtype=np.int64)[: workload.n_rows]
