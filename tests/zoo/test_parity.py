"""The hooked model gives what plain transformers gives, on every animal: logits, texts, cross-attention of every step, one sum.

The reference is loaded from the same files by transformers alone and asked in its own words.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

import interp
from analyses.logit_attribution.attribute import explain
from interp.model.generation import Decoding
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching import zero
from interp.text.tokenized_text import describe_generated
from tests.support.parity import relative_gap
from tests.support.zoo import ANIMALS, GENERATORS, Animal, Home, reference

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")]

STEPS = 9
PLAIN: dict[str, Any] = {
    "do_sample": False,
    "no_repeat_ngram_size": 0,
    "min_length": 0,
    "max_new_tokens": STEPS,
    "renormalize_logits": False,
}
"""What `Decoding` says of itself, in the host's words; what the checkpoint forces or forbids stays."""


class Pair:
    """One animal read twice: by this package and by plain transformers.

    Attributes:
        animal: the animal.
        ours: the hooked model.
        host: the reference.
        encoded: sources and targets as the reference's tokenizer makes them, padded.
    """

    def __init__(self, animal: Animal, folder: Path) -> None:
        self.animal = animal
        self.host, self.tokenizer = reference(animal, folder)
        languages: dict[str, str] = {}
        if animal.languages is not None:
            languages = dict(zip(("source_lang", "target_lang"), animal.languages, strict=True))
            self.tokenizer.src_lang, self.tokenizer.tgt_lang = animal.languages
        self.ours: HookedEncoderDecoder = interp.load(folder / animal.inside, device="cpu", **languages)
        texts = {"text": animal.texts(), "text_target": list(animal.targets)}
        self.encoded = self.tokenizer(**texts, padding=True, return_tensors="pt")
        self.encoded["labels"] = self.encoded["labels"].masked_fill(self._padding(), -100)

    def _padding(self) -> Tensor:
        """Where the labels are padding: behind the last token of every row, which may itself have the padding's id nowhere."""
        lengths = [len(self.tokenizer(text_target=target).input_ids) for target in self.animal.targets]
        return torch.arange(self.encoded["labels"].shape[1]) >= torch.tensor(lengths)[:, None]

    def forced(self) -> dict[str, int]:
        """The first token in the host's words, for animals whose language the user names."""
        if self.animal.languages is None:
            return {}
        read = self.tokenizer
        codes = getattr(read, "lang_code_to_id", None)
        target = self.animal.languages[1]
        return {"forced_bos_token_id": codes[target] if codes else read.convert_tokens_to_ids(target)}

    def written(self, **settings: Any) -> Any:
        """What the host writes."""
        inputs = {name: self.encoded[name] for name in ("input_ids", "attention_mask")}
        return self.host.generate(**inputs, **PLAIN, **self.forced(), **settings)


@pytest.fixture(scope="module")
def pairs(home: Home) -> Callable[[str], Pair]:
    """Pairs by name, each read once."""
    read: dict[str, Pair] = {}

    def pair_of(name: str) -> Pair:
        if name not in read:
            read[name] = Pair(ANIMALS[name], home(name))
        return read[name]

    return pair_of


@pytest.fixture
def pair(request: pytest.FixtureRequest, pairs: Callable[[str], Pair]) -> Pair:
    return pairs(request.param)


DECODINGS = {"greedy": Decoding(), "beam": Decoding(method="beam", beams=3)}

every_animal = pytest.mark.parametrize("pair", GENERATORS, indirect=True)


@every_animal
def test_texts_become_the_hosts_ids(pair: Pair) -> None:
    batch = pair.ours.batch(pair.animal.texts(), list(pair.animal.targets))
    assert batch.input_ids.tolist() == pair.encoded["input_ids"].tolist()
    assert batch.attention_mask.tolist() == pair.encoded["attention_mask"].tolist()
    assert batch.labels.tolist() == pair.encoded["labels"].tolist()


