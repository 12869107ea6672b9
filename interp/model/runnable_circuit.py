"""What `run_with_circuit` of a hooked model takes: edges of a graph, which are defined above this wing."""

from typing import Any, Protocol, runtime_checkable

from interp.axes import Logits
from interp.text.batch import Batch


@runtime_checkable
class RunnableCircuit(Protocol):
    """What `run_with_circuit` runs: edges of a graph, defined above this wing."""

    def run(self, model: Any, clean: Any, corrupted: Batch | None = None) -> Logits:
        """The logits with these edges only.

        Args:
            model: the model.
            clean: a batch, or pairs with both sides.
            corrupted: what flows along the other edges.
        """
