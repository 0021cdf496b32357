"""What a fit can be asked for: validation, metrics, callbacks, chunks, dropout."""

from __future__ import annotations

import copy
import csv
import pickle

import numpy as np
import pytest
from fitting import CLASSES, W, X, Y, classifier, regressor

import fastgd
from fastgd.backends import BACKENDS
from fastgd.engine.architecture import Architecture
from fastgd.engine.inputs import Targets
from fastgd.engine.metrics import METRICS
from fastgd.engine.validation import held_out


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


class TestValidationSplit:
    def test_what_is_held_out_is_not_trained_on(self, backend):
        net, parts = classifier(backend), classifier(backend)
        history = net.fit(X, CLASSES, validation_split=0.25, epochs=2, optimizer="sgd")
        targets = Targets(CLASSES, parts.architecture)
        chosen = held_out(targets, 0.25, parts.state.seed)
        assert chosen.sum() == 15 and len(X) == 60
        same = parts.fit(
            X[~chosen], CLASSES[~chosen], validation_data=(X[chosen], CLASSES[chosen]), epochs=2,
            optimizer="sgd",
        )  # fmt: skip
        assert np.array_equal(net.parameters, parts.parameters)
        assert history.cost == same.cost and history.validation_cost == same.validation_cost

    def test_shares_of_classes(self):
        classes = np.repeat([0, 1, 2], [40, 15, 5])
        for seed in range(20):
            chosen = held_out(Targets(classes, Architecture((1, 3))), 0.2, seed)
            assert abs(np.bincount(classes[chosen], minlength=3) - [8, 3, 1]).max() <= 1
            assert chosen.sum() == 12
        assert not np.array_equal(chosen, held_out(Targets(classes, Architecture((1, 3))), 0.2, 0))

    def test_the_same_rows_in_each_fit(self):
        whole, parts = classifier(), classifier()
        whole.fit(X, CLASSES, epochs=4, validation_split=0.3, optimizer="sgd")
        for _ in range(4):
            parts.fit(X, CLASSES, epochs=1, validation_split=0.3, optimizer="sgd")
        assert np.array_equal(whole.parameters, parts.parameters)

    @pytest.mark.parametrize("share", [-0.1, 1.0, 2])
    def test_refused(self, share):
        with pytest.raises(ValueError, match="validation_split must be a number at least 0"):
            classifier().fit(X, CLASSES, validation_split=share, optimizer="sgd")

    def test_too_few(self):
        with pytest.raises(ValueError, match="leaves none on one side"):
            classifier().fit(X[:3], CLASSES[:3], validation_split=0.01, optimizer="sgd")

    def test_not_both(self):
        with pytest.raises(ValueError, match="must not both be given"):
            classifier().fit(
                X, CLASSES, validation_split=0.1, validation_data=(X, CLASSES), optimizer="sgd"
            )


class TestMetrics:
    def test_against_scikit_learn(self, backend):
        metrics = pytest.importorskip("sklearn.metrics")
        net = classifier(backend)
        history = net.fit(
            X, CLASSES, epochs=1, metrics=["accuracy", "top_2", "f1", "mae"],
            validation_data=(X[:30], CLASSES[:30], W[:30]), optimizer="sgd"
        )  # fmt: skip
        said = net.predict(X)
        found = said.argmax(axis=1)
        assert history.accuracy == [metrics.accuracy_score(CLASSES, found)]
        assert history.f1[0] == pytest.approx(metrics.f1_score(CLASSES, found, average="macro"))
        top = metrics.top_k_accuracy_score(CLASSES, said, k=2)
        assert history.top_2[0] == pytest.approx(top)
        assert history.mae[0] == pytest.approx(np.abs(said - np.eye(3)[CLASSES]).mean())
        weighted = metrics.f1_score(CLASSES[:30], found[:30], average="macro", sample_weight=W[:30])
        assert history.validation_f1[0] == pytest.approx(weighted)

    def test_numbers_and_functions(self, backend):
        metrics = pytest.importorskip("sklearn.metrics")

        def worst(y, outputs):
            return np.abs(y - outputs).max()

        net = regressor(backend)
        history = net.fit(
            X, Y, epochs=2, metrics=["r2", "mae", worst], validation_split=0.2, optimizer="sgd"
        )
        said = net.predict(X)
        assert set(history) >= {"r2", "mae", "worst", "validation_r2", "validation_worst"}
        assert 0 < history.worst[-1] <= np.abs(Y - said).max() + 1e-12
        whole = regressor(backend)
        history = whole.fit(X, Y, epochs=1, metrics=["r2", "mae"], optimizer="sgd")
        assert history.r2[0] == pytest.approx(metrics.r2_score(Y, whole.predict(X)))
        assert history.mae[0] == pytest.approx(metrics.mean_absolute_error(Y, whole.predict(X)))

    def test_unknown(self):
        with pytest.raises(ValueError, match=r"metrics must be one of .*'acuracy'; did you"):
            classifier().fit(X, CLASSES, metrics=["acuracy"], optimizer="sgd")

    def test_every_metric_is_a_name(self):
        assert list(METRICS) == [score.name for score in METRICS.values()]


