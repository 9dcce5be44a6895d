"""Training subjects who do not exist: generated faces, fitted by our own photo fit (DESIGN D6).

``python -m id2head_core.training.photoreal_people DATA OUT --count 1500`` with
``random_face/data`` of the unpacked PyPI wheel ``random-face`` 2021.7.21.1 (MobileStyleGAN); needs
``openvino`` 2026.4. Person ``i`` of a seed is always the same; finished ones are skipped, so the
command resumes, and ``--first`` lets several processes share the work.
"""

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..appearance.albedo import AppearanceBuilder
from ..colour import to_srgb
from ..config import full
from ..errors import ID2HeadError, OptionError
from ..identity.analyse import IdentityAnalyser
from ..structures import HeadGeometry, Photo
from ..template.fit import TemplateFitter
from ..template.hair import HairTemplate, hair_part
from ..template.hair_fit import fit_hair
from ..template.head_template import HeadTemplate

logger = logging.getLogger(__name__)

SAMPLES = 4096
"""Styles drawn per seed; their mean is the centre of the truncation."""

TRUNCATION = 0.85
"""Distance of a style from the mean style, relative to the drawn distance."""

PHOTO_SIZE = 640
"""Side of the pictures that are fitted, pixels; the generator makes 1024."""

TEXTURE = {"skin": 384, "eyes": 128, "hair": 256}
"""Side of the stored textures, pixels: the prior's images are far smaller."""

JPEG_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 92]


class FaceGenerator:
    """MobileStyleGAN through OpenVINO.

    Args:
        data: folder with ``MappingNetwork.xml`` and ``SynthesisNetwork.xml``.
        seed: of the sequence of people.
    """

    def __init__(self, data: Path, seed: int):
        import openvino

        core = openvino.Core()
        mapping = core.read_model(data / "MappingNetwork.xml")
        mapping.reshape({mapping.inputs[0]: [SAMPLES, 512]})
        codes = np.random.default_rng(seed).normal(size=(SAMPLES, 512)).astype(np.float32)
        self.styles = core.compile_model(mapping, "CPU")({0: codes})[0]  # [SAMPLES, 512]
        self.mean = self.styles.mean(0, keepdims=True)
        self._synthesis = core.compile_model(
            core.read_model(data / "SynthesisNetwork.xml"), "CPU", {"INFERENCE_NUM_THREADS": 1}
        )

    def __call__(self, number: int) -> np.ndarray:
        """The picture of person ``number``, uint8 ``[1024, 1024, 3]``.

        Raises:
            OptionError: a seed has no such person.
        """
        if not 0 <= number < SAMPLES:
            raise OptionError(
                f"Person {number} does not exist: a seed has the numbers 0 to {SAMPLES - 1}. "
                "Use another seed."
            )
        style = self.mean + TRUNCATION * (self.styles[number : number + 1] - self.mean)
        image = self._synthesis({0: style})[0][0].transpose(1, 2, 0)  # in [-1, 1]
        return ((image * 0.5 + 0.5).clip(0, 1) * 255).astype(np.uint8)


@dataclass(frozen=True)
class Fitter:
    """The stages of the pipeline that turn a picture into a training subject."""

    template: HeadTemplate
    hair_template: HairTemplate
    analyse: IdentityAnalyser
    fit: TemplateFitter
    appearance: AppearanceBuilder

    @classmethod
    def load(cls) -> "Fitter":
        """Everything at a texture size of 512."""
        template, hair = HeadTemplate.load(), HairTemplate.load()
        builder = AppearanceBuilder(template, hair, 512)
        return cls(template, hair, IdentityAnalyser(full()), TemplateFitter(template), builder)

    def __call__(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Arrays of one subject, as ``save_subject`` stores them.

        Raises:
            ID2HeadError: the face cannot be used.
        """
        identity = self.analyse(Photo(pixels), face_index=None)
        fit = self.fit(identity)
        hair = fit_hair(self.hair_template, identity, fit)
        still = np.zeros((13, *fit.neutral.shape), np.float32)
        parts = list(self.template.parts(fit.neutral, still))
        shell = hair_part(self.hair_template, hair, fit.neutral)
        geometry = HeadGeometry(tuple(parts if shell is None else [*parts, shell]))
        materials = self.appearance(identity, fit, geometry, hair).materials
        left, top, right, bottom = (round(float(x)) for x in identity.face.box)
        face = pixels[max(top, 0) : bottom, max(left, 0) : right]
        subject = {
            "neutral": fit.neutral.astype(np.float16),
            "skin": _jpeg(to_srgb(materials["skin"].albedo), TEXTURE["skin"]),
            "eyes": _jpeg(to_srgb(materials["eyes"].albedo), TEXTURE["eyes"]),
            "thickness": hair.thickness.astype(np.float16),
            "hair_colour": hair.colour.astype(np.float32),
            "style": np.array(hair.style),
            "embedding": identity.embedding.astype(np.float32),
            "age": np.float32(identity.age),
            "gender": np.float32(identity.gender),
            "yaw": np.float32(fit.yaw),
            "portrait": _jpeg(face / 255.0, 112),
        }
        if "hair" in materials:
            subject["hair"] = _jpeg(to_srgb(materials["hair"].albedo), TEXTURE["hair"])
            subject["hair_alpha"] = _jpeg(materials["hair"].alpha, TEXTURE["hair"])
        return subject


def _jpeg(image: np.ndarray, side: int) -> np.ndarray:
    """Encode an image in [0, 1] (RGB or grey), uint8 ``[bytes]``."""
    small = cv2.resize(np.asarray(image, np.float32), (side, side), interpolation=cv2.INTER_AREA)
    pixels = (np.clip(small, 0, 1) * 255 + 0.5).astype(np.uint8)
    return cv2.imencode(".jpg", pixels[..., ::-1] if pixels.ndim == 3 else pixels, JPEG_QUALITY)[1]


def make_people(data: Path, out: Path, *, first: int, count: int, seed: int) -> int:
    """Generate and fit people ``first .. first + count - 1``; returns how many could be used.

    Args:
        data: of the generator.
        out: folder of the subjects, one ``.npz`` each; a face that cannot be used leaves a
            ``.txt`` with the reason.
        first: number of the first person.
        count: people to make.
        seed: of the generator.
    """
    out.mkdir(parents=True, exist_ok=True)
    generator, fitter, usable = FaceGenerator(data, seed), Fitter.load(), 0
    for number in range(first, first + count):
        path = out / f"person_{seed}_{number:05d}.npz"
        if path.exists() or path.with_suffix(".txt").exists():
            usable += path.exists()
            continue
        picture = cv2.resize(generator(number), (PHOTO_SIZE,) * 2, interpolation=cv2.INTER_AREA)
        try:
            subject = fitter(picture)
        except ID2HeadError as error:
            path.with_suffix(".txt").write_text(f"{type(error).__name__}: {error}\n")
            continue
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **subject)
        partial.replace(path)
        usable += 1
        if number % 50 == 0:
            logger.info("person %d: %d usable", number, usable)
    return usable


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="random_face/data of the unpacked wheel")
    parser.add_argument("out", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logger.info("%d usable", make_people(**vars(options)))


if __name__ == "__main__":
    main()
