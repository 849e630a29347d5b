"""What differs between two parameter files."""

from pathlib import Path

from tasks.runtime.params.presets import differences


def test_differences_are_by_key_with_both_values(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine.yaml", tmp_path / "other.yaml"
    mine.write_text("extends: other\nseed: 7\nsources: [{kind: a, views: [PA]}, {kind: c}]\nnew: {deep: true}\n")
    other.write_text("seed: 2020\nsources: [{kind: a, views: [PA, AP]}]\nsame: {x: 1}\nempty: {}\n")
    assert differences(mine, other) == [
        ("seed", "7", "2020"),
        ("sources.0.views", '["PA"]', '["PA", "AP"]'),
        ("sources.1.kind", "c", "-"),
        ("new.deep", "true", "-"),
    ]
    assert differences(mine, mine) == []


def test_a_section_that_one_file_lacks_is_told_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("section: {x: null, y: {z: 1}}\n")
    (tmp_path / "b.yaml").write_text("section: null\n")
    (tmp_path / "c.yaml").write_text("other: 1\n")
    assert differences(tmp_path / "a.yaml", tmp_path / "c.yaml") == [
        ("section.x", "null", "-"),
        ("section.y.z", "1", "-"),
        ("other", "-", "1"),
    ]
    assert differences(tmp_path / "a.yaml", tmp_path / "b.yaml") == [
        ("section", '{"x": null, "y": {"z": 1}}', "null"),
    ]
