"""What ``fastgd show`` says of a table's model is true of it, in the units that it learns.

A classifier and a regressor, trained by ``fastgd train`` on tables with text and gaps, and fresh
networks of their shape, which have learned nothing. The costs to compare with are worked out here,
from the file's parameters, in plain NumPy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import fastgd
from fastgd.cli import main
from fastgd.cli.show import PICTURES
from fastgd.data.dataset import held_out, split
from fastgd.explain.curvature import hessian
from fastgd.tables import Columns, Table, Target

TARGETS = {"pets": "kind", "houses": "price"}
MODELS = [(data, which) for data in TARGETS for which in ("own", "fresh")]
#: For classes only, or for two inputs only.
OF_CLASSES, OF_TWO = ("confusion", "mistakes", "training"), ("boundary",)
ON_DATA = ("training", "learning-rate", "rates", "gradients", "curves")
ALONE = ("descent", "activations", "spread")
#: What makes a picture quick, where the defaults take seconds.
QUICK = {
    "landscape": ["--points", "11"], "paths": ["--points", "8", "--epochs", "2"],
    "curvature": ["--steps", "4"], "start": ["--epochs", "4"], "learning-rate": ["--epochs", "2"],
    "rates": ["--epochs", "1"], "gradients": ["--epochs", "2", "--hidden", "6,6"],
    "curves": ["--epochs", "4"], "training": ["--epochs", "1"],
}  # fmt: skip


DRAWN = [(picture, name) for picture in PICTURES for name in TARGETS
         if picture not in ALONE and (name == "pets" or picture not in OF_CLASSES)]  # fmt: skip


def frames() -> dict[str, pd.DataFrame]:
    """Return the two tables: text, a yes or no, gaps, and numbers far from 0."""
    rng, n = np.random.default_rng(0), 400
    age, income = rng.integers(18, 80, n).astype(float), np.round(rng.lognormal(10, 0.5, n))
    colour, member = rng.choice(["blue", "green", "red"], n), rng.choice([True, False], n)
    z = (age - 50) / 15 + 1.5 * (np.log(income) - 10) + 1.5 * (colour == "red") - member
    inputs = pd.DataFrame({"age": age, "income": income, "colour": colour, "member": member})
    inputs.loc[rng.random(n) < 0.05, "colour"] = None
    pets = inputs.assign(kind=np.where(z > 0.9, "luxury", np.where(z < -0.6, "budget", "usual")))
    return {
        "pets": pets,
        "houses": inputs.assign(price=np.round(200_000 + 50_000 * z)),
        "pets2": pets[["age", "income", "kind"]],
        "houses2": inputs[["age", "income"]].assign(price=np.round(200_000 + 50_000 * z)),
    }


def run(*arguments: Any) -> str:
    """Run the program; return what it prints, or raise what it raises."""
    result = CliRunner().invoke(main, list(map(str, arguments)), standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder of tables and models: NAME.csv, NAME-own.safetensors, NAME-fresh.safetensors."""
    folder = tmp_path_factory.mktemp("tables")
    for name, frame in frames().items():
        path, target = folder / f"{name}.csv", TARGETS[name.removesuffix("2")]
        frame.to_csv(path, index=False)
        own = folder / f"{name}-own.safetensors"
        run("train", path, "--target", target, "--hidden", "8", "--epochs", "100", "--out", own,
            "--quiet")  # fmt: skip
        trained = fastgd.load(own)
        fresh = trained.like(seed=1)
        fresh.notes, fresh.classes = trained.notes, trained.classes
        fresh.save(folder / f"{name}-fresh.safetensors")
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, request):
    """An empty folder, which the pictures are written to, where they are drawn at all."""
    monkeypatch.chdir(tmp_path)
    if request.node.get_closest_marker("drawn") is None:

        def missing() -> None:
            raise fastgd.errors.MissingExtraError("numbers are quicker")

        monkeypatch.setattr("fastgd.cli.show.picture.matplotlib", missing)


