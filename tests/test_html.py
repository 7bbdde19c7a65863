"""Pages: every number, mark, formula and list item comes out as the page shows it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.documents.readers.file_text import UnreadableError
from annotator.documents.readers.read import read_bytes
from annotator.text.sentences import split_sentences


def read_page(markup):
    return read_bytes(markup.encode(), format_name="html", max_chars=10**7)


def text_of(markup):
    return read_page(markup).text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("10<sup>5</sup> people", "10⁵ people"),
        ("10<sup>-3</sup> and 10<sup>−3</sup> and 10<sup>–3</sup>", "10⁻³ and 10⁻³ and 10⁻³"),
        ("10<sup>6.5</sup>", "10^{6.5}"),
        ("10<sup>5</sup>3", "10^{5}3"),
        ("2<sup>k</sup> x<sup>n+1</sup>", "2^{k} xⁿ⁺¹"),
        ("log<sub>10</sub>5 log<sub>2</sub>8", "log_{10}5 log_{2}8"),
        ("log<sub>10</sub>x", "log₁₀x"),
        ("CO<sub>2</sub>, C<sub>6</sub>H<sub>12</sub>O<sub>6</sub>", "CO₂, C₆H₁₂O₆"),
        ("T<sub>max</sub> x<sub>i</sub> x<sub>1.5</sub>", "T_{max} xᵢ x_{1.5}"),
        ("<sup>14</sup>C Ca<sup>2+</sup> SO<sub>4</sub><sup>2−</sup>", "¹⁴C Ca²⁺ SO₄²⁻"),
        ("2<sup>1</sup>/<sub>2</sub> cups", "2 ¹/₂ cups"),
        ("<sup>3</sup>&frasl;<sub>4</sub>5", "³⁄₄ 5"),
        ("1<sup>st</sup> 2<sup>nd</sup> 1<sup>er</sup>", "1st 2nd 1er"),
        ("XIX<sup>e</sup> 3<sup>o</sup> n<sup>o</sup> 5", "XIXᵉ 3º nº 5"),
        ("12.5<sup>a</sup> mg", "12.5^{a} mg"),
        ("Aspirin<sup>TM</sup> X<sup>®</sup>", "Aspirin™ X®"),
        ("5<sup>*</sup>3 and 20<sup>°</sup>C", "5* 3 and 20°C"),
        ("10<sup>1</sup><sup>2</sup>", "10¹ ²"),
        ("x<sup>2<sup>3</sup></sup>", "x^{2³}"),
        ("10<sup><i>5</i></sup> 10<b><sup>5</sup></b>", "10⁵ 10⁵"),
        ("10<sup> 5 </sup> 10<sup></sup> 4", "10⁵ 10 4"),
        ("1950<sup>1,2</sup> people in 2019<sup>3, 4</sup>", "1950 [1,2] people in 2019 [3, 4]"),
        ("2004<sup>3–5</sup>. 1,204<sup>14 15</sup> m", "2004 [3–5]. 1,204 [14 15] m"),
        ("10<sup>6,5</sup> x<sup>1,2</sup>", "10^{6,5} x^{1,2}"),
        ("1999<sup>1</sup><sup>,</sup><sup>2</sup>", "1999 [1,2]"),
        ('1950<sup><a href="#fn3">3</a></sup> a', "1950 [3] a"),
        ('1950<sup class="reference">3</sup>a', "1950 [3] a"),
        ('1950<a href="#n"><sup>3</sup></a>', "1950 [3]"),
        ('1950<sup><a href="#a">1</a><a href="#b">2</a></sup>', "1950 [1 2]"),
        ('1950<a role="doc-noteref" href="#a">7</a>', "1950 [7]"),
        ('m<sup><a href="/units">2</a></sup>', "m²"),
        ("said.<sup>[3]</sup> So<sup>[4]</sup>", "said.[3] So [4]"),
        ("in 1950.<sup>3</sup> So", "in 1950.[3] So"),
        ('10<span style="vertical-align: super">5</span>', "10⁵"),
        ('x<span style="font-size:70%;vertical-align:sub">1</span>2', "x_{1}2"),
        ('10<span class="superscript">5</span>', "10⁵"),
        ("Tap<sub>(source: Water Board, 2019)</sub>5", "Tap (source: Water Board, 2019) 5"),
        ("<pre>10<sup>5</sup>\n  x<sub>1</sub>2</pre>", "```\n10⁵\n  x_{1}2\n```"),
        ("<h2>10<sup>5</sup> x</h2>", "## 10⁵ x"),
        ("<ul><li>10<sup>5</sup></ul>", "- 10⁵"),
        (
            "<table><caption>10<sup>5</sup></caption><tr><td>CO<sub>2</sub><td>a|b</table>",
            "10⁵\n\n| CO₂ | a\\|b |",
        ),
        ("<div>10<sup>5<div>Text 3</div>x</sup>2</div>", "10⁵\n\nText 3\n\nx 2"),
    ],
)  # fmt: skip
def test_raised_and_lowered_marks_join_no_number(markup, text):
    assert text_of(markup) == text


def test_marks_in_a_title_and_before_the_next_sentence():
    page = read_page("<h1>CO<sub>2</sub> since 1950<sup>1,2</sup></h1><p>x</p>")
    assert page.title == "CO₂ since 1950 [1,2]"
    text = text_of("<p>It was founded in 1950.<sup>3</sup> He left.</p>")
    assert len(split_sentences(text, language="en")) == 2


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["sup", "sub", "sup><b", "sub><i", "sup><sup", "sub><sup"]),
            st.integers(0, 999),
            st.sampled_from(["", "b", "i"]),
            st.integers(0, 999),
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["p", "h2", "pre", "li", "td"]),
)
def test_whatever_nests_no_mark_joins_its_neighbour(parts, block):
    markup, allowed = "7", {"7"}
    for mark, number, around, following in parts:
        closing = "".join(f"</{tag}>" for tag in reversed(mark.split("><")))
        follows = f"<{around}>{following}</{around}>" if around else str(following)
        markup += f"<{mark}>{number}{closing}{follows}"
        allowed |= {str(number), str(following)}
    text = text_of(f"<{block}>{markup}</{block}>")
    assert set(re.findall(r"[0-9]+", text)) <= allowed
    plain = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", "0123456789" * 2)
    shown = {run.translate(plain) for run in re.findall(r"[⁰¹²³⁴-⁹]+|[₀-₉]+", text)}
    assert shown <= allowed


def math(inner):
    return f"<p>a <math>{inner}</math> b</p>"


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("<msup><mn>10</mn><mn>6</mn></msup>", "10⁶"),
        ("<msup><mn>10</mn><mn>6.5</mn></msup>", "10^{6.5}"),
        ("<msup><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></msup>", "(a+b)²"),
        ("<msup><msup><mn>2</mn><mn>3</mn></msup><mn>4</mn></msup>", "(2³)⁴"),
        ("<msub><mi>log</mi><mn>10</mn></msub><mn>5</mn>", "log₁₀ 5"),
        ("<msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup>", "x₁²"),
        ("<mn>2</mn><mfrac><mn>1</mn><mn>2</mn></mfrac>", "2 1/2"),
        ("<mn>2</mn><mo>&#x2064;</mo><mfrac><mn>1</mn><mn>2</mn></mfrac>", "2 1/2"),
        ("<mfrac><mrow><mi>a</mi><mo>+</mo><mn>1</mn></mrow><mn>2</mn></mfrac>", "(a+1)/2"),
        ('<mfrac linethickness="0"><mi>n</mi><mi>k</mi></mfrac>', "binom(n, k)"),
        ("<msqrt><mn>2</mn></msqrt><mn>3</mn>", "√2 3"),
        ("<mroot><mn>8</mn><mn>3</mn></mroot>", "∛(8)"),
        ("<munder><mi>lim</mi><mi>x</mi></munder>", "limₓ"),
        ("<mover><mi>x</mi><mo>¯</mo></mover>", "x\u0304"),
        ("<munderover><mo>∑</mo><mn>1</mn><mn>9</mn></munderover><mn>5</mn>", "∑₁⁹ 5"),
        ("<mn>3</mn><mo>&#x2062;</mo><mn>4</mn><mo>&#x2062;</mo><mi>x</mi>", "3 4x"),
        ("<mi>sin</mi><mo>&#x2061;</mo><mi>x</mi>", "sin x"),
        ("<msub><mi>x</mi><mrow><mn>1</mn><mo>&#x2063;</mo><mn>2</mn></mrow></msub>", "x_{1,2}"),
        ("<mfenced><mn>1</mn><mn>2</mn></mfenced>", "(1,2)"),
        (
            "<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>0</mn></mtd></mtr>"
            "<mtr><mtd><mn>5</mn></mtd><mtd><mn>2</mn></mtd></mtr></mtable>",
            "[1, 0; 5, 2]",
        ),
        ("<mn>5</mn><mspace></mspace><mtext>mg</mtext><mn>3</mn>", "5 mg 3"),
        ("<mn>5</mn><mphantom><mn>3</mn></mphantom>", "5"),
        (
            "<mmultiscripts><mi>C</mi><none></none><none></none><mprescripts></mprescripts>"
            "<mn>6</mn><mn>14</mn></mmultiscripts>",
            "¹⁴₆C",
        ),
        ("<apply><power></power><cn>10</cn><cn>6</cn></apply>", "10⁶"),
        (
            "<semantics><msup><mn>10</mn><mn>6</mn></msup>"
            '<annotation encoding="application/x-tex">10^6</annotation></semantics>',
            "10^6",
        ),
        (
            "<semantics><msup><mn>10</mn><mn>6</mn></msup>"
            '<annotation encoding="text/plain">1e6</annotation><annotation-xml '
            'encoding="MathML-Content"><cn>1000000</cn></annotation-xml></semantics>',
            "10⁶",
        ),
    ],
)
def test_formulas_keep_their_structure(formula, text):
    assert text_of(math(formula)) == f"a {text} b"


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("5<math><mn>3</mn></math>7", "5 3 7"),
        ('<math alttext="106"><msup><mn>10</mn><mn>6</mn></msup></math>', "10⁶"),
        ('<math alttext="10^{6}"><msup><mn>10</mn><mn>6</mn></msup></math>', "10^{6}"),
        ("x <m:math><m:msup><m:mn>10</m:mn><m:mn>6</m:mn></m:msup></m:math>", "x 10⁶"),
        (
            '<span class="katex-mathml"><math><msup><mn>10</mn><mn>6</mn></msup></math></span>'
            '<span class="katex-html" aria-hidden="true">106</span> W',
            "10⁶ W",
        ),
        (
            'E <span class="mwe-math-mathml-inline" style="display: none;"><math alttext="x^{2}">'
            '<mi>x</mi></math></span><img class="mwe-math-fallback-image-inline" alt="x^{2}"> F',
            "E x^{2} F",
        ),
        (
            'A <span class="MathJax">106</span><script type="math/tex">10^6</script> W',
            "A 10^6 W",
        ),
    ],
)  # fmt: skip
def test_a_formula_is_read_once_and_meets_no_number(markup, text):
    assert text_of(markup) == text


def test_a_formula_nested_without_end_is_read():
    text = text_of("<math>" + "<msup><mn>5</mn>" * 20_000)
    assert text.split() == ["5"] * 20_000


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<ol><li value=7>a<li>b<li value=20>c</ol>", "7. a\n8. b\n20. c"),
        ("<ol start=0><li>a<li>b</ol>", "0. a\n1. b"),
        ("<ol start=-1><li>a<li>b</ol>", "-1. a\n0. b"),
        ("<ol reversed><li>a<li>b<li>c</ol>", "3. a\n2. b\n1. c"),
        ("<ol reversed start=10><li>a<li>b</ol>", "10. a\n9. b"),
        ("<ol type=a start=26><li>x<li>y</ol>", "z. x\naa. y"),
        ("<ol type=A><li>x<li type=i>y</ol>", "A. x\nii. y"),
        ("<ol type=I start=1999><li>x</ol>", "MCMXCIX. x"),
        ('<ol style="list-style-type: lower-roman" start=4><li>x</ol>', "iv. x"),
        ('<ol style="list-style: none"><li>1.1 x</ol>', "- 1.1 x"),
        ('<ol style="list-style: decimal-leading-zero"><li>x</ol>', "01. x"),
        ("<ol type=i start=0><li>x</ol>", "0. x"),
        ("<ol><li>x<ol type=a><li>y</ol><li>z</ol>", "1. x\n   a. y\n2. z"),
        ("<ul><li>x<li>5</ul>", "- x\n- 5"),
    ],
)
def test_items_keep_the_numbers_that_a_page_shows(markup, text):
    assert text_of(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<h3><button>How much?</button></h3>x", "### How much?\n\nx"),
        ("<h3><button>Dose</button></h3>x", "### Dose\n\nx"),
        ("<dl><dt><button>Dose</button><dd>5</dl>", "Dose\n5"),
        ("<button aria-expanded=false>Dose</button><div>5</div>", "Dose\n\n5"),
        ('<button data-bs-toggle="collapse">Dose</button><div>5</div>', "Dose\n\n5"),
        ("<button>May children take it?</button><div>No</div>", "May children take it?\n\nNo"),
        ("<button>Why?</button><button>Who?</button>", "Why? Who?"),
        ("<p>Take <button>5 mg</button> daily.</p>", "Take 5 mg daily."),
        ("<p>x</p><button>Copy</button><button>Submit</button>", "x"),
        ("<p>x</p><header><button aria-expanded=false>Menu</button></header>", "x"),
        ("<p>x</p><ul><li><button>Share</button></li></ul>", "x"),
        ('<div role="region" hidden>Five a day.</div>', "Five a day."),
        ('<div class="accordion-body" aria-hidden="true">Five.</div>', "Five."),
        ('<div hidden="until-found">Five.</div><div hidden>no</div>', "Five."),
        ("<details><summary>Dose</summary>5 mg</details>", "Dose\n\n5 mg"),
        ("<dialog open>Dose</dialog><dialog>no</dialog>", "Dose"),
        ("<p>x</p><select><option>1<option>2</select>", "x"),
    ],
)
def test_text_in_a_control_is_text_unless_it_only_names_what_it_does(markup, text):
    assert text_of(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<table><tr><td><p>12</p><p>x</p><td>5</table>", "12\n\nx\n\n5"),
        ('<span style="display:block">12</span><span style="display:block">5</span>', "12\n\n5"),
        ('<span style="display:inline-block">12</span><span>5</span>', "12 5"),
        ("<x-cell>12</x-cell><x-cell>5</x-cell>", "12 5"),
        ("<label>12</label><output>5</output>", "12 5"),
        ('12<img alt="5">3', "12 5 3"),
        ("soft&shy;ware 5<wbr>0", "software 50"),
        ("5<br>3", "5\n3"),
    ],
)
def test_boxes_that_meet_join_no_numbers(markup, text):
    assert text_of(markup) == text


def test_controls_in_a_page_part_words():
    assert text_of("The years were 1990\x002001 and &#x1;no more than that.").startswith(
        "The years were 1990 2001 and no"
    )
    with pytest.raises(UnreadableError):
        text_of("<p>\0\0</p>")
