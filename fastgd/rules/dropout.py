"""Dropout: which units a step leaves out, as an integer hash.

What a unit does depends on the seed, the step, the layer, the row of the batch and the unit alone:
no mask is drawn or stored, so that every backend and number of threads leaves out the same units,
and a run can go on where it was stopped. The mixing function is Wellons' lowbias32 (2018).

The same numbers in fastgd/kernels/dropout.py and csrc/dropout.h.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["SHARES", "Draw", "factors", "threshold"]

Array = np.ndarray
#: Shares are counted in this many parts: the hash's upper bits, a positive int32.
SHARES = 1 << 24
#: Where keys begin: mix(0) is 0.
START = 0x9E3779B9


class Draw(NamedTuple):
    """Where the chance of a step comes from: the run's seed (64 bits), the step, the first row."""

    seed: int
    step: int
    row: int = 0


def threshold(dropout: float) -> int:
    """Return how many of `SHARES` parts are kept."""
    return round((1 - dropout) * SHARES)


def mix(h: Array) -> Array:
    """Return uint32 numbers, mixed."""
    h = h ^ (h >> np.uint32(16))
    h = h * np.uint32(0x7FEB352D)
    h = h ^ (h >> np.uint32(15))
    h = h * np.uint32(0x846CA68B)
    return h ^ (h >> np.uint32(16))


def row_keys(draw: Draw, layer: int, n_rows: int) -> Array:
    """Return each row's key: seed, step, layer and row, mixed one after the other."""
    key = np.full(1, START, dtype=np.uint32)
    for part in (draw.seed & 0xFFFFFFFF, draw.seed >> 32, draw.step & 0xFFFFFFFF, layer):
        key = mix(key + np.uint32(part))
    return mix(key + (draw.row + np.arange(n_rows)).astype(np.uint32))


def factors(draw: Draw, layer: int, n_rows: int, n_units: int, dropout: float) -> Array:
    """Return what each activation is multiplied by: 0, or 1 / the share kept (float64).

    Parameters
    ----------
    layer : int
        0 for the inputs, l for the outputs of layer l.
    dropout : float
        The share left out, from 0 to below 1.

    Returns
    -------
    ndarray of shape (n_rows, n_units)

    Examples
    --------
    >>> kept = factors(Draw(seed=1, step=0), 0, 100, 100, 0.25) > 0
    >>> bool(abs(kept.mean() - 0.75) < 0.01)
    True
    """
    units = np.arange(n_units, dtype=np.uint32)
    hashes = mix(row_keys(draw, layer, n_rows)[:, None] + units)
    return ((hashes >> np.uint32(8)) < threshold(dropout)) / (1 - dropout)
