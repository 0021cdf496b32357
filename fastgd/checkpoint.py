"""Checkpoints: a fit in a file, from which the same call goes on as if nothing had happened."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import math
import signal
import threading
import time
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import numpy as np

from fastgd import storage
from fastgd.engine.fit import Fit
from fastgd.engine.inputs import Examples
from fastgd.engine.listeners import Listeners
from fastgd.engine.sparse import Sparse
from fastgd.errors import ModelFileError, SettingError, SettingTypeError, WriteError
from fastgd.rules.checks import check_flag, check_integer, check_number
from fastgd.rules.optimizers import Optimizer
from fastgd.storage import Kind, Tensor
from fastgd.writing import StrPath, check_target

__all__ = ["Checkpoint", "describe"]

Array = np.ndarray
KIND = Kind(
    "checkpoint", 1, 0, "a file for the checkpoint", "remove it, or name another, to begin anew"
)
#: Epochs shorter than this are not all written: a write waits for the disk.
SHORT = 1.0
#: Data up to so many bytes are compared whole, larger ones by rows spread over them.
WHOLE_BYTES = 1 << 28
SOME_ROWS = 4096


class Checkpoint:
    """Keeps a fit in a file: read where there is one, written while it goes on.

    Parameters
    ----------
    path : path
    seconds : float
        At least this often it is written, also within an epoch.
    fit : Fit
        With its session begun by nobody yet: a checkpoint of another run is refused.
    seeded : bool
        Whether the network was made with a seed, so that the same call makes the same one.
    begun : set of str
        Where the network's runs began that it has been through: it may go on with each.

    Raises
    ------
    ModelFileError
        If there is a file that is no checkpoint, or a damaged one.
    ValueError
        If it is one of another run; the message says what differs.
    """

    def __init__(self, path: StrPath, seconds: float, fit: Fit, seeded: bool, begun: set[str]):
        self.path, self.seconds = check_target(path), seconds
        self.run = json.loads(json.dumps(describe(fit, seeded)))
        self._point: tuple[dict[str, Any], dict[str, Array]] | None = None
        self._written, self._fresh, self._complains = -math.inf, False, True
        self._found = self._read(fit, begun) if Path(self.path).exists() else None
        if seeded:
            begun.add(self.run["start"])

    # ------------------------------------------------------------------------------------ reading

    def _read(self, fit: Fit, begun: set[str]) -> Found:
        """Return what the file says of a fit, with all of it checked."""
        said, arrays = storage.read(self.path, KIND, _expect)
        there = said.get("run")
        if not isinstance(there, dict):
            raise ModelFileError(f"{self.path}: damaged: it says nothing of its run")
        if there.get("start") in begun:
            self.run["start"] = there["start"]
        differing = [name for name in self.run if there.get(name) != self.run[name]]
        if differing:
            words = [_difference(name, there.get(name), self.run[name]) for name in differing]
            raise SettingError(
                "checkpoint", f"{self.path} is of another run: {'; '.join(words)} "
                "(remove the file, or name another, to begin anew)",
            )  # fmt: skip
        try:
            return Found.of(said, arrays, fit)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            problem = storage.brief(f"{type(error).__name__}: {error}")
            raise ModelFileError(f"{self.path}: damaged: {problem}") from None

    def resume(self, fit: Fit) -> bool:
        """Bring a fit to where the file says it was; return whether there was one."""
        found, self._found = self._found, None
        if found is None:
            return False
        state = fit.session.state
        _restore_callbacks(fit, found.callbacks, found.arrays)
        for name in STATE:
            setattr(state, name, found.state[name])
        state.sums[:] = found.sums
        state.rng.bit_generator.state = found.generator
        state.parameters[:], state.slots[:] = found.arrays["parameters"], found.arrays["slots"]
        state.order, state.optimizer = found.arrays.get("order"), found.optimizer
        for name in (*FIT, "stopped"):
            setattr(fit, name, found.fit[name])
        fit.session.rate, fit.history.measures = found.rate, found.history
        return True

    # ------------------------------------------------------------------------------------ writing

    def take(self, fit: Fit, epoch_ended: bool = False) -> None:
        """Note where a fit is, between two calls; write it where that is due."""
        self._point, self._fresh = _point(fit, self.run), True
        since = time.monotonic() - self._written
        if since >= self.seconds or (epoch_ended and since >= SHORT):
            self.write()

    def write(self) -> None:
        """Write what was noted last, unless it is written. A full disk does not end a training."""
        if self._point is None or not self._fresh:
            return
        said, arrays = self._point
        try:
            storage.write(self.path, KIND, *_finished(said, arrays))
            self._fresh, self._complains = False, True
        except (WriteError, OSError) as error:
            if self._complains:
                warnings.warn(f"the checkpoint could not be written: {error}", stacklevel=2)
            self._complains = False
        self._written = time.monotonic()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Write what was noted last however the block ends, also by SIGTERM."""
        try:
            with _terminated_as_an_exit():
                yield
        finally:
            self.write()


