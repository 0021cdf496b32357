"""MNIST in its IDX files, plain or gzip.

The format (LeCun, Cortes, Burges, "The MNIST database of handwritten digits"): a magic
number whose third byte is the type (8: unsigned byte) and whose fourth is the number of
dimensions, then the dimensions, all as big-endian 32-bit integers, then the bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from fastgd.data.dataset import Dataset
from fastgd.data.reading import Readable, not_found, open_binary, reading
from fastgd.data.targets import encode_digits
from fastgd.errors import DataError

__all__ = ["load_idx"]

_PIECE = 1 << 20

Part = tuple[np.ndarray, "np.ndarray | None"]  # images (n, height, width) and labels (n,)


def load_idx(
    folder: str | PathLike[str],
    *,
    need_target: bool = True,
    class_names: Sequence[str] | None = None,
    max_bytes: int | None = None,
) -> Dataset:
    """Read a folder of MNIST IDX files.

    The files are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
    `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, each plain or with `.gz`; a
    dot before `idx` is accepted too. Fashion-MNIST, KMNIST and others come the same way.

    Parameters
    ----------
    folder : path
    need_target : bool
        False for prediction: label files are not read, and y is None.
    class_names : sequence of str, optional
        The labels of a trained model: labels become their positions in it.
    max_bytes : int, optional
        How far a compressed file may grow; see `load`.

    Returns
    -------
    Dataset
        The training part in X (uint8, (n, height * width)) and y, the t10k part in
        X_test and y_test; a part alone is X and y. `input_scale` is 1/255.

    Raises
    ------
    DataError
        If files are missing, truncated, too long, corrupt, or do not belong together.

    Examples
    --------
    >>> import pathlib, struct, tempfile
    >>> from fastgd.data import load_idx
    >>> with tempfile.TemporaryDirectory() as name:
    ...     folder = pathlib.Path(name)
    ...     images = struct.pack(">4I", 2051, 2, 2, 2) + bytes(range(8))
    ...     _ = (folder / "train-images-idx3-ubyte").write_bytes(images)
    ...     labels = struct.pack(">2I", 2049, 2) + bytes([7, 0])
    ...     _ = (folder / "train-labels-idx1-ubyte").write_bytes(labels)
    ...     data = load_idx(folder)
    >>> data.X.tolist(), data.y.tolist()
    ([[0, 1, 2, 3], [4, 5, 6, 7]], [7, 0])
    """
    folder = Path(folder)
    if not folder.is_dir():
        if folder.exists():
            raise DataError(f"{folder}: a file; give the folder that holds the IDX files")
        raise not_found(folder)
    train, test = (
        _read_part(folder, prefix, need_target, max_bytes) for prefix in ("train", "t10k")
    )
    if train is None:
        train, test = test, None
    if train is None:
        raise DataError(
            f"{folder}: holds no MNIST IDX files; expected train-images-idx3-ubyte and "
            "train-labels-idx1-ubyte, or t10k-..., plain or .gz"
        )
    return _dataset(folder, train, test, class_names)


def _dataset(
    folder: Path, train: Part, test: Part | None, class_names: Sequence[str] | None
) -> Dataset:
    """Flatten the images and encode the labels of both parts."""
    (images, labels), (test_images, test_labels) = train, test or (None, None)
    height, width = images.shape[1:]
    if test_images is not None and test_images.shape[1:] != (height, width):
        raise DataError(
            f"{folder}: training images are {height} x {width} pixels, "
            f"test images {_size(test_images.shape[1:])}"
        )
    y, y_test, names = None, None, None
    if labels is not None:
        y, names = encode_digits(labels, class_names, f"{folder}, labels")
    if test_labels is not None:
        y_test, _ = encode_digits(test_labels, class_names, f"{folder}, test labels")
    return Dataset(
        X=images.reshape(-1, height * width),
        y=y,
        X_test=None if test_images is None else test_images.reshape(-1, height * width),
        y_test=y_test,
        input_scale=1 / 255,
        name=folder.resolve().name,
        kind="idx",
        image_shape=(height, width),
        class_names=names,
    )


def _read_part(folder: Path, prefix: str, need_target: bool, max_bytes: int | None) -> Part | None:
    """Read the images and labels of "train" or "t10k"; None if neither is there."""
    images_path = _find(folder, f"{prefix}-images", "idx3-ubyte")
    labels_path = _find(folder, f"{prefix}-labels", "idx1-ubyte") if need_target else None
    if images_path is None:
        if labels_path is not None:
            raise DataError(
                f"{folder}: has {labels_path.name} but no {prefix}-images-idx3-ubyte[.gz]"
            )
        return None
    if need_target and labels_path is None:
        raise DataError(f"{folder}: has {images_path.name} but no {prefix}-labels-idx1-ubyte[.gz]")
    images = _read_file(images_path, "images", 3, max_bytes)
    if labels_path is None:
        return images, None
    labels = _read_file(labels_path, "labels", 1, max_bytes)
    if len(labels) != len(images):
        raise DataError(
            f"{labels_path}: {len(labels):,} labels for the {len(images):,} images "
            f"of {images_path.name}"
        )
    return images, labels


def _find(folder: Path, stem: str, ending: str) -> Path | None:
    """Return the first spelling of a file that is there."""
    spellings = (folder / f"{stem}{dot}{ending}{gz}" for gz in ("", ".gz") for dot in "-.")
    return next((path for path in spellings if path.exists()), None)


def _read_file(path: Path, what: str, ndim: int, max_bytes: int | None) -> np.ndarray:
    """Read one IDX file of unsigned bytes with ndim dimensions."""
    header_size = 4 + 4 * ndim
    with reading(path), open_binary(path, max_bytes) as file:
        header = file.read(header_size)
        if len(header) < header_size:
            raise DataError(
                f"{path}: truncated; expected a header of {header_size} bytes, found {len(header)}"
            )
        magic, *shape = struct.unpack(f">{1 + ndim}I", header)
        if magic != 0x800 + ndim:
            raise DataError(
                f"{path}: not an IDX file of {what}; expected the magic number {0x800 + ndim}, "
                f"found {magic}"
            )
        if 0 in shape:
            raise DataError(f"{path}: holds no {what}; its size is {_size(shape)}")
        expected = math.prod(shape)
        content, found = _read_exactly(file, expected)
    if found != expected:
        problem = "truncated" if found < expected else "too long"
        raise DataError(
            f"{path}: {problem}; expected {expected:,} bytes after the header "
            f"({_size(shape)}), found {found:,}"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read_exactly(file: Readable, size: int) -> tuple[bytearray, int]:
    """Read up to `size` bytes and count those that follow.

    In pieces: the header of a damaged file may promise more than any memory holds.
    """
    content = bytearray()
    while len(content) < size and (piece := file.read(min(_PIECE, size - len(content)))):
        content += piece
    extra = sum(len(piece) for piece in iter(lambda: file.read(_PIECE), b""))
    return content, len(content) + extra


def _size(shape: Sequence[int]) -> str:
    return " x ".join(f"{length:,}" for length in shape)
