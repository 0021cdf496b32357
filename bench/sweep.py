"""Draw the time of one training step over width, mini-batch and depth: is there a cliff anywhere?

    python bench/sweep.py                 # many minutes; draws docs/sweep.png
    python bench/sweep.py --quick         # fewer and shorter rounds, fastgd and NumPy only
    python bench/sweep.py --csv sweep.csv # the numbers, too
    python bench/sweep.py --density 0.01 --dtype float64      # some of it

One core, and the time is the processor's: on one core the same as the clock's, but for whatever
else runs there. 100 %, 20 % and 1 % of the inputs are not zero, in float32 and in float64. Rivals
are measured where none is zero: every contestant does all of the arithmetic there, and the grey
line is how long that alone would take. fastgd leaves zeros out. A point above 1.5 times what its
neighbours say is marked. What is not installed is left out; the picture needs matplotlib
(``pip install ".[plot]"``).
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
from typing import Any

import click
import numpy as np

from fastgd.benchmarks.apart import start_free
from fastgd.benchmarks.fastgd_backends import FASTGD
from fastgd.benchmarks.rivals import RIVALS
from fastgd.benchmarks.timing import limit_threads, pin
from fastgd.benchmarks.trainers import Trainer
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
DENSITIES = (1.0, 0.2, 0.01)
DTYPES = ("float32", "float64")
#: Those that cost 30 us a step or more whatever its size make one of so many steps.
SHARES = {"numpy": 8, "sklearn": 16, "torch": 16}
#: A point this many times its neighbours' trend is a cliff.
CLIFF = 1.5


@dataclass(frozen=True)
class Kind:
    """What the inputs are: the share of them that is not zero, and their dtype."""

    density: float
    dtype: str

    @property
    def has_rivals(self) -> bool:
        """Whether rivals are measured, too: where everybody does the same arithmetic."""
        return self == Kind(1.0, "float32")

    def __str__(self) -> str:
        return f"{100 * self.density:g} % not zero, {self.dtype}"


@dataclass(frozen=True)
class Measured:
    """One point of one line."""

    kind: Kind
    panel: str
    value: int
    contestant: str
    flops: int
    seconds: float


def workload_at(panel: str, value: int, dtype: str = "float32") -> Workload:
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
        description="random inputs",
        dtype=dtype,
    )


def flops_of(workload: Workload, density: float = 1.0) -> int:
    """Return the additions and multiplications of a step's products, without those by zero inputs.

    Forward, gradient, and delta carried back, which the first layer does not need.
    """
    first, *others = [n_in * n_out for n_in, n_out in pairwise(workload.sizes)]
    return round(2 * workload.batch_size * (3 * sum(others) + 2 * first * density))


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
    """The data of one kind, and the contestants that are installed."""

    def __init__(self, kind: Kind, rivals: Iterable[str], seconds: float, repeats: int):
        rng = np.random.default_rng(0)
        self.kind = kind
        X = 1 - rng.random((N_ROWS, N_INPUTS), dtype=np.float32)  # above 0
        if kind.density < 1:
            X[rng.random(X.shape, dtype=np.float32) >= kind.density] = 0
        self.X = X.astype(kind.dtype)
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
        workload = workload_at(panel, value, self.kind.dtype)
        start = initial_parameters(workload, seed=0)
        flops = flops_of(workload, self.kind.density)
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
        return [
            Measured(self.kind, panel, value, name, flops, times[name] / steps) for name in trainers
        ]


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
    best: dict[tuple[Kind, str, str, int], Measured] = {}
    for point in passes:
        key = point.kind, point.contestant, point.panel, point.value
        if key not in best or point.seconds < best[key].seconds:
            best[key] = point
    return list(best.values())


def line_of(points: Iterable[Measured], kind: Kind, panel: str, contestant: str) -> list[Measured]:
    """Return one contestant's points of one kind in one panel, from left to right."""
    wanted = kind, panel, contestant
    chosen = [p for p in points if (p.kind, p.panel, p.contestant) == wanted]
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
    cliffs: list[tuple[Measured, float]] = []
    for kind in dict.fromkeys(point.kind for point in points):
        click.echo(f"\n{kind}")
        for panel in VALUES:
            lines = {name: line_of(points, kind, panel, name) for name in OURS}
            trends = {p: r for line in lines.values() for p, r in over_trend(line)}
            cliffs += [(p, ratio) for p, ratio in trends.items() if ratio > CLIFF]
            heads = "".join(f"{n:>15} us{'GFLOP/s':>9}{'trend':>7}" for n in OURS)
            click.echo(f"\n{panel:>6}{heads}")
            for value in VALUES[panel]:
                here = (p for line in lines.values() for p in line if p.value == value)
                click.echo(f"{value:6}" + "".join(cells_of(p, trends.get(p)) for p in here))
    click.echo(f"\n! takes over {CLIFF} times what the power law through its neighbours says")
    for p, ratio in cliffs:
        click.echo(f"  {p.contestant}, {p.panel} {p.value}, {p.kind}: {ratio:.2f}")
    click.echo(f"{len(cliffs) or 'no'} such points")
    report_float64(points)


