"""Base class of all builders: one config per resolution, options, and a manifest stored with the records."""

import dataclasses
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import tensorflow_datasets as tfds
from etils import epath

from avlgan_jax.data import manifest, tfrecord
from avlgan_jax.datasets import features


@dataclasses.dataclass
class FacesConfig(tfds.core.BuilderConfig):
    """Builder config for one resolution, in pixels; it is named "64px", for example."""

    resolution: int = 128


def configs() -> list[FacesConfig]:
    """Return one config for each of `features.RESOLUTIONS`."""
    return [
        FacesConfig(name=f"{side}px", resolution=side, description=f"Square images of {side} pixels.")
        for side in features.RESOLUTIONS
    ]


class _ExampleWriter(tfds.core.ExampleWriter):
    """Writes TFRecord files without TensorFlow. Importing it takes as long as drawing a thousand small faces."""

    def write(self, path: epath.Path, examples: Iterable[tuple[Any, bytes]]) -> None:
        tfrecord.write(epath.Path(path), (message for _, message in examples))


class FacesBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A TFDS builder that stores a `manifest.json` with its records, by which they can be verified.

    Args:
        options: An instance of the builder's frozen dataclass `Options`. The records depend on it.
        workers: Number of processes. The records do not depend on it.
        command: The command line that prepares the records, for the manifest; by default
            `manifest.prepare_command`.
        arguments: The arguments of every TFDS builder.
    """

    BUILDER_CONFIGS = configs()
    PAPER_COUNTS: Mapping[str, int] = MappingProxyType({})  # faces of each split in the paper
    Options: type

    def __init__(self, *, options: Any = None, workers: int = 1, command: str | None = None, **arguments):
        self.options = options if options is not None else self.Options()
        self.workers = workers
        self.rejections: dict[str, int] = {}
        self.notes: dict[str, str] = {}  # what the data does not say, for the manifest
        super().__init__(**arguments)
        # TFDS calls the constructor with these arguments to rebuild a pickled builder in another process.
        self._original_state |= {"options": options, "workers": workers, "command": command}
        self.command = command or manifest.prepare_command(self._data_dir_root, self.name, self.resolution)

    @property
    def resolution(self) -> int:
        """Side of the images, in pixels."""
        return self.builder_config.resolution

    def _download_and_prepare(self, dl_manager, download_config) -> None:
        """Generate the records and write their manifest while both are in TFDS's temporary folder.

        TFDS renames that folder to its final name after this method returns, so a folder with a manifest always holds
        all records.
        """
        super()._download_and_prepare(dl_manager, download_config)
        manifest.write_manifest(
            self.data_path,
            name=self.name,
            resolution=self.resolution,
            version=str(self.version),
            splits={name: split.num_examples for name, split in self.info.splits.items()},
            features=features.describe(self.info.features),
            options=dataclasses.asdict(self.options) | self._source(dl_manager),
            command=self.command,
            rejections=self.rejections,
        )

    def _example_writer(self) -> _ExampleWriter:
        return _ExampleWriter(self.info.file_format)

    def _source(self, dl_manager: tfds.download.DownloadManager) -> dict:
        """Return the source of the data, if it is files, as additional options for the manifest."""
        return {}
