"""Texts of a guide: kept on one line, bounded, escaped. Pure."""


def escape(text: str) -> str:
    """For XML, in text as well as in an attribute."""
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    return text.replace('"', "&quot;") if '"' in text else text


def clean(text: str | None, chars_max: int) -> str:
    """On one line, without blanks around it, cut where it is too long."""
    if not text:
        return ""
    words = " ".join((text if len(text) <= chars_max else text[: 2 * chars_max]).split())
    return words if len(words) <= chars_max else words[: chars_max - 1].rstrip() + "…"
