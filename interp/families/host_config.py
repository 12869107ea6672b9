"""From a host's configuration to the facts of one model; what the table does not describe is refused by its attribute's name."""

from collections.abc import Sequence
from typing import Any

from transformers import GenerationConfig, PreTrainedConfig

from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.families.table import Family

_ENTRY = {"hook_pos_embed", "ln_embed"}
_ACTIVATIONS = ("relu", "gelu", "gelu_new", "silu", "swish")


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
    tokens: dict[str, Any] = {name: _token(paths, config, generation) for name, paths in host.tokens.items()}
    facts = {fact: getattr(config, attribute) for fact, attribute in host.attributes.items()} | dict(host.constants)
    if facts["act_fn"] not in _ACTIVATIONS:
        kinds = "gated or plain " if "gated_mlp" in host.attributes else ""
        raise _refusal(host.activation, getattr(config, host.activation), kinds + ", ".join(_ACTIVATIONS))
    if not getattr(config, "share_encoder_decoder_embeddings", True):
        raise _refusal("share_encoder_decoder_embeddings", False, "True: one vocabulary for both stacks")
    for stack in ("encoder", "decoder"):
        facts.setdefault(f"d_{stack}_head", config.d_model // facts[f"n_{stack}_heads"])
    entry = list(family.stacks["decoder"].before)
    return ModelConfig(
        model_type=family.model_type,
        d_model=config.d_model,
        d_vocab=config.vocab_size,
        norm=host.norm,
        scaled_scores=host.scaled_scores,
        logit_scale=config.d_model**-0.5 if _logits_are_scaled(config, family) else 1.0,
        bias_per_layer=family.bias_per_layer,
        norm_place=family.norm_place,
        positions=family.positions,
        embed_scale=config.d_model**0.5 if getattr(config, "scale_embedding", False) else 1.0,
        positions_last=entry.index("hook_pos_embed") > entry.index("ln_embed") if {*entry} >= _ENTRY else False,
        biases=host.biases,
        **tokens,
        **facts,
    )


def _token(attributes: Sequence[str], *settings: PreTrainedConfig | GenerationConfig | None) -> int:
    """The one token of these names; some files list it, a list of one."""
    named = (getattr(one, attribute, None) for attribute in attributes for one in settings)
    token = next((one for one in named if one is not None), None)
    if isinstance(token, list | tuple) and len(token) == 1:
        token = token[0]
    if not isinstance(token, int) or isinstance(token, bool):
        raise _refusal(attributes[0], token, "one token id")
    return token


def _logits_are_scaled(config: PreTrainedConfig, family: Family) -> bool:
    if family.logit_scale != "scale_decoder_outputs":
        return family.logit_scale == "always"
    scaled = getattr(config, "scale_decoder_outputs", None)
    if scaled is None:
        raise _refusal("scale_decoder_outputs", None, "True or False (save the model with transformers 5.16 or later)")
    return bool(scaled)


def _refusal(attribute: str, got: object, allowed: str) -> InputError:
    return InputError(f"The model's configuration has {attribute}={got!r}; supported is {allowed}.")
