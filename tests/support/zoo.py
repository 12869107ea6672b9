"""A zoo: tiny random checkpoints that keep every fact of public ones but their sizes.

Nothing is fetched: what the public checkpoint publishes is written down in `zoo_facts` and `zoo_tokenizers`, with small widths,
depths and vocabularies. There are as many rows of the embedding without a piece as in the public checkpoint, and they are large,
so that they are among the candidates of every step.

    animal = ANIMALS["t5-small"]
    animal.build(folder)                     a checkpoint as the hub has it
    animal.surplus, animal.forced, ...       what is true of it
    reference(animal, folder)                plain transformers: model (eager attention) and tokenizer
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    T5Tokenizer,
)

from tests.support import zoo_builders as builders
from tests.support import zoo_facts as published
from tests.support import zoo_tokenizers as tokenizers
from tests.support.paths import SHARED
from tests.support.zoo_facts import Facts

ENGLISH = ("The old man sits on a wooden chair in the garden.", "A black cat is sleeping under the table.")
GERMAN = ("Der alte Mann sitzt auf einem Holzstuhl im Garten.", "Eine schwarze Katze schläft unter dem Tisch.")

TRANSLITERATION = SHARED / "models" / "transliteration"
"""A real model by others: Arabic names to Latin letters, 6+6 layers, Pegasus class; only some machines have it."""


Home = Callable[[str], Path]
"""From an animal's name to its folder."""


@dataclass(frozen=True)
class Animal:
    """A checkpoint.

    Attributes:
        name: how the zoo calls it.
        public: the checkpoint it is like, or what it stands for.
        build: writes it into an empty folder.
        surplus: rows of the embedding without a piece.
        tied: whether the unembedding is the decoder's embedding.
        layers: of the encoder and of the decoder.
        prefix: what its sources start with.
        languages: codes of source and target that the user has to name, because neither tokenizer nor generation settings do.
        forced: id (or language mark) that generation forces first, id that it forces last where the length ends a text.
        limit: most tokens of a text; None where nothing states one.
        refused: a word that the refusal must have, for checkpoints that are no conditional generation; None for the others.
        hears: whether its sources are sounds.
        inside: where in the folder the checkpoint is.
        sources: two source texts.
        targets: their targets.
    """

    name: str
    public: str
    build: Callable[[Path], None]
    surplus: int = 0
    tied: bool = True
    layers: tuple[int, int] = (2, 2)
    prefix: str = ""
    languages: tuple[str, str] | None = None
    forced: tuple[int | str | None, int | None] = (None, None)
    limit: int | None = 512
    refused: str | None = None
    hears: bool = False
    inside: str = ""
    sources: tuple[str, ...] = ENGLISH
    targets: tuple[str, ...] = GERMAN

    def texts(self) -> list[str]:
        """The source texts with their prefix."""
        return [self.prefix + source for source in self.sources]


