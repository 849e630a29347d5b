"""Images of the sources that the last split does not have."""

from collections import Counter

from coronet_core.common.manifest import IDS, read_notes, read_rows
from coronet_core.support.errors import DataError
from tasks.build_split.pseudonym_key import ids_of
from tasks.build_split.sources import list_images
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import MANIFEST


def new_images(params: Params) -> Counter[str]:
    """Return by source how many images the rules of `params.data` list that are here and not in the last manifest.

    Images that the split rejects are rows of the manifest, too, and so are not new; nor is one that has changed in
    place. No image is read.

    Raises DataError if there is no manifest, if its images are called by other ids, or if a source cannot be listed.
    """
    if not MANIFEST.is_file():
        raise DataError(f"{MANIFEST}: no split to compare with. Train the networks first (`coronet run`).")
    ids = ids_of(params.data)
    if read_notes(MANIFEST).get(IDS) != ids.fingerprint:
        raise DataError(
            f"{MANIFEST}: was written with another CORONET_PSEUDONYM_KEY or another data.ids, so its images cannot be "
            "recognised. Restore these settings."
        )
    known = set(read_rows(MANIFEST)["image_id"])
    records = list_images(params.data, params.seed).records
    here = (record for record in records if record.version != "missing")
    return Counter(record.source for record in here if ids.image(record) not in known)
