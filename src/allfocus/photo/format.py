"""What a file format of photos is: how to know it, what it holds, and what is its own in reading and writing.

Each format is a subclass in a file of its own and a line in `formats.MODULES`. `decoder.py` and `encoder.py` do what
all formats share, through libvips, and ask the format for the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import pyvips

from allfocus.photo.canvas import field
from allfocus.photo.photo import Coding, Photo

if TYPE_CHECKING:
    from allfocus.photo.decoder import Decoder
    from allfocus.photo.encoder import Encoder

EVERYTHING = frozenset({"ICC", "EXIF", "XMP"})


class Format:
    """One file format.

    Attributes:
        name: as libvips calls it.
        title: as people write it.
        extensions: file name endings, the usual one first.
        media: the media type (RFC 2046).
        written: whether photos are written in it, not only read.
        written_as: the format that its photos are written in by default.
        depth: the deepest samples, in bits (32 means float).
        alpha: whether transparency can be kept.
        grey: whether a single channel can be kept as such.
        largest: longest side in pixels.
        quality: 1 to 100 where nothing else is said; None for a format without loss.
        holds: which metadata it keeps.
        describes: whether it keeps colour primaries and transfer by ITU-T H.273 numbers.
        blocks: whether it keeps extended XMP and the IPTC block.
        fail_on: what libvips is to stop at: "error" or "warning".
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    extensions: ClassVar[tuple[str, ...]]
    media: ClassVar[str] = "application/octet-stream"
    written: ClassVar[bool] = True
    written_as: ClassVar[str] = ""
    depth: ClassVar[int] = 8
    alpha: ClassVar[bool] = False
    grey: ClassVar[bool] = False
    largest: ClassVar[int] = 2**31 - 1
    quality: ClassVar[int | None] = None
    holds: ClassVar[frozenset[str]] = EVERYTHING
    describes: ClassVar[bool] = False
    blocks: ClassVar[bool] = False
    fail_on: ClassVar[str] = "error"

    def __init_subclass__(cls) -> None:
        cls.title = cls.title or cls.name.upper()
        cls.written_as = cls.written_as or cls.name

    def recognises(self, head: bytes, name: str) -> bool:
        """Whether a file with these first bytes and this name is of the format."""
        raise NotImplementedError

    def check(self, file: Decoder) -> None:
        """Check a file's header before libvips reads it: refuse, note what will be left out, keep `file.facts`."""

    def size(self, file: Decoder) -> tuple[int, int] | None:
        """Width and height as stored, from the header; None if it is known only after decoding."""
        header = file.through_libvips("none")
        return header.width, header.height

    def read(self, file: Decoder) -> Photo:
        """The photo; by libvips unless the format has a decoder of its own."""
        return file.photo_of_libvips()

    def load_options(self) -> tuple[str, dict[str, Any]]:
        """The libvips loader and its options."""
        return f"{self.name}load_source", {}

    def unread(self, file: Decoder) -> str | None:
        """What libvips cannot read in a file that it has refused, if that is not damage."""
        return None

    def damage(self, file: Decoder) -> str | None:
        """What is wrong with a file that libvips has read without complaint."""
        return None

    def sample_bits(self, image: pyvips.Image) -> int | None:
        """Significant bits of samples that libvips leaves the low bits of at zero."""
        return None

    def is_palette(self, file: Decoder, image: pyvips.Image) -> bool:
        """Whether the pixels were stored as a palette."""
        return bool(field(image, "palette"))

    def metadata(self, file: Decoder, header: pyvips.Image) -> tuple[bytes | None, bytes | None]:
        """The EXIF block and the XMP packet."""
        return field(header, "exif-data"), field(header, "xmp-data")

    def orientation(self, file: Decoder, in_exif: int | None) -> int | None:
        """How the pixels are to be turned (1 to 8), from what EXIF states; None leaves it to XMP."""
        return in_exif

    def profile(self, file: Decoder, image: pyvips.Image) -> bytes | None:
        """A colour profile that the file states in other words."""
        return None

    def more(self, file: Decoder, header: pyvips.Image) -> dict[str, Any]:
        """What else of `Photo` the file has."""
        return {}

    def has_resolution(self, file: Decoder) -> bool:
        """Whether the file states a resolution; libvips takes 72 dots per inch where some kinds do not."""
        return True

    def coding(self, file: Decoder, header: pyvips.Image, coding: Coding) -> Coding:
        """How the file stored its pixels; `coding` has the resolution."""
        return coding

    def depth_of(self, photo: Photo) -> int:
        """Bits per sample of a photo in this format."""
        return min(photo.depth, self.depth)

    def losses(self, photo: Photo, quality: int | None) -> list[str]:
        """What this format alone changes in a photo, one plain sentence each."""
        return []

    def options(self, work: Encoder) -> dict[str, Any]:
        """The options of the libvips saver."""
        return {}

    def write(self, work: Encoder, file: BinaryIO) -> None:
        """Write the whole file."""
        raise NotImplementedError


def with_loss(work: Encoder, coding: Coding | None) -> tuple[int | None, bool, str]:
    """Quality, losslessness and chroma ("on" halves it) for a format with loss; `coding` is the source's."""
    lossless = coding is not None and coding.lossless and work.quality is None
    halved = coding is not None and coding.subsampled and not lossless
    return work.quality or work.format.quality, lossless, "on" if halved else "off"
