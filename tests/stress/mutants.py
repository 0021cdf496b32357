"""Small wrong changes, each made to a copy of fastgd, and the tests that must notice them.

    python -m tests.stress.mutants [--all] [--only TEXT] [--first N] [--csrc]

Prints a line for each, and how many were noticed (killed). Those of csrc are built for it, half a
minute each; without ``--csrc`` they are left out. ``--all`` runs those of Numba's kernels, too, a
minute each. What is known to change nothing says why.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Mutant(NamedTuple):
    """One change of one file, and the test files that should notice it."""

    file: str
    old: str
    new: str
    tests: str
    equivalent: str = ""  # why it changes nothing


SESSION, STEPPING = "fastgd/engine/session.py", "fastgd/engine/stepping.py"
INPUTS, SPARSE = "fastgd/engine/inputs.py", "fastgd/engine/sparse.py"
RUNNER, WEIGHTS = "fastgd/engine/runner.py", "fastgd/engine/step.py"
REFERENCE, LOSSES = "fastgd/backends/reference.py", "fastgd/rules/losses.py"
UPDATES, UPDATE = "fastgd/rules/updates.py", "fastgd/rules/update.py"
CURVATURE, RATES = "fastgd/explain/curvature.py", "fastgd/explain/rates.py"
CASE, TRAINING = "fastgd/explain/symptoms/case.py", "fastgd/explain/symptoms/training.py"
DATA, UNITS = "fastgd/explain/symptoms/data.py", "fastgd/explain/symptoms/units.py"
NATIVE, COMPILED = "csrc/_native.pyx", "fastgd/backends/compiled.py"
TRAINS = "test_training.py test_edges.py"
LITTLE = "test_edges.py test_little_calls.py test_numbers.py"
SPARSES = "test_sparse.py test_trespass.py test_edges.py"
RULES = "test_optimizers.py test_rules.py test_backends.py"
CURVES = "test_edges.py test_explain_curvature.py"
RATE = "test_edges.py"
DIAGNOSE = "test_edges.py"

MUTANTS = [
    # The loop.
    Mutant(SESSION, "gradient *= 1 / weight if weight else 0.0", "pass", TRAINS),
    Mutant(SESSION, "if not np.isfinite(total):\n            return 0, state.sums",
           "if False:\n            return 0, state.sums", TRAINS),
    Mutant(SESSION, "draw and draw._replace(row=start)", "draw", TRAINS),
    Mutant(SESSION, "weight += rows.total_weight", "weight = rows.total_weight", TRAINS),
    Mutant(SESSION, "state.parameters[:], state.slots[:] = before, slots",
           "state.parameters[:] = before", TRAINS),
    Mutant(SESSION, "state.parameters[:], state.slots[:] = before, slots",
           "state.slots[:] = slots", TRAINS),
    Mutant(SESSION, "if steps < len(table) or not finite:", "if steps < len(table):", TRAINS),
    Mutant(SESSION, "if steps < len(table) or not finite:", "if not finite:", TRAINS),
    Mutant(SESSION, "sums = state.sums.copy()", "sums = np.zeros(2)", "test_trespass.py " + TRAINS),
    Mutant(SESSION, "if position == len(examples):", "if False:", "test_numbers.py"),
    Mutant(SESSION, "state.rng.permutation(n) if self.shuffle", "np.arange(n) if self.shuffle",
           TRAINS),
    Mutant(SESSION, "return float(self._sums[position - 1])", "return float(self._sums[-1])",
           TRAINS),
    Mutant(SESSION, "made(good)\n        return good", "return good", TRAINS),
    Mutant(SESSION, "state.position += made * self.batch_size", "pass", TRAINS),
    Mutant(RUNNER, "total, rest = add(total, rest, float(cost))", "total += float(cost)",
           "test_edges.py test_numbers.py"),
    Mutant(RUNNER, "and finite\n", "\n", "test_edges.py"),
    Mutant(RUNNER, "gradient *= self.scale(examples)", "pass", "test_network.py"),
    # One step at a time.
    Mutant(STEPPING, "check_finite(self.state.parameters)\n        session", "session", LITTLE),
    Mutant(STEPPING, "if not math.isfinite(total):", "if False:", LITTLE),
    Mutant(STEPPING, "self.state.step += 1", "self.state.step += 2", LITTLE),
    Mutant(STEPPING, "return total / n if", "return total if", LITTLE),
    Mutant(STEPPING, "self._first <= step <", "step <", LITTLE,
           "steps go back only where another stepper begins"),
    Mutant(STEPPING, "self._rows[step - self._first]", "self._rows[0]", LITTLE),
    Mutant(STEPPING, "plain = sample_weight is None and class_weight is None",
           "plain = class_weight is None", "test_weights.py " + LITTLE),
    Mutant(STEPPING, "plain = sample_weight is None and class_weight is None",
           "plain = sample_weight is None", "test_weights.py " + LITTLE),
    Mutant(STEPPING, "self.state.seed if draws else 0", "0", "test_edges.py test_fit.py"),
    # The gate.
    Mutant(INPUTS, "or pointers[0] != 0 or", "or", SPARSES),
    Mutant(INPUTS, "len(pointers) != csr.shape[0] + 1 or", "", SPARSES),
    Mutant(INPUTS, "min(len(columns), len(csr.data))", "len(columns)", SPARSES),
    Mutant(INPUTS, "min(len(columns), len(csr.data))", "len(csr.data)", SPARSES),
    Mutant(INPUTS, "(np.diff(pointers) < 0).any()", "False", SPARSES),
    Mutant(INPUTS, "used.min() < 0 or", "", SPARSES),
    Mutant(INPUTS, "used.max() >= csr.shape[1]", "used.max() > csr.shape[1]", SPARSES),
    Mutant(INPUTS, "csr.indices.copy()", "csr.indices", SPARSES),
    Mutant(INPUTS, "if not _ascend(columns, pointers):", "if False:", SPARSES),
    Mutant(INPUTS, "if not finite.all():\n        at", "if False:\n        at", SPARSES),
    Mutant(INPUTS, "    y = y.copy()\n", "", "test_trespass.py"),
    Mutant(INPUTS, "if low < 0 or high >= n_classes:", "if high >= n_classes:", "test_inputs.py"),
    Mutant(INPUTS, "if low < 0 or high >= n_classes:", "if low < 0 or high > n_classes:",
           "test_inputs.py"),
    Mutant(INPUTS, "narrow = array.dtype.itemsize > np.dtype(dtype).itemsize", "narrow = False",
           "test_inputs.py test_edges.py"),
    Mutant(INPUTS, "wrong = (y < low) | (y > high)", "wrong = y < low", "test_inputs.py"),
    Mutant(INPUTS, "off = np.abs(sums - 1) > SUM_TOLERANCE", "off = sums - 1 > SUM_TOLERANCE",
           "test_inputs.py test_trespass.py"),
    Mutant(INPUTS, "if len(inputs) != len(targets):", "if len(inputs) < len(targets):",
           "test_inputs.py"),
    Mutant(SPARSE, "return Sparse(values[:-1], columns[:-1]", "return Sparse(values, columns",
           SPARSES, "the number behind the last is in no row"),
    Mutant(SPARSE, "np.repeat(self.pointers[rows] - pointers[:-1], lengths)",
           "np.repeat(self.pointers[rows], lengths)", SPARSES),
    # The reference.
    Mutant(REFERENCE, "finite = finite and bool(", "finite = bool(", "test_edges.py"),
    Mutant(REFERENCE, "zs.append(z)", "zs.append(z + 0 * z[:1])",
           "test_reference.py", "it adds 0 to finite numbers"),
    Mutant(REFERENCE, "z -= np.log(", "z += np.log(", "test_reference.py"),
    Mutant(REFERENCE, "delta = delta / architecture.n_outputs", "pass", "test_reference.py"),
    Mutant(REFERENCE, "total, rest = scalar.add(total, rest, here)", "total += here",
           "test_numbers.py"),
    Mutant(REFERENCE, "sums[:] = total, rest + batch_rest", "sums[:] = total, 0",
           "test_numbers.py"),
    Mutant(REFERENCE, "if not np.isfinite(batch_cost):", "if False:", "test_training.py"),
    # The rules.
    Mutant(LOSSES, "t = 2 * y - 1\n        return np.where(t * a < 1", "t = 2 * y - 1\n"
           "        return np.where(t * a < 2", "test_reference.py test_backends.py"),
    Mutant(LOSSES, "away = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))",
           "away = np.log1p(np.exp(z))", "test_numbers.py"),
    Mutant(UPDATES, "v += new2 * (g * g - v)\n        w -= rate", "v += new1 * (g * g - v)\n"
           "        w -= rate", RULES),
    Mutant(UPDATES, "np.maximum(largest, v, out=largest)", "largest[:] = v", RULES),
    Mutant(UPDATES, "slope[:] = np.where(same < 0, 0, g)", "slope[:] = g", RULES),
    Mutant(UPDATES, "velocity *= momentum\n        velocity -= step",
           "velocity -= step\n        velocity *= momentum", RULES),
    Mutant(UPDATES, "m += new2 * (g - m)\n", "m += new1 * (g - m)\n", RULES),
    Mutant(UPDATE, "+ l2 * w + l1 * np.sign(w)", "+ l2 * w + l1 * w", RULES),
    Mutant(UPDATE, "np.clip(g * factor, -clip_value, clip_value)", "g * factor", RULES),
    Mutant(UPDATE, "table[:, 0, SHRINK] = 1 - rates * decay",
           "table[:, :, SHRINK] = (1 - rates * decay)[:, None]", RULES),
    Mutant(WEIGHTS, "return min(1.0, limit / (norm + NORM_EPSILON))",
           "return limit / (norm + NORM_EPSILON)", RULES),
    Mutant(WEIGHTS, "limit / np.maximum(lengths, limit)", "limit / lengths", RULES,
           "min(1, .) follows; only a length of 0 differs, where it divides by 0"),
    Mutant(COMPILED, "int(table[0, 0, column] < SMALL_EPSILON)", "0", "test_numbers.py"),
    Mutant(COMPILED, "plan.release(memory)\n", "pass\n", "test_backends.py",
           "memory is new in each call then: slower, no other numbers"),
    # What explains.
    Mutant(CURVATURE, "min(batch_size, self.examples) / self.examples",
           "batch_size / self.examples", CURVES),
    Mutant(CURVATURE, "if self.eigenvalue <= 0:\n            return float", "if self.eigenvalue "
           "== 0:\n            return float", CURVES),
    Mutant(CURVATURE, "direction = direction * (1.0 if direction[np.argmax(np.abs(direction))] > 0"
           " else -1.0)", "pass", CURVES),
    Mutant(CURVATURE, "X = X.astype(self.dtype, copy=False).astype(np.float64, copy=False)",
           "X = X.astype(np.float64, copy=False)", CURVES),
    Mutant(CURVATURE, 'which="LA"', 'which="LM"', CURVES),
    Mutant(CURVATURE, "values[-1]), vectors[:, -1]", "values[0]), vectors[:, 0]", CURVES),
    Mutant(RATES, "SMOOTHING = 0.15", "SMOOTHING = 0.3", RATE),
    Mutant(RATES, "BLOWN_UP, ENDED = 1.25, 4.0", "BLOWN_UP, ENDED = 2.0, 4.0", RATE),
    Mutant(RATES, "BLOWN_UP, ENDED = 1.25, 4.0", "BLOWN_UP, ENDED = 1.25, 40.0", RATE),
    Mutant(RATES, "FALL = 0.05", "FALL = 0.2", RATE),
    Mutant(RATES, "high[: self._best + 1] = False", "pass", RATE),
    Mutant(RATES, "test.blow_up / 10", "test.blow_up / 2", RATE),
    Mutant(CASE, "WORTHLESS = 0.9", "WORTHLESS = 0.5", DIAGNOSE),
    Mutant(CASE, "STUCK = 0.95", "STUCK = 0.5", DIAGNOSE),
    Mutant(TRAINING, "RISE = 0.05", "RISE = 0.5", DIAGNOSE),
    Mutant(TRAINING, "OFTEN = 0.25", "OFTEN = 0.6", DIAGNOSE),
    Mutant(TRAINING, "GAP = 0.1", "GAP = 0.4", DIAGNOSE),
    Mutant(TRAINING, "OVERFIT = 0.5", "OVERFIT = 5.0", DIAGNOSE),
    Mutant(DATA, "LARGE, SMALL = 5.0, 0.02", "LARGE, SMALL = 50.0, 0.02", DIAGNOSE),
    Mutant(DATA, "LARGE, SMALL = 5.0, 0.02", "LARGE, SMALL = 5.0, 0.0002", DIAGNOSE),
    Mutant(DATA, "RATIO = 30.0", "RATIO = 3000.0", DIAGNOSE),
    Mutant(DATA, "FAR = 10.0", "FAR = 1000.0", DIAGNOSE),
    Mutant(UNITS, "HALF, THIRD = 0.5, 1 / 3", "HALF, THIRD = 0.99, 1 / 3", DIAGNOSE),
    Mutant(UNITS, "HALF, THIRD = 0.5, 1 / 3", "HALF, THIRD = 0.5, 0.99", DIAGNOSE),
    # The native kernels.
    Mutant(NATIVE, "cnp.PyArray_SIZE(y) != n * self.n_out", "False", LITTLE),
    Mutant(NATIVE, "if kind == 1 and self.number == cnp.NPY_FLOAT32:", "if False:", LITTLE),
    Mutant(NATIVE, "if self.busy or type(X)", "if type(X)", LITTLE),
    Mutant(NATIVE, "or not self.call.fields.finite:", "or False:", LITTLE),
    Mutant(NATIVE, "classes[i] < 0 or", "", LITTLE),
    Mutant(NATIVE, "!= n or self.n_out < 2:", "!= n and False:", LITTLE),
    Mutant(NATIVE, "elif not _finite(y, kind):", "elif False:", LITTLE),
    Mutant("csrc/kernel.h", "if (call->task == TASK_TRAIN && !call->finite && steps <= 1)",
           "if (0)", LITTLE),
    Mutant("csrc/kernel.h", "s.rest + ((s.sum - (sum - part)) + (x - part))", "s.rest",
           "test_numbers.py"),
    Mutant("csrc/kernel.h", "_mm_setcsr(before);", "(void)before;", "test_numbers.py"),
    Mutant("csrc/kernel.h", "if (!call->exact) before", "before", "test_numbers.py"),
    Mutant("csrc/kernel.h", "{call->sums[0], call->sums[1]}", "{call->sums[0], 0}",
           "test_numbers.py test_trespass.py"),
    Mutant("csrc/steps.h", "!all_finite(count, x)", "0", "test_inputs.py test_numbers.py"),
    Mutant("csrc/small.h", "if (!all_finite(layer_of(t, 1)[N_IN], a))", "if (0)",
           "test_inputs.py test_numbers.py"),
    Mutant("csrc/rules.h", "*s2 = *s2 > *s1 ? *s2 : *s1;", "*s2 = *s1;", RULES),
    # Numba's kernels.
    Mutant("fastgd/kernels/entries.py", "if not call.exact:", "if True:", "test_numbers.py"),
    Mutant("fastgd/kernels/entries.py", "rest += cost_rest", "rest += 0.0", "test_numbers.py"),
    Mutant("fastgd/kernels/steps.py", "found |= x[i] - x[i] != 0", "found |= x[i] != x[i]",
           "test_numbers.py"),
]  # fmt: skip


def is_of(mutant: Mutant, folder: str) -> bool:
    """Return whether a mutant is in a folder."""
    return mutant.file.startswith(folder)


def copy_of(root: Path, target: Path) -> None:
    """Copy what tests need."""
    for name in ("fastgd", "csrc", "tests"):
        ignored = shutil.ignore_patterns("*.pyc")  # but with compiled kernels
        shutil.copytree(root / name, target / name, ignore=ignored)
    for name in ("setup.py", "pyproject.toml", "README.md", "CONTRIBUTING.md", "LICENSE"):
        shutil.copy(root / name, target)


def run(command: list[str], folder: Path) -> bool:
    """Return whether a command ends well."""
    environment = {
        **os.environ, "PYTHONPATH": str(folder), "FASTGD_CFLAGS": "-O1", "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    try:
        ended = subprocess.run(
            [sys.executable, *command], cwd=folder, env=environment, capture_output=True,
            timeout=300,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode == 0


def passes(mutant: Mutant, folder: Path) -> bool:
    """Return whether the tests pass that should notice a change."""
    tests = [f"tests/{name}" for name in dict.fromkeys(mutant.tests.split())]
    chosen = "numba" if is_of(mutant, "fastgd/kernels") else "not numba and not every_backend"
    options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", chosen]
    return run(["-m", "pytest", *options, *tests], folder)


def survives(mutant: Mutant, folder: Path) -> bool:
    """Return whether the tests pass with the change; the copy is as before then."""
    path = folder / mutant.file
    text = path.read_text(encoding="utf-8")
    assert mutant.old in text, f"{mutant.file} has no {mutant.old!r}"
    path.write_text(text.replace(mutant.old, mutant.new, 1), encoding="utf-8")
    native = is_of(mutant, "csrc")
    try:
        if native and not run(["setup.py", "build_ext", "--inplace"], folder):
            return False
        return passes(mutant, folder)
    finally:
        path.write_text(text, encoding="utf-8")
        if native:
            for built in (ROOT / "fastgd/backends").glob("_native*.*"):
                shutil.copy(built, folder / "fastgd/backends")


def main() -> int:
    """Try the mutants; return 0 where at least 95 % of those that matter are killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--csrc", action="store_true")
    parser.add_argument("--only", default="", help="those with this text")
    parser.add_argument("--first", type=int, default=0, help="where to begin")
    arguments = parser.parse_args()
    killed, survivors = 0, []
    sound: set[str] = set()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_of(ROOT, folder)
        for mutant in MUTANTS[arguments.first :]:
            if is_of(mutant, "csrc") and not (arguments.csrc or arguments.all):
                continue
            if is_of(mutant, "fastgd/kernels") and not arguments.all:
                continue
            if arguments.only not in f"{mutant.file} {mutant.old} {mutant.new}":
                continue
            if mutant.tests not in sound:  # else they would notice everything
                assert passes(mutant, folder), f"{mutant.tests} fail without any change"
                sound.add(mutant.tests)
            started = time.monotonic()
            alive = survives(mutant, folder)
            word = ("same" if mutant.equivalent else "SURVIVED") if alive else "killed"
            seconds = time.monotonic() - started
            what = f"{mutant.old!r} -> {mutant.new!r}"[:110]
            print(f"{word:8} {seconds:5.1f} s  {mutant.file}: {what}", flush=True)
            killed += not alive
            if alive and not mutant.equivalent:
                survivors.append(mutant)
    n = killed + len(survivors)
    print(f"{killed} of {n} killed; {len(survivors)} survived")
    return int(killed < 0.95 * n)


if __name__ == "__main__":
    sys.exit(main())
