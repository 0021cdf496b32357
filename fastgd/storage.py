"""Arrays and what is said of them, in one file with a checksum: below models and checkpoints.

The file is safetensors: the header's length (8 bytes, little-endian), the header as JSON, then the
numbers. Its metadata has two texts: ``fastgd`` is JSON, and says what the arrays mean;
``checksum`` is the BLAKE2b of that text and of every array (see `checksum_of`).

Reading trusts nothing: the file's kind and size, the header's length and depth, and every name,
dtype, shape and offset are held against each other before room is made for the numbers. Those are
read, not mapped: a file that changes meanwhile is noticed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np

from fastgd.errors import ModelFileError, SettingTypeError
from fastgd.looks import looks_like
from fastgd.regular import open_regular
from fastgd.version import __version__
from fastgd.visible import visible
from fastgd.writing import StrPath, write_whole

__all__ = ["MAX_HEADER", "Kind", "Tensor", "brief", "checksum_of", "parse", "read", "write"]

#: The longest header, in bytes.
MAX_HEADER = 1 << 20
#: The longest JSON, where it does not fit the header and is kept as an array of bytes.
MAX_TEXT = 1 << 24
#: The most arrays.
MAX_ARRAYS = 4096
#: How deep JSON may be.
MAX_DEPTH = 32
#: JSON has no more lists, objects and keys than these and one for each 8 characters: what is made
#: of many takes far longer to read than to send.
MAX_MARKS = 1000
#: The key of the JSON in the metadata, and the name of the array where it is long.
KEY = "fastgd"
#: NumPy's names of the number types, by those of safetensors.
DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16",
    "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
NAMES = {name: short for short, name in DTYPES.items()}


@dataclass(frozen=True)
class Kind:
    """What a file holds: its name, and the newest format of it that this version knows.

    Files up to the format ``unsigned`` have no checksum. A file of it is called ``file``;
    ``advice`` is for one whose checksum is another.
    """

    name: str
    format: int
    unsigned: int = 0
    file: str = "a file"
    advice: str = ""


class Tensor(NamedTuple):
    """One array of a file: its dtype, shape, and where it begins among the numbers."""

    dtype: str
    shape: tuple[int, ...]
    start: int = 0

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"

    @property
    def size(self) -> int:
        """Its bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


#: Says which arrays a file must have, from its JSON and the names of those it has.
Expect = Callable[[dict[str, Any], Collection[str]], Mapping[str, Tensor]]


