"""Every error that a user can cause or meet, with one base class that the UI and the CLI catch.

A message says the fact, the value that was seen, and what to do about it.
"""


class ID2HeadError(Exception):
    """Base of all errors whose text is meant for the user."""


class PhotoError(ID2HeadError):
    """The file is not a photo that we can read (format, size, damage)."""


class FaceError(ID2HeadError):
    """The photo was read, but its face cannot be used."""


class NoFaceError(FaceError):
    """No face was found."""


class SeveralFacesError(FaceError):
    """Several faces of comparable size: the visitor has to choose.

    Attributes:
        boxes: list of ``(left, top, right, bottom)`` in photo pixels, left to right.
    """

    def __init__(self, message: str, boxes: list[tuple[float, float, float, float]]):
        super().__init__(message)
        self.boxes = boxes


class FaceTooSmallError(FaceError):
    """The face has too few pixels."""


class FaceProfileError(FaceError):
    """The face is turned too far from the camera."""


class FaceOccludedError(FaceError):
    """Too much of the face is covered."""


class FaceBlurredError(FaceError):
    """The face is too blurred."""


class WeightsError(ID2HeadError):
    """A file of ``weights/`` is missing or altered."""


class GeometryError(ID2HeadError):
    """A mesh that must never leave the pipeline: empty, torn or not finite."""


class OptionError(ID2HeadError):
    """An option of the CLI, the API or the UI is out of range."""


class GuidanceError(ID2HeadError):
    """The 2D prior was asked for something that it cannot do, or does not fit together."""


class BusyError(ID2HeadError):
    """More visitors wait for a head than the app takes."""


class EditError(ID2HeadError):
    """A text edit that cannot be made: its wish is unknown, or the head was not kept."""
