"""Every form in which clients send credentials."""

from __future__ import annotations

import base64

import pytest

from application.identity.credentials import (
    MAX_CREDENTIAL,
    CredentialMalformed,
    PasswordShown,
    SecretShown,
    digest_of,
    read_credential,
)

TOKEN = "00112233_00112233445566778899aabbccddeeff"
JWT = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"


def encoded(text: str, charset: str = "utf-8") -> str:
    return base64.b64encode(text.encode(charset)).decode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"Bearer {JWT}", SecretShown(JWT)),
        (f"bearer   {TOKEN}", SecretShown(TOKEN)),
        (f"Token {TOKEN}", SecretShown(TOKEN)),
        (f"ApiKey {TOKEN}", SecretShown(TOKEN)),
        (TOKEN, SecretShown(TOKEN)),
        (JWT, SecretShown(JWT)),
        ("Bearer unknown", SecretShown("unknown")),
        (f"Bearer {encoded('ann:secret')}", PasswordShown("ann", "secret")),
        (f"Basic {encoded('ann:se:cret')}", PasswordShown("ann", "se:cret")),
        (f"BASIC {encoded('ann:')}", PasswordShown("ann", "")),
        (f"Basic {encoded('ann:geheimnisvoll').rstrip('=')}", PasswordShown("ann", "geheimnisvoll")),
        (f"Basic {encoded('ann:süß')}", PasswordShown("ann", "süß")),
        (f"Basic {encoded('ann:süß', 'latin-1')}", PasswordShown("ann", "süß")),
        (f"Basic {encoded('__token__:' + TOKEN)}", PasswordShown("__token__", TOKEN)),
    ],
)
def test_each_form_is_read(value: str, expected: object) -> None:
    assert read_credential({"authorization": value}) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "   ",
        "Basic",
        "Basic !!!",
        f"Basic {encoded('nocolon')}",
        f"Basic {encoded('a:b')} x",
        f"Digest {TOKEN}",
        f"Bearer{'x' * MAX_CREDENTIAL}",
    ],
)
def test_what_is_in_no_form_is_malformed_or_no_good(value: str) -> None:
    if value == "Basic":  # a bare word may be a token; that it is none, the token table says
        assert read_credential({"authorization": value}) == SecretShown("Basic")
        return
    with pytest.raises(CredentialMalformed):
        read_credential({"authorization": value})


def test_authorization_goes_before_the_key_and_that_before_the_cookie() -> None:
    headers = {"cookie": f"a=b; ak_access_token={JWT}; c", "x-api-key": TOKEN, "authorization": "Bearer other"}
    assert read_credential(headers) == SecretShown("other")
    del headers["authorization"]
    assert read_credential(headers) == SecretShown(TOKEN)
    del headers["x-api-key"]
    assert read_credential(headers) == SecretShown(JWT, cookie=True)
    assert read_credential({"x-jfrog-art-api": TOKEN}) == SecretShown(TOKEN)
    assert digest_of({"x-jfrog-art-api": TOKEN}) == digest_of({"x-api-key": TOKEN})
    assert read_credential({"x-nuget-apikey": TOKEN}) == SecretShown(TOKEN)
    assert read_credential({"x-nuget-apikey": ""}) is None, "a client that has none says so"
    assert read_credential({"cookie": "other=1; ak_access_token="}) is None
    assert read_credential({"user-agent": "curl"}) is None


def test_equal_text_in_different_places_is_not_one_credential() -> None:
    shown = [{"authorization": TOKEN}, {"x-api-key": TOKEN}, {"cookie": f"ak_access_token={TOKEN}"}]
    assert len({digest_of(headers) for headers in shown}) == 3
    assert digest_of({"cookie": f"z=1;ak_access_token={TOKEN}"}) == digest_of(shown[2])
    assert digest_of({"cookie": "z=1"}) is None
    assert digest_of({"authorization": ""}) is not None
