"""The parts of the recipe, each against what is known: objective, dropout, batches, tasks, tokenizer, clock, settings."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import T5ForConditionalGeneration

from interp.errors import InputError
from tests.support.toy_pairs import RECIPE, THINGS, tiny_pairs
from training.card import worst_translations
from training.clock import STEP_CAP, BudgetClock
from training.data import Example, collate, epoch_batches
from training.objective import ByteDropout, batch_loss, use_byte_dropout
from training.optimizer import make_optimizer
from training.prepare import make_tokenizer
from training.recipe import Recipe
from training.tasks import Encoder
from training.tokenizer import add_words, build, pieces_of
from training.workers import Workers


def test_shares_of_a_batch_make_the_batch() -> None:
    batch = list(range(7))
    parts = [Workers(rank, 3).share(batch) for rank in range(3)]
    assert sorted(item for part in parts for item in part) == batch
    assert [Workers(rank, 3).share(batch[:2]) for rank in range(3)] == [[0, 1], (), ()]


def test_loss_and_gradients_equal_those_of_transformers_and_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(RECIPE.config()).eval()
    draw = random.Random(0)
    examples = [
        Example(tuple(draw.choices(range(3, 150), k=source)), tuple(draw.choices(range(3, 150), k=target)))
        for source, target in ((9, 4), (5, 12), (3, 3))
    ]
    batch = collate(examples, torch.device("cpu"))
    labels = batch.target.masked_fill(~batch.target_mask, -100)
    logits = model(input_ids=batch.source, attention_mask=batch.source_mask, labels=labels).logits
    reference = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), label_smoothing=0.1, reduction="sum"
    )
    loss = batch_loss(model, batch, 0.1)
    torch.testing.assert_close(loss, reference)
    parameters = list(model.parameters())
    for ours, theirs in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(reference, parameters), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    alone = sum(batch_loss(model, collate([example], torch.device("cpu")), 0.1) for example in examples)
    torch.testing.assert_close(loss, alone)


def test_byte_dropout_drops_the_share_it_says_and_keeps_the_mean() -> None:
    dropout = ByteDropout(0.25)
    values = torch.ones(400, 501)
    dropped = dropout(values)
    assert (dropped == 0).double().mean().item() == pytest.approx(0.25, abs=0.005)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert torch.equal(dropout.eval()(values), values)
    model = T5ForConditionalGeneration(RECIPE.config())
    use_byte_dropout(model, 0.25)
    assert not [module for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    assert any(isinstance(module, ByteDropout) for module in model.modules())


def test_batches_hold_every_example_once_within_the_limit_in_an_order_of_seed_and_epoch() -> None:
    draw = random.Random(1)
    examples = [Example((index, *[5] * draw.randint(1, 20)), (6,) * draw.randint(1, 20)) for index in range(200)]
    batches = list(epoch_batches([examples], 160, seed=3, epoch=2))
    assert sorted(example.source[0] for batch in batches for example in batch) == list(range(200))
    sizes = [len(batch) * (max(len(e.source) for e in batch) + max(len(e.target) for e in batch)) for batch in batches]
    assert max(sizes) <= 160
    tokens = sum(len(example.source) + len(example.target) for example in examples)
    assert tokens / sum(sizes) > 0.75
    assert batches == list(epoch_batches([examples], 160, seed=3, epoch=2))
    assert batches != list(epoch_batches([examples], 160, seed=3, epoch=3))


def test_every_batch_has_its_share_of_every_task_and_little_padding() -> None:
    draw = random.Random(1)
    lengths = [draw.randint(5, 20) for _ in range(900)]
    translations = [Example((5,) * length, (6,) * (length + draw.randint(-3, 3))) for length in lengths]
    labels = [Example((7,) * length, (8, 1)) for length in lengths[:300]]
    batches = list(epoch_batches([translations, labels], 400, seed=0, epoch=0))
    shares = [sum(example.target == (8, 1) for example in batch) / len(batch) for batch in batches]
    assert sum(0.05 < share < 0.5 for share in shares) > 0.9 * len(shares)
    apart = list(epoch_batches([[*translations, *labels]], 400, seed=0, epoch=0))
    assert sum(
        share in {0.0, 1.0} for share in (sum(e.target == (8, 1) for e in b) / len(b) for b in apart)
    ) > 0.5 * len(apart)
    sizes = [len(batch) * (max(len(e.source) for e in batch) + max(len(e.target) for e in batch)) for batch in batches]
    assert sum(len(e.source) + len(e.target) for batch in batches for e in batch) / sum(sizes) > 0.7


def test_listed_and_frequent_words_become_single_pieces_and_equal_texts_give_equal_tokenizers() -> None:
    tokenizer = make_tokenizer(tiny_pairs(), RECIPE, None)
    for word in ("translate", "English", "German", "French", *THINGS):
        assert tokenizer.tokenize(word) == [f"▁{word}"], word
    assert tokenizer.get_vocab() == make_tokenizer(tiny_pairs(), RECIPE, None).get_vocab()
    text = "The goat is on the table."
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text
    with pytest.raises(InputError, match=r"No tokenizer of 5 pieces can be fitted .* Change unigram_pieces"):
        make_tokenizer(tiny_pairs(), replace(RECIPE, unigram_pieces=5), None)
    with pytest.raises(InputError, match=r"The pairs give a vocabulary of \d+, .* but the recipe asks for 900"):
        make_tokenizer(tiny_pairs(), replace(RECIPE, vocabulary=900), None)


def test_words_absent_from_the_texts_are_not_added() -> None:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), ("a", -2.0), ("b", -2.0)]
    grown = add_words(pieces, ["ab ab ba"], 7, ("zebra", "ba"))
    assert [piece for piece, _ in grown[6:]] == ["▁ba"]
    assert build(grown).tokenize("ba ab") == ["▁ba", "▁", "a", "b"]


def test_only_a_unigram_tokenizer_can_be_extended(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no tokenizer\.json"):
        pieces_of(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE"}}))
    with pytest.raises(InputError, match="is a BPE tokenizer, but only a Unigram one"):
        pieces_of(tmp_path)


def test_texts_are_encoded_once_and_cut_at_128_tokens() -> None:
    encoder = Encoder(make_tokenizer(tiny_pairs(), RECIPE, None))
    (first,) = encoder.encode([("The goat " * 200, "goat")])
    assert len(first.source) == 128
    assert first.source[-1] == 1
    (again,) = encoder.encode([("The goat " * 200, "goat")])
    assert again.source is first.source


def test_the_clock_counts_steps_or_capped_seconds() -> None:
    clock = BudgetClock(seconds=10.0)
    clock.count(1.5)
    clock.count(3600.0)  # Stopped for an hour in the middle of a step.
    assert clock.spent == 1.5 + STEP_CAP
    assert clock.progress == pytest.approx(0.45)
    steps = BudgetClock(steps=2)
    steps.count(3600.0)
    assert (steps.progress, steps.over) == (0.5, False)
    steps.count(0.1)
    assert steps.over
    for wrong in ({}, {"steps": 1, "seconds": 1.0}, {"steps": 0}, {"seconds": -1.0}):
        with pytest.raises(InputError, match="Give exactly one of --steps and --minutes"):
            BudgetClock(**wrong)


def test_another_budget_keeps_the_place_in_the_schedule() -> None:
    clock = BudgetClock(seconds=100.0)
    for _ in range(20):
        clock.count(2.0)
    same = BudgetClock(seconds=100.0)
    same.resume(clock.state())
    assert same == clock
    shorter = BudgetClock(seconds=60.0)
    shorter.resume(clock.state())
    assert shorter.progress == pytest.approx(0.4)
    for _ in range(5):
        shorter.count(2.0)
    assert shorter.progress == pytest.approx(0.7)
    again = BudgetClock(steps=30)
    again.resume(shorter.state())
    assert again.progress == pytest.approx(0.7)
    again.count(1.0)
    assert again.progress == pytest.approx(0.76)
    spent = BudgetClock(seconds=50.0)
    spent.resume(shorter.state())
    assert spent.over


def test_the_step_size_warms_up_and_falls_to_zero() -> None:
    recipe = Recipe(peak_rate=0.1, warmup_steps=10)
    assert recipe.rate(0, 0.0) == pytest.approx(0.01)
    assert recipe.rate(9, 0.0) == pytest.approx(0.1)
    assert recipe.rate(500, 0.5) == pytest.approx(0.05)
    assert recipe.rate(999, 1.0) == pytest.approx(0.0)


def test_position_biases_step_in_nats_where_the_recipe_says_so() -> None:
    model = T5ForConditionalGeneration(RECIPE.config())
    _, usual = make_optimizer(model, model, RECIPE)
    _, scaled = make_optimizer(model, model, replace(RECIPE, bias_scale=0.5))
    names = [name for name, _ in model.named_parameters()]
    changed = {name: new for name, old, new in zip(names, usual, scaled, strict=True) if old != new}
    assert changed == {
        f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight": 0.5 for stack in ("encoder", "decoder")
    }


def test_recipes_are_read_from_settings() -> None:
    assert Recipe.of(["layers=6", "peak_rate=1", 'repeats=[["toy", "de", 2]]', "reverse=true"]) == Recipe(
        layers=6, peak_rate=1.0, repeats=(("toy", "de", 2),), reverse=True
    )
    for setting, message in (
        ("layer=6", "no field 'layer'. Its fields are d_model"),
        ("layers=six", "is not FIELD=VALUE"),
        ("layers=6.5", "layers is of type int, got 6.5"),
        ("spans=15", r"spans is a share, from 0 to 1, got 15\.0"),
    ):
        with pytest.raises(InputError, match=message):
            Recipe.of([setting])


def test_parameters_are_counted() -> None:
    model = T5ForConditionalGeneration(RECIPE.config())
    assert RECIPE.parameters() == sum(parameter.numel() for parameter in model.parameters())


def test_the_worst_translations_are_the_worst_of_each_group() -> None:
    pairs = [replace(pair, corpus=pair.language) for pair in tiny_pairs()]
    translations = [pair.target for pair in pairs]
    translations[3], translations[15] = "nothing", "Le"
    shown = worst_translations(pairs, translations)
    assert {text for _, _, text in shown} == {"nothing", "Le"}
    with pytest.raises(InputError, match="No test sentence has 6 words"):
        worst_translations([replace(pairs[0], source="translate English to German: Go on.")], ["Weiter."])
