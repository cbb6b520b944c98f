"""Which addresses a device accepts, and what of them is shown."""

import pytest

from groupnl_device.delivery.address import check_url, redirected, shown
from groupnl_device.delivery.errors import NetworkError


@pytest.mark.parametrize("url", ["https://models.example.org/fleet", "http://127.0.0.1:8000", "HTTP://[::1]:80/a?b=c"])
def test_accepts(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    ["", "models", "/srv/models", "ftp://host/x", "http://", "http://host:port/", "http://[::1", "http://h:99999"],
)
def test_refuses_other_addresses(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected an address such as https://"):
        check_url(url)


def test_refuses_and_hides_a_password() -> None:
    with pytest.raises(ValueError, match=r"^https://host/x: a name and password in the address") as caught:
        check_url("https://me:secret@host/x?token=secret")
    assert "secret" not in str(caught.value)
    assert shown("https://me:secret@host:8/x?token=secret#y") == "https://host:8/x"


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("/a", "https://host:8/a"),
        ("a", "https://host:8/x/a"),
        ("?q=1", "https://host:8/x/y?q=1"),
        ("//other/a", "https://other/a"),
        ("http://other/", "http://other/"),
    ],
)
def test_redirects(target: str, url: str) -> None:
    assert redirected("https://host:8/x/y", target) == url


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://me:secret@host/", "http://[x", "javascript:1"])
def test_refuses_redirects_elsewhere(target: str) -> None:
    with pytest.raises(NetworkError, match="https://host/x: redirected to where no device can fetch from") as caught:
        redirected("https://host/x", target)
    assert "secret" not in str(caught.value)
