"""The cache of compiled kernels: what is damaged, another's, or in nobody's folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from stress_form import rounds

import fastgd

pytest.importorskip("numba")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="owners and modes are POSIX's"),
]

PACKAGE = Path(fastgd.__file__).parent
HERE = Path(__file__).parent

#: Something small: the kernels themselves take half a minute.
KERNEL = """
import time
from fastgd.kernels.cache import cached
def double(x):
    return x + x
kernel = cached(double, "v1")
print(kernel(3.0))
print(sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()))
print(kernel.stats.cache_path)
"""
HIT, MISS = "1 0", "0 1"


class Places:
    """Where a process may keep kernels: a folder told, and the user's; not the package's."""

    def __init__(self, path):
        self.told, self.own = path / "told" / "fastgd", path / "own" / "kernels"
        self.environment = {
            **os.environ,
            "NUMBA_CACHE_DIR": str(path / "told"),
            "FASTGD_CACHE": str(path / "own"),
            "PYTHONPATH": str(PACKAGE.parent),
        }

    def start(self, code=KERNEL, **environment):
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code=KERNEL, **environment):
        """Return whether the kernel came from a file, and the folder that is told."""
        return self.result(self.start(code, **environment))

    def result(self, process):
        out, err = process.communicate(timeout=rounds(300, 1200))
        assert (process.returncode, err) == (0, "")
        value, stats, folder = out.splitlines()
        assert value == "6.0"
        return stats, folder

    @property
    def file(self):
        (file,) = self.told.glob("*.kernel")
        return file


@pytest.fixture
def places(tmp_path):
    return Places(tmp_path)


@pytest.fixture
def warm(places):
    assert places.run() == (MISS, str(places.told))
    return places


#: The same without the package's own folder, which comes before the user's.
NO_PACKAGE = KERNEL.replace(
    "def double", "import fastgd.kernels.cache as c\n"
    "c.PACKAGE = __import__('pathlib').Path('/proc/self')\ndef double"
)  # fmt: skip


def damaged(content):
    yield b""
    yield b"not a kernel"
    yield b"\0" * len(content)
    for size in (1, 31, 32, 33, len(content) // 2, len(content) - 1):
        yield content[:size]
    for at in (0, 31, 32, 40, len(content) // 2, len(content) - 1):
        yield content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    yield content + b"\0"


def test_a_second_process_compiles_nothing(warm):
    assert warm.run() == (HIT, str(warm.told))
    assert warm.file.stat().st_mode & 0o777 == 0o644
    assert warm.told.stat().st_mode & 0o777 == 0o700
    assert warm.run(KERNEL.replace("v1", "v2"))[0] == MISS


ALL_AT_ONCE = """
import pathlib, sys
from fastgd.kernels.cache import cached
def double(x):
    return x + x
file = pathlib.Path(sys.stdin.readline().strip())
whole = file.read_bytes()
from test_kernel_cache import damaged
for content in damaged(whole):
    file.write_bytes(content)
    for hits in (0, 1):
        kernel = cached(double, "v1")
        assert kernel(3.0) == 6.0
        assert sum(kernel.stats.cache_hits.values()) == hits, content[:40]
