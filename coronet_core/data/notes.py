"""What there is to say of a file that was read: faults that were passed over, and what its picture may not be."""

from enum import StrEnum


class Note(StrEnum):
    """A remark on how a file was read. The vocabulary is fixed: nothing of a header is quoted."""

    WINDOW = "window ignored (it does not apply)"
    WINDOW_FUNCTION = "unknown window function (read as linear)"
    VOI_LUT = "VOI LUT ignored (damaged)"
    MODALITY_LUT = "modality LUT ignored (damaged)"
    RESCALE = "rescaling ignored (damaged)"
    DECIMAL_COMMA = "decimal comma (read as a point)"
    PIXEL_ATTRIBUTES = "pixel attributes missing or damaged (the standard's defaults taken)"
    PHOTOMETRIC = "photometric interpretation missing or misspelt"
    BITS = "values beyond the bits stored (all bits taken)"
    SIGN = "sign of the values corrected (the picture contradicts it)"
    PADDING = "padding value ignored (it covers the picture)"
    NOT_FINITE = "values that are not finite (shown as background)"
    CHUNK = "damaged PNG chunk ignored"
    PROFILE = "large PNG profile or text ignored"
    EXIF = "EXIF ignored (damaged)"
    FIRST_PICTURE = "first of several pictures"
    TAG_NEGATIVE = "polarity tag ignored (the picture contradicts it)"
    NEGATIVE = "negative by its picture (inverted)"
    LATERAL = "lateral view"
    SLICE = "CT slice or localizer"
    MODALITY = "not a projection X-ray by its modality"
    FEW_LEVELS = "few grey levels"


UNSUITABLE = (Note.LATERAL, Note.SLICE, Note.MODALITY, Note.FEW_LEVELS)
"""Notes of images that are hardly frontal chest X-rays."""
