"""Inception-v3 of 2015 in PyTorch, as the reference for each layer of the Flax network."""

import torch
from torch import nn
from torch.nn import functional as F


class Conv(nn.Module):
    """A convolution with batch norm and ReLU."""

    def __init__(self, inputs, outputs, kernel, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


def mean(x):
    """Return 3x3 means at stride 1; padding does not count."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def largest(x):
    """Return 3x3 maxima at stride 1."""
    return F.max_pool2d(x, 3, 1, 1)


def halved(x):
    """Return 3x3 maxima at stride 2."""
    return F.max_pool2d(x, 3, 2)


class Mixed(nn.Module):
    """Chains of convolutions and a pooling branch, all on the same input, with their outputs concatenated.

    A chain may end in two parallel convolutions, whose names end in "a" and "b".
    """

    def __init__(self, inputs, chains, pool, pooled=None, forks=()):
        super().__init__()
        self.chains, self.pool, self.forks = [], pool, forks
        for chain in chains:
            names, width = [], inputs
            for name, *spec in chain:
                self.add_module(name, Conv(width, *spec))
                names.append(name)
                width = width if name.endswith("a") else spec[0]
            self.chains.append(names)
        self.branch_pool = Conv(inputs, pooled, 1) if pooled else nn.Identity()

    def forward(self, x):
        outputs = []
        for names in self.chains:
            y = x
            stem = [name for name in names if name[-1] not in "ab" or name == "branch1x1"]
            for name in stem:
                y = getattr(self, name)(y)
            ends = [getattr(self, name)(y) for name in names if name not in stem]
            outputs += ends or [y]
        return torch.cat([*outputs, self.branch_pool(self.pool(x))], 1)


def a(inputs, pooled):
    """Return a block of Mixed_5b to Mixed_5d."""
    return Mixed(
        inputs,
        [
            [("branch1x1", 64, 1)],
            [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5, 1, 2)],
            [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3, 1, 1), ("branch3x3dbl_3", 96, 3, 1, 1)],
        ],
        mean,
        pooled,
    )


def b(inputs):
    """Return the block Mixed_6a."""
    double = [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3, 1, 1), ("branch3x3dbl_3", 96, 3, 2)]
    return Mixed(inputs, [[("branch3x3", 384, 3, 2)], double], halved)


def c(w):
    """Return a block of Mixed_6b to Mixed_6e; `w` is the width of its inner convolutions."""
    row, column = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))
    return Mixed(
        768,
        [
            [("branch1x1", 192, 1)],
            [("branch7x7_1", w, 1), ("branch7x7_2", w, *row), ("branch7x7_3", 192, *column)],
            [
                ("branch7x7dbl_1", w, 1),
                ("branch7x7dbl_2", w, *column),
                ("branch7x7dbl_3", w, *row),
                ("branch7x7dbl_4", w, *column),
                ("branch7x7dbl_5", 192, *row),
            ],
        ],
        mean,
        192,
    )


def d():
    """Return the block Mixed_7a."""
    seven = [
        ("branch7x7x3_1", 192, 1),
        ("branch7x7x3_2", 192, (1, 7), 1, (0, 3)),
        ("branch7x7x3_3", 192, (7, 1), 1, (3, 0)),
        ("branch7x7x3_4", 192, 3, 2),
    ]
    return Mixed(768, [[("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3, 2)], seven], halved)


def e(inputs, pool):
    """Return the block Mixed_7b or Mixed_7c."""

    def ends(name):
        return [(f"{name}a", 384, (1, 3), 1, (0, 1)), (f"{name}b", 384, (3, 1), 1, (1, 0))]

    return Mixed(
        inputs,
        [
            [("branch1x1", 320, 1)],
            [("branch3x3_1", 384, 1), *ends("branch3x3_2")],
            [("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3, 1, 1), *ends("branch3x3dbl_3")],
        ],
        pool,
        192,
    )


class Inception(nn.Module):
    """The network, with the layer names of the public weights."""

    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = a(192, 32), a(256, 64), a(288, 64)
        self.Mixed_6a = b(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = c(128), c(160), c(160), c(192)
        self.Mixed_7a = d()
        self.Mixed_7b, self.Mixed_7c = e(1280, mean), e(2048, largest)
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x):
        """Return the output of each layer by its name, and the pooled features as "features"."""
        outputs = {}
        for name, layer in self.named_children():
            if name == "fc":
                break
            x = outputs[name] = layer(x)
            if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
                x = halved(x)
        outputs["features"] = x.mean(dim=(2, 3))
        return outputs


def random_inception(seed):
    """Return a network with random weights and batch statistics under which no layer's output vanishes."""
    torch.manual_seed(seed)
    network = Inception().eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0.0, 0.2)
            module.running_mean.normal_(0.0, 0.2)
            module.running_var.uniform_(0.5, 2.0)
    return network
