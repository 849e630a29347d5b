"""A split from the label files alone, without one image: what `coronet data build --labels-only` makes.

It shows what the rules of `params.yaml: data` come to before anything is downloaded: counts, leaks, images that are
listed several times or unsuitable by their view. Other duplicates, rejects, borders and file sizes need the images.
"""

import hashlib
from pathlib import Path

import pandas as pd

from coronet_core.common.manifest import write_manifest
from coronet_core.data.dataset_audit import Counts, audit
from coronet_core.data.ingest import group_oldest, known_rows
from coronet_core.support.errors import ParamsError
from tasks.build_split.pseudonym_key import ids_of, key_warnings
from tasks.build_split.sources import list_images
from tasks.build_split.split_rules import apply_rules
from tasks.build_split.stage import name_doubtful, print_summary, treat_unsuitable
from tasks.runtime.files import write_json
from tasks.runtime.params.data import PhantomSource
from tasks.runtime.params.schema import Params


def build(params: Params, folder: Path) -> Counts:
    """Write `manifest.parquet` and `split.json` into `folder`, print the counts, and return the report."""
    data = params.data
    if any(isinstance(source, PhantomSource) for source in data.sources):
        raise ParamsError("data.sources: the phantom has no label files. Run `coronet run`, which draws its images.")
    ids, listing = ids_of(data), list_images(data, params.seed, labels_only=True)
    manifest = known_rows(listing.records, ids)
    names = pd.Series([f"{record.source}/{record.name}" for record in listing.records], index=manifest.index)
    manifest["sha256"] = names.map(lambda name: hashlib.sha256(name.encode()).hexdigest())  # stands for the bytes
    group_oldest(manifest, data.oldest_age_years)
    treat_unsuitable(manifest, data)
    found = apply_rules(manifest, data, params.seed)
    report = audit(manifest, found, listing, None, params.seed)
    report["warnings"] += key_warnings(data)
    manifest["sha256"] = None
    write_manifest(manifest, folder / "manifest.parquet")
    write_json(folder / "split.json", report)
    print_summary(report)
    name_doubtful(report, listing.records, manifest)
    return report
