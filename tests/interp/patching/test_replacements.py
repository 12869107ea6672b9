"""Replacements: by hand, and the same by every route: edits while running, ablation of many heads, the analyses."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from analyses.head_specialization.measure.ablation import ablate_heads, loss
from interp.errors import InputError
from interp.hooks.names import HeadId
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.interventions import mean, reference_means, resample
from interp.patching.partial_forward import record_pass
from interp.patching.replacements import ABLATIONS, Means, draw_donors, replacements
from interp.text.batch import Batch, collate
from interp.text.token_sets import classes, every
from interp.text.tokenized_text import Text
from interp.text.words import CONTENT, EOS, NO_WORD, PREFIX
from tests.support.models import random_batch
from tests.support.plain_ablation import logits_with, prompt_losses

NAMES = ("encoder.1.attn.hook_z", "decoder.0.attn.hook_z", "decoder.1.cross_attn.hook_z")


def text(*ids: int, prefix: int = 0) -> Text:
    """Token ids with end of sentence; the first are a task prefix."""
    length = len(ids)
    categories = (*(PREFIX,) * prefix, *(CONTENT,) * (length - prefix), EOS)
    return Text("", (*ids, 1), (*map(str, ids), "</s>"), (), (NO_WORD,) * (length + 1), categories)


def batch_of(model: HookedEncoderDecoder, sources: Sequence[Text], targets: Sequence[Text]) -> Batch:
    return collate(sources, targets, model.cfg, model.decoder_inputs, "given")


@pytest.fixture
def prompts(tiny_t5: HookedEncoderDecoder) -> Batch:
    """Two sentences of task 7, one of them twice, and one of task 8; the third target is a single row."""
    sources = [text(7, 20, 21, prefix=1), text(7, 30, prefix=1), text(7, 30, prefix=1), text(8, 40, prefix=1)]
    return batch_of(tiny_t5, sources, [text(50, 51), text(52), text(), text(53)])


def column(*rows: list[float]) -> Tensor:
    """One number a position, [batch pos one one]."""
    return torch.tensor(rows)[:, :, None, None]


def test_the_mean_by_hand(prompts: Batch) -> None:
    assert classes(prompts, "source").tolist() == [[0, 1, 1, 2], [0, 1, 2, -1], [0, 1, 2, -1], [0, 1, 2, -1]]
    assert classes(prompts, "target").tolist() == [[0, 1, 2], [0, 2, -1], [0, -1, -1], [0, 2, -1]]
    nan = torch.nan
    z = column([1.0, 2.0, 4.0, 8.0], [4.0, 6.0, 10.0, 99.0], [7.0, 9.0, 12.0, 98.0], [5.0, 5.0, 5.0, 97.0])
    found = replacements("mean", NAMES[0], z, prompts, ())[0]
    wanted = column([4.0, 5.25, 5.25, 10.0], [4.0, 5.25, 10.0, 99.0], [4.0, 5.25, 10.0, 98.0], [nan, nan, nan, 97.0])
    torch.testing.assert_close(found, wanted, equal_nan=True)
    z = column([1.0, 2.0, 4.0], [3.0, 6.0, 99.0], [8.0, 98.0, 97.0], [5.0, 5.0, 96.0])
    found = replacements("mean", NAMES[1], z, prompts, ())[0]
    # Only the first prompt has an ordinary row: its own value would be no other sentence's.
    wanted = column([4.0, nan, 5.0], [4.0, 5.0, 99.0], [4.0, 98.0, 97.0], [nan, nan, 96.0])
    torch.testing.assert_close(found, wanted, equal_nan=True)


def test_the_same_sentence_is_not_another_one(tiny_t5: HookedEncoderDecoder) -> None:
    twice = batch_of(tiny_t5, [text(7, 30, prefix=1)] * 2, [text(50), text(51)])
    z = torch.ones(2, 2, 1, 1)
    assert replacements("mean", NAMES[1], z, twice, ()).isnan().all()
    assert replacements("resample", NAMES[1], z, twice, [draw_donors(twice, twice, 0)]).isnan().all()


@pytest.mark.parametrize("seed", range(5))
def test_donors_are_positions_of_the_class_in_other_sentences_of_the_task(prompts: Batch, seed: int) -> None:
    donors = draw_donors(prompts, prompts, seed)
    for side in ("source", "target"):
        found = classes(prompts, side)
        for row, position in (found >= 0).nonzero().tolist():
            donor = int(donors.prompts[side][row, position])
            if row == 3 or (side == "target" and row == 0 and position == 1):
                assert donor == -1
                continue
            assert donor in ({0: (1, 2), 1: (0,), 2: (0,)}[row])
            assert found[donor, donors.positions[side][row, position]] == found[row, position]
        assert donors.prompts[side][found < 0].eq(-2).all()
    again = draw_donors(prompts, prompts, seed)
    assert all(torch.equal(again.prompts[side], donors.prompts[side]) for side in again.prompts)
    # The last row of the first prompt has its class in prompt 1 alone.
    assert donors.prompts["target"][0, 2] == 1


def test_seeds_draw_different_donors_and_a_prompt_has_one(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5, (9, 7, 8, 9, 6), (7, 5, 6, 8, 5), same_prefix=True)
    drawn = [draw_donors(batch, batch, seed) for seed in range(8)]
    assert len({tuple(one.prompts["source"][:, 0].tolist()) for one in drawn}) > 4
    for one in drawn:
        for row in range(len(batch)):
            both = torch.cat([one.prompts[side][row][every(batch, side)[row]] for side in ("source", "target")])
            assert len(both.unique()) == 1


def test_means_of_a_reference_are_those_of_all_its_batches(tiny_t5: HookedEncoderDecoder) -> None:
    references = [random_batch(tiny_t5, (7, 9), (5, 8), seed=seed, same_prefix=True) for seed in (1, 2)]
    means = reference_means(tiny_t5, references, ["XL1H3", "encoder.0.hook_mlp_out"])
    first, second = (tuple(batch.input_ids[0, :2].tolist()) for batch in references)
    assert means.counts["target", first].tolist() == [2, 9, 2]
    assert means.counts["source", second].tolist() == [2, 12, 2]
    z = tiny_t5.run_with_cache(references[0])[1]["decoder.1.cross_attn.hook_z"]
    wanted = torch.cat([z[0, 1:4], z[1, 1:7]]).double().mean(0)
    torch.testing.assert_close(means.values["decoder.1.cross_attn.hook_z", first][1], wanted)
    mlp = ["encoder.0.hook_mlp_out"]
    twice = Means.over((batch, tiny_t5.run_with_cache(batch, mlp)[1]) for batch in [*references, *references])
    torch.testing.assert_close(twice.values[mlp[0], first], means.values[mlp[0], first])
    with pytest.raises(KeyError, match=r"No means of 'decoder\.0\.hook_mlp_out' were taken"):
        means.replace("decoder.0.hook_mlp_out", torch.zeros(2, 8, 24), references[0])


def test_an_edit_that_could_replace_nothing_is_refused(tiny_t5: HookedEncoderDecoder) -> None:
    batch, other = (random_batch(tiny_t5, seed=seed, same_prefix=True) for seed in (0, 1))
    _, cache = tiny_t5.run_with_cache(other)
    with pytest.raises(
        InputError, match=r"Nothing can stand in at encoder\.0\.attn\.hook_z: the reference has no other"
    ):
        tiny_t5.run_with_hooks(batch, mean(["EL0H1"], reference_means(tiny_t5, [other], ["EL0H1"]), batch))
    with pytest.raises(InputError, match=r"Nothing can stand in at decoder\.0\.cross_attn\.hook_z"):
        tiny_t5.run_with_hooks(batch, resample(["XL0H2"], cache, batch, seed=1))
    single = random_batch(tiny_t5, (5,), (4,))
    _, cache = tiny_t5.run_with_cache(single)
    with pytest.raises(InputError, match="Nothing can stand in"):
        tiny_t5.run_with_hooks(single, resample(["XL0H2"], cache, single, seed=1))


def several_tasks(model: HookedEncoderDecoder) -> Batch:
    """Two tasks of three sentences each and one alone, of different lengths; one target is a single token."""
    words = ["The dog sleeps.", "A man sits on an old chair in the garden.", "We go home."]
    sources = [f"translate English to {language}: {one}" for language in ("German", "French") for one in words]
    targets = ["Der Hund schläft.", "Ein Mann.", "Wir gehen.", "Le chien dort.", "Un homme est assis.", "On rentre."]
    batch = model.batch([*sources, "summarize: The dog sleeps."], [*targets, "Hund."])
    one_row = [*batch.target_texts[:2], text(), *batch.target_texts[3:]]
    return batch_of(model, batch.source_texts, one_row)


@pytest.mark.parametrize("label", ["EL1H2", "DL0H3", "XL1H1"])
@pytest.mark.parametrize("ablation", ["mean", "resample"])
def test_every_route_replaces_z_by_the_same(bundled: HookedEncoderDecoder, label: str, ablation: str) -> None:
    """By an edit while the model runs, by the ablation of many heads, and in what the analysis makes of it."""
    batch, head = several_tasks(bundled), HeadId.parse(label)
    name = head.hook_name("z")
    with torch.no_grad():
        _, cache = bundled.run_with_cache(batch)
        seen = {}
        edits = mean([label], reference_means(bundled, [batch], [label]), batch)
        if ablation == "resample":
            edits = resample([label], cache, batch, seed=3)
        keep = (name, lambda value, hook: seen.update(z=value))
        running = bundled.run_with_hooks(batch, [*edits, keep])
    library = replacements(ablation, name, cache[name], batch, [draw_donors(batch, batch, 3)])[0]
    side = "source" if head.kind == "encoder" else "target"
    replaced = seen["z"][:, :, head.head]
    assert torch.equal(replaced.nan_to_num(7.0), library[:, :, head.head].nan_to_num(7.0))
    assert replaced.isnan().any(-1).logical_and(every(batch, side)).any(1).tolist() == [False] * 6 + [True]
    assert not torch.allclose(replaced[:6], cache[name][:6, :, head.head])
    full = record_pass(bundled, batch, "*.hook_z")
    effect = torch.tensor(ablate_heads(full, loss(full), ablation, [head], draws=1, seed=3)[0])  # type: ignore[arg-type]
    wanted = prompt_losses(running, batch) - prompt_losses(bundled(batch), batch)
    torch.testing.assert_close(effect, wanted, atol=2e-5, rtol=1e-4, equal_nan=True)
    again = prompt_losses(logits_with(bundled, batch, head, library[:, :, head.head]), batch)
    torch.testing.assert_close(again, prompt_losses(running, batch), equal_nan=True)


def test_zero_is_zero(prompts: Batch) -> None:
    assert ABLATIONS[0] == "zero"
    assert replacements("zero", NAMES[0], column([1.0], [2.0]), prompts, ()).eq(0).all()
