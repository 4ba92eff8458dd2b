"""OAuth: credentials in, session id out; and who is signed in.

Sources: "OAuth 2.0 Client Credentials Flow", "… Username-Password Flow", "… Refresh Token Flow",
"… JWT Bearer Flow", "OpenID Connect Token Introspection" and "Identity URLs" (Salesforce Help).
"""

from collections.abc import Callable

from flask import Blueprint, Response, request

from bulknb.sandbox import ids
from bulknb.sandbox.credentials import JwtError
from bulknb.sandbox.web import ORGANIZATION, base_url, identity_url, json_answer, no_resource, org

blueprint = Blueprint("oauth", __name__)

# How long a session that nobody uses lasts: the default of "Session Settings".
SESSION_SECONDS = 7200


@blueprint.post("/services/oauth2/token")
def token() -> Response:
    """Sign in."""
    grant = request.form.get("grant_type", "")
    if grant not in _GRANTS:
        return _refuse("unsupported_grant_type", "grant type not supported")
    if refused := _GRANTS[grant]():
        return refused
    return json_answer(
        {
            "access_token": org().token,
            "instance_url": base_url(),
            "id": identity_url(),
            "token_type": "Bearer",
            "issued_at": str(round(org().clock.time() * 1000)),
        }
    )


def _client() -> dict[str, str | None]:
    """Return consumer key and secret, from the form or from HTTP Basic."""
    basic = request.authorization
    if basic is not None and basic.type == "basic":
        return {"client_id": basic.username, "client_secret": basic.password}
    return {name: request.form.get(name) for name in ("client_id", "client_secret")}


def _client_credentials() -> Response | None:
    if org().credentials.accept(**_client()):
        return None
    return _refuse("invalid_client", "invalid client credentials")


def _password() -> Response | None:
    if refused := _client_credentials():
        return refused
    form = request.form
    if org().credentials.accept(username=form.get("username"), password=form.get("password")):
        return None
    return _refuse("invalid_grant", "authentication failure")


def _refresh_token() -> Response | None:
    # The secret is optional here: a connected app may do without it.
    client_id = _client()["client_id"]
    if not org().credentials.accept(client_id=client_id):
        return _refuse("invalid_client_id", "client identifier invalid")
    if org().credentials.accept(refresh_token=request.form.get("refresh_token")):
        return None
    return _refuse("invalid_grant", "expired access/refresh token")


def _jwt_bearer() -> Response | None:
    try:
        org().credentials.check_jwt(request.form.get("assertion", ""), base_url())
    except JwtError as error:
        return _refuse("invalid_grant", str(error))
    return None


_GRANTS: dict[str, Callable[[], Response | None]] = {
    "client_credentials": _client_credentials,
    "password": _password,
    "refresh_token": _refresh_token,
    "urn:ietf:params:oauth:grant-type:jwt-bearer": _jwt_bearer,
}


@blueprint.post("/services/oauth2/introspect")
def introspect() -> Response:
    """Say whether a token is one, and until when; needs the client's credentials."""
    client = _client()
    if not org().credentials.accept(**client):
        return _refuse("invalid_client", "invalid client credentials", 401)
    if not org().is_token(request.form.get("token", "")):
        return json_answer({"active": False})
    now = int(org().clock.time())
    return json_answer(
        {
            "active": True,
            "scope": "api",
            "client_id": client["client_id"],
            "username": org().user()["Username"],
            "sub": identity_url(),
            "token_type": "access_token",
            "exp": now + SESSION_SECONDS,
            "iat": now,
            "nbf": now,
        }
    )


@blueprint.route("/services/oauth2/userinfo", methods=["GET", "POST"])
def user_info() -> Response:
    """Return who is signed in, in the words of OpenID Connect."""
    user = org().user()
    return json_answer(
        {
            "sub": identity_url(),
            "user_id": user["Id"],
            "organization_id": ORGANIZATION,
            "preferred_username": user["Username"],
            "nickname": user["Username"].partition("@")[0],
            "name": user["Name"],
            "email": user["Email"],
            "email_verified": True,
            "given_name": user["FirstName"],
            "family_name": user["LastName"],
            "zoneinfo": "GMT",
            "active": True,
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "utcOffset": 0,
        }
    )


@blueprint.get("/id/<organization>/<user_id>")
def identity(organization: str, user_id: str) -> Response:
    """Return who is signed in, in Salesforce's own words; other users are not told of."""
    user = org().user()
    if (ids.normal(organization), ids.normal(user_id)) != (ORGANIZATION, user["Id"]):
        raise no_resource()
    rest = f"{base_url()}/services/data/v{{version}}"
    return json_answer(
        {
            "id": identity_url(),
            "asserted_user": True,
            "user_id": user["Id"],
            "organization_id": ORGANIZATION,
            "username": user["Username"],
            "nick_name": user["Username"].partition("@")[0],
            "display_name": user["Name"],
            "email": user["Email"],
            "email_verified": True,
            "first_name": user["FirstName"],
            "last_name": user["LastName"],
            "timezone": "GMT",
            "urls": {
                "rest": f"{rest}/",
                "sobjects": f"{rest}/sobjects/",
                "query": f"{rest}/query/",
            },
            "active": True,
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "utcOffset": 0,
        }
    )


def _refuse(error: str, description: str, status: int = 400) -> Response:
    return json_answer({"error": error, "error_description": description}, status)
