"""Search in Chinese text, which has no spaces: every two neighbouring characters are a word, in the index and in the query."""

import re

from sphinx.application import Sphinx
from sphinx.search.zh import SearchChinese

PARTS = re.compile(r"[a-zA-Z0-9_]+|[\u4e00-\u9fff]+")


class Bigrams(SearchChinese):
    """Latin words as sphinx finds them; of a run of Chinese characters every two that stand together."""

    language_name = "English"  # by this sphinx calls the stemmer in the page, which is the English one
    js_splitter_code = r"""
function splitQuery(query) {
  const parts = query.match(/[a-zA-Z0-9_]+|[\u4e00-\u9fff]+/g) || [];
  return parts.flatMap(function (part) {
    if (part.length == 1 || /^[a-zA-Z0-9_]/.test(part)) return [part];
    return Array.from({length: part.length - 1}, function (_, k) { return part.slice(k, k + 2); });
  });
}
"""

    def split(self, input: str) -> list[str]:
        """The words of a text, or of a query."""
        words: list[str] = []
        for part in PARTS.findall(input):
            if part.isascii():
                self.latin_terms.add(part)
                words.append(part)
            else:
                words += [part[k : k + 2] for k in range(len(part) - 1)] or [part]
        return words


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_search_language(Bigrams)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
