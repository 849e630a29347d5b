"""A source of class folders: its records, its images, and what is laid beside them."""

from pathlib import Path

from coronet_core.data.image_record import Record
from coronet_core.data.sources import image_folder


def records(folder: Path, labels_csv: str | None, patient_id_pattern: str | None) -> list[Record]:
    return image_folder.records(folder.parent, folder.name, labels_csv, patient_id_pattern).records


def write_csv(folder: Path, *lines: str) -> None:
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def every_image(folder: Path, suffix: str = "") -> list[str]:
    return [f"{path.relative_to(folder)}{suffix}" for path in sorted(folder.rglob("*.png"))]


def companions(folder: Path) -> list[str]:
    names = ["healthy/._P0_healthy.png", "__MACOSX/healthy/._P0_healthy.png", "healthy/.ipynb_checkpoints/a.png"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\x00\x05\x16\x07")
    return names
