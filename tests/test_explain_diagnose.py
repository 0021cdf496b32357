"""The diagnosis: each illness is provoked, named with its numbers, and gone once treated."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import check_picture

import fastgd
from fastgd.cli.show.learned import diagnosis as command
from fastgd.explain.diagnose import Diagnosis, diagnose
from fastgd.explain.symptoms.case import Case
from fastgd.plot.diagnosis import DiagnosisDisplay
from fastgd.plot.style import theme

SGD = fastgd.SGD
CLASSES = {"output": "softmax", "loss": "cross_entropy"}
NUMBERS = {"activation": "tanh", "output": "identity", "loss": "mse"}


@pytest.fixture(scope="module")
def digits():
    return fastgd.data.split(fastgd.data.load("digits"), seed=0)


@pytest.fixture(scope="module")
def table():
    """Five standard normal columns, and a number that is nearly a plane over them."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 5))
    return X, X @ [1, 2, -1, 0.5, 0] + 0.1 * rng.standard_normal(400)


def trained(sizes, X, y, rate, epochs=30, batch_size=32, validation_data=None, **settings):
    net = fastgd.Network(sizes, seed=0, **settings)
    history = net.fit(
        X, y, epochs=epochs, batch_size=batch_size, optimizer=SGD(rate),
        validation_data=validation_data,
    )  # fmt: skip
    return net, history


def only(diagnosis: Diagnosis, name: str):
    """Return the one finding of that name."""
    (finding,) = [f for f in diagnosis.findings if f.name == name]
    return finding


class TestHealthy:
    @pytest.mark.parametrize("seed", [0, 1])
    @pytest.mark.parametrize("hidden", [[30], [16, 16], []])
    @pytest.mark.parametrize(
        ("rate", "settings"),
        [
            (3.0, {}),
            (0.5, CLASSES),
            (0.1, {"activation": "tanh", **CLASSES}),
            (0.1, {"activation": "relu", "init": "he_normal", **CLASSES}),
            (0.1, {"activation": "relu", "output": "sigmoid", "loss": "cross_entropy"}),
        ],
    )
    def test_no_false_alarm_on_the_digits(self, digits, rate, settings, hidden, seed):
        net = fastgd.Network([64, *hidden, 10], input_scale=1 / 16, seed=seed, **settings)
        unseen = (digits.X_test, digits.y_test)
        history = net.fit(
            digits.X, digits.y, epochs=30, batch_size=10, optimizer=SGD(rate),
            validation_data=unseen,
        )  # fmt: skip
        found = diagnose(
            net, digits.X, digits.y, validation_data=unseen, history=history, batch_size=10
        )
        assert found.names == []
        assert found.healthy and "nothing wrong found" in str(found)

    @pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
    def test_nor_on_a_good_regression(self, table, activation):
        X, y = table
        net, history = trained([5, 20, 1], X, y, 0.05, 60, **{**NUMBERS, "activation": activation})
        found = diagnose(net, X[:300], y[:300], validation_data=(X[300:], y[300:]), history=history)
        assert found.score > 0.95
        assert found.names == []

    def test_sse_is_judged_per_example(self, table):
        X, y = table
        net, history = trained([5, 1], X, y, 0.005, output="identity", loss="sse")
        found = diagnose(net, X, y, history=history)
        assert found.healthy
        assert found.cost == pytest.approx(net.loss(X, y) / 400)


