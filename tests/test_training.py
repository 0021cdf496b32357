"""What a fit does besides stepping: epochs, order, history, callbacks, Ctrl-C, divergence."""

from __future__ import annotations

import _thread
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import fastgd
from fastgd import SGD
from fastgd.backends import BACKENDS
from fastgd.engine.architecture import DTYPES
from fastgd.engine.inputs import check_examples
from fastgd.engine.session import Session
from fastgd.rules.optimizers import OPTIMIZERS

rng = np.random.default_rng(0)
X = rng.standard_normal((50, 4))
Y = rng.random((50, 3))
CLASSES = rng.integers(0, 3, 50)
#: What goes on where it stopped; the others work on all examples at once, afresh in each fit.
STEPPING = [optimizer for optimizer in OPTIMIZERS.values() if not optimizer.whole]


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def network(backend=None, **settings):
    return fastgd.Network([4, 5, 3], **{"seed": 1, "backend": backend, **settings})


class Recorder:
    """A callback that keeps what it is told, and stops where it is asked to."""

    def __init__(self, stop=None):
        self.stop, self.ends, self.progress = stop, [], []

    def on_epoch_end(self, network, epoch, logs):
        self.ends.append((network, epoch, logs))
        return epoch == self.stop

    def on_progress(self, network, epoch, logs):
        self.progress.append((network, epoch, logs))


class AtEpoch:
    """A callback that does something at the end of an epoch."""

    def __init__(self, epoch, action):
        self.epoch, self.action = epoch, action

    def on_epoch_end(self, network, epoch, logs):
        if epoch == self.epoch:
            return self.action(network, logs)


class TestOrder:
    def test_shuffles_are_the_documented_ones(self, backend):
        net, same = network(backend), network(backend)
        net.fit(X, Y, epochs=3, batch_size=7, optimizer="sgd")
        for _ in range(3):
            order = same.rng.permutation(50)
            same.fit(X[order], Y[order], epochs=1, batch_size=7, shuffle=False, optimizer="sgd")
        assert np.array_equal(net.parameters, same.parameters)

    def test_without_shuffle_no_random_number_is_drawn(self, backend):
        net = network(backend)
        state = str(net.rng.bit_generator.state)
        net.fit(X, Y, epochs=3, batch_size=7, shuffle=False, optimizer="sgd")
        assert str(net.rng.bit_generator.state) == state

    def test_every_example_is_visited_once_an_epoch(self, backend):
        """With a tiny rate the steps of an epoch add up to the whole gradient."""
        net = network(backend, dtype="float64")
        before, gradient = net.parameters.copy(), net.gradient(X, Y)
        net.fit(X, Y, epochs=1, batch_size=10, optimizer=SGD(1e-6))
        step = (before - net.parameters) / 1e-6 / 5
        np.testing.assert_allclose(step, gradient, rtol=1e-4, atol=1e-7)

    def test_how_epochs_are_split_into_calls_changes_nothing(self, backend, monkeypatch):
        results = []
        for seconds in (0, 1e-4, 60):
            monkeypatch.setattr("fastgd.engine.session.CALL_SECONDS", seconds)
            net = network(backend)
            history = net.fit(X, Y, epochs=4, batch_size=3, optimizer=SGD(0.5, momentum=0.9))
            results.append((net.parameters.tobytes(), history))
        assert results[0][0] == results[1][0] == results[2][0]
        for _, history in results[1:]:
            assert history.cost == pytest.approx(results[0][1].cost, rel=1e-12)

    def test_batches_larger_than_the_data_are_the_data(self, backend):
        nets = [network(backend) for _ in range(3)]
        for net, batch_size in zip(nets, (50, 51, 10**12), strict=True):
            net.fit(X, Y, epochs=2, batch_size=batch_size, shuffle=False, optimizer="sgd")
            assert net.parameters.tobytes() == nets[0].parameters.tobytes()

    @pytest.mark.parametrize("shuffle", [False, True])
    @pytest.mark.parametrize("dropout", [0.0, 0.3])
    @pytest.mark.parametrize(
        "optimizer",
        [*STEPPING, SGD(fastgd.Step(0.5, every=2)), SGD(0.1, momentum=0.9)],
        ids=str,
    )
    def test_going_on(self, backend, shuffle, dropout, optimizer):
        """One fit, or several: the same bytes, order, slots, schedule, dropout and all."""
        whole, parts = (network(backend, dropout=dropout) for _ in range(2))
        whole.fit(X, Y, epochs=4, batch_size=8, shuffle=shuffle, optimizer=optimizer)
        for epochs in (1, 0, 3):
            parts.fit(X, Y, epochs=epochs, batch_size=8, shuffle=shuffle, optimizer=optimizer)
        assert parts.parameters.tobytes() == whole.parameters.tobytes()
        assert not np.array_equal(whole.parameters, network(backend).parameters)

    @pytest.mark.parametrize("dropout", [0.0, 0.3])
    def test_batches_too_large_for_one_call_are_the_same(self, backend, dropout, monkeypatch):
        many = np.random.default_rng(0).random((600, 7))
        nets = [network(backend, dropout=dropout, dtype="float64") for _ in range(2)]
        for net, work in zip(nets, (10**9, 1), strict=True):
            monkeypatch.setattr("fastgd.engine.runner.CALL_WORK", work)
            net.fit(many[:, :4], many[:, 4:], epochs=2, batch_size=500, optimizer=SGD(0.5))
        np.testing.assert_allclose(nets[1].parameters, nets[0].parameters, rtol=1e-10)

    def test_cost_falls(self, backend):
        net = network(backend)
        targets = (X[:, :3] > 0).astype(float)
        history = net.fit(X, targets, epochs=60, batch_size=5, optimizer=SGD(1.0, momentum=0.5))
        assert history.cost[-1] < 0.2 * history.cost[0]
        assert net.score(X, targets) > 0.8


