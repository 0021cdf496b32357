"""Networks as safetensors files: one tensor for each layer's weights and biases, rules beside them.

Any safetensors reader finds ``weights.0``, ``biases.0``, ...; the metadata's ``fastgd`` entry is
JSON with the architecture. Same network, same bytes.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.architecture import Architecture
from fastgd.errors import DataError

if TYPE_CHECKING:
    from fastgd.network import Network

__all__ = ["load", "save"]

FORMAT = 1


def save(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a network to ``path``, through a temporary file: whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written; what was there before is still there.
    """
    from safetensors.numpy import save as serialize

    tensors = {}
    for layer, (W, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        tensors[f"weights.{layer}"], tensors[f"biases.{layer}"] = W, b
    header = {"format": FORMAT, "architecture": asdict(network.architecture)}
    header["notes"] = network.notes
    write_whole(path, serialize(tensors, {"fastgd": json.dumps(header, sort_keys=True)}))


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write bytes to a file, whole or not at all."""
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; name a file in it")
    if target.exists() and not target.is_file():
        raise OSError(f"{target} is not a regular file; name another")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder {target.parent} does not exist")
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def load(path: str | os.PathLike[str], *, backend: str | None = None) -> Network:
    """Read a network that `Network.save` wrote.

    Parameters
    ----------
    path : str or path
        The safetensors file.
    backend : str or None
        As in `Network`.

    Raises
    ------
    DataError
        If the file is damaged or not fastgd's; the message names it and says what is wrong.
    FileNotFoundError
        If there is no such file.
    """
    from fastgd.network import Network

    tensors, header = _read(Path(path))
    try:
        fields = dict(header["architecture"])
        sizes = fields.pop("sizes")
        architecture = Architecture(tuple(sizes), **fields)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a network this version can read: {error}") from None
    network = Network(sizes, **fields, init="zeros", backend=backend)
    network.notes = {str(k): str(v) for k, v in dict(header.get("notes", {})).items()}
    for layer, (W, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        for name, view in ((f"weights.{layer}", W), (f"biases.{layer}", b)):
            view[...] = _tensor(path, tensors, name, view.shape, architecture.dtype)
    return network


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a model file")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, TypeError) as error:
        raise DataError(f"{path}: not a safetensors file, or damaged: {error}") from None
    try:
        header = json.loads(metadata["fastgd"])
    except (KeyError, ValueError):
        raise DataError(f"{path}: a safetensors file, but not a network fastgd wrote") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DataError(f"{path}: written by a newer fastgd; this version reads format {FORMAT}")
    return tensors, header


def _tensor(
    path: object, tensors: dict[str, np.ndarray], name: str, shape: tuple[int, ...], dtype: str
) -> np.ndarray:
    tensor = tensors.get(name)
    if tensor is None:
        raise DataError(f"{path}: tensor {name} is missing")
    if tensor.shape != shape or tensor.dtype.name != dtype:
        raise DataError(
            f"{path}: tensor {name} must be {dtype} {shape}; it is {tensor.dtype} {tensor.shape}"
        )
    if not np.isfinite(tensor).all():
        raise DataError(f"{path}: tensor {name} holds NaN or infinity")
    return tensor
