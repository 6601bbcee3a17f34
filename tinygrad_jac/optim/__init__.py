"""Optimisers, in PyTorch's names."""

from . import lr_scheduler
from .adam import Adam, Adamax, AdamW, NAdam, RAdam
from .lbfgs import LBFGS
from .optimizer import Optimizer
from .scaled import Adadelta, Adagrad, RMSprop
from .sgd import ASGD, SGD, Rprop

__all__ = [
    "Optimizer", "SGD", "ASGD", "Rprop", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "RMSprop", "Adadelta",
    "LBFGS", "lr_scheduler",
]  # fmt: skip
