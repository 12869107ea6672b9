"""The commands that read a model's weights: which heads read which, what a head's directions are, what neurons do."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from analyses.commands import options
from analyses.commands.messages import check_output, messages, print_frame, print_pairs, say
from analyses.commands.pages import typed_command, write_page

if TYPE_CHECKING:
    from interp.model.hooked_model import HookedEncoderDecoder
    from interp.report import Section
    from interp.text.batch import Batch

_PROMPTS_READ = 32
_OUT = "Also write a page, FILE.html, with its tables and figures."
_GRAPH = "Write the pairs that stand out for graph programs, FILE.graphml."
_NEURONS = "Neurons: EL0N12 (encoder), DL2N3 (decoder); by default those with the largest effect."
Page = Annotated[Path | None, options.output_option("--out", "-o", help=_OUT)]
Replace = Annotated[bool, options.output_option("--overwrite", help="Replace files that are there.")]
Read = Annotated[int, typer.Option("--limit", min=1, help="Prompts that are read.")]


def composition(
    model: options.Model = "bundled",
    revision: options.Revision = None,
    device: options.Device = "auto",
    prompts: options.Prompts = "translation",
    prefix: options.Prefix = None,
    limit: Read = _PROMPTS_READ,
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
    top: Annotated[int, typer.Option(min=1, help="Pairs shown.")] = 20,
    out: Page = None,
    graphml: Annotated[Path | None, options.output_option(help=_GRAPH)] = None,
    overwrite: Replace = False,
    seed: options.Seed = 0,
) -> None:
    """Print which heads read what which others write, by their weights: Q-, K- and V-composition of all three kinds.

    Examples:
    \b
      interp composition
      interp composition --out composition.html --graphml composition.graphml
    """
    with messages():
        import networkx as nx

        import interp
        from analyses.weights import composition_section, survey_composition

        check_output(out, ".html", overwrite)
        check_output(graphml, ".graphml", overwrite)
        hooked = interp.load(model, revision, device, "float32", max_length, source_lang, target_lang)
        survey = survey_composition(hooked, _batch(hooked, prompts, prefix, limit), seed)
        section = composition_section(survey)
        for finding in section.findings:
            say(finding)
        print_frame("Pairs", survey.summary())
        print_frame("Pairs that stand out", survey.found.standing_out().head(top))
        if out is not None:
            _write_page(section, out, model)
        if graphml is not None:
            nx.write_graphml(survey.found.graph(), graphml)
            say(f"graph: {graphml}")


def directions(
    head: Annotated[str, typer.Argument(help="A head: EL0H1, DL2H0, XL1H3.", show_default=False)],
    matrix: Annotated[Literal["QK", "OV"], typer.Option(help="What it looks for, or what it copies.")] = "QK",
    count: Annotated[int, typer.Option("--directions", min=1, help="Directions, from the largest singular value.")] = 3,
    top: Annotated[int, typer.Option(min=1, help="Contexts and tokens at each end.")] = 4,
    model: options.Model = "bundled",
    revision: options.Revision = None,
    device: options.Device = "auto",
    prompts: options.Prompts = "translation",
    prefix: options.Prefix = None,
    limit: Read = _PROMPTS_READ,
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
    seed: options.Seed = 0,
) -> None:
    """Print the leading singular directions of a head's QK or OV, read by the tokens and contexts that fire them most.

    Examples:
    \b
      interp directions EL0H1
      interp directions XL2H3 --matrix OV --directions 2
    """
    with messages():
        import interp
        from interp.circuits import direction_hooks, head_directions
        from interp.hooks.names import HeadId

        one = HeadId.parse(head)
        hooked = interp.load(model, revision, device, "float32", max_length, source_lang, target_lang)
        batch, twin = _batch(hooked, prompts, prefix, limit), interp.untrained_twin(hooked, seed)
        names = direction_hooks(hooked, one)
        found, control = (
            head_directions(each, each.run_with_cache(batch, names)[1], batch, one, matrix, count, top, seed)
            for each in (hooked, twin)
        )
        peaks = control.spectrum[["left peak", "right peak"]].add_prefix("twin ")
        print_frame(f"{matrix} of {one}: directions, and how far their extremes stand out", found.spectrum.join(peaks))
        for direction, readings in found.readings.groupby("direction"):
            print_frame(f"direction {direction}", readings.drop(columns="direction"))


def neuron(
    neurons: Annotated[list[str] | None, typer.Argument(help=_NEURONS, show_default=False)] = None,
    top: Annotated[int, typer.Option(min=1, help="Neurons, where none is named.")] = 5,
    contexts: Annotated[int, typer.Option(min=1, help="Contexts of each, and tokens at each end.")] = 5,
    model: options.Model = "bundled",
    revision: options.Revision = None,
    device: options.Device = "auto",
    prompts: options.Prompts = "translation",
    prefix: options.Prefix = None,
    limit: Read = _PROMPTS_READ,
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
    out: Page = None,
    overwrite: Replace = False,
) -> None:
    """Print what writes a neuron's input, which contexts fire it, what it writes, and which heads read that.

    Examples:
    \b
      interp neuron
      interp neuron EL0N12 DL2N3 --out neurons.html
    """
    with messages():
        import interp
        from analyses.weights import neuron_section
        from interp.circuits import NeuronId, neuron_effects, trace_neurons

        check_output(out, ".html", overwrite)
        chosen = [NeuronId.parse(one) for one in neurons or ()]
        hooked = interp.load(model, revision, device, "float32", max_length, source_lang, target_lang)
        batch = _batch(hooked, prompts, prefix, limit)
        if not chosen:
            ranked = neuron_effects(hooked, batch).head(top)
            print_frame("Estimated effect of all neurons, logits a decoder row", ranked)
            chosen = [NeuronId.parse(one) for one in ranked["neuron"]]
        traces = trace_neurons(hooked, batch, chosen, contexts)
        for one in traces:
            facts = f"zeroing it takes {one.effect:+.4f} logits a decoder row; active at {one.active:.1%} of positions"
            print_pairs([(str(one.neuron), facts)])
            print_frame("Most active", one.contexts)
            print_frame(f"Written by (gap {one.gap:.1e})", one.inputs.head(8))
            print_frame("Writes", one.written)
            print_frame("Read by", one.readers.head(8))
        if out is not None:
            _write_page(neuron_section(traces, len(batch)), out, model)


def _batch(model: "HookedEncoderDecoder", prompts: str, prefix: str | None, limit: int) -> "Batch":
    from analyses.core.observing import make_batches, no_progress
    from analyses.runs.inputs import read_prompt_set, reading_order

    read = read_prompt_set(prompts, None, prefix=prefix).prompts
    given = [read[place] for place in reading_order(read)][:limit]
    return make_batches(model, given, len(given), no_progress)[0]


def _write_page(section: "Section", out: Path, model: str) -> None:
    from interp.report import Report

    report = Report(
        title=section.title,
        question=section.question,
        findings=section.findings[:1],
        command=typed_command(),
        sections=(section,),
        provenance=(("model", Path(model).name),),
    )
    write_page(report, out)
