"""What fastgd's estimators take besides scikit-learn's parameters."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastgd
from fastgd.sklearn import MLPClassifier, MLPRegressor
from fastgd.sklearn.parts import TAKES_WEIGHTS
from fastgd.sklearn.problem import Problem
from fastgd.sklearn.whole import Whole

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SOLVERS = ("sgd", "adam", "lbfgs")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def iris():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.fixture
def numbers(rng):
    X = rng.normal(size=(80, 3))
    return X, X @ [1.0, -2.0, 0.5] + rng.standard_t(2, 80)


class TestLoss:
    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("loss", ["huber", "absolute_error", fastgd.Quantile(0.9), "mse"])
    def test_a_regressor_makes_the_steps_of_a_network(self, numbers, solver, loss):
        """One step of all examples is the network's: the slope is the loss's own."""
        X, y = numbers
        if solver != "sgd":
            model = MLPRegressor(
                hidden_layer_sizes=(5,), solver=solver, loss=loss, max_iter=40, random_state=0
            )
            first = clone(model).set_params(max_iter=1).fit(X, y)
            assert model.fit(X, y).loss_ < first.loss_
            return
        options = {
            "loss": loss, "alpha": 0.0, "momentum": 0.0, "batch_size": 80, "random_state": 0,
            "solver": "sgd",
        }  # fmt: skip
        still = MLPRegressor(
            hidden_layer_sizes=(5,), learning_rate_init=1e-300, max_iter=1, **options
        ).fit(X, y)
        network = still.network_
        assert (
            network.architecture.loss
            == fastgd.Network([3, 5, 1], output="identity", loss=loss, seed=0).architecture.loss
        )
        moved = MLPRegressor(
            hidden_layer_sizes=(5,), learning_rate_init=0.1, max_iter=1, **options
        ).fit(X, y)
        cost = network.partial_fit(X, y, optimizer=fastgd.SGD(0.1))
        assert moved.loss_ == pytest.approx(cost, rel=1e-12)
        for ours, W in zip(moved.coefs_, network.weights, strict=True):
            np.testing.assert_allclose(ours, W, rtol=1e-10, atol=1e-12)

    @pytest.mark.parametrize(
        ("loss", "n_classes"),
        [
            (fastgd.Focal(), 2),
            (fastgd.CrossEntropy(label_smoothing=0.2), 2),
            (fastgd.CrossEntropy(label_smoothing=0.2), 3),
        ],
    )
    def test_a_classifier(self, iris, loss, n_classes):
        kept = iris[1] < n_classes
        X, y = iris[0][kept], iris[1][kept]
        model = MLPClassifier((8,), loss=loss, max_iter=200, solver="lbfgs", random_state=0).fit(
            X, y
        )
        assert model.score(X, y) > 0.9
        plain = clone(model).set_params(loss="log_loss").fit(X, y)
        assert plain.predict_proba(X).max() > model.predict_proba(X).max()
        assert (
            model.network_.architecture.loss.name
            == loss.for_output("sigmoid" if n_classes == 2 else "softmax").name
        )

    def test_cross_entropy_is_log_loss_unclipped(self, iris):
        one = MLPClassifier((5,), max_iter=5, random_state=0).fit(*iris)
        other = clone(one).set_params(loss="cross_entropy").fit(*iris)
        np.testing.assert_allclose(one.coefs_[0], other.coefs_[0], rtol=1e-9)

    @pytest.mark.parametrize(("loss", "times"), [("squared_error", 3), ("mse", 1)])
    def test_the_gradient_of_several_outputs(self, rng, loss, times):
        """scikit-learn's is too large by their number (its issue 8349); that of mse is true."""
        X, Y = rng.normal(size=(20, 4)), rng.normal(size=(20, 3))
        model = MLPRegressor(hidden_layer_sizes=(5,), loss=loss, alpha=0.0, max_iter=1)
        model.set_params(activation="tanh", random_state=0).fit(X, Y)
        whole = Whole(model, Problem.of(model, X, Y, None, "float64"))
        packed = np.concatenate([p.ravel() for p in model.coefs_ + model.intercepts_])
        step = 1e-6 * rng.normal(size=packed.shape)
        _, gradient = whole.loss_and_gradient(packed)
        change = (
            whole.loss_and_gradient(packed + step)[0] - whole.loss_and_gradient(packed - step)[0]
        )
        assert 2 * float(gradient @ step) == pytest.approx(times * change, rel=1e-6)

    def test_diverging_says_so_and_keeps_what_was_finite(self, numbers):
        X, y = numbers
        model = MLPRegressor(solver="sgd", loss="mse", learning_rate_init=1e6, random_state=0)
        with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
            model.fit(1e6 * X, 1e6 * y)
        assert all(np.isfinite(W).all() for W in model.coefs_)

    @pytest.mark.parametrize(
        ("loss", "error", "match"),
        [
            ("hubber", ValueError, "'loss' parameter of MLPRegressor must be"),
            ("sse", ValueError, "'loss' parameter"),
            (3, ValueError, "'loss' parameter"),
            ("cross_entropy", ValueError, "'loss' parameter"),
            (
                fastgd.CrossEntropy(),
                ValueError,
                "loss must be one for numbers: .*huber",
            ),
        ],
    )
    def test_others_are_refused(self, numbers, loss, error, match):
        model = MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, random_state=0).fit(*numbers)
        before = [W.copy() for W in model.coefs_]
        with pytest.raises(error, match=match):
            model.set_params(loss=loss).fit(*numbers)
        for W, kept in zip(model.coefs_, before, strict=True):
            np.testing.assert_array_equal(W, kept)


