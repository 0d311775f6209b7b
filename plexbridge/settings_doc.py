"""The settings table of the README, written from the settings themselves.

`python -m plexbridge.settings_doc` prints it; a test compares it with what the README says.
"""

import sys

from plexbridge.settings_model import SETTINGS, Settings, as_text


def settings_table() -> str:
    """The table as Markdown, one line per setting, with a line feed at its end."""
    lines = ["| setting | default | accepts | meaning |", "|---|---|---|---|"]
    for name, (field, setting) in SETTINGS.items():
        info = Settings.model_fields[field]
        default = "" if info.is_required() else as_text(info.get_default())
        shown = f"`{default}`" if default else "none"
        assert info.description, f"{name} has no meaning written down"
        lines.append(f"| `{name}` | {shown} | {setting.kind.accepts} | {info.description} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(settings_table())
