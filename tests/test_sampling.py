"""Images sampled on a grid: by hand, against differences, and against PyTorch."""

from __future__ import annotations

import kit
import numpy as np
import pytest

import tinygrad_jac as tj
import tinygrad_jac.nn.functional as F

IMAGE = kit.randn(2, 3, 4, 5)
PLACES = kit.rng(1).uniform(-1.6, 1.6, (2, 3, 2, 2))  # some outside
SHEAR = np.array([[[0.9, 0.2, 0.1], [-0.3, 1.2, 0.0]], [[1.0, 0.0, 0.7], [0.1, 0.8, -0.4]]])


@pytest.mark.parametrize("align_corners", [True, False])
def test_the_identity_leaves_an_image_as_it_is(align_corners):
    theta = np.broadcast_to(np.eye(2, 3), (2, 2, 3))
    grid = F.affine_grid(tj.tensor(theta), IMAGE.shape, align_corners)
    for mode in ("bilinear", "nearest"):
        found = F.grid_sample(tj.tensor(IMAGE), grid, mode, align_corners=align_corners)
        np.testing.assert_allclose(found, IMAGE, rtol=1e-13, atol=1e-13)


def test_by_hand():
    image = tj.tensor([[[[1.0, 2.0], [3.0, 5.0]]]])

    def at(x, y, **options):
        return F.grid_sample(image, tj.tensor([[[[x, y]]]]), **options).item()

    assert at(0.0, 0.0) == 2.75
    assert at(-0.5, -0.5) == 1.0
    assert at(-1.0, -0.5) == 0.5  # half of it lies outside
    assert at(-1.0, -0.5, padding_mode="border") == 1.0
    assert at(-1.0, -1.0, align_corners=True) == 1.0
    assert at(0.0, 1.0, align_corners=True) == 4.0
    assert at(0.4, -0.1, mode="nearest") == 2.0
    assert at(7.0, 0.0) == at(-1e30, 0.0) == 0.0
    assert at(1e30, 1e30, padding_mode="border") == 5.0


def test_volumes_by_hand():
    x = tj.arange(8.0).reshape(1, 1, 2, 2, 2)
    grid = tj.tensor([[[[[0.0, 0.0, 0.0], [0.5, -0.5, -0.5], [-0.5, -0.5, 0.5]]]]])
    assert F.grid_sample(x, grid).flatten().tolist() == [3.5, 1.0, 4.0]


@pytest.mark.parametrize("padding_mode", ["zeros", "border"])
def test_differentiated(padding_mode):
    small = IMAGE[:1, :2, :3, :3]
    kit.check(
        lambda x, g: F.grid_sample(x, g, padding_mode=padding_mode), small, PLACES[:1], step=1e-3, rtol=1e-7
    )  # the steps must stay between two pixels
    kit.check(lambda t: F.affine_grid(t, (2, 1, 2, 3)), SHEAR)


@pytest.mark.peers
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("padding_mode", ["zeros", "border"])
@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("n", [2, 3])
def test_as_in_pytorch(mode, padding_mode, align_corners, n):
    torch = pytest.importorskip("torch")
    x = kit.randn(2, 3, 4, 5, 6)[..., 0] if n == 2 else kit.randn(2, 3, 4, 5, 6)
    theta = kit.randn(2, n, n + 1, seed=3)
    size = (2, 3, 5, 4, 3)[: n + 2]

    def of(functional):
        def sampled(x, theta):
            grid = functional.affine_grid(theta, size, align_corners=align_corners)
            return functional.grid_sample(x, grid, mode, padding_mode, align_corners)

        return sampled

    kit.compare_with_torch(of(F), of(torch.nn.functional), x, theta, rtol=1e-12)


def test_what_does_not_fit():
    x = tj.tensor(IMAGE)
    with pytest.raises(tj.ShapeError, match=r"a grid of shape \(2, 3, 2, 3\) do not fit"):
        F.grid_sample(x, tj.zeros(2, 3, 2, 3))
    with pytest.raises(tj.ShapeError, match="do not fit"):
        F.grid_sample(x, tj.zeros(1, 3, 2, 2))
    with pytest.raises(ValueError, match="not mode='bicubic'"):
        F.grid_sample(x, tj.tensor(PLACES), mode="bicubic")
    with pytest.raises(ValueError, match="padding_mode='reflection'"):
        F.grid_sample(x, tj.tensor(PLACES), padding_mode="reflection")
    with pytest.raises(tj.ShapeError, match=r"theta of shape \(2, 2, 3\) does not fit the size \(1, 1, 4, 5\)"):
        F.affine_grid(tj.tensor(SHEAR), (1, 1, 4, 5))


def test_at_the_border_itself_the_gradient_is_pytorchs():
    grid = tj.tensor([[[[-1.0, 0.0], [0.5, 0.0], [1.0, 1.0], [2.0, 0.0]]]], requires_grad=True)
    image = tj.arange(9.0).reshape(1, 1, 3, 3)
    F.grid_sample(image, grid, padding_mode="border", align_corners=True).sum().backward()
    # Pixels lie one unit apart in the grid: x moves the value by 1, y by 3.
    np.testing.assert_allclose(grid.grad[0, 0], [[0, 3], [1, 3], [0, 0], [0, 3]], atol=1e-6)
