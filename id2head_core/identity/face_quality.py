"""Can this face be used? Size, pose, sharpness and occlusion, each with its answer.

The thresholds were set on 13 real people and 530 generated faces, blurred and covered (masks,
hands, phones, bars, sunglasses, hair) on purpose.
"""

import cv2
import numpy as np

from ..errors import FaceBlurredError, FaceOccludedError, FaceProfileError, FaceTooSmallError
from ..structures import DetectedFace, FaceParsing, Photo

MIN_FACE = 96
"""Smallest height of the face's box, pixels."""

MAX_YAW, MIN_PITCH, MAX_PITCH, MAX_ROLL = 50.0, -45.0, 30.0, 45.0
"""Limits of the head pose, degrees, by ``head_angles`` (pitch is about -5 when level)."""

MIN_SHARPNESS = 0.39
"""By ``sharpness``: 0.55 to 0.75 for sharp photos; Gaussian blur of 2 % of the face gives 0.38."""

MIN_VISIBLE_FACE, MIN_VISIBLE_LIPS, MIN_VISIBLE_EYE = 0.7, 0.3, 0.2
"""Shares of the face, the mouth and an eye that the parser must recognise as such."""

MIN_EYE_BRIGHTNESS = 0.35
"""Brightest tenth around the eyes relative to the skin; below it, glasses are sunglasses."""

POSE_LANDMARKS = (35, 39, 89, 93, 86, 80, 52, 61, 0)
POSE_POINTS = np.array(
    [[-45, 33, -35], [-17, 32, -27], [17, 32, -27], [45, 33, -35], [0, 0, 0], [0, -13, -17],
     [-25, -33, -24], [25, -33, -24], [0, -68, -29]], np.float64,
)  # fmt: skip
"""Rough adult face: eye corners, nose tip, below the nose, mouth corners, chin; millimetres from
the nose tip, frame of ``camera.py``. The depths are such that heads which were rendered at known
yaws of up to 70 degrees come out right."""

LEFT_EYE, LEFT_BROW, MOUTH = slice(33, 43), slice(43, 52), slice(52, 72)
RIGHT_EYE, RIGHT_BROW = slice(87, 97), slice(97, 106)
"""Landmarks of 2d106det by face part; left is the image's left."""

FACE_CLASSES, LIP_CLASSES = (1, 2, 3, 4, 5, 6, 10, 11, 12, 13), (11, 12, 13)
EYE_CLASSES, BROW_CLASSES, GLASSES = (4, 5), (2, 3), (6,)
"""Numbers of ``face_parsing.CLASSES``."""


def check_size(face: DetectedFace) -> None:
    """Raise FaceTooSmallError where the face has too few pixels."""
    height = float(face.box[3] - face.box[1])
    if height < MIN_FACE:
        raise FaceTooSmallError(
            f"The face is only {height:.0f} pixels tall; it needs at least {MIN_FACE}. "
            "Use the original photo, or one taken from nearer."
        )


def check_pose(face: DetectedFace) -> None:
    """Raise FaceProfileError where the head is turned, raised or tilted too far."""
    yaw, pitch, roll = head_angles(face)
    if abs(roll) > MAX_ROLL:
        raise FaceProfileError(
            f"The head is tilted by {abs(roll):.0f} degrees in the picture. "
            "Rotate the photo until the face is upright."
        )
    if abs(yaw) > MAX_YAW:
        raise FaceProfileError(
            f"The head is turned by about {abs(yaw):.0f} degrees; up to {MAX_YAW:.0f} can be used. "
            "Look towards the camera."
        )
    if not MIN_PITCH <= pitch <= MAX_PITCH:
        direction = "raised" if pitch < 0 else "lowered"
        raise FaceProfileError(f"The head is {direction} too far. Look towards the camera.")


def check_blur(aligned: np.ndarray) -> None:
    """Raise FaceBlurredError; ``aligned`` is ArcFace's crop, uint8 ``[112, 112, 3]``."""
    value = sharpness(aligned)
    if value < MIN_SHARPNESS:
        raise FaceBlurredError(
            f"The face is blurred (sharpness {value:.2f}; at least {MIN_SHARPNESS} is needed). "
            "Hold the camera still, focus on the face, and use more light."
        )


