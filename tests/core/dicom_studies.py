"""DICOM X-rays with a patient and a study, as an archive holds them."""

from typing import Any

import numpy as np

from tests.core.test_dicom import PIXELS, dicom, saved

STUDY = {
    "StudyInstanceUID": "1.2.826.0.1.1",
    "SeriesInstanceUID": "1.2.826.0.1.2",
    "SOPInstanceUID": "1.2.826.0.1.3",
    "Modality": "CR",
    "StudyDate": "20200314",
    "StudyTime": "101112",
    "StudyID": "S-5",
    "StudyDescription": "Chest PA",
    "ReferringPhysicianName": "Who^Doctor",
    "PatientBirthDate": "19500102",
    "PatientSex": "F",
    "PatientAge": "070Y",
    "PatientOrientation": ["L", "F"],
    "InstanceNumber": 7,
}
IDENTIFYING = {"PatientName": "Doe^Jane", "PatientID": "MRN-12345", "AccessionNumber": "ACC-77"}
"""As `tests.core.test_dicom.dicom` sets them."""


def study_file(values: np.ndarray = PIXELS, **tags: Any) -> bytes:
    """Return the file of an X-ray of the study; a tag that is None is left out."""
    header = dicom(values, 8, **(STUDY | {tag: value for tag, value in tags.items() if value is not None}))
    for tag, value in tags.items():
        if value is None and tag in header:
            delattr(header, tag)
    return saved(header)
