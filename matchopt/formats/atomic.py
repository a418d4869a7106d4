"""Files that appear whole or not at all."""

import gzip
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file through `write`; on any failure, Ctrl-C included, the path keeps what it had before.

    The bytes go to a temporary file in the same folder, reach the disk, and only then take the name. A path that ends
    in .gz is compressed, the same content always to the same bytes.

    Parameters
    ----------
    path : where the file shall be; a symbolic link is followed.
    write : receives the open file.

    Raises
    ------
    OSError
        when the folder is missing, not writable or full.
    """
    final = Path(os.path.realpath(path))
    partial = final.with_name(f".{final.name[:200]}.{secrets.token_hex(4)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(partial, flags, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if path.suffix == ".gz":
                with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as packed:
                    write(packed)  # type: ignore[arg-type]  # GzipFile is a BinaryIO in all that writing needs
            else:
                write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, final)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(final.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` by `write_atomically`."""
    write_atomically(path, lambda file: file.write(content))


def _sync_folder(folder: Path) -> None:
    # Only after this does the new name survive a power cut; some systems cannot open folders.
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # network file systems refuse; the rename itself has happened
        pass
    finally:
        os.close(descriptor)
