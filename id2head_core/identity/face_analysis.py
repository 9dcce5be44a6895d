"""Find the face of a photo: SCRFD detector, 106 landmarks, ArcFace embedding, by InsightFace.

InsightFace's own classes run on our ONNX files. This is the only file that imports
``insightface``, and the only one that works in BGR.
"""

import contextlib
import io
import logging
import os
import warnings
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from .. import weights
from ..errors import NoFaceError, OptionError, SeveralFacesError, WeightsError
from ..structures import DetectedFace, Photo
from . import face_quality

with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from insightface.app.common import Face
    from insightface.model_zoo import SCRFD, ArcFaceONNX, Landmark

logger = logging.getLogger(__name__)

EMBEDDED = ("scrfd_500m_bnkps.onnx", "2d106det.onnx", "w600k_mbf.onnx")
"""Detector, landmarks and recogniser in ``weights/face``."""

BUFFALO_L = ("det_10g.onnx", "2d106det.onnx", "w600k_r50.onnx")
"""The same three in InsightFace's pack ``buffalo_l``."""

MIN_SCORE = 0.5
"""Detector score below which a box is not a face."""

PASSES = ((0.0, 640), (0.5, 320))
"""Detector passes: grey margin (fraction of the longer side) and input size.

The second sees faces that fill the picture or are cut by its edge.
"""

MAX_OVERLAP = 0.4
"""Boxes of two passes that overlap more (intersection over union) are one face."""

MAX_FACES = 16
"""Only this many of the largest faces are looked at."""

COMPARABLE = 0.66
"""A second face this large, relative to the largest, makes the choice unclear."""

JITTER = ((0, 0, 1), (0.04, 0, 1), (-0.04, 0, 1), (0, 0.04, 1.06), (0, -0.04, 0.95))
"""Shifts (fraction of the box) and scales of the boxes whose landmarks are pooled."""


