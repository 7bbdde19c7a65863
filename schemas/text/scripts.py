"""Scripts of East and South-East Asia, as ranges of characters for the `[...]` of a pattern.

The rule: no other module writes down such a range; it takes these names, or a sum of them, as in
`re.compile(f"[{HAN}{KANA}]")`. Where two ranges differ, the reason is next to them.

| module in `annotator`            | takes                                                     |
|----------------------------------|-----------------------------------------------------------|
| text/boundaries                  | HAN                                                       |
| text/rules/base                  | CJK_LETTERS                                               |
| text/blocks                      | HAN; CJK_PRINT, KOREAN_LETTERS                            |
| text/quote_text                  | UNSPACED                                                  |
| text/quote_edges                 | UNSPACED                                                  |
| text/token_estimate              | WIDE, HANGUL_SYLLABLES                                    |
| documents/readers/file_text      | CJK_PRINT                                                 |
| documents/retrieval              | WIDE                                                      |
| sampling/near_questions          | WIDE                                                      |
| sampling/question_wording        | HAN                                                       |
| judging/evidence/quotes          | WIDE                                                      |
| judging/evidence/quote_content   | UNSPACED; HIRAGANA; HAN, HAN_SIGNS, KATAKANA              |
| judging/protocols/copied         | WIDE                                                      |
| judging/lexical/text             | WIDE, HAN_REPEATED, HANGUL_SYLLABLES, SOUTH_EAST_ASIAN    |
| judging/lexical/amounts          | CJK_FROM                                                  |

| elsewhere                        | takes                                                     |
|----------------------------------|-----------------------------------------------------------|
| schemas/text/language            | HAN, KANA_LETTERS, HANGUL; WIDE                           |
| schemas/text/question_senses     | WIDE, HAN                                                 |
| formats/sheets/labels            | HAN, KANA                                                 |
| dataset_builder/splits/          |                                                           |
|     prompt_text                  | WIDE                                                      |
|     prompt_template              | KANA                                                      |
|     near_topics                  | WIDE                                                      |
|     topics                       | HAN, HAN_REPEATED, KANA_OF_WORDS                          |
| maskdpo/desk/index/words         | UNSPACED, HANGUL_SYLLABLES                                |
| maskdpo/desk/reading/places      | UNSPACED                                                  |
| maskdpo/forgetting/targets       | CJK_LETTERS                                               |
| maskdpo/study/world/parsing      | HAN                                                       |
"""

from __future__ import annotations

# Ideographs of all planes, unified and compatibility ones.
HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
# Signs among ideographs that are not ideographs: they do not show the language. The lexical judge
# was fitted with the first alone, and stored keys of topics are made with it: both keep it so.
HAN_SIGNS = "\u3005-\u3007"
HAN_REPEATED = "\u3005"

# Hiragana and katakana, with the signs of both.
KANA = "\u3040-\u30ff"
# The middle dot and the long vowel mark carry as little meaning as hiragana.
HIRAGANA = "\u3040-\u309f\u30fb\u30fc"
KATAKANA = "\u30a0-\u30ff"
# Only in Japanese: the signs occur in names in Chinese texts too.
KANA_LETTERS = "\u3041-\u3096\u30a1-\u30fa"
# Without the middle dot, which separates words.
KANA_OF_WORDS = "\u3041-\u30fa\u30fc-\u30ff"
# For text that is compared without NFKC.
HALF_WIDTH_KANA = "\uff66-\uff9f"

# Korean as it is written, and with the jamo into which some file systems take syllables apart: one
# syllable is one unit of meaning and of tokens, its three jamo are not.
HANGUL_SYLLABLES = "\uac00-\ud7a3"
HANGUL = f"\u1100-\u11ff{HANGUL_SYLLABLES}"
KOREAN_LETTERS = "\u3130-\u318f"  # alone, as in an exclamation

# Thai, Lao, Myanmar, Khmer.
SOUTH_EAST_ASIAN = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"

# The letters of Chinese and Japanese words.
WIDE = f"{KANA}{HAN}"
# All scripts without spaces between words; Korean has spaces.
UNSPACED = f"{SOUTH_EAST_ASIAN}{HAN_SIGNS}{WIDE}{HALF_WIDTH_KANA}"
# WIDE and the letters between: bopomofo, KOREAN_LETTERS, words and units in one square.
CJK_LETTERS = "\u3040-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
# Characters at which lines break without a space: WIDE, radicals, full-width letters, punctuation.
CJK_PRINT = "\u2e80-\u312f\u3190-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003fffd"
# The first character of CJK_PRINT: units written in Han are past it, ℃ and € are not.
CJK_FROM = "\u2e80"
