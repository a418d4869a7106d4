import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from matchopt.errors import FormatError
from matchopt.formats.own import write_own
from matchopt.instances.architecture import Convolution, Convolutional, Recurrent
from matchopt.instances.generators import draw_target
from matchopt.instances.hardware import Hardware
from matchopt.instances.layer import LayerInstance
from matchopt.network.foreign import read_network
from matchopt.network.network_file import write_network
from matchopt.network.sparse_network import SparseNetwork, TrainingRecord
from matchopt.parts import Parts, canonical_json

from .networks import RECORD, random_network, random_of, same


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=5).map(tuple), st.floats(0, 1), st.integers(0, 2**32))
def test_reading_gives_back_what_was_written(tmp_path_factory, widths, share, seed):
    """Weights, masks, biases and record survive a file, and equal networks give equal bytes."""
    path = tmp_path_factory.mktemp("networks") / "a.safetensors"
    network = random_network(widths, share, seed)
    write_network(path, network)
    again = read_network(path)
    assert same(network, again)
    assert again.record == network.record == RECORD
    content = path.read_bytes()
    write_network(path, again)
    assert path.read_bytes() == content


CNN = Convolutional((1, 6, 6), (Convolution(2, 3, pool=2, normalise="batch"),), (5,), 3)


@pytest.mark.parametrize("architecture", [CNN, Recurrent(3, 4, 5, 2, "every")])
def test_architecture_survives(tmp_path, architecture):
    """Architecture and running statistics come back; another one that is named is refused."""
    network = random_of(architecture)
    write_network(tmp_path / "a", network)
    assert same(read_network(tmp_path / "a"), network)
    assert same(read_network(tmp_path / "a", architecture), network)
    with pytest.raises(FormatError, match="another one was named"):
        read_network(tmp_path / "a", Recurrent(1, 4, 5, 2))


def test_files_of_fully_connected_networks_name_no_architecture(tmp_path):
    """Their layers say it all."""
    write_network(tmp_path / "a", random_network())
    assert b"architecture" not in (tmp_path / "a").read_bytes()


def test_record_may_be_empty(tmp_path):
    """A network of unknown origin has a record too."""
    write_network(tmp_path / "a", random_network(record=TrainingRecord()))
    assert read_network(tmp_path / "a").record == TrainingRecord()


def test_connection_of_weight_zero_survives(tmp_path):
    """A connection whose weight is zero is still a connection after reading."""
    network = SparseNetwork.from_arrays([np.zeros((1, 2))], masks=[np.array([[True, False]])])
    write_network(tmp_path / "a", network)
    assert read_network(tmp_path / "a").n_connections == 1


def rewritten(path, change, rehash=True, network=None):
    """Write a good network, let `change` spoil header and tensors, and write those."""
    write_network(path, network or random_network())
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    about = json.loads(json.loads(raw[8 : 8 + length])["__metadata__"]["matchopt"])
    arrays = {name: array.copy() for name, array in load(raw).items()}
    change(about, arrays)
    if rehash and isinstance(about.get("facts"), dict):
        about["sha256"] = Parts({n: about[n] for n in about if n != "sha256"}, arrays).digest("matchopt")
    path.write_bytes(save(arrays, {"matchopt": canonical_json(about).decode()}))
    return path


def put(name, value):
    return lambda about, arrays: about.__setitem__(name, value)


def fact(name, value):
    return lambda about, arrays: about["facts"].__setitem__(name, value)


def record(name, value):
    return lambda about, arrays: about["facts"]["record"].__setitem__(name, value)


