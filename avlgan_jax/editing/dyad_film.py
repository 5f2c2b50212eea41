"""Transfer of a dyad's emotions to two other faces (Section IV-C): source films, performance, side-by-side film.

A source is two films of the same moments: those of a drawn dyad, or `DIR/parent.mp4` and `DIR/infant.mp4` (or folders
of images with these names), the layout of `avlgan_jax.datasets.dyads`.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter1d

from avlgan_jax.editing import motion
from avlgan_jax.editing.editor import Editor
from avlgan_jax.errors import UserError
from avlgan_jax.faces import crop, footage, procedural
from avlgan_jax.faces.crop import CropSquare
from avlgan_jax.faces.detectors import Detector
from avlgan_jax.faces.footage import Footage
from avlgan_jax.faces.procedural.dyads import PERSONS
from avlgan_jax.photographs.cropping import FaceCrop, Photo

PANEL = 192  # side of a face in the film, in pixels
FPS = procedural.FRAMES_PER_SECOND

# Smoothing of the crop square over time, which removes the detector's jitter: a Gaussian of this deviation.
_SQUARE_SMOOTHING = 0.2  # seconds
_CHUNK = 64

Frames = UInt8[np.ndarray, "n h w 3"]
Progress = Callable[[int], object]


@dataclass(frozen=True)
class DyadTrack:
    """Face of one person of the source film, cropped in every frame."""

    shown: Frames
    """Crops at the size at which they are shown."""
    faces: Frames
    """The same crops at the resolution of the networks."""


def drawn_source(
    seed: int,
    seconds: float,
    resolution: int,
    progress: Progress = lambda count: None,
    side: int = PANEL,
    every: int = 1,
) -> tuple[DyadTrack, DyadTrack, list[str]]:
    """Draw the mother and the infant of a procedural dyad.

    Args:
        seed: seed of the dyad.
        seconds: length of the dyad.
        resolution: side in pixels of the crops for the networks.
        progress: called with 1 after each drawn frame of either person.
        side: side in pixels of the crops to show.
        every: take every n-th frame, at 30 frames per second.

    Returns:
        The track of the mother, the track of the infant, and the name of each frame's phase.

    Raises:
        UserError: the dyad is so short that a phase would have no frame.
    """
    try:
        dyad = procedural.dyad(seed, 0, seconds)
    except ValueError as error:
        raise UserError(f"--seconds {seconds}: {error}") from error
    full_square = CropSquare(0.0, 0.0, float(side))
    sources = []
    for face_at, emotions in ((dyad.mother_at, dyad.mother_emotions), (dyad.infant_at, dyad.infant_emotions)):
        shown = []
        for k in range(0, len(dyad), every):
            shown.append(procedural.render(face_at(k), *emotions[k].tolist(), side).image)
            progress(1)
        sources.append(
            DyadTrack(np.stack(shown), np.stack([crop.crop_square(image, full_square, resolution) for image in shown]))
        )
    return *sources, [procedural.PHASES[phase] for phase in dyad.phases[::every]]


def filmed_source(
    folder: Path, detector: Detector, resolution: int, seconds: float, progress: Progress, every: int = 1
) -> tuple[DyadTrack, DyadTrack, float]:
    """Read and crop the faces of the parent and the infant of a filmed dyad, at the same moments.

    The moments have the rate of the faster film, or 30 per second for two folders of frames, until the shorter one
    ends. Each film contributes the frame that is shown at each moment, whatever its rate, and constant or not. Each
    crop is a square around the best-scored face. The squares are smoothed over time, and interpolated in frames without
    a detected face.

    Args:
        folder: folder with `parent.mp4` and `infant.mp4` (or another of `footage.FILMS`), or with folders of frames
            `parent` and `infant`.
        detector: landmark detector.
        resolution: side in pixels of the crops for the networks.
        seconds: longest part to read, from the start.
        progress: called with 1 after each frame passed to the detector.
        every: take every n-th frame.

    Returns:
        The track of the parent, the track of the infant, and their frames per second.

    Raises:
        UserError: a film is missing or cannot be decoded, or no frame of it has a face.
    """
    people = footage.pair(folder, PERSONS).values()
    rate = max(person.rate for person in people) / every
    length = min(seconds, *(person.duration for person in people))
    moments = np.arange(max(1, math.ceil(length * rate - 1e-6))) / rate
    parent, infant = (_person(person, detector, resolution, moments, rate, progress) for person in people)
    return parent, infant, rate


def _person(
    person: Footage,
    detector: Detector,
    resolution: int,
    moments: Float[np.ndarray, "n"],
    rate: float,
    progress: Progress,
) -> DyadTrack:
    """Read the footage of one person twice: once to detect the faces, once to crop them."""
    squares = {}
    for k, photo in enumerate(person.frames_at(moments)):
        (candidates,) = detector.detect([photo])
        if candidates:
            best = max(candidates, key=lambda candidate: candidate.score)
            square = crop.square_around(best.landmarks, photo.shape)
            squares[k] = (square.left, square.top, square.side)
        progress(1)
    if not squares:
        raise UserError(f"{person.path}: {detector.name} found no face in any frame; expected a film of one face")
    detected = np.array(sorted(squares))
    numbers = np.arange(len(moments))
    tracks = [np.interp(numbers, detected, [squares[j][part] for j in detected]) for part in range(3)]
    tracks = [gaussian_filter1d(track, _SQUARE_SMOOTHING * rate, mode="nearest") for track in tracks]
    shown, faces = [], []
    for photo, (left, top, side) in zip(person.frames_at(moments), zip(*tracks, strict=True), strict=True):
        height, width = photo.shape[:2]
        side = min(side, height, width)
        square = CropSquare(float(np.clip(left, 0, width - side)), float(np.clip(top, 0, height - side)), float(side))
        shown.append(crop.crop_square(photo, square, PANEL))
        faces.append(crop.crop_square(photo, square, resolution))
    return DyadTrack(np.stack(shown), np.stack(faces))


def perform_track(
    editor: Editor, photo: Photo, face: FaceCrop, emotions: Float[np.ndarray, "n 2"], views: list[motion.View]
) -> Iterator[UInt8[np.ndarray, "p p 3"]]:
    """Yield the face of a photograph at each emotion, PANEL pixels square, under the motion of Section IV-C.

    Args:
        editor: the trained models.
        photo: photograph of the performer.
        face: the performer's face in `photo`.
        emotions: valence and arousal of each frame, in [-1, 1].
        views: view of each frame; `View(0.0, 1.0)` for no motion.
    """
    for start in range(0, len(emotions), _CHUNK):
        part = slice(start, start + _CHUNK)
        shown = editor.portraits(photo, face, emotions[part], PANEL)
        yield from (motion.apply_view(image, view) for image, view in zip(shown, views[part], strict=True))


# Near-white background, so that the film looks the same in every player.
_PAPER, _INK, _SOFT, _LINE = (251, 250, 248), (34, 36, 44), (112, 115, 126), (222, 219, 212)
_COLOURS = {"parent": (194, 87, 26), "infant": (38, 110, 158)}
_MARGIN, _GAP, _TITLE, _CURVES = 20, 12, 30, 150
_SUPERSAMPLE = 3


class DyadFrame:
    """Renderer of the side-by-side film: source on top, performance below it, then the valence curves with a cursor.

    Args:
        valences: valence of each frame in [-1, 1], for each of PERSONS.
        phases: name of each frame's phase; empty names where the source has no phases.
    """

    def __init__(self, valences: dict[str, Float[np.ndarray, "n"]], phases: list[str]):
        self._valences = valences
        self._rows = [_MARGIN + _TITLE, _MARGIN + _TITLE + PANEL + _GAP]
        self._columns = [_MARGIN + 82, _MARGIN + 82 + PANEL + _GAP]
        self._width = self._columns[1] + PANEL + _MARGIN
        self._top = self._rows[1] + PANEL + _GAP + 16
        self._height = self._top + _CURVES + 36
        self._left, self._right = self._columns[0], self._width - _MARGIN
        self._background = self._draw(phases)

    def frame(self, k: int, panels: list[UInt8[np.ndarray, "p p 3"]]) -> UInt8[np.ndarray, "h w 3"]:
        """Return frame `k` of the film.

        Args:
            k: number of the frame, from 0.
            panels: PANEL pixels square: source parent, source infant, performing adult, performing infant.
        """
        page = self._background.copy()
        for panel, (y, x) in zip(panels, itertools.product(self._rows, self._columns), strict=True):
            page.paste(Image.fromarray(panel), (x, y))
        draw = ImageDraw.Draw(page)
        x = self._place(k, 0.0)[0]
        draw.line([(x, self._top), (x, self._top + _CURVES)], fill=_INK, width=1)
        for name, track in self._valences.items():
            x, y = self._place(k, track[k])
            draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=_COLOURS[name], outline=_PAPER)
        return np.asarray(page)

    def _place(self, k: float, valence: float) -> tuple[float, float]:
        """Return where the curves show `valence` at frame `k`, (x, y) in pixels of the film."""
        count = len(self._valences["parent"])
        x = self._left + (self._right - self._left) * k / max(1, count - 1)
        return x, self._top + _CURVES * (1.0 - np.clip(valence, -1.0, 1.0)) / 2.0

    def _draw(self, phases: list[str]) -> Image.Image:
        """Draw what all frames share: titles, grid, phases and valence curves."""
        scale = _SUPERSAMPLE
        page = Image.new("RGB", (self._width * scale, self._height * scale), _PAPER)
        draw = ImageDraw.Draw(page)

        def write(x: float, y: float, text: str, colour: tuple, size: float, anchor: str) -> None:
            font = ImageFont.load_default(size * scale)
            draw.text((x * scale, y * scale), text, fill=colour, font=font, anchor=anchor)

        for name, x in zip(PERSONS, self._columns, strict=True):
            write(x + PANEL / 2, _MARGIN + _TITLE / 2 - 4, name, _COLOURS[name], 17, "mm")
        for text, y in zip(("source", "transfer"), self._rows, strict=True):
            write(self._columns[0] - 12, y + PANEL / 2, text, _SOFT, 15, "rm")
        for valence in (-1.0, 0.0, 1.0):
            _, y = self._place(0, valence)
            draw.line([(self._left * scale, y * scale), (self._right * scale, y * scale)], fill=_LINE, width=scale)
            write(self._left - 12, y, f"{valence:+.0f}" if valence else "valence  0", _SOFT, 13, "rm")
        for phase, first, last in _runs(phases):
            x, _ = self._place((first + last) / 2, 0.0)
            write(x, self._top + _CURVES + 16, phase.replace("_", " "), _SOFT, 13, "mm")
            if first:
                x, _ = self._place(first, 0.0)
                draw.line(
                    [(x * scale, self._top * scale), (x * scale, (self._top + _CURVES) * scale)],
                    fill=_LINE,
                    width=scale,
                )
        for name, track in self._valences.items():
            places = [tuple(scale * part for part in self._place(k, value)) for k, value in enumerate(track)]
            draw.line(places, fill=_COLOURS[name], width=2 * scale, joint="curve")
        return page.resize((self._width, self._height), Image.Resampling.LANCZOS)


def _runs(names: list[str]) -> Iterator[tuple[str, int, int]]:
    """Yield (name, first index, last index) of each run of equal names."""
    for name, run in itertools.groupby(range(len(names)), key=names.__getitem__):
        places = list(run)
        yield name, places[0], places[-1]