@dataclass
class Known:
    """A model, and the rows that it was trained on and judged by, read without the command."""

    model: Path
    data: Path
    network: Any
    X: Any
    y: Any
    X_test: Any
    y_test: Any
    frame_test: pd.DataFrame

    def show(self, picture: str, *options: Any) -> dict[str, Any]:
        """Return the numbers of a picture."""
        return json.loads(run("show", picture, self.model, self.data, "--json", *options))

    def say(self, picture: str, *options: Any) -> str:
        return run("show", picture, self.model, self.data, *options)

    def cost(self, parameters: Any = None, X: Any = None, y: Any = None) -> float:
        """Return the mean cost by NumPy, in float64 and in the units that the network learns."""
        net, last = self.network, len(self.network.sizes) - 2
        X, y = (self.X, self.y) if X is None else (X, y)
        flat = np.array(net.parameters if parameters is None else parameters, dtype=np.float64)
        a = (np.asarray(X, np.float64) - net.input_shift) * net.input_scale
        start = 0
        for layer, (n_in, n_out) in enumerate(pairwise(net.sizes)):
            block = flat[start : start + (n_in + 1) * n_out].reshape(n_in + 1, n_out)
            start += block.size
            z = a @ block[:-1] + block[-1]
            a = z if layer == last else np.maximum(z, 0)
        if net.classes is None:
            t = (np.asarray(y, np.float64) - net.output_shift) / net.output_scale
            return float(np.mean((a.ravel() - t) ** 2))
        a -= a.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(a).sum(axis=1)) - a[np.arange(len(y)), y]))

    def slope(self, index: int, X: Any = None, y: Any = None) -> float:
        """Return a slope of the cost by a central difference."""
        moved, h = np.array(self.network.parameters, dtype=np.float64), 1e-5
        costs = []
        for sign in (1, -1):
            moved[index] += sign * h
            costs.append(self.cost(moved, X, y))
            moved[index] -= sign * h
        return (costs[0] - costs[1]) / (2 * h)

    def index(self, layer: int, i: int, j: int) -> int:
        """Return where weights[layer][i, j] lies in the flat vector."""
        sizes = self.network.sizes
        before = sum((n + 1) * m for n, m in pairwise(sizes[: layer + 1]))
        return before + i * sizes[layer + 1] + j


def known(folder: Path, name: str, which: str) -> Known:
    model, data = folder / f"{name}-{which}.safetensors", folder / f"{name}.csv"
    network = fastgd.load(model)
    columns, target = (network.notes[key] for key in ("columns", "target"))
    table = Table.read(data, TARGETS[name.removesuffix("2")])
    whole = table.dataset(Columns.from_json(columns), Target.from_json(target))
    d = split(whole, 0.2, 0)
    out = held_out(len(whole.X), whole.y, 0.2, 0, name)
    return Known(model, data, network, d.X, d.y, d.X_test, d.y_test, table.frame[out])


@pytest.fixture(params=MODELS, ids=lambda of: "-".join(of))
def it(request, made) -> Known:
    return known(made, *request.param)


def near(value: float) -> Any:
    return pytest.approx(value, rel=2e-4, abs=1e-6)


class TestCosts:
    """Each cost that is told is the network's own."""

    def test_of_the_network_in_the_units_it_learns(self, it):
        assert it.network.loss(it.X, it.y) == near(it.cost())

    @pytest.mark.parametrize("picture", ["nudges", "slice", "landscape", "diagnosis"])
    def test_the_cost_told(self, it, picture):
        assert it.show(picture, *QUICK.get(picture, []))["cost"] == near(it.cost())

    def test_the_cost_of_rows_held_out(self, it):
        found = it.show("diagnosis")
        assert found["validation_cost"] == near(it.cost(None, it.X_test, it.y_test))
        assert found["validation_score"] == near(it.network.score(it.X_test, it.y_test))

    def test_a_landscape_has_the_model_at_its_centre(self, it):
        found = it.show("landscape", "--points", 11)
        costs = np.array(found["costs"])
        assert costs[5, 5] == near(it.cost())
        assert costs.min() <= found["cost"]

    def test_the_lowest_of_a_landscape_without_a_centre_is_not_above_the_model(self, it):
        said = it.say("landscape", "--points", 4, "--span", 3)
        centre, lowest = (
            float(line.split()[2]) for line in said.splitlines() if line.startswith(("cen", "low"))
        )
        assert centre == near(it.cost())
        assert lowest <= centre

    def test_paths_begin_at_the_cost_of_their_start(self, it):
        found = it.show("paths", "--examples", 1000, *QUICK["paths"])
        start = it.network.like(seed=0).loss(it.X, it.y)
        for path in found["paths"].values():
            assert path["costs"][0] == near(start)
            assert path["costs"][-1] < start

    def test_a_training_path_begins_at_the_cost_of_its_start(self, it):
        found = it.show("landscape", "--points", 5, "--directions", "path", "--epochs", 2)
        assert np.isfinite(found["costs"]).all()
        assert len(found["path"]) > 2

    def test_starts_begin_at_their_own_cost_and_none_diverges(self, it):
        found = it.show("start", "--epochs", 10)["starts"]
        assert found["random"]["cost"][0] == near(it.network.like(seed=0).loss(it.X, it.y))
        assert found["zero"]["cost"][0] == near(it.network.like(init="zeros").loss(it.X, it.y))
        for start in found.values():
            assert start["score"] > -0.1
        assert found["random"]["cost"][-1] < 0.7 * found["random"]["cost"][0]
        assert found["zero"]["distinct"] == [1]
        assert found["random"]["distinct"] == [8]

    def test_a_start_that_diverges_has_no_score(self, it):
        asked = ["start", "--learning-rate", 1e30, "--epochs", 2]
        assert it.show(*asked)["starts"]["random"]["score"] is None
        row = next(line for line in it.say(*asked).splitlines() if line.startswith("random"))
        assert row.split()[:2] + row.split()[3:5] == ["random,", "diverged", "-", "-"]


