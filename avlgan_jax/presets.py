"""Named configs. Each docstring gives the command and, if the preset was run to completion, its machine and time."""

from collections.abc import Callable
from dataclasses import replace

from avlgan_jax.config import Config, ImageTraining, LandmarkTraining, RegressorTraining


def paper() -> Config:
    """Return the paper's settings: 128 px, batch 16, Adam 1e-4, 400,000 steps, weights 5/10/10/10, minimax loss.

    `python train.py all --preset paper --data affectnet --workdir runs/paper`

    The image converter takes 1.0e18 FLOP. This project has not run the preset to completion.
    """
    return Config()


def modern() -> Config:
    """Return the paper's networks and losses with the changes that trained better in `docs/experiments.md`.

    `python train.py all --preset modern --data affectnet --workdir runs/modern`

    The preset is meant for an accelerator. This project has not run it to completion; `demo` is the same recipe at a
    smaller size, and was run to completion.
    """
    image = ImageTraining(
        steps=200_000,
        learning_rate=2e-4,
        ema_decay=0.999,
        adversarial_loss="nonsaturating",
        emotion_weight=8.0,
        targets="uniform",
        d_rate_factor=1.5,
        d_warmup=5_000,
        masked=True,
        mask_weight=0.1,
    )
    return Config(
        regressor=RegressorTraining(steps=40_000, batch_size=64, learning_rate=1e-3, beta1=0.9, decay="cosine"),
        landmark=LandmarkTraining(
            steps=100_000,
            batch_size=64,
            learning_rate=2e-4,
            ema_decay=0.999,
            adversarial_loss="nonsaturating",
            targets="uniform",
            centre_weight=1.0,
            residual=True,
        ),
        image=image,
        avgan=replace(image, use_landmarks=False, discriminator="resnet18"),
    )


def demo() -> Config:
    """Return `modern` for 36 px procedural faces; it takes about 15 minutes on two CPU cores.

    `make demo`

    The mask weight is higher than in `modern`, because the training is short. avGAN trains one step per 38 steps of
    the image converter: the demo shows that avGAN runs and is no comparison of the two.
    """
    recipe = modern()
    image = replace(
        recipe.image,
        steps=3_050,
        d_warmup=1_200,
        learning_rate=4e-4,
        ema_decay=0.997,
        mask_weight=0.3,
        width=16,
        blocks=3,
        d_width=40,
        d_layers=4,
    )
    return replace(
        recipe,
        resolution=36,
        regressor=replace(recipe.regressor, steps=2_000, batch_size=32, learning_rate=2e-3, width=16),
        landmark=replace(recipe.landmark, steps=1_800, ema_decay=0.99, learning_rate=5e-4),
        image=image,
        avgan=replace(image, steps=80, d_warmup=40, use_landmarks=False, discriminator="resnet18", d_width=16),
        checkpoint_every=200,
        sample_every=400,
        log_every=20,
    )


def debug() -> Config:
    """Return small networks at 32 px and 4 training steps per model, to test in seconds that everything runs.

    `python train.py all --preset debug --data procedural_faces --workdir runs/debug`
    """
    tiny = {"steps": 4, "batch_size": 4}
    recipe = demo()
    return replace(
        recipe,
        resolution=32,
        regressor=replace(recipe.regressor, **tiny, width=8),
        landmark=replace(recipe.landmark, **tiny, width=16, blocks=1),
        image=replace(recipe.image, **tiny, d_warmup=1, width=4, blocks=1, d_width=4),
        avgan=replace(recipe.avgan, **tiny, d_warmup=1, width=4, blocks=1, d_width=8),
        checkpoint_every=2,
        sample_every=2,
        log_every=1,
    )


PRESETS: dict[str, Callable[[], Config]] = {"paper": paper, "modern": modern, "demo": demo, "debug": debug}
