"""``fastgd predict``: a model's answers as a table."""

from __future__ import annotations

import json
import os
import tempfile
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from fastgd.cli import models
from fastgd.cli.options import Command, option, output_options
from fastgd.cli.output import Output
from fastgd.cli.progress import compile_kernels
from fastgd.cli.settings import SEP

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["predict"]

EPILOG = """\b
Examples:
  fastgd predict digits.safetensors digits | head
  fastgd predict train.safetensors test.csv --out submission.csv
"""


@click.command(cls=Command, epilog=EPILOG)
@click.argument("model")
@click.argument("data")
@option(
    "Data",
    "--target",
    metavar="COLUMN",
    help="A column of a table that is no input.  [default: the one of the training]",
)
@option("Other", "--out", metavar="FILE", help="The .csv file to write.  [default: print it]")
@option(
    "Other",
    "--outputs",
    is_flag=True,
    help="Write every output of the network (probabilities, for softmax), not the class.",
)
@SEP
@option("Other", "--backend", metavar="NAME", help="What computes.  [default: the fastest]")
@output_options
def predict(
    model: str,
    data: str,
    target: str | None,
    sep: str | None,
    out: str | None,
    outputs: bool,
    backend: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Let a MODEL file answer for each row of DATA.

    DATA needs no target column. The table has the columns row,prediction; for a test file of
    Kaggle's digit recognizer they are ImageId,Label, as the competition wants them. Rows count
    from 1. Data with a test part, such as a folder of MNIST files, is predicted there.
    """
    from fastgd.data import write_predictions

    output = Output(as_json, quiet)
    network = models.load_model(model, data, backend)
    if out is not None:
        models.check_out(out, model, data)
    dataset = models.load_rows(
        network, data, target=target, need_target=False, sep=sep, output=output
    )
    X = dataset.X if dataset.X_test is None else dataset.X_test
    compile_kernels(network.dtype, backend, output)
    answers, names = answers_of(network, X, outputs)
    kind = dataset.kind if answers.dtype.kind == "i" or dataset.kind != "kaggle" else "csv"
    if out is not None:
        write_predictions(out, kind, answers, names)
        part = "test rows" if dataset.X_test is not None else "rows"
        output.say(f"wrote {out}: {len(X):,} {part} of {dataset.name}")
    elif not as_json and not quiet:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "predictions.csv")
            write_predictions(path, kind, answers, names)
            with open(path, encoding="utf-8", newline="") as file:
                output.write(file.read())
    record: dict[str, Any] = {"command": "predict", "model": model, "data": dataset.name}
    record |= {"n_rows": len(X), "out": out}
    if out is None:
        record["predictions"] = answers if names is None else [names[i] for i in answers]
    output.finish(record)


def answers_of(
    network: Network, X: np.ndarray, outputs: bool
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Return classes (n,) and their names if they have any, or values (n,) or (n, n_out)."""
    from fastgd.engine.metrics import classes_of

    values, rules = network.predict(X), network.architecture
    # A network saved from Python tells no task, but its rules do.
    classes = (
        rules.output.row_wise
        or rules.loss.classifies
        or (rules.output.reach == (0, 1) and rules.n_outputs > 1)
    )
    task = network.notes.get("task", "classification" if classes else "regression")
    if task == "classification" and not outputs:
        names = network.notes.get("class_names")
        return classes_of(values, rules.loss.threshold), None if names is None else tuple(
            json.loads(names)
        )
    return (values[:, 0] if values.shape[1] == 1 else values), None
