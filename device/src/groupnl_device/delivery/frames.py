"""zstd frames of a known length, against bytes that both sides have: a frame never unpacks to more than is expected."""

import zstandard

from groupnl_device.delivery.errors import PatchError

_LEVEL = 19


def pack_frame(data: bytes, *, prefix: bytes = b"", level: int = _LEVEL) -> bytes:
    """Compress into one frame.

    Args:
        data: May be empty.
        prefix: What the reader has as well; the frame may point into it.
        level: Of zstd, 1 (fast) to 22 (small).
    """
    # Sizes lead zstd to a window over prefix and data.
    parameters = zstandard.ZstdCompressionParameters.from_level(level, source_size=len(data), dict_size=len(prefix))
    compressor = zstandard.ZstdCompressor(compression_params=parameters, dict_data=_dictionary(prefix))
    return compressor.compress(data)


def told_length(frame: bytes) -> int:
    """Bytes that the frame says it holds.

    Raises:
        PatchError: It is no frame.
    """
    try:
        return zstandard.get_frame_parameters(frame).content_size
    except zstandard.ZstdError as error:
        raise PatchError(f"a frame of the patch is damaged: {error}") from error


def unpack_frame(frame: bytes, length: int, *, prefix: bytes = b"") -> bytes:
    """Decompress a frame that holds ``length`` bytes; nothing is allocated for any other.

    Raises:
        PatchError: The frame is damaged, holds another number of bytes, or was made against another prefix.
    """
    if (told := told_length(frame)) != length:
        raise PatchError(f"a frame of the patch gives {told} bytes, expected are {length}")
    try:
        decompressor = zstandard.ZstdDecompressor(dict_data=_dictionary(prefix))
        data = decompressor.decompress(frame, max_output_size=length, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise PatchError(f"a frame of the patch is damaged, or made from another bundle: {error}") from error
    if len(data) != length:
        raise PatchError(f"a frame of the patch gives {len(data)} bytes, expected are {length}")
    return data


def _dictionary(prefix: bytes) -> zstandard.ZstdCompressionDict | None:
    if not prefix:
        return None
    return zstandard.ZstdCompressionDict(prefix, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
