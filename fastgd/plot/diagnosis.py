"""What each layer answers: where its activations lie, and how many lie where nothing is learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgd.explain.diagnose import Diagnosis, diagnose
from fastgd.explain.symptoms.case import LayerHealth
from fastgd.explain.units import END
from fastgd.plot.display import Display, drawing
from fastgd.plot.style import palette
from fastgd.rules.activations import ACTIVATIONS

__all__ = ["DiagnosisDisplay"]

#: More layers than this do not fit into one picture.
MOST_LAYERS = 6
BINS = 40


class DiagnosisDisplay(Display):
    """A histogram of every layer's activations, with the saturated or dead share marked.

    Parameters
    ----------
    diagnosis : Diagnosis
        What `fastgd.explain.diagnose.diagnose` returned.

    Attributes
    ----------
    edges : list of ndarray
        For each layer the edges of the bins, between its ends.
    shares : list of ndarray
        The share of the layer's activations in each bin.
    ends : list of tuple of float
        The shares at the lower and the upper end, in no bin: within 0.01 of the ends of
        activations that saturate, and 0 of those that die; else 0.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import DiagnosisDisplay
    >>> digits = fastgd.data.load("digits")
    >>> net = fastgd.Network([64, 30, 10], input_scale=1/16, seed=0)
    >>> display = DiagnosisDisplay.from_network(net, digits.X, digits.y)  # doctest: +SKIP
    >>> display.diagnosis.healthy  # doctest: +SKIP
    False
    """

    def __init__(self, *, diagnosis: Diagnosis):
        self.diagnosis = diagnosis
        binned = [_histogram(a, h) for a, h in zip(diagnosis.a, diagnosis.layers, strict=True)]
        self.edges = [edges for edges, _, _ in binned]
        self.shares = [shares for _, shares, _ in binned]
        self.ends = [ends for _, _, ends in binned]

    @classmethod
    def from_network(
        cls, network: Any, X: Any, y: Any, *, ax: Any = None, **options: Any
    ) -> DiagnosisDisplay:
        """Diagnose and draw; the arguments are those of `diagnose`."""
        drawing()
        return cls(diagnosis=diagnose(network, X, y, **options)).plot(ax=ax)

    def plot(self, ax: Any = None) -> DiagnosisDisplay:
        """Draw one panel for each layer; ``ax`` is an array of as many axes, or None."""
        layers = self.diagnosis.layers
        if len(layers) > MOST_LAYERS:
            raise ValueError(
                f"the picture shows at most {MOST_LAYERS} layers; got {len(layers)} "
                "(print(diagnosis) shows all)"
            )
        columns = min(3, len(layers))
        rows = -(-len(layers) // columns)
        drawn = np.atleast_1d(self._axes(ax, (max(4.2, 3.3 * columns), 3.4 * rows), rows, columns))
        for axis in drawn.flat[len(layers) :]:
            axis.set_visible(False)
        for i, (axis, layer) in enumerate(zip(drawn.flat, layers, strict=False)):
            _draw(axis, layer, self.edges[i], self.shares[i], self.ends[i])
            _name(axis, layer, is_output=i == len(layers) - 1)
            if i % columns == 0:
                axis.set_ylabel("share of the activations, %")
        self._settle(ax is None)
        return self


def _histogram(
    a: np.ndarray, layer: LayerHealth
) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Return the edges of the bins, the share of the activations in each, and at the ends."""
    a = a[np.isfinite(a)].astype(np.float64)
    low, high = float(a.min(initial=0)), float(a.max(initial=0))
    below = above = np.zeros(a.shape, dtype=bool)
    rule = ACTIVATIONS.find(layer.activation)
    if rule.saturates:
        low, high = rule.reach[0] + END, rule.reach[1] - END
        below, above = a <= low, a >= high
    elif rule.row_wise:
        low, high = 0.0, 1.0
    elif rule.dies:
        below = a == 0
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(a[~(below | above)], BINS, (low, high))
    n = max(1, a.size)
    return edges, counts / n, (int(below.sum()) / n, int(above.sum()) / n)


def _draw(
    axis: Any,
    layer: LayerHealth,
    edges: np.ndarray,
    shares: np.ndarray,
    ends: tuple[float, float],
) -> None:
    """Draw the bins, and what lies at the ends as hatched bars beside them."""
    colors, span = palette(), float(edges[-1] - edges[0])
    axis.bar(edges[:-1], 100 * shares, np.diff(edges), align="edge", color=colors.positive)
    rule = ACTIVATIONS.find(layer.activation)
    at_ends = [(edges[0] - 0.06 * span, ends[0]), (edges[-1] + 0.06 * span, ends[1])]
    for x, share in at_ends if rule.saturates else at_ends[:1] if rule.dies else ():
        axis.bar(
            x, 100 * share, 0.06 * span, facecolor=colors.negative, hatch="///",
            edgecolor=colors.background, linewidth=0,
        )  # fmt: skip
    most = max(*shares, *ends, 0.01)
    axis.set(ylim=(0, 105 * most), xlabel=f"activation a of {layer.units} {layer.activation} units")


def _name(axis: Any, layer: LayerHealth, is_output: bool) -> None:
    """Say in the title what the hatched bars mean."""
    name = f"layer {layer.layer}" + (", the output" if is_output else "")
    words = ""
    rule = ACTIVATIONS.find(layer.activation)
    if rule.saturates:
        words = f"hatched: {layer.saturated:.0%} within {END:g} of an end"
    elif rule.dies:
        words = f"hatched: zero; {layer.dead} of {layer.units} units for every example"
    axis.set_title(f"{name}\n{words}", fontsize="small")
