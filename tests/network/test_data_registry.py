import gzip
import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest

from matchopt.errors import DataError, InvalidOption, MissingExtra, UnknownName
from matchopt.instances.network import DataReference
from matchopt.network.data import find_data, load_data, load_fashion_mnist
from matchopt.network.data import mnist as mnist_module
from matchopt.network.data.cifar10 import _decode
from matchopt.network.data.fetching import fetch
from matchopt.network.data.idx import IDX_NAMES, IdxFiles
from matchopt.network.data.registry import DATA_SETS, data_set
from matchopt.network.data.speech import read_recording
from matchopt.network.evaluation import data_of


@pytest.fixture(autouse=True)
def own_places(monkeypatch, tmp_path):
    """An empty cache and no library, so that only what ships with matchopt is here."""
    monkeypatch.setenv("MATCHOPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MATCHOPT_LIBRARY", raising=False)
    return tmp_path


def test_names_and_options_are_known():
    """Six data sets; the options are the parameters of their loaders."""
    assert list(DATA_SETS) == ["mnist", "fashion-mnist", "cifar10", "cifar10-jpeg75", "fsdd", "timit"]
    options = {option.name: option.default for option in data_set("timit").options}
    assert options == {"features": "mfcc", "frames": 200, "deltas": True, "phones": 39, "test": "core"}
    with pytest.raises(UnknownName, match="did you mean 'cifar10'"):
        load_data("cifar01")


def test_what_ships_is_found_without_anything():
    """MNIST is here on every machine; the others say what to do."""
    here = [name for name, entry in DATA_SETS.items() if entry.place() is not None]
    assert here == ["mnist"]
    for name in set(DATA_SETS) - {"mnist"}:
        with pytest.raises(DataError, match=f"^{name} is not here: found no ") as caught:
            load_data(name)
        assert "MATCHOPT_LIBRARY is not set" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_places_are_searched_in_order(own_places, monkeypatch):
    """What was fetched comes before the library."""
    library = own_places / "library"
    monkeypatch.setenv("MATCHOPT_LIBRARY", str(library))
    entry = data_set("timit")
    for folder in (library / "data" / "timit", entry.fetched):
        assert entry.place() != folder
        for part in ("TRAIN", "TEST"):
            (folder / part).mkdir(parents=True)
        assert entry.place() == folder


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sise": 24}, UnknownName, "unknown option of data set cifar10 'sise'; did you mean 'size'"),
        ({"size": "many"}, InvalidOption, "data set cifar10: size must be a whole number >= 1 and <= 32, found 'many'"),
        ({"size": 24.0}, InvalidOption, "must be a whole number"),
        ({"size": True}, InvalidOption, "must be a whole number"),
        ({"standardise": "channel"}, InvalidOption, "must be one of none, image, found 'channel'"),
    ],
)
def test_wrong_options_are_refused(options, error, message):
    """Options are checked by name and type before anything is searched."""
    with pytest.raises(error, match=message):
        load_data("cifar10", **options)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("No", False), ("1", True)])
def test_text_is_read_by_type(text, value):
    """The command line gives text."""
    entry = data_set("fsdd")
    assert entry.read({"deltas": text, "frames": "9"}) == {"deltas": value, "frames": 9}
    with pytest.raises(InvalidOption, match="data set fsdd: deltas must be true or false, found 'maybe'"):
        entry.read({"deltas": "maybe"})


def test_every_option_of_a_data_set_has_a_meaning_and_a_range():
    """From the docstring and the annotation of the function that loads it."""
    options = {name: entry.options for name, entry in DATA_SETS.items()}
    assert all(option.doc for found in options.values() for option in found)
    assert all(option.range for found in options.values() for option in found if option.type in ("int", "float"))
    assert [option.name for option in options["timit"]] == ["features", "frames", "deltas", "phones", "test"]


def test_unknown_features_are_refused():
    """Only mfcc and filterbank exist."""
    for name in ("fsdd", "timit"):
        with pytest.raises(
            InvalidOption, match=f"data set {name}: features must be one of mfcc, filterbank, found 'plp'"
        ):
            load_data(name, features="plp")


def test_mnist_is_found_again_by_its_reference(mnist):
    """In part, as mappings ask for it; another SHA-256 is another data set."""
    part = mnist.first(7, 5, 3)
    again = data_of(part.reference, 784)
    assert again is not None
    assert np.array_equal(again.train_images, part.train_images)
    assert again.reference == part.reference
    with pytest.raises(DataError, match="has another SHA-256"):
        find_data(DataReference("mnist", "0" * 64))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar100", "none of those known here"),
        ("mnist[", "none of those known here"),
        ("mnist[1,2]", "none of those known here"),
        ("mnist[folder=/etc]", "cannot be loaded: unknown option of data set mnist 'folder'"),
        ("mnist[size=3]", "cannot be loaded: unknown option"),
        ("cifar10[size=0]", "cannot be loaded: data set cifar10: size must be a whole number >= 1"),
        ("cifar10[size=x][1,2,3]", "cannot be loaded: data set cifar10: size"),
        ("timit", "timit is not here"),
    ],
)
def test_unknown_references_are_one_sentence(name, message):
    """A reference from a file is matched strictly, and names no folder."""
    with pytest.raises(DataError, match=message):
        find_data(DataReference(name, "0" * 64))


@pytest.fixture
def clothes(own_places, monkeypatch):
    """Made-up files in the form of Fashion-MNIST, whose checksums count as the published ones."""
    folder = own_places / "clothes"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, count in zip(IDX_NAMES, (60_000, 10_000, 60_000, 10_000), strict=True):
        images = "images" in name
        header = bytes([0, 0, 8, 3 if images else 1])
        header += b"".join(n.to_bytes(4, "big") for n in ([count, 28, 28] if images else [count]))
        values = rng.integers(0, 10, 784 if images else count, dtype=np.uint8)
        body = np.tile(values, count if images else 1)
        (folder / name).write_bytes(gzip.compress(header + body.tobytes(), 1))
    sums = tuple(hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in IDX_NAMES)
    monkeypatch.setattr(mnist_module, "_FASHION_FILES", IdxFiles("fashion-mnist", "Fashion-MNIST", sums, packed=True))
    return folder


def test_fashion_mnist_has_the_form_of_mnist(clothes):
    """55,000 / 5,000 / 10,000 images, checked by the SHA-256 of the packed files."""
    data = load_fashion_mnist(clothes)
    assert data.reference.name == "fashion-mnist"
    assert [len(x) for x in (data.train_labels, data.validation_labels, data.test_labels)] == [55_000, 5_000, 10_000]
    assert data.shape == (1, 28, 28)
    path = clothes / IDX_NAMES[3]
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 9))
    with pytest.raises(DataError, match=r"Fashion-MNIST file .* is not the published one"):
        load_fashion_mnist(clothes)


@pytest.mark.parametrize(
    ("module", "use", "package"),
    [
        ("soundfile", lambda: read_recording(b"", "x"), "soundfile"),
        ("PIL", lambda: _decode(Path("x"), "x", b""), "pillow"),
        ("pooch", lambda: fetch(data_set("fsdd")), "pooch"),
    ],
)
def test_a_missing_package_is_one_sentence(monkeypatch, module, use, package):
    """Without the extra `data`, MNIST loads, and what needs more names the command that brings it."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        MissingExtra, match=rf"needs the package {package}; install it with: pip install 'matchopt\[data\]'"
    ):
        use()
