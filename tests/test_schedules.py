"""Every schedule against torch.optim.lr_scheduler where it has it, and what is refused."""

from __future__ import annotations

import functools
import math
import pickle

import numpy as np
import pytest

import fastgd
from fastgd import (
    SGD,
    Constant,
    Cosine,
    CosLog,
    Exponential,
    InverseScaling,
    OneCycle,
    Piecewise,
    Polynomial,
    ReduceOnPlateau,
    Step,
    Warmup,
)
from fastgd.rules.schedule import Function
from fastgd.rules.schedules import SCHEDULES, Clock, find_schedule

#: One of each, with all settings other than the defaults.
EXAMPLES = [
    Constant(0.5),
    Step(1.0, factor=0.1, every=2),
    Exponential(2.0, decay=0.5),
    InverseScaling(1.0, power=1.0),
    Piecewise([1, 2.5], [0.3, 0.2, 0.1]),
    Polynomial(0.7, epochs=3.0, power=2.0, end=0.1),
    Cosine(0.7, epochs=3.0, minimum=0.1),
    Cosine(0.7, period=2.0, factor=3.0),
    CosLog(0.7, epochs=3.0, cycles=2),
    OneCycle(0.7, epochs=4.0, warmup=0.4, start_factor=0.1, end_factor=0.01),
    Warmup(epochs=2.0, then=Cosine(0.7, epochs=3.0)),
    Warmup(steps=3, then=0.5),
    ReduceOnPlateau(
        0.7, "validation_score", factor=0.5, patience=2, tolerance=0.1, minimum=0.01,
        higher_is_better=True,
    ),
]  # fmt: skip
each = pytest.mark.parametrize("schedule", EXAMPLES, ids=str)


def rates(schedule, n, steps_per_epoch=1, **known):
    clock = Clock(steps_per_epoch, **known)
    return schedule.rates(np.arange(n), clock)


def torchs(make, n, rate=0.7, measured=None):
    """The rates of n steps of a scheduler, one step of it after each."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    found = []
    for i in range(n):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if i < n - 1:
            scheduler.step(*([] if measured is None else [measured[i]]))
    return found


def alike(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-16)


class TestAsTorch:
    def test_step(self):
        expected = torchs(lambda s, o: s.StepLR(o, 3, gamma=0.1), 10)
        alike(rates(Step(0.7, factor=0.1, every=3), 10), expected)

    def test_exponential(self):
        expected = torchs(lambda s, o: s.ExponentialLR(o, 0.9), 10)
        alike(rates(Exponential(0.7, decay=0.9), 10), expected)

    def test_piecewise(self):
        expected = torchs(lambda s, o: s.MultiStepLR(o, [2, 5], gamma=0.1), 10)
        alike(rates(Piecewise([2, 5], [0.7, 0.07, 0.007]), 10), expected)

    @pytest.mark.parametrize("power", [1.0, 2.5])
    def test_polynomial(self, power):
        expected = torchs(lambda s, o: s.PolynomialLR(o, 12, power), 15)
        alike(rates(Polynomial(0.7, power=power), 15, 3, epochs=4), expected)

    def test_cosine(self):
        expected = torchs(lambda s, o: s.CosineAnnealingLR(o, 12, eta_min=0.1), 13)
        alike(rates(Cosine(0.7, minimum=0.1), 13, 3, epochs=4), expected)
        alike(rates(Cosine(0.7, 4, minimum=0.1), 20, 3, epochs=9)[13:], 0.1)

    @pytest.mark.parametrize("factor", [1, 2, 3, 5])
    def test_restarts(self, factor):
        """torch's own rounding is off at restarts when it is told the epoch; its count is not."""
        expected = torchs(lambda s, o: s.CosineAnnealingWarmRestarts(o, 5, factor, 0.1), 700)
        alike(rates(Cosine(0.7, minimum=0.1, period=5, factor=factor), 700), expected)
        fine = rates(Cosine(0.7, minimum=0.1, period=1, factor=factor), 700, 5)
        alike(fine, expected)

    @pytest.mark.parametrize("warmup", [0.0, 0.05, 0.3, 0.5, 0.95])
    def test_one_cycle(self, warmup):
        expected = torchs(
            lambda s, o: s.OneCycleLR(o, 0.7, 30, pct_start=warmup, cycle_momentum=False), 30
        )
        alike(rates(OneCycle(0.7, warmup=warmup), 30, 6, epochs=5), expected)
        expected = torchs(
            lambda s, o: s.OneCycleLR(
                o, 0.7, 30, pct_start=warmup, div_factor=5, final_div_factor=4, cycle_momentum=False
            ),
            30,
        )
        schedule = OneCycle(0.7, epochs=5, warmup=warmup, start_factor=0.2, end_factor=0.05)
        alike(rates(schedule, 40, 6, epochs=5), [*expected, *expected[-1:] * 10])

    def test_warmup(self):
        def make(s, o):
            up = s.LinearLR(o, 1 / 6, 1.0, total_iters=5)
            down = s.CosineAnnealingLR(o, 14)
            return s.SequentialLR(o, [up, down], [6])

        expected = torchs(make, 20)
        for schedule in (Warmup(epochs=3, then=Cosine(0.7)), Warmup(steps=6, then=Cosine(0.7))):
            alike(rates(schedule, 20, 2, epochs=10), expected)

    @pytest.mark.parametrize("higher", [False, True])
    @pytest.mark.parametrize("patience", [0, 1, 3])
    def test_plateau(self, patience, higher):
        rng = np.random.default_rng(patience)
        measured = 1 + np.round(rng.random(60), 1) - 0.01 * np.arange(60)
        measured = (-measured + 5 if higher else measured).tolist()
        measured[7] = math.nan
        expected = torchs(
            lambda s, o: s.ReduceLROnPlateau(
                o, "max" if higher else "min", 0.8, patience, threshold=0.01, min_lr=0.02, eps=0
            ),
            60,
            measured=measured,
        )
        assert len(set(expected)) > 3
        schedule = ReduceOnPlateau(
            0.7, "it", factor=0.8, patience=patience, tolerance=0.01, minimum=0.02,
            higher_is_better=higher,
        )  # fmt: skip
        found = [
            rates(schedule, 1, 1, history={"cost": [1.0] * n, "it": measured[:n]})[0]
            for n in range(60)
        ]
        alike(found, expected)