class TestSeeds:
    def digest(self, backend):
        net = network(backend, seed=7)
        net.fit(X, CLASSES, epochs=3, batch_size=7, optimizer=SGD(0.5, momentum=0.9))
        return net.parameters.tobytes().hex()

    def test_same_seed_same_bytes(self, backend):
        assert self.digest(backend) == self.digest(backend)

    def test_same_bytes_in_another_process(self, backend):
        code = f"import test_training; print(test_training.TestSeeds().digest({backend!r}))"
        root = Path(fastgd.__file__).parents[1]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(root), str(Path(__file__).parent)]),
            "PYTHONHASHSEED": "123",
        }
        result = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
        assert result.stdout.strip() == self.digest(backend), result.stderr

    @pytest.mark.parametrize(("dtype", "rtol"), [("float32", 1e-4), ("float64", 1e-11)])
    @pytest.mark.parametrize(
        "optimizer", [SGD(0.5), SGD(0.1, momentum=0.9, nesterov=True, l2=0.01)]
    )
    def test_same_run_on_every_backend(self, dtype, rtol, optimizer):
        runs = []
        for name in BACKENDS:
            net = network(name, dtype=dtype)
            history = net.fit(
                X, Y, epochs=5, batch_size=7, optimizer=optimizer, validation_data=(X, Y)
            )
            runs.append((net.parameters, history))
        for parameters, history in runs[1:]:
            np.testing.assert_allclose(parameters, runs[0][0], rtol=rtol, atol=rtol)
            assert history.cost == pytest.approx(runs[0][1].cost, rel=rtol)
            assert history.validation_cost == pytest.approx(runs[0][1].validation_cost, rel=rtol)


