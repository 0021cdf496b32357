"""fastgd's estimators are scikit-learn's to whatever takes those."""

import copy
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastgd
from fastgd.sklearn import MLPClassifier, MLPRegressor, from_network
from fastgd.sklearn.parts import TAKES_WEIGHTS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
needs_weights = pytest.mark.skipif(not TAKES_WEIGHTS, reason="scikit-learn 1.6 has no weights")


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def model():
    return MLPClassifier((8,), max_iter=30, learning_rate_init=0.01, random_state=0)


CHECKS = parametrize_with_checks([MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)]).mark


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_scikit_learns_checks_pass(estimator, check):
    check(estimator)


#: scikit-learn's own tests of its MLPs, with the classes swapped.
SWAPPED = """
import sys, pytest, fastgd.sklearn

class Swap:
    @pytest.fixture
    def global_random_seed(self):
        return 42

    def pytest_collection_modifyitems(self, items):
        for item in items:
            item.module.MLPClassifier = fastgd.sklearn.MLPClassifier
            item.module.MLPRegressor = fastgd.sklearn.MLPRegressor

options = "-q -p no:cacheprovider -p no:xdist --noconftest --pyargs -c".split()
sys.exit(pytest.main([*options, *sys.argv[1:]], plugins=[Swap()]))
"""
OWN_TESTS = [f"sklearn.neural_network.tests.test_{n}" for n in ("mlp", "stochastic_optimizers")]