@contextmanager
def _terminated_as_an_exit() -> Iterator[None]:
    """Let SIGTERM raise SystemExit, with the shell's code, where nobody listens to it."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _point(fit: Fit, run: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return where a fit is: what JSON can say, and copies of what steps change."""
    state, session = fit.session.state, fit.session
    rate = state.at_work.learning_rate
    said: dict[str, Any] = {
        "run": run,
        "state": {
            "step": state.step, "epoch": state.epoch, "position": state.position,
            "sums": state.sums.tolist(), "drawn_seed": state.drawn_seed,
            "learning_rate": rate if isinstance(rate, (int, float)) else None,
        },
        "generator": state.rng.bit_generator.state,
        "fit": {
            "rate": session.rate, "chunk": fit.chunk, "cost": fit.cost, "weight": fit.weight,
            "visits": fit.visits, "spent": fit.spent_so_far(), "steps": fit.steps,
            "stopped": fit.stopped,
        },
        "callbacks": [],
    }  # fmt: skip
    arrays = {"parameters": state.parameters.copy(), "slots": state.slots.copy()}
    if state.order is not None:
        arrays["order"] = state.order
    for name, values in fit.history.items():
        arrays[f"history.{name}"] = np.array(values, np.float64)
    for i, callback in enumerate(_keeping(fit)):
        text, own = _kept_of(callback)
        said["callbacks"].append(text)
        arrays |= {f"callback.{i}.{key}": array for key, array in own.items()}
    return said, arrays


def _kept_of(callback: Any) -> tuple[str, dict[str, Array]]:
    """Return what a callback keeps: its JSON, and its arrays."""
    given = callback.state_dict()
    try:
        kept = dict(given)
        arrays = {key: value for key, value in kept.items() if isinstance(value, np.ndarray)}
        for key, array in arrays.items():
            if array.dtype.name not in storage.NAMES:
                raise TypeError(f"{key!r} is an array of {array.dtype}")
            del kept[key]
        return json.dumps(kept), arrays
    except (TypeError, ValueError, RecursionError) as error:
        raise SettingTypeError(
            "checkpoint", f"cannot keep the callback {_called(callback)}: its state_dict() must "
            f"return names with JSON and arrays of numbers; {storage.brief(error)}",
        ) from error  # fmt: skip