@every_animal
def test_a_text_has_the_same_words_given_or_written(pair: Pair) -> None:
    """The same ids as a target and as what was generated."""
    model = pair.ours
    given = model.batch(pair.animal.texts(), list(pair.animal.targets)).target_texts
    for text in given:
        written = describe_generated(text.ids, model.tokenizer, model.cfg.eos_token_id)
        assert written.word_of_token == text.word_of_token, text.pieces
        # Blenderbot-small writes small letters alone.
        assert [word.casefold() for word in written.words] == [word.casefold() for word in text.words]


@every_animal
def test_logits_of_given_targets(pair: Pair) -> None:
    batch = pair.ours.batch(pair.animal.texts(), list(pair.animal.targets))
    with torch.no_grad():
        wanted = pair.host(**pair.encoded).logits
        got = pair.ours(batch)
    rows = pair.encoded["labels"] != -100
    assert relative_gap(got[rows], wanted[rows]) < 1e-5


@every_animal
@pytest.mark.parametrize("method", ["greedy", "beam"])
def test_generations(method: str, pair: Pair) -> None:
    settings = {"num_beams": 3, "early_stopping": True, "length_penalty": 1.0} if method == "beam" else {"num_beams": 1}
    wanted = pair.written(**settings)[:, 1:].tolist()
    ours = pair.ours.generate(pair.animal.texts(), "unembed.hook_out", DECODINGS[method], max_new_tokens=STEPS)
    eos = pair.ours.cfg.eos_token_id
    for got, host in zip((list(text.ids) for text in ours.batch.target_texts), wanted, strict=True):
        assert got == (host[: host.index(eos) + 1] if eos in host else host)


@every_animal
def test_cross_attention_of_every_step(pair: Pair) -> None:
    wanted = pair.written(num_beams=1, output_attentions=True, return_dict_in_generate=True)
    ours = pair.ours.generate(pair.animal.texts(), "decoder.*.cross_attn.hook_pattern", max_new_tokens=STEPS)
    for row, text in enumerate(ours.batch.target_texts):
        for step in range(len(text.ids)):
            for layer, host in enumerate(wanted.cross_attentions[step]):
                got = ours.cache[f"decoder.{layer}.cross_attn.hook_pattern"][row, :, step]
                torch.testing.assert_close(got, host[row, :, 0], atol=1e-5, rtol=1e-4)


@every_animal
def test_contributions_add_up_to_the_hosts_logit_difference(pair: Pair) -> None:
    told = explain(pair.ours, pair.animal.texts()[0], pair.animal.targets[0], position=2)
    alone = _alone(pair)
    with torch.no_grad():
        logits = pair.host(**alone).logits[0, 2]
    label = int(alone["labels"][0, 2])
    order = logits.argsort(descending=True).tolist()
    foil = next(token for token in order if token != label and pair.ours.named_rows[token])
    difference = float(_uncapped(pair, logits[label]) - _uncapped(pair, logits[foil]))
    assert told.difference == pytest.approx(difference, abs=1e-4)
    assert float(told.components["contribution"].sum()) == pytest.approx(difference, abs=1e-3)


@every_animal
def test_the_last_mlp_contributes_what_its_ablation_takes_away(pair: Pair) -> None:
    """By hand on the host, the scale of the norm behind it held: take the MLP's product (without its bias) out of the stream."""
    told = explain(pair.ours, pair.animal.texts()[0], pair.animal.targets[0], position=2)
    alone = _alone(pair)
    label = int(alone["labels"][0, 2])
    with torch.no_grad():
        clean = _uncapped(pair, pair.host(**alone).logits[0, 2])
        order = clean.argsort(descending=True).tolist()
        foil = next(token for token in order if token != label and pair.ours.named_rows[token])
        without = _uncapped(pair, _without_the_last_mlp(pair.host, alone)[0, 2])
    taken = float((clean[label] - clean[foil]) - (without[label] - without[foil]))
    names = re.compile(rf"DL{pair.animal.layers[1] - 1}(MLP|E\d+)")  # of an MLP with experts, one writes this token
    rows = told.components.set_index("component")["contribution"]
    assert float(rows[[name for name in rows.index if names.fullmatch(name)]].sum()) == pytest.approx(taken, abs=1e-3)


