"""Named configs. Each docstring gives the command and, if the preset was run to completion, its machine and time."""

from collections.abc import Callable
from dataclasses import replace

from avlgan_jax.config import Config, ImageTraining, LandmarkTraining, RegressorTraining


def paper() -> Config:
    """Return the paper's settings: 128 px, batch 16, Adam 1e-4, 400,000 steps, weights 5/10/10/10, minimax loss.

    `python train.py all --preset paper --data affectnet --workdir runs/paper`

    The image converter takes 8.2e17 FLOP (`python -m benchmarks.run --what work`). This project has not run the preset
    to completion.
    """
    return Config()


def modern() -> Config:
    """Return the paper's losses with the changes that trained better in `docs/experiments.md`.

    The image converter warps the source by the landmarks and paints what is new (`models.painter`). avGAN has no
    landmarks to warp by, so it has the paper's generator with a mask.

    `python train.py all --preset modern --data affectnet --workdir runs/modern`

    The preset is meant for an accelerator. This project has not run it to completion; `demo` is the same recipe at a
    smaller size, and was run to completion.
    """
    image = ImageTraining(
        steps=200_000,
        learning_rate=2e-4,
        ema_decay=0.999,
        adversarial_loss="nonsaturating",
        emotion_weight=2.0,
        targets="uniform",
        d_rate_factor=1.5,
        d_warmup=5_000,
        warped=True,
        mask_weight=0.3,
        g_landmark_factor=0.0,
        read_blurred=True,
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
            centre_weight=0.0,
            residual=True,
        ),
        image=image,
        avgan=replace(
            image,
            use_landmarks=False,
            discriminator="resnet18",
            warped=False,
            masked=True,
            mask_weight=0.1,
            emotion_weight=8.0,
            read_blurred=False,
        ),
    )


def demo() -> Config:
    """Return `modern` for 36 px procedural faces and two CPU cores, without avGAN.

    `make demo`

    avGAN with as many steps as the image converter would take longer than all other models; `--avgan.steps 1950` adds
    it.
    """
    recipe = modern()
    small = {"batch_size": 8, "learning_rate": 4e-4, "ema_decay": 0.997, "width": 16, "blocks": 3}
    return replace(
        recipe,
        resolution=36,
        regressor=replace(recipe.regressor, steps=2_000, batch_size=32, learning_rate=2e-3, ema_decay=0.998, width=16),
        landmark=replace(recipe.landmark, steps=10_000, batch_size=32, learning_rate=5e-4),
        image=replace(recipe.image, **small, steps=1_950, d_warmup=450, d_width=40, d_layers=4),
        avgan=replace(recipe.avgan, **small, steps=0, d_warmup=500, d_width=16),
        checkpoint_every=200,
        sample_every=1_000,
        log_every=20,
    )


def paired() -> Config:
    """Return the recipe for drawn faces of 64 px in pairs, the same face at two emotions.

    `python prepare.py procedural_faces --resolution 64 --faces 20000 --emotions 2 --infant-every 3 --data-dir pairs`
    `python train.py all --preset paired --data-dir pairs --workdir runs/paired`

    The converters learn from the paired face and landmarks, and from the discriminators for strength and sharpness. The
    paper's training has no pairs, so its numbers are not comparable. There is no way back: it would ask for the same as
    the pair. The packaged weights began with this preset: five minutes on an H100 that another training shared.
    """
    recipe = demo()
    return replace(
        recipe,
        resolution=64,
        regressor=replace(recipe.regressor, steps=2_500),
        landmark=replace(
            recipe.landmark,
            steps=12_000,
            batch_size=64,
            targets="paired",
            paired_weight=20.0,
            emotion_weight=1.0,
            reconstruction_weight=0.0,
            vary_proportions=1.0,
        ),
        image=replace(
            recipe.image,
            steps=7_840,
            batch_size=16,
            d_warmup=800,
            ema_decay=0.9995,
            targets="paired",
            paired_weight=12.0,
            paired_feature_weight=4.0,
            emotion_weight=2.0,
            reconstruction_weight=0.0,
            mask_weight=0.05,
            d_width=32,
        ),
        avgan=replace(recipe.avgan, batch_size=16),
    )


def photographs() -> Config:
    """Return the recipe of the packaged weights: a `paired` run goes on with drawn faces and photographs.

    `python prepare.py diffusion_fer --manual-dir DIFFUSION_FER --resolution 64 --data-dir pairs`
    `python train.py image --preset photographs --data-dir pairs --initial runs/paired --workdir runs/photographs`

    Half of each batch are drawn pairs. The other half are photographs, which have no pairs: each is warped to another
    emotion, and the painter learns to bring it back. Landmark converter and regressor are those of the `paired` run.
    Three minutes on an H100 that another training shared.
    """
    recipe = paired()
    return replace(
        recipe,
        data="procedural_faces+diffusion_fer",
        augment=1.0,
        image=replace(recipe.image, steps=4_040, d_warmup=200, learning_rate=2e-4, emotion_weight=1.0),
        avgan=replace(recipe.avgan, learning_rate=2e-4),
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


PRESETS: dict[str, Callable[[], Config]] = {
    "paper": paper,
    "modern": modern,
    "demo": demo,
    "paired": paired,
    "photographs": photographs,
    "debug": debug,
}
