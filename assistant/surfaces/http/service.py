"""What the request handlers share: the one assistant, who may use it, and work under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from assistant.core import Assistant
from assistant.settings import Settings
from assistant.types import EVERYONE_GROUP

if TYPE_CHECKING:
    from assistant.accounts.records import Identity
    from assistant.accounts.store import Accounts
    from assistant.ingest.uploads import Uploads
    from assistant.surfaces.http.jobs import Jobs
    from assistant.surfaces.http.limits import Limits
    from assistant.surfaces.http.metrics import Metrics


@dataclass(frozen=True)
class Service:
    """The parts of one running server.

    ``address`` is where people reach it; ``local_token`` lets a process that may read the
    data directory ask in anybody's name.
    """

    settings: Settings
    assistant: Assistant
    accounts: Accounts
    uploads: Uploads
    jobs: Jobs
    limits: Limits
    metrics: Metrics
    address: str
    local_token: str

    def groups(self, asker: Identity) -> list[str]:
        """Return the groups that the asker may give documents to; all for administrators."""
        if "admin" not in asker.scopes:
            return sorted(asker.principal.groups)
        held = {group for user in self.accounts.users() for group in user.groups}
        return sorted(held | set(self.assistant.groups()) | {EVERYONE_GROUP})
