"""Materials as image files: our linear albedo becomes an 8-bit sRGB JPEG or PNG."""

import io

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from ..structures import Material

JPEG_QUALITY = 90


def srgb_bytes(linear: np.ndarray) -> np.ndarray:
    """Linear values in [0, 1], any shape, to sRGB (IEC 61966-2-1), uint8."""
    linear = np.clip(linear, 0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (encoded * 255 + 0.5).astype(np.uint8)


def base_colour_image(material: Material) -> Image.Image:
    """Albedo as an sRGB picture: mode RGB, or RGBA for a cut-out material.

    Where a cut-out is fully transparent, the colour of the nearest visible texel is stored, so
    that mip maps show no dark fringe (and the file is smaller).
    """
    colour = srgb_bytes(material.albedo)  # [H, W, 3]
    if material.alpha is None:
        return Image.fromarray(colour)
    alpha = (np.clip(material.alpha, 0, 1) * 255 + 0.5).astype(np.uint8)  # [H, W]
    if alpha.any():
        rows, columns = distance_transform_edt(
            alpha == 0, return_distances=False, return_indices=True
        )
        colour = colour[rows, columns]
    return Image.fromarray(np.dstack([colour, alpha]))


def roughness_image(roughness: np.ndarray) -> Image.Image:
    """Roughness ``[H, W]`` in [0, 1] as a grey picture.

    glTF reads roughness from green and metallic from blue; all channels of a grey picture are
    equal, which is right as long as the material's metallic factor is zero.
    """
    return Image.fromarray((np.clip(roughness, 0, 1) * 255 + 0.5).astype(np.uint8))


def encode(image: Image.Image) -> tuple[bytes, str]:
    """The file's bytes and MIME type: PNG if it has alpha, else JPEG at full chroma resolution."""
    stream = io.BytesIO()
    if image.mode == "RGBA":
        image.save(stream, "PNG")
        return stream.getvalue(), "image/png"
    image.save(stream, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return stream.getvalue(), "image/jpeg"