class TestSlopes:
    """Slopes agree with differences of the cost, in the units the network learns."""

    def test_of_a_line(self, it):
        found = it.show("slice", "--weight", "0,1,2")
        assert found["at"] == near(it.network.weights[0][1, 2])
        assert found["slope"] == pytest.approx(it.slope(it.index(0, 1, 2)), rel=2e-3, abs=1e-5)

    def test_of_nudges(self, it):
        found = it.show("nudges", "--top", 5)
        gradient = it.network.gradient(it.X, it.y)
        assert found["gradient_length"] == near(float(np.linalg.norm(gradient)))
        for nudge in found["top"]:
            assert nudge["slope"] == near(float(gradient[nudge["index"]]))
            assert nudge["slope"] == pytest.approx(it.slope(nudge["index"]), rel=2e-3, abs=1e-5)
            assert nudge["update"] == near(-0.1 * nudge["slope"])

    def test_of_an_update(self, it):
        found = it.show("update", "--layer", 0, "--example", 3)
        x, y = it.X_test[3:4], it.y_test[3:4]
        place = it.index(0, found["from"], found["to"])
        assert found["weight"] == near(float(it.network.parameters[place]))
        assert found["slope"] == pytest.approx(it.slope(place, x, y), rel=2e-3, abs=1e-4)
        product = np.prod([factor["value"] for factor in found["factors"]])
        assert product == pytest.approx(found["slope"], rel=1e-4, abs=1e-7)

    def test_of_second_order(self, it):
        found = it.show("curvature", "--steps", 3)
        values = np.linalg.eigvalsh(hessian(it.network, it.X, it.y))
        most = values[np.argmax(np.abs(values))]
        assert found["largest_eigenvalue"] == pytest.approx(most, rel=1e-2)
        for descent in found["descents"]:
            assert descent["costs"][0] == near(it.cost())


class TestNames:
    """Columns and classes are called what the table calls them."""

    def test_weights_are_named_by_column_and_no_image(self, it):
        found, said = it.show("weights"), it.say("weights")
        assert found["image_shape"] is None
        assert found["feature_names"] == list(Columns.from_json(it.network.notes["columns"]).names)
        assert found["norms"] == near(np.linalg.norm(it.network.weights[0], axis=0))
        W, unit = it.network.weights[0], int(np.argmax(found["norms"]))
        row = next(line for line in said.splitlines() if line.startswith(f"unit {unit} "))
        for k in (W[:, unit].argmax(), W[:, unit].argmin()):
            assert f"{found['feature_names'][k]} {W[k, unit]:.3f}" in row

    def test_activity_answers_in_the_tables_own_words(self, it):
        found, said = it.show("activity", "--example", 2), it.say("activity", "--example", 2)
        assert found["outputs"] == pytest.approx(it.network.predict(it.X_test[2:3])[0], rel=1e-5)
        if it.network.classes is None:
            assert f"price {found['outputs'][0]:,.6g}" in said
            assert f"{it.frame_test.price.iloc[2]:,.7g}" in said
        else:
            assert found["target"] == it.frame_test.kind.iloc[2]
            assert found["class"] == it.network.predict_classes(it.X_test[2:3])[0]

    def test_outputs_are_named_everywhere(self, it):
        names = ("(price)",) if it.network.classes is None else ("(budget)", "(luxury)", "(usual)")
        for picture in ("update", "nudges"):
            said = it.say(picture)
            assert any(name in said for name in names), picture

    def test_the_target_of_an_update_is_as_the_table_has_it(self, it):
        said = it.say("update", "--example", 1)
        numbers = it.network.classes is None
        true = f"{it.frame_test.price.iloc[1]:,.7g}" if numbers else it.frame_test.kind.iloc[1]
        assert f"its target {true}" in said
        assert ("(price - " in said) == numbers, "the units of costs are told"


