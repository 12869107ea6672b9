"""How often does a report on a model that learnt nothing mark a card "beyond all controls"? `python -m benchmarks.card_marks`.

Untrained models of the shapes of `role_calibration`, the bundled model's translations as targets, 24 prompts, five untrained
twins as `interp run` has by default. Cards of heads count roles: `role_calibration`.
"""

import argparse

from analyses.runs import analyse
from benchmarks.role_calibration import prompts, untrained

SECTIONS = ("cross_attention_focus", "logit_attribution", "embedding_geometry")


def main() -> None:
    """Prints a row for every shape and section, as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--twins", type=int, default=5)
    parser.add_argument("--shapes", nargs="+", default=["bundled", "BART"])
    asked = parser.parse_args()
    print("| shape | section | models | beyond all controls |\n|---|---|---|---|")
    for shape in asked.shapes:
        found: dict[str, list[str]] = {name: [] for name in SECTIONS}
        for seed in range(asked.seeds):
            model = untrained(shape, seed)
            given = prompts(24, True)
            batch = model.batch([one.source for one in given], [one.target or "" for one in given])
            for name in SECTIONS:
                headline = analyse(name, model, batch, twins=asked.twins, seed=seed).section.headline
                found[name].append(headline.sureness if headline else "not judged")
        for name, marks in found.items():
            print(f"| {shape} | {name} | {len(marks)} | {marks.count('beyond all controls')} |", flush=True)


if __name__ == "__main__":
    main()
