"""Training subjects of the prior: heads with a skin, hair, an embedding and words for them.

Three kinds (DESIGN D6). *Painted*: a sampled head with a stock skin, a template hair style, eyes,
brows and perhaps a beard painted on. *Photoreal*: a generated person with their own fitted hair.
*Recombined*: a photoreal person with a template hair style in another colour, which separates what
the text says from who it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from ..appearance.face_regions import FaceRegions
from ..appearance.photo_projection import skin_darkness
from ..appearance.uv_atlas import UVAtlas
from ..editing.skin_start import bearded
from ..expressions import FOLD_WEIGHTS
from ..prompts import (
    DYES,
    HAIR_COLOURS,
    Looks,
    colour_name,
    gender_word,
    hair_colour,
    skin_word,
    style_word,
)
from ..structures import HairFit, HeadAppearance, HeadGeometry, Material
from ..template.hair import BALD, HairTemplate, hair_part, scalp_coverage
from ..template.head_template import HeadTemplate
from .drawn_locks import lock_shade, with_locks

KINDS = ("painted", "photoreal", "recombined")

TEXTURE_SIZE, HAIR_TEXTURE_SIZE = 384, 256
"""Sides of skin and hair textures, pixels."""

STYLE_SHARES = {
    "man": {"short": 0.42, "buzzcut": 0.16, "bald": 0.14, "afro": 0.08, "bob": 0.06, "long": 0.08,
            "ponytail": 0.04, "braid": 0.02},
    "woman": {"long": 0.27, "bob": 0.25, "short": 0.12, "ponytail": 0.11, "braid": 0.09,
              "afro": 0.08, "buzzcut": 0.04, "bald": 0.04},
}  # fmt: skip
"""How often each style is drawn."""

COLOUR_SHARES = (0.14, 0.11, 0.13, 0.09, 0.13, 0.06, 0.09, 0.06, 0.04, 0.06, 0.03, 0.04, 0.02)
"""How often each of ``HAIR_COLOURS`` is drawn, in that order."""

SMOOTH_SHARE = 0.15
"""How often hair is combed smooth."""

FOLDS_BY_AGE = ((0, 10, 25, 45, 65), (0.1, 0.25, 0.5, 0.8, 1.0))
"""Years, and how deep the skin's folds are on average."""

ANCESTRY_DARKNESS = {"european": (0.18, 0.34), "asian": (0.24, 0.42), "african": (0.48, 0.74)}
"""Range of the skin's darkness by ancestry (see ``StockLook.skin``)."""


@dataclass(frozen=True)
class Subject:
    """One head to draw.

    Attributes:
        kind: of ``KINDS``.
        looks: what a prompt can name.
        neutral: template vertices float32 ``[N, 3]``, metres.
        geometry: skin, eyes, teeth, tongue, perhaps brows and hair, without expressions.
        appearance: materials.
        hair: the shell.
        folds: strengths ``[7]`` of the folds that an expression makes.
        embedding: ArcFace ``[512]``, or None until the head was drawn and recognised.
    """

    kind: str
    looks: Looks
    neutral: np.ndarray
    geometry: HeadGeometry
    appearance: HeadAppearance
    hair: HairFit
    folds: np.ndarray
    embedding: np.ndarray | None


