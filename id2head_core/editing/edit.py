"""A text edit: what the wish changes at once, then score distillation of only the difference.

The edited head starts from the finished one (warm start). What a wish names is changed directly as
far as the template knows it (shape axes, hair styles, colours), which is the first visible result;
score distillation then fits hair and unseen skin to the new prompt, contrasted with the old one
(``Guidance.against``). Everything else is held.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..appearance.albedo import AppearanceBuilder
from ..appearance.fit import AppearanceFitConfig, fit_appearance
from ..appearance.hair_texture import cut_out
from ..distillation import appearance_progress, geometry_progress
from ..errors import EditError
from ..geometry.fit import GeometryFitConfig, Held, fit_geometry
from ..guidance.inputs import Guidance
from ..prompts import Looks, colour_name, describe, gender_word, hair_colour, skin_word
from ..structures import HeadAppearance, HeadGeometry, Material, Progress
from ..template.hair import BALD, HairTemplate
from ..template.head_template import HeadTemplate
from . import hair_start, shape_start, skin_start
from .head_state import HeadState
from .wish_list import Wish

TARGETS = ("both", "geometry", "texture")

GEOMETRY_KINDS, TEXTURE_KINDS = (
    {"style", "age", "gender", "face", "beard"},
    {"colour", "style", "age", "gender", "beard", "eyes", "freckles", "skin"},
)
"""Kinds of wishes that change each half."""

STEPS = {"geometry": 60, "appearance": 30}

HAIR_HELD = 0.7
"""How far the new style's thickness is held: distillation only fits it to the head."""

HAIR_LEAST = 0.8
"""Share of the new style's thickness that score distillation must leave."""

GREYING = 0.6
"""Share of the strands that turn grey on an older head."""

IDENTITY_STEPS = {"age": 8, "gender": 8, "face": 8, "beard": 8, "style": 6}
"""Steps of the ArcFace refinement after wishes that change the face, or how much of it is seen.

Measured on 15 edits by a recogniser that takes no part: 8 steps give back 0.04 to 0.11 of the 0.05
to 0.25 that age and gender cost; 16 give no more."""

YEARS = {"baby": 1.0, "child": 8.0}
"""Age in years that a head has after a wish; older and younger count from its own."""


@dataclass(frozen=True)
class Started:
    """A head after the direct changes.

    Attributes:
        state: the head.
        prompt: of the edited head.
        against: of the head before.
        new_hair: whether the hair has another shape.
        repaint: whether score distillation has something to do on hair or unseen skin.
        identity_steps: of the ArcFace refinement of the skin; 0 where the face stays as it is.
    """

    state: HeadState
    prompt: str
    against: str
    new_hair: bool
    repaint: bool
    identity_steps: int


