"""What Adam, dropout, weights, clipping and float64 cost a step; and Adam beside optax's.

    python bench/options.py [--rounds 7] [--workloads nielsen hundred wide]

One core, float32 unless said, the same data, start and order for all; all take turns in one run.
Optax (``pip install optax``) is one jit-compiled scan over the steps, as JAX is in `fastgd bench`.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fastgd.benchmarks.apart import start_free
from fastgd.benchmarks.rivals import RIVALS
from fastgd.benchmarks.timing import pin
from fastgd.benchmarks.workloads import WORKLOADS, Workload, initial_parameters, load_data, orders

#: How plain gradient descent is changed: settings of the network, of the optimizer, and weights.
VARIANTS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "adam": {"optimizer": "adam"},
    "dropout": {"dropout": 0.2},
    "weights": {"weights": True},
    "clip_norm": {"clip_norm": 1.0},
    "clip_value": {"clip_value": 0.5},
    "float64": {"dtype": "float64"},
}
STEPS = {"wide": 100, "hundred": 1000}


def fastgd_run(workload: Workload, X: Any, y: Any, order: Any, backend: str, how: dict) -> Callable:
    """Return what makes the steps of one variant once."""
    import fastgd
    from fastgd.engine.inputs import check_examples
    from fastgd.engine.session import Session

    how = dict(how)
    name, weights = how.pop("optimizer", "sgd"), how.pop("weights", False)
    network = {key: how.pop(key) for key in ("dropout", "dtype") if key in how}
    net = fastgd.Network(
        workload.sizes, activation=workload.activation, output=workload.output,
        loss=workload.loss, backend=backend, threads=1, seed=0, **network,
    )  # fmt: skip
    kind = {"sgd": fastgd.SGD, "adam": fastgd.Adam}[name]
    optimizer = kind(0.001 if name == "adam" else workload.learning_rate, **how)
    w = np.random.default_rng(0).uniform(0.5, 2, len(X)) if weights else None
    examples = check_examples(X, y, net.architecture, w)
    examples.inputs.leave_out_zeros()
    start = net.parameters.copy()

    def run() -> None:
        net.parameters = start
        session = Session(net.runner, optimizer, net.state, batch_size=workload.batch_size)
        session.begin()
        net.state.order = order
        while not session.advance(examples).ended:
            pass

    return run


def optax_run(workload: Workload, X: Any, y: Any, order: Any) -> Callable:
    """Return what makes the steps with optax.adam, compiled."""
    with_adam = replace(workload, optimizer="adam", learning_rate=0.001)
    trainer = RIVALS["jax"].prepare(with_adam, X, y, initial_parameters(workload, 0))
    return lambda: trainer.run(order)


def time_all(runs: dict[str, Callable], steps: int, rounds: int) -> dict[str, float]:
    """Return the best microseconds a step of each; all take turns."""
    for run in runs.values():
        run()
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            best[name] = min(best[name], (time.perf_counter() - started) / steps * 1e6)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    plain = [w.name for w in WORKLOADS.values()
             if w.task == "step" and w.threads == 1 and w.optimizer == "sgd"]  # fmt: skip
    parser.add_argument("--workloads", nargs="+", default=plain, choices=plain)
    parser.add_argument("--backend", default="native")
    asked = parser.parse_args()
    start_free(sys.argv, threads=1)
    print(f"{pin(1)}; us per step with {asked.backend}, and times plain SGD's")
    columns = [*VARIANTS, "optax.adam"]
    print(f"{'':14}" + "".join(f"{name:>16}" for name in columns))
    for name in asked.workloads:
        workload = WORKLOADS[name]
        X, y, _ = load_data(workload)
        steps = min(STEPS.get(name, 4000), len(X) // workload.batch_size)
        order = orders(workload, 1, seed=0)[0, : steps * workload.batch_size]
        runs = {
            variant: fastgd_run(workload, X, y, order, asked.backend, how)
            for variant, how in VARIANTS.items()
        }
        if importlib.util.find_spec("optax") and importlib.util.find_spec("jax"):
            runs["optax.adam"] = optax_run(workload, X, y, order)
        best = time_all(runs, steps, asked.rounds)
        cells = (
            f"{best[c]:9,.2f} {best[c] / best['sgd']:5.2f}x" if c in best else "-" for c in columns
        )
        print(f"{name:14}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
