"""Layers, losses and what networks are built of, in PyTorch's names."""

from . import parameter
from .containers import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from .module import Module
from .parameter import Parameter
