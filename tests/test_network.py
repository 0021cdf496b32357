"""The face of a network: what it is made of, what it answers, what it refuses."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import fastgd
from fastgd.backends import BACKENDS
from fastgd.engine.architecture import DTYPES
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.losses import LOSS_NAMES, PUBLIC_LOSSES

rng = np.random.default_rng(0)
X = rng.standard_normal((40, 4))
CLASSES = rng.integers(0, 3, 40)
TARGETS = rng.random((40, 3))


def find_output(loss):
    """Return an output that goes with a loss."""
    outputs = PUBLIC_LOSSES[loss].outputs
    return "sigmoid" if "sigmoid" in outputs else outputs[0]


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture
def net(backend):
    return fastgd.Network([4, 5, 3], seed=1, backend=backend)


class TestMaking:
    @pytest.mark.parametrize("sizes", [[10**6, 10**6, 10], [10**12, 10**12], [1, 10**30]])
    def test_too_large_for_memory(self, sizes):
        with pytest.raises(ValueError, match=r"sizes .* make [\d,]+ parameters, which need .* GiB"):
            fastgd.Network(sizes)

    @pytest.mark.parametrize(
        "sizes", [[4, 3], (4, 3), np.array([4, 3]), iter([4, 3]), range(4, 2, -1)]
    )
    def test_sizes(self, sizes):
        net = fastgd.Network(sizes)
        assert net.sizes == [4, 3]
        assert all(type(size) is int for size in net.sizes)

    @pytest.mark.parametrize(
        ("dtype", "name"),
        [
            ("float32", "float32"),
            (np.float32, "float32"),
            (np.dtype("float64"), "float64"),
            (float, "float64"),
        ],
    )
    def test_dtype(self, dtype, name):
        net = fastgd.Network([4, 3], dtype=dtype)
        assert net.dtype == name and net.parameters.dtype == name
        assert net.predict(X).dtype == name and net.gradient(X, TARGETS).dtype == name

    def test_repr(self):
        assert repr(fastgd.Network([4, 8, 3], activation="relu")) == (
            "Network([4, 8, 3], activation='relu', output='sigmoid', loss='quadratic', "
            "dtype='float32')"
        )

    def test_face(self):
        assert all(hasattr(fastgd, name) for name in fastgd.__all__)
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            fastgd.nothing  # noqa: B018

    @pytest.mark.parametrize(
        ("settings", "error", "message"),
        [
            ({"sizes": [4]}, ValueError, r"sizes must name inputs and outputs .*; got \[4\]"),
            ({"sizes": []}, ValueError, "sizes must name inputs and outputs"),
            ({"sizes": [4, 0]}, ValueError, r"sizes\[1\] must be an integer at least 1; got 0"),
            ({"sizes": [-4, 3]}, ValueError, r"sizes\[0\] must be an integer at least 1; got -4"),
            ({"sizes": [4.0, 3]}, TypeError, r"sizes\[0\] must be an integer at least 1; got 4.0"),
            ({"sizes": ["4", 3]}, TypeError, r"sizes\[0\] must be an integer .*; got '4'"),
            ({"sizes": [True, 3]}, TypeError, r"sizes\[0\] must be an integer .*; got True"),
            ({"sizes": [None, 3]}, TypeError, r"sizes\[0\] must be an integer .*; got None"),
            ({"sizes": 4}, TypeError, "sizes must be a list of integers .*; got 4"),
            ({"sizes": None}, TypeError, "sizes must be a list of integers .*; got None"),
            ({"sizes": "784"}, TypeError, "sizes must be a list of integers .*; got '784'"),
            ({"sizes": b"784"}, TypeError, "sizes must be a list of integers .*; got b'784'"),
            ({"activation": "rellu"}, ValueError, "activation must .*'rellu'; did you mean 'relu'"),
            ({"activation": "RELU"}, ValueError, "'RELU'; did you mean 'relu'"),
            ({"activation": None}, ValueError, "activation must be one of .*; got None"),
            (
                {"activation": ["relu"] * 9},
                ValueError,
                "activation must be .* layers; got 9",
            ),
            ({"activation": "softmax"}, ValueError, "activation must be one of .*; got 'softmax'"),
            ({"output": "sofmax"}, ValueError, "output must .*'sofmax'; did you mean 'softmax'"),
            ({"output": None}, ValueError, "output must be one of .*; got None"),
            ({"output": ["relu"]}, ValueError, "output must be one of"),
            ({"loss": "quadratc"}, ValueError, "loss must .*'quadratc'; did you mean 'quadratic'"),
            ({"loss": "crossentropy"}, ValueError, "did you mean 'cross_entropy'"),
            ({"loss": None}, ValueError, "loss must be one of .*; got None"),
            (
                {"output": "softmax"},
                ValueError,
                "loss 'quadratic' .*, which goes with loss cross_entropy",
            ),
            (
                {"output": "identity", "loss": "cross_entropy"},
                ValueError,
                "loss 'cross_entropy' goes with output softmax, sigmoid; got output 'identity'",
            ),
            ({"init": "he_norml"}, ValueError, "init must .*'he_norml'; did you mean 'he_normal'"),
            ({"init": 0}, ValueError, "init must be one of .*; got 0"),
            ({"dtype": "flaot32"}, ValueError, "dtype must .*'flaot32'; did you mean 'float32'"),
            ({"dtype": "float16"}, ValueError, "dtype must be one of float32, float64"),
            ({"dtype": int}, ValueError, "dtype must be one of float32, float64"),
            ({"dtype": None}, ValueError, "dtype must be one of .*; got None"),
            ({"input_scale": 0}, ValueError, "input_scale must not be 0"),
            ({"input_scale": np.nan}, ValueError, "input_scale must be a .*number; got nan"),
            ({"input_scale": "1/255"}, TypeError, "input_scale must be a .*number; got '1/255'"),
            ({"input_scale": 1e39}, ValueError, "input_scale"),
            ({"input_scale": 1e-60}, ValueError, "input_scale"),
            ({"seed": -1}, ValueError, "seed must be an integer at least 0; got -1"),
            ({"seed": 1.5}, TypeError, "seed must be an integer at least 0; got 1.5"),
            ({"seed": "1"}, TypeError, "seed must be an integer at least 0; got '1'"),
            ({"backend": "nunpy"}, ValueError, "backend must .*'nunpy'; did you mean 'numpy'"),
            ({"backend": 3}, ValueError, "backend must be one of .*; got 3"),
        ],
    )
    def test_refused(self, settings, error, message):
        with pytest.raises(error, match=message):
            fastgd.Network(**{"sizes": [4, 3], **settings})

    def test_a_rule_itself_will_do_or_is_refused(self):
        """A rule class instead of its name must not fail later, in the first call."""
        try:
            net = fastgd.Network([4, 5, 3], activation=ACTIVATIONS["relu"], backend="numpy")
        except ValueError as error:
            assert "activation must be one of" in str(error)
        else:
            assert net.predict(X).shape == (40, 3)


class TestSeeds:
    def start(self, seed):
        return fastgd.Network([4, 5, 3], seed=seed).parameters

    def test_same_seed_same_start(self):
        assert np.array_equal(self.start(1), self.start(1))
        assert np.array_equal(self.start(1), self.start(np.int64(1)))
        assert np.array_equal(self.start(1), self.start(np.random.default_rng(1)))
        assert np.array_equal(self.start(2**2000), self.start(2**2000))

    def test_other_seeds_other_starts(self):
        starts = [self.start(seed) for seed in (0, 1, None, None)]
        for i, start in enumerate(starts):
            assert not any(np.array_equal(start, other) for other in starts[:i])

    def test_a_generator_goes_on(self):
        generator = np.random.default_rng(1)
        assert not np.array_equal(self.start(generator), self.start(generator))


class TestParameters:
    def test_layout(self, net):
        W, b = net.weights, net.biases
        assert [w.shape for w in W] == [(4, 5), (5, 3)] and [c.shape for c in b] == [(5,), (3,)]
        flat = np.concatenate([W[0].ravel(), b[0], W[1].ravel(), b[1]])
        assert np.array_equal(net.parameters, flat) and net.n_parameters == flat.size == 43

    def test_views_are_live(self, net):
        before = net.predict(X)
        net.weights[0][1, 2] = 7
        net.biases[1][0] = -7
        assert net.parameters[1 * 5 + 2] == 7 and net.parameters[-3] == -7
        assert not np.array_equal(net.predict(X), before)
        parameters = net.parameters
        parameters[:] = 0
        assert not any(view.any() for view in (*net.weights, *net.biases))
        assert np.array_equal(net.predict(X), np.full((40, 3), 0.5))

    def test_views_stay_live_through_set_and_fit(self, net):
        parameters, W = net.parameters, net.weights[0]
        net.parameters = np.arange(43) / 43
        assert np.shares_memory(net.parameters, parameters) and W[0, 1] == np.float32(1 / 43)
        net.fit(X, TARGETS, epochs=1, optimizer="sgd")
        assert np.shares_memory(net.parameters, parameters) and np.shares_memory(W, parameters)
        assert not np.array_equal(parameters, (np.arange(43) / 43).astype(np.float32))

    def test_setting_copies(self, net):
        values = np.ones(43, np.float32)
        net.parameters = values
        values[0] = 5
        assert net.parameters[0] == 1

    @pytest.mark.parametrize("kind", [list, tuple, np.float16, np.int64, bool])
    def test_any_numbers_will_do(self, net, kind):
        values = np.arange(43) % 2
        net.parameters = kind(values) if kind in (list, tuple) else values.astype(kind)
        assert np.array_equal(net.parameters, values)

    @pytest.mark.parametrize(
        ("values", "error", "message"),
        [
            (np.zeros(42), ValueError, r"parameters must have shape \(43,\); got shape \(42,\)"),
            (np.zeros((43, 1)), ValueError, r"got shape \(43, 1\)"),
            (0.5, ValueError, r"got shape \(\)"),
            ([np.nan] + [0] * 42, ValueError, r"parameters must be finite; parameters\[0\] is nan"),
            ([0] * 42 + [-np.inf], ValueError, r"parameters\[42\] is -inf"),
            ([0] * 42 + [1e39], ValueError, r"parameters\[42\] is 1e\+39"),
            (["a"] * 43, TypeError, "parameters must be real numbers"),
            ([1j] * 43, TypeError, "parameters must be real numbers; got dtype complex128"),
        ],
    )
    def test_refused(self, net, values, error, message):
        before = net.parameters.tobytes()
        with pytest.raises(error, match=message):
            net.parameters = values
        assert net.parameters.tobytes() == before

    def test_fit_refuses_nan(self, net):
        net.weights[0][0, 0] = np.nan
        before = net.parameters.tobytes()
        with pytest.raises(ValueError, match=r"parameters must be finite; parameters\[0\] is nan"):
            net.fit(X, TARGETS, optimizer="sgd")
        assert net.parameters.tobytes() == before

    @pytest.mark.parametrize("name", ["weights", "biases", "sizes", "dtype", "n_parameters"])
    def test_read_only(self, net, name):
        with pytest.raises(AttributeError):
            setattr(net, name, getattr(net, name))


class TestAnswers:
    def test_predict(self, net):
        outputs = net.predict(X)
        assert outputs.shape == (40, 3) and outputs.flags.c_contiguous and outputs.flags.writeable
        assert np.array_equal(outputs, net.predict(X))
        for i in (0, 39):
            np.testing.assert_allclose(net.predict(X[i : i + 1])[0], outputs[i], rtol=1e-6)

    def test_nothing_changes_by_asking(self, net):
        before = net.parameters.tobytes(), str(net.rng.bit_generator.state)
        net.predict(X), net.score(X, CLASSES), net.loss(X, TARGETS), net.gradient(X, TARGETS)
        assert (net.parameters.tobytes(), str(net.rng.bit_generator.state)) == before

    def test_a_step_is_the_gradient(self, net):
        gradient, before = net.gradient(X, TARGETS), net.parameters.copy()
        assert gradient.shape == before.shape
        net.fit(X, TARGETS, epochs=1, batch_size=40, optimizer=fastgd.SGD(0.5))
        np.testing.assert_allclose(net.parameters, before - 0.5 * gradient, atol=1e-6)

    @pytest.mark.parametrize("loss", LOSS_NAMES)
    def test_loss_of_classes_is_that_of_one_hot_targets(self, backend, loss):
        output = find_output(loss)
        net = fastgd.Network([4, 5, 3], loss=loss, output=output, seed=1, backend=backend)
        one_hot = np.eye(3)[CLASSES]
        assert net.loss(X, CLASSES) == pytest.approx(net.loss(X, one_hot))
        np.testing.assert_allclose(net.gradient(X, CLASSES), net.gradient(X, one_hot), rtol=1e-6)
        halves = [net.loss(X[half], CLASSES[half]) for half in (slice(20), slice(20, 40))]
        whole = sum(halves) if loss == "sse" else np.mean(halves)
        assert net.loss(X, CLASSES) == pytest.approx(whole)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_input_scale(self, backend, dtype):
        pixels = np.random.default_rng(0).integers(0, 256, (30, 4), dtype=np.uint8)
        nets = [
            fastgd.Network([4, 5, 3], seed=1, input_scale=scale, dtype=dtype, backend=backend)
            for scale in (1 / 256, 1)
        ]
        expected = nets[1].predict(pixels / 256)  # exact: a power of two
        assert np.array_equal(nets[0].predict(pixels), expected)
        assert np.array_equal(nets[0].predict(pixels.astype(np.int64)), expected)

    def test_many_rows_in_short_calls(self, net, monkeypatch):
        whole = [net.predict(X), net.gradient(X, TARGETS), net.loss(X, TARGETS)]
        monkeypatch.setattr("fastgd.engine.runner.CALL_WORK", 7 * net.n_parameters)
        parts = [net.predict(X), net.gradient(X, TARGETS), net.loss(X, TARGETS)]
        for a, b in zip(parts, whole, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)

    def test_backends_agree(self):
        nets = [fastgd.Network([4, 5, 3], seed=1, backend=name) for name in BACKENDS]
        for other in nets[1:]:
            np.testing.assert_allclose(other.predict(X), nets[0].predict(X), rtol=1e-5)
            np.testing.assert_allclose(
                other.gradient(X, TARGETS), nets[0].gradient(X, TARGETS), rtol=1e-4, atol=1e-7
            )
            assert other.loss(X, TARGETS) == pytest.approx(nets[0].loss(X, TARGETS), rel=1e-5)
            assert other.score(X, CLASSES) == nets[0].score(X, CLASSES)


class TestScore:
    """A network that says its inputs: what it is scored is what is asked."""

    def echo(self, backend, n, **settings):
        net = fastgd.Network([n, n], output="identity", backend=backend, **settings)
        net.parameters = np.concatenate([np.eye(n).ravel(), np.zeros(n)])
        return net

    def test_classes(self, backend):
        said = [[0.9, 0.1, 0], [0, 0.4, 0.3], [0, 0, 1], [0.2, 0.3, 0.1]]
        net = self.echo(backend, 3)
        assert net.score(said, [0, 1, 2, 0]) == 0.75
        assert net.score(said, np.eye(3)[[0, 1, 2, 0]]) == 0.75
        assert net.score(said, [1, 2, 0, 2]) == 0

    def test_numbers(self, backend):
        net = self.echo(backend, 1)
        y = np.array([1.0, 2, 3, 4])
        assert net.score(y[:, None], y) == 1
        assert net.score(np.full((4, 1), 2.5), y) == 0
        # residuals 1, 0, 0, 0; spread 2.25 + 0.25 + 0.25 + 2.25 = 5
        assert net.score([[2], [2], [3], [4]], y) == pytest.approx(0.8)

    def test_several_numbers_are_averaged(self, backend):
        net = self.echo(backend, 2)
        y = np.array([[1.0, 1], [2, 2], [3, 3], [4, 4]])
        said = y.copy()
        said[:, 1] = 2.5
        assert net.score(said, y) == pytest.approx(0.5)

    def test_a_constant_target(self, backend):
        net = self.echo(backend, 1)
        assert net.score([[2], [2]], [2, 2]) == 1
        assert net.score([[2], [3]], [2, 2]) == 0

    def test_one_sigmoid_output(self, backend):
        net = fastgd.Network([1, 1], loss="cross_entropy", backend=backend)
        net.parameters = [1, 0]
        assert net.score([[-1], [1], [2], [-2]], [0, 1, 0, 0]) == 0.75
        assert net.score([[-1], [1], [2], [-2]], [[0], [1], [0], [0]]) == 0.75

    def test_several_labels_must_all_be_right(self, backend):
        net = fastgd.Network([2, 2], loss="cross_entropy", backend=backend)
        net.parameters = [1, 0, 0, 1, 0, 0]
        said = [[1, 1], [1, -1], [-1, -1], [-1, 1]]
        assert net.score(said, [[1, 1], [1, 1], [0, 0], [0, 1]]) == 0.75


class TestCopies:
    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
    def test_a_copy_goes_its_own_way(self, net, copied):
        net.fit(X, TARGETS, epochs=1, optimizer="sgd")
        other = copied(net)
        assert other.parameters.tobytes() == net.parameters.tobytes()
        net.fit(X, TARGETS, epochs=2, optimizer="sgd")
        assert other.parameters.tobytes() != net.parameters.tobytes()
        other.fit(X, TARGETS, epochs=2, optimizer="sgd")
        assert other.parameters.tobytes() == net.parameters.tobytes()
        other.weights[0][:] = 0
        assert np.shares_memory(other.weights[0], other.parameters) and net.weights[0].all()


def test_warmup():
    fastgd.warmup("float32")
    with pytest.raises(ValueError, match="dtype must be one of"):
        fastgd.warmup("float23")


@pytest.mark.parametrize("threads", [None, 0, -1, True, 2.0, "two", 257, 10**20])
def test_threads_that_are_refused(threads):
    with pytest.raises((TypeError, ValueError), match='threads must be "auto" or an integer from'):
        fastgd.Network([2, 1], threads=threads)


@pytest.mark.parametrize("asked", ["0", "-1", "two", "1.5"])
def test_a_bad_number_of_threads_in_the_environment(monkeypatch, asked):
    monkeypatch.setenv("FASTGD_NUM_THREADS", asked)
    with pytest.raises(ValueError, match="FASTGD_NUM_THREADS must be an integer at least 1"):
        fastgd.Network([2, 1])
