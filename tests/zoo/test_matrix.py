"""Every command and every analysis over every animal of the zoo: a cell is one test.

Commands run in this process, as a user types them; what they print must be free of what no reader should see.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
import pytest
from _pytest.mark.structures import ParameterSet
from typer.testing import CliRunner

import interp
from analyses.cli import app
from analyses.core.registry import ANALYSES, DEFAULT, get
from analyses.runs.study import analyse
from interp import prompts as prompt_sets
from interp.circuits.graph import why_no_graph
from interp.errors import InputError
from interp.families.config import ModelConfig
from tests.support.zoo import ANIMALS, GENERATORS, OTHERS, Animal, Home

pytestmark = [
    pytest.mark.slow,
    # A word of the host's about an optional package; the tokenizer does not use it.
    pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses"),
]

UNFIT_TO_READ = re.compile(r"\bNone\b(?! of )|\bnan\b|1000000000|Traceback|(?<!\w)<row -")
"""What no printed line may have: a missing piece, a number that is none, an astronomical limit."""

SENTENCES = tuple(dict.fromkeys(prompt.sentence for prompt in prompt_sets.bundled("translation").prompts))[:4]


@dataclass(frozen=True)
class Desk:
    """What a user has before a command: an animal, where it is, and a folder to work in.

    Attributes:
        animal: the animal.
        model: what is given as `--model`.
        folder: for files.
    """

    animal: Animal
    model: str
    folder: Path

    def prompts(self, with_targets: bool = False) -> str:
        """A file of four prompts, or of the animal's own two with their targets."""
        texts = self.animal.texts() if with_targets else [self.animal.prefix + sentence for sentence in SENTENCES]
        rows = [{"source": text} for text in texts]
        if with_targets:
            rows = [row | {"target": target} for row, target in zip(rows, self.animal.targets, strict=True)]
        path = self.folder / "prompts.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    def languages(self) -> list[str]:
        """The options that name the languages, for animals that leave them open."""
        if self.animal.languages is None:
            return []
        source, target = self.animal.languages
        return ["--source-lang", source, "--target-lang", target]

    def text(self, name: str, content: str) -> str:
        """A file with some content."""
        (self.folder / name).write_text(content, encoding="utf-8")
        return str(self.folder / name)

    def minimal_pairs(self) -> str:
        """Eight pairs of one kind, whose answers are what the animal is given as targets; no untrained animal knows them."""
        (clean, corrupted), (answer, other) = self.animal.texts(), self.animal.targets
        pair = {
            "kind": "zoo",
            "clean": clean,
            "corrupted": corrupted,
            "clean_target": answer,
            "corrupted_target": other,
        }
        return self.text("pairs.jsonl", "".join(json.dumps(pair | {"id": f"p{place}"}) + "\n" for place in range(8)))

    def pairs(self) -> str:
        """Two translations as `eval-model` reads them."""
        rows = zip(self.animal.texts(), self.animal.targets, strict=True)
        return self.text("pairs.tsv", "".join(f"zoo\tGerman\t{source}\t{target}\n" for source, target in rows))


Arguments = Callable[[Desk], list[str]]

