"""Inputs and targets that are shifted and scaled as they are read."""

from __future__ import annotations

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from conformance import Case, check

import fastgd
from fastgd.backends import BACKENDS, backend, why_not
from fastgd.engine.architecture import Architecture
from fastgd.engine.scaling import SCALINGS, Vector

WORKING = [name for name in BACKENDS if why_not(name) is None]
COMPILED = [name for name in WORKING if name != "numpy"]
NUMBERS = {"output": "identity", "loss": "mse"}


def columns(n, seed=0):
    """Return a shift and scale for n inputs, of very different sizes."""
    rng = np.random.default_rng(seed)
    return {"input_shift": rng.normal(0, 0.5, n), "input_scale": rng.uniform(0.3, 1.5, n)}


def table(n=400, seed=0):
    """Return columns of very different place and size, and numbers far from 0."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)) * [1, 10, 1e3, 1e-3, 1e6] + [5, 1e3, 1e8, 0, -3]
    return X, 1e7 + X[:, 0] - X[:, 1] / 10 + rng.normal(size=n) * 0.01


def regressor(backend=None, **settings):
    return fastgd.Network([5, 8, 1], **NUMBERS, seed=1, backend=backend, **settings)


def learned(backend=None, **settings):
    X, y = table()
    net = regressor(backend, **settings)
    net.fit(X, y, epochs=30, optimizer=fastgd.Adam(0.01), standardize=True)
    return net, X, y


@pytest.mark.parametrize("subject", COMPILED)
class TestConformance:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("kind", ["float32", "float64", "uint8"])
    def test_every_kind_of_input(self, subject, dtype, kind):
        scaling = columns(40)
        if kind == "uint8":
            scaling = {
                "input_shift": 255 * scaling["input_shift"],
                "input_scale": np.full(40, 0.01),
            }
            scaling["input_scale"][3] = -0.02
        case = Case(sizes=(40, 17, 3), dtype=dtype, kind=kind, **scaling)
        check(backend(subject), case)

    @pytest.mark.parametrize(
        "settings",
        [
            {"input_shift": 0.25},
            {"input_shift": 0.25, "input_scale": -2.0},
            {"input_scale": np.linspace(0.1, 2, 90), "zeros": 0.9, "n": 300},
            {"input_shift": np.linspace(0.1, 2, 90), "zeros": 0.9, "n": 300},
            {"input_scale": np.linspace(0.1, 2, 90), "dropout": [0.3, 0.2]},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("kind", ["float32", "float64"])
    def test_shifts_scales_and_zeros(self, subject, settings, kind):
        check(backend(subject), Case(sizes=(90, 17, 3), kind=kind, **settings))

    def test_one_row(self, subject):
        for n in (1, 2, 5):
            check(backend(subject), Case(sizes=(40, 17, 3), n=n, **columns(40)))

    def test_threads_change_nothing(self, subject):
        X = np.random.default_rng(0).normal(size=(500, 40)).astype(np.float32)
        y = np.arange(500) % 3
        found = []
        for threads in (1, 2):
            net = fastgd.Network(
                [40, 64, 3], seed=0, threads=threads, backend=subject, **columns(40)
            )
            net.fit(X, y, epochs=2, batch_size=100)
            found.append((net.parameters.copy(), net.predict(X)))
        for a, b in zip(*found, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("subject", WORKING)
class TestReading:
    def test_all_ways_to_give_x_are_the_same(self, subject, tmp_path):
        X, y = table()
        file = tmp_path / "X.npy"
        np.save(file, X)
        ways = [X, np.asfortranarray(X), X.astype(">f8"), np.load(file, mmap_mode="r"), X.tolist()]
        nets = []
        for way in ways:
            net = regressor(subject)
            net.fit(way, y, epochs=2, standardize=True, optimizer="adam")
            nets.append(net)
            np.testing.assert_allclose(net.predict(way), net.predict(X), rtol=1e-12)
        for net in nets[1:]:
            assert net.architecture == nets[0].architecture
            np.testing.assert_array_equal(net.parameters, nets[0].parameters)

    @pytest.mark.parametrize("shift", [False, True])
    def test_sparse_matrices(self, subject, shift):
        sparse = pytest.importorskip("scipy.sparse")
        rng = np.random.default_rng(0)
        X = np.where(rng.random((300, 90)) < 0.1, rng.normal(size=(300, 90)), 0)
        y = rng.integers(0, 3, 300)
        scaling = columns(90) if shift else {"input_scale": columns(90)["input_scale"]}
        found = []
        for given in (X, sparse.csr_matrix(X)):
            net = fastgd.Network([90, 8, 3], seed=0, dtype="float64", backend=subject, **scaling)
            net.fit(given, y, epochs=2)
            found.append([net.parameters, net.predict(given), net.gradient(given, y)])
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)

    def test_large_sparse_with_a_shift_is_read_in_pieces(self, subject, monkeypatch):
        sparse = pytest.importorskip("scipy.sparse")
        monkeypatch.setattr("fastgd.engine.inputs.COPY_BYTES", 0)
        monkeypatch.setattr("fastgd.engine.inputs.PIECE", 1000)
        X = sparse.random(200, 90, 0.02, format="csr", random_state=0)
        y = np.arange(200) % 3
        settings = {"seed": 0, "dtype": "float64", "backend": subject, **columns(90)}
        net, same = (fastgd.Network([90, 8, 3], **settings) for _ in range(2))
        net.fit(X, y, epochs=2)
        same.fit(X.toarray(), y, epochs=2)
        np.testing.assert_allclose(net.parameters, same.parameters, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(net.predict(X), same.predict(X.toarray()), rtol=1e-9)

    def test_chunks(self, subject):
        net, X, y = learned(subject)
        one, other = net.copy(), net.copy()
        how = {"epochs": 2, "shuffle": False, "optimizer": "sgd"}
        one.fit(X[:64], y[:64], **how)
        other.fit(lambda: iter([(X[:32], y[:32]), (X[32:64], y[32:64])]), **how)
        np.testing.assert_allclose(one.parameters, other.parameters, rtol=1e-5, atol=1e-7)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_little_calls_are_the_long_ones(self, subject, dtype):
        net, X, y = learned(subject, dtype=dtype)
        for kind in ("float32", "float64"):
            rows = X.astype(kind)
            few, many = net.predict(rows[:1]), net.predict(rows)[:1]
            assert few.dtype == many.dtype == np.float64
            np.testing.assert_allclose(few - 1e7, many - 1e7, rtol=1e-4)
        reference = net.copy()
        reference.backend = "numpy"
        rows = X[:8].astype(dtype)
        costs = [n.partial_fit(rows, y[:8], optimizer="adam") for n in (net, reference)]
        assert costs[0] == pytest.approx(costs[1], rel=1e-4)
        np.testing.assert_allclose(net.parameters, reference.parameters, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("subject", WORKING)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
class TestLearning:
    def test_numbers_far_from_0_are_learned(self, subject, dtype):
        net, X, y = learned(subject, dtype=dtype)
        assert net.score(X, y) > 0.98
        assert net.predict(X).dtype == np.float64
        assert np.corrcoef(net.predict(X)[:, 0], y)[0, 1] > 0.99

    def test_the_gradient_is_that_of_the_standardised_problem(self, subject, dtype):
        net, X, y = learned(subject, dtype=dtype)
        plain = fastgd.Network([5, 8, 1], **NUMBERS, dtype=dtype, backend=subject)
        plain.parameters = net.parameters
        X_seen = (X - net.input_shift) * net.input_scale
        y_seen = (y - net.output_shift) / net.output_scale
        tolerance = {"rtol": 1e-3, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-9}
        np.testing.assert_allclose(net.gradient(X, y), plain.gradient(X_seen, y_seen), **tolerance)
        assert net.loss(X, y) == pytest.approx(plain.loss(X_seen, y_seen), rel=1e-4)
        answers = net.output_shift + net.output_scale * plain.predict(X_seen).astype(float)
        np.testing.assert_allclose(net.predict(X), answers, rtol=1e-9)


def test_the_gradient_agrees_with_finite_differences():
    net, X, y = learned("numpy", dtype="float64")
    rng = np.random.default_rng(3)
    direction, step = rng.normal(size=net.n_parameters), 1e-6
    slope, start = net.gradient(X, y) @ direction, net.parameters.copy()
    costs = []
    for sign in (1, -1):
        net.parameters = start + sign * step * direction
        costs.append(net.loss(X, y))
    assert slope == pytest.approx((costs[0] - costs[1]) / (2 * step), rel=1e-6)


class TestStandardize:
    def test_it_is_mean_and_deviation(self):
        net, X, y = learned()
        np.testing.assert_allclose(net.input_shift, X.mean(0), rtol=1e-12)
        np.testing.assert_allclose(net.input_scale, 1 / X.std(0), rtol=1e-9)
        assert net.output_shift == pytest.approx(y.mean())
        assert net.output_scale == pytest.approx(y.std())

    def test_only_of_the_rows_trained_on(self):
        X, y = table()
        net = regressor()
        X_validation = X + 1e6
        net.fit(X, y, epochs=1, standardize=True, validation_data=(X_validation, y))
        np.testing.assert_allclose(net.input_shift, X.mean(0))
        split = regressor()
        split.fit(X, y, epochs=1, standardize=True, validation_split=0.5)
        assert not np.allclose(split.input_shift, X.mean(0), rtol=1e-9)

    def test_rare_large_values_do_not_dominate(self):
        X = np.zeros((10_000, 2))
        X[0], X[:, 1] = 1000, 3.0
        net = fastgd.Network([2, 1], **NUMBERS, seed=0)
        net.fit(X, np.arange(10_000.0), epochs=0, standardize=True)
        seen = (X - net.input_shift) * net.input_scale
        assert np.abs(seen[:, 0]).max() == pytest.approx(10)
        assert not seen[:, 1][1:].any(), "a column that hardly ever changes is centred"

    def test_a_fit_goes_on_with_the_scaling_it_has(self):
        X, y = table()
        once, twice = regressor(), regressor()
        settings = {"optimizer": "adam", "standardize": True}
        once.fit(X, y, epochs=2, **settings)
        for _ in range(2):
            twice.fit(X, y, epochs=1, **settings)
        np.testing.assert_array_equal(once.parameters, twice.parameters)
        twice.fit(X + 5, y - 3, epochs=1, **settings)
        assert once.architecture == twice.architecture

    def test_a_pixel_scale_stays_and_classes_are_no_numbers(self):
        X = np.random.default_rng(0).integers(0, 256, (50, 4), dtype=np.uint8)
        net = fastgd.Network([4, 3], input_scale=1 / 255, output="softmax", loss="cross_entropy")
        net.fit(X, np.arange(50) % 3, epochs=1, standardize=True)
        assert (net.input_scale, net.input_shift, net.output_scale) == (1 / 255, 0, 1)

    def test_sparse_inputs_are_not_shifted(self):
        sparse = pytest.importorskip("scipy.sparse")
        X = sparse.random(200, 30, 0.1, format="csr", random_state=0) * 1000
        net = fastgd.Network([30, 3], seed=0)
        net.fit(X, np.arange(200) % 3, epochs=1, standardize=True)
        assert net.input_shift == 0
        seen = X.toarray() * net.input_scale
        np.testing.assert_allclose(np.sqrt((seen**2).mean(0)), 1, atol=0.5)

    def test_x_is_not_copied(self):
        X = np.random.default_rng(0).random((400_000, 20), dtype=np.float32) * 100
        y = np.arange(400_000.0)
        net = fastgd.Network([20, 4, 1], **NUMBERS, seed=0)
        net.fit(X[:64], y[:64], epochs=1)
        tracemalloc.start()
        net.fit(X, y, epochs=1, batch_size=256, standardize=True)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.75 * X.nbytes

    def test_refused_arguments_change_nothing(self):
        X, y = table()
        net = regressor()
        before = net.architecture
        with pytest.raises(TypeError, match="standardize"):
            net.fit(X, y, standardize="yes")
        with pytest.raises(ValueError, match="standardize needs X and y as arrays"):
            net.fit(iter([(X, y)]), standardize=True)
        with pytest.raises(ValueError, match="X"):
            net.fit(X[:, :3], y, standardize=True)
        assert net.architecture is before


class TestKeeping:
    @pytest.mark.parametrize(
        "keep",
        [
            copy.copy,
            copy.deepcopy,
            lambda net: net.copy(),
            lambda net: pickle.loads(pickle.dumps(net)),
        ],
    )
    def test_copies(self, keep):
        net, X, _ = learned()
        again = keep(net)
        assert again.architecture == net.architecture
        assert hash(again.architecture) == hash(net.architecture)
        np.testing.assert_array_equal(again.predict(X), net.predict(X))

    def test_files(self, tmp_path):
        net, X, _ = learned()
        net.save(tmp_path / "a.safetensors")
        again = fastgd.load(tmp_path / "a.safetensors")
        assert again.architecture == net.architecture
        np.testing.assert_array_equal(again.predict(X), net.predict(X))
        again.save(tmp_path / "b.safetensors")
        assert (tmp_path / "a.safetensors").read_bytes() == (
            tmp_path / "b.safetensors"
        ).read_bytes()

    def test_a_file_without_scaling_is_what_it_was(self):
        spec = Architecture((2, 1), input_scale=0.5).spec()
        assert not {"input_shift", "output_shift", "output_scale"} & spec.keys()
        assert spec["input_scale"] == 0.5

    def test_damaged_files_are_refused(self, tmp_path):
        safetensors = pytest.importorskip("safetensors.numpy")
        from safetensors import safe_open

        net, _, _ = learned()
        net.save(tmp_path / "a.safetensors")
        with safe_open(tmp_path / "a.safetensors", framework="numpy") as file:
            metadata = file.metadata()
        tensors = safetensors.load_file(tmp_path / "a.safetensors")
        for change in (
            {"input_scale": np.zeros(5)},
            {"input_scale": np.ones(4)},
            {"input_shift": np.full(5, np.nan)},
            {"input_shift": np.arange(5, dtype=np.float32)},
        ):
            safetensors.save_file({**tensors, **change}, tmp_path / "b.safetensors", metadata)
            with pytest.raises(fastgd.ModelFileError, match=r"b\.safetensors: (tensor )?input_s"):
                fastgd.load(tmp_path / "b.safetensors", verify=False)

    def test_like(self):
        net, _, _ = learned()
        other = net.like(seed=5)
        assert other.architecture == net.architecture
        with pytest.raises(ValueError, match="input_shift must be"):
            net.like(sizes=[3, 1], activation="tanh")


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"input_shift": [1, 2]}, r"input_shift must be one number, or .*\(5,\)"),
            ({"input_scale": np.ones((5, 1))}, r"input_scale must be one number, or .*\(5,\)"),
            (
                {"input_scale": [1, 2, 0, 3, 4]},
                r"input_scale must not be 0; got 0 at input_scale\[2\]",
            ),
            ({"input_scale": [1, 2, np.inf, 3, 4]}, "input_scale must be finite; got inf"),
            ({"input_shift": [1, 2, np.nan, 3, 4]}, "input_shift must be finite; got nan"),
            ({"output_scale": 0}, "output_scale must not be 0"),
            ({"output_shift": [1, 2]}, r"output_shift must be one number, or .*\(1,\)"),
        ],
    )
    def test_refused(self, settings, message):
        with pytest.raises(ValueError, match=message):
            regressor(**settings)

    @pytest.mark.parametrize("name", SCALINGS)
    def test_text_is_refused(self, name):
        with pytest.raises(TypeError, match=f"{name} must be"):
            regressor(**{name: "1"})
        with pytest.raises(TypeError, match=f"{name} must be real numbers"):
            regressor(**{name: ["a"]})

    @pytest.mark.parametrize(
        "rules",
        [
            {"output": "softmax", "loss": "cross_entropy"},
            {"output": "sigmoid", "loss": "cross_entropy"},
            {"output": "identity", "loss": "hinge"},
            {"output": "exp", "loss": "poisson"},
        ],
    )
    def test_bounded_targets_are_not_scaled(self, rules):
        with pytest.raises(ValueError, match="output_shift goes with numbers to predict"):
            fastgd.Network([2, 3], **rules, output_shift=1.0)

    def test_columns_alike_are_one_number(self):
        net = regressor(input_shift=[0.0] * 5, input_scale=[2] * 5, output_scale=[3])
        assert net.architecture == Architecture(
            (5, 8, 1), output="identity", loss="mse", input_scale=2.0, output_scale=3.0
        )
        assert net.input_scale == 2.0

    def test_vectors_cannot_be_changed(self):
        scale = np.arange(1.0, 6)
        net = regressor(input_scale=scale)
        scale[:] = 0
        assert net.input_scale[1] == 2
        with pytest.raises(ValueError, match="read-only"):
            net.input_scale[0] = 3
        assert Vector([0.0, 1]) == Vector([-0.0, 1]) != Vector([0.0, 2])

    def test_numbers_too_large_are_named(self):
        net = regressor(input_scale=[1, 1, 1e30, 1, 1], output_scale=1e-30)
        X, y = np.ones((4, 5)), np.ones(4)
        X[2, 2] = 1e10
        with pytest.raises(ValueError, match=r"X must be finite; X\[2, 2\].* too large"):
            net.fit(X, y)
        with pytest.raises(ValueError, match="X must be finite"):
            net.predict(X)
        with pytest.raises(ValueError, match=r"y must be finite; y\[0, 0\].* too large"):
            net.fit(np.ones((4, 5)), y * 1e10)

    def test_a_class_of_several_scaled_outputs(self):
        X = np.random.default_rng(0).normal(size=(30, 2))
        y = np.arange(30) % 3
        settings = {**NUMBERS, "seed": 0, "output_shift": [1, 2, 3.0], "dtype": "float64"}
        nets = [fastgd.Network([2, 3], **settings) for _ in range(2)]
        nets[0].fit(X, y, epochs=2)
        nets[1].fit(X, np.eye(3)[y], epochs=2)
        np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)

    def test_the_summary_says_so(self):
        net, _, _ = learned()
        last = str(net.summary()).splitlines()[-1]
        assert last == (
            "inputs shifted and scaled column by column, outputs in the targets' own units"
        )


def test_explanations_are_in_the_units_the_network_sees():
    from fastgd.explain.curvature import hessian_vector
    from fastgd.explain.layers import layers

    net, X, y = learned(dtype="float64")
    found = layers(net, X, y)
    np.testing.assert_allclose(found.a[0].mean(0), 0, atol=1e-6)
    answers = net.output_shift + net.output_scale * found.a[-1]
    np.testing.assert_allclose(net.predict(X), answers)
    v, step, start = np.random.default_rng(0).normal(size=net.n_parameters), 1e-6, net.parameters
    expected = []
    for sign in (1, -1):
        moved = net.copy()
        moved.parameters = start + sign * step * v
        expected.append(moved.gradient(X, y))
    np.testing.assert_allclose(
        hessian_vector(net, X, y, v), (expected[0] - expected[1]) / (2 * step), rtol=1e-4, atol=1e-6
    )
    names = [finding.name for finding in net.diagnose(X, y).findings]
    assert "inputs not scaled" not in names


class TestLearningRate:
    def test_a_velocity_outlives_a_change_of_rate(self):
        X, y = np.random.default_rng(0).normal(size=(8, 5)), np.ones(8)
        net = regressor()
        for i in range(5):
            before, velocity = net.parameters.copy(), net.state.slots.copy()
            net.partial_fit(X, y, optimizer=fastgd.SGD(0.01 + 1e-6 * i, momentum=0.9))
            if i:
                moved = net.parameters - before
                assert np.abs(moved - 0.9 * velocity[0]).max() < 0.5 * np.abs(moved).max() + 1e-3
        assert net.state.step == 5

    def test_optimizers_of_one_rule_share_their_slots(self):
        X, y = np.random.default_rng(0).normal(size=(8, 5)), np.ones(8)
        net = regressor()
        net.partial_fit(X, y, optimizer=fastgd.Adam(0.01))
        slots = net.state.slots
        net.partial_fit(X, y, optimizer=fastgd.AdamW(0.02))
        assert net.state.slots is slots
        net.partial_fit(X, y, optimizer=fastgd.SGD(0.02, momentum=0.5))
        assert net.state.slots is not slots

    def test_callbacks_set_it(self):
        X, y = np.random.default_rng(0).normal(size=(64, 5)), np.ones(64)

        class Warm:
            def on_epoch_begin(self, network, epoch):
                network.learning_rate = 0.01 * (epoch + 1)

        net, same = regressor(), regressor()
        history = net.fit(X, y, epochs=3, optimizer=fastgd.SGD(0.5, momentum=0.9), callbacks=Warm())
        assert history.learning_rate == [0.01, 0.02, 0.03]
        same.fit(
            X, y, epochs=3, optimizer=fastgd.SGD(lambda epoch: 0.01 * (epoch + 1), momentum=0.9)
        )
        np.testing.assert_array_equal(net.parameters, same.parameters)
        slots = net.state.slots
        net.learning_rate = 0.001
        net.partial_fit(X, y)
        assert net.state.slots is slots and net.learning_rate == 0.001

    def test_without_an_optimizer_there_is_none(self):
        with pytest.raises(ValueError, match="no optimizer has been at work"):
            regressor().learning_rate = 0.1
        net, _, _ = learned()
        with pytest.raises(ValueError, match="learning_rate must be"):
            net.learning_rate = -1
