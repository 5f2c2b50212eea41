"""Put an edited face back into its photograph, at the photograph's own size."""

import functools
from typing import NamedTuple

import cv2
import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces import openings, warp
from avlgan_jax.faces.landmarks import in_plane
from avlgan_jax.photographs import brows, closing_eyes, closing_mouth, furrows, lighting, opened_mouth, pixels, toning
from avlgan_jax.photographs.cropping import FaceCrop, Photo

# Blending has full weight within this fraction of the square's half side, and fades to 0 at the edge of the square.
_FULL_WEIGHT = 0.72
# Points along each side of the crop at which the flow is computed.
_FLOW_GRID = 96
# How much of the painted colour is kept where the photograph's own pixels are moved; the rest of it is brightness. The
# networks may never have seen a photograph: an iris then gets coloured specks, a mouth a colour of its own.
_COLOUR_OF_MOUTH, _COLOUR_OF_EYES = 0.5, 0.0
# What is painted on a photograph falls to 0 at these distances outside lips and lids (`openings.features`).
_EDGE = (0.0, 0.08)


class _Part(NamedTuple):
    """The part of a photograph that a crop shows, h x w pixels."""

    low: np.ndarray
    """Column and row of its first pixel in the photograph."""
    pixels: Float[np.ndarray, "h w 3"]
    places: tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]
    """Position of each pixel in the crop, x and y, as a fraction of its side."""
    weight: Float[np.ndarray, "h w 1"]
    """How much of what is painted is added."""


def shown_landmarks(before: Float[np.ndarray, "68 d"], after: Float[np.ndarray, "68 d"]) -> Float[np.ndarray, "68 d"]:
    """Return the landmarks to which `blend` moves a photograph's pixels.

    They are the converted ones, but lowered brows stop above the lids (`brows`), and lips that nearly meet do meet
    (`closing_mouth`).

    Args:
        before: Landmarks of the photograph, in any unit.
        after: The converted landmarks, in the same unit.
    """
    return closing_mouth.meeting(before, brows.above_lids(before, after))


def blend(
    photo: Photo,
    face: FaceCrop,
    edited: UInt8[np.ndarray, "r r 3"],
    moved: Float[np.ndarray, "68 d"] | None = None,
) -> Photo:
    """Return a copy of the photograph in which a face is edited.

    With `moved`, the photograph's own pixels are moved with the landmarks, at their own size. What the networks painted
    is enlarged and added in the mouth and in the eyes. The inside of a mouth that opens is drawn (`opened_mouth`), so
    are eyes and mouths that close (`closing_eyes`, `closing_mouth`), and furrows are shaded between brows that come
    together (`furrows`).

    Without `moved`, all that the networks changed is enlarged and added. Either way the photograph keeps its sharpness,
    its grain and its tones (`toning`), and its pixels to the bit where nothing changed. What is added fades to 0
    towards the edge of the square, which avoids a visible seam.

    Args:
        photo: the photograph.
        face: one of its faces.
        edited: the output of the networks for `face.image`.
        moved: the converted landmarks in pixels of the crop, if the image converter warps (`warped` in its config).
    """
    part = _part(photo, face)
    if moved is None:
        shown = part.pixels + part.weight * _enlarged(edited - face.image.astype(np.float32), part, cv2.INTER_CUBIC)
    else:
        shown = _moved_and_drawn(part, face, edited, shown_landmarks(face.landmarks, moved), face.light_on(photo))
    lines = toning.tones(face.image)
    if lines is not None:
        changed = (shown != part.pixels).any(axis=-1, keepdims=True)
        shown = np.where(changed, toning.toned(shown, lines), shown)
    output, (height, width) = photo.copy(), part.pixels.shape[:2]
    output[part.low[1] :, part.low[0] :][:height, :width] = np.rint(shown.clip(0.0, 255.0))
    return output


