"""Files are written whole or not at all, whatever fails, interrupts or kills meanwhile."""

from __future__ import annotations

import errno
import gc
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from stress_form import rounds

import fastgd
from fastgd import WriteError, writing
from fastgd.writing import append_whole, check_target, move_into_place, write_whole

posix = pytest.mark.skipif(sys.platform == "win32", reason="no such thing there")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no such thing there")
as_root = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="not root")
OLD, NEW = b"what was there", b"what is written" * 1000


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


def files(path: Path) -> list[str]:
    return sorted(os.listdir(path.parent))


class TestContent:
    @pytest.mark.parametrize("content", [b"", b"one", [b"one", memoryview(b"two")], iter([b"x"])])
    def test_is_what_was_given(self, path, content):
        whole = content if isinstance(content, bytes) else {2: b"onetwo"}.get(
            len(content) if isinstance(content, list) else 0, b"x"
        )  # fmt: skip
        write_whole(path, content)
        assert path.read_bytes() == whole and files(path) == ["file"]

    def test_numbers_without_a_copy(self, path):
        numbers = np.arange(1000.0)
        write_whole(path, [memoryview(numbers)])
        assert path.read_bytes() == numbers.tobytes()

    def test_an_error_while_it_is_made(self, path):
        def pieces():
            yield b"begun"
            raise ZeroDivisionError("the caller's own")

        with pytest.raises(ZeroDivisionError, match="the caller's own"):
            write_whole(path, pieces())
        assert path.read_bytes() == OLD and files(path) == ["file"]

    def test_pieces_of_any_size(self, path, monkeypatch):
        """The system may take less than it is given."""
        real = os.write
        monkeypatch.setattr(writing.os, "write", lambda file, view: real(file, view[:7]))
        write_whole(path, NEW)
        assert path.read_bytes() == NEW

    def test_a_system_that_takes_nothing(self, path, monkeypatch):
        monkeypatch.setattr(writing.os, "write", lambda file, view: 0)
        with pytest.raises(WriteError, match="nothing could be written"):
            write_whole(path, NEW)
        assert path.read_bytes() == OLD

    def test_without_a_thread_to_be_had(self, path, monkeypatch):
        def none(*args):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(writing._thread, "start_new_thread", none)
        write_whole(path, NEW)
        assert path.read_bytes() == NEW
        with pytest.raises(WriteError):
            monkeypatch.setattr(writing.os, "write", lambda file, view: 0)
            write_whole(path, OLD)


class TestWhatIsKept:
    @posix
    @pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
    def test_a_new_file_has_the_permissions_of_any_new_file(self, path, mask):
        before = os.umask(mask)
        try:
            path.with_name("other").touch()
            write_whole(path.with_name("new"), NEW)
        finally:
            assert os.umask(before) == mask
        modes = {path.with_name(name).stat().st_mode for name in ("other", "new")}
        assert len(modes) == 1

    @posix
    def test_the_umask_is_never_touched(self, path, monkeypatch):
        monkeypatch.setattr(os, "umask", None)
        write_whole(path, NEW)
        write_whole(path.with_name("new"), NEW)

    @posix
    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666, 0o755])
    def test_permissions(self, path, mode):
        path.chmod(mode)
        write_whole(path, NEW)
        assert stat.S_IMODE(path.stat().st_mode) == mode and path.read_bytes() == NEW

    @posix
    def test_a_secret_is_never_open_to_others(self, path, monkeypatch):
        path.chmod(0o600)
        seen = []
        real = os.write

        def look(file, view):
            seen.append(stat.S_IMODE(os.fstat(file).st_mode))
            return real(file, view)

        monkeypatch.setattr(writing.os, "write", look)
        write_whole(path, NEW)
        assert seen == [0o600]

    @linux
    @as_root
    def test_owner(self, path):
        os.chown(path, 12345, 23456)
        path.chmod(0o4750)
        write_whole(path, NEW)
        found = path.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (12345, 23456, 0o4750)

    @linux
    @as_root
    def test_another_group_is_not_let_in(self, path, monkeypatch):
        def refuse(*args):
            raise PermissionError(errno.EPERM, "Operation not permitted")

        os.chown(path, 12345, 23456)
        path.chmod(0o4764)
        monkeypatch.setattr(writing.os, "fchown", refuse)
        write_whole(path, NEW)
        assert stat.S_IMODE(path.stat().st_mode) == 0o744

    @linux
    def test_extended_attributes(self, path):
        try:
            os.setxattr(path, "user.origin", b"somewhere")
        except OSError:
            pytest.skip("a file system without them")
        write_whole(path, NEW)
        assert os.getxattr(path, "user.origin") == b"somewhere"

    @posix
    def test_links(self, path):
        link, far = path.with_name("link"), path.with_name("far")
        link.symlink_to("file")
        far.symlink_to("link")
        write_whole(far, NEW)
        assert far.is_symlink() and link.is_symlink() and path.read_bytes() == NEW
        assert not path.is_symlink()

    @posix
    def test_a_link_to_nothing_yet(self, path):
        link = path.with_name("link")
        link.symlink_to("new")
        write_whole(link, NEW)
        assert link.is_symlink() and path.with_name("new").read_bytes() == NEW

    @posix
    def test_the_sibling_lies_where_the_link_leads(self, path, tmp_path):
        """A rename from another file system would be none."""
        link = tmp_path / "link"
        link.symlink_to(path)
        tmp_path.chmod(0o700)
        seen = []
        real = os.replace

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writing.os, "replace", lambda a, b: (seen.append(a), real(a, b)))
            write_whole(link, NEW)
        assert [Path(name).parent for name in seen] == [path.parent]

    @posix
    def test_another_name_of_the_same_file_keeps_the_old_content(self, path):
        """As docs/files.md says: a copy by hard link is not written through."""
        other = path.with_name("other")
        os.link(path, other)
        write_whole(path, NEW)
        assert (path.read_bytes(), other.read_bytes()) == (NEW, OLD)


class TestRefused:
    @posix
    @pytest.mark.parametrize("mode", [0o444, 0o400, 0o000])
    def test_read_only(self, path, mode):
        """Also for root, who may write all."""
        path.chmod(mode)
        with pytest.raises(WriteError, match="file: is read-only; what was there is as it was"):
            write_whole(path, NEW)
        path.chmod(0o600)
        assert path.read_bytes() == OLD and files(path) == ["file"]

    def test_folders(self, path):
        with pytest.raises(IsADirectoryError, match="is a folder; name a file in it"):
            write_whole(path.parent, NEW)
        with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist"):
            write_whole(path.parent / "nowhere" / "file", NEW)
        with pytest.raises(OSError):
            write_whole(path / "below a file", NEW)

    @posix
    def test_a_circle_of_links(self, path):
        link = path.with_name("link")
        link.symlink_to("link")
        with pytest.raises(WriteError, match="link: "):
            write_whole(link, NEW)

    @linux
    def test_what_is_no_file(self, path):
        import socket

        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path.with_name("socket")))
            with pytest.raises(WriteError, match="socket: is not a regular file; name another"):
                write_whole(path.with_name("socket"), NEW)

    @posix
    def test_a_pipe_that_nobody_reads(self, path):
        os.mkfifo(path.with_name("pipe"))
        with pytest.raises(WriteError, match="is a pipe that nobody reads"):
            write_whole(path.with_name("pipe"), NEW)

    @linux
    @as_root
    def test_no_permission(self, path):
        """In a process that is not root's."""
        code = (
            "import os, sys\n"
            "from fastgd.writing import write_whole\n"
            "os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
            "try: write_whole(sys.argv[1], b'new')\n"
            "except OSError as error: print(type(error).__name__, error)"
        )
        for folder in path.parents:  # others must come as far as the folder
            if folder.stat().st_uid == os.getuid() and not folder.stat().st_mode & 0o001:
                folder.chmod(0o755)
        path.parent.chmod(0o755)
        path.chmod(0o666)
        said = run_python(code, path)
        assert said.startswith("WriteError") and "Permission denied; what was there" in said
        path.chmod(0o644)
        assert "is read-only" in run_python(code, path)
        assert path.read_bytes() == OLD


class TestStreams:
    @linux
    @pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
    def test_a_redirected_file_goes_on(self, path, name):
        """It is written to, not replaced."""
        if name == "link":
            path.with_name("link").symlink_to("/dev/stdout")
            name = path.with_name("link")
        code = (
            "import sys; from fastgd.writing import write_whole; print('before');"
            "write_whole(sys.argv[1], b'new\\n'); print('after')"
        )
        before = path.stat().st_ino
        with path.open("ab") as file:
            subprocess.run([sys.executable, "-c", code, name], stdout=file, check=True)
        assert path.read_bytes() == OLD + b"before\nnew\nafter\n"
        assert path.stat().st_ino == before

    @linux
    def test_a_model_through_a_pipe(self, path):
        code = "import fastgd; fastgd.Network([2, 1], seed=1).save('/dev/stdout')"
        path.write_bytes(subprocess.run([sys.executable, "-c", code], stdout=-1, check=True).stdout)
        assert fastgd.load(path).n_parameters == 3

    @posix
    def test_a_named_pipe(self, path):
        pipe, got = path.with_name("pipe"), []
        os.mkfifo(pipe)
        reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
        reader.start()
        large = NEW * 100  # more than a pipe holds
        for _ in range(1000):  # until it is read
            try:
                write_whole(pipe, large)
                break
            except WriteError:
                time.sleep(0.01)
        reader.join()
        assert got == [large] and stat.S_ISFIFO(pipe.stat().st_mode)

    @posix
    def test_a_device(self):
        write_whole(os.devnull, NEW)
        assert not Path(os.devnull).is_file()


