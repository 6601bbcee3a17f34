import numpy as np
from kit import check, randn, positive
import tinygrad_jac as tj
def test_a():
    check(lambda x, y: x * y + x, randn(2, 3), randn(3, seed=1), torch_fn=lambda x, y: x * y + x)
    check(lambda x: np.exp(x).sum(), randn(2, 3))
    check(lambda x, y: x @ y, randn(2, 3), randn(4, 3, 2, seed=1), torch_fn=lambda x, y: x @ y)
    check(lambda x, y: x @ y, randn(3), randn(3, 2, seed=1), torch_fn=lambda x, y: x @ y)
    check(lambda x, y: x ** y, positive(2,3), randn(3, seed=1), torch_fn=lambda x, y: x ** y)
    check(lambda x: x[0, ::2] * 2, randn(2,3))
