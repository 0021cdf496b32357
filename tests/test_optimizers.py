"""Every optimizer against torch.optim, scikit-learn and optax, step for step in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fastgd
from fastgd.backends import BACKENDS
from fastgd.engine.layout import Layout
from fastgd.engine.step import apply_update
from fastgd.rules.optimizers import OPTIMIZERS, UPDATES, find_optimizer
from fastgd.rules.update import COLUMNS, column

LAYOUT = Layout((3, 4, 2))
STEPS = 50
STEPPING = {name: one for name, one in OPTIMIZERS.items() if not one.whole}


def start() -> np.ndarray:
    return np.random.default_rng(1).standard_normal(LAYOUT.n_parameters)


def slope(w, step):
    """The gradient of a cost that is bent, and changes from step to step."""
    a = np.sin(np.arange(1.0, LAYOUT.n_parameters + 1) * (step + 1))
    return 4 * w**3 / 10 - a + 0.3 * np.cos(3 * w)


def ours(optimizer, steps=STEPS, split=()):
    w = start()
    slots = np.zeros((len(optimizer.update.slots), w.size))
    optimizer.start(slots)
    table = np.concatenate([optimizer.table(i, 1) for i in range(steps)])
    np.testing.assert_array_equal(table, optimizer.table(0, steps))
    for step in range(steps):
        apply_update(LAYOUT, w, slope(w, step), slots, optimizer.update, table[step])
    return w


def torchs(make, clip=None):
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # NAdam keeps a product of momenta in it
    try:
        return walk(torch, make, clip)
    finally:
        torch.set_default_dtype(before)


def walk(torch, make, clip):
    parameters = []
    for views in (LAYOUT.weights, LAYOUT.biases):
        parameters.append([torch.tensor(v.copy(), requires_grad=True) for v in views(start())])
    optimizer = make(torch, *parameters)
    for step in range(STEPS):
        flat = np.empty(LAYOUT.n_parameters)
        views = [*LAYOUT.weights(flat), *LAYOUT.biases(flat)]
        everything = [*parameters[0], *parameters[1]]
        for view, parameter in zip(views, everything, strict=True):
            view[:] = parameter.detach().numpy()
        g = slope(flat, step)
        slopes = [*LAYOUT.weights(g), *LAYOUT.biases(g)]
        for parameter, part in zip(everything, slopes, strict=True):
            parameter.grad = torch.tensor(part.copy())
        if clip:
            clip(torch, everything)
        optimizer.step()
    for view, parameter in zip(views, everything, strict=True):
        view[:] = parameter.detach().numpy()
    return flat


def groups(weights, biases, **penalty):
    """Parameter groups: penalties on weights alone."""
    return [{"params": weights, **penalty}, {"params": biases, "weight_decay": 0.0}]


CASES = {
    "sgd": (fastgd.SGD(0.05), lambda t, w, b: t.optim.SGD(w + b, 0.05)),
    "momentum": (
        fastgd.SGD(0.05, 0.9, l2=0.1),
        lambda t, w, b: t.optim.SGD(groups(w, b, weight_decay=0.1), 0.05, momentum=0.9),
    ),
    "nesterov": (
        fastgd.SGD(0.05, 0.9, nesterov=True),
        lambda t, w, b: t.optim.SGD(w + b, 0.05, momentum=0.9, nesterov=True),
    ),
    "adam": (fastgd.Adam(), lambda t, w, b: t.optim.Adam(w + b)),
    "adam l2": (
        fastgd.Adam(0.1, beta1=0.8, beta2=0.9, epsilon=1e-3, l2=0.1),
        lambda t, w, b: t.optim.Adam(
            groups(w, b, weight_decay=0.1), 0.1, betas=(0.8, 0.9), eps=1e-3
        ),
    ),
    "adamw": (
        fastgd.AdamW(0.1),
        lambda t, w, b: t.optim.AdamW(groups(w, b, weight_decay=0.01), 0.1),
    ),
    "amsgrad": (fastgd.AMSGrad(0.1), lambda t, w, b: t.optim.Adam(w + b, 0.1, amsgrad=True)),
    "nadam": (fastgd.Nadam(0.1), lambda t, w, b: t.optim.NAdam(w + b, 0.1)),
    "nadam l2": (
        fastgd.Nadam(beta1=0.8, beta2=0.9, epsilon=1e-3, momentum_decay=0.5, l2=0.1),
        lambda t, w, b: t.optim.NAdam(
            groups(w, b, weight_decay=0.1), betas=(0.8, 0.9), eps=1e-3, momentum_decay=0.5
        ),
    ),
    "nadam decay": (
        fastgd.Nadam(0.1, momentum_decay=0, weight_decay=0.1),
        lambda t, w, b: t.optim.NAdam(
            groups(w, b, weight_decay=0.1), 0.1, momentum_decay=0, decoupled_weight_decay=True
        ),
    ),
    "rmsprop": (fastgd.RMSprop(), lambda t, w, b: t.optim.RMSprop(w + b)),
    "rmsprop momentum": (
        fastgd.RMSprop(0.02, alpha=0.9, momentum=0.5),
        lambda t, w, b: t.optim.RMSprop(w + b, 0.02, alpha=0.9, momentum=0.5),
    ),
    "adagrad": (
        fastgd.Adagrad(0.1, initial_sum=0.5),
        lambda t, w, b: t.optim.Adagrad(w + b, 0.1, initial_accumulator_value=0.5),
    ),
    "adadelta": (fastgd.Adadelta(), lambda t, w, b: t.optim.Adadelta(w + b)),
    "adadelta l2": (
        fastgd.Adadelta(0.5, rho=0.8, epsilon=1e-3, l2=0.1),
        lambda t, w, b: t.optim.Adadelta(groups(w, b, weight_decay=0.1), 0.5, rho=0.8, eps=1e-3),
    ),
    "rprop": (fastgd.Rprop(), lambda t, w, b: t.optim.Rprop(w + b)),
    "rprop settings": (
        fastgd.Rprop(0.3, shrink=0.4, grow=1.5, smallest=0.02, largest=0.5),
        lambda t, w, b: t.optim.Rprop(w + b, 0.3, etas=(0.4, 1.5), step_sizes=(0.02, 0.5)),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_as_torch(case):
    optimizer, make = CASES[case]
    expected = torchs(make)
    assert np.abs(expected - start()).min() > 1e-4
    np.testing.assert_allclose(ours(optimizer), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("base", [fastgd.SGD(0.1), fastgd.Adam(0.1)], ids=str)
@pytest.mark.slow
def test_clipping_as_torch(base):
    name = base.name.replace("sgd", "SGD").replace("adam", "Adam")

    def make(t, w, b):
        return getattr(t.optim, name)(w + b, 0.1)

    expected = torchs(make, lambda t, p: t.nn.utils.clip_grad_norm_(p, 1.5))
    np.testing.assert_allclose(ours(replace(base, clip_norm=1.5)), expected, rtol=1e-10)
    with_l2 = replace(base, clip_norm=1.5, l2=0.1)  # torch, too, clips before it penalises

    def make_l2(t, w, b):
        return getattr(t.optim, name)(groups(w, b, weight_decay=0.1), 0.1)

    expected = torchs(make_l2, lambda t, p: t.nn.utils.clip_grad_norm_(p, 1.5))
    np.testing.assert_allclose(ours(with_l2), expected, rtol=1e-10)
    expected = torchs(make, lambda t, p: t.nn.utils.clip_grad_value_(p, 0.3))
    np.testing.assert_allclose(ours(replace(base, clip_value=0.3)), expected, rtol=1e-10)


def test_adam_as_scikit_learn():
    module = pytest.importorskip("sklearn.neural_network._stochastic_optimizers")
    w = start()
    adam = module.AdamOptimizer([w], learning_rate_init=0.05)
    for step in range(STEPS):
        adam.update_params([w], [slope(w, step)])
    np.testing.assert_allclose(ours(fastgd.Adam(0.05, epsilon_hat=True)), w, rtol=1e-10)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_as_scikit_learn(nesterov):
    module = pytest.importorskip("sklearn.neural_network._stochastic_optimizers")
    w = start()
    sgd = module.SGDOptimizer([w], learning_rate_init=0.05, momentum=0.9, nesterov=nesterov)
    for step in range(STEPS):
        sgd.update_params([w], [slope(w, step)])
    np.testing.assert_allclose(ours(fastgd.SGD(0.05, 0.9, nesterov)), w, rtol=1e-10)


@pytest.mark.parametrize(
    ("optimizer", "make"),
    [
        (fastgd.Lion(0.01), lambda o: o.lion(0.01, weight_decay=0)),
        (fastgd.Adam(0.01), lambda o: o.adam(0.01)),
        (fastgd.RMSprop(0.01, alpha=0.9), lambda o: o.rmsprop(0.01, eps_in_sqrt=False)),
    ],
    ids=["lion", "adam", "rmsprop"],
)
@pytest.mark.slow
def test_as_optax(optimizer, make):
    optax = pytest.importorskip("optax")
    with pytest.importorskip("jax").enable_x64(True):
        theirs, w = make(optax), start()
        state = theirs.init(w)
        for step in range(STEPS):
            change, state = theirs.update(slope(w, step), state, w)
            w = w + np.asarray(change)
    np.testing.assert_allclose(ours(optimizer), w, rtol=1e-10)


def test_momenta_of_nadam_far_from_the_start():
    """Their product in one formula is the product."""
    for beta1, decay in ((0.9, 0.004), (0.999, 0.004), (0.9999, 0.0), (0.0, 1.0)):
        nadam, count = fastgd.Nadam(beta1=beta1, momentum_decay=decay), np.arange(1.0, 20_001)
        mu = beta1 * (1 - 0.5 * 0.96 ** (count * decay))
        own = nadam.settings(np.arange(20_000), np.ones(20_000))
        np.testing.assert_allclose(own["now"], (1 - mu) / (1 - np.cumprod(mu)), rtol=1e-12)


def test_lion_as_its_paper():
    w, m = start(), np.zeros(LAYOUT.n_parameters)
    decay = np.zeros_like(w)
    for view in LAYOUT.weights(decay):
        view[:] = 0.2
    for step in range(STEPS):
        g = slope(w, step)
        c = 0.9 * m + 0.1 * g
        w, m = w - 0.01 * (np.sign(c) + decay * w), 0.99 * m + 0.01 * g
    np.testing.assert_allclose(ours(fastgd.Lion(0.01, weight_decay=0.2)), w, rtol=1e-10)


@pytest.mark.parametrize("name", ["gradient_descent", "adaptive_moments"])
def test_penalties_by_hand(name):
    optimizer = {"gradient_descent": fastgd.SGD(0.1), "adaptive_moments": fastgd.Adam(0.1)}[name]
    optimizer = replace(optimizer, l1=0.3, l2=0.2, weight_decay=0.5, max_norm=1.1)
    w = start()
    expected, g = w.copy(), slope(w, 0)
    plain = replace(optimizer, l1=0.0, l2=0.0, weight_decay=0.0, max_norm=None)
    prepared = g.copy()
    for view, own in zip(LAYOUT.weights(prepared), LAYOUT.weights(w), strict=True):
        view += 0.3 * np.sign(own) + 0.2 * own
    for view in LAYOUT.weights(expected):
        view *= 1 - 0.1 * 0.5
    slots = np.zeros((len(plain.update.slots), w.size))
    apply_update(LAYOUT, expected, prepared, slots, plain.update, plain.table(0, 1)[0])
    for view in LAYOUT.weights(expected):
        for j in range(view.shape[1]):
            length = np.linalg.norm(view[:, j])
            view[:, j] *= min(1, 1.1 / length)
    apply_update(LAYOUT, w, g, np.zeros_like(slots), optimizer.update, optimizer.table(0, 1)[0])
    np.testing.assert_allclose(w, expected, rtol=1e-12)
    assert max(np.linalg.norm(v, axis=0).max() for v in LAYOUT.weights(w)) == pytest.approx(1.1)


@pytest.mark.parametrize("name", UPDATES)
class TestUpdates:
    def row(self, rule, rng):
        """Settings between 0.1 and 0.9, all different; bounds of steps that are bounds."""
        if rule.name == "signed_steps":
            return 1.2, 0.5, 0.4, 2.0
        return tuple(np.linspace(0.15, 0.85, len(rule.columns)) + rng.uniform(-0.02, 0.02))

    def test_scalars_are_arrays(self, name):
        rule, rng = UPDATES[name], np.random.default_rng(3)
        w, g = rng.standard_normal((2, 40))
        slots = np.abs(rng.standard_normal((len(rule.slots), 40)))
        row = self.row(rule, rng)
        expected = [rule.scalar_apply(w[i], g[i], tuple(slots[:, i]), row) for i in range(40)]
        rule.apply(w, g, slots, row)
        np.testing.assert_allclose(w, [x for x, _ in expected], rtol=1e-13)
        for k in range(len(slots)):
            np.testing.assert_allclose(slots[k], [s[k] for _, s in expected], rtol=1e-13)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_numbers_keep_their_type(self, name, dtype):
        """In NumPy, and compiled: one float64 would make all of a float32 kernel float64."""
        rule, rng = UPDATES[name], np.random.default_rng(6)
        w, g = rng.standard_normal((2, 5)).astype(dtype)
        slots = np.abs(rng.standard_normal((len(rule.slots), 5))).astype(dtype)
        row = self.row(rule, rng)
        numba = pytest.importorskip("numba")
        pytest.importorskip("fastgd.kernels.functions")  # what compiles `like`
        compiled = numba.njit(rule.scalar_apply)
        number = getattr(numba, dtype)
        own, kept = (numba.types.UniTuple(number, len(x)) for x in (row, slots))
        compiled.compile((number, number, kept, own))
        (kernel,) = compiled.overloads.values()
        assert kernel.signature.return_type == numba.types.Tuple((number, kept))
        before = slots.copy()
        rule.apply(w, g, slots, row)
        assert w.dtype == slots.dtype == dtype and (not slots.size or (slots != before).any())

    def test_nan_stays_nan(self, name):
        """Otherwise divergence would not be seen."""
        rule, rng = UPDATES[name], np.random.default_rng(7)
        w, slots = np.ones(2), np.ones((len(rule.slots), 2))
        row = self.row(rule, rng)
        x, _ = rule.scalar_apply(1.0, np.nan, tuple(slots[:, 0]), row)
        rule.apply(w, np.full(2, np.nan), slots, row)
        assert np.isnan(w).all() and np.isnan(x)

    def test_every_slot_and_column_matters(self, name):
        rule = UPDATES[name]

        def after(changed_slot=None, changed_column=None):
            rng = np.random.default_rng(4)
            w, g = rng.standard_normal((2, 200))
            slots = np.abs(rng.standard_normal((len(rule.slots), 200)))
            row = list(self.row(rule, rng))
            if changed_slot is not None:
                slots[changed_slot] *= (
                    (-1, 20)[changed_slot] if rule.name == "signed_steps" else 1.7
                )
            if changed_column is not None:
                row[changed_column] *= 1.4 if row[changed_column] < 0.7 else 0.6
            rule.apply(w, g, slots, tuple(row))
            return np.concatenate([w, slots.ravel()])

        usual = after()
        for k in range(len(rule.slots)):
            assert not np.array_equal(after(changed_slot=k)[:200], usual[:200]), rule.slots[k]
        for k, column_name in enumerate(rule.columns):
            changed = np.array_equal(after(changed_column=k), usual)
            assert not changed or column_name == "nesterov", column_name

    def test_padding_stays_zero(self, name):
        """Kernels update whole vectors; what is beyond a row is 0 and must stay so."""
        rule, rng = UPDATES[name], np.random.default_rng(5)
        w, slots = np.zeros(3), np.zeros((len(rule.slots), 3))
        for _ in range(3):
            rule.apply(w, np.zeros(3), slots, self.row(rule, rng))
            x, _ = rule.scalar_apply(0.0, 0.0, (0.0,) * len(slots), self.row(rule, rng))
            assert not w.any() and x == 0


@pytest.mark.parametrize("name", STEPPING)
class TestTables:
    def test_biases_are_not_penalised(self, name):
        optimizer = replace(
            STEPPING[name], l1=0.1, l2=0.2, weight_decay=0.3, max_norm=2.0, clip_norm=3.0,
            clip_value=4.0,
        )  # fmt: skip
        weights, biases = optimizer.table(5, 1)[0]
        assert biases[: len(COLUMNS)].tolist() == [1, 0, 0, 4, 3, np.inf]
        assert weights[3:6].tolist() == [4, 3, 2] and weights[0] < 1
        assert np.array_equal(weights[len(COLUMNS) :], biases[len(COLUMNS) :])

    def test_rows_do_not_depend_on_the_call(self, name):
        optimizer = STEPPING[name]
        whole = optimizer.table(0, 3000)
        assert np.isfinite(whole[..., len(COLUMNS) :]).all()
        np.testing.assert_allclose(optimizer.table(2990, 10), whole[2990:], rtol=1e-12)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_padding_stays_zero_with_its_settings(self, name, dtype):
        """Even with the smallest epsilon there may be."""
        small = {"epsilon": 1e-37} if hasattr(STEPPING[name], "epsilon") else {}
        optimizer = replace(STEPPING[name], l1=0.1, l2=0.2, weight_decay=0.3, **small)
        zero = np.dtype(dtype).type(0)
        own = optimizer.table(0, 1).astype(dtype)[0, 0, len(COLUMNS) :]
        w, slots = np.zeros(3, dtype), np.zeros((len(optimizer.update.slots), 3), dtype)
        optimizer.update.apply(w, np.zeros(3, dtype), slots, tuple(map(float, own)))
        x, _ = optimizer.update.scalar_apply(zero, zero, (zero,) * len(slots), tuple(own))
        assert not w.any() and x == 0

    def test_a_network_starts_with_its_slots(self, name):
        optimizer, net = STEPPING[name], fastgd.Network([3, 2], seed=0)
        expected = np.zeros((len(optimizer.update.slots), net.n_parameters), "float32")
        optimizer.start(expected)
        net.state.use(optimizer)
        assert np.array_equal(net.state.slots, expected)

    def test_far_from_the_start(self, name):
        assert np.isfinite(STEPPING[name].table(10**7, 3)[..., len(COLUMNS) :]).all()

    def test_names(self, name):
        assert find_optimizer(name) == STEPPING[name] == type(STEPPING[name])()
        for i, own in enumerate(STEPPING[name].update.columns):
            assert column(STEPPING[name].update, own) == len(COLUMNS) + i


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fastgd.Adam(beta1=1.0), "beta1 must be a number at least 0 and below 1; got 1.0"),
        (lambda: fastgd.Adam(epsilon=0), "epsilon must be a number at least 1e-37; got 0"),
        (lambda: fastgd.Adam(-1), "learning_rate must be a number at least 0; got -1"),
        (lambda: fastgd.SGD(l1=-1), "l1 must be a number at least 0; got -1"),
        (lambda: fastgd.SGD(clip_norm=0), "clip_norm must be a number above 0; got 0"),
        (lambda: fastgd.SGD(max_norm=-2), "max_norm must be a number above 0; got -2"),
        (lambda: fastgd.Rprop(grow=0.9), "grow must be a number above 1; got 0.9"),
        (lambda: fastgd.LBFGS(clip_norm=1.0), "clip_norm must be left out: L-BFGS"),
        (lambda: fastgd.LBFGS(0.1), "learning_rate must be left out: L-BFGS"),
        (lambda: fastgd.LBFGS(l1=0.1), "l1 must be left out: L-BFGS"),
        (lambda: fastgd.LBFGS(memory=0), "memory must be an integer at least 1; got 0"),
        (lambda: fastgd.LBFGS(max_evaluations=0), "max_evaluations must be .* at least 1; got 0"),
        (lambda: fastgd.LBFGS(tolerance=-1), "tolerance must be a number at least 0; got -1"),
        (lambda: find_optimizer("adan"), "optimizer must be one of sgd, .*'adan'; did you mean"),
    ],
)
def test_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
    with pytest.raises(TypeError, match=r"learning_rate must be a number .*; got True"):
        fastgd.Adam(True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_clipping_of_large_gradients(backend):
    """The squares of these gradients are beyond float32's largest number; their norm is not."""
    net = fastgd.Network([2, 1], output="identity", loss="mse", init="zeros", backend=backend)
    net.fit(
        np.full((4, 2), 2e12), np.full((4, 1), -1e12), epochs=1, batch_size=4,
        optimizer=fastgd.SGD(1.0, clip_norm=3.0),
    )  # fmt: skip
    np.testing.assert_allclose(np.linalg.norm(net.parameters), 3, rtol=1e-5)