class TestNumbers:
    def test_cost_score_and_shares(self, digits):
        net, _ = trained([64, 20, 10], digits.X, digits.y, 3.0, 5, 10, input_scale=1 / 16)
        found = diagnose(net, digits.X, digits.y)
        assert found.cost == net.loss(digits.X, digits.y)
        assert found.score == net.score(digits.X, digits.y)
        a = 1 / (1 + np.exp(-(digits.X / 16 @ net.weights[0] + net.biases[0])))
        ends = (a < 0.01) | (a > 0.99)
        assert found.layers[0].saturated == pytest.approx(ends.mean(), abs=1e-4)
        assert found.layers[0].stuck == (ends.mean(axis=0) >= 0.95).sum()

    @pytest.mark.parametrize(
        "settings",
        [{"loss": "quadratic"}, {"loss": "mse"}, {"loss": "cross_entropy"}, CLASSES],
    )
    def test_the_baseline_is_the_least_cost_of_a_constant(self, settings):
        """With all weights zero training leaves a constant answer: its least cost."""
        y = np.array([0, 0, 0, 1, 2, 2] * 10)
        X = np.zeros((60, 2))
        net = fastgd.Network([2, 3], init="zeros", dtype="float64", **settings)
        net.fit(X, y, epochs=3000, batch_size=60, optimizer=SGD(1.0))
        assert diagnose(net, X, y).baseline == pytest.approx(net.loss(X, y), rel=1e-5)

    def test_dead_units_are_zero_for_every_example(self, table):
        X, y = table
        net = fastgd.Network([5, 12, 1], seed=0, **{**NUMBERS, "activation": "relu"})
        net.biases[0][:3] = -100
        net.weights[0][:, 3] = 0  # and its bias is 0: z is 0
        found = diagnose(net, X, y)
        assert found.layers[0].dead == 4
        np.testing.assert_array_equal(net.gradient(X, y)[:60].reshape(5, 12)[:, :4], 0)

    def test_nothing_is_changed(self, digits):
        net, history = trained([64, 12, 10], digits.X, digits.y, 3.0, 2, input_scale=1 / 16)
        before, state = net.parameters.copy(), copy.deepcopy(net.rng.bit_generator.state)
        reports = [str(diagnose(net, digits.X, digits.y, history=history)) for _ in range(2)]
        assert reports[0] == reports[1]
        assert np.array_equal(net.parameters, before)
        assert net.rng.bit_generator.state == state

    def test_many_examples_are_drawn_from(self, table, monkeypatch):
        X, y = table
        monkeypatch.setattr("fastgd.explain.symptoms.case.MOST_EXAMPLES", 50)
        net = fastgd.Network([5, 3, 1], seed=0, **NUMBERS)
        case = Case.of(net, X, y, None, None, None, None, 32, 0)
        assert len(case.inputs) == 50 and len(case.outputs) == 400
        assert diagnose(net, X, y).examples == 400

    def test_sparse_inputs_and_frames(self, table):
        sparse, pandas = pytest.importorskip("scipy.sparse"), pytest.importorskip("pandas")
        X, y = table
        net = fastgd.Network([5, 3, 1], seed=0, **NUMBERS)
        expected = str(diagnose(net, X, y, learning_rate=0.1))
        assert str(diagnose(net, pandas.DataFrame(X), y, learning_rate=0.1)) == expected
        assert str(diagnose(net, sparse.csr_matrix(X), y, learning_rate=0.1)) == expected


