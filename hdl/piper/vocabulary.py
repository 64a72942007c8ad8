"""The vocabularies of a pipeline: on the chip or in a memory outside."""

from hdl.piper.off_chip_vocabulary import OffChipVocabularies
from hdl.piper.on_chip_vocabulary import OnChipVocabularies
from hdl.piper.parameters import Parameters
from hdl.piper.vocabulary_stage import VocabularyStage


def build_vocabularies(parameters: Parameters) -> VocabularyStage:
    """The kind of stage that the parameters ask for."""
    return (OffChipVocabularies if parameters.off_chip else OnChipVocabularies)(parameters)
