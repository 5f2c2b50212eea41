"""Models with known scores: one draws the ground truth, one changes nothing, and the regressor is perfect."""

import dataclasses
import types

import numpy as np

from avlgan_jax.data.records import Faces
from avlgan_jax.evaluation import ground_truth
from avlgan_jax.faces.emotions import nearest_expression, sample_disc

RESOLUTION = 32


def draw_faces(count: int, seed: int, infants: bool = True) -> Faces:
    """Return drawn faces, two of each person; with `infants`, every second person is an infant."""
    emotions = sample_disc(np.random.default_rng(seed), count)
    person = np.arange(count) // 2
    is_infant = (person % 2 == 1) & infants
    keys = np.stack([np.full(count, seed), person, np.arange(count), is_infant], axis=1)
    rendered = [ground_truth.render(key, emotion, RESOLUTION) for key, emotion in zip(keys, emotions, strict=True)]
    return Faces(
        images=np.stack([image for image, _ in rendered]),
        landmarks=np.stack([landmarks for _, landmarks in rendered]),
        emotions=emotions,
        expressions=nearest_expression(emotions),
        infants=is_infant,
        ids=np.array([f"face-{k}" for k in range(count)]),
        subjects=np.array([f"person-{k}" for k in person]),
        extras={"face_key": keys},
    )


def photographs(faces: Faces) -> Faces:
    """Return the faces without their face keys, like photographs, which have no ground truth."""
    return dataclasses.replace(faces, extras={})


def render_all(keys, emotions):
    """Return the ground truth (image, landmarks) of each key and emotion, drawn in this process."""
    return (ground_truth.render(key, emotion, RESOLUTION) for key, emotion in zip(keys, emotions, strict=True))


def without_avgan(models: types.SimpleNamespace) -> types.SimpleNamespace:
    """Return the models as of a run that left avGAN out."""
    return types.SimpleNamespace(**leave_out_avgan(vars(models)))


def leave_out_avgan(tree):
    """Return nested dictionaries, such as `metrics.json`, as of a run that left avGAN out."""
    if not isinstance(tree, dict):
        return tree
    return {key: leave_out_avgan(value) for key, value in tree.items() if key not in ("avgan", "difference")}


def oracle(*known: Faces) -> types.SimpleNamespace:
    """Return models like `inference.Trained`, with the fields that the tests need, for the faces in `known`.

    `avlandmarkgan` draws the ground truth and `avgan` returns its input. The regressor returns the label of a known
    face, the target of an image that `avlandmarkgan` has drawn, and (0, 0) for any other image.
    """
    face_of = {}
    emotion_of = {}
    for faces in known:
        for k in range(len(faces)):
            key = faces.extras["face_key"][k]
            face_of[faces.images[k].tobytes()] = face_of[faces.landmarks[k].tobytes()] = key
            emotion_of[faces.images[k].tobytes()] = faces.emotions[k]

    def draw(images, landmarks, emotions):
        outputs = []
        for image, emotion in zip(images, emotions, strict=True):
            output, _ = ground_truth.render(face_of[image.tobytes()], emotion, RESOLUTION)
            emotion_of[output.tobytes()] = emotion
            outputs.append(output)
        return np.stack(outputs)

    def move(landmarks, emotions):
        pairs = zip(landmarks, emotions, strict=True)
        return np.stack(
            [ground_truth.render(face_of[points.tobytes()], emotion, RESOLUTION)[1] for points, emotion in pairs]
        )

    def read(images):
        return np.stack([emotion_of.get(image.tobytes(), np.zeros(2, np.float32)) for image in images])

    def features(images):
        return images.reshape(len(images), 4, -1).mean(axis=2)

    return types.SimpleNamespace(
        predict=read,
        features=features,
        regress=lambda images: (read(images), features(images)),
        read_emotions=read,
        convert_landmarks=move,
        convert={"avlandmarkgan": draw, "avgan": lambda images, landmarks, emotions: images},
        steps={"regressor": 1, "landmark": 2, "image": 3, "avgan": 4},
    )