def _finished(
    said: dict[str, Any], arrays: dict[str, Array]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return a point as it is written: with shapes, and without a generator's arrays."""
    shapes = {name: [array.dtype.name, list(array.shape)] for name, array in arrays.items()}
    generator = json.loads(json.dumps(said["generator"], default=lambda value: value.tolist()))
    return {**said, "generator": generator, "arrays": shapes}, arrays


def _expect(said: dict[str, Any], names: Collection[str]) -> Mapping[str, Tensor]:
    return {name: Tensor(dtype, tuple(shape)) for name, (dtype, shape) in said["arrays"].items()}


#: What is kept of `State` and `Fit` besides arrays, and the least each may be; None: any number.
STATE = {"step": 0, "epoch": 0, "position": 0, "drawn_seed": 0}
FIT = {"chunk": 0, "visits": 0, "steps": 0, "cost": None, "weight": 0.0, "spent": 0.0}
#: Integers are below this.
MOST = 1 << 63


@dataclasses.dataclass(frozen=True)
class Found:
    """What a checkpoint says, checked."""

    state: dict[str, Any]
    fit: dict[str, Any]
    sums: list[float]
    rate: float
    generator: dict[str, Any]
    optimizer: Optimizer
    history: dict[str, list[float]]
    callbacks: list[dict[str, Any]]
    arrays: dict[str, Array]

    @classmethod
    def of(cls, said: dict[str, Any], arrays: dict[str, Array], fit: Fit) -> Found:
        """Return it, or raise where something is not as `_point` has it."""
        state, now = dict(said["state"]), dict(said["fit"])
        optimizer, drawn = fit.session.optimizer, state["drawn_seed"]
        _check_numbers({**state, "drawn_seed": 0 if drawn is None else drawn}, STATE)
        _check_numbers(now, FIT)
        n = len(fit.examples) if fit.examples is not None else None
        _check_arrays(arrays, fit, optimizer, n, state["position"])
        rate = state["learning_rate"]
        if rate is not None:
            optimizer = dataclasses.replace(optimizer, learning_rate=check_number("rate", rate))
        copy.deepcopy(fit.session.state.rng).bit_generator.state = said["generator"]
        history = {
            name.removeprefix("history."): array.tolist()
            for name, array in arrays.items()
            if name.startswith("history.")
        }
        if len({len(values) for values in history.values()}) > 1 or "cost" not in history:
            raise ValueError("the history's columns differ in length")
        stopped = {"stopped": check_flag("stopped", now["stopped"])}
        kept = [dict(json.loads(text)) for text in said["callbacks"]]
        if len(kept) != len(_keeping(fit)):
            raise ValueError("callbacks are missing")
        first, rest = (check_number("sums", number) for number in state["sums"])
        return cls(
            state, {**now, **stopped}, [first, rest], check_number("rate", now["rate"], minimum=0),
            said["generator"], optimizer, history, kept, arrays,
        )  # fmt: skip


def _check_numbers(given: dict[str, Any], least: Mapping[str, float | None]) -> None:
    """Raise where something is no number, or less than it may be."""
    for name, minimum in least.items():
        if isinstance(minimum, int):
            if check_integer(name, given[name], minimum) >= MOST:
                raise ValueError(f"{name} is {given[name]}")
        else:
            given[name] = check_number(name, given[name], minimum=minimum)


def _check_arrays(
    arrays: Mapping[str, Array], fit: Fit, optimizer: Optimizer, n: int | None, position: int
) -> None:
    """Raise ValueError where arrays are not those of such a fit."""
    parameters = fit.session.state.parameters
    shapes = {
        "parameters": parameters.shape,
        "slots": (len(optimizer.update.slots), len(parameters)),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape or arrays[name].dtype != parameters.dtype:
            raise ValueError(f"{name} are {arrays[name].dtype} {arrays[name].shape}")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} hold NaN or infinity")
    order = arrays.get("order", np.arange(0))
    right = order.ndim == 1 and order.dtype == np.int64
    right = right and np.array_equal(np.sort(order), np.arange(len(order)))
    if not right or ("order" in arrays and n not in (None, len(order))):
        raise ValueError("order is no order of the rows")
    if position and position >= len(order):
        raise ValueError(f"position is {position}, of {len(order)} rows")


def _restore_callbacks(fit: Fit, states: list[dict[str, Any]], arrays: Mapping[str, Array]) -> None:
    """Give callbacks back what they had kept; those that keep nothing begin anew."""
    keeping = _keeping(fit)
    for i, (callback, kept) in enumerate(zip(keeping, states, strict=True)):
        own = f"callback.{i}."
        kept |= {n.removeprefix(own): a for n, a in arrays.items() if n.startswith(own)}
        callback.load_state_dict(kept)
    others = [callback for callback in fit.listeners.callbacks if callback not in keeping]
    Listeners(fit.listeners.network, others).tell("on_train_begin")


def _keeping(fit: Fit) -> list[Any]:
    """Return the callbacks that have something to keep."""
    return [c for c in fit.listeners.callbacks if hasattr(c, "load_state_dict")]


# ------------------------------------------------------------------------------ what a run is of


def describe(fit: Fit, seeded: bool) -> dict[str, Any]:
    """Return what a fit is of, as JSON: what must be the same for it to go on.

    The start counts where the network was made with a seed; without one it is another each time.
    """
    state, session = fit.session.state, fit.session
    architecture = session.runner.architecture
    start = hashlib.blake2b(state.parameters.tobytes(), digest_size=16)
    start.update(repr((state.step, state.epoch, state.rng.bit_generator.state)).encode())
    names = [_called(callback) for callback in _keeping(fit)]
    return {
        "architecture": architecture.spec(),
        "optimizer": repr(session.optimizer),
        "batch_size": session.batch_size,
        "shuffle": session.shuffle,
        "metrics": list(fit.metrics),
        "callbacks": names,
        "data": "chunks" if fit.examples is None else _digest(next(iter(fit.chunks()))),
        "validation": None if fit.validation is None else _digest(fit.validation),
        "start": start.hexdigest() if seeded else None,
    }


def _called(callback: Any) -> str:
    """Return a callback's name: what it says it is called, or its class."""
    return str(getattr(callback, "called", type(callback).__name__))


#: What is said of what cannot be read from two digests.
WORDS = {
    "data": "the data are others",
    "validation": "the validation data are others",
    "start": "the network was made in another way, with another seed, or has been trained since",
}


def _difference(name: str, there: Any, here: Any) -> str:
    if name in WORDS:
        return WORDS[name]
    if name == "architecture" and isinstance(there, dict):
        return "; ".join(
            _difference(key, there.get(key), here[key])
            for key in here
            if there.get(key) != here[key]
        )
    if name == "callbacks" and isinstance(there, list):
        there, here = (", ".join(map(str, names)) or "none" for names in (there, here))
        name = "what callbacks keep"
    return f"{name} is {storage.brief(there)} there and {storage.brief(here)} here"


def _digest(examples: Examples) -> str:
    """Return a digest of inputs, targets and weights: whole, or of rows spread over large ones."""
    digest = hashlib.blake2b(digest_size=16)
    X = examples.inputs.given
    parts = [X.values, X.columns, X.pointers] if isinstance(X, Sparse) else [X]
    parts += [examples.targets.y]
    if examples.weights is not None:
        parts.append(examples.weights)
    for part in parts:
        digest.update(f"{part.dtype.str} {part.shape}".encode())
        step = 1 if part.nbytes <= WHOLE_BYTES else -(-len(part) // SOME_ROWS)
        rows = max(1, (1 << 22) // max(1, part[:1].nbytes))
        for start in range(0, len(part), rows * step):
            digest.update(np.ascontiguousarray(part[start : start + rows * step : step]).data)
    return digest.hexdigest()
