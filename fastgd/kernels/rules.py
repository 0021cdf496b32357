"""The rules' scalar forms as compiled loops, chosen by an integer outside the loop.

Each rule's forms are compiled into the loop they serve, and the loops are chained: "if the code
is mine, loop; else ask the next". So a rule added to a registry is compiled without a line here.
"""

from __future__ import annotations

import math

import fastgd.kernels.functions  # noqa: F401  (compiled forms of fastgd.rules.scalar)
from fastgd.kernels.compiling import compiled, inlined
from fastgd.kernels.machine import never_inline, part
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.losses import LOSSES
from fastgd.rules.optimizers import UPDATES
from fastgd.rules.scalar import like
from fastgd.rules.update import CLIP_VALUE, COLUMNS, L1, L2

__all__ = ["activate", "apply_update", "multiply_by_slope", "numbers", "output_delta"]


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


@compiled
def numbers(work, at):
    """Return a rule's parameters, in registers."""
    return work[at], work[at + 1], work[at + 2], work[at + 3]


def _value_loop(rule):
    value = compiled(rule.scalar_value)

    @compiled
    def loop(z, a, p):
        for i in range(z.size):
            a[i] = value(z[i], p)

    return loop


def _slope_loop(rule):
    derivative = compiled(rule.scalar_derivative)

    @compiled
    def loop(z, a, p, delta):
        for i in range(z.size):
            delta[i] *= derivative(z[i], a[i], p)

    return loop


def _cost_loop(rule):
    cost = compiled(rule.scalar_cost)
    delta_of = compiled(rule.scalar_delta)

    @compiled
    def loop(z, a, p, y, delta, costs, n, ld, share, factor):
        """Turn slopes into deltas times ``factor``; write the cost of each row.

        Rows are ``ld`` apart; the costs are those of the first ``n`` columns. They take the place
        of z, which nothing needs any more, so that the loop vectorises.
        """
        step = delta.dtype.type(factor * share)
        for i in range(a.size):
            own = cost(z[i], a[i], y[i], p)
            delta[i] = delta_of(z[i], a[i], y[i], delta[i], p) * step
            z[i] = own
        for row in range(costs.size):
            total = 0.0
            for i in range(row * ld, row * ld + n):
                total += z[i]
            costs[row] = total * share

    return loop


@compiled
def _prepare(work, w, g, size, table, at, factor):
    """Make the gradient what the rule gets: scaled, limited, with the penalties.

    `fastgd.rules.update.prepare` says how.
    """
    l1, l2, clip = table[at + L1], table[at + L2], table[at + CLIP_VALUE]
    W, G = part(work, w, size), part(work, g, size)
    zero, one = like(0.0, clip), like(1.0, clip)
    if factor != one or clip < math.inf:
        for i in range(size):
            scaled = G[i] * factor
            scaled = clip if scaled > clip else scaled  # this way round NaN stays NaN
            G[i] = -clip if scaled < -clip else scaled
    if l1 != zero or l2 != zero:
        for i in range(size):
            sign = one if W[i] > zero else (-one if W[i] < zero else zero)
            G[i] = G[i] + l2 * W[i] + l1 * sign


#: A rule's loop, with its slots and columns spelled out: LLVM vectorises over pointers and
#: registers, not over tuples of arrays.
_UPDATE_LOOP = """
def loop(work, w, g, slots, stride, size, table, at, factor):
    prepare(work, w, g, size, table, at, factor)
    shrink, row = table[at], ({columns})
    W, G = part(work, w, size), part(work, g, size)
{views}
    for i in range(size):
        x, after = apply(shrink * W[i], G[i], ({slots}), row)
        W[i] = x
{stores}
"""


def _update_loop(rule):
    own, kept = range(len(rule.columns)), range(len(rule.slots))
    source = _UPDATE_LOOP.format(
        columns="".join(f"table[at + {len(COLUMNS) + i}], " for i in own),
        views="\n".join(f"    S{k} = part(work, slots + {k} * stride, size)" for k in kept),
        slots="".join(f"S{k}[i], " for k in kept),
        stores="\n".join(f"        S{k}[i] = after[{k}]" for k in kept),
    )
    names = {"part": part, "prepare": _prepare, "apply": compiled(rule.scalar_apply)}
    exec(source, names)
    return compiled(names["loop"])


@compiled
def _nothing(chosen, args):
    pass


activate = _chain(_elementwise(ACTIVATIONS, _value_loop))
multiply_by_slope = _chain(_elementwise(ACTIVATIONS, _slope_loop))
output_delta = _chain(_elementwise(LOSSES, _cost_loop))
apply_update = _chain(_elementwise(UPDATES, _update_loop))
