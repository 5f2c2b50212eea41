"""avLandmarkGAN in JAX: turn a face to any emotion on the valence-arousal plane, by way of its 68 landmarks."""
