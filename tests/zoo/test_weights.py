"""What is read from weights is the whole model: adapters, other layers and heads, surplus weights, numbers that are none."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForSeq2SeqLM, PreTrainedModel

import interp
from analyses.runs.manifest import file_hashes
from interp.attribution.neurons import project_values
from interp.errors import InputError
from interp.hooks.attention import attention
from interp.model.checkpoints import find_checkpoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching import zero
from tests.support.zoo import ANIMALS, OTHERS, Home, reference

# PEFT's and torch's own words about what they will change.
pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing`:FutureWarning", "ignore:`torch.jit:DeprecationWarning"
)

TEXT = "translate English to German: The cat sleeps."


def host_of(home: Home, name: str = "t5-added") -> PreTrainedModel:
    return AutoModelForSeq2SeqLM.from_pretrained(home(name)).eval()


def with_lora(host: PreTrainedModel, *targets: str) -> nn.Module:
    """The model with a LoRA adapter whose product is not zero."""
    peft = pytest.importorskip("peft", reason="needs the extra `peft`: pip install -e '.[peft]'")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        adapted = peft.get_peft_model(host, peft.LoraConfig(r=2, target_modules=list(targets), init_lora_weights=False))
    return adapted.eval()


class Doubling(nn.Linear):
    """A layer whose weight is not its map, as quantized and distributed ones."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Named(nn.Linear):
    """A subclass that computes what a plain layer computes."""


@pytest.mark.parametrize("targets", [("q", "v"), ("wi", "wo"), ("q", "o")])
def test_an_adapter_in_memory_must_be_merged_first(targets: tuple[str, ...], home: Home) -> None:
    adapted = with_lora(host_of(home), *targets)
    for model in (adapted, adapted.base_model.model):
        with pytest.raises(InputError, match=r"peft\..* call merge_and_unload\(\) first"):
            HookedEncoderDecoder(model)


def test_a_merged_adapter_is_explained_as_the_adapted_model(home: Home) -> None:
    host, tokenizer = reference(ANIMALS["t5-added"], home("t5-added"))
    encoded = tokenizer(TEXT, text_target="Katze", return_tensors="pt")
    with torch.no_grad():
        base = host(**encoded).logits
        adapted = with_lora(host, "q", "o", "wo")
        wanted = adapted(**encoded).logits
        model = HookedEncoderDecoder(adapted.merge_and_unload(), tokenizer)
        got = model(model.batch(TEXT, "Katze"))
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(got, base, atol=1e-2)


def replace_first_query(host: PreTrainedModel, kind: type[nn.Linear]) -> None:
    own = host.encoder.block[0].layer[0].SelfAttention.q
    other = kind(own.in_features, own.out_features, bias=False)
    other.weight = own.weight
    host.encoder.block[0].layer[0].SelfAttention.q = other


def test_a_layer_that_computes_more_than_its_weight_is_refused(home: Home) -> None:
    host = host_of(home)
    replace_first_query(host, Named)
    HookedEncoderDecoder(host)
    replace_first_query(host, Doubling)
    with pytest.raises(
        InputError, match=r"'encoder\.block\.0\.layer\.0\.SelfAttention\.q' is a .*Doubling, which computes more"
    ):
        HookedEncoderDecoder(host)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantized_layers_are_refused(home: Home) -> None:
    small = torch.ao.quantization.quantize_dynamic(host_of(home), {nn.Linear}, dtype=torch.qint8)
    with pytest.raises(InputError, match="quantized"):
        HookedEncoderDecoder(small)


def test_a_replaced_forward_function_and_weights_elsewhere_are_refused(home: Home) -> None:
    host = host_of(home)
    host.lm_head.forward = lambda x: x
    with pytest.raises(InputError, match="whose forward function was replaced"):
        HookedEncoderDecoder(host)
    with pytest.raises(InputError, match="is not in memory"):
        HookedEncoderDecoder(host_of(home).to("meta"))


def test_a_compiled_model_is_taken_out_of_its_wrapper(home: Home) -> None:
    host = host_of(home)
    assert HookedEncoderDecoder(torch.compile(host)).hf is host
    host.compile()
    with pytest.raises(InputError, match="which is compiled"):
        HookedEncoderDecoder(host)


@pytest.mark.parametrize("name", OTHERS)
def test_other_heads_are_refused_by_name(name: str, home: Home) -> None:
    with pytest.raises(
        InputError, match=rf"is a {ANIMALS[name].refused}, which writes no text.*ForConditionalGeneration"
    ):
        interp.load(home(name), device="cpu")


def test_a_body_without_a_head_is_no_t5(home: Home, tmp_path: Path) -> None:
    folder = copied(home("t5-added"), tmp_path)
    change_json(folder / "config.json", architectures=["T5Model"])
    with pytest.raises(InputError, match="is a T5Model"):
        interp.load(folder, device="cpu")


