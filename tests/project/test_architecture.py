"""The house stands one way up: who may import whom, how long a room may be, what importing must not do."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.paths import ROOT

# A wing may import wings named before it, never one named after it. New wings must be given their place here.
ORDER = (
    "interp.report",
    "interp.errors",
    "interp.axes",
    "interp.input_files",
    "interp.folder_contents",
    "interp.output_files",
    "interp.attention_metrics",
    "interp.statistics",
    "interp.monotonicity",
    "interp.geometry",
    "interp.families",
    "interp.hooks",
    "interp.text",
    "interp.audio",
    "interp.prompts",
    "interp.model",
    "interp.activations",
    "interp.attribution",
    "interp.speech",
    "interp.probes",
    "interp.patching",
    "interp.circuits",
    "interp.compiled",
    "interp.sources",
    "analyses.core",
    "analyses.engines",
    "analyses.head_specialization",
    "analyses.cross_attention_focus",
    "analyses.logit_attribution",
    "analyses.embedding_geometry",
    "analyses.circuits",
    "analyses.expert_routing",
    "analyses.sentence",
    "analyses.weights",
    "analyses.runs",
    "analyses.trace",
    "analyses.commands",
    "analyses.cli",
    "analyses.__main__",
)
ANALYSES = tuple(f"analyses.{name}" for name in ("head_specialization", "cross_attention_focus", "logit_attribution"))
ANALYSES = (*ANALYSES, "analyses.embedding_geometry", "analyses.circuits", "analyses.expert_routing")
# Folders inside a wing, in the order in which they may import each other.
FOLDERS = {
    "analyses.head_specialization": ("measure", "roles", "present"),
    "analyses.cross_attention_focus": ("measure", "alignment", "present"),
    "analyses.embedding_geometry": ("measure", "present"),
}
# Notions that used to be defined twice or more, differently: each has one definition, and it is here.
HOMES = {
    "Estimate": "interp.statistics.estimate",
    "Interval": "interp.statistics.interval",
    "logit_difference": "interp.attribution.logit_readout",
    "decompose": "interp.attribution.direct_logit_attribution",
    "classes": "interp.text.token_sets",
    "replacements": "interp.patching.replacements",
    "RecordedPass": "interp.patching.partial_forward",
}
LONGEST_FILE = 300
LONGEST_FUNCTION = 60


def modules() -> Iterator[tuple[str, Path]]:
    for package in ("interp", "analyses"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())
WINGS = tuple(name for name, path in MODULES.items() if path.name == "__init__.py")


def wing(module: str) -> str:
    return ".".join(module.split(".")[:2])


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, of ours and of others; from a package, the module that the name is or lives in."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else str(node.module) for name in names)


def edges() -> Iterator[tuple[str, str]]:
    for module, path in MODULES.items():
        for target in imports(path):
            if target.split(".")[0] in ("interp", "analyses") and target != module:
                yield module, target


def test_every_wing_has_its_place() -> None:
    assert {wing(module) for module in MODULES} - {"interp", "analyses"} == set(ORDER)


def test_imports_point_one_way() -> None:
    wrong = []
    for module, target in edges():
        if wing(target) in ("interp", "analyses") or wing(module) == wing(target):
            continue
        if ORDER.index(wing(target)) > ORDER.index(wing(module)):
            wrong.append(f"{module} imports {target}")
    assert not wrong, wrong


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module, target in edges():
        graph.setdefault(module, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("package", FOLDERS)
def test_folders_of_a_wing_import_one_way(package: str) -> None:
    order = [f"{package}.{folder}" for folder in FOLDERS[package]]

    def floor(module: str) -> int | None:
        return next((index for index, name in enumerate(order) if module.startswith(f"{name}.")), None)

    wrong = []
    for module, target in edges():
        above, below = floor(module), floor(target)
        if above is not None and below is not None and below > above:
            wrong.append(f"{module} imports {target}")
    assert not wrong, wrong


def test_no_analysis_imports_another() -> None:
    wrong = [
        f"{module} imports {target}"
        for module, target in edges()
        if wing(module) in ANALYSES and wing(target) in ANALYSES and wing(module) != wing(target)
    ]
    assert not wrong, wrong


def test_the_report_is_a_leaf() -> None:
    for module, path in MODULES.items():
        if module.startswith("interp.report"):
            # BertViz takes attention as torch tensors and nothing else.
            banned = (
                ("transformers", "analyses")
                if module.startswith("interp.report.views")
                else ("torch", "transformers", "analyses")
            )
            foreign = [t for t in imports(path) if t.split(".")[0] in banned]
            ours = [t for t in imports(path) if t.startswith("interp") and not t.startswith("interp.report")]
            assert not foreign + ours, f"{module} imports {foreign + ours}"


TAGS = (
    "a b bdi br code div em figure h1 h2 h3 img li p script small span strong style svg table td text th tr ul".split()
)
TAG = re.compile(rf"</?(?:{'|'.join(TAGS)})\b")


def test_html_is_built_only_by_the_report() -> None:
    """One place spells out what is invisible and escapes what is HTML (`interp/report/escaping.py`); others give it data."""
    wrong = []
    for module, path in MODULES.items():
        if module.startswith("interp.report"):
            continue
        wrong += [
            f"{module} imports {name}" for name in imports(path) if name.split(".")[0] in ("markupsafe", "jinja2")
        ]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and TAG.search(node.value):
                wrong.append(f"{module}, line {node.lineno} writes {node.value!r}")
            # `html.escape`, or the name imported from there
            if "escape" in (getattr(node, "attr", ""), getattr(node, "name", "")):
                wrong.append(f"{module}, line {getattr(node, 'lineno', 0)} escapes by hand")
    assert not wrong, wrong


def test_the_command_line_speaks_through_one_gate() -> None:
    """What is printed may quote what others wrote; `say` spells out what a terminal would obey of it."""
    printed = re.compile(r"typer\.echo\(|(?<![\w.])print\(|console\.print\(")
    found = [
        f"{module}: {line.strip()}"
        for module, path in MODULES.items()
        if module.startswith("analyses.c")
        for line in path.read_text(encoding="utf-8").splitlines()
        if printed.search(line)
    ]
    assert found == ["analyses.commands.messages: typer.echo(visible_lines(str(text)), err=err, nl=nl)"]


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
    for module, path in MODULES.items():
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
        assert not used, f"{module} names {used}; that belongs into interp/families/"


def test_only_the_table_tells_families_apart() -> None:
    """Others ask for facts and functions that `interp/families/` gives, never for a family or its biases as a whole."""
    wrong = []
    for module, path in MODULES.items():
        if module.startswith("interp.families"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "biases":
                wrong.append(f"{module}, line {node.lineno}: reads {ast.unparse(node)}")
            if isinstance(node, ast.Compare):
                sides = [ast.unparse(side) for side in (node.left, *node.comparators)]
                if any(side.endswith((".family", "model_type", ".get('model_type')")) for side in sides):
                    wrong.append(f"{module}, line {node.lineno}: {ast.unparse(node)}")
    assert not wrong, wrong


def test_files_and_functions_stay_short() -> None:
    long = []
    for module, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > LONGEST_FILE:
            long.append(f"{module}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    long.append(f"{module}.{node.name}, line {node.lineno}: {length} lines")
    assert not long, long


def test_one_definition_each() -> None:
    found = [
        (node.name, module)
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name in HOMES
    ]
    assert sorted(found) == sorted(HOMES.items())


def test_wings_hand_on_names_and_define_nothing() -> None:
    for name in WINGS:
        tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
        defined = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        assert not defined, f"{name}/__init__.py defines {defined}"


@pytest.mark.parametrize("name", [name for name in WINGS if MODULES[name].with_suffix(".pyi").exists()])
def test_every_public_name_resolves_and_is_no_module(name: str) -> None:
    package = importlib.import_module(name)
    assert package.__all__
    for public in package.__all__:
        assert getattr(package, public) is not None
        # A module of the same name would take the place of the name as soon as somebody imports it.
        assert f"{name}.{public}" not in MODULES, f"{name}.{public} is a module too"
    with pytest.raises(AttributeError, match="nothing"):
        package.nothing  # noqa: B018


@pytest.mark.slow
def test_importing_is_silent_and_light() -> None:
    code = (
        "import sys, interp, analyses, analyses.cli\n"
        "heavy = {'torch', 'transformers', 'pandas', 'matplotlib', 'bertviz', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_test_imports_another() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {target}"
        for path in (ROOT / "tests").rglob("*.py")
        for target in imports(path)
        if target.startswith("tests.") and not target.startswith("tests.support")
    ]
    assert not wrong, wrong


def test_the_architecture_page_names_only_what_is_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    homes = "interp|analyses|tests|docs|benchmarks|notebooks|training|reports"
    paths = re.findall(rf"`((?:{homes}|\.ci)/[\w./-]*)`", text)
    assert len(paths) > 40
    assert not [path for path in paths if not (ROOT / path).exists()]
    missing = [wing for wing in ORDER if not re.search(rf"`{wing.replace('.', '/')}(?:/|\.py)`", text)]
    assert not missing, f"wings without a row: {missing}"


NOT_OF_MODULES = {"step", "atlas", "strongest_key(pattern, ordinary)"}
"""What else has a `weight` or a `bias`, as it is written."""


def test_weights_of_modules_are_read_in_one_place() -> None:
    """An offloaded weight has no data, and torch multiplies by it without an error."""
    wrong = [
        f"{module}:{node.lineno} reads {ast.unparse(node)}"
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("weight", "bias") and isinstance(node.ctx, ast.Load)
        if module != "interp.hooks.host_weights" and ast.unparse(node.value) not in NOT_OF_MODULES
    ]
    assert not wrong
