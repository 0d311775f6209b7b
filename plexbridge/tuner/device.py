"""The HDHomeRun documents: pure functions from settings, lineup and tuner rows to what is sent.

Source: SiliconDust's HTTP API and captures of real devices. `TunerCount` is an integer (as a string
Plex showed 49 tuners), flags are absent when 0, `GuideNumber` is text.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import orjson

from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.guide.document import xmltv_id

MODEL: Final = "HDHR5-4US"
FIRMWARE_NAME: Final = "hdhomerun5_atsc"
FIRMWARE_VERSION: Final = "20250815"
DEVICE_AUTH: Final = "plexbridge-has-no-auth-0"
"""24 characters, as clients' buffers expect; it opens nothing. Real ones open a cloud guide."""

UPNP_DEVICE_TYPE: Final = "urn:schemas-upnp-org:device:MediaServer:1"

assert len(DEVICE_AUTH) == 24, "libhdhomerun keeps at most 24 characters"

HTTP_PORT: Final = 80

UUID_NAMESPACE: Final = UUID("0f8b2a52-2f0e-5a0c-9a67-6a1f4f1d9a31")
"""Ours, fixed for ever: a device's UDN must not change with a release."""


@dataclass(slots=True, kw_only=True)
class Device:
    """What the tuner says of itself. One for the process: its name and its tuners may change, and
    whoever answers for it has this one."""

    device_id: str
    friendly_name: str
    tuners: int


def base_url_at(address: str, port: int) -> str:
    """Where a player finds us at one of our addresses. New firmware leaves the usual port out."""
    address = address.removeprefix("::ffff:")
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}" if port == HTTP_PORT else f"http://{host}:{port}"


def discover(device: Device, base_url: str) -> dict[str, Any]:
    """`/discover.json`."""
    return {
        "FriendlyName": device.friendly_name,
        "ModelNumber": MODEL,
        "FirmwareName": FIRMWARE_NAME,
        "FirmwareVersion": FIRMWARE_VERSION,
        "DeviceID": device.device_id,
        "DeviceAuth": DEVICE_AUTH,
        "BaseURL": base_url,
        "LineupURL": f"{base_url}/lineup.json",
        "TunerCount": device.tuners,
    }


def lineup_status() -> dict[str, Any]:
    """`/lineup_status.json`: never scanning. `Cable`, so that Plex asks for no postcode guide."""
    return {"ScanInProgress": 0, "ScanPossible": 1, "Source": "Cable", "SourceList": ["Cable"]}


def stream_url(base_url: str, channel: Channel) -> str:
    """Where a player reads a channel: stable, and without a query, for Plex appends its own."""
    return f"{base_url}/auto/v{channel.guide_number}"


def lineup_rows(
    lineup: Lineup, base_url: str, *, disabled: bool = False
) -> Iterator[dict[str, Any]]:
    """What `/lineup.json` says of each channel; with `disabled`, of those that are not received
    too, as `show=all` asks. Codecs are left out: they are not known, and clients trust them."""
    for channel in lineup.everything if disabled else lineup.channels:
        yield {
            "GuideNumber": channel.guide_number,
            "GuideName": channel.guide_name,
            "HD": 1,
            **({"Favorite": 1} if channel.favourite else {}),
            "URL": stream_url(base_url, channel),
        }


def lineup_json(lineup: Lineup, base_url: str, *, disabled: bool = False) -> bytes:
    """`/lineup.json`. Written row by row: a lineup may be a whole catalogue."""
    body = bytearray(b"[")
    for row in lineup_rows(lineup, base_url, disabled=disabled):
        body += orjson.dumps(row) + b","
    return bytes(body.removesuffix(b",") + b"]")


