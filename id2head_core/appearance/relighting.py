"""Light while the albedo is optimised: a new one at every step, so that none bakes in."""

import numpy as np
import torch

from ..render.shading import LUMINANCE, irradiance_coefficients
from ..render.textured_mesh import sample_map
from .spherical_harmonics import random_light, sh_basis

GAMMA = 2.2
"""Encoding of albedo in prior images, as ``guidance/prior_image.py`` writes them."""

DARKEST = 0.08
"""Least shading: a strong degree-2 light is negative on the far side."""


def encoded(linear: torch.Tensor) -> torch.Tensor:
    """Linear albedo in [0, 1] as a prior image has it; finite slope at black."""
    return linear.clamp(1e-4, 1) ** (1 / GAMMA)


def unit_light(light: np.ndarray) -> torch.Tensor:
    """Irradiance coefficients over pi, float32 ``[9, 3]``, scaled to unit mean luminance.

    Args:
        light: ``sh_coefficients [9, 3]`` of radiance. The mean over all normals is the first
            coefficient's; dividing by it keeps the exposure of the albedo.
    """
    mean = float(light[0] @ LUMINANCE) * 0.28209479
    return torch.from_numpy(irradiance_coefficients(light / max(mean, 1e-3)).astype(np.float32))


def random_unit_light(generator: torch.Generator) -> torch.Tensor:
    """A plausible light with unit mean, ``[9, 3]``, see ``unit_light``."""
    seed = int(torch.randint(2**31, (1,), generator=generator))
    return unit_light(random_light(np.random.default_rng(seed)))


def relit(image: torch.Tensor, basis: torch.Tensor, irradiance: torch.Tensor) -> torch.Tensor:
    """An albedo image under a light.

    Args:
        image: as in prior images, ``[3, S, S]`` in [0, 1].
        basis: ``sh_basis`` of the normals ``[9, S, S]``; all 0 keeps the pixel (background).
        irradiance: of ``unit_light``, ``[9, 3]``.

    Returns:
        ``[3, S, S]``, same encoding.
    """
    shading = torch.einsum("kij,kc->cij", basis, irradiance).clamp(min=DARKEST)
    shading = torch.where(basis[:1] != 0, shading, 1.0)
    return encoded(image.clamp(0, 1) ** GAMMA * shading)


class LightLeak:
    """How much of a map could as well be light: the part that degree-2 shading explains.

    A map that varies like this for a reason (dark roots, light ends) is held back as well.

    Args:
        uv: texture coordinates of points of the visible surface, ``[P, 2]``; on hidden ones the map
            could make up for light on the others.
        normals: unit, there, ``[P, 3]``.
        weight: ``[P]``, how far the map acts there.
        wrap: whether the texture's u is a circle.
    """

    def __init__(
        self,
        uv: torch.Tensor,
        normals: torch.Tensor,
        weight: torch.Tensor | None = None,
        wrap: bool = False,
    ):
        weight = torch.ones(len(uv)) if weight is None else weight
        weight = weight / weight.sum().clamp(min=1e-6)
        lobes = sh_basis(normals)[:, 1:]  # [P, 8]
        lobes = (lobes - weight @ lobes) * weight.sqrt()[:, None]
        values, vectors = torch.linalg.eigh((lobes.T @ lobes).double())
        kept = values > 1e-4 * values.max().clamp(min=1e-12)
        self._basis = (lobes.double() @ (vectors[:, kept] / values[kept].sqrt())).float()
        self._uv, self._weight = uv, weight
        self._wrap = wrap

    def __call__(self, log_gain: torch.Tensor) -> torch.Tensor:
        """Variance of a map ``[3, H, W]`` that a coloured light could have caused.

        Every channel counts: held to its luminance, the map would hide the light in its hue.
        """
        return self.shares(log_gain)[0]

    def shares(self, log_gain: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """That variance, and the whole variance of the map; means over the channels."""
        values = sample_map(log_gain, self._uv, self._wrap)  # [P, 3]
        values = (values - self._weight @ values) * self._weight.sqrt()[:, None]
        explained = (self._basis.T @ values).square().sum() / 3
        return explained, values.square().sum() / 3
