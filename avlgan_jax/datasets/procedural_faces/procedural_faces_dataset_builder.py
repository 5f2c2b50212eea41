"""Procedural faces, drawn from a seed, with exact labels and landmarks."""

import functools
import io
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from avlgan_jax.datasets import features, pool
from avlgan_jax.datasets.builder import FacesBuilder
from avlgan_jax.datasets.procedural_faces import plan


class Builder(FacesBuilder):
    """Faces drawn from a seed, with exact labels and landmarks: adults, infants, and mother-infant dyads.

    The records do not depend on the number of workers.
    """

    VERSION = tfds.core.Version("2.0.0")  # a frown lowers whole brows; it lowered their inner ends
    Options = plan.Options

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=features.faces(
                self.resolution,
                landmarks_3d=tfds.features.Tensor(shape=(68, 3), dtype=np.float32),
                face_key=tfds.features.Tensor(shape=(4,), dtype=np.int64),
                dyad=tfds.features.Scalar(np.int64),
                frame=tfds.features.Scalar(np.int64),
                phase=tfds.features.Text(),
            )
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        return {split: self._generate_examples(split, count) for split, count in plan.splits(self.options).items()}

    def _generate_examples(self, split: str, count: int) -> Iterator[tuple[str, dict]]:
        draw = functools.partial(plan.draw, resolution=self.resolution)
        faces = plan.faces(self.options, split)
        for face in pool.ordered_map(draw, faces, count=count, workers=self.workers, title=split):
            yield face["id"], face | {"image": io.BytesIO(features.encode_png(face["image"]))}