"""


def test_a_damaged_file_is_built_again(warm):
    process = subprocess.run(
        [sys.executable, "-c", ALL_AT_ONCE], input=str(warm.file), text=True, timeout=300,
        env={**warm.environment, "PYTHONPATH": os.pathsep.join(map(str, (PACKAGE.parent, HERE)))},
        cwd=PACKAGE.parent, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr


def test_another_kernels_file_is_not_taken_for_it(warm):
    mine = warm.file
    content = mine.read_bytes()
    mine.unlink()
    warm.run(KERNEL.replace("v1", "v2"))
    warm.file.rename(mine)
    assert warm.run()[0] == MISS
    mine.write_bytes(content)
    assert warm.run()[0] == HIT


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_others_may_write_to_is_not_trusted(warm, mode):
    warm.told.chmod(mode)
    stats, folder = warm.run(NO_PACKAGE)
    assert (stats, folder) == (MISS, str(warm.own))
    assert warm.own.stat().st_mode & 0o777 == 0o700
    assert warm.run(NO_PACKAGE) == (HIT, str(warm.own))


def test_a_file_others_may_write_to_is_not_trusted(warm):
    warm.file.chmod(0o666)
    assert warm.run()[0] == MISS
    assert warm.run()[0] == HIT


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid(), reason="only root gives away")
def test_somebody_elses_is_not_trusted(warm):
    os.chown(warm.file, 12345, 12345)
    assert warm.run()[0] == MISS
    os.chown(warm.told, 12345, 12345)
    assert warm.run(NO_PACKAGE) == (MISS, str(warm.own))


def test_no_folder(places, tmp_path):
    """A file where a folder would have to be stops even root."""
    (tmp_path / "told").write_text("")
    (tmp_path / "own").write_text("")
    assert places.run(NO_PACKAGE) == (MISS, "None")


def test_no_home(places):
    nowhere = {"FASTGD_CACHE": "", "NUMBA_CACHE_DIR": "", "HOME": "/dev/null"}
    assert places.run(NO_PACKAGE, **nowhere) == (MISS, "None")


FULL = NO_PACKAGE.replace(
    "def double", "import errno, os\ndef full(*names):\n"
    "    raise OSError(errno.ENOSPC, 'No space left on device')\nos.replace = full\ndef double"
)  # fmt: skip


def test_a_full_disk(places):
    assert places.run(FULL)[0] == MISS
    assert not [file for file in places.told.iterdir() if file.suffix != ".lock"]


READ_ONLY = NO_PACKAGE.replace(
    "def double", "import errno, os, tempfile\ndef refuse(*a, **k):\n"
    "    raise OSError(errno.EROFS, 'Read-only file system')\n"
    "tempfile.mkstemp = os.open = os.mkdir = refuse\ndef double"
)  # fmt: skip


def test_what_may_only_be_read_is_read(warm):
    assert warm.run(READ_ONLY) == (HIT, str(warm.told))
    assert warm.run(READ_ONLY.replace("v1", "v2"))[0] == MISS


SLOW = KERNEL.replace(
    "print(kernel(3.0))", "compiling = kernel._compiler.compile\n"
    "def slowly(*args):\n    time.sleep(1.0)\n    return compiling(*args)\n"
    "kernel._compiler.compile = slowly\nprint(kernel(3.0))"
)  # fmt: skip


#: The kernel that networks run; the long form is of this.
REAL = """
import pathlib
import fastgd.kernels.cache as c
c.PACKAGE = pathlib.Path("/proc/self")  # there may be one in the package
import fastgd
from fastgd.kernels.entries import run as kernel
net = fastgd.Network([2, 1], output="identity", backend="numba")
net.parameters = [1, 1, 1]
print(net.predict([[2, 3]])[0, 0])
print(sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()))
print(kernel.stats.cache_path)
"""


def test_of_processes_that_start_together_one_compiles(places):
    n = rounds(4, 16)
    started = [places.start(rounds(SLOW, REAL)) for _ in range(n)]
    stats = [places.result(process)[0] for process in started]
    assert sorted(stats) == [MISS] + (n - 1) * [HIT]


def test_one_that_does_not_end_is_not_waited_for(warm):
    name, lock = warm.file.name, warm.file.with_suffix(".lock")
    warm.file.unlink()
    holder = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, sys; f = open(sys.argv[1], 'a');"
         "fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()",
         str(lock)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout.readline() == "held\n"
        soon = KERNEL.replace("def double", "import fastgd.kernels.cache as c\nc.WAIT = 0.2\n"
                              "def double")  # fmt: skip
        assert warm.run(soon)[0] == MISS
    finally:
        holder.communicate("")
    assert warm.file.name == name


def test_a_compilation_that_fails_lets_others_compile(places):
    code = KERNEL.replace(
        "print(kernel(3.0))", "compiling = kernel._compiler.compile\n"
        "def failing(*args):\n    raise KeyboardInterrupt\n"
        "kernel._compiler.compile = failing\n"
        "try:\n    kernel(3.0)\nexcept KeyboardInterrupt:\n    pass\n"
        "assert kernel._cache._file is None\n"
        "kernel._compiler.compile = compiling\nprint(kernel(3.0))"
    )  # fmt: skip
    assert places.run(code)[0] == "0 2"


def test_old_kernels_go(places):
    from fastgd.kernels.cache import KEPT, write

    for i in range(KEPT + 3):
        file = Path(places.environment["NUMBA_CACHE_DIR"]) / f"{i}.kernel"
        file.parent.mkdir(exist_ok=True)
        write(file, b"")
        os.utime(file, (i, i))
    assert len(list(file.parent.iterdir())) == KEPT
    assert file.exists()
