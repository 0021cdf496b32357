"""Every layer's numbers for some examples: what a backend computes on the way and does not return.

Symbols are those of Nielsen, Neural Networks and Deep Learning, chapter 2: z, a = activation(z),
delta = dC/dz.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.backends import reference
from fastgd.engine.inputs import check_examples, check_inputs

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["Layers", "layers"]

Array = np.ndarray


@dataclass(frozen=True)
class Layers:
    """What every layer holds for n examples.

    Attributes
    ----------
    z : list of ndarray, each (n, n_out)
        The weighted inputs of each layer; for a softmax output log a, from which it is read.
    a : list of ndarray
        The activations, the inputs (shifted and scaled) first: one more than layers.
    delta : list of ndarray, each (n, n_out), or None
        dC/dz of each example's own cost, where targets are given.
    """

    z: list[Array]
    a: list[Array]
    delta: list[Array] | None = None


def layers(network: Network, X: Any, y: Any = None) -> Layers:
    """Return every layer's z and a for the examples X, and delta where y is given.

    Parameters
    ----------
    network : Network
    X : array of shape (n, n_inputs)
    y : array, optional
        Targets, as in `Network.fit`.

    Returns
    -------
    Layers
        In the network's dtype.

    Raises
    ------
    TypeError, ValueError
        If X or y do not fit the network.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.explain.layers import layers
    >>> net = fastgd.Network([2, 3, 1], seed=0)
    >>> [a.shape for a in layers(net, [[0.0, 1.0]]).a]
    [(1, 2), (1, 3), (1, 1)]
    """
    architecture, parameters = network.architecture, network.parameters
    if y is None:
        inputs = check_inputs(X, architecture)
    else:
        examples = check_examples(X, y, architecture)
        inputs, targets = examples.inputs, examples.targets
    with np.errstate(over="ignore", invalid="ignore"):
        X = reference.dense(inputs.rows(0, len(inputs)), slice(None))
        zs, activations = reference.feed_forward(architecture, parameters, X)
        if y is None:
            return Layers(zs, activations)
        Y = reference.one_hot(architecture, targets.rows(0, len(inputs)))
        deltas = reference.carry_back(architecture, parameters, zs, activations, Y)
        return Layers(zs, activations, deltas)