def lineup_xml(lineup: Lineup, base_url: str, *, disabled: bool = False) -> bytes:
    """`/lineup.xml`."""
    body = bytearray(b'<?xml version="1.0" encoding="UTF-8"?>\n<Lineup>')
    for row in lineup_rows(lineup, base_url, disabled=disabled):
        told = (f"<{name}>{escape(_xml_text(str(value)))}</{name}>" for name, value in row.items())
        body += f"<Program>{''.join(told)}</Program>".encode("utf-8", "replace")
    return bytes(body + b"</Lineup>")


def logo_path(digest: str) -> str:
    """Where players get a logo, after the base URL."""
    return f"/logos/{digest}"


def lineup_m3u(
    lineup: Lineup, base_url: str, logo_digest: Callable[[str], str] | None = None
) -> bytes:
    """`/lineup.m3u`, in the one dialect every parser reads: quoted attributes, no comma in a name.
    The path ends in `.ts`, without which Jellyfin does not share a stream among viewers.

    `logo_digest`: what a logo's URL is asked for by; without it, no logos are named.
    """
    body = bytearray(b"#EXTM3U\n")
    for channel in lineup.channels:
        name = channel.guide_name.replace('"', "'").replace(",", " ")
        number = channel.guide_number
        group = channel.group.replace('"', "'")
        logo = ""
        if channel.logo and logo_digest is not None:
            logo = f'tvg-logo="{base_url}{logo_path(logo_digest(channel.logo))}" '
        told = (
            f'#EXTINF:-1 channel-id="{number}" channel-number="{number}" '
            f'tvg-id="{xmltv_id(channel)}" tvg-chno="{number}" '
            f'tvg-name="{name}" {logo}group-title="{group}",{name}'
        )
        body += f"{told}\n{base_url}/stream/{channel.id}.ts\n".encode("utf-8", "replace")
    return bytes(body)


def status(tuners: Iterable[Mapping[str, Any]], rates: Mapping[int, int]) -> list[dict[str, Any]]:
    """`/status.json`: one row per tuner, always; an idle one has its name only.

    `tuners` are the dashboard's rows, `rates` bits per second by tuner.
    """
    rows: list[dict[str, Any]] = []
    for tuner in tuners:
        row: dict[str, Any] = {"Resource": f"tuner{tuner['tuner']}"}
        channel = tuner.get("channel")
        if channel is not None:
            row |= {
                "VctNumber": channel["guide_number"],
                "VctName": channel["name"],
                "Frequency": 0,
                "SignalStrengthPercent": 100,
                "SignalQualityPercent": 100,
                "SymbolQualityPercent": 100,
                "NetworkRate": rates.get(tuner["tuner"], 0),
            }
            address = tuner.get("client_address")
            if address:
                row["TargetIP"] = address
        rows.append(row)
    return rows


def udn(device: Device) -> str:
    """What UPnP calls the device: it follows from the DeviceID and so survives restarts."""
    return f"uuid:{uuid5(UUID_NAMESPACE, device.device_id)}"


def device_xml(device: Device, base_url: str) -> bytes:
    """`/device.xml`."""
    root = ElementTree.Element("root", xmlns="urn:schemas-upnp-org:device-1-0")
    spec = ElementTree.SubElement(root, "specVersion")
    ElementTree.SubElement(spec, "major").text = "1"
    ElementTree.SubElement(spec, "minor").text = "0"
    ElementTree.SubElement(root, "URLBase").text = base_url
    described = ElementTree.SubElement(root, "device")
    for name, text in (
        ("deviceType", UPNP_DEVICE_TYPE),
        ("friendlyName", _xml_text(device.friendly_name)),
        ("manufacturer", "Silicondust"),
        ("modelName", MODEL),
        ("modelNumber", MODEL),
        ("serialNumber", device.device_id),
        ("UDN", udn(device)),
    ):
        ElementTree.SubElement(described, name).text = text
    return _document(root)


def _document(root: ElementTree.Element) -> bytes:
    text: str = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()


def _xml_text(text: str) -> str:
    """Without the control characters that XML 1.0 cannot hold even escaped."""
    return "".join(c for c in text if c >= " " and c not in "\ufffe\uffff")
