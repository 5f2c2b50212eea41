"""The features every data set here has in its records, and how a picture goes into one."""

import io

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8
from PIL import Image

from avlgan_jax.data.records import AGE_GROUPS
from avlgan_jax.faces import emotions, landmarks

RESOLUTIONS = (32, 36, 48, 64, 96, 128, 256)


def faces(resolution: int, **beyond: tfds.features.FeatureConnector) -> tfds.features.FeaturesDict:
    """The common features at one resolution in pixels, and what a source knows `beyond` them."""
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
            **beyond,
        }
    )


def describe(features: tfds.features.FeaturesDict) -> dict[str, dict]:
    """dtype and shape of each feature as `manifest.json` tells them, so that records can be read without TFDS."""
    described = {}
    for name, feature in features.items():
        dtype = {tfds.features.Image: "png", tfds.features.Text: "str"}.get(
            type(feature), np.dtype(feature.np_dtype).name
        )
        described[name] = {"dtype": dtype, "shape": list(feature.shape)}
    return described


def encode_png(image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """Lossless PNG bytes. TFDS stores them as they are: handing it an array would start TensorFlow for each image."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="png", compress_level=2)
    return stream.getvalue()
