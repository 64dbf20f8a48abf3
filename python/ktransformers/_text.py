"""Texts of language models: tokens of a text by the package `tokenizers`, and the text of tokens as they come."""

import os

from ._errors import FailedError, UsageError


def load(folder):
    """The tokenizer of a folder's tokenizer.json, or None where there is no such file. UsageError without the package `tokenizers`."""
    path = os.path.join(folder, "tokenizer.json")
    if not os.path.exists(path):
        return None
    try:
        import tokenizers
    except ImportError as error:
        raise UsageError("a text needs the package 'tokenizers', which is not installed: pip install 'ktransformers[text]', or give tokens") from error
    try:
        return tokenizers.Tokenizer.from_file(path)
    except Exception as error:  # the package raises Exception itself
        raise FailedError(f"'{path}' is no tokenizer: {error}") from error


class Text:
    """The text of one stream's tokens, as far as it is certain: bytes of a character that others complete are waited for."""

    def __init__(self, tokenizer, stop):
        self._tokenizer, self._stop = tokenizer, stop
        self._tokens, self._begin, self._read = [], 0, 0
        self.text, self.stopped = "", False

    def add(self, token):
        """Takes the next token; answers what it adds to the text. `stopped` is set where a text that ends it has come, which is cut off with all behind it."""
        if self.stopped:
            return ""
        self._tokens.append(token)
        return self._take(final=False)

    def finish(self):
        """What is still waited for, as it is; nothing comes any more."""
        return "" if self.stopped else self._take(final=True)

    def _take(self, final):
        # Only the latest words: a token's text may depend on its neighbours (spaces, bytes), but not on all before it.
        known = self._tokenizer.decode(self._tokens[self._begin : self._read])
        now = self._tokenizer.decode(self._tokens[self._begin :])
        if len(now) <= len(known) or (now.endswith("\N{REPLACEMENT CHARACTER}") and not final):
            return ""
        self._begin, self._read = self._read, len(self._tokens)
        before, new = len(self.text), now[len(known) :]
        self.text += new
        longest = max(map(len, self._stop), default=1)
        ends = [at for text in self._stop if (at := self.text.find(text, max(0, before - longest + 1))) >= 0]
        if ends:
            self.stopped, self.text = True, self.text[: min(ends)]
        return self.text[before:]
