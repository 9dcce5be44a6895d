"""Stage 0: everything that a photo says about the person, in one call."""

from ..config import PipelineConfig
from ..structures import DetectedFace, Identity, Photo
from . import face_quality
from .demographics import Demographics
from .exposure import well_exposed
from .face_analysis import FaceAnalysis
from .face_parsing import FaceParser


class IdentityAnalyser:
    """Holds the networks of stage 0.

    Args:
        config: ``face_models`` and ``face_index`` are used.

    Raises:
        WeightsError: a weight file is missing or altered.
    """

    def __init__(self, config: PipelineConfig | None = None):
        self.config = config or PipelineConfig()
        self.face_analysis = FaceAnalysis(self.config.face_models)
        self.face_parser = FaceParser()
        self.demographics = Demographics()

    def __call__(self, photo: Photo, face_index: int | None = None) -> Identity:
        """Detect, choose, check and describe the face.

        Args:
            photo: decoded photo.
            face_index: which face, 0 = leftmost; None uses ``config.face_index``.

        Raises:
            FaceError: no face, several, or one that cannot be used.
            OptionError: no face has this index.
        """
        face, _ = self.find(photo, face_index)
        parsing = self.face_parser.parse(photo, face)
        face_quality.check_occlusion(photo, face, parsing)
        embedding = self.face_analysis.embedding(photo, face)
        age, gender = self.demographics.estimate(photo, face)
        return Identity(well_exposed(photo, parsing), face, embedding, parsing, age, gender)

    def find(
        self, photo: Photo, face_index: int | None = None
    ) -> tuple[DetectedFace, list[DetectedFace]]:
        """Detect, choose and check the face only; returns it and all faces from left to right.

        Arguments and errors as for the whole analysis, except for covered faces.
        """
        index = self.config.face_index if face_index is None else face_index
        faces = self.face_analysis.faces(photo)
        return self.face_analysis.choose(photo, faces, index), faces