@pytest.mark.slow
def test_scikit_learns_own_tests_pass(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-c", SWAPPED, str(tmp_path / "pytest.ini"), *OWN_TESTS]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_parameters_are_scikit_learns_and_extras():
    for name in ("MLPClassifier", "MLPRegressor"):
        ours, theirs = getattr(fastgd.sklearn, name)(), getattr(neural_network, name)()
        assert isinstance(ours, type(theirs))
        extras = {n: v for n, v in ours.get_params().items() if n not in theirs.get_params()}
        assert {n: ours.get_params()[n] for n in theirs.get_params()} == theirs.get_params()
        wanted = {"backend", "threads", "dropout", "dtype", "schedule", "validation_data"}
        assert wanted | {"callbacks"} <= set(extras)
        assert ours.loss == theirs.loss
    with pytest.raises(TypeError, match="positional"):
        MLPClassifier(*range(40))
    with pytest.raises(ValueError, match="'backend' parameter of MLPClassifier must be"):
        MLPClassifier(backend="cuda").fit([[0.0], [1.0]], [0, 1])


def test_what_is_pickled_is_what_scikit_learn_would_have(iris, model):
    theirs = neural_network.MLPClassifier()
    theirs.set_params(**{name: getattr(model, name) for name in theirs.get_params()})
    model.fit(*iris)
    theirs.fit(*iris)
    extras = set(vars(model)) - set(vars(theirs))
    assert extras == set(model.get_params()) - set(theirs.get_params()) - {"loss"}
    assert set(vars(theirs)) <= set(vars(model))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(iris[0]), model.predict_proba(iris[0]))
    # Going on gives the same steps as scikit-learn's own.
    for m in (again, theirs, copy.deepcopy(model)):
        m.partial_fit(*iris)
    np.testing.assert_allclose(again.coefs_[0], theirs.coefs_[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(again._optimizer.ms[0], theirs._optimizer.ms[0], atol=1e-9)
    assert again._optimizer.t == theirs._optimizer.t
    assert not hasattr(clone(model), "coefs_")


def test_searches_and_scores(iris, model):
    pipe = make_pipeline(StandardScaler(), model)
    grid = {"mlpclassifier__alpha": [1e-4, 1.0]}
    assert GridSearchCV(pipe, grid, cv=3).fit(*iris).best_score_ > 0.7
    assert HalvingGridSearchCV(pipe, grid, cv=3, random_state=0).fit(*iris).best_score_ > 0.5
    columns = make_column_transformer((StandardScaler(), [0, 1]), remainder="passthrough")
    assert make_pipeline(columns, model).fit(*iris).score(*iris) > 0.7


@pytest.mark.slow
def test_threads_and_processes_have_the_same_scores(iris, model):
    from joblib import parallel_backend

    expected = cross_val_score(model, *iris, cv=3)
    for name in ("threading", "loky"):
        with warnings.catch_warnings(), parallel_backend(name, n_jobs=2):
            warnings.simplefilter("ignore")
            np.testing.assert_array_equal(cross_val_score(model, *iris, cv=3), expected)


def test_ensembles_calibration_and_importance(iris, model):
    X, y = iris
    calibrated = CalibratedClassifierCV(model, cv=3).fit(X, y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)
    assert BaggingClassifier(model, n_estimators=3, random_state=0).fit(X, y).score(X, y) > 0.7
    stack = StackingClassifier([("mlp", model)], LogisticRegression(), cv=3).fit(X, y)
    assert stack.score(X, y) > 0.7
    found = permutation_importance(model.fit(X, y), X, y, n_repeats=2, random_state=0)
    assert found.importances_mean.shape == (4,)


def test_names_of_columns(model):
    pytest.importorskip("pandas")
    X, y = load_iris(return_X_y=True, as_frame=True)
    model.fit(X, y)
    assert model.feature_names_in_.tolist() == X.columns.tolist()
    with pytest.warns(UserWarning, match="valid feature names"):
        model.predict(X.to_numpy())
    pipe = make_pipeline(StandardScaler(), model).set_output(transform="pandas")
    assert pipe.fit(X, y).score(X, y) > 0.7


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_class_weight_counts_an_example_as_often(iris, solver, early_stopping):
    """On scikit-learn 1.6, too, which has no weights of its own."""
    settings = {"solver": solver, "early_stopping": early_stopping and solver != "lbfgs"}
    model = MLPClassifier((5,), max_iter=100, random_state=0, learning_rate_init=0.01, **settings)
    plain = np.bincount(clone(model).fit(*iris).predict(iris[0]), minlength=3)
    model.set_params(class_weight={0: 1.0, 1: 1.0, 2: 30.0})
    assert np.bincount(model.fit(*iris).predict(iris[0]))[-1] > plain[2]


@needs_weights
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_class_weight_is_sample_weight(iris, solver):
    X, y = iris[0][:120], iris[1][:120]
    weights = {0: 1.0, 1: 2.0, 2: 5.0}
    one = MLPClassifier((5,), solver=solver, max_iter=8, random_state=0, class_weight=weights)
    other = neural_network.MLPClassifier((5,), solver=solver, max_iter=8, random_state=0)
    one.fit(X, y)
    other.fit(X, y, sample_weight=np.array([1.0, 2.0, 5.0])[y])
    np.testing.assert_allclose(one.coefs_[0], other.coefs_[0], rtol=1e-6, atol=1e-9)
    with pytest.raises(ValueError, match="not supported for partial_fit"):
        MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])


def test_dropout_dtype_and_backend(iris):
    X, y = iris
    plain = MLPClassifier((20,), max_iter=30, random_state=0).fit(X, y)
    dropped = MLPClassifier((20,), max_iter=30, random_state=0, dropout=0.5)
    assert dropped.fit(X, y).loss_ != plain.loss_
    np.testing.assert_array_equal(clone(dropped).fit(X, y).coefs_[0], dropped.coefs_[0])
    assert MLPClassifier(max_iter=3, dtype="float32").fit(X, y).coefs_[0].dtype == np.float32
    for backend in ("numpy", "numba"):
        other = MLPClassifier((20,), max_iter=30, random_state=0, backend=backend).fit(X, y)
        np.testing.assert_allclose(other.coefs_[0], plain.coefs_[0], rtol=1e-6, atol=1e-9)
    with pytest.raises(ValueError, match="dropout"):
        MLPClassifier(solver="lbfgs", dropout=0.5).fit(X, y)


class OwnStep(MLPClassifier):
    def _backprop(self, *args):
        return super()._backprop(*args)


