"""Settings as percentages: 0.995 is 99.5%. Rounded to 100%, a limit would state what nobody has set."""


def as_percentage(setting: float) -> str:
    """Return `setting`, a share that somebody has chosen, as a percentage with its sign."""
    return f"{100 * setting:.6g}%"
