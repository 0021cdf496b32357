"""Draw the time of one training step over width, mini-batch and depth: is there a cliff anywhere?

    python bench/sweep.py                 # minutes; draws docs/sweep.png
    python bench/sweep.py --quick         # fewer and shorter rounds, fastgd and NumPy only
    python bench/sweep.py --csv sweep.csv # the numbers, too

One core, and the time is the processor's: on one core the same as the clock's, but for whatever
else runs there. Inputs hold no zeros, which fastgd would leave out: every contestant does all of
the arithmetic, and the grey line is how long that alone would take. What is not installed is left
out; the picture needs matplotlib (``pip install ".[plot]"``).
"""

from __future__ import annotations

import csv
import importlib.util
import math
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import click
import numpy as np

from fastgd.benchmarks.fastgd_backends import FASTGD
from fastgd.benchmarks.rivals import RIVALS, Trainer
from fastgd.benchmarks.timing import limit_threads, pin
from fastgd.benchmarks.workloads import Workload, initial_parameters
from fastgd.errors import MissingExtraError

#: What is swept, around 784-100-10 with mini-batches of 32. Widths and batches are the round
#: numbers people choose, powers of two, and the neighbours of both, where padding would show.
VALUES = {
    "width": (1, 2, 4, 8, 12, 15, 16, 17, 24, 30, 31, 32, 33, 48, 64, 96, 100, 128, 192, 256, 300,
              384, 511, 512, 513, 600),
    "batch": (1, 2, 3, 4, 5, 7, 8, 10, 16, 17, 32, 33, 64, 100, 128, 256, 512, 1000, 1024),
    "depth": (1, 2, 3, 4, 5, 6, 7, 8),
}  # fmt: skip
#: What rivals are measured at.
FEWER = {
    "width": (1, 4, 16, 32, 64, 100, 256, 600),
    "batch": (1, 4, 10, 32, 100, 256, 1024),
    "depth": (1, 2, 4, 8),
}
N_INPUTS, N_OUTPUTS, WIDTH, BATCH = 784, 10, 100, 32
N_ROWS = 8192
OURS = ("fastgd-native", "fastgd-numba")
#: Those that cost 30 us a step or more whatever its size make one of so many steps.
SHARES = {"numpy": 8, "sklearn": 16, "torch": 16}
#: A point this many times its neighbours' trend is a cliff.
CLIFF = 1.5


@dataclass(frozen=True)
class Measured:
    """One point of one line."""

    panel: str
    value: int
    contestant: str
    flops: int
    seconds: float


def workload_at(panel: str, value: int) -> Workload:
    """Return the network and mini-batch of a point: the middle of the sweep, but for one number."""
    width = value if panel == "width" else WIDTH
    hidden = (width,) * (value if panel == "depth" else 1)
    return Workload(
        name=f"{panel} {value}",
        sizes=(N_INPUTS, *hidden, N_OUTPUTS),
        activation="relu",
        output="softmax",
        loss="cross_entropy",
        batch_size=value if panel == "batch" else BATCH,
        learning_rate=1e-3,
        source="dense",
        n_rows=N_ROWS,
        description="dense random inputs",
    )


def flops_of(workload: Workload) -> int:
    """Return the additions and multiplications of a step's products.

    Forward, gradient, and delta carried back, which the first layer does not need.
    """
    products = [n_in * n_out for n_in, n_out in pairwise(workload.sizes)]
    return 2 * workload.batch_size * (3 * sum(products) - products[0])


def measure_peak(n: int = 1024, repeats: int = 7) -> float:
    """Return the floating point operations per second of a float32 product of NumPy's, n by n."""
    A, B = np.random.default_rng(0).random((2, n, n), dtype=np.float32)
    out = np.empty_like(A)
    times = []
    with limit_threads(1):
        for _ in range(repeats):
            started = time.process_time()
            np.dot(A, B, out=out)
            times.append(time.process_time() - started)
    return 2 * n**3 / min(times)


