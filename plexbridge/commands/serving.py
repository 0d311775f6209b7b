"""`serve`: the command line as a layer of settings, and then the bridge."""

from typing import Annotated

import typer

from plexbridge.app import serve as serve_bridge
from plexbridge.commands.exits import NotUnderstood
from plexbridge.commands.options import DataDir, settings_for

Playlist = Annotated[
    list[str] | None,
    typer.Option("--playlist", metavar="URL|FILE", help="A provider's M3U playlist; repeatable."),
]
Guide = Annotated[
    list[str] | None,
    typer.Option("--guide", metavar="URL|FILE", help="An XMLTV programme guide; repeatable."),
]
Host = Annotated[str | None, typer.Option(help="The address to listen on.", show_default=False)]
ServePort = Annotated[
    str | None,
    typer.Option("--port", metavar="PORT", help="The port to listen on.  [default: 3000]"),
]
Tuners = Annotated[
    str | None,
    typer.Option("--tuners", metavar="N", help="How many channels at once.  [default: 4]"),
]
Demo = Annotated[bool, typer.Option("--demo", help="Serve a pretend provider's nine channels.")]
LogLevel = Annotated[
    str | None,
    typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error."),
]


def serve(
    playlist: Playlist = None,
    guide: Guide = None,
    host: Host = None,
    port: ServePort = None,
    data_dir: DataDir = None,
    tuners: Tuners = None,
    demo: Demo = False,
    log_level: LogLevel = None,
) -> None:
    """Serve channels to Plex, Jellyfin, Emby, Kodi, VLC and ffmpeg until stopped."""
    for option, given in (("--playlist", playlist), ("--guide", guide)):
        if demo and given:
            raise NotUnderstood(f"--demo and {option} exclude each other: the demo has its own")
    settings = settings_for(
        data_dir,
        playlist=playlist,
        guide=guide,
        host=host,
        port=port,
        tuner_count=tuners,
        log_level=log_level,
    )
    raise typer.Exit(serve_bridge(settings, demo=demo))
