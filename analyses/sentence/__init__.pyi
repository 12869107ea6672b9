from .essence import print_essence as print_essence
from .reading import SentenceReading as SentenceReading
from .reading import read_sentence as read_sentence
