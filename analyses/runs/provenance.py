"""What a report says of itself: its question and findings, from its sections, and how it was made, from the run's manifest."""

from collections.abc import Sequence

from analyses.runs.manifest import Manifest
from interp.families.config import ModelConfig
from interp.report import Report, Section


def make_report(manifest: Manifest, cfg: ModelConfig, prompts: Section, sections: Sequence[Section]) -> Report:
    """One report: the prompts, then the analyses, whose questions and first findings are the report's."""
    model = "the bundled T5" if manifest.model.name == "bundled" else manifest.model.name
    return Report(
        title=f"What {model} does with {manifest.prompts.count} prompts",
        question=" ".join(section.question for section in sections),
        findings=tuple(f"{section.title}: {section.findings[0]}" for section in sections),
        command=manifest.command,
        sections=(prompts, *sections),
        provenance=_provenance(manifest, cfg),
        notes=_notes(manifest),
    )


def _notes(manifest: Manifest) -> tuple[str, ...]:
    prompts = manifest.prompts
    if prompts.target_origin == "generated":
        origin = "The decoder was fed the model's own greedy output (teacher forcing on generated targets)"
    else:
        origin = "The decoder was fed the given targets (teacher forcing)"
    notes = [
        f"{origin}; the untrained twins were fed the same tokens.",
        "The unit of evidence is the prompt: every number is a mean over prompts of a number computed within one prompt, and "
        "every interval [low, high] is a 95 % bootstrap interval over prompts.",
        f"Controls are {len(manifest.twin_seeds)} untrained twins: the same architecture, weights drawn anew.",
        "Head names: EL0H3 is encoder self-attention layer 0 head 3, DL is decoder self-attention, XL is cross-attention.",
    ]
    if prompts.unfinished:
        cut = ", ".join(prompts.unfinished[:10])
        notes.append(f"{len(prompts.unfinished)} generated targets met the length limit before their end: {cut}.")
    if manifest.model.dtype != "float32":
        notes.append(
            f"The weights are {manifest.model.dtype}: exact sums hold only to that type's precision; see the gaps."
        )
    return tuple(notes)


def _provenance(manifest: Manifest, cfg: ModelConfig) -> tuple[tuple[str, str], ...]:
    model, prompts = manifest.model, manifest.prompts
    depth = f"{cfg.n_encoder_layers} encoder and {cfg.n_decoder_layers} decoder layers, {cfg.describe_heads()}"
    rows = [
        ("Package", manifest.package),
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
        *([("Languages", f"{model.source_lang} to {model.target_lang}")] if model.target_lang else []),
        ("Prompts", f"{prompts.name}, {prompts.count} prompts, sha256 {prompts.sha256}"),
        ("Decoder inputs", prompts.target_origin),
        ("Seed", f"{manifest.config['seed']}; untrained twins {', '.join(map(str, manifest.twin_seeds))}"),
    ]
    rows += [
        (f"Analysis {name}", f"of {record.distribution} {record.version}, sha256 {record.sha256}")
        for name, record in manifest.plugins.items()
    ]
    rows += [(f"sha256 of {name}", digest) for name, digest in model.files.items()]
    rows += [(f"Version of {name}", number) for name, number in manifest.versions.items()]
    return tuple(rows)