class TestAll:
    @each
    def test_calls_do_not_matter(self, schedule):
        clock = Clock(4, 6, {"validation_score": [0.1]})
        whole = schedule.rates(np.arange(24), clock)
        for first in range(24):
            assert schedule.rates(np.arange(first, 24), clock).tolist() == whole[first:].tolist()
            assert schedule.rates(np.array([first]), clock)[0] == whole[first]

    @each
    def test_epochs_that_begin_at_another_step(self, schedule):
        """A fit that goes on, or an optimizer whose steps began earlier."""
        history = {"validation_score": [0.1]}
        whole = schedule.rates(np.arange(24), Clock(4, 6, history))
        late = Clock(4, 6, history, first_step=108, first_epoch=2)
        assert schedule.rates(np.arange(108, 124), late).tolist() == whole[8:].tolist()

    @each
    def test_values(self, schedule):
        again = pickle.loads(pickle.dumps(schedule))
        assert again == schedule and hash(again) == hash(schedule)
        assert eval(repr(schedule), vars(fastgd)) == schedule
        assert SGD(schedule) == SGD(again) and hash(SGD(schedule)) == hash(SGD(again))
        assert find_schedule(schedule) is schedule

    @each
    def test_called_with_an_epoch(self, schedule):
        assert [schedule(epoch) for epoch in range(5)] == rates(schedule, 5).tolist()

    def test_every_one_is_tried_and_public(self):
        assert {type(schedule) for schedule in EXAMPLES} == set(SCHEDULES.values())
        for name, schedule in SCHEDULES.items():
            assert getattr(fastgd, schedule.__name__) is schedule and schedule.name == name
            assert SCHEDULES.find(name) is schedule

    def test_repr(self):
        assert repr(Warmup(5, then=Cosine(0.1))) == (
            "Warmup(epochs=5.0, then=Cosine(learning_rate=0.1))"
        )
        assert repr(SGD(Step(0.1, every=3))) == (
            "SGD(learning_rate=Step(learning_rate=0.1, every=3))"
        )

    @pytest.mark.parametrize(
        "schedule", [InverseScaling(0.1, power=1000), Exponential(0.1, decay=1e-200)]
    )
    def test_rates_that_fall_fast_end_at_zero(self, schedule):
        assert schedule(5) == 0

    def test_rates_that_are_too_large(self):
        with pytest.raises(
            ValueError, match=r"Exponential\(.*\) gives inf at step 4, counted from"
        ):
            rates(Exponential(0.1, decay=1e200), 6, 2)


