"""What the host and a worker process say to each other: JSON and arrays in frames, never pickle."""

import json
import os
import struct
from collections.abc import Iterator

import numpy as np
import safetensors
import safetensors.numpy

from matchopt.parts import Parts

MAGIC = b"MTCH"
HEADER = struct.Struct("<4sQQ")  # magic, bytes of JSON, bytes of arrays
MAX_JSON = 2**26
MAX_ARRAYS = 2**35
MAX_ANSWER = 2**22  # bytes of JSON in a message of a worker's
LOST_LINE = 70  # exit status of a worker that cannot send any more


class BadMessage(Exception):
    """The other side sent bytes that are no message."""


def encode(message: Parts) -> bytes:
    """The bytes of a message; NaN and infinities are kept."""
    facts = json.dumps(message.facts, separators=(",", ":")).encode()
    arrays = {name: np.ascontiguousarray(array) for name, array in message.arrays.items()}
    blob = safetensors.numpy.save(arrays) if arrays else b""
    return HEADER.pack(MAGIC, len(facts), len(blob)) + facts + blob


def decode(facts: bytes, blob: bytes) -> Parts:
    """The message of these two bodies.

    Raises
    ------
    BadMessage
        when they are not JSON and safetensors.
    """
    try:
        found = json.loads(facts)
        arrays = safetensors.numpy.load(blob) if blob else {}
    except (ValueError, TypeError, RecursionError, KeyError, safetensors.SafetensorError) as cause:
        raise BadMessage(f"a message cannot be read: {cause}") from None
    if not isinstance(found, dict):
        raise BadMessage(f"a message must be an object, found {type(found).__name__}")
    return Parts(found, arrays)


class Frames:
    """Cuts a stream of bytes into messages.

    Parameters
    ----------
    most : bytes of arrays that a message may have.
    most_json : bytes of JSON that a message may have.
    """

    def __init__(self, most: int = MAX_ARRAYS, most_json: int = MAX_JSON) -> None:
        self._most, self._most_json = most, most_json
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Parts]:
        """The messages that are complete once `data` has arrived.

        Raises
        ------
        BadMessage
            when the bytes are no message, or announce one that is too large.
        """
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            magic, facts, blob = HEADER.unpack_from(self._buffer)
            if magic != MAGIC or facts > self._most_json or blob > self._most:
                raise BadMessage("a message has a wrong header, or is larger than any answer to this instance")
            end = HEADER.size + facts + blob
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[HEADER.size : end])
            del self._buffer[:end]
            yield decode(body[:facts], body[facts:])


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, however often the system takes only a piece."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view[: 2**20]) :]


def read_message(fd: int) -> Parts:
    """Read one message from a blocking file descriptor.

    Raises
    ------
    BadMessage
        when the stream ends before the message does.
    """
    frames = Frames()
    while data := os.read(fd, 2**20):
        for message in frames.feed(data):
            return message
    raise BadMessage("the stream ended before a message did")