class TestRate:
    def test_steps_on_a_copy_overshoot(self, digits):
        net = fastgd.Network([64, 30, 10], activation="relu", input_scale=1 / 16, seed=0, **CLASSES)
        net.fit(digits.X, digits.y, epochs=1, optimizer=SGD(0.1))
        finding = only(
            diagnose(net, digits.X, digits.y, learning_rate=5.0), "learning rate too high"
        )
        assert finding.numbers["after"] > finding.numbers["lower"]
        assert "0.5 instead of 5" in finding.advice
        found = diagnose(net, digits.X, digits.y, learning_rate=0.5)
        assert "learning rate too high" not in found.names

    def test_a_network_that_is_stuck_is_tried_anew(self, digits):
        net, history = trained(
            [64, 30, 10], digits.X, digits.y, 100.0, 5, 10, input_scale=1 / 16
        )  # all outputs saturated: no rate moves it any more
        found = diagnose(net, digits.X, digits.y, history=history, batch_size=10)
        assert "from a new start at rate 100" in only(found, "learning rate too high").evidence

    def test_divergence(self, table):
        X, y = table
        net = fastgd.Network([5, 20, 1], seed=0, **{**NUMBERS, "activation": "relu"})
        with pytest.raises(fastgd.DivergenceError) as caught:
            net.fit(X, y, epochs=50, optimizer=SGD(10.0))
        finding = only(diagnose(net, X, y, history=caught.value), "learning rate too high")
        assert "NaN or infinite in epoch 1 at learning rate 10" in finding.evidence
        mended, history = trained([5, 20, 1], X, y, 0.05, 60, **NUMBERS)
        assert diagnose(mended, X, y, history=history).healthy

    @pytest.mark.parametrize(
        ("cost", "words"),
        [
            ([3, 2, 1, 1.5, 2, 2.5], "rises: 1 in epoch 3, 2.5 at the end"),
            ([3, 1, 2, 1, 2, 1, 2, 1], "oscillates: it rose by more than 5% in 3 of 7 epochs"),
            ([3, 2, 1.5, 1.2, 1.1, 1.05, 1.04, 1.05], ""),
            ([3, 1, 0.1, 0.02, 0.03, 0.02, 0.03, 0.02], ""),  # noise, near 0
        ],
    )
    def test_histories(self, table, cost, words):
        net = fastgd.Network([5, 20, 1], seed=0, **NUMBERS)
        found = diagnose(net, *table, history={"cost": cost})
        evidence = [f.evidence for f in found.findings if f.name == "learning rate too high"]
        assert evidence == ([f"the training cost {words}"] if words else [])

    def test_too_low(self, digits):
        net, history = trained([64, 30, 10], digits.X, digits.y, 0.1, 10, input_scale=1 / 16)
        finding = only(diagnose(net, digits.X, digits.y, history=history), "learning rate too low")
        assert "10 instead of 0.1" in finding.advice or "1 instead of 0.1" in finding.advice
        found = diagnose(net, digits.X, digits.y, learning_rate=3.0)
        assert "learning rate too low" not in found.names

    def test_no_rate_known(self, table):
        X, y = table
        net = fastgd.Network([5, 20, 1], seed=0, **NUMBERS)
        assert diagnose(net, X, -y).names == ["has not learned"]
        assert net.score(X, -y) < 0


class TestUnits:
    def test_saturated(self, digits):
        settings = {"activation": "tanh", "input_scale": 1 / 4, **CLASSES}
        sick = fastgd.Network([64, 30, 10], init="standard_normal", seed=0, **settings)
        finding = only(diagnose(sick, digits.X, digits.y), "saturated units")
        z = digits.X / 4 @ sick.weights[0] + sick.biases[0]
        assert finding.numbers["share"] == pytest.approx((abs(np.tanh(z)) >= 0.99).mean(), abs=1e-4)
        assert finding.numbers["z"] == pytest.approx(np.sqrt((z**2).mean()), rel=1e-4)
        well = fastgd.Network([64, 30, 10], seed=0, **{**settings, "input_scale": 1 / 16})
        assert "saturated units" not in diagnose(well, digits.X, digits.y).names

    def test_saturated_outputs(self, digits):
        sick = fastgd.Network([64, 10], init="standard_normal", input_scale=1 / 4, seed=0)
        assert (
            "slope of nearly 0"
            in only(diagnose(sick, digits.X, digits.y), "saturated outputs").evidence
        )
        other = fastgd.Network([64, 10], loss="cross_entropy", input_scale=1 / 4, seed=0)
        other.parameters = sick.parameters
        assert "saturated outputs" not in diagnose(other, digits.X, digits.y).names

    def test_dead(self, digits):
        settings = {"activation": "relu", "input_scale": 1 / 16, **CLASSES}
        sick, history = trained([64, 30, 10], digits.X, digits.y, 2.0, 10, **settings)
        found = diagnose(sick, digits.X, digits.y, history=history)
        finding = only(found, "dead units")
        assert finding.severity == "problem" and finding.numbers["units"] == found.layers[0].dead
        assert {"dead units", "learning rate too high"} <= set(found.names)
        well, history = trained([64, 30, 10], digits.X, digits.y, 0.1, 10, **settings)
        assert diagnose(well, digits.X, digits.y, history=history).healthy

    def test_a_few_dead_units_are_a_note(self, table):
        X, y = table
        net, _ = trained([5, 20, 1], X, y, 0.05, 40, **{**NUMBERS, "activation": "relu"})
        net.weights[1][0] = 0  # of no use, so that the cost stays
        net.biases[0][0] = -100
        net.fit(X, y, epochs=20, optimizer=SGD(0.05))
        found = diagnose(net, X, y)
        assert found.healthy and [note.name for note in found.notes] == ["dead units"]

    def test_dead_output(self, table):
        X, y = table
        net = fastgd.Network([5, 4, 1], output="relu", seed=0)
        net.biases[1][:] = -100
        finding = only(diagnose(net, X, np.abs(y)), "dead units")
        assert finding.severity == "problem" and "identity" in finding.advice

    @pytest.mark.parametrize("value", [0.0, 0.1])
    def test_copies(self, digits, value):
        settings = {"input_scale": 1 / 16}
        net = fastgd.Network([64, 30, 10], init="zeros", seed=0, **settings)
        net.parameters[:] = value
        net.fit(digits.X, digits.y, epochs=3, batch_size=10, optimizer=SGD(3.0))
        finding = only(diagnose(net, digits.X, digits.y), "copies")
        assert finding.severity == "problem" and finding.numbers["copies"] == 29
        well, _ = trained([64, 30, 10], digits.X, digits.y, 3.0, 10, 10, **settings)
        assert diagnose(well, digits.X, digits.y).healthy


