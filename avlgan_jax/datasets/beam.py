"""Landmarks on many machines: the same look at each photograph, spread by Apache Beam.

    pip install -r requirements-beam.txt        (in an environment of its own)
    python -m datasets.beam affectnet --manual-dir DIR --data-dir data -- --runner=DirectRunner --direct_num_workers=8

Finding landmarks is nearly all the work (FAN takes a second a face, everything after it milliseconds). So this pipeline
finds them, with the function `prepare.py` uses, and keeps them where `prepare.py` looks before it detects anything:
`prepare.py NAME` then writes the very records it would have written alone. The workers read the manual directory, which
they must all reach under one path. What stands after `--` are Beam's own options.
"""

import dataclasses
import functools
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import numpy as np
import tyro
from apache_beam.options.pipeline_options import PipelineOptions

from avlgan_jax import errors
from avlgan_jax.datasets import locating
from avlgan_jax.datasets.registry import BUILDERS
from avlgan_jax.errors import UserError, command_line
from avlgan_jax.faces import detectors
from avlgan_jax.faces.detectors.sidecar import Sidecar

_BATCH = 16  # photographs given to a detector at once


@dataclasses.dataclass(frozen=True)
class Request:
    """Find the landmarks of a data set's photographs with Apache Beam; prepare.py then detects nothing again."""

    name: tyro.conf.Positional[str]
    """The data set."""
    manual_dir: Path
    """The folder that holds its files, as every worker sees it."""
    data_dir: Path = Path("data")
    """Where prepare.py will write the records."""
    landmarks: str = "fan"
    """The detector."""


def find_landmarks(
    photographs: list[locating.Photograph], folder: Path, detector: str, sidecars: Path, options: PipelineOptions
) -> int:
    """Detect every photograph's landmarks and keep them in the folder `sidecars`; the number of outcomes kept.

    Raises UserError where the detector's models are missing.
    """
    detectors.fetch(detector)
    parts = sidecars / "beam"
    shutil.rmtree(parts, ignore_errors=True)
    with beam.Pipeline(options=options) as pipeline:
        (
            pipeline
            | beam.Create(photographs)
            | beam.Reshuffle()
            | beam.BatchElements(min_batch_size=_BATCH, max_batch_size=_BATCH)
            | beam.FlatMap(functools.partial(_look, folder=folder, detector=detector))
            | beam.io.WriteToText(str(parts / "found"))
        )
    count = 0
    with Sidecar(sidecars, detector, detectors.kind(detector).version) as sidecar:
        for path in sorted(parts.glob("found*")):
            for line in path.read_text().splitlines():
                found = json.loads(line)
                sidecar.put(found["key"], found["reason"] or np.array(found["points"], np.float32))
                count += 1
    shutil.rmtree(parts)
    return count


def _look(photographs: list[locating.Photograph], folder: Path, detector: str) -> Iterator[str]:
    """What was found in a few photographs, as JSON. Its numbers give back the very same float32."""
    for sight in locating.locate_faces(photographs, folder, detector, sidecars=None):
        if sight.is_new:
            reason = sight.outcome if isinstance(sight.outcome, str) else None
            yield json.dumps({"key": sight.key, "reason": reason, "points": None if reason else sight.outcome.tolist()})


@errors.command
def main() -> None:
    """Read the command line and run the pipeline."""
    arguments = sys.argv[1:]
    place = arguments.index("--") if "--" in arguments else len(arguments)
    ours, beams = arguments[:place], arguments[place + 1 :]
    request = tyro.cli(Request, args=ours)
    builders = {name for name in BUILDERS if name != "procedural_faces"}
    if request.name not in builders:
        raise UserError(f"{request.name!r} is no data set of photographs; there are {', '.join(sorted(builders))}")
    if not request.manual_dir.is_dir():
        raise UserError(f"--manual-dir {request.manual_dir}: there is no such folder")
    builder_class = BUILDERS[request.name]
    options = builder_class.Options(landmarks=request.landmarks)
    builder = builder_class(data_dir=str(request.data_dir), options=options)
    listed = builder.list_photographs(request.manual_dir)
    photographs = [entry for entry in listed if isinstance(entry, locating.Photograph)]
    sidecars = request.data_dir / ".landmarks"
    count = find_landmarks(
        photographs, request.manual_dir.resolve(), request.landmarks, sidecars, PipelineOptions(beams)
    )
    print(f"{count} of {len(photographs)} photographs looked at; now: {command_line('prepare')} {request.name} ...")


if __name__ == "__main__":
    main()
