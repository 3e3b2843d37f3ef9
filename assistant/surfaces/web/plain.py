"""What the core says, in the page's language and for people who have no command line.

The core says what went wrong and what to do about it in English, for programs and
administrators. Each of its messages that can reach a page is told by a pattern here and
reworded in ``texts/<language>/plain.yaml``; others are shown as they are.
"""

from __future__ import annotations

import re

from assistant.surfaces.web.wording import Texts

# The more special pattern comes first. A named group fills the placeholder of its name.
PATTERNS: tuple[tuple[str, str], ...] = (
    # of the server's health
    ("gate", r"numbers that were calibrated for another"),
    ("empty_index", r"^The index is empty"),
    ("some_bad", r"^(?P<count>\d+) files could not be taken in"),
    ("passed_over", r"^(?P<engine>\S+) is passed over: (?P<why>.+)"),
    # of engines
    ("no_server", r"^No model server is set"),
    (
        "server_model",
        r"^The server at \S+ has no model (?P<model>'.*?') \(it offers: (?P<offered>.*?)\)",
    ),
    ("server_failed", r"^The (?:model )?server at (?P<url>\S+) (?:failed|broke off)"),
    ("no_llm", r"^The embedded (?:language |embedding )?model is not installed"),
    (
        "model_disk",
        r"^The disk is full: the embedded|embedded .*model could not be (?:written|unpacked)",
    ),
    ("model_file", r"^The language model (?P<model>\S+) (?:cannot be read|is not on this machine)"),
    ("not_gguf", r"^(?P<model>\S+) is not a GGUF file"),
    ("no_process", r"^No process can be started for llama\.cpp"),
    ("engine_failed", r"^The engine (?P<engine>.+?) failed \((?P<why>.*?)\)"),
    # of files
    ("request_too_large", r"^The request is larger than (?P<mb>[\d,]+) MB"),
    ("too_large", r"(?:larger than|the limit is) (?P<mb>[\d,]+) MB"),
    ("not_a_file", r"^It is a (?:symbolic link|folder|device)"),
    ("empty_file", r"^The file is empty"),
    ("no_quarantined", r"^There is no such file in quarantine"),
    ("no_file", r"^There is no such file"),
    ("unreadable", r"^It cannot be read \("),
    ("image", r"^It is an image"),
    ("other_form", r"^`(?P<suffix>[^`]+)` files are not read\. Save it as (?P<target>\S+) and"),
    ("unknown_form", r"are not read\. Give it one of these forms: (?P<forms>.+)\.$"),
    ("other_office", r"^Its name says (?P<suffix>\S+), but it is a (?P<real>\S+)\. Rename"),
    ("old_office", r"^It is an Office file of the old format.* save it as (?P<suffix>\S+), ingest"),
    ("mismatch", r"^Its name says (?P<suffix>\S+), but"),
    ("encrypted", r"encrypted"),
    ("damaged", r"damaged|makes no sense|declares entities"),
    ("bomb", r"^It unpacks to"),
    ("no_text", r"^It holds no text"),
    ("too_long", r"^It holds more than (?P<millions>\d+) million characters"),
    ("too_many_rows", r"^It holds more than (?P<rows>[\d,]+) rows"),
    ("nested", r"nested"),
    ("front_matter", r"front matter is not valid YAML \(near line (?P<line>[\d?]+)\)"),
    ("broken_record", r"^Record (?P<record>\d+) is broken"),
    ("not_text", r"^Its content is not text"),
    ("groups_clash", r"^It names the groups (?P<own>.+), but was ingested for (?P<given>.+); no"),
    ("metadata", r"`groups`|Write zh or en|is not a line of text|Correct it\.$|The keys are"),
    ("slow", r"^Parsing took longer than (?P<seconds>\d+) s"),
    ("crashed", r"^The parser (?:crashed|ended)"),
    ("not_yet", r"^It was not taken in yet"),
    # of changing documents
    ("elsewhere", r"^This document was taken in from a folder of the server"),
    ("gone", r"is not where it was taken in"),
    ("other_kind", r"^The document is a (?P<suffix>\S+) file, and what replaces it"),
    ("name_taken", r"^There is a document of this name"),
    ("name_shared", r"^Several documents have this name"),
    ("wider", r"^The document is for (?P<groups>.+), more than the new file"),
    ("being_changed", r"^This document is being changed"),
    ("rebuilding", r"^The index is being built anew"),
    ("stopped", r"^The server (?:is being|was) stopped"),
    ("not_your_groups", r"^You do not belong to (?P<groups>.+)\. Give documents"),
    ("no_readers", r"^Nobody could read it"),
    ("disk_full", r"disk is full|disk that holds|No space left"),
    ("unwritable", r"^Uploads cannot be written"),
    ("too_often", r"in a minute\. Repeat in (?P<seconds>\d+) s"),
    ("failed", r"^The server failed unexpectedly"),
    ("no_document", r"^There is no document"),
    # of accounts
    ("user_name", r"^A user name has"),
    ("own_name", r"is the server's own name"),
    ("user_exists", r"^There is a user '(?P<user>.*)' already"),
    ("group_name", r"cannot be a group"),
    ("last_admin", r"^(?P<user>.+) is the last active administrator"),
    ("deactivated", r"^(?:The account )?(?P<user>.+) is deactivated"),
    ("key_name", r"^A key needs a name"),
    ("key_over", r"^The key would have expired already"),
    ("no_scope", r"^Give a key one or more of the scopes"),
    ("no_user", r"^There is no such user"),
    ("no_key", r"^There is no such key"),
    ("not_admin", r"^Only administrators"),
    ("not_editor", r"^Only editors"),
)
# What the audit log notes of accounts, piece by piece between semicolons.
_DETAILS: tuple[tuple[str, str], ...] = (
    ("hours", r"for (?P<hours>\d+) hours"),
    ("sessions", r"(?P<count>\d+) sessions"),
    ("role_changed", r"role (?P<role>\w+) -> (?P<new_role>\w+)"),
    ("role", r"role (?P<role>\w+)"),
    ("groups_changed", r"groups (?P<old>.+) -> (?P<new>.+)"),
    ("groups", r"groups (?P<groups>.+)"),
    ("name", r"name"),
    ("activated", r"activated"),
    ("deactivated", r"deactivated"),
    ("invitation", r"by invitation|link"),
    ("first", r"first administrator"),
    ("first_sign_in", r"at the first sign-in"),
    ("password", r"password"),
    ("unknown", r"unknown user"),
    ("wrong", r"wrong password"),
    ("owner", r"(?:of|for) (?P<user>.+)"),
    (
        "rights",
        r"(?P<scopes>(?:ask|documents|admin|delegate)(?:, (?:ask|documents|admin|delegate))*)",
    ),
)
_ACCOUNTS = ("user-", "key-", "sign-", "invited", "password-set")
_COMPILED = tuple((key, re.compile(pattern, re.DOTALL)) for key, pattern in PATTERNS)