def cells_of(p: Measured, ratio: float | None) -> str:
    """Return a point's time, its speed, and its time over its neighbours' trend."""
    trend = f"{ratio:6.2f}{'!' if ratio > CLIFF else ' '}" if ratio else " " * 7
    return f"{p.seconds * 1e6:18.2f}{p.flops / p.seconds / 1e9:9.1f}{trend}"


def report_float64(points: list[Measured]) -> None:
    """Print where float64 takes longest beside float32."""
    for density in dict.fromkeys(point.kind.density for point in points):
        single, double = (
            {(p.contestant, p.panel, p.value): p.seconds for p in points if p.kind == kind}
            for kind in (Kind(density, dtype) for dtype in DTYPES)
        )
        ratios = {key: double[key] / single[key] for key in single if key in double}
        if ratios:
            most = max(ratios, key=ratios.__getitem__)
            click.echo(
                f"float64 takes at most {ratios[most]:.2f} times as long as float32 where "
                f"{100 * density:g} % is not zero: {most[0]}, {most[1]} {most[2]}"
            )


def write_csv(points: Iterable[Measured], path: Path) -> None:
    """Write every point, in microseconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        columns = ["density", "dtype", "panel", "value", "contestant", "flops", "us_per_step"]
        writer.writerow(columns)
        for p in points:
            kind = [p.kind.density, p.kind.dtype]
            point = [p.panel, p.value, p.contestant, p.flops, f"{p.seconds * 1e6:.3f}"]
            writer.writerow(kind + point)


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


#: What fastgd-native's lines of each kind look like, in the second row.
DENSITY_COLORS = {1.0: "#0072B2", 0.2: "#009E73", 0.01: "#D55E00"}
DTYPE_LINES = {"float32": "-", "float64": "--"}


def draw(points: list[Measured], peak: float, origin: str, path: Path) -> None:
    """Draw three panels of all contestants, and three of all kinds of inputs, to a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    kinds = {point.kind for point in points}
    rows = [draw_rivals] if any(kind.has_rivals for kind in kinds) else []
    rows += [draw_kinds] if len(kinds) > 1 or not rows else []
    figure = plt.figure(figsize=(10.5, 4.4 * len(rows)), layout="constrained")
    parts = figure.subfigures(len(rows), 1, squeeze=False)[:, 0]
    for part, draw_row in zip(parts, rows, strict=True):
        axes = part.subplots(1, 3, sharey=True)
        for axis, panel in zip(axes, VALUES, strict=True):
            draw_row(axis, panel, points, peak, origin)
            label_axis(axis, panel)
        axes[0].set_ylabel("µs per training step, one core")
        handles, _ = axes[0].get_legend_handles_labels()
        handles.sort(key=lambda line: line.get_linewidth() > 3)  # the arithmetic comes last
        part.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_rivals(axis: Any, panel: str, points: list[Measured], peak: float, origin: str) -> None:
    """Draw everybody's time on dense float32 inputs, and that of the arithmetic alone."""
    flops = {v: flops_of(workload_at(panel, v)) for v in VALUES[panel]}
    axis.plot(
        list(flops), [f / peak * 1e6 for f in flops.values()], color="0.6", lw=4, zorder=1,
        label=f"arithmetic alone, at {peak / 1e9:.0f} GFLOP/s ({origin})",
    )  # fmt: skip
    for name, (label, color, marker) in STYLES.items():
        line = line_of(points, Kind(1.0, "float32"), panel, name)
        if line:
            axis.plot(
                [p.value for p in line], [p.seconds * 1e6 for p in line], color=color,
                marker=marker, ms=3.5, lw=2 if name in OURS else 1.2, label=label,
            )  # fmt: skip


