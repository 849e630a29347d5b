"""The limits of the shortcut audit's verdict, from the params."""

from coronet_core.audits.verdict import Limits
from tasks.runtime.params.schema import AuditParams


def limits_of(params: AuditParams) -> Limits:
    """Return the limits that the verdict of `judge` goes by."""
    return Limits(
        max_retained_skill=params.max_retained_skill,
        max_source_skill=params.max_source_skill,
        min_kept_skill=params.min_kept_skill,
    )
