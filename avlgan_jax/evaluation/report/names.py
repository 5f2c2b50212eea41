"""Display names and symbols of models, table rows and loss weights."""

from collections.abc import Iterable

# In the order of columns and panels: the baseline, the model, the truth.
SHOWN_NAMES = {"avgan": "avGAN", "avlandmarkgan": "avLandmarkGAN", "truth": "truth"}
# The rows of the result table. "regressor" holds the regressor's scores on real faces.
ROW_NAMES = {
    "avlandmarkgan": "avLandmarkGAN",
    "avgan": "avGAN",
    "do_nothing": "doing nothing",
    "regressor": "real faces",
}
# The loss weights of Table I, for tables.
WEIGHT_WORDS = {
    "landmark.emotion_weight": "emotion, landmark converter",
    "landmark.centre_weight": "face feature centres",
    "image.emotion_weight": "emotion, image converter",
    "image.landmark_weight": "landmarks, image converter",
}
# The paper's symbols of the loss weights of Table I, as Matplotlib math text.
WEIGHT_SYMBOLS = {
    "landmark.emotion_weight": "$\\lambda_e^l$",
    "landmark.centre_weight": "$\\lambda_{ffc}$",
    "image.emotion_weight": "$\\lambda_e^i$",
    "image.landmark_weight": "$\\lambda_l$",
}
# The measures of `landmarks.shape_measures` in words.
SHAPE_NAMES = {
    "eye_openness": "openness of the eyes",
    "mouth_openness": "openness of the mouth",
    "mouth_width": "width of the mouth",
    "brow_height": "height of the brows",
    "inner_brow_height": "height of the inner brows",
    "lip_corner_height": "height of the lip corners",
}

# The rows of the tables that compare pictures, in their order (`baselines` has the names in `metrics.json`).
PICTURE_NAMES = {
    "avlandmarkgan": "avLandmarkGAN",
    "avgan": "avGAN",
    "warp": "warp alone",
    "do_nothing": "doing nothing",
    "truth": "ground truth",
}


def in_order(names: Iterable[str]) -> list[str]:
    """Return those of SHOWN_NAMES that are among `names`, in their order: a run without avGAN has fewer."""
    return [name for name in SHOWN_NAMES if name in set(names)]
