from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.settings import GatewaySettings, is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_open_addresses_need_a_token(host: str) -> None:
    with pytest.raises(ValidationError, match="GATEWAY_TOKEN"):
        GatewaySettings(host=host)
    assert GatewaySettings(host=host, token="a secret that is long").host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost", "127.8.8.8", "::ffff:127.0.0.1"])
def test_loopback_needs_none(host: str) -> None:
    assert GatewaySettings(host=host).is_loopback


def test_a_container_published_on_loopback_needs_none_and_one_published_to_all_does() -> None:
    assert GatewaySettings(host="0.0.0.0", published_host="127.0.0.1").has_only_local_callers
    with pytest.raises(ValidationError):
        GatewaySettings(host="0.0.0.0", published_host="0.0.0.0")


def test_names_that_look_like_loopback_are_not() -> None:
    assert not is_loopback("127.0.0.1.evil.example")
    assert not is_loopback("localhost.evil.example")
    assert not is_loopback(None)


def test_the_token_is_never_shown() -> None:
    assert "hunter2 hunter2 hunter2" not in repr(GatewaySettings(token="hunter2 hunter2 hunter2"))


@pytest.mark.parametrize("token", ["a", "hunter2", "x" * 15])
def test_a_short_token_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(ValidationError, match="at least 16 characters.*token_urlsafe") as caught:
        GatewaySettings(token=token)
    assert token == "a" or token not in str(caught.value)


def test_proxies_are_addresses_or_networks() -> None:
    assert [str(one) for one in GatewaySettings(trusted_proxies="127.0.0.1, 10.0.0.0/8").proxies] == [
        "127.0.0.1/32",
        "10.0.0.0/8",
    ]
    assert GatewaySettings().proxies == []
    with pytest.raises(ValidationError, match="GATEWAY_TRUSTED_PROXIES"):
        GatewaySettings(trusted_proxies="proxy.example")
