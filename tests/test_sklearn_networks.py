"""Estimators and networks into each other, also through files and the command line."""

import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

import fastgd
from fastgd.sklearn import MLPClassifier, MLPRegressor, from_network, to_network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SCALERS = [
    StandardScaler(), StandardScaler(with_mean=False), StandardScaler(with_std=False),
    MinMaxScaler((-1, 3)), MaxAbsScaler(), RobustScaler(), RobustScaler(with_centering=False),
    "passthrough",
]  # fmt: skip


@pytest.fixture
def iris():
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


def command(*args):
    done = subprocess.run(
        [sys.executable, "-m", "fastgd", *map(str, args)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
@pytest.mark.parametrize("module", [fastgd.sklearn, neural_network])
def test_a_pipeline_becomes_a_network(iris, scaler, module):
    mlp = module.MLPClassifier((6,), solver="lbfgs", max_iter=50, random_state=0)
    pipe = make_pipeline(scaler, mlp).fit(*iris)
    network = to_network(pipe)
    np.testing.assert_allclose(
        network.predict_proba(iris[0]), pipe.predict_proba(iris[0]), atol=1e-9
    )
    assert network.predict_classes(iris[0]).tolist() == pipe.predict(iris[0]).tolist()
    back = from_network(network)
    np.testing.assert_allclose(back.predict_proba(iris[0]), pipe.predict_proba(iris[0]), atol=1e-9)


def test_scalers_in_a_row(iris):
    pipe = make_pipeline(
        MinMaxScaler((2, 5)), StandardScaler(), RobustScaler(),
        MLPClassifier((4,), max_iter=20, random_state=0),
    ).fit(*iris)  # fmt: skip
    expected = pipe.predict_proba(iris[0])
    np.testing.assert_allclose(to_network(pipe).predict_proba(iris[0]), expected, atol=1e-9)


@pytest.mark.parametrize("loss", ["squared_error", fastgd.Huber(2.0)])
def test_scaled_targets_and_what_comes_back(iris, loss):
    """Also in float32 with numbers near 1e7, where scaling put into weights would lose them."""
    X = iris[0].astype(np.float32)
    y = 1e7 + 3.0 * iris[0][:, 0] - 2.0 * iris[0][:, 2]
    inner = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", loss=loss, random_state=0)
    model = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), inner), transformer=StandardScaler()
    ).fit(X, y)
    network = to_network(model)
    np.testing.assert_allclose(network.predict(X)[:, 0], model.predict(X), rtol=1e-7)
    assert network.score(X, y) > 0.99
    back = from_network(network)
    np.testing.assert_allclose(back.predict(X), network.predict(X)[:, 0], rtol=1e-8)
    assert back.score(X, y) > 0.99
    assert back.loss == loss


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (make_pipeline(PolynomialFeatures(), MLPClassifier()), "got PolynomialFeatures"),
        (make_pipeline(MinMaxScaler(clip=True), MLPClassifier()), "got MinMaxScaler"),
        (make_pipeline(StandardScaler()), "must be, or end with, an MLP; got StandardScaler"),
        ("mlp", "got mlp"),
    ],
)
def test_others_are_refused(iris, model, says):
    if not isinstance(model, str):
        model.fit(*iris)
    with pytest.raises(ValueError, match=says):
        to_network(model)


@pytest.mark.slow
def test_an_estimators_network_on_the_command_line(iris, tmp_path):
    """It is saved, evaluated, and looked at there, in the classes and units of its data."""
    X, names = iris
    table = tmp_path / "flowers.csv"
    rows = [",".join([*map(str, x), name]) for x, name in zip(X, names, strict=True)]
    table.write_text("a,b,c,d,kind\n" + "\n".join(rows) + "\n")
    pipe = make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=60, random_state=0))
    pipe.fit(X, names)
    path = tmp_path / "model.safetensors"
    to_network(pipe).save(path)
    said = json.loads(command("evaluate", path, table, "--target", "kind", "--json"))
    assert said["accuracy"] == pytest.approx(pipe.score(X, names), abs=1e-4)
    predictions = tmp_path / "out.csv"
    command("predict", path, table, "--target", "kind", "--out", predictions)
    assert "setosa" in predictions.read_text()
    # And the other way: what the command line trained.
    trained = tmp_path / "trained.safetensors"
    command("train", table, "--target", "kind", "--seed", 1, "--out", trained)
    model = fastgd.Model.load(trained)
    back = from_network(model.network)
    classes = [str(c) for c in back.classes_]
    assert classes == ["setosa", "versicolor", "virginica"]
    assert back.score(X, names) == pytest.approx(
        float((model.predict(table) == names).mean()), abs=1e-9
    )


@pytest.mark.parametrize("labels", [(3, 7), ("no", "yes"), (-1, 1), (0.0, 1.0)])
def test_two_classes_of_one_output(iris, labels, tmp_path):
    kept = iris[1] != "setosa"
    X, y = iris[0][kept], np.where(iris[1][kept] == "virginica", *labels[::-1])
    table = tmp_path / "flowers.csv"
    lines = [",".join(map(str, [*x, name])) for x, name in zip(X, y.tolist(), strict=True)]
    table.write_text("a,b,c,d,kind\n" + "\n".join(lines) + "\n")
    model = MLPClassifier((8,), solver="lbfgs", max_iter=15, random_state=0).fit(X, y)
    assert 0.5 < model.score(X, y) < 1
    model.network_.save(tmp_path / "model.safetensors")
    said = command("evaluate", tmp_path / "model.safetensors", table, "--target", "kind", "--json")
    assert json.loads(said)["accuracy"] == pytest.approx(model.score(X, y), abs=1e-4)


def test_names_of_columns_are_kept(iris, tmp_path):
    """Columns in another order are found by name; a name that is missing is told."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(iris[0], columns=list("abcd"))
    model = make_pipeline(StandardScaler(), MLPClassifier((8,), solver="lbfgs", random_state=0))
    model.fit(frame, iris[1])
    path, table = tmp_path / "model.safetensors", tmp_path / "turned.csv"
    to_network(model).save(path)
    frame[list("dcba")].assign(kind=iris[1]).to_csv(table, index=False)
    said = json.loads(command("evaluate", path, table, "--target", "kind", "--json"))
    assert said["accuracy"] == pytest.approx(model.score(frame, iris[1]), abs=1e-4)


def test_networks_that_no_estimator_can_be():
    with pytest.raises(ValueError, match="softmax outputs, to tell several classes apart"):
        from_network(fastgd.Network([4, 6, 3], seed=0))
    for given in ("model.safetensors", None, MLPClassifier()):
        with pytest.raises(TypeError, match=r"network must be a fastgd\.Network; got"):
            from_network(given)
