"""From photo and fitted head to the materials of all parts."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from ..colour import luma
from ..expressions import EXPRESSIONS
from ..ramp import smoothstep
from ..structures import HairFit, HeadAppearance, HeadFit, HeadGeometry, Identity, Material
from ..template.hair import HairTemplate, scalp_coverage
from ..template.head_template import HeadTemplate
from .completion import (
    complete_skin,
    mirrored_trust,
    paint_mouth,
    paint_scalp,
    plausible_skin,
)
from .delight import reference_texels, remove_light
from .expression_removal import soften_folds
from .eyes import EyePainter
from .face_regions import FaceRegions
from .glasses import without_glasses
from .hair_texture import hair_material
from .lashes import photographed_lashes
from .photo_projection import bearded, project_photo, skin_darkness
from .uv_atlas import UVAtlas

LIP_ROUGHNESS, SKIN_ROUGHNESS, EYE_ROUGHNESS = 0.42, 0.58, 0.12


class AppearanceBuilder:
    """Makes the materials of a head; holds the texture space of the template."""

    def __init__(self, template: HeadTemplate, hair_template: HairTemplate, size: int):
        self.template, self.hair_template = template, hair_template
        self.atlas = UVAtlas(template, size)
        self.regions = FaceRegions(template, self.atlas)
        self.eyes = EyePainter(template)

    def __call__(
        self, identity: Identity, fit: HeadFit, geometry: HeadGeometry, hair: HairFit
    ) -> HeadAppearance:
        """Materials of ``geometry``'s parts; arguments as ``project``."""
        return self.project(identity, fit, geometry, hair)[0]

    def darkness(self, appearance: HeadAppearance) -> float:
        """Of a head's skin, see ``StockLook.skin``."""
        skin = appearance.materials["skin"].albedo
        return skin_darkness(skin, self.regions.skin_reference)

    def project(
        self, identity: Identity, fit: HeadFit, geometry: HeadGeometry, hair: HairFit
    ) -> tuple[HeadAppearance, np.ndarray]:
        """Materials, and how far the photo shows each texel of the skin, ``[S, S]`` in [0, 1].

        A texel whose mirror image is seen counts as seen.

        Args:
            identity: photo, parsing, age and gender.
            fit: of the same photo.
            geometry: built from ``fit`` and ``hair``.
            hair: measured in the same photo.
        """
        with ThreadPoolExecutor(1) as beside:  # hair and skin do not depend on each other
            painting = None
            if geometry.part("hair") is not None:
                painting = beside.submit(hair_material, self.hair_template, hair, identity, fit)
            identity = without_glasses(identity)
            photo = project_photo(identity, fit, self.atlas, self.regions)
            albedo = remove_light(photo, self.regions)
            reference = reference_texels(photo.weight, self.regions)
            tone = skin_darkness(albedo, reference)
            stock = self.template.stock_skin(identity.age, identity.gender, tone)
            beard = bearded(identity.gender)
            weight = photo.weight * plausible_skin(albedo, photo.weight, self.regions, beard)
            skin = complete_skin(albedo, weight, self._fitted(stock), self.regions)
            skin = soften_folds(skin, self.template.action_names, fit.actions, self.regions)
            skin = paint_mouth(skin, self.regions)
            gain = _median_ratio(albedo, photo.colour, reference)
            materials = self._bound_materials(identity, fit, geometry, gain)
            if painting is not None:
                coverage = scalp_coverage(self.hair_template, hair, fit.neutral)
                skin = paint_scalp(skin, coverage, hair.colour, self.regions, photo)
                materials["hair"] = painting.result()
        lips = smoothstep(0.2, 0.8, self.regions.lips)
        roughness = SKIN_ROUGHNESS + (LIP_ROUGHNESS - SKIN_ROUGHNESS) * lips
        materials["skin"] = Material(skin.astype(np.float32), roughness=roughness)
        seen = np.clip(weight + mirrored_trust(weight, self.atlas), 0, 1)
        return HeadAppearance(materials), seen.astype(np.float32)

    def refinable(self) -> np.ndarray:
        """Where the identity refinement may change the skin, float32 ``[S, S]`` in [0, 1].

        The face below the brows' upper edge: on a forehead it would paint a fringe.
        """
        return self.regions.face.astype(np.float32)

    def _fitted(self, texture: np.ndarray) -> np.ndarray:
        """A stock texture at the atlas's size."""
        size = (self.atlas.size, self.atlas.size)
        return cv2.resize(texture, size, interpolation=cv2.INTER_AREA)

    def _bound_materials(self, identity, fit, geometry, gain) -> dict[str, Material]:
        """Eyes (from the photo), teeth, tongue and lashes."""
        materials = self.template.stock_materials(
            [part.name for part in geometry.parts if part.name not in ("skin", "hair")]
        )
        still = np.zeros((len(EXPRESSIONS), *fit.vertices.shape), np.float32)
        posed = {part.name: part for part in self.template.parts(fit.vertices, still)}
        eyes = self.eyes(identity, fit, posed["skin"], gain)
        materials["eyes"] = Material(eyes, roughness=EYE_ROUGHNESS)
        materials["lashes"] = photographed_lashes(materials["lashes"], identity.gender)
        return materials


def _median_ratio(a: np.ndarray, b: np.ndarray, chosen: np.ndarray) -> float:
    """Ratio of median luminances of two textures on the chosen texels."""
    return float(np.median(luma(a)[chosen]) / max(np.median(luma(b)[chosen]), 1e-4))