class TestWarmup:
    def test_what_follows_begins_at_its_beginning(self):
        schedule = Warmup(steps=3, then=Function(lambda step: 1 / (1 + step)))
        alike(rates(schedule, 6, None), [1 / 3, 2 / 3, 1, 1, 1 / 2, 1 / 3])
        schedule = Warmup(epochs=1.5, then=Step(1.0, every=1))
        alike(rates(schedule, 10, 2), [1 / 3, 2 / 3, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125])

    def test_nested(self):
        schedule = Warmup(steps=2, then=Warmup(steps=2, then=0.8))
        alike(rates(schedule, 5, None), [0.2, 0.4, 0.4, 0.8, 0.8])

    def test_all_of_the_fit(self):
        alike(
            rates(Warmup(epochs=4, then=Polynomial(1.0)), 6, epochs=4), [0.25, 0.5, 0.75, 1, 1, 0]
        )

    def test_a_share_of_a_step(self):
        assert rates(Warmup(epochs=0.01, then=0.5), 2, 10).tolist() == [0.5, 0.5]


class TestFunctions:
    def test_of_the_epoch_and_of_the_step(self):
        assert rates(find_schedule(lambda epoch: epoch), 4, 2).tolist() == [0, 0, 1, 1]
        assert rates(find_schedule(lambda step: step), 4, 2).tolist() == [0, 1, 2, 3]
        assert rates(find_schedule(lambda step, scale=2: step * scale), 3, 2).tolist() == [0, 2, 4]
        # A step that is not what it is called with.
        fixed = functools.partial(lambda epoch, step: step + epoch, step=5)
        assert rates(find_schedule(fixed), 4, 2).tolist() == [5, 5, 6, 6]
        given = functools.partial(lambda a, step: a * step, 2)
        assert rates(find_schedule(given), 3, 2).tolist() == [0, 2, 4]

    def test_builtins_and_objects(self):
        class Rate:
            def __call__(self, step):
                return np.float32(step)

        assert rates(find_schedule(Rate()), 3, 2).tolist() == [0, 1, 2]
        assert rates(find_schedule({0: 0.5, 1: 0.25}.get), 4, 2).tolist() == [0.5, 0.5, 0.25, 0.25]
        assert rates(find_schedule(abs), 4, 2).tolist() == [0, 0, 1, 1]
        assert rates(find_schedule(lambda epoch: np.array(0.5)), 2).tolist() == [0.5, 0.5]

    @pytest.mark.parametrize("value", [None, "0.1", [0.1], np.array([0.1]), True, 1j])
    def test_what_is_no_number(self, value):
        def odd(step):
            return value if step == 2 else 0.1

        message = r"learning_rate must be a number, .*; odd gives .* at step 2, counted from 0"
        with pytest.raises(TypeError, match=message):
            rates(find_schedule(odd), 5)
        with pytest.raises(TypeError, match=r"gives .* at epoch 1, counted from 0"):
            rates(find_schedule(lambda epoch: value if epoch else 0.1), 5, 2)

    @pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, 10**400])
    def test_what_is_no_rate(self, value):
        def odd(epoch):
            return value if epoch == 2 else 0.1

        with pytest.raises(ValueError, match=r"finite and at least 0; odd gives .* at step 4, "):
            rates(find_schedule(odd), 8, 2)

    @pytest.mark.parametrize("function", [lambda: 1, lambda a, b: 1, lambda *, step: 1])
    def test_what_cannot_be_called(self, function):
        with pytest.raises(TypeError, match=r"must be a function of one argument.*got <lambda>"):
            SGD(function)

    def test_what_is_no_schedule(self):
        for given in ("0.1", None, True, [0.1], Step):
            with pytest.raises(TypeError, match="learning_rate must be a number at least 0, a sch"):
                SGD(given)
        with pytest.raises(TypeError, match="then must be a number at least 0, a schedule"):
            Warmup(1, then="0.1")
        with pytest.raises(ValueError, match="then must be a number at least 0; got -1"):
            Warmup(1, then=-1)


class TestPlateau:
    def test_a_monitor_that_is_not_measured(self):
        schedule = ReduceOnPlateau(0.5, monitor="validation_cost")
        message = "monitor 'validation_cost' is not measured; measured are cost, seconds"
        with pytest.raises(ValueError, match=message):
            rates(schedule, 1, history={"cost": [1.0], "seconds": [2.0], "validation_score": []})
        with pytest.raises(ValueError, match=message):
            Warmup(1, then=schedule).check({"cost": False, "seconds": False})
        assert rates(schedule, 1, history={"cost": []}) == 0.5
        schedule.check({"validation_cost": False})
        schedule.check({"validation_cost": None})

    def test_the_wrong_direction(self):
        with pytest.raises(ValueError, match="higher_is_better must be True for the monitor 'r2'"):
            ReduceOnPlateau(0.5, monitor="r2").check({"r2": True})

    def test_others_need_nothing(self):
        for schedule in EXAMPLES[:-1]:
            schedule.check({})


