"""PyTorch's form of the training steps of this project, as the opponent of the benchmarks."""
