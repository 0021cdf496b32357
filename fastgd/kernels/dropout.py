"""Dropout in kernels: the hash of `fastgd.rules.dropout`, in the same order; csrc/dropout.h too."""

from __future__ import annotations

import numpy as np

from fastgd.kernels.compiling import compiled
from fastgd.kernels.machine import never_inline
from fastgd.rules import dropout

__all__ = ["drop", "drop_columns", "layer_key", "row_key"]

U = np.uint32
_START = U(dropout.START)
_A, _B = U(0x7FEB352D), U(0x846CA68B)


@compiled
def mix(h):
    """Return a uint32, mixed."""
    h = U(h ^ U(h >> U(16)))
    h = U(h * _A)
    h = U(h ^ U(h >> U(15)))
    h = U(h * _B)
    return U(h ^ U(h >> U(16)))


@compiled
def layer_key(seed_low, seed_high, step, layer):
    """Return the key of a layer in a step: seed, step and layer, mixed one after another."""
    key = mix(U(_START + U(seed_low)))
    key = mix(U(key + U(seed_high)))
    key = mix(U(key + U(step)))
    return mix(U(key + U(layer)))


@compiled
def row_key(key, row):
    """Return the key of a row of the batch."""
    return mix(U(key + U(row)))


@compiled
def _kept(key, unit, kept):
    return np.int32(mix(U(key + U(unit))) >> U(8)) < kept


@compiled
def drop(source, target, key, kept, gain):
    """Write a row's numbers times ``gain`` to ``target``, or 0 for units left out."""
    never_inline()
    limit, zero = np.int32(kept), gain * 0
    for unit in range(source.size):
        target[unit] = source[unit] * (gain if _kept(key, np.uint32(unit), limit) else zero)


@compiled
def drop_columns(x, columns, key, kept, gain):
    """Do the same in place for a row that leaves out zeros, whose units are ``columns``."""
    never_inline()
    limit, zero = np.int32(kept), gain * 0
    for i in range(x.size):
        x[i] = x[i] * (gain if _kept(key, np.uint32(columns[i]), limit) else zero)