def write(
    path: StrPath, kind: Kind, said: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Write arrays, and JSON that says what they mean, whole or not at all.

    Raises
    ------
    TypeError, ValueError
        If what is said cannot be JSON.
    OSError
        As `fastgd.writing.write_whole` does.
    """
    start = {"kind": kind.name, "format": kind.format, "fastgd": __version__}
    text = json.dumps({**start, **said}, allow_nan=False)
    if len(text) > MAX_TEXT:
        raise ValueError(f"what is said of the {kind.name} is {len(text):,} characters; at most "
                         f"{MAX_TEXT:,} are kept")  # fmt: skip
    parse(text)  # what could not be read is not written
    tensors = {name: Tensor(array.dtype.name, array.shape) for name, array in arrays.items()}
    blobs = {name: _little(array).tobytes() for name, array in arrays.items()}
    metadata = {KEY: text, "checksum": checksum_of(text, tensors, blobs)}
    if len(text) > MAX_HEADER // 4:
        metadata.pop(KEY)
        blobs[KEY] = text.encode()
        tensors[KEY] = Tensor("uint8", (len(blobs[KEY]),))
    # Wide numbers first: then each begins where its own width divides the place.
    order = sorted(blobs, key=lambda name: -np.dtype(tensors[name].dtype).itemsize)
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name in order:
        begin, end = end, end + len(blobs[name])
        header[name] = {
            "dtype": NAMES[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [begin, end],
        }
    first = json.dumps(header, separators=(",", ":")).encode()
    first += b" " * (-len(first) % 8)
    if len(first) > MAX_HEADER or len(tensors) > MAX_ARRAYS:
        raise ValueError(f"{len(tensors):,} arrays are more than the header of a file can name")
    write_whole(path, [len(first).to_bytes(8, "little") + first, *(blobs[name] for name in order)])


def checksum_of(
    text: str, tensors: Mapping[str, Tensor], blobs: Mapping[str, bytes | np.ndarray]
) -> str:
    """Return the checksum of a file's content, however it is laid out.

    BLAKE2b with 32 bytes, in hexadecimal, of: the JSON text; then for each array, sorted by name,
    ``name dtype [shape]`` between line ends and its bytes, little-endian in C order.
    """
    digest = hashlib.blake2b(text.encode(), digest_size=32)
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(blobs[name])
    return f"blake2b:{digest.hexdigest()}"


def read(
    path: StrPath, kind: Kind, expect: Expect, *, verify: bool = True
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what a file says, and its arrays.

    Parameters
    ----------
    path : path
    kind : Kind
    expect : callable
        ``expect(said, names)`` returns the arrays there must be; what it raises of ValueError,
        TypeError, LookupError and ArithmeticError means that the file cannot be read.
    verify : bool
        Whether to hold the numbers against the checksum.

    Raises
    ------
    ModelFileError
        If it is another file, a damaged one, or written by a newer version.
    FileNotFoundError, PermissionError
        If there is no such file, or it may not be read.
    """
    with _opened(path, kind) as file:
        size = os.fstat(file.fileno()).st_size
        header, begin = _read_header(path, file, size)
        metadata = _metadata(path, header, kind)
        tensors = _tensors(path, header, size - begin)
        text = metadata.get(KEY)
        if text is None:
            text = _long_text(path, file, tensors.pop(KEY, None), begin)
        said = _said(path, text, kind)
        try:
            expected = expect(said, tensors.keys())
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            words = brief(f"not a {kind.name} this version can read: {_words(error)}")
            raise ModelFileError(f"{path}: {words}") from None
        _compare(path, tensors, expected)
        arrays = {name: _array(path, file, tensors[name], begin) for name in sorted(tensors)}
    if verify and said["format"] > kind.unsigned:
        blobs = {name: array.reshape(-1).view(np.uint8) for name, array in arrays.items()}
        if metadata.get("checksum") != checksum_of(text, tensors, blobs):
            raise ModelFileError(
                f"{path}: damaged: its checksum is another{kind.advice and f' ({kind.advice})'}"
            )
    if np.little_endian:
        return said, arrays
    return said, {
        name: array.astype(array.dtype.newbyteorder("=")) for name, array in arrays.items()
    }


# ------------------------------------------------------------------------------------- the pieces


def _opened(path: StrPath, kind: Kind) -> Any:
    if not isinstance(path, str | os.PathLike):
        raise SettingTypeError("path", f"must be a path; got {brief(repr(path))}")
    if not os.fspath(path):
        raise FileNotFoundError(f"the path is empty; name {kind.file}")
    try:
        return open_regular(path, f"name {kind.file}", ModelFileError)
    except FileNotFoundError:
        raise FileNotFoundError(f"{visible(path)}: no such file") from None


def _read(path: StrPath, file: Any, start: int, buffer: memoryview) -> None:
    """Fill a buffer from a place in the file."""
    file.seek(start)
    while len(buffer):
        n = file.readinto(buffer)
        if not n:
            raise ModelFileError(f"{path}: became shorter while it was read")
        buffer = buffer[n:]


def _bytes(path: StrPath, file: Any, start: int, size: int) -> bytes:
    buffer = bytearray(size)
    _read(path, file, start, memoryview(buffer))
    return bytes(buffer)


def _array(path: StrPath, file: Any, tensor: Tensor, begin: int) -> np.ndarray:
    array = np.empty(tensor.shape, np.dtype(tensor.dtype).newbyteorder("<"))
    if array.size:
        _read(path, file, begin + tensor.start, memoryview(array.reshape(-1)).cast("B"))
    return array


def _read_header(path: StrPath, file: Any, size: int) -> tuple[dict[str, Any], int]:
    """Return the header, and where the numbers begin."""
    head = _bytes(path, file, 0, min(size, 4096))
    length = int.from_bytes(head[:8], "little")
    likely = size >= 10 and head[8:9] == b"{"
    if not likely or length > MAX_HEADER:
        known = looks_like(head, size) or "a damaged one, or nothing that is known here"
        if likely:
            known = f"one with a header of {length:,} bytes; at most {MAX_HEADER:,} are read"
        raise ModelFileError(f"{path}: not a safetensors file; it looks like {known}")
    if length < 2 or 8 + length > size:
        raise ModelFileError(
            f"{path}: cut short or damaged: {size:,} bytes, and its header ends at {8 + length:,}"
        )
    try:
        header = parse(_bytes(path, file, 8, length).decode())
    except ValueError as error:
        raise ModelFileError(f"{path}: damaged: its header is no JSON ({brief(error)})") from None
    if not isinstance(header, dict):
        raise ModelFileError(f"{path}: damaged: its header is no JSON object")
    return header, 8 + length


def _metadata(path: StrPath, header: dict[str, Any], kind: Kind) -> dict[str, str]:
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ModelFileError(f"{path}: damaged: its metadata are no texts")
    if KEY not in metadata and not (KEY in header and "checksum" in metadata):
        raise ModelFileError(f"{path}: a safetensors file, but not a {kind.name} fastgd wrote")
    return metadata


def _tensors(path: StrPath, header: dict[str, Any], size: int) -> dict[str, Tensor]:
    """Return the arrays of a header, which must be all of the file's numbers, none twice."""
    if len(header) > MAX_ARRAYS:
        raise ModelFileError(
            f"{path}: names {len(header):,} arrays; at most {MAX_ARRAYS:,} are read"
        )
    tensors = {name: _tensor(path, name, entry) for name, entry in header.items()}
    end = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].size)):
        if tensor.start != end:
            raise ModelFileError(f"{path}: damaged: tensor {brief(name)} begins at a wrong place")
        end += tensor.size
    if end != size:
        what = "cut short" if end > size else "longer than it says"
        raise ModelFileError(f"{path}: {what}, or damaged: {size:,} bytes of numbers, not {end:,}")
    return tensors


