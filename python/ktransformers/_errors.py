"""What is raised where the runtime refuses or fails; the extension looks these classes up by name."""


class Error(Exception):
    """What the runtime says went wrong: one line, what was expected and what was found.

    Mistakes that Python itself finds, such as an argument that is no number, are its own TypeError and ValueError.
    """

    status: str = "failed"
    """"failed", "usage" or "rejected", as in the C++ and C interfaces."""


class UsageError(Error, ValueError):
    """The caller asked for something wrong: an input that does not exist, a shape out of bounds. Nothing has run."""

    status = "usage"


class FailedError(Error, RuntimeError):
    """The machine, the driver, a file, or the run itself."""

    status = "failed"


class RejectedError(Error):
    """The artifact is damaged, hostile, or of another version."""

    status = "rejected"
