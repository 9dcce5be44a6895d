"""BiSeNet for face parsing (Yu et al. 2018), ResNet-18 context path, in plain PyTorch.

The batch normalisations of the trained network are folded into its convolutions
(``training/convert_weights.py``), so that every convolution here has a bias.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = (64, 128, 256, 512)
"""Width of the four stages of ResNet-18, at 1/4, 1/8, 1/16 and 1/32 of the input."""


class Convolution(nn.Conv2d):
    """Convolution that keeps the size at stride 1."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1):
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = Convolution(inputs, outputs, stride=stride)
        self.conv2 = Convolution(outputs, outputs)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else Convolution(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inputs, H, W]`` to ``[B, outputs, H / stride, W / stride]``."""
        return F.relu(self.shortcut(x) + self.conv2(F.relu(self.conv1(x))))


class ResNet18(nn.Module):
    """Features at 1/8, 1/16 and 1/32 of the input."""

    def __init__(self):
        super().__init__()
        self.stem = Convolution(3, CHANNELS[0], 7, 2)
        stages, inputs = [], CHANNELS[0]
        for index, outputs in enumerate(CHANNELS):
            first = ResidualBlock(inputs, outputs, stride=1 if index == 0 else 2)
            stages.append(nn.Sequential(first, ResidualBlock(outputs, outputs, stride=1)))
            inputs = outputs
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``[B, 3, H, W]`` to features with 128, 256 and 512 channels at 1/8, 1/16, 1/32."""
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)  # [B, 64, H/4, W/4]
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features[1], features[2], features[3]


class AttentionRefinement(nn.Module):
    """Convolution whose channels are weighted by what the whole image contains."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = Convolution(inputs, outputs)
        self.attention = Convolution(outputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inputs, H, W]`` to ``[B, outputs, H, W]``."""
        x = F.relu(self.conv(x))
        return x * torch.sigmoid(self.attention(x.mean((2, 3), keepdim=True)))


class FeatureFusion(nn.Module):
    """Joins the fine features with the context features."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = Convolution(channels, channels, 1)
        self.attention1 = Convolution(channels, channels // 4, 1)
        self.attention2 = Convolution(channels // 4, channels, 1)

    def forward(self, fine: Tensor, context: Tensor) -> Tensor:
        """Two ``[B, channels / 2, H, W]`` to ``[B, channels, H, W]``."""
        x = F.relu(self.conv(torch.cat([fine, context], 1)))
        attention = F.relu(self.attention1(x.mean((2, 3), keepdim=True)))
        return x + x * torch.sigmoid(self.attention2(attention))


class BiSeNet(nn.Module):
    """Logits of ``classes`` classes at 1/8 of the input's resolution."""

    def __init__(self, classes: int):
        super().__init__()
        self.resnet = ResNet18()
        self.refine16 = AttentionRefinement(256, 128)
        self.refine32 = AttentionRefinement(512, 128)
        self.merge16 = Convolution(128, 128)
        self.merge32 = Convolution(128, 128)
        self.whole = Convolution(512, 128, 1)
        self.fusion = FeatureFusion(256)
        self.head = Convolution(256, 256)
        self.classifier = Convolution(256, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised ``[B, 3, H, W]``, H and W multiples of 32, to ``[B, classes, H/8, W/8]``."""
        feature8, feature16, feature32 = self.resnet(x)
        whole = F.relu(self.whole(feature32.mean((2, 3), keepdim=True)))  # [B, 128, 1, 1]
        context = self.refine32(feature32) + whole
        context = F.relu(self.merge32(F.interpolate(context, scale_factor=2)))  # 1/16
        context = self.refine16(feature16) + context
        context = F.relu(self.merge16(F.interpolate(context, scale_factor=2)))  # 1/8
        return self.classifier(F.relu(self.head(self.fusion(feature8, context))))
