"""What the spaces are in the model at hand: families differ in positions, norms and scale, and sentences name them."""

from analyses.embedding_geometry.summary import EmbeddingGeometry
from interp.families.config import ModelConfig
from interp.report.numbers import significant


def absolute_tables(result: EmbeddingGeometry) -> str:
    """What the static spaces leave out where embeddings are scaled and logits have a bias; nothing in T5's family."""
    cfg = result.cfg
    if not result.absolute:
        return ""
    if len(result.tables) == 1:
        output = (
            f"With tied embeddings and norm_place={cfg.norm_place!r} the same table, as it is, is the output embedding, "
            "so it is shown once"
        )
    elif cfg.norm_place == "pre":
        output = (
            "The output embedding has the gain of the decoder's final LayerNorm folded in; its bias and the subtracted mean "
            "are no directions of pieces"
        )
    else:
        output = f"The output embedding is the unembedding as it is (norm_place={cfg.norm_place!r}: no final gain)"
    return (
        f" The input embedding is the table as it is stored, without the factor embed_scale={significant(cfg.embed_scale, 4)} "
        f"that the model gives its rows{_in_the_encoder(cfg)}. {output}; final_logits_bias (at most "
        f"{significant(result.logit_bias, 3)} in size) is added behind the scores and is part of no space."
    )


def _in_the_encoder(cfg: ModelConfig) -> str:
    return " in the encoder (positions_last=True: the decoder gives none)" if cfg.positions_last else ""


def first_states(result: EmbeddingGeometry) -> str:
    """What encoder 0 and decoder 0 hold."""
    if not result.absolute:
        return (
            "Encoder 0 and decoder 0 are the input embedding of the tokens in place, so what they hold of anisotropy comes from "
            "common words that occur in many sentences."
        )
    cfg = result.cfg
    norm = ", through a norm" if result.embedding_norm else ""
    if cfg.positions_last:
        norm += " (in the decoder without the factor, and normed before the positions are added)"
    return (
        "Encoder 0 and decoder 0 are what enters the first layer: the input embedding of the tokens in place times "
        f"embed_scale={significant(cfg.embed_scale, 4)}, plus their positions (positions={cfg.positions!r}){norm}; so what they "
        "hold of anisotropy comes from common words that occur in many sentences, and from equal places."
    )


def memory(result: EmbeddingGeometry) -> str:
    """Which space is what the decoder reads."""
    last = result.layers.spaces[result.n_encoder_spaces - 1]
    if result.cfg.norm_place == "post":
        return (
            f"The memory, which every decoder layer reads, is {last} itself: with norm_place='post' the last layer ends with a "
            "norm and none comes behind it."
        )
    included = "gain included" if result.cfg.norm == "rms" else "gain and bias included"
    return f"The memory is the encoder's output after its final norm, {included}."


def before_sentences(result: EmbeddingGeometry) -> str:
    """Behind which prefix our sentences stand."""
    if result.prefix:
        return f"behind the prefix {result.prefix!r}"
    return f"without a task prefix{f' (positions={result.cfg.positions!r})' if result.absolute else ''}"


def unasked(result: EmbeddingGeometry) -> tuple[str, ...]:
    """What is not asked of this model on these prompts, and why."""
    settings = result.settings
    if not settings.unfit:
        apart = "Where translations meet is not asked: the prompts are no translations out of and into the bundled languages."
        return () if result.translation else (apart,)
    parts = [
        *(["the bundled words"] if settings.from_prompts else []),
        *([] if result.contexts else ["sentences of our own", "senses"]),
        *([] if result.translation else ["translations"]),
    ]
    instead = ""
    if settings.from_prompts:
        groups = f"the groups are {' and '.join(settings.groups)} of the prompts"
        none = "the prompts have no two kinds of words of one piece to compare instead"
        instead = f"; {groups if settings.groups else none}"
    return (f"Not asked: {', '.join(parts)}, since {settings.unfit}{instead}.",) if parts else ()


def position_limits(result: EmbeddingGeometry) -> tuple[str, ...]:
    """What absolute positions do to every cosine of the first spaces."""
    if not result.absolute:
        return ()
    start = (
        ": groups in equal sentences, senses and translations at like places start from that" if result.contexts else ""
    )
    return (
        f"Positions are added to the embedding (positions={result.cfg.positions!r}), so in the first spaces two words at one "
        f"place are alike, and one word at two places is not, before any layer has read them{start}. Untrained twins have "
        "positions too and measure it; where these are learned, the model's may be of another size.",
    )
