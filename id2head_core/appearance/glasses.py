"""Take glasses off the photo: frames, bridge and mirrored light become the skin around them.

Eyes, lids and brows stay as they are seen through the lenses. What cannot be undone this way are
dark lenses, white glare over a whole eye, and the shade that a frame throws.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ..ramp import smoothstep
from ..structures import Identity, Photo
from ..template.fit import BROWS, LEFT_EYE, RIGHT_EYE
from .uv_atlas import pull_push

SKIN, BROW_CLASSES, GLASSES = (1, 10), (2, 3), (6,)
"""Parser classes: bare skin, brows, and glasses with what is seen through their lenses."""

UNIT = 200
"""Distance of the eyes in the crop that is worked on, pixels; the sizes below are in this unit."""

CROP = (3.0, 2.0)
"""Width and height of that crop."""

FEWEST = 0.15
"""Area of glasses, square units; less of that class is a mistake of the parser."""

RIM, RIM_CONTRAST = 0.17, (0.05, 0.11)
"""Widest rim, and how much darker than its surroundings it is, sRGB."""

GLARE, GLARE_CONTRAST = 0.2, (0.1, 0.18)
"""The same for mirrored light within the lenses, which is brighter."""

BESIDE = 0.3
"""How far around the lenses bare skin is compared with what they show."""

SOCKETS, LARGEST_GAIN, VEIL = 0.9, 1.5, (1.1, 1.25)
"""Brightness of skin around eyes relative to that; by how much tinted lenses are brightened at
most; and what is brighter still is mirrored light."""

ARMS = 0.45
"""How far the arms of the glasses are followed to the sides."""

FEWEST_TEXELS = 100
"""Of the crop, for a comparison of skin with skin."""

LIDS, LIDS_FADE = (0.05, 0.085), 0.025
"""Margins at the eyes' landmarks that are kept, surely and mostly, and the fade of the latter."""

BROW, BEHIND_RIM = 0.045, 0.7
"""Area of a brow, square units, below which a rim hides it; then the rim, this strong, is shown."""


@dataclass(frozen=True)
class _Crop:
    """The photo around the eyes, upright; masks are uint8 ``[H, W]``, 0 or 1.

    Attributes:
        image: float32 ``[H, W, 3]``, sRGB in [0, 1].
        matrix: ``[2, 3]``, photo pixels to pixels of the crop, both counted from pixel centres.
        skin: bare skin.
        lenses: glasses, and what is seen through them.
        brows: those that the parser sees.
        landmarks: ``[106, 2]``, pixels of the crop.
    """

    image: np.ndarray
    matrix: np.ndarray
    skin: np.ndarray
    lenses: np.ndarray
    brows: np.ndarray
    landmarks: np.ndarray

    def around(self, rows: np.ndarray, margin: float) -> np.ndarray:
        """Mask within ``margin`` units above and below the hull of the landmarks ``rows``.

        Half of it at its sides, where frames come close to the corners of the eyes.
        """
        mask = np.zeros(self.image.shape[:2], np.uint8)
        cv2.fillConvexPoly(mask, cv2.convexHull(self.landmarks[rows].round().astype(np.int32)), 1)
        return cv2.dilate(mask, _disc(margin, 2 * margin))

    def eyes(self, margin: float) -> np.ndarray:
        """Mask within ``margin`` units of the eyes."""
        return self.around(RIGHT_EYE, margin) | self.around(LEFT_EYE, margin)


def without_glasses(identity: Identity) -> Identity:
    """The identity with a photo that has no glasses; unchanged where nobody wears any."""
    worn = (identity.parsing.probabilities[list(GLASSES)] > 0.5).sum()
    landmarks = identity.parsing.in_crop(identity.face.landmarks)
    apart = np.linalg.norm(landmarks[LEFT_EYE].mean(0) - landmarks[RIGHT_EYE].mean(0))
    if worn < FEWEST * apart**2:
        return identity
    crop = _eyes_crop(identity, UNIT / float(apart))
    brows = _brows(crop)
    hidden = _glasses(crop, brows)
    gain, level = _tint(crop, hidden)
    crop = replace(crop, image=np.clip(crop.image * gain[..., None], 0, 1))
    hidden = np.maximum(hidden, _veil(crop, brows, level))
    fill = _bare_skin(crop, (hidden < 0.05) & (brows == 0))
    return replace(identity, photo=_pasted(identity.photo, crop, gain, fill, hidden))