def draw_kinds(axis: Any, panel: str, points: list[Measured], peak: float, origin: str) -> None:
    """Draw the native backend's time on all kinds of inputs."""
    for kind in dict.fromkeys(point.kind for point in points):
        line = line_of(points, kind, panel, OURS[0])
        axis.plot(
            [p.value for p in line], [p.seconds * 1e6 for p in line], DTYPE_LINES[kind.dtype],
            color=DENSITY_COLORS.get(kind.density, "#CC79A7"), marker="o", ms=3, lw=1.5,
            label=str(kind),
        )  # fmt: skip


def label_axis(axis: Any, panel: str) -> None:
    """Set scales, ticks and title."""
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    axis.set(xscale="log", yscale="log", title=TITLES[panel][0], xlabel=TITLES[panel][1])
    ticks = [v for v in (1, 2, 4, 8) if panel == "depth"] or [4**k for k in range(6)]
    axis.xaxis.set_major_locator(FixedLocator([t for t in ticks if t <= max(VALUES[panel])]))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axis.grid(color="0.9")
    axis.set_axisbelow(True)


@click.command(help=__doc__.split("\n", 1)[0])
@click.option("--quick", is_flag=True, help="Short rounds, fastgd and NumPy only.")
@click.option(
    "--density",
    "densities",
    type=float,
    multiple=True,
    default=DENSITIES,
    show_default=True,
    help="The share of inputs that is not zero; repeatable.",
)
@click.option(
    "--dtype",
    "dtypes",
    type=click.Choice(DTYPES),
    multiple=True,
    default=DTYPES,
    show_default=True,
    help="The numbers computed in; repeatable.",
)
@click.option("--out", type=click.Path(path_type=Path), default="docs/sweep.png", show_default=True)
@click.option("--csv", "table", type=click.Path(path_type=Path), help="Write the numbers, too.")
@click.option("--peak", type=float, help="GFLOP/s of the grey line.  [default: NumPy's, measured]")
def main(
    quick: bool,
    densities: tuple[float, ...],
    dtypes: tuple[str, ...],
    out: Path,
    table: Path | None,
    peak: float | None,
) -> None:  # fmt: skip
    if importlib.util.find_spec("matplotlib") is None:
        raise click.ClickException(
            str(MissingExtraError("the picture needs matplotlib: pip install fastgd[plot]"))
        )
    if not all(0 < density <= 1 for density in densities):
        raise click.UsageError("--density must be above 0, up to 1")
    start_free(sys.argv, threads=1)
    click.echo(pin(1), err=True)
    speed = peak * 1e9 if peak else measure_peak()
    origin = "as given" if peak else "NumPy's, large product"
    kinds = [Kind(density, dtype) for dtype in dtypes for density in densities]
    points = measured(kinds, quick, speed)
    report(points)
    if table:
        write_csv(points, table)
    draw(points, speed, origin, out)
    click.echo(f"{out}; grey line: {speed / 1e9:.0f} GFLOP/s, {origin}")


def measured(kinds: list[Kind], quick: bool, peak: float) -> list[Measured]:
    """Measure every size on every kind of inputs, in passes; return the best."""
    rivals = ("numpy",) if quick else ("numpy", "sklearn", "torch", "jax")
    seconds, repeats, passes = (0.01, 2, 1) if quick else (0.05, 3, 2)
    sizes = [(panel, value) for panel, values in VALUES.items() for value in values] * passes
    points: list[Measured] = []
    with click.progressbar(
        length=len(kinds) * len(sizes), label="measuring", file=sys.stderr
    ) as bar:
        for kind in kinds:
            sweep = Sweep(kind, rivals if kind.has_rivals else (), seconds, repeats)
            for panel, value in sizes:
                points += sweep.measure(panel, value, peak)
                bar.update(1)
    return merged(points)


if __name__ == "__main__":
    main()
