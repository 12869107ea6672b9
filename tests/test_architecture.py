"""The house stands one way up: who may import whom, how long a room may be, what importing must not do."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# A module may import modules named before it, never one named after it. A package stands for all its modules, whose own
# order is a matter of that package. New modules must be given their place here.
ORDER = (
    # pure functions and data, which know no model
    "interp.report",
    "interp.errors",
    "interp.axes",
    "interp.attention_metrics",
    "interp.statistics",
    "interp.geometry.isotropy",
    "interp.geometry.intrinsic_dimension",
    "interp.geometry.group_separation",
    "interp.geometry.representation_similarity",
    "interp.geometry.nearest_neighbors",
    "interp.geometry.hubness",
    "interp.text.vocabulary",
    "interp.text.word_links",
    "interp.text.translation_pairs",
    "interp.text.words",
    "interp.prompts",
    "interp.report.views",
    "interp.text.translation_quality",
    "interp.report.notebook_html",
    # the hooked model
    "interp.hooks.names",
    "interp.hooks.hook_point",
    "interp.hooks.module_hooks",
    "interp.families",
    "interp.attribution.components",
    "interp.hooks.attention",
    "interp.hooks.build",
    "interp.text.tokenized_text",
    "interp.text.batch",
    "interp.model.residual_stack",
    "interp.text.token_sets",
    "interp.model.cache_buffers",
    "interp.model.activation_cache",
    "interp.model.generation",
    "interp.model.batching",
    "interp.model.hooked_model",
    "interp.model.loading",
    "interp.model.untrained_twins",
    # what is computed from a hooked model
    "interp.model.storage",
    "interp.patching.interventions",
    "interp.model.weights",
    "interp.model.factored_matrix",
    "interp.attribution.residual_stream",
    "interp.patching.path_patching",
    "interp.attribution.logit_readout",
    "interp.attribution.source_attribution",
    "interp.attribution.frozen_norms",
    "interp.attribution.write_norms",
    "interp.attribution.direct_logit_attribution",
    "interp.patching.head_ablation",
    "interp.attribution.lenses",
    "interp.attribution.neurons",
    "interp.patching.minimal_pairs",
    "interp.patching.recorded_calls",
    "interp.patching.partial_forward",
    "interp.patching.patching_sites",
    "interp.patching.activation_patching",
    "interp.patching.attribution_patching",
    # the analyses, what runs them, and the command line
    "analyses.core.contract",
    "analyses.core.registry",
    "analyses.core.observing",
    "analyses.core.evidence",
    "analyses.head_specialization",
    "analyses.cross_attention_focus",
    "analyses.logit_attribution",
    "analyses.embedding_geometry",
    "analyses.runs.settings_check",
    "analyses.runs.config",
    "analyses.runs.run_file",
    "analyses.runs.find_runs",
    "analyses.runs.run_folder",
    "analyses.runs.manifest",
    "analyses.runs.prompt_section",
    "analyses.runs.provenance",
    "analyses.runs.inputs",
    "analyses.runs.prompt_pages",
    "analyses.runs.runner",
    "analyses.runs.study",
    "analyses.runs.compare_models_report",
    "analyses.runs.environment",
    "analyses.runs.verify",
    "analyses.runs.compare_models",
    "analyses.runs.diff",
    "analyses.runs.rerun",
    "analyses.commands.completion",
    "analyses.commands.options",
    "analyses.commands.messages",
    "analyses.commands.model_summary",
    "analyses.commands",
    "analyses.cli",
)
ANALYSES = (
    "analyses.head_specialization",
    "analyses.cross_attention_focus",
    "analyses.logit_attribution",
    "analyses.embedding_geometry",
)
LONGEST_FILE = 320
LONGEST_FUNCTION = 60


def modules() -> Iterator[tuple[str, Path]]:
    for package in ("interp", "analyses"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def place(module: str) -> str | None:
    """The entry of ORDER that a module falls under."""
    return next((name for name in ORDER if module == name or module.startswith(f"{name}.")), None)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = node.module or ""
            names = [f"{base}.{alias.name}" for alias in node.names]
            # `from interp import prompts` imports a module, `from interp.axes import Stack` a name.
            yield from (name if place(name) and not place(base) else base for name in names)


def edges() -> Iterator[tuple[str, str]]:
    for module, path in modules():
        for target in imports(path):
            if target.split(".")[0] in ("interp", "analyses") and target not in ("interp", "analyses"):
                yield module, target


def test_every_module_has_its_place() -> None:
    homeless = [module for module, _ in modules() if module not in ("interp", "analyses") and place(module) is None]
    assert not homeless, f"give these modules a place in ORDER: {homeless}"


def test_every_place_has_its_module() -> None:
    present = {place(module) for module, _ in modules()}
    assert set(ORDER) <= present


def test_imports_point_one_way() -> None:
    wrong = []
    for module, target in edges():
        source, goal = place(module), place(target)
        if source is None or goal is None or source == goal:
            continue
        if ORDER.index(goal) > ORDER.index(source):
            wrong.append(f"{module} imports {target}")
    assert not wrong, wrong


def test_no_analysis_imports_another() -> None:
    wrong = [
        f"{module} imports {target}"
        for module, target in edges()
        if place(module) in ANALYSES and place(target) in ANALYSES and place(module) != place(target)
    ]
    assert not wrong, wrong


def test_the_report_is_a_leaf() -> None:
    for module, path in modules():
        if module.startswith("interp.report"):
            foreign = [t for t in imports(path) if t.split(".")[0] in ("torch", "transformers", "analyses")]
            ours = [t for t in imports(path) if t.startswith("interp") and not t.startswith("interp.report")]
            assert not foreign + ours, f"{module} imports {foreign + ours}"


def test_only_the_table_names_the_hosts_modules() -> None:
    words = (
        "SelfAttention",
        "EncDecAttention",
        "DenseReluDense",
        "final_layer_norm",
        "embed_tokens",
        "out_proj",
        "fc1",
    )
    for module, path in modules():
        if module.startswith("interp.families"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        strings = [
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        attributes = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        docstrings = {
            ast.get_docstring(node, clean=False)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        }
        used = [word for word in words if any(word in text for text in set(strings) - docstrings) or word in attributes]
        assert not used, f"{module} names {used}; that belongs into interp/families.py"


def test_files_and_functions_stay_short() -> None:
    long = []
    for module, path in modules():
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > LONGEST_FILE:
            long.append(f"{module}: {text.count(chr(10))} lines")
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
        lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
        long += [f"{module}.{name}: {length} lines" for name, length in lengths.items() if length > LONGEST_FUNCTION]
    assert not long, long


@pytest.mark.slow
def test_importing_is_silent_and_light() -> None:
    code = (
        "import sys, interp, analyses, analyses.cli\n"
        "heavy = {'torch', 'transformers', 'pandas', 'matplotlib', 'bertviz', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_public_name_resolves() -> None:
    import interp

    for name in interp.__all__:
        assert getattr(interp, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        interp.nothing  # noqa: B018
