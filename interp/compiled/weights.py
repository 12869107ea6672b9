"""A program compiled to a T5: its weights, set one by one, in the spirit of Tracr (Lindner et al. 2023).

    stream     dimension 0 is a constant c in every embedding; every value of every variable has a dimension of its own, 1 where a
               variable has it
    norms      gain c / sqrt(d_model): the constant fills the RMS, so norm(x) = x (1 - |rest|^2 / 2 c^2) at every position alike
    matches    W_Q and W_K send matching values to the same dimension of a head, sqrt(sharpness) each; T5 does not scale scores
    offsets    the position bias of the head; distances up to 7 have a bucket of their own (Raffel et al. 2020)
    tables     one variable: a neuron a value, ReLU(x); two: ReLU(2 x + 2 y - 3), which is 1 where both are there and 0 elsewhere
    levels     steps half-way between levels, each of two neurons
    logits     the outputs' values, times `LOGIT`

Nothing but the constant channel stands in for the biases that T5 has not.
"""

import torch
from torch import Tensor, nn
from transformers import T5Config, T5ForConditionalGeneration

from interp.axes import ATTENTION_KINDS, Stack
from interp.compiled.language import ANYTHING, Attend, Level, Table, Variable
from interp.compiled.plan import Place, Plan
from interp.compiled.program import Noise
from interp.errors import InputError
from interp.hooks.host_weights import weight_of
from interp.model.factored_matrix import mlp_weights
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights, embedding, norm_gain, unembedding

LOGIT = 10.0
"""Logit of what an output says, above all else."""

_UNUSED = 0.02
_EXACT_DISTANCES = 8
_BUCKETS = 32
_STACKS: tuple[Stack, ...] = ("encoder", "decoder")


