"""Sign-in by an OpenID Connect provider: authorisation code with PKCE, state and nonce.

What a flow must remember travels in a signed cookie for ten minutes, and serves once.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, cast

import httpx2
from authlib.integrations.starlette_client import OAuth, OAuthError, StarletteOAuth2App
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer
from joserfc.errors import JoseError

from assistant.accounts.names import InvalidError
from assistant.errors import ForbiddenError, NotFoundError
from assistant.settings import Settings
from assistant.surfaces.http.depend import TheService, address_of
from assistant.surfaces.http.door import local_path, show
from assistant.surfaces.http.guard import SESSION_COOKIE, is_admin
from assistant.surfaces.http.service import Service

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/oidc")

FLOW_COOKIE = "assistant_oidc"
_FLOW_S = 600
_TIMEOUT_S = 10
_LEEWAY_S = 60
# What browsers may keep the cookie for; the server decides when a session ends.
_COOKIE_S = 90 * 24 * 3600
# A provider may list "none" and HMAC with its secrets; neither proves who signed.
_SIGNATURES = frozenset(
    f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)
) | {"EdDSA", "Ed25519"}


class _ProviderError(Exception):
    """The provider's answer does not prove who somebody is."""


@router.get("/login")
async def begin(request: Request, service: TheService) -> Response:
    """Send somebody to the provider."""
    settings = service.settings
    _only_with_oidc(settings)
    target = local_path(request.query_params.get("next", "/"))
    flow: dict[str, Any] = {}
    request.scope["session"] = flow
    try:
        provider = await _provider(settings)
        response: Response = await provider.authorize_redirect(
            request, _callback(request, settings)
        )
    except (httpx2.HTTPError, ValueError, _ProviderError) as error:
        logger.warning("The OpenID provider %s cannot be used: %s", settings.oidc_issuer, error)
        return _failed(request, service, "unreachable", HTTPStatus.BAD_GATEWAY, target)
    response.set_cookie(
        FLOW_COOKIE,
        _signer(service).dumps({"flow": flow, "next": target}),
        max_age=_FLOW_S,
        path="/oidc",
        secure=_is_secure(request, settings),
        httponly=True,
        samesite="lax",  # it must come along when the provider sends the browser back
    )
    return response


@router.get("/callback")
async def callback(request: Request, service: TheService) -> Response:
    """Take somebody back from the provider, and sign them in."""
    settings = service.settings
    _only_with_oidc(settings)
    cookie = request.cookies.get(FLOW_COOKIE, "")
    try:
        kept = _signer(service).loads(cookie, max_age=_FLOW_S)
    except BadSignature:
        return _failed(request, service, "expired", HTTPStatus.BAD_REQUEST)
    target = local_path(kept["next"])
    if not service.accounts.spend(cookie, _FLOW_S):
        return _failed(request, service, "expired", HTTPStatus.BAD_REQUEST, target)
    request.scope["session"] = kept["flow"]
    try:
        claims = await _claims(request, settings)
        token = _session(request, service, claims)
    except httpx2.HTTPError as error:
        logger.warning("The OpenID provider %s cannot be used: %s", settings.oidc_issuer, error)
        return _failed(request, service, "unreachable", HTTPStatus.BAD_GATEWAY, target)
    except (OAuthError, JoseError, ValueError, InvalidError, _ProviderError) as error:
        logger.warning("A sign-in by %s was refused: %s", settings.oidc_issuer, error)
        return _failed(request, service, "refused", HTTPStatus.UNAUTHORIZED, target)
    except ForbiddenError:
        return _failed(request, service, "deactivated", HTTPStatus.FORBIDDEN, target)
    response = RedirectResponse(target, HTTPStatus.SEE_OTHER)
    response.delete_cookie(FLOW_COOKIE, path="/oidc")
    keep_session(response, request, service, token)
    return response


def keep_session(response: Response, request: Request, service: Service, token: str) -> None:
    """Give a browser its session; the one that it had before ends."""
    if earlier := request.cookies.get(SESSION_COOKIE):
        service.accounts.sign_out(earlier, address_of(request))
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=_COOKIE_S,
        secure=_is_secure(request, service.settings),
        httponly=True,
        samesite="lax",
    )


