"""What the org refuses below the layer of the resources, whatever the dialect of the request."""


class DeniedError(Exception):
    """Something that the user may not do, or that the day no longer allows.

    Attributes
    ----------
    code : str
        As Bulk API 1.0 names it; 2.0 has the same name in capitals.
    message : str
        Why.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
