"""Small measuring instruments for prior images, made from true renders and from geometry.

Nothing here knows the prior: every function takes images ``[B, 3, S, S]`` in [0, 1], so that the
same instrument reads samples and true renders.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from ..prompts import HAIR_COLOURS

PROBE_SIZE = 16
"""Side of the images that the linear probes look at, pixels."""

FACE_CROP = (20, 104, 10, 102)
"""Top, bottom, left, right of the face without hair in ArcFace's crop, pixels of 112."""

HAIR_DIFFERENCE = 0.1
"""Smallest change of a normal's image (any channel) that tells hair from the bare head."""


def pooled(images: torch.Tensor, size: int = PROBE_SIZE) -> torch.Tensor:
    """Images averaged to ``size`` pixels, flat: ``[B, 3 size^2]``, around zero."""
    return F.adaptive_avg_pool2d(images, size).flatten(1) - 0.5


@dataclass(frozen=True)
class RidgeProbe:
    """Linear regression with a quadratic penalty.

    Attributes:
        mean: of the features ``[D]``.
        weights: ``[D + 1, K]``, the offset last.
    """

    mean: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def fit(
        cls, features: torch.Tensor, targets: torch.Tensor, penalty: float = 0.02
    ) -> "RidgeProbe":
        """Regress ``targets [N, K]`` on ``features [N, D]``; ``penalty`` is per sample."""
        mean = features.mean(0)
        x = _with_one(features - mean).double()
        gram = x.T @ x + penalty * len(x) * torch.eye(x.shape[1], dtype=torch.double)
        gram[-1, -1] -= penalty * len(x)  # the offset is free
        return cls(mean, torch.linalg.solve(gram, x.T @ targets.double()).float())

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Predictions ``[B, K]``."""
        return _with_one(features - self.mean) @ self.weights


def expression_probe(normals: torch.Tensor, labels: torch.Tensor, classes: int) -> RidgeProbe:
    """Tells expressions from aligned normals ``[N, 3, 112, 112]``; largest output = class."""
    targets = F.one_hot(torch.cat([labels, labels]), classes).float()
    return RidgeProbe.fit(face_pixels(torch.cat([normals, _mirrored(normals)])), targets, 2e-4)


def yaw_probe(normals: torch.Tensor, yaw: torch.Tensor) -> RidgeProbe:
    """Tells the yaw from normals of whole heads; outputs are its sine and cosine."""
    angle = torch.deg2rad(torch.cat([yaw, -yaw]))
    targets = torch.stack([angle.sin(), angle.cos()], 1)
    return RidgeProbe.fit(pooled(torch.cat([normals, _mirrored(normals)])), targets, 2e-3)


def probed_yaw(probe: RidgeProbe, normals: torch.Tensor) -> torch.Tensor:
    """Yaw in degrees ``[B]``."""
    sine, cosine = probe(pooled(normals)).unbind(1)
    return torch.rad2deg(torch.atan2(sine, cosine))


def yaw_error(found: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """Absolute difference of angles in degrees, at most 180."""
    return ((found - asked + 180) % 360 - 180).abs()


def face_pixels(aligned: torch.Tensor) -> torch.Tensor:
    """The face of ArcFace's crops ``[B, 3, 112, 112]`` as few numbers, ``[B, D]``."""
    top, bottom, left, right = FACE_CROP
    return pooled(aligned[:, :, top:bottom, left:right])


def ranks(queries: torch.Tensor, gallery: torch.Tensor) -> torch.Tensor:
    """How many of the gallery are closer to query i than entry i is, ``[N]``; 0 = retrieved.

    Cosine distance after the mean of each set is taken away, so that what all queries share does
    not count.
    """
    q, g = (F.normalize(x - x.mean(0), dim=1) for x in (queries, gallery))
    similarity = q @ g.T
    return (similarity > similarity.diagonal()[:, None]).sum(1)


def hair_mask(normals: torch.Tensor, control: torch.Tensor) -> torch.Tensor:
    """Where normals ``[B, 3, S, S]`` are not those of the bare head: bool ``[B, S, S]``."""
    return (normals - control[:, :3]).abs().amax(1) > HAIR_DIFFERENCE


def eroded(mask: torch.Tensor, pixels: int = 1) -> torch.Tensor:
    """The mask ``[B, S, S]`` without a border of ``pixels``."""
    outside = (~mask).float()[:, None]
    return F.max_pool2d(outside, 2 * pixels + 1, 1, pixels)[:, 0] < 0.5


def covered_below(mask: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """Share of the pixels below ``row [B]`` that are in ``mask [B, S, S]``."""
    below = torch.arange(mask.shape[1])[None] + 0.5 > row[:, None]  # [B, S]
    area = below.sum(1) * mask.shape[2]
    return (mask & below[:, :, None]).sum((1, 2)) / area.clamp(min=1)


def median_lab(images: torch.Tensor, mask: torch.Tensor) -> np.ndarray:
    """Median CIELAB colour of the masked pixels ``[B, 3]``; NaN where the mask is empty."""
    out = np.full((len(images), 3), np.nan, np.float32)
    for i, (image, chosen) in enumerate(zip(images, mask, strict=True)):
        if chosen.any():
            pixels = np.ascontiguousarray(image[:, chosen].T.numpy()[None], np.float32)
            out[i] = np.median(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)[0], axis=0)
    return out


def named_lab(names: tuple[str, ...]) -> np.ndarray:
    """CIELAB of named hair colours ``[K, 3]``."""
    table = np.array([[HAIR_COLOURS[name] for name in names]], np.float32) / 255
    return cv2.cvtColor(table, cv2.COLOR_RGB2LAB)[0]


def principal_axes(features: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean ``[D]`` and the first principal axes ``[D, count]``."""
    mean = features.mean(0)
    axes = torch.linalg.svd(features - mean, full_matrices=False).Vh[:count]
    return mean, axes.T


def frechet(a: torch.Tensor, b: torch.Tensor) -> float:
    """Fréchet distance of two sets of features, taken as Gaussians (Heusel et al. 2017, eq. 6)."""
    a, b = a.double(), b.double()
    root = _root(torch.cov(a.T))
    cross = _root(root @ torch.cov(b.T) @ root)
    spread = torch.cov(a.T).trace() + torch.cov(b.T).trace() - 2 * cross.trace()
    return float((a.mean(0) - b.mean(0)).square().sum() + spread)


def _root(matrix: torch.Tensor) -> torch.Tensor:
    """Square root of a symmetric matrix without negative eigenvalues."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def _mirrored(normals: torch.Tensor) -> torch.Tensor:
    """Normals of the mirrored head."""
    flipped = normals.flip(3)
    return torch.cat([1 - flipped[:, :1], flipped[:, 1:]], 1)


def _with_one(features: torch.Tensor) -> torch.Tensor:
    return torch.cat([features, features.new_ones(len(features), 1)], 1)
