"""`interp heads` prints the role table and writes it; a notebook gets the same frames in two lines; bad input is one sentence."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from analyses.cli import app
from analyses.head_specialization import (
    HeadSettings,
    batches_of,
    bias_frame,
    head_frame,
    heads,
    labels_frame,
    links_frame,
    position_frame,
    prompts_frame,
    similarity_frame,
)
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.parses import OURS

pytestmark = pytest.mark.slow

runner = CliRunner()
PREFIX = "translate English to German: "
SENTENCES = (
    "The cat sleeps on the chair.",
    "A dog runs.",
    "The old man reads a book in the garden.",
    "It is a red car.",
)
QUICK = HeadSettings(resamples=200, samples=4, sample=4, draws=20, nulls=())


def prompt_file(folder: Path) -> Path:
    path = folder / "prompts.jsonl"
    lines = [json.dumps({"source": PREFIX + sentence, "target": "Ein Hund."}) for sentence in SENTENCES]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def invoke(*words: str) -> tuple[int, str, str]:
    result = runner.invoke(app, ["heads", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_the_command_says_plainly_what_it_found_and_writes_every_table(tmp_path: Path) -> None:
    conllu, gold = tmp_path / "ours.conllu", tmp_path / "gold.txt"
    conllu.write_text(OURS, encoding="utf-8")
    gold.write_text("0-0 1-1\n" * 4)
    code, out, err = invoke(
        *("--prompts", str(prompt_file(tmp_path)), "--twins", "2", "--out", str(tmp_path / "heads.csv")),
        *("--position", "--copying", "--similarity", "--links", "--gold", str(gold), "--conllu", str(conllu)),
    )
    assert code == 0, err
    assert " of 72 heads ha" in out
    assert "of 144 untrained heads 0" in out
    names = ("position", "copying", "similarity", "links", "syntax")
    frames = {name: pd.read_csv(tmp_path / f"heads-{name}.csv") for name in names if name != "syntax"}
    assert len(frames["position"]) == 48
    assert len(frames["copying"]) == 48
    assert len(frames["similarity"]) == 72
    assert len(frames["links"]) == 4 * 24 * 2
    roles = pd.read_csv(tmp_path / "heads.csv")
    assert {"head", "role", "score", "null", "twins max", "permuted", "adjusted p", "stability"} <= set(roles.columns)


def planted(bundled: HookedEncoderDecoder) -> HookedEncoderDecoder:
    """The bundled model with a position bias of its encoder overwritten, so that head 2 reads the next token in every layer."""
    hf = copy.deepcopy(bundled.hf)
    table = hf.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight.data
    table[:, 2] = 0.0
    table[17, 2] = 80.0
    return HookedEncoderDecoder(hf, bundled.tokenizer)


def test_a_notebook_gets_an_atlas_and_its_frames_in_two_lines(bundled: HookedEncoderDecoder) -> None:
    model = planted(bundled)
    settings = QUICK.model_copy(update={"similarity": "all", "copying": "none", "importance": ()})
    atlas = heads(model, [PREFIX + sentence for sentence in SENTENCES], settings, twins=1)
    frame = labels_frame(atlas)
    full = frame["strength"].eq("threshold")
    assert set(frame.loc[frame["role"].eq("next token") & full, "head"]) == {f"EL{layer}H2" for layer in range(4)}
    assert "EL3H2" in atlas._repr_html_()
    positional = position_frame(atlas)
    assert set(positional["head"].head(4)) == {f"EL{layer}H2" for layer in range(4)}
    assert bias_frame(atlas, "encoder").loc[2, "+1"] == pytest.approx(80.0)
    values = prompts_frame(atlas, "encoder", "next token mass")
    assert values.shape == (4, 25)
    assert values["EL0H2"].mean() == pytest.approx(atlas.metric("encoder", "next token mass").point[0, 2])
    assert head_frame(atlas, "EL1H2").set_index("metric").loc["next token mass", "value"] > 0.99
    assert similarity_frame(atlas).set_index("head").loc["EL0H2", "most like"] in {
        f"EL{layer}H2" for layer in range(1, 4)
    }
    with pytest.raises(KeyError, match="EL0H0"):
        head_frame(atlas, "L1H2")


def test_pairs_and_batches_are_taken_too(bundled: HookedEncoderDecoder) -> None:
    ids, batches = batches_of(bundled, [(PREFIX + sentence, "Ein Hund.") for sentence in SENTENCES], batch_size=3)
    assert ids == ("1", "2", "3", "4")
    assert [len(batch) for batch in batches] == [3, 1]
    assert batches[0].target_origin == "given"
    assert batches_of(bundled, batches[0])[1] == [batches[0]]
    assert len(batches_of(bundled, "translation", 64)[0]) == 64
    links = links_frame(bundled, batches[1])
    assert set(links["step"]) == {"output", "input"}
    assert links["links"].str.fullmatch(r"(\d+-\d+( \d+-\d+)*)?").all()
    with pytest.raises(InputError, match="Of 2 texts 1 have a target"):
        batches_of(bundled, ["one.", ("two.", "zwei.")])  # type: ignore[list-item]
    with pytest.raises(InputError, match="give some texts"):
        batches_of(bundled, [])


def _file(name: str, content: str, option: str) -> Callable[[Path], list[str]]:
    def write(folder: Path) -> list[str]:
        (folder / name).write_text(content, encoding="utf-8")
        return [option, str(folder / name)]

    return write


BAD: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "no parses": (lambda folder: ["--conllu", str(folder / "none.conllu")], "no CoNLL-U file"),
    "empty parses": (_file("empty.conllu", "", "--conllu"), "holds no sentence"),
    "parses of another kind": (
        _file("text.conllu", "The cat sleeps.\n", "--conllu"),
        "no CoNLL-U with heads and relations",
    ),
    "no gold": (lambda folder: ["--gold", str(folder / "none.txt")], "cannot be read"),
    "gold of other prompts": (_file("gold.txt", "0-0\n", "--gold"), "1 lines for 4 prompts"),
    "gold that is no link": (_file("gold.txt", "0-0\n0:1\n0-0\n0-0\n", "--gold"), "'0:1' is no word link"),
    "other suffix": (lambda folder: ["--out", str(folder / "heads.txt")], "give the name of a .csv file"),
    "no folder": (lambda folder: ["--out", str(folder / "none" / "heads.csv")], "There is no folder"),
    "file in the way": (_file("heads.csv", "kept", "--out"), "exists; give another --out, or --overwrite"),
    "negative twins": (lambda folder: ["--twins", "-1"], "twins=-1"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case: str, tmp_path: Path) -> None:
    make, message = BAD[case]
    code, out, err = invoke("--prompts", str(prompt_file(tmp_path)), *make(tmp_path))
    assert (code, out) == (2, ""), err
    assert message in err
    assert len(err.strip().splitlines()) == 1, err


def test_unknown_kinds_are_usage_errors() -> None:
    assert invoke("--kind", "self")[0] == 2
