"""The rules' scalar forms as compiled loops, chosen by an integer outside the loop.

Each rule's forms are compiled into the loop they serve, and the loops are chained: "if the code
is mine, loop; else ask the next". So a rule added to a registry is compiled without a line here.
"""

from __future__ import annotations

import fastgd.kernels.functions  # noqa: F401  (compiled forms of fastgd.rules.scalar)
from fastgd.rules.activations import ACTIVATIONS
from fastgd.kernels.compiling import compiled, inlined
from fastgd.kernels.simd import never_inline
from fastgd.rules.losses import LOSSES
from fastgd.rules.optimizers import UPDATES

__all__ = ["activate", "apply_update", "multiply_by_slope", "output_delta"]


def _chain(loops):
    """Return one function that runs the loop of the given code."""
    chained = _nothing
    for code, loop in reversed(list(loops)):
        chained = _choice(code, loop, chained)

    @compiled
    def run(chosen, args):
        never_inline()
        chained(chosen, args)

    return run


def _choice(code, loop, otherwise):
    @inlined
    def choice(chosen, args):
        return loop(*args) if chosen == code else otherwise(chosen, args)

    return choice


def _elementwise(registry, make_loop):
    return [
        (registry.code(name), make_loop(rule))
        for name, rule in registry.items()
        if not getattr(rule, "row_wise", False)
    ]


def _value_loop(rule):
    value = compiled(rule.scalar_value)

    @compiled
    def loop(z, a):
        for i in range(z.size):
            a[i] = value(z[i])

    return loop


def _slope_loop(rule):
    derivative = compiled(rule.scalar_derivative)

    @compiled
    def loop(z, a, delta):
        for i in range(z.size):
            delta[i] *= derivative(z[i], a[i])

    return loop


def _cost_loop(rule):
    cost = compiled(rule.scalar_cost)
    delta_of = compiled(rule.scalar_delta)
    average = rule.output_average

    @compiled
    def loop(z, a, y, delta, costs, n, ld, factor):
        """Turn slopes into deltas times ``factor``; write the cost of each row.

        Rows are ``ld`` apart; the costs are those of the first ``n`` columns.
        """
        share = 1 / n if average else 1.0
        step = delta.dtype.type(factor * share)
        for i in range(a.size):
            delta[i] = delta_of(a[i], y[i], delta[i]) * step
        for row in range(costs.size):
            total = 0.0
            for i in range(row * ld, row * ld + n):
                total += cost(z[i], a[i], y[i])
            costs[row] = total * share

    return loop


def _update_loop(rule):
    apply = compiled(rule.scalar_apply)

    @compiled
    def without_slots(w, g, slot, settings):
        for i in range(w.size):
            w[i] = apply(w[i], g[i], settings)

    @compiled
    def with_slot(w, g, slot, settings):
        for i in range(w.size):
            w[i], slot[i] = apply(w[i], g[i], slot[i], settings)

    return with_slot if rule.n_slots else without_slots


@compiled
def _nothing(chosen, args):
    pass


activate = _chain(_elementwise(ACTIVATIONS, _value_loop))
multiply_by_slope = _chain(_elementwise(ACTIVATIONS, _slope_loop))
output_delta = _chain(_elementwise(LOSSES, _cost_loop))
apply_update = _chain(_elementwise(UPDATES, _update_loop))
