"""The empirical neural tangent kernel of 64 inputs, J Jᵀ of 640 outputs by 111,810 parameters: factored, or by J."""

from __future__ import annotations

from typing import Any

from ..data import fill, library, uniform
from ..row import Peer, Row, Step

INPUTS = 64


def model_of(lib: Any) -> Any:
    nn = lib.nn
    model = nn.Sequential(
        nn.Linear(784, 100), nn.ReLU(),
        nn.Linear(100, 300), nn.ReLU(),
        nn.Linear(300, 10),
    )  # fmt: skip
    fill(model, lib)
    return model, lib.from_numpy(uniform(INPUTS, 784))


def factored() -> Step:
    """The Jacobian as a chain of structured ones, which is never written out."""
    lib = library("tinygrad_jac")
    model, x = model_of(lib)
    parameters = dict(model.named_parameters())

    def step() -> Any:
        J = lib.jacobians.chain(model(x), parameters)
        return float((J @ J.T)[3].sum())

    return step


def contracted() -> Step:
    """As PyTorch's tutorial on neural tangent kernels does it: the Jacobian of each sample, and a contraction."""
    torch = library("torch")
    model, x = model_of(torch)
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def logits(parameters: Any, x: Any) -> Any:
        return torch.func.functional_call(model, parameters, (x,))

    jacobian = torch.func.vmap(torch.func.jacrev(logits), (None, 0))

    def step() -> Any:
        blocks = [block.flatten(2) for block in jacobian(parameters, x).values()]
        kernel = sum(torch.einsum("naf,mbf->namb", block, block) for block in blocks)
        return kernel.reshape(10 * INPUTS, -1)[3].sum().item()

    return step


ROWS = [
    Row(
        "kernel",
        f"neural tangent kernel of {INPUTS} inputs, 784-100-300-10",
        factored,
        [Peer("torch.func vmap(jacrev)", contracted, 0.05)],
        tolerance=1e-3,  # a sum of products of float32, which cancel
    )
]