class TestHistory:
    def test_contents(self, backend):
        history = network(backend).fit(X, Y, epochs=3, batch_size=7, optimizer="sgd")
        assert history.epochs == 3 and history.stop_reason == "epochs"
        assert set(history) == {"cost", "learning_rate", "seconds"}
        assert dict(history) == history.to_dict() == {name: history[name] for name in history}
        assert history.learning_rate == [0.1] * 3
        assert all(seconds > 0 for seconds in history.seconds)
        assert len(history) == 3 and "cost" in history and "stop_reason" not in history
        with pytest.raises(KeyError):
            history["validation_cost"]

    def test_with_validation(self, backend):
        net, history = network(backend), None
        data = (X[:10], CLASSES[:10])
        history = net.fit(X, CLASSES, epochs=3, validation_data=data, optimizer="sgd")
        assert list(history) == [
            "cost", "learning_rate", "seconds", "validation_cost", "validation_score",
        ]  # fmt: skip
        assert [len(values) for values in history.values()] == [3] * 5
        assert history.validation_cost[-1] == net.loss(*data)
        assert history.validation_score[-1] == net.score(*data)

    def test_validation_is_not_trained_on(self, backend):
        nets = [network(backend) for _ in range(2)]
        nets[0].fit(X, Y, epochs=3, optimizer="sgd")
        nets[1].fit(X, Y, epochs=3, validation_data=[X[::-1], Y[::-1] / 2], optimizer="sgd")
        assert nets[0].parameters.tobytes() == nets[1].parameters.tobytes()

    @pytest.mark.parametrize("loss", ["quadratic", "mse", "sse"])
    def test_cost_is_that_of_the_batches_as_they_were_trained_on(self, backend, loss):
        net, same = (network(backend, loss=loss, dtype="float64") for _ in range(2))
        optimizer = SGD(0.01)
        history = net.fit(X, Y, epochs=2, batch_size=15, optimizer=optimizer, shuffle=False)
        for cost in history.cost:
            total = 0.0
            for rows in (slice(0, 15), slice(15, 30), slice(30, 45), slice(45, 50)):
                part = same.loss(X[rows], Y[rows])
                total += part if loss == "sse" else part * len(X[rows])
                same.fit(X[rows], Y[rows], epochs=1, batch_size=15, optimizer=optimizer)
            assert cost == pytest.approx(total if loss == "sse" else total / 50, rel=1e-12)

    def test_the_penalty_is_not_in_the_cost(self, backend):
        net = network(backend)
        expected = net.loss(X, Y)
        history = net.fit(X, Y, epochs=1, batch_size=50, optimizer=SGD(0.1, l2=100))
        assert history.cost == [pytest.approx(expected, rel=1e-6)]

    def test_to_dict_is_a_copy_and_json(self, backend):
        optimizer = SGD(np.float32(0.5), momentum=np.float32(0.5))
        history = network(backend).fit(X, Y, epochs=2, optimizer=optimizer, validation_data=(X, Y))
        entries = history.to_dict()
        assert json.loads(json.dumps(entries)) == entries
        entries["cost"].append(0)
        assert len(history.cost) == 2

    def test_no_epochs(self, backend):
        net = network(backend)
        before = net.parameters.tobytes(), str(net.rng.bit_generator.state)
        history = net.fit(X, Y, epochs=0, optimizer="sgd")
        assert (net.parameters.tobytes(), str(net.rng.bit_generator.state)) == before
        assert history.epochs == 0 and history.cost == [] and history.stop_reason == "epochs"
        assert dict(history) == {"cost": [], "learning_rate": [], "seconds": []}


class TestSchedules:
    @pytest.mark.parametrize(
        ("schedule", "rates"),
        [
            (fastgd.Constant(0.5), [0.5, 0.5, 0.5]),
            (fastgd.Step(0.5, factor=0.1, every=2), [0.5, 0.5, 0.05]),
            (fastgd.Exponential(0.5, decay=0.5), [0.5, 0.25, 0.125]),
            (fastgd.InverseScaling(0.5, power=1), [0.5, 0.25, 0.5 / 3]),
        ],
    )
    def test_honoured(self, backend, schedule, rates):
        net, same = network(backend), network(backend)
        history = net.fit(X, Y, epochs=3, optimizer=SGD(schedule), shuffle=False)
        assert history.learning_rate == pytest.approx(rates)
        for rate in history.learning_rate:
            same.fit(X, Y, epochs=1, optimizer=SGD(rate), shuffle=False)
        assert net.parameters.tobytes() == same.parameters.tobytes()

    def test_a_rate_of_zero_moves_nothing(self, backend):
        net = network(backend)
        before = net.parameters.tobytes()
        net.fit(X, Y, epochs=2, optimizer=SGD(0, momentum=0.9))
        assert net.parameters.tobytes() == before


