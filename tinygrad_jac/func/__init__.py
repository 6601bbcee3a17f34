"""Functions of tensors, turned into other functions: gradients, Jacobians, products with them, batches.

The names, arguments and results are those of ``torch.func``. Transforms nest: the gradient of a gradient, the forward
derivative of a Jacobian, and so on to any order.
"""

from .batching import vmap
from .modules import functional_call
from .transforms import (
    grad,
    grad_and_value,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    per_sample_grad,
    value_and_grad,
    vjp,
)

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "hvp",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "per_sample_grad",
    "value_and_grad",
    "vjp",
    "vmap",
]
