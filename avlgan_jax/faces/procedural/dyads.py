"""Mother and infant face to face: sequences after the still-face experiment (Tronick et al. 1978).

Two minutes of play, two in which the mother holds a still, neutral face, two of reunion; here three equal parts of any
length. The infant protests against the still face: pleasure falls, arousal rises, it looks away; in the reunion
distress lingers before it gives way (the carry-over effect, Mesman et al. 2009).
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from avlgan_jax.faces.procedural.identity import Face, sample_identity, sample_shot

FRAMES_PER_SECOND = 30
PHASES = ("play", "still_face", "reunion")


@dataclass(frozen=True)
class Dyad:
    """A mother and her infant over time. Arrays run over frames; poses are (yaw, pitch, roll) in radians."""

    mother: Face
    infant: Face
    mother_emotions: Float[np.ndarray, "frames 2"]
    infant_emotions: Float[np.ndarray, "frames 2"]
    mother_poses: Float[np.ndarray, "frames 3"]
    infant_poses: Float[np.ndarray, "frames 3"]
    phases: Int[np.ndarray, "frames"]  # index into PHASES

    def __len__(self) -> int:
        return len(self.phases)

    def mother_at(self, frame: int) -> Face:
        """The mother's face in the pose of `frame`."""
        return _posed(self.mother, self.mother_poses[frame], frame)

    def infant_at(self, frame: int) -> Face:
        """The infant's face in the pose of `frame`."""
        return _posed(self.infant, self.infant_poses[frame], frame)


def _posed(face: Face, pose: np.ndarray, frame: int) -> Face:
    yaw, pitch, roll = (float(v) for v in pose)
    # Sensor noise is new in every frame, the room is not: it hangs on the shot's texture, the noise on the frame too.
    return replace(face, shot_index=frame, shot=replace(face.shot, yaw=yaw, pitch=pitch, roll=roll, frame=frame))


def _smooth(track: Float[np.ndarray, "frames d"], seconds: float) -> Float[np.ndarray, "frames d"]:
    """`track` under a Gaussian whose standard deviation is `seconds`, held at both ends."""
    deviation = seconds * FRAMES_PER_SECOND
    reach = int(np.ceil(3.0 * deviation))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    padded = np.pad(track, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, kernel / kernel.sum(), "valid") for column in padded.T], axis=-1)


def _drift(generator: np.random.Generator, frames: int, width: int, seconds: float) -> Float[np.ndarray, "frames d"]:
    """Smooth noise of unit deviation that forgets itself within `seconds`."""
    reach = int(np.ceil(4.0 * seconds * FRAMES_PER_SECOND))
    noise = _smooth(generator.standard_normal((frames + 2 * reach, width)), seconds)[reach : reach + frames]
    return noise * np.sqrt(2.0 * np.sqrt(np.pi) * seconds * FRAMES_PER_SECOND)


def _into_disc(emotions: Float[np.ndarray, "frames 2"]) -> Float[np.ndarray, "frames 2"]:
    """Keep emotions inside the unit disc, softly."""
    radius = np.linalg.norm(emotions, axis=-1, keepdims=True)
    return (
        emotions * np.where(radius > 0.7, (0.7 + 0.29 * np.tanh((radius - 0.7) / 0.29)) / radius.clip(1e-9), 1.0)
    ).astype(np.float32)


def dyad(seed: int, index: int, seconds: float) -> Dyad:
    """The `index`-th mother and infant of `seed`, `seconds` long at 30 frames a second. Pure.

    The two share a skin tone within a family's bounds. Raises ValueError when there is no frame for each phase.
    """
    frames = round(seconds * FRAMES_PER_SECOND)
    if frames < len(PHASES):
        raise ValueError(
            f"a dyad of {seconds} s has {frames} frames; it needs at least {len(PHASES)}, one for each phase"
        )
    generator = np.random.default_rng((seed, index, 2))
    tone = float(generator.beta(0.9, 1.1))
    child_tone = float(np.clip(tone + generator.normal(0.0, 0.06), 0.0, 1.0))
    people = []
    for infant, shade in ((False, tone), (True, child_tone)):
        identity = sample_identity(generator, infant, True if not infant else None, shade)
        if not infant:  # of an age to have one
            identity = replace(identity, age=20.0 + 20.0 * identity.wrinkles, wrinkles=0.35 * identity.wrinkles)
        people.append(Face(seed, index, 0, identity, sample_shot(generator, identity.skin)))
    mother, infant = people

    phases = np.minimum(np.arange(frames) * len(PHASES) // frames, len(PHASES) - 1).astype(np.int32)
    inside = (np.arange(frames) * len(PHASES) / frames) % 1.0  # how far each phase has come
    pace = min(1.0, seconds / 12.0)  # short sequences turn more quickly
    distress = generator.uniform(0.7, 1.0)
    carry = generator.uniform(0.3, 0.7)

    play, still = phases == 0, phases == 1
    mother_target = np.where(still[:, None], (0.0, 0.0), (0.62, 0.30))
    fall = 0.35 + inside * 0.65
    protest = np.stack([-distress * fall * 0.95, 0.15 + 0.5 * distress * inside], axis=-1)
    soothed = np.exp(-inside / 0.35)[:, None] * (-carry, 0.35 * carry) + (1.0 - np.exp(-inside / 0.35))[:, None] * (
        0.45,
        0.22,
    )
    infant_target = np.where(play[:, None], (0.55, 0.28), np.where(still[:, None], protest, soothed))
    calm = np.where(still, 0.12, 1.0)[:, None]
    mother_track = mother_target + _smooth(calm, 0.4 * pace) * _drift(generator, frames, 2, 1.2 * pace) * (0.14, 0.12)
    infant_track = infant_target + _drift(generator, frames, 2, 1.0 * pace) * (0.15, 0.15)

    averted = np.sign(generator.standard_normal()) * np.radians(13.0) * _smooth((still * inside)[:, None], 0.8 * pace)
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