def plain(message: str, texts: Texts) -> str:
    """Return a message of the core as a person at the page needs it."""
    for key, pattern in _COMPILED:
        if found := pattern.search(message):
            values = found.groupdict()
            if "why" in values:
                values["why"] = plain(values["why"], texts)
            return texts(f"plain.{key}", **values)
    return message


def noted(action: str, detail: str, texts: Texts) -> str:
    """Return what the audit log notes of an action; of documents that is names, left alone."""
    if not action.startswith(_ACCOUNTS):
        return detail
    return texts("plain.semicolon").join(_piece(each, texts) for each in detail.split("; "))


def _piece(piece: str, texts: Texts) -> str:
    for key, pattern in _DETAILS:
        if found := re.fullmatch(pattern, piece):
            values = found.groupdict()
            for name in ("role", "new_role"):
                if name in values:
                    values[name] = _named("settings.role_", values[name], texts)
            if "scopes" in values:
                rights = [
                    _named("settings.scope_", each, texts) for each in values["scopes"].split(", ")
                ]
                values["scopes"] = texts("quality.comma").join(rights)
            return texts(f"plain.detail.{key}", **values)
    return piece


def _named(prefix: str, name: str, texts: Texts) -> str:
    return texts(prefix + name) if prefix + name in texts.keys() else name  # noqa: SIM118
