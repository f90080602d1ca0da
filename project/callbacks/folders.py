"""The folders that an experiment writes to."""

from project.core.errors import InputError


def require_folder(name: str, folder: str, given: str) -> None:
    """Refuse the empty name of a folder: it would be the current one, and be cleared.

    Args:
        name: of the argument.
        folder: what it comes to.
        given: as it was written.
    """
    if not folder:
        raise InputError(
            f"{name} must name a folder, got {given!r}. Is a variable of the shell empty? Give a "
            "path, or leave it out."
        )
