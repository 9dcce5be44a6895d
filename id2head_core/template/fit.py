"""Fit camera, identity and the photo's own expression of the template to landmarks and ears.

A maximum a posteriori Gauss-Newton fit (Blanz & Vetter 1999, with landmarks as the evidence):
unit-normal prior on the identity coefficients, bounded actions with per-action priors, robust
landmark weights, and landmark-to-surface correspondences that slide with the yaw. What the linear
model cannot explain is met by a smooth residual warp (kernel ridge regression) that stays in the
neutral head. Lengths are metres, image coordinates are photo pixels (x right, y down).
"""

from dataclasses import dataclass, replace

import numpy as np

from ..camera import photo_camera
from ..structures import FaceParsing, HeadFit, Identity
from .cranium import cranium_correction
from .ears import POINTS, ear_points, ear_weights
from .face_outline import outline_correction, widened_outline
from .head_template import HeadTemplate
from .neck import neck_correction
from .resting_face import with_resting_face

CAMERA_DISTANCE = 1.4
"""From the camera to the origin of the head, metres; selfies do not tell it reliably."""

IDENTITY_WEIGHT = 0.5
ACTION_WEIGHT = 2.0
LANDMARK_NOISE = 2.5
"""Loss weights of the two priors, and the factor on the measured landmark deviations."""

EAR_NOISE = 0.12
"""Standard deviation of the ears' points, in units of the inter-ocular distance."""

OPEN_MOUTH_WEIGHT = 0.35
"""Factor on the prior of the mouth's actions where the photo shows teeth: a certain smile."""

MOUTH_ACTIONS = ("mouth", "jawOpen", "cheekSquint")
MOUTH_INTERIOR, LIPS = 11, (12, 13)
"""Parser classes that tell an open mouth from a closed one."""

CONTOUR = np.arange(0, 33)
RIGHT_EYE, LEFT_EYE = np.arange(33, 43), np.arange(87, 97)
"""Landmarks of the subject's right and left eye (image left and right)."""
BROWS = np.r_[43:52, 97:106]
MOUTH = np.arange(52, 72)
NOSE_TIP, CHIN, MOUTH_CORNERS = 86, 0, (52, 61)
EYE_CORNERS = [35, 93]
"""Outer corners, image left and right."""
EAR_TOP = 106
"""First of the ears' points, which follow the landmarks."""

STRONG = (
    "jawOpen", "mouthSmile", "eyeBlink", "browInnerUp", "browDown", "browOuterUp", "mouthPucker",
    "mouthFrown", "mouthUpperUp", "mouthLowerDown", "mouthStretch",
)  # fmt: skip
MEDIUM = ("eyeWide", "eyeSquint", "mouthClose", "mouthPress", "mouthRoll")
WEAK = ("jawForward", "jawLeft", "jawRight", "noseSneer", "cheek")
"""Prefixes of actions by how far a selfie's expression usually drives them."""


@dataclass(frozen=True)
class _Problem:
    """The linear landmark model of one yaw: the face's 106 landmarks, then the ears' 6 points.

    ``mean [112, 3]``, ``identity [K, 112, 3]``, ``actions [A, 112, 3]``, ``sigma [112]`` in units
    of the inter-ocular distance.
    """

    mean: np.ndarray
    identity: np.ndarray
    actions: np.ndarray
    sigma: np.ndarray


