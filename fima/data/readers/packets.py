"""The frame index of a video file, made without decoding.

Sequential decoding is the truth. An index is made only where the packets, or the container's own table of them, leave
no doubt about what it will give.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from fima.data.readers.bitstream import PLACEHOLDER_BYTES, PacketFacts, packet_reader
from fima.data.readers.declared import FEWEST_BYTES, FREE_FRAMES
from fima.errors import VideoError

__all__ = ["Entry", "FrameIndex", "index_packets", "index_table", "is_flush", "read_packets"]

_MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
# Containers that store presentation times. AVI stores none: those are guesses as soon as frames are reordered.
_TIMED_CONTAINERS = frozenset({_MP4, "matroska,webm"})
_PROGRESSIVE = 1  # libav's AV_FIELD_PROGRESSIVE


@dataclass(frozen=True)
class Entry:
    """A packet at which decoding may start; ``index``: the first frame that is then certain to be right."""

    index: int
    pts: int
    dts: int | None


@dataclass(frozen=True)
class FrameIndex:
    """What sequential decoding will give.

    Attributes:
        num_frames: how many frames.
        pts: presentation times, ascending, in units of the stream's time base; empty where they are unknown.
        entries: where decoding can start, ascending; empty: only at the beginning.
        open_gop: whether some entries are H.264 pictures after which earlier ones may still be referred to, which a
            decoder started there reports as errors, though nothing that is shown later depends on them.
        unread: made without reading the packets, so that an entry is known to be one only when it is read.
    """

    num_frames: int
    pts: Sequence[int] = ()
    entries: Sequence[Entry] = ()
    open_gop: bool = False
    unread: bool = False

    def entry_before(self, index: int) -> Entry:
        """Returns the last entry from which frame ``index`` can be decoded."""
        return self.entries[bisect_right(self.entries, index, key=lambda entry: entry.index) - 1]


class _Record(NamedTuple):
    pts: int | None
    dts: int | None
    size: int
    discard: bool
    facts: PacketFacts


def index_table(container: InputContainer, stream: VideoStream) -> FrameIndex | None:
    """Indexes the frames from an mp4 file's table, without reading any packet; None where that is not enough.

    It is for H.264 whose frames are whole (progressive) and stored in the order in which they are shown, as
    `fima.data.transcode.reencode` writes them: then the table's decoding times are the presentation times, and a
    packet is a frame.
    """
    context, table = stream.codec_context, getattr(stream, "index_entries", ())
    if container.format.name != _MP4 or context.codec.name != "h264" or _decoder_depth(stream):
        return None
    if getattr(context, "field_order", None) != _PROGRESSIVE or not table or len(table) != stream.frames:
        return None
    rows = [(row.timestamp, row.is_keyframe) for row in table if row.size and not row.is_discard]
    times = [time for time, _ in rows]
    last = table[-1]
    whole = len(rows) == len(table) and last.pos + last.size <= container.size
    if not whole or not rows[0][1] or not all(a < b for a, b in pairwise(times)):
        return None
    entries = [Entry(i, time, time) for i, (time, is_keyframe) in enumerate(rows) if is_keyframe]
    return FrameIndex(len(rows), times, entries, unread=True)


def index_packets(container: InputContainer, stream: VideoStream) -> FrameIndex | None:
    """Reads all packets once and indexes the frames; None where only decoding can tell what they are."""
    records = _records(container, stream)
    if not records or stream.frames not in (0, len(records)):
        return None
    index = _timed_index(records, container, stream)
    if index is None and stream.codec_context.codec.name == "mpeg4":
        index = _counted_mpeg4(records, stream)
    return index


def read_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The packets of a stream from where its container is.

    Raises:
        VideoError: if they are more than the file can hold: one byte of some containers stands for many.
    """
    most = FREE_FRAMES + container.size // FEWEST_BYTES
    for number, packet in enumerate(container.demux(stream)):
        if number > most:
            raise VideoError(f"{container.name}: holds more than {most} packets, which its size does not allow")
        yield packet


