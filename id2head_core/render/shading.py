"""Light on surfaces: spherical harmonics, a soft highlight, tone.

``sh_coefficients (9, 3)`` are *radiance* coefficients per linear RGB channel, in the order of
``sh_basis`` (and of three.js' ``LightProbe``). Radiance 1 from everywhere has the coefficients
``(2 sqrt(pi), 0, ...)`` and shades a white surface to 1 (Ramamoorthi and Hanrahan 2001).
The functions of the differentiable path take numpy arrays or torch tensors and return the same.
"""

from typing import TypeVar

import numpy as np
import torch

Array = TypeVar("Array", np.ndarray, torch.Tensor)

COSINE_LOBE = (1.0,) + (2 / 3,) * 3 + (1 / 4,) * 5
"""A_l / pi of the clamped cosine per coefficient: radiance to irradiance over pi."""

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Linear RGB to relative luminance."""

SHOULDER = 0.8
"""Linear value up to which the tone curve is the identity."""


def sh_basis(normals: Array) -> Array:
    """Real spherical harmonics at unit ``normals [..., 3]``, ``[..., 9]``.

    Order: Y00; Y1-1 (y), Y10 (z), Y11 (x); Y2-2 (xy), Y2-1 (yz), Y20 (3z² - 1), Y21 (xz),
    Y22 (x² - y²).
    """
    x, y, z = normals[..., 0], normals[..., 1], normals[..., 2]
    values = [
        x * 0 + 0.28209479,
        0.48860251 * y,
        0.48860251 * z,
        0.48860251 * x,
        1.09254843 * x * y,
        1.09254843 * y * z,
        0.31539157 * (3 * z * z - 1),
        1.09254843 * x * z,
        0.54627422 * (x * x - y * y),
    ]
    return torch.stack(values, -1) if isinstance(normals, torch.Tensor) else np.stack(values, -1)


def irradiance_coefficients(sh_coefficients: Array) -> Array:
    """Radiance coefficients convolved with the clamped cosine, over pi, ``[9, 3]``."""
    if isinstance(sh_coefficients, torch.Tensor):
        return sh_coefficients * sh_coefficients.new_tensor(COSINE_LOBE)[:, None]
    return sh_coefficients * np.asarray(COSINE_LOBE, sh_coefficients.dtype)[:, None]


def diffuse_shading(normals: Array, sh_coefficients: Array) -> Array:
    """Irradiance over pi at unit ``normals [..., 3]``: what a white surface returns, ``[..., 3]``.

    Not clamped: strong lights go slightly below 0 on the far side.
    """
    return sh_basis(normals) @ irradiance_coefficients(sh_coefficients)


def dominant_direction(sh_coefficients: np.ndarray) -> np.ndarray:
    """Unit vector towards the brightest side, ``[3]``; straight up for a uniform light."""
    linear = sh_coefficients[1:4] @ LUMINANCE  # y, z, x
    direction = linear[[2, 0, 1]]
    length = np.linalg.norm(direction)
    return direction / length if length > 1e-6 else np.array([0.0, 1.0, 0.0], np.float32)


def rotated(sh_coefficients: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """The light turned by ``rotation [3, 3]`` (light from d then comes from ``rotation @ d``)."""
    points = _DESIGN  # [n, 3]
    basis = sh_basis(points)
    values = sh_basis(points @ rotation) @ sh_coefficients  # radiance seen from each point
    return (np.linalg.pinv(basis) @ values).astype(np.float32)


def specular_highlight(
    normals: np.ndarray, views: np.ndarray, light: np.ndarray, roughness: np.ndarray
) -> np.ndarray:
    """GGX reflection of one distant light of unit irradiance over pi, ``[N]``.

    Schlick's Fresnel with F0 = 0.028 (skin, cornea) and the usual fit of the Smith visibility
    (Karis 2013).

    Args:
        normals: unit ``[N, 3]``.
        views: unit vectors towards the camera, ``[N, 3]``.
        light: unit vector towards the light, ``[3]``.
        roughness: perceptual, in (0, 1], ``[N]``.
    """
    half = views + light
    half /= np.linalg.norm(half, axis=1, keepdims=True) + 1e-8
    n_h = np.clip((normals * half).sum(1), 0, 1)
    n_l = np.clip(normals @ light, 0, 1)
    n_v = np.clip((normals * views).sum(1), 0.05, 1)
    v_h = np.clip((views * half).sum(1), 0, 1)
    alpha2 = roughness**4
    spread = n_h * n_h * (alpha2 - 1) + 1
    lobe = alpha2 / np.maximum(spread * spread, 1e-8)  # D times pi
    k = roughness * roughness / 2
    visibility = 0.25 / ((n_l * (1 - k) + k) * (n_v * (1 - k) + k))
    fresnel = 0.028 + 0.972 * (1 - v_h) ** 5
    return lobe * visibility * fresnel * n_l


def tone_mapped(image: np.ndarray) -> np.ndarray:
    """Compress highlights, keep everything below ``SHOULDER`` as it is; linear ``[..., 3]``.

    The hue stays; very bright colours lose some saturation, as on film.
    """
    peak = image.max(-1)
    if peak.size == 0 or peak.max() <= SHOULDER:
        return image
    room = 1 - SHOULDER
    bright = peak > SHOULDER
    old = peak[bright]
    new = 1 - room * room / (old - SHOULDER + room)
    colours = image[bright] * (new / old)[:, None]
    fade = (1 - 1 / (0.15 * (old - new) + 1))[:, None]
    result = image.copy()
    result[bright] = colours * (1 - fade) + new[:, None] * fade
    return result


def linear_to_srgb(image: Array) -> Array:
    """Linear light to sRGB, both in [0, 1] (clamped)."""
    if isinstance(image, torch.Tensor):
        image = image.clamp(0, 1)
        curve = 1.055 * image.clamp(min=1e-5) ** (1 / 2.4) - 0.055
        return torch.where(image <= 0.0031308, image * 12.92, curve)
    return SRGB_TABLE[(np.clip(image, 0, 1) * (len(SRGB_TABLE) - 1) + 0.5).astype(np.int32)]


def srgb_to_linear(image: Array) -> Array:
    """Linear light from sRGB, both in [0, 1]."""
    where = torch.where if isinstance(image, torch.Tensor) else np.where
    return where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


def _srgb_table() -> np.ndarray:
    """The sRGB curve at 2^16 even steps, float32."""
    linear = np.linspace(0, 1, 2**16)
    curve = 1.055 * linear ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, curve).astype(np.float32)


SRGB_TABLE = _srgb_table()

_DESIGN = np.concatenate(
    [np.eye(3), -np.eye(3), np.array(np.meshgrid(*[[-1.0, 1.0]] * 3)).reshape(3, -1).T / 3**0.5]
)
"""Fourteen well-spread directions: enough to determine nine coefficients."""