def _eyes_crop(identity: Identity, scale: float) -> _Crop:
    """The crop, ``scale`` times as fine as the parser's."""
    parsing = identity.parsing
    size = tuple(round(side * UNIT) for side in CROP)
    landmarks = parsing.in_crop(identity.face.landmarks + 0.5)
    centre = (landmarks[LEFT_EYE].mean(0) + landmarks[RIGHT_EYE].mean(0)) / 2
    shift = np.array(size) / 2 - scale * centre
    from_crop = np.c_[scale * np.eye(2), shift]
    linear = scale * parsing.photo_to_crop[:, :2]
    from_photo = np.c_[linear, scale * parsing.photo_to_crop[:, 2] + shift]
    pixels, finer = identity.photo.pixels, 1 / (scale * parsing.scale)
    if finer > 1.4:
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.4 * finer)
    matrix = _from_centres(from_photo)
    border = {"flags": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REPLICATE}
    image = cv2.warpAffine(pixels, matrix, size, **border).astype(np.float32) / 255
    masks = [
        cv2.warpAffine(parsing.probabilities[list(c)].sum(0), _from_centres(from_crop), size) > 0.5
        for c in (SKIN, GLASSES, BROW_CLASSES)
    ]
    return _Crop(image, matrix, *(m.astype(np.uint8) for m in masks), scale * landmarks + shift)


def _from_centres(matrix: np.ndarray) -> np.ndarray:
    """An affine ``[2, 3]`` between positions as one between pixel indices."""
    return np.c_[matrix[:, :2], matrix[:, 2] + matrix[:, :2] @ (0.5, 0.5) - 0.5]


def _glasses(crop: _Crop, brows: np.ndarray) -> np.ndarray:
    """Where frame and glare hide the face, ``[H, W]`` in [0, 1]; 0 on eyes and ``brows``."""
    grey = _blur(cv2.cvtColor(crop.image, cv2.COLOR_RGB2GRAY), 0.0075)
    grey = np.rint(255 * grey.clip(0, 1)).astype(np.uint8)
    dark = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, _disc(RIM, RIM)) / np.float32(255)
    light = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, _disc(GLARE, GLARE)) / np.float32(255)
    rim = smoothstep(*RIM_CONTRAST, dark) * _zone(crop)
    glare = smoothstep(*GLARE_CONTRAST, light) * cv2.erode(crop.lenses, _disc(0.02, 0.02))
    allowed = _allowed(crop, brows)
    hidden = np.rint(255 * np.maximum(rim, glare) * allowed).astype(np.uint8)
    wider = cv2.dilate(hidden, _disc(0.05, 0.06)) / np.float32(255)
    return _blur(wider * allowed, 0.01)


