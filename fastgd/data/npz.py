"""NumPy archives with `X` and `y`."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.lib import format

from fastgd.data.archives import check_members, unzipping
from fastgd.data.dataset import Dataset
from fastgd.data.reading import did_you_mean, plain, reading
from fastgd.data.targets import check_task, encode_array
from fastgd.errors import DataError
from fastgd.regular import open_regular

__all__ = ["load_npz"]

_KEYS = ("X", "y", "X_test", "y_test", "input_scale")


def load_npz(
    path: str | PathLike[str],
    *,
    need_target: bool = True,
    task: str | None = None,
    class_names: Sequence[str] | None = None,
    max_bytes: int | None = None,
) -> Dataset:
    """Read a NumPy archive with `X`, `y` and, optionally, `X_test`, `y_test`, `input_scale`.

    Pickled objects are never loaded; other arrays in the archive are ignored.

    Parameters
    ----------
    path : path
    need_target : bool
        False for prediction: `y` need not be there, and is None.
    task : None, "classification" or "regression"
        Forces what is otherwise decided as for a table (see `load_csv`).
    class_names : sequence of str, optional
        The labels of a trained model: labels become their positions in it.
    max_bytes : int, optional
        How far compressed files may grow; see `load`.

    Returns
    -------
    Dataset
        X in its stored type; y (n,) classes, or targets (n,) or (n, n_outputs).

    Raises
    ------
    DataError
        If it is no archive, or an array is missing, not finite, or of wrong type or shape.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from fastgd.data import load_npz
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "waves.npz"
    ...     np.savez(path, X=np.zeros((2, 3), np.float32), y=np.array([0.5, 1.5]))
    ...     load_npz(path)
    <Dataset waves.npz: 2 x 3 float32, regression>
    """
    check_task(task)
    archive = _read(Path(path), max_bytes)
    X, X_test = archive.inputs("X"), None
    if "X_test" in archive.arrays:
        X_test = archive.inputs("X_test")
        if X_test.shape[1] != X.shape[1]:
            raise archive.error(f"X has {X.shape[1]} columns, X_test {X_test.shape[1]}")
    elif "y_test" in archive.arrays:
        raise archive.error("has y_test but no X_test")
    y, y_test, names = None, None, None
    if need_target:
        y = archive.targets("y", len(X))
        y_test = None if X_test is None else archive.targets("y_test", len(X_test))
        y, y_test, names = _encode(archive, y, y_test, task, class_names)
    scale, name = archive.input_scale(), archive.path.name
    return Dataset(X, y, X_test, y_test, scale, name, "npz", class_names=names)


@dataclass(frozen=True)
class _Archive:
    """The arrays that matter here, unchecked, and the names of all there are."""

    path: Path
    arrays: dict[str, np.ndarray]
    names: list[str]

    def error(self, problem: str) -> DataError:
        return DataError(f"{self.path}: {problem}")

    def missing(self, key: str) -> DataError:
        listed = ", ".join(map(plain, self.names)) or "nothing"
        hint = did_you_mean(key, self.names)
        return self.error(f"has no array {key!r}; it holds {listed}{hint}")

    def inputs(self, key: str) -> np.ndarray:
        """Check an array of inputs; return it in C order and native byte order."""
        if key not in self.arrays:
            raise self.missing(key)
        array = self.arrays[key]
        if array.dtype.kind not in "buif":
            raise self.error(f"{key} has type {array.dtype}; accepted are real numbers")
        if array.ndim != 2 or 0 in array.shape:
            raise self.error(
                f"{key} has shape {array.shape}; expected (examples, features), none of them 0"
            )
        self.check_finite(key)
        return np.ascontiguousarray(_native(array))

    def targets(self, key: str, n: int) -> np.ndarray:
        """Check an array of targets for n examples; a single column becomes a vector."""
        if key not in self.arrays:
            raise self.missing(key)
        array = self.arrays[key]
        if array.dtype.kind not in "buifU":
            raise self.error(f"{key} has type {array.dtype}; accepted are real numbers and text")
        if array.ndim not in (1, 2) or array.size == 0:
            raise self.error(
                f"{key} has shape {array.shape}; expected (examples,) or (examples, outputs)"
            )
        if len(array) != n:
            inputs = key.replace("y", "X")
            raise self.error(f"{inputs} has {n:,} rows, {key} has {len(array):,}")
        self.check_finite(key)
        array = _native(array)
        return array[:, 0] if array.shape[1:] == (1,) else array

    def check_finite(self, key: str) -> None:
        # The extremes are enough, and need no array of the size of the data.
        array = self.arrays[key]
        if array.dtype.kind != "f" or (np.isfinite(array.min()) and np.isfinite(array.max())):
            return
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        index = ", ".join(map(str, place))
        raise self.error(f"{key}[{index}] is {array[place]}; every number must be finite")

    def input_scale(self) -> float:
        value = self.arrays.get("input_scale", np.array(1.0))
        if value.size != 1 or value.dtype.kind not in "uif" or not np.isfinite(value).all():
            raise self.error("input_scale must be one finite number")
        return float(value.reshape(-1)[0])


def _read(path: Path, max_bytes: int | None) -> _Archive:
    with reading(path), BufferedReader(open_regular(path)) as file:
        if not zipfile.is_zipfile(file):
            raise DataError(f"{path}: not an .npz archive, or truncated")
        file.seek(0)
        with unzipping(path, file) as archive:
            members = {
                member.filename.removesuffix(".npy"): member for member in archive.infolist()
            }
            wanted = {key: members[key] for key in _KEYS if key in members}
            check_members(path, file, wanted.values(), max_bytes)
            arrays = {key: _array(path, archive, key, wanted[key]) for key in wanted}
    return _Archive(path, arrays, list(members))


def _array(path: Path, archive: zipfile.ZipFile, key: str, member: zipfile.ZipInfo) -> np.ndarray:
    """Return an array, whose header is held against its size before room is made for it."""
    with archive.open(member) as file:
        start = file.read(8)
        if start[:6] != format.MAGIC_PREFIX:
            raise DataError(f"{path}: {key} is a file that holds no array")
        if start[6:] == b"\x01\x00":
            shape, _, dtype = format.read_array_header_1_0(file)
        elif start[6:] == b"\x02\x00":
            shape, _, dtype = format.read_array_header_2_0(file)
        else:
            raise DataError(f"{path}: {key} has names for its columns, or a newer format; accepted "
                            "are numbers and text")  # fmt: skip
        if dtype.hasobject:
            raise DataError(f"{path}: holds an array of Python objects; accepted are numbers and "
                            "text")  # fmt: skip
        size = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or size != member.file_size - file.tell():
            raise DataError(
                f"{path}: {key} is damaged: {member.file_size - file.tell():,} bytes, not the "
                f"{size:,} of its shape {shape} and type {dtype}"
            )
    with archive.open(member) as file:
        return format.read_array(file, allow_pickle=False)


def _native(array: np.ndarray) -> np.ndarray:
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return array.view(np.uint8) if array.dtype.kind == "b" else array


def _encode(
    archive: _Archive,
    y: np.ndarray,
    y_test: np.ndarray | None,
    task: str | None,
    class_names: Sequence[str] | None,
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...] | None]:
    """Encode both parts together, so that one class has one number."""
    both, names = y, None
    if y_test is not None:
        if y.shape[1:] != y_test.shape[1:] or (y.dtype.kind == "U") != (y_test.dtype.kind == "U"):
            raise archive.error("y and y_test differ in the kind or number of their columns")
        both = np.concatenate([y, y_test])
    if both.ndim == 1:
        both, names = encode_array(both, task, class_names, f"{archive.path}, y")
    elif task == "classification" or both.dtype.kind == "U":
        raise archive.error(f"y has shape {y.shape}; classes are a vector (examples,)")
    elif both.dtype.kind != "f":
        both = both.astype(float)
    return both[: len(y)], None if y_test is None else both[len(y) :], names
