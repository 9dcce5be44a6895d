"""Make the example selfies of people who do not exist (offline, once).

``python -m id2head_core.training.generate_examples DATA`` with ``random_face/data`` of the unpacked
PyPI wheel ``random-face`` 2021.7.21.1 (MobileStyleGAN); needs ``openvino`` 2026.4. The faces were
chosen by eye among 530 for diversity and lack of artefacts.
"""

import argparse
from pathlib import Path

import numpy as np
import openvino
from PIL import Image

from ..weights import add, weights_root

EXAMPLES = {"person_1": (23, 82), "person_2": (11, 82), "person_3": (11, 49)}
"""Seed and number of each face in the random sequence of that seed."""

SAMPLES = 4096
"""Styles drawn per seed; their mean is the centre of the truncation."""

TRUNCATION = 0.8
"""Distance of a style from the mean style, relative to the drawn distance."""

SIZE = 768
"""Side of the pictures, pixels; the generator makes 1024."""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    core = openvino.Core()
    mapping = core.read_model(data / "MappingNetwork.xml")
    mapping.reshape({mapping.inputs[0]: [SAMPLES, 512]})
    mapping = core.compile_model(mapping, "CPU")
    synthesis = core.compile_model(core.read_model(data / "SynthesisNetwork.xml"), "CPU")
    for name, (seed, number) in EXAMPLES.items():
        codes = np.random.default_rng(seed).normal(size=(SAMPLES, 512)).astype(np.float32)
        styles = mapping({0: codes})[0]  # [SAMPLES, 512]
        mean = styles.mean(0, keepdims=True)
        style = mean + TRUNCATION * (styles[number : number + 1] - mean)
        image = synthesis({0: style})[0][0].transpose(1, 2, 0)  # [1024, 1024, 3] in [-1, 1]
        pixels = ((image * 0.5 + 0.5).clip(0, 1) * 255).astype(np.uint8)
        picture = Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.LANCZOS)
        picture.save(weights_root() / f"examples/{name}.jpg", quality=92)
        add(f"examples/{name}.jpg")


if __name__ == "__main__":
    main()
