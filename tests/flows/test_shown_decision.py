"""What Prefect's page shows of a decision."""

from dataclasses import replace
from datetime import UTC, datetime

from flows.monitoring.artifacts import as_markdown
from tasks.promotion.gate import Decision, Ruling
from tasks.promotion.promote_version import Judgement
from tasks.registry.versions import Version

VERSION = Version(number=3, digest="d", aliases=(), tags={}, run_id=None, created=datetime.now(UTC))
GOOD = Ruling(rule="sensitivity.covid19", passed=True, reason="Sensitivity for COVID-19 is 90.0%.")
BAD = Ruling(rule="shortcuts", passed=False, reason="The audit is not passed: a | b <script>.")


def judgement(*rulings: Ruling) -> Judgement:
    decision = Decision(rulings=rulings, figures={}, notes=("Compared on 40 images.",))
    return Judgement(version=VERSION, champion=replace(VERSION, number=2), decision=decision)


def test_a_refusal_shows_every_rule_and_which_is_not_met() -> None:
    assert as_markdown(judgement(GOOD, BAD)).splitlines() == [
        "### Version 3: refused",
        "",
        "The champion is version 2.",
        "",
        "**Rules not met**",
        "",
        "- The audit is not passed: a \\| b &lt;script&gt;.",
        "",
        "**Rules met**",
        "",
        "- Sensitivity for COVID-19 is 90.0%.",
        "",
        "**Notes**",
        "",
        "- Compared on 40 images.",
    ]


def test_a_reason_from_outside_is_no_link_and_no_image() -> None:
    hostile = replace(BAD, reason="The source [x](javascript:alert(1)) ![y](http://evil.example/z.png) is read.")
    shown = as_markdown(judgement(hostile))
    assert "\\[x\\](javascript:alert(1)) !\\[y\\](http\\://evil.example/z.png)" in shown


def test_a_version_that_passes_is_not_called_champion_yet() -> None:
    assert as_markdown(judgement(GOOD)).splitlines()[0] == "### Version 3: meets every rule"
