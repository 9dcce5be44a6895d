"""Segment the photo around the head into 19 classes of face parts, hair and cloth."""

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

FRAMINGS = (1.35, 1.0)
"""Sides of the two crops relative to CelebA-HQ's, on which the network was trained.

The first shows long hair and is what ``parse`` returns. The second is what the network knows best:
it replaces the middle of the first, where dark hair would turn into a hat and cropped hair into
skin.
"""

SEAM = 60
"""Width of the blend along the border of the second crop, pixels of that crop."""

INNER_PARTS = (2, 3, 4, 5, 6, 10, 11, 12, 13)
"""Parts that exist only inside the face: brows, eyes, glasses, nose, mouth, lips."""

SIDED_PARTS = ((2, 3), (4, 5), (7, 8))
"""Left and right brow, eye, ear: the network often exchanges them."""

INNER_REACH = 0.5
"""How far inner parts may lie from the landmarks, in eye distances."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's colour statistics, for which the network was trained."""

LEFT_EYE, RIGHT_EYE, MOUTH = slice(33, 43), slice(87, 97), slice(52, 72)
"""Landmarks of 2d106det around the eyes (image left first) and the lips."""

NOSE_BRIDGE = 72
"""Landmark of 2d106det between the eyes."""


class FaceParser:
    """BiSeNet with the weights of ``weights/face/face_parsing.npz``.

    Raises:
        WeightsError: the file is missing or altered.
    """

    def __init__(self):
        with np.load(weights.path("face/face_parsing.npz")) as arrays:
            state = {name: torch.from_numpy(arrays[name]).float() for name in arrays.files}
        network = BiSeNet(len(CLASSES))
        network.load_state_dict(state)
        self._network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def parse(self, photo: Photo, face: DetectedFace) -> FaceParsing:
        """Class probabilities of an upright crop around the head of ``face``.

        Where the crop reaches beyond the photo, the class is background.
        """
        wide, tight = (head_framing(face, framing) for framing in FRAMINGS)
        crops = np.stack([_warp(photo.pixels, matrix) for matrix in (wide, tight)])
        probabilities, detailed = self._probabilities(crops)  # two [19, S, S]
        _paste(probabilities, detailed, _compose(wide, tight))
        width, height = photo.size
        everywhere = np.full((height, width), 255, np.uint8)
        inside = cv2.warpAffine(everywhere, wide, (CROP_SIZE, CROP_SIZE))
        landmarks = face.landmarks @ wide[:, :2].T + wide[:, 2]  # [106, 2]
        probabilities[list(INNER_PARTS)] *= _near_face(landmarks)
        _sort_sides(probabilities, landmarks[NOSE_BRIDGE, 0])
        probabilities[:, inside < 128] = 0
        probabilities[0] += 1e-6
        probabilities /= probabilities.sum(0)
        return FaceParsing(probabilities, wide)

    @torch.inference_mode()
    def _probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 ``[B, S, S, 3]`` to softmax ``[B, 19, S, S]``, float32."""
        image = torch.from_numpy(pixels).float().div(255)  # [B, S, S, 3]
        image = (image - torch.tensor(MEAN)) / torch.tensor(STD)
        image = image.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        logits = self._network(image)  # [B, 19, S / 8, S / 8]
        logits = F.interpolate(logits, (CROP_SIZE,) * 2, mode="bilinear", align_corners=True)
        return logits.softmax(1).contiguous().numpy()


def head_framing(face: DetectedFace, framing: float = FRAMINGS[0]) -> np.ndarray:
    """Affine ``[2, 3]``, photo pixels to pixels of the upright square crop around the head.

    Centre, roll and scale follow from eyes and mouth as in the alignment of CelebA-HQ
    (Karras et al. 2018, appendix C); ``framing`` is the side relative to theirs.
    """
    left, right = face.landmarks[LEFT_EYE].mean(0), face.landmarks[RIGHT_EYE].mean(0)
    eyes, mouth = (left + right) / 2, face.landmarks[MOUTH].mean(0)
    across, down = right - left, mouth - eyes
    axis = across + (down[1], -down[0])  # image right of the head, from both directions
    axis /= np.hypot(*axis)
    half = max(2.0 * np.hypot(*across), 1.8 * np.hypot(*down)) * framing
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


def _compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Affine ``[2, 3]`` from the crop of ``inner`` to the crop of ``outer``."""
    bottom = [[0.0, 0.0, 1.0]]
    return (np.vstack([outer, bottom]) @ np.linalg.inv(np.vstack([inner, bottom])))[:2]


def _paste(probabilities: np.ndarray, detailed: np.ndarray, matrix: np.ndarray) -> None:
    """Blend ``detailed [19, S, S]``, warped by ``matrix``, into ``probabilities`` in place."""
    size = (CROP_SIZE, CROP_SIZE)
    position = np.arange(CROP_SIZE) + 0.5
    margin = np.minimum(position, CROP_SIZE - position)
    weight = np.clip(np.minimum.outer(margin, margin) / SEAM, 0, 1).astype(np.float32)
    weight = cv2.warpAffine(weight, matrix, size)
    for layer, fine in zip(probabilities, detailed, strict=True):
        layer += weight * (cv2.warpAffine(fine, matrix, size) - layer)


def _sort_sides(probabilities: np.ndarray, middle: float) -> None:
    """Give what is left of column ``middle`` to the left parts and the rest to the right ones."""
    column = int(np.clip(round(float(middle)), 0, CROP_SIZE))
    for left, right in SIDED_PARTS:
        both = probabilities[left] + probabilities[right]  # [S, S]
        probabilities[[left, right]] = 0
        probabilities[left, :, :column] = both[:, :column]
        probabilities[right, :, column:] = both[:, column:]


def _near_face(landmarks: np.ndarray) -> np.ndarray:
    """float32 ``[S, S]``: 1 near the hull of the landmarks (pixels of the crop), 0 elsewhere."""
    eye_distance = np.hypot(*(landmarks[RIGHT_EYE].mean(0) - landmarks[LEFT_EYE].mean(0)))
    hull = cv2.convexHull(landmarks.round().astype(np.int32))
    mask = np.zeros((CROP_SIZE,) * 2, np.uint8)
    cv2.fillConvexPoly(mask, hull, 1)
    distance = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 3)
    return (distance <= INNER_REACH * eye_distance).astype(np.float32)
