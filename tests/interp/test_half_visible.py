"""Families that are refused: the installed transformers still lacks what the refusal says it lacks."""

import pytest
import torch
import transformers
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask
from transformers.models.nllb_moe.modeling_nllb_moe import NllbMoeSparseMLP

from interp.errors import InputError
from interp.families import FAMILIES, HALF_VISIBLE, family_of

_BART = {
    "d_model": 24,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 12,
    "decoder_ffn_dim": 12,
    "max_position_embeddings": 64,
}
SMALL = {
    "longt5": ("LongT5", {"d_model": 24, "d_kv": 6, "d_ff": 12, "num_layers": 1, "num_heads": 4, "local_radius": 4}),
    "pegasus_x": ("PegasusX", {**_BART, "block_size": 8, "num_global_tokens": 4}),
    "bigbird_pegasus": ("BigBirdPegasus", {**_BART, "block_size": 4, "num_random_blocks": 1}),
    "led": ("LED", {**_BART, "attention_window": 4, "max_encoder_position_embeddings": 64}),
    "mvp": ("Mvp", _BART),
}


class Counter(nn.Module):
    """Counts the attentions that come through the host's door."""

    calls = 0

    def __call__(self, module, query, key, value, attention_mask, scaling=1.0, dropout=0.0, **others):  # type: ignore[no-untyped-def]
        Counter.calls += 1
        scores = query @ key.transpose(2, 3) * scaling
        return (scores.softmax(-1) @ value).transpose(1, 2), scores


@pytest.mark.parametrize("kind", SMALL)
def test_attention_does_not_all_come_through_the_door(kind: str) -> None:
    """One layer a side has three attentions; fewer than three are seen, and none at all where there is no door."""
    stem, sizes = SMALL[kind]
    AttentionInterface.register("counted", Counter())
    AttentionMaskInterface.register("counted", eager_mask)
    config = getattr(transformers, f"{stem}Config")(vocab_size=40, decoder_start_token_id=0, **sizes)
    model: PreTrainedModel = getattr(transformers, f"{stem}ForConditionalGeneration")(config).eval()
    Counter.calls = 0
    try:
        model.set_attn_implementation("counted")
        ids = torch.arange(3, 35)[None] % 37 + 3
        with torch.no_grad():
            model(input_ids=ids, decoder_input_ids=ids[:, :3])
    except ValueError:
        pass  # the host refuses an implementation of others
    assert Counter.calls < 3
    assert ("none of its attention" in HALF_VISIBLE[kind]) == (Counter.calls == 0)


def test_the_router_of_nllb_moe_calls_two_experts_at_most() -> None:
    config = transformers.NllbMoeConfig(d_model=16, num_experts=6, expert_capacity=64, router_bias=False)
    called = set()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        layer = NllbMoeSparseMLP(config, ffn_dim=8).eval()
        for name, expert in layer.experts.items():
            expert.register_forward_pre_hook(lambda module, inputs, name=name: called.add(name))
        layer(torch.randn(4, 12, 16), None)
    assert len(called) <= 2


@pytest.mark.parametrize("kind", HALF_VISIBLE)
def test_the_refusal_says_what_is_missing_and_what_there_is(kind: str) -> None:
    assert kind not in FAMILIES
    with pytest.raises(InputError) as refused:
        family_of(kind, True)
    assert HALF_VISIBLE[kind] in str(refused.value)
    assert "interp list families" in str(refused.value)
