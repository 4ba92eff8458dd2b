"""Who may sign in to a sandbox: by default anybody who brings credentials at all."""

import hmac
from dataclasses import dataclass, field, fields

# Salesforce takes assertions for these audiences, and for the org's own address.
LOGIN_URLS = ("https://login.salesforce.com", "https://test.salesforce.com")


class JwtError(Exception):
    """Why a JWT is not taken."""


@dataclass(frozen=True)
class Credentials:
    """What a sign-in has to bring; what is None may be anything, but not nothing.

    Parameters
    ----------
    client_id, client_secret : str, optional
        Consumer key and secret of the connected app.
    username, password : str, optional
        The user of the password flow; of the JWT bearer flow, the username only.
    refresh_token : str, optional
        The token of the refresh flow.
    public_key : str, optional
        The PEM text of the public key, or certificate, that JWTs are signed for; without one, none
        is taken. Checking needs ``pip install 'bulknb[jwt]'``.
    """

    client_id: str | None = field(default=None, repr=False)
    client_secret: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    public_key: str | None = field(default=None, repr=False)

    def accept(self, **brought: str | None) -> bool:
        """Return whether all that was brought is there and as it should be."""
        wanted = {known.name: getattr(self, known.name) for known in fields(self)}
        return all(_fits(wanted[name], text) for name, text in brought.items())

    def check_jwt(self, assertion: str, own_url: str) -> None:
        """Check signature, audience, time and names of a JWT.

        Its time is compared with the machine's clock, not the sandbox's: who signs knows no other.

        Raises
        ------
        JwtError
            If it is not taken; the text says why.
        """
        if self.public_key is None:
            raise JwtError("the sandbox was given no public key, see Credentials")
        try:
            import jwt
        except ImportError:
            raise JwtError("the sandbox needs PyJWT: pip install 'bulknb[jwt]'") from None
        try:
            claims = jwt.decode(
                assertion,
                _public_key(self.public_key),
                algorithms=["RS256"],
                audience=[*LOGIN_URLS, own_url],
                options={"require": ["iss", "sub", "aud", "exp"]},
            )
        except jwt.ExpiredSignatureError:
            raise JwtError("expired authorization code") from None
        except jwt.InvalidAudienceError:
            raise JwtError("audience is invalid") from None
        except jwt.PyJWTError:
            raise JwtError("invalid assertion") from None
        if not self.accept(client_id=str(claims["iss"]), username=str(claims["sub"])):
            raise JwtError("user hasn't approved this consumer")


def _fits(wanted: str | None, text: str | None) -> bool:
    if not text or wanted is None:
        return bool(text)
    return hmac.compare_digest(wanted.encode(), text.encode())


def _public_key(pem: str) -> str:
    """Return a public key, taken out of its certificate if it comes in one."""
    if "BEGIN CERTIFICATE" not in pem:
        return pem
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
