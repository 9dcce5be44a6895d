"""ID2Head: a selfie in, a textured and expressive 3D head of that person out."""

__version__ = "0.1.0"
