"""The camera model that training data and optimisation share.

``zoom = 1`` frames the whole head with hair down to the shoulders, ``zoom = 2.2`` the face. The
framing is in metres, not relative to the head, so that sizes mean something to the prior.
"""

import numpy as np

from ..camera import Camera, orbit_camera

DISTANCE = 1.4
"""Of the camera from its target, metres."""

HEIGHT = 0.36
"""Height of the picture at the target at zoom 1, metres."""

HEAD_CENTRE = (0.0, -0.02, -0.005)
"""Target at zoom 1, metres."""

FACE_CENTRE = (0.0, -0.025, 0.06)
"""Target at ``FACE_ZOOM``, metres."""

FACE_ZOOM = 2.2
"""Largest zoom."""

FRONT, SIDE = 40.0, 130.0
"""Degrees of yaw up to which a view is a front view, or a side view."""


def prior_camera(yaw: float, pitch: float = 0.0, zoom: float = 1.0) -> Camera:
    """Camera of one view; yaw and pitch in degrees, ``zoom`` in [1, FACE_ZOOM]."""
    share = (np.clip(zoom, 1.0, FACE_ZOOM) - 1.0) / (FACE_ZOOM - 1.0)
    target = (1 - share) * np.array(HEAD_CENTRE) + share * np.array(FACE_CENTRE)
    fov_y = 2 * np.degrees(np.arctan(HEIGHT / 2 / zoom / DISTANCE))
    return orbit_camera(
        yaw, pitch, distance=DISTANCE, fov_y=float(fov_y), target=tuple(map(float, target))
    )


def camera_words(yaw: float, pitch: float = 0.0, zoom: float = 1.0) -> str:
    """Text of a view, such as ``"side view"`` or ``"front view, close-up"``."""
    around = abs((yaw + 180) % 360 - 180)
    words = "front view" if around < FRONT else "side view" if around < SIDE else "back view"
    if abs(pitch) > 22:
        words += ", from above" if pitch > 0 else ", from below"
    return words + ", close-up" if zoom > 1.6 else words
