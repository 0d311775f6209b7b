"""What a playlist says, as values, and which of its variants is taken.

Pure. Knows RFC 8216's things, not its text (`parsing`), and nothing of fetching or of time passing.
URIs are absolute here.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A part of a resource, in bytes."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Key:
    """How segments are encrypted (RFC 8216 section 4.3.2.4); absent for METHOD=NONE."""

    method: str
    """`AES-128`, `SAMPLE-AES`, …"""
    uri: str
    iv: bytes | None
    """16 bytes; None: the media sequence number is the IV."""
    key_format: str
    """`identity`, or the name of a DRM system."""


@dataclass(frozen=True, slots=True)
class InitSection:
    """EXT-X-MAP: what must come before the segments it applies to."""

    uri: str
    byte_range: ByteRange | None
    key: Key | None


@dataclass(frozen=True, slots=True)
class Segment:
    """One media segment."""

    sequence: int
    """Its media sequence number: its identity, because URIs may change between reloads."""
    uri: str
    duration_s: float
    byte_range: ByteRange | None
    key: Key | None
    init: InitSection | None
    discontinuity: int
    """Its discontinuity sequence number; comparable between reloads only where the playlist
    counts them."""
    tagged: bool
    """EXT-X-DISCONTINUITY stands before it."""
    gap: bool
    """EXT-X-GAP: announced as missing."""


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """One rendition's segments, as far as the playlist shows them."""

    target_s: int
    """EXT-X-TARGETDURATION, in seconds, at least 1."""
    first_sequence: int
    segments: tuple[Segment, ...]
    ended: bool
    """EXT-X-ENDLIST: nothing will be added."""
    start_offset_s: float | None
    """EXT-X-START TIME-OFFSET: from the beginning, or from the end where it is negative."""
    counts_discontinuities: bool
    """EXT-X-DISCONTINUITY-SEQUENCE is there."""

    @property
    def end_sequence(self) -> int:
        """The sequence number of the segment that will come after the last one."""
        return self.first_sequence + len(self.segments)


@dataclass(frozen=True, slots=True)
class Variant:
    """EXT-X-STREAM-INF."""

    uri: str
    bandwidth: int
    """Bits per second, peak."""
    audio_group: str | None
    codecs: str | None


@dataclass(frozen=True, slots=True)
class AudioRendition:
    """EXT-X-MEDIA of TYPE=AUDIO."""

    group: str
    uri: str | None
    """None: its audio is inside the variant."""
    name: str
    language: str | None
    is_default: bool
    autoselect: bool


@dataclass(frozen=True, slots=True)
class MasterPlaylist:
    """The variants of one programme."""

    variants: tuple[Variant, ...]
    """At least one."""
    audio: tuple[AudioRendition, ...]


def choose_variant(master: MasterPlaylist, *, at_most_bits_per_s: int | None = None) -> Variant:
    """The variant of the highest bandwidth within the bound; the lowest where none is within it.

    Of equals the first: that is the author's order of preference.
    """
    fitting = [
        variant
        for variant in master.variants
        if at_most_bits_per_s is None or variant.bandwidth <= at_most_bits_per_s
    ]
    if fitting:
        return max(fitting, key=lambda variant: variant.bandwidth)
    return min(master.variants, key=lambda variant: variant.bandwidth)


def separate_audio(master: MasterPlaylist, variant: Variant) -> AudioRendition | None:
    """The audio rendition that must be fetched beside the variant; None where it is inside.

    The author's default, else what may be selected by itself, else the first (RFC 8216 section
    4.3.4.1). A rendition without a URI is inside the variant.
    """
    group = [audio for audio in master.audio if audio.group == variant.audio_group]
    if not group:
        return None
    chosen = max(group, key=lambda audio: (audio.is_default, audio.autoselect))
    return chosen if chosen.uri is not None and chosen.uri != variant.uri else None
