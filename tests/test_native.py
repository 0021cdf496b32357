"""What only the native backend has: instruction tiers, and C that repeats names of Python's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastgd
from fastgd.backends import plan, why_not
from fastgd.backends.compiled import SMALL_ROWS, Call
from fastgd.kernels import learning, small, steps
from fastgd.kernels.simd import DOT_LANES
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.losses import LOSSES
from fastgd.rules.optimizers import UPDATES
from fastgd.rules.update import COLUMNS

CSRC = Path(__file__).parents[1] / "csrc"
needs_native = pytest.mark.skipif(why_not("native") is not None, reason=str(why_not("native")))


def enums(header: str) -> dict[str, int]:
    """Return the names of a header's enums with their values."""
    text = re.sub(r"/\*.*?\*/", "", (CSRC / header).read_text(), flags=re.S)
    values: dict[str, int] = {}
    for body in re.findall(r"enum \{(.*?)\}", text, flags=re.S):
        following = 0
        for entry in filter(None, (part.strip() for part in body.split(","))):
            name, _, given = entry.partition("=")
            if given and not given.strip().isdigit():  # computed, or of a header with its own test
                continue
            following = int(given) if given else following
            values[name.strip()] = following
            following += 1
    return values


def test_plans_have_the_same_columns():
    for name, value in enums("plan.h").items():
        assert getattr(plan, name) == value, name


@needs_native
def test_rules_have_the_same_codes():
    from fastgd.backends import _native

    registries = {"activation": ACTIVATIONS, "loss": LOSSES, "update": UPDATES}
    for kind, registry in registries.items():
        names = _native.RULES[kind]
        assert names == list(registry)[: len(names)]


def test_a_call_has_the_same_fields_in_c():
    """In the same order: the door copies them by position."""
    text = re.sub(r"/\*.*?\*/", "", (CSRC / "call.h").read_text(), flags=re.S)
    body = re.search(r"typedef struct \{(.*?)\}", text, flags=re.S)[1]
    fields = [line.split()[-1].lstrip("*") for line in body.split(";") if line.strip()]
    assert fields == [*Call._fields, "steps", "finite", "total"]


#: Functions that one language has no need of.
C_ALONE = {"layer_of", "smaller", "row_visited", "sparse", "dot"}  # that is in kernels/simd.py
PYTHON_ALONE = {"_convert", "_convert_by_column", "_convert_at", "sparse_rows", "add_gradient"} | {
    "_load_part", "_emit_small_columns",
}  # fmt: skip


@pytest.mark.parametrize("module", [steps, learning, small], ids=["steps", "learning", "small"])
def test_steps_have_the_same_names_in_the_same_order(module):
    file = CSRC / f"{module.__name__.split('.')[-1]}.h"
    text = re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.S)
    in_c = re.findall(r"(?m)^(?:__attribute__\S+ )?(?:static|INLINE)\b[^;={}]*?\b(\w+)\(", text)
    in_python = re.findall(r"(?m)^def (\w+)\(", Path(module.__file__).read_text())
    assert [name for name in in_c if name not in C_ALONE] == [
        name for name in in_python if name not in PYTHON_ALONE
    ]


def test_settings_begin_with_the_same_columns():
    names = enums("call.h")
    assert [names[name.upper()] for name in COLUMNS] == list(range(len(COLUMNS)))
    assert names["N_COMMON"] == len(COLUMNS)
    assert max(len(rule.columns) for rule in UPDATES.values()) <= enums("rules.h")["MAX_COLUMNS"]
    assert max(len(rule.slots) for rule in UPDATES.values()) <= enums("rules.h")["MAX_SLOTS"]


def test_limits_are_the_same():
    assert enums("steps.h")["DOT_LANES"] == DOT_LANES
    assert enums("small.h")["SMALL_ROWS"] == SMALL_ROWS
    for name in ("DIRECT_ROWS", "NORM_LANES"):
        assert enums("learning.h")[name] == getattr(learning, name)


@needs_native
def test_a_rule_in_python_alone_takes_another_backend(monkeypatch):
    from fastgd.backends import _native, native

    X, y = np.random.default_rng(0).random((2, 30, 4))
    made = {name: fastgd.Network([4, 5, 4], seed=1, backend=name) for name in ("native", "numpy")}
    names = [name for name in _native.RULES["activation"] if name != "sigmoid"]
    monkeypatch.setitem(_native.RULES, "activation", names)
    native._covers.cache_clear()
    for net in made.values():
        net.fit(X, y, epochs=2, optimizer="adam")
        net.partial_fit(X, y)
    native._covers.cache_clear()
    a, b = made.values()
    np.testing.assert_allclose(a.parameters, b.parameters, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(a.predict(X), b.predict(X), rtol=1e-4)


def in_tier(tier: str, code: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "FASTGD_CPU_TIER": tier},
        capture_output=True,
        text=True,
        check=False,
    )


CONFORMS = """
import sys
sys.path.insert(0, {tests!r})
from conformance import Case, OPTIMIZERS, RULE_TRIPLES, check, check_train
from fastgd.backends import native
from fastgd.rules.optimizers import SGD
print(native.TIER)
for dtype in ("float32", "float64"):
    for widths in ((1, 1), (7, 5, 3), (17, 100, 30, 10), (70, 33, 16, 1)):
        for batch_size in (1, 3, 10, 32):
            for optimizer in (SGD(0.05), SGD(0.05, momentum=0.9, nesterov=True, l2=0.01)):
                check(native, Case(sizes=widths, n=45, batch_size=batch_size, dtype=dtype,
                                   activation="tanh", optimizer=optimizer))
    for kind in ("float32", "float64", "uint8"):
        check(native, Case(sizes=(90, 17, 3), n=300, zeros=0.8, kind=kind, input_scale=0.01,
                           dtype=dtype))
    for activation, output, loss in RULE_TRIPLES:
        check(native, Case(activation=activation, output=output, loss=loss, dtype=dtype,
                           optimizer=SGD(0.03)))
    for optimizer in OPTIMIZERS.values():
        check_train(native, Case(sizes=(5, 17, 3), dtype=dtype, optimizer=optimizer, dropout=0.3))
"""


@needs_native
@pytest.mark.slow
@pytest.mark.parametrize("tier", ["avx512", "avx2", "neon", "portable"])
def test_every_tier_agrees_with_the_reference(tier):
    from fastgd.backends import native

    if tier not in native.TIERS:
        pytest.skip(f"this processor has no {tier}")
    done = in_tier(tier, CONFORMS.format(tests=str(Path(__file__).parent)))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == tier


@needs_native
def test_an_unknown_tier_is_told():
    done = in_tier("sse9", "import fastgd; fastgd.set_backend('native')")
    assert "FASTGD_CPU_TIER must be one of" in done.stderr and "'sse9'" in done.stderr
    done = in_tier("sse9", "import fastgd; fastgd.Network([2, 1]).predict([[0, 1]])")
    assert (
        "SettingError: FASTGD_CPU_TIER must be one of" in done.stderr
    )  # no slower backend instead
    done = in_tier("PORTABLE", "from fastgd.backends import native; print(native.TIER)")
    assert done.stdout.strip() == "portable"


@needs_native
def test_loads_no_numba():
    code = (
        "import fastgd, sys; fastgd.set_backend('native');"
        "fastgd.Network([2, 2]).fit([[0.0, 1.0]], [1], epochs=1, optimizer='sgd');"
        "print('numba' in sys.modules)"
    )
    done = in_tier("", code)
    assert done.stdout.strip() == "False", done.stderr
