"""How well a colour can be told from another: WCAG's ratio."""

from __future__ import annotations


def contrast(one: str, other: str) -> float:
    """From 1, not at all, to 21; 4.5 is asked for text, 3 for what is drawn."""

    def light(colour: str) -> float:
        shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
