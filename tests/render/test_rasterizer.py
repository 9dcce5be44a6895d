"""CPU rasterizer: parity with the slow twin, exact cases, gradients and finite differences."""

import numpy as np
import pytest
import torch

from id2head_core.camera import orbit_camera
from id2head_core.render.cpu_rasterizer import CpuRasterizer
from id2head_core.render.rasterizer import AlphaTest, create_rasterizer
from id2head_core.render.reference_rasterizer import ReferenceRasterizer
from id2head_core.render.silhouettes import mesh_edges

SIZE = 28


def _scene(seed=0, count=14):
    """Random overlapping triangles in front of a camera, and a closed octahedron."""
    generator = np.random.default_rng(seed)
    loose = generator.uniform(-0.1, 0.1, (count * 3, 3))
    octahedron = 0.07 * np.array(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0, -1, 0], [0, 0, -1]], float
    )
    sides = np.array(
        [[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]]
    )
    vertices = np.concatenate([octahedron, loose + (0, 0, -0.15)]).astype(np.float32)
    faces = np.concatenate([sides, 6 + np.arange(count * 3).reshape(-1, 3)])
    clip = orbit_camera(25, 12, distance=0.7, fov_y=25).clip_positions(vertices)
    return torch.from_numpy(clip), torch.from_numpy(faces.astype(np.int32))


def _square(side=0.1, shift=0.0, dtype=torch.float32):
    """Clip positions of an axis-aligned square at depth 1 (w = 1), and its two faces."""
    corners = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]], dtype=dtype) * side
    corners = corners + torch.tensor([shift, 0.0], dtype=dtype)
    clip = torch.cat([corners, torch.zeros(4, 1), torch.ones(4, 1)], 1).to(dtype)
    return clip, torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)


@pytest.mark.parametrize("seed", range(3))
def test_matches_the_reference(seed):
    clip, faces = _scene(seed)
    fast = CpuRasterizer().rasterize(clip, faces, SIZE, SIZE + 5)
    slow = ReferenceRasterizer().rasterize(clip, faces, SIZE, SIZE + 5)
    same = fast.face_index == slow.face_index
    assert (~same).sum() <= 3  # centres within 1/256 pixel of an edge may differ
    assert fast.mask.float().mean() > 0.1
    assert torch.allclose(fast.barycentric[same], slow.barycentric[same], atol=2e-4)
    covered = same & fast.mask
    assert torch.allclose(fast.depth[covered], slow.depth[covered], rtol=1e-4)
    assert torch.isinf(fast.depth[~fast.mask]).all()


def test_interpolation_and_antialiasing_match_the_reference():
    clip, faces = _scene(3)
    fast, slow = CpuRasterizer(), ReferenceRasterizer()
    fragments = fast.rasterize(clip, faces, SIZE, SIZE)
    attributes = torch.rand(len(clip), 4, generator=torch.Generator().manual_seed(0))
    image = fast.interpolate(attributes, faces, fragments)
    assert torch.allclose(image, slow.interpolate(attributes, faces, fragments), atol=1e-5)
    smooth = fast.antialias(image, fragments, clip, faces)
    assert (smooth - image).abs().max() > 0.1
    assert torch.allclose(smooth, slow.antialias(image, fragments, clip, faces), atol=1e-3)


@pytest.mark.parametrize("dither", [False, True])
def test_alpha_test_matches_the_reference(dither):
    clip, faces = _scene(4)
    generator = np.random.default_rng(0)
    alpha = generator.uniform(0, 1, (8, 6)).astype(np.float32)
    test = AlphaTest(
        uv=generator.uniform(-0.5, 1.5, (len(clip), 2)).astype(np.float32),
        textures=(alpha, 1 - alpha),
        face_texture=(np.arange(len(faces)) % 3 - 1).astype(np.int32),
        dither=dither,
    )
    fast = CpuRasterizer().rasterize(clip, faces, SIZE, SIZE, test)
    slow = ReferenceRasterizer().rasterize(clip, faces, SIZE, SIZE, test)
    opaque = CpuRasterizer().rasterize(clip, faces, SIZE, SIZE)
    assert (fast.face_index != slow.face_index).sum() <= 5
    assert (fast.face_index != opaque.face_index).sum() > 30


