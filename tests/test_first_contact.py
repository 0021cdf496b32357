"""What a newcomer meets first: what is printed, and how a slip is answered."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import fastgd
from fastgd.cli import main

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 5)).astype(np.float32)
NUMBERS = X[:, 0] * 2 + X[:, 1]
CLASSES = np.argmax(X[:, :3], axis=1)
SEVERAL = X[:, :3] > 0


def regressor() -> fastgd.Network:
    return fastgd.Network([5, 4, 1], seed=1)


def classifier(**settings) -> fastgd.Network:
    return fastgd.Network([5, 4, 3], output="softmax", loss="cross_entropy", seed=1, **settings)


def test_a_history_is_one_line_however_long_the_fit():
    history = regressor().fit(X, NUMBERS, epochs=60, validation_split=0.1)
    assert len(repr(history)) < 200
    assert repr(history).startswith("History(epochs=60, stop_reason='epochs', last cost=")
    assert "validation_cost=" in repr(history)


class TestMetrics:
    @pytest.mark.parametrize("metric", ["accuracy", "f1", "top_1"])
    def test_those_of_classes_refuse_numbers(self, metric):
        net = regressor()
        before = net.parameters.copy()
        with pytest.raises(ValueError, match=f"metrics '{metric}|metrics 'top_k") as error:
            net.fit(X, NUMBERS, metrics=[metric])
        assert "is for classes, and y holds numbers" in str(error.value)
        np.testing.assert_array_equal(net.parameters, before)

    def test_those_of_one_class_refuse_several(self):
        net = fastgd.Network([5, 4, 3], output="sigmoid", loss="binary_cross_entropy", seed=1)
        with pytest.raises(ValueError, match="metrics 'f1' needs one class a row"):
            net.fit(X, SEVERAL, metrics=["f1"])
        assert "accuracy" in net.fit(X, SEVERAL, epochs=1, metrics=["accuracy"])

    def test_zeros_and_ones_are_classes_under_any_loss(self):
        history = regressor().fit(X, (NUMBERS > 0) * 1.0, epochs=1, metrics=["accuracy", "f1"])
        assert 0 <= history["accuracy"][0] <= 1

    def test_top_of_more_than_there_are(self):
        with pytest.raises(ValueError, match="metrics 'top_4' must be of at most the 3 outputs"):
            classifier().fit(X, CLASSES, metrics=["top_4"])

    def test_a_function_that_returns_no_number_is_named(self):
        def name_of(y, outputs):
            return "good"

        with pytest.raises(TypeError, match="metrics must return one number; name_of returned"):
            classifier().fit(X, CLASSES, epochs=1, metrics=[name_of])


class TestClassesForObjects:
    def test_a_rule(self):
        with pytest.raises(ValueError, match=r"give an object, LeakyReLU\(\)"):
            classifier(activation=fastgd.LeakyReLU)

    def test_a_callback(self):
        with pytest.raises(TypeError, match=r"callbacks must be .* EarlyStopping\(...\); got the"):
            classifier().fit(X, CLASSES, callbacks=[fastgd.EarlyStopping])


class TestChunks:
    def test_targets_beside_an_iterator(self):
        with pytest.raises(ValueError, match="y must come with the chunks"):
            regressor().fit(iter([(X, NUMBERS)]), NUMBERS)

    def test_a_function_that_returns_no_iterator(self):
        with pytest.raises(TypeError, match=r"X must return an iterator of chunks.* returned 3"):
            regressor().fit(lambda: 3)


class TestDiagnosis:
    @pytest.mark.parametrize(
        ("y", "output"), [(CLASSES, "softmax"), (SEVERAL, "sigmoid"), (SEVERAL[:, :1], "sigmoid")]
    )
    def test_offers_cross_entropy_for_classes_under_a_squared_loss(self, y, output):
        n_outputs = 3 if y.ndim == 1 else y.shape[1]
        net = fastgd.Network([5, 4, n_outputs], output="sigmoid", loss="quadratic", seed=1)
        advice = {note.name: note.advice for note in net.diagnose(X, y).notes}
        assert f'loss="cross_entropy" with output="{output}"' in advice["squared loss for classes"]

    def test_does_not_for_numbers_or_under_cross_entropy(self):
        for net, y in ((regressor(), NUMBERS), (classifier(), CLASSES)):
            assert "squared loss for classes" not in {n.name for n in net.diagnose(X, y).notes}

    def test_names_activations_as_people_do(self):
        assert "network: relu units" in str(classifier(activation="relu").diagnose(X, CLASSES))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--warmup 0", "--warmup must be a number above 0"),
        ("--schedule one_cycle --warmup-share 1", "--warmup-share must be a number"),
        ("--optimizer lbfgs --schedule cosine", "--schedule and --warmup do not go with"),
    ],
)
def test_the_command_line_names_the_option_that_was_given(options, told, tmp_path):
    out = tmp_path / "out.safetensors"
    result = CliRunner().invoke(main, ["train", "digits", "--out", str(out), *options.split()])
    assert result.exit_code == 2
    assert told in str(result.stderr or result.exception)
    assert not out.exists()