class TestData:
    def test_inputs_too_large(self, digits):
        sick, _ = trained([64, 30, 10], 16.0 * digits.X, digits.y, 3.0, 5, 10)
        finding = only(diagnose(sick, 16.0 * digits.X, digits.y), "inputs not scaled")
        size = np.sqrt(np.mean((16.0 * digits.X) ** 2))
        assert finding.numbers["rms"] == pytest.approx(size, rel=1e-5)
        well = fastgd.Network([64, 30, 10], input_scale=1 / 256, seed=0)
        assert "inputs not scaled" not in diagnose(well, 16.0 * digits.X, digits.y).names

    @pytest.mark.parametrize(
        ("change", "number"),
        [
            (lambda X: X * [1, 100, 1, 1, 1], "spread_ratio"),
            (lambda X: X * 1e-3, "rms"),
            (lambda X: X + np.array([0, 0, 50, 0, 0]), "off_centre"),
        ],
    )
    def test_columns_to_scale(self, table, change, number):
        X, y = table
        net, sick = fastgd.Network([5, 8, 1], seed=0, **NUMBERS), change(X)
        assert number in only(diagnose(net, sick, y), "inputs not scaled").numbers
        well = (sick - sick.mean(axis=0)) / sick.std(axis=0)  # the advice
        assert "inputs not scaled" not in diagnose(net, well, y).names

    def test_constant_inputs(self, table):
        X, y = table
        sick = X.copy()
        sick[:, 2] = 0.7
        net, _ = trained([5, 8, 1], sick, y, 0.05, **NUMBERS)
        finding = only(diagnose(net, sick, y), "constant inputs")
        assert "1 of 5 columns" in finding.evidence and "X[:, 2]" in finding.evidence
        well, _ = trained([4, 8, 1], np.delete(sick, 2, 1), y, 0.05, **NUMBERS)
        assert "constant inputs" not in diagnose(well, np.delete(sick, 2, 1), y).names
        nothing = diagnose(net, np.ones((10, 5)), y[:10])
        assert only(nothing, "constant inputs").severity == "problem"

    def test_outliers(self, table):
        X, y = table
        sick = y.copy()
        sick[[3, 77]] = [500, -800]
        net, history = trained([5, 20, 1], X, sick, 0.005, **NUMBERS)
        finding = only(diagnose(net, X, sick, history=history), "outliers")
        assert finding.numbers["rows"].tolist() == [77, 3]
        squares = (sick - net.predict(X)[:, 0]) ** 2
        share = squares[[3, 77]].sum() / squares.sum()
        assert finding.numbers["share"] == pytest.approx(share, rel=1e-5)
        X, well = np.delete(X, [3, 77], 0), np.delete(sick, [3, 77])
        net, history = trained([5, 20, 1], X, well, 0.05, 60, **NUMBERS)
        assert diagnose(net, X, well, history=history).healthy

    def test_targets_out_of_reach(self, table):
        X, y = table
        net, _ = trained([5, 8, 1], X, y, 0.5)
        finding = only(diagnose(net, X, y), "targets out of reach")
        assert finding.numbers["examples"] == ((y < 0) | (y > 1)).sum()
        for output, reached in (("tanh", y / 10), ("relu", abs(y)), ("identity", y)):
            other = fastgd.Network([5, 8, 1], output=output, seed=0)
            assert "targets out of reach" not in diagnose(other, X, reached).names
            if output != "identity":
                assert "targets out of reach" in diagnose(other, X, y).names


