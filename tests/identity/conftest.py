"""The networks of stage 0, loaded once, and a brush that covers faces."""

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from id2head_core.identity.analyse import IdentityAnalyser
from id2head_core.identity.photo import decode
from id2head_core.structures import DetectedFace, Identity, Photo


@dataclass(frozen=True)
class Selfie:
    photo: Photo
    face: DetectedFace
    identity: Identity

    def covered(self, polygon, colour) -> Photo:
        """The photo with an opaque polygon, in eye distances from between the eyes (y down)."""
        left, right = self.face.keypoints[:2]
        across = right - left
        frame = np.array([across, (-across[1], across[0])])  # rows: image right, down
        points = (left + right) / 2 + np.asarray(polygon, float) @ frame
        pixels = self.photo.pixels.copy()
        cv2.fillPoly(pixels, [points.round().astype(np.int32)], colour)
        return Photo(pixels, "JPEG")


@pytest.fixture(scope="session")
def analyser():
    return IdentityAnalyser()


@pytest.fixture(scope="session")
def people(analyser, selfies) -> dict[str, Selfie]:
    """Photo, face and identity of the example selfies."""
    out = {}
    for name, path in selfies.items():
        identity = analyser(decode(path))
        out[name] = Selfie(identity.photo, identity.face, identity)
    return out