class SubjectMaker:
    """Builds subjects; deterministic for a seed and a folder of people.

    Args:
        template: the head template.
        hair_template: the hair template.
        people: files of ``photoreal_people``, sorted.
    """

    def __init__(self, template: HeadTemplate, hair_template: HairTemplate, people: list[Path]):
        self.template, self.hair_template, self.people = template, hair_template, people
        atlas = UVAtlas(template, TEXTURE_SIZE)
        self.regions = FaceRegions(template, atlas)
        self.atlas = atlas
        self._proxy = hair_template.proxy_vertices(template.mean)

    def painted(self, generator: np.random.Generator) -> Subject:
        """A head that is drawn from the template alone."""
        gender = str(generator.choice(["man", "woman"]))
        age = float(generator.choice([generator.uniform(18, 75), generator.uniform(1, 17)],
                                     p=[0.9, 0.1]))  # fmt: skip
        ancestry = str(generator.choice(list(ANCESTRY_DARKNESS)))
        identity = generator.normal(size=len(self.template.identity_basis)) * 0.85
        shape = self._shape_of(gender, age)
        neutral = self.template.neutral(identity, shape)
        darkness = generator.uniform(*ANCESTRY_DARKNESS[ancestry])
        skin = self.template.stock_skin(age, float(gender == "woman"), darkness)
        skin = cv2.resize(skin, (TEXTURE_SIZE,) * 2, interpolation=cv2.INTER_AREA)
        skin = skin * np.exp(generator.normal(0, 0.05, 3)).astype(np.float32)
        eyes = self.template.eye_material(str(generator.choice(self.template.look.eye_colours)))
        hair, looks = self._drawn_hair(gender, age, generator)
        beard = ""
        if gender == "man" and age > 20:
            beard = str(generator.choice(["", "stubble", "beard", "moustache"],
                                         p=[0.5, 0.2, 0.22, 0.08]))  # fmt: skip
        if beard:
            skin = bearded(self.regions, skin, beard, 0.8 * np.minimum(hair.colour, 0.4))
        looks = replace(looks, age=age, gender=gender, ancestry=ancestry, beard=beard,
                        skin=skin_word(darkness))  # fmt: skip
        brows = _shade_of(hair.colour, looks.colour)
        return self._subject("painted", looks, neutral, skin, eyes, hair, brows, None, generator)

    def photoreal(self, number: int, generator: np.random.Generator) -> Subject:
        """Person ``number`` with their own hair."""
        with np.load(self.people[number]) as person:
            thickness = self._combed(person["thickness"].astype(np.float32), generator)
            hair = HairFit(str(person["style"]), thickness, person["hair_colour"])
            texture = None
            if "hair" in person:
                texture = Material(_decoded(person["hair"]))
            return self._of_person("photoreal", person, hair, texture, None, generator)

    def recombined(self, number: int, generator: np.random.Generator) -> Subject:
        """Person ``number`` with drawn hair."""
        with np.load(self.people[number]) as person:
            gender = gender_word(float(person["gender"]))
            drawn, looks = self._drawn_hair(gender, float(person["age"]), generator)
            return self._of_person("recombined", person, drawn, None, looks, generator)

    def _of_person(self, kind, person, hair, texture, looks, generator) -> Subject:
        """A subject with the skin, shape and embedding of a person."""
        if looks is None:
            word = style_word(hair.thickness, self._proxy, hair.style)
            looks = Looks(style=word, colour="" if word == "bald" else colour_name(hair.colour))
        gender = gender_word(float(person["gender"]))
        neutral = person["neutral"].astype(np.float32)
        skin = _decoded(person["skin"])
        tone = skin_word(skin_darkness(skin, self.regions.skin_reference))
        looks = replace(looks, age=float(person["age"]), gender=gender, skin=tone)
        if kind == "recombined":
            thickness = person["thickness"].astype(np.float32)
            own = HairFit(str(person["style"]), thickness, self._bare_colour(skin))
            skin = self._scalp(self._scalp(skin, own, neutral, 1.0), hair, neutral)
        eyes = Material(_decoded(person["eyes"]))
        embedding = person["embedding"].astype(np.float32)
        subject = self._subject(kind, looks, neutral, skin, eyes, hair, None, texture, generator)
        return replace(subject, embedding=embedding)

    def _subject(
        self, kind, looks, neutral, skin, eyes, hair, brows, texture, generator
    ) -> Subject:
        """Assemble parts and materials; ``brows`` is their colour, or None where skin has them."""
        none = np.zeros((1, *neutral.shape), np.float32)
        parts = [p for p in self.template.parts(neutral, none) if p.name != "lashes"]
        materials = {"skin": Material(skin), "eyes": eyes,
                     **self.template.stock_materials(("teeth", "tongue"))}  # fmt: skip
        if brows is not None:
            parts.append(self.template.brows(neutral, none))
            look = self.template.stock_materials(("brows",))["brows"]
            albedo = np.broadcast_to(brows, look.albedo.shape).astype(np.float32)
            materials["brows"] = replace(look, albedo=albedo)
        shell = hair_part(self.hair_template, hair, neutral)
        if shell is not None:
            parts.append(shell)
            look = texture or Material(strand_texture(hair.colour, generator))
            shade = lock_shade(self.hair_template, hair.thickness, len(look.albedo))
            materials["hair"] = Material(np.minimum(look.albedo * shade, 1))
            if brows is not None:
                materials["skin"] = Material(self._scalp(skin, hair, neutral))
        return Subject(kind, looks, neutral, HeadGeometry(tuple(parts)), HeadAppearance(materials),
                       hair, drawn_folds(looks.age, generator), None)  # fmt: skip

    def _drawn_hair(self, gender, age, generator) -> tuple[HairFit, Looks]:
        """A template style, perhaps longer, shorter, thinner or cropped."""
        shares = STYLE_SHARES.get(gender, STYLE_SHARES["woman"])
        word = str(generator.choice(list(shares), p=list(shares.values())))
        names = list(HAIR_COLOURS)
        colour = str(generator.choice(names, p=COLOUR_SHARES))
        if age > 58 and colour not in DYES and generator.random() < 0.6:
            colour = str(generator.choice(["grey", "white"]))
        linear = hair_colour(colour) * np.exp(generator.normal(0, 0.12))
        linear = linear * np.exp(generator.normal(0, 0.04, 3))
        colour_array = np.clip(linear, 0.004, 0.95).astype(np.float32)
        if word == "bald":
            bald = HairFit(BALD, np.full(len(self._proxy), -0.01, np.float32), colour_array)
            return bald, Looks(style="bald")
        start = "short" if word == "buzzcut" else word
        options = [i for i, n in enumerate(self.hair_template.styles) if n.startswith(start)]
        index = int(generator.choice(options))
        thickness = self.hair_template.thickness[index].copy()
        has = thickness > 0
        if word == "buzzcut":
            thickness[has] = np.minimum(thickness[has], generator.uniform(0.0025, 0.0045))
        else:
            thickness[has] *= generator.uniform(0.75, 1.45)
            thickness = self._combed(thickness, generator)
        style = self.hair_template.styles[index]
        return HairFit(style, thickness, colour_array), Looks(style=word, colour=colour)

    def _combed(self, thickness: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Most hair falls into locks, some is combed smooth; nothing else is drawn differently."""
        own = generator.spawn(1)[0]
        if own.random() < SMOOTH_SHARE:
            return thickness
        return with_locks(self.hair_template, thickness, own)

    def _bare_colour(self, skin: np.ndarray) -> np.ndarray:
        """Median colour of the face ``[3]``."""
        return np.median(skin[self.regions.face > 0.5], axis=0).astype(np.float32)

    def _scalp(self, skin, hair, neutral, strength: float = 0.8) -> np.ndarray:
        """Paint the skin below hair in the hair's colour, so that no bald scalp shows through."""
        coverage = scalp_coverage(self.hair_template, hair, neutral)
        cover = self.atlas.image(coverage)[..., None] * strength
        return (skin * (1 - cover) + hair.colour * cover).astype(np.float32)

    def _shape_of(self, gender: str, age: float) -> np.ndarray:
        """What gender and age do to the mean shape, ``[N, 3]``, metres."""
        by_gender, by_age = self._effects
        female = {"man": 0.0, "woman": 1.0}.get(gender, 0.5)
        return (female - 0.5) * by_gender + np.clip((age - 35) / 20, -1.7, 2) * by_age

    @cached_property
    def _effects(self) -> tuple[np.ndarray, np.ndarray]:
        """Shape differences of gender (0 to 1) and of 20 years, by regression over the people."""
        zero = np.zeros_like(self.template.mean)
        if len(self.people) < 100:
            return zero, zero
        rows, shapes = [], []
        for path in self.people[:600]:
            with np.load(path) as person:
                rows.append([1.0, float(person["gender"]), (float(person["age"]) - 35) / 20])
                shapes.append(person["neutral"].astype(np.float32).ravel())
        solution = np.linalg.lstsq(np.array(rows, np.float32), np.stack(shapes), rcond=None)[0]
        return solution[1].reshape(zero.shape), solution[2].reshape(zero.shape)


def drawn_folds(age: float, generator: np.random.Generator) -> np.ndarray:
    """Strengths ``[7]`` for somebody of an age; people differ, and so do one person's folds."""
    person = np.exp(generator.normal(0, 0.2))
    own = np.exp(generator.normal(0, 0.15, len(FOLD_WEIGHTS)))
    return np.clip(np.interp(age, *FOLDS_BY_AGE) * person * own, 0, 1).astype(np.float32)


def strand_texture(colour: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Noise stretched along the strands around a linear RGB, ``[S, S, 3]``."""
    size = HAIR_TEXTURE_SIZE
    noise = generator.normal(size=(size // 12, size)).astype(np.float32)
    noise = cv2.resize(noise, (size, size), interpolation=cv2.INTER_LINEAR)
    noise = cv2.GaussianBlur(noise, (0, 0), 0.8)
    slow = cv2.resize(generator.normal(size=(5, 9)).astype(np.float32), (size, size),
                      interpolation=cv2.INTER_CUBIC)  # fmt: skip
    gain = np.exp(generator.uniform(0.1, 0.35) * noise + 0.1 * slow)[..., None]
    return np.clip(np.asarray(colour, np.float32) * gain, 0, 1).astype(np.float32)


def subjects(
    maker: SubjectMaker, first: int, count: int, seed: int, people: Sequence[int] | None = None
) -> Iterator[tuple[int, Subject]]:
    """Subjects ``first ..`` of the sequence of a seed: kinds take turns while there are people.

    Args:
        maker: builds them.
        first: number of the first one.
        count: how many.
        seed: of the sequence.
        people: numbers of the people who take turns; all of the maker's if None.
    """
    people = range(len(maker.people)) if people is None else people
    for number in range(first, first + count):
        generator = np.random.default_rng((seed, number))
        kind = KINDS[number % 3] if people else "painted"
        if kind == "painted":
            yield number, maker.painted(generator)
        else:
            person = people[(number // 3) % len(people)]
            yield number, getattr(maker, kind)(person, generator)


def _shade_of(hair: np.ndarray, name: str) -> np.ndarray:
    """Colour of the brows that go with hair."""
    natural = hair_colour("brown") if name in DYES else np.minimum(hair, 0.25)
    return (natural * 0.6).astype(np.float32)


def _decoded(encoded: np.ndarray) -> np.ndarray:
    """JPEG bytes to linear RGB, float32."""
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB).astype(np.float32) / 255
    return np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )
