"""Memory that processes share by files and segments: no figure of a process shows it, no end of one frees it."""

import contextlib
import ctypes
import os
from collections.abc import Collection
from pathlib import Path

_FOLDER = "/dev/shm/"  # where the system keeps files in memory
_SEGMENTS = Path("/proc/sysvipc/shm")
_IPC_RMID = 0


class SharedMemory:
    """What a family of processes keeps in shared memory, found by looking again and again while they run.

    A file in memory is theirs once one of them was seen to have it; what was there before, or is made by others
    meanwhile, is not.
    """

    def __init__(self) -> None:
        self._before, self._segments = _names(), set(_segments())
        self._theirs: set[str] = set()

    def bytes(self, pids: Collection[int]) -> int:
        """Bytes of files in memory, those without a name included, beyond what these processes show as their own."""
        new = _names() - self._before - self._theirs
        sizes: dict[tuple[int, int], int] = {}
        for pid in pids:
            for fd, link in _open_files(pid).items():
                if link.startswith("/memfd:") or link.startswith(_FOLDER):
                    sizes |= _size(f"/proc/{pid}/fd/{fd}")
            if new:
                self._theirs |= {name for name in new if _has(pid, name)}
        for name in tuple(self._theirs):  # several threads look
            sizes |= _size(_FOLDER + name)
        return max(0, sum(sizes.values()) - sum(_shown(pid) for pid in pids)) if sizes else 0

    def remove(self, pids: Collection[int]) -> None:
        """Remove what these processes, which have ended, left; but nothing that another process has too."""
        others = [int(name) for name in os.listdir("/proc") if name.isdigit()] if self._theirs else []
        for name in self._theirs:
            if not any(_has(pid, name) for pid in others):
                with contextlib.suppress(OSError):
                    os.unlink(_FOLDER + name)
        for number, creator in _segments().items():
            if number not in self._segments and creator in pids:
                ctypes.CDLL(None).shmctl(number, _IPC_RMID, None)


def _names() -> set[str]:
    with contextlib.suppress(OSError):
        return set(os.listdir(_FOLDER))
    return set()


def _segments() -> dict[int, int]:
    """The segments of System V, and the process that made each."""
    with contextlib.suppress(OSError):
        rows = [line.split() for line in _SEGMENTS.read_text().splitlines()[1:]]
        return {int(row[1]): int(row[4]) for row in rows}
    return {}


def _open_files(pid: int) -> dict[str, str]:
    found = {}
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found[fd] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return found


def _has(pid: int, name: str) -> bool:
    """Whether a process has a file in memory open, or mapped."""
    with contextlib.suppress(OSError):
        maps = Path(f"/proc/{pid}/maps").read_text(errors="surrogateescape")
        return _FOLDER + name in _open_files(pid).values() or f" {_FOLDER}{name}\n" in maps
    return False


def _size(path: str) -> dict[tuple[int, int], int]:
    """The bytes of a file in memory, by what tells it from all others."""
    with contextlib.suppress(OSError):
        found = os.stat(path)
        return {(found.st_dev, found.st_ino): 512 * found.st_blocks}
    return {}


def _shown(pid: int) -> int:
    """The bytes of such files in a process's own figure."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("RssShmem:"))
    return 0
