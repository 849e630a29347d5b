"""Segmentation masks that lie beside the X-rays that they belong to, by the names of files and folders."""

import re
from pathlib import PurePosixPath
from typing import Final

MASK_FOLDER: Final = re.compile(
    r"(?!no|un|with|wearing).*masks?(png|images?|resized|\d+)?|.*segmentations?|segs?|groundtruths?|gts?|labelst[rsv]"
    r"|masken|masques?"
)
"""Names of folders of masks, in lower case and without blanks and dashes: masks, lung_mask, ManualMask, labelsTr."""
PART: Final = r"left|right|lungs?|heart|infection|bin|binary|predicted"
MASK_STEM: Final = re.compile(
    rf"(?P<image>.+?)(\.(png|jpe?g|dcm|tiff?))?[ _.-]*(({PART})[ _-]*)?(masks?|seg|segmentation|gt)"
    rf"([ _-]*({PART}|resized|\d+))?"
    rf"|(({PART})[ _-]?)?(mask|seg)[ _.-]+(?P<image_behind>.+)",
    re.IGNORECASE,
)
"""Names of masks beside an image: scan_7_mask or mask_scan_7 of scan_7."""


def without_masks(images: list[str]) -> tuple[list[str], int]:
    """Return `images` without the masks that lie beside others of them, and the number of these masks.

    A mask is in a folder that is called so (`masks`, `ManualMask/leftMask`), beside images of the folder around it, or
    has the name of an image of its folder with `_mask` behind it.
    """
    paths = [PurePosixPath(name) for name in images]
    plain = [path for path in paths if _mask_folder(path) is None]
    holding = {folder for path in plain for folder in path.parents}
    stems = {path.with_suffix("") for path in plain}
    kept = [str(path) for path in paths if not (_is_in_masks(path, holding) or _belongs_to_another(path, stems))]
    return kept, len(images) - len(kept)


def _mask_folder(path: PurePosixPath) -> PurePosixPath | None:
    """Return the outermost folder of `path` that is called as folders of masks are."""
    for folder in reversed(path.parents):
        if MASK_FOLDER.fullmatch(re.sub(r"[ _-]", "", folder.name.lower())):
            return folder
    return None


def _is_in_masks(path: PurePosixPath, holding_images: set[PurePosixPath]) -> bool:
    folder = _mask_folder(path)
    return folder is not None and folder.parent in holding_images


def _belongs_to_another(path: PurePosixPath, stems: set[PurePosixPath]) -> bool:
    named = MASK_STEM.fullmatch(path.stem)
    return named is not None and path.with_name(named["image"] or named["image_behind"]) in stems