class TestCallbacks:
    def test_what_they_are_told(self, backend):
        net, recorder = network(backend), Recorder()
        history = net.fit(
            X, Y, epochs=3, callbacks=recorder, validation_data=(X, Y), optimizer="sgd"
        )
        assert [(who is net, epoch) for who, epoch, _ in recorder.ends] == [
            (True, 0), (True, 1), (True, 2),
        ]  # fmt: skip
        for _, epoch, logs in recorder.ends:
            assert logs == {name: values[epoch] for name, values in history.items()}

    def test_progress(self, backend, monkeypatch):
        monkeypatch.setattr("fastgd.engine.session.CALL_SECONDS", 0)  # a call for each batch
        net, recorder = network(backend), Recorder()
        history = net.fit(X, Y, epochs=2, batch_size=20, callbacks=[recorder], optimizer="sgd")
        assert all(who is net for who, _, _ in recorder.progress)
        told = [(epoch, logs["examples"]) for _, epoch, logs in recorder.progress]
        assert told == [(epoch, n) for epoch in (0, 1) for n in (20, 40, 50)]
        assert recorder.progress[-1][2]["cost"] == pytest.approx(history.cost[-1])

    def test_true_stops(self, backend):
        net, same = network(backend), network(backend)
        others = Recorder()
        history = net.fit(X, Y, epochs=100, callbacks=(Recorder(stop=2), others), optimizer="sgd")
        assert history.epochs == 3 and history.stop_reason == "callback"
        assert len(others.ends) == 3
        same.fit(X, Y, epochs=3, optimizer="sgd")
        assert net.parameters.tobytes() == same.parameters.tobytes()

    def test_numpy_true_stops(self, backend):
        stop = AtEpoch(0, lambda network, logs: np.bool_(logs["cost"] >= 0))
        assert network(backend).fit(X, Y, epochs=9, callbacks=stop, optimizer="sgd").epochs == 1

    def test_they_may_change_the_network(self, backend):
        net = network(backend)
        zero = AtEpoch(1, lambda network, logs: network.parameters.fill(0))
        net.fit(X, Y, epochs=2, callbacks=[zero], optimizer="sgd")
        assert not net.parameters.any()

    def test_changing_the_logs_changes_nothing(self, backend):
        clear = AtEpoch(0, lambda network, logs: logs.clear())
        assert (
            len(
                network(backend)
                .fit(X, Y, epochs=1, callbacks=[clear, Recorder()], optimizer="sgd")
                .cost
            )
            == 1
        )

    def test_an_error_of_theirs_is_raised(self, backend):
        def fail(network, logs):
            raise RuntimeError("mine")

        net = network(backend)
        with pytest.raises(RuntimeError, match="mine"):
            net.fit(X, Y, epochs=3, callbacks=[AtEpoch(1, fail)], optimizer="sgd")
        same = network(backend)
        same.fit(X, Y, epochs=2, optimizer="sgd")
        assert net.parameters.tobytes() == same.parameters.tobytes()

    @pytest.mark.parametrize(
        "callbacks", [None, print, 3, [Recorder(), None], Recorder, [Recorder]]
    )
    def test_refused_before_any_work(self, backend, callbacks):
        net = network(backend)
        before = net.parameters.tobytes()
        with pytest.raises(TypeError, match="callback"):
            net.fit(X, Y, callbacks=callbacks, optimizer="sgd")
        assert net.parameters.tobytes() == before

    def test_one_may_have_either_method_only(self, backend):
        class Quiet(Recorder):
            on_progress = None

        assert (
            network(backend).fit(X, Y, epochs=1, callbacks=[Quiet()], optimizer="sgd").epochs == 1
        )


