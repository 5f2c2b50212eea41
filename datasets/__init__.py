"""The TFDS builders of `avlgan_jax.datasets`, by the name that a clone offers them under.

    import datasets, tensorflow_datasets as tfds
    tfds.load("procedural_faces/64px", data_dir="data")

The builders live in the package, so that an installation has them too, and `datasets` is not installed: Hugging Face's
library has that name.
"""

from avlgan_jax.datasets.registry import BUILDERS

__all__ = ["BUILDERS"]
