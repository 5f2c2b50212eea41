"""Results of finished experiments on disk, so that an evaluation that was stopped goes on where it was.

    WORKDIR/experiments/.finished/NAME.npz

A file records all that its result depends on (`Identity`). A file with another identity, or one that cannot be read, is
ignored. The files are removed once the report that needed them is written.
"""

import dataclasses
import hashlib
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path

import jax
import numpy as np

from avlgan_jax import atomic_files
from avlgan_jax.evaluation import provenance
from avlgan_jax.evaluation.examples import EmotionGrid
from avlgan_jax.evaluation.report.figures import Figure
from avlgan_jax.evaluation.suite import ABLATIONS, ExperimentResult
from avlgan_jax.models.inference import NetworkParameters
from avlgan_jax.training import workdir
from avlgan_jax.training.ablation.runs import FOLDER as ABLATION_FOLDER
from avlgan_jax.training.checkpoints import MANIFEST


@dataclasses.dataclass(frozen=True)
class Identity:
    """All that the results of an evaluation depend on."""

    config: str
    """Digest of the run's config."""
    weights: str
    """Digest of the weights of all models."""
    steps: dict[str, int]
    """Training steps of each model."""
    ablations: str
    """`ablation_digest`, taken before the runs were loaded. Only the results of ablations depend on it."""
    data: str
    """Digest of the prepared records."""
    options: dict
    """Options of the command."""
    processor: str
    code: str
    """`provenance.code_digest`."""


class FinishedExperiments:
    """The kept results of one workdir.

    Args:
        directory: The workdir.
        identity: What the results of this evaluation depend on.
    """

    def __init__(self, directory: Path, identity: Identity):
        self._folder, self._identity = workdir.report(directory, ".finished"), identity

    def read(self, names: Iterable[str]) -> dict[str, ExperimentResult]:
        """Return the kept results among those of experiments `names`."""
        found = {name: _read(self._path(name), self._key(name)) for name in names}
        return {name: result for name, result in found.items() if result is not None}

    def keep(self, name: str, result: ExperimentResult) -> None:
        """Write the result of experiment `name`, atomically."""
        arrays = {"key": self._key(name), "numbers": result.numbers}
        arrays["figures"] = [dataclasses.asdict(figure) | {"png": None} for figure in result.figures]
        arrays["matrices"] = [[matrix.name, matrix.infant, list(matrix.grids)] for matrix in result.matrices]
        arrays = {part: np.array(json.dumps(value, allow_nan=False)) for part, value in arrays.items()}
        for place, figure in enumerate(result.figures):
            arrays[f"figure{place}"] = np.frombuffer(figure.png, np.uint8)
        for place, matrix in enumerate(result.matrices):
            arrays[f"image{place}"] = matrix.image
            arrays |= {f"grid{place}.{model}": grid for model, grid in matrix.grids.items()}
        self._folder.mkdir(parents=True, exist_ok=True)
        with atomic_files.atomic_file(self._path(name)) as partial:
            np.savez(partial, **arrays)

    def remove(self, names: Iterable[str]) -> None:
        """Remove the kept results of experiments `names`, and the folder if nothing else is in it."""
        for name in names:
            self._path(name).unlink(missing_ok=True)
        for folder in (self._folder, self._folder.parent):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.npz"

    def _key(self, name: str) -> dict:
        """Return all that the result of experiment `name` depends on, as JSON gives it back."""
        identity = dataclasses.asdict(self._identity)
        if name not in ABLATIONS:
            del identity["ablations"]
        return json.loads(json.dumps(identity))


def identify(origin: dict, weights: NetworkParameters, ablations: str, options: dict) -> Identity:
    """Return the identity of an evaluation.

    Args:
        origin: `provenance.describe`.
        weights: The weights of all models.
        ablations: `ablation_digest`.
        options: Options of the command.
    """
    return Identity(
        config=origin["config_digest"],
        weights=_weights_digest(weights),
        steps=origin["steps"],
        ablations=ablations,
        data=origin["data_digest"],
        options=options,
        processor=origin["processor"],
        code=provenance.code_digest(),
    )


def ablation_digest(directory: Path) -> str:
    """Return a digest of the workdir's ablations: of their configs, plans, and manifests of checkpoints."""
    folder = directory / ABLATION_FOLDER
    paths = sorted(path for name in ("config.json", "plan.json", MANIFEST) for path in folder.rglob(name))
    found = [[str(path.relative_to(folder)), atomic_files.file_sha256(path)] for path in paths]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def _weights_digest(weights: NetworkParameters) -> str:
    """Return a digest of the names, shapes, types and values of all weights."""
    total = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(weights):
        array = np.ascontiguousarray(leaf)
        total.update(f"{jax.tree_util.keystr(path)} {array.shape} {array.dtype}".encode() + array.tobytes())
    return total.hexdigest()


def _read(path: Path, key: dict) -> ExperimentResult | None:
    """Return the result in `path`, or None if the file cannot be read or has another key."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if json.loads(str(stored["key"])) != key:
                return None
            shown, matrices = (json.loads(str(stored[part])) for part in ("figures", "matrices"))
            return ExperimentResult(
                json.loads(str(stored["numbers"])),
                [
                    Figure(**each | {"png": stored[f"figure{place}"].tobytes(), "size": tuple(each["size"])})
                    for place, each in enumerate(shown)
                ],
                [
                    EmotionGrid(
                        stored[f"image{place}"],
                        infant,
                        name,
                        {model: stored[f"grid{place}.{model}"] for model in grids},
                    )
                    for place, (name, infant, grids) in enumerate(matrices)
                ],
            )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
