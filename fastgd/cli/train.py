"""``fastgd train``: from data to a model file."""

from __future__ import annotations

import dataclasses
import shlex
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from fastgd.cli import models
from fastgd.cli.fitting import Learned, class_weight_of, stoppers, validation_split
from fastgd.cli.optimizing import optimizer_of
from fastgd.cli.options import Command, option, output_options, with_options
from fastgd.cli.output import Output, count
from fastgd.cli.progress import bars, compile_kernels, score_text
from fastgd.cli.scaling import input_scale_of
from fastgd.cli.settings import (
    HOLDOUT,
    OPTIONS,
    check,
    chosen_for,
    completed,
    default_rate,
    rules_of,
)  # fmt: skip
from fastgd.cli.signals import Ending, ending

if TYPE_CHECKING:
    from fastgd.data import Dataset
    from fastgd.engine.history import History
    from fastgd.network import Network
    from fastgd.recipe import Recipe
    from fastgd.tables import Table

__all__ = ["train"]

#: An R^2 that chance may reach.
NOTHING = 0.02
#: After fewer epochs nobody expects a network to have learned much.
ENOUGH_EPOCHS = 10

BOOK = """\b
Examples:
  fastgd train digits
  fastgd train houses.csv --target price --hidden 64,64
  fastgd train pets.csv --ignore name --categorical zip --test more.csv
  fastgd train pets.csv --optimizer adam --dropout 0.2 --early-stopping 10
The first network of Nielsen's book, on a folder of MNIST files:
  fastgd train mnist --hidden 30 --epochs 30 --batch-size 10 \\
      --learning-rate 3.0 --activation sigmoid --output sigmoid \\
      --loss quadratic
"""


@click.command(cls=Command, epilog=BOOK)
@click.argument("data")
@with_options(OPTIONS)
@option(
    "Most used",
    "--out",
    metavar="FILE",
    help="Where the model goes.  [default: the name of the data, .safetensors]",
)
@output_options
def train(data: str, as_json: bool, quiet: bool, **settings: Any) -> int:
    """Train a network on DATA and write it to a file.

    DATA is 'digits' (small images that come with fastgd), 'mnist' (fetched once and kept), a
    folder of MNIST files, a table (.csv, .parquet, .xlsx, ...) of numbers, words and dates with or
    without gaps, or an .npz with arrays X and y. Ctrl-C, SIGTERM and SIGHUP end the training early
    and keep what has been learned; with --checkpoint the same command then goes on from there.

    Where nothing is said of optimizer, rate and schedule, network and training are chosen by what
    is to be learned and from how many rows, and a line says what was chosen.
    """
    with ending() as came:
        came.begin()
        return _train(data, Output(as_json, quiet), settings, came)


def _train(data: str, output: Output, settings: dict[str, Any], came: Ending) -> int:
    from fastgd.backends import backend
    from fastgd.engine.threads import available_threads
    from fastgd.files import check_name

    out, read = settings["out"], (data, settings["test"])
    if out is not None:
        models.check_out(out, *read)
        check_name(out)
        output.leave_to(out)
    check(settings)
    backend(settings["backend"]), available_threads()  # and what the environment says of them
    source, test = models.open_source(data, settings)
    if out is None:
        out = default_out(source.name)
        models.check_out(out, *read)
    if settings["log"] is not None:
        models.check_out(settings["log"], *read, out, option="--log", regular=True)
    if settings["checkpoint"] is not None:
        written = (out, settings["log"])
        models.check_out(
            settings["checkpoint"], *read, *written, option="--checkpoint", regular=True
        )
    run = Run(data, source, test, out, settings, output, came)
    run.describe()
    history = run.fit()  # from its end on signals wait, until the model is written
    try:
        run.judge(history)
        if not run.kept:
            run.replaced = models.is_file(out)
            run.network.save(out)
    finally:
        came.held = False
    report = run.report(history)
    if output.abandoned and not run.kept:
        output.note(f"nobody reads the output any more; wrote the network to {out}")
    output.finish(report)
    return int(run.kept) if came.number is None else came.code


