"""The Python interface to trained weights, on numpy arrays.

    model = avlgan_jax.load()
    image, landmarks = model.draw(seed=1)
    smiling = model.edit(image, valence=0.7, arousal=0.3)

Faces are uint8 RGB at the resolution of the weights (`model.resolution`). `avlgan_jax.photographs.cropping` crops them
from photographs.
"""

import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter1d
from tqdm import tqdm

from avlgan_jax.editing import bundle, inputs
from avlgan_jax.errors import UserError
from avlgan_jax.faces.emotions import matrix_emotions
from avlgan_jax.faces.procedural import named
from avlgan_jax.models import inference, transfer
from avlgan_jax.photographs import blending, cropping, mouths
from avlgan_jax.photographs.cropping import FaceCrop, Photo

# Batch sizes for which the networks are compiled: a single face (interactive use), a few faces, a film.
SIZES = (1, 16, 64)

Images = UInt8[np.ndarray, "*batch h w 3"]
Points = Float[np.ndarray, "*batch 68 d"]
Emotions = Float[np.ndarray, "*batch 2"]


class Edited(NamedTuple):
    """Faces at new emotions, and their converted landmarks in pixels."""

    images: Images
    landmarks: Points

    def at(self, index: int) -> "Edited":
        """Return one face of a batch."""
        return Edited(self.images[index], self.landmarks[index])


class Transferred(NamedTuple):
    """One face under the emotions of a film: its images, its landmarks in pixels, and the transferred emotions."""

    images: UInt8[np.ndarray, "n h w 3"]
    landmarks: Float[np.ndarray, "n 68 d"]
    emotions: Float[np.ndarray, "n 2"]


def load(path_or_name: str | os.PathLike = bundle.DEFAULT) -> "Editor":
    """Load trained weights.

    Args:
        path_or_name: the folder of a bundle, the workdir of a training run, or the name of a packaged bundle.

    Raises:
        UserError: there are no weights at this path or of this name, or they are incomplete or damaged.
    """
    return Editor(bundle.read(path_or_name))