class TestSchedule:
    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    def test_a_constant_one_changes_nothing(self, iris, solver):
        plain = MLPClassifier((5,), solver=solver, max_iter=4, random_state=0).fit(*iris)
        same = clone(plain).set_params(schedule=lambda epoch: 0.001).fit(*iris)
        np.testing.assert_array_equal(same.coefs_[0], plain.coefs_[0])

    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    def test_rates_are_those_of_the_epoch(self, iris, solver):
        """One that is 0 from the second epoch on stands still from there."""
        settings = {"solver": solver, "random_state": 0, "momentum": 0.0, "alpha": 0.0}
        one = MLPClassifier((5,), max_iter=1, learning_rate_init=0.01, **settings).fit(*iris)
        rates = fastgd.Piecewise([1], [0.01, 0.0])
        five = MLPClassifier((5,), max_iter=5, schedule=rates, **settings).fit(*iris)
        np.testing.assert_array_equal(five.coefs_[0], one.coefs_[0])

    def test_a_name_begins_at_learning_rate_init_and_lasts_max_iter(self, iris):
        class Rates:
            def __init__(self):
                self.seen = []

            def on_epoch_end(self, network, epoch, logs):
                self.seen.append(logs["learning_rate"])

        rates = Rates()
        MLPClassifier(
            (5,), max_iter=4, batch_size=150, schedule="cosine", learning_rate_init=0.2,
            callbacks=rates, random_state=0,
        ).fit(*iris)  # fmt: skip
        expected = [0.2 * (1 + np.cos(np.pi * epoch / 4)) / 2 for epoch in range(4)]
        np.testing.assert_allclose(rates.seen, expected)

    def test_partial_fit_goes_on_in_it(self, iris):
        halving = fastgd.Step(0.01, factor=0.5, every=1)
        settings = {"solver": "sgd", "momentum": 0.0, "shuffle": False, "random_state": 0}
        whole = MLPClassifier((5,), max_iter=3, schedule=halving, **settings).fit(*iris)
        parts = MLPClassifier((5,), schedule=halving, **settings)
        for _ in range(3):
            parts.partial_fit(*iris, classes=[0, 1, 2])
        np.testing.assert_allclose(parts.coefs_[0], whole.coefs_[0], rtol=1e-12)

    def test_on_a_plateau(self, iris):
        schedule = fastgd.ReduceOnPlateau(0.01, monitor="validation_score", higher_is_better=True)
        model = MLPClassifier((5,), schedule=schedule, max_iter=3, random_state=0)
        with pytest.raises(ValueError, match="'validation_score' is not measured"):
            model.fit(*iris)
        assert model.set_params(validation_data=iris).fit(*iris).n_iter_ == 3

    @pytest.mark.parametrize(
        ("changed", "match"),
        [
            ({"schedule": "cosin"}, "'schedule' parameter"),
            ({"schedule": "piecewise"}, "schedule.*needs more than a rate"),
            ({"schedule": "cosine", "learning_rate": "adaptive"}, "schedule .*'adaptive'"),
            ({"schedule": "cosine", "solver": "lbfgs"}, "schedule must be left out: solver"),
            ({"schedule": lambda epoch: -1.0}, "must be finite and at least 0"),
        ],
    )
    def test_others_are_refused(self, iris, changed, match):
        with pytest.raises(ValueError, match=match):
            MLPClassifier(**{"max_iter": 2, **changed}).fit(*iris)


