"""One network's cost at many parameters: data checked once, every cost from the backend."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.engine.inputs import Inputs

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["Costs"]

Array = np.ndarray


class Costs:
    """The cost of the examples as a function of all weights and biases.

    Parameters
    ----------
    network : Network
        Stays as it is: the costs are those of a copy.
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
    >>> costs = Costs(net, [[3.0]], [10.0])
    >>> costs.at([2.0, 0.0])  # (2 x 3 - 10)^2
    16.0
    """

    def __init__(self, network: Network, X: Any, y: Any):
        network.check_parameters()
        examples = network.check_examples(X, y)
        self.network, self.runner = network.copy(), network.runner
        if getattr(self.runner.backend(), "leaves_out_zeros", True):
            examples.inputs.leave_out_zeros()
            if examples.inputs.sparse is not None:
                sparse = Inputs(examples.inputs.sparse, network.architecture)
                examples = replace(examples, inputs=sparse)
        self.examples = examples

    def at(self, parameters: Any) -> float:
        """Return the cost with these parameters (n_parameters,); infinite or NaN if it is."""
        with np.errstate(over="ignore", invalid="ignore"):
            self.network.parameters[:] = parameters
            return self.runner.loss(self.network.parameters, self.examples)

    def along(self, start: Array, direction: Array, steps: Array) -> Array:
        """Return the costs at start + step x direction, for each of the steps (n,)."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.array([self.at(start + step * direction) for step in steps])