class TestInterrupt:
    """Ctrl-C ends a fit with what was learned."""

    def test_in_a_callback(self, backend):
        def interrupt(network, logs):
            raise KeyboardInterrupt

        net, same = network(backend), network(backend)
        with pytest.warns(UserWarning, match="training interrupted in epoch"):
            history = net.fit(X, Y, epochs=9, callbacks=[AtEpoch(1, interrupt)], optimizer="sgd")
        assert history.stop_reason == "interrupted" and history.epochs == 2
        same.fit(X, Y, epochs=2, optimizer="sgd")
        assert net.parameters.tobytes() == same.parameters.tobytes()

    def test_in_the_middle_of_an_epoch(self, backend, monkeypatch):
        monkeypatch.setattr("fastgd.engine.session.CALL_SECONDS", 0)

        class Interrupt:
            def on_progress(self, network, epoch, logs):
                if epoch == 1 and logs["examples"] == 20:
                    raise KeyboardInterrupt

        net, same = network(backend), network(backend)
        with pytest.warns(UserWarning, match="training interrupted in epoch 2"):
            history = net.fit(
                X, Y, epochs=9, batch_size=10, callbacks=Interrupt(), shuffle=False, optimizer="sgd"
            )
        assert history.epochs == 1 and len(history.cost) == 1
        same.fit(X, Y, epochs=1, batch_size=10, shuffle=False, optimizer="sgd")
        same.fit(X[:20], Y[:20], epochs=1, batch_size=10, shuffle=False, optimizer="sgd")
        assert net.parameters.tobytes() == same.parameters.tobytes()

    @pytest.mark.parametrize("batch_size", [1, 1000])
    def test_by_a_signal(self, backend, batch_size):
        many = np.tile(X, (400, 1)), np.tile(Y, (400, 1))
        net = network(backend)
        net.fit(*many, epochs=1, batch_size=1000, optimizer="sgd")
        late, started = Recorder(), time.monotonic()
        late.on_epoch_end = lambda *_: time.monotonic() > started + 60  # else it would not end
        threading.Timer(0.15, _thread.interrupt_main).start()
        with pytest.warns(UserWarning, match="training interrupted"):
            history = net.fit(
                *many, epochs=10**9, batch_size=batch_size, callbacks=late, optimizer="sgd"
            )
        assert history.stop_reason == "interrupted"
        assert np.isfinite(net.parameters).all()
        assert net.fit(*many, epochs=1, batch_size=1000, optimizer="sgd").epochs == 1


