"""What all builders share: one config per resolution, options, and the manifest beside the records."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import tensorflow_datasets as tfds

from avlgan_jax.data import manifest
from avlgan_jax.datasets import features


@dataclasses.dataclass
class FacesConfig(tfds.core.BuilderConfig):
    """A resolution in pixels; its name is "64px" and the like."""

    resolution: int = 128


def configs() -> list[FacesConfig]:
    """One config per resolution that is offered."""
    return [
        FacesConfig(name=f"{side}px", resolution=side, description=f"Square images of {side} pixels.")
        for side in features.RESOLUTIONS
    ]


class FacesBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A TFDS builder whose folder of records says of itself, in `manifest.json`, whether it is whole.

    Besides the arguments of every TFDS builder it takes `options`, an instance of its frozen dataclass `Options`
    (what is in the records depends on them), and `workers`, the number of processes (nothing depends on it).
    """

    BUILDER_CONFIGS = configs()
    PAPER_COUNTS: Mapping[str, int] = MappingProxyType({})  # faces of each split in the paper, to stand beside ours
    Options: type

    def __init__(self, *, options: Any = None, workers: int = 1, command: str | None = None, **arguments):
        self.options = options if options is not None else self.Options()
        self.workers = workers
        self.rejections: dict[str, int] = {}
        super().__init__(**arguments)
        # TFDS calls the constructor again with these when a builder is sent to another process.
        self._original_state |= {"options": options, "workers": workers, "command": command}
        self.command = command or manifest.prepare_command(self._data_dir_root, self.name, self.resolution)

    @property
    def resolution(self) -> int:
        """Side of the images, in pixels."""
        return self.builder_config.resolution

    def _download_and_prepare(self, dl_manager, download_config) -> None:
        """Generate the records and, while they still lie in TFDS's temporary folder, their manifest.

        TFDS renames that folder to its place when this returns, so a manifest is never seen beside half the records.
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

    def _source(self, dl_manager: tfds.download.DownloadManager) -> dict:
        """Where the data came from, if from files: it belongs to the options the records were made with."""
        return {}
