"""Operations of one's own with their gradients written down, checked, and put into networks."""

import numpy as np
import torch
import torch.nn as nn
from torch.autograd import Function, gradcheck
from torch.autograd.function import once_differentiable

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(33)


class LinearFunction(Function):
    @staticmethod
    def forward(ctx, input, weight, bias=None):
        ctx.save_for_backward(input, weight, bias)
        output = input.mm(weight.t())
        if bias is not None:
            output += bias.unsqueeze(0).expand_as(output)
        return output

    @staticmethod
    def backward(ctx, grad_output):
        input, weight, bias = ctx.saved_tensors
        grad_input = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_input = grad_output.mm(weight)
        if ctx.needs_input_grad[1]:
            grad_weight = grad_output.t().mm(input)
        if bias is not None and ctx.needs_input_grad[2]:
            grad_bias = grad_output.sum(0)
        return grad_input, grad_weight, grad_bias


class MulConstant(Function):
    @staticmethod
    def forward(ctx, tensor, constant):
        ctx.constant = constant
        return tensor * constant

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.constant, None


class Rounded(Function):
    """Straight through: rounded on the way there, as if it were not on the way back."""

    @staticmethod
    def forward(ctx, x):
        return torch.round(x * 4) / 4

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output.clone()


class ScaledReLU(Function):
    """Through NumPy, hence differentiable once."""

    @staticmethod
    def forward(ctx, x):
        ctx.mask = x.detach().numpy() > 0
        return torch.as_tensor(np.where(ctx.mask, 2 * x.detach().numpy(), 0.0), dtype=x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        return torch.from_numpy(grad_output.numpy() * 2 * ctx.mask)


class MyLinear(nn.Module):
    def __init__(self, input_features, output_features, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.Tensor(output_features, input_features))
        self.bias = nn.Parameter(torch.Tensor(output_features)) if bias else None
        self.weight.data.uniform_(-0.1, 0.1)
        if bias:
            self.bias.data.uniform_(-0.1, 0.1)

    def forward(self, input):
        return LinearFunction.apply(input, self.weight, self.bias)


inputs = (torch.from_numpy(rng.standard_normal((5, 4))).requires_grad_(),
          torch.from_numpy(rng.standard_normal((3, 4))).requires_grad_())  # fmt: skip
assert gradcheck(LinearFunction.apply, inputs, eps=1e-6, atol=1e-4)

first, second = same_start(MyLinear(4, 6)), same_start(MyLinear(6, 1), seed=1)
parameters = [*first.parameters(), *second.parameters()]
optimizer = torch.optim.SGD(parameters, lr=0.05)
x = torch.from_numpy(rng.standard_normal((20, 4)))
y = x[:, :1].abs()
losses, results = [], []
for step in range(12):
    hidden = ScaledReLU.apply(first(x))
    out = MulConstant.apply(second(hidden), 0.5) + 0.01 * Rounded.apply(second(hidden))
    loss = (out - y).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert loss.grad_fn is not None and x.grad_fn is None
results += parameters

z = torch.from_numpy(rng.standard_normal(4)).requires_grad_()
value = MulConstant.apply(z, 3.0).pow(3).sum()
(g,) = torch.autograd.grad(value, z, create_graph=True)
g.sum().backward()
results += [g, z.grad]
results += [torch.autograd.functional.jacobian(lambda v: v.sin() * v.sum(), z.detach())]
results += [torch.autograd.functional.vjp(torch.exp, z.detach(), v=torch.ones(4))[1]]
results += [torch.autograd.functional.hessian(lambda v: v.pow(3).sum() * v[0], z.detach())]