class TestClasses:
    def test_imbalance(self):
        rng = np.random.default_rng(0)
        y = (np.arange(1000) % 50 == 0).astype(int)
        X = rng.standard_normal((1000, 4)) + 0.8 * y[:, None]
        net, history = trained([4, 8, 2], X, y, 0.1, **CLASSES)
        finding = only(diagnose(net, X, y, history=history), "one class")
        assert "100.0% of the answers are class 0, which 98.0%" in finding.evidence
        rare = np.flatnonzero(y)
        X, y = np.vstack([X, *[X[rare]] * 48]), np.concatenate([y, *[y[rare]] * 48])
        net, history = trained([4, 8, 2], X, y, 0.1, **CLASSES)
        assert diagnose(net, X, y, history=history).healthy

    def test_one_output(self):
        y = (np.arange(200) % 20 == 0).astype(int)
        X = np.random.default_rng(0).standard_normal((200, 3))
        for loss in ("cross_entropy", "quadratic"):
            net, _ = trained([3, 1], X, y, 0.1, 20, loss=loss)
            assert "one class" in diagnose(net, X, y).names

    def test_classes_never_answered(self, digits):
        net, _ = trained([64, 30, 10], digits.X, digits.y, 3.0, 20, 10, input_scale=1 / 16)
        net.biases[1][[2, 7]] = -50
        finding = only(diagnose(net, digits.X, digits.y), "classes never answered")
        assert finding.numbers["missed"].tolist() == [2, 7]

    def test_overfitting(self):
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((360, 20)), rng.integers(0, 2, 360)  # nothing to learn
        few, unseen = (X[:60], y[:60]), (X[60:], y[60:])
        net, history = trained(
            [20, 50, 2], *few, 0.1, 100, validation_data=unseen, activation="tanh", **CLASSES
        )
        found = diagnose(net, *few, validation_data=unseen, history=history)
        finding = only(found, "overfitting")
        best = int(np.argmin(history.validation_cost)) + 1
        assert finding.numbers["begins"] == best and f"stop after epoch {best}" in finding.advice
        assert "1.0000 on the training data" in finding.evidence
        assert only(diagnose(net, *few, validation_data=unseen), "overfitting")
        assert "overfitting" in diagnose(net, *few, history=history).names
        early, history = trained(
            [20, 50, 2], *few, 0.1, best, validation_data=unseen, activation="tanh", **CLASSES
        )
        assert "since epoch" not in str(diagnose(early, *few, history=history))


