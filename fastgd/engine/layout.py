"""Where the numbers of a network lie: one flat vector, layer after layer, weights then biases."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["Layout"]

Array = np.ndarray


@dataclass(frozen=True)
class Layout:
    """The flat vector of a network: W[0] (n_in, n_out) row by row, b[0], W[1], b[1], ...

    Parameters
    ----------
    sizes : tuple of int
        Inputs, hidden layers, outputs.

    Examples
    --------
    >>> Layout((784, 16, 16, 10)).n_parameters
    13002
    """

    sizes: tuple[int, ...]

    @cached_property
    def shapes(self) -> list[tuple[int, int]]:
        """(n_in, n_out) of each layer's weights."""
        return list(zip(self.sizes[:-1], self.sizes[1:], strict=True))

    @cached_property
    def offsets(self) -> list[int]:
        """Where each layer's weights begin."""
        offsets = [0]
        for n_in, n_out in self.shapes:
            offsets.append(offsets[-1] + (n_in + 1) * n_out)
        return offsets[:-1]

    @property
    def n_weights(self) -> int:
        """How many weights there are."""
        return sum(n_in * n_out for n_in, n_out in self.shapes)

    @property
    def n_biases(self) -> int:
        """How many biases there are."""
        return sum(self.sizes[1:])

    @cached_property
    def n_parameters(self) -> int:
        """How many weights and biases there are."""
        return self.n_weights + self.n_biases

    def weights(self, flat: Array) -> list[Array]:
        """Return views (n_in, n_out) of each layer's weights in the last axis of ``flat``."""
        return [
            flat[..., start : start + n_in * n_out].reshape(*flat.shape[:-1], n_in, n_out)
            for start, (n_in, n_out) in zip(self.offsets, self.shapes, strict=True)
        ]

    def biases(self, flat: Array) -> list[Array]:
        """Return views (n_out,) of each layer's biases in the last axis of ``flat``."""
        return [
            flat[..., start + n_in * n_out : start + (n_in + 1) * n_out]
            for start, (n_in, n_out) in zip(self.offsets, self.shapes, strict=True)
        ]
