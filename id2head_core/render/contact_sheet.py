"""Pictures of a finished head on disk, and all of them on one sheet."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..camera import Camera, orbit_camera
from ..expressions import EXPRESSIONS
from ..structures import HeadAppearance, HeadAsset, HeadGeometry
from .head_renderer import HeadRenderer

VIEWS = {"front": 0.0, "yaw+30": 30.0, "yaw-30": -30.0, "yaw+90": 90.0, "back": 180.0}
"""File name and yaw in degrees of each view."""

TITLES = {
    "front": "Front", "yaw+30": "+30°", "yaw-30": "-30°", "yaw+90": "Profile", "back": "Back",
}  # fmt: skip
"""What the sheet writes below each view."""

BOTTOM = -0.185
"""Lowest point of the pictures, metres; the bust ends a little below."""

VIEW_ANGLE = 16.0
"""Vertical field of view, degrees: a portrait lens from about 1.3 m."""

PAPER, INK = (246, 246, 244), (58, 60, 64)
"""Colours of the sheet."""


def portrait_camera(geometry: HeadGeometry, yaw: float = 0.0, pitch: float = 0.0) -> Camera:
    """Camera that frames the head from above the collar bones to just above the hair.

    Args:
        geometry: of the head; only its neutral is looked at.
        yaw: degrees.
        pitch: degrees.
    """
    top = max(float(part.vertices[:, 1].max()) for part in geometry.parts) + 0.025
    height = max(top - BOTTOM, 0.3)
    distance = height / 2 / np.tan(np.radians(VIEW_ANGLE / 2)) + 0.1  # the face is nearer
    middle = (top + BOTTOM) / 2
    return orbit_camera(
        yaw, pitch, distance=float(distance), fov_y=VIEW_ANGLE, target=(0.0, middle, 0.0)
    )


def render_views(
    geometry: HeadGeometry,
    appearance: HeadAppearance,
    *,
    size: int = 512,
    renderer: HeadRenderer | None = None,
) -> dict[str, np.ndarray]:
    """The five views of ``VIEWS`` and the 13 expressions from the front.

    Returns:
        uint8 ``[size, size, 3]`` by file name without suffix; expressions by their slug, such as
        ``"expression_Brow_Raised"``.
    """
    renderer = renderer or HeadRenderer()
    pictures = {}
    for name, yaw in VIEWS.items():
        view = renderer.render(geometry, appearance, portrait_camera(geometry, yaw), (size, size))
        pictures[name] = _bytes(view.shaded)
    front = portrait_camera(geometry)
    for name in EXPRESSIONS:
        view = renderer.render(geometry, appearance, front, (size, size), expression={name: 1.0})
        pictures[slug(name)] = _bytes(view.shaded)
    return pictures


def contact_sheet(
    pictures: dict[str, np.ndarray], photo: np.ndarray | None = None, *, tile: int = 256
) -> np.ndarray:
    """Photo and views in the first row, the expressions below, each with its name.

    Args:
        pictures: of ``render_views``.
        photo: uint8 ``[h, w, 3]``, cropped to the head, or None.
        tile: side of a picture on the sheet, pixels.

    Returns:
        uint8 ``[H, W, 3]``.
    """
    first = [(title, pictures[name]) for name, title in TITLES.items()]
    if photo is not None:
        first.insert(0, ("Photo", _square(photo)))
    rest = [(name, pictures[slug(name)]) for name in EXPRESSIONS]
    columns = 7
    rows = [first, rest[:columns], rest[columns:]]
    gap, label = max(6, tile // 24), max(16, tile // 10)
    height, width = tile + label + gap, tile + gap
    sheet = Image.new("RGB", (columns * width + gap, len(rows) * height + gap), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=max(11, tile // 17))
    for r, row in enumerate(rows):
        indent = gap + (columns - len(row)) * width // 2
        for c, (title, picture) in enumerate(row):
            left, top = indent + c * width, gap + r * height
            sheet.paste(Image.fromarray(_resized(picture, tile)), (left, top))
            draw.text((left + tile / 2, top + tile + label / 2), title, INK, font, anchor="mm")
    return np.asarray(sheet)


def write_views(asset: HeadAsset, folder: Path, photo: np.ndarray | None = None) -> list[Path]:
    """Write every picture and ``contact_sheet.png`` as PNG files.

    Args:
        asset: a finished head.
        folder: existing folder; files of the same names are replaced.
        photo: uint8 ``[h, w, 3]``, cropped to the head, for the sheet; or None.

    Returns:
        The files, the contact sheet last.
    """
    pictures = render_views(asset.geometry, asset.appearance)
    pictures["contact_sheet"] = contact_sheet(pictures, photo)
    paths = []
    for name, picture in pictures.items():
        paths.append(Path(folder) / f"{name}.png")
        Image.fromarray(picture).save(paths[-1])
    return paths


def slug(name: str) -> str:
    """File name of an expression: ``"Brow Raised"`` gives ``"expression_Brow_Raised"``."""
    return f"expression_{name.replace(' ', '_')}"


def _bytes(image: np.ndarray) -> np.ndarray:
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _square(photo: np.ndarray) -> np.ndarray:
    """The photo on a square of paper."""
    height, width = photo.shape[:2]
    side = max(height, width)
    square = np.empty((side, side, 3), np.uint8)
    square[:] = PAPER
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = photo
    return square


def _resized(picture: np.ndarray, side: int) -> np.ndarray:
    smaller = side < picture.shape[0]
    method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return cv2.resize(picture, (side, side), interpolation=method)
