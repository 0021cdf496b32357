"""What a file looks like that is not one of ours, from its first bytes: words for errors."""

from __future__ import annotations

__all__ = ["looks_like"]

#: The first bytes of formats, in the order they are tried.
STARTS = (
    (
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19",
        "a torch file (an old one): torch.load reads it",
    ),
    (b"\x89HDF\r\n\x1a\n", "HDF5, as Keras writes (.h5)"),
    (b"\x93NUMPY", "NumPy's .npy"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"(\xb5/\xfd", "zstandard"),
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "PDF"),
    (b"PAR1", "Parquet"),
    (b"SQLite format 3", "an SQLite database"),
    (b"GGUF", "GGUF"),
    (b"\x7fELF", "a program"),
    (b"version https://git-lfs", "a pointer of Git LFS: git lfs pull fetches the file itself"),
    (b"ccopy_reg", "a pickle"),
)
#: What the name of the first file says of a zip.
ZIPS = (
    (".npy", "NumPy's .npz"),
    ("data.pkl", "a torch file: torch.load reads it"),
    ("/version", "a torch file: torch.load reads it"),
    ("/.format_version", "a torch file: torch.load reads it"),
    ("/byteorder", "a torch file: torch.load reads it"),
    ("config.json", "a Keras file"),
    ("metadata.json", "a Keras file"),
    ("[Content_Types].xml", "a document such as .xlsx"),
)
#: First bytes of the fields that ONNX's ModelProto begins with, after its version.
ONNX = b"\x12\x1a\x22\x28\x32\x3a\x42"


def looks_like(head: bytes, size: int) -> str:
    """Return in words what a file of some first bytes looks like; "" where nothing is known.

    Examples
    --------
    >>> looks_like(b"\\x93NUMPY", 80), looks_like(b"", 0)
    ("NumPy's .npy", 'an empty file')
    """
    if not size:
        return "an empty file"
    for start, words in STARTS:
        if head.startswith(start):
            return words
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        if b"joblib" in head or b"numpy_pickle" in head:
            return "a pickle of joblib"
        return "a pickle"
    if head.startswith(b"PK\x03\x04"):
        name = head[30 : 30 + int.from_bytes(head[26:28], "little")].decode("latin-1")
        return next((words for end, words in ZIPS if name.endswith(end)), "a zip file")
    if not any(head):
        return "nothing but zeros, as a power loss may leave"
    if head[:1] == b"\x08" and head[1:2] < b"\x20" and head[2:3] and head[2] in ONNX:
        return "ONNX"
    return _text(head)


def _text(head: bytes) -> str:
    """Return what kind of text it is, if it is text."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    lower = text[:200].lower()
    if lower.startswith((b"<!doctype html", b"<html", b"<head")):
        return "HTML: a web page, not the file it links to"
    if lower.startswith(b"<?xml"):
        return "XML"
    if any(byte < 32 and byte not in b"\t\n\r\f" for byte in head):
        return ""
    return "JSON" if text[:1] in (b"{", b"[") else "text"
