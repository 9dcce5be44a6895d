"""ID2Head: a selfie in, a textured and expressive 3D head of that person out."""

import os

__version__ = "0.1.0"

# Idle OpenMP threads must sleep, not spin: on two cores that are shared with a browser or another
# process spinning makes PyTorch several times slower. Read once, when PyTorch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
