"""Decoding a video file from its start, which is the truth, or from an entry of its index, checked against it.

`decode_from` compares every frame that comes out with the index and raises `UnexpectedFrameError` at the first
difference, so that the caller can look closer, or decode from the start instead. A wrong frame is never returned.
"""

from __future__ import annotations

from collections.abc import Iterator

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from fima.data.readers.bitstream import packet_reader
from fima.data.readers.packets import Entry, FrameIndex, is_flush, read_packets

__all__ = ["UnexpectedFrameError", "decode_from", "decode_sequentially"]


class UnexpectedFrameError(Exception):
    """Decoding did not give the frame that the index promised; never leaves the reader."""


def decode_sequentially(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decodes a freshly opened file from its start; a packet that cannot be decoded is skipped, as players do."""
    packets = read_packets(container, stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:  # the file ends in the middle of something: give out what the decoder still holds
            packet = None
            packets = iter(())
        if packet is not None and not packet.size and not is_flush(packet):
            continue  # an empty place in an AVI file, which the decoder would take for the end
        try:
            frames = stream.codec_context.decode(packet)
        except EOFError:  # already flushed by the demuxer's own last packet
            return
        except FFmpegError:
            frames = []
        yield from frames
        if packet is None:
            return


def decode_from(
    container: InputContainer, stream: VideoStream, index: FrameIndex, entry: Entry
) -> Iterator[tuple[int, VideoFrame]]:
    """Seeks and yields ``(i, frame)`` for i = some index ≤ ``entry.index``, …, to the end of the file.

    Raises:
        UnexpectedFrameError: if anything but exactly the indexed frames comes out, or one of them is damaged.
    """
    try:
        yield from _checked(_seek(container, stream, index, entry), stream, index)
    except FFmpegError as error:
        raise UnexpectedFrameError(str(error)) from error


def _seek(
    container: InputContainer, stream: VideoStream, index: FrameIndex, entry: Entry
) -> tuple[Entry, Iterator[Packet[VideoStream]]]:
    """Returns where the demuxer landed, and its packets from there."""
    known = {candidate.pts: candidate for candidate in index.entries}
    for time in (
        t for t in (entry.pts, entry.dts) if t is not None
    ):  # containers differ in which of the two their index holds
        container.seek(time, stream=stream)
        packets = container.demux(stream)
        first = next(packets)
        landed = known.get(first.pts) if first.pts is not None else None
        if landed is not None and landed.index <= entry.index:
            if index.unread and not _forgets_the_past(first, stream):
                raise UnexpectedFrameError(f"the packet at {first.pts} is no clean start")
            return landed, _chain(first, packets)
    raise UnexpectedFrameError(f"seeking to {entry.pts} does not arrive at a known packet")


def _forgets_the_past(packet: Packet[VideoStream], stream: VideoStream) -> bool:
    read_facts = packet_reader(stream)
    facts = read_facts(packet) if read_facts is not None else None
    return facts is not None and facts.entry and not facts.open_gop


def _chain(first: Packet[VideoStream], rest: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
    yield first
    yield from rest


def _checked(
    start: tuple[Entry, Iterator[Packet[VideoStream]]], stream: VideoStream, index: FrameIndex
) -> Iterator[tuple[int, VideoFrame]]:
    landed, packets = start
    expected = landed.index
    for packet in packets:
        for frame in stream.codec_context.decode(packet):
            if frame.pts is not None and frame.pts < landed.pts:
                continue  # stored after the entry but shown before it: not decodable from here, and not asked for
            if expected >= index.num_frames or frame.pts != index.pts[expected] or frame.is_corrupt:
                raise UnexpectedFrameError(f"frame {expected} was expected, got time {frame.pts}")
            yield expected, frame
            expected += 1
    if expected != index.num_frames:
        raise UnexpectedFrameError(f"decoding ended at frame {expected} of {index.num_frames}")
