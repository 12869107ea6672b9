"""What works on the models of every family, asked of the analyses themselves; and which models are refused."""

from transformers import CONFIG_MAPPING

from analyses.core.registry import ANALYSES, get
from analyses.head_specialization.measure.copy_hits import why_no_copying
from analyses.head_specialization.measure.position import is_defined
from interp.families.config import ModelConfig
from interp.families.half_visible import HALF_VISIBLE
from interp.families.host_config import read_config
from interp.families.table import FAMILIES, Family


def describe_all() -> list[tuple[str, str]]:
    """Model type -> what its models are called, what is made on them and what is left out; then those that are refused."""
    rows = [(model_type, describe(family)) for model_type, family in FAMILIES.items()]
    rows += [(name, f"is {family.model_type}.") for family in FAMILIES.values() for name in family.public]
    rows.sort(key=lambda row: row[0].casefold())
    return [*rows, *((model_type, f"refused: {why}.") for model_type, why in sorted(HALF_VISIBLE.items()))]


def describe(family: Family) -> str:
    """What works on the models of a family, by the facts of the host's own default configuration.

    Args:
        family: its row of the table.
    """
    cfg = _usual(family)
    # Experts that a family does not have are not left out of it.
    asked = [name for name in ANALYSES if cfg.n_experts or name != "expert_routing"]
    refusals = {name: get(name).applies(cfg) for name in asked}
    made = [name for name, why in refusals.items() if why is None]
    if cfg.source == "audio":
        made = [
            "hooks, generation, attribution to frames, focus and word times (generate, attribute, show, listen --audio)"
        ]
    sentences = [f"made: {', '.join(made)}"]
    reasons = {
        why: [name for name, own in refusals.items() if own == why] for why in refusals.values() if why is not None
    }
    left_out = [f"{', '.join(names)} ({why})" for why, names in reasons.items()]
    left_out += _parts_left_out(cfg) if cfg.source == "tokens" else []
    sentences.append(f"left out: {'; '.join(left_out)}" if left_out else "left out: nothing")
    return ". ".join(sentences) + "."


def _usual(family: Family) -> ModelConfig:
    # No default configuration names a start token in T5's family; which one it is decides nothing here.
    return read_config(CONFIG_MAPPING[family.model_type](decoder_start_token_id=0), family)


def _parts_left_out(cfg: ModelConfig) -> list[str]:
    """Parts of analyses that are made in part."""
    found = [] if is_defined(cfg) else [f"scores split into content and position (positions={cfg.positions!r})"]
    why = why_no_copying(cfg)
    found += [] if why is None else [f"copying heads by their weights ({why})"]
    if cfg.norm_place == "post":
        found.append(f"the stream as a sum, its final norm (norm_place={cfg.norm_place!r})")
    if cfg.write_norms:
        found.append("ALTI+ (write_norms=True)")
    if cfg.merged_attention:
        found.append("rollout and Chefer's rules (merged_attention=True)")
    if cfg.head_norms:
        found.append("scores by weights and AttnLRP without held patterns (head_norms=True)")
    if cfg.n_experts:
        found.append(f"neurons of the layers with experts and traces of neurons (n_experts={cfg.n_experts})")
    if cfg.kv_heads_of("cross") != cfg.heads_of("cross"):
        found.append("patching one head's keys or values (n_decoder_kv_heads)")
    return found