class TestDivergence:
    def test_the_state_is_that_after_the_last_good_step(self, backend):
        net = network(backend)
        examples = check_examples(X, Y, net.architecture)
        wild = fastgd.SGD(lambda step: 0.1 if step < 3 else 1e300)
        session = Session(net.runner, wild, net.state, batch_size=2, shuffle=False)
        with pytest.raises(fastgd.DivergenceError):
            while True:
                session.advance(examples)
        assert (net.state.step, net.state.position) in ((3, 6), (4, 8))

    def data(self):
        return X, X @ np.array([[1.0, 2], [3, 4], [5, 6], [7, 8]])

    @pytest.mark.parametrize("optimizer", [fastgd.SGD, partial(fastgd.SGD, momentum=0.9)])
    def test_behind_a_cost_that_stays_finite(self, backend, optimizer):
        """An output of exactly 0 or 1 hides an infinite weight for a step: all are found."""
        X, y = np.linspace(0.5, 1, 9)[:, None], np.full((9, 1), 0.3)
        net, same = (
            fastgd.Network([1, 1], dtype="float32", backend=backend, seed=1) for _ in range(2)
        )
        training = {"epochs": 1, "batch_size": 1, "shuffle": False}
        with pytest.raises(fastgd.DivergenceError):
            net.fit(X, y, optimizer=optimizer(lambda step: 0.1 if step < 3 else 1e39), **training)
        same.fit(X[:3], y[:3], optimizer=optimizer(0.1), **training)
        assert net.state.step == 3
        assert net.parameters.tobytes() == same.parameters.tobytes()
        assert net.state.slots.tobytes() == same.state.slots.tobytes()

    @pytest.mark.parametrize("momentum", [0.0, 0.9])
    @pytest.mark.parametrize("rate", [10, 1e10, 1e30, 1e200])
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_is_told_and_the_network_stays_usable(self, backend, dtype, rate, momentum):
        data = self.data()
        net = fastgd.Network(
            [4, 17, 2], activation="relu", output="identity", dtype=dtype, seed=1, backend=backend
        )
        start = net.parameters.copy()
        with pytest.raises(fastgd.DivergenceError) as caught:
            net.fit(*data, epochs=200, batch_size=5, optimizer=SGD(rate, momentum=momentum))
        error, message = caught.value, str(caught.value)
        assert isinstance(error, ArithmeticError)
        assert error.learning_rate == rate and error.epoch == error.history.epochs + 1
        assert f"in epoch {error.epoch} at learning rate {rate:g}" in message
        assert (
            f"a learning rate of {min(rate / 10, 0.1):g} or less" in message and "\n" not in message
        )
        assert np.isfinite(error.history.cost).all()
        assert np.isfinite(net.parameters).all()
        other = pickle.loads(pickle.dumps(error))
        assert (str(other), other.epoch) == (message, error.epoch)
        net.parameters = start
        history = net.fit(*data, epochs=3, optimizer=SGD(0.01))
        assert history.cost[-1] < history.cost[0]

    @pytest.mark.parametrize(("dtype", "rate"), [("float32", 1e38), ("float64", 1e308)])
    @pytest.mark.parametrize("momentum", [0.0, 0.9])
    def test_parameters_that_overflow_at_a_finite_cost(self, backend, dtype, rate, momentum):
        """One step: the cost before it is 16, the weight after it is not a number."""
        net = fastgd.Network([1, 1], output="identity", loss="sse", dtype=dtype, backend=backend)
        net.parameters = [2, 0]
        with pytest.raises(fastgd.DivergenceError, match="in epoch 1 "):
            net.fit([[3]], [10], epochs=1, optimizer=SGD(rate, momentum=momentum))
        assert net.parameters.tolist() == [2, 0]

    #: Rate, start of weight and bias, inputs; targets are 0. In the second, x = -1 is fitted
    #: whatever happens, and the second x = 1 asks for a step beyond the largest number.
    RUNAWAYS = (
        (1e60, 1e-3, np.linspace(1, 2, 40)),
        (1e308, 3e-308, np.array([-1.0, 1, -1, 1] * 10)),
    )

    @pytest.mark.parametrize("momentum", [0.0, 0.5])
    @pytest.mark.parametrize("runaway", RUNAWAYS, ids=["cost", "parameters"])
    def test_the_last_finite_parameters_are_kept(self, backend, momentum, runaway, monkeypatch):
        """Step by step on paper: w <- w + v, v <- mu v - rate dC/dw, one example a step."""
        monkeypatch.setattr("fastgd.engine.session.CALL_SECONDS", 60)  # 1, 8 and 31 steps in a call
        rate, start, inputs = runaway
        w, v = np.array([start, start]), np.zeros(2)
        with np.errstate(over="ignore", invalid="ignore"):
            for x in inputs:
                residual = w[0] * x + w[1]
                v = momentum * v - rate * (2 * residual * np.array([x, 1]))
                if not (np.isfinite(residual**2) and np.isfinite(w + v).all()):
                    break
                w = w + v
        assert abs(w).min() > 1
        net = fastgd.Network(
            [1, 1], output="identity", loss="sse", dtype="float64", backend=backend
        )
        net.parameters = [start, start]
        with pytest.raises(fastgd.DivergenceError):
            net.fit(
                inputs[:, None], np.zeros(40), epochs=1, batch_size=1, shuffle=False,
                optimizer=SGD(rate, momentum=momentum),
            )  # fmt: skip
        np.testing.assert_allclose(net.parameters, w, rtol=1e-9)

    def test_advice_to_scale_inputs(self, backend):
        net = fastgd.Network([4, 3], output="identity", backend=backend, seed=0)
        with pytest.raises(fastgd.DivergenceError, match=r"inputs scaled to about 1 .*input_scale"):
            net.fit(X * 1e5, Y, epochs=50, optimizer=SGD(1))

    def test_history_before(self, backend):
        """Two good epochs, then a rate that cannot work."""
        net = fastgd.Network([4, 2], output="identity", seed=1, backend=backend)
        rates = fastgd.Step(0.01, factor=1e30, every=2)
        with pytest.raises(fastgd.DivergenceError) as caught:
            net.fit(*self.data(), epochs=9, batch_size=5, optimizer=SGD(rates))
        assert caught.value.epoch == 3 and caught.value.learning_rate == pytest.approx(1e28)
        assert caught.value.history.learning_rate == [0.01, 0.01]

    def test_validation_that_overflows_is_recorded(self, backend):
        """The training data are fine: their cost decides, not that of the validation data."""
        net = fastgd.Network([4, 2], output="identity", seed=1, backend=backend, dtype="float32")
        huge = np.full((3, 4), 1e30), np.zeros((3, 2))
        history = net.fit(*self.data(), epochs=2, optimizer=SGD(0.01), validation_data=huge)
        assert history.epochs == 2 and history.validation_cost == [np.inf, np.inf]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"epochs": -1}, ValueError, "epochs must be an integer at least 0; got -1"),
        ({"epochs": 1.0}, TypeError, "epochs must be an integer at least 0; got 1.0"),
        ({"epochs": "10"}, TypeError, "epochs must be an integer at least 0; got '10'"),
        ({"epochs": "two"}, TypeError, "epochs must be an integer"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer at least 1; got 0"),
        ({"batch_size": -5}, ValueError, "batch_size must be an integer at least 1; got -5"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be an integer at least 1; got 2.5"),
        ({"batch_size": "all"}, TypeError, "batch_size must be an integer .*; got 'all'"),
        ({"shuffle": 0.9}, TypeError, "shuffle must be True or False; got 0.9"),
        ({"shuffle": "no"}, TypeError, "shuffle must be True or False; got 'no'"),
        ({"optimizer": "sdg"}, ValueError, "optimizer must be one of .*'sdg'; did you mean 'sgd'"),
        ({"optimizer": 0.1}, TypeError, r"optimizer must be .*SGD\(learning_rate=0.1\).*got 0.1"),
        ({"optimizer": SGD}, TypeError, r"optimizer must be an optimizer such as .*SGD\("),
        ({"optimizer": 0.1}, TypeError, "optimizer must be .*; got 0.1"),
        (
            {"validation_data": X},
            TypeError,
            r"validation_data must be a pair \(X, y\); got ndarray",
        ),
        ({"validation_data": (X,)}, TypeError, r"validation_data must be a pair \(X, y\)"),
        (
            {"validation_data": (X, Y, Y)},
            ValueError,
            r"validation_data\[2\] must have shape \(50,\)",
        ),
        ({"validation_data": (X[:, :2], Y)}, ValueError, r"validation_data\[0\] must have 4 col"),
        ({"validation_data": (X, Y[:9])}, ValueError, r"validation_data\[0\] and .*50 rows and 9"),
        ({"validation_data": (X * np.nan, Y)}, ValueError, r"validation_data\[0\]\[0, 0\]"),
        ({"validation_data": (X, [7] * 50)}, ValueError, r"validation_data\[1\] must hold classes"),
    ],
)
def test_bad_settings_change_nothing(backend, settings, error, message):
    net = network(backend)
    before = net.parameters.tobytes(), str(net.rng.bit_generator.state)
    with pytest.raises(error, match=message):
        net.fit(X, Y, **settings)
    assert (net.parameters.tobytes(), str(net.rng.bit_generator.state)) == before


