"""Where the photo shows the ears: they lie far behind the face, so they tell pitch and yaw.

Landmarks of the face hardly do: a face that is turned a little looks like one with a longer chin.
"""

import numpy as np

from ..structures import FaceParsing

EARS = (7, 8)
"""Parser classes, without earrings."""

POINTS = 6
"""Top, bottom and outermost point of the ear on the image's left, and of the one on its right."""

RIM = 0.1
"""Share of an ear's vertices, or pixels, whose mean is a point of it."""

COMPLETE = 0.9
"""Share of the model's height that an ear has to reach in the photo; hair covers the rest."""


def ear_weights(mean: np.ndarray, ears: np.ndarray) -> np.ndarray:
    """Weights ``[6, N]`` of template vertices whose mean is each point.

    Args:
        mean: template vertices ``[N, 3]``.
        ears: mask ``[N]`` in [0, 1].
    """
    weights = np.zeros((POINTS, len(mean)), np.float32)
    for side in (0, 1):
        rows = np.flatnonzero((ears > 0.5) & ((mean[:, 0] > 0) == bool(side)))
        count = max(int(RIM * len(rows)), 1)
        x, y = abs(mean[rows, 0]), mean[rows, 1]
        for point, order in enumerate((-y, y, -x)):
            weights[3 * side + point, rows[np.argsort(order)[:count]]] = 1 / count
    return weights


def ear_points(
    parsing: FaceParsing, eyes: np.ndarray, height: float
) -> tuple[np.ndarray, np.ndarray]:
    """The points in the photo.

    Args:
        parsing: of the photo.
        eyes: outer corners ``[2, 2]``, photo pixels, image left first.
        height: of an ear of the model, photo pixels.

    Returns:
        Photo pixels ``[6, 2]``, and bool ``[6]``: which of them are seen. An ear that is partly
        covered has none.
    """
    corners = parsing.in_crop(eyes)
    rows, columns = np.nonzero(parsing.probabilities[list(EARS)].sum(0) > 0.5)
    pixels = np.c_[columns, rows] + 0.5
    points, seen = np.zeros((POINTS, 2)), np.zeros(POINTS, bool)
    for side, beside in enumerate((columns < corners[0, 0], columns > corners[1, 0])):
        ear = pixels[beside]
        if len(ear) == 0 or np.ptp(ear[:, 1]) < COMPLETE * height * parsing.scale:
            continue
        count = max(int(RIM * len(ear)), 1)
        outwards = ear[:, 0] * (2 * side - 1)
        for point, order in enumerate((ear[:, 1], -ear[:, 1], -outwards)):
            points[3 * side + point] = ear[np.argsort(order)[:count]].mean(0)
        seen[3 * side : 3 * side + 3] = True
    return parsing.in_photo(points), seen