def _tensor(path: StrPath, name: str, entry: Any) -> Tensor:
    try:
        dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        whole = all(type(n) is int and 0 <= n < 1 << 62 for n in (*shape, start, end))
        if len(entry) == 3 and isinstance(shape, list) and len(shape) <= 8 and whole:
            tensor = Tensor(DTYPES[dtype], tuple(shape), start)
            if tensor.size == end - start:
                return tensor
    except (TypeError, ValueError, KeyError):
        pass
    raise ModelFileError(f"{path}: damaged: what it says of tensor {brief(name)} cannot be")


def _long_text(path: StrPath, file: Any, tensor: Tensor | None, begin: int) -> str:
    if tensor is None or tensor.dtype != "uint8" or tensor.size > MAX_TEXT:
        raise ModelFileError(f"{path}: damaged: what it says of itself is no text")
    try:
        return _bytes(path, file, begin + tensor.start, tensor.size).decode()
    except UnicodeDecodeError:
        raise ModelFileError(f"{path}: damaged: what it says of itself is no text") from None


def _said(path: StrPath, text: str, kind: Kind) -> dict[str, Any]:
    """Return the JSON, of a kind and format that is known."""
    try:
        said = parse(text)
    except ValueError as error:
        raise ModelFileError(
            f"{path}: damaged: what it says of itself is no JSON ({brief(error)})"
        ) from None
    if not isinstance(said, dict) or type(said.get("format")) is not int or said["format"] < 1:
        raise ModelFileError(f"{path}: damaged: it does not say its format")
    other = said.get("kind", kind.name)
    if other != kind.name:
        raise ModelFileError(f"{path}: holds a {brief(other)}, not a {kind.name}")
    if said["format"] > kind.format:
        raise ModelFileError(
            f"{path}: format {said['format']}, written by a newer fastgd "
            f"({brief(said.get('fastgd', 'unknown'))}); fastgd {__version__} reads up to format "
            f"{kind.format}"
        )
    return said


def _compare(path: StrPath, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise unless the arrays are those expected."""
    for name, (dtype, shape, _) in expected.items():
        tensor = tensors.get(name)
        if tensor is None:
            raise ModelFileError(f"{path}: tensor {name} is missing")
        if (tensor.dtype, tensor.shape) != (dtype, shape):
            raise ModelFileError(f"{path}: tensor {name} must be {dtype} {shape}; it is {tensor}")
    extra = tensors.keys() - expected.keys()
    if extra:
        raise ModelFileError(f"{path}: tensor {brief(min(extra))} is not part of what it describes")


# ------------------------------------------------------------------------------ JSON of strangers

#: Digits as one of them, and how much deeper brackets lead: a level, or a level back.
_BARE = bytes.maketrans(b"123456789[{]}", b"0" * 9 + b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(set(range(256)) - {0x01, 0xFF})


def parse(text: str) -> Any:
    """Return what JSON says, if it is not too deep, with no key twice and no NaN.

    Raises
    ------
    ValueError
        If it is something else.

    Examples
    --------
    >>> parse('{"sizes": [4, 3]}')
    {'sizes': [4, 3]}
    >>> parse("[" * 100)
    Traceback (most recent call last):
        ...
    ValueError: deeper than 32 levels
    """
    # Without escapes a string ends at the next quote, and every other piece is one.
    plain = text.encode(errors="replace").replace(b"\\\\", b"").replace(b'\\"', b"")
    bare = b" ".join(plain.split(b'"')[::2]).translate(_BARE)
    if b"0" * 400 in bare:
        raise ValueError("a number of more than 400 digits")
    steps = np.frombuffer(bare.translate(None, _NO_BRACKETS), np.int8)
    if np.cumsum(steps, dtype=np.int64).max(initial=0) > MAX_DEPTH:
        raise ValueError(f"deeper than {MAX_DEPTH} levels")
    if bare.count(b"\x01") + bare.count(b":") > MAX_MARKS + len(text) // 8:
        raise ValueError("too many lists, objects and keys for its length")
    return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_unique)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key that is there twice")
    return found


def _words(error: BaseException) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)


def brief(what: object, most: int = 200) -> str:
    """Return something of a stranger's on one short line, without control characters."""
    text = str(what)
    return visible(text if len(text) <= most else f"{text[:most]}...")


def _little(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder("<"), copy=False)