class FaceAnalysis:
    """Detector, landmarks and recogniser.

    Args:
        models: ``"embedded"`` for the files in ``weights/face``, or ``"buffalo_l"`` for
            InsightFace's larger pack in its usual cache; nothing is ever fetched.

    Raises:
        WeightsError: a model file is missing or altered.
    """

    def __init__(self, models: str = "embedded"):
        detector, landmark, recogniser = _model_files(models)
        with contextlib.redirect_stdout(io.StringIO()):
            self._detector = SCRFD(detector, _session(detector), static_shape_sessions=False)
            self._detector.prepare(-1, input_size=(640, 640), det_thresh=MIN_SCORE)
            self._landmark = Landmark(landmark, _session(landmark))
            self._recogniser = ArcFaceONNX(recogniser, _session(recogniser))

    def faces(self, photo: Photo) -> list[DetectedFace]:
        """All faces of the photo (at most MAX_FACES, the largest), from left to right."""
        bgr = _bgr(photo)
        found = sorted(self._detect(bgr), key=lambda face: -_side(face[0]))[:MAX_FACES]
        faces = []
        for box, keypoints in sorted(found, key=lambda face: face[0][0] + face[0][2]):
            landmarks, spread = self._landmarks(bgr, box[:4])
            faces.append(DetectedFace(box[:4], float(box[4]), keypoints, landmarks, spread))
        return faces

    def choose(
        self, photo: Photo, faces: list[DetectedFace], face_index: int | None = None
    ) -> DetectedFace:
        """The face to use.

        Args:
            photo: the photo.
            faces: what ``faces`` found in it.
            face_index: position in ``faces`` (0 = leftmost), or None for the only clear one.

        Raises:
            NoFaceError: there is no face, or the photo lies on its side.
            SeveralFacesError: several faces of comparable size and no ``face_index``.
            OptionError: no face has this index.
            FaceTooSmallError, FaceProfileError, FaceBlurredError: the face cannot be used.
        """
        if not faces:
            raise NoFaceError(self._why_no_face(photo))
        if face_index is None:
            face = _only_clear_face(faces)
        elif 0 <= face_index < len(faces):
            face = faces[face_index]
        else:
            raise OptionError(
                f"Face {face_index} was asked for, but the photo has {len(faces)}. "
                f"Use a number from 0 (leftmost) to {len(faces) - 1}."
            )
        face_quality.check_size(face)
        face_quality.check_pose(face)
        face_quality.check_blur(self.aligned(photo, face))
        return face

    def aligned(self, photo: Photo, face: DetectedFace, size: int = 112) -> np.ndarray:
        """ArcFace's crop: uint8 ``[size, size, 3]``, RGB, ``size`` a multiple of 112."""
        matrix = similarity(face.keypoints, ARCFACE_KEYPOINTS * (size / 112))
        return cv2.warpAffine(photo.pixels, matrix, (size, size))

    def embedding(self, photo: Photo, face: DetectedFace) -> np.ndarray:
        """ArcFace embedding, float32 ``[512]``, unit norm."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            embedding = self._recogniser.get(_bgr(photo), Face(kps=face.keypoints))
        return (embedding / np.linalg.norm(embedding)).astype(np.float32)

    def _detect(self, bgr: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Boxes with score ``[5]`` and keypoints ``[5, 2]``, in pixels of the photo."""
        found: list[tuple[np.ndarray, np.ndarray]] = []
        for margin, size in PASSES:
            pad = int(margin * max(bgr.shape[:2]))
            grey = (128, 128, 128)
            image = cv2.copyMakeBorder(bgr, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=grey)
            boxes, keypoints = self._detector.detect(image, input_size=(size, size))
            shift = np.array([pad, pad, pad, pad, 0], np.float32)
            found += list(zip(boxes - shift, keypoints - pad, strict=True))
        found.sort(key=lambda face: -face[0][4])
        kept: list[tuple[np.ndarray, np.ndarray]] = []
        for face in found:
            if all(_overlap(face[0], other[0]) < MAX_OVERLAP for other in kept):
                kept.append(face)
        return kept

    def _landmarks(self, bgr: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Median landmarks of jittered boxes ``[106, 2]`` and their spread ``[106]``, pixels."""
        size = box[2:] - box[:2]
        centre = (box[:2] + box[2:]) / 2
        pooled = []
        for dx, dy, scale in JITTER:
            middle = centre + size * (dx, dy)
            jittered = np.concatenate([middle - size * scale / 2, middle + size * scale / 2])
            pooled.append(self._landmark.get(bgr, Face(bbox=jittered)))
        points = np.stack(pooled)  # [5, 106, 2]
        spread = np.hypot(*points.std(axis=0).T)
        return np.median(points, axis=0).astype(np.float32), spread.astype(np.float32)

    def _why_no_face(self, photo: Photo) -> str:
        """Sentence for a photo without a face; looks whether it only lies on its side."""
        for turns, advice in ((1, "right"), (3, "left"), (2, "upside down, twice")):
            turned = Photo(np.ascontiguousarray(np.rot90(photo.pixels, -turns)))
            if any(box[4] > 0.65 for box, _ in self._detect(_bgr(turned))):
                return f"The photo is not upright. Rotate it ({advice}) and upload it again."
        width, height = photo.size
        return (
            f"No face was found in this photo ({width} x {height} pixels). "
            "Use a photo in which the whole face is seen from the front, in good light."
        )


ARCFACE_KEYPOINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
     [70.7299, 92.2041]], np.float32,
)  # fmt: skip
"""Where ArcFace expects eyes, nose tip and mouth corners in its 112 x 112 crop, pixels."""


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares similarity ``[2, 3]`` that maps points ``[N, 2]`` to points ``[N, 2]``.

    Umeyama 1991 in two dimensions, where rotation and scale are one complex factor.
    """
    from_mean, to_mean = source.mean(0), target.mean(0)
    a, b = (source - from_mean) @ (1, 1j), (target - to_mean) @ (1, 1j)
    factor = (a.conj() @ b) / (a.conj() @ a)
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.hstack([linear, (to_mean - linear @ from_mean)[:, None]]).astype(np.float32)


def _model_files(models: str) -> list[str]:
    if models == "embedded":
        return [str(weights.path(f"face/{name}")) for name in EMBEDDED]
    if models != "buffalo_l":
        raise OptionError(f"Face models '{models}' are unknown. Use 'embedded' or 'buffalo_l'.")
    folder = Path.home() / ".insightface" / "models" / "buffalo_l"
    missing = [name for name in BUFFALO_L if not (folder / name).is_file()]
    if missing:
        raise WeightsError(
            f"The face models 'buffalo_l' are not in {folder} (missing: {', '.join(missing)}). "
            "Unpack InsightFace's buffalo_l.zip there, or use the face models 'embedded'."
        )
    return [str(folder / name) for name in BUFFALO_L]


def _session(file: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = min(4, os.cpu_count() or 1)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def _only_clear_face(faces: list[DetectedFace]) -> DetectedFace:
    sides = [_side(face.box) for face in faces]
    largest = int(np.argmax(sides))
    comparable = [i for i, side in enumerate(sides) if side >= COMPARABLE * sides[largest]]
    if len(comparable) == 1:
        return faces[largest]
    numbers = ", ".join(str(i) for i in comparable[:-1]) + f" or {comparable[-1]}"
    raise SeveralFacesError(
        f"There are {len(comparable)} faces of similar size. Choose one: face {numbers}, "
        f"counted from 0 at the left (the largest is {largest}), or crop the photo.",
        [tuple(float(x) for x in face.box) for face in faces],
    )


def _bgr(photo: Photo) -> np.ndarray:
    return np.ascontiguousarray(photo.pixels[:, :, ::-1])


def _side(box: np.ndarray) -> float:
    """Side of a square with the box's area, pixels."""
    return float(np.sqrt(max(box[2] - box[0], 0) * max(box[3] - box[1], 0)))


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return float(common / (_side(a) ** 2 + _side(b) ** 2 - common + 1e-9))
