"""What a person does with trained weights, numpy in and numpy out:

    model = avlgan_jax.load()
    image, landmarks = model.draw(seed=1)
    smiling = model.edit(image, valence=0.7, arousal=0.3)

Faces are uint8 RGB of the weights' own size (`model.resolution`); `avlgan_jax.editing.photograph`
cuts them from photographs.
"""

import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter1d

from avlgan_jax.editing import bundle
from avlgan_jax.errors import UserError
from avlgan_jax.faces.emotions import matrix_axis
from avlgan_jax.faces.landmarks import COUNT
from avlgan_jax.faces.procedural import named
from avlgan_jax.models import inference, transfer

# Numbers of faces for which a network is compiled: one at a time (a person dragging), a handful, a film.
SIZES = (1, 16, 64)

Images = UInt8[np.ndarray, "*batch h w 3"]
Points = Float[np.ndarray, "*batch 68 d"]
Emotions = Float[np.ndarray, "*batch 2"]


class Edited(NamedTuple):
    """Faces at new emotions, and where their landmarks went, in pixels."""

    images: Images
    landmarks: Points


class Transferred(NamedTuple):
    """A film performed by another face: its frames, its landmarks in pixels, and the emotions that were transferred."""

    images: UInt8[np.ndarray, "n h w 3"]
    landmarks: Float[np.ndarray, "n 68 d"]
    emotions: Float[np.ndarray, "n 2"]


def load(path_or_name: str | os.PathLike = bundle.DEFAULT) -> "Editor":
    """The editor with the weights of a bundle (by path, or by name if it comes with the package) or of a workdir.

    Raises UserError where there are none, or where they are damaged.
    """
    return Editor(bundle.read(path_or_name))


