"""The whole page of a trace."""

from analyses.runs.manifest import TraceManifest
from analyses.trace.present.circuits import circuits_section
from analyses.trace.present.heads import heads_section
from analyses.trace.present.order import order_section
from analyses.trace.present.reading import sections_of
from analyses.trace.present.seeds import seeds_section
from analyses.trace.present.training import training_section
from analyses.trace.trace import Trace
from interp.report import Report, Section
from interp.report.numbers import counted


def trace_sections(trace: Trace) -> tuple[Section, ...]:
    """The sections of a trace, those for which there are numbers.

    Args:
        trace: what was found.
    """
    found = [training_section(trace)]
    if trace.main.leading:
        found.append(heads_section(trace))
    if trace.order is not None:
        found.append(order_section(trace, trace.order))
    found += sections_of(trace)
    if trace.circuits is not None:
        found.append(circuits_section(trace, trace.circuits))
    if any(one.steps for one in trace.beside):
        found.append(seeds_section(trace))
    return tuple(found)


def trace_report(trace: Trace, manifest: TraceManifest, slider: str) -> Report:
    """The report of a trace.

    Args:
        trace: what was found.
        manifest: what made it.
        slider: address of the page with the slider over the steps, beside the report.
    """
    main, sections = trace.main, trace_sections(trace)
    others = [f"{run.name} ({'other seed' if run.part == 'seed' else 'control'})" for run in trace.runs[1:]]
    return Report(
        title=f"How heads came to be in {main.name}",
        question=" ".join(section.question for section in sections),
        findings=tuple(f"{section.title}: {section.headline or section.findings[0]}" for section in sections),
        command=manifest.command,
        sections=sections,
        provenance=_provenance(manifest),
        notes=_notes(trace),
        facts=(
            ("Run", main.name),
            ("Moments", f"{len(main.steps)}, steps {main.steps[0]:,} to {main.steps[-1]:,}"),
            (
                "Layers × heads",
                f"{trace.cfg.n_encoder_layers} + {trace.cfg.n_decoder_layers} × {trace.cfg.n_decoder_heads}",
            ),
            ("Prompts", str(trace.prompts)),
            ("Distinct sentences", str(trace.sentences)),
            ("Beside it", ", ".join(others) or "no other run"),
            ("Untrained twins", str(trace.twins)),
        ),
        explorer=slider,
    )


def _notes(trace: Trace) -> tuple[str, ...]:
    origin = (
        "The targets are given"
        if trace.target_origin == "given"
        else f"The targets are what the last model of {trace.main.name} writes"
    )
    faulty = (
        (f"Mind the targets: {trace.fault}, so decoder and cross-attention heads are not judged.",)
        if trace.fault
        else ()
    )
    return (
        *faulty,
        f"{origin}; every model at every step was fed the very same tokens.",
        f"The unit of evidence is the sentence: {counted(trace.prompts, 'prompt')} "
        f"{'holds' if trace.prompts == 1 else 'hold'} {counted(trace.sentences, 'distinct sentence')}. Intervals are "
        "95 % over sentences.",
        f"Roles are judged beside {trace.twins} untrained twins, the same for all moments.",
        "Head names: EL0H3 is encoder self-attention layer 0 head 3, DL is decoder self-attention, XL is cross-attention.",
        "Axes of steps are logarithmic, of step + 1, so that step 0 has its place.",
    )


def _provenance(manifest: TraceManifest) -> tuple[tuple[str, str], ...]:
    rows = [
        ("Package", manifest.package),
        ("sha256 of the prompts", manifest.prompts),
        ("Seed", f"{manifest.config['seed']}; untrained twins {', '.join(map(str, manifest.twin_seeds))}"),
    ]
    rows += [
        (
            f"sha256 of the weights of {run}, {moment}",
            files.get("model.safetensors", "in several files; see manifest.json"),
        )
        for run, moments in manifest.moments.items()
        for moment, files in moments.items()
    ]
    rows += [(f"Version of {name}", number) for name, number in manifest.versions.items()]
    return tuple(rows)
