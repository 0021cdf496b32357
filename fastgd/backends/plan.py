"""How compiled kernels lay out their working memory: one aligned block, one table of offsets.

Kernels read whole vectors, so every row is padded to a multiple of `PAD` numbers, with zeros that
stay zeros. The table is a 2-D array of integers: row 0 describes the block, row l layer l. The
columns are named below; csrc and the Numba kernels use the same names.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache

import numpy as np

from fastgd.activations import ACTIVATIONS
from fastgd.architecture import Architecture
from fastgd.losses import LOSSES

__all__ = ["PAD", "Plan", "plan_for"]

Array = np.ndarray

#: Rows are padded to this many numbers: 64 bytes of float32, a cache line and an AVX-512 vector.
PAD = 16
#: How many gradient numbers are computed before they are used: 16 KiB, half of a small L1 cache.
CHUNK_SIZE = 4096
#: The working memory a batch may take; larger batches are computed in blocks of rows.
BLOCK_BYTES = 16 << 20
MAX_ROWS = 1024

# Row 0: the block. Offsets count numbers, not bytes.
(
    N_LAYERS,
    ROWS,  # how many rows of a batch are computed at once
    LOSS,  # the loss's code
    SOFTMAX,  # 1 where the output is softmax
    X,  # inputs of the block: (ROWS, LD_IN of layer 1)
    Y,  # targets of the block: (ROWS, LD of the last layer)
    ZERO,  # a row of zeros
    ONE,  # the number 1
    CHUNK,  # gradient of a few rows of weights
    PARAMETERS,  # padded weights and biases
    N_PADDED,  # how many padded parameters there are
    SLOTS,  # the optimizer's state: (n_slots, N_PADDED)
    GRADIENT,  # gradient of all parameters, where a batch is computed in blocks
) = range(13)

# Row l: layer l.
(
    N_IN,
    N_OUT,
    LD_IN,  # n_in, padded
    LD,  # n_out, padded
    FLAT,  # weights in the flat vector; biases follow
    WEIGHTS,  # weights (N_IN, LD) from PARAMETERS on; biases follow as one more row
    TRANSPOSED,  # weights transposed: (N_OUT, LD_IN); not for layer 1
    ACTIVATION,  # the activation's code
    INPUT,  # what the layer reads: (ROWS, LD_IN)
    Z,  # (ROWS, LD)
    A,  # (ROWS, LD)
    DELTA,  # dC/dz: (ROWS, LD)
) = range(12)
N_COLUMNS = 13


def padded(n: int) -> int:
    """Return n, rounded up to a multiple of `PAD`."""
    return -(-n // PAD) * PAD


class Plan:
    """The table for one architecture and block of rows, and blocks of memory to use with it."""

    def __init__(self, architecture: Architecture, rows: int, n_slots: int, gradient: bool):
        self.dtype = np.dtype(architecture.dtype)
        self.size = 0
        self.table = np.zeros((len(architecture.sizes), N_COLUMNS), dtype=np.int64)
        self._lay_out_block(architecture, rows, n_slots, gradient)
        self._lay_out_layers(architecture, rows)
        self._free: deque[Array] = deque(maxlen=8)

    def _reserve(self, n: int) -> int:
        start, self.size = self.size, self.size + padded(n)
        return start

    def _lay_out_block(
        self, architecture: Architecture, rows: int, n_slots: int, gradient: bool
    ) -> None:
        widths = [padded(n) for n in architecture.sizes]
        n_padded = sum((n_in + 1) * padded(n_out) for n_in, n_out in architecture.layout.shapes)
        block = self.table[0]
        block[N_LAYERS] = len(architecture.rules)
        block[ROWS] = rows
        block[LOSS] = LOSSES.code(architecture.loss_rule.name)
        block[SOFTMAX] = architecture.rules[-1].row_wise
        block[ZERO] = self._reserve(max(widths))
        block[ONE] = self._reserve(1)
        block[CHUNK] = self._reserve(max(CHUNK_SIZE, *widths))
        block[X] = self._reserve(rows * widths[0])
        block[Y] = self._reserve(rows * widths[-1])
        block[N_PADDED] = n_padded
        block[PARAMETERS] = self._reserve(n_padded)
        block[SLOTS] = self._reserve(n_slots * n_padded)
        block[GRADIENT] = self._reserve(n_padded if gradient else 0)

    def _lay_out_layers(self, architecture: Architecture, rows: int) -> None:
        layout = architecture.layout
        weights, source = int(self.table[0, PARAMETERS]), int(self.table[0, X])
        shapes = zip(layout.shapes, layout.offsets, architecture.rules, strict=True)
        for layer, ((n_in, n_out), flat, rule) in zip(self.table[1:], shapes, strict=True):
            ld_in, ld = padded(n_in), padded(n_out)
            layer[[N_IN, N_OUT, LD_IN, LD]] = n_in, n_out, ld_in, ld
            layer[FLAT], layer[WEIGHTS], layer[INPUT] = flat, weights, source
            layer[ACTIVATION] = ACTIVATIONS.code(rule.name)
            layer[TRANSPOSED] = self._reserve(n_out * ld_in if flat else 0)
            layer[Z] = self._reserve(rows * ld)
            layer[A] = source = self._reserve(rows * ld)
            layer[DELTA] = self._reserve(rows * ld)
            weights += (n_in + 1) * ld

    def borrow(self) -> Array:
        """Return a block of memory, zeroed where it is new; give it back with `release`."""
        try:
            return self._free.pop()
        except IndexError:
            return self._allocate()

    def release(self, work: Array) -> None:
        """Keep a block for the next call."""
        self._free.append(work)

    def _allocate(self) -> Array:
        spare = 64 // self.dtype.itemsize
        raw = np.zeros(self.size + spare, dtype=self.dtype)
        start = (-raw.ctypes.data // self.dtype.itemsize) % spare
        work = raw[start : start + self.size]
        work[self.table[0, ONE]] = 1
        return work


@lru_cache(maxsize=32)
def plan_for(architecture: Architecture, n_rows: int, n_slots: int, gradient: bool) -> Plan:
    """Return the plan for batches of ``n_rows``.

    ``gradient`` asks for room for a whole gradient; batches of several blocks have it anyway.
    """
    itemsize = np.dtype(architecture.dtype).itemsize
    row_bytes = itemsize * (
        padded(architecture.n_inputs) + 3 * sum(map(padded, architecture.sizes))
    )
    most = min(MAX_ROWS, max(PAD, BLOCK_BYTES // row_bytes))
    return Plan(architecture, min(n_rows, most), n_slots, gradient or n_rows > most)
