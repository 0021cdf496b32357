"""What reading a table and making numbers of it takes beside pandas' own read of the file.

    python bench/read_table.py [rows]

The table has a million rows of numbers, words, dates and gaps. Each figure is the best of three.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import fastgd


def a_table(n: int) -> pd.DataFrame:
    """Return n rows: 12 columns of numbers, two of them with gaps, and 4 of words."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"x{i}": rng.normal(size=n) for i in range(8)})
    for i in range(4):
        frame[f"n{i}"] = rng.integers(0, 1000, n)
    frame.loc[rng.random(n) < 0.05, "x0"] = np.nan
    frame.loc[rng.random(n) < 0.01, "x1"] = np.nan
    frame["color"] = rng.choice(["red", "green", "blue"], n)
    frame["city"] = rng.choice([f"city {i}" for i in range(200)], n)
    frame["paid"] = rng.random(n) < 0.5
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1500, n), unit="D")
    frame["when"] = days.strftime("%Y-%m-%d")
    frame["price"] = 3 * frame["x2"] + frame["n0"] / 100 + rng.normal(size=n)
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
    """Print the seconds of each part and the ratio."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        a_table(n).round(4).to_csv(path, index=False)
        megabytes = path.stat().st_size / 1e6
        pandas = best(lambda: pd.read_csv(path))
        read = best(lambda: fastgd.Table.read(path, target="price"))
        table = fastgd.Table.read(path, target="price")
        encode = best(lambda: table.divide())
        divide = best(lambda: table.divide(0.2, 0))
    print(f"{n:,} rows, {megabytes:.0f} MB")
    print(f"pandas.read_csv      {pandas:6.2f} s")
    print(f"Table.read           {read:6.2f} s")
    print(f"encode               {encode:6.2f} s; with a fifth held out {divide:.2f} s")
    print(f"read and encode      {(read + encode) / pandas:6.2f} x pandas.read_csv")
    print(f"  a fifth held out   {(read + divide) / pandas:6.2f} x")


if __name__ == "__main__":
    main()
