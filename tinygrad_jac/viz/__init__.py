"""The computational graph, drawn: DOT, Mermaid, JSON, one HTML page, and pictures where Graphviz is installed.

`graph` reads what was recorded and returns a `Graph`; `recording` notes modules, places and values while a graph is
recorded, for what it does not keep by itself.
"""

from .export import SUFFIXES, Graph, graph
from .recording import recording

__all__ = ["SUFFIXES", "Graph", "graph", "recording"]