class Editor:
    """Editor of faces with one set of weights.

    Images are uint8 RGB, one face (h, w, 3) or a batch (*batch, h, w, 3), with h = w = `resolution`. Valence and
    arousal are in [-1, 1], numbers or arrays. Landmarks are 68 (x, y) in pixels from the top left corner, or (x, y, z)
    for weights with 3 `landmark_dimensions`. Where a method's landmarks are None, the image converter's discriminator
    predicts them from the image (equation 8).

    Raises:
        UserError: in every method that takes an image, if it has another type or size, if landmarks have another
            shape, or if emotions lie outside [-1, 1].
    """

    def __init__(self, weights: bundle.Bundle):
        self.bundle = weights
        self.models = inference.assemble(weights.config, weights.weights, weights.steps, SIZES)

    @property
    def resolution(self) -> int:
        """Side of the face images in pixels."""
        return self.bundle.config.resolution

    @property
    def landmark_dimensions(self) -> int:
        """Number of coordinates of a landmark: 2, or 3 with z towards the viewer."""
        return self.bundle.config.landmark_dimensions

    @property
    def trained_on(self) -> str:
        """What the training data are, and their picture size, for messages."""
        return self.bundle.trained_on

    def edit(self, image: Images, valence: ArrayLike, arousal: ArrayLike, landmarks: Points | None = None) -> Images:
        """Return faces converted to an emotion: the landmark converter runs first, then the image converter.

        The batch shapes of the image, the emotions and the landmarks broadcast: one face with n emotions gives n faces.
        """
        return self.edit_with_landmarks(image, valence, arousal, landmarks).images

    def edit_with_landmarks(
        self,
        image: Images,
        valence: ArrayLike,
        arousal: ArrayLike,
        landmarks: Points | None = None,
        photographed: bool = False,
    ) -> Edited:
        """Return what `edit` returns, together with the converted landmarks.

        `photographed` faces are for `blend`: their mouths move as people's do (`photographs.mouths`).
        """
        image = self._checked(image)
        emotions = inputs.emotions(valence, arousal)
        points = self.read_landmarks(image) if landmarks is None else self._points(landmarks)
        batch = inputs.common_batch(images=image.shape[:-3], emotions=emotions.shape[:-1], landmarks=points.shape[:-2])
        images, points, emotions = (
            np.broadcast_to(array, (*batch, *array.shape[array.ndim - dimensions :])).reshape(
                -1, *array.shape[array.ndim - dimensions :]
            )
            for array, dimensions in ((image, 3), (points, 2), (emotions, 1))
        )
        convert = self.models.convert_landmarks
        moved = mouths.converted(points, emotions, convert) if photographed else convert(points, emotions)
        painted = self.models.paint(images, points, moved, emotions)
        return Edited(painted.reshape(*batch, *painted.shape[1:]), moved.reshape(*batch, *moved.shape[1:]))

    def paint(self, image: Images, landmarks: Points, moved: Points, valence: ArrayLike, arousal: ArrayLike) -> Images:
        """Return faces converted by the image converter alone.

        Args:
            image: The faces.
            landmarks: Their landmarks in pixels, with the batch shape of the image.
            moved: The converted landmarks, with the batch shape of the image.
            valence: Target valence in [-1, 1]; broadcasts to the batch shape.
            arousal: Target arousal, broadcasts as valence does.
        """
        image, emotions = self._checked(image), inputs.emotions(valence, arousal)
        points, moved = map(self._points, (landmarks, moved))
        batch = image.shape[:-3]
        shapes = {"images": batch, "landmarks": points.shape[:-2], "moved": moved.shape[:-2]}
        if inputs.common_batch(**shapes, emotions=emotions.shape[:-1]) != batch or len(set(shapes.values())) > 1:
            raise UserError(
                f"batch shapes {shapes}: expected landmarks of each image, and emotions that broadcast to it"
            )
        points, moved = (p.reshape(-1, *p.shape[-2:]) for p in (points, moved))
        images = image.reshape(-1, *image.shape[-3:])
        emotions = np.broadcast_to(emotions, (*batch, 2)).reshape(-1, 2)
        return self.models.paint(images, points, moved, emotions).reshape(image.shape)

    def blend(self, photo: Photo, face: FaceCrop, edited: Edited) -> Photo:
        """Return a copy of a photograph in which one of its faces is edited: see `blending.blend`.

        Args:
            photo: The photograph.
            face: The face whose `image` was edited, one of `cropping.faces`.
            edited: One face of `edit_with_landmarks`.
        """
        moved = edited.landmarks if self.bundle.config.image.warped else None
        return blending.blend(photo, face, edited.images, moved)

    def portraits(
        self, photo: Photo, face: FaceCrop, emotions: Float[np.ndarray, "n 2"], side: int
    ) -> UInt8[np.ndarray, "n side side 3"]:
        """Return a face of a photograph at several emotions, each cut from the edited photograph.

        Faces that take longer than a second show their progress.

        Args:
            photo: The photograph.
            face: One of `cropping.faces`.
            emotions: Valence and arousal, each in [-1, 1].
            side: Side in pixels to which the square of the face is resized.
        """
        picture, still = cropping.portrait(photo, face, side)
        shown = []
        with tqdm(total=len(emotions), unit=" faces", delay=1.0, leave=False) as progress:
            for start in range(0, len(emotions), SIZES[-1]):
                part = emotions[start : start + SIZES[-1]]
                edited = self.edit_with_landmarks(face.image, *part.T, face.landmarks, photographed=True)
                shown += [self.blend(picture, still, edited.at(k)) for k in range(len(part))]
                progress.update(len(part))
        return np.stack(shown)

    def predict(self, image: Images) -> Emotions:
        """Return the valence and arousal that the regressor predicts from faces.

        They are the mean of its readings of a face and of the face's mirror image. The regressor takes no part in
        the training of the generators, so it can evaluate their outputs.
        """
        return self._each(self.models.predict, image)

    def read_emotions(self, image: Images) -> Emotions:
        """Return the valence and arousal that the image converter's discriminator predicts.

        These are the emotions that `transfer` uses (Section IV-C).
        """
        return self._each(self.models.read_emotions, image)

    def read_landmarks(self, image: Images) -> Points:
        """Return the landmarks in pixels that the image converter's discriminator predicts (equation 8).

        A discriminator without a landmark output (in some ablations) gives the centre of the image for every landmark.
        """
        return self._each(self.models.read_landmarks, image)

    def transfer(
        self,
        frames: UInt8[np.ndarray, "n h w 3"],
        image: UInt8[np.ndarray, "h w 3"],
        landmarks: Float[np.ndarray, "68 d"] | None = None,
        smoothing: float = 0.0,
    ) -> Transferred:
        """Transfer the emotions of a film to another face (Section IV-C).

        The image converter's discriminator predicts the emotion of each frame. Emotions outside the unit disc are
        scaled back to its rim.

        Args:
            frames: face crops of the film.
            image: the face that receives the emotions.
            landmarks: landmarks of `image`.
            smoothing: standard deviation, in frames, of a Gaussian filter over the emotions; 0 turns it off.

        Raises:
            UserError: also if `smoothing` is negative.
        """
        points = self.read_landmarks(image) if landmarks is None else self._points(landmarks)
        emotions = smooth(transfer.read_emotions_in_disc(self.models, self._checked(frames)), smoothing)
        images, moved = transfer.perform(self.models, transfer.Portrait(self._checked(image), points), emotions)
        return Transferred(images, moved, emotions)

    def matrix(
        self, image: UInt8[np.ndarray, "h w 3"], n: int = 9, landmarks: Float[np.ndarray, "68 d"] | None = None
    ) -> UInt8[np.ndarray, "n n h w 3"]:
        """Return the avImage matrix (Figure 5): the face at `n` x `n` emotions from -0.8 to 0.8.

        Arousal falls from row to row, valence grows from column to column. A matrix that takes longer than a second
        shows its progress.

        Raises:
            UserError: also if `n` is no integer from 2 to `emotions.LARGEST_MATRIX`.
        """
        points, grid = self.read_landmarks(image) if landmarks is None else landmarks, matrix_emotions(n)
        parts = []
        with tqdm(total=len(grid), desc="matrix", unit=" faces", delay=1.0, leave=False) as progress:
            for start in range(0, len(grid), SIZES[-1]):
                parts.append(self.edit(image, *grid[start : start + SIZES[-1]].T, points))
                progress.update(len(parts[-1]))
        return np.concatenate(parts).reshape(n, n, *parts[0].shape[1:])

    def draw(
        self, seed: int, infant: bool = False, valence: float = 0.0, arousal: float = 0.0
    ) -> tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "68 d"]]:
        """Return a drawn face at this resolution and its landmarks; each seed gives a different person.

        Raises:
            UserError: the seed is no integer of 0 or more, the emotion is outside [-1, 1], or the resolution is outside
                the range 32 to 256 of drawn faces.
        """
        return named.draw_face(seed, infant, self.resolution, valence, arousal, self.landmark_dimensions)

    def _points(self, landmarks: Points) -> Points:
        """Return checked landmarks; see `inputs.landmarks`."""
        return inputs.landmarks(landmarks, self.landmark_dimensions, self.resolution)

    def _each(self, function, image: Images) -> np.ndarray:
        """Apply a function of a flat batch (n, h, w, 3) to images of any batch shape."""
        image = self._checked(image)
        output = function(image.reshape(-1, *image.shape[-3:]))
        return output.reshape(*image.shape[:-3], *output.shape[1:])

    def _checked(self, image: Images) -> Images:
        """Return checked images; see `inputs.images`."""
        return inputs.images(image, self.resolution)


def smooth(emotions: Float[np.ndarray, "n 2"], deviation: float) -> Float[np.ndarray, "n 2"]:
    """Return the emotions of successive frames after a Gaussian filter over time, with the ends repeated.

    Args:
        emotions: one emotion per frame.
        deviation: standard deviation in frames; 0 returns `emotions` unchanged.

    Raises:
        UserError: `deviation` is negative.
    """
    if not 0.0 <= deviation < np.inf:
        raise UserError(f"smoothing of {deviation} frames: expected 0 or more")
    return gaussian_filter1d(emotions, deviation, axis=0, mode="nearest") if deviation else emotions