def test_report(digits):
    net = fastgd.Network([64, 30, 10], init="zeros", input_scale=1 / 16, seed=0)
    report = str(diagnose(net, digits.X, digits.y))
    assert "1. copies (problem)\n   evidence layer 1 has 30 units but only 1 different" in report
    assert "   try      start from random weights" in report
    assert max(map(len, report.splitlines())) <= 100
    assert "nothing wrong" not in report


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"X": [[1.0, 2.0]]}, ValueError, "X must have 3 columns"),
        ({"y": [1.0]}, ValueError, "one row for each example"),
        ({"X": [[np.nan, 0, 0]] * 2}, ValueError, "X must be finite"),
        ({"network": 3}, TypeError, "network must be a fastgd.Network; got int"),
        ({"history": 3}, TypeError, "history must be what fit returned"),
        ({"validation_data": [1]}, TypeError, "validation_data must be a pair"),
        ({"learning_rate": -1}, ValueError, "learning_rate must be a number at least 0"),
        ({"optimizer": "sdg"}, ValueError, "did you mean 'sgd'"),
        ({"optimizer": "sgd", "learning_rate": 0.1}, ValueError, "must not both be given"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer at least 1"),
        ({"seed": -1}, ValueError, "seed must be an integer at least 0"),
    ],
)
def test_bad_input(arguments, error, message):
    given = {"network": fastgd.Network([3, 2, 1], seed=0), "X": np.eye(3)[:2], "y": [0.5, 1.0]}
    with pytest.raises(error, match=message):
        diagnose(**{**given, **arguments})


def test_parameters_that_are_not_finite(table):
    net = fastgd.Network([5, 3, 1], seed=0)
    net.parameters[2] = np.inf
    with pytest.raises(ValueError, match=r"parameters\[2\] is inf"):
        diagnose(net, *table)


def test_any_optimizer_and_no_history_yet(table):
    net = fastgd.Network([5, 3, 1], seed=0, **NUMBERS)
    schedule = fastgd.Exponential(0.1, 0.9)
    for optimizer in ("sgd", SGD(0.05, momentum=0.9), SGD(schedule)):
        assert "learning rate too high" not in diagnose(net, *table, optimizer=optimizer).names
    assert "learning rate too high" not in diagnose(net, *table, history=fastgd.History()).names


class TestPicture:
    @pytest.mark.parametrize("look", ["light", "dark"])
    @pytest.mark.parametrize(
        ("hidden", "settings"),
        [([30], {}), ([8, 8, 8], {"activation": "relu", **CLASSES}), ([9], {"activation": "tanh"})],
    )
    def test_picture(self, tmp_path, digits, look, hidden, settings):
        net = fastgd.Network([64, *hidden, 10], input_scale=1 / 16, seed=0, **settings)
        with theme(look):
            check_picture(DiagnosisDisplay.from_network(net, digits.X, digits.y), tmp_path)

    def test_the_shares_are_those_of_the_report(self, digits):
        net = fastgd.Network([64, 20, 10], init="standard_normal", input_scale=1 / 16, seed=0)
        display = DiagnosisDisplay.from_network(net, digits.X, digits.y)
        for shares, ends, layer in zip(
            display.shares, display.ends, display.diagnosis.layers, strict=True
        ):
            assert sum(shares) + sum(ends) == pytest.approx(1)
            assert sum(ends) == pytest.approx(layer.saturated)

    def test_too_many_layers(self, digits):
        net = fastgd.Network([64, *[4] * 6, 10], input_scale=1 / 16, seed=0)
        with pytest.raises(ValueError, match="at most 6 layers; got 7"):
            DiagnosisDisplay.from_network(net, digits.X, digits.y)


@pytest.mark.slow
def test_command(tmp_path):
    out = str(tmp_path / "a.png")
    result = CliRunner().invoke(command, ["--out", out])
    assert "nothing wrong found" in result.stdout and out in result.stdout
    result = CliRunner().invoke(command, ["--learning-rate", "1000", "--json", "--out", out])
    record = json.loads(result.stdout)
    assert not record["healthy"]
    assert [f["name"] for f in record["findings"]] == ["learning rate too high"]


def test_command_with_a_model(tmp_path, table):
    X, y = table
    np.savez(tmp_path / "data.npz", X=1000 * X, y=y)
    fastgd.Network([5, 6, 1], seed=0, **NUMBERS).save(tmp_path / "net.safetensors")
    given = [str(tmp_path / name) for name in ("net.safetensors", "data.npz", "a.svg")]
    result = CliRunner().invoke(command, [*given[:2], "--json", "--out", given[2]])
    record = json.loads(result.stdout)
    assert "inputs not scaled" in [f["name"] for f in record["findings"]]
    assert record["validation_score"] is None
