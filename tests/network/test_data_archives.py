import bz2
import gzip
import hashlib
import io
import lzma
import re
import tarfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchopt.errors import DataError
from matchopt.network.data.archives import Wanted, content_digest, read_files

FILES = {f"{n}.bin": bytes([n]) * (10 * n) for n in range(4)}
WANTED = Wanted("toy", re.compile(r"(?:[^/]+/)?(\d\.bin)"), 4, 100, 100_000)


def packed(files=FILES, prefix="top/", extra=()):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for member in extra:
            archive.addfile(member)
        for name, content in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def member(name, kind, target=""):
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
def test_every_packing_and_the_folder_give_the_same_files(tmp_path, pack):
    """Plain, gzip, xz and bzip2 archives and an unpacked folder hold the same files with the same digest."""
    archive = tmp_path / "toy.tar"
    archive.write_bytes(pack(packed()))
    found = read_files(archive, WANTED)
    assert found == FILES
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    assert read_files(folder, WANTED) == FILES
    lines = "".join(f"{name} {hashlib.sha256(FILES[name]).hexdigest()}\n" for name in sorted(FILES))
    assert content_digest(found) == hashlib.sha256(lines.encode()).hexdigest()


def test_paths_links_and_devices_mean_nothing(tmp_path):
    """Nothing is written, links are not followed, and names that climb out of the archive are not wanted ones."""
    bait = tmp_path / "bait"
    bait.write_bytes(b"secret")
    extra = [
        member("top/0.bin", tarfile.SYMTYPE, str(bait)),
        member("top/1.bin", tarfile.LNKTYPE, str(bait)),
        member("top/2.bin", tarfile.CHRTYPE),
        member("top/3.bin", tarfile.DIRTYPE),
        member("../../0.bin", tarfile.REGTYPE),
        member("/0.bin/1.bin", tarfile.REGTYPE),
    ]
    archive = tmp_path / "toy.tar"
    archive.write_bytes(packed(extra=extra))
    before = sorted(tmp_path.rglob("*"))
    assert read_files(archive, WANTED) == FILES
    assert sorted(tmp_path.rglob("*")) == before


def header(size_field, name=b"top/0.bin"):
    """A tar header whose field of size holds these twelve bytes."""
    block = bytearray(tarfile.TarInfo(name.decode()).tobuf())
    block[124:136] = size_field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"no archive at all", "cannot be read"),
        (b"\x1f\x8b but no gzip", "cannot be read"),
        (packed()[:700], "holds 1 of the 4 files"),
        (packed()[:1100], "cannot be read|ends too early"),
        (gzip.compress(packed())[:-30], "cannot be read"),
        (lzma.compress(packed())[:100], "cannot be read"),
        (packed({"0.bin": b"x"}), "holds 1 of the 4 files"),
        (packed(prefix="a/") + b"", "holds 4 of the 4 files"),
        (packed(FILES | {"9.bin": bytes(101)}), "holds 9.bin with 101 bytes, more than 100"),
        (packed(FILES | {"readme": bytes(200_000)}), "unpacks to more than 100000 bytes"),
        (gzip.compress(bytes(10_000_000)), "holds 0 of the 4 files|cannot be read|unpacks to more"),
        (header(b"\x80" + b"\xff" * 11) + bytes(1024), "with .* bytes, more than 100|cannot be read"),
        (header(b"\xff" * 12) + bytes(1024), "cannot be read|holds|ends"),
        (header(b"77777777777\0", b"top/pax") + bytes(1024), "cannot be read|ends too early"),
    ],
)
def test_broken_archives_give_one_sentence(tmp_path, content, message):
    """Whatever is wrong with an archive is one DataError that names it and says what to do."""
    archive = tmp_path / "toy.tar"
    archive.write_bytes(content)
    if message.startswith("holds 4"):  # the one sound archive, to show that the test can tell
        assert read_files(archive, WANTED) == FILES
        return
    with pytest.raises(DataError, match=message) as caught:
        read_files(archive, WANTED)
    assert str(caught.value).startswith(f"toy: {archive} ")
    assert str(caught.value).endswith("; fetch it again with: matchopt data fetch toy")
    assert "\n" not in str(caught.value)


def test_a_huge_header_is_not_believed(tmp_path):
    """A pax header that claims terabytes is refused at the bound of the archive, before memory is taken."""
    pax = tarfile.TarInfo("x")
    pax.type, pax.size = tarfile.XHDTYPE, 7 * 2**30
    archive = tmp_path / "toy.tar.gz"
    archive.write_bytes(gzip.compress(pax.tobuf() + bytes(2**20)))
    with pytest.raises(DataError, match="unpacks to more than 100000 bytes"):
        read_files(archive, WANTED)


def test_a_file_twice_is_refused(tmp_path):
    """Which of two files of one name would count is not left to chance."""
    archive = tmp_path / "toy.tar"
    archive.write_bytes(packed(prefix="a/")[: -tarfile.RECORDSIZE] + packed(prefix="b/"))
    both = io.BytesIO()
    with tarfile.open(fileobj=both, mode="w") as made:
        for prefix in ("a/", "b/"):
            each = tarfile.TarInfo(f"{prefix}0.bin")
            made.addfile(each)
    archive.write_bytes(both.getvalue())
    with pytest.raises(DataError, match=r"holds 0\.bin twice"):
        read_files(archive, WANTED)


def test_files_of_a_folder_are_bounded(tmp_path):
    """A file that is too large is not read, and a missing folder is one sentence."""
    (tmp_path / "0.bin").write_bytes(bytes(101))
    with pytest.raises(DataError, match=r"0\.bin has more than 100 bytes"):
        read_files(tmp_path, WANTED)
    with pytest.raises(DataError, match="cannot be read"):
        read_files(tmp_path / "nowhere", WANTED)


@given(st.data())
def test_damaged_archives_never_raise_anything_else(tmp_path_factory, data):
    """Bytes changed, cut out or added anywhere give the files or one DataError."""
    content = bytearray(packed())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, 2600))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    pack = data.draw(st.sampled_from([bytes, lambda raw: gzip.compress(raw, 1), zlib.compress]))
    archive = tmp_path_factory.getbasetemp() / "damaged.tar"
    archive.write_bytes(pack(bytes(content)))
    try:
        found = read_files(archive, WANTED)
    except DataError as cause:
        assert str(cause).startswith("toy: ")
        assert "\n" not in str(cause)
    else:
        assert set(found) == set(FILES)
