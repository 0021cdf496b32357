"""How kernels are compiled."""

from __future__ import annotations

from numba import njit

__all__ = ["OPTIONS", "compiled", "inlined"]

#: fastmath without nnan and ninf: divergence must be seen. Without reassoc: same sums everywhere.
OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}

#: A function of its own, compiled once.
compiled = njit(**OPTIONS)
#: Part of its callers: for functions that call large ones, which Numba would otherwise compile
#: again for each level of calls.
inlined = njit(inline="always", **OPTIONS)
