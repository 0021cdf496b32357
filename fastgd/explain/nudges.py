"""The negative gradient read aloud: which weights should increase or decrease, and how much.

A step against the gradient g of size eta lowers the cost by eta |g|^2 to first order (Nielsen,
Neural Networks and Deep Learning, eqs. 9 to 11), of which each weight gives eta g_k^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.explain.names import names_for
from fastgd.rules.checks import check_integer, check_number

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["BANDS", "Nudge", "Nudges", "Prediction", "nudges"]

Array = np.ndarray

#: How much a weight should move, by its slope relative to the largest: from here on.
BANDS = {"a lot": 1 / 2, "somewhat": 1 / 10, "a little": 0.0, "not at all": 0.0}
#: Step sizes of the predictions, relative to the learning rate.
SIZES = tuple(float(size) for size in 10.0 ** np.arange(-2, 2.5, 0.5))


@dataclass(frozen=True)
class Nudge:
    """What the negative gradient asks of one weight or bias.

    Attributes
    ----------
    index : int
        Its place in ``net.parameters``.
    name : str
    layer : int
    i : int or None
        The input it comes from; None for a bias.
    j : int
    value : float
    slope : float
        dC/dw.
    update : float
        What a step adds to it.
    band : str
        One of `BANDS`.
    share : float
        Its part of the cost the step saves, to first order.
    """

    index: int
    name: str
    layer: int
    i: int | None
    j: int
    value: float
    slope: float
    update: float
    band: str
    share: float

    @property
    def direction(self) -> str:
        """``"increase"``, ``"decrease"`` or ``"stay"``."""
        return "stay" if self.slope == 0 else "decrease" if self.slope > 0 else "increase"


@dataclass(frozen=True)
class Prediction:
    """What a step of some size does to the cost: to first order, and in truth."""

    step_size: float
    predicted: float
    true: float

    @property
    def ratio(self) -> float:
        """The true change over the predicted one; 1 is a perfect prediction, NaN if both are 0."""
        return self.true / self.predicted if self.predicted else float("nan")


@dataclass(frozen=True, eq=False)
class Nudges:
    """The negative gradient in words and numbers.

    Attributes
    ----------
    gradient : ndarray of shape (n_parameters,)
        As the backend computes it.
    top : tuple of Nudge
        Those that give the most, first the largest.
    counts : dict of str to (int, int)
        For each band, how many weights and biases should increase and decrease; of those whose
        slope is 0, how many there are, and 0.
    learning_rate, cost : float
    n_examples : int
    predictions : tuple of Prediction
        Over step sizes around the learning rate.
    """

    gradient: Array
    top: tuple[Nudge, ...]
    counts: dict[str, tuple[int, int]]
    learning_rate: float
    cost: float
    n_examples: int
    predictions: tuple[Prediction, ...] = field(default=())

    @property
    def length(self) -> float:
        """The length of the gradient, |g|."""
        return float(np.linalg.norm(self.gradient))

    @property
    def share(self) -> float:
        """What part of the first-order saving comes from ``top``."""
        return float(sum(nudge.share for nudge in self.top))

    def __str__(self) -> str:
        n = len(self.gradient)
        lines = [
            f"{n:,} weights and biases; cost {self.cost:.6g} over {self.n_examples:,} examples; "
            f"length of the gradient {self.length:.4g}.",
            "",
            "To lower the cost (of the largest slope: a lot from 1/2, somewhat from 1/10):",
        ]
        for band, (up, down) in self.counts.items():
            if band == "not at all":
                lines.append(f"  {band:<10} {up + down:>9,}")
            else:
                lines.append(f"  {band:<10} {up:>9,} should increase {down:>9,} should decrease")
        lines += ["", f"The {len(self.top)} that give the most, {self.share:.0%} of it together:"]
        width = max((len(nudge.name) for nudge in self.top), default=0)
        lines.append(f"  {'':<19} {'':<{width}}  {'value':>10} {'update':>10}  {'saves':>6}")
        lines += [
            f"  {t.direction:<8} {t.band:<10} {t.name:<{width}}  {t.value:>10.4g} "
            f"{t.update:>+10.3g}  {t.share:>6.1%}"
            for t in self.top
        ]
        lines += ["", "How well first order predicts:", *self._told_predictions()]
        return "\n".join(lines)

    def _told_predictions(self) -> list[str]:
        lines = [
            f"  {'step size':>10} {'gradient x step':>16} {'true change':>14} {'true part':>10}"
        ]
        for p in self.predictions:
            part = f"{p.ratio:>10.1%}" if np.isfinite(p.ratio) else f"{'-':>10}"
            lines.append(f"  {p.step_size:>10.3g} {p.predicted:>16.4g} {p.true:>14.4g} {part}")
        return lines


def nudges(
    network: Network,
    X: Any,
    y: Any,
    top: int = 20,
    learning_rate: float = 0.1,
    *,
    step_sizes: Sequence[float] | None = None,
    image_shape: Any = None,
    feature_names: Any = None,
    class_names: Any = None,
) -> Nudges:
    """Read the negative gradient aloud: which weights should move, where and how much.

    A weight whose slope is at least half the largest should move *a lot*, at least a tenth
    *somewhat*, less *a little*; where the slope is exactly 0, *not at all*.

    Parameters
    ----------
    network : Network
        Not changed.
    X, y : array
        Examples, as in `Network.fit`; the gradient is that of their cost.
    top : int, default 20
        How many to name, at least 1.
    learning_rate : float, default 0.1
        The step the updates are for, above 0.
    step_sizes : sequence of float, optional
        For which the true change of the cost is compared with the first-order one; by default
        from a hundredth of the learning rate to a hundred times it. True costs are computed on a
        float64 copy: differences so small drown in the rounding of float32.
    image_shape, feature_names, class_names : optional
        For the names: (height, width) of images, names of inputs, labels of outputs.

    Returns
    -------
    Nudges

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted, or the gradient is not finite.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.nudges import nudges
    >>> net = fastgd.Network([2, 1], output="identity", loss="sse", dtype="float64", seed=0)
    >>> net.parameters = [2, 1, 0]
    >>> told = nudges(net, [[3, 1]], [10], top=1, step_sizes=[0.001])
    >>> told.top[0].name, told.top[0].slope, told.top[0].direction
    ('input 0 to output 0', -18.0, 'increase')
    >>> print(f"{told.predictions[0].predicted:.4f} {told.predictions[0].true:.4f}")
    -0.3960 -0.3916
    """
    check_integer("top", top, 1)
    check_number("learning_rate", learning_rate, above=0)
    sizes = None if step_sizes is None else list(step_sizes)
    for k, size in enumerate(sizes or ()):
        check_number(f"step_sizes[{k}]", size, above=0)
    names = names_for(network, image_shape, feature_names, class_names)
    network.check_parameters()
    gradient = np.asarray(network.gradient(X, y), dtype=np.float64)
    if not np.isfinite(gradient).all():
        raise ValueError("the gradient is not finite: the network's outputs overflow for this X")
    largest = float(np.abs(gradient).max())
    total = float(gradient @ gradient) or 1.0
    cost = network.loss(X, y)
    if sizes is None:
        # No further than where first order would promise a cost of 0.
        most = min(learning_rate, cost / total / SIZES[-1]) or learning_rate
        sizes = [most * size for size in SIZES]
    chosen = np.argsort(-np.abs(gradient), kind="stable")[:top]
    named = []
    for index in map(int, chosen):
        layer, i, j = names.place(index)
        slope = float(gradient[index])
        named.append(
            Nudge(
                index=index, name=names.parameter(index), layer=layer, i=i, j=j,
                value=float(network.parameters[index]), slope=slope,
                update=-learning_rate * slope, band=_band(slope, largest),
                share=slope * slope / total,
            )
        )  # fmt: skip
    return Nudges(
        gradient=gradient,
        top=tuple(named),
        counts=_counts(gradient, largest),
        learning_rate=float(learning_rate),
        cost=cost,
        n_examples=int(X.shape[0]) if hasattr(X, "shape") else len(X),
        predictions=_predictions(network, X, y, gradient, sizes),
    )


def _band(slope: float, largest: float) -> str:
    size = abs(slope)
    if not size:
        return "not at all"
    return next(band for band, least in BANDS.items() if size >= least * largest)


def _counts(gradient: Array, largest: float) -> dict[str, tuple[int, int]]:
    """Return, for each band, how many should increase and decrease."""
    size = np.abs(gradient)
    counts, above = {}, np.inf
    for band, least in list(BANDS.items())[:-1]:
        within = (size >= least * largest) & (size < above) & (size > 0)
        counts[band] = int((within & (gradient < 0)).sum()), int((within & (gradient > 0)).sum())
        above = least * largest
    counts["not at all"] = int((size == 0).sum()), 0
    return counts


def _predictions(
    network: Network, X: Any, y: Any, gradient: Array, sizes: Sequence[float]
) -> tuple[Prediction, ...]:
    """Return the change of the cost for each step size, by first order and in truth."""
    copy = _in_float64(network)
    before, start = copy.loss(X, y), copy.parameters.copy()
    found = []
    for size in sizes:
        copy.parameters = start - size * gradient
        change = copy.loss(X, y) - before
        found.append(Prediction(float(size), float(-size * (gradient @ gradient)), change))
    return tuple(found)


def _in_float64(network: Network) -> Network:
    """Return a copy of the network that computes in float64."""
    made = network.like(dtype="float64", init="zeros")
    made.parameters = network.parameters
    return made
