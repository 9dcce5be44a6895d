"""Texture of the hair shell: the photo where it saw the hair, strands of the same hair elsewhere.

The texture's v axis runs along the strands (see ``template.hair``), so synthetic strands are noise
stretched along v; their width in texels follows the circumference, which keeps it constant in
millimetres. Alpha cuts the outline into tapering strands.
"""

import cv2
import numpy as np

from ..ramp import smoothstep
from ..structures import HairFit, HeadFit, Identity, Material
from ..template.hair import HairTemplate
from ..template.hair_evidence import CROPPED
from ..template.hair_view import HairView, curliness
from .hair_edge import outline_alpha, photo_outline
from .hair_sheet import HairSheet
from .strand_noise import STRAND, strand_length, strand_noise, wandering

ROUGHNESS, CROPPED_ROUGHNESS = 0.55, 0.8
"""Of straight hair, and of hair that stands up; curls scatter more."""

DELIGHT = 0.6
"""Share of the slow brightness changes in the photo that is taken for light."""

DELIGHT_DARK, DARK = 0.9, (0.02, 0.06)
"""The same share for black hair, and luminances from black to other hair."""

SLOW_SIZE, SLOW_BLUR = 64, 2.2
"""Side of the maps of slow changes, and their blur, texels."""

ALIKE = 0.5
"""Hair that is not seen is changed by at most this power of e to look like the hair that is."""

VALLEYS = 0.22
"""Locks are lighter, and what lies between them darker, by up to this power of e."""

GAP = 0.45
"""What is darker than the hair around it by this factor of e lies in the shadow of a gap."""

GLARE = 0.2
"""What is lighter than the hair around it by this factor of e is a highlight."""

TINT = 0.45
"""Share of small changes of tint that is the hair's: shadows are deeper in colour, highlights
paler."""

DYED = (0.6, 1.2)
"""Changes of tint, in powers of e, between which they begin to be the hair's own, as a whole."""

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def hair_material(
    template: HairTemplate, hair: HairFit, identity: Identity, fit: HeadFit, size: int = 1024
) -> Material:
    """Paint the hair.

    Args:
        template: the hair template.
        hair: measured hair; not bald.
        identity: photo and parsing.
        fit: fitted head and camera.
        size: side of the texture, pixels.

    Returns:
        Albedo, cut-out alpha and roughness.
    """
    view = HairView(identity, fit, template)
    sheet = HairSheet(template, hair, fit, size)
    shown = sheet.shown(view)
    photo, trust = _project(view, sheet, shown)
    curl = curliness(view)
    strands = _strands(sheet, curl)
    albedo = _paint(photo, trust, strands, hair.colour, curl, sheet)
    roughness = CROPPED_ROUGHNESS if hair.volume < CROPPED else ROUGHNESS + 0.2 * curl
    return Material(albedo, outline_alpha(sheet, photo_outline(view, sheet, shown)), roughness)


def cut_out(template: HairTemplate, hair: HairFit, fit: HeadFit, size: int) -> np.ndarray:
    """Alpha ``[size, size]`` of hair of another shape: tapering strands around its outline.

    Args:
        template: the hair template.
        hair: of the new shape; not bald.
        fit: of the head.
        size: side of the texture, pixels.
    """
    return outline_alpha(HairSheet(template, hair, fit, size))