def reference(animal: Animal, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Plain transformers on the same files: the model, eager attention, in eval mode; an adapter is merged into its base."""
    place = folder / animal.inside
    if (place / "adapter_config.json").is_file():
        base = Path(json.loads((place / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"])
        model = _merged(AutoModelForSeq2SeqLM.from_pretrained(base, attn_implementation="eager"), place)
        return model.eval().requires_grad_(False), AutoTokenizer.from_pretrained(base)
    config = json.loads((place / "config.json").read_text(encoding="utf-8"))
    named = "model_type" in config
    kind = AutoModelForSeq2SeqLM if named else getattr(transformers, config["architectures"][0])
    model = kind.from_pretrained(place, attn_implementation="eager", dtype=torch.float32)
    return model.eval().requires_grad_(False), (AutoTokenizer if named else T5Tokenizer).from_pretrained(place)


def _merged(base: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    """The base with the adapter's product added to its weights, by the formula (Hu et al. 2021), not by PEFT."""
    settings = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    weights = load_file(adapter / "adapter_model.safetensors")
    with torch.no_grad():
        for name in (key for key in weights if "lora_A" in key):
            module = base.get_submodule(name.removeprefix("base_model.model.").removesuffix(".lora_A.weight"))
            product = weights[name.replace("lora_A", "lora_B")] @ weights[name]
            module.weight += settings["lora_alpha"] / settings["r"] * product
    return base


_MBART50 = partial(
    builders.with_codes,
    tokenizer=tokenizers.mbart50,
    facts=published.MBART50,
    surplus=0,
    generation=published.MBART50_GENERATION,
)
_M2M100 = partial(
    builders.with_codes,
    tokenizer=tokenizers.m2m100,
    facts=published.M2M100,
    surplus=8,
    generation=published.M2M100_GENERATION,
)
_NLLB = partial(
    builders.with_codes,
    tokenizer=tokenizers.nllb,
    facts=published.NLLB,
    surplus=2,
    generation=published.NLLB_GENERATION,
)
_PLBART = partial(
    builders.with_codes,
    tokenizer=tokenizers.plbart,
    facts=published.PLBART,
    surplus=0,
    generation=published.PLBART_GENERATION,
)
_BF16 = partial(builders.t5, facts={**published.T5_SMALL, "torch_dtype": "bfloat16"}, dtype=torch.bfloat16)
_DE = "translate English to German: "


def _other(name: str, public: str, facts: Facts, generation: Facts | None = None) -> Animal:
    build = partial(builders.other_head, name=name, facts=facts, generation=generation)
    return Animal(public.split("/")[-1], f"{public}, a {name}", build, refused=name)


_ANIMALS = (
    Animal("t5-small", "google-t5/t5-small", builders.t5, 28, prefix=_DE),
    Animal("t5-v1_1-small", "google/t5-v1_1-small", partial(builders.t5, facts=published.GATED), 28, tied=False),
    Animal("flan-t5-small", "google/flan-t5-small", partial(builders.t5, facts=published.FLAN), 28, tied=False),
    Animal("mt5-small", "google/mt5-small", builders.mt5, 12, tied=False, limit=None),
    Animal("mt5-rows", "mt5-small, all 250,112 rows", partial(builders.mt5, fill_to=250_100), 12, tied=False, limit=None),
    Animal("byt5-small", "google/byt5-small", builders.byt5, tied=False, layers=(6, 2), limit=None),
    Animal("umt5-small", "google/umt5-small", builders.umt5, 84, tied=False, limit=None),
    Animal("umt5-untyped", "google/umt5-small as published", partial(builders.umt5, typed=False), 84, tied=False, limit=None),
    Animal("switch", "google/switch-base-8", partial(builders.t5, facts=published.SWITCH), 28),
    Animal("t5-added", "a T5 with added tokens", builders.added, prefix=_DE),
    Animal("t5-without-json", "google/t5-v1_1-small, spiece.model alone", builders.without_json, 28, tied=False, limit=None),
    Animal("t5-sharded", "a T5 in several files", partial(builders.t5, max_shard_size="20KB"), 28, prefix=_DE),
    Animal("t5-bf16", "a T5 saved in bfloat16", _BF16, 28, prefix=_DE),
    Animal("hub-cache", "t5-small in the hub's cache", builders.hub_cache, 28, prefix=_DE, inside=builders.SNAPSHOT),
    Animal("t5-lora", "a LoRA adapter of a T5", builders.adapter, 28, prefix=_DE, inside="adapter"),
    Animal("bart-base", "facebook/bart-base", partial(builders.bart, generation=published.BASE_GENERATION, body_only=True),
           forced=(0, 2), limit=1024),
    Animal("bart-large-cnn", "facebook/bart-large-cnn", partial(builders.bart, generation=published.CNN_GENERATION),
           forced=(0, 2), limit=1024),
    Animal("mbart50", "facebook/mbart-large-50-many-to-many-mmt", _MBART50, languages=("en_XX", "de_DE"), forced=(None, 2),
           limit=1024),
    Animal("mbart50-de", "mbart-large-50 fine-tuned to German", partial(_MBART50, source="en_XX", target="de_DE"),
           forced=("de_DE", 2), limit=1024),
    Animal("opus-mt-en-de", "Helsinki-NLP/opus-mt-en-de", builders.marian, forced=(None, 0)),
    Animal("opus-mt-en-mul", "Helsinki-NLP/opus-mt-en-mul", partial(builders.marian, marks=(">>fra<<", ">>deu<<"), muted=True),
           prefix=">>deu<< ", forced=(None, 0)),
    Animal("pegasus-xsum", "google/pegasus-xsum", builders.pegasus, forced=(None, 1)),
    Animal("m2m100", "facebook/m2m100_418M", _M2M100, 8, languages=("en", "de"), limit=1024),
    Animal("m2m100-de", "m2m100_418M fine-tuned to German", partial(_M2M100, source="en", target="de"), 8,
           forced=("__de__", None), limit=1024),
    Animal("nllb", "facebook/nllb-200-distilled-600M", _NLLB, 2, languages=("eng_Latn", "deu_Latn"), limit=1024),
    Animal("nllb-de", "nllb-200-distilled-600M fine-tuned to German", partial(_NLLB, source="eng_Latn", target="deu_Latn"), 2,
           forced=("deu_Latn", None), limit=1024),
    Animal("plbart", "uclanlp/plbart-base", _PLBART, languages=("__python__", "__en_XX__"), forced=(None, 2), limit=1024),
    Animal("blenderbot", "facebook/blenderbot-400M-distill", builders.blenderbot, forced=(None, 2), limit=128),
    Animal("blenderbot-small", "facebook/blenderbot_small-90M", builders.blenderbot_small, forced=(None, 2)),
    Animal("t5gemma", "google/t5gemma-2b-2b-prefixlm-it", builders.t5gemma, limit=None),
    Animal("t5gemma2", "google/t5gemma-2-270m-270m", builders.t5gemma2, limit=None),
    Animal("whisper-tiny", "openai/whisper-tiny", builders.whisper, limit=1024, hears=True),
    Animal("whisper-tiny.en", "openai/whisper-tiny.en", partial(builders.whisper, multilingual=False), limit=1024, hears=True),
    _other("T5ForSequenceClassification", "t5-classifier", published.T5_SMALL, published.T5_GENERATION),
    _other("T5ForQuestionAnswering", "t5-answers", published.T5_SMALL, published.T5_GENERATION),
    _other("T5ForTokenClassification", "t5-tagger", published.T5_SMALL),
    _other("T5EncoderModel", "google/xtr-base-en", published.GATED),
    _other("BartForSequenceClassification", "facebook/bart-large-mnli", published.BART),
    _other("BartForQuestionAnswering", "bart-squad", published.BART),
)  # fmt: skip

ANIMALS = {animal.name: animal for animal in _ANIMALS}
GENERATORS = tuple(name for name, animal in ANIMALS.items() if animal.refused is None and not animal.hears)
LISTENERS = tuple(name for name, animal in ANIMALS.items() if animal.hears)
OTHERS = tuple(name for name, animal in ANIMALS.items() if animal.refused is not None)
