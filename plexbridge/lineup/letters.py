"""Text as it is compared: without case and accents. Pure."""

import unicodedata


def folded(text: str) -> str:
    """`Κρήτη TV` and `κρητη tv`, `München` and `munchen` are one."""
    if not text.isascii():
        apart = unicodedata.normalize("NFKD", text)
        text = "".join(one for one in apart if not unicodedata.combining(one))
    return text.casefold()
