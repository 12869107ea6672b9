"""The command about a sound over time: when words are said, and where cross-attention listens when it writes them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analyses.commands import options
from analyses.commands.messages import messages, print_frame, say

if TYPE_CHECKING:
    from interp.text.batch import Batch


def listen(
    audio: Annotated[Path, typer.Argument(help="A WAV file, one channel of 16 kHz.", show_default=False)],
    target: Annotated[str | None, typer.Option(help="What is said; generated if missing.")] = None,
    times: Annotated[
        Path | None, typer.Option(help="True times of the words: lines of start, end and word, tabs in between.")
    ] = None,
    heads: Annotated[
        str | None,
        typer.Option(
            help="Cross heads that time the words, with commas: XL2H1,XL3H0.", show_default="the checkpoint's own"
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="Cross heads shown, those with the narrowest focus first.")] = 8,
    model: options.Model = "bundled",
    dtype: options.DType = "float32",
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
) -> None:
    """Show when the words of a sound are said, by cross-attention, and where its heads listen; how far off, with true times.

    Examples:
    \b
      interp listen speech.wav --model ./whisper --target-lang en
      interp listen speech.wav --model ./whisper --target " A cat sleeps." --times words.txt
    """
    with messages():
        import torch

        import interp
        from interp.speech import read_times, time_focus, timing_error, word_times
        from interp.speech.focus import FOCUS_HOOKS, seconds_a_frame

        given = None if times is None else read_times(times)
        hooked = interp.load(model, dtype=dtype, max_length=max_length, target_lang=target_lang)
        batch = hooked.batch(targets=None if target is None else [target], audio=[audio])
        with torch.no_grad():
            _, cache = hooked.run_with_cache(batch, list(FOCUS_HOOKS))
        chosen = None if heads is None else [name.strip() for name in heads.split(",")]
        words, focus = word_times(hooked, batch, cache, heads=chosen), time_focus(hooked, batch, cache)
        say(f"target ({batch.target_origin}): {batch.target_texts[0].text}")
        for caution in _cautions(batch):
            say(caution)
        if given is None:
            import pandas as pd

            print_frame("Words", pd.DataFrame(words).rename(columns={"start": "start (s)", "end": "end (s)"}))
        else:
            judged = timing_error(words, given, batch, seconds_a_frame(hooked))
            print_frame("Words", judged.to_frame())
            say(
                f"Words begin {judged.error:.3f} s from their true times; spread evenly over the speech {judged.even:.3f} s, in "
                f"random order {judged.shuffled:.3f} s."
            )
        print_frame("Cross-attention over time, mean over layers and heads", focus.to_frame())
        if top:
            print_frame(
                "Cross heads, mean over tokens", focus.to_heads().sort_values("spread (s)", kind="stable").head(top)
            )


def _cautions(batch: "Batch") -> list[str]:
    """What makes times of words mean little: a sound without speech, a target without an end."""
    from interp.text.words import SPEECH

    found = []
    if not (batch.source_categories == SPEECH).any():
        found.append("No frame of this sound is loud enough for speech, so the times of words mean nothing.")
    if batch.unfinished:
        found.append("The generated target met the length limit before its end; give what is said by --target.")
    return found
