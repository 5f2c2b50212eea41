"""Names and symbols under which results are shown."""

NAMES = {"avlandmarkgan": "avLandmarkGAN", "avgan": "avGAN", "truth": "truth"}
ROW_NAMES = {
    "avlandmarkgan": "avLandmarkGAN",
    "avgan": "avGAN",
    "do_nothing": "doing nothing",
    "regressor": "real faces",
}
# The weights of Table I in words.
WEIGHTS = {
    "landmark.emotion_weight": "emotion, landmark converter",
    "landmark.centre_weight": "face feature centres",
    "image.emotion_weight": "emotion, image converter",
    "image.landmark_weight": "landmarks, image converter",
}
# The weights of Table I by the paper's signs.
WEIGHT_NAMES = {
    "landmark.emotion_weight": "$\\lambda_e^l$",
    "landmark.centre_weight": "$\\lambda_{ffc}$",
    "image.emotion_weight": "$\\lambda_e^i$",
    "image.landmark_weight": "$\\lambda_l$",
}
