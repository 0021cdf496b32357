"""Which learning rate to begin with: the curvature's bound, and a test over a range of rates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.backends import reference
from fastgd.engine.inputs import Examples, check_examples
from fastgd.engine.session import Session
from fastgd.engine.state import State
from fastgd.errors import DivergenceError, SettingError
from fastgd.explain.curvature import Curvature, curvature
from fastgd.rules.checks import check_integer, check_number
from fastgd.rules.optimizers import SGD

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["LearningRate", "RangeTest", "range_test", "sample", "suggest_learning_rate"]

Array = np.ndarray

#: How many examples the curvature and the costs are measured on, and with how many multiplications
#: at once: fewer examples for large networks, but not fewer than FEWEST.
EXAMPLES, WORK, FEWEST = 2000, 1 << 26, 100
#: The rates tested, as multiples of the largest stable one, and where there is none.
BELOW, ABOVE, LOW, HIGH = 1e-4, 1e2, 1e-5, 1e2
#: Mini-batches of the test. More of them find lower rates: the cost has fallen before.
STEPS, MOST_STEPS = 100, 10_000
#: The curve is smoothed over this much of a power of ten.
SMOOTHING = 0.15
#: A cost above its start by this factor has blown up; by the larger one, the test ends.
BLOWN_UP, ENDED = 1.25, 4.0
#: A cost that falls by less than this share has not fallen.
FALL = 0.05
#: The eigenvalue need not be exact here.
TOLERANCE = 1e-2


@dataclass(frozen=True)
class RangeTest:
    """The cost while the learning rate was raised from step to step.

    Attributes
    ----------
    rates : float64 ndarray of shape (n,)
        The rate of each step, ascending by a constant factor; it ends early where the cost blew up.
    costs : float64 ndarray of shape (n,)
        The cost per example after each step, always of the same examples; the last one may be
        infinite or NaN.
    smoothed : float64 ndarray of shape (n,)
        The costs averaged over neighbouring rates, what blew up counted as 4 times the start.
    start_cost : float
        The cost per example before the first step.
    batch_size : int
        Examples in the mini-batch of each step.
    """

    rates: Array
    costs: Array
    smoothed: Array
    start_cost: float
    batch_size: int

    @property
    def best(self) -> float:
        """The rate at which the smoothed cost was lowest."""
        return float(self.rates[self._best])

    @property
    def best_cost(self) -> float:
        """The smoothed cost there."""
        return float(self.smoothed[self._best])

    @property
    def fell(self) -> bool:
        """Whether the cost fell by 5 % of its start at least."""
        return self.best_cost < (1 - FALL) * self.start_cost

    @property
    def steepest(self) -> float | None:
        """The rate at which the smoothed cost fell fastest, per power of ten; None if it did not.

        This is where it learns most from a step, but with rates that are raised this early: often
        far below the best rate to train with.
        """
        if not self.fell:
            return None
        slopes = np.gradient(self.smoothed, np.log10(self.rates))
        return float(self.rates[int(np.argmin(slopes[: self._best + 1]))])

    @property
    def blow_up(self) -> float | None:
        """The lowest rate above the best with a smoothed cost a quarter above the start, if any."""
        high = self.smoothed > BLOWN_UP * self.start_cost
        high[-1] |= not np.isfinite(self.costs[-1])
        high[: self._best + 1] = False
        return float(self.rates[int(np.argmax(high))]) if high.any() else None

    @property
    def _best(self) -> int:
        return int(np.argmin(self.smoothed))

    def __str__(self) -> str:
        head = (
            f"range test: rates from {self.rates[0]:.3g} to {self.rates[-1]:.3g} over "
            f"{len(self.rates)} mini-batches of {self.batch_size}"
        )
        lines = [head]
        if self.steepest is None:
            lines.append(f"the cost never falls by {FALL:.0%} from {self.start_cost:.4g}")
        else:
            lines.append(f"the cost falls fastest at rate {self.steepest:.3g}")
            lines.append(
                f"it is lowest at rate {self.best:.3g}: {self.best_cost:.4g}, from "
                f"{self.start_cost:.4g}"
            )
        if self.blow_up is None:
            lines.append("it does not blow up")
        else:
            lines.append(f"it blows up at rate {self.blow_up:.3g}")
        return "\n".join(lines)


def range_test(
    network: Network,
    X: Any,
    y: Any,
    low: float = LOW,
    high: float = HIGH,
    *,
    steps: int = STEPS,
    batch_size: int = 32,
    seed: int = 0,
) -> RangeTest:
    """Raise the learning rate from mini-batch to mini-batch, on a copy, and watch the cost.

    As in Smith, Cyclical Learning Rates for Training Neural Networks (2015), section 3.3, with the
    rate raised by a factor instead of a summand, and the cost measured on the same examples after
    every step (at most 2,000, drawn by the seed): mini-batches differ too much.

    Parameters
    ----------
    network : Network
        Stays as it is.
    X, y : array
        As in `Network.fit`.
    low, high : float, default 1e-5 and 100
        The first rate and, unless the cost blows up before, the last.
    steps : int, default 100
        10 to 10,000 mini-batches.
    batch_size : int, default 32
        Examples in a mini-batch.
    seed : int, default 0
        Of the order of the examples, and of those the cost is measured on.

    Returns
    -------
    RangeTest

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted. A cost that becomes infinite or NaN is a result, not an
        error, unless it is so before the first step.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.rates import range_test
    >>> net = fastgd.Network([1, 1], output="identity", loss="quadratic", init="zeros")
    >>> found = range_test(net, [[3.0], [3.0]], [10.0, 10.0])  # C = (3 w + b - 10)^2 / 2
    >>> found.best < 0.2 < found.blow_up  # 2 / largest eigenvalue is 0.2
    True
    """
    check_number("low", low, above=0)
    check_number("high", high, above=low)
    if check_integer("steps", steps, 10) > MOST_STEPS:
        raise SettingError("steps", f"must be at most {MOST_STEPS:,}; got {steps}")
    check_integer("batch_size", batch_size, 1)
    check_integer("seed", seed, 0)
    examples = network.check_examples(X, y)
    network.check_parameters()
    rng, learner = np.random.default_rng(seed), network.copy()
    measured = check_examples(*sample(network, examples, rng), network.architecture)
    start_cost = _cost(learner, measured)
    if not math.isfinite(start_cost):
        raise ValueError(f"the network's cost must be finite; for X and y it is {start_cost}")
    rates = np.geomspace(low, high, steps)
    batch_size = min(batch_size, len(examples))
    state = State(learner.parameters, rng)
    rising = SGD(lambda step: float(rates[step]))
    session = Session(learner.runner, rising, state, batch_size=batch_size)
    costs: list[float] = []
    for _ in rates:
        try:
            session.advance(examples, most_steps=1)
        except DivergenceError:
            costs.append(math.inf)
            break
        costs.append(_cost(learner, measured))
        if _is_lost(costs, start_cost):
            break
    rates, found = rates[: len(costs)], np.array(costs)
    return RangeTest(rates, found, _smooth(rates, found, start_cost), start_cost, batch_size)


def _is_lost(costs: list[float], start_cost: float) -> bool:
    """Return whether the last three costs are far above the start, or NaN."""
    return len(costs) >= 3 and not min(costs[-3:]) <= ENDED * start_cost


def _cost(network: Network, examples: Examples) -> float:
    """Return the cost per example."""
    with np.errstate(over="ignore", invalid="ignore"):
        return network.runner.total(network.parameters, examples, None) / len(examples)


def _smooth(rates: Array, costs: Array, start_cost: float) -> Array:
    """Return costs averaged with weights that fall as a normal curve over log rate."""
    most = ENDED * start_cost
    capped = np.minimum(np.where(np.isfinite(costs), costs, most), most)
    decades = np.log10(rates)
    smoothed = np.empty_like(capped)
    for i, at in enumerate(decades):
        weights = np.exp(-(((decades - at) / SMOOTHING) ** 2) / 2)
        smoothed[i] = weights @ capped / weights.sum()
    return smoothed


def sample(network: Network, examples: Examples, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return some rows of X and y, dense: at most 2,000, fewer for large networks."""
    most = min(EXAMPLES, max(FEWEST, WORK // network.n_parameters))
    n = len(examples)
    rows = np.sort(rng.permutation(n)[:most]) if n > most else np.arange(n)
    return reference.dense(examples.inputs.take(rows), slice(None)), examples.targets.y[rows]


@dataclass(frozen=True)
class LearningRate:
    """A learning rate to begin with, and why.

    Attributes
    ----------
    suggested : float
        With two digits.
    largest_stable_rate : float
        2 / the largest eigenvalue of the Hessian, for steps of this batch size; infinite where the
        cost curves upwards in no direction.
    curvature : Curvature
        Where that comes from.
    range_test : RangeTest
        Rates around it, tried.
    batch_size : int
    reason : str
        How the rate follows from both.
    """

    suggested: float
    largest_stable_rate: float
    curvature: Curvature
    range_test: RangeTest
    batch_size: int
    reason: str

    def __float__(self) -> float:
        return self.suggested

    def __str__(self) -> str:
        bound = "largest stable rate: none, the cost curves upwards in no direction"
        if math.isfinite(self.largest_stable_rate):
            bound = (
                f"largest stable rate: {self.largest_stable_rate:.4g} (2 / the largest eigenvalue "
                "of the second derivatives)"
            )
        return (
            f"suggested learning rate: {self.suggested:g}, for mini-batches of {self.batch_size}: "
            f"{self.reason}\n{bound}\n{self.range_test}"
        )


def suggest_learning_rate(
    network: Network, X: Any, y: Any, *, batch_size: int = 32, seed: int = 0
) -> LearningRate:
    """Suggest a learning rate for plain gradient descent (`SGD`) from where the network is.

    The Hessian's largest eigenvalue gives the scale: above 2 / eigenvalue steps diverge in the
    direction it belongs to, at half of that they reach its minimum in one (LeCun et al., Efficient
    BackProp, 1998, section 5). Around it a range test (Smith 2015) shows what mini-batches of this
    size bear. The suggestion is half the largest stable rate, or the rate with the lowest cost in
    the test where that is less. It is a start, not the optimum: the curvature changes as the
    network learns, and with momentum mu a rate of about 1 - mu times this one does as much.

    Parameters
    ----------
    network : Network
        As you want to train it, best before training; stays as it is.
    X, y : array
        As in `Network.fit`. The curvature is that of at most 2,000 examples.
    batch_size : int, default 32
        That of the training.
    seed : int, default 0
        Of examples, their order and the start of the eigenvalue's search.

    Returns
    -------
    LearningRate

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted, or the gradient is 0, so that no rate has an effect.
    MissingExtraError
        If scipy is missing (needed above 64 parameters).

    Examples
    --------
    >>> import fastgd
    >>> net = fastgd.Network([1, 1], output="identity", loss="quadratic", init="zeros")
    >>> found = fastgd.suggest_learning_rate(net, [[3.0], [3.0]], [10.0, 10.0])
    >>> found.suggested, round(found.largest_stable_rate, 6)  # C = (3 w + b - 10)^2 / 2
    (0.1, 0.2)
    """
    check_integer("batch_size", batch_size, 1)
    check_integer("seed", seed, 0)
    examples = network.check_examples(X, y)
    network.check_parameters()
    rows = sample(network, examples, np.random.default_rng(seed))
    if not network.gradient(*rows).any():
        raise SettingError(
            "network",
            "must have a gradient that is not 0 somewhere: no learning rate changes it "
            "now; either all is learned, or its units are dead or saturated (net.diagnose(X, y))",
        )
    batch_size = min(batch_size, len(examples))
    found = curvature(network, *rows, seed=seed, tolerance=TOLERANCE)
    bound = found.stable_rate(batch_size)
    low, high = (bound * BELOW, bound * ABOVE) if math.isfinite(bound) else (LOW, HIGH)
    test = range_test(network, X, y, low, high, batch_size=batch_size, seed=seed)
    rate, reason = _choose(bound, test)
    return LearningRate(float(f"{rate:.2g}"), bound, found, test, batch_size, reason)


def _choose(bound: float, test: RangeTest) -> tuple[float, str]:
    """Return a rate, and why."""
    limits = {"half of the largest stable rate": bound / 2}
    if test.fell:
        limits["the rate with the lowest cost in the range test"] = test.best
    elif test.blow_up is not None:
        limits["a tenth of the rate that blows up"] = test.blow_up / 10
    reason = min(limits, key=lambda name: limits[name])
    rate = limits[reason]
    if not math.isfinite(rate):
        raise ValueError(
            "no learning rate can be suggested: the cost curves upwards in no direction, and no "
            f"rate from {test.rates[0]:g} to {test.rates[-1]:g} lowers or raises it much"
        )
    if not test.fell:
        reason += "; the cost hardly falls in the range test, it may be as low as it gets"
    elif math.isfinite(bound):
        reason += ", less than " + next(name for name in limits if name != reason)
    return rate, reason
