"""``fastgd explain``: which columns a model needs, and how its answers go with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from fastgd.cli import models
from fastgd.cli.options import Command, option, output_options
from fastgd.cli.output import Output
from fastgd.cli.progress import compile_kernels, moving_bar, score_text

if TYPE_CHECKING:
    from fastgd.data import Dataset
    from fastgd.explain.dependence import Dependence
    from fastgd.explain.importance import Importance
    from fastgd.network import Network

__all__ = ["explain"]

#: Columns told in the table, and rows they are measured on, unless more are asked for.
MOST_TOLD, ROWS = 30, 5000

EPILOG = """\b
Examples:
  fastgd explain pets.safetensors pets.csv
  fastgd explain pets.safetensors pets.csv --out pictures/pets
"""


@click.command(cls=Command, epilog=EPILOG)
@models.reads_a_model("The column to compare with.", every=True)
@option(
    "Data",
    "--rows",
    type=click.IntRange(2),
    default=ROWS,
    show_default=True,
    help="Measure on at most so many rows, drawn at random.",
)
@option(
    "Data",
    "--repeats",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="How often each column is shuffled.",
)
@option("Data", "--seed", type=int, default=0, show_default=True, help="Which rows, which orders.")
@option(
    "Picture",
    "--out",
    metavar="PREFIX",
    help="Write PREFIX-importance.png and PREFIX-dependence.png.  "
    "[default: importance.png and dependence.png]",
)
@option("Picture", "--dark", is_flag=True, help="Draw on a dark background.")
@output_options
def explain(
    model: str,
    data: str,
    target: str | None,
    sep: str | None,
    every: bool,
    rows: int,
    repeats: int,
    seed: int,
    out: str | None,
    dark: bool,
    backend: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Say which columns a MODEL needs, and how its answers go with them.

    Each column is shuffled among the rows of DATA: what the score loses by it is what the column
    is worth to the model (permutation importance). And each is set to one value after the other
    in all rows: the averaged answers are its partial dependence. Rows are those the model has not
    seen, as for 'fastgd evaluate'.
    """
    output = Output(as_json, quiet)
    pictures = [picture_name(out, what) for what in ("importance", "dependence")]
    for picture in pictures:
        models.check_out(picture, model, data)
    network = models.load_model(model, data, backend)
    dataset = models.load_rows(
        network, data, target=target, need_target=True, sep=sep, output=output
    )
    if dataset.image_shape is not None:
        raise click.UsageError(
            f"explain is for columns that mean something by themselves; {dataset.name} holds "
            f"images: see fastgd show weights {model} {data}, or activity, or mistakes"
        )
    part = models.all_rows(dataset) if every else models.unseen_part(network, dataset)
    compile_kernels(network.dtype, backend, output)
    X, y = some_rows(part.X, part.y, rows, seed)
    with moving_bar(output) as move:
        importance, dependence = measured(network, dataset, X, y, repeats, seed, move)
    output.say(f"data     {dataset.name}: {part.words}" + words_for(len(X), len(part.X)))
    score = score_text(importance.score, importance.score_name)
    output.say(f"result   {score}; what it loses when a column is shuffled:")
    say_columns(output, importance, dependence)
    drawn = draw(output, pictures, importance, dependence, dark)
    output.finish(
        {
            "command": "explain",
            "model": model,
            "data": dataset.name,
            "rows": part.which,
            "n_rows": len(X),
            "score_name": importance.score_name,
            "score": importance.score,
            "importance": importance.to_list(),
            "answers": dependence.output_names,
            "dependence": dependence.to_list(),
            "pictures": pictures if drawn else None,
        }
    )


def measured(
    network: Network, dataset: Dataset, X: Any, y: Any, repeats: int, seed: int, move: Any
) -> tuple[Importance, Dependence]:
    """Return what each column is worth, and how the answers go with it."""
    from fastgd.explain.dependence import dependence_of
    from fastgd.explain.importance import column_groups, importance_of

    names = dataset.feature_names or tuple(f"input {k}" for k in range(X.shape[1]))
    columns, target = dataset.columns, dataset.target
    groups = column_groups(X.shape[1], names) if columns is None else columns.groups
    answers = target.columns if target and not dataset.is_classification else None
    return (
        importance_of(network, X, y, groups, repeats=repeats, seed=seed, progress=move),
        dependence_of(network, X, groups, input_names=names, target_names=answers, seed=seed),
    )


def picture_name(prefix: str | None, what: str) -> str:
    """Return the file of a picture.

    >>> picture_name(None, "importance"), picture_name("pets", "importance")
    ('importance.png', 'pets-importance.png')
    """
    if prefix is None:
        return f"{what}.png"
    path = Path(prefix)
    if path.is_dir():
        return str(path / f"{what}.png")
    ending = path.suffix if path.suffix.lower() in (".png", ".svg") else ""
    return f"{prefix.removesuffix(ending)}-{what}{ending or '.png'}"


def some_rows(X: Any, y: Any, n: int, seed: int) -> tuple[Any, Any]:
    """Return at most n of the rows, in their order."""
    if n >= len(X):
        return X, y
    kept = np.sort(np.random.default_rng(seed).choice(len(X), n, replace=False))
    return X[kept], y[kept]


def words_for(n: int, total: int) -> str:
    """Say how many rows were drawn, where not all were used."""
    return f", {n:,} of them drawn at random" if n < total else ""


def say_columns(output: Output, importance: Importance, dependence: Dependence) -> None:
    """Print each column: what it is worth, and between which values the answer that moves most."""
    from fastgd.explain.columns import plainly

    by_name = {column.group: column for column in reversed(dependence.columns)}
    rows = []
    for found in importance.to_list()[:MOST_TOLD]:
        column = by_name[found["column"]]
        j = int(np.ptp(column.outputs, axis=0).argmax())
        line = column.outputs[:, j]
        low, high = int(line.argmin()), int(line.argmax())
        rows.append(
            [
                found["column"],
                f"{found['drop']:.4f}",
                f"{found['spread']:.4f}",
                dependence.output_names[j],
                f"{plainly(line[low])} at {column.label(low)}",
                f"{plainly(line[high])} at {column.label(high)}",
            ]
        )
    output.say()
    output.table(["column", "loses", "+-", "answer", "lowest", "highest"], rows)
    if len(importance.names) > len(rows):
        output.say(f"... and {len(importance.names) - len(rows):,} columns that are worth less")


def draw(
    output: Output, files: list[str], importance: Importance, dependence: Dependence, dark: bool
) -> bool:
    """Draw both pictures; without matplotlib, say that there are none."""
    from fastgd import plot
    from fastgd.errors import MissingExtraError
    from fastgd.plot.style import matplotlib, theme

    try:
        matplotlib().use("Agg")
    except MissingExtraError as error:
        output.note(f"no pictures: {error}")
        return False
    order = [importance.names[k] for k in importance.order]
    with theme("dark" if dark else "light"):
        plot.ImportanceDisplay(importance=importance).plot().save(files[0])
        plot.DependenceDisplay(dependence=dependence, order=order).plot().save(files[1])
    matplotlib().pyplot.close("all")
    output.say()
    output.say(f"pictures {files[0]}, {files[1]}")
    return True
