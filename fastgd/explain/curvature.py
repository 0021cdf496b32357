"""Second derivatives of the cost: how it curves, and the largest learning rate that can work.

The product of the Hessian and a vector is exact and costs about twice a gradient: the R-operator
of Pearlmutter, Fast Exact Multiplication by the Hessian (1994), section 3. R{x} is how x changes,
to first order, where the parameters w change by v. Everything here is computed in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.backends import reference
from fastgd.engine.inputs import Inputs, Targets
from fastgd.errors import MissingExtraError, SettingError, SettingTypeError
from fastgd.explain.names import Names
from fastgd.rules.checks import check_integer, check_number
from fastgd.rules.losses import Point

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = [
    "MOST_PARAMETERS",
    "Curvature",
    "Hessian",
    "curvature",
    "hessian",
    "hessian_vector",
    "largest_eigenvalue",
    "largest_stable_rate",
]

Array = np.ndarray

#: Up to so many parameters all second derivatives are computed: 72 MB of them.
MOST_PARAMETERS = 3000
#: Up to so many, eigenvalues come from the whole matrix: Lanczos would not be faster.
FEW_PARAMETERS = 64


class Hessian:
    """All second derivatives of one network's cost, known by their products with vectors.

    Parameters
    ----------
    network : Network
        Stays as it is; later changes of its parameters are not seen.
    X, y : array
        As in `Network.fit`; checked here, once.

    Raises
    ------
    TypeError, ValueError
        If X or y do not fit the network, or its parameters are not finite.

    Examples
    --------
    >>> import fastgd
    >>> net = fastgd.Network([1, 1], output="identity", loss="sse", init="zeros")
    >>> H = Hessian(net, [[3.0]], [10.0])  # C = (3 w + b - 10)^2
    >>> H.times(np.array([1.0, 0.0]))
    array([18.,  6.])
    """

    def __init__(self, network: Network, X: Any, y: Any):
        network.check_parameters()
        examples = network.check_examples(X, y)
        self.inputs, self.targets = examples.inputs, examples.targets
        self.architecture = replace(network.architecture, dtype="float64")
        self.parameters = network.parameters.astype(np.float64)
        self.dtype = network.dtype

    def times(self, v: Array) -> Array:
        """Return the Hessian times v: R{dC/dw}, both float64 of shape (n_parameters,).

        Raises
        ------
        ValueError
            If a number of the product is not finite: the message says which.
        """
        product = np.zeros_like(self.parameters)
        with np.errstate(over="ignore", invalid="ignore"):
            for X, Y in self._blocks(self.inputs, self.targets):
                self._add(X, Y, v, product)
            if self.architecture.loss.batch_average:
                product /= len(self.inputs)
        self._check_finite(product)
        return product

    def _check_finite(self, numbers: Array) -> None:
        """Raise unless second derivatives (..., n_parameters) are finite."""
        finite = np.isfinite(numbers)
        if not finite.all():
            place = np.unravel_index(np.argmin(finite), finite.shape)
            index = int(place[-1])
            name = Names(self.architecture.sizes).parameter(index)
            raise ValueError(
                f"the second derivatives must be finite; for parameters[{index}] ({name}) there is "
                f"{numbers[place]}: the network's numbers overflow on X, it may have diverged"
            )

    def matrix(self) -> Array:
        """Return the Hessian itself, float64 of shape (n_parameters, n_parameters), symmetric.

        Raises
        ------
        ValueError
            If there are more than 3,000 parameters.
        """
        n = len(self.parameters)
        if n > MOST_PARAMETERS:
            raise ValueError(
                f"all second derivatives are for networks of at most {MOST_PARAMETERS:,} "
                f"parameters; this one has {n:,}, so {n:,} x {n:,} of them: hessian_vector gives "
                "their product with any vector, largest_eigenvalue the steepest curvature"
            )
        found = np.zeros((n, n))
        with np.errstate(over="ignore", invalid="ignore"):
            for X, Y in self._blocks(self.inputs, self.targets):
                self._add_matrix(X, Y, found)
        if self.architecture.loss.batch_average:
            found /= len(self.inputs)
        self._check_finite(found)
        return np.tril(found) + np.tril(found, -1).T

    def _blocks(self, inputs: Inputs, targets: Targets) -> Iterator[tuple[Array, Array]]:
        """Yield inputs and targets, rows by rows, so that memory stays bounded."""
        n = len(inputs)
        rows = min(reference.BLOCK, inputs.most_rows, targets.most_rows)
        for start in range(0, n, rows):
            stop = min(start + rows, n)
            X = reference.dense(inputs.rows(start, stop), slice(None))
            if self.architecture.input_columns is None:
                # Numbers the network reads in float32 are these numbers for it.
                X = X.astype(self.dtype, copy=False).astype(np.float64, copy=False)
            yield X, reference.one_hot(self.architecture, targets.rows(start, stop))

    def _add(self, X: Array, Y: Array, v: Array, product: Array) -> None:
        """Add to the product what these rows contribute."""
        architecture, layout = self.architecture, self.architecture.layout
        zs, activations = reference.feed_forward(architecture, self.parameters, X)
        deltas = reference.carry_back(architecture, self.parameters, zs, activations, Y)
        R_zs, R_activations = self._forward(zs, activations, v)
        R_delta = self._output_change(zs[-1], activations[-1], Y, R_zs[-1], R_activations[-1])
        weights, V = layout.weights(self.parameters), layout.weights(v)
        R_weights, R_biases = layout.weights(product), layout.biases(product)
        for layer in range(len(zs) - 1, -1, -1):
            a, delta = activations[layer], deltas[layer]
            R_weights[layer] += a.T @ R_delta
            R_biases[layer] += R_delta.sum(axis=0)
            if layer == 0:  # the inputs do not change
                break
            R_weights[layer] += R_activations[layer].T @ delta
            rule, z = architecture.rules[layer - 1], zs[layer - 1]
            carried = delta @ weights[layer].T
            R_carried = R_delta @ weights[layer].T + delta @ V[layer].T
            R_delta = R_carried * rule.derivative(z, a)
            R_delta += carried * rule.second_derivative(z, a) * R_zs[layer - 1]

    def _add_matrix(self, X: Array, Y: Array, found: Array) -> None:
        """Add to the lower half of the Hessian what these rows contribute.

        A change of one weight W[i, j] or bias b[j] changes z[j] by a_prev[i], or 1, and all after
        it in proportion. So R{...} is computed once a unit j, for R{z[j]} = 1, and each row's part
        of the derivatives by the parameters from that layer on is multiplied by a_prev.
        """
        architecture, layout = self.architecture, self.architecture.layout
        zs, activations = reference.feed_forward(architecture, self.parameters, X)
        deltas = reference.carry_back(architecture, self.parameters, zs, activations, Y)
        ones = np.ones((len(X), 1))
        read = [np.hstack([a, ones]) for a in activations[:-1]]  # a bias reads a 1
        for layer, (n_in, n_out) in enumerate(layout.shapes):
            begin = layout.offsets[layer]
            for j in range(n_out):
                unit = np.zeros_like(zs[layer])
                unit[:, j] = 1
                R = self._after(layer, unit, zs, activations, deltas, Y)
                columns = begin + j + n_out * np.arange(n_in + 1)
                for later, (R_a, R_delta) in enumerate(R, layer):
                    part = read[later][:, :, None] * R_delta[:, None, :]
                    if later > layer:
                        part[:, :-1] += R_a[:, :, None] * deltas[later][:, None, :]
                    rows = layout.offsets[later] + np.arange(part[0].size)
                    found[np.ix_(rows, columns)] += part.reshape(len(X), -1).T @ read[layer]

    def _after(
        self, layer: int, R_z: Array, zs: list[Array], activations: list[Array],
        deltas: list[Array], Y: Array,
    ) -> list[tuple[Array, Array]]:  # fmt: skip
        """Return R{a_prev} and R{delta} of a layer and those after it, from R{z} of the layer."""
        architecture, rules = self.architecture, self.architecture.rules
        weights = architecture.layout.weights(self.parameters)
        R_zs, R_as = [R_z], [np.zeros((1, 1))]
        for later in range(layer, len(zs)):
            R_as.append(rules[later].change(zs[later], activations[later + 1], R_zs[-1]))
            if later + 1 < len(zs):
                R_zs.append(R_as[-1] @ weights[later + 1])
        R_delta = self._output_change(zs[-1], activations[-1], Y, R_zs[-1], R_as[-1])
        R_deltas = [R_delta]
        for later in range(len(zs) - 1, layer, -1):
            z, a, rule = zs[later - 1], activations[later], rules[later - 1]
            R_delta = (R_delta @ weights[later].T) * rule.derivative(z, a)
            carried = deltas[later] @ weights[later].T
            R_delta += carried * rule.second_derivative(z, a) * R_zs[later - 1 - layer]
            R_deltas.append(R_delta)
        return list(zip(R_as, R_deltas[::-1], strict=False))

    def _forward(self, zs: list[Array], activations: list[Array], v: Array) -> Any:
        """Return R{z} of every layer, and R{a} with that of the inputs, 0, first."""
        weights, layout = (
            self.architecture.layout.weights(self.parameters),
            self.architecture.layout,
        )
        V, V_biases = layout.weights(v), layout.biases(v)
        R_zs: list[Array] = []
        R_activations = [np.zeros((1, 1))]
        for layer, rule in enumerate(self.architecture.rules):
            R_z = activations[layer] @ V[layer] + V_biases[layer]
            if layer:
                R_z += R_activations[layer] @ weights[layer]
            R_zs.append(R_z)
            R_activations.append(rule.change(zs[layer], activations[layer + 1], R_z))
        return R_zs, R_activations

    def _output_change(self, z: Array, a: Array, Y: Array, R_z: Array, R_a: Array) -> Array:
        """Return R{delta} of the output."""
        rule, loss = self.architecture.rules[-1], self.architecture.loss
        slope, R_slope = np.ones_like(z), np.zeros_like(z)
        if not rule.row_wise:
            slope, R_slope = rule.derivative(z, a), rule.second_derivative(z, a) * R_z
        change = loss.delta_change(Point(z, a, Y, slope), Point(R_z, R_a, 0.0, R_slope))
        return change / self.architecture.n_outputs if loss.output_average else change


@dataclass(frozen=True)
class Curvature:
    """How the cost curves where it curves most.

    Attributes
    ----------
    eigenvalue : float
        The largest eigenvalue of the Hessian: the cost's second derivative along ``direction``.
    direction : float64 ndarray of shape (n_parameters,)
        Its eigenvector, of length 1; its largest number is positive.
    slope : float
        The slope of the cost along ``direction``.
    cost : float
        ``net.loss`` there.
    examples : int
    sums : bool
        Whether the cost is the sum over the examples (``sse``), not their average.
    """

    eigenvalue: float
    direction: Array
    slope: float
    cost: float
    examples: int
    sums: bool

    def stable_rate(self, batch_size: int | None = None) -> float:
        """Return 2 / eigenvalue, infinite where no direction curves upwards.

        With more, gradient descent jumps over the minimum along ``direction`` and lands further
        off each time (LeCun et al., Efficient BackProp, 1998, section 5.1). A cost that sums
        (``sse``) curves less the fewer examples a step sums over: ``batch_size`` says how many,
        all by default. An averaged cost does not depend on it.
        """
        if self.eigenvalue <= 0:
            return float("inf")
        share = 1.0
        if self.sums and batch_size is not None:
            share = min(batch_size, self.examples) / self.examples
        return 2 / (self.eigenvalue * share)

    def __str__(self) -> str:
        head = f"largest eigenvalue of the second derivatives: {self.eigenvalue:.4g}"
        if self.eigenvalue <= 0:
            return (
                f"{head}\nno direction curves upwards here: no largest stable learning rate follows"
            )
        lines = [
            head,
            f"largest stable learning rate: 2 / {self.eigenvalue:.4g} = {self.stable_rate():.4g}, "
            "for steps on all examples",
        ]
        if self.sums:
            lines.append(
                "the cost sums over the examples: a step on a mini-batch of m of them may be "
                f"{self.examples:,} / m times as large, at most {self.stable_rate(1):.4g} for m = 1"
            )
        return "\n".join(lines)


def hessian_vector(network: Network, X: Any, y: Any, v: Any) -> Array:
    """Return the product of the Hessian of ``net.loss`` with a vector, exactly.

    It is how the gradient changes, to first order, where the parameters change by v. A relu counts
    as the straight line it is on; at its kink, z = 0, as the one for z < 0.

    Parameters
    ----------
    network : Network
    X, y : array
        As in `Network.fit`; more rows take longer, not more memory.
    v : array of shape (n_parameters,)
        In the order of ``net.parameters``.

    Returns
    -------
    float64 ndarray of shape (n_parameters,)

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted, or a number of the product is not finite.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.curvature import hessian_vector
    >>> net = fastgd.Network([1, 1], output="identity", loss="quadratic", init="zeros")
    >>> hessian_vector(net, [[3.0]], [10.0], [1, 0])  # C = (3 w + b - 10)^2 / 2
    array([9., 3.])
    """
    H = Hessian(network, X, y)
    return H.times(_check_vector(v, network.n_parameters))


def hessian(network: Network, X: Any, y: Any) -> Array:
    """Return all second derivatives of ``net.loss``, for small networks.

    Parameters
    ----------
    network : Network
        Of at most 3,000 parameters.
    X, y : array
        As in `Network.fit`.

    Returns
    -------
    float64 ndarray of shape (n_parameters, n_parameters)
        Symmetric; rows and columns in the order of ``net.parameters``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted, or the network is too large.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.curvature import hessian
    >>> net = fastgd.Network([1, 1], output="identity", loss="quadratic", init="zeros")
    >>> hessian(net, [[3.0]], [10.0])
    array([[9., 3.],
           [3., 1.]])
    """
    return Hessian(network, X, y).matrix()


def curvature(
    network: Network, X: Any, y: Any, *, seed: int = 0, tolerance: float = 1e-4
) -> Curvature:
    """Find the direction in which the cost curves upwards most, and how much.

    By the Lanczos method (ARPACK in scipy), from a random start: some 20 to 100 products with the
    Hessian. Up to 64 parameters all eigenvalues are computed instead, without scipy. A few thousand
    examples tell as much as all.

    Parameters
    ----------
    network : Network
    X, y : array
        As in `Network.fit`.
    seed : int, default 0
        Of the random start.
    tolerance : float, default 1e-4
        How near, relative to the eigenvalue, the Hessian times the direction must come to the
        eigenvalue times the direction; the eigenvalue itself is far more exact.

    Returns
    -------
    Curvature

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted, or second derivatives are not finite.
    MissingExtraError
        If scipy is missing.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.curvature import curvature
    >>> net = fastgd.Network([1, 1], output="identity", loss="quadratic", init="zeros")
    >>> print(curvature(net, [[3.0]], [10.0]))
    largest eigenvalue of the second derivatives: 10
    largest stable learning rate: 2 / 10 = 0.2, for steps on all examples
    """
    check_integer("seed", seed, 0)
    check_number("tolerance", tolerance, above=0, below=1)
    H = Hessian(network, X, y)
    value, direction = _top(H, np.random.default_rng(seed), tolerance)
    direction = direction * (1.0 if direction[np.argmax(np.abs(direction))] > 0 else -1.0)
    gradient = network.gradient(X, y).astype(np.float64)
    return Curvature(
        eigenvalue=value,
        direction=direction,
        slope=float(gradient @ direction),
        cost=network.loss(X, y),
        examples=len(H.inputs),
        sums=not network.architecture.loss.batch_average,
    )


def largest_eigenvalue(
    network: Network, X: Any, y: Any, seed: int = 0, tolerance: float = 1e-4
) -> float:
    """Return the largest eigenvalue of the Hessian of ``net.loss``; see `curvature`.

    >>> import fastgd
    >>> net = fastgd.Network([1, 1], output="identity", loss="quadratic", init="zeros")
    >>> round(largest_eigenvalue(net, [[3.0]], [10.0]), 6)
    10.0
    """
    return curvature(network, X, y, seed=seed, tolerance=tolerance).eigenvalue


def largest_stable_rate(
    network: Network, X: Any, y: Any, *, batch_size: int | None = None, seed: int = 0,
    tolerance: float = 1e-4,
) -> float:  # fmt: skip
    """Return 2 / `largest_eigenvalue`: with a higher rate, gradient descent leaves a minimum.

    Mini-batches curve more than their average: with few examples in each, stay well below.
    ``batch_size`` matters for ``sse`` only, whose step sums over the mini-batch: then it is the
    rate for mini-batches of so many, by default for all examples at once. Infinite where no
    direction curves upwards.

    >>> import fastgd
    >>> net = fastgd.Network([1, 1], output="identity", loss="quadratic", init="zeros")
    >>> round(largest_stable_rate(net, [[3.0]], [10.0]), 6)
    0.2
    """
    if batch_size is not None:
        check_integer("batch_size", batch_size, 1)
    return curvature(network, X, y, seed=seed, tolerance=tolerance).stable_rate(batch_size)


def _check_vector(v: Any, n: int) -> Array:
    try:
        given = np.asarray(v)
    except ValueError:  # ragged lists
        raise SettingError("v", f"must have shape ({n},), one number for each parameter") from None
    if given.shape != (n,):
        raise SettingError(
            "v", f"must have shape ({n},), one number for each parameter; got shape {given.shape}"
        )
    if given.dtype.kind not in "biuf":
        raise SettingTypeError("v", f"must be real numbers; got dtype {given.dtype}")
    finite = np.isfinite(given)
    if not finite.all():
        index = int(np.argmin(finite))
        raise SettingError("v", f"must be finite; v[{index}] is {given[index]}")
    return given.astype(np.float64)


def _top(H: Hessian, rng: np.random.Generator, tolerance: float) -> tuple[float, Array]:
    """Return the largest eigenvalue and its eigenvector."""
    n = len(H.parameters)
    if n <= FEW_PARAMETERS:
        values, vectors = np.linalg.eigh(H.matrix())
        return float(values[-1]), vectors[:, -1]
    try:
        from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
    except ImportError as error:
        raise MissingExtraError(
            f'the Lanczos method needs scipy: pip install "fastgd[plot]" ({error})'
        ) from None
    start = rng.standard_normal(n)
    if not H.times(start).any():  # no curvature at all, where ARPACK cannot begin
        return 0.0, start / np.linalg.norm(start)
    operator = LinearOperator((n, n), matvec=lambda v: H.times(v.reshape(n)), dtype=np.float64)
    try:
        values, vectors = eigsh(operator, k=1, which="LA", v0=start, tol=tolerance)
    except ArpackNoConvergence as error:
        raise SettingError(
            "tolerance", f"must be one the Lanczos method reaches; got {tolerance:g}: {error}"
        ) from None
    return float(values[0]), vectors[:, 0]
