"""The catalogue: rows that check themselves, and files that are the ones it means."""

import hashlib
from pathlib import Path

import pytest

from matchopt.errors import DataError, UnknownName
from matchopt.formats import CatalogueEntry, find_entry, read_catalogue, read_instance, recognise
from matchopt.formats.catalogue import COLUMNS, file_sha256
from matchopt.library import library_folder, problems_folder


def entry_for(content: bytes, path: str = "catalogue-test.txt", place: str = "library") -> CatalogueEntry:
    sha = hashlib.sha256(content).hexdigest()
    return CatalogueEntry(place, path, sha, "assignment", "orlib-assignment", 1, 1, "optimal", "test")  # type: ignore[arg-type]


def test_our_catalogue_is_sound() -> None:
    """All public instances are listed, and no value beats its bound; an optimal one equals it."""
    entries = read_catalogue()
    assert sum(entry.place == "library" for entry in entries) == 65
    for entry in entries:
        if entry.best_value is not None and entry.best_bound is not None:
            assert entry.best_bound <= entry.best_value + 1e-9 * abs(entry.best_value)
        if entry.status == "optimal":
            assert entry.best_value is not None
        assert entry.source


def test_values_stay_exact(tmp_path: Path) -> None:
    """Whole values are integers, others floats, absent ones None."""
    rows = [
        f"problems,{n}.mps,{'0' * 64},program,mps,{value},,unknown,us"
        for n, value in enumerate(["7", "-0.5", "", "1e-3"])
    ]
    (tmp_path / "c.csv").write_text("\n".join([",".join(COLUMNS), *rows]))
    bounds = [entry.best_bound for entry in read_catalogue(tmp_path / "c.csv")]
    assert bounds == [7, -0.5, None, 0.001]
    assert isinstance(bounds[0], int)


def test_a_file_is_found_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path comes back only when SHA-256 fits; a missing or altered file, or no library, is named."""
    monkeypatch.setenv("MATCHOPT_LIBRARY", str(tmp_path))
    path = tmp_path / "instances" / "catalogue-test.txt"
    path.parent.mkdir()
    entry = entry_for(b"1 1")
    with pytest.raises(DataError, match="is missing"):
        entry.locate()
    path.write_bytes(b"1 1")
    assert entry.locate() == path
    assert read_instance(path).name == entry.name
    path.write_bytes(b"1 2")
    with pytest.raises(DataError, match="is not the file it names"):
        entry.locate()
    monkeypatch.delenv("MATCHOPT_LIBRARY")
    with pytest.raises(DataError, match="set MATCHOPT_LIBRARY"):
        entry.locate()


def test_our_own_instances_lie_beside_the_catalogue() -> None:
    """Entries of place problems are found in the folder that ships."""
    path = problems_folder() / "catalogue.csv"
    entry = CatalogueEntry(
        "problems", "catalogue.csv", file_sha256(path), "layer", "matchopt", None, None, "unknown", "us"
    )
    assert entry.locate() == path


def test_entries_are_found_by_name_or_path() -> None:
    """A unique name is enough; a wrong one lists the nearest."""
    assert find_entry("assign800").path == "orlib-assignment/assign800.txt.gz"
    assert find_entry("miplib/egout.mps.gz").best_value == 568.1007
    with pytest.raises(UnknownName, match="unknown problem 'asign800'; did you mean 'assign800'"):
        find_entry("asign800")


@pytest.mark.skipif(library_folder() is None, reason="MATCHOPT_LIBRARY is not set")
@pytest.mark.parametrize("entry", [e for e in read_catalogue() if e.place == "library"], ids=lambda e: e.path)
def test_public_instances_are_recognised_and_read(entry: CatalogueEntry) -> None:
    """Each file has the SHA-256 of the catalogue, is recognised from its content, and gives the kind it should."""
    path = entry.locate()
    assert recognise(path).name == entry.format
    assert read_instance(path).kind == entry.kind
