"""espeak-ng's phones in Kokoro's alphabet, as https://github.com/hexgrad/misaki writes English.

The alphabet and its numbers are those of the model's `config.json`.
"""

from __future__ import annotations

import re

_RUNS = (
    (1, ";:,.!?"), (9, "—…\"()“” \u0303ʣʥʦʨᵝ\uab67AI"), (31, "O"), (33, "Q"), (35, "ST"), (39, "W"), (41, "Yᵊabcdef"),
    (50, "hijklmnopqrstuvwxyzɑɐɒæ"), (75, "βɔɕç"), (80, "ɖðʤə"), (85, "ɚɛɜ"), (90, "ɟ"), (92, "ɡ"), (99, "ɥ"),
    (101, "ɨɪʝ"), (110, "ɯɰŋɳɲɴø"), (118, "ɸθœ"), (123, "ɹ"), (125, "ɾɻ"), (128, "ʁɽʂʃʈʧ"), (135, "ʊʋ"), (138, "ʌɣɤ"),
    (142, "χʎ"), (147, "ʒʔ"), (156, "ˈˌː"), (162, "ʰ"), (164, "ʲ"), (169, "↓"), (171, "→↗↘"), (177, "ᵻ"),
)  # fmt: skip
NUMBERS = {letter: first + at for first, run in _RUNS for at, letter in enumerate(run)}
EDGE = 0  # before and after every text
_EITHER = {
    "aɪ": "I", "aʊ": "W", "dʒ": "ʤ", "eɪ": "A", "tʃ": "ʧ", "ɔɪ": "Y", "əl": "ᵊl", "n̩": "ᵊn", "ʔ": "t", "ɐ": "ə",
    "r": "ɹ", "x": "k", "ɬ": "l", "aɪɚ": "Iəɹ", "aɪə": "Iə", "ɚ": "əɹ",
}  # fmt: skip
_AMERICAN = {**_EITHER, "oʊ": "O", "ɜː": "ɜɹ", "ɪə": "iə"}
_BRITISH = {**_EITHER, "əʊ": "Q", "eə": "ɛː", "iə": "ɪə"}
_STRESS = re.compile("[ˈˌ]*")


def spelled(phone: str, *, is_british: bool) -> str:
    """One of espeak's phones, e.g. `ˈoʊ`, in Kokoro's letters: `ˈO`."""
    stress = _STRESS.match(phone)
    end = stress.end() if stress else 0
    sound = phone[end:]
    told = _BRITISH.get(sound, sound) if is_british else _AMERICAN.get(sound, sound).replace("ː", "")
    return phone[:end] + told.replace("o", "ɔ")
