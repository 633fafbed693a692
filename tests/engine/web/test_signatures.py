"""Proofs are compared whole, in constant time, and never by accident."""

import base64
import hashlib
import hmac
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadjobs.web import signatures
from leadjobs.web.signatures import Secrets, basic_password, bearer_token, hmac_base64, query_token, to_bytes


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    ("setting", "accepted"),
    [
        ("current", ("current",)),
        ("current,previous", ("current", "previous")),
        (" current\n, previous \r\n", ("current", "previous")),
        ("current,,", ("current",)),
        ("with inner space", ("with inner space",)),
        ("", ()),
        (" \n", ()),
        (",,", ()),
        (None, ()),
    ],
)
def test_a_setting_names_the_accepted_secrets(setting: str | None, accepted: tuple[str, ...]) -> None:
    """Secrets are separated by commas and trimmed; what is empty is no secret."""
    assert Secrets.parse(setting).accepted == accepted
    assert bool(Secrets.parse(setting)) is bool(accepted)


@pytest.mark.parametrize("accepted", [("",), ("current", ""), (" current",), ("current\n",)])
def test_an_empty_or_untrimmed_secret_is_refused(accepted: tuple[str, ...]) -> None:
    """No secret can be held that an empty token would match, or that no token could."""
    with pytest.raises(ValueError, match=r"Secrets\.parse") as caught:
        Secrets(accepted)
    assert "current" not in str(caught.value)


def test_the_current_and_the_previous_secret_match() -> None:
    """While a secret is being changed, deliveries with either are genuine."""
    secrets = Secrets.parse("current,previous")
    assert secrets.matches("current")
    assert secrets.matches("previous")


@pytest.mark.parametrize(
    "given_token", ["", "Current", "current ", "current,previous", "currentprevious", "c", "\0", "é"]
)
def test_nothing_else_matches(given_token: str) -> None:
    """A part, a variant or the whole setting is not the secret."""
    assert not Secrets.parse("current,previous").matches(given_token)


@pytest.mark.parametrize("given_token", ["", "anything", "None"])
def test_without_secrets_nothing_matches(given_token: str) -> None:
    """Where no secret is set, every proof is refused."""
    assert not Secrets.parse(None).matches(given_token)
    assert not Secrets().accepts(given_token, lambda secret: secret)


def test_secrets_are_not_shown() -> None:
    """Neither repr, str nor formatting tells a secret."""
    secrets = Secrets.parse("current,previous")
    assert [repr(secrets), str(secrets), f"{secrets}"] == ["Secrets(2 set)"] * 3


def test_every_secret_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first match doesn't end the search, so the time taken does not tell which secret it was."""
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return hmac.compare_digest(one, other)

    watched = SimpleNamespace(compare_digest=compare)
    monkeypatch.setattr(signatures, "hmac", watched)
    assert Secrets.parse("one,two,three").matches("one")
    assert compared == [b"one", b"two", b"three"]


def test_a_signature_is_checked_against_every_secret() -> None:
    """``accepts`` signs with each secret in turn."""
    secrets = Secrets.parse("current,previous")
    previous = base64.b64encode(hmac.new(b"previous", b"body", hashlib.sha256).digest()).decode()
    assert secrets.accepts(previous, lambda secret: hmac_base64(secret, b"body", "sha256"))
    assert not secrets.accepts(previous, lambda secret: hmac_base64(secret, b"body!", "sha256"))
    assert not secrets.accepts(previous, lambda secret: hmac_base64(secret, b"body", "sha1"))


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("  BEARER   abc  ", "abc"),
        ("Bearer a b", "a b"),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic abc", None),
        ("abc", None),
        ("Bearerabc", None),
        ("", None),
    ],
)
def test_a_bearer_token_is_read(header: str, token: str | None) -> None:
    """The token of the Bearer scheme, in any case, and no other scheme's."""
    assert bearer_token({"authorization": header}) == token


def test_without_the_header_there_is_no_token() -> None:
    """A request without credentials has none."""
    assert bearer_token({}) is None
    assert basic_password({}) is None


@pytest.mark.parametrize(
    ("credentials", "password"),
    [
        ("leadjobs:secret", "secret"),
        (":secret", "secret"),
        ("user:with:colons", "with:colons"),
        ("user:", ""),
        ("no colon", None),
        ("", None),
        ("user:pässword", "pässword"),
    ],
)
def test_a_basic_password_is_read(credentials: str, password: str | None) -> None:
    """Whatever follows the first colon is the password; the user name does not matter."""
    assert basic_password(basic(credentials)) == password


@pytest.mark.parametrize("encoded", ["!!!", "YQ", "é", "/////w==", base64.b64encode(b"user:\xff").decode()])
def test_credentials_that_cannot_be_decoded_are_none(encoded: str) -> None:
    """Broken base64 and broken UTF-8 are no password, and no crash."""
    assert basic_password({"authorization": f"Basic {encoded}"}) is None


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("https://ops.example.test/hook?token=abc", "abc"),
        ("https://ops.example.test/hook?a=1&token=abc&b=2", "abc"),
        ("https://ops.example.test/hook?token=a%2Bb%2F%3D", "a+b/="),
        ("https://ops.example.test/hook?token=a+b/=", "a+b/="),
        ("https://ops.example.test/hook?token=one&token=two", "one"),
        ("https://ops.example.test/hook?token=", None),
        ("https://ops.example.test/hook?Token=abc", None),
        ("https://ops.example.test/hook#token=abc", None),
        ("https://ops.example.test/hook", None),
        ("https://[broken?token=abc", None),
        ("", None),
    ],
)
def test_a_token_in_the_address_is_read(url: str, token: str | None) -> None:
    """The token parameter, decoded; a plus sign is a plus sign."""
    assert query_token(url) == token


@given(st.text(), st.text())
def test_headers_and_addresses_never_raise(header: str, url: str) -> None:
    """Whatever a stranger sends, it is a token or none."""
    headers = {"authorization": header}
    for token in (bearer_token(headers), basic_password(headers), query_token(url)):
        assert token is None or not Secrets.parse("a-long-secret-that-nobody-guesses").matches(token)


@given(st.text(st.characters()), st.text(st.characters()))
def test_a_secret_matches_itself_alone(one: str, other: str) -> None:
    """Matching is equality of what is left after trimming."""
    secrets = Secrets((one.strip(),)) if one.strip() else Secrets()
    assert secrets.matches(other) is (bool(one.strip()) and one.strip() == other)


@given(st.text(st.characters(codec=None, categories=["Cs", "L"])))
def test_no_text_is_too_broken_to_compare(text: str) -> None:
    """Halves of surrogate pairs, which JSON and headers can carry, become bytes like anything else."""
    assert isinstance(to_bytes(text), bytes)
    assert not Secrets.parse("x" * 40).matches(text)
