"""What a request handler asks for: the service it runs in, and who makes the request."""

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
