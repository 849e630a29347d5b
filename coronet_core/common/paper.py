"""What the paper reports, to print beside what a run gives. Source: Khobahi et al. 2020, Tables 1 to 5."""

from typing import Any, Final

PAPER: Final[dict[str, Any]] = {
    "images": {
        "train": {"healthy": 7966, "pneumonia": 8521, "covid19": 89},
        "test": {"healthy": 885, "pneumonia": 1058, "covid19": 10},
    },
    "overall": {"accuracy": 0.9350, "precision": 0.9363, "recall": 0.9350, "f1_score": 0.9351},
    "sensitivity": {"healthy": 0.9548, "pneumonia": 0.9187, "covid19": 0.900},
    "ppv": {"healthy": 0.9066, "pneumonia": 0.9614, "covid19": 0.900},
    "confusion_matrix": [[845, 39, 1], [86, 972, 0], [1, 0, 9]],
}
