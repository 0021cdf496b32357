"""What reading a table, making numbers of it and one epoch take beside pandas' own read of it.

    python bench/read_table.py [rows]

Three tables of a million rows: `mixed` has 6 numbers and 2 columns of words, `numbers` has 8
numbers, `wide` has 12 numbers, two of them with gaps, 4 columns of words, and dates. A fifth is
held out. The epoch is the first one that `fastgd.recipe` chooses for the rows that are left.

Each figure is the least seconds of a few calls: of the processor, which others on the machine
cannot disturb, so on one thread.

The sum is not within 1.5 times pandas' read, and cannot be on one thread with two layers of 128
units: reading costs what pandas' read costs, and 92 GFLOP an epoch (`mixed`) take more than that
read at any speed one core has. bench/RESULTS.md has the parts.
"""

from __future__ import annotations

import os

os.environ.setdefault("FASTGD_NUM_THREADS", "1")

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import fastgd
from fastgd import recipe


def numbers(n: int, rng: np.random.Generator, width: int = 8) -> pd.DataFrame:
    """Return n rows of numbers: most of them measured, the last two counted."""
    frame = pd.DataFrame({f"x{i}": rng.normal(size=n) for i in range(width - 2)})
    frame["n0"], frame["n1"] = rng.integers(0, 1000, (2, n))
    frame["price"] = 3 * frame["x2"] + frame["n0"] / 100 + rng.normal(size=n)
    return frame


def mixed(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return n rows of 6 numbers and 2 columns of words."""
    frame = numbers(n, rng, 6)
    frame["color"] = rng.choice(["red", "green", "blue"], n)
    frame["city"] = rng.choice([f"city {i}" for i in range(12)], n)
    return frame


def wide(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return n rows of 12 numbers, two of them with gaps, 3 columns of words, and dates."""
    frame = numbers(n, rng, 12)
    frame.loc[rng.random(n) < 0.05, "x0"] = np.nan
    frame.loc[rng.random(n) < 0.01, "x1"] = np.nan
    frame["color"] = rng.choice(["red", "green", "blue"], n)
    frame["city"] = rng.choice([f"city {i}" for i in range(200)], n)
    frame["paid"] = rng.random(n) < 0.5
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1500, n), unit="D")
    frame["when"] = days.strftime("%Y-%m-%d")
    return frame


def best(call: Callable[[], object], times: int = 3) -> float:
    """Return the least seconds of processor time of a few calls, which others cannot disturb."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken)


def main() -> None:
    """Print the seconds of each part and the ratio, for each table."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    for make in (mixed, numbers, wide):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.csv"
            make(n, np.random.default_rng(0)).round(4).to_csv(path, index=False)
            compare(make.__name__, path)


def compare(name: str, path: Path) -> None:
    """Print what a file's parts take."""
    pandas = best(lambda: pd.read_csv(path))
    read = best(lambda: fastgd.Table.read(path, target="price"))
    table = fastgd.Table.read(path, target="price")
    divide = best(lambda: table.divide(0.2, 0))
    data = table.divide(0.2, 0)
    chosen = recipe.choose("numbers", len(data.X), data.n_features, 1)
    epoch = best(lambda: one_epoch(chosen, data), 2)
    setup = best(lambda: one_epoch(chosen, data, 0), 2)
    print(
        f"{name}: {len(table):,} rows, {path.stat().st_size / 1e6:.0f} MB, {data.n_features} inputs"
    )
    print(f"  pandas.read_csv        {pandas:6.2f} s")
    print(f"  Table.read             {read:6.2f} s")
    print(f"  divide and encode      {divide:6.2f} s")
    print(f"  one epoch              {epoch:6.2f} s; {setup:.2f} s of it before the first step")
    print(f"    {chosen}")
    print(f"  read and encode        {(read + divide) / pandas:6.2f} x pandas.read_csv")
    print(f"  all of it              {(read + divide + epoch) / pandas:6.2f} x", flush=True)


def one_epoch(chosen: recipe.Recipe, data: fastgd.data.Dataset, epochs: int = 1) -> None:
    """Train on all rows once, as the recipe says."""
    network = fastgd.Network(chosen.sizes, seed=0, **chosen.rules)
    training = chosen.training._replace(epochs=epochs)
    network.fit(data.X, data.y, **training._asdict())


if __name__ == "__main__":
    main()
