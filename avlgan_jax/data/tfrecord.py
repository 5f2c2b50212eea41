"""Reading and writing of TFRecord files of `tf.train.Example` messages without TensorFlow.

TensorFlow takes five seconds to import, three times as long the first time, and is often not installed where training
runs. The format is small: the record framing (https://www.tensorflow.org/tutorials/load_data/tfrecord) and three
protocol buffer messages, `Example { Features { map<string, Feature> } }`, where a `Feature` is a list of bytes, floats
or integers. The reader ignores the checksums of the framing: `manifest.verify_records` verifies the SHA-256 of every
file first.
"""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from etils import epath

Feature = list[bytes] | np.ndarray

# Wire types of protocol buffers.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Bytes of the longest accepted record, far above those of a 256 px image. A damaged length could exhaust the memory.
_LONGEST = 2**28
# Field numbers in a `Feature`.
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


def read(path: Path) -> Iterator[dict[str, Feature]]:
    """Yield the examples of one TFRecord file in order.

    Yields:
        The features of an example by name, each as a list of bytes, float32 (n,) or int64 (n,).

    Raises:
        ValueError: If the file ends inside a record or is not a TFRecord file of examples.
    """
    with open(path, "rb") as stream:
        while header := stream.read(12):  # the length (8 bytes) and its checksum (4)
            if len(header) < 12:
                raise ValueError(f"{path} ends inside a record")
            (length,) = struct.unpack("<Q", header[:8])
            if length > _LONGEST:
                raise ValueError(f"{path} has a record of {length} bytes, expected at most {_LONGEST}")
            payload = stream.read(length + 4)
            if len(payload) < length + 4:
                raise ValueError(f"{path} ends inside a record")
            yield parse_example(payload[:length])


def write(path: Path | epath.Path, messages: Iterable[bytes]) -> None:
    """Write one TFRecord file, the same bytes as TensorFlow does.

    Args:
        path: The file, in a bucket too.
        messages: The serialised examples.
    """
    with path.open("wb") as stream:
        for message in messages:
            length = struct.pack("<Q", len(message))
            stream.write(length + _checksum(length) + message + _checksum(message))


def _checksum(data: bytes) -> bytes:
    """Return the checksum of `data` in the framing: its CRC-32C, rotated and offset."""
    import google_crc32c

    value = google_crc32c.value(data)
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def parse_example(message: bytes) -> dict[str, Feature]:
    """Return the features of one serialised `tf.train.Example` by name.

    Raises:
        ValueError: If `message` is not a valid `tf.train.Example`.
    """
    features = {}
    try:
        for _, feature_map in _fields(memoryview(message)):
            for _, entry in _fields(feature_map):
                parts = dict(_fields(entry))  # 1: the name, 2: the Feature
                features[bytes(parts[1]).decode()] = _feature(parts[2]) if 2 in parts else []
    except (IndexError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"not a tf.train.Example: {type(error).__name__}: {error}") from None
    return features


def _feature(message: memoryview) -> Feature:
    """Parse a `Feature` message. Return an empty list if it has no values."""
    for kind, values in _fields(message):
        if kind == _BYTES_LIST:
            return [bytes(value) for _, value in _fields(values)]
        if kind == _FLOAT_LIST:
            return np.frombuffer(b"".join(bytes(value) for _, value in _fields(values)), "<f4")
        if kind == _INT64_LIST:
            return _integers(values)
    return []


def _integers(message: memoryview) -> np.ndarray:
    """Parse the integers of an `Int64List`, packed or not, as int64 (n,)."""
    numbers = []
    for _, value in _fields(message):
        if isinstance(value, int):  # not packed
            numbers.append(value)
            continue
        position = 0
        while position < len(value):
            number, position = _varint(value, position)
            numbers.append(number)
    return np.array(numbers, np.uint64).astype(np.int64)  # negative numbers are in two's complement


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield the number and the content of each field of a protocol buffer message."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire_type == _BYTES:
            size, position = _varint(message, position)
        elif wire_type in (_FIXED64, _FIXED32):
            size = 8 if wire_type == _FIXED64 else 4
        else:
            raise ValueError(f"not a tf.train.Example: wire type {wire_type}")
        yield number, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the varint at `position` and the position after it."""
    value = shift = 0
    while shift < 70:  # a varint of 64 bits has at most ten bytes
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
    raise ValueError("not a tf.train.Example: a varint of more than 10 bytes")
