"""The features that the records of every data set have, and the PNG encoding of images."""

import io

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8
from PIL import Image

from avlgan_jax.data.records import AGE_GROUPS
from avlgan_jax.faces import emotions, landmarks

RESOLUTIONS = (32, 36, 48, 64, 96, 128, 256)


def faces(resolution: int, **additional: tfds.features.FeatureConnector) -> tfds.features.FeaturesDict:
    """Return the features of one face's record.

    Args:
        resolution: Side of the square images, in pixels.
        additional: Features of one data set, added to the common ones.
    """
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(resolution, resolution, 3), encoding_format="png"),
            "landmarks": tfds.features.Tensor(shape=(landmarks.COUNT, 2), dtype=np.float32),
            "valence": tfds.features.Scalar(np.float32),
            "arousal": tfds.features.Scalar(np.float32),
            "expression": tfds.features.ClassLabel(names=list(emotions.EXPRESSIONS)),
            "id": tfds.features.Text(),
            "subject": tfds.features.Text(),
            "age_group": tfds.features.ClassLabel(names=list(AGE_GROUPS)),
            **additional,
        }
    )


def describe(features: tfds.features.FeaturesDict) -> dict[str, dict]:
    """Return the dtype and shape of each feature for `manifest.json`, so that records can be read without TFDS.

    Returns:
        `{"dtype": ..., "shape": [...]}` by feature name; the dtype is a NumPy name, "png" or "str".
    """
    described = {}
    for name, feature in features.items():
        dtype = {tfds.features.Image: "png", tfds.features.Text: "str"}.get(
            type(feature), np.dtype(feature.np_dtype).name
        )
        described[name] = {"dtype": dtype, "shape": list(feature.shape)}
    return described


def encode_png(image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """Return an RGB image as lossless PNG bytes.

    TFDS stores bytes unchanged. It would start TensorFlow to encode an array.
    """
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="png", compress_level=2)
    return stream.getvalue()
