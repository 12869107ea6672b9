"""One prediction explained, as the command line gives it."""

from pathlib import Path

import pytest
from transformers import ByT5Tokenizer
from typer.testing import CliRunner

import interp
from analyses.cli import app
from analyses.logit_attribution.attribute import explain, inexact
from analyses.logit_attribution.explanation_page import explanation_section
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report import Card, Report, TokenStrip, render
from interp.report.numbers import number
from tests.support.models import BART_FAMILIES, tiny_hf

pytestmark = pytest.mark.slow

SOURCE = "translate English to German: The woman is reading a book."
TARGET = "Die Frau liest ein Buch."


def test_contributions_add_up_to_the_difference_from_the_foil(bundled: HookedEncoderDecoder) -> None:
    found = explain(bundled, SOURCE, TARGET, foil="Der Mann liest ein Buch.")
    assert (found.position, found.label, found.foil, found.target_origin) == (0, "▁Die", "▁Der", "given")
    batch = bundled.batch([SOURCE], [TARGET])
    logits = bundled(batch)[0, 0]
    assert bundled.tokenizer is not None
    die, der = bundled.tokenizer.convert_tokens_to_ids(["▁Die", "▁Der"])
    assert found.difference == pytest.approx(float(logits[die] - logits[der]), abs=1e-5)
    assert found.components["contribution"].sum() == pytest.approx(found.difference, abs=1e-4)
    assert found.gap <= 2e-5
    assert found.components["contribution"].abs().is_monotonic_decreasing
    cross = found.components[found.components["component"].str.startswith("X")]["contribution"].sum()
    assert found.sources["contribution"].sum() == pytest.approx(cross, abs=1e-4)
    parts = found.sources[["embedding", "heads", "MLPs"]].sum(axis=1)
    assert parts.to_numpy() == pytest.approx(found.sources["contribution"].to_numpy(), abs=1e-5)


@pytest.mark.parametrize("name", BART_FAMILIES)
def test_families_with_biases_name_them(name: str) -> None:
    model = HookedEncoderDecoder(tiny_hf(name, vocab_size=384), ByT5Tokenizer())
    found = explain(model, "a cat sat there", "eine Katze", position=3)
    assert found.gap <= 2e-5
    assert found.components["contribution"].sum() == pytest.approx(found.difference, abs=1e-4)
    labels = set(found.components["component"])
    assert {"positions", "DL0 attention bias", "XL1 attention bias", "DL2MLP bias", "unembedding bias"} <= labels
    cross = found.components[found.components["component"].str.fullmatch(r"XL\d+H\d+")]["contribution"].sum()
    assert found.sources["contribution"].sum() == pytest.approx(cross, abs=1e-4)
    assert found.sources["source token"].iloc[-1] == "(bias of the values)"
    assert explanation_section(found).findings


def test_the_word_that_decides_the_gender_is_found(bundled: HookedEncoderDecoder) -> None:
    found = explain(bundled, SOURCE, TARGET, foil="Der Mann liest ein Buch.")
    top = found.sources["source token"][int(found.sources["contribution"].argmax())]
    assert top in {"▁woman", "▁The"}


@pytest.mark.parametrize(("foil", "position"), [("語", None), ("Die 語 liest", None), ("<unk>語", 1), ("語", 1)])
def test_a_foil_that_the_tokenizer_does_not_know_is_refused(
    bundled: HookedEncoderDecoder, foil: str, position: int | None
) -> None:
    with pytest.raises(InputError, match=r"unknown to the tokenizer|does not know|pieces for this model"):
        explain(bundled, SOURCE, TARGET, foil=foil, position=position)


@pytest.mark.parametrize(("target", "position"), [("Die 語 liest ein Buch.", 1), ("語 liest ein Buch.", None)])
def test_a_word_of_the_target_that_the_tokenizer_does_not_know_is_refused(
    bundled: HookedEncoderDecoder, target: str, position: int | None
) -> None:
    with pytest.raises(InputError, match="unknown to the tokenizer"):
        explain(bundled, SOURCE, target, position=position)
    assert explain(bundled, SOURCE, "Die 語 liest ein Buch.", position=0).label == "▁Die"