def default_out(name: str) -> str:
    """Return the model file for data of that name, in the current folder.

    >>> default_out("digits"), default_out("pets.csv.gz"), default_out("v1.2")
    ('digits.safetensors', 'pets.safetensors', 'v1.2.safetensors')
    """
    from fastgd.data.tables import PACKED, SUFFIXES

    for suffix in (*PACKED, *SUFFIXES, ".npz"):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    return f"{name or 'model'}.safetensors"


@dataclass
class Run:
    """One training: the data, divided; the network; and what is said about both."""

    source: str
    data: Table | Dataset
    test: Table | None
    out: str
    settings: dict[str, Any]
    output: Output
    ending: Ending
    replaced: bool = False

    def __post_init__(self) -> None:
        from fastgd.engine.inputs import check_examples
        from fastgd.recipe import recipe_for

        given, seed = self.settings, self.settings["seed"]
        whole = self._divide()
        recipe = recipe_for(whole, len(self.dataset.X)) if chosen_for(given) else None
        given |= completed(given, recipe)
        self.network = self._make_network(whole, recipe)
        self.network.classes = whole.class_names
        rate = default_rate(whole.is_classification, given["activation"])
        self.optimizer = recipe.optimizer if recipe else optimizer_of(given, rate)
        self.network.notes = models.notes_for(whole, seed, self.holdout)
        self.chosen = recipe is not None
        self.class_weight = class_weight_of(given["class_weight"], whole)
        self.split = validation_split(given)
        self.callbacks = stoppers(given)
        self._check_fits()
        architecture = self.network.architecture
        check_examples(self.dataset.X, self.dataset.y, architecture)
        self.score_name = models.score_name(self.network, self.dataset.y)

    def _check_fits(self) -> None:
        """Refuse numbers of a table that the network's dtype cannot hold, by file and line."""
        if models.all_fit(self.dataset, self.network.dtype):
            return
        from fastgd.tables import Table
        from fastgd.tables.loading import check_fits

        for table in (self.data, self.test):
            if isinstance(table, Table):
                check_fits(
                    table.source, table.frame, self.dataset.columns, self.network.dtype,
                    "--dtype float64 holds it",
                )  # fmt: skip

    def _divide(self) -> Dataset:
        """Hold rows out; return what tells how many inputs and classes there are."""
        from fastgd.data import Dataset, split

        whole, holdout, seed = self.data, self.settings["holdout"], self.settings["seed"]
        own_test = self.test is not None or (
            isinstance(whole, Dataset) and whole.X_test is not None
        )
        self.holdout = HOLDOUT if holdout is None else holdout
        if own_test and holdout is None:
            self.holdout = None
        if not isinstance(whole, Dataset):
            self.dataset = whole.divide(self.holdout, seed, self.test)
            return self.dataset
        self.dataset = whole
        if self.holdout is not None:
            self.dataset = dataclasses.replace(whole, X_test=None, y_test=None)
            if self.holdout:
                self.dataset = split(self.dataset, self.holdout, seed)
        return whole

    def _make_network(self, dataset: Dataset, recipe: Recipe | None) -> Network:
        from fastgd.network import Network

        given = self.settings
        output, loss = rules_of(dataset.is_classification, given["output"], given["loss"])
        if recipe is not None and given["output"] is None and given["loss"] is None:
            output, loss = recipe.output, recipe.loss
        hidden = [size for layers in given["hidden"] for size in layers]
        scale = given["input_scale"]
        return Network(
            [dataset.n_features, *hidden, dataset.n_outputs],
            activation=given["activation"],
            output=output,
            loss=loss,
            dropout=given["dropout"],
            init=given["init"],
            dtype=given["dtype"],
            input_scale=input_scale_of(dataset.X, dataset.input_scale) if scale is None else scale,
            seed=given["seed"],
            backend=given["backend"],
        )

    def describe(self) -> None:
        """Say what is going to be trained on what, and how where that was chosen."""
        from fastgd.recipe import Training

        data, network = self.dataset, self.network
        what = "rows"
        if data.image_shape is not None:
            what = "images of {} x {} pixels".format(*data.image_shape)
        held = "" if data.X_test is None else f", {len(data.X_test):,} held out"
        classes = f", {data.n_classes} classes" if data.n_classes else ", numbers to predict"
        if data.target is not None:
            names = ", ".join(map(repr, data.target.columns))
            classes += f" in column{'s' * (len(data.target.columns) > 1)} {names}"
        self.output.say(f"data     {data.name}: {len(data.X):,} {what}{held}{classes}")
        for note in data.notes:
            self.output.say(f"note     {note}")
        if data.columns is not None:
            self.output.say()
            self.output.table(["column", "kind", "what is done"], data.columns.rows(), left=True)
            self.output.say()
        a = network.architecture
        hidden = f"{a.activation_name}, " if len(a.sizes) > 2 else ""
        self.output.say(
            f"network  {'-'.join(map(str, a.sizes))}: {network.n_parameters:,} weights and biases "
            f"({hidden}{a.output}, {a.loss})"
        )
        if self.chosen:
            given = self.settings
            training = Training(self.optimizer, given["epochs"], given["batch_size"], None)
            self.output.say(f"training {training} (chosen for {len(data.X):,} rows)")

    def fit(self) -> History:
        """Train; a signal ends that, whenever it comes, and the next ones wait."""
        compile_kernels(self.network.dtype, self.network.backend, self.output)
        learned = Learned([*self.callbacks, *bars(self.output, self.score_name)])
        self.started = time.perf_counter()
        try:
            history = self._fit(learned.callbacks)
            self.ending.held = True
        except KeyboardInterrupt:  # where the fit does not expect one: before, or after all
            self.ending.held = True
            if self.ending.insists or learned.history is None:
                raise
            history = learned.end(self.network)
        self.seconds = time.perf_counter() - self.started
        return history

    def _fit(self, callbacks: list[Any]) -> History:
        """Train; the network finds the scaling of its columns in the rows it learns from."""
        data, given = self.dataset, self.settings
        held_out = data.X_test is not None and data.y_test is not None and not self.split
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="training interrupted")  # said below
            return self.network.fit(
                data.X,
                data.y,
                epochs=given["epochs"],
                batch_size=given["batch_size"],
                optimizer=self.optimizer,
                sample_weight=data.weights,
                class_weight=self.class_weight,
                validation_data=(data.X_test, data.y_test) if held_out else None,
                validation_split=self.split,
                callbacks=callbacks,
                standardize=not given["no_standardize"],
                checkpoint=given["checkpoint"],
                checkpoint_seconds=given["checkpoint_seconds"],
            )

    def report(self, history: History) -> dict[str, Any]:
        """Say how it went and what to do next; return it all for --json."""
        from fastgd.backends import current
        from fastgd.engine.scaling import SCALINGS

        data, network, output = self.dataset, self.network, self.output
        held_out = data.X_test is not None
        X = data.X_test if held_out else data.X
        score, cost = self.score, self.cost
        rows = f"{'the' if held_out else 'all'} {len(X):,} rows"  # type: ignore[arg-type]
        seen = "held out" if held_out else "it was trained on"
        early = f" of {self.settings['epochs']}" if history.stop_reason == "callback" else ""
        epochs = count(history.epochs, "epoch").replace(" ", f"{early} ", 1)
        output.say(
            f"result   {score_text(score, self.score_name)} on {rows} {seen}; "
            f"{epochs} in {self.seconds:.2g} s"
        )
        if not self.kept:
            instead = ", in place of the file that was there" if self.replaced else ""
            output.say(f"wrote    {self.out}{instead}")
        if self.ending.number is not None and not self.kept:
            when, so_far = "", ""
            if history.stop_reason == "interrupted":
                when, so_far = f" in epoch {history.epochs + 1}", " so far"
            output.note(f"{self.ending.words}{when}; wrote the network{so_far} to {self.out}")
        self._note_failure(history)
        if models.is_file(self.out) and not self.kept:
            self._say_next()
        a = network.architecture
        return {
            "command": "train",
            "data": data.name,
            "task": network.notes["task"],
            "n_train": len(data.X),
            "n_held_out": len(X) if held_out else 0,  # type: ignore[arg-type]
            "sizes": a.sizes,
            "n_parameters": network.n_parameters,
            "activation": a.activation_name,
            "output": str(a.output),
            "loss": str(a.loss),
            "dtype": a.dtype,
            **{name: getattr(network, name) for name in SCALINGS},
            "seed": self.settings["seed"],
            "backend": self.settings["backend"] or current(),
            "epochs": history.epochs,
            "batch_size": self.settings["batch_size"],
            "optimizer": str(self.optimizer),
            "dropout": a.dropout,
            "validation_split": self.split,
            "history": history.to_dict(),
            "score_name": self.score_name,
            "score": score,
            "cost": cost,
            "scored_on": "held_out" if held_out else "training",
            "seconds": self.seconds,
            "stop_reason": history.stop_reason,
            "notes": data.notes,
            "columns": None if data.columns is None else data.columns.rows(),
            "chosen": self.chosen,
            "learned": not self.failed,
            "out": None if self.kept else self.out,
            "replaced": self.replaced,
        }

    def judge(self, history: History) -> None:
        """Measure the network, and see whether it is better than one that always says the same.

        Where it is not, a model that is there already is kept.
        """
        data, network = self.dataset, self.network
        X, y = (data.X, data.y) if data.X_test is None else (data.X_test, data.y_test)
        assert y is not None
        self.score, self.cost = network.score(X, y), network.loss(X, y)
        self.constant, least = 0.0, NOTHING
        if self.score_name == "accuracy":
            self.constant = least = np.unique(y, return_counts=True)[1].max() / len(y)
        self.failed = history.epochs >= ENOUGH_EPOCHS and self.score <= least
        if self.failed and data.is_classification:
            # Where one class is most rows, the shares of the others may be learned all the same.
            self.failed = not self.cost < network.diagnose(X, y).baseline
        self.kept = self.failed and models.is_file(self.out)

    def _note_failure(self, history: History) -> None:
        """Say so where the network has learned nothing, with the finding that matters first."""
        if not self.failed:
            return
        what = "always saying the mean would reach 0"
        if self.score_name == "accuracy":
            what = f"always saying the commonest class would reach {100 * self.constant:.2f} %"
        data, note = self.dataset, self.output.note
        note(f"it has learned nothing: {what}")
        if self.ending.number is not None:
            return
        with warnings.catch_warnings():
            # A signal ends one of its trials.
            warnings.filterwarnings("ignore", message="training interrupted")
            found = self.network.diagnose(
                data.X, data.y, history=history, optimizer=self.optimizer,
                batch_size=self.settings["batch_size"],
            ).findings  # fmt: skip
        if found:
            note(f"{found[0].name}: {found[0].evidence}; try: {found[0].advice}")
        if self.kept:
            note(f"kept the model that was in {self.out}; --out names another file")
        elif models.is_file(self.out):
            note(f"see: fastgd show diagnosis {self.out} {self.source}")

    def _say_next(self) -> None:
        model, source = shlex.quote(self.out), shlex.quote(self.source)
        self.output.say()
        self.output.say("Next:")
        self.output.say(f"  fastgd evaluate {model} {source}")
        self.output.say(f"  fastgd predict {model} {source} --out predictions.csv")
        if self.dataset.columns is not None:
            self.output.say(f"  fastgd explain {model} {source}")
        picture = "weights" if self.dataset.image_shape else "network"
        self.output.say(f"  fastgd show {picture} {model} {source}")