@torch.no_grad()
def compile_program(plan: Plan) -> HookedEncoderDecoder:
    """The T5 that runs a program, hooked, without a tokenizer.

    Args:
        plan: where the program's variables are.
    """
    program = plan.program
    extra = program.noise.heads if program.noise else 0
    vocabulary = program.vocabulary
    config = T5Config(
        vocab_size=len(vocabulary),
        d_model=plan.width(),
        d_kv=max(_head_width(variable) for variable in plan.places if isinstance(variable, Attend)),
        d_ff=max([_neurons(plan, stack, layer) for stack in _STACKS for layer in range(plan.layers(stack))] + [1]),
        num_layers=plan.layers("encoder"),
        num_decoder_layers=plan.layers("decoder"),
        num_heads=plan.heads() + extra,
        relative_attention_num_buckets=_BUCKETS,
        dropout_rate=0.0,
        feed_forward_proj="relu",
        tie_word_embeddings=False,
        scale_decoder_outputs=False,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    hf = T5ForConditionalGeneration(config)
    # The host ties it at first, whatever the configuration says, and says so when it writes the configuration.
    hf.config.tie_word_embeddings = False
    hf.get_output_embeddings().weight = nn.Parameter(torch.zeros(len(vocabulary), plan.width()))
    model = HookedEncoderDecoder(hf.requires_grad_(False))
    _blank(model, program.constant)
    _embed(model, len(vocabulary), program.constant)
    next_neuron: dict[tuple[Stack, int], int] = {}
    for place in plan.places.values():
        variable = place.variable
        if isinstance(variable, Attend):
            _attend(model, plan, place, variable)
        elif isinstance(variable, Table | Level):
            at = (variable.stack, place.layer)
            next_neuron[at] = _feed(model, plan, place, next_neuron.get(at, 0))
    for output in program.outputs:
        for value in output.values:
            if value in vocabulary:
                unembedding(model)[vocabulary.index(value), plan.places[output].dimension(value)] = LOGIT
    _fill_what_writes_nothing(model)
    if program.noise is not None:
        _add_noise(model, program.noise, plan.heads())
    return model


def _blank(model: HookedEncoderDecoder, constant: float) -> None:
    for parameter in model.hf.parameters():
        nn.init.zeros_(parameter)
    for name in model.hook_points():
        if name.endswith(".hook_scale"):
            norm_gain(model, name.removesuffix(".hook_scale")).fill_(constant / model.cfg.d_model**0.5)


def _embed(model: HookedEncoderDecoder, tokens: int, constant: float) -> None:
    tables = [embedding(model), *(_weight(model, f"{stack}.hook_embed") for stack in _STACKS)]
    for weight in tables:
        weight[:, 0] = constant
        weight[:, 1 : 1 + tokens] = torch.eye(tokens)


def _weight(model: HookedEncoderDecoder, site: str) -> Tensor:
    return weight_of(model.module(site))


def _head_width(variable: Attend) -> int:
    keys = sum(len(match.key.values) for match in variable.matches)
    return max(keys, len(variable.values))


def _attend(model: HookedEncoderDecoder, plan: Plan, place: Place, variable: Attend) -> None:
    sharpness, read = plan.program.sharpness, plan.places[variable.value]
    weights = attention_weights(model, variable.kind, place.layer)
    for head in place.heads:
        first = 0
        for match in variable.matches:
            key = plan.places[match.key]
            for (asked, found), strength in match.strengths.items():
                inner = first + match.key.values.index(found)
                weights.W_K[head, key.dimension(found), inner] = sharpness**0.5
                # A query that asks the same everywhere reads the constant.
                asking, size = (
                    (0, plan.program.constant)
                    if match.query is None
                    else (plan.places[match.query].dimension(asked), 1.0)
                )
                assert (match.query is None) == (asked == ANYTHING)
                weights.W_Q[head, asking, inner] = sharpness**0.5 * strength / size
            first += len(match.key.values)
        for inner, own in enumerate(variable.values):
            for value in (value for value, name in variable.relabel.items() if name == own):
                weights.W_V[head, read.dimension(value), inner] = 1.0
            weights.W_O[head, inner, place.dimension(own)] = 1 / len(place.heads)
        for offset, strength in variable.offsets.items():
            _weight(model, f"{variable.stack}.position_bias")[_bucket(variable.stack, offset), head] = (
                sharpness * strength
            )


def _bucket(stack: Stack, offset: int) -> int:
    """The position bias that serves one distance and no other."""
    if abs(offset) >= _EXACT_DISTANCES or (stack == "decoder" and offset > 0):
        raise InputError(
            f"A variable of the {stack} is read at offset {offset}; T5 tells apart up to {_EXACT_DISTANCES - 1} tokens, and its "
            "decoder does not look ahead. Reach further in several steps."
        )
    return _BUCKETS // 2 + offset if offset > 0 else -offset


def _neurons(plan: Plan, stack: Stack, layer: int) -> int:
    here = (place.variable for place in plan.places.values() if (place.variable.stack, place.layer) == (stack, layer))
    return sum(_neurons_of(variable) for variable in here)


def _neurons_of(variable: Variable) -> int:
    if isinstance(variable, Table):
        return len(variable.entries)
    return 2 * len(variable.levels) if isinstance(variable, Level) else 0


def _feed(model: HookedEncoderDecoder, plan: Plan, place: Place, neuron: int) -> int:
    """Write a table or levels into a layer from one neuron on; gives the next free one."""
    variable = place.variable
    weights, constant = mlp_weights(model, variable.stack, place.layer), plan.program.constant
    if isinstance(variable, Table):
        for values, own in variable.entries.items():
            for read, value in zip(variable.inputs, values, strict=True):
                weights.W_in[plan.places[read].dimension(value), neuron] += len(values)
            # 1 x, or 2 x + 2 y - 3
            weights.W_in[0, neuron] = (1 - len(values)) * (len(values) + 1) / constant
            weights.W_out[neuron, place.dimension(own)] = 1.0
            neuron += 1
        return neuron
    assert isinstance(variable, Level)
    dimension = plan.places[variable.input].dimension(variable.of)
    for own, below, threshold, width in steps_of(variable):
        for start, sign in ((threshold - width / 2, 1.0), (threshold + width / 2, -1.0)):
            weights.W_in[dimension, neuron] = 1.0
            weights.W_in[0, neuron] = -start / constant
            weights.W_out[neuron, place.dimension(own)] = sign / width
            if below is not None:
                weights.W_out[neuron, place.dimension(below)] = -sign / width
            neuron += 1
    return neuron


def steps_of(variable: Level) -> list[tuple[str, str | None, float, float]]:
    """The steps from every level to the next: level above, level below, threshold and width of the step.

    Args:
        variable: the levels.
    """
    rising = sorted(variable.levels.items(), key=lambda item: item[1])
    found: list[tuple[str, str | None, float, float]] = []
    for (own, amount), (below, less) in zip(rising, [(None, 0.0), *rising[:-1]], strict=True):
        found.append((own, below, (amount + less) / 2, (amount - less) / 2))
    return found


def _fill_what_writes_nothing(model: HookedEncoderDecoder) -> None:
    """Small random weights for matrices that no variable uses, as far as nothing is written by them: blank ones look damaged."""
    generator = torch.Generator().manual_seed(0)

    def fill(matrix: Tensor) -> None:
        matrix.copy_(_UNUSED * torch.randn(matrix.shape, generator=generator))

    for kind in ATTENTION_KINDS:
        for layer in range(model.cfg.layers_of(kind)):
            weights = attention_weights(model, kind, layer)
            if not weights.W_O.any():
                fill(weights.W_Q)
                fill(weights.W_V)
            if not weights.W_O.any() or not weights.W_Q.any():  # without a query keys do not matter
                fill(weights.W_K)
    for stack in _STACKS:
        for layer in range(model.cfg.n_layers(stack)):
            mlp = mlp_weights(model, stack, layer)
            if not mlp.W_out.any():
                fill(mlp.W_in)


def _add_noise(model: HookedEncoderDecoder, noise: Noise, first: int) -> None:
    generator = torch.Generator().manual_seed(noise.seed)

    def draw(like: Tensor, deviation: float) -> Tensor:
        return deviation * torch.randn(like.shape, generator=generator)

    for kind in ATTENTION_KINDS:
        for layer in range(model.cfg.layers_of(kind)):
            weights = attention_weights(model, kind, layer)
            for matrix in (weights.W_Q, weights.W_K, weights.W_V, weights.W_O):
                matrix += draw(matrix, noise.all_weights)
                matrix[first:] += draw(matrix[first:], noise.head_weights)
    for stack in _STACKS:
        for layer in range(model.cfg.n_layers(stack)):
            mlp = mlp_weights(model, stack, layer)
            for matrix in (mlp.W_in, mlp.W_out):
                matrix += draw(matrix, noise.all_weights)
    unembedding(model).add_(draw(unembedding(model), noise.all_weights))
