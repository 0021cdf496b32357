"""Make the pictures of gallery.md: those of examples/, of the other ``fastgd show``, and the film.

python docs/make_gallery.py

PNG files are stored with a palette of 256 colours, so that a clone stays small.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).resolve().parent
EXAMPLES = sorted((DOCS.parent / "examples").glob("[0-9]*.py"))
GALLERY = DOCS / "gallery"

#: The pictures that no example makes, by name.
PICTURES = (
    "activations", "slice", "curvature", "rates", "spread", "gradients",
    "network", "weights", "boundary", "confusion", "mistakes", "curves", "diagnosis",
)  # fmt: skip
FILM = "training"
COLORS = 256


def run(*arguments: str | Path) -> None:
    """Run Python in a folder of its own, quietly."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *map(str, arguments)]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)


def shrink(path: Path) -> None:
    """Store a picture with a palette, which takes a third."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def main() -> None:
    """Make all of them, and say how large they are."""
    GALLERY.mkdir(exist_ok=True)
    pictures = []
    for example in EXAMPLES:
        pictures.append(GALLERY / f"{example.stem.partition('_')[2]}.png")
        run(example, pictures[-1])
    for name in PICTURES:
        pictures.append(GALLERY / f"{name}.png")
        run("-m", "fastgd", "show", name, "--out", pictures[-1])
    for picture in pictures:
        shrink(picture)
        print(f"{picture.name:<20} {picture.stat().st_size / 1000:7.1f} kB")
    print(f"{len(pictures)} pictures, {sum(p.stat().st_size for p in pictures) / 1e6:.2f} MB")
    film = GALLERY / f"{FILM}.gif"
    run("-m", "fastgd", "show", FILM, "digits", "--out", film)
    print(f"{film.name}, {film.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