class Sweep:
    """The data, and the contestants that are installed."""

    def __init__(self, rivals: Iterable[str], seconds: float, repeats: int):
        rng = np.random.default_rng(0)
        self.X = 1 - rng.random((N_ROWS, N_INPUTS), dtype=np.float32)  # above 0
        self.y = rng.integers(N_OUTPUTS, size=N_ROWS)
        self.rows = rng.integers(N_ROWS, size=1 << 20)
        self.seconds, self.repeats = seconds, repeats
        known = {**FASTGD, **RIVALS}
        self.contestants = {}
        for name in (*OURS, *rivals):
            if reason := known[name].available():
                click.echo(f"without {name}: {reason}", err=True)
            else:
                self.contestants[name] = known[name]

    def measure(self, panel: str, value: int, peak: float) -> list[Measured]:
        """Time all contestants at one point, in turns."""
        workload = workload_at(panel, value)
        start = initial_parameters(workload, seed=0)
        flops = flops_of(workload)
        # A step of fastgd takes about this long; what a call costs beside its steps must not show.
        guess = 2e-6 + 1.5 * flops / peak
        steps = min(int(self.seconds / guess), len(self.rows) // workload.batch_size)
        steps = max(16, steps // 16 * 16)
        trainers = {
            name: contestant.prepare(workload, self.X, self.y, start)
            for name, contestant in self.contestants.items()
            if name in OURS or value in FEWER[panel]
        }
        times = cpu_seconds(trainers, self.rows[: steps * workload.batch_size], self.repeats)
        return [Measured(panel, value, name, flops, times[name] / steps) for name in trainers]


def cpu_seconds(
    trainers: Mapping[str, Trainer], order: np.ndarray, repeats: int
) -> dict[str, float]:
    """Return the processor's seconds of each trainer's best run; they take turns.

    A slow one makes one of so many steps, as `SHARES` says; the time is that of all.
    """
    orders = {name: order[: len(order) // SHARES.get(name, 1)] for name in trainers}
    best = dict.fromkeys(trainers, math.inf)
    with limit_threads(1):
        for name, trainer in trainers.items():
            trainer.warm_up(orders[name])
        for _ in range(repeats):
            for name, trainer in trainers.items():
                started = time.process_time()
                trainer.run(orders[name])
                seconds = (time.process_time() - started) * SHARES.get(name, 1)
                best[name] = min(best[name], seconds)
    return best


def merged(passes: Iterable[Measured]) -> list[Measured]:
    """Return the best of several passes at each point: a noisy moment spoils one of them only."""
    best: dict[tuple[str, str, int], Measured] = {}
    for point in passes:
        key = point.contestant, point.panel, point.value
        if key not in best or point.seconds < best[key].seconds:
            best[key] = point
    return list(best.values())


def line_of(points: Iterable[Measured], panel: str, contestant: str) -> list[Measured]:
    """Return one contestant's points in one panel, from left to right."""
    chosen = [p for p in points if (p.panel, p.contestant) == (panel, contestant)]
    return sorted(chosen, key=lambda point: point.value)


def over_trend(line: list[Measured]) -> list[tuple[Measured, float]]:
    """Return each inner point with its time over that of the power law through its neighbours."""
    ratios = []
    for before, point, after in zip(line, line[1:], line[2:], strict=False):
        share = math.log(point.value / before.value) / math.log(after.value / before.value)
        trend = before.seconds ** (1 - share) * after.seconds**share
        ratios.append((point, point.seconds / trend))
    return ratios


def report(points: list[Measured]) -> None:
    """Print fastgd's times, their speeds, and where one stands out of its neighbours' trend."""
    for panel in VALUES:
        click.echo(f"\n{panel:>6}" + "".join(f"{n:>15} us{'GFLOP/s':>9}{'trend':>7}" for n in OURS))
        lines = {name: line_of(points, panel, name) for name in OURS}
        trends = {p: r for line in lines.values() for p, r in over_trend(line)}
        for value in VALUES[panel]:
            cells = f"{value:6}"
            for line in lines.values():
                for p in (p for p in line if p.value == value):
                    ratio = trends.get(p)
                    speed = p.flops / p.seconds / 1e9
                    cells += f"{p.seconds * 1e6:18.2f}{speed:9.1f}"
                    cells += f"{ratio:6.2f}{'!' if ratio > CLIFF else ' '}" if ratio else " " * 7
            click.echo(cells)
    click.echo(f"\n! takes over {CLIFF} times what the power law through its neighbours says")


def write_csv(points: Iterable[Measured], path: Path) -> None:
    """Write every point, in microseconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["panel", "value", "contestant", "flops", "us_per_step"])
        for p in points:
            writer.writerow([p.panel, p.value, p.contestant, p.flops, f"{p.seconds * 1e6:.3f}"])


#: Okabe and Ito's colours, and a marker each: told apart without colour, too.
STYLES = {
    "sklearn": ("scikit-learn", "#CC79A7", "v"),
    "torch": ("PyTorch", "#D55E00", "D"),
    "numpy": ("NumPy", "#000000", "^"),
    "jax": ("JAX, one scan", "#009E73", "s"),
    "fastgd-numba": ("fastgd, numba", "#E69F00", "o"),
    "fastgd-native": ("fastgd, native", "#0072B2", "o"),
}
TITLES = {
    "width": (f"{N_INPUTS}-w-{N_OUTPUTS}, batch {BATCH}", "w, units in the hidden layer"),
    "batch": (f"{N_INPUTS}-{WIDTH}-{N_OUTPUTS}", "examples in a mini-batch"),
    "depth": (f"{N_INPUTS}-{WIDTH}-...-{WIDTH}-{N_OUTPUTS}, batch {BATCH}", "hidden layers"),
}


def draw(points: list[Measured], peak: float, origin: str, path: Path) -> None:
    """Draw the three panels, and the time of the arithmetic alone, to a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    figure, axes = plt.subplots(1, 3, figsize=(10.5, 4.4), sharey=True, layout="constrained")
    for axis, panel in zip(axes, VALUES, strict=True):
        flops = {v: flops_of(workload_at(panel, v)) for v in VALUES[panel]}
        axis.plot(
            list(flops), [f / peak * 1e6 for f in flops.values()], color="0.6", lw=4, zorder=1,
            label=f"arithmetic alone, at {peak / 1e9:.0f} GFLOP/s ({origin})",
        )  # fmt: skip
        for name, (label, color, marker) in STYLES.items():
            line = line_of(points, panel, name)
            if line:
                axis.plot(
                    [p.value for p in line], [p.seconds * 1e6 for p in line], color=color,
                    marker=marker, ms=3.5, lw=2 if name in OURS else 1.2, label=label,
                )  # fmt: skip
        axis.set(xscale="log", yscale="log", title=TITLES[panel][0], xlabel=TITLES[panel][1])
        ticks = [v for v in (1, 2, 4, 8) if panel == "depth"] or [4**k for k in range(6)]
        axis.xaxis.set_major_locator(FixedLocator([t for t in ticks if t <= max(flops)]))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axis.grid(color="0.9")
        axis.set_axisbelow(True)
    axes[0].set_ylabel("µs per training step, one core")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles[1:] + handles[:1],
        labels[1:] + labels[:1],
        loc="outside upper center",
        ncols=4,
        frameon=False,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


@click.command(help=__doc__.split("\n", 1)[0])
@click.option("--quick", is_flag=True, help="Short rounds, fastgd and NumPy only.")
@click.option("--out", type=click.Path(path_type=Path), default="docs/sweep.png", show_default=True)
@click.option("--csv", "table", type=click.Path(path_type=Path), help="Write the numbers, too.")
@click.option("--peak", type=float, help="GFLOP/s of the grey line.  [default: NumPy's, measured]")
def main(quick: bool, out: Path, table: Path | None, peak: float | None) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        raise click.ClickException(
            str(MissingExtraError("the picture needs matplotlib: pip install fastgd[plot]"))
        )
    click.echo(pin(1), err=True)
    speed = peak * 1e9 if peak else measure_peak()
    origin = "as given" if peak else "NumPy's, large product"
    rivals = ("numpy",) if quick else ("numpy", "sklearn", "torch", "jax")
    sweep = Sweep(rivals, seconds=0.01 if quick else 0.05, repeats=2 if quick else 3)
    todo = [(panel, value) for panel, values in VALUES.items() for value in values]
    passes = 1 if quick else 2
    points: list[Measured] = []
    with click.progressbar(todo * passes, label="measuring", file=sys.stderr) as bar:
        for panel, value in bar:
            points += sweep.measure(panel, value, speed)
    points = merged(points)
    report(points)
    if table:
        write_csv(points, table)
    draw(points, speed, origin, out)
    click.echo(f"{out}; grey line: {speed / 1e9:.0f} GFLOP/s, {origin}")


if __name__ == "__main__":
    main()