COMMANDS: dict[str, Arguments] = {
    "model": lambda desk: ["model", "--shapes", desk.animal.texts()[0]],
    "list": lambda desk: ["list", "hooks"],
    "tokens": lambda desk: ["tokens", *desk.animal.texts()],
    "words": lambda desk: ["words", "chair", "table"],
    "generate": lambda desk: ["generate", *desk.animal.texts()],
    "generate-beam": lambda desk: ["generate", "--method", "beam", "--beams", "3", *desk.animal.texts()],
    "attribute": lambda desk: ["attribute", desk.animal.texts()[0], "--out", str(desk.folder / "why.html")],
    "attribute-target": lambda desk: ["attribute", desk.animal.texts()[0], "--target", desk.animal.targets[0]],
    "heads": lambda desk: ["heads", "-p", desk.prompts(), "--twins", "2", "--sample", "2", "-q"],
    "align": lambda desk: ["align", desk.prompts(True), "--gold", desk.text("gold", "0-0 1-1\n0-0 1-1\n"), "--twins", "2"],
    "show": lambda desk: ["show", desk.animal.texts()[0], "--no-open", "-o", str(desk.folder / "show.html")],
    "attribute-sources": lambda desk: ["attribute", desk.animal.texts()[0], "--sources", "all"],
    "composition": lambda desk: ["composition", "-p", desk.prompts(), "--top", "3"],
    "directions": lambda desk: ["directions", "XL0H0", "-p", desk.prompts(), "--directions", "1"],
    "neuron": lambda desk: ["neuron", "-p", desk.prompts(True), "--top", "1"],
    "circuit": lambda desk: ["circuit", "--pairs", desk.minimal_pairs(), "--check", "5", "--draws", "5", "--no-twin"],
    "activations": lambda desk: [
        "activations", desk.prompts(), "--hooks", "encoder.*.hook_resid_post", "-q", "--out", str(desk.folder / "store")
    ],
    "plan": lambda desk: ["plan", "--prompts", "100", "--no-probe"],
    "eval-model": lambda desk: ["eval-model", "--pairs", desk.pairs(), "--beams", "2", "--no-swap"],
    "run": lambda desk: ["run", "-p", desk.prompts(), "--twins", "2", "--pages", "1", "-q", "-o", str(desk.folder / "out")],
    "run-given": lambda desk: ["run", "-p", desk.prompts(True), "--twins", "2", "-q", "-o", str(desk.folder / "out")],
    "run-defaults": lambda desk: ["run", "--limit", "4", "--twins", "2", "--pages", "0", "-q", "-o", str(desk.folder / "out")],
    "run-half": lambda desk: [
        "run", "--dtype", HALF[desk.animal.name], "-p", desk.prompts(True), "--twins", "2", "-q", "-o", str(desk.folder / "out")
    ],
}  # fmt: skip
"""Command line without model and languages."""

REFUSED: dict[str, Callable[[ModelConfig], str | None]] = {
    "heads": get("head_specialization").applies,
    "align": get("cross_attention_focus").applies,
}
"""Commands that some families are refused by, and the reason that is then given."""

WITHOUT_TEXTS = ("list", "words", "plan")
"""Commands that read no text of a language."""

HALF = {"t5-added": "float16", "bart-base": "bfloat16"}
"""Whole runs in half precision: T5 keeps some weights in float32 there."""

STORED = ("t5-sharded", "t5-bf16", "hub-cache")
"""Like t5-small but for how they are stored: what a whole run makes of other prompts is the same."""

OF_EVERY_KIND = ("t5-small", "byt5-small", "bart-large-cnn", "opus-mt-en-mul", "nllb-de")
"""One animal of every kind, for runs on given targets and on the bundled prompts: half of every run is drawing."""

OF_GRAPHS = ("composition", "directions", "neuron", "circuit")
"""Commands that need writes and scores which a circuit's edges can carry; other models are refused by what they lack."""

ROWS = ("model", "tokens", "words", "generate", "attribute")
"""Commands for the animal with a quarter of a million rows."""


LIGHT = ("tokens", "generate", "attribute")
"""Commands that every run of the tests tries on one animal of every kind; all other cells are tried by `make zoo`."""


ALSO_LIGHT = {
    ("align", "blenderbot-small"),  # no end of sentence behind targets
    ("align", "t5gemma"),  # no ALTI+
    ("attribute-sources", "t5gemma"),  # heads that share values
    ("circuit", "switch"),  # no graph
    ("plan", "t5gemma"),  # masks made from numbers
    ("plan", "t5gemma2"),  # analyses that are not made on it
}
"""Further cells that every run of the tests tries: where a fact of one family decides."""


def _cells() -> Iterator[ParameterSet]:
    for command in COMMANDS:
        for name in GENERATORS:
            dear = command in {"run-given", "run-defaults"} and name not in OF_EVERY_KIND
            dear |= command == "run-half" and name not in HALF
            if not dear and (name != "mt5-rows" or command in ROWS):
                ordinary = (command in LIGHT and name in OF_EVERY_KIND) or (command, name) in ALSO_LIGHT
                yield pytest.param(command, name, marks=() if ordinary else pytest.mark.zoo)


CELLS = tuple(_cells())