class TestClasses:
    @pytest.fixture(params=["own", "fresh"])
    def it(self, request, made) -> Known:
        return known(made, "pets", request.param)

    def test_confusion_counts_the_answers(self, it):
        found = it.show("confusion")
        said, true = it.network.predict_classes(it.X_test), it.frame_test.kind.to_numpy()
        assert found["class_names"] == ["budget", "luxury", "usual"]
        for i, row in enumerate(found["class_names"]):
            for j, column in enumerate(found["class_names"]):
                assert found["confusion"][i][j] == np.sum((true == row) & (said == column))

    def test_mistakes_are_those_that_cost_most(self, it):
        found = it.show("mistakes", "--n", 5)
        said, true = it.network.predict_classes(it.X_test), it.frame_test.kind.to_numpy()
        assert found["n_wrong"] == np.sum(said != true)
        for k, row in enumerate(found["rows"]):
            assert (found["true"][k], found["taken_for"][k]) == (true[row], said[row])
            cost = it.cost(None, it.X_test[row : row + 1], it.y_test[row : row + 1])
            assert found["costs"][k] == near(cost)
        assert found["costs"] == sorted(found["costs"], reverse=True)


@pytest.mark.parametrize("name", ["pets2", "houses2"])
def test_boundary_of_two_columns(made, name):
    it = known(made, name, "own")
    found = it.show("boundary")
    assert found["score"] == near(it.network.score(it.X_test, it.y_test))
    if name == "pets2":
        wrong = it.network.predict_classes(it.X_test) != it.frame_test.kind.to_numpy()
        assert found["n_wrong"] == wrong.sum()


@pytest.mark.parametrize("name", TARGETS)
def test_a_healthy_model_has_a_clean_diagnosis(made, name):
    found = known(made, name, "own").show("diagnosis")
    assert found["healthy"], found["findings"]
    assert found["cost"] < 0.7 * found["baseline"]


@pytest.mark.parametrize("picture", [*OF_CLASSES, *OF_TWO])
def test_a_picture_that_does_not_fit_says_why(made, picture):
    of = "houses" if picture in OF_CLASSES else "pets"
    data, model = made / f"{of}.csv", made / f"{of}-own.safetensors"
    words = "numbers to predict" if picture in OF_CLASSES else "2 inputs"
    about = [data, "--target", "price"] if picture in ON_DATA else [model, data]
    with pytest.raises(Exception, match=words):
        run("show", picture, *about)


class TestFresh:
    """Pictures that train a network of their own on the table."""

    @pytest.fixture(params=TARGETS)
    def name(self, request):
        return request.param

    def lesson(self, made: Path, name: str, picture: str, *options: Any) -> dict[str, Any]:
        about = ["show", picture, made / f"{name}.csv", "--target", TARGETS[name], "--json"]
        return json.loads(run(*about, *QUICK[picture], *options))

    def start(self, made: Path, name: str, hidden: tuple[int, ...], **rules: Any) -> Any:
        """Return the network that a lesson begins with, and its rows."""
        d = Table.read(made / f"{name}.csv", TARGETS[name]).divide(0.2, 0)
        classes = d.is_classification
        rules = {
            "activation": "relu", "output": "softmax" if classes else "identity",
            "loss": "cross_entropy" if classes else "mse",
        } | rules  # fmt: skip
        net = fastgd.Network([d.n_features, *hidden, d.n_classes or 1], seed=0, **rules)
        net.fit(d.X, d.y, epochs=0, standardize=True, optimizer="sgd")
        return net, d

    def test_rates_begin_at_the_networks_cost(self, made, name):
        net, d = self.start(made, name, (30,))
        found = self.lesson(made, name, "rates", "--rates", "0.01,0.05")
        assert found["start_cost"] == near(net.loss(d.X, d.y))
        assert all(cost < found["start_cost"] for cost in found["costs"])

    def test_the_largest_stable_rate_is_two_over_the_curvature(self, made, name):
        net, d = self.start(made, name, (8,))
        found = self.lesson(made, name, "learning-rate", "--hidden", "8")
        assert found["largest_stable_rate"] == near(2 / found["largest_eigenvalue"])
        most = np.linalg.eigvalsh(hessian(net, d.X, d.y))[-1]
        assert found["largest_eigenvalue"] == pytest.approx(most, rel=2e-2)
        assert found["score_after_training"] > 0.3

    def test_gradients_begin_at_the_networks_own(self, made, name):
        found = self.lesson(made, name, "gradients")
        for rule in ("sigmoid", "relu"):
            net, d = self.start(made, name, (6, 6), activation=rule)
            gradient, sizes = net.gradient(d.X, d.y), net.sizes
            start, norms = 0, []
            for n_in, n_out in pairwise(sizes):
                norms.append(np.linalg.norm(gradient[start : start + n_in * n_out]))
                start += (n_in + 1) * n_out
            assert found[rule]["norms"][0] == pytest.approx(norms, rel=1e-3)

    def test_curves_are_those_of_a_fit(self, made, name):
        net, d = self.start(made, name, (30, 30))
        found = self.lesson(made, name, "curves", "--examples", "1000", "--learning-rate", "0.02")
        history = net.fit(d.X, d.y, epochs=4, batch_size=10, optimizer=fastgd.SGD(0.02),
                          validation_data=(d.X_test, d.y_test))  # fmt: skip
        assert found["history"]["cost"] == pytest.approx(history.cost, rel=1e-3)

    def test_a_film_begins_at_the_networks_cost(self, made):
        rules = {"activation": "sigmoid", "output": "sigmoid", "loss": "quadratic"}
        net, d = self.start(made, "pets", (30,), **rules)
        found = self.lesson(made, "pets", "training", "--out", "a.png")
        assert found["history"]["cost"][0] == near(net.loss(d.X, d.y))

    def test_columns_are_those_of_the_rows_that_are_learned(self, tmp_path):
        frame = frames()["houses"].assign(colour="red")
        out = held_out(len(frame), frame.price.to_numpy(), 0.2, 0, "")
        frame.loc[np.flatnonzero(out)[0], "age"] = np.nan  # a gap that training never sees
        frame.to_csv(tmp_path / "a.csv", index=False)
        said = run("show", "rates", "a.csv", "--target", "price", "--epochs", "1", "--rates", "0.1")
        assert "network  3-30-1" in said, "age, income, member: no input for gaps, none for colour"