class Record:
    """A callback that listens to everything."""

    def __init__(self, every=1, stop_at=None):
        self.every, self.stop_at, self.events = every, stop_at, []

    def on_train_begin(self, network):
        self.events.append("begin")

    def on_epoch_begin(self, network, epoch):
        self.events.append(f"epoch {epoch}")

    def on_batch_end(self, network, step, logs):
        self.events.append(step)
        return step == self.stop_at

    def on_epoch_end(self, network, epoch, logs):
        self.events.append(f"end {epoch}")

    def on_train_end(self, network, history):
        self.events.append(history.stop_reason)


class TestCallbacks:
    def test_order_of_events(self, backend):
        record = Record(every=2)
        classifier(backend).fit(
            X, CLASSES, epochs=2, batch_size=20, callbacks=record, optimizer="sgd"
        )
        begin = ["begin", "epoch 0", 2, "end 0", "epoch 1", 4, 6, "end 1", "epochs"]
        assert record.events == begin

    def test_stops_after_a_batch(self, backend):
        record, net, same = Record(stop_at=4), classifier(backend), classifier(backend)
        history = net.fit(
            X, CLASSES, epochs=9, batch_size=20, callbacks=record, shuffle=False, optimizer="sgd"
        )
        assert record.events[-3:] == ["epoch 1", 4, "callback"] and history.epochs == 1
        same.fit(X, CLASSES, epochs=1, batch_size=20, shuffle=False, optimizer="sgd")
        same.fit(X[:20], CLASSES[:20], epochs=1, batch_size=20, shuffle=False, optimizer="sgd")
        np.testing.assert_allclose(net.parameters, same.parameters, rtol=1e-12)

    def test_listening_changes_nothing(self, backend):
        nets = [classifier(backend) for _ in range(3)]
        for net, callbacks in zip(nets, ([], Record(every=3), Record()), strict=True):
            net.fit(X, CLASSES, epochs=3, batch_size=7, callbacks=callbacks, optimizer="adam")
        assert nets[0].parameters.tobytes() == nets[1].parameters.tobytes()
        assert nets[0].parameters.tobytes() == nets[2].parameters.tobytes()

    def test_every_is_checked(self):
        with pytest.raises(ValueError, match="every of Record must be an integer at least 1"):
            classifier().fit(X, CLASSES, callbacks=Record(every=0), optimizer="sgd")

    def test_an_error_of_theirs_is_theirs(self, backend):
        class Broken:
            def on_epoch_end(self, network, epoch, logs):
                if epoch == 1:
                    raise ZeroDivisionError("mine")

        net, same = classifier(backend), classifier(backend)
        with pytest.raises(ZeroDivisionError, match="mine"):
            net.fit(X, CLASSES, epochs=5, callbacks=Broken(), optimizer="sgd")
        same.fit(X, CLASSES, epochs=2, optimizer="sgd")
        assert np.array_equal(net.parameters, same.parameters)
        net.fit(X, CLASSES, epochs=1, optimizer="sgd")


class Said:
    """A callback that puts words into the mouth of the history."""

    def __init__(self, values):
        self.values = values

    def on_epoch_end(self, network, epoch, logs):
        logs["cost"] = self.values[epoch]


