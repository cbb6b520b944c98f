"""Checks OpenVINO's graph file before OpenVINO reads it: plain XML, standard operators, values inside its weights."""

from xml.etree import ElementTree

from groupnl_device.errors import UnsafeBundleError


def check_ir(graph: bytes, weight_bytes: int) -> None:
    """Refuse a graph that wants more than the bundle gives it.

    OpenVINO's reader knows no operator that names a file. What is left to refuse: entities and document types of XML,
    which name files or grow without bound; operators of extensions, which are other people's code; and constants that
    lie outside the weights.

    Args:
        graph: The XML.
        weight_bytes: Size of the weights.

    Raises:
        UnsafeBundleError: What the graph has that it must not have.
    """
    try:
        text = graph.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnsafeBundleError("the graph is no OpenVINO IR: not UTF-8") from error
    if "<!" in text or "\0" in text:
        raise UnsafeBundleError("the graph holds declarations of XML (<!...), which no OpenVINO IR needs")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  # without declarations there are no entities to expand
    except (ElementTree.ParseError, ValueError) as error:
        raise UnsafeBundleError(f"the graph is no OpenVINO IR: {error}") from error
    if root.tag != "net":
        raise UnsafeBundleError(f"the graph is no OpenVINO IR: begins with <{root.tag}>, expected <net>")
    for layer in root.iter("layer"):
        kind, version = layer.get("type", ""), layer.get("version", "")
        if not version.removeprefix("opset").isdecimal():
            raise UnsafeBundleError(f"the graph has the operator {kind!r} of {version!r}, expected a standard opset")
        if kind == "Const":
            _check_constant(layer, weight_bytes)


def _check_constant(layer: ElementTree.Element, weight_bytes: int) -> None:
    data = layer.find("data")
    offset, size = ("", "") if data is None else (data.get("offset", ""), data.get("size", ""))
    if not (_is_count(offset) and _is_count(size) and int(offset) + int(size) <= weight_bytes):
        name = layer.get("name", "")[:60]
        raise UnsafeBundleError(
            f"constant {name!r}: {size} bytes at {offset} do not lie inside the weights, which have {weight_bytes}"
        )


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20
