"""Damaged data files, many of them: a documented error or data, in bounded memory.

``FASTGD_STRESS=1 pytest tests/test_fuzz_data.py`` is the long form.
"""

from __future__ import annotations

import gzip
import io
import struct
import sys
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest
from stress_form import rounds

from fastgd import data
from fastgd.errors import DataError, MissingExtraError, SettingError

#: How many files of each kind.
MANY = rounds(250, 5000)
DOCUMENTED = (DataError, FileNotFoundError, MissingExtraError, SettingError)
#: What they may unpack to, and by how much the process may grow meanwhile: pandas and pyarrow take
#: several times that.
MAX_BYTES, GROWTH = 1 << 22, 256 << 20

RNG = np.random.default_rng(8)
FRAME = pd.DataFrame(
    {
        "a": RNG.normal(size=40).round(3),
        "word": [("red", "green", "blü")[i % 3] for i in range(40)],
        "when": [f"2024-01-{1 + i % 28:02d}" for i in range(40)],
        "y": np.arange(40) % 2,
    }
)
CSV = FRAME.to_csv(index=False).encode()


def written(write):
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def zipped(file):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", CSV)


IMAGES = struct.pack(">4I", 2051, 20, 4, 4) + bytes(range(160)) * 2
LABELS = struct.pack(">2I", 2049, 20) + bytes(range(10)) * 2
ARRAYS = {"X": RNG.normal(size=(20, 3)), "y": np.arange(20) % 2, "input_scale": np.array(0.5)}
QUOTED = CSV.replace(b"red", b'"r,e\nd"').replace(b"green", b'"gr""een"')
#: The name of each file, and what is in it before it is damaged.
FILES = {
    "train-images-idx3-ubyte": IMAGES,
    "train-images-idx3-ubyte.gz": gzip.compress(IMAGES, mtime=0),
    "a.csv": CSV,
    "quoted.csv": QUOTED,
    "wide.csv": CSV.decode().encode("utf-16"),
    "a.csv.gz": gzip.compress(CSV, mtime=0),
    "a.csv.zip": written(zipped),
    "a.npz": written(lambda file: np.savez(file, **ARRAYS)),
    "packed.npz": written(lambda file: np.savez_compressed(file, **ARRAYS)),
    "a.parquet": written(FRAME.to_parquet),
    "a.feather": written(FRAME.to_feather),
}


def flip(rng, content):
    """Change single bits."""
    for _ in range(rng.integers(1, 5)):
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    return content


def cut(rng, content):
    return content[: rng.integers(len(content))]


def head(rng, content):
    """Put bytes with a meaning where sizes and types are."""
    at = rng.integers(min(len(content), 128))
    content[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
    return content


def tail(rng, content):
    at = len(content) - 1 - rng.integers(min(len(content), 128))
    content[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
    return content


def wide_number(rng, content):
    """Put a number of four or eight bytes somewhere."""
    number = rng.choice([0, 1, 1 << 31, (1 << 32) - 1, (1 << 63) - 1])
    at = rng.integers(len(content))
    piece = int(number).to_bytes(8, rng.choice(["little", "big"]))[-int(rng.choice([4, 8])) :]
    content[at : at + len(piece)] = piece
    return content


def move(rng, content):
    """Repeat a piece elsewhere, or leave it out."""
    a, b = sorted(rng.integers(len(content), size=2))
    at = rng.integers(len(content))
    if rng.integers(2):
        return content[:a] + content[b:]
    return content[:at] + content[a : min(b, a + 400)] + content[at:]


def signs(rng, content):
    """Put what texts are cut by."""
    for _ in range(rng.integers(1, 4)):
        content[rng.integers(len(content))] = rng.choice(list(b",;\t\"'\n\r\0 -+.e(){}[]"))
    return content


DAMAGES = (flip, cut, head, tail, wide_number, move, signs)


def resident():
    """Return the most memory the process has taken so far, in bytes."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@pytest.mark.parametrize("name", FILES)
def test_damaged_files(name, tmp_path):
    whole, path = FILES[name], tmp_path / name
    source, options = path, {"target": "y"} if "npz" not in name else {}
    if "ubyte" in name:
        (tmp_path / "train-labels-idx1-ubyte").write_bytes(LABELS)
        source, options = tmp_path, {}
    path.write_bytes(whole)
    assert len(data.load(source, max_bytes=MAX_BYTES, **options).X) in (20, 40)
    before = resident() if sys.platform != "win32" else 0
    read = 0
    for case in range(MANY):
        rng = np.random.default_rng([case, len(whole)])
        damage = DAMAGES[case % len(DAMAGES)]
        path.write_bytes(bytes(damage(rng, bytearray(whole))))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of pandas and NumPy, about what they guess
                data.load(source, max_bytes=MAX_BYTES, **options)
            read += 1
        except DOCUMENTED as error:
            words = str(error)
            assert "\n" not in words and len(words) < 2000, (case, words)
        except Exception as error:
            raise AssertionError(f"case {case}, {damage.__name__}: {error!r}") from error
    assert read < MANY
    if sys.platform != "win32":
        assert resident() - before < GROWTH
