"""What is measured. Each module has its ``ROWS``.

PyTorch's names are this library's names, so most work is written once, as a function of the library that does it.
Nothing heavy is imported at the head of these modules: each side's process imports its own library, and no other.
"""

MODULES = (  # in the table's order
    "mlp", "small_ops", "chain", "jacobian", "kernel", "hessian", "checking",
    "cnn", "lstm", "attention", "adam", "memory", "startup", "backward", "growth",
)  # fmt: skip
