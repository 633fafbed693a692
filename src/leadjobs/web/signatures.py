"""Proof that a sender knows a secret: tokens in headers and addresses, and keyed hashes.

This room knows no provider: each adapter says where its provider puts the proof and what is hashed.  Everything here
compares in constant time, accepts the previous secret beside the current one (so that a secret can be changed without
losing a delivery), and refuses when no secret is set.  Header names are lower case throughout.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import parse_qsl, urlsplit

from leadjobs.errors import SettingsError

Algorithm = Literal["sha1", "sha256"]

TOLERANCE = 300.0  # seconds that a signed time may be off, as the senders that sign one advise


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """The secrets that are accepted now: usually one, two while it is being changed, none where none is set.

    Raises:
        ValueError: one of them is empty or has white space around it; ``parse`` takes care of both.
    """

    accepted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # An empty accepted secret would be matched by an empty token: refuse to hold one.
        if any(not secret or secret != secret.strip() for secret in self.accepted):
            raise ValueError("a secret is empty or has white space around it; use Secrets.parse")

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """The secrets of a comma separated setting, each trimmed (stray newlines too), empty ones dropped."""
        return cls(tuple(secret for part in (text or "").split(",") if (secret := part.strip())))

    def __bool__(self) -> bool:
        return bool(self.accepted)

    def __repr__(self) -> str:
        return f"Secrets({len(self.accepted)} set)"

    def matches(self, given: str) -> bool:
        """True if ``given`` is one of the accepted secrets; the time taken tells nothing about which or how nearly."""
        return self.accepts(given, lambda secret: secret)

    def accepts(self, given: str, sign: Callable[[bytes], bytes]) -> bool:
        """True if ``given`` is what ``sign`` makes of one of the accepted secrets (every one of them is tried)."""
        proof, found = to_bytes(given), False
        for secret in self.accepted:
            found |= hmac.compare_digest(sign(to_bytes(secret)), proof)
        return found


def to_bytes(text: str) -> bytes:
    """The UTF-8 bytes of any text, even of one that is not valid Unicode: a proof must never make us raise."""
    return text.encode("utf-8", "surrogatepass")


def hmac_base64(secret: bytes, message: bytes, algorithm: Algorithm) -> bytes:
    """The keyed hash of ``message``, in base64."""
    return base64.b64encode(hmac.digest(secret, message, algorithm))


def hmac_hex(secret: bytes, message: bytes, algorithm: Algorithm) -> bytes:
    """The keyed hash of ``message``, in lower case hexadecimal."""
    return hmac.digest(secret, message, algorithm).hex().encode()


def is_signed_by(public_keys: Iterable[str], signature: str, message: bytes) -> bool:
    """True if ``signature`` (base64) is the Ed25519 signature of ``message`` by one of these keys (base64 of SPKI).

    Raises:
        SettingsError: one of the keys is none.
    """
    # Not at the top: it is 6 MB of library, and one sender in ten signs this way.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415

    try:
        proof = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    for text in public_keys:
        try:
            key = load_der_public_key(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError):
            raise SettingsError("a public key is not the base64 of an SPKI structure") from None
        if not isinstance(key, Ed25519PublicKey):
            raise SettingsError("a public key is not an Ed25519 key")
        try:
            key.verify(proof, message)
        except InvalidSignature:
            continue
        return True
    return False


def is_fresh(timestamp: str, now: float, *, tolerance: float = TOLERANCE) -> bool:
    """True if a signed time (whole seconds since 1970) is within ``tolerance`` seconds of now, on either side."""
    return timestamp.isascii() and timestamp.isdecimal() and abs(now - int(timestamp[:20])) <= tolerance


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """The token of an ``Authorization: Bearer`` header, or None where there is none."""
    return _credentials(headers, "bearer")


def basic_password(headers: Mapping[str, str]) -> str | None:
    """The password of an ``Authorization: Basic`` header, or None where there is none or it cannot be decoded."""
    encoded = _credentials(headers, "basic")
    if encoded is None:
        return None
    try:
        user_and_password = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    _user, colon, password = user_and_password.partition(":")
    return password if colon else None


def query_token(url: str, name: str = "token") -> str | None:
    """The first value of the query parameter ``name``, or None where there is none.

    A plus sign stays a plus sign: people paste base64 secrets into addresses as they are.
    """
    try:
        query = urlsplit(url).query
    except ValueError:
        return None
    return next((value for key, value in parse_qsl(query.replace("+", "%2B")) if key == name), None)


def _credentials(headers: Mapping[str, str], scheme: str) -> str | None:
    given, _, credentials = headers.get("authorization", "").strip().partition(" ")
    return credentials.strip() or None if given.lower() == scheme else None
