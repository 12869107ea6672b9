"""Settings: the base of what a user may choose for an analysis. Alone here, so that choices are checked before torch comes."""

import inspect
import re

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """What a user may choose for one analysis; the base has no choices. Unknown names and what is no number are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def meanings(cls) -> dict[str, str]:
        """Setting -> what it means, as the class says under `Attributes:`; empty where it says nothing."""
        text = inspect.getdoc(cls) or ""
        said = dict(re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", text.partition("Attributes:")[2], re.MULTILINE))
        return {
            name: " ".join(said.get(name, field.description or "").split()) for name, field in cls.model_fields.items()
        }