def check_occlusion(photo: Photo, face: DetectedFace, parsing: FaceParsing) -> None:
    """Raise FaceOccludedError where mouth, eyes or much of the face are covered."""
    advice = "Use a photo that shows the whole face."
    landmarks = parsing.in_crop(face.landmarks)
    labels = parsing.labels  # [S, S]

    def share(part: slice, classes: tuple[int, ...]) -> float:
        return float(np.isin(labels[_hull(landmarks[part], len(labels))], classes).mean())

    if share(MOUTH, LIP_CLASSES) < MIN_VISIBLE_LIPS:
        raise FaceOccludedError(f"The mouth is covered (a mask, scarf or hand?). {advice}")
    brightness = _eye_brightness(photo, parsing, landmarks)
    hidden = 0
    seen = max(share(LEFT_EYE, EYE_CLASSES), share(RIGHT_EYE, EYE_CLASSES)) >= MIN_VISIBLE_EYE
    if not seen and brightness < MIN_EYE_BRIGHTNESS:
        raise FaceOccludedError(
            "The eyes cannot be seen (sunglasses?). Take them off and use another photo."
        )
    for eye, brow in ((LEFT_EYE, LEFT_BROW), (RIGHT_EYE, RIGHT_BROW)):
        visible = max(share(eye, EYE_CLASSES), share(eye, GLASSES), share(brow, BROW_CLASSES))
        hidden += visible < MIN_VISIBLE_EYE  # a closed eye still has its brow
    if hidden:
        raise FaceOccludedError(f"{('One eye is', 'Both eyes are')[hidden - 1]} covered. {advice}")
    visible = share(slice(None), FACE_CLASSES)
    if visible < MIN_VISIBLE_FACE:
        raise FaceOccludedError(f"Only {visible:.0%} of the face can be seen. {advice}")


def head_angles(face: DetectedFace) -> tuple[float, float, float]:
    """Rough yaw, pitch and roll of the head, degrees.

    Yaw > 0 when more of the subject's left side is seen, pitch < 0 when the head is raised,
    roll > 0 when it leans counter-clockwise in the picture. Weak-perspective fit of a rigid face.
    """
    points = face.landmarks[list(POSE_LANDMARKS)].astype(np.float64) * (1, -1)
    points, model = points - points.mean(0), POSE_POINTS - POSE_POINTS.mean(0)
    linear = np.linalg.lstsq(model, points, rcond=None)[0].T  # [2, 3]
    left, _, right = np.linalg.svd(linear, full_matrices=False)
    rotation = left @ right  # nearest rows of a rotation
    to_camera = np.cross(rotation[0], rotation[1])
    yaw = np.arctan2(to_camera[0], to_camera[2])
    roll = np.arctan2(rotation[1, 0], rotation[0, 0])
    yaw, pitch, roll = np.degrees([yaw, np.arcsin(np.clip(to_camera[1], -1, 1)), roll])
    return float(yaw), float(pitch), float(roll)


def sharpness(aligned: np.ndarray) -> float:
    """Fine detail relative to coarser detail, in the worst of four directions (motion blur).

    Args:
        aligned: ArcFace's crop, uint8 ``[112, 112, 3]``; the size of the face in the photo
            cancels out, as far as the photo has that many pixels.
    """
    gray = cv2.cvtColor(aligned, cv2.COLOR_RGB2GRAY).astype(np.float32)
    ratios = []
    for angle in (0, 45, 90, 135):
        turn = cv2.getRotationMatrix2D((55.5, 60.0), angle, 1.0)
        turned = cv2.warpAffine(gray, turn, (112, 112), borderMode=cv2.BORDER_REFLECT)
        levels = [cv2.GaussianBlur(turned, (0, 0), sigmaX=s, sigmaY=0.8) for s in (1, 2, 4)]
        fine, coarse = (
            (a - b)[24:100, 18:94].std() for a, b in zip(levels[:2], levels[1:], strict=True)
        )
        ratios.append(fine / max(coarse, 1e-3))
    return float(min(ratios))


def _eye_brightness(photo: Photo, parsing: FaceParsing, landmarks: np.ndarray) -> float:
    """Mean over both eyes of the 90th percentile of luma, relative to the skin's median."""
    size = len(parsing.labels)
    luma = cv2.cvtColor(photo.pixels, cv2.COLOR_RGB2GRAY)
    luma = cv2.warpAffine(luma, parsing.photo_to_crop, (size, size))
    skin = luma[parsing.labels == 1]
    if not skin.size:
        return 1.0
    eyes = [cv2.dilate(_hull(landmarks[e], size) * np.uint8(1), np.ones((9, 9)))
            for e in (LEFT_EYE, RIGHT_EYE)]  # fmt: skip
    levels = [np.percentile(luma[eye > 0], 90) for eye in eyes]
    return float(np.mean(levels) / max(float(np.median(skin)), 1.0))


def _hull(points: np.ndarray, size: int) -> np.ndarray:
    """Inside of the convex hull of points, bool ``[size, size]``."""
    mask = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(points.round().astype(np.int32)), 1)
    return mask > 0
