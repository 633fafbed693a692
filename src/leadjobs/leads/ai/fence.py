"""A stranger's text in a prompt: data between two tags that it cannot leave."""

_NO_TAGS = str.maketrans(dict.fromkeys("<\uff1c\ufe64", "\u2039"))  # whatever a model may take for "<"


def fenced(name: str, text: str) -> str:
    """A stranger's text between two tags; it can neither close them nor open others."""
    return f"<{name}>\n{text.translate(_NO_TAGS)}\n</{name}>"
