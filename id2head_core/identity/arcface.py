"""ArcFace as a differentiable PyTorch network: MobileFaceNet with the weights of w600k_mbf.

Chen et al. 2018, "MobileFaceNets", in the variant of InsightFace (wider, and a fully connected
layer in place of the global depth-wise convolution). The recogniser of ``face_analysis.py`` runs
the same file by ONNX Runtime; a test holds the two together.
"""

from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor, nn

from .. import weights
from .face_analysis import ARCFACE_KEYPOINTS

CROP_SIZE = 112
"""Side of the aligned crop, pixels."""

EMBEDDING_SIZE = 512
"""Numbers in an embedding."""


class ConvolutionPReLU(nn.Sequential):
    """Convolution (batch normalisation folded into it) and PReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ):
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups),
            nn.PReLU(outputs),
        )


class Bottleneck(nn.Sequential):
    """Widen, 3x3 depth-wise, narrow without activation."""

    def __init__(self, inputs: int, width: int, outputs: int, stride: int = 1):
        super().__init__(
            ConvolutionPReLU(inputs, width),
            ConvolutionPReLU(width, width, 3, stride, groups=width),
            nn.Conv2d(width, outputs, 1),
        )


class Residual(nn.Module):
    """A bottleneck that adds to its input."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.bottleneck = Bottleneck(channels, width, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to the same shape."""
        return x + self.bottleneck(x)


class MobileFaceNet(nn.Module):
    """Aligned faces to embeddings that are not normalised."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            ConvolutionPReLU(3, 128, 3, stride=2),  # 56 x 56
            ConvolutionPReLU(128, 128, 3, groups=64),
            Bottleneck(128, 128, 128, stride=2),  # 28 x 28
            *[Residual(128, 128) for _ in range(4)],
            Bottleneck(128, 256, 256, stride=2),  # 14 x 14
            *[Residual(256, 256) for _ in range(6)],
            Bottleneck(256, 512, 256, stride=2),  # 7 x 7
            *[Residual(256, 256) for _ in range(2)],
            ConvolutionPReLU(256, 512),
            ConvolutionPReLU(512, 64),
        )
        self.linear = nn.Linear(64 * 7 * 7, EMBEDDING_SIZE)
        self.norm = nn.BatchNorm1d(EMBEDDING_SIZE)

    def forward(self, x: Tensor) -> Tensor:
        """Images in [-1, 1], ``[B, 3, 112, 112]`` RGB, to ``[B, 512]``."""
        return self.norm(self.linear(self.features(x).flatten(1)))


class ArcFace:
    """Align and embed faces with gradients to the image; the weights are frozen."""

    def __init__(self, network: MobileFaceNet):
        network = network.to(memory_format=torch.channels_last)  # a tenth faster on a CPU
        self.network = network.eval().requires_grad_(False)

    @classmethod
    def load(cls, file: Path | None = None) -> "ArcFace":
        """Read ``weights/face/w600k_mbf.onnx`` (or ``file``); raises WeightsError."""
        network = MobileFaceNet()
        network.load_state_dict(_state(file or weights.path("face/w600k_mbf.onnx"), network))
        return cls(network)

    def align(self, image: Tensor, keypoints: Tensor) -> Tensor:
        """Similarity warp to ArcFace's crop, bilinear, black outside the image.

        Args:
            image: ``[B, 3, H, W]``.
            keypoints: ``[B, 5, 2]``, pixels, eyes, nose tip, mouth corners, image left first;
                integer coordinates are pixel centres, as InsightFace's detector gives them.

        Returns:
            ``[B, 3, 112, 112]``, differentiable in ``image`` and ``keypoints``.
        """
        height, width = image.shape[2:]
        template = torch.as_tensor(ARCFACE_KEYPOINTS).to(keypoints)
        linear, offset = similarity_from(template.expand_as(keypoints), keypoints)
        axis = torch.arange(CROP_SIZE, dtype=keypoints.dtype, device=keypoints.device)
        rows, columns = torch.meshgrid(axis, axis, indexing="ij")
        crop = torch.stack([columns, rows], -1)  # [112, 112, 2]
        points = torch.einsum("bij,rcj->brci", linear, crop) + offset[:, None, None]
        size = torch.tensor([width, height]).to(points)
        grid = (2 * points + 1) / size - 1  # [B, 112, 112, 2]
        return F.grid_sample(image, grid.to(image), mode="bilinear", align_corners=False)

    def embed(self, aligned: Tensor) -> Tensor:
        """Aligned faces in [0, 1], ``[B, 3, 112, 112]`` RGB sRGB, to unit ``[B, 512]``."""
        return F.normalize(self.network(aligned * 2 - 1), dim=1)


def similarity_from(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Least-squares similarity that maps ``source`` to ``target``, both ``[B, N, 2]``.

    It is fitted in the other direction (target to source) and inverted, because that is the
    error which InsightFace's ``norm_crop`` minimises.

    Returns:
        Linear part ``[B, 2, 2]`` and offset ``[B, 2]``.
    """
    source_mean, target_mean = source.mean(1), target.mean(1)  # [B, 2]
    s, t = source - source_mean[:, None], target - target_mean[:, None]
    dot = (s * t).sum((1, 2))
    cross = (t[..., 0] * s[..., 1] - t[..., 1] * s[..., 0]).sum(1)
    # target -> source is the complex factor (dot + i cross) / |t|^2; its inverse:
    power = (t**2).sum((1, 2)) / (dot**2 + cross**2)
    real, imaginary = dot * power, -cross * power
    linear = torch.stack([real, -imaginary, imaginary, real], 1).view(-1, 2, 2)
    return linear, target_mean - torch.einsum("bij,bj->bi", linear, source_mean)


def _state(file: Path, network: MobileFaceNet) -> dict[str, Tensor]:
    """State of ``network`` from the ONNX file, whose nodes are in the order of the modules."""
    graph = onnx.load(str(file)).graph
    arrays = {i.name: torch.tensor(numpy_helper.to_array(i).copy()) for i in graph.initializer}
    convolutions = [list(n.input)[1:] for n in graph.node if n.op_type == "Conv"]
    slopes = [n.input[1] for n in graph.node if n.op_type == "PRelu"]
    state = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            weight, bias = convolutions.pop(0)
            state[f"{name}.weight"], state[f"{name}.bias"] = arrays[weight], arrays[bias]
        elif isinstance(module, nn.PReLU):
            state[f"{name}.weight"] = arrays[slopes.pop(0)].flatten()
    state["linear.weight"], state["linear.bias"] = arrays["fc.weight"], arrays["fc.bias"]
    for ours in ("weight", "bias", "running_mean", "running_var"):
        state[f"norm.{ours}"] = arrays[f"features.{ours}"]
    state["norm.num_batches_tracked"] = torch.tensor(0)
    return state