class TemplateFitter:
    """Fits a template to faces; holds the landmark rows of the template's bases."""

    def __init__(self, template: HeadTemplate):
        self.template = template
        names = template.action_names
        used = [n for n in names if not n.startswith("eyeLook") and n != "tongueOut"]
        self.used_actions = np.array([names.index(n) for n in used])
        self.action_sigma = np.array([_action_sigma(n) for n in used])  # [A']
        self.of_mouth = np.array([n.startswith(MOUTH_ACTIONS) for n in used])  # [A']
        self.ties = _left_right_pairs(used)
        vertices, weights = template.landmark_vertices, template.landmark_weights  # [9, 106, 3]
        self._ears = ear_weights(template.mean, template.regions["ears"])  # [6, N]

        def rows(basis):  # [..., N, 3] -> [..., 9, 112, 3]
            face = (basis[..., vertices, :] * weights[..., None]).sum(-2)
            beside = np.broadcast_to(
                (self._ears @ basis)[..., None, :, :], (*face.shape[:-2], POINTS, 3)
            )
            return np.concatenate([face, beside], -2)

        self._mean = rows(template.mean)  # [9, 112, 3]
        self._identity = rows(template.identity_basis)  # [K, 9, 112, 3]
        self._actions = rows(template.action_basis[self.used_actions])  # [A', 9, 112, 3]
        mean = self._mean[len(template.landmark_yaw) // 2]  # [112, 3]
        self.eye_distance = float(np.linalg.norm(mean[RIGHT_EYE].mean(0) - mean[LEFT_EYE].mean(0)))
        """Inter-ocular distance of the mean head, metres."""
        self.ear_height = float(mean[EAR_TOP, 1] - mean[EAR_TOP + 1, 1]) / self.eye_distance
        """Height of the mean head's ear, in units of the inter-ocular distance."""

    def __call__(self, identity: Identity) -> HeadFit:
        """Fit one face.

        Args:
            identity: its landmarks, its parsing and the size of its photo are used.

        Returns:
            The fit, with the photo's expression separated from the neutral head.
        """
        face = identity.face
        landmarks = face.landmarks.astype(np.float64) + 0.5  # the detector counts from centres
        landmarks = widened_outline(identity.parsing, landmarks)
        scale = float(
            np.linalg.norm(landmarks[RIGHT_EYE].mean(0) - landmarks[LEFT_EYE].mean(0))
        )  # inter-ocular distance, pixels
        centre = landmarks.mean(0)
        target = (landmarks - centre) / scale * [1, -1]  # [106, 2], y up
        spread = face.landmark_spread.reshape(len(landmarks), -1).max(1) / scale
        ears, seen = ear_points(identity.parsing, landmarks[EYE_CORNERS], self.ear_height * scale)
        target = np.r_[target, (ears - centre) / scale * [1, -1]]  # [112, 2]
        spread = np.r_[spread, np.full(POINTS, np.inf)]
        precision = self._prior_precision(_open_mouth(identity.parsing))
        starts = [
            self._solve(target, spread, yaw, 6, precision, pose_only=True)
            for yaw in (0.0, -0.5, 0.5)
        ]
        state, _ = min(starts, key=lambda start: start[1])
        state, _ = self._solve(target, spread, 0.0, 14, precision, state=state)
        spread[len(landmarks) :][seen] = 0
        state, _ = self._solve(target, spread, 0.0, 8, precision, state=state)
        fit = self._head_fit(
            state, np.r_[landmarks, ears[seen]], seen, centre, scale, identity.photo.size
        )
        size, middle = identity.photo.size, self._landmarks_at(fit.vertices, state[0])[BROWS[0] :]
        seen_by = (identity.parsing, size)
        sides = outline_correction(fit, self.template, middle, landmarks, *seen_by)
        fit = self.template.moved(fit, sides)
        skin = self.template.skin_vertex
        outline = cranium_correction(fit, skin, *seen_by)
        outline += neck_correction(fit, self.template.mean, skin, *seen_by)
        residual = fit.residual + outline
        fit = replace(
            fit,
            residual=residual,
            vertices=fit.vertices + outline,
            neutral=self.template.neutral(fit.identity, residual),
        )
        return with_resting_face(self.template, fit)

    def keypoints(self, vertices: np.ndarray) -> np.ndarray:
        """ArcFace's five points on a head ``[N, 3]``: ``[5, 3]``, metres, image left first."""
        points = self._landmarks_at(vertices, 0.0)
        eyes = points[RIGHT_EYE].mean(0), points[LEFT_EYE].mean(0)
        return np.stack([*eyes, points[NOSE_TIP], *points[list(MOUTH_CORNERS)]])

    def _problem(self, yaw: float) -> _Problem:
        """Interpolate the correspondences at ``yaw`` (radians, this module's sign)."""
        low, share = self._bin(yaw)

        def mix(values, axis):
            below, above = np.take(values, low, axis), np.take(values, low + 1, axis)
            return below * (1 - share) + above * share

        return _Problem(
            mix(self._mean, 0),
            mix(self._identity, 1),
            mix(self._actions, 1),
            mix(self.template.landmark_sigma, 0),
        )

    def _bin(self, yaw: float) -> tuple[int, float]:
        """Index of the yaw bin below and the share of the next one; ``yaw`` in radians."""
        yaws = self.template.landmark_yaw
        position = np.interp(np.degrees(yaw), yaws, np.arange(len(yaws)))
        low = int(min(position, len(yaws) - 1.001))
        return low, float(position - low)

    def _solve(self, target, spread, yaw, steps, precision, *, state=None, pose_only=False):
        """Gauss-Newton; state = pitch-yaw-roll angles, shift, log focal, identity, actions.

        Returns:
            The state and its cost.
        """
        count_identity, count_actions = len(self._identity), len(self._actions)
        first_action = 6 + count_identity
        if state is None:
            state = np.zeros(first_action + count_actions)
            state[0] = yaw
            state[5] = np.log(CAMERA_DISTANCE / self.eye_distance)
        state = state.copy()
        damping = 1e-3
        for _ in range(steps):
            problem = self._problem(state[0])
            residual, jacobian = self._linearise(problem, state, target)
            noise = np.sqrt(problem.sigma**2 + 0.02**2) * LANDMARK_NOISE
            sigma = np.hypot(np.r_[noise, np.full(POINTS, EAR_NOISE)], spread)
            error = np.linalg.norm(residual, axis=1) / sigma
            scale = (1 / np.sqrt(1 + (error / 2.5) ** 2) / sigma)[:, None]  # [112, 1]
            weighted = (jacobian * scale[..., None]).reshape(-1, len(state))  # [224, D]
            right = (residual * scale).ravel()
            hessian = weighted.T @ weighted + precision
            gradient = weighted.T @ right + precision @ state
            active = np.ones(len(state), bool)
            if pose_only:
                active[6:] = False
            actions, slope = state[first_action:], gradient[first_action:]
            held = ((actions <= 0) & (slope > 0)) | ((actions >= 1.1) & (slope < 0))
            active[first_action:] &= ~held
            free = np.flatnonzero(active)
            block = hessian[np.ix_(free, free)]
            block[np.diag_indices_from(block)] *= 1 + damping
            change = -np.linalg.solve(block, gradient[free])
            change[free < 3] = np.clip(change[free < 3], -0.4, 0.4)
            state[free] += change
            state[first_action:] = np.clip(state[first_action:], 0, 1.1)
            state[0] = np.clip(state[0], -1.2, 1.2)
            state[1] = np.clip(state[1], -0.8, 0.8)
        return state, float((right**2).sum() + state @ precision @ state)

    def _prior_precision(self, open_mouth: float) -> np.ndarray:
        """Inverse covariance of the priors, ``[D, D]``; left and right actions are tied.

        ``open_mouth`` in [0, 1] loosens the actions of the mouth.
        """
        count_identity = len(self._identity)
        diagonal = np.zeros(6 + count_identity + len(self._actions))
        diagonal[1] = 0.44  # a weak pull of the pitch to level
        diagonal[6 : 6 + count_identity] = IDENTITY_WEIGHT
        loosened = 1 - (1 - OPEN_MOUTH_WEIGHT) * open_mouth * self.of_mouth
        diagonal[6 + count_identity :] = ACTION_WEIGHT * loosened / self.action_sigma**2
        precision = np.diag(diagonal)
        tie = ACTION_WEIGHT / 0.15**2
        for left, right in self.ties + 6 + count_identity:
            precision[left, left] += tie
            precision[right, right] += tie
            precision[left, right] -= tie
            precision[right, left] -= tie
        return precision

    def _linearise(self, problem: _Problem, state, target):
        """Residual ``[112, 2]`` and Jacobian ``[112, 2, D]`` in inter-ocular units."""
        count_identity = len(self._identity)
        coefficients, actions = state[6 : 6 + count_identity], state[6 + count_identity :]
        points = (
            problem.mean
            + np.tensordot(coefficients, problem.identity, 1)
            + np.tensordot(actions, problem.actions, 1)
        )  # [112, 3]
        rotation, derivatives = _rotation(*state[:3])
        seen = points @ rotation.T
        inverse = 1 / (CAMERA_DISTANCE - seen[:, 2])  # [112]
        focal = np.exp(state[5])

        def projected(change):  # [..., 106, 3] -> [..., 106, 2]
            depth = seen[:, :2] * (change[..., 2:] * inverse[:, None] ** 2)
            return focal * (change[..., :2] * inverse[:, None] + depth)

        image = focal * seen[:, :2] * inverse[:, None]
        jacobian = np.zeros((len(points), 2, len(state)))
        for axis, derivative in enumerate(derivatives):
            jacobian[:, :, axis] = projected(points @ derivative.T)
        jacobian[:, 0, 3] = jacobian[:, 1, 4] = 1
        jacobian[:, :, 5] = image
        bases = np.concatenate([problem.identity, problem.actions])  # [K + A', 112, 3]
        jacobian[:, :, 6:] = projected(bases @ rotation.T).transpose(1, 2, 0)
        return image + state[3:5] - target, jacobian

    def _head_fit(self, state, landmarks, ears, centre, scale, size) -> HeadFit:
        """Turn the solver's state into a HeadFit, with the residual warp.

        ``landmarks`` ends with those points of the ears that ``ears [6]`` says are there.
        """
        count_identity = len(self._identity)
        coefficients = state[6 : 6 + count_identity].astype(np.float32)
        actions = np.zeros(len(self.template.action_names), np.float32)
        actions[self.used_actions] = state[6 + count_identity :]
        rotation, _ = _rotation(*state[:3])
        camera = photo_camera(
            rotation,
            np.array([0, 0, -CAMERA_DISTANCE]),
            float(np.exp(state[5]) * scale),
            (state[3] * scale + centre[0], -state[4] * scale + centre[1]),
            *size,
        )
        linear = self.template.pose(coefficients, actions, None)
        points = np.r_[self._landmarks_at(linear, state[0]), self._ears[ears] @ linear]
        pixels = camera.pixels(points, *size)[:, :2]
        squared = ((pixels - landmarks) ** 2).sum(1)[:EAR_TOP]
        error = float(np.sqrt(squared.mean()) / scale)
        residual = self._residual_warp(linear, points, pixels, landmarks, camera, size)
        return HeadFit(
            camera=camera,
            yaw=float(-np.degrees(state[0])),
            pitch=float(np.degrees(state[1])),
            roll=float(np.degrees(state[2])),
            identity=coefficients,
            actions=actions,
            residual=residual,
            vertices=linear + residual,
            neutral=self.template.neutral(coefficients, residual),
            landmark_error=100 * error,
        )

    def _landmarks_at(self, vertices: np.ndarray, yaw: float) -> np.ndarray:
        """The 106 surface points of ``vertices [N, 3]`` that the detector would find at ``yaw``."""
        low, share = self._bin(yaw)
        index, weight = self.template.landmark_vertices, self.template.landmark_weights
        below, above = ((vertices[index[i]] * weight[i][..., None]).sum(-2) for i in (low, low + 1))
        return below * (1 - share) + above * share

    def _residual_warp(self, vertices, points, pixels, landmarks, camera, size) -> np.ndarray:
        """Displacement ``[N, 3]`` that moves the landmarks where they were detected.

        Kernel ridge regression with two Gaussians; contour points that slide along the hair, and
        the pupils, hardly count. Points after the landmarks are the ears'.
        """
        width, _ = size
        focal = camera.projection[0, 0] * width / 2  # pixels
        depth = camera.pixels(points, *size)[:, 2]  # [L]
        offset = (landmarks - pixels) * [1, -1] * (depth / focal)[:, None]  # metres, image plane
        offset = np.c_[offset, np.zeros(len(offset))] @ camera.world_to_camera[:3, :3]
        length = np.linalg.norm(offset, axis=1, keepdims=True)
        offset *= np.minimum(1, 0.012 / (length + 1e-9))
        trust = np.ones(len(points))
        trust[CONTOUR] = trust[EAR_TOP:] = 0.35
        trust[[0, 1, 9, 10, 11, 12, 17, 25, 26, 27, 28]] = 0.1
        trust[[34, 38, 88, 92]] = 0.05
        kernel = _kernel(points, points) + np.diag(0.35 / trust)
        solution = np.linalg.solve(kernel, offset)
        residual = np.zeros_like(vertices)
        near = np.linalg.norm(vertices - points[:EAR_TOP].mean(0), axis=1) < 0.19
        residual[near] = _kernel(vertices[near], points) @ solution
        return residual.astype(np.float32)


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sum of a wide and a narrow Gaussian of the distance, ``[len(a), len(b)]``."""
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    wide, narrow = 0.028, 0.0112  # metres
    return 0.7 * np.exp(-squared / (2 * wide**2)) + 0.3 * np.exp(-squared / (2 * narrow**2))


def _open_mouth(parsing: FaceParsing) -> float:
    """0 for closed lips, 1 where the photo clearly shows teeth or the inside of the mouth."""
    interior = float(parsing.probabilities[MOUTH_INTERIOR].sum())
    lips = float(parsing.probabilities[list(LIPS)].sum())
    return float(np.clip((interior / max(lips, 1.0) - 0.05) / 0.2, 0, 1))


def _action_sigma(name: str) -> float:
    """Prior standard deviation of an action's weight."""
    if name.startswith(WEAK):
        return 0.06
    if name.startswith(MEDIUM):
        return 0.2
    return 0.35 if name.startswith(STRONG) else 0.12


def _left_right_pairs(names: list[str]) -> np.ndarray:
    """Index pairs of actions that differ only in their side, int ``[M, 2]``."""
    pairs = []
    for i, name in enumerate(names):
        other = name[:-4] + "Right"
        if name.endswith("Left") and other in names and name not in ("jawLeft", "mouthLeft"):
            pairs.append((i, names.index(other)))
    return np.array(pairs, int).reshape(-1, 2)


def _rotation(yaw: float, pitch: float, roll: float):
    """World to camera ``Rz Rx Ry`` and its derivatives by yaw, pitch, roll (radians).

    Positive yaw turns the nose to the image's right (the opposite of the orbit camera's yaw).
    """
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rx = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    rz = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    dry = np.array([[-sy, 0, cy], [0, 0, 0], [-cy, 0, -sy]])
    drx = np.array([[0, 0, 0], [0, -sp, -cp], [0, cp, -sp]])
    drz = np.array([[-sr, -cr, 0], [cr, -sr, 0], [0, 0, 0]])
    return rz @ rx @ ry, (rz @ rx @ dry, rz @ drx @ ry, drz @ rx @ ry)