class Editor:
    """Faces turned to any emotion by one set of weights.

    Every method takes one face (h, w, 3) or a batch (n, h, w, 3), uint8 RGB, h = w = `resolution`, and gives the same;
    one face with many emotions gives many. Valence and arousal are in [-1, 1]; landmarks are 68 (x, y) in pixels from
    the top left corner, or (x, y, z) for weights of 3 `landmark_dimensions`, and where none are given the image
    converter's own discriminator reads them (equation 8).
    All raise UserError on images of another size, landmarks of other dimensions, or emotions outside [-1, 1].
    """

    def __init__(self, weights: bundle.Bundle):
        self.bundle = weights
        self.models = inference.assemble(weights.config, weights.weights, weights.steps, SIZES)

    @property
    def resolution(self) -> int:
        """Side of the faces in pixels."""
        return self.bundle.config.resolution

    @property
    def landmark_dimensions(self) -> int:
        """Coordinates of each landmark: 2, or 3 with z toward the viewer."""
        return self.bundle.config.landmark_dimensions

    @property
    def trained_on(self) -> str:
        """The data that the weights were trained on, in words."""
        return self.bundle.trained_on

    def edit(self, image: Images, valence: ArrayLike, arousal: ArrayLike, landmarks: Points | None = None) -> Images:
        """The faces at (valence, arousal): the landmark converter, then the image converter."""
        return self.edit_with_landmarks(image, valence, arousal, landmarks).images

    def edit_with_landmarks(
        self, image: Images, valence: ArrayLike, arousal: ArrayLike, landmarks: Points | None = None
    ) -> Edited:
        """As `edit`, with the converted landmarks."""
        image = self._checked(image)
        emotions = _emotions(valence, arousal)
        points = self.read_landmarks(image) if landmarks is None else self._points(landmarks)
        batch = np.broadcast_shapes(image.shape[:-3], emotions.shape[:-1], points.shape[:-2])
        images, points, emotions = (
            np.broadcast_to(array, (*batch, *array.shape[array.ndim - own :])).reshape(
                -1, *array.shape[array.ndim - own :]
            )
            for array, own in ((image, 3), (points, 2), (emotions, 1))
        )
        moved = self.models.convert_landmarks(points, emotions)
        painted = self.models.paint(images, moved, emotions)
        return Edited(painted.reshape(*batch, *painted.shape[1:]), moved.reshape(*batch, *moved.shape[1:]))

    def paint(self, image: Images, landmarks: Points, valence: ArrayLike, arousal: ArrayLike) -> Images:
        """The image converter alone: a face repainted to landmarks of your own making."""
        image = self._checked(image)
        points = self._points(landmarks)
        images, points = image.reshape(-1, *image.shape[-3:]), points.reshape(-1, *points.shape[-2:])
        emotions = np.broadcast_to(_emotions(valence, arousal), (*image.shape[:-3], 2)).reshape(-1, 2)
        return self.models.paint(images, points, emotions).reshape(image.shape)

    def predict(self, image: Images) -> Emotions:
        """Valence and arousal of faces as the regressor reads them, which no generator ever saw."""
        return self._each(self.models.predict, image)

    def read_emotions(self, image: Images) -> Emotions:
        """Valence and arousal as the image converter's discriminator reads them: what transfer goes by (IV-C)."""
        return self._each(self.models.read_emotions, image)

    def read_landmarks(self, image: Images) -> Points:
        """Landmarks as the image converter's discriminator reads them."""
        return self._each(self.models.read_landmarks, image)

    def transfer(
        self,
        frames: UInt8[np.ndarray, "n h w 3"],
        image: UInt8[np.ndarray, "h w 3"],
        landmarks: Float[np.ndarray, "68 d"] | None = None,
        smoothing: float = 0.0,
    ) -> Transferred:
        """Section IV-C: the face of `image` shows what the discriminator reads from each of a film's frames.

        `smoothing` is the standard deviation, in frames, of a Gaussian over the emotions; 0 leaves each frame alone.
        """
        points = self.read_landmarks(image) if landmarks is None else self._points(landmarks)
        emotions = smooth(transfer.read_emotions_in_disc(self.models, self._checked(frames)), smoothing)
        images, moved = transfer.perform(self.models, transfer.Portrait(self._checked(image), points), emotions)
        return Transferred(images, moved, emotions)

    def matrix(
        self, image: UInt8[np.ndarray, "h w 3"], n: int = 9, landmarks: Float[np.ndarray, "68 d"] | None = None
    ) -> UInt8[np.ndarray, "n n h w 3"]:
        """The avImage matrix (Figure 5) over the steps of `axis`: arousal falls downward, valence grows rightward."""
        steps = matrix_axis(n)
        return self.edit(image, steps[None, :], steps[::-1, None], landmarks)

    def draw(
        self, seed: int, infant: bool = False, valence: float = 0.0, arousal: float = 0.0
    ) -> tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "68 d"]]:
        """A procedural face of this size and its landmarks, somebody else for every seed."""
        return named.draw_face(seed, infant, self.resolution, valence, arousal, self.landmark_dimensions)

    def _points(self, landmarks: Points) -> Points:
        points = np.asarray(landmarks, np.float32)
        if points.shape[-2:] != (COUNT, self.landmark_dimensions):
            raise UserError(
                f"landmarks of shape {points.shape}: these weights take {COUNT} points of {self.landmark_dimensions} "
                "coordinates"
            )
        return points

    def _each(self, function, image: Images) -> np.ndarray:
        image = self._checked(image)
        output = function(image.reshape(-1, *image.shape[-3:]))
        return output.reshape(*image.shape[:-3], *output.shape[1:])

    def _checked(self, image: Images) -> Images:
        image, side = np.asarray(image), self.resolution
        if image.dtype != np.uint8 or image.shape[-3:] != (side, side, 3):
            raise UserError(
                f"an image of shape {image.shape} and type {image.dtype}: these weights take uint8 faces of "
                f"({side}, {side}, 3); avlgan_jax.editing.photograph cuts them from a photograph"
            )
        return image


def smooth(emotions: Float[np.ndarray, "n 2"], deviation: float) -> Float[np.ndarray, "n 2"]:
    """Emotions of successive frames under a Gaussian of `deviation` frames, the ends held; 0 changes nothing."""
    if deviation < 0.0:
        raise UserError(f"a smoothing of {deviation} frames: expected 0 or more")
    return gaussian_filter1d(emotions, deviation, axis=0, mode="nearest") if deviation else emotions


def _emotions(valence: ArrayLike, arousal: ArrayLike) -> Emotions:
    pair = np.broadcast_arrays(np.asarray(valence, np.float32), np.asarray(arousal, np.float32))
    emotions = np.stack(pair, axis=-1)
    if not (np.abs(emotions) <= 1.0).all():
        raise UserError(f"valence {valence}, arousal {arousal}: expected numbers from -1 to 1")
    return emotions
