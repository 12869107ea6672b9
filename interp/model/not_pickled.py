"""What is not pickled and says what to do in its place: hook points hang on modules, caches on the model they are from."""

from typing import Any, ClassVar, TypeVar

from interp.errors import InputError

Own = TypeVar("Own")


class NotPickled:
    """A class whose objects are copied in memory, but not pickled, as `torch.save` and workers of a `DataLoader` do.

    Attributes:
        instead: the sentence that says what to do.
    """

    instead: ClassVar[str]

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise InputError(f"A {type(self).__name__} is not pickled. {self.instead}")

    def __copy__(self: Own) -> Own:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other
