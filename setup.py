"""The native backend: one optional extension from csrc/. All else is in pyproject.toml.

FASTGD_NATIVE=0 leaves it out. Where it cannot be built, fastgd installs without it and
``fastgd info`` says why; FASTGD_REQUIRE_NATIVE=1 makes that an error.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

#: Never -march=native (the binary chooses at import) and never -ffast-math.
FLAGS = ["-O3", "-std=gnu11", "-fvisibility=hidden", "-ffp-contract=fast", "-fno-math-errno"]


class OptionalBuild(build_ext):
    """Builds the extension, or leaves a note of why it could not be built."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            self._give_up(error)

    def build_extension(self, extension: Extension) -> None:
        import numpy

        extension.include_dirs.append(numpy.get_include())
        if self.compiler.compiler_type != "msvc":
            extension.extra_compile_args = FLAGS + os.environ.get("FASTGD_CFLAGS", "").split()
            extension.extra_link_args = os.environ.get("FASTGD_CFLAGS", "").split()
        super().build_extension(extension)

    def _give_up(self, error: Exception) -> None:
        if os.environ.get("FASTGD_REQUIRE_NATIVE") == "1":
            raise error
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        print(f"fastgd: built without the native backend: {reason}", file=sys.stderr)
        if not self.inplace:
            note = Path(self.build_lib, "fastgd", "backends", "_native_missing.txt")
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(f"it could not be built when fastgd was installed: {reason}\n")
        self.extensions = []


def extensions() -> list:
    """Return the extension, unless FASTGD_NATIVE=0."""
    if os.environ.get("FASTGD_NATIVE") == "0":
        return []
    sources = sorted(str(path) for path in Path("csrc").glob("*.c") if path.stem != "_native")
    return [
        Extension(
            "fastgd.backends._native",
            ["csrc/_native.pyx", *sources],
            include_dirs=["csrc"],
            depends=sorted(str(path) for path in Path("csrc").glob("*.h")),
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        )
    ]


setup(ext_modules=extensions(), cmdclass={"build_ext": OptionalBuild})