def _part(photo: Photo, face: FaceCrop) -> _Part:
    """Return the part of a photograph that the crop of a face shows."""
    square = face.square
    low = np.floor([square.left, square.top]).astype(int).clip(0)
    high = np.minimum(np.ceil([square.left + square.side, square.top + square.side]).astype(int), photo.shape[1::-1])
    x, y = (
        ((np.arange(low[axis], high[axis]) + 0.5 - offset) / square.side).astype(np.float32)
        for axis, offset in ((0, square.left), (1, square.top))
    )
    shown = photo[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    return _Part(low, shown, tuple(np.meshgrid(x, y)), (_fade(y)[:, None] * _fade(x))[..., None])


def _moved_and_drawn(
    part: _Part,
    face: FaceCrop,
    edited: UInt8[np.ndarray, "r r 3"],
    moved: Float[np.ndarray, "68 d"],
    light: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "h w 3"]:
    """Return the part with its pixels moved, what the networks painted, and what is drawn at its own size."""
    resolution, side = len(edited), face.square.side
    source, target = (in_plane(lm.normalise(points, resolution)) for points in (face.landmarks, moved))
    flow, mouth, eyes = (np.asarray(found) for found in _geometry(resolution)(source, target))
    lips = lm.normalise(opened_mouth.lips(face.landmarks, moved), resolution)
    displacement = _enlarged(np.asarray(_fine_flow(in_plane(lips), target)), part) * side
    shown = _moved(part.pixels, displacement)
    painted = _enlarged(edited - _moved(face.image.astype(np.float32), flow * resolution), part, cv2.INTER_CUBIC)
    mouth, eyes = (_enlarged(found, part)[..., None] for found in (mouth, eyes))
    # `closing_eyes` and `closing_mouth` draw what closes; nothing painted is added to it.
    closing = closing_mouth.share(face.landmarks, moved)
    eyes = (1.0 - closing_eyes.closed(*map(in_plane, (face.landmarks, moved))).mean()) * (1.0 - mouth) * eyes
    mouth = (1.0 - closing) * mouth
    colour = _COLOUR_OF_MOUTH * mouth + _COLOUR_OF_EYES * eyes
    brightness = cv2.transform(painted, toning.BRIGHTNESS[None])[..., None]
    shown += part.weight * (colour * painted + (mouth + eyes - colour) * brightness)
    # In pixels of the part.
    before, after = (face.square.to_photograph(in_plane(p), resolution) - part.low for p in (face.landmarks, moved))
    closing_eyes.draw(shown, part.pixels, displacement, before, after)
    if closing > 0.0:
        lips = (lm.normalise(points, resolution) for points in closing_mouth.sources(face.landmarks, moved))
        flows = tuple(_enlarged(np.asarray(_fine_flow(lip, target)), part) * side for lip in lips)
        closing_mouth.draw(shown, part.pixels, flows, before, after)
    hidden = lighting.hidden_teeth(part.pixels, before)
    opened_mouth.draw(shown, before, after, light, hidden, face.infant)
    furrows.draw(shown, before, after, face.infant)
    return shown


@jax.jit
def _fine_flow(source: Float[Array, "68 2"], target: Float[Array, "68 2"]) -> Float[Array, "g g 2"]:
    """Return the displacement of the photograph on a grid over the crop, in sides of the crop."""
    flow = warp.fit(source, target, fine=True)
    return warp.displacement(flow, warp.pixel_centres(_FLOW_GRID, _FLOW_GRID)).reshape(_FLOW_GRID, _FLOW_GRID, 2) / 2.0


@functools.cache
def _geometry(resolution: int):
    """Return the compiled function of two sets of landmarks that `blend` needs.

    (source, target in [-1, 1]) -> displacement (r, r, 2) of the networks' input at each of its pixels, in sides of the
    crop, and mouth and eyes (g, g) on a grid over it. They are smooth: a grid holds them, and values between are
    interpolated.
    """

    def geometry(source: Float[Array, "68 2"], target: Float[Array, "68 2"]):
        points, inputs = (warp.pixel_centres(side, side) for side in (_FLOW_GRID, resolution))
        flow = warp.displacement(warp.fit(source, target), inputs)
        mouth, eyes = (
            openings.features(source, target, points, rings, _EDGE) for rings in (openings.MOUTH, openings.EYES)
        )
        grid = (_FLOW_GRID, _FLOW_GRID)
        flow = flow.reshape(resolution, resolution, 2) / 2.0
        return flow, mouth.reshape(grid), eyes.reshape(grid)

    return jax.jit(geometry)


def _moved(image: Float[np.ndarray, "h w 3"], displacement: Float[np.ndarray, "h w 2"]) -> Float[np.ndarray, "h w 3"]:
    """Return the image at each pixel plus its displacement in pixels; where that is 0, to the bit."""
    return pixels.sample(image, pixels.positions((0, 0), image.shape[1::-1]) + displacement)


def _enlarged(
    values: Float[np.ndarray, "g g *c"], part: _Part, interpolation: int = cv2.INTER_LINEAR
) -> Float[np.ndarray, "h w *c"]:
    """Return values over the crop at each pixel of a part. OpenCV counts from pixel centres."""
    at = (place * len(values) - 0.5 for place in part.places)
    return cv2.remap(values.astype(np.float32), *at, interpolation, borderMode=cv2.BORDER_REPLICATE)


def _fade(place: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Return blending weights: 1 in the middle of [0, 1], falling smoothly to 0 at both ends."""
    rise = ((1.0 - np.abs(2.0 * place - 1.0)) / (1.0 - _FULL_WEIGHT)).clip(0.0, 1.0)
    return rise * rise * (3.0 - 2.0 * rise)
