"""Which characters belong to a script."""

HAN = r"\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Chinese characters, for a set of a regular expression: `rf"[{HAN}]"`."""
EAST_ASIAN = rf"\u2e80-\u33ff{HAN}"
"""Those, kana, and the punctuation that goes with both."""
