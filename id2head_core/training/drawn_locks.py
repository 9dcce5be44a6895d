"""Locks of the training subjects' hair: ridges and grooves along the strands, waves and tufts.

Template styles and fitted hair are smooth. Real hair falls into locks, and a prior that never saw
any can only smooth what it is given. The locks here are random in place, width, length, wave and
height; columns of the hair template run along the strands, so a lock is noise that is long in
rows and narrow in columns.
"""

import cv2
import numpy as np
from scipy import ndimage

from ..template.hair import HairTemplate
from ..template.hair_locks import smooth_noise

WIDTH, LENGTH = (0.9, 2.4), (5.0, 14.0)
"""Standard deviation of the noise across and along straight strands, cells."""

TUFT = (1.1, 2.2)
"""The same for curls, which are as long as they are wide, cells."""

WAVE_LENGTH, WAVE = (9.0, 22.0), 2.6
"""Length of a wave along the strands and its largest shift sideways, cells."""

HEIGHT = (0.003, 0.011)
"""Typical height of locks, metres ..."""

SHARE = 0.4
"""... and their largest share of the hair's thickness."""

CURLIEST = 0.75
"""Curls are at least a little longer than wide."""

SHADE, SHADE_HEIGHT = 0.22, 0.002
"""Hair between locks is darker by this factor of e, and from which depth on, metres."""

CROWN = (4, 20)
"""Rows over which locks begin: columns are narrow at the crown."""


def with_locks(
    template: HairTemplate, thickness: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Hair that falls into random locks; its outline stays.

    Args:
        template: gives the grid.
        thickness: ``[P]``, metres, <= 0 without hair.
        generator: of the locks.

    Returns:
        float32 ``[P]``.
    """
    image = template.image(thickness)
    curl = CURLIEST * generator.beta(0.7, 1.2)
    relief = lock_noise(template, curl, generator)
    height = np.minimum(generator.uniform(*HEIGHT), SHARE * np.maximum(image, 0))
    raised = image + height * relief
    return np.where(image > 0, np.maximum(raised, 0.4 * image), image).ravel().astype(np.float32)


def lock_shade(template: HairTemplate, thickness: np.ndarray, size: int) -> np.ndarray:
    """Gain of the hair's albedo: darker between the locks, ``[size, size, 1]``.

    Args:
        template: gives the grid.
        thickness: ``[P]``, metres.
        size: side of the texture, pixels.
    """
    image = template.image(np.maximum(thickness, 0))
    relief = np.clip((image - template.blur(image, 1.5)) / SHADE_HEIGHT, -1, 1)
    return np.exp(SHADE * cv2.resize(relief.astype(np.float32), (size, size)))[..., None]


def lock_noise(template: HairTemplate, curl: float, generator: np.random.Generator) -> np.ndarray:
    """Relief of locks, grid ``[R, C + 1]``, zero mean, about -1 to 1.

    Args:
        template: gives the grid.
        curl: 0 = straight locks along the strands, 1 = round tufts.
        generator: of the noise.
    """
    rows, columns = template.grid[0], template.grid[1] - 1
    width, tuft = generator.uniform(*WIDTH), generator.uniform(*TUFT)
    length = generator.uniform(*LENGTH) * (1 - curl) + tuft * curl
    width = width * (1 - curl) + tuft * curl
    noise = np.zeros((rows, columns))
    for scale in (1.0, 0.5):  # locks, and finer ones on them
        finer = max(scale * width, 0.8), scale * length
        noise += scale * smooth_noise(generator, rows, columns, *finer)
    noise = _waved(noise - noise.mean(1, keepdims=True), curl, generator)
    first, last = CROWN
    noise *= np.clip((np.arange(rows)[:, None] - first) / (last - first), 0, 1)
    return np.clip(np.c_[noise, noise[:, :1]] / 1.6, -1.2, 1.2)


def _waved(noise: np.ndarray, curl: float, generator: np.random.Generator) -> np.ndarray:
    """Shift each row sideways along a wave whose phase drifts slowly around the head."""
    rows, columns = noise.shape
    drift = ndimage.gaussian_filter1d(generator.standard_normal(columns), 8.0, mode="wrap")
    phase = 2 * np.pi * np.arange(rows)[:, None] / generator.uniform(*WAVE_LENGTH)
    shift = (
        WAVE
        * generator.random()
        * (0.3 + 0.7 * curl)
        * np.sin(phase + drift / drift.std() + generator.uniform(0, 2 * np.pi))
    )
    place = np.arange(columns)[None] + shift
    row = np.broadcast_to(np.arange(rows)[:, None], place.shape)
    return ndimage.map_coordinates(noise, [row, place], order=1, mode="grid-wrap")
