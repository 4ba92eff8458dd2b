"""The token endpoint: client credentials in, session id out.

Source: "OAuth 2.0 Client Credentials Flow for Server-to-Server Integration" (Salesforce Help).
"""

from flask import Blueprint, Response, request

from bulknb.sandbox import ids
from bulknb.sandbox.web import json_answer, org

blueprint = Blueprint("oauth", __name__, url_prefix="/services/oauth2")


@blueprint.post("/token")
def token() -> Response:
    """Sign in.

    Which client is known is not the point of a sandbox: it takes any id with any secret, in the
    form or as HTTP Basic, and refuses their absence.
    """
    if request.form.get("grant_type") != "client_credentials":
        return _refuse("unsupported_grant_type", "grant type not supported")
    basic = request.authorization
    client = basic.username if basic else request.form.get("client_id")
    secret = basic.password if basic else request.form.get("client_secret")
    if not client or not secret:
        return _refuse("invalid_client", "invalid client credentials")
    url = request.host_url.rstrip("/")
    return json_answer(
        {
            "access_token": org().token,
            "instance_url": url,
            "id": f"{url}/id/{ids.to_18(ids.ORGANIZATION_ID)}/{org().user_id}",
            "token_type": "Bearer",
            "issued_at": str(round(org().clock.time() * 1000)),
        }
    )


def _refuse(error: str, description: str) -> Response:
    return json_answer({"error": error, "error_description": description}, 400)
