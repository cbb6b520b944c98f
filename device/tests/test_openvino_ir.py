"""What OpenVINO's reader is never given. Needs no OpenVINO."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl_device.errors import UnsafeBundleError
from groupnl_device.openvino_ir import check_ir

GOOD = """<?xml version="1.0"?>
<net name="net" version="11"><layers>
<layer id="0" name="w" type="Const" version="opset1"><data element_type="f32" shape="2" offset="8" size="8" /></layer>
<layer id="1" name="a" type="Add" version="opset14"/>
</layers></net>"""


def test_a_plain_graph_passes() -> None:
    check_ir(GOOD.encode(), 16)


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (GOOD.replace("<net ", '<!DOCTYPE net SYSTEM "/etc/passwd"><net '), "declarations of XML"),
        (GOOD.replace("opset14", "extension"), "operator 'Add' of 'extension'"),
        (GOOD.replace(' version="opset14"', ""), "operator 'Add' of ''"),
        (GOOD.replace('offset="8"', 'offset="9"'), "8 bytes at 9 do not lie inside the weights, which have 16"),
        (GOOD.replace('offset="8"', 'offset="-8"'), "do not lie inside"),
        (GOOD.replace('size="8"', ""), "do not lie inside"),
        (GOOD.replace('size="8"', 'size="' + "9" * 5000 + '"'), "do not lie inside"),
        ("<other/>", "begins with <other>, expected <net>"),
        ("<net>", "no OpenVINO IR"),
        ("", "no OpenVINO IR"),
    ],
)
def test_refusals(graph: str, said: str) -> None:
    with pytest.raises(UnsafeBundleError, match=said):
        check_ir(graph.encode(), 16)


def test_constants_of_a_nested_body_are_checked_too() -> None:
    nested = GOOD.replace(
        "</layers>", f"<layer type='If' version='opset8'><then_body>{GOOD[22:]}</then_body></layer></layers>"
    )
    check_ir(nested.encode(), 16)
    with pytest.raises(UnsafeBundleError, match="do not lie inside"):
        check_ir(nested.encode(), 15)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_other_encodings_cannot_hide_a_declaration(encoding: str) -> None:
    with pytest.raises(UnsafeBundleError):
        check_ir('<!DOCTYPE net SYSTEM "x"><net/>'.encode(encoding), 16)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_pass(graph: bytes) -> None:
    with pytest.raises(UnsafeBundleError):
        check_ir(graph, 16)
