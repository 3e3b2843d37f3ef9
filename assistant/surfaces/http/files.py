"""Files as answers: what a browser saves, by a name in any script."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Response

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def attachment(content: str | bytes, media_type: str, title: str, ending: str) -> Response:
    """Return content as a file called ``title.ending``."""
    name = quote(f"{title}.{ending}", safe="")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    return Response(content, media_type=media_type, headers=headers)
