"""Is a store still what its manifest says?"""

from pathlib import Path

from interp.activations.manifest import MANIFEST, read_manifest
from interp.folder_contents import contents_of, listed, parents_of
from interp.input_files import file_hash, read_regular


def verify_activations(folder: str | Path) -> tuple[str, ...]:
    """What is wrong with a store, a sentence for every kind of damage; nothing where every file is as its manifest says.

    The folder's own name must be the recipe's, too: a store in another folder is not the one that a name stands for.

    Args:
        folder: of the store.

    Raises:
        InputError: if there is no finished store.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    wanted, contents = frozenset(manifest.files), contents_of(folder)
    there = contents.files | contents.others
    kinds = {
        "Missing": wanted - there,
        "Added": (there - wanted - {MANIFEST}) | (contents.folders - parents_of(wanted)),
        "Changed": {name for name in wanted & there if _hash(folder / name) != manifest.files[name]},
    }
    wrong = [f"{what}: {listed(tuple(sorted(names)))}." for what, names in kinds.items() if names]
    # By its bytes: what another file of equal content says is not what was written.
    if read_regular(folder / MANIFEST, follow_links=False) != manifest.to_json():
        wrong.append("The manifest itself was changed: it is not, byte for byte, what its seal was made of.")
    name = manifest.recipe.digest()[:16]
    if folder.resolve().name != name:
        wrong.append(
            f"The folder is called {folder.resolve().name!r}, and its recipe gives {name!r}: one of them was changed."
        )
    return tuple(wrong)


def _hash(path: Path) -> str | None:
    try:
        return file_hash(path, follow_links=False)
    except OSError:
        return None  # a link, a pipe or a device is no file of the store
