"""Decode an uploaded photo, or refuse it with a sentence that says why.

``decode`` is the only door through which foreign bytes enter: all limits are checked here, the
size of the picture before a single pixel is decoded.
"""

import io
import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, ImageOps

from ..errors import PhotoError
from ..structures import Photo

logger = logging.getLogger(__name__)

MAX_BYTES = 20 * 2**20
"""Largest file that is read."""

MAX_PIXELS = 50_000_000
"""Largest picture that is decoded."""

MAX_SIDE = 2048
"""Longer pictures are scaled down to this many pixels."""

MIN_SIDE = 96
"""A picture with a shorter side cannot hold a face that is large enough."""

FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "GIF")
"""Pillow's names of the formats that are read."""

BACKDROP = 128
"""Grey level behind transparent pixels: no bright or dark fringe around the hair."""

_ACCEPTED = "Use a JPEG, PNG, WebP, HEIC, AVIF or GIF photo."
_DAMAGED = (
    OSError, SyntaxError, ValueError, TypeError, IndexError, EOFError, RuntimeError,
    struct.error, zlib.error,
)  # fmt: skip
"""What Pillow's plugins raise on damaged files."""

pillow_heif.register_heif_opener()


def decode(data: bytes | Path | str) -> Photo:
    """Decode a photo to upright 8-bit sRGB.

    EXIF orientation and embedded colour profiles are applied, transparency is put on grey, and a
    picture longer than MAX_SIDE is scaled down. Of an animation the first frame is taken.

    Args:
        data: the file's content, or its path.

    Raises:
        PhotoError: empty, too large, damaged, too small, or not a supported photo.
    """
    data = _read(data) if isinstance(data, str | Path) else bytes(data)
    _check_bytes(data)
    image = _open(data)
    source_format = "JPEG" if image.format == "MPO" else image.format  # several pictures
    _check_size(*image.size)
    try:
        image.draft(None, (MAX_SIDE, MAX_SIDE))  # JPEG only: decode at 1/2, 1/4 or 1/8
        image.load()
        image = ImageOps.exif_transpose(image)
        image = _to_srgb(_shrink(_to_8_bit(image)))
    except Image.DecompressionBombError as error:
        raise PhotoError(_too_many_pixels(*image.size)) from error
    except _DAMAGED as error:
        logger.info("Damaged photo: %s", error)
        raise PhotoError(
            f"The {source_format} file is damaged or incomplete. Upload it again, or save it anew."
        ) from error
    pixels = np.ascontiguousarray(np.asarray(image))  # [H, W, 3]
    if min(pixels.shape[:2]) < MIN_SIDE:
        raise PhotoError(_too_few_pixels(image.width, image.height))
    return Photo(pixels, source_format)


def _read(file: Path | str) -> bytes:
    file = Path(file)
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise PhotoError(_too_many_bytes(size))
        return file.read_bytes()
    except FileNotFoundError as error:
        raise PhotoError(f"There is no file {file}. Check the path.") from error
    except OSError as error:
        raise PhotoError(f"{file} cannot be read ({error.strerror}). Choose a photo.") from error


def _check_bytes(data: bytes) -> None:
    """Refuse what is too large, and name what is obviously no photo."""
    if not data:
        raise PhotoError("The file is empty (0 bytes). Choose another photo.")
    if len(data) > MAX_BYTES:
        raise PhotoError(_too_many_bytes(len(data)))
    kind = _foreign_kind(data)
    if kind:
        raise PhotoError(f"This is {kind}, not a photo. {_ACCEPTED}")


def _foreign_kind(data: bytes) -> str | None:
    """Name of a well-known format that is not a photo, by its first bytes."""
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    lower = head.lower()
    if lower.startswith((b"<?xml", b"<svg", b"<!--", b"<!doctype svg")) and b"<svg" in lower:
        return "an SVG drawing"
    if lower.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if head.startswith(b"%PDF"):
        return "a PDF document"
    if head.startswith((b"II*\0", b"MM\0*")):
        return "a TIFF or camera RAW file"
    if head.startswith(b"BM") and data[6:10] == b"\0\0\0\0":
        return "a BMP picture"
    if head.startswith((b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!")):
        return "an archive"
    matroska, flash, mpeg = b"\x1a\x45\xdf\xa3", b"FLV\x01", b"\0\0\x01\xba"
    if head.startswith((matroska, flash, mpeg)) or data[:4] + data[8:12] == b"RIFFAVI ":
        return "a video"
    brands = data[8:64]
    still = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"hevc")
    if data[4:8] == b"ftyp" and not any(brand in brands for brand in still):
        return "a video"
    return None


def _open(data: bytes) -> Image.Image:
    """Read the header only."""
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise PhotoError(
            f"The picture has more than {MAX_PIXELS // 10**6} million pixels. "
            "Scale it down and upload it again."
        ) from error
    except _DAMAGED as error:
        raise PhotoError(
            f"The file ({len(data)} bytes) is not an image, or its beginning is damaged. "
            f"{_ACCEPTED}"
        ) from error


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise PhotoError(_too_many_pixels(width, height))
    if min(width, height) < MIN_SIDE:
        raise PhotoError(_too_few_pixels(width, height))


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Any mode to L, RGB, CMYK, LA or RGBA with 8 bits per channel."""
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit or float grayscale
        values = np.asarray(image).astype(np.float32)
        values *= 255.0 / (65535.0 if values.max(initial=0) > 255 else 255.0)
        return _keep_profile(Image.fromarray(values.clip(0, 255).round().astype(np.uint8)), image)
    if image.mode in ("P", "PA") or "transparency" in image.info:
        return _keep_profile(image.convert("RGBA"), image)
    if image.mode in ("L", "RGB", "CMYK", "LA", "RGBA"):
        return image
    return _keep_profile(image.convert("RGB"), image)


def _keep_profile(image: Image.Image, source: Image.Image) -> Image.Image:
    profile = source.info.get("icc_profile")
    if profile:
        image.info["icc_profile"] = profile
    return image


def _shrink(image: Image.Image) -> Image.Image:
    scale = MAX_SIDE / max(image.size)
    if scale >= 1:
        return image
    size = tuple(max(1, round(side * scale)) for side in image.size)
    return _keep_profile(image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0), image)


def _to_srgb(image: Image.Image) -> Image.Image:
    """Apply the embedded profile, then put transparent pixels on the backdrop; mode RGB."""
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colour = image.convert(image.mode[:-1]) if alpha is not None else image
    rgb = _apply_profile(colour, image.info.get("icc_profile")) or colour.convert("RGB")
    if alpha is None:
        return rgb
    backdrop = Image.new("RGB", image.size, (BACKDROP,) * 3)
    backdrop.paste(rgb, mask=alpha)
    return backdrop


def _apply_profile(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """The image in sRGB, or None where there is no usable profile."""
    if not profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        logger.warning("The photo's colour profile is ignored: %s", error)
        return None


def _too_many_bytes(size: int) -> str:
    return (
        f"The file has {size / 2**20:.1f} MB; the limit is {MAX_BYTES // 2**20} MB. "
        "Save it as a smaller JPEG."
    )


def _too_many_pixels(width: int, height: int) -> str:
    return (
        f"The picture has {width} x {height} pixels; the limit is {MAX_PIXELS // 10**6} million. "
        "Scale it down and upload it again."
    )


def _too_few_pixels(width: int, height: int) -> str:
    return (
        f"The picture has only {width} x {height} pixels; each side needs at least {MIN_SIDE}. "
        "Use the original photo instead of a thumbnail."
    )