STEPS = ("open", "write", "fchmod", "fsync", "replace")
FAULTS = (errno.EIO, errno.ENOSPC, errno.EACCES)


class Faults:
    """Makes the n-th of the system's steps fail, and counts them."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, code: int):
        self.at, self.code, self.steps = at, code, []
        for name in STEPS:
            patch.setattr(writing.os, name, self._step(name, getattr(os, name)), raising=False)

    def _step(self, name, real):
        def step(*args, **kwargs):
            self.steps.append(name)
            if len(self.steps) == self.at + 1:
                raise OSError(self.code, os.strerror(self.code))
            return real(*args, **kwargs)

        return step


@posix
class TestFaults:
    def test_the_steps_are_those_that_outlast_a_power_loss(self, path):
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, -1, 0)
            write_whole(path, NEW)
        #       sibling  content  as it was  to the disk  its name   folder   to the disk
        assert faults.steps == ["open", "write", "fchmod", "fsync", "replace", "open", "fsync"]

    @pytest.mark.parametrize("code", FAULTS, ids=errno.errorcode.get)
    @pytest.mark.parametrize("new", [False, True])
    @pytest.mark.parametrize("at", range(7))
    def test_each_step_that_fails(self, path, at, code, new):
        if new:
            path.unlink()
            at -= at > 1  # there are no permissions to keep
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, at, code)
            try:
                write_whole(path, NEW)
            except WriteError as error:
                assert error.errno == code and error.filename == str(path)
                assert os.strerror(code) in str(error) and str(path) in str(error)
                failed = True
            else:
                failed = False
        named = "replace" in faults.steps[: faults.at]
        # A folder that cannot be opened is not synchronised; else every fault is told.
        assert failed or faults.steps[faults.at] == "open" or code == errno.EACCES
        assert failed or named
        assert files(path) == ["file"] * (named or not new)
        if path.exists():
            assert path.read_bytes() == (NEW if named else OLD)

    def test_a_sibling_that_cannot_be_removed_goes_with_the_next_write(self, path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(writing.os, "unlink", Faults(patch, 1, errno.EIO)._step("unlink", None))
            patch.setattr(writing.os, "replace", Faults(patch, 0, 5)._step("replace", None))
            with pytest.raises(WriteError):
                write_whole(path, NEW)
        write_whole(path, NEW)
        assert files(path) == ["file"]

    def test_no_descriptor_stays(self, path):
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        for at in range(7):
            with pytest.MonkeyPatch.context() as patch:
                Faults(patch, at, errno.EIO)
                with pytest.raises(WriteError) if at != 5 else pytest.MonkeyPatch.context():
                    write_whole(path, NEW)
        assert not before or len(os.listdir("/proc/self/fd")) == before


@posix
class TestLitter:
    NAME = ".fastgd-0123456789abcdef.tmp"

    def test_of_a_process_that_is_gone(self, path):
        path.with_name(self.NAME).touch()
        write_whole(path, NEW)
        assert files(path) == ["file"]

    def test_of_one_that_still_writes_stays(self, path):
        import fcntl

        with path.with_name(self.NAME).open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            write_whole(path, NEW)
            assert files(path) == [self.NAME, "file"]
        write_whole(path, NEW)
        assert files(path) == ["file"]

    @pytest.mark.parametrize("name", [".fastgd-0123.tmp", ".fastgd-0123456789abcdef.tmp.bak"])
    def test_other_names_stay(self, path, name):
        path.with_name(name).touch()
        write_whole(path, NEW)
        assert files(path) == sorted([name, "file"])

    def test_a_link_of_that_name_is_not_followed(self, path):
        precious = path.with_name("precious")
        precious.write_bytes(OLD)
        path.with_name(self.NAME).symlink_to("precious")
        write_whole(path, NEW)
        assert precious.read_bytes() == OLD


class TestAppending:
    def test_whole_lines(self, path):
        append_whole(path, b" and more")
        append_whole(path.with_name("new"), b"first")
        assert path.read_bytes() == OLD + b" and more"
        assert path.with_name("new").read_bytes() == b"first"

    def test_a_line_that_does_not_fit(self, path, monkeypatch):
        real, calls = os.write, []

        def full(file, view):
            calls.append(view)
            if len(calls) == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(file, view[:3])

        monkeypatch.setattr(writing.os, "write", full)
        with pytest.raises(WriteError, match="file: No space left on device; what was there is as"):
            append_whole(path, b" and more")
        assert path.read_bytes() == OLD

    def test_nothing_is_left_where_nothing_was(self, path, monkeypatch):
        def full(file, view):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(writing.os, "write", full)
        for write in (append_whole, write_whole):
            with pytest.raises(WriteError, match=r"new: No space left on device$"):
                write(path.with_name("new"), b"first")
        assert files(path) == ["file"]

    def test_moving_into_place(self, path):
        source = path.with_name("part")
        source.write_bytes(NEW)
        move_into_place(source, path)
        assert path.read_bytes() == NEW and files(path) == ["file"]

    def test_the_target_of_what_is_checked(self, path):
        assert check_target(path) == path.resolve()


# --------------------------------------------------------------------------- interrupted and killed


def run_python(code: str, *args: object) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "error", *(["-c", code] if code else []), *map(str, args)],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def settled() -> None:
    """Wait for a write that nobody waited for."""
    for _ in range(1000):
        frames = sys._current_frames().values()
        if not any(frame.f_code.co_filename == writing.__file__ for frame in frames):
            return
        time.sleep(0.001)


@posix
class TestInterrupts:
    def count(self, path: Path, at: int) -> int:
        """Write, and raise KeyboardInterrupt before the at-th bytecode; return how many ran."""
        done = 0

        def trace(frame, event, argument):
            nonlocal done
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            if event == "opcode":
                done += 1
                if done == at:
                    raise KeyboardInterrupt
            return trace

        gc.disable()  # a collection would call back, and be interrupted
        sys.settrace(trace)
        try:
            write_whole(path, NEW)
        finally:
            sys.settrace(None)
            gc.enable()
        return done

    def test_at_any_bytecode(self, path):
        """The old file or the new one, and KeyboardInterrupt, nothing else."""
        n = self.count(path, 0)
        step = max(1, n // rounds(300, n))
        descriptors = len(os.listdir("/dev/fd"))
        found = set()
        for at in range(1, n, step):
            path.write_bytes(OLD)
            with pytest.raises(KeyboardInterrupt):
                self.count(path, at)
            settled()
            found.add(path.read_bytes())
            assert files(path) == ["file"]
        assert found == {OLD, NEW} and len(os.listdir("/dev/fd")) == descriptors

    def test_at_any_time(self, path, monkeypatch):
        """A timer's signal, as Ctrl-C would come."""
        import signal

        def interrupt(*args):
            raise KeyboardInterrupt

        previous = signal.signal(signal.SIGALRM, interrupt)
        descriptors = len(os.listdir("/dev/fd"))
        interrupted = 0
        drawn = np.random.default_rng(0)
        try:
            for _ in range(rounds(300, 20_000)):
                path.write_bytes(OLD)
                try:
                    signal.setitimer(signal.ITIMER_REAL, float(drawn.uniform(1e-5, 1.5e-3)))
                    write_whole(path, NEW)
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except KeyboardInterrupt:
                    interrupted += 1
                settled()
                assert path.read_bytes() in (OLD, NEW) and files(path) == ["file"]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        assert interrupted and len(os.listdir("/dev/fd")) == descriptors

    def test_a_long_write_is_given_up(self, path):
        """And a second Ctrl-C does not wait for that."""
        begun, go_on = threading.Event(), threading.Event()

        def pieces():
            yield b"begun"
            begun.set()
            go_on.wait()
            yield b"never written"

        import signal

        def twice():
            begun.wait()
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.1)

        threading.Thread(target=twice).start()
        with pytest.raises(KeyboardInterrupt):
            write_whole(path, pieces())
        go_on.set()
        for _ in range(1000):
            if files(path) == ["file"]:
                break
            time.sleep(0.01)
        assert path.read_bytes() == OLD and files(path) == ["file"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize(("how", "short", "long"), [("killed", 20, 500), ("concurrent", 50, 500)])
def test_processes(path, how, short, long):
    """Each load of a path that others save to, or died saving to, is whole."""
    path.unlink()
    script = Path(__file__).with_name("saving.py")
    print(run_python("", script, how, path, rounds(short, long)))


def test_threads_that_save_to_one_path(path):
    """With a reader, who finds a whole file each time."""
    contents, stop = [bytes([i]) * 10_000 for i in range(1, 5)], threading.Event()

    def save(content):
        while not stop.is_set():
            write_whole(path, content)

    threads = [threading.Thread(target=save, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    seen = {path.read_bytes() for _ in range(rounds(200, 5000))}
    stop.set()
    for thread in threads:
        thread.join()
    assert seen <= {OLD, *contents} and files(path) == ["file"]
