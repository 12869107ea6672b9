from .composition_page import Survey as Survey
from .composition_page import composition_section as composition_section
from .composition_page import survey_composition as survey_composition
from .neuron_page import neuron_section as neuron_section