def _project(view: HairView, sheet: HairSheet, shown: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Linear colour ``[S, S, 3]`` of the photo at each texel, and its trust ``[S, S]``."""
    width, height = view.identity.photo.size
    located, toward, seen = shown
    pixels = cv2.transform(located[..., :2], cv2.invertAffineTransform(view.to_map))
    facing = np.clip((toward - 0.06) / 0.3, 0, 1)
    inner = cv2.erode(view.hair, np.ones((3, 3)))
    inner = np.clip((cv2.GaussianBlur(inner, (0, 0), 1.0) - 0.55) / 0.4, 0, 1)
    trust = facing * seen * view.sample(inner, located) * (sheet.outline > -0.004)
    scale = max(1.0, width / 1600)  # a large photo is shrunk before it is sampled
    source = view.identity.photo.pixels
    if scale > 1:
        shrunk = (round(width / scale), round(height / scale))
        source = cv2.resize(source, shrunk, interpolation=cv2.INTER_AREA)
    columns = pixels[..., 0] * (source.shape[1] / width) - 0.5
    rows = pixels[..., 1] * (source.shape[0] / height) - 0.5
    colour = cv2.remap(source, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    linear = (np.arange(256, dtype=np.float32) / 255) ** 2.2
    return linear[colour], trust.astype(np.float32)


def _strands(sheet: HairSheet, curl: float) -> np.ndarray:
    """Strand noise ``[S, S]``, zero mean, about unit deviation, constant width in metres."""
    generator = np.random.default_rng(11)
    length = strand_length(sheet.volume)
    fine = strand_noise(sheet.texel, generator, STRAND, length)
    broad = strand_noise(sheet.texel, generator, 4 * STRAND, 0.8 * length)
    waves = curl * np.clip((sheet.volume - 0.015) / 0.015, 0, 1)
    tufts = 0.8 * strand_noise(sheet.texel, generator, 2 * STRAND, 2.5) + 0.5 * strand_noise(
        sheet.texel, generator, 7 * STRAND, 1.3
    )
    share = 0.6 * max(0.0, curl - 0.3)
    mixed = np.sqrt(1 - share) * (0.8 * fine + 0.5 * broad) + np.sqrt(share) * tufts
    return wandering(mixed, generator, waves)


def _paint(photo, trust, strands, colour, curl, sheet) -> np.ndarray:
    """Blend the de-lit photo into synthetic strands, ``[S, S, 3]`` linear."""
    log = np.log(np.clip(photo, 0.003, 1.0))
    target = np.log(np.clip(colour, 0.003, 1.0)).astype(np.float32)
    dark = 1 - smoothstep(*DARK, float(colour @ LUMA))
    slow_target, slow_light = _slow_colour(log - target, trust, dark)
    seen = _without_glare(log - slow_light, target, slow_target, dark)
    detail = (log - cv2.GaussianBlur(log, (0, 0), 6.0))[trust > 0.6] @ LUMA
    contrast = float(np.clip(detail.std(), 0.16, 0.42)) if len(detail) > 500 else 0.25
    ends = 1 - 0.25 * np.clip(1 - np.abs(sheet.outline) / 0.02, 0, 1)[..., None]
    contrast *= float(np.interp(sheet.volume, [0.004, 0.015], [0.5, 1.0])) * (1 + 0.3 * curl)
    valleys = VALLEYS * sheet.relief[..., None]
    made = target + slow_target + contrast * strands[..., None] + valleys + np.log(ends)
    sure = trust > 0.6
    if sure.sum() > 500:  # hair that is not seen is like the hair that is
        made += np.clip((seen - made)[sure].mean(0), -ALIKE, ALIKE)
    share = cv2.GaussianBlur(trust, (0, 0), 5.0)
    share = np.clip(share * (1 + 0.25 * strands), 0, 1) * (trust > 0)
    share = (share * share * (3 - 2 * share))[..., None]
    return np.exp(made * (1 - share) + seen * share).clip(0, 1).astype(np.float32)


def _slow_colour(
    difference: np.ndarray, trust: np.ndarray, dark: float
) -> tuple[np.ndarray, np.ndarray]:
    """Slow changes of the photo's colour over the hair, in powers of e.

    Args:
        difference: log of the photo over the hair's colour, ``[S, S, 3]``.
        trust: in the photo ``[S, S]``.
        dark: 1 for black hair, whose brightness is all light.

    Returns:
        The hair's own, which fades away from the photo, and the light's, ``[S, S, 3]`` each.
    """
    weight = _blurred(trust, SLOW_BLUR)
    mean = _blurred(difference * trust[..., None], SLOW_BLUR) / np.maximum(weight, 1e-3)[..., None]
    mean = np.clip(mean, -1.2, 1.2)
    light = (mean @ LUMA)[..., None]
    tint = mean - light
    cooler = np.clip((tint[..., 2:] - tint[..., :1]) / 0.15, 0, 1)
    tint = tint * cooler * np.clip(1.5 * light, 0, 0.8)  # highlights have the colour of the light
    light = (DELIGHT + (DELIGHT_DARK - DELIGHT) * dark) * light
    kept = mean - light - tint  # colour varies, most of the light does not
    # away from the photo the slow colour fades to the hair's own
    reach = np.clip(weight / 0.25, 0, 1)[..., None]
    for _ in range(12):
        wide = _blurred(np.concatenate([kept * reach, reach], -1), 2.0)
        kept = np.where(reach > 0.5, kept, wide[..., :3] / (wide[..., 3:] + 0.02))
        reach = np.maximum(reach, wide[..., 3:] * 0.97)
    size = trust.shape[::-1]
    own = cv2.resize(kept.astype(np.float32), size, interpolation=cv2.INTER_CUBIC) * 0.85
    return own, cv2.resize((light + tint).astype(np.float32), size)


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """A texture at ``SLOW_SIZE``, blurred around the head."""
    small = cv2.resize(image, (SLOW_SIZE, SLOW_SIZE), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(np.concatenate([small] * 3, axis=1), (0, 0), sigma)
    return small[:, SLOW_SIZE : 2 * SLOW_SIZE]


def _without_glare(seen, target, slow_target, dark) -> np.ndarray:
    """Log albedo ``[S, S, 3]`` of the photo's strands without highlights and black gaps."""
    above = np.maximum((seen - target) @ LUMA - GLARE, 0)[..., None]
    seen = seen - (0.7 + 0.2 * dark) * above  # highlights belong to the light
    least = target + slow_target - GAP  # and so do the shadows between locks, colour included
    below = np.maximum((least - seen) @ LUMA, 0)[..., None]
    seen = np.clip(seen + 0.85 * below / (below + 0.3) * (least - seen), -6, 0)
    tinted = seen - target
    bright = (tinted @ LUMA)[..., None]
    hue = tinted - bright
    own = smoothstep(*DYED, np.linalg.norm(hue, axis=-1, keepdims=True))
    return target + bright + (TINT + (1 - TINT) * own) * hue
