"""Can this face be used? Size, pose, sharpness and occlusion, each with its answer."""

import numpy as np

from ..structures import DetectedFace, FaceParsing, Photo


def check_size(face: DetectedFace) -> None:
    """Raise FaceTooSmallError where the face has too few pixels."""


def check_pose(face: DetectedFace) -> None:
    """Raise FaceProfileError where the face is turned too far."""


def check_blur(aligned: np.ndarray) -> None:
    """Raise FaceBlurredError."""


def check_occlusion(photo: Photo, face: DetectedFace, parsing: FaceParsing) -> None:
    """Raise FaceOccludedError."""