def test_surplus_weights_outside_the_layers_are_refused(home: Home, tmp_path: Path) -> None:
    folder = copied(home("t5-added"), tmp_path)
    change_weights(folder, lambda weights: weights.update({"value_head.weight": torch.ones(1, 8)}))
    with pytest.raises(InputError, match=r"has in surplus 1 weights, the first is value_head\.weight"):
        interp.load(folder, device="cpu")


def test_weights_that_are_no_numbers_are_named(home: Home, tmp_path: Path) -> None:
    folder = copied(home("t5-added"), tmp_path)

    def spoil(weights: dict[str, Tensor]) -> None:
        weights["decoder.block.1.layer.2.DenseReluDense.wo.weight"][0, 0] = torch.nan

    change_weights(folder, spoil)
    with pytest.raises(
        InputError, match=r"not finite, first of all decoder\.block\.1\.layer\.2\.DenseReluDense\.wo\.weight"
    ):
        interp.load(folder, device="cpu")


@pytest.mark.parametrize("ask", ["forward", "batch", "generate", "sample"])
def test_logits_that_are_no_numbers_name_the_first_activation(ask: str, home: Home) -> None:
    host, tokenizer = reference(ANIMALS["t5-added"], home("t5-added"))
    model = HookedEncoderDecoder(host, tokenizer)
    batch = model.batch(TEXT, "Katze")
    with torch.no_grad():
        host.decoder.block[1].layer[2].DenseReluDense.wo.weight[0, 0] = torch.inf
    calls: dict[str, Callable[[], object]] = {
        "forward": lambda: model(batch),
        "batch": lambda: model.batch(TEXT),
        "generate": lambda: model.generate(TEXT, "unembed.hook_out", max_new_tokens=4),
        "sample": lambda: model.generate(TEXT, "unembed.hook_out", interp.Decoding("sampling"), 4),
    }
    with pytest.raises(
        InputError, match=r"logits are not finite; the first activation that is not is decoder\.1\.hook_mlp_out"
    ):
        calls[ask]()


def test_what_an_edit_makes_of_the_logits_is_its_own(home: Home) -> None:
    host, tokenizer = reference(ANIMALS["t5-added"], home("t5-added"))
    model = HookedEncoderDecoder(host, tokenizer)
    edit = ("decoder.0.hook_resid_post", lambda stream, hook: torch.full_like(stream, torch.nan))
    assert model.run_with_hooks(model.batch(TEXT, "Katze"), [edit]).isnan().all()


def test_an_unknown_kind_of_attention_is_an_error() -> None:
    module, (q, k) = nn.Identity(), (torch.randn(1, 4, 3, 8) for _ in range(2))
    z, _ = attention(module, q, k, k, None, softcap=None, use_cache=True)
    torch.testing.assert_close(z.transpose(1, 2), nn.functional.scaled_dot_product_attention(q, k, k))
    with pytest.raises(InputError, match=r"sinks=5\.0"):
        attention(module, q, k, k, None, sinks=5.0)
    with pytest.raises(InputError, match="4 heads of queries and 3 of keys"):
        attention(module, q, k[:, :3], k[:, :3], None)


def test_caps_and_shared_keys_are_what_the_host_computes() -> None:
    module, (q, k, v) = nn.Identity(), (torch.randn(1, 4, 3, 8) for _ in range(3))
    z, pattern = attention(module, q, k[:, :2], v[:, :2], None, softcap=5.0)
    keys, values = (one[:, :2].repeat_interleave(2, 1) for one in (k, v))
    wanted = (5 * torch.tanh(q @ keys.mT * 8**-0.5 / 5)).softmax(-1)
    torch.testing.assert_close(pattern, wanted)
    torch.testing.assert_close(z.transpose(1, 2), wanted @ values)


# Folders with adapters.


def test_the_hashes_of_an_adapter_and_of_its_base_are_kept(home: Home) -> None:
    checkpoint = find_checkpoint(home("t5-lora") / "adapter")
    hashes = file_hashes(checkpoint.files())
    assert {
        "config.json",
        "model.safetensors",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
    } <= set(hashes)
    assert checkpoint.name == "adapter"


