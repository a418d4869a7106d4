"""Messages between processes: exact, bounded, and never more than JSON and arrays."""

import os
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from matchopt.parts import Parts
from matchopt.run.messages import HEADER, MAGIC, BadMessage, Frames, encode, read_message, write_all

FACTS = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text())
ARRAYS = st.dictionaries(
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
    hnp.arrays(st.sampled_from([np.float64, np.int64, np.bool_]), hnp.array_shapes(min_dims=1, min_side=0)),
    max_size=3,
)


def same(a, b):
    """Whether two messages are equal, NaN included."""
    assert repr(a.facts) == repr(b.facts) and set(a.arrays) == set(b.arrays)
    for name, array in a.arrays.items():
        np.testing.assert_array_equal(array, b.arrays[name])
        assert array.dtype == b.arrays[name].dtype


@given(st.lists(st.builds(Parts, FACTS, ARRAYS), max_size=3), st.integers(1, 50))
def test_messages_survive_any_cutting_of_the_stream(messages, size):
    """Facts and arrays arrive equal, however the bytes are cut."""
    data, frames, found = b"".join(encode(message) for message in messages), Frames(), []
    for start in range(0, len(data), size):
        found += frames.feed(data[start : start + size])
    assert len(found) == len(messages)
    for a, b in zip(messages, found, strict=True):
        same(a, b)


def test_strided_and_broadcast_arrays_are_sent_by_value():
    """A view that takes no memory arrives as what it shows."""
    arrays = {"view": np.broadcast_to(1.5, (2, 3)), "strided": np.arange(10)[::3], "turned": np.ones((2, 3)).T}
    (found,) = Frames().feed(encode(Parts({}, arrays)))
    same(Parts({}, arrays), found)


@given(st.binary(min_size=HEADER.size, max_size=200))
def test_garbage_is_refused(data):
    """Bytes that are no message raise BadMessage, and nothing else."""
    frames = Frames()
    with pytest.raises(BadMessage):
        list(frames.feed(MAGIC[:3] + b"x" + data))


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_broken_bodies_are_refused(facts, blob):
    """A right header does not make garbage a message."""
    data = HEADER.pack(MAGIC, len(facts), len(blob)) + facts + blob
    try:
        (found,) = Frames().feed(data)
    except BadMessage:
        return
    assert isinstance(found.facts, dict)


@pytest.mark.parametrize("sizes", [(2**60, 0), (0, 2**60)])
def test_a_huge_announcement_is_refused_before_its_bytes_arrive(sizes):
    """Nothing is allocated for it."""
    with pytest.raises(BadMessage, match="is larger than any answer"):
        list(Frames().feed(HEADER.pack(MAGIC, *sizes)))


def test_a_pickle_is_not_opened():
    """Code in a message never runs."""

    class Bomb:
        def __reduce__(self):
            return os.abort, ()

    body = pickle.dumps(Bomb())
    with pytest.raises(BadMessage):
        list(Frames().feed(HEADER.pack(MAGIC, len(body), 0) + body))


def test_a_message_larger_than_a_pipe_arrives():
    """Writing goes on piece by piece while the other side reads."""
    read, write = os.pipe()
    message = Parts({}, {"x": np.arange(10**6)})
    writer = threading.Thread(target=write_all, args=(write, encode(message)))
    writer.start()
    same(read_message(read), message)
    writer.join()
    os.close(write)
    with pytest.raises(BadMessage, match="ended"):
        read_message(read)
    os.close(read)