def test_what_is_behind_a_hole_shows():
    front, faces = _square(0.8)
    back = front.clone()
    back[:, 2:] *= 2.0
    back[:, :2] *= 2.0
    clip = torch.cat([front, back])
    faces = torch.cat([faces, faces + 4])
    hole = AlphaTest(
        uv=np.zeros((8, 2), np.float32),
        textures=(np.zeros((2, 2), np.float32),),
        face_texture=np.array([0, 0, -1, -1], np.int32),
    )
    seen = CpuRasterizer().rasterize(clip, faces, 16, 16, hole)
    assert set(seen.face_index.unique().tolist()) == {-1, 2, 3}
    assert torch.allclose(seen.depth[seen.mask], torch.tensor(2.0))


def test_shared_edges_leave_no_cracks():
    """A fan around a vertex covers its polygon without holes at any sub-pixel position."""
    generator = np.random.default_rng(1)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    for _ in range(5):
        middle = generator.uniform(-0.2, 0.2, 2)
        rim = 0.9 * np.stack([np.cos(angle), np.sin(angle)], 1)
        points = np.concatenate([middle[None], rim])
        clip = np.concatenate([points, np.zeros((41, 1)), np.ones((41, 1))], 1)
        ring = np.arange(40)
        faces = np.stack([np.zeros(40, int), 1 + ring, 1 + (ring + 1) % 40], 1)
        seen = CpuRasterizer().rasterize(
            torch.from_numpy(clip.astype(np.float32)), torch.from_numpy(faces), 101, 101
        )
        row, column = np.mgrid[:101, :101] + 0.5
        inside = np.hypot(column / 50.5 - 1, row / 50.5 - 1) < 0.9 * np.cos(np.pi / 40) - 0.01
        assert seen.mask.numpy()[inside].all()


def test_row_zero_is_on_top_and_columns_run_right():
    clip, faces = _square(0.25)
    clip[:, 0] += 0.5
    clip[:, 1] += 0.5
    mask = CpuRasterizer().rasterize(clip, faces, 8, 8).mask
    rows, columns = mask.nonzero().T
    assert (rows.min(), rows.max()) == (1, 2)
    assert (columns.min(), columns.max()) == (5, 6)


def test_faces_at_or_behind_the_camera_and_empty_meshes_draw_nothing():
    clip, faces = _square()
    clip[0, 3] = -1.0
    cpu = CpuRasterizer()
    seen = cpu.rasterize(clip, faces, 8, 8)
    assert not seen.mask.any()
    none = cpu.rasterize(torch.zeros(0, 4), torch.zeros(0, 3, dtype=torch.int32), 8, 8)
    image = cpu.interpolate(torch.zeros(0, 2), torch.zeros(0, 3, dtype=torch.int32), none)
    assert not none.mask.any() and image.shape == (8, 8, 2)


def test_interpolation_gradcheck():
    clip, faces = _scene(5, count=3)
    cpu = CpuRasterizer()
    clip = clip.double().requires_grad_()
    attributes = torch.rand(len(clip), 2, dtype=torch.float64, requires_grad=True)

    def drawn(clip, attributes):
        fragments = cpu.rasterize(clip, faces, 9, 9)
        return cpu.interpolate(attributes, faces, fragments)

    assert torch.autograd.gradcheck(drawn, (clip, attributes), eps=1e-7, atol=1e-4)


def test_antialiased_square_has_the_exact_area():
    for side in (0.31, 0.4, 0.4375, 0.52):
        clip, faces = _square(side)
        cpu = CpuRasterizer()
        fragments = cpu.rasterize(clip, faces, 64, 64)
        mask = cpu.antialias(fragments.mask.float()[..., None], fragments, clip, faces)
        assert mask.sum().item() == pytest.approx((2 * side * 32) ** 2, rel=0.01)


