"""Models and data together: what a model file remembers of its data, `fastgd.data.notes`, in use.

A network saved from Python has no notes; then the network itself says what it can.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from fastgd.cli.options import option, with_options
from fastgd.cli.settings import MAX_BYTES, SEP, max_bytes
from fastgd.data.fetch import mnist_folder
from fastgd.data.notes import checksum, class_names, notes_for
from fastgd.errors import DataError, ModelFileError, SettingError
from fastgd.storage import parse
from fastgd.writing import check_target, stream_of

if TYPE_CHECKING:
    from fastgd.cli.output import Output
    from fastgd.data import Dataset
    from fastgd.network import Network
    from fastgd.tables import Table

__all__ = [
    "Part",
    "all_fit",
    "check_out",
    "class_names",
    "is_file",
    "is_special",
    "load_model",
    "load_rows",
    "notes_for",
    "open_source",
    "reads_a_model",
    "split_of",
    "unseen_part",
]


def reads_a_model(target: str, every: bool = False) -> Callable[[Any], Any]:
    """Add MODEL and DATA, and the options that go with both; ``target`` says what --target is."""
    options = [
        click.argument("model"),
        click.argument("data"),
        option(
            "Data",
            "--target",
            metavar="COLUMN",
            help=f"{target}  [default: the one of the training]",
        ),
        SEP,
        MAX_BYTES,
        option("Other", "--backend", metavar="NAME", help="What computes.  [default: the fastest]"),
    ]
    if every:
        words = "Use every row, also those trained on."
        options.append(option("Data", "--all", "every", is_flag=True, help=words))
    return with_options(options)


def load_model(path: str, data: str, backend: str | None) -> Network:
    """Read the model of a command's MODEL DATA."""
    from fastgd.network import load

    if path == "digits" or (data.endswith(".safetensors") and not path.endswith(".safetensors")):
        raise click.UsageError(f"the model comes first, then the data; got {path} {data}")
    network = load(path, backend=backend)
    labels = network.labels.values
    if "task" not in network.notes and labels is not None:
        # Saved from Python: here classes are read as text, whatever they are there.
        network.classes = [f"{c:g}" if isinstance(c, float) else str(c) for c in labels]
    return network


def open_source(source: str, given: dict[str, Any]) -> tuple[Table | Dataset, Table | None]:
    """Read what `fastgd train` is given: data, and the table of --test."""
    from fastgd import data
    from fastgd.data.tables import is_table

    targets = list(given["target"])
    about = {name: given[name] for name in ("sep", "ignore", "categorical")}
    about |= {"task": given["task"], "max_bytes": max_bytes()}
    if not is_table(source) or os.path.isdir(source):
        if given["test"] is not None:
            raise SettingError("test", f"is for tables; {source} is none")
        target = targets[0] if len(targets) == 1 else targets or None
        return data.load(source, target=target, sample_weight=given["sample_weight"], **about), None
    from fastgd.tables import Table, read_frame
    from fastgd.tables.loading import open_table

    table = open_table(source, targets or None, weights=given["sample_weight"], **about)
    if given["test"] is None:
        return table, None
    if not isinstance(table, Table):
        raise SettingError("test", f"is for tables of columns; {source} holds images")
    if given["holdout"] is not None:
        raise click.UsageError("--test names the rows to score on; --holdout would hold out others")
    test = read_frame(given["test"], given["sep"], max_bytes())
    return table, Table(test, described=table.target)


def load_rows(
    network: Network,
    source: str,
    *,
    target: str | None = None,
    need_target: bool,
    sep: str | None = None,
    output: Output | None = None,
) -> Dataset:
    """Read data as the network was taught: its columns, its classes.

    What it was not taught is told on ``output``.

    Raises
    ------
    DataError
        If the data cannot be read or has another number of columns than the network.
    """
    from fastgd import data
    from fastgd.data.tables import is_table

    notes = network.notes
    described: dict[str, Any] = {}
    names, features = (_listed(network, key) for key in ("class_names", "feature_names"))
    task, learned = notes.get("task"), notes.get("target") if is_table(source) else None
    if task is None and names is None and network.labels.values is not None:
        task, names = "classification", tuple(map(str, network.labels.values))
    elif task is None and network.architecture.n_outputs == 1:
        task = "regression"  # a single output is compared with the numbers themselves
    elif task is None:
        names = tuple(map(str, range(network.architecture.n_outputs)))
    if "columns" in notes and is_table(source) and learned is not None:
        from fastgd.tables import Columns, Target
        from fastgd.tables.model import check_described

        columns, found = Columns.from_json(notes["columns"]), Target.from_json(learned)
        check_described(columns, found, network)
        described = {"columns": columns, "learned": found}
        task = names = features = learned = None
    dataset = data.load(
        source,
        target=target or learned,
        need_target=need_target,
        task=task,
        class_names=names,
        feature_names=features,
        sep=sep,
        max_bytes=max_bytes(),
        **described,
    )
    if dataset.columns is not None and not all_fit(dataset, network.dtype):
        from fastgd.tables.loading import check_fits
        from fastgd.tables.reading import read_frame

        table = read_frame(source, sep, max_bytes())
        hint = "train with --dtype float64"
        check_fits(table, table.frame, dataset.columns, network.dtype, hint)
    if output is not None:
        for note in dataset.notes:
            output.note(f"{dataset.name}: {note}")
    expected = network.architecture.n_inputs
    if dataset.n_features != expected:
        raise DataError(
            f"{source}: has {dataset.n_features} columns of inputs; the model takes {expected}"
        )
    return dataset


