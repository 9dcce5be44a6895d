"""Estimate age and gender, for the defaults of a head that the photo leaves open.

The two networks are dlib's (CC0); their crops are aligned with five points as dlib aligns them.
The estimates choose starting values, such as of the skin's wrinkles; they are never shown.
"""

import os

import cv2
import numpy as np
import onnxruntime

from .. import weights
from ..structures import DetectedFace, Photo
from .face_analysis import similarity

LANDMARKS = (93, 89, 35, 39, 80)
"""Of 2d106det: eye corners (right outer, inner, left outer, inner, image sides), below the nose."""

MEAN_SHAPE = np.array(
    [[0.8596, 0.2135], [0.6461, 0.2290], [0.1206, 0.2137], [0.3341, 0.2291], [0.4901, 0.6278]],
    np.float32,
)
"""Where dlib puts these points in its crop, before padding; (0, 0) to (1, 1)."""

PADDING = 0.2
"""Margin around the mean shape, relative to its size."""

COLOUR_MEAN = (122.782, 117.001, 104.298)
"""Red, green, blue that the networks expect as zero; the scale is 1 / 256."""

OVERSAMPLING = 4
"""The crops are warped this much larger and then averaged, so that they do not alias."""


class Demographics:
    """Age and gender networks; raises WeightsError when a file is missing or altered."""

    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = min(2, os.cpu_count() or 1)
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._age, self._gender = (
            onnxruntime.InferenceSession(
                str(weights.path(f"face/{name}.onnx")), options, providers=["CPUExecutionProvider"]
            )
            for name in ("age", "gender")
        )

    def estimate(self, photo: Photo, face: DetectedFace) -> tuple[float, float]:
        """Age in years (0 to 80), and the probability in [0, 1] that the gender is female."""
        (ages,) = self._age.run(None, {"images": _chips(photo, face, 64)})  # [2, 81]
        (genders,) = self._gender.run(None, {"images": _chips(photo, face, 32)})  # [2, 2]
        years = np.arange(ages.shape[1])
        return float((ages @ years).mean()), float(genders[:, 0].mean())


def _chips(photo: Photo, face: DetectedFace, size: int) -> np.ndarray:
    """The aligned crop and its mirror image, float32 ``[2, 3, size, size]``."""
    large = size * OVERSAMPLING
    target = (MEAN_SHAPE + PADDING) / (1 + 2 * PADDING) * large
    matrix = similarity(face.landmarks[list(LANDMARKS)], target)
    crop = cv2.warpAffine(photo.pixels, matrix, (large, large), borderMode=cv2.BORDER_REPLICATE)
    crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    chip = ((crop - COLOUR_MEAN) / 256).transpose(2, 0, 1)  # [3, size, size]
    return np.stack([chip, chip[:, :, ::-1]]).astype(np.float32)
