"""How compiled kernels lay out their working memory: one aligned block, one table of offsets.

Kernels read whole vectors, so every row is padded to a multiple of `PAD` numbers, with zeros that
stay zeros. The table is a 2-D array of integers: row 0 describes the block, row l layer l. The
columns are named below; csrc/plan.h and the Numba kernels use the same names.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from functools import lru_cache
from weakref import ref

import numpy as np

from fastgd.engine.architecture import Architecture
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.dropout import threshold
from fastgd.rules.losses import LOSSES

__all__ = ["PAD", "Memory", "Plan", "plan_for"]

Array = np.ndarray

#: Rows are padded to this many numbers: 64 bytes of float32, a cache line and an AVX-512 vector.
PAD = 16
#: How many gradient numbers are computed before they are used: 16 KiB of float64, half of a
#: small L1 cache.
CHUNK_SIZE = 2048
#: The depth of a product computed at once, and how wide a part of transposed weights is:
#: 128 rows of 4 vectors are 32 KiB, a small L1 cache.
DEPTH, PANEL_WIDTH = 128, 64
#: What inputs summed by columns may take at once: half of a small L2 cache.
MARKED_BYTES = 512 << 10
#: The working memory a batch may take; larger batches are computed in blocks of rows.
BLOCK_BYTES = 16 << 20
MAX_ROWS = 1024
#: How much working memory is kept between calls.
KEPT_BYTES = 48 << 20

# Row 0: the block. Offsets count numbers, not bytes.
(
    N_LAYERS,
    ROWS,  # how many rows of a batch are computed at once
    LOSS,  # the loss's code
    ROW_WISE,  # 1 where the output is an activation of whole rows
    X,  # inputs of the block: (ROWS, LD_X)
    LD_X,  # how far apart their rows are
    Y,  # targets of the block: (ROWS, LD of the last layer)
    ZERO,  # a row of zeros
    ONE,  # the number 1
    CHUNK,  # gradient of a few rows of weights, for each thread
    CHUNK_STRIDE,  # how far apart the threads' chunks are
    PARAMETERS,  # padded weights and biases
    N_PADDED,  # how many padded parameters there are
    SLOTS,  # the optimizer's state: (n_slots, N_PADDED)
    GRADIENT,  # gradient of all parameters, where a batch is computed in blocks
    PANELS,  # the first layer's weights and biases, where each thread keeps columns of them
    LOSS_NUMBERS,  # the loss's parameters
    INPUT_KEPT,  # of `SHARES` inputs, how many dropout keeps; 0 where it keeps all
    INPUT_GAIN,  # what the inputs it keeps are multiplied by
    PARTIALS,  # norms of the gradient, one for each `CHUNK_SIZE` padded parameters
    PACKED,  # part of a layer's weights, transposed, for each thread: (DEPTH, PANEL_WIDTH)
    MARKED,  # inputs of some columns, for each thread: (ROWS, MARKED_COLUMNS)
    MARKED_COLUMNS,  # how many columns are summed at once, where inputs are sparse
) = range(23)

# Row l: layer l.
(
    N_IN,
    N_OUT,
    WIDTH_IN,  # n_in, padded
    WIDTH,  # n_out, padded
    LD_IN,  # how far apart rows of inputs are
    LD,  # how far apart rows of outputs are
    LD_W,  # how far apart rows of weights are: as those of outputs, or 1 where there is one output
    FLAT,  # weights in the flat vector; biases follow
    WEIGHTS,  # weights (N_IN, LD_W); biases follow as one more row
    ACTIVATION,  # the activation's code
    INPUT,  # what the layer reads: (ROWS, LD_IN), for layer 1 (ROWS, LD_X)
    Z,  # (ROWS, LD)
    A,  # (ROWS, LD)
    DELTA,  # dC/dz: (ROWS, LD)
    NUMBERS,  # the activation's parameters
    KEPT,  # of `SHARES` outputs, how many dropout keeps; 0 where it keeps all
    GAIN,  # what the outputs it keeps are multiplied by
    DROPPED,  # a after dropout: (ROWS, LD); `A` where all are kept
) = range(18)
N_COLUMNS = 23


def padded(n: int) -> int:
    """Return n, rounded up to a multiple of `PAD`."""
    return -(-n // PAD) * PAD


def spaced(n: int) -> int:
    """Return how far apart rows of n numbers lie: padded, but not by a power of two.

    Rows 1 KiB apart would compete for the same few places of the cache.
    """
    return padded(n) + PAD * (padded(n) % 256 == 0)


@dataclass
class Memory:
    """What one call works in."""

    work: Array  # numbers, as the plan lays them out
    costs: Array  # (ROWS,) float64: each row's cost
    barrier: Array  # two counters, each on a cache line of its own
    gathered: Array  # (ROWS * LD_X,) int32: columns of the block's sparse rows
    lengths: Array  # ((1 + n_threads) * ROWS,) int32: their lengths, then each thread's cursors
    marks: Array  # (n_threads * MARKED_COLUMNS * words,) int64: rows of each of some columns
    places: Array  # (ROWS,) int64: where each row of the block begins


class Plan:
    """The table for one architecture and block of rows, and memory to use with it."""

    def __init__(
        self,
        architecture: Architecture,
        rows: int,
        n_slots: int,
        gradient: bool,
        sparse_width: int,
        n_threads: int,
        dropout: bool = False,
    ):
        self.dtype = np.dtype(architecture.dtype)
        self.n_threads = n_threads
        self.sparse = sparse_width > 0
        self.size = 0
        self.table = np.zeros((len(architecture.sizes), N_COLUMNS), dtype=np.int64)
        self.numbers: dict[int, tuple[float, ...]] = {}
        self.dropout = architecture.dropout if dropout else (0.0,) * len(architecture.dropout)
        self.table[0, LD_X] = spaced(sparse_width or architecture.n_inputs)
        self.table[0, ROWS] = rows
        self._lay_out_block(architecture, n_slots, gradient)
        self._lay_out_layers(architecture, rows)

    def _reserve(self, n: int) -> int:
        start, self.size = self.size, self.size + padded(int(n))
        return start

    def _reserve_numbers(self, *numbers: float) -> int:
        """Return where numbers that never change lie."""
        start = self._reserve(PAD)
        self.numbers[start] = numbers
        return start

    def _reserve_dropout(self, share: float) -> tuple[int, int]:
        """Return how many of `SHARES` are kept, 0 for all, and where what multiplies them lies."""
        return threshold(share) if share else 0, self._reserve_numbers(1 / (1 - share))

    def _ld_of_weights(self, above_the_first: int, n_out: int) -> int:
        """Return how far apart rows of a layer's weights are."""
        return 1 if n_out == 1 and (above_the_first or not self.sparse) else spaced(n_out)

    def _lay_out_block(self, architecture: Architecture, n_slots: int, gradient: bool) -> None:
        widths = [spaced(n) for n in architecture.sizes]
        shapes = architecture.layout.shapes
        n_padded = sum(
            padded((n_in + 1) * self._ld_of_weights(layer, n_out))
            for layer, (n_in, n_out) in enumerate(shapes)
        )
        block = self.table[0]
        block[N_LAYERS] = len(architecture.rules)
        loss = architecture.loss
        block[LOSS] = LOSSES.code(loss.name)
        block[LOSS_NUMBERS] = self._reserve_numbers(*loss.numbers_for(architecture.n_outputs))
        block[[INPUT_KEPT, INPUT_GAIN]] = self._reserve_dropout(self.dropout[0])
        block[ROW_WISE] = architecture.rules[-1].row_wise
        block[ZERO] = self._reserve(max(widths))
        block[ONE] = self._reserve_numbers(1)
        block[CHUNK_STRIDE] = max(CHUNK_SIZE, *widths)
        block[CHUNK] = self._reserve(block[CHUNK_STRIDE] * self.n_threads)
        block[X] = self._reserve(block[ROWS] * block[LD_X])
        block[Y] = self._reserve(block[ROWS] * widths[-1])
        block[N_PADDED] = n_padded
        block[PARAMETERS] = self._reserve(n_padded)
        block[SLOTS] = self._reserve(n_slots * n_padded)
        block[GRADIENT] = self._reserve(n_padded if gradient else 0)
        block[PARTIALS] = self._reserve(-(-n_padded // CHUNK_SIZE) if gradient else 0)
        deep = len(architecture.rules) > 1  # what goes back goes through weights transposed
        block[PACKED] = self._reserve(DEPTH * PANEL_WIDTH * self.n_threads if deep else 0)
        n_in, n_out = shapes[0]
        most = max(PAD, MARKED_BYTES // (self.dtype.itemsize * int(block[ROWS])))
        block[MARKED_COLUMNS] = spaced(min(n_in, most)) if self.sparse else 0
        block[MARKED] = self._reserve(block[ROWS] * block[MARKED_COLUMNS] * self.n_threads)
        block[PANELS] = self._reserve((n_in + 1) * padded(n_out) if self.n_threads > 1 else 0)

    def _lay_out_layers(self, architecture: Architecture, rows: int) -> None:
        layout = architecture.layout
        weights, source = int(self.table[0, PARAMETERS]), int(self.table[0, X])
        shares = [*self.dropout[1:], 0.0]
        shapes = zip(layout.shapes, layout.offsets, architecture.rules, shares, strict=True)
        for layer, ((n_in, n_out), flat, rule, share) in zip(self.table[1:], shapes, strict=True):
            ld_in, ld = spaced(n_in), spaced(n_out)
            ld_w = self._ld_of_weights(flat, n_out)
            layer[[N_IN, N_OUT, LD_IN, LD, LD_W]] = n_in, n_out, ld_in, ld, ld_w
            layer[[WIDTH_IN, WIDTH]] = padded(n_in), padded(n_out)
            layer[FLAT], layer[WEIGHTS], layer[INPUT] = flat, weights, source
            layer[ACTIVATION] = ACTIVATIONS.code(rule.name)
            layer[Z] = self._reserve(rows * ld)
            layer[A] = layer[DROPPED] = self._reserve(rows * ld)
            layer[NUMBERS] = self._reserve_numbers(*rule.numbers)
            layer[[KEPT, GAIN]] = self._reserve_dropout(share)
            if share:
                layer[DROPPED] = self._reserve(rows * ld)
            source = int(layer[DROPPED])
            layer[DELTA] = self._reserve(rows * ld)
            weights += padded((n_in + 1) * ld_w)

    def borrow(self) -> Memory:
        """Return memory, zeroed where it is new; give it back with `release`."""
        return _pool.take(self) or self.allocate()

    def release(self, memory: Memory) -> None:
        """Keep memory for the next call."""
        _pool.give(self, memory)

    def allocate(self) -> Memory:
        """Return new memory, zeroed."""
        rows, ld_x, columns = (int(n) for n in self.table[0, [ROWS, LD_X, MARKED_COLUMNS]])
        widest = int(self.table[1:, LD_IN].max())
        work = aligned(self.size, self.dtype)
        for start, numbers in self.numbers.items():
            work[start : start + len(numbers)] = numbers
        return Memory(
            work=work,
            costs=np.zeros(rows),
            barrier=aligned(16, np.dtype(np.int64)),
            # Of dense rows, those of one that is predicted: `small_predict`.
            gathered=np.zeros(rows * ld_x if self.sparse else widest, dtype=np.int32),
            lengths=np.zeros(rows * (1 + self.n_threads) if self.sparse else 0, dtype=np.int32),
            marks=np.zeros(self.n_threads * columns * -(-rows // 64), dtype=np.int64),
            places=np.zeros(rows, dtype=np.int64),
        )


class Pool:
    """Memory between calls, the latest first: never more than `KEPT_BYTES` in all."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, also who holds the lock."""
        self._kept: list[tuple[ref[Plan], Memory]] = []
        self._lock = threading.Lock()

    def take(self, plan: Plan) -> Memory | None:
        """Return memory of that plan, or None."""
        with self._lock:
            for i in range(len(self._kept) - 1, -1, -1):
                if self._kept[i][0]() is plan:
                    return self._kept.pop(i)[1]
        return None

    def give(self, plan: Plan, memory: Memory) -> None:
        """Keep memory; let go what no plan is left for, and the oldest where it is too much."""
        with self._lock:
            self._kept = [kept for kept in self._kept if kept[0]() is not None]
            self._kept.append((ref(plan), memory))
            while self.nbytes > KEPT_BYTES:
                self._kept.pop(0)

    @property
    def nbytes(self) -> int:
        """How much is kept."""
        kept = (memory for _, memory in self._kept)
        return sum(m.work.nbytes + m.gathered.nbytes + m.marks.nbytes for m in kept)


_pool = Pool()
if hasattr(os, "register_at_fork"):  # a lock that another thread held would stay locked
    os.register_at_fork(after_in_child=_pool.reset)


def aligned(n: int, dtype: np.dtype) -> Array:
    """Return n zeros that begin a cache line."""
    spare = 64 // dtype.itemsize
    raw = np.zeros(n + spare, dtype=dtype)
    start = (-raw.ctypes.data // dtype.itemsize) % spare
    return raw[start : start + n]


@lru_cache(maxsize=32)
def plan_for(
    architecture: Architecture,
    n_rows: int,
    n_slots: int = 0,
    gradient: bool = False,
    sparse_width: int = 0,
    n_threads: int = 1,
    dropout: bool = False,
) -> Plan:
    """Return the plan for batches of ``n_rows``.

    ``gradient`` asks for room for a whole gradient; batches of several blocks have it anyway.
    ``dropout``: whether units are left out, as the architecture says.
    ``sparse_width`` is the most numbers a row of sparse inputs has, 0 where they are dense.
    """
    itemsize = np.dtype(architecture.dtype).itemsize
    inputs = padded(sparse_width or architecture.n_inputs)
    row_bytes = itemsize * (inputs + 3 * sum(map(padded, architecture.sizes[1:])))
    most = min(MAX_ROWS, max(PAD, BLOCK_BYTES // row_bytes))
    return Plan(
        architecture, min(n_rows, most), n_slots, gradient or n_rows > most, sparse_width,
        n_threads, dropout,
    )  # fmt: skip