@pytest.mark.parametrize("shape", ["square", "sphere"])
def test_silhouette_gradient_equals_finite_differences(shape):
    """d/d(shift) and d/d(scale) of a weighted mask, analytically and by differences."""
    if shape == "square":
        base, faces = _square(0.4, dtype=torch.float64)
        base = base + torch.tensor([0.013, 0.017, 0, 0], dtype=torch.float64)
    else:
        import trimesh

        ball = trimesh.creation.icosphere(subdivisions=4, radius=0.08)
        clip = orbit_camera(33, 7, distance=0.7, fov_y=18).clip_positions(ball.vertices)
        base = torch.from_numpy(clip).double()
        faces = torch.from_numpy(ball.faces.astype(np.int32))
    ramp = torch.linspace(0.2, 1.0, 64, dtype=torch.float64)[None, :]  # left dark, right bright
    cpu = CpuRasterizer()

    def measure(shift, scale):
        offset = torch.stack([shift, shift * 0, shift * 0, shift * 0])
        stretch = torch.stack([scale, scale, scale * 0 + 1, scale * 0 + 1])
        clip = base * stretch + offset * base[:, 3:]
        fragments = cpu.rasterize(clip, faces, 64, 64)
        mask = cpu.antialias(fragments.mask.double()[..., None], fragments, clip, faces)
        return (mask[..., 0] * ramp).sum()

    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    shift, scale = zero.clone().requires_grad_(), one.clone().requires_grad_()
    measure(shift, scale).backward()
    step = 0.03  # about a pixel: averages the kinks of single pixels
    by_shift = (measure(zero + step, one) - measure(zero - step, one)) / (2 * step)
    by_scale = (measure(zero, one + step) - measure(zero, one - step)) / (2 * step)
    assert shift.grad.item() == pytest.approx(by_shift.item(), rel=0.05)
    assert scale.grad.item() == pytest.approx(by_scale.item(), rel=0.05)


def test_inner_edges_are_not_silhouettes():
    clip, faces = _square(0.7)
    cpu = CpuRasterizer()
    fragments = cpu.rasterize(clip, faces, 20, 20)
    image = torch.where(fragments.face_index == 0, 1.0, 0.0)[..., None]
    inner = (slice(5, 15), slice(5, 15))
    smooth = cpu.antialias(image, fragments, clip, faces)
    assert torch.equal(smooth[inner], image[inner])


def test_mesh_edges():
    edges = mesh_edges(torch.tensor([[0, 1, 2], [2, 1, 3]]))
    found = {
        tuple(e): tuple(t) for e, t in zip(edges.ends.tolist(), edges.thirds.tolist(), strict=True)
    }
    assert found == {
        (0, 1): (2, -1),
        (1, 2): (0, 3),
        (0, 2): (1, -1),
        (2, 3): (1, -1),
        (1, 3): (2, -1),
    }


def test_topology_follows_the_faces():
    """The remembered topology must not outlive its faces."""
    used, fresh = CpuRasterizer(), CpuRasterizer()
    square, square_faces = _square(0.41)
    fragments = used.rasterize(square, square_faces, SIZE, SIZE)
    used.antialias(fragments.mask.float()[..., None], fragments, square, square_faces)
    clip, faces = _scene(3)
    fragments = used.rasterize(clip, faces, SIZE, SIZE)
    image = fragments.mask.float()[..., None]
    again = used.antialias(image, fragments, clip, faces)
    assert torch.equal(again, fresh.antialias(image, fragments, clip, faces))
    assert not torch.equal(again, image)


def test_factory():
    assert isinstance(create_rasterizer("cpu"), CpuRasterizer)


@pytest.mark.gpu
def test_nvdiffrast_matches_the_cpu_backend():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    pytest.importorskip("nvdiffrast.torch", reason="nvdiffrast is not installed")
    clip, faces = _scene(0)
    gpu, cpu = create_rasterizer("cuda"), CpuRasterizer()
    attributes = torch.rand(len(clip), 4, generator=torch.Generator().manual_seed(0))
    ours = cpu.rasterize(clip, faces, 64, 64)
    theirs = gpu.rasterize(clip.cuda(), faces.cuda(), 64, 64)
    assert (ours.face_index != theirs.face_index.cpu()).float().mean() < 0.01
    image = cpu.interpolate(attributes, faces, ours)
    other = gpu.interpolate(attributes.cuda(), faces.cuda(), theirs).cpu()
    assert (image - other).abs().mean() < 0.01
    smooth = cpu.antialias(image, ours, clip, faces)
    other = gpu.antialias(other.cuda(), theirs, clip.cuda(), faces.cuda()).cpu()
    assert (smooth - other).abs().mean() < 0.02
