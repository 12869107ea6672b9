"""What a report says of itself: its question and findings, from its sections, and how it was made, from the run's manifest."""

from collections.abc import Sequence

from analyses.runs.manifest import Manifest
from interp.families.config import ModelConfig
from interp.folder_contents import listed
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report import Report, Section
from interp.report.numbers import counted


def make_report(
    manifest: Manifest,
    cfg: ModelConfig,
    prompts: Section,
    sections: Sequence[Section],
    facts: Sequence[tuple[str, str]],
    explorer: str,
) -> Report:
    """One report: facts and what the analyses say at a glance, the analyses, then the prompts.

    Args:
        manifest: of the run.
        cfg: the model's facts.
        prompts: the section on the prompts.
        sections: those of the analyses.
        facts: what was looked at, as pairs of name and value.
        explorer: address of the page to explore, beside the report.
    """
    model = "the bundled T5" if manifest.model.name == "bundled" else manifest.model.name
    return Report(
        title=f"What {model} does with {counted(manifest.prompts.count, 'prompt')}",
        question=" ".join(section.question for section in sections),
        findings=(
            *_fault(manifest),
            *(f"{section.title}: {section.headline or section.findings[0]}" for section in sections),
        ),
        command=manifest.command,
        sections=(*sections, prompts),
        provenance=_provenance(manifest, cfg),
        notes=_notes(manifest),
        facts=tuple(facts),
        explorer=explorer,
    )


def _fault(manifest: Manifest) -> tuple[str, ...]:
    """What makes the targets say nothing of decoder and cross-attention, before all findings."""
    fault = manifest.prompts.fault
    return (f"Mind the targets: {fault}, so decoder and cross-attention heads are not judged.",) if fault else ()


def glance_facts(manifest: Manifest, model: HookedEncoderDecoder, digest: str) -> tuple[tuple[str, str], ...]:
    """What was looked at, in seven short pairs of name and value.

    Args:
        manifest: of the run.
        model: the model.
        digest: of what decides the numbers.
    """
    cfg = model.cfg
    return (
        ("Model", manifest.model.name),
        ("Layers × heads", f"{cfg.n_encoder_layers} + {cfg.n_decoder_layers} × {cfg.n_decoder_heads}"),
        ("Parameters", _short_count(model.hf.num_parameters())),
        ("Prompts", str(manifest.prompts.count)),
        ("Distinct sentences", str(manifest.prompts.sentences)),
        ("Untrained twins", str(len(manifest.twin_seeds))),
        ("Digest of inputs", digest),
    )


def _short_count(count: int) -> str:
    """A count with three significant digits, such as `60.5 million`."""
    for size, word in ((10**9, "billion"), (10**6, "million")):
        if count >= size:
            return f"{count / size:.3g} {word}"
    return f"{count:,}"


def _notes(manifest: Manifest) -> tuple[str, ...]:
    prompts = manifest.prompts
    if prompts.target_origin == "generated":
        origin = "The decoder was fed the model's own greedy output (teacher forcing on generated targets)"
    else:
        origin = "The decoder was fed the given targets (teacher forcing)"
    notes = [
        f"{origin}; the untrained twins were fed the same tokens.",
        f"The unit of evidence is the sentence: {counted(prompts.count, 'prompt')} "
        f"{'holds' if prompts.count == 1 else 'hold'} {counted(prompts.sentences, 'distinct sentence')} and "
        f"{counted(prompts.targets, 'distinct target')}. Numbers are computed within a prompt and averaged over the "
        "prompts of a sentence; "
        "every interval [low, high] is a 95 % bootstrap-t interval over sentences, their range where there are fewer than six.",
        f"Controls are {len(manifest.twin_seeds)} untrained twins: the same architecture, weights drawn anew.",
        "Head names: EL0H3 is encoder self-attention layer 0 head 3, DL is decoder self-attention, XL is cross-attention.",
    ]
    if prompts.unfinished:
        cut = counted(len(prompts.unfinished), "generated target")
        notes.append(f"{cut} met the length limit before the end: {listed(prompts.unfinished)}.")
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
        ("Prompts", f"{prompts.name}, {counted(prompts.count, 'prompt')}, sha256 {prompts.sha256}"),
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
