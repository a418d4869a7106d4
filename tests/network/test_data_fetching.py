import dataclasses
import gc
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from matchopt.errors import DataError
from matchopt.network.data.fetching import fetch
from matchopt.network.data.published import Download
from matchopt.network.data.registry import data_set

# pooch leaves the connection of a failed download to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket")

CONTENT = bytes(range(256)) * 100


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server on this machine that has one file; the cache is empty."""
    monkeypatch.setenv("MATCHOPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "toy.bin").write_bytes(CONTENT)
    host = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(tmp_path / "served")))
    thread = threading.Thread(target=host.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{host.server_port}"
    gc.collect()
    host.shutdown()
    thread.join()
    host.server_close()


def toy(url, sha256, good=CONTENT):
    """A data set of one file, which is sound where it holds `good`."""

    def load(folder):
        if (folder / "toy.bin").read_bytes() != good:
            raise DataError("toy: not the published data")
        return np.zeros(1)

    return dataclasses.replace(
        data_set("fsdd"), name="toy", folder="toy", downloads=(Download(url, "toy.bin", sha256),), load=load
    )


class Bar:
    def __init__(self):
        self.total, self.seen, self.closed = 0, 0, 0

    def update(self, count):
        self.seen += count

    def reset(self):
        self.seen = 0

    def close(self):
        self.closed += 1


@pytest.mark.parametrize("sha256", [hashlib.sha256(CONTENT).hexdigest(), None])
def test_a_file_is_fetched_and_checked(server, sha256, tmp_path):
    """It lies in the cache under its name; progress adds up to its size; a second time nothing is fetched."""
    bar = Bar()
    folder = fetch(toy(f"{server}/toy.bin", sha256), bar)
    assert folder == tmp_path / "cache" / "data" / "toy"
    assert [path.name for path in folder.iterdir()] == ["toy.bin"]
    assert (folder / "toy.bin").read_bytes() == CONTENT
    assert bar.total == len(CONTENT)
    assert bar.closed == 1
    (tmp_path / "served" / "toy.bin").unlink()
    assert fetch(toy(f"{server}/toy.bin", sha256)) == folder


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    """What came is not the published file: one sentence, and the file is not kept."""
    with pytest.raises(DataError, match=r"is not the published file \(its SHA-256 differs\)"):
        fetch(toy(f"{server}/toy.bin", "0" * 64))
    assert not list((tmp_path / "cache" / "data" / "toy").iterdir())


def test_wrong_content_leaves_nothing(server, tmp_path):
    """Where the packing may change, the content decides, and what fails is not kept."""
    with pytest.raises(DataError, match="not the published data"):
        fetch(toy(f"{server}/toy.bin", None, good=b"other"))
    assert not list((tmp_path / "cache" / "data" / "toy").iterdir())


def test_a_missing_file_or_network_is_one_sentence(server, tmp_path):
    """The sentence names the address, and what to do on a machine without a network."""
    with pytest.raises(DataError, match=r"nothing\.bin cannot be fetched .*put it into") as caught:
        fetch(toy(f"{server}/nothing.bin", None))
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="cannot be fetched"):
        fetch(toy("http://127.0.0.1:9/toy.bin", None))


def test_what_cannot_be_fetched_says_where_to_get_it():
    """TIMIT is licensed and MNIST ships with matchopt; neither has an address."""
    with pytest.raises(DataError, match=r"timit cannot be fetched; get LDC93S1 from"):
        fetch(data_set("timit"))


@pytest.mark.parametrize("name", ["fashion-mnist", "cifar10", "cifar10-jpeg75", "fsdd"])
def test_addresses_are_pinned(name):
    """Every address is https, and either its file or its repository's commit is fixed by a hash."""
    about = data_set(name)
    assert {download.file for download in about.downloads} in [set(files) for files in about.alternatives]
    for download in about.downloads:
        assert download.url.startswith("https://")
        commit = [part for part in download.url.split("/") if len(part) == 40 and set(part) <= set("0123456789abcdef")]
        assert commit or (download.sha256 is not None and len(download.sha256) == 64)
