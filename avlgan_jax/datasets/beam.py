"""Landmark detection on many machines, with Apache Beam.

    pip install -r requirements-beam.txt        (in a separate environment)
    python -m avlgan_jax.datasets.beam affectnet --manual-dir DIR -- --runner=DirectRunner --direct_num_workers=8

Detection takes nearly all the time of preparing a data set: FAN takes a second for each face, all later steps take
milliseconds. This pipeline runs the detection with the function that `prepare.py` uses, and stores the results where
`prepare.py` looks for stored detections. `prepare.py NAME` then writes the same records as without Beam. Every worker
must reach the manual directory under the same path. Arguments after `--` are Beam's options.
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

_BATCH = 16  # photographs in one call of a detector


@dataclasses.dataclass(frozen=True)
class Request:
    """Find the landmarks of a data set's photographs with Apache Beam; prepare.py then reuses them."""

    name: tyro.conf.Positional[str]
    """Name of the data set."""
    manual_dir: Path
    """The folder that holds its files; every worker must reach it under this path."""
    data_dir: Path = Path("data")
    """Folder to which prepare.py will write the records."""
    landmarks: str = "fan"
    """Detector, as for --landmarks of prepare.py."""


def find_landmarks(
    photographs: list[locating.Photograph], folder: Path, detector: str, sidecars: Path, options: PipelineOptions
) -> int:
    """Detect the landmarks of every photograph and store them.

    Args:
        photographs: The images.
        folder: The manual directory.
        detector: The detector's name, as for `detectors.create`.
        sidecars: Folder to store the detections in.
        options: Options of the Beam pipeline.

    Returns:
        The number of photographs on which the detector ran.

    Raises:
        UserError: If the detector is unknown, or one of its model files is missing or wrong.
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
            | beam.FlatMap(functools.partial(_detect, folder=folder, detector=detector))
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


def _detect(photographs: list[locating.Photograph], folder: Path, detector: str) -> Iterator[str]:
    """Yield new detections of a few photographs as JSON, in which float32 numbers are exact."""
    for detection in locating.locate_faces(photographs, folder, detector, sidecars=None):
        if detection.is_new:
            reason = detection.outcome if isinstance(detection.outcome, str) else None
            points = None if reason else detection.outcome.tolist()
            yield json.dumps({"key": detection.key, "reason": reason, "points": points})


@errors.command
def main() -> None:
    """Run the pipeline for the data set that the command line names."""
    arguments = sys.argv[1:]
    separator = arguments.index("--") if "--" in arguments else len(arguments)
    own_arguments, beam_arguments = arguments[:separator], arguments[separator + 1 :]
    request = tyro.cli(Request, args=own_arguments)
    builders = {name for name in BUILDERS if name != "procedural_faces"}
    if request.name not in builders:
        expected = ", ".join(sorted(builders))
        raise UserError(f"{request.name!r} is not a data set of photographs; expected one of {expected}")
    if not request.manual_dir.is_dir():
        raise UserError(f"--manual-dir {request.manual_dir}: no such folder; give the folder that holds its files")
    builder_class = BUILDERS[request.name]
    options = builder_class.Options(landmarks=request.landmarks)
    builder = builder_class(data_dir=str(request.data_dir), options=options)
    listed = builder.list_photographs(request.manual_dir)
    photographs = [entry for entry in listed if isinstance(entry, locating.Photograph)]
    sidecars = request.data_dir / ".landmarks"
    count = find_landmarks(
        photographs, request.manual_dir.resolve(), request.landmarks, sidecars, PipelineOptions(beam_arguments)
    )
    next_command = f"{command_line('prepare')} {request.name} ..."
    print(f"detector run on {count} of {len(photographs)} photographs; next: {next_command}")


if __name__ == "__main__":
    main()
