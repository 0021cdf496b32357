"""``fastgd evaluate``: how good a model is on data it has not seen."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from fastgd.cli import models
from fastgd.cli.options import Command, option, output_options
from fastgd.cli.output import Output
from fastgd.cli.progress import compile_kernels, score_text
from fastgd.cli.settings import SEP

__all__ = ["evaluate"]

#: Classes shown; where there are more, those with the most mistakes.
MOST_CLASSES = 20

EPILOG = """\b
Example:
  fastgd evaluate digits.safetensors digits
"""


@click.command(cls=Command, epilog=EPILOG)
@click.argument("model")
@click.argument("data")
@option(
    "Data",
    "--target",
    metavar="COLUMN",
    help="The column to compare with, for tables.  [default: the one of the training]",
)
@SEP
@option("Data", "--all", "every", is_flag=True, help="Use every row, also those trained on.")
@option("Other", "--backend", metavar="NAME", help="What computes.  [default: the fastest]")
@output_options
def evaluate(
    model: str,
    data: str,
    target: str | None,
    sep: str | None,
    every: bool,
    backend: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure a MODEL file on DATA it has not seen.

    The rows are the data's own test part; else, on the data it was trained on, the very rows that
    were held out; else all rows. The output says which.
    """
    from fastgd.explain.confusion import MOST_PAIRS, confusion_of

    output = Output(as_json, quiet)
    network = models.load_model(model, data, backend)
    dataset = models.load_rows(
        network, data, target=target, need_target=True, sep=sep, output=output
    )
    part = models.all_rows(dataset) if every else models.unseen_part(network, dataset)
    compile_kernels(network.dtype, backend, output)
    score, cost = network.score(part.X, part.y), network.loss(part.X, part.y)
    counted = dataset.is_classification and network.architecture.n_outputs <= MOST_PAIRS
    confusion = confusion_of(network, part.X, part.y).counts if counted else None
    name = models.score_name(network, part.y)
    right = ""
    if confusion is not None:
        right = f" ({confusion.trace():,} of {len(part.X):,})"
    output.say(f"data     {dataset.name}: {part.words}")
    output.say(f"result   {score_text(score, name)}{right}, cost {cost:.4g}")
    if confusion is not None:
        names = models.class_names(dataset)
        say_classes(output, confusion, names)
    output.finish(
        {
            "command": "evaluate",
            "model": model,
            "data": dataset.name,
            "rows": part.which,
            "n_rows": len(part.X),
            "sizes": network.sizes,
            "n_parameters": network.n_parameters,
            "score_name": name,
            "score": score,
            "cost": cost,
            "class_names": models.class_names(dataset) if counted else None,
            "confusion": confusion,
        }
    )


def say_classes(output: Output, confusion: np.ndarray, names: Any) -> None:
    """Print how many of each class were right, and what the others were mostly taken for."""
    totals, right = confusion.sum(axis=1), confusion.diagonal()
    order = np.argsort(right - totals, kind="stable")[:MOST_CLASSES]
    rows = []
    for c in sorted(order.tolist()):
        wrong = confusion[c].copy()
        wrong[c] = 0
        worst = int(wrong.argmax())
        taken = f"{names[worst]} ({wrong[worst]:,}x)" if wrong[worst] else ""
        share = f"{100 * right[c] / totals[c]:.1f} %" if totals[c] else ""
        rows.append([names[c], f"{totals[c]:,}", share, taken])
    output.say()
    output.table(["class", "rows", "right", "mostly mistaken for"], rows)