def test_what_fastgd_does_not_cover_falls_back_and_says_why(iris):
    heard = []
    fastgd.sklearn.log.listeners.append(heard.append)
    try:
        own = OwnStep((5,), max_iter=3, random_state=0).fit(*iris)
        MLPClassifier((5,), max_iter=3, random_state=0).fit(*iris)
    finally:
        fastgd.sklearn.log.listeners.clear()
    assert heard[0].backend is None and "own _backprop" in heard[0].reason
    assert heard[1].backend and not heard[1].reason
    theirs = neural_network.MLPClassifier((5,), max_iter=3, random_state=0).fit(*iris)
    np.testing.assert_array_equal(own.coefs_[0], theirs.coefs_[0])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_says_so_and_keeps_what_was_finite():
    X, y = np.linspace(-1e3, 1e3, 40).reshape(-1, 1), np.linspace(0, 1e6, 40)
    model = MLPRegressor(solver="sgd", learning_rate_init=10.0, random_state=0)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        model.fit(X, y)
    assert all(np.isfinite(W).all() for W in model.coefs_)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_an_estimator_and_its_network_say_the_same(iris, n_classes):
    X, y = iris
    kept = y < n_classes
    names = np.array(["setosa", "versicolor", "virginica"])[y[kept]]
    model = MLPClassifier((6,), max_iter=50, random_state=0).fit(X[kept], names)
    network = model.network_
    np.testing.assert_allclose(network.predict_proba(X), model.predict_proba(X), atol=1e-12)
    assert network.predict_classes(X).tolist() == model.predict(X).tolist()
    back = from_network(network)
    np.testing.assert_allclose(back.predict_proba(X), model.predict_proba(X), atol=1e-12)
    back.partial_fit(X[kept], names)


@pytest.mark.parametrize("labels", [["10", "2", "30"], ["no", "yes"], ["z", "a"]])
def test_a_scaled_network_becomes_an_estimator(labels, rng):
    X = rng.normal(3.0, 5.0, (60, 4))
    y = np.array(labels)[rng.integers(len(labels), size=60)]
    net = fastgd.Network(
        [4, 7, len(labels)], activation="tanh", output="softmax", loss="cross_entropy",
        dtype="float64", seed=1,
    )  # fmt: skip
    net.fit(X, y, epochs=2, standardize=True, verbose=False)
    model = from_network(net)
    assert model.predict(X).tolist() == net.predict_classes(X).tolist()
    order = np.argsort(net.classes)
    np.testing.assert_allclose(model.predict_proba(X), net.predict_proba(X)[:, order], atol=1e-9)


def test_a_network_of_numbers_becomes_a_regressor(rng):
    X = rng.normal(3.0, 5.0, (60, 2))
    net = fastgd.Network(
        [2, 5, 1], activation="relu", output="identity", loss="mse", dtype="float64", seed=1
    )
    net.fit(X, 100 * X[:, 0] + 7, epochs=3, standardize=True, verbose=False)
    model = from_network(net)
    np.testing.assert_allclose(model.predict(X), net.predict(X)[:, 0], rtol=1e-9)
    with pytest.raises(ValueError, match="one activation scikit-learn has"):
        from_network(fastgd.Network([2, 5, 1], activation="elu", output="identity", seed=1))


def test_warnings_are_scikit_learns(iris):
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        MLPClassifier(max_iter=2).fit(*iris)


def test_warnings_come_from_where_scikit_learns_do():
    """Filters that name its module, as its own examples have them, go on working."""
    X, y = load_iris(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=ConvergenceWarning, module="sklearn")
        MLPClassifier(max_iter=1).fit(X, y)
    with pytest.warns(UserWarning, match="larger than sample size") as told:
        MLPClassifier(max_iter=1, batch_size=1000).fit(X, y)
    assert all("neural_network" in warning.filename for warning in told)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_losses_are_numpys_as_scikit_learns_are(iris, solver):
    """Scripts round them, and print them."""
    ours, theirs = (
        module.MLPClassifier((5,), solver=solver, max_iter=3, random_state=0).fit(*iris)
        for module in (fastgd.sklearn, neural_network)
    )
    for name in ("loss_", "best_loss_", "loss_curve_"):
        if hasattr(theirs, name):
            a, b = getattr(ours, name), getattr(theirs, name)
            assert type(a) is type(b)
            assert not isinstance(a, list) or {type(x) for x in a} == {type(x) for x in b}
