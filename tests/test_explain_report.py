"""Reports, permutation importance and partial dependence; the command that shows them."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import check_picture

import fastgd
from fastgd.cli import main
from fastgd.explain.dependence import dependence_of, partial_dependence
from fastgd.explain.importance import importance_of, permutation_importance
from fastgd.explain.report import report
from fastgd.plot import DependenceDisplay, ImportanceDisplay, theme

RNG = np.random.default_rng(0)
N = 400
COLORS = RNG.integers(0, 3, N)
AGE, NOISE = RNG.uniform(20, 80, N), RNG.normal(size=N)
X = np.column_stack([np.eye(3)[COLORS], (AGE - 50) / 20, NOISE])
NAMES = ("color=red", "color=green", "color=blue", "age", "noise")
GROUPS = {"color": slice(0, 3), "age": [3], "noise": [4]}
PRICE = 100 + 30 * (COLORS == 1) + 10 * X[:, 3]
KIND = np.array(["cheap", "dear", "fair"])[np.digitize(PRICE, [95, 115]) * 2 % 3]


def regressor(y=PRICE):
    """A line, exactly: least squares in its parameters."""
    net = fastgd.Network([5, 1], output="identity", loss="mse", dtype="float64", init="zeros")
    net.parameters[1], net.parameters[3], net.parameters[5] = 30.0, 10.0, 100.0
    return net


@pytest.fixture(scope="module")
def classifier():
    net = fastgd.Network([5, 16, 3], activation="tanh", output="softmax", loss="cross_entropy",
                         seed=0)  # fmt: skip
    net.fit(X, KIND, optimizer=fastgd.Adam(0.02), epochs=40)
    return net


class TestReport:
    def test_classes_as_scikit_learn(self, classifier):
        metrics = pytest.importorskip("sklearn.metrics")
        found, labels = report(classifier, X, KIND), classifier.predict_classes(X)
        each = metrics.precision_recall_fscore_support(KIND, labels)
        assert found.precision == pytest.approx(each[0])
        assert found.recall == pytest.approx(each[1])
        assert found.f1 == pytest.approx(each[2])
        assert found.accuracy == metrics.accuracy_score(KIND, labels)
        loss = metrics.log_loss(KIND, classifier.predict_proba(X))
        assert found.log_loss == pytest.approx(loss, rel=1e-5)
        assert found.class_names == ("cheap", "dear", "fair")
        assert "mostly mistaken for" in str(found)

    def test_numbers_as_scikit_learn(self):
        metrics = pytest.importorskip("sklearn.metrics")
        Y = np.column_stack([PRICE, NOISE, np.full(N, 3.0)])
        net = fastgd.Network([5, 3], output="identity", loss="mse", seed=1)
        found, outputs = report(net, X, Y, target_names=["a", "b", "c"]), net.predict(X)
        assert found.r2 == pytest.approx(metrics.r2_score(Y, outputs, multioutput="raw_values"))
        mae = metrics.mean_absolute_error(Y, outputs, multioutput="raw_values")
        assert found.mae == pytest.approx(mae)
        assert found.rmse**2 == pytest.approx(
            metrics.mean_squared_error(Y, outputs, multioutput="raw_values")
        )
        assert found.to_dict()["r2"] == pytest.approx(net.score(X, Y))
        assert str(found).splitlines()[0].split() == ["target", "R2", "MAE", "RMSE"]

    def test_classes_nobody_predicts_or_has(self):
        net = fastgd.Network([1, 3], output="softmax", loss="cross_entropy", init="zeros")
        net.parameters[-3:] = [5.0, 0.0, 0.0]
        found = report(net, [[0.0], [1.0]], [0, 1])
        assert found.precision.tolist()[0] == 0.5 and np.isnan(found.precision[1:]).all()
        assert found.recall[:2].tolist() == [1, 0] and np.isnan(found.recall[2])

    def test_margins_have_no_log_loss(self):
        net = fastgd.Network([5, 3], output="identity", loss="hinge", seed=1)
        assert report(net, X, COLORS).log_loss is None


class TestImportance:
    def test_what_is_used_counts_and_what_is_not_does_not(self):
        found = importance_of(regressor(), X, PRICE, GROUPS, repeats=20)
        assert found.score == pytest.approx(1)
        color, age, noise = found.mean
        # Shuffled, a term of variance v costs 2 v / var(y) of R^2.
        var = PRICE.var()
        assert color == pytest.approx(2 * np.var(30 * (COLORS == 1)) / var, rel=0.1)
        assert age == pytest.approx(2 * np.var(10 * X[:, 3]) / var, rel=0.1)
        assert abs(noise) < 1e-12
        assert [row["column"] for row in found.to_list()][-1] == "noise"

    def test_labels_and_seeds(self, classifier):
        before = X.copy()
        one, other = (importance_of(classifier, X, KIND, GROUPS, seed=3) for _ in range(2))
        assert (one.drops == other.drops).all() and (before == X).all()
        assert one.score == classifier.score(X, KIND) and one.score_name == "accuracy"
        assert abs(one.mean[2]) < 0.05 < one.mean[0]
        assert (importance_of(classifier, X, KIND, repeats=1).spread == 0).all()

    def test_groups_that_are_none(self):
        with pytest.raises(ValueError, match=r"groups\['x'\] must be columns of 5"):
            permutation_importance(lambda X: X, X, {"x": [7]}, np.mean)


class TestDependence:
    def test_a_sum_is_its_parts(self):
        found = dependence_of(regressor(), X, GROUPS, input_names=NAMES)
        color, age, noise = found.columns
        assert set(color.labels) == {"red", "green", "blue"}
        values = dict(zip(color.labels, color.outputs[:, 0], strict=True))
        assert values["green"] - values["red"] == pytest.approx(30)
        assert values["blue"] == pytest.approx(values["red"])
        assert np.diff(age.outputs[:, 0]) == pytest.approx(10 * np.diff(age.values))
        assert noise.effect == pytest.approx(0, abs=1e-9)
        for column in found.columns:
            assert column.shares.sum() == pytest.approx(1)
        assert "green" in str(found)

    def test_probabilities_by_their_names(self, classifier):
        found = dependence_of(classifier, X, GROUPS)
        assert found.output_names[0] == "probability of cheap"
        assert found.columns[1].outputs.sum(axis=1) == pytest.approx(1, abs=1e-6)
        two = fastgd.Network([5, 1], loss="cross_entropy", seed=0)
        two.classes = ["no", "yes"]
        assert dependence_of(two, X).output_names == ("probability of yes",)

    def test_parts_of_a_column_go_by_themselves(self):
        dates = np.column_stack([RNG.integers(2000, 2030, 90), RNG.integers(1, 13, 90)])
        found = partial_dependence(
            lambda X: X[:, 1:].astype(float), dates, {"when": [0, 1]}, ["y"],
            input_names=["when: year", "month"],
        )  # fmt: skip
        assert [column.name for column in found.columns] == ["when: year", "when: month"]
        assert {column.group for column in found.columns} == {"when"}
        assert found.columns[1].values.tolist() == list(range(1, 13))


@pytest.mark.parametrize("look", ["light", "dark"])
class TestPictures:
    def test_importance(self, look, tmp_path, classifier):
        with theme(look):
            display = ImportanceDisplay.from_network(classifier, X, KIND, groups=GROUPS)
            check_picture(display, tmp_path)
            many = {f"a column with a name that goes on and on {k}": [k % 5] for k in range(40)}
            display = ImportanceDisplay.from_network(regressor(), X, PRICE, groups=many, repeats=1)
            check_picture(display, tmp_path)
        assert "the first 20 of 40" in display.ax_.get_title()

    def test_dependence(self, look, tmp_path, classifier):
        with theme(look):
            display = DependenceDisplay.from_network(
                classifier, X, groups=GROUPS, input_names=NAMES
            )
            check_picture(display, tmp_path)
            one = DependenceDisplay.from_network(regressor(), X, groups={"age": [3]})
            check_picture(one, tmp_path)
        assert display.order[-1] == "noise"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    rows = [f"{a},{n},{k}" for a, n, k in zip(AGE, NOISE, KIND, strict=True)]
    (folder / "pets.csv").write_text("\n".join(["age,noise,kind", *rows]) + "\n")
    run(
        "train",
        folder / "pets.csv",
        "--target",
        "kind",
        "--optimizer",
        "adam",
        "--out",
        folder / "pets.safetensors",
    )
    return folder


def run(*args):
    result = CliRunner().invoke(main, list(map(str, args)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


class TestCommand:
    def test_tells_and_draws(self, folder):
        model, data = folder / "pets.safetensors", folder / "pets.csv"
        said = run("explain", model, data, "--out", folder / "one")
        assert "the 80 rows held out of training" in said
        assert said.index("age ") < said.index("noise ")
        assert "probability of" in said
        for what in ("importance", "dependence"):
            assert (folder / f"one-{what}.png").stat().st_size > 1000
        record = json.loads(run("explain", model, data, "--json", "--out", folder, "--rows", 40))
        assert record["n_rows"] == 40 and record["importance"][0]["column"] == "age"
        assert {column["column"] for column in record["dependence"]} == {"age", "noise"}
        assert (folder / "importance.png").exists()

    def test_without_matplotlib_the_numbers_are_told(self, folder, monkeypatch):
        for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        said = run("explain", folder / "pets.safetensors", folder / "pets.csv", "--out",
                   folder / "none")  # fmt: skip
        assert "age" in said and "no pictures: pictures need matplotlib" in said
        assert not (folder / "none-importance.png").exists()

    def test_images_are_for_other_pictures(self, tmp_path):
        model = tmp_path / "digits.safetensors"
        run("train", "digits", "--epochs", 1, "--out", model, "-q")
        result = CliRunner().invoke(main, ["explain", str(model), "digits"])
        assert result.exit_code == 2 and "fastgd show weights" in result.output

    def test_evaluate_and_predict_speak_of_classes(self, folder):
        model, data = folder / "pets.safetensors", folder / "pets.csv"
        said = run("evaluate", model, data)
        assert "log loss" in said and "precision" in said and "recall" in said
        record = json.loads(run("evaluate", model, data, "--json"))
        assert [row["class"] for row in record["by_class"]] == ["cheap", "dear", "fair"]
        assert run("predict", model, data, "--outputs").startswith("row,cheap,dear,fair\n")
        assert fastgd.load(model).classes.tolist() == ["cheap", "dear", "fair"]
