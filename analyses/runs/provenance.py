"""Assembly: the sections of a run become one report, with its question, its findings and its provenance."""

from collections.abc import Sequence
from dataclasses import dataclass

from analyses.runs.config import RunConfig
from analyses.runs.manifest import ModelRecord, PlugInRecord, PromptRecord, package_version
from interp.families.config import ModelConfig
from interp.report import Report, Section


@dataclass(frozen=True, slots=True)
class Assembly:
    """What a report says about its own making.

    Attributes:
        config: the run's configuration.
        model: the model's record.
        prompts: the prompts' record.
        twin_seeds: seeds of the untrained control models.
        plugins: analyses of other packages that took part.
        versions: library -> version.
        cfg: the model's facts.
    """

    config: RunConfig
    model: ModelRecord
    prompts: PromptRecord
    twin_seeds: tuple[int, ...]
    plugins: dict[str, PlugInRecord]
    versions: dict[str, str]
    cfg: ModelConfig


def assemble(assembly: Assembly, prompts: Section, sections: Sequence[Section]) -> Report:
    """One report: the prompts, then the analyses, whose first findings are the report's findings.

    Args:
        assembly: what the report says about its own making.
        prompts: the section about the texts.
        sections: the sections of the analyses.
    """
    return Report(
        title=f"What {_model_name(assembly)} does with {assembly.prompts.count} prompts",
        question=(
            "Which attention head does what, what does cross-attention read in each decoder layer, which components wrote the "
            "predicted logits, and how do the embeddings lie?"
        ),
        findings=tuple(f"{section.title}: {section.findings[0]}" for section in sections),
        command=assembly.config.command(),
        sections=(prompts, *sections),
        provenance=_provenance(assembly),
        notes=_notes(assembly),
    )


def _model_name(assembly: Assembly) -> str:
    return "the bundled T5" if assembly.model.name == "bundled" else assembly.model.name


def _notes(assembly: Assembly) -> tuple[str, ...]:
    prompts = assembly.prompts
    if prompts.target_origin == "generated":
        origin = "The decoder was fed the model's own greedy output (teacher forcing on generated targets)"
    else:
        origin = "The decoder was fed the given targets (teacher forcing)"
    notes = [
        f"{origin}; the untrained twins were fed the same tokens.",
        "The unit of evidence is the prompt: every number is a mean over prompts of a number computed within one prompt, and "
        "every interval [low, high] is a 95 % bootstrap interval over prompts.",
        f"Controls are {len(assembly.twin_seeds)} untrained twins: the same architecture, weights drawn anew.",
        "Head names: EL0H3 is encoder self-attention layer 0 head 3, DL is decoder self-attention, XL is cross-attention.",
    ]
    if prompts.unfinished:
        cut = ", ".join(prompts.unfinished[:10])
        notes.append(f"{len(prompts.unfinished)} generated targets met the length limit before their end: {cut}.")
    if assembly.model.dtype != "float32":
        notes.append(
            f"The weights are {assembly.model.dtype}: exact sums hold only to that type's precision; see the gaps."
        )
    return tuple(notes)


def _provenance(assembly: Assembly) -> tuple[tuple[str, str], ...]:
    model, prompts, cfg = assembly.model, assembly.prompts, assembly.cfg
    depth = f"{cfg.n_encoder_layers} encoder and {cfg.n_decoder_layers} decoder layers, {cfg.describe_heads()}"
    rows = [
        ("Package", package_version()),
        ("Model", model.name if model.revision is None else f"{model.name} at {model.revision}"),
        (
            "Architecture",
            f"{model.family}, {depth}, d_model {cfg.d_model}, {cfg.describe_mlp()}, vocabulary {cfg.d_vocab}",
        ),
        (
            "Unembedding",
            f"{'tied' if model.tied_embeddings else 'untied'}, decoder output scaled by {model.logit_scale:.6g}",
        ),
        ("Numbers", f"{model.dtype} on {model.device}, attention implementation {model.attention!r}"),
        ("Prompts", f"{prompts.name}, {prompts.count} prompts, sha256 {prompts.sha256}"),
        ("Decoder inputs", prompts.target_origin),
        ("Seed", f"{assembly.config.seed}; untrained twins {', '.join(map(str, assembly.twin_seeds))}"),
    ]
    rows += [
        (f"Analysis {name}", f"of {record.distribution} {record.version}, sha256 {record.sha256}")
        for name, record in assembly.plugins.items()
    ]
    rows += [(f"sha256 of {name}", digest) for name, digest in model.files.items()]
    rows += [(f"Version of {name}", number) for name, number in assembly.versions.items()]
    return tuple(rows)
