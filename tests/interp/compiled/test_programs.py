"""Compiled programs do what they say on every input of their domain, and their circuits are what their nodes read."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

import interp
from interp.circuits import graph_of
from interp.compiled import (
    PROGRAMS,
    Program,
    Token,
    active,
    compiled,
    corrupted_pairs,
    effects,
    find_program,
    plan_of,
    save,
    shift,
    table,
)
from interp.compiled.ideal import run
from interp.compiled.language import EOS, PAD
from interp.compiled.weights import LOGIT
from interp.errors import InputError
from interp.patching.minimal_pairs import pair_batch
from tests.support.compiled import compiled_model, leads, planned

STACKS = ("encoder", "decoder")


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_input_of_the_domain_is_solved_with_the_stated_margin(name: str) -> None:
    program, margins = find_program(name), leads(find_program(name), compiled_model(name).hf)
    assert len(margins) > 500
    assert margins.min() > program.margin


@pytest.mark.parametrize("name", ["switch", "noisy-translate"])
def test_a_saved_program_is_an_ordinary_checkpoint(name: str, tmp_path: Path) -> None:
    program = find_program(name)
    save(program, tmp_path / "made")
    host = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "made", attn_implementation="eager")
    assert leads(program, host).min() > program.margin
    tokenizer, example = AutoTokenizer.from_pretrained(tmp_path / "made"), list(program.examples())[-1]
    ids = tokenizer(example.source, return_tensors="pt").input_ids
    assert tokenizer.decode(host.generate(ids, max_new_tokens=9)[0], skip_special_tokens=True) == example.target
    hooked = interp.load(tmp_path / "made", device="cpu")
    assert hooked.batch([example.source]).target_texts[0].text == example.target
    with pytest.raises(InputError, match="not an empty folder"):
        save(program, tmp_path / "made")


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_model_writes_what_the_program_does_by_hand(name: str) -> None:
    """Logits are the outputs' values, to what the constant channel leaves of the norm and the noise adds."""
    program, plan, model = find_program(name), planned(name), compiled_model(name)
    chosen = list(program.examples())[:: max(len(list(program.examples())) // 20, 1)]
    for example in chosen:
        batch = model.batch([example.source], [example.target])
        wanted = run(plan, (*example.source.split(), EOS), (PAD, *example.target.split())).output
        got = model(batch)[0].numpy() / LOGIT
        np.testing.assert_allclose(got, wanted, atol=0.02 if program.noise is None else 0.6)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_true_edges_are_edges_of_the_graph_and_each_is_active_under_one_corruption(name: str) -> None:
    plan, graph = planned(name), graph_of(compiled_model(name).cfg)
    for edge in plan.edges():
        graph.number(edge)
    found = [active(plan, corrupted_pairs(plan, stack, 24)) for stack in STACKS]
    assert all(found)
    assert frozenset.union(*found) == plan.edges()


@pytest.mark.parametrize("name", PROGRAMS)
def test_pairs_change_the_answer(name: str) -> None:
    plan, model = planned(name), compiled_model(name)
    for stack in STACKS:
        pairs = corrupted_pairs(plan, stack, 8)
        batch = pair_batch(model, pairs)
        clean, corrupted = (batch.difference_of_logits(model, model(side)) for side in (batch.clean, batch.corrupted))
        assert clean.min() > plan.program.margin
        assert (clean - corrupted).min() > 1
        same = batch.clean.decoder_input_ids.equal(batch.corrupted.decoder_input_ids)
        assert same == (stack == "encoder")
        assert batch.clean.input_ids.equal(batch.corrupted.input_ids) == (stack == "decoder")


def test_the_circuit_of_copying_is_induction_through_the_cross_head() -> None:
    wanted = {
        "source embedding -> EL0H0.v",
        "EL0H0 -> XL0H0.k",
        "source embedding -> XL0H0.v",
        "embedding -> XL0H0.q",
        "XL0H0 -> logits",
    }
    assert {str(edge) for edge in planned("copy").edges()} == wanted
    by_hand = effects(planned("copy"), corrupted_pairs(planned("copy"), "decoder", 8))
    assert {str(edge) for edge, effect in by_hand.items() if effect} == {"embedding -> XL0H0.q", "XL0H0 -> logits"}


def test_a_program_of_ones_own_is_compiled() -> None:
    """Say after me, one word late and in capitals: two offsets, one of them three tokens away."""
    words = ("a", "b", "A", "B")
    target = Token("token", "decoder", (PAD, EOS, "<unk>", *words))
    capital = table("capital", (target,), {("a",): "A", ("b",): "B"})
    program = Program("late", "", words, (shift("late", capital, -3),), lambda: iter(()))
    model = compiled(program)
    batch = model.batch(["a"], ["a b b a a a"])
    assert model(batch)[0, 4:, 3:].argmax(-1).tolist() == [2, 3, 3]
    assert (model.cfg.n_decoder_layers, len(plan_of(program).edges())) == (2, 3)
    with pytest.raises(InputError, match="does not look ahead"):
        compiled(Program("early", "", words, (shift("early", target, 1),), lambda: iter(())))


def test_unknown_programs_are_refused_with_a_guess() -> None:
    with pytest.raises(InputError, match="did you mean 'reverse'"):
        find_program("revers")


def test_rounding_is_all_that_the_norm_leaves() -> None:
    """All rows have equally many values, so that the factor of the norm is the same, and close to 1."""
    model = compiled_model("copy")
    _, cache = model.run_with_cache(model.batch(["copy: cat ant dog"], ["cat ant dog"]))
    scale = cache["decoder.ln_final.hook_scale"]
    assert (scale * model.cfg.d_model**0.5 / 64 - 1).abs().max() < 1e-3
    assert torch.equal(model.hf.shared.weight[:, 0], torch.full((model.cfg.d_vocab,), 64.0))
