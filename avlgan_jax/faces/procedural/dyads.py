"""Mother-infant dyads: sequences of emotions and poses after the still-face experiment (Tronick et al. 1978).

The experiment has two minutes of play, two minutes in which the mother holds a still, neutral face, and two minutes of
reunion. Here the three phases have equal lengths, and the total length is free. During the still face the infant's
valence falls, its arousal rises and it turns its head away. In the reunion its distress decays gradually (the
carry-over effect, Mesman et al. 2009).
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from avlgan_jax.faces.procedural.identity import Face, sample_identity, sample_shot

FRAMES_PER_SECOND = 30
# The two people of a dyad, in their order throughout this project.
PERSONS = ("parent", "infant")
PHASES = ("play", "still_face", "reunion")


@dataclass(frozen=True)
class Dyad:
    """A sequence of emotions and poses of a mother and her infant.

    There are `FRAMES_PER_SECOND` frames per second. Emotions are (valence, arousal) inside the unit disc; poses are
    (yaw, pitch, roll) in radians.
    """

    mother: Face
    infant: Face
    mother_emotions: Float[np.ndarray, "frames 2"]
    infant_emotions: Float[np.ndarray, "frames 2"]
    mother_poses: Float[np.ndarray, "frames 3"]
    infant_poses: Float[np.ndarray, "frames 3"]
    phases: Int[np.ndarray, "frames"]  # index into PHASES

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.phases)

    def mother_at(self, frame: int) -> Face:
        """Return the mother's face in her pose at `frame`."""
        return _with_pose(self.mother, self.mother_poses[frame], frame)

    def infant_at(self, frame: int) -> Face:
        """Return the infant's face in its pose at `frame`."""
        return _with_pose(self.infant, self.infant_poses[frame], frame)


def _with_pose(face: Face, pose: np.ndarray, frame: int) -> Face:
    """Return `face` in the pose (yaw, pitch, roll) of `frame`."""
    yaw, pitch, roll = (float(v) for v in pose)
    # `Shot.texture` alone seeds the background, which stays; with `Shot.frame` it seeds the noise, which changes.
    return replace(face, shot_index=frame, shot=replace(face.shot, yaw=yaw, pitch=pitch, roll=roll, frame=frame))


def _smooth(track: Float[np.ndarray, "frames d"], seconds: float) -> Float[np.ndarray, "frames d"]:
    """Return `track` convolved with a Gaussian of standard deviation `seconds`; its ends are padded with copies."""
    deviation = seconds * FRAMES_PER_SECOND
    reach = int(np.ceil(3.0 * deviation))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    padded = np.pad(track, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, kernel / kernel.sum(), "valid") for column in padded.T], axis=-1)


def _drift(generator: np.random.Generator, frames: int, width: int, seconds: float) -> Float[np.ndarray, "frames d"]:
    """Return Gaussian noise smoothed over `seconds` and scaled to unit standard deviation."""
    reach = int(np.ceil(4.0 * seconds * FRAMES_PER_SECOND))
    noise = _smooth(generator.standard_normal((frames + 2 * reach, width)), seconds)[reach : reach + frames]
    return noise * np.sqrt(2.0 * np.sqrt(np.pi) * seconds * FRAMES_PER_SECOND)


def _into_disc(emotions: Float[np.ndarray, "frames 2"]) -> Float[np.ndarray, "frames 2"]:
    """Return emotions inside the unit disc: a radius above 0.7 is compressed smoothly to below 0.99."""
    radius = np.linalg.norm(emotions, axis=-1, keepdims=True)
    return (
        emotions * np.where(radius > 0.7, (0.7 + 0.29 * np.tanh((radius - 0.7) / 0.29)) / radius.clip(1e-9), 1.0)
    ).astype(np.float32)


def dyad(seed: int, index: int, seconds: float) -> Dyad:
    """Return the `index`-th mother-infant dyad of `seed`. The same arguments give the same dyad.

    Skin tones lie in [0, 1]. The infant's is the mother's plus a normal difference of standard deviation 0.06.

    Args:
        seed: seed of the random numbers, together with `index`.
        index: number of the dyad.
        seconds: length of the sequence, at `FRAMES_PER_SECOND` frames per second.

    Raises:
        ValueError: there are fewer frames than phases.
    """
    frames = round(seconds * FRAMES_PER_SECOND)
    if frames < len(PHASES):
        raise ValueError(f"a dyad of {seconds} s has {frames} frames: expected at least {len(PHASES)}, one per phase")
    generator = np.random.default_rng((seed, index, 2))
    tone = float(generator.beta(0.9, 1.1))
    child_tone = float(np.clip(tone + generator.normal(0.0, 0.06), 0.0, 1.0))
    faces = []
    for infant, shade in ((False, tone), (True, child_tone)):
        identity = sample_identity(generator, infant, True if not infant else None, shade)
        if not infant:  # a mother is 20 to 40 years old
            identity = replace(identity, age=20.0 + 20.0 * identity.wrinkles, wrinkles=0.35 * identity.wrinkles)
        faces.append(Face(seed, index, 0, identity, sample_shot(generator, identity.skin)))
    mother, infant = faces

    phases = np.minimum(np.arange(frames) * len(PHASES) // frames, len(PHASES) - 1).astype(np.int32)
    progress = (np.arange(frames) * len(PHASES) / frames) % 1.0  # from 0 to 1 through each phase
    pace = min(1.0, seconds / 12.0)  # sequences shorter than 12 s change faster
    distress = generator.uniform(0.7, 1.0)
    carry = generator.uniform(0.3, 0.7)

    play, still = phases == 0, phases == 1
    mother_target = np.where(still[:, None], (0.0, 0.0), (0.62, 0.30))
    fall = 0.35 + progress * 0.65
    protest = np.stack([-distress * fall * 0.95, 0.15 + 0.5 * distress * progress], axis=-1)
    soothed = np.exp(-progress / 0.35)[:, None] * (-carry, 0.35 * carry) + (1.0 - np.exp(-progress / 0.35))[:, None] * (
        0.45,
        0.22,
    )
    infant_target = np.where(play[:, None], (0.55, 0.28), np.where(still[:, None], protest, soothed))
    movement = np.where(still, 0.12, 1.0)[:, None]
    mother_track = mother_target + _smooth(movement, 0.4 * pace) * _drift(generator, frames, 2, 1.2 * pace) * (
        0.14,
        0.12,
    )
    infant_track = infant_target + _drift(generator, frames, 2, 1.0 * pace) * (0.15, 0.15)

    averted = np.sign(generator.standard_normal()) * np.radians(13.0) * _smooth((still * progress)[:, None], 0.8 * pace)
    poses = []
    for face, swing, lean in ((mother, 1.0, 0.0), (infant, 1.5, averted[:, 0])):
        start = np.array([face.shot.yaw, face.shot.pitch, face.shot.roll]) * 0.5
        pose = start + _drift(generator, frames, 3, 1.1 * pace) * np.radians((4.0, 2.0, 2.0)) * swing
        pose[:, 0] += lean
        poses.append(np.clip(pose, -np.radians((25.0, 12.0, 10.0)), np.radians((25.0, 12.0, 10.0))))
    return Dyad(
        mother,
        infant,
        _into_disc(_smooth(mother_track, 0.45 * pace)),
        _into_disc(_smooth(infant_track, 0.45 * pace)),
        *poses,
        phases,
    )
