"""What a compressed packet's own header says: how many frames it shows, and whether decoding can start at it.

Containers mark "keyframes", but not every marked frame is a clean start (H.264 intra refresh), and not every packet
becomes a frame (hidden VP8/VP9 reference frames, MPEG-4 packed B-frames). These few bits are read from the packet.

Source: ITU-T H.264 §7.3 and §D.2.8, H.265 §7.4.2.2, RFC 6386 §9.1, the VP9 bitstream specification §6.2 and annex B,
ISO/IEC 14496-2 §6.2.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from av.packet import Packet
from av.video.stream import VideoStream

__all__ = ["PLACEHOLDER_BYTES", "PacketFacts", "packet_reader"]

PLACEHOLDER_BYTES = 19
"""An MPEG-4 packet up to this size after a packed one is the empty place of the B-frame that was packed."""

_INTRA_ONLY = frozenset({"mjpeg", "prores", "dnxhd", "png", "rawvideo"})
_VOP_START = b"\x00\x00\x01\xb6"
_ESCAPE = b"\x00\x00\x03"


class PacketFacts(NamedTuple):
    """What is known of one packet.

    Attributes:
        shown: frames that this packet makes visible.
        entry: a decoder that starts here gets this frame, and what is shown after it, right.
        open_gop: an entry that does not forget what came before it.
    """

    shown: int
    entry: bool
    open_gop: bool = False


_PLAIN = PacketFacts(1, False)


def packet_reader(stream: VideoStream) -> Callable[[Packet[VideoStream]], PacketFacts] | None:
    """Returns the function that reads one packet of this stream, or None for a codec that is not understood here."""
    name = stream.codec_context.codec.name
    if name in _INTRA_ONLY:
        return lambda packet: PacketFacts(1, packet.is_keyframe)
    if name in ("h264", "hevc"):
        read = _h264 if name == "h264" else _hevc
        length_bytes = _nal_length_bytes(name, stream.codec_context.extradata or b"")
        return lambda packet: read(packet, length_bytes) if packet.is_keyframe else _PLAIN
    return {"mpeg4": _mpeg4, "vp8": _vp8, "vp9": _vp9, "av1": _av1, "libdav1d": _av1}.get(name)


def _av1(packet: Packet[VideoStream]) -> PacketFacts:
    return PacketFacts(1, packet.is_keyframe)  # a temporal unit shows exactly one frame, by definition


def _mpeg4(packet: Packet[VideoStream]) -> PacketFacts:
    return PacketFacts(bytes(packet).count(_VOP_START), packet.is_keyframe)


def _vp8(packet: Packet[VideoStream]) -> PacketFacts:
    first = bytes(packet)[0]
    return PacketFacts(first >> 4 & 1, packet.is_keyframe and not first & 1)


def _vp9(packet: Packet[VideoStream]) -> PacketFacts:
    data = bytes(packet)
    headers = [_vp9_frame(data[start]) for start in _vp9_frame_starts(data)]
    return PacketFacts(sum(h.shown for h in headers), packet.is_keyframe and headers[0].entry)


def _vp9_frame(first: int) -> PacketFacts:
    """Reads the uncompressed header's first byte (profile 3 has one reserved bit more)."""
    bits = first << 1 if first & 0x30 == 0x30 else first
    show_existing, is_inter, show = bits & 8, bits & 4, bits & 2
    return PacketFacts(int(bool(show_existing or show)), not show_existing and not is_inter)


def _vp9_frame_starts(data: bytes) -> list[int]:
    """Where each frame of a superframe starts; a packet without a superframe index is one frame."""
    marker = data[-1]
    count, magnitude = (marker & 7) + 1, (marker >> 3 & 3) + 1
    table = len(data) - 2 - count * magnitude
    if marker & 0xE0 != 0xC0 or table < 0 or data[table] != marker:
        return [0]
    starts = [0]
    for i in range(count - 1):
        at = table + 1 + i * magnitude
        starts.append(starts[-1] + int.from_bytes(data[at : at + magnitude], "little"))
    return [start for start in starts if start < table]


def _nal_length_bytes(codec: str, extradata: bytes) -> int:
    """Bytes of the length before each NAL unit, or 0 for start codes (Annex B)."""
    at = 4 if codec == "h264" else 21
    return (extradata[at] & 3) + 1 if len(extradata) > at and extradata[0] == 1 else 0


def _nal_units(data: bytes, length_bytes: int) -> Iterator[bytes]:
    if not length_bytes:
        yield from (unit for unit in data.split(b"\x00\x00\x01")[1:] if unit)
        return
    at = 0
    while at + length_bytes < len(data):
        size = int.from_bytes(data[at : at + length_bytes], "big")
        at += length_bytes
        if size:
            yield data[at : at + size]
        at += size


def _hevc(packet: Packet[VideoStream], length_bytes: int) -> PacketFacts:
    """An entry is an intra random access picture: its first picture unit is of type 16 to 21."""
    kinds = (unit[0] >> 1 & 0x3F for unit in _nal_units(bytes(packet), length_bytes))
    return PacketFacts(1, 16 <= next((kind for kind in kinds if kind < 32), 0) <= 21)


def _h264(packet: Packet[VideoStream], length_bytes: int) -> PacketFacts:
    """An entry is an IDR picture, or one whose recovery point message promises exact pictures from it on (open GOP)."""
    exact = False
    for unit in _nal_units(bytes(packet), length_bytes):
        kind = unit[0] & 31
        if kind == 6:
            exact = exact or _recovers_exactly_at_once(unit[1:].replace(_ESCAPE, b"\x00\x00"))
        elif 1 <= kind <= 5:
            return PacketFacts(1, kind == 5 or exact, kind != 5 and exact)
    return PacketFacts(1, False)


def _recovers_exactly_at_once(messages: bytes) -> bool:
    """SEI payload 6 with recovery_frame_cnt 0, exact_match_flag 1 and broken_link_flag 0 (bits 1, 1, 0)."""
    at = 0
    while at + 2 < len(messages):
        kind, at = _sei_number(messages, at)
        size, at = _sei_number(messages, at)
        if kind == 6 and at < len(messages):
            return messages[at] >> 5 == 0b110
        at += size
    return False


def _sei_number(data: bytes, at: int) -> tuple[int, int]:
    """A number written as bytes 255, 255, …, rest; returns it and where the next one starts."""
    value = 0
    while at < len(data) and data[at] == 255:
        value, at = value + 255, at + 1
    return (value + data[at], at + 1) if at < len(data) else (value, at)
