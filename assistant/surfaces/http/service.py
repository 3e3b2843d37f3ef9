"""What the request handlers share: the one assistant, who may use it, and work under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from assistant.accounts.records import Identity
from assistant.accounts.store import Accounts
from assistant.core import Assistant
from assistant.ingest.uploads import Uploads
from assistant.settings import Settings
from assistant.surfaces.http.jobs import Jobs
from assistant.surfaces.http.limits import Limits
from assistant.surfaces.http.metrics import Metrics
from assistant.types import EVERYONE_GROUP


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


@contextmanager
def opened_service(
    assistant: Assistant, settings: Settings, address: str, local_token: str = ""
) -> Iterator[Service]:
    """Open the parts of a server around an assistant, and close them again."""
    with (
        closing(Accounts(settings.data_dir, settings.session_hours)) as accounts,
        closing(Jobs(assistant, Uploads(settings))) as jobs,
    ):
        yield Service(
            settings=settings,
            assistant=assistant,
            accounts=accounts,
            uploads=jobs.uploads,
            jobs=jobs,
            limits=Limits(settings),
            metrics=Metrics(),
            address=address,
            local_token=local_token,
        )
