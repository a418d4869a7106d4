import json

import pytest
from click.testing import CliRunner

from matchopt.cli import main


@pytest.fixture(autouse=True)
def own_places(monkeypatch, tmp_path):
    """An empty cache and no library."""
    monkeypatch.setenv("MATCHOPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MATCHOPT_LIBRARY", raising=False)
    return tmp_path


def test_data_lists_what_is_here_and_how_to_get_the_rest(own_places):
    """`matchopt data`: MNIST with its place, a line of advice for each of the others."""
    done = CliRunner().invoke(main, ["data"])
    assert done.exit_code == 0
    assert "problems/mnist" in done.output
    assert "run `matchopt data fetch cifar10`, or put cifar-10-binary.tar.gz" in done.output
    assert "catalog.ldc.upenn.edu/LDC93S1" in done.output
    assert not (own_places / "cache").exists()


def test_data_as_json():
    """One object, with the options of every data set."""
    done = CliRunner().invoke(main, ["data", "--json"])
    listed = {each["name"]: each for each in json.loads(done.output)["data"]}
    assert listed["fsdd"]["place"] is None
    assert listed["fsdd"]["options"] == {"features": "mfcc", "frames": 64, "deltas": False}
    assert listed["mnist"]["place"].endswith("mnist")
    assert len(listed["cifar10"]["searched"]) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [("timit", "timit cannot be fetched; get LDC93S1"), ("fsd", "unknown data set 'fsd'; did you mean 'fsdd'")],
)
def test_fetch_says_why_it_cannot(name, message):
    """One sentence and exit status 2."""
    done = CliRunner().invoke(main, ["data", "fetch", name])
    assert done.exit_code == 2
    assert message in done.output
    assert "Traceback" not in done.output


def test_fetch_without_a_network_is_one_sentence(monkeypatch):
    """A proxy that is not there stands for a machine without a network."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(main, ["data", "fetch", "fashion-mnist"])
    assert done.exit_code == 2
    assert "cannot be fetched" in done.output
    assert "on a machine with a network, fetch it there" in done.output
    assert "Traceback" not in done.output