async def _provider(settings: Settings) -> StarletteOAuth2App:
    """Return the provider as it describes itself now, so that new keys are seen at once."""
    issuer = settings.oidc_issuer.rstrip("/")
    secret = settings.oidc_client_secret.get_secret_value()
    client = cast(
        StarletteOAuth2App,
        OAuth().register(
            "provider",
            client_id=settings.oidc_client_id,
            client_secret=secret or None,
            server_metadata_url=f"{issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid profile email",
                "code_challenge_method": "S256",
                "timeout": _TIMEOUT_S,
                "leeway": 0,  # the access token is used at once, however short it lives
                **({} if secret else {"token_endpoint_auth_method": "none"}),
            },
        ),
    )
    metadata = await client.load_server_metadata()
    if str(metadata.get("issuer", "")).rstrip("/") != issuer:
        raise _ProviderError(f"it calls itself {metadata.get('issuer')!r}")
    needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    missing = [name for name in needed if not metadata.get(name)]
    if missing:
        raise _ProviderError(f"its description lacks {', '.join(missing)}")
    offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
    metadata["id_token_signing_alg_values_supported"] = sorted(_SIGNATURES & set(offered))
    if settings.oidc_groups_claim in metadata.get("scopes_supported", ()):
        client.client_kwargs["scope"] += f" {settings.oidc_groups_claim}"
    return client


async def _claims(request: Request, settings: Settings) -> dict[str, Any]:
    """Return what the provider says of somebody, after its signature was checked.

    Raises:
        OAuthError, JoseError, _ProviderError: it does not say so, or not to this server.
    """
    provider = await _provider(settings)
    metadata = provider.server_metadata
    token = await provider.authorize_access_token(
        request,
        leeway=_LEEWAY_S,
        claims_options={
            "iss": {"essential": True, "value": metadata["issuer"]},
            "aud": {"essential": True, "value": settings.oidc_client_id},
        },
    )
    if not token.get("userinfo"):
        raise _ProviderError("it sent no ID token")
    claims = dict(token["userinfo"])
    wanted = {settings.oidc_user_claim, settings.oidc_groups_claim}
    if wanted - claims.keys() and "userinfo_endpoint" in metadata:
        more = await provider.userinfo(token=token)
        if more.get("sub") != claims["sub"]:
            raise _ProviderError("its user information is about somebody else")
        claims = dict(more) | claims
    return claims


def _session(request: Request, service: Service, claims: dict[str, Any]) -> str:
    settings, address = service.settings, address_of(request)
    user_id = claims.get(settings.oidc_user_claim)
    if not isinstance(user_id, str):
        raise _ProviderError(f"it names no {settings.oidc_user_claim}")
    groups = claims.get(settings.oidc_groups_claim)
    if isinstance(groups, str):
        groups = groups.split(",")
    user = service.accounts.provision(
        user_id,
        str(claims.get("name") or ""),
        None if groups is None else [str(group) for group in groups],
        is_admin(settings, user_id),
        address=address,
    )
    return service.accounts.start_session(user.id, how="OpenID", address=address)


def _callback(request: Request, settings: Settings) -> str:
    return f"{(settings.public_url or str(request.base_url)).rstrip('/')}/oidc/callback"


def _signer(service: Service) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(service.accounts.signing_key(), salt="oidc")


def _is_secure(request: Request, settings: Settings) -> bool:
    return settings.public_url.startswith("https://") or request.url.scheme == "https"


def _only_with_oidc(settings: Settings) -> None:
    if settings.auth != "oidc":
        raise NotFoundError("OpenID Connect is not used here. Sign in at /login.")


def _failed(
    request: Request, service: Service, error: str, status: int, target: str = "/"
) -> Response:
    page = show(
        "login.html",
        request,
        service.settings,
        status=status,
        mode="oidc",
        error=error,
        next=target,
        here="/login",
    )
    page.delete_cookie(FLOW_COOKIE, path="/oidc")
    return page
