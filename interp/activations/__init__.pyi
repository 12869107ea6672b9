from .batches import Batches as Batches
from .manifest import Recipe as Recipe
from .manifest import StoreManifest as StoreManifest
from .sentences import sentences_of as sentences_of
from .store import ActivationStore as ActivationStore
from .verifying import verify_activations as verify_activations
from .writing import write_activations as write_activations
