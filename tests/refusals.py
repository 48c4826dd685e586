"""What every refusal has in common, for the tests of all borders."""

import pytest

from gatewright.errors import GatewrightError


def refused(error, *words):
    """A `with` block that must be refused by exactly this error of ours, in one line that holds every word."""
    return _Refused(error, words)


class _Refused:
    def __init__(self, error, words):
        self.error, self.words = error, words
        self.raises = pytest.raises(error)

    def __enter__(self):
        self.info = self.raises.__enter__()
        return self.info

    def __exit__(self, *what):
        done = self.raises.__exit__(*what)
        if done:  # another exception goes on as it is
            text = str(self.info.value)
            assert type(self.info.value) is self.error, repr(self.info.value)
            assert issubclass(self.error, GatewrightError)
            assert "\n" not in text, text
            assert len(text) < 600, text
            for word in self.words:
                assert word in text, f"{word!r} is not in {text!r}"
        return done