class TestValidationData:
    def test_early_stopping_looks_at_them_and_trains_on_all_examples(self, iris):
        X, y = iris
        model = MLPClassifier(
            (8,), early_stopping=True, validation_data=(X[::2], y[::2]), n_iter_no_change=3,
            max_iter=300, random_state=0,
        ).fit(X[1::2], y[1::2])  # fmt: skip
        assert model.t_ == 75 * model.n_iter_
        assert model.score(X[::2], y[::2]) == model.best_validation_score_
        assert max(model.validation_scores_) == model.best_validation_score_
        assert model.n_iter_ < 300

    def test_without_early_stopping_they_are_noted_and_change_nothing(self, iris):
        X, y = iris
        plain = MLPClassifier((8,), max_iter=5, random_state=0).fit(X, y)
        noted = clone(plain).set_params(validation_data=(X, y)).fit(X, y)
        np.testing.assert_array_equal(noted.coefs_[0], plain.coefs_[0])
        assert len(noted.validation_scores_) == 5
        assert noted.validation_scores_[-1] == noted.score(X, y)

    @pytest.mark.skipif(not TAKES_WEIGHTS, reason="before 1.7 there are no weights")
    def test_weights(self, iris):
        X, y = iris
        only = (y == 1).astype(float)
        model = MLPClassifier((8,), max_iter=3, validation_data=(X, y, only), random_state=0)
        model.fit(X, y)
        assert model.validation_scores_[-1] == model.score(X[y == 1], y[y == 1])

    def test_regressors_frames_and_sparse(self, numbers):
        pd = pytest.importorskip("pandas")
        X, y = numbers
        frame = pd.DataFrame(X, columns=["a", "b", "c"])
        model = MLPRegressor(
            hidden_layer_sizes=(4,), max_iter=4, validation_data=(frame, pd.Series(y))
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(frame, y)
        assert model.validation_scores_[-1] == pytest.approx(model.score(frame, y))
        Y = np.column_stack([y, -y])
        both = MLPRegressor(hidden_layer_sizes=(4,), max_iter=2, validation_data=(X, Y)).fit(X, Y)
        assert len(both.validation_scores_) == 2

    def test_labels_of_text_and_several_labels(self, iris):
        X, y = iris
        names = np.array(["a", "b", "c"])[y]
        model = MLPClassifier((4,), max_iter=2, validation_data=(X, names)).fit(X, names)
        assert model.validation_scores_[-1] == model.score(X, names)
        many = np.column_stack([y > 0, y > 1]).astype(int)
        model = MLPClassifier((4,), max_iter=2, validation_data=(X, many)).fit(X, many)
        assert model.validation_scores_[-1] == model.score(X, many)

    @pytest.mark.parametrize(
        ("given", "match"),
        [
            (3, "validation_data must be a tuple"),
            (([[1.0, 2.0]], [0]), "validation_data does not go with .*features"),
            ((np.zeros((2, 4)), [0, 7]), r"classes the examples have not: \[7\]"),
            ((np.zeros((2, 4)), [0]), "validation_data .*inconsistent numbers"),
            ((np.full((2, 4), np.nan), [0, 1]), "validation_data .*NaN"),
        ],
    )
    def test_others_are_refused_before_anything_changes(self, iris, given, match):
        model = MLPClassifier((4,), max_iter=2, random_state=0).fit(*iris)
        before = model.coefs_[0].copy()
        with pytest.raises((ValueError, TypeError), match=match):
            model.set_params(validation_data=given).fit(*iris)
        np.testing.assert_array_equal(model.coefs_[0], before)


class Recorder:
    def __init__(self, stop_after=None):
        self.events, self.stop_after, self.logs = [], stop_after, []

    def on_train_begin(self, network):
        self.network, self.events = network, ["begin"]

    def on_epoch_begin(self, network, epoch):
        self.events.append(f"epoch {epoch}")

    def on_epoch_end(self, network, epoch, logs):
        self.logs.append(logs)
        self.events.append(f"end {epoch}")
        return self.stop_after == epoch

    def on_train_end(self, network, history):
        self.events.append(history.stop_reason)
        self.history = history


class TestCallbacks:
    def test_events_and_logs(self, iris):
        heard = Recorder()
        model = MLPClassifier((5,), max_iter=2, validation_data=iris, callbacks=heard)
        model.fit(*iris)
        expected = ["begin", "epoch 0", "end 0", "epoch 1", "end 1", "epochs"]
        assert heard.events == expected
        assert heard.history.cost == model.loss_curve_
        assert heard.history.validation_score == model.validation_scores_
        cost = model.network_.loss(*iris)
        assert heard.history.validation_cost[-1] == pytest.approx(cost)
        np.testing.assert_array_equal(heard.network.weights[0], model.coefs_[0])

    def test_they_change_no_number(self, iris):
        plain = MLPClassifier((5,), max_iter=3, random_state=0).fit(*iris)

        class Batches:
            every, steps = 1, 0

            def on_batch_end(self, network, step, logs):
                self.steps = step

        batches = Batches()
        seen = clone(plain).set_params(batch_size=40).fit(*iris)
        same = MLPClassifier(
            (5,), max_iter=3, random_state=0, batch_size=40, callbacks=[batches, Recorder()]
        ).fit(*iris)
        np.testing.assert_array_equal(same.coefs_[0], seen.coefs_[0])
        assert batches.steps == 12

    def test_one_stops_after_an_epoch_or_within(self, iris):
        assert MLPClassifier((5,), callbacks=Recorder(stop_after=2)).fit(*iris).n_iter_ == 3

        class AtStep:
            def on_batch_end(self, network, step, logs):
                return step == 7

        settings = {"batch_size": 30, "random_state": 0, "shuffle": False, "solver": "sgd"}
        model = MLPClassifier((5,), callbacks=[AtStep()], **settings).fit(*iris)
        assert model.n_iter_ == 1
        assert len(model.loss_curve_) == 1
        again = MLPClassifier((5,), max_iter=1, **settings).fit(*iris)
        again.partial_fit(iris[0][:60], iris[1][:60])
        np.testing.assert_allclose(model.coefs_[0], again.coefs_[0], rtol=1e-12)

    def test_fastgds_own(self, iris, tmp_path):
        stop = fastgd.EarlyStopping("validation_cost", patience=3)
        log = fastgd.CSVLog(tmp_path / "log.csv")
        model = MLPClassifier(
            (30,), learning_rate_init=0.1, validation_data=(iris[0][::3], iris[1][::3]),
            callbacks=[stop, log, fastgd.TimeBudget(60)], random_state=0,
        )  # fmt: skip
        model.fit(iris[0][1::3], iris[1][1::3])
        best = model.network_.loss(iris[0][::3], iris[1][::3])
        assert best == pytest.approx(stop.best_value)
        assert len((tmp_path / "log.csv").read_text().splitlines()) == model.n_iter_ + 1
        spent = MLPClassifier((30,), callbacks=fastgd.TimeBudget(1e-9)).fit(*iris)
        assert spent.n_iter_ == 0

    def test_early_stopping_and_the_best_parameters(self, iris):
        heard = Recorder()
        model = MLPClassifier(
            (5,), early_stopping=True, n_iter_no_change=2, random_state=0, callbacks=heard
        ).fit(*iris)
        plain = clone(model).set_params(callbacks=None).fit(*iris)
        np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])
        np.testing.assert_array_equal(heard.network.weights[0], model.coefs_[0])

    def test_its_own_error_comes_out_and_others_are_refused(self, iris):
        class Broken:
            def on_epoch_end(self, network, epoch, logs):
                raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            MLPClassifier((5,), callbacks=Broken()).fit(*iris)
        for given in (3, [object()], Recorder):
            with pytest.raises(TypeError, match="callbacks must be objects"):
                MLPClassifier((5,), callbacks=given).fit(*iris)
        with pytest.raises(ValueError, match="callbacks must be left out: solver"):
            MLPClassifier((5,), solver="lbfgs", callbacks=Recorder()).fit(*iris)
        watched = fastgd.EarlyStopping("validation_cost")
        with pytest.raises(ValueError, match="'validation_cost' is not measured"):
            MLPClassifier((5,), callbacks=watched).fit(*iris)


