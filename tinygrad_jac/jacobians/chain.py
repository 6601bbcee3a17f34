"""The product of Jacobian matrices along a graph: backpropagation as the lecture notes write it.

`chain` is Algorithm 1 of Damadi, Moharrer and Cham, "The backpropagation algorithm for a math student", on any graph:
the local Jacobians between parameters and output, in their structured forms, and their product.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ..errors import GradientError, ShapeError
from ..graph import Node, Variable
from .base import Array, Jacobian, Shape, Transposed, compose
from .links import Link, Links, add_to, cast, paths, written
from .rows import add_gram, squared_norms, total
from .structures import Identity, Selection


class Chain(Jacobian):
    """The Jacobian of an output with respect to parameters, as the local Jacobians along the graph between them.

    Made by `chain`. As a `Jacobian` its input is the vector θ of all parameters, one after the other: ``J @ v``, of the
    output's shape, and ``J.T @ u`` are products with vectors of the parameters (or dicts of arrays by name) and of the
    output, and ``J @ J.T`` is the empirical neural tangent kernel. None of them writes J out.

    Attributes
    ----------
    names : list of str
        Of the parameters, in the order of the columns.
    parameters : dict
        The shape of each.
    layers : list of tuple of str
        The same names, grouped: parameters of a layer share the error signal δ that reaches them.
    links : list of Link
        All local Jacobians, those of the newest nodes first: each with its ``op``, ``argument`` and ``jacobian``.
    """

    structure = "chain"

    def __init__(self, output: Node, parameters: Mapping[str, Node], last_layer_first: bool = True) -> None:
        self.output = output
        self._links = Links([output], list(parameters.values()))
        order = self._ages(parameters)
        names = sorted(parameters, key=lambda name: -order[name]) if last_layer_first else list(parameters)
        self.names = names
        self.nodes = {name: parameters[name] for name in names}
        self.parameters = {name: node.shape for name, node in self.nodes.items()}
        self.links = list(self._links)
        self.layers: list[tuple[str, ...]] = []
        for name in names:
            if self.layers and order[self.layers[-1][0]] == order[name]:
                self.layers[-1] += (name,)
            else:
                self.layers.append((name,))
        super().__init__(output.shape, (sum(math.prod(shape) for shape in self.parameters.values()),))

    def _ages(self, parameters: Mapping[str, Node]) -> dict[str, int]:
        """For each parameter the age of the node whose cotangent is the δ of its layer."""
        uses: dict[Node, list[Link]] = {}
        for link in self._links:
            uses.setdefault(link.source, []).append(link)
        order = {}
        for name, node in parameters.items():
            age = 0
            # A weight that is first transposed or reshaped belongs to where it is then used.
            while len(uses.get(node, ())) == 1 and _rearranges(uses[node][0]):
                node = uses[node][0].node
            if node in uses:
                above = uses[node][0].node
                # Through an identity (the product that a bias is added to) the cotangent is the same.
                while len(uses.get(above, ())) == 1 and isinstance(uses[above][0].jacobian, Identity):
                    above = uses[above][0].node
                age = above.order
            order[name] = age
        return order

    def __len__(self) -> int:
        return len(self.links)

    # -------------------------------------------------------------------------------------------- the product

    def product(self, name: str) -> Jacobian:
        """The Jacobian with respect to one parameter, as the product of the local ones along the paths to it.

        It stays factored: a `Compose`, with a `Sum` where there are several paths. Neighbours are merged where their
        structures know how. Where the paths are more than the graph has links (a network that runs over a long
        sequence), the walk along the graph stands in place of their sum.

        Raises
        ------
        KeyError
            No parameter has that name.
        """
        factors = self._factors(name)
        if factors:
            return compose(*(factor.jacobian for factor in factors))
        node = self.nodes[name]
        if node is self.output:
            return Identity(node.shape)
        return Selection(np.full(self.out_shape, -1), node.shape)

    def _factors(self, name: str) -> list[Any]:
        if name not in self.nodes:
            raise KeyError(f"no parameter is named {name!r}; there are {self.names}")
        return paths(self._links, self.nodes[name])

    @property
    def blocks(self) -> dict[str, np.ndarray[Any, Any]]:
        """The columns of J that belong to each parameter: a matrix of m rows each, in numerator layout."""
        m = self.shape[0]
        sizes = {name: math.prod(shape) for name, shape in self.parameters.items()}
        blocks: dict[str, np.ndarray[Any, Any]] = {
            n: np.zeros((m, size), self.output.dtype) for n, size in sizes.items()
        }
        for name, (rows,) in self._rows([slice(0, self._samples()[1])]):
            blocks[name] = np.moveaxis(total(rows), 0, 1).reshape(m, sizes[name])
        return blocks

    def dense(
        self, layout: Literal["numerator", "denominator"] = "numerator", order: Literal["C", "F"] = "C"
    ) -> np.ndarray[Any, Any]:
        """J, written out: the `blocks` side by side, in the order of `names`.

        With ``order="F"`` the output and each parameter are flattened by stacking columns, the textbooks' ``vec``.
        """
        matrix = super().dense(layout, "C")
        if order == "C":
            return matrix
        rows = np.arange(self.shape[0]).reshape(self.out_shape).ravel(order="F")
        columns = np.concatenate(
            [part.ravel(order="F") for part in self.split(np.arange(self.shape[1])).values()] or [np.arange(0)]
        )
        return matrix[np.ix_(rows, columns) if layout == "numerator" else np.ix_(columns, rows)]

    def _dense(self) -> np.ndarray[Any, Any]:
        return np.concatenate([*self.blocks.values(), np.zeros((self.shape[0], 0), self.output.dtype)], axis=1)

    # -------------------------------------------------------------------------------------------- without writing it

    def _jvp(self, v: Array, lead: Shape) -> Array:
        tangents: dict[Node, Array] = {}
        for name, part in self.split(v).items():
            add_to(tangents, self.nodes[name], part)
        found = self._links.push(tangents, lead)
        return found.get(self.output, np.zeros(lead + self.out_shape, self.output.dtype))

    def _vjp(self, u: Array, lead: Shape) -> Array:
        return self.flatten(self._pulled(u, lead))

    def _pulled(self, u: Array, lead: Shape) -> dict[str, Array]:
        found = self._links.pull({self.output: cast(u, self.output.dtype)}, lead)
        return {
            name: found[node] if node in found else np.zeros(lead + node.shape, node.dtype)
            for name, node in self.nodes.items()
        }

    def gradient(self, cotangent: Any = None) -> dict[str, np.ndarray[Any, Any]]:
        """``J.T @ cotangent``, by name: what ``output.backward(cotangent)`` adds to each ``.grad``.

        Parameters
        ----------
        cotangent : array of the output's shape
            The gradient of a loss with respect to the output; 1 for a scalar output if left out.

        Raises
        ------
        ShapeError
        """
        u = np.ones((), self.output.dtype) if cotangent is None else _plain(cotangent)
        if u.shape != self.out_shape:
            raise ShapeError(f"the cotangent has shape {u.shape}, the output {self.out_shape}; they must agree")
        return self._pulled(u, ())

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, Transposed) and isinstance(other.of, Chain):
            return self.gram(other.of)
        if isinstance(other, Mapping):
            other = self.flatten(other)
        return super().__matmul__(other)

    def gram(self, other: Chain | None = None) -> np.ndarray[Any, Any]:
        """``J @ J.T``, the empirical neural tangent kernel: the inner products of the rows of J.

        Parameters
        ----------
        other : Chain, optional
            Of other inputs, by parameters of the same names: the kernel between the two.

        Returns
        -------
        ndarray of shape (m, m), or (m, m') with the m' outputs of the other

        Notes
        -----
        One walk gives the error signal δ of every output at every layer, for all samples at once where the structures
        keep samples apart. The row of a linear layer's weight is a ⊗ δ, so that its part of the kernel is
        (a aᵀ) ∘ (δ δᵀ): the rows themselves are never formed. See Novak, Sohl-Dickstein, Schoenholz: Fast finite width
        neural tangent kernel (2022). That the rows factor is read off the Jacobian statements.
        """
        if other is not None and self.parameters.items() != other.parameters.items():
            raise ShapeError(f"the parameters differ: {self.parameters} and {other.parameters}")
        (samples, stride), (samples2, stride2) = self._samples(), (other or self)._samples()
        found = np.zeros((samples, stride, samples2, stride2), self.output.dtype)
        by_seed = found.transpose(1, 0, 3, 2)
        # Some seeds at a time, the walks side by side: what is held twice for a moment is a part only.
        theirs = None if other is None or other is self else dict(other._rows(_parts(stride2)))
        for name, ours in self._rows(_parts(stride)):
            if theirs is None:
                add_gram(by_seed, ours)
            elif name in theirs:
                add_gram(by_seed, ours, theirs[name])
        return found.reshape(samples * stride, samples2 * stride2)

    def row_norms(self) -> np.ndarray[Any, Any]:
        """The length of each row of J, in the shape of the output: how far each output moves at most for |Δθ| = 1."""
        samples, stride = self._samples()
        squares = np.zeros((stride, samples), self.output.dtype)
        for _, (rows,) in self._rows([slice(0, stride)]):
            squares += squared_norms(rows)
        return np.sqrt(squares.T.reshape(self.out_shape))

    def gauss_newton(self, v: Any, hessian: Any = None) -> Any:
        """``Jᵀ H J v``: a product with the Gauss-Newton matrix.

        Parameters
        ----------
        v : array of shape (n,), or dict of name to array
        hessian : optional
            H, the second derivative of a loss with respect to the output: a function of arrays of the output's shape, a
            `Jacobian`, an m by m matrix, or a matrix for each sample, (samples, m/samples, m/samples). The identity by
            default.

        Returns
        -------
        array or dict, as ``v``
        """
        flat = self.flatten(v) if isinstance(v, Mapping) else _plain(v)
        product = self._vjp(self._curved(self._jvp(_lead_of(flat, self.in_shape), ()), hessian), ())
        return self.split(product) if isinstance(v, Mapping) else product

    def _curved(self, u: Array, hessian: Any) -> Array:
        if hessian is None:
            return u
        if isinstance(hessian, Jacobian):
            return hessian.jvp(u)
        if callable(hessian):
            return _plain(hessian(u))
        matrix = _plain(hessian)
        m, (samples, _) = self.shape[0], self._samples()
        if matrix.shape == (m, m):
            return (matrix @ u.reshape(m)).reshape(self.out_shape)
        if matrix.shape == (samples, m // max(samples, 1), m // max(samples, 1)):
            return (matrix @ u.reshape(samples, -1, 1)).reshape(self.out_shape)
        raise ShapeError(
            f"the Hessian of a loss by outputs of shape {self.out_shape} is {m} x {m}, or a matrix for each of "
            f"{samples} samples, not of shape {matrix.shape}"
        )

    def _samples(self) -> tuple[int, int]:
        """How many samples the first axis of the output counts, and how many entries each has."""
        samples = self.out_shape[0] if self.out_shape else 1
        return samples, math.prod(self.out_shape[1:])

    def _rows(self, parts: Sequence[slice]) -> Iterator[tuple[str, list[Any]]]:
        """The rows of J by each parameter reached, for some parts of the entries of a sample.

        A cotangent for each entry, that of all samples at once: `Links.pull_each`.
        """
        samples, stride = self._samples()
        seeds = np.broadcast_to(np.eye(stride, dtype=self.output.dtype)[:, None], (stride, samples, stride))
        names = {node: name for name, node in self.nodes.items()}
        cotangents = [seeds[part].reshape(-1, *self.out_shape) for part in parts if samples and stride]
        for found in zip(*(self._links.pull_each(u, samples, stride) for u in cotangents)):
            yield names[found[0][0]], [rows for _, rows in found]

    # -------------------------------------------------------------------------------------------- vectors by name

    def split(self, v: Array, order: Literal["C", "F"] = "C") -> dict[str, Array]:
        """A vector of all parameters (after any leading axes) as one array for each, by name.

        With ``order="F"`` the vector has each parameter's columns on top of each other, as the textbooks' ``vec``.
        """
        parts, start = {}, 0
        for name, shape in self.parameters.items():
            stop = start + math.prod(shape)
            part = v[..., start:stop]
            lead = part.shape[:-1]
            parts[name] = (
                part.reshape(lead + shape)
                if order == "C"
                else _axes_reversed(part.reshape(lead + shape[::-1]), len(lead))
            )
            start = stop
        return parts

    def flatten(self, parts: Mapping[str, Any], order: Literal["C", "F"] = "C") -> np.ndarray[Any, Any]:
        """Arrays by name as one vector θ, in the order of the columns.

        With ``order="F"`` it is the θ = [vec(W); b] of the textbooks, ``vec`` stacking columns, to which the columns
        of ``dense(order="F")`` belong.

        Raises
        ------
        ShapeError
            A name is missing or unknown, or an array does not end in its parameter's shape.
        """
        arrays = {name: _plain(part) for name, part in parts.items()}
        if arrays.keys() != self.parameters.keys():
            raise ShapeError(f"the parameters are {self.names}, not {list(arrays)}")
        flat = []
        for name, shape in self.parameters.items():
            lead = arrays[name].ndim - len(shape)
            if lead < 0 or arrays[name].shape[lead:] != shape:
                raise ShapeError(f"parameter {name!r} has shape {shape}, not {arrays[name].shape}")
            array = arrays[name] if order == "C" else _axes_reversed(arrays[name], lead)
            flat.append(array.reshape((*array.shape[:lead], math.prod(shape))))
        return np.concatenate(flat, axis=-1) if flat else np.zeros(0)

    # -------------------------------------------------------------------------------------------- to be looked at

    def __repr__(self) -> str:
        m, n = self.shape
        return f"<chain of {len(self)} local Jacobians, {m}x{n}: {', '.join(self.names)} -> {self.out_shape}>"

    def __str__(self) -> str:
        m, n = self.shape
        sizes = [sum(math.prod(self.parameters[name]) for name in layer) for layer in self.layers]
        blocks = " | ".join(f"{m}×{size} by {', '.join(layer)}" for layer, size in zip(self.layers, sizes))
        lines = [f"J of {self.output.name} {self.out_shape} by θ, {m}×{n} = [ {blocks} ]"]
        width = max(map(len, self.names), default=0)
        for name, shape in self.parameters.items():
            factors = self._factors(name)
            product = written(factors) if factors else ("I" if self.nodes[name] is self.output else "0")
            lines.append(f"  J_{name.ljust(width)} {m}×{math.prod(shape)} = {product}")
        return "\n".join(lines)


def _parts(count: int) -> list[slice]:
    """0, …, count - 1 in three parts."""
    step = max(1, -(-count // 3))
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def _rearranges(link: Link) -> bool:
    """Whether the op takes one argument, and does no more than to move its entries."""
    return len(link.node.parents) == 1 and isinstance(link.jacobian, (Identity, Selection))


def _axes_reversed(array: Array, lead: int) -> Array:
    """The axes after the leading ones in reverse: row-major then counts as column-major did."""
    return np.transpose(array, (*range(lead), *reversed(range(lead, array.ndim))))


def _plain(array: Any) -> np.ndarray[Any, Any]:
    return np.asarray(array.array if isinstance(array, Variable) else array)


def _lead_of(v: np.ndarray[Any, Any], shape: Shape) -> np.ndarray[Any, Any]:
    if v.shape != shape:
        raise ShapeError(f"a vector of all parameters has shape {shape}, not {v.shape}")
    return v


def chain(output: Any, params: Any, *, last_layer_first: bool = True) -> Chain:
    """The local Jacobians between parameters and an output, and their product: Algorithm 1 on any recorded graph.

    Parameters
    ----------
    output : Tensor
        Computed with recording on, from parameters that require a gradient; its graph not yet released. The first axis
        counts samples, if there is a batch.
    params : Module, dict, iterable of (name, Tensor), or sequence of Tensor
        With respect to which; of a plain sequence the names are the positions. Tensors within the graph are allowed.
    last_layer_first : bool
        Order the blocks of J as the textbook does, the last layer's first; otherwise as ``params`` are given.

    Returns
    -------
    Chain

    Raises
    ------
    GradientError
        The output was not recorded, a parameter does not require a gradient, or `backward` released the graph.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_jac as tj
    >>> W = tj.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> b = tj.tensor([0.5, 0.5], requires_grad=True)
    >>> z = tj.tensor([1.0, -1.0]) @ W + b
    >>> J = chain(z, {"W": W, "b": b})
    >>> J.shape
    (2, 6)
    >>> J.dense()
    array([[ 1.,  0., -1., -0.,  1.,  0.],
           [ 0.,  1., -0., -1.,  0.,  1.]], dtype=float32)
    >>> J.gradient(np.array([1.0, 0.0]))["b"]
    array([1., 0.], dtype=float32)
    """
    if not isinstance(output, Variable) or output.node is None:
        raise GradientError(
            "chain() needs an output that was recorded: compute it from tensors that require gradients, outside of "
            "no_grad()"
        )
    nodes: dict[str, Node] = {}
    for name, tensor in named_tensors(params):
        if not isinstance(tensor, Variable) or tensor.node is None:
            what = "does not require a gradient" if isinstance(tensor, Variable) else "is no Tensor"
            raise GradientError(
                f"chain(): parameter {name!r} {what}; leave it out, or create it with requires_grad=True"
            )
        twin = next((other for other, node in nodes.items() if node is tensor.node), None)
        if twin is not None:
            raise ValueError(f"chain(): parameters {twin!r} and {name!r} are the same tensor; name it once")
        nodes[name] = tensor.node
    return Chain(output.node, nodes, last_layer_first)


def named_tensors(given: Any, what: str = "params", unnamed: str = "{}") -> list[tuple[str, Any]]:
    """A Module's parameters, a dict, pairs of name and Tensor, a sequence of Tensors or one, as pairs.

    >>> named_tensors(["w", "b"], unnamed="params[{}]")
    [('params[0]', 'w'), ('params[1]', 'b')]
    """
    if hasattr(given, "named_parameters"):
        given = given.named_parameters()
    elif isinstance(given, Mapping):
        given = [(str(name), tensor) for name, tensor in given.items()]
    if not isinstance(given, Iterable):
        raise TypeError(f"{what}: {type(given).__name__} is neither a Module nor Tensors: a dict by name, a list")
    listed: list[Any] = [given] if isinstance(given, Variable) else list(given)
    if all(isinstance(p, tuple) and len(p) == 2 and isinstance(p[0], str) for p in listed):
        return listed
    return [(unnamed.format(k), p) for k, p in enumerate(listed)]