class TestEarlyStopping:
    def follow(self, values, **settings):
        """Return the callback after it has seen these values, and the epochs it allowed."""
        stop = fastgd.EarlyStopping("cost", **settings)
        net = regressor(backend="numpy")
        stop.check({"cost": False})
        stop.on_train_begin(net)
        for epoch, value in enumerate(values):
            net.parameters[:] = epoch
            if stop.on_epoch_end(net, epoch, {"cost": value}):
                break
        stop.on_train_end(net, None)
        return stop, epoch + 1, net.parameters[0]

    def test_every_fit_begins_anew(self):
        stop, net = fastgd.EarlyStopping("cost", patience=1), regressor(backend="numpy")
        stop.check({"cost": False})
        for values in ([1, 2], [5, 4]):  # worse than the fit before, and falling
            stop.on_train_begin(net)
            answers = [stop.on_epoch_end(net, i, {"cost": v}) for i, v in enumerate(values)]
        assert answers == [False, False] and (stop.best_epoch, stop.best_value) == (1, 4)

    def test_patience(self):
        values = [5, 4, 4.5, 3, 3.5, 3.2, 3.1, 1, 1]
        stop, epochs, kept = self.follow(values, patience=3)
        assert (epochs, stop.best_epoch, stop.best_value, kept) == (7, 3, 3, 3)

    def test_tolerance(self):
        stop, epochs, kept = self.follow([5, 4.9, 4.8, 4.7, 4.6], patience=3, tolerance=0.25)
        assert (epochs, stop.best_epoch, kept) == (5, 4, 4)  # 4.7 beats 5 by enough
        stop, epochs, kept = self.follow([5, 4.9, 4.8, 4.7, 4.6], patience=3, tolerance=0.35)
        assert (epochs, stop.best_epoch, kept) == (4, 3, 3)

    def test_without_restoring(self):
        assert self.follow([1, 2, 3], patience=2, restore_best=False)[2] == 2

    def test_in_a_fit(self, backend):
        stop = fastgd.EarlyStopping(patience=3)
        net = classifier(backend)
        history = net.fit(
            X, CLASSES, epochs=2000, optimizer="adam", validation_split=0.3, callbacks=[stop]
        )
        assert history.stop_reason == "callback" and history.epochs < 2000
        assert stop.best_value == min(history.validation_cost)
        assert history.validation_cost.index(stop.best_value) == stop.best_epoch
        assert np.array_equal(net.parameters, stop.best_parameters)

    def test_scores_are_better_when_higher(self, backend):
        stop = fastgd.BestParameters("validation_score")
        history = classifier(backend).fit(
            X, CLASSES, epochs=5, validation_data=(X, CLASSES), callbacks=stop, optimizer="sgd"
        )
        assert stop.best_value == max(history.validation_score)

    def test_not_measured(self):
        net = classifier()
        before = net.parameters.copy()
        with pytest.raises(ValueError, match=r"monitor .* not measured; .*would add"):
            net.fit(X, CLASSES, callbacks=fastgd.EarlyStopping("validation_cost"), optimizer="sgd")
        assert np.array_equal(net.parameters, before)
        with pytest.raises(ValueError, match=r"higher_is_better must be given: .*'mine'"):
            net.fit(
                X, CLASSES, metrics=[mine], callbacks=fastgd.EarlyStopping("mine"), optimizer="sgd"
            )

    @pytest.mark.parametrize(
        ("settings", "error", "message"),
        [
            ({"patience": 0}, ValueError, "patience must be an integer at least 1; got 0"),
            ({"tolerance": -1}, ValueError, "tolerance must be a number at least 0; got -1"),
            ({"monitor": 3}, TypeError, "monitor must be the name of a measure; got 3"),
            ({"restore_best": 1}, TypeError, "restore_best must be True or False; got 1"),
        ],
    )
    def test_refused(self, settings, error, message):
        with pytest.raises(error, match=message):
            fastgd.EarlyStopping(**settings)


def mine(y, outputs):
    return 1.0


def test_time_budget(backend):
    history = classifier(backend).fit(
        X, CLASSES, epochs=10**9, callbacks=fastgd.TimeBudget(seconds=0.2), optimizer="sgd"
    )
    assert history.stop_reason == "callback" and sum(history.seconds) < 5
    with pytest.raises(ValueError, match="seconds must be a number above 0; got 0"):
        fastgd.TimeBudget(0)


def test_csv_log(tmp_path, backend):
    log = fastgd.CSVLog(tmp_path / "log.csv")
    for _ in range(2):
        history = classifier(backend).fit(
            X, CLASSES, epochs=3, callbacks=log, metrics=["f1"], optimizer="sgd"
        )
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    for name, values in history.items():
        assert [float(row[name]) for row in rows] == values
    with pytest.raises(FileNotFoundError, match="does not exist"):
        fastgd.CSVLog(tmp_path / "nowhere" / "log.csv")


