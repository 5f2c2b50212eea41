"""The TFDS builders of `avlgan_jax.datasets`, importable as `datasets` from a clone of the repository.

    import datasets, tensorflow_datasets as tfds
    tfds.load("procedural_faces/64px", data_dir="data")

The builders are part of the `avlgan_jax` package, so an installation includes them. This `datasets` package is not
installed, because Hugging Face's library has the same name.
"""

from avlgan_jax.datasets.registry import BUILDERS

__all__ = ["BUILDERS"]