class HeadEditor:
    """Applies wishes to heads.

    Args:
        template: the head template.
        hair_template: the hair template.
        builder: of materials, for the texture space.
    """

    def __init__(
        self, template: HeadTemplate, hair_template: HairTemplate, builder: AppearanceBuilder
    ):
        self.template, self.hair_template, self.builder = template, hair_template, builder
        self._proxy = hair_template.proxy_vertices(template.mean)

    def start(
        self, state: HeadState, wishes: tuple[Wish, ...], text: str, target: str, strength: float
    ) -> Started:
        """Change at once what the wishes name.

        Args:
            state: the finished head.
            wishes: read from ``text``.
            text: remembered with the head.
            target: of ``TARGETS``: which half may change.
            strength: 1 is the usual strength; in [0.1, 2].

        Raises:
            EditError: target or strength are out of range, or nothing of the wish is in the half.
        """
        self._check(wishes, target, strength)
        before, kinds = self.looks(state), {wish.kind for wish in wishes}
        shape, texture = target in ("both", "geometry"), target in ("both", "texture")
        after, new_hair, hair = state, False, state.hair
        if shape:
            change = shape_start.shape_change(self.template, state, wishes, strength)
            if change is not None:
                after = shape_start.reshaped(self.template, after, change)
            hair, new_hair = self._hair(state, wishes)
        colour = next((wish.value for wish in wishes if wish.kind == "colour"), None)
        if colour is not None and hair is not None and texture:
            hair = replace(hair, colour=hair_colour(colour))
        if texture:
            after = self._textured(after, state, wishes, hair, strength, colour, new_hair)
        elif new_hair:
            after = self._covered(after, hair)
        after = replace(after, hair=hair, edits=(*state.edits, text))
        if new_hair:
            after = self._cut_out(after)
        after = self._remembered(after, state, wishes)
        repaint = texture and bool(kinds & {"colour", "style", "age", "gender"})
        identity_steps = max(IDENTITY_STEPS.get(kind, 0) for kind in kinds) if texture else 0
        return Started(
            after, describe(self.looks(after)), describe(before), new_hair, repaint, identity_steps
        )

    def looks(self, state: HeadState) -> Looks:
        """What a prompt can say of a head."""
        style = hair_start.current_style(self.hair_template, state, self._proxy)
        colour = "" if style == "bald" else colour_name(state.hair.colour, dyes=True)
        return Looks(
            state.age, gender_word(state.gender), style, colour, beard=state.beard,
            skin=skin_word(state.darkness),
        )  # fmt: skip

    def geometry(
        self, started: Started, guidance: Guidance, generator: torch.Generator, left: Callable
    ) -> Generator[Progress, None, HeadState]:
        """Fit the new hair to the head by score distillation; the skin is held."""
        state = started.state
        held = Held(
            np.ones(len(state.fit.neutral), np.float32),
            np.maximum(self._ears(), HAIR_HELD),
            HAIR_LEAST,
        )  # fmt: skip
        config = GeometryFitConfig(steps=STEPS["geometry"])
        steps = fit_geometry(
            self.template, self.hair_template, state.fit, state.hair, guidance, evidence=None,
            expression_state=state.expression_state, held=held, config=config,
            generator=generator,
        )  # fmt: skip
        result = yield from geometry_progress(steps, "Shaping the hair", left)
        return self._cut_out(replace(state, hair=result.hair))

    def appearance(
        self,
        started: Started,
        geometry: HeadGeometry,
        guidance: Guidance,
        generator: torch.Generator,
        left: Callable,
    ) -> Generator[Progress, None, HeadAppearance]:
        """Fit hair and unseen skin to the new prompt; colours that were named are kept."""
        state = started.state
        config = AppearanceFitConfig(steps=STEPS["appearance"], guidance_scale=3.0)
        seen = state.seen
        if seen is None:
            seen = np.ones((self.builder.atlas.size,) * 2, np.float32)
        steps = fit_appearance(
            self.template, geometry, state.appearance, guidance,
            seen=seen, neutral=state.fit.neutral, config=config, generator=generator,
        )  # fmt: skip
        painted = yield from appearance_progress(steps, "Painting hair and skin", left)
        return painted or state.appearance

    def _hair(self, state: HeadState, wishes: tuple[Wish, ...]):
        """Hair after the wishes, and whether its shape is another."""
        style = hair_start.wanted_style(self.hair_template, state, wishes, self._proxy)
        hair, changed = state.hair, style is not None
        if changed:
            hair = hair_start.restyled(self.hair_template, hair, style)
        if Wish("age", "baby") in wishes and hair is not None and hair.style != BALD:
            hair, changed = hair_start.baby_hair(hair), True
        return hair, changed

    def _textured(self, after, state, wishes, hair, strength, colour, new_hair: bool) -> HeadState:
        """All materials after the wishes."""
        skin = skin_start.changed_skin(self.builder, state, wishes, strength)
        if hair is not None and (new_hair or colour is not None):
            skin = skin_start.repainted_scalp(
                self.builder, self.hair_template, replace(after, hair=state.hair), skin, hair
            )
        own = after.appearance.materials["skin"]
        changed: dict[str, Material] = {"skin": replace(own, albedo=np.clip(skin, 0, 1))}
        eyes = next((wish.value for wish in wishes if wish.kind == "eyes"), None)
        if eyes is not None:
            changed["eyes"] = skin_start.changed_eyes(self.builder, state, eyes)
        strands = state.appearance.materials.get("hair")
        has_hair = hair is not None and hair.style != BALD
        if colour is not None and has_hair:
            changed["hair"] = hair_start.recoloured(strands, colour)
        elif has_hair and strands is not None and Wish("age", "older") in wishes:
            changed["hair"] = hair_start.greyed(strands, min(1.0, GREYING * strength))
        elif has_hair and strands is None:
            changed["hair"] = Material(hair_start.strand_texture(512, tuple(hair.colour)),
                                       roughness=hair_start.HAIR_ROUGHNESS)  # fmt: skip
        return after.with_materials(**changed)

    def _covered(self, after: HeadState, hair) -> HeadState:
        """A new hair mesh needs a material even where only the geometry may change."""
        if hair is None or hair.style == BALD or "hair" in after.appearance.materials:
            return after
        albedo = hair_start.strand_texture(512, tuple(hair.colour))
        return after.with_materials(hair=Material(albedo, roughness=hair_start.HAIR_ROUGHNESS))

    def _cut_out(self, after: HeadState) -> HeadState:
        """Strands end at the outline of the hair as it is now; elsewhere there would be holes."""
        material = after.appearance.materials.get("hair")
        if after.hair is None or after.hair.style == BALD or material is None:
            return after
        size = len(material.albedo)
        alpha = cut_out(self.hair_template, after.hair, after.fit, size)
        return after.with_materials(hair=replace(material, alpha=alpha))

    def _remembered(self, after: HeadState, state: HeadState, wishes) -> HeadState:
        """Age, gender, tone and beard that the next edit starts from."""
        age, gender, darkness, beard = state.age, state.gender, state.darkness, state.beard
        for wish in wishes:
            if wish in skin_start.BEARDLESS:
                beard = ""
            if wish.kind == "age":
                step = {"older": 30.0, "younger": -12.0}.get(wish.value)
                age = YEARS[wish.value] if step is None else max(18.0, age + step)
            elif wish.kind == "gender":
                gender = float(wish.value == "woman")
            elif wish.kind == "beard":
                beard = wish.value
            elif wish.kind == "skin":
                darkness += 0.14 if wish.value == "dark" else -0.12
        return replace(
            after, age=float(min(age, 90.0)), gender=gender, beard=beard,
            darkness=float(np.clip(darkness, 0.1, 0.9)),
        )  # fmt: skip

    def _ears(self) -> np.ndarray:
        """Rays around the ears, whose hair stays, ``[P]``."""
        ears = self.hair_template.image((self.hair_template.ear_height > 0).astype(np.float32))
        return np.clip(2 * self.hair_template.blur(ears, 1.0), 0, 1).ravel().astype(np.float32)

    @staticmethod
    def _check(wishes: tuple[Wish, ...], target: str, strength: float) -> None:
        if target not in TARGETS:
            raise EditError(f"The target '{target}' is unknown. Use one of {', '.join(TARGETS)}.")
        if not 0.1 <= strength <= 2:
            raise EditError(f"The strength is {strength}. Use a number from 0.1 to 2.")
        kinds = {wish.kind for wish in wishes}
        halves = {"geometry": GEOMETRY_KINDS, "texture": TEXTURE_KINDS}
        if target in halves and not kinds & halves[target]:
            other = "texture" if target == "geometry" else "geometry"
            raise EditError(
                f"This wish changes nothing of the {target}. Choose {other} or both as the target."
            )