@pytest.fixture
def desk(request: pytest.FixtureRequest, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk with the animal whose name is the test's parameter."""
    animal = ANIMALS[request.param]
    folder = home(animal.name)
    model = str(folder / animal.inside)
    if animal.name == "hub-cache":
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        model = "google-t5/t5-small"
    return Desk(animal, model, tmp_path)


@contextmanager
def silent_host() -> Iterator[None]:
    """Fails if transformers says something: what matters is said by the tool, in one sentence."""
    heard: list[str] = []
    ear = logging.Handler(logging.WARNING)
    ear.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("transformers")
    logger.addHandler(ear)
    try:
        yield
    finally:
        logger.removeHandler(ear)
    assert not heard, heard[0]


def call(desk: Desk, arguments: list[str], expected: int = 0) -> str:
    """Run a command and give what it printed; it must end as expected, and its lines must be fit to read."""
    with silent_host():
        spoken = [] if arguments[0] in WITHOUT_TEXTS else desk.languages()
        done = CliRunner().invoke(app, [arguments[0], "--model", desk.model, *spoken, *arguments[1:]])
        assert done.exit_code == expected, f"{done.output[-600:]}\n{done.exception!r}"
        for line in done.output.splitlines():
            assert not UNFIT_TO_READ.search(line), line
    return done.output


@pytest.mark.parametrize(("command", "desk"), CELLS, indirect=["desk"])
def test_command(command: str, desk: Desk) -> None:
    languages = dict(zip(("source_lang", "target_lang"), desk.animal.languages or (), strict=False))
    asks = why_no_graph if command in OF_GRAPHS else REFUSED.get(command)
    why_not = asks and asks(interp.load(desk.model, device="cpu", **languages).cfg)
    output = call(desk, COMMANDS[command](desk), expected=2 if command == "circuit" or why_not else 0)
    if why_not:
        assert why_not in output
        assert len(output.strip().splitlines()) == 1, output
    elif command == "circuit":
        assert "is of use for this model" in output or "are of use for this model" in output
        assert len(output.strip().splitlines()) == 1, output
    if command.startswith("run"):
        results = json.loads((desk.folder / "out" / "results.json").read_text(encoding="utf-8"))
        assert set(results) == set(DEFAULT)
        for name, found in results.items():
            assert found["findings"], name
            for sentence in (*found["findings"], *found["limits"]):
                assert not UNFIT_TO_READ.search(sentence), sentence


@pytest.mark.zoo
@pytest.mark.parametrize("desk", [name for name in GENERATORS if name not in ("mt5-rows", *STORED)], indirect=True)
def test_compare_models(desk: Desk) -> None:
    cfg = interp.load(desk.model, device="cpu").cfg
    compared = ("cross_attention_focus", "logit_attribution")
    arguments = [
        "-p",
        desk.prompts(),
        "--analyses",
        next(name for name in compared if get(name).applies(cfg) is None),
        "--twins",
        "2",
        "-q",
        "-o",
        str(desk.folder / "two"),
    ]
    done = CliRunner().invoke(app, ["compare-models", desk.model, "untrained:0", *desk.languages(), *arguments])
    assert done.exit_code == 0, f"{done.output[-600:]}\n{done.exception!r}"
    assert (desk.folder / "two" / "index.html").is_file()


@pytest.mark.zoo
@pytest.mark.parametrize("desk", [name for name in GENERATORS if name not in STORED], indirect=True)
@pytest.mark.parametrize("name", ANALYSES)
def test_analysis(name: str, desk: Desk) -> None:
    languages = dict(zip(("source_lang", "target_lang"), desk.animal.languages or (), strict=False))
    model = interp.load(desk.model, device="cpu", **languages)
    batch, why_not = model.batch(desk.animal.texts(), list(desk.animal.targets)), get(name).applies(model.cfg)
    if why_not is not None:
        with pytest.raises(InputError, match=re.escape(why_not)):
            analyse(name, model, batch)
        return
    study = analyse(name, model, batch)
    assert study.section.findings
    for sentence in (*study.section.findings, *study.section.limits):
        assert not UNFIT_TO_READ.search(sentence), sentence


@pytest.mark.zoo
@pytest.mark.parametrize("desk", OTHERS, indirect=True)
@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "run-half"])
def test_what_is_no_generator_is_refused_by_name(command: str, desk: Desk) -> None:
    output = call(desk, COMMANDS[command](desk), expected=2)
    assert desk.animal.refused in output
    assert len(output.strip().splitlines()) == 1, output


@pytest.mark.zoo
@pytest.mark.parametrize("desk", [name for name in GENERATORS if ANIMALS[name].languages], indirect=True)
@pytest.mark.parametrize("command", ["tokens", "generate", "attribute", "attribute-target", "run", "run-given"])
def test_a_language_that_nobody_names_is_refused_with_those_there_are(command: str, desk: Desk) -> None:
    arguments = COMMANDS[command](desk)
    done = CliRunner().invoke(app, [arguments[0], "--model", desk.model, *arguments[1:]])
    assert done.exit_code == 2, done.output[-600:]
    assert "--target-lang" in done.output
    assert desk.animal.languages[1] in done.output
