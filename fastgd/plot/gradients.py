"""The size of each layer's gradient over the epochs: where it vanishes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.errors import SettingError
from fastgd.explain.gradients import GradientSizes, gradient_sizes
from fastgd.plot.display import Display
from fastgd.plot.style import palette

if TYPE_CHECKING:
    from fastgd.network import Network
    from fastgd.rules.optimizers import Optimizer

__all__ = ["GradientsDisplay"]

MOST_NETWORKS = 4
#: Layers drawn; of more, the first, the last and some between.
MOST_LAYERS = 7
MARKERS = "os^Dv<P"
LINES = ("-", "--", "-.", ":")


class GradientsDisplay(Display):
    """The Frobenius norm of dC/dW of every layer, before training and after each epoch.

    Parameters
    ----------
    gradients : dict of str to GradientSizes
        For each network's name; one panel each.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import GradientsDisplay
    >>> digits = fastgd.data.load("digits")
    >>> deep = fastgd.Network([64, 30, 30, 30, 10], input_scale=digits.input_scale, seed=0)
    >>> display = GradientsDisplay.from_network(
    ...     deep, digits.X, digits.y, epochs=3
    ... )  # doctest: +SKIP
    >>> display.gradients["sigmoid"].norms.shape  # doctest: +SKIP
    (4, 4)
    """

    def __init__(self, *, gradients: Mapping[str, GradientSizes]):
        self.gradients = dict(gradients)

    @classmethod
    def from_network(
        cls, network: Network | Mapping[str, Network], X: Any, y: Any, *, epochs: int = 20,
        batch_size: int = 32, optimizer: str | Optimizer = "sgd", callbacks: Any = (),
        ax: Any = None,
    ) -> GradientsDisplay:  # fmt: skip
        """Train a copy of the network and draw its gradients.

        A dict of up to four names and networks compares them, side by side.
        """
        if isinstance(network, Mapping):
            networks = dict(network)
        else:
            networks = {network.architecture.activation_name: network}
        if not 1 <= len(networks) <= MOST_NETWORKS:
            raise SettingError(
                "network",
                f"must be a network, or a dict of 1 to {MOST_NETWORKS} names and networks; "
                f"got {len(networks)}",
            )
        settings: dict[str, Any] = {
            "epochs": epochs, "batch_size": batch_size, "optimizer": optimizer,
            "callbacks": callbacks,
        }  # fmt: skip
        found = {name: gradient_sizes(net, X, y, **settings) for name, net in networks.items()}
        return cls(gradients=found).plot(ax=ax)

    def plot(self, ax: Any = None) -> GradientsDisplay:
        """Draw one panel for each network; ``ax`` is an array of as many axes, or None."""
        n = len(self.gradients)
        size = (min(4.6 * n, 9.6) if n > 1 else 6.4, 4.2)
        axes = np.atleast_1d(self._axes(ax, size, 1, n, sharey=True)).ravel()
        for axis, (name, found) in zip(axes, self.gradients.items(), strict=True):
            self._draw(axis, name, found)
        axes[0].set_ylabel("size of dC/dW (Frobenius norm)")
        # Layers are the same in every panel where networks are: one legend is enough.
        legends = axes if len({found.sizes for found in self.gradients.values()}) > 1 else axes[:1]
        for axis in legends:
            lines = axis.get_legend_handles_labels()
            if axis is axes[0] and len(legends) == 1 and ax is None:
                self.figure_.legend(
                    *lines, loc="outside lower center", fontsize="small",
                    ncols=len(lines[0]) if len(lines[0]) <= 5 else 4,
                )  # fmt: skip
            else:
                axis.legend(
                    fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2
                )
        self._settle(ax is None)
        return self

    def _draw(self, axis: Any, name: str, found: GradientSizes) -> None:
        colors, n = palette(), found.norms.shape[1]
        epochs = np.arange(len(found.norms))
        layers = np.unique(np.linspace(0, n - 1, min(n, MOST_LAYERS)).round().astype(int))
        every = max(1, len(epochs) // 8)
        for k, layer in enumerate(layers):
            norms = np.where(found.norms[:, layer] > 0, found.norms[:, layer], np.nan)
            axis.plot(
                epochs, norms, LINES[k % len(LINES)], color=colors.cycle[k], marker=MARKERS[k],
                markevery=every, markersize=5, linewidth=1.3, label=found.layer_names[layer],
            )  # fmt: skip
        axis.set_yscale("log")
        first = f": first layer {found.ratio:.2g} x the last at the start" if n > 1 else ""
        end = f"; diverged in epoch {found.diverged}" if found.diverged else ""
        title = f"{name}{first}\n{found.score_name} {found.scores[-1]:.2f} at the end{end}"
        axis.set(xlabel="epoch", title=title)
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