def test_a_folder_with_weights_and_an_adapter_is_both(home: Home, tmp_path: Path) -> None:
    """What training with PEFT may leave; the host puts the adapter on unmerged, or leaves it out where PEFT is missing."""
    pytest.importorskip("peft", reason="needs the extra `peft`: pip install -e '.[peft]'")
    adapter = home("t5-lora") / "adapter"
    base = Path(json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"])
    both = copied(base, tmp_path)
    for path in adapter.iterdir():
        shutil.copy(path, both / path.name)
    apart, together = (interp.load(folder, device="cpu") for folder in (adapter, both))
    batch = apart.batch(TEXT, "Katze")
    assert torch.equal(apart(batch), together(batch))
    assert not torch.equal(apart(batch), interp.load(base, device="cpu")(batch))
    assert {"model.safetensors", "adapter/adapter_model.safetensors"} <= set(find_checkpoint(both).files())


def test_an_adapter_that_is_another_model_once_merged_is_refused(home: Home, tmp_path: Path) -> None:
    """LoRA on one of T5's tied tables: apart it changes what one stack reads, merged what all read and the logits."""
    adapter = home("t5-lora") / "adapter"
    base = Path(json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"])
    with_lora(AutoModelForSeq2SeqLM.from_pretrained(base), "q", "shared").save_pretrained(tmp_path)
    with pytest.raises(InputError, match="merged into the weights is another model: logits of a few tokens differ"):
        interp.load(tmp_path, device="cpu")
    with_lora(AutoModelForSeq2SeqLM.from_pretrained(base), "q", "wo").save_pretrained(tmp_path / "fits")
    assert interp.load(tmp_path / "fits", device="cpu").tied_embeddings


def test_an_adapter_says_what_it_lacks(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("peft", reason="needs the extra `peft`: pip install -e '.[peft]'")
    adapter = copied(home("t5-lora") / "adapter", tmp_path)
    change_weights(adapter, lambda weights: weights.pop(min(weights)), "adapter_model.safetensors")
    with pytest.raises(InputError, match="does not fit its base: 1 of its weights"):
        interp.load(adapter, device="cpu")
    change_json(adapter / "adapter_config.json", base_model_name_or_path=str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"needs its base model .*there is no such folder"):
        interp.load(adapter, device="cpu")
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match=r"pip install 't5-interp\[peft\]'"):
        interp.load(home("t5-lora") / "adapter", device="cpu")


def test_settings_that_only_some_files_have(home: Home, tmp_path: Path) -> None:
    """A list of one end of sentence, and a start token that only the generation settings name."""
    folder = copied(home("t5-added"), tmp_path)
    change_json(folder / "config.json", eos_token_id=[1], decoder_start_token_id=None)
    model, plain = interp.load(folder, device="cpu"), interp.load(home("t5-added"), device="cpu")
    assert (model.cfg.eos_token_id, model.cfg.decoder_start_token_id) == (1, 0)
    assert model.batch(TEXT).labels.tolist() == plain.batch(TEXT).labels.tolist()
    assert interp.untrained_twin(model, 0).cfg == model.cfg


def test_a_revision_of_a_folder_is_refused(home: Home) -> None:
    for name in (str(home("t5-added")), "bundled"):
        with pytest.raises(InputError, match=r"is a branch, tag or commit of a hub id"):
            interp.load(name, "main")


@pytest.mark.parametrize("name", ["t5-added", "bart-base"])
def test_stacks_that_share_a_module_are_told_apart(name: str, home: Home) -> None:
    """After a resize both stacks have one embedding module; other shared modules cannot be told apart."""
    host, _ = reference(ANIMALS[name], home(name))
    host.resize_token_embeddings(host.config.vocab_size + 1, mean_resizing=False)
    assert host.get_encoder().embed_tokens is host.get_decoder().embed_tokens
    model = HookedEncoderDecoder(host)
    first, second = (model.module(f"{stack}.hook_embed") for stack in ("encoder", "decoder"))
    assert first is not second
    assert first.weight is second.weight is host.get_input_embeddings().weight
    if name == "t5-added":
        host.decoder.block[1] = host.decoder.block[0]
        with pytest.raises(
            InputError, match=r"one and the same module at 'decoder\.block\.0.*' and 'decoder\.block\.1"
        ):
            HookedEncoderDecoder(host)


def test_half_precision_of_t5_reads_its_wide_neurons(home: Home) -> None:
    """T5 keeps wo in float32 whatever the rest is in: values and table are read in float32."""
    half, whole = (interp.load(home("t5-added"), device="cpu", dtype=kind) for kind in ("float16", "float32"))
    neurons = torch.arange(6)
    got, wanted = (project_values(model, 0, neurons, 3) for model in (half, whole))
    torch.testing.assert_close(got.raised_logit, wanted.raised_logit, atol=5e-2, rtol=1e-2)
    half.run_with_hooks(half.batch(TEXT, "Katze"), zero(["XL0H1"]))


def copied(folder: Path, place: Path) -> Path:
    shutil.copytree(folder, place / "copy")
    return place / "copy"


def change_json(path: Path, **changes: object) -> None:
    content = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}), encoding="utf-8")


def change_weights(
    folder: Path, change: Callable[[dict[str, Tensor]], object], name: str = "model.safetensors"
) -> None:
    weights = load_file(folder / name)
    change(weights)
    save_file(weights, folder / name, {"format": "pt"})
