"""fastgd.train and its models: the command in one call, answers in the table's words."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import fastgd
from fastgd.cli import main
from fastgd.errors import DataError

RNG = np.random.default_rng(0)
N = 240


def command(*args):
    """Run ``fastgd``; return what click returns."""
    try:
        runner = CliRunner(mix_stderr=False)  # click 8.1
    except TypeError:
        runner = CliRunner()
    return runner.invoke(main, list(args))


@pytest.fixture(scope="module")
def frame():
    size = RNG.uniform(20, 200, N)
    city = RNG.choice(["Oslo", "Rome", "Kyiv"], N)
    price = 1e6 + 4000 * size + 1e5 * (city == "Rome") + RNG.normal(0, 5000, N)
    frame = pd.DataFrame({"size": size, "city": city, "garden": RNG.random(N) < 0.5})
    frame.loc[::17, "size"] = np.nan
    frame["price"] = price
    frame["level"] = np.where(price > np.median(price), 7, 3)
    frame["kind"] = np.where(price > np.median(price), "dear", "cheap")
    return frame


def inputs(frame):
    return frame.drop(columns=["price", "level", "kind"])


@pytest.fixture(scope="module")
def dear(frame):
    return fastgd.train(frame, target="kind", ignore=["price", "level"], epochs=40, verbose=False)


@pytest.fixture(scope="module")
def price(frame):
    return fastgd.train(frame, target="price", ignore=["kind", "level"], epochs=60, verbose=False)


def test_labels(frame, dear):
    found = dear.predict(inputs(frame))
    assert set(found) == {"cheap", "dear"} and (found == frame["kind"]).mean() > 0.9
    proba = dear.predict_proba(inputs(frame))
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(dear.classes[proba.argmax(axis=1)], found)
    assert dear.score(frame) == (found == frame["kind"]).mean()


def test_whole_numbers_that_are_labels_stay_whole_numbers(frame):
    model = fastgd.train(frame, target="level", ignore=["price", "kind"], epochs=5, verbose=False)
    assert model.classes.tolist() == [3, 7]
    assert model.predict(inputs(frame)).dtype.kind == "i"


def test_numbers_in_their_units(frame, price):
    found = price.predict(inputs(frame))
    assert found.shape == (N,) and found.dtype == np.float64
    wanted = frame["price"].to_numpy()
    r2 = 1 - ((wanted - found) ** 2).sum() / ((wanted - wanted.mean()) ** 2).sum()
    assert r2 > 0.95 and price.score(frame) == pytest.approx(r2)
    measured = price.evaluate(frame)
    assert measured["mae"] == pytest.approx(np.abs(wanted - found).mean())
    assert price.network.loss(price.columns.transform(frame), wanted) < 1  # in standard deviations


def test_columns_are_found_by_name_and_new_categories_are_told(frame, dear):
    rows = inputs(frame)[["garden", "city", "size"]].copy()
    np.testing.assert_array_equal(dear.predict(rows), dear.predict(inputs(frame)))
    rows["city"] = "Atlantis"
    dear.predict(rows)
    assert any("Atlantis" in note for note in dear.notes)
    with pytest.raises(DataError, match="city"):
        dear.predict(rows.drop(columns="city"))


def test_saved_and_read(frame, dear, price, tmp_path):
    for model in (dear, price):
        model.save(tmp_path / "m.safetensors")
        again = fastgd.Model.load(tmp_path / "m.safetensors")
        np.testing.assert_array_equal(again.predict(inputs(frame)), model.predict(inputs(frame)))
    fastgd.Network([2, 1], seed=0).save(tmp_path / "n.safetensors")
    with pytest.raises(DataError, match=r"not one of a table; read it with fastgd\.load"):
        fastgd.Model.load(tmp_path / "n.safetensors")


def test_importance_and_dependence_by_original_column(frame, price):
    importance = price.importance(frame, repeats=2)
    assert set(importance.names) == {"size", "city", "garden"}
    assert importance.names[int(importance.mean.argmax())] == "size"
    dependence = price.dependence(inputs(frame))
    assert {column.group for column in dependence.columns} == {"size", "city", "garden"}


def test_the_same_as_the_command(frame, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame.to_csv("houses.csv", index=False)
    options = ["--target=price", "--ignore=kind", "--ignore=level", "--epochs=7", "--json"]
    result = command("train", "houses.csv", *options)
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout.splitlines()[-1])
    model = fastgd.train(
        "houses.csv", target="price", ignore=["kind", "level"], epochs=7, verbose=False
    )
    network = fastgd.load(record["out"])
    np.testing.assert_array_equal(network.parameters, model.network.parameters)
    assert network.notes["columns"] == model.network.notes["columns"]
    assert record["chosen"] and record["sizes"] == model.network.sizes


def test_other_layers_and_activations(frame):
    settings = {"ignore": ["kind", "level"], "epochs": 1, "verbose": False}
    one = fastgd.train(frame, target="price", hidden=7, activation="tanh", **settings)
    assert one.network.sizes[1:] == [7, 1] and str(one.network.architecture.activation[0]) == "tanh"
    two = fastgd.train(frame, target="price", hidden=[7, 5], **settings)
    assert two.network.sizes[1:] == [7, 5, 1]


def test_says_what_was_chosen_and_how_good_it_is(frame, capsys):
    fastgd.train(frame, target="kind", ignore=["price", "level"], epochs=3)
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("3 epochs in batches of 32 with AdamW(")
    assert last.startswith("accuracy ") and last.endswith("on the 48 rows held out")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"target": "prise"}, "price"),
        ({"target": None}, "target must name the column to learn"),
        ({"holdout": 1.5}, "holdout must be a number at least 0 and below 1; got 1.5"),
        ({"target": "one"}, "every row has the same class"),
        ({"epochs": -1}, "epochs must be"),
        ({"hidden": 1.5}, "hidden must be integers, one for a layer; got 1.5"),
    ],
)
def test_refusals(frame, change, says):
    with pytest.raises((ValueError, TypeError, DataError), match=says):
        fastgd.train(frame.assign(one="a"), **{"target": "price", "verbose": False, **change})


def test_a_table_has_its_own_target(frame):
    table = fastgd.Table.read(frame, target="price", ignore=["kind", "level"])
    with pytest.raises(ValueError, match=r"target belongs to Table\.read"):
        fastgd.train(table, target="kind")
    assert fastgd.train(table, epochs=1, verbose=False).target.columns == ("price",)


class TestNothingLearned:
    """A model that is there is not replaced by one that learned nothing."""

    def train(self, *options):
        return command("train", "houses.csv", "--target=price", *options)

    def test_keeps_the_model(self, frame, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        frame.to_csv("houses.csv", index=False)
        assert self.train("--epochs=20").exit_code == 0
        before = (tmp_path / "houses.safetensors").read_bytes()
        bad = self.train("--epochs=10", "--learning-rate=0")
        assert bad.exit_code == 1 and (tmp_path / "houses.safetensors").read_bytes() == before
        said = bad.stderr
        assert "learned nothing" in said and "kept the model that was in houses.safetensors" in said
        assert "; try: " in said

    def test_writes_the_first(self, frame, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        frame.to_csv("houses.csv", index=False)
        bad = self.train("--epochs=10", "--learning-rate=0")
        assert bad.exit_code == 0 and (tmp_path / "houses.safetensors").exists()
        assert "see: fastgd show diagnosis houses.safetensors houses.csv" in bad.stderr

    def test_shares_of_a_rare_class_are_something(self, tmp_path, monkeypatch):
        """No row's likeliest class is the rare one, yet who says how likely it is has learned."""
        monkeypatch.chdir(tmp_path)
        rng = np.random.default_rng(0)
        x = rng.integers(0, 2, 3000)
        rare = rng.random(3000) < np.where(x == 1, 0.25, 0.01)
        pd.DataFrame({"x": x, "kind": np.where(rare, "a", "b")}).to_csv("rare.csv", index=False)
        for _ in range(2):  # also where a model is there to be kept
            done = command("train", "rare.csv", "--target=kind", "--epochs=20", "--json")
            assert done.exit_code == 0 and "nothing" not in done.stderr
        record = json.loads(done.stdout.splitlines()[-1])
        rows = pd.read_csv("rare.csv")
        found = fastgd.Model.load(record["out"]).predict(rows)
        assert set(found) == {"b"} and record["learned"]
