"""Reading TFRecord files of `tf.train.Example` messages without TensorFlow.

TensorFlow takes five seconds to start and is often absent where training runs; what has to be read here is small:
the record framing (https://www.tensorflow.org/tutorials/load_data/tfrecord) and three protocol buffer messages,
`Example { Features { map<string, Feature> } }`, a `Feature` being a list of bytes, floats or integers. The checksums
of the framing are skipped: `records` has verified the whole file by its SHA-256 before anything is read.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

Feature = list[bytes] | np.ndarray

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Far more than a picture of 256 pixels takes; a damaged length would ask for the whole memory.
_LONGEST = 2**28
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


def read(path: Path) -> Iterator[dict[str, Feature]]:
    """The examples of one TFRecord file, in order: name -> list of bytes, float32 (n,) or int64 (n,).

    Raises ValueError where the file ends inside a record or holds something else.
    """
    with open(path, "rb") as stream:
        while header := stream.read(12):  # length (8 bytes) and its checksum (4)
            if len(header) < 12:
                raise ValueError(f"{path} ends inside a record")
            (length,) = struct.unpack("<Q", header[:8])
            if length > _LONGEST:
                raise ValueError(f"{path} has a record of {length} bytes")
            payload = stream.read(length + 4)
            if len(payload) < length + 4:
                raise ValueError(f"{path} ends inside a record")
            yield parse_example(payload[:length])


def parse_example(message: bytes) -> dict[str, Feature]:
    """The features of one serialised `tf.train.Example`. Raises ValueError where it is none."""
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
    for kind, values in _fields(message):
        if kind == _BYTES_LIST:
            return [bytes(value) for _, value in _fields(values)]
        if kind == _FLOAT_LIST:
            return np.frombuffer(b"".join(bytes(value) for _, value in _fields(values)), "<f4")
        if kind == _INT64_LIST:
            return _integers(values)
    return []


def _integers(message: memoryview) -> np.ndarray:
    numbers = []
    for _, value in _fields(message):
        if isinstance(value, int):
            numbers.append(value)
            continue
        position = 0
        while position < len(value):
            number, position = _varint(value, position)
            numbers.append(number)
    return np.array(numbers, np.uint64).astype(np.int64)  # negative numbers are stored in two's complement


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Field number and content of each field of a protocol buffer message."""
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
    value = shift = 0
    while shift < 70:  # ten bytes hold 64 bits
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
    raise ValueError("not a tf.train.Example: a number without end")
