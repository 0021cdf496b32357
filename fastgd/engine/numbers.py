"""The numbers of a network, as attributes: a part of `fastgd.Network`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from fastgd.engine.architecture import Architecture
from fastgd.engine.state import State
from fastgd.engine.stepping import check_parameters

__all__ = ["Numbers"]

Array = np.ndarray


class Numbers:
    """Sizes, parameters and the learning rate."""

    state: State

    @property
    def architecture(self) -> Architecture:
        """The network's."""
        raise NotImplementedError

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the optimizer at work: a number, or a schedule.

        Setting it, also from a callback during a fit, changes the steps to come and keeps what
        the optimizer has gathered. Before there is an optimizer it raises ValueError; a fit or
        step that is given one takes that one's.

        Examples
        --------
        >>> import fastgd
        >>> class Halve:
        ...     def on_epoch_end(self, network, epoch, logs):
        ...         network.learning_rate /= 2
        >>> net = fastgd.Network([1, 1], output="identity", loss="mse", seed=0)
        >>> sgd = fastgd.SGD(0.1, momentum=0.9)
        >>> net.fit([[0.5]], [1.0], epochs=3, optimizer=sgd, callbacks=[Halve()]).learning_rate
        [0.1, 0.05, 0.025]
        """
        return self.state.at_work.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        self.state.optimizer = dataclasses.replace(self.state.at_work, learning_rate=rate)

    @property
    def sizes(self) -> list[int]:
        """Inputs, hidden layers, outputs."""
        return list(self.architecture.sizes)

    @property
    def dtype(self) -> str:
        """The number type, ``"float32"`` or ``"float64"``."""
        return self.architecture.dtype

    @property
    def n_parameters(self) -> int:
        """How many weights and biases there are."""
        return self.architecture.layout.n_parameters

    @property
    def parameters(self) -> Array:
        """All weights and biases, flat (n_parameters,): W[0] row by row, b[0], W[1], b[1], ...

        The array itself: changing its entries changes the network. Setting it copies.
        """
        return self.state.parameters.view()  # its shape, type and flags are its owner's alone

    @parameters.setter
    def parameters(self, values: Any) -> None:
        own = self.state.parameters
        changed_in_place = isinstance(values, np.ndarray) and (  # net.parameters += ...
            values.__array_interface__ == own.__array_interface__
        )
        converted = check_parameters(values, self.n_parameters, self.dtype)
        self.state.parameters[:] = converted
        if not changed_in_place:
            self.state.forget()

    @property
    def weights(self) -> tuple[Array, ...]:
        """Each layer's weights (n_in, n_out): views, changing them changes the network."""
        return tuple(self.architecture.layout.weights(self.state.parameters))

    @property
    def biases(self) -> tuple[Array, ...]:
        """Each layer's biases (n_out,): views, changing them changes the network."""
        return tuple(self.architecture.layout.biases(self.state.parameters))
