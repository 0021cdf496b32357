"""One weight's update: a chain of slopes, each drawn as the tangent that it is."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.explain.update import (
    UpdateExplanation,
    check_place,
    explain_update,
    number,
    one_example,
    target_row,
)
from fastgd.plot.display import Display
from fastgd.plot.style import palette

if TYPE_CHECKING:
    from fastgd.engine.architecture import Architecture
    from fastgd.network import Network

__all__ = ["Curve", "UpdateDisplay"]

Array = np.ndarray

#: Bars for the largest contributions; one more for the others together.
BARS = 7
POINTS = 201
TIMES = "\N{MULTIPLICATION SIGN}"
MEANINGS = {
    "dC/da": "slope of the cost",
    "da/dz": "slope of the activation",
    "dC/dz": "slopes of cost and activation",
    "dz/dw": "value that feeds in",
}


@dataclass(frozen=True, eq=False)
class Curve:
    """One link of the chain: what depends on what, around where the network is.

    Attributes
    ----------
    x, y : ndarray
        The curve; its slope at (x0, y0) is the factor.
    x0, y0 : float
    x_label, y_label : str
    goal : float or None
        The x at which the cost is least.
    """

    x: Array
    y: Array
    x0: float
    y0: float
    x_label: str
    y_label: str
    goal: float | None = None


def _largest_step(
    network: Network, x: Any, y: Any, layer: int | None, i: int | None, j: int | None
) -> tuple[int, int, int]:
    """Return the place of the weight with the largest step, of those that fit."""
    layer = len(network.sizes) - 2 if layer is None else layer
    check_place(network.architecture.sizes, layer, i, j)
    if i is not None and j is not None:
        return layer, i, j
    gradient = network.gradient(*one_example(network, x, y))
    steps = np.abs(network.architecture.layout.weights(gradient)[layer])
    rows = slice(None) if i is None else slice(i, i + 1)
    columns = slice(None) if j is None else slice(j, j + 1)
    part = steps[rows, columns]
    row, column = np.unravel_index(int(np.argmax(part)), part.shape)
    return layer, int(row) if i is None else i, int(column) if j is None else j


class UpdateDisplay(Display):
    """The slopes that multiply to one weight's step, each as a tangent to its curve.

    From left to right: the cost against the unit's activation (for a hidden unit: what each unit
    it feeds sends back), the activation against z, z against the weight. With cross-entropy the
    first two are one: the cost against z.

    Parameters
    ----------
    told : UpdateExplanation
    curves : list of Curve or None
        One for each factor; None stands for the contributions.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import UpdateDisplay
    >>> net = fastgd.Network([1, 1], output="identity", loss="sse", seed=0)
    >>> net.parameters = [2, 0]
    >>> display = UpdateDisplay.from_network(
    ...     net, 3, 10, layer=0, i=0, j=0, learning_rate=0.01
    ... )  # doctest: +SKIP
    >>> display.told.new_weight  # doctest: +SKIP
    2.24
    """

    def __init__(self, *, told: UpdateExplanation, curves: list[Curve | None]):
        self.told, self.curves = told, curves

    @classmethod
    def from_network(
        cls, network: Network, x: Any, y: Any, *, layer: int | None = None,
        i: int | None = None, j: int | None = None, learning_rate: float = 0.1, ax: Any = None,
        **names: Any,
    ) -> UpdateDisplay:  # fmt: skip
        """Take one update apart and draw it; the arguments of `fastgd.explain.update`.

        Of the layer (by default the last), i and j that are not given, it is the weight with the
        largest step.
        ``ax`` is an array of as many axes as there are factors (two or three), or None.
        """
        layer, i, j = _largest_step(network, x, y, layer, i, j)
        told = explain_update(network, x, y, layer, i, j, learning_rate, **names)
        X, Y = one_example(network, x, y)
        return cls(told=told, curves=_curves(network, told, target_row(network, Y), X)).plot(ax=ax)

    def plot(self, ax: Any = None) -> UpdateDisplay:
        """Draw one panel for each factor; ``ax`` is an array of as many axes, or None."""
        told, own, n = self.told, ax is None, len(self.curves)
        wide = 0.7 if told.contributions else 0.0
        axes = np.atleast_1d(
            self._axes(ax, (3.05 * n + wide, 4.4), 1, n, **_ratios(own, n, bool(wide)))
        )
        for k, (axis, factor, curve) in enumerate(
            zip(axes.flat, told.factors, self.curves, strict=True)
        ):
            if curve is None:
                self._draw_contributions(axis)
            else:
                _draw_curve(axis, curve, factor.value)
            times = f"{TIMES} " if k else ""
            axis.set_title(
                f"{MEANINGS[factor.symbol]}\n{times}{factor.symbol} = {number(factor.value)}"
            )
        last = axes.flat[-1]
        last.plot(
            told.new_weight, _on_line(told, self.curves[-1]), "D", markersize=7, fillstyle="none",
            color=palette().positive, label="after the step",
        )  # fmt: skip
        last.legend(loc="best", fontsize="small")
        if own:
            words = f"Why the weight from {told.name} changes"
            letters = int(10 * self.figure_.get_size_inches()[0])
            self.figure_.suptitle(textwrap.fill(words, letters), fontsize="large")
            self.figure_.supxlabel(
                f"slope of the weight: {told.product}\n"
                f"weight - learning rate x slope: {told.step}".replace(" x ", f" {TIMES} "),
                fontsize="large",
            )
        self._settle(own)
        return self

    def _draw_contributions(self, axis: Any) -> None:
        """Draw what each unit of the next layer sends back, as bars."""
        colors, all_of_them = palette(), self.told.contributions
        bars = [(c.name, c.value) for c in all_of_them[:BARS]]
        if rest := all_of_them[BARS:]:
            bars.append((f"{len(rest)} others", sum(c.value for c in rest)))
        values = np.array([value for _, value in bars])
        rows = np.arange(len(bars))
        axis.barh(
            rows, values, color=np.where(values > 0, colors.positive, colors.negative), height=0.7
        )
        for bar, value in zip(axis.patches, values, strict=True):
            bar.set_hatch("" if value > 0 else "//")
            bar.set_edgecolor(colors.background)
        axis.set_yticks(rows, [name for name, _ in bars], fontsize="small")
        axis.invert_yaxis()
        axis.axvline(0, color=colors.muted, linewidth=0.8)
        axis.margins(x=0.1)
        axis.locator_params(axis="x", nbins=3)
        axis.set_xlabel(f"sent back: weight {TIMES} delta\n(their sum is dC/da)")


def _ratios(own: bool, n: int, wide: bool) -> dict[str, Any]:
    if not own:
        return {}
    return {"gridspec_kw": {"width_ratios": [1.15 if wide else 1, *[1] * (n - 1)]}}


def _draw_curve(axis: Any, curve: Curve, slope: float) -> None:
    colors = palette()
    low, high = curve.x[0], curve.x[-1]
    reach = 0.35 * (high - low)
    ends = np.array([max(low, curve.x0 - reach), min(high, curve.x0 + reach)])
    axis.plot(curve.x, curve.y, color=colors.muted, linewidth=2)
    axis.plot(
        ends, curve.y0 + slope * (ends - curve.x0), "--", color=colors.negative,
        label=f"slope {number(slope)}",
    )  # fmt: skip
    axis.plot(curve.x0, curve.y0, "o", color=colors.positive, markersize=8, label="now")
    if curve.goal is not None:
        axis.axvline(curve.goal, color=colors.cycle[2], linewidth=1, linestyle=":", label="target")
    bottom, top = curve.y.min(), curve.y.max()
    room = 0.12 * ((top - bottom) or 1.0)
    axis.set(
        xlim=(low, high), ylim=(bottom - room, top + room), xlabel=curve.x_label,
        ylabel=curve.y_label,
    )  # fmt: skip
    axis.locator_params(axis="x", nbins=3)
    axis.legend(loc="best", fontsize="small")


def _curves(
    network: Network, told: UpdateExplanation, targets: Array, X: Any
) -> list[Curve | None]:
    """Return the curve of each factor."""
    architecture = network.architecture
    rule = architecture.rules[told.layer]
    curves: list[Curve | None] = []
    if told.target is None:
        curves.append(None)
    elif architecture.loss.joined:
        outputs = network.predict(X)[0]
        curves.append(_cost_of_z(architecture, told, targets, outputs))
    else:
        curves.append(_cost_of_a(architecture, told))
    if len(told.factors) == 3:
        span = max(5.0, 1.3 * abs(told.z))
        z = np.linspace(-span, span, POINTS)
        curves.append(Curve(z, rule.value(z), told.z, told.a, "z", "activation a"))
    reach = 2.5 * abs(told.update) or 0.1
    w = np.linspace(told.weight - reach, told.weight + reach, POINTS)
    label = "z (up to a constant)" if rule.row_wise else "z"
    curves.append(
        Curve(
            w, told.z + told.input * (w - told.weight), told.weight, told.z, "the weight w", label
        )
    )
    return curves


def _cost_of_a(architecture: Architecture, told: UpdateExplanation) -> Curve:
    """Return this output's share of the cost, against its activation."""
    loss, goal = architecture.loss, float(told.target or 0)
    middle, reach = (told.a + goal) / 2, max(0.8 * abs(told.a - goal), 0.3)
    a = np.linspace(middle - reach, middle + reach, POINTS)
    share = loss.cost(a, a, np.full_like(a, goal)) / _outputs(architecture)
    here = np.array([told.a])
    now = loss.cost(here, here, np.array([goal]))[0] / _outputs(architecture)
    return Curve(a, share, told.a, float(now), "activation a", "its share of the cost", goal)


