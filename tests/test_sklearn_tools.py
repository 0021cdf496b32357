"""Other tools that take an estimator, each tried for real where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn.neural_network")
from sklearn import neural_network
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastgd
from fastgd.sklearn import (
    MLPClassifier,
    MLPRegressor,
    log,
    patch_sklearn,
    register_onnx,
    unpatch_sklearn,
)

pytestmark = pytest.mark.slow  # what they import
SMALL = {
    "hidden_layer_sizes": (16,),
    "learning_rate_init": 0.02,
    "max_iter": 30,
    "random_state": 0,
}


@pytest.fixture(autouse=True)
def tools_may_warn():
    """What other tools warn of is theirs, and so few epochs converge nowhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(params=["fastgd", "patched"])
def classes(request):
    """fastgd's own two classes, and scikit-learn's when they are patched."""
    if request.param == "fastgd":
        yield MLPClassifier, MLPRegressor
    else:
        patch_sklearn()
        yield neural_network.MLPClassifier, neural_network.MLPRegressor
        unpatch_sklearn()


@pytest.fixture(autouse=True)
def fits(monkeypatch):
    """The fits, all of which must have run on fastgd."""
    fits: list[log.Fit] = []
    monkeypatch.setattr(log, "listeners", [fits.append])
    yield fits
    assert not [fit for fit in fits if fit.reason]


@pytest.fixture
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y


def run_onnx(model, X):
    """Convert a model and return what onnxruntime computes with it."""
    skl2onnx = pytest.importorskip("skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    register_onnx()
    options = {"zipmap": False} if hasattr(model, "classes_") else None
    converted = skl2onnx.to_onnx(model, X[:1], options=options)
    session = onnxruntime.InferenceSession(
        converted.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: X})


def test_onnx_classifies_alike(classes, digits):
    X, y = digits
    for X_, target in ((X, y), (X, y > 4)):
        model = classes[0](**SMALL).fit(X_, target)
        label, probabilities = run_onnx(model, X)
        assert (label == model.predict(X)).mean() > 0.999
        np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)


def test_onnx_predicts_alike_in_a_pipeline(classes):
    X, y = load_diabetes(return_X_y=True)
    model = make_pipeline(StandardScaler(), classes[1](**SMALL)).fit(X, y)
    (outputs,) = run_onnx(model, X)
    np.testing.assert_allclose(outputs.ravel(), model.predict(X), rtol=1e-6)


def test_shap_values_add_up(classes, digits):
    shap = pytest.importorskip("shap")
    X, y = load_iris(return_X_y=True)
    model = classes[0](**SMALL).fit(X, y)
    background = X[::10]
    explainer = shap.KernelExplainer(model.predict_proba, background, silent=True)
    values = explainer.shap_values(X[:3], nsamples=50, silent=True)
    total = values.sum(axis=1) + model.predict_proba(background).mean(axis=0)
    np.testing.assert_allclose(total, model.predict_proba(X[:3]), atol=1e-6)

    permutation = shap.PermutationExplainer(model.predict_proba, background, seed=0)
    explained = permutation(X[:2], silent=True)
    total = explained.values.sum(axis=1) + explained.base_values
    np.testing.assert_allclose(total, model.predict_proba(X[:2]), atol=1e-6)


def test_optuna_searches(classes, fits):
    optuna = pytest.importorskip("optuna")
    X, y = load_iris(return_X_y=True)

    def objective(trial):
        model = classes[0](
            hidden_layer_sizes=(trial.suggest_int("width", 4, 16),),
            learning_rate_init=trial.suggest_float("rate", 1e-3, 1e-1, log=True),
            max_iter=40,
            random_state=0,
        )
        for epoch in range(3):
            model.partial_fit(X, y, classes=[0, 1, 2])
            trial.report(model.score(X, y), epoch)
        return cross_val_score(model, X, y, cv=3).mean()

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=6)
    assert study.best_value > 0.9 and len(fits) == 6 * (3 + 3)


