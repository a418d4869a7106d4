import numpy as np
import pytest

from matchopt.library import cache_folder
from matchopt.network.data.array_cache import cached

SHAPES = {"numbers": ((3,), np.uint8)}


@pytest.fixture
def build(monkeypatch, tmp_path):
    """Makes the arrays, and counts how often."""
    monkeypatch.setenv("MATCHOPT_CACHE", str(tmp_path / "cache"))

    class Build:
        calls = 0

        def __call__(self):
            self.calls += 1
            return {"numbers": np.array([1, 2, 3], np.uint8)}

    return Build()


def test_arrays_are_built_once(build):
    """A second call reads what the first one kept; another key is built anew."""
    for _ in range(2):
        assert cached("toy", SHAPES, build)["numbers"].tolist() == [1, 2, 3]
    assert build.calls == 1
    cached("other", SHAPES, build)
    assert build.calls == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"",
        lambda raw: raw[:-40],
        lambda raw: raw.replace(bytes([1, 2, 3]), bytes([1, 2, 4])),
        lambda raw: b"no zip",
        lambda raw: raw.replace(b"numbers", b"letters"),
    ],
)
def test_a_damaged_file_is_built_again(build, damage):
    """A file that is cut, altered or of another form costs time, never a wrong array."""
    cached("toy", SHAPES, build)
    path = cache_folder() / "arrays" / "toy.npz"
    path.write_bytes(damage(path.read_bytes()))
    assert cached("toy", SHAPES, build)["numbers"].tolist() == [1, 2, 3]
    assert build.calls == 2
    cached("toy", SHAPES, build)
    assert build.calls == 2


def test_pickles_are_not_read(build):
    """An array of objects, which would need a pickle, is not loaded."""
    path = cache_folder() / "arrays" / "toy.npz"
    path.parent.mkdir(parents=True)
    np.savez(path, numbers=np.array([{}, [], None], object))
    assert cached("toy", SHAPES, build)["numbers"].tolist() == [1, 2, 3]
    assert build.calls == 1


def test_without_a_place_to_write_arrays_are_built_each_time(build, monkeypatch, tmp_path):
    """A cache folder that cannot be made is no error."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MATCHOPT_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        assert cached("toy", SHAPES, build)["numbers"].tolist() == [1, 2, 3]
    assert build.calls == 2


def test_the_cache_is_where_the_variables_say(monkeypatch, tmp_path):
    """MATCHOPT_CACHE first, then XDG_CACHE_HOME, then the home folder."""
    monkeypatch.setenv("MATCHOPT_CACHE", str(tmp_path / "one"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "two"))
    assert cache_folder() == tmp_path / "one"
    monkeypatch.delenv("MATCHOPT_CACHE")
    assert cache_folder() == tmp_path / "two" / "matchopt"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "matchopt"