class TestChunks:
    def chunks(self, weights=False):
        for rows in (slice(0, 25), slice(25, 40), slice(40, 60)):
            yield (X[rows], CLASSES[rows], W[rows]) if weights else (X[rows], CLASSES[rows])

    @pytest.mark.parametrize("weights", [False, True])
    def test_are_gone_through_one_after_the_other(self, backend, weights):
        net, same = classifier(backend, dropout=0.2), classifier(backend, dropout=0.2)
        sgd = fastgd.SGD(0.1, momentum=0.9)
        history = net.fit(lambda: self.chunks(weights), epochs=2, batch_size=10, optimizer=sgd)
        costs = []
        for _ in range(2):
            for inputs, y, *w in self.chunks(weights):
                step = {"sample_weight": w[0]} if w else {}
                fit = same.fit(inputs, y, epochs=1, batch_size=10, optimizer=sgd, **step)
                costs.append(fit.cost[0])
        assert np.array_equal(net.parameters, same.parameters)
        assert len(history.cost) == 2 and min(costs) < history.cost[0] < max(costs)

    def test_an_iterator_serves_one_epoch(self, backend):
        net, same = classifier(backend), classifier(backend)
        with pytest.raises(ValueError, match="ended in epoch 1: it can be gone through once"):
            net.fit(self.chunks(), epochs=2, optimizer="sgd")
        same.fit(self.chunks(), epochs=1, optimizer="sgd")
        assert np.array_equal(net.parameters, same.parameters)

    def test_what_goes_wrong_in_it(self, backend):
        def raises():
            yield X[:20], CLASSES[:20]
            raise OSError("the disk is gone")

        def narrows():
            yield X[:20], CLASSES[:20]
            yield X[20:, :3], CLASSES[20:]

        same = classifier(backend)
        same.fit(X[:20], CLASSES[:20], epochs=1, optimizer="sgd")
        net = classifier(backend)
        with pytest.raises(OSError, match="the disk is gone"):
            net.fit(raises(), optimizer="sgd")
        assert np.array_equal(net.parameters, same.parameters)
        net = classifier(backend)
        with pytest.raises(ValueError, match="X of chunk 1 must have 4 columns"):
            net.fit(narrows(), optimizer="sgd")
        assert np.array_equal(net.parameters, same.parameters)
        with pytest.raises(ValueError, match="at least one chunk"):
            net.fit(iter([]), optimizer="sgd")
        with pytest.raises(TypeError, match=r"must yield pairs .* chunk 0 is ndarray"):
            net.fit(iter([X]), optimizer="sgd")
        with pytest.raises(TypeError, match="y must be given"):
            net.fit(X, optimizer="sgd")
        with pytest.raises(ValueError, match="sample_weight must come with the chunks"):
            net.fit(self.chunks(), sample_weight=W, optimizer="sgd")
        with pytest.raises(ValueError, match="validation_split needs X and y as arrays"):
            net.fit(self.chunks(), validation_split=0.1, optimizer="sgd")

    def test_a_memory_map(self, tmp_path, backend):
        np.save(tmp_path / "X.npy", X.astype(np.float32))
        mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
        nets = [classifier(backend) for _ in range(2)]
        for net, data in zip(nets, (mapped, np.array(mapped)), strict=True):
            net.fit(data, CLASSES, epochs=2, optimizer="sgd")
        assert np.array_equal(nets[0].parameters, nets[1].parameters)