def _tint(crop: _Crop, hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gain for skin behind tinted lenses, up to the skin around them, and the latter's brightness.

    Returns:
        Both ``[H, W]``, sRGB; 1 where too little skin is seen.
    """
    grey = cv2.cvtColor(crop.image, cv2.COLOR_RGB2GRAY)
    gain, level = np.ones_like(grey), np.ones_like(grey)
    middle = level.shape[1] // 2
    bare = (hidden < 0.05) & (crop.eyes(2 * LIDS[1]) == 0)
    around = cv2.dilate(crop.lenses, np.ones((round(2 * BESIDE * UNIT),) * 2, np.uint8))
    around = ((around & crop.skin) > 0) & (_zone(crop) < 0.5)
    for side in (np.s_[:, :middle], np.s_[:, middle:]):
        within, beside = (bare & (crop.lenses > 0))[side], (bare & around)[side]
        if min(within.sum(), beside.sum()) < FEWEST_TEXELS:
            continue
        outside, inside = np.median(grey[side][beside]), np.median(grey[side][within])
        gain[side] = np.clip(SOCKETS * outside / max(inside, 0.01), 1, LARGEST_GAIN)
        level[side] = outside
    skin = _blur((crop.lenses & (1 - crop.eyes(LIDS[0]))).astype(np.float32), 0.02)
    return 1 + (gain - 1) * skin, level


def _veil(crop: _Crop, brows: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Where wide mirrored light covers the skin within the lenses, ``[H, W]`` in [0, 1]."""
    grey = _blur(cv2.cvtColor(crop.image, cv2.COLOR_RGB2GRAY), 0.02)
    return _blur(smoothstep(*VEIL, grey / np.maximum(level, 0.01)) * crop.lenses, 0.01) * _allowed(
        crop, brows
    )


def _allowed(crop: _Crop, brows: np.ndarray) -> np.ndarray:
    """Where the photo may be changed, ``[H, W]`` in [0, 1]: not eyes, lids and ``brows``."""
    lids = _blur(crop.eyes(LIDS[1]).astype(np.float32), LIDS_FADE)
    return (1 - lids) * (1 - crop.eyes(LIDS[0])) * (1 - brows)


def _zone(crop: _Crop) -> np.ndarray:
    """Where a frame can be: around the lenses, between them, and along the arms, ``[H, W]``."""
    lenses = crop.lenses
    bridged = cv2.morphologyEx(lenses, cv2.MORPH_CLOSE, np.ones((1, round(0.7 * UNIT)), np.uint8))
    arms = cv2.dilate(lenses, np.ones((1, round(2 * ARMS * UNIT)), np.uint8))
    rows = np.flatnonzero(lenses.any(1))
    if len(rows):
        arms[int(0.4 * rows[0] + 0.6 * rows[-1]) :] = 0
    zone = cv2.dilate(lenses, _disc(0.24, 0.2)) | cv2.dilate(bridged, _disc(0.06, 0.1)) | arms
    return _blur(zone.astype(np.float32), 0.015) * (crop.skin | crop.brows | lenses)


def _brows(crop: _Crop) -> np.ndarray:
    """How much of a brow is kept, float32 ``[H, W]`` in [0, 1].

    Brows are where the parser sees them. A brow that is hidden by the upper rim is taken to be
    where the landmarks are, and the rim is its colour.
    """
    kept = crop.brows.astype(np.float32)
    middle = kept.shape[1] // 2
    for rows, side in ((BROWS[:9], np.s_[:, :middle]), (BROWS[9:], np.s_[:, middle:])):
        if crop.brows[side].sum() < BROW * UNIT**2:
            hidden = _blur(crop.around(rows, 0.01).astype(np.float32), 0.01)
            kept = np.maximum(kept, BEHIND_RIM * hidden)
    return kept


def _bare_skin(crop: _Crop, bare: np.ndarray) -> np.ndarray:
    """Skin in the place of the glasses, ``[H, W, 3]``: smooth from where it is ``bare``, grainy."""
    known = (crop.skin | crop.lenses) & bare & (1 - crop.eyes(LIDS[0]))
    known = cv2.erode(known, _disc(0.02, 0.02)).astype(np.float32)
    if not known.any():
        return crop.image
    smooth = _blur(pull_push(crop.image, known), 0.02)
    fine = (crop.image - _blur(crop.image, 0.02))[known > 0]
    grain = np.random.default_rng(0).standard_normal(known.shape).astype(np.float32)
    grain = _blur(grain, 0.006)
    grain *= 1.48 * np.median(np.abs(fine)) / grain.std()
    return np.clip(smooth + grain[..., None], 0, 1)


def _pasted(
    photo: Photo, crop: _Crop, gain: np.ndarray, fill: np.ndarray, share: np.ndarray
) -> Photo:
    """The photo times ``gain [H, W]``, and ``fill [H, W, 3]`` where ``share [H, W]`` is 1."""
    back = cv2.invertAffineTransform(crop.matrix)
    height, width = share.shape
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ back[:, :2].T
    low = np.clip((corners + back[:, 2]).min(0).astype(int) - 2, 0, photo.size)
    high = np.clip((corners + back[:, 2]).max(0).astype(int) + 2, low + 1, photo.size)
    back[:, 2] -= low
    size = tuple(int(side) for side in high - low)
    gain = 1 + cv2.warpAffine(gain - 1, back, size)[..., None]
    fill = cv2.warpAffine(fill, back, size, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(share, back, size)[..., None]
    pixels, part = photo.pixels.copy(), np.s_[low[1] : high[1], low[0] : high[0]]
    mixed = pixels[part] * gain * (1 - share) + 255 * fill * share
    pixels[part] = np.rint(mixed.clip(0, 255))
    return replace(photo, pixels=pixels)


def _disc(width: float, height: float) -> np.ndarray:
    """Structuring element of odd size, units."""
    size = round(width * UNIT) | 1, round(height * UNIT) | 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size)


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur, ``sigma`` in units."""
    return cv2.GaussianBlur(image, (0, 0), sigma * UNIT)
