from .frames import FrameSpan as FrameSpan
from .frames import categories_of_frames as categories_of_frames
from .frames import energies as energies
from .frames import spans_of as spans_of
from .recordings import GivenSound as GivenSound
from .recordings import Recording as Recording
from .recordings import read_recording as read_recording
from .sound_reader import SoundReader as SoundReader
