"""From a host's configuration to the facts of one model; what the table does not describe is refused by its attribute's name."""

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import GenerationConfig, PreTrainedConfig

from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.families.sites import expert_layers
from interp.families.table import Family

_ENTRY = {"hook_pos_embed", "ln_embed"}
_ACTIVATIONS = ("relu", "gelu", "gelu_new", "gelu_pytorch_tanh", "silu", "swish")


def read_config(config: PreTrainedConfig, family: Family, generation: GenerationConfig | None = None) -> ModelConfig:
    """The facts of one model.

    Args:
        config: the host's configuration.
        family: its row of the table.
        generation: the host's settings of generation, where some files keep special tokens alone.

    Raises:
        InputError: naming the first attribute that is missing or means something the table does not describe.
    """
    host = family.host
    if not config.is_encoder_decoder:
        raise _refusal("is_encoder_decoder", config.is_encoder_decoder, "True")
    tokens: dict[str, Any] = {name: _token(paths, config, generation) for name, paths in host.tokens.items()}
    attributes = {"d_model": "d_model", "d_vocab": "vocab_size", **host.attributes}
    facts = {fact: at(config, path) for fact, path in attributes.items()} | dict(host.constants)
    for path, value in host.required.items():
        if at(config, path) != value:
            raise _refusal(path, at(config, path), repr(value))
    for one, other in host.equal:
        if at(config, one) != at(config, other):
            raise _refusal(one, at(config, one), f"that of {other}, {at(config, other)!r}")
    if facts["act_fn"] not in _ACTIVATIONS:
        kinds = "gated or plain " if "gated_mlp" in host.attributes else ""
        raise _refusal(host.activation, at(config, host.activation), kinds + ", ".join(_ACTIVATIONS))
    if not getattr(config, "share_encoder_decoder_embeddings", True):
        raise _refusal("share_encoder_decoder_embeddings", False, "True: one vocabulary for both stacks")
    for stack in ("encoder", "decoder"):
        facts.setdefault(f"d_{stack}_head", facts["d_model"] // facts[f"n_{stack}_heads"])
    for stack, path in host.expert_steps.items():
        facts[f"{stack}_expert_layers"] = expert_layers(facts[f"n_{stack}_layers"], at(config, path))
    scaled = host.embeddings_scaled
    if scaled is None:
        scaled = getattr(config, "scale_embedding", False)
    entry = list(family.stacks["decoder"].before)
    return ModelConfig(
        model_type=family.model_type,
        norm=host.norm,
        scaled_scores=host.scaled_scores,
        logit_scale=facts["d_model"] ** -0.5 if _logits_are_scaled(config, family) else 1.0,
        bias_per_layer=family.bias_per_layer,
        norm_place=family.norm_place,
        positions=family.positions,
        embed_scale=facts["d_model"] ** 0.5 if scaled else 1.0,
        positions_last=entry.index("hook_pos_embed") > entry.index("ln_embed") if {*entry} >= _ENTRY else False,
        biases=host.biases,
        **tokens,
        **facts,
    )


def at(config: Any, path: str) -> Any:
    """What a configuration has under an attribute; None where it has none.

    Args:
        config: the host's configuration, or the content of its file.
        path: the attribute; of nested configurations with dots.
    """
    for name in path.split("."):
        config = config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)
    return config


def _token(attributes: Sequence[str], *settings: PreTrainedConfig | GenerationConfig | None) -> int:
    """The one token of these names; some files list it, a list of one."""
    named = (at(one, attribute) for attribute in attributes for one in settings)
    token = next((one for one in named if one is not None), None)
    if isinstance(token, list | tuple) and len(token) == 1:
        token = token[0]
    if not isinstance(token, int) or isinstance(token, bool):
        raise _refusal(attributes[0], token, "one token id")
    return token


def _logits_are_scaled(config: PreTrainedConfig, family: Family) -> bool:
    if family.logit_scale in ("never", "always"):
        return family.logit_scale == "always"
    scaled = getattr(config, family.logit_scale, None)
    if scaled is None:
        raise _refusal(family.logit_scale, None, "True or False (save the model with transformers 5.16 or later)")
    return bool(scaled)


def _refusal(attribute: str, got: object, allowed: str) -> InputError:
    return InputError(f"The model's configuration has {attribute}={got!r}; supported is {allowed}.")