@every_animal
def test_zeroing_a_cross_head_is_zeroing_its_columns(pair: Pair) -> None:
    batch = pair.ours.batch(pair.animal.texts(), list(pair.animal.targets))
    output = _cross_output(pair.host)
    width = output.in_features // pair.ours.cfg.heads_of("cross")

    def blank(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        z = inputs[0].clone()
        z[..., width : 2 * width] = 0
        return (z, *inputs[1:])

    handle = output.register_forward_pre_hook(blank)
    with torch.no_grad():
        wanted = pair.host(**pair.encoded).logits
        handle.remove()
        # Where one attention is over both sides, what its head writes is the sum of two.
        sides = ["XL0H1", "DL0H1"] if pair.ours.cfg.merged_attention else ["XL0H1"]
        got = pair.ours.run_with_hooks(batch, zero(sides))
    rows = pair.encoded["labels"] != -100
    assert relative_gap(got[rows], wanted[rows]) < 1e-5


def _alone(pair: Pair) -> dict[str, Tensor]:
    """The first prompt without padding, as the host takes it."""
    texts = {"text": [pair.animal.texts()[0]], "text_target": [pair.animal.targets[0]]}
    return dict(pair.tokenizer(**texts, return_tensors="pt"))


def _uncapped(pair: Pair, logits: Tensor) -> Tensor:
    """Logits before the host's cap, which contributions add up to."""
    cap = getattr(pair.host.get_decoder().config, "final_logit_softcapping", None)
    return logits if cap is None else cap * torch.atanh(logits / cap)


def _cross_output(host: PreTrainedModel) -> nn.Linear:
    decoder = host.get_decoder()
    if hasattr(decoder, "rotary_emb"):
        layer = decoder.layers[0]
        return getattr(layer, "cross_attn", layer.self_attn).o_proj
    return (
        decoder.block[0].layer[1].EncDecAttention.o
        if hasattr(decoder, "block")
        else decoder.layers[0].encoder_attn.out_proj
    )


def _without_the_last_mlp(host: PreTrainedModel, inputs: dict[str, Tensor]) -> Tensor:
    """The logits without the last MLP's product, the scale of the norm behind it as in the whole model."""
    decoder = host.get_decoder()
    if hasattr(decoder, "block"):
        last = decoder.block[-1].layer[-1]
        out = last.mlp if hasattr(last, "mlp") else last.DenseReluDense.wo
        norm, centered = decoder.final_layer_norm, False
    elif hasattr(decoder, "rotary_emb"):
        out, norm, centered = decoder.layers[-1].post_feedforward_layernorm, decoder.norm, False
    else:
        last = decoder.layers[-1]
        out, norm, centered = last.fc2, getattr(decoder, "layer_norm", last.final_layer_norm), True
    seen: dict[str, Tensor] = {}
    handles = [norm.register_forward_pre_hook(lambda module, given: seen.update(stream=given[0]))]
    host(**inputs)
    handles.pop().remove()
    stream = seen["stream"]
    spread = stream.var(-1, unbiased=False, keepdim=True) if centered else stream.square().mean(-1, keepdim=True)
    eps = norm.eps if hasattr(norm, "eps") else norm.variance_epsilon
    gain = norm.weight + (1 if hasattr(decoder, "rotary_emb") else 0)

    def held(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        value = given[0] - given[0].mean(-1, keepdim=True) if centered else given[0]
        scaled = value * (spread + eps).rsqrt() * gain
        return scaled + module.bias if centered else scaled

    def blank(module: nn.Linear, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output - given[0] @ module.weight.T if isinstance(module, nn.Linear) else torch.zeros_like(output)

    handles = [norm.register_forward_hook(held), out.register_forward_hook(blank)]
    logits = host(**inputs).logits
    for handle in handles:
        handle.remove()
    return logits