def tensor(name, value):
    return lambda about, arrays: arrays.__setitem__(name, np.asarray(value))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("schema", 4), "schema is 4: written by a newer matchopt, this one reads up to 3"),
        (put("schema", "1"), "schema must be a whole number"),
        (put("kind", "layer"), "kind must be sparse-network, found 'layer'"),
        (put("facts", []), "facts must be an object"),
        (put("surprise", 1), "'surprise' is unknown"),
        (lambda about, arrays: about.pop("role"), "role must be one of instance, .*, found None"),
        (fact("n_inputs", 0), "n_inputs must be a whole number >= 1"),
        (fact("n_inputs", 2**40), "widths.0 must be a whole number >= 0 and <= 16777216"),
        (fact("n_inputs", 3), "layers.0: target.indices, row"),
        (fact("layers", 3), "layers is 3, so 12 tensors are needed, found 8"),
        (fact("layers", 10**15), "layers is 1000000000000000"),
        (record("seed", 1.5), "record: seed must be a whole number or none, found 1.5"),
        (record("test_accuracy", "good"), "record: test_accuracy must be a number"),
        (record("validation_accuracy", 97), "record: validation_accuracy must be a number >= 0 and <= 1"),
        (record("method", None), "record: method must be text"),
        (record("data", {"name": "toy"}), "record: data lacks sha256"),
        (record("data", {"name": "toy", "sha256": "no"}), "data.sha256 must be 64"),
        (record("config", 5), "record: config must be a table, found 5"),
        (fact("record", None), "record must be an object"),
        (lambda about, arrays: arrays.pop("layers.1.biases"), "so 8 tensors are needed, found 7"),
        (tensor("layers.1.biases", np.zeros(9)), r"layers.1: biases must have shape \(4,\), found \(9,\)"),
        (tensor("layers.1.biases", np.array(5.0)), "layers.1: biases must have 1 dimension"),
        (tensor("layers.0.indptr", np.zeros(6, np.int64)), "layers.0: target.indptr must rise"),
        (tensor("layers.0.weights", np.zeros(3)), "layers.0: target.weights must have shape"),
    ],
)
def test_broken_field_is_named(tmp_path, change, message):
    """Every broken field gives one sentence that names the file and the field."""
    path = rewritten(tmp_path / "bad.safetensors", change)
    with pytest.raises(FormatError, match=message) as caught:
        read_network(path)
    assert "bad.safetensors" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (fact("architecture", {"kind": "recurrent"}), "architecture lacks n_features, frames"),
        (fact("architecture", None), "architecture must be an object"),
        (fact("architecture", Recurrent(6, 6, 5, 3).facts()), "layers must be n_inputs and layers"),
        (fact("architecture", Recurrent(1, 36, 5, 3).facts()), "its inputs and layers must be"),
        (tensor("buffers.mean.0", np.zeros(3)), r"buffers.mean.0 must have shape \(2,\)"),
        (tensor("buffers.more", np.zeros(3)), "buffers: 'more' is unknown"),
        (lambda about, arrays: arrays.pop("buffers.variance.0"), "buffers: 'variance.0' is missing"),
        (tensor("layers.1.biases", np.zeros(9)), "layers.1: biases must have shape"),
    ],
)
def test_broken_architecture_is_named(tmp_path, change, message):
    """The same for what an architecture adds to the file."""
    with pytest.raises(FormatError, match=message):
        read_network(rewritten(tmp_path / "bad", change, network=random_of(CNN)))


def test_altered_content_is_noticed(tmp_path):
    """A changed weight does not match the digest in the header."""

    def change(about, arrays):
        arrays["layers.0.biases"][0] += 1

    with pytest.raises(FormatError, match="sha256 differs"):
        read_network(rewritten(tmp_path / "a", change, rehash=False))


@pytest.mark.parametrize("cut", [0, 5, 40, -1])
def test_cut_file_is_refused(tmp_path, cut):
    """A file that ends early is refused by a sentence, wherever it was cut."""
    write_network(tmp_path / "a", random_network())
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:cut])
    with pytest.raises(FormatError):
        read_network(tmp_path / "a")


def test_an_instance_is_no_network(tmp_path):
    """matchopt's own file of another kind is refused by its kind, also by the reader of foreign networks."""
    rng = np.random.default_rng(0)
    write_own(LayerInstance(draw_target(3, 4, 2, rng), Hardware(rng.random((3, 3)))), tmp_path / "a.matchopt")
    with pytest.raises(FormatError, match="holds an instance of kind layer, a network is needed"):
        read_network(tmp_path / "a.matchopt")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 3))
def test_random_damage_never_gives_another_network(tmp_path_factory, flips, cut):
    """Changed bytes end in a FormatError or, where they change nothing that counts, in the same network."""
    path = tmp_path_factory.mktemp("fuzz") / "a"
    network = random_network((4, 3, 2))
    write_network(path, network)
    raw = bytearray(path.read_bytes())
    for at, value in flips:
        raw[at % len(raw)] = value
    path.write_bytes(bytes(raw[: len(raw) - cut]))
    try:
        found = read_network(path)
    except FormatError:
        return
    assert same(found, network)
