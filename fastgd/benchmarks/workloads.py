"""The five workloads: which network, which data, which start and which order of examples.

Everything a contestant needs in order to do exactly the work the others do comes from here:
``load_data`` (the examples), ``initial_parameters`` (the start) and ``orders`` (the mini-batches).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
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
    "one_hot",
    "orders",
    "synthetic_images",
    "synthetic_table",
]

Parameters = list[tuple[np.ndarray, np.ndarray]]

N_CLASSES = 10
MNIST_DENSITY = 0.19  # the share of MNIST pixels that are not zero
SYNTHETIC_SEED = 0


@dataclass(frozen=True)
class Workload:
    """One row of the benchmark table.

    Attributes
    ----------
    name : str
        The name on the command line.
    sizes : tuple of int
        Units per layer, inputs first.
    activation, output, loss : str
        The rules, by fastgd's names.
    batch_size : int
        Examples per step.
    learning_rate : float
        The step size of plain SGD.
    source : str
        ``"mnist"`` or ``"table"``.
    n_rows : int
        Training examples.
    description : str
        One line for people.
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


_LIST = (
    Workload(
        name="nielsen",
        sizes=(784, 30, 10),
        activation="sigmoid",
        output="sigmoid",
        loss="quadratic",
        batch_size=10,
        learning_rate=3.0,
        source="mnist",
        n_rows=50_000,
        description="the first network of Nielsen's book, chapter 1",
    ),
    Workload(
        name="threeblue",
        sizes=(784, 16, 16, 10),
        activation="sigmoid",
        output="sigmoid",
        loss="quadratic",
        batch_size=10,
        learning_rate=3.0,
        source="mnist",
        n_rows=50_000,
        description="the 13,002 weights and biases of 3Blue1Brown's film",
    ),
    Workload(
        name="hundred",
        sizes=(784, 100, 10),
        activation="relu",
        output="softmax",
        loss="cross_entropy",
        batch_size=32,
        learning_rate=0.1,
        source="mnist",
        n_rows=50_000,
        description="what most people would train on digits today",
    ),
    Workload(
        name="wide",
        sizes=(784, 512, 512, 10),
        activation="relu",
        output="softmax",
        loss="cross_entropy",
        batch_size=128,
        learning_rate=0.1,
        source="mnist",
        n_rows=20_000,
        description="wide enough that arithmetic, not overhead, decides",
    ),
    Workload(
        name="table",
        sizes=(8, 64, 64, 1),
        activation="relu",
        output="identity",
        loss="quadratic",
        batch_size=32,
        learning_rate=0.01,
        source="table",
        n_rows=20_000,
        description="regression on a table of eight columns",
    ),
)
WORKLOADS: dict[str, Workload] = {workload.name: workload for workload in _LIST}


def find_workload(name: str) -> Workload:
    """Return the workload of that name.

    Raises
    ------
    ValueError
        If nobody knows the name; the nearest known one is suggested.

    Examples
    --------
    >>> find_workload("nielsen").sizes
    (784, 30, 10)
    """
    if name not in WORKLOADS:
        raise unknown_name("workload", name, WORKLOADS)
    return WORKLOADS[name]


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
    X : (n_rows, n_in) float32 array, C-contiguous, from 0 to 1
    y : array
        (n_rows,) int64 classes for cross entropy, else (n_rows, n_out) float32 targets.
    origin : str
        ``"mnist"``, ``"synthetic"`` (no MNIST was found: seeded images of the same shape and the
        same share of non-zero pixels) or ``"table"`` (always seeded).

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
        return (*synthetic_table(workload.n_rows, SYNTHETIC_SEED), "table")
    folder = find_mnist(mnist)
    if folder is None:
        X, classes = synthetic_images(workload.n_rows, SYNTHETIC_SEED)
        origin = "synthetic"
    else:
        X, classes = _read_mnist(folder, workload)
        origin = "mnist"
    classifies = find_loss(workload.loss, workload.output).classifies
    y = classes if classifies else one_hot(classes, N_CLASSES)
    return X, y, origin


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


def one_hot(classes: np.ndarray, n_classes: int) -> np.ndarray:
    """Return (n, n_classes) float32 targets: 1 in each row's class, 0 elsewhere.

    Examples
    --------
    >>> one_hot(np.array([1, 0]), 2)
    array([[0., 1.],
           [1., 0.]], dtype=float32)
    """
    return np.eye(n_classes, dtype=np.float32)[classes]


def initial_parameters(workload: Workload, seed: int) -> Parameters:
    """Return the start all contestants share: normal weights of scale 1/sqrt(n_in), zero biases.

    Returns
    -------
    list of (W, b)
        Float32, one pair per layer; W is (n_in, n_out), b is (n_out,).

    Examples
    --------
    >>> [(W.shape, b.shape) for W, b in initial_parameters(WORKLOADS["nielsen"], seed=1)]
    [((784, 30), (30,)), ((30, 10), (10,))]
    """
    rng = np.random.default_rng(seed)
    return [
        (
            (rng.standard_normal((n_in, n_out)) / np.sqrt(n_in)).astype(np.float32),
            np.zeros(n_out, dtype=np.float32),
        )
        for n_in, n_out in zip(workload.sizes[:-1], workload.sizes[1:], strict=True)
    ]


def orders(workload: Workload, epochs: int, seed: int) -> np.ndarray:
    """Return the order in which each epoch visits the rows.

    Returns
    -------
    (epochs, n_rows) int64 array
        One shuffled order per epoch; ``batch_size`` consecutive entries are one mini-batch.

    Examples
    --------
    >>> orders(WORKLOADS["table"], epochs=2, seed=1).shape
    (2, 20000)
    """
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
