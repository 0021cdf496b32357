"""``fastgd predict``: a model's answers as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import numpy as np

from fastgd.cli import models
from fastgd.cli.options import Command, option, output_options
from fastgd.cli.output import Output
from fastgd.cli.progress import compile_kernels

if TYPE_CHECKING:
    from fastgd.data import Dataset
    from fastgd.network import Network

__all__ = ["predict"]

EPILOG = """\b
Examples:
  fastgd predict digits.safetensors digits | head
  fastgd predict train.safetensors test.csv --out submission.csv
"""


@click.command(cls=Command, epilog=EPILOG)
@models.reads_a_model("A column of a table that is no input.")
@option("Other", "--out", metavar="FILE", help="The .csv file to write.  [default: print it]")
@option(
    "Other",
    "--outputs",
    is_flag=True,
    help="Write every output of the network, a column for each class (probabilities, for "
    "softmax), not the class.",
)
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
    from fastgd.data.predictions import prediction_lines, write_predictions

    output = Output(as_json, quiet)
    network = models.load_model(model, data, backend)
    if out is not None:
        models.check_out(out, model, data)
        output.leave_to(out)
    dataset = models.load_rows(
        network, data, target=target, need_target=False, sep=sep, output=output
    )
    X = dataset.X if dataset.X_test is None else dataset.X_test
    compile_kernels(network.dtype, backend, output)
    answers, names = answers_of(network, X, outputs)
    columns = output_names(network, dataset) if outputs else None
    kind = dataset.kind if answers.dtype.kind == "i" or dataset.kind != "kaggle" else "csv"
    if out is not None:
        write_predictions(out, kind, answers, names, columns)
        part = "test rows" if dataset.X_test is not None else "rows"
        output.say(f"wrote {out}: {len(X):,} {part} of {dataset.name}")
    elif not as_json and not quiet:
        for lines in prediction_lines(kind, answers, names, columns):
            output.write_rows(lines)
    record: dict[str, Any] = {"command": "predict", "model": model, "data": dataset.name}
    record |= {"n_rows": len(X), "out": out}
    if out is None:
        record["outputs"] = columns
        record["predictions"] = answers if names is None else [names[i] for i in answers]
    output.finish(record)


def output_names(network: Network, dataset: Dataset) -> tuple[str, ...] | None:
    """Return what each output of a network is about: its class, where it tells classes apart."""
    if not tells_classes(network):
        return None
    known = network.labels.values
    names = dataset.class_names if known is None else tuple(map(str, known.tolist()))
    if names is None:
        names = tuple(map(str, range(network.architecture.n_classes)))
    return names[1:] if network.architecture.n_outputs == 1 else names


def tells_classes(network: Network) -> bool:
    """Return whether a network answers with classes."""
    # A network saved from Python tells no task, but its rules do.
    classes = network.architecture.classifies or network.labels.values is not None
    return network.notes.get("task", "classification" if classes else "") == "classification"


def answers_of(
    network: Network, X: np.ndarray, outputs: bool
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Return classes (n,) and their names if they have any, or values (n,) or (n, n_out)."""
    from fastgd.engine.metrics import classes_of

    values = network.predict(X)
    if tells_classes(network) and not outputs:
        names = network.labels.values
        found = classes_of(values, network.architecture.loss.threshold)
        return found, None if names is None else tuple(map(str, names.tolist()))
    return (values[:, 0] if values.shape[1] == 1 else values), None