def _cost_of_z(
    architecture: Architecture, told: UpdateExplanation, targets: Array, outputs: Array
) -> Curve:
    """Return the cost against z of this output, for cross-entropy."""
    loss, rule = architecture.loss, architecture.rules[-1]
    reach = max(5.0, 0.4 * abs(told.z))
    z = np.linspace(told.z - reach, told.z + reach, POINTS)
    if not rule.row_wise:
        y = np.full_like(z, float(told.target or 0))
        cost = loss.cost(z, rule.value(z), y)
        here = np.array([told.z])
        now = loss.cost(here, rule.value(here), y[:1])[0]
        return Curve(z, cost, told.z, float(now), "z", "its share of the cost")
    # The others' z stay: log a is z up to a constant that all share.
    tiny = np.finfo(outputs.dtype).tiny
    logits = np.tile(np.log(np.maximum(outputs, tiny)).astype(np.float64), (POINTS + 1, 1))
    logits[:, told.j] = [*z, told.z]
    logits -= logits.max(axis=1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    cost = loss.cost(logits, np.exp(logits), targets).sum(axis=1)
    return Curve(z, cost[:-1], told.z, float(cost[-1]), "z (up to a constant)", "cost")


def _outputs(architecture: Architecture) -> int:
    return architecture.n_outputs if architecture.loss.output_average else 1


def _on_line(told: UpdateExplanation, curve: Curve | None) -> float:
    assert curve is not None
    return curve.y0 + told.input * (told.new_weight - told.weight)
