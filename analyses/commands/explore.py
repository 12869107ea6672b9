"""Commands that look at one thing in the terminal: tokens, a model, a generation, words."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from analyses.commands import options
from analyses.commands.completion import complete_hooks
from analyses.commands.messages import messages, print_frame, print_pairs, print_table, say

if TYPE_CHECKING:
    from interp.model.generation import Generation
    from interp.model.hooked_model import HookedEncoderDecoder

Texts = Annotated[list[str], typer.Argument(help="One or more source texts, each in quotes.", show_default=False)]
Words = Annotated[list[str], typer.Argument(help="Words to look up.", show_default=False)]


def tokens(
    texts: Texts,
    prefix: options.Prefix = None,
    model: options.Model = "bundled",
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
) -> None:
    """Show how texts become tokens: pieces, ids, words, categories, and the padding of a batch.

    Examples:
    \b
      interp tokens "translate English to German: The cat sleeps."
      interp tokens "translate English to German: Yes." "translate English to French: The goat eats."
    """
    with messages():
        from interp.model.checkpoints import find_checkpoint
        from interp.model.text_reader import text_reader
        from interp.text.words import CATEGORIES

        reader = text_reader(find_checkpoint(model), max_length, source_lang, target_lang)
        read = reader.read(texts, prefix)
        longest = max(len(text.ids) for text in read)
        for text in read:
            rows = [
                (place, piece, token, CATEGORIES[category], "" if word < 0 else text.words[word], 1)
                for place, (piece, token, category, word) in enumerate(
                    zip(text.pieces, text.ids, text.category_of_token, text.word_of_token, strict=True)
                )
            ]
            rows += [(place, "<pad>", reader.pad_token_id, "pad", "", 0) for place in range(len(text.ids), longest)]
            print_table(text.text, ("position", "piece", "id", "category", "word", "attention mask"), rows)


def model(
    model: options.Model = "bundled",
    shapes: Annotated[str | None, typer.Option(help="Trace the shape of every hook point for this source.")] = None,
    hooks: Annotated[
        str | None,
        typer.Option(
            help="Trace these hook points only: a name, or a pattern with * in quotes.", autocompletion=complete_hooks
        ),
    ] = None,
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
) -> None:
    """Describe a model: configuration, parameters by layer and kind, and, for a text, the shape of every hook point.

    Examples:
    \b
      interp model
      interp model --shapes "translate English to German: The cat sleeps."
      interp model --shapes "translate English to German: Yes." --hooks "decoder.*.cross_attn.hook_pattern"
    """
    with messages():
        from dataclasses import asdict

        import interp
        from analyses.commands.model_summary import parameter_counts, shape_trace
        from interp.errors import InputError

        if hooks is not None and shapes is None:
            raise InputError("--hooks says which shapes to trace; give --shapes TEXT with it.")
        hooked = interp.load(model, max_length=max_length, source_lang=source_lang, target_lang=target_lang)
        trace = None if shapes is None else shape_trace(hooked, shapes, hooks)
        print_pairs([
            (name, "unbounded" if value is None else str(value)) for name, value in asdict(hooked.cfg).items()
        ])
        print_pairs([("tied_embeddings", str(hooked.tied_embeddings)), ("max_length", str(hooked.max_length))])
        print_frame("Parameters", parameter_counts(hooked))
        if trace is not None:
            print_table("Shapes in the order of the forward pass", ("hook point", "axes", "shape"), trace)


def generate(
    texts: Annotated[
        list[str] | None, typer.Argument(help="One or more source texts, each in quotes.", show_default=False)
    ] = None,
    audio: options.Audios = None,
    model: options.Model = "bundled",
    method: Annotated[Literal["greedy", "beam", "sampling"], typer.Option(help="How tokens are chosen.")] = "greedy",
    beams: Annotated[int, typer.Option(help="Hypotheses of beam search.")] = 4,
    temperature: Annotated[float, options.number_option(help="Of sampling.")] = 1.0,
    top_k: Annotated[int, typer.Option(help="Sampling draws from this many likeliest tokens; 0 from all.")] = 0,
    top_p: Annotated[
        float, options.number_option(help="Sampling draws from the likeliest tokens with this share.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Of sampling.", **options.SEEDS)] = 0,
    top: Annotated[int, typer.Option(min=0, help="Candidates shown at every step; 0 shows the texts only.")] = 3,
    length_penalty: Annotated[
        float, options.number_option(help="Of beam search: above 0 favors long texts, below 0 short ones.")
    ] = 1.0,
    repetition_penalty: Annotated[
        float, options.number_option(help="Above 1 makes tokens that the text holds less likely, with any method.")
    ] = 1.0,
    no_repeat_ngram: Annotated[int, typer.Option(help="Runs of this many tokens occur once; 0 is no such rule.")] = 0,
    target_prefix: Annotated[
        str | None, typer.Option(help="How every target begins; the model goes on from there.", show_default=False)
    ] = None,
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
) -> None:
    """Let a model write, and show what else it could have written at every step.

    Examples:
    \b
      interp generate "translate English to German: The weather is beautiful today."
      interp generate --method beam --top 0 "translate English to French: The cat sleeps."
      interp generate --repetition-penalty 1.3 "translate English to German: Very, very, very good."
      interp generate --target-prefix "Das Wetter" "translate English to German: The weather is beautiful today."
      interp generate --method sampling --top-k 20 --top-p 0.9 --seed 3 "translate English to French: The cat sleeps."
      interp generate --audio speech.wav --model ./whisper --target-lang en
    """
    with messages():
        import interp
        from interp.errors import InputError
        from interp.model.generation import Decoding
        from interp.text.unknown_pieces import check_known, unknown_notes

        if bool(texts) == bool(audio):
            raise InputError("Give sources of one kind: texts, or sounds with --audio.")
        drawn = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
        rules = {"repetition_penalty": repetition_penalty, "no_repeat_ngram": no_repeat_ngram}
        decoding = Decoding(method=method, beams=beams, length_penalty=length_penalty, **rules, **drawn)  # type: ignore[arg-type]
        hooked = interp.load(model, max_length=max_length, source_lang=source_lang, target_lang=target_lang)
        written = hooked.generate(
            texts or (), "unembed.hook_out", decoding, target_prefix=target_prefix, audio=audio or None
        )
        for note in unknown_notes(check_known(written.batch.source_texts, hooked.tokenizer)):
            say(note, err=True)
        _print_written(written, hooked, top)


def _print_written(written: "Generation", model: "HookedEncoderDecoder", top: int) -> None:
    """Texts with the hypotheses of a search, and the candidates of every step."""
    for prompt, text in enumerate(written.texts):
        say(text)
        for kept in written.hypotheses[prompt] if written.hypotheses else ():
            say(f"  {kept.score:+.3f}  {kept.text.text}")
    if top > 0:
        assert model.tokenizer is not None
        table = written.step_table(model.tokenizer, top)
        table["chosen"] = table["chosen"].map({True: "*", False: ""})
        print_frame("Steps", table[["prompt", "step", "rank", "token", "probability", "chosen"]])


def words(
    words: Words,
    model: options.Model = "bundled",
    space: Annotated[Literal["input", "output"], typer.Option(help="Which embedding.")] = "input",
    correction: Annotated[
        Literal["raw", "centered", "all-but-the-top"],
        typer.Option(help="What is taken out of the space first: nothing, its mean, or also its widest directions."),
    ] = "raw",
    neighbors: Annotated[int, typer.Option(min=1, help="Neighbors of every word.")] = 8,
) -> None:
    """Show where words lie: their nearest neighbors and their cosines with each other.

    Examples:
    \b
      interp words chair table goat
      interp words cat dog --space output --correction centered
    """
    with messages():
        import interp
        from analyses.embedding_geometry.lookup import Correction, look_up

        named: dict[str, Correction] = {"raw": "raw", "centered": "centered", "all-but-the-top": "all but the top"}
        found = look_up(interp.load(model), words, space, named[correction], neighbors)
        say(f"{found.space.capitalize()}, {found.correction}.")
        print_frame("Words", found.words)
        print_frame("Nearest neighbors", found.neighbors)
        print_frame("Cosines", found.cosines.rename_axis("word").reset_index())
