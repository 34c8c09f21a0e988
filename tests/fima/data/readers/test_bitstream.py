"""Packet headers written by hand, bit by bit."""

from __future__ import annotations

import pytest

from fima.data.readers import bitstream


class FakePacket(bytes):
    is_keyframe = True


def nal(*units):
    return FakePacket(b"".join(len(unit).to_bytes(4, "big") + unit for unit in units))


IDR, SLICE = b"\x65\x88\x84", b"\x41\x88\xbb"
EXACT_NOW = b"\x06\x06\x01\xc4\x80"  # recovery_frame_cnt 0 ("1"), exact "1", not broken "0", group "00", stop "1"
EXACT_LATER = b"\x06\x06\x01\x52\x80"  # recovery_frame_cnt 1 ("010")
INEXACT = b"\x06\x06\x01\x84\x80"
LONG_TEXT = b"\x06\x05\xff\x01" + b"t" * 256 + b"\x06\x01\xc4\x80"  # 256 bytes of text, then the recovery point


@pytest.mark.parametrize(
    ("units", "entry", "open_gop"),
    [
        ((IDR,), True, False),
        ((b"\x09\x10", b"\x67\x42", b"\x68\xce", IDR), True, False),
        ((SLICE,), False, False),
        ((EXACT_NOW, SLICE), True, True),
        ((LONG_TEXT, SLICE), True, True),
        ((EXACT_LATER, SLICE), False, False),
        ((INEXACT, SLICE), False, False),
        ((SLICE, EXACT_NOW), False, False),
        ((EXACT_NOW,), False, False),
        ((b"\x06",), False, False),
        ((b"\x06\xff\xff",), False, False),
    ],
)
def test_h264(units, entry, open_gop):
    assert bitstream._h264(nal(*units), 4) == (1, entry, open_gop)
    assert bitstream._h264(FakePacket(b"".join(b"\0\0\0\1" + unit for unit in units)), 0) == (1, entry, open_gop)


@pytest.mark.parametrize(("kind", "entry"), [(1, False), (15, False), (16, True), (19, True), (21, True), (22, False)])
def test_hevc(kind, entry):
    assert bitstream._hevc(nal(b"\x40\x01", bytes([kind << 1, 1, 7])), 4).entry == entry


@pytest.mark.parametrize(
    ("codec", "extradata", "expected"),
    [("h264", b"\1dxx\xff", 4), ("h264", b"\0\0\0\1\x67", 0), ("h264", b"", 0), ("hevc", b"\1" * 21 + b"\x0d", 2)],
)
def test_length_of_lengths(codec, extradata, expected):
    assert bitstream._nal_length_bytes(codec, extradata) == expected


@pytest.mark.parametrize(
    ("data", "shown", "entry"),
    [
        (b"\x82\x49\x83", 1, True),  # key frame, shown
        (b"\x80\x49\x83", 0, True),  # key frame, hidden
        (b"\x86\x00", 1, False),  # inter frame, shown
        (b"\x84\x00", 0, False),  # inter frame, hidden
        (b"\x88", 1, False),  # shows an existing frame
        (b"\xb1\x00", 1, True),  # profile 3: a reserved bit comes first
        (b"\x84\x00\x00" + b"\x86\x00" + b"\xc1\x03\x02\xc1", 1, False),  # superframe: hidden, shown
        (b"\x86\x00\x00" + b"\x86\x00" + b"\xc1\x03\x02\xc1", 2, False),
    ],
)
def test_vp9(data, shown, entry):
    assert bitstream._vp9(FakePacket(data)) == (shown, entry, False)


def test_vp8_and_mpeg4():
    assert bitstream._vp8(FakePacket(b"\x10\x02")) == (1, True, False)
    assert bitstream._vp8(FakePacket(b"\x01\x02")) == (0, False, False)
    vop = b"\0\0\1\xb6"
    assert bitstream._mpeg4(FakePacket(vop + b"\x10abc" + vop + b"\x90")).shown == 2
