"""Weights and units in plain words: which layer, from where, to where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastgd.engine.layout import Layout
from fastgd.errors import SettingError

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["Names", "names_for"]


@dataclass(frozen=True)
class Names:
    """What to call the inputs, units and weights of a network: layers from 1, units from 0.

    Attributes
    ----------
    sizes : tuple of int
    image_shape : (height, width) or None
        Inputs are named by the row and column of their pixel.
    feature_names, class_names : tuple of str or None
        Names of the inputs and of the outputs.

    Examples
    --------
    >>> names = Names((64, 30, 10), image_shape=(8, 8))
    >>> names.weight(0, 19, 7)
    'pixel (2, 3) to hidden unit 7'
    >>> names.parameter(64 * 30 + 4)
    'bias of hidden unit 4'
    """

    sizes: tuple[int, ...]
    image_shape: tuple[int, int] | None = None
    feature_names: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None

    def unit(self, layer: int, k: int) -> str:
        """Return the name of the k-th value of a layer of values: 0 are the inputs."""
        last = len(self.sizes) - 1
        if layer == 0:
            if self.feature_names is not None:
                return self.feature_names[k]
            if self.image_shape is not None:
                row, column = divmod(k, self.image_shape[1])
                return f"pixel ({row}, {column})"
            return f"input {k}"
        if layer == last:
            known = self.class_names
            label = f" ({known[k]})" if known is not None and known[k] != str(k) else ""
            return f"output {k}{label}"
        return f"hidden unit {k}" if last == 2 else f"unit {k} of hidden layer {layer}"

    def weight(self, layer: int, i: int, j: int) -> str:
        """Return the name of weights[layer][i, j]."""
        return f"{self.unit(layer, i)} to {self.unit(layer + 1, j)}"

    def parameter(self, index: int) -> str:
        """Return the name of a number of the flat vector of parameters."""
        layer, i, j = self.place(index)
        return f"bias of {self.unit(layer + 1, j)}" if i is None else self.weight(layer, i, j)

    def place(self, index: int) -> tuple[int, int | None, int]:
        """Return layer, input (None for a bias) and output of a number of the flat vector."""
        layout = Layout(self.sizes)
        layer = max(k for k, start in enumerate(layout.offsets) if start <= index)
        i, j = divmod(index - layout.offsets[layer], self.sizes[layer + 1])
        return layer, None if i == self.sizes[layer] else i, j


def names_for(
    network: Network,
    image_shape: Sequence[int] | None = None,
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
) -> Names:
    """Return the names for a network; classes are called by their labels where none are given.

    Raises
    ------
    ValueError
        If the image or a list of names does not fit the network's inputs or outputs.
    """
    sizes = network.architecture.sizes
    if class_names is None and network.labels.values is not None:
        known = tuple(map(str, network.labels.values.tolist()))
        class_names = known if len(known) == sizes[-1] else None
    if image_shape is not None and (
        len(image_shape) != 2 or image_shape[0] * image_shape[1] != sizes[0]
    ):
        raise SettingError(
            "image_shape", f"must be (height, width) of {sizes[0]} pixels; got {tuple(image_shape)}"
        )
    given: Any
    for argument, given, n in (
        ("feature_names", feature_names, sizes[0]),
        ("class_names", class_names, sizes[-1]),
    ):
        if given is not None and len(given) != n:
            raise SettingError(argument, f"must be {n} names; got {len(given)}")
    return Names(
        sizes,
        None if image_shape is None else (int(image_shape[0]), int(image_shape[1])),
        None if feature_names is None else tuple(map(str, feature_names)),
        None if class_names is None else tuple(map(str, class_names)),
    )