class TestRefusals:
    """What is refused has changed nothing, also not what the optimizer has gathered."""

    X, Y = np.eye(4), [0, 1, 0, 1]

    @pytest.fixture
    def adam(self):
        net = fastgd.Network([4, 5, 2], output="softmax", loss="cross_entropy", seed=1)
        for _ in range(3):
            net.partial_fit(self.X, self.Y, optimizer="adam")
        return net

    @pytest.mark.parametrize(
        "refused",
        [
            lambda net, X, y: net.fit(X, y, optimizer="sgd", callbacks=fastgd.EarlyStopping("x")),
            lambda net, X, y: net.fit(iter([(X, y)]), optimizer="lbfgs"),
            lambda net, X, y: net.fit(X, y, optimizer="sgd", on_interrupt="never"),
            lambda net, X, y: net.partial_fit(X, [9, 9, 9, 9], optimizer="sgd"),
            lambda net, X, y: net.partial_fit(X[:, :2], y, optimizer="rmsprop"),
        ],
        ids=["monitor", "chunks", "on_interrupt", "targets", "inputs"],
    )
    def test_keep_the_optimizers_state(self, adam, refused):
        same = adam.copy()
        with pytest.raises(ValueError, match=r"must|not measured|needs"):
            refused(adam, self.X, self.Y)
        for net in (adam, same):
            net.partial_fit(self.X, self.Y)
        assert adam.state.optimizer == fastgd.Adam()
        np.testing.assert_array_equal(adam.state.slots, same.state.slots)
        np.testing.assert_array_equal(adam.parameters, same.parameters)
