import numpy as np
import onnxruntime
import pytest
import torch

from id2head_core import weights
from id2head_core.identity.arcface import ArcFace, similarity_from


@pytest.fixture(scope="module")
def arcface():
    return ArcFace.load()


def tensor(pixels):
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def test_parity_with_onnxruntime(arcface):
    session = onnxruntime.InferenceSession(
        str(weights.path("face/w600k_mbf.onnx")), providers=["CPUExecutionProvider"]
    )
    x = np.random.default_rng(0).normal(size=(3, 3, 112, 112)).astype(np.float32) * 0.5
    (theirs,) = session.run(None, {session.get_inputs()[0].name: x})
    ours = arcface.network(torch.from_numpy(x)).numpy()
    assert np.abs(ours - theirs).max() <= 1e-4
    assert np.abs(theirs).max() > 0.5


def test_same_crop_gives_the_photos_embedding(arcface, analyser, people):
    for name, person in people.items():
        aligned = analyser.face_analysis.aligned(person.photo, person.face)
        embedding = arcface.embed(tensor(aligned))[0].numpy()
        assert embedding @ person.identity.embedding > 0.9999, name
        assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)


def test_alignment_agrees_with_insightfaces(arcface, analyser, people):
    for name, person in people.items():
        image, keypoints = tensor(person.photo.pixels), torch.from_numpy(person.face.keypoints)
        aligned = arcface.align(image, keypoints[None])  # [1, 3, 112, 112]
        theirs = tensor(analyser.face_analysis.aligned(person.photo, person.face))
        assert (aligned - theirs).abs().mean() < 0.004, name
        assert arcface.embed(aligned)[0].numpy() @ person.identity.embedding > 0.999, name


def test_similarity_is_exact_for_similar_points():
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(2, 5, 2, generator=generator, dtype=torch.float64)
    linear = torch.tensor([[[1.2, -0.5], [0.5, 1.2]], [[-0.3, 0.1], [-0.1, -0.3]]]).double()
    offset = torch.tensor([[3.0, 4.0], [-1.0, 0.5]]).double()
    target = torch.einsum("bij,bnj->bni", linear, source) + offset[:, None]
    found_linear, found_offset = similarity_from(source, target)
    torch.testing.assert_close(found_linear, linear)
    torch.testing.assert_close(found_offset, offset)


def test_alignment_gradients():
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(1, 5, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    source = torch.randn(1, 5, 2, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda p: similarity_from(source, p), points)


def test_gradient_to_the_image(arcface, people):
    """A step along the gradient brings the face nearer to another person."""
    person, other = people["person_1"], people["person_2"]
    keypoints = torch.from_numpy(person.face.keypoints)[None]
    target = torch.from_numpy(other.identity.embedding)
    image = tensor(person.photo.pixels).requires_grad_()

    def cosine(x):
        return arcface.embed(arcface.align(x, keypoints))[0] @ target

    before = cosine(image)
    before.backward()
    assert all(p.grad is None for p in arcface.network.parameters())
    stepped = (image + 0.02 * image.grad.sign()).detach()
    assert cosine(stepped) > before + 0.2


def test_keypoints_have_a_gradient(arcface, people):
    person = people["person_3"]
    keypoints = torch.from_numpy(person.face.keypoints)[None].requires_grad_()
    arcface.align(tensor(person.photo.pixels), keypoints).square().mean().backward()
    assert torch.isfinite(keypoints.grad).all() and keypoints.grad.abs().max() > 0
