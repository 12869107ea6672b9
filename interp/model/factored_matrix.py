"""Matrices kept as two factors: QK and OV of a head have d_model x d_model entries and rank d_head (Elhage et al. 2021).

    QK = W_Q W_K^T    which source direction a head looks for, given a query direction: score = x_query QK x_key^T
    OV = W_V W_O      what a head writes when it looks somewhere: write = x_key OV

Norms, singular values and eigenvalues come from the small factors, so the product is formed only on request. Row vectors are
multiplied from the left; the gains of the norms in front are not part of the matrices.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.axes import AttentionKind, Stack
from interp.errors import InputError
from interp.hooks.host_weights import weight_of
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights


@dataclass(frozen=True, slots=True, eq=False)
class FactoredMatrix:
    """The product AB of two matrices, or of many pairs of them, as its factors."""

    A: Float[Tensor, "*pairs rows rank"]
    B: Float[Tensor, "*pairs rank columns"]

    @property
    def AB(self) -> Float[Tensor, "*pairs rows columns"]:  # noqa: N802 - the field's name
        """The product, written out."""
        return self.A @ self.B

    @property
    def T(self) -> "FactoredMatrix":  # noqa: N802 - the field's name
        """The transpose."""
        return FactoredMatrix(self.B.mT, self.A.mT)

    def __getitem__(self, pair: int | tuple[int, ...]) -> "FactoredMatrix":
        """One of several pairs, e.g. of one head."""
        return FactoredMatrix(self.A[pair], self.B[pair])

    def __matmul__(self, other: "FactoredMatrix") -> "FactoredMatrix":
        """The product of two products, with the smaller of the two ranks."""
        middle = self.B @ other.A
        if middle.shape[-2] <= middle.shape[-1]:
            return FactoredMatrix(self.A, middle @ other.B)
        return FactoredMatrix(self.A @ middle, other.B)

    def norm(self) -> Float[Tensor, "*pairs"]:
        """Frobenius norm: ||AB||^2 = trace(A^T A B B^T), from rank x rank matrices."""
        square: Tensor = (self.A.mT @ self.A * (self.B @ self.B.mT).mT).sum((-1, -2))
        return square.clamp_min(0).sqrt()

    def svd(self) -> tuple[Tensor, Tensor, Tensor]:
        """Singular value decomposition AB = U diag(S) Vh: [*pairs rows rank], [*pairs rank], [*pairs rank columns]."""
        left, right = torch.linalg.qr(self.A), torch.linalg.qr(self.B.mT)
        inner, values, outer = torch.linalg.svd(left.R @ right.R.mT)
        return left.Q @ inner, values, outer @ right.Q.mT

    def eigenvalues(self) -> Tensor:
        """The eigenvalues that may differ from zero, [*pairs rank], complex: those of BA."""
        values: Tensor = torch.linalg.eigvals(self.B @ self.A)
        return values


def qk_circuit(model: HookedEncoderDecoder, kind: AttentionKind, layer: int) -> FactoredMatrix:
    """W_Q W_K^T of every head of a layer, [head d_model d_model]: rows are the attending stream, columns the attended one.

    In cross-attention rows belong to the decoder's stream and columns to the encoder's memory. Position biases and the factor
    1/sqrt(d_head) of other families are not part of it.

    Args:
        model: the model.
        kind: the kind of attention.
        layer: layer of its stack.

    Raises:
        InputError: if norms stand between the projections and the product.
    """
    if model.cfg.head_norms:
        raise InputError(
            f"Scores are no product of W_Q and W_K in {model.cfg.model_type}: queries and keys are normed behind them "
            "(head_norms=True). Read hook_q and hook_k."
        )
    weights = attention_weights(model, kind, layer)
    return FactoredMatrix(weights.W_Q, weights.W_K.mT)


def ov_circuit(model: HookedEncoderDecoder, kind: AttentionKind, layer: int) -> FactoredMatrix:
    """W_V W_O of every head of a layer, [head d_model d_model]: from the attended stream to the attending one.

    Args:
        model: the model.
        kind: the kind of attention.
        layer: layer of its stack.
    """
    weights = attention_weights(model, kind, layer)
    return FactoredMatrix(weights.W_V, weights.W_O)


def composition(first: FactoredMatrix, second: FactoredMatrix) -> Float[Tensor, "*pairs"]:
    """How much of what one head writes another reads: ||first second|| / (||first|| ||second||) (Elhage et al. 2021).

    K-composition of an OV with a QK is `composition(ov, qk.T)`, Q-composition `composition(ov, qk)`, V-composition
    `composition(ov, later_ov)`. Compare with the value of random matrices of the same shape, which is not 0.

    Args:
        first: the circuit of the earlier head.
        second: that of the later head.
    """
    return (first @ second).norm() / (first.norm() * second.norm())


@dataclass(frozen=True, slots=True, eq=False)
class MlpWeights:
    """The matrices of one feed-forward layer; the activation of what `W_gate` reads multiplies, where there is a gate."""

    W_in: Float[Tensor, "d_model d_mlp"]
    W_gate: Float[Tensor, "d_model d_mlp"] | None
    W_out: Float[Tensor, "d_mlp d_model"]


def mlp_weights(model: HookedEncoderDecoder, stack: Stack, layer: int, expert: int | None = None) -> MlpWeights:
    """The matrices of one feed-forward layer, as views: mlp = act(x W_in) W_out, or (act(x W_gate) * (x W_in)) W_out.

    Args:
        model: the model.
        stack: the stack.
        layer: its layer.
        expert: which expert, of a layer that has them.

    Raises:
        InputError: if a layer with experts is asked for without one, a layer without with one, or there is no such expert.
    """
    allowed = range(model.cfg.n_experts) if layer in model.cfg.expert_layers(stack) else (None,)
    if expert not in allowed:
        wanted = f"one of its {len(allowed)} experts (n_experts)" if allowed != (None,) else "expert=None: it has none"
        raise InputError(f"Layer {layer} of the {stack} has no feed-forward weights of expert={expert}; give {wanted}.")
    if expert is not None:
        names = model.family.host.experts
        assert names is not None
        own = model.module(f"{stack}.{layer}.mlp").get_submodule(names.experts)
        first, last = (list(own.children())[expert].get_submodule(name) for name in (names.first, names.last))
        return MlpWeights(weight_of(first).t(), None, weight_of(last).t())

    def read(leaf: str) -> Tensor:
        return weight_of(model.module(f"{stack}.{layer}.mlp.hook_{leaf}")).t()

    if model.cfg.gated_mlp:
        return MlpWeights(read("pre_linear"), read("pre"), read("post"))
    return MlpWeights(read("pre"), None, read("post"))