class TestSources:
    @pytest.mark.parametrize("option", ["--sep", "--target"])
    def test_what_is_said_of_a_table_needs_one(self, option):
        for picture in ("slice", "start", "boundary"):
            with pytest.raises(click.UsageError, match=f"{option} is for a MODEL and its DATA"):
                run("show", picture, option, ";")

    def test_any_separator(self, made, tmp_path):
        frames()["pets"].to_csv(tmp_path / "pipes.txt", sep="|", index=False)
        it = known(made, "pets", "own")
        found = json.loads(run("show", "slice", it.model, "pipes.txt", "--sep", "|", "--json"))
        everything = np.vstack([it.X, it.X_test]), np.concatenate([it.y, it.y_test])
        assert found["cost"] == near(it.cost(None, *everything)), "another file: all of its rows"
        run("show", "rates", "pipes.txt", "--sep", "|", "--target", "kind", *QUICK["rates"])
        run("explain", it.model, "pipes.txt", "--sep", "|", "--quiet")

    def test_a_model_saved_from_python(self, made, tmp_path):
        model = fastgd.train(frames()["houses"], target="price", hidden=[6], epochs=5)
        model.save("mine.safetensors")
        said = run("show", "nudges", "mine.safetensors", made / "houses.csv", "--json")
        assert json.loads(said)["top"][0]["name"].endswith("(price)")


@pytest.mark.parametrize("name", TARGETS)
def test_explain_names_columns_and_draws_both(made, name):
    it = known(made, name, "own")
    found = json.loads(run("explain", it.model, it.data, "--json"))
    assert found["score"] == near(it.network.score(it.X_test, it.y_test))
    assert Path("importance.png").stat().st_size > 1000
    assert Path("dependence.png").stat().st_size > 1000


@pytest.mark.drawn
@pytest.mark.slow
@pytest.mark.parametrize(("picture", "name"), DRAWN)
def test_every_picture_is_drawn_whole(made, picture, name, monkeypatch):
    """No text is cut off, and none lies on another."""
    from pictures import check_texts

    drawn = []
    save = fastgd.plot.display.Display.save

    def checked(self, path):
        self.figure_.canvas.draw()
        check_texts(self.figure_)
        drawn.append(path)
        save(self, path)

    monkeypatch.setattr(fastgd.plot.display.Display, "save", checked)
    two = "2" if picture in OF_TWO else ""
    data, model = made / f"{name}{two}.csv", made / f"{name}{two}-own.safetensors"
    about = [data, "--target", TARGETS[name]] if picture in ON_DATA else [model, data]
    run("show", picture, *about, *QUICK.get(picture, []), "--out", "a.png")
    assert drawn
