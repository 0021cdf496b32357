"""The native backend: one optional extension from csrc/. All else is in pyproject.toml.

FASTGD_NATIVE=0 leaves it out. Where it cannot be built, fastgd installs without it and
``fastgd info`` says why; FASTGD_REQUIRE_NATIVE=1 makes that an error. FASTGD_CFLAGS is added to
the compiler's and the linker's flags.
"""

import os
import shutil
import sys
from pathlib import Path
from subprocess import CalledProcessError

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

#: Never -march=native (the binary chooses at import) and never -ffast-math.
FLAGS = ["-O3", "-std=gnu11", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
#: What a slip in the C code runs into: see SECURITY.md. A stack protector would cost 2 % of a step.
HARDENED = ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"]
#: Addresses that are looked up once, and cannot be written to after.
READ_ONLY = ["-Wl,-z,relro,-z,now"]
#: What clang calls the Windows it builds for.
WINDOWS = {"win-amd64": "x86_64-pc-windows-msvc", "win-arm64": "aarch64-pc-windows-msvc"}


class OptionalBuild(build_ext):
    """Builds the extension, or leaves a note of why it could not be built."""

    def initialize_options(self) -> None:
        super().initialize_options()
        self.cython_c_in_temp = True  # C that Cython writes stays out of csrc/

    def run(self) -> None:
        # setuptools builds elsewhere first and copies: while it does, `inplace` is not set.
        folders = {False: Path(self.build_lib, "fastgd/backends"), True: Path("fastgd/backends")}
        folder = folders[bool(self.inplace)]
        note = folder / "_native_missing.txt"
        note.unlink(missing_ok=True)
        try:
            super().run()
        except Exception as error:
            if os.environ.get("FASTGD_REQUIRE_NATIVE") == "1":
                raise
            reason = why(error)
            print(f"fastgd: built without the native backend: {reason}", file=sys.stderr)
            self._leave_out(folder)
            note.write_text(f"it could not be built when fastgd was installed: {reason}\n", "utf-8")

    def _leave_out(self, folder: Path) -> None:
        """Forget the extension, and what an earlier build left of it."""
        folder.mkdir(parents=True, exist_ok=True)
        for extension in self.extensions:
            Path(folder, Path(self.get_ext_filename(extension.name)).name).unlink(missing_ok=True)
        self.extensions = self.distribution.ext_modules = []

    def build_extension(self, extension: Extension) -> None:
        import numpy

        extension.include_dirs.append(numpy.get_include())
        asked = os.environ.get("FASTGD_CFLAGS", "").split()
        if sys.platform == "win32":
            self._use_clang()
            flags = [f"/clang:{flag}" for flag in FLAGS]
            extension.extra_compile_args = [f"--target={WINDOWS[self.plat_name]}", *flags, *asked]
        else:
            # Sanitizers look at the same, and want to do it alone.
            hardened = [] if any("sanitize" in flag for flag in asked) else HARDENED
            extension.extra_compile_args = [*FLAGS, "-fvisibility=hidden", *hardened, *asked]
            linux = sys.platform == "linux"
            extension.extra_link_args = [*(READ_ONLY if linux else []), *asked]
        super().build_extension(extension)

    def _use_clang(self) -> None:
        """Compile with clang-cl on Windows: Microsoft's compiler has no vector types, and GCC
        does not align the stack for them. Microsoft's linker and libraries stay in use.
        """
        clang = shutil.which("clang-cl")
        if self.compiler.compiler_type != "msvc" or not clang:
            raise RuntimeError("on Windows it needs Visual Studio and LLVM's clang-cl")
        if self.plat_name not in WINDOWS:
            raise RuntimeError(f"it is not made for {self.plat_name}")
        if not self.compiler.initialized:
            self.compiler.initialize(self.plat_name)
        self.compiler.cc = clang
        self.compiler.compile_options = ["/nologo", "/DNDEBUG", "/MD"]


def why(error: Exception) -> str:
    """Return an error in one line."""
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{error.filename} was not found"
    if isinstance(error, CalledProcessError):
        return f"{error.cmd[0]} failed with exit code {error.returncode}"
    return " ".join(str(error).split())[:200] or type(error).__name__


class Wheel(bdist_wheel):
    """A wheel for every platform where there is nothing compiled in it."""

    def run(self) -> None:
        self.run_command("build")
        self.root_is_pure = not self.distribution.has_ext_modules()
        super().run()


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
            depends=sorted(map(str, Path("csrc").glob("*.h"))),
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        )
    ]


setup(ext_modules=extensions(), cmdclass={"build_ext": OptionalBuild, "bdist_wheel": Wheel})
