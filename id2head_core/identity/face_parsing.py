"""Segment the photo around the head into 19 classes of face parts, hair and cloth."""

from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from .. import weights
from ..structures import DetectedFace, FaceParsing, Photo
from .bisenet import BiSeNet

CLASSES = (
    "background", "skin", "left_brow", "right_brow", "left_eye", "right_eye", "glasses",
    "left_ear", "right_ear", "earring", "nose", "mouth", "upper_lip", "lower_lip", "neck",
    "necklace", "cloth", "hair", "hat",
)  # fmt: skip
"""Class names in the order of the network's channels; left is the image's left."""

CROP_SIZE = 512
"""Side of the crop, pixels."""

FRAMING = 1.35
"""Side of the crop relative to CelebA-HQ's, on which the network was trained.

Larger shows more of long hair, but from 1.5 on the network mistakes chests for faces.
"""

INNER_PARTS = (2, 3, 4, 5, 6, 10, 11, 12, 13)
"""Parts that exist only inside the face: brows, eyes, glasses, nose, mouth, lips."""

INNER_REACH = 0.5
"""How far inner parts may lie from the landmarks, in eye distances."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's colour statistics, for which the network was trained."""

LEFT_EYE, RIGHT_EYE, MOUTH = slice(33, 43), slice(87, 97), slice(52, 72)
"""Landmarks of 2d106det around the eyes (image left first) and the lips."""


class FaceParser:
    """BiSeNet with the weights of ``weights/face/face_parsing.npz``.

    Args:
        file: other weights than those; used by tests.

    Raises:
        WeightsError: the file is missing or altered.
    """

    def __init__(self, file: Path | None = None):
        with np.load(file or weights.path("face/face_parsing.npz")) as arrays:
            state = {name: torch.from_numpy(arrays[name]).float() for name in arrays.files}
        network = BiSeNet(len(CLASSES))
        network.load_state_dict(state)
        self._network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def parse(self, photo: Photo, face: DetectedFace) -> FaceParsing:
        """Class probabilities of an upright crop around the head of ``face``.

        Where the crop reaches beyond the photo, the class is background.
        """
        photo_to_crop = head_framing(face)
        pixels = _warp(photo.pixels, photo_to_crop)  # [S, S, 3]
        probabilities = self._probabilities(pixels)  # [19, S, S]
        width, height = photo.size
        inside = cv2.warpAffine(
            np.full((height, width), 255, np.uint8), photo_to_crop, (CROP_SIZE, CROP_SIZE)
        )
        probabilities[list(INNER_PARTS)] *= _near_face(face, photo_to_crop)
        probabilities[:, inside < 128] = 0
        probabilities[0] += 1e-6
        probabilities /= probabilities.sum(0)
        return FaceParsing(probabilities, photo_to_crop)

    @torch.inference_mode()
    def _probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 ``[S, S, 3]`` to softmax ``[19, S, S]``, float32."""
        image = torch.from_numpy(pixels).float().div(255)  # [S, S, 3]
        image = (image - torch.tensor(MEAN)) / torch.tensor(STD)
        image = image.permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)
        logits = self._network(image)  # [1, 19, S / 8, S / 8]
        logits = F.interpolate(logits, (CROP_SIZE,) * 2, mode="bilinear", align_corners=True)
        return logits.softmax(1)[0].contiguous().numpy()


def head_framing(face: DetectedFace) -> np.ndarray:
    """Affine ``[2, 3]``, photo pixels to pixels of the upright square crop around the head.

    Centre, roll and scale follow from eyes and mouth as in the alignment of CelebA-HQ
    (Karras et al. 2018, appendix C), with a wider frame.
    """
    left, right = face.landmarks[LEFT_EYE].mean(0), face.landmarks[RIGHT_EYE].mean(0)
    eyes, mouth = (left + right) / 2, face.landmarks[MOUTH].mean(0)
    across, down = right - left, mouth - eyes
    axis = across + (down[1], -down[0])  # image right of the head, from both directions
    axis /= np.hypot(*axis)
    half = max(2.0 * np.hypot(*across), 1.8 * np.hypot(*down)) * FRAMING
    linear = np.array([axis, (-axis[1], axis[0])]) * (CROP_SIZE / 2 / half)
    offset = CROP_SIZE / 2 - linear @ (eyes + 0.1 * down)
    return np.hstack([linear, offset[:, None]]).astype(np.float32)


def _warp(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Crop with area-like filtering: blur first where the crop is a reduction."""
    reduction = 1 / np.hypot(matrix[0, 0], matrix[0, 1])
    if reduction > 1.2:
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.4 * reduction)
    return cv2.warpAffine(
        pixels, matrix, (CROP_SIZE,) * 2, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def _near_face(face: DetectedFace, photo_to_crop: np.ndarray) -> np.ndarray:
    """float32 ``[S, S]``: 1 near the hull of the landmarks, 0 elsewhere."""
    points = face.landmarks @ photo_to_crop[:, :2].T + photo_to_crop[:, 2]  # [106, 2]
    eye_distance = np.hypot(*(points[RIGHT_EYE].mean(0) - points[LEFT_EYE].mean(0)))
    hull = cv2.convexHull(points.round().astype(np.int32))
    mask = np.zeros((CROP_SIZE,) * 2, np.uint8)
    cv2.fillConvexPoly(mask, hull, 1)
    distance = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 3)
    return (distance <= INNER_REACH * eye_distance).astype(np.float32)