@pytest.mark.parametrize(
    ("target", "foil", "position"), [("eine", "<pad>", 0), ("<pad>eine", None, 0), ("a", "<pad>", None)]
)
def test_a_row_that_the_model_never_writes_is_refused(target: str, foil: str | None, position: int | None) -> None:
    model = HookedEncoderDecoder(tiny_hf("marian", vocab_size=384), ByT5Tokenizer())
    model.hf.final_logits_bias[0, 0] = -10_000
    with pytest.raises(InputError, match="never writes"):
        explain(model, "a cat", target, foil=foil, position=position)


def test_without_target_and_foil_the_model_answers_for_itself(bundled: HookedEncoderDecoder) -> None:
    found = explain(bundled, SOURCE, position=1)
    assert found.target_origin == "generated"
    assert found.position == 1
    assert found.difference > 0
    assert found.foil != found.label


def test_a_foil_at_a_position_is_one_piece(bundled: HookedEncoderDecoder) -> None:
    found = explain(bundled, SOURCE, TARGET, foil="Mann", position=1)
    assert (found.label, found.foil) == ("▁Frau", "▁Mann")
    assert found.difference > 1


@pytest.mark.parametrize(
    ("foil", "position", "message"),
    [
        (None, 9, r"Position 9 is not in the target; its pieces are 0 to \d: ▁Die ▁Frau"),
        (None, -1, "Position -1 is not in the target"),
        (TARGET, None, "does not differ from the target"),
        ("Frau", 1, "is the target's own piece at position 1"),
        ("Holzstuhlfabrik", 1, "give a text of exactly one"),
    ],
)
def test_what_cannot_be_explained(
    bundled: HookedEncoderDecoder, foil: str | None, position: int | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        explain(bundled, SOURCE, TARGET, foil, position)


def test_its_page_renders(bundled: HookedEncoderDecoder) -> None:
    found = explain(bundled, SOURCE, TARGET, foil="Der Mann liest ein Buch.")
    section = explanation_section(found)
    assert "'▁Die' leads '▁Der' by" in section.findings[0]
    files = render(Report("t", "q", section.findings, "interp attribute", (section,), ()))
    assert {"tables/attribution-components.csv", "tables/attribution-sources.csv"} <= set(files)
    card = next(block for block in section.blocks if isinstance(block, Card))
    (strip,) = [part for part in card.parts if isinstance(part, TokenStrip)]
    assert list(strip.pieces) == list(found.sources["source token"])
    assert list(strip.values) == list(found.sources["contribution"])


def test_half_precision_is_flagged_with_its_gap(bundled: HookedEncoderDecoder) -> None:
    exact = explain(bundled, SOURCE, TARGET)
    assert inexact(exact) == ()
    half = explain(interp.load(device="cpu", dtype="bfloat16"), SOURCE, TARGET)
    assert half.gap > 2e-5
    (warning,) = inexact(half)
    assert f"The gap is {number(half.gap, 1)} of the contributions' size, more than the 2e-05" in warning
    assert warning in explanation_section(half).findings


def test_the_command_writes_a_page_in_which_hostile_text_is_text(tmp_path: Path) -> None:
    page = tmp_path / "Why not.html"
    source = "translate English to German: <script>alert(1)</script> & \u202eevil"
    asked = ["attribute", source, "--target", "<img src=x onerror=alert(1)>", "--position", "2", "--out", str(page)]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    assert f"page: {page}" in result.output.replace("\n", "")
    text = page.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "\u202e" not in text
    assert "Content-Security-Policy" in text
    tables = {path.name for path in (tmp_path / "tables").iterdir()}
    assert tables == {"why-not-attribution-components.csv", "why-not-attribution-sources.csv"}
    assert all(f"tables/{name}" in text for name in tables)
    again = CliRunner().invoke(app, asked)
    assert again.exit_code == 2
    assert "exists; give another --out, or --overwrite" in again.output.replace("\n", " ")
    assert CliRunner().invoke(app, [*asked, "--overwrite"]).exit_code == 0


@pytest.mark.parametrize(
    ("out", "message"), [("page.txt", "give the name of a .html file"), ("no/page.html", "There is no folder")]
)
def test_places_where_no_page_can_be(tmp_path: Path, out: str, message: str) -> None:
    result = CliRunner().invoke(app, ["attribute", SOURCE, "--out", str(tmp_path / out)])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not list(tmp_path.iterdir())