class TestCopies:
    def test_copies_and_pickles_go_on_alike(self, backend):
        net = classifier(backend, dropout=0.3)
        adam = fastgd.Adam(0.05)
        net.partial_fit(X, CLASSES, optimizer=adam)
        net.partial_fit(X, CLASSES)
        others = [net.copy(), copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
        net.partial_fit(X, CLASSES)
        net.fit(X, CLASSES, epochs=1, optimizer=adam)
        for other in others:
            other.partial_fit(X, CLASSES)
            other.fit(X, CLASSES, epochs=1, optimizer=adam)
            assert np.array_equal(other.parameters, net.parameters)

    def test_a_copy_is_its_own(self):
        net = classifier()
        other = net.copy()
        other.parameters[:] = 0
        assert net.parameters.any()

    def test_like(self):
        net = classifier(activation=fastgd.LeakyReLU(0.2), dropout=0.2, input_scale=0.5)
        same = net.like(seed=1)
        assert same.architecture == net.architecture
        assert np.array_equal(same.parameters, net.parameters)
        wider = net.like(sizes=[4, 8, 8, 3], loss="quadratic", output="sigmoid")
        assert wider.architecture.activation == (fastgd.LeakyReLU(0.2),) * 2
        assert wider.architecture.dropout == (0, 0.2, 0.2)
        mixed = fastgd.Network([4, 3, 3, 2], activation=["relu", "tanh"])
        with pytest.raises(ValueError, match=r"like\(sizes=...\) needs activation=..."):
            mixed.like(sizes=[4, 3, 2])

    def test_activations(self, backend):
        net = classifier(backend)
        hidden, outputs = net.activations(X)
        np.testing.assert_allclose(outputs, net.predict(X), rtol=1e-12)
        expected = 1 / (1 + np.exp(-(X @ net.weights[0] + net.biases[0])))
        np.testing.assert_allclose(hidden, expected, rtol=1e-12)


class TestLBFGS:
    def test_reaches_the_minimum_scipy_does(self, backend):
        scipy = pytest.importorskip("scipy.optimize")
        net = classifier(backend)
        start, l2 = net.parameters.copy(), 0.01
        weights = np.zeros_like(start)
        for view in net.architecture.layout.weights(weights):
            view[:] = l2

        def cost(w):
            other = net.copy()
            other.parameters = w
            slope = other.gradient(X, CLASSES) + weights * w
            return other.loss(X, CLASSES) + float((weights * w * w).sum()) / 2, slope

        found = scipy.minimize(cost, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-8})
        history = net.fit(X, CLASSES, epochs=500, optimizer=fastgd.LBFGS(l2=l2, tolerance=1e-8))
        assert cost(net.parameters)[0] == pytest.approx(found.fun, rel=1e-5)
        assert history.epochs == len(history.cost) <= 500
        assert history.cost[-1] < history.cost[0]

    def test_callbacks_and_bad_input(self, backend):
        net, record = classifier(backend), Record(stop_at=3)
        history = net.fit(
            X, CLASSES, epochs=9, optimizer="lbfgs", callbacks=record, validation_split=0.2
        )
        assert history.epochs == 3 and history.stop_reason == "callback"
        assert len(history.validation_cost) == 3
        with pytest.raises(ValueError, match="one that steps"):
            net.partial_fit(X, CLASSES, optimizer="lbfgs")
        with pytest.raises(ValueError, match="'lbfgs' works without dropout"):
            net.like(dropout=0.1, seed=0).fit(X, CLASSES, optimizer="lbfgs")
        with pytest.raises(ValueError, match="'lbfgs' needs X and y as arrays"):
            net.fit(iter([(X, CLASSES)]), optimizer="lbfgs")


def test_a_batch_too_large_for_one_call_is_the_same_step(backend, monkeypatch):
    rng = np.random.default_rng(0)
    many, classes, weights = rng.random((600, 4)), rng.integers(0, 3, 600), rng.random(600)
    nets = [fastgd.Network([4, 6, 3], dropout=[0.2, 0.3], seed=1, backend=backend) for _ in "ab"]
    for net, work in zip(nets, (1 << 30, 1), strict=True):  # in one piece, and in three
        monkeypatch.setattr("fastgd.engine.runner.CALL_WORK", work)
        net.fit(many, classes, epochs=3, batch_size=600, sample_weight=weights, shuffle=False)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-4, atol=1e-6)


class TestDropout:
    def test_predictions_leave_nothing_out(self, backend):
        net, plain = classifier(backend, dropout=[0.5, 0.5]), classifier(backend)
        assert np.array_equal(net.predict(X), plain.predict(X))
        assert net.loss(X, CLASSES) == plain.loss(X, CLASSES)
        assert np.array_equal(net.gradient(X, CLASSES), plain.gradient(X, CLASSES))

    def test_the_mean_step_is_that_of_what_is_kept(self):
        """Linear network, inputs left out: the mean gradient over many seeds is the whole one."""
        net = fastgd.Network([4, 2], output="identity", dtype="float64", seed=1)
        gradient = net.gradient(X, Y)
        steps = []
        for seed in range(400):
            other = net.like(dropout=[0.5], seed=seed)
            other.parameters = net.parameters
            other.fit(X, Y, epochs=1, batch_size=60, optimizer=fastgd.SGD(1.0))
            steps.append(net.parameters - other.parameters)
        bias = net.architecture.layout.biases(np.mean(steps, axis=0))[0]
        assert abs(bias - net.architecture.layout.biases(gradient)[0]).max() < 0.02

    @pytest.mark.parametrize(
        ("dropout", "error", "message"),
        [
            (1.0, ValueError, "dropout must be a number at least 0 and below 1; got 1.0"),
            (-0.1, ValueError, "dropout must be a number at least 0 and below 1"),
            ([0.1], ValueError, "a list of 2: for the inputs, and for each of the 1 hidden"),
            ([0.1, 1.5], ValueError, r"dropout\[1\] must be a number"),
            ("half", TypeError, "dropout must be a number"),
        ],
    )
    def test_refused(self, dropout, error, message):
        with pytest.raises(error, match=message):
            classifier(dropout=dropout)