def fit(schedule, epochs=4, **more):
    X, y = np.random.default_rng(0).standard_normal((20, 3)), np.arange(20) % 2
    net = fastgd.Network([3, 2], output="softmax", loss="cross_entropy", seed=1, backend="numpy")
    return net, net.fit(X, y, epochs=epochs, batch_size=5, optimizer=SGD(schedule), **more)


class TestFits:
    def test_rates_in_the_history(self):
        _, history = fit(Cosine(0.8))
        alike(history["learning_rate"], rates(Cosine(0.8), 16, 4, epochs=4)[3::4])

    def test_plateau(self):
        _, history = fit(ReduceOnPlateau(0.8, patience=0, tolerance=0.99))
        alike(history["learning_rate"], [0.8, 0.8, 0.08, 0.008])

    def test_plateau_is_refused_before_the_fit(self):
        with pytest.raises(
            ValueError, match="'validation_cost' is not measured; measured are cost"
        ):
            fit(ReduceOnPlateau(0.8, monitor="validation_cost"), epochs=1)  # none is measured yet

    def test_single_steps_have_no_epochs(self):
        X, y = np.zeros((2, 3)), [0, 1]
        net = fastgd.Network([3, 2], output="softmax", loss="cross_entropy", backend="numpy")
        seen = []
        count = SGD(lambda step: seen.append(step) or 0.1)
        for _ in range(3):
            net.partial_fit(X, y, optimizer=count)
        assert sorted(set(seen)) == [0, 1, 2]
        for schedule in (Cosine(0.1), OneCycle(0.1)):
            with pytest.raises(ValueError, match=r"epochs must be given: .* as long as the fit"):
                net.partial_fit(X, y, optimizer=SGD(schedule))
        for schedule in (OneCycle(0.1, epochs=2), Warmup(epochs=2, then=0.1)):
            with pytest.raises(ValueError, match="counts epochs, and there are none here"):
                net.partial_fit(X, y, optimizer=SGD(schedule))


REFUSED = {
    "factor must be a number above 0; got 0": lambda: Step(1, factor=0),
    "every must be an integer at least 1; got 0": lambda: Step(1, every=0),
    "every must be an integer at least 1; got 1.5": lambda: Step(1, every=1.5),
    "decay must be a number above 0; got -1": lambda: Exponential(1, decay=-1),
    "power must be a number at least 0; got -1": lambda: InverseScaling(1, power=-1),
    "power must be a number at least 0; got '2'": lambda: InverseScaling(1, power="2"),
    "power must be a number above 0; got 0": lambda: Polynomial(1, power=0),
    "end must be a number at least 0; got -1": lambda: Polynomial(1, end=-1),
    "epochs must be a number above 0; got 0": lambda: Cosine(1, epochs=0),
    "period must be a number above 0; got True": lambda: Cosine(1, period=True),
    "minimum must be at most the learning_rate, 1; got 2": lambda: Cosine(1, minimum=2),
    "factor must be a number at least 1; got 0.5": lambda: Cosine(1, period=2, factor=0.5),
    "factor needs a period; got factor=2 alone": lambda: Cosine(1, factor=2),
    "epochs and period must not both be given": lambda: Cosine(1, epochs=2, period=2),
    "warmup must be a number at least 0 and below 1; got 1": lambda: OneCycle(1, warmup=1),
    "start_factor must be a number at least 0; got -1": lambda: OneCycle(1, start_factor=-1),
    "either epochs or steps must be given; got epochs=None": lambda: Warmup(then=1),
    "either epochs or steps must be given; got epochs=1 and": lambda: Warmup(1, 1, then=1),
    "steps must be an integer at least 1; got 0": lambda: Warmup(steps=0, then=1),
    "boundaries[1] must be a number above 0; got nan": lambda: Piecewise([1, math.nan], [1] * 3),
    "boundaries must ascend; got [2.0, 1.0]": lambda: Piecewise([2, 1], [1, 1, 1]),
    "values must be one more than boundaries; got 1 values": lambda: Piecewise([2], [1]),
    "values[0] must be a number at least 0; got -1": lambda: Piecewise([], [-1]),
    "boundaries must be a sequence of numbers; got 3": lambda: Piecewise(3, [1, 2]),
    "monitor must be a name of a measure; got 3": lambda: ReduceOnPlateau(1, 3),
    "factor must be a number above 0 and below 1; got 1": lambda: ReduceOnPlateau(1, factor=1),
    "patience must be an integer at least 0; got -1": lambda: ReduceOnPlateau(1, patience=-1),
    "learning_rate must be a number at least 0; got -1": lambda: Cosine(-1),
    "learning_rate must be a number at least 0; got None": lambda: Step(None),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message):
    with pytest.raises((TypeError, ValueError)) as caught:
        REFUSED[message]()
    assert message in str(caught.value)