def test_extras_are_refused_where_scikit_learn_would_compute(iris):
    class OwnStep(MLPClassifier):
        def _backprop(self, *args):
            return super()._backprop(*args)

    for extra in ({"callbacks": Recorder()}, {"loss": "cross_entropy"}, {"schedule": "cosine"}):
        with pytest.raises(ValueError, match=f"{next(iter(extra))} needs fastgd.*own _backprop"):
            OwnStep((5,), **extra).fit(*iris)


def test_extras_in_a_search(iris):
    pipe = make_pipeline(
        StandardScaler(), MLPClassifier((5,), max_iter=20, learning_rate_init=0.05, random_state=0)
    )
    grid = {
        "mlpclassifier__loss": ["log_loss", fastgd.CrossEntropy(label_smoothing=0.1)],
        "mlpclassifier__schedule": [None, "cosine"],
        "mlpclassifier__callbacks": [None, [fastgd.TimeBudget(60)]],
    }
    assert GridSearchCV(pipe, grid, cv=2).fit(*iris).best_score_ > 0.4


@pytest.mark.parametrize(
    "extra",
    [
        {"class_weight": {"zz": 1}}, {"class_weight": {"a": np.nan}}, {"class_weight": {"a": -1}},
        {"class_weight": dict.fromkeys("abc", 0)}, {"class_weight": {"a": "x"}},
        {"loss": fastgd.Huber()}, {"loss": fastgd.CrossEntropy}, {"loss": "huber"},
        {"validation_data": (1,)}, {"callbacks": [3]}, {"callbacks": Recorder}, {"threads": 10**6},
        {"callbacks": fastgd.EarlyStopping("validaton_cost")}, {"schedule": fastgd.OneCycle},
        {"schedule": lambda: 1}, {"solver": "lbfgs", "schedule": "cosine"}, {"dtype": np.float16},
    ],
    ids=lambda extra: list(extra)[-1],
)  # fmt: skip
def test_what_is_refused_names_its_parameter_and_changes_nothing(iris, extra):
    X, y = iris
    names = np.array(list("abc"))[y]
    model = MLPClassifier((4,), max_iter=2, random_state=0).fit(X, names)
    before = {name: value for name, value in vars(model).items() if name not in extra}
    with pytest.raises((ValueError, TypeError), match=f"{list(extra)[-1]}|monitor"):
        model.set_params(**extra).fit(X, names)
    assert {n: v for n, v in vars(model).items() if n not in extra} == before or all(
        vars(model)[n] is v for n, v in before.items()
    )


@pytest.mark.parametrize("dtype", [np.float32, "float32", np.float64])
def test_dtypes_as_numpy_has_them(iris, dtype):
    model = MLPClassifier((4,), max_iter=2, dtype=dtype).fit(*iris)
    assert model.coefs_[0].dtype == dtype


def test_signatures_show_them():
    import inspect

    for ours, theirs in ((MLPClassifier, neural_network.MLPClassifier),
                         (MLPRegressor, neural_network.MLPRegressor)):  # fmt: skip
        own, known = inspect.signature(ours).parameters, inspect.signature(theirs).parameters
        assert list(own)[: len(known)] == list(known)
        added = list(own.values())[len(known) :]
        assert all(p.kind is p.KEYWORD_ONLY for p in added)