def all_fit(dataset: Dataset, dtype: str) -> bool:
    """Return whether a dtype can hold each number of the inputs."""
    most = np.finfo(dtype).max
    parts = [X for X in (dataset.X, dataset.X_test) if X is not None and len(X)]
    return not any(X.max() > most or X.min() < -most for X in parts)


class Part(NamedTuple):
    """Some rows of a dataset: which ("test", "held_out" or "all") and in words."""

    X: np.ndarray
    y: np.ndarray | None
    which: str
    words: str


def unseen_part(network: Network, dataset: Dataset) -> Part:
    """Return the rows to judge a network by: those it was not trained on, where that is known."""
    from fastgd import data

    if dataset.X_test is not None:
        n = len(dataset.X_test)
        return Part(dataset.X_test, dataset.y_test, "test", f"the {n:,} test rows")
    holdout, seed = split_of(network.notes)
    known = network.notes.get("data_crc32") == checksum(dataset)
    if holdout and known:
        held = data.split(dataset, holdout, seed)
        words = f"the {len(held.X_test):,} rows held out of training"  # type: ignore[arg-type]
        return Part(held.X_test, held.y_test, "held_out", words)  # type: ignore[arg-type]
    words = f"all {len(dataset.X):,} rows"
    return Part(dataset.X, dataset.y, "all", words + ", which it was trained on" * known)


def all_rows(dataset: Dataset) -> Part:
    """Return every row, those of a test part last."""
    X, y = dataset.X, dataset.y
    if dataset.X_test is not None:
        X = np.concatenate([X, dataset.X_test])
    if y is not None and dataset.y_test is not None:
        y = np.concatenate([y, dataset.y_test])
    return Part(X, y, "all", f"all {len(X):,} rows")


def score_name(network: Network, y: np.ndarray | None) -> str:
    """Return what `Network.score` measures on these targets."""
    from fastgd.engine.metrics import score_kind

    return score_kind(network.architecture, network.check_targets(y)).label


def check_out(
    path: str | os.PathLike[str],
    *sources: str | os.PathLike[str] | None,
    option: str = "--out",
    regular: bool = False,
) -> None:
    """Raise, before any work, if a file cannot be written there or is one that is being read.

    Parameters
    ----------
    path : path
    *sources : path or None
        What is read.
    option : str
        What the path was given with.
    regular : bool
        Whether streams, pipes and devices are refused.

    Raises
    ------
    click.BadParameter
        In one line that says why not.
    """
    out, stream, problem = Path(path), stream_of(path), None
    try:
        if stream is not None:
            problem = _unwritable(stream) or _also_read(Path(os.path.realpath(path)), sources)
        elif is_special(target := check_target(path)):
            problem = None
        else:
            problem = _also_read(target, sources) or _no_room(target.parent)
        if regular and (stream is not None or is_special(path)):
            problem = problem or "is not a regular file"
    except IsADirectoryError:
        problem = "is a folder; name a file in it"
    except FileNotFoundError:
        problem = f"cannot be written: there is no folder {out.parent}"
        problem = problem if os.fspath(path) else "must be the name of a file; got ''"
    except OSError as error:
        problem = f"cannot be written: {error.strerror or error}"
    if problem:
        raise click.BadParameter(f"{path} {problem}".lstrip(), param_hint=option)


def is_special(path: str | os.PathLike[str]) -> bool:
    """Return whether a path leads to something that is no regular file: a pipe, a device."""
    return os.path.exists(path) and not os.path.isfile(path)


def is_file(path: str | os.PathLike[str]) -> bool:
    """Return whether there is a file that what is written there would take the place of."""
    return stream_of(path) is None and os.path.isfile(path)


def _unwritable(stream: int) -> str | None:
    """Say so where a stream is closed, or only read."""
    closed = {1: sys.stdout, 2: sys.stderr}.get(stream, sys) is None
    try:
        if not closed:
            os.write(stream, b"")
    except OSError:
        closed = True
    return "cannot be written: it is closed, or only to be read" if closed else None


def _no_room(folder: Path) -> str | None:
    """Say so where no file can be made in a folder."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except FileNotFoundError:  # /proc
        return f"cannot be written: no files can be made in {folder}"
    except OSError as error:
        return f"cannot be written: {error.strerror or error}"
    return None


def _also_read(target: Path, sources: Iterable[str | os.PathLike[str] | None]) -> str | None:
    """Say so where a file is one of those being read, or lies in a folder that is."""
    for source in sources:
        read = None if source is None else Path(os.path.realpath(source))
        if source == "mnist" and not Path(source).exists():
            read = mnist_folder()
        if read is None:
            continue
        if read == target or (target.exists() and read.exists() and target.samefile(read)):
            return "is what is being read; name another file"
        if read.is_dir() and read in target.parents:
            return "lies in the folder that is being read; name a file elsewhere"
    return None


def split_of(notes: dict[str, str]) -> tuple[float, int]:
    """Return the share of the rows held out of training, 0 where that is not known, and the seed.

    >>> split_of({"holdout": "0.2", "seed": "7"}), split_of({"holdout": "half"})
    ((0.2, 7), (0.0, 0))
    """
    try:
        share, seed = float(notes["holdout"]), int(notes["seed"])
    except (KeyError, ValueError):
        return 0.0, 0
    return (share, seed) if 0 < share < 1 and seed >= 0 else (0.0, 0)


def _listed(network: Network, key: str) -> tuple[str, ...] | None:
    """Return a list of texts from the notes; they may be a stranger's."""
    if key not in network.notes:
        return None
    try:
        words = parse(network.notes[key])
    except ValueError:
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ModelFileError(f"the model's notes: {key} must be a list of texts")
    return tuple(words)
