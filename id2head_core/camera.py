"""Cameras, and the one statement of the frame that the whole package uses.

World frame: right-handed, metres, +Y up, the head faces +Z (as glTF asks), +X is the subject's
left, the origin is the middle of the skull. Camera frame: +X right, +Y up, the camera looks along
-Z. ``yaw > 0`` moves the camera towards +X, ``pitch > 0`` moves it up; degrees at the API.
Clip space is OpenGL's (x right, y up, z in [-w, w]); image row 0 is on top; pixel centres are at
``(column + 0.5, row + 0.5)``.
"""

from dataclasses import dataclass

import numpy as np

NEAR, FAR = 0.05, 10.0
"""Clip planes, metres."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        world_to_camera: float32 ``[4, 4]``.
        projection: float32 ``[4, 4]``, camera frame to clip space.
    """

    world_to_camera: np.ndarray
    projection: np.ndarray

    @property
    def position(self) -> np.ndarray:
        """Camera centre in the world, float32 ``[3]``, metres."""
        rotation = self.world_to_camera[:3, :3]
        return -rotation.T @ self.world_to_camera[:3, 3]

    def clip_positions(self, vertices: np.ndarray) -> np.ndarray:
        """World ``[V, 3]`` to clip ``[V, 4]``, float32."""
        matrix = self.projection @ self.world_to_camera  # [4, 4]
        return (vertices @ matrix[:, :3].T + matrix[:, 3]).astype(np.float32)

    def pixels(self, vertices: np.ndarray, width: int, height: int) -> np.ndarray:
        """World ``[V, 3]`` to ``[V, 3]``: column, row (pixels) and distance along the view axis."""
        clip = self.clip_positions(vertices)  # [V, 4]
        ndc = clip[:, :2] / clip[:, 3:]
        columns = (ndc[:, 0] * 0.5 + 0.5) * width
        rows = (0.5 - ndc[:, 1] * 0.5) * height
        return np.stack([columns, rows, clip[:, 3]], axis=1)


def orbit_camera(
    yaw: float = 0.0,
    pitch: float = 0.0,
    *,
    distance: float = 1.4,
    fov_y: float = 18.0,
    target: tuple[float, float, float] = (0.0, 0.0, 0.0),
    aspect: float = 1.0,
) -> Camera:
    """Camera that looks at ``target`` from ``distance`` (metres); angles in degrees."""
    y, p = np.radians([yaw, pitch])
    backward = np.array([np.sin(y) * np.cos(p), np.sin(p), np.cos(y) * np.cos(p)])
    right = np.array([np.cos(y), 0.0, -np.sin(y)])
    up = np.cross(backward, right)
    world_to_camera = np.eye(4, dtype=np.float32)
    world_to_camera[:3, :3] = np.stack([right, up, backward])
    eye = np.asarray(target) + distance * backward
    world_to_camera[:3, 3] = -world_to_camera[:3, :3] @ eye
    focal = 1.0 / np.tan(np.radians(fov_y) / 2)
    return Camera(world_to_camera, _projection(focal / aspect, focal, 0.0, 0.0))


def photo_camera(
    rotation: np.ndarray,
    translation: np.ndarray,
    focal: float,
    centre: tuple[float, float],
    width: int,
    height: int,
) -> Camera:
    """Camera of a photo.

    Args:
        rotation: world to camera ``[3, 3]``.
        translation: ``[3]``, metres, camera frame.
        focal: pixels.
        centre: principal point, pixels, may lie anywhere.
        width: of the photo, pixels.
        height: of the photo, pixels.
    """
    world_to_camera = np.eye(4, dtype=np.float32)
    world_to_camera[:3, :3] = rotation
    world_to_camera[:3, 3] = translation
    shift_x = 2 * centre[0] / width - 1
    shift_y = 1 - 2 * centre[1] / height
    return Camera(
        world_to_camera, _projection(2 * focal / width, 2 * focal / height, shift_x, shift_y)
    )


def _projection(scale_x: float, scale_y: float, shift_x: float, shift_y: float) -> np.ndarray:
    """OpenGL projection matrix; ``shift`` is the principal point in normalised device units."""
    matrix = np.zeros((4, 4), dtype=np.float32)
    matrix[0, 0], matrix[1, 1] = scale_x, scale_y
    matrix[0, 2], matrix[1, 2] = -shift_x, -shift_y
    matrix[2, 2] = -(FAR + NEAR) / (FAR - NEAR)
    matrix[2, 3] = -2 * FAR * NEAR / (FAR - NEAR)
    matrix[3, 2] = -1.0
    return matrix