def test_flaml_searches(fits):
    automl = pytest.importorskip("flaml.automl")
    model = pytest.importorskip("flaml.automl.model")
    tune = pytest.importorskip("flaml.tune")

    class FastgdNetwork(model.SKLearnEstimator):
        """How FLAML is told of an estimator and what to search."""

        def __init__(self, task="multiclass", **config):
            super().__init__(task, **config)
            self.estimator_class = MLPClassifier

        @classmethod
        def search_space(cls, data_size, task, **params):
            rate = tune.loguniform(1e-3, 1e-1)
            width = tune.lograndint(4, 32)
            return {
                "hidden_layer_sizes": {"domain": width, "init_value": 8},
                "learning_rate_init": {"domain": rate, "init_value": 1e-2},
            }

        def config2params(self, config):
            params = super().config2params(config)
            params.pop("n_jobs", None)
            return params

    X, y = load_iris(return_X_y=True)
    search = automl.AutoML()
    search.add_learner("fastgd", FastgdNetwork)
    search.fit(
        X, y, task="classification", estimator_list=["fastgd"], max_iter=3, time_budget=60,
        eval_method="cv", n_splits=3, seed=0, verbose=0, metric="accuracy",
    )  # fmt: skip
    assert search.best_loss < 0.2 and len(fits) >= 3
    assert isinstance(search.model.estimator, MLPClassifier)


def test_imbalanced_learns_pipeline(classes, fits):
    imblearn = pytest.importorskip("imblearn")
    X, y = load_iris(return_X_y=True)
    X, y = X[40:], y[40:]  # few of the first class
    pipeline = imblearn.pipeline.make_pipeline(
        StandardScaler(),
        imblearn.over_sampling.RandomOverSampler(random_state=0),
        classes[0](**{**SMALL, "max_iter": 100}),
    )
    assert cross_val_score(pipeline, X, y, cv=3, scoring="balanced_accuracy").mean() > 0.85
    assert len(fits) == 3


def test_mlxtend_votes_and_selects(classes, fits):
    mlxtend = pytest.importorskip("mlxtend.classifier")
    selection = pytest.importorskip("mlxtend.feature_selection")
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    votes = mlxtend.EnsembleVoteClassifier(
        [classes[0](**{**SMALL, "random_state": seed}) for seed in range(3)], voting="soft"
    )
    assert votes.fit(X, y).score(X, y) > 0.8
    chosen = selection.SequentialFeatureSelector(classes[0](**SMALL), k_features=2, cv=3)
    chosen.fit(X, y)
    assert len(chosen.k_feature_idx_) == 2 and len(fits) == 3 + 3 * (4 + 3)


def test_mlxtend_draws_regions(classes):
    plotting = pytest.importorskip("mlxtend.plotting")
    pytest.importorskip("matplotlib")
    X, y = load_iris(return_X_y=True)
    axes = plotting.plot_decision_regions(X[:, :2], y, clf=classes[0](**SMALL).fit(X[:, :2], y))
    assert axes.get_legend() is not None
    axes.figure.clear()


def test_yellowbrick_draws(classes):
    yellowbrick = pytest.importorskip("yellowbrick.classifier")
    X, y = load_iris(return_X_y=True)
    # Yellowbrick 1.5 knows no classifier of scikit-learn 1.6 and later, unless it is told.
    drawn = yellowbrick.ConfusionMatrix(classes[0](**SMALL), force_model=True)
    drawn.fit(X[::2], y[::2])
    assert drawn.score(X[1::2], y[1::2]) > 0.8
    assert drawn.confusion_matrix_.sum() == 75
    drawn.fig.clear()


TPOT = """
import tpot
from ConfigSpace import ConfigurationSpace
from sklearn.datasets import load_iris
from fastgd.sklearn import MLPClassifier

if __name__ == "__main__":  # Dask's workers import this file
    choices = {"alpha": (1e-5, 1.0), "hidden_layer_sizes": (4, 16)}
    fixed = {"learning_rate_init": 0.05, "max_iter": 30, "random_state": 0}
    node = tpot.search_spaces.nodes.EstimatorNode(
        method=MLPClassifier, space=ConfigurationSpace({**choices, **fixed})
    )
    search = tpot.TPOTEstimator(
        node, scorers=["accuracy"], scorers_weights=[1], classification=True, cv=2,
        population_size=4, generations=2, max_time_mins=1, n_jobs=1, random_state=0,
    )
    X, y = load_iris(return_X_y=True)
    model = search.fit(X, y).fitted_pipeline_
    print(type(model).__module__, len(search.evaluated_individuals), model.score(X, y))
"""


@pytest.mark.slow
def test_tpot_evolves(tmp_path):
    pytest.importorskip("tpot")
    (tmp_path / "evolve.py").write_text(TPOT)
    package = Path(fastgd.__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "evolve.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(package), "PYTHONWARNINGS": "ignore"}
        | {"FASTGD_VERBOSE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    module, tried, score = done.stdout.split()[-3:]
    assert module == "fastgd.sklearn.estimators" and int(tried) >= 4 and float(score) > 0.8
    assert done.stderr.count(" on fastgd (") > int(tried)
