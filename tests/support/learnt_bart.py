"""A tiny BART that has learnt the bundled minimal pairs by heart, with a tokenizer of whole words: one whose answers flip."""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast

from interp.families.config import ModelConfig
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.minimal_pairs import PromptPair, candidate_pairs

STEPS = 80
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def learnt_bart(cfg: ModelConfig, steps: int = STEPS) -> HookedEncoderDecoder:
    """Trained for some steps on both sides of every pair.

    Args:
        cfg: of any model of its family, which decides how the pairs are read.
        steps: of training.
    """
    pairs = candidate_pairs(cfg)
    tokenizer = word_tokenizer(pairs)
    sources = [text for pair in pairs for text in (pair.clean, pair.corrupted)]
    targets = [text for pair in pairs for text in (pair.clean_target, pair.corrupted_target)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        host = BartForConditionalGeneration(
            BartConfig(
                vocab_size=len(tokenizer),
                d_model=48,
                encoder_layers=1,
                decoder_layers=2,
                encoder_attention_heads=4,
                decoder_attention_heads=4,
                encoder_ffn_dim=64,
                decoder_ffn_dim=64,
                max_position_embeddings=40,
                dropout=0.0,
                pad_token_id=1,
                bos_token_id=0,
                eos_token_id=2,
                forced_eos_token_id=None,
                decoder_start_token_id=2,
                init_std=0.1,
            )
        )
        read = tokenizer(sources, padding=True, return_tensors="pt")
        labels = tokenizer(targets, padding=True, return_tensors="pt")["input_ids"]
        labels = labels.masked_fill(labels == 1, -100)
        optimizer = torch.optim.Adam(host.parameters(), lr=5e-3)
        for _ in range(steps):
            optimizer.zero_grad()
            host(input_ids=read["input_ids"], attention_mask=read["attention_mask"], labels=labels).loss.backward()
            optimizer.step()
    return HookedEncoderDecoder(host.eval().requires_grad_(False), tokenizer)


def word_tokenizer(pairs: tuple[PromptPair, ...]) -> PreTrainedTokenizerFast:
    """Every word and mark of the pairs is one token, so that both sources of a pair have equally many."""
    split = pre_tokenizers.Whitespace()
    texts = [text for pair in pairs for text in (pair.clean, pair.corrupted, pair.clean_target, pair.corrupted_target)]
    words = dict.fromkeys(word for text in texts for word, _ in split.pre_tokenize_str(text))
    raw = Tokenizer(models.WordLevel({word: place for place, word in enumerate([*SPECIAL, *words])}, unk_token="<unk>"))
    raw.pre_tokenizer = split
    raw.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    names = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=raw, **names, model_max_length=40)
