"""``fastgd evaluate``: how good a model is on data it has not seen."""

from __future__ import annotations

from typing import Any

import click

from fastgd.cli import models
from fastgd.cli.options import Command, output_options
from fastgd.cli.output import Output
from fastgd.cli.progress import compile_kernels, score_text

__all__ = ["evaluate"]

EPILOG = """\b
Example:
  fastgd evaluate digits.safetensors digits
"""


@click.command(cls=Command, epilog=EPILOG)
@models.reads_a_model("The column to compare with, for tables.", every=True)
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
    from fastgd.explain.confusion import MOST_PAIRS
    from fastgd.explain.report import ClassReport, NumberReport, report

    output = Output(as_json, quiet)
    output.needed = not quiet
    network = models.load_model(model, data, backend)
    dataset = models.load_rows(
        network, data, target=target, need_target=True, sep=sep, output=output
    )
    part = models.all_rows(dataset) if every else models.unseen_part(network, dataset)
    compile_kernels(network.dtype, backend, output)
    score, cost = network.score(part.X, part.y), network.loss(part.X, part.y)
    name = models.score_name(network, part.y)
    classes = models.class_names(dataset) if dataset.is_classification else None
    several = network.architecture.n_outputs > 1
    known: ClassReport | NumberReport | None = None
    right_or_wrong = name != "accuracy" or network.check_targets(part.y).classes is not None
    if network.architecture.n_outputs <= MOST_PAIRS and right_or_wrong:
        wanted = None if several else network.notes.get("target")
        known = report(network, part.X, part.y, classes, wanted and [wanted])
    counts = known.counts if isinstance(known, ClassReport) else None
    output.say(f"data     {dataset.name}: {part.words}")
    output.say(f"result   {result_text(known, score, name)}, cost {cost:.4g}")
    if known is not None and (counts is not None or several):
        output.say()
        output.table(*known.rows())
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
            "class_names": None if counts is None else classes,
            "confusion": counts,
            **({} if known is None else known.to_dict()),
        }
    )


def result_text(known: Any, score: float, name: str) -> str:
    """Return the result in a line: the score, and what else is known of all rows."""
    text = score_text(score, name)
    if known is None:
        return text
    if hasattr(known, "counts"):
        right = f" ({known.counts.trace():,} of {known.n:,})"
        loss = "" if known.log_loss is None else f", log loss {known.log_loss:.4g}"
        return f"{text}{right}{loss}"
    errors = known.to_dict()
    return f"{text}, MAE {errors['mae']:.4g}, RMSE {errors['rmse']:.4g}"
