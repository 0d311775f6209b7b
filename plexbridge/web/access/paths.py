"""Where a request stands below the root of the pages, so that every link can be a relative one:
such links lead on behind any proxy, below any path. Pure."""

from urllib.parse import quote

from starlette.types import Scope


def path_of(scope: Scope) -> str:
    """The path as the table of routes knows it: without what a proxy put before it."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def root_from(scope: Scope) -> str:
    """The way from this request's page to the root: nothing for `/channels`, `../` for
    `/sessions/1`."""
    return "../" * (path_of(scope).count("/") - 1)


def login_from(scope: Scope) -> str:
    """The way to the login, which then comes back here."""
    query = scope["query_string"].decode("latin-1")
    here = path_of(scope).removeprefix("/") + (f"?{query}" if query else "")
    return f"{root_from(scope)}login" + (f"?next={quote(here, safe='')}" if here else "")
