"""What a request handler asks for: the service, who makes the request, and that they may now."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from assistant.accounts.records import Identity
from assistant.surfaces.http.service import Service


def service_of(request: Request) -> Service:
    """Return the service that the application was made with."""
    service: Service = request.app.state.service
    return service


def identity_of(request: Request) -> Identity:
    """Return who makes the request, as the guard found out."""
    identity: Identity = request.state.identity
    return identity


TheService = Annotated[Service, Depends(service_of)]
Asker = Annotated[Identity, Depends(identity_of)]


def address_of(request: Request) -> str:
    """Return the machine that a request comes from, for the audit log."""
    return request.client.host if request.client else ""


TheAddress = Annotated[str, Depends(address_of)]


def limited(service: TheService, asker: Asker) -> None:
    """Count a request of whoever makes it; a dependency of the routers."""
    service.limits.count_request(asker)


def question_limited(service: TheService, asker: Asker) -> None:
    """Count a question of whoever asks it; a dependency of the handlers that answer."""
    service.limits.count_question(asker)
