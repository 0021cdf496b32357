"""The Numba kernels, from the vector up: simd, functions, rules, steps, entries."""
