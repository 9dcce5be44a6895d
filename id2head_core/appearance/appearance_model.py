"""Everything that the appearance stage learns, and how it changes the textures."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import nn

from ..structures import HeadAppearance
from .albedo_transformer import AlbedoTransformer
from .gain_maps import SKIN_LEVELS, HairGain, SkinGain, as_texture

TONE_SIZE = SKIN_LEVELS[-1][0]
"""Side of the map that tells where the skin's mean gain is taken, pixels."""


@dataclass(frozen=True)
class GainMaps:
    """Log gains on linear albedo.

    Attributes:
        skin: of the head, ``[3, 64, 64]``; acts where the photo did not see the skin.
        hair: ``[3, 16, 24]``.
        expressions: that the expressions add to the skin, ``[13, 3, 16, 16]``.
    """

    skin: torch.Tensor
    hair: torch.Tensor
    expressions: torch.Tensor

    def of_expression(self, index: int | None) -> torch.Tensor:
        """What an expression adds to the skin, ``[3, 16, 16]``; None = neutral: nothing."""
        return torch.zeros_like(self.expressions[0]) if index is None else self.expressions[index]


class AppearanceModel(nn.Module):
    """theta_a = {k_a, Psi_a} and the head's own maps; starts at gain 1 everywhere.

    Args:
        free_colour: whether the colour of the whole skin may change (pure mode).
        generator: of the initial codes.
        allowed: ``[S, S]`` in [0, 1], where the head's own gain acts. The skin's tone is the
            photo's: there the gains have zero mean. None = everywhere, any mean.
        hair: share of the hair in each cell of its map where the hair as a whole keeps its colour
            (``hair_area``); None = any colour.
    """

    def __init__(
        self,
        free_colour: bool,
        generator: torch.Generator,
        allowed: np.ndarray | None = None,
        hair: np.ndarray | None = None,
    ):
        super().__init__()
        self._tone = None
        if allowed is not None:
            small = cv2.resize(np.float32(allowed), (TONE_SIZE, TONE_SIZE))
            self._tone = torch.from_numpy(small / max(float(small.sum()), 1e-6))
        self.transformer = AlbedoTransformer(generator)
        self.skin, self.hair = SkinGain(free_colour), HairGain(hair)

    def forward(self, progress: float = 1.0) -> GainMaps:
        """Maps; finer levels join with the progress in [0, 1] of the fit."""
        codes = self.transformer()  # [14, 3, 16, 16]
        skin = self.skin(codes[0], progress)
        if self._tone is not None:
            skin = skin - (skin * self._tone).sum((1, 2), keepdim=True)
        return GainMaps(skin, self.hair(progress), codes[1:])


def allowed_texels(seen: np.ndarray) -> np.ndarray:
    """Where the head's own gain may act, float32 ``[S, S]``: 1 unseen, 0 where ``seen`` >= 0.5.

    The change sets in smoothly outside the seen skin, or its edge would show.
    """
    blurred = cv2.GaussianBlur(np.float32(seen), (0, 0), max(1.0, 0.02 * len(seen)))
    return 1 - np.clip(2 * np.maximum(seen, blurred), 0, 1).astype(np.float32)


def with_gains(
    appearance: HeadAppearance, maps: GainMaps, allowed: np.ndarray | None
) -> HeadAppearance:
    """The materials with neutral's albedo; alpha and roughness stay.

    Args:
        appearance: where the fit started.
        maps: of the model.
        allowed: of ``allowed_texels``, or None = everywhere.
    """
    materials = dict(appearance.materials)
    changes = {"skin": (maps.skin, allowed), "hair": (maps.hair, None)}
    for name, (log_gain, where) in changes.items():
        if name not in materials:
            continue
        albedo = materials[name].albedo
        side = max(albedo.shape[:2])
        gain = as_texture(log_gain.detach(), side, wrap=name == "hair").numpy()
        if albedo.shape[0] != albedo.shape[1]:
            gain = cv2.resize(gain, albedo.shape[1::-1])
        if where is not None:
            gain = gain * cv2.resize(where, albedo.shape[1::-1])[..., None]
        changed = np.clip(albedo * np.exp(gain), 0, 1).astype(np.float32)
        materials[name] = replace(materials[name], albedo=changed)
    return HeadAppearance(materials)