def is_flush(packet: Packet[VideoStream]) -> bool:
    """Whether it stands for the end of the stream."""
    return not packet.size and packet.dts is None and packet.pts is None


def _records(container: InputContainer, stream: VideoStream) -> list[_Record]:
    """Every packet of the stream in file order; empty if one is damaged or its codec is not understood."""
    read_facts = packet_reader(stream)
    if read_facts is None:
        return []
    records = []
    try:
        for packet in read_packets(container, stream):
            size = packet.size
            if size and not packet.is_corrupt:
                records.append(_Record(packet.pts, packet.dts, size, packet.is_discard, read_facts(packet)))
            elif not is_flush(packet):
                return []
    except FFmpegError:
        return []
    return records


def _timed_index(records: list[_Record], container: InputContainer, stream: VideoStream) -> FrameIndex | None:
    """Presentation order by time, with the entries; None if times are missing, repeated or contradict the decoder."""
    times = [record.pts for record in records if record.pts is not None]
    if len(set(times)) < len(records) or not records[0].facts.entry or min(times) < times[0]:
        return None
    shown = [record.facts.shown for record in records]
    if max(shown) > 1 or (min(shown) < 1 and stream.codec_context.codec.name == "mpeg4"):
        return None
    if _is_mpeg4_doubtful(records, stream):
        return None
    depth = _reorder_depth(times)
    if depth > _decoder_depth(stream):
        return None  # the decoder would output some frames out of order, or lose them
    if container.format.name not in _TIMED_CONTAINERS and (container.format.name != "avi" or _decoder_depth(stream)):
        return None
    visible = sorted(t for t, record in zip(times, records, strict=True) if record.facts.shown and not record.discard)
    entries = _entries(records, times, visible)
    if not visible or entries[0].index:
        return None
    return FrameIndex(len(visible), visible, entries, any(record.facts.open_gop for record in records))


def _entries(records: list[_Record], times: list[int], visible: list[int]) -> list[Entry]:
    """Entries after whose packet nothing earlier in presentation is needed to decode what is presented later."""
    entries: list[Entry] = []
    latest = min(times) - 1
    for record, pts in zip(records, times, strict=True):
        if record.facts.entry and record.facts.shown and pts > latest:
            entries.append(Entry(bisect_right(visible, pts - 1), pts, record.dts))
        latest = max(latest, pts)
    return entries


def _reorder_depth(times: list[int]) -> int:
    """The most frames that come earlier in the file but later on the screen than some frame."""
    if all(a < b for a, b in pairwise(times)):
        return 0
    depth, seen = 0, list[int]()
    for time in times:
        if seen and time < seen[-1]:
            depth = max(depth, len(seen) - bisect_right(seen, time))
        insort(seen, time)
    return depth


def _decoder_depth(stream: VideoStream) -> int:
    context = stream.codec_context
    return int(getattr(context, "reorder_depth", context.has_b_frames))


def _is_mpeg4_doubtful(records: list[_Record], stream: VideoStream) -> bool:
    """Whether an MPEG-4 packet is so small that it may be a frame that is "not coded", which gives no frame."""
    context = stream.codec_context
    fewest = max(PLACEHOLDER_BYTES, context.width * context.height // (256 * 8))  # one bit per macroblock
    return context.codec.name == "mpeg4" and any(record.size <= fewest for record in records)


def _counted_mpeg4(records: list[_Record], stream: VideoStream) -> FrameIndex | None:
    """Counts MPEG-4 whose times cannot be used, packed B-frames included.

    Packed: a packet holds two frames, the decoder keeps the second for the next packet, whose own frame then waits in
    turn, until an empty packet takes the last. So every packet gives one frame, as long as none is empty unasked.
    """
    if not records[0].facts.entry or any(record.discard for record in records):
        return None
    waiting = 0
    real = []
    for record in records:
        if waiting and record.size <= PLACEHOLDER_BYTES:
            waiting = 0
            continue
        real.append(record)
        waiting += record.facts.shown - 1
        if waiting not in (0, 1):
            return None
    return None if _is_mpeg4_doubtful(real, stream) else FrameIndex(len(records))
