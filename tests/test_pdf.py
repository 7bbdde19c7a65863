"""PDFs: no number, heading or mark is lost or changed on the way to a document."""

import io
import random

import pytest

from annotator.documents.readers.pdf.raised import mark
from annotator.documents.readers.pdf.reader import read_pdf

WORDS = (
    "the town had people in this hospital where they lived for years and then moved along "
    "river bridge opened when most of its owners were still young children at school nearby"
).split()


class Draw:
    """Writes pages: each method puts text somewhere and returns the place behind it."""

    def __init__(self):
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.cidfonts import UnicodeCIDFont
        from reportlab.pdfgen.canvas import Canvas

        pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
        self.out = io.BytesIO()
        self.canvas = Canvas(self.out)

    def at(self, x, y, text, size=11, font="Helvetica"):
        self.canvas.setFont(font, size)
        self.canvas.drawString(x, y, text)
        return x + self.canvas.stringWidth(text, font, size)

    def run(self, x, y, *parts, size=11, small=7, font="Helvetica"):
        """Plain text, and (text, rise) for raised or lowered text in small type."""
        for part in parts:
            text, rise = (part, 0) if isinstance(part, str) else part
            x = self.at(x, y + rise, text, small if rise else size, font)
        return x

    def lines(self, lines, x=72, y=700, size=11, step=14):
        for number, line in enumerate(lines):
            self.at(x, y - step * number, line, size)

    def page(self):
        self.canvas.showPage()

    def read(self):
        self.canvas.save()
        return read_pdf(self.out.getvalue(), max_chars=10**7)


@pytest.fixture
def draw():
    return Draw()


def read_pages(draw, write, count):
    for number in range(1, count + 1):
        write(number)
        draw.page()
    return draw.read()


def prose(seed, count, words=9):
    """Lines of one paragraph, in small letters but for the first."""
    rng = random.Random(seed)
    lines = [" ".join(rng.choice(WORDS) for _ in range(words)) for _ in range(count)]
    lines[0] = lines[0].capitalize()
    lines[-1] += "."
    return lines


def wrapped(seed, count, width, size=10):
    """Lines of one paragraph, wrapped at a width in points."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    rng = random.Random(seed)
    lines, line = [], "Once"
    while len(lines) < count:
        word = rng.choice(WORDS)
        if stringWidth(f"{line} {word}", "Helvetica", size) > width:
            lines.append(line)
            line = word
        else:
            line += f" {word}"
    return lines


# --- raised and lowered ---


@pytest.mark.parametrize(
    ("text", "raised", "marked"),
    [
        ("5", True, "⁵"),
        ("-3", True, "⁻³"),
        ("−3", True, "⁻³"),
        ("12", True, "¹²"),
        ("6.5", True, "^{6.5}"),
        ("k", True, "^{k}"),
        ("n", True, "ⁿ"),
        ("2", False, "₂"),
        ("10", False, "₁₀"),
        ("max", False, "_{max}"),
        ("1,2", True, " [1,2]"),
        ("3–5", True, " [3–5]"),
        ("1, 2", True, " [1, 2]"),
        ("*", True, "*"),
        ("†", True, "†"),
        ("TM", True, "™"),
    ],
)
def test_what_is_raised_or_lowered_is_marked(text, raised, marked):
    assert mark(text, raised) == marked


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (["10", ("5", 5), " cells"], "10⁵ cells"),
        (["in 1990", ("12", 5), " by Ann"], "in 1990¹² by Ann"),
        (["in 1990", ("12", 5), ", by Ann"], "in 1990¹², by Ann"),
        (["CO", ("2", -3), " rose"], "CO₂ rose"),
        (["H", ("2", -2), "O is wet"], "H₂O is wet"),
        (["people", ("1,2", 4), " moved"], "people [1,2] moved"),
        (["in 1950", ("3–5", 4), " they"], "in 1950 [3–5] they"),
        (["10", ("-3", 5), " m"], "10⁻³ m"),
        (["log", ("10", -3), "5 is"], "log_{10}5 is"),
        (["10", ("6.5", 5), " cells"], "10^{6.5} cells"),
        (["2", ("k", 5), " leaves"], "2^{k} leaves"),
        (["the 1", ("st", 4), " of May"], "the 1st of May"),
        (["the ", ("14", 5), "C date"], "the ¹⁴C date"),
        (["1990", ("*", 4), " and"], "1990* and"),
        (["x", ("max", -3), " is 5"], "x_{max} is 5"),
        (["5", ("1", 4), "/", ("2", -2), " h"], "5¹/₂ h"),
    ],
)
def test_raised_digits_never_join_the_number_before_them(draw, parts, text):
    draw.run(72, 700, "It is ", *parts, " here.")
    assert f"It is {text} here." in draw.read().text


def test_what_is_raised_as_large_as_its_line(draw):
    draw.run(72, 700, "The town had 10", ("5", 4), " people.", small=11)
    assert draw.read().text == "The town had 10⁵ people."


def test_random_numbers_and_raised_digits_keep_both(draw):
    rng = random.Random(3)
    expected = []
    digits = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    for row in range(40):
        number, power = str(rng.randint(1, 9999)), str(rng.randint(0, 99))
        size = rng.choice([8, 10, 12])
        rise, small = size * rng.uniform(0.25, 0.5), size * rng.uniform(0.5, 0.75)
        draw.run(72, 780 - 18 * row, "A ", number, (power, rise), " z.", size=size, small=small)
        expected.append(f"A {number}{power.translate(digits)} z.")
    text = draw.read().text
    assert [line for line in expected if line not in text] == []


def test_raised_text_that_is_drawn_later_comes_where_it_belongs(draw):
    end = draw.at(72, 700, "The town had 10")
    other = draw.at(end + 5, 700, " people in 1990")
    draw.at(other + 9, 700, " when it was founded.")
    draw.at(72, 686, "Nothing else was said of it.")
    draw.at(other, 705, "12", 7)
    draw.at(end, 705, "5", 7)
    text = draw.read().text
    assert "had 10⁵ people in 1990¹² when it was founded. Nothing" in text


def test_raised_text_in_the_room_that_one_string_leaves(draw):
    end = draw.at(72, 700, "The town had 10   people in 1990.")
    assert end
    draw.at(72 + draw.canvas.stringWidth("The town had 10", "Helvetica", 11), 705, "5", 7)
    assert draw.read().text == "The town had 10⁵ people in 1990."


def test_a_raised_mark_with_room_before_it_belongs_to_what_is_before(draw):
    end = draw.at(72, 700, "It opened in 1999")
    draw.at(end + 4.3, 704, "12", 7)
    draw.at(end + 15, 700, "and closed later.")
    assert draw.read().text == "It opened in 1999¹² and closed later."


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
@pytest.mark.parametrize("page_turned", [0, 90, 180, 270])
def test_pages_and_texts_that_are_turned(draw, angle, page_turned):
    draw.canvas.setPageRotation(page_turned)
    draw.canvas.translate(300, 400)
    draw.canvas.rotate(angle)
    draw.run(-200, 50, "The town had 10", ("5", 5), " people in 1990", ("12", 5), " and")
    draw.at(-200, 36, "it had 7 bridges.")
    assert draw.read().text == "The town had 10⁵ people in 1990¹² and it had 7 bridges."


def test_a_page_in_another_scale(draw):
    draw.canvas.scale(0.1, 0.1)
    draw.run(720, 7000, "The town had 10", ("5", 50), " people.", size=110, small=70)
    assert draw.read().text == "The town had 10⁵ people."


def test_what_is_lowered_in_one_line_is_not_raised_in_the_next(draw):
    end = draw.at(72, 700, "The town has much CO")
    draw.at(draw.at(end, 696, "2", 7), 700, " in it and")
    draw.at(end - draw.canvas.stringWidth("it has", "Helvetica", 11), 689, "it has")
    draw.at(end + 4, 689, "19 bridges.")
    text = draw.read().text
    assert "CO₂ in it" in text
    assert "²" not in text


def test_type_made_small_by_its_scale(draw):
    x = draw.at(72, 700, "Much CO")
    draw.canvas.saveState()
    draw.canvas.translate(x, 698.8)
    draw.canvas.scale(0.6, 0.6)
    x += 0.6 * draw.at(0, 0, "2")
    draw.canvas.restoreState()
    draw.at(x, 700, " rose.")
    assert draw.read().text == "Much CO₂ rose."


def test_chinese_with_raised_digits(draw):
    draw.run(
        72, 700, "人口为10", ("5", 5), "人，", "建于1990年", ("1", 5), "。后来", font="STSong-Light"
    )
    assert draw.read().text == "人口为10⁵人，建于1990年¹。后来"


def test_small_capitals_quotes_and_degrees_are_not_raised(draw):
    x = draw.at(72, 700, "The N")
    x = draw.at(x, 700, "ATO", 8)
    draw.at(x, 700, ' met at 25°C: "yes", 5\' and 10* of it.')
    assert draw.read().text == 'The NATO met at 25°C: "yes", 5\' and 10* of it.'


def test_a_drop_cap_raises_nothing(draw):
    x = draw.at(72, 686, "O", 36)
    draw.at(x, 700, "nce upon", 11)
    draw.at(x, 686, "a time in 1990", 11)
    text = draw.read().text
    assert "^" not in text
    assert "nce upon" in text


def test_a_footnote_that_starts_with_a_raised_number(draw):
    draw.lines(prose(1, 5))
    draw.run(72, 100, ("1", 3), " See the report of 1990.", size=8, small=5)
    assert "¹ See the report of 1990." in draw.read().text


def test_small_type_beside_large_type_is_no_mark(draw):
    x = draw.at(72, 700, "Total", 14)
    draw.at(x + 5, 702, "euros", 9)
    text = draw.read().text
    assert "^" not in text
    assert "Total euros" in text


# --- spaces ---


def test_touching_characters_are_never_parted_and_cells_never_joined(draw):
    x = draw.at(72, 700, "In 19")
    draw.at(x, 700, "90 it grew.")
    for column, value in enumerate(("12", "5", "7")):
        draw.at(72 + 12 * column + 6 * column, 600, value)
    text = draw.read().text
    assert "In 1990 it grew." in text
    assert "12 5 7" in text


@pytest.mark.parametrize("gap", [2.5, 4, 6, 9, 14, 30])
def test_numbers_of_neighbouring_cells_never_join(draw, gap):
    x = draw.at(72, 700, "12")
    draw.at(x + gap, 700, "5")
    draw.lines(prose(2, 4), y=600)
    assert "12 5" in draw.read().text


@pytest.mark.parametrize("spacing", [1, 2, 3, 5])
def test_letters_set_apart_stay_words(draw, spacing):
    text = draw.canvas.beginText(72, 700)
    text.setFont("Helvetica", 12)
    text.setCharSpace(spacing)
    text.textLine("THE HARBOUR IN 1990")
    draw.canvas.drawText(text)
    assert draw.read().text == "THE HARBOUR IN 1990"


def test_letters_drawn_one_by_one_stay_words(draw):
    x = 72
    for letter in "HARBOUR":
        x = draw.at(x, 700, letter) + 3
    assert draw.read().text == "HARBOUR"


def test_digits_drawn_apart_stay_apart(draw):
    x = 72
    for digit in "12345":
        x = draw.at(x, 700, digit) + 4
    assert draw.read().text == "1 2 3 4 5"


@pytest.mark.parametrize("spacing", [-1, 0, 2, 4, 7])
def test_justified_lines(draw, spacing):
    text = draw.canvas.beginText(72, 700)
    text.setFont("Helvetica", 11)
    text.setWordSpace(spacing)
    text.textLine("In 1990 the town had 12 5 bridges.")
    draw.canvas.drawText(text)
    assert draw.read().text == "In 1990 the town had 12 5 bridges."


# --- headers, footers, page numbers ---


@pytest.mark.parametrize("word", ["Article", "Chapter", "Patient", "Table", "Day", "Topic"])
@pytest.mark.parametrize("count", [2, 3, 6])
@pytest.mark.parametrize(("size", "y"), [(11, 780), (14, 780), (11, 740)])
def test_headings_that_count_with_the_pages_stay(draw, word, count, size, y):
    def write(number):
        draw.at(72, y, f"{word} {number}", size)
        draw.lines(prose(number, 8), y=700)

    found = read_pages(draw, write, count)
    assert all(f"{word} {number}" in found.text for number in range(1, count + 1))
    assert found.dropped == ()


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("y", [790, 420, 40])
def test_forms_whose_only_line_counts_stay(draw, count, y):
    found = read_pages(draw, lambda n: draw.at(72, y, f"Paragraph of page {n} goes on."), count)
    assert all(f"Paragraph of page {n}" in found.text for n in range(1, count + 1))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_pages_with_nothing_but_their_number_stay(draw, count):
    found = read_pages(draw, lambda n: draw.at(300, 30, str(n)), count)
    assert found.text.split() == [str(n) for n in range(1, count + 1)]


def test_pages_with_two_numbers_and_nothing_else_stay(draw):
    def write(number):
        draw.at(300, 800, str(number), 9)
        draw.at(300, 30, f"Page {number}", 9)

    found = read_pages(draw, write, 3)
    assert found.dropped == ()


@pytest.mark.parametrize("word", ["Article", "Patient", "Table"])
def test_heading_words_that_count_stay_in_small_type(draw, word):
    def write(number):
        draw.at(72, 800, f"{word} {number}", 9)
        draw.lines(prose(number, 12), y=740)

    assert read_pages(draw, write, 4).dropped == ()


def test_slides_with_three_lines_stay(draw):
    def write(number):
        draw.lines(
            [f"Ward {number} has a kitchen.", "It was opened by the mayor.", "Thanks."], y=450
        )

    found = read_pages(draw, write, 4)
    assert found.text.count("It was opened by the mayor.") == 4
    assert found.text.count("Thanks.") == 4
    assert found.dropped == ()


def test_a_repeated_line_in_mid_page_stays(draw):
    def write(number):
        draw.at(72, 550, "It was opened by the mayor.")
        draw.lines(prose(number, 6), y=450)

    assert read_pages(draw, write, 4).dropped == ()


@pytest.mark.parametrize(
    "form",
    ["{n}", "- {n} -", "{n} / 9", "Page {n} of 9", "Page {n}", "S. {n}", "Seite {n} von 9", "{r}"],
)
@pytest.mark.parametrize("y", [30, 810])
def test_page_numbers_are_dropped_and_reported(draw, form, y):
    def write(number):
        draw.at(280, y, form.format(n=number, r=["i", "ii", "iii", "iv"][number - 1]), 9)
        draw.lines(prose(number, 12), y=740)

    found = read_pages(draw, write, 4)
    assert [(item.kind, item.page) for item in found.dropped] == [
        ("page_number", number) for number in range(1, 5)
    ]
    assert "von" not in found.text
    assert "9" not in found.text


def test_the_number_of_a_page_that_runs_long_is_dropped_too(draw):
    def write(number):
        draw.lines(prose(number, 14), y=740)
        draw.lines(prose(number + 9, 3), y=45 + 32)
        draw.at(280, 32, f"Page {number} of 4", 9)

    found = read_pages(draw, write, 4)
    assert [item.text for item in found.dropped] == [f"Page {n} of 4" for n in range(1, 5)]
    assert "of 4" not in found.text


def test_chinese_page_numbers(draw):
    def write(number):
        draw.at(280, 30, f"第{number}页", 9, "STSong-Light")
        draw.lines(prose(number, 12), y=740)

    found = read_pages(draw, write, 3)
    assert [item.text for item in found.dropped] == ["第1页", "第2页", "第3页"]


def test_headers_and_footers_are_dropped_and_reported(draw):
    def write(number):
        draw.at(72, 800, "Annual report of the harbour", 9)
        draw.lines(prose(number, 12), y=740)
        draw.at(72, 30, f"Journal of Testing {number + 16}", 8)

    found = read_pages(draw, write, 4)
    kinds = {(item.kind, item.text) for item in found.dropped}
    assert ("header", "Annual report of the harbour") in kinds
    assert ("footer", "Journal of Testing 17") in kinds
    assert len(found.dropped) == 8
    assert "Journal" not in found.text
    assert "Annual" not in found.text


def test_a_header_in_two_cells(draw):
    def write(number):
        draw.at(72, 800, "Annual report", 9)
        draw.at(500, 800, str(number), 9)
        draw.lines(prose(number, 12), y=740)

    found = read_pages(draw, write, 4)
    assert [item.text for item in found.dropped] == [f"Annual report {n}" for n in range(1, 5)]


def test_headers_of_even_and_odd_pages(draw):
    def write(number):
        draw.at(72, 800, f"{number} Smith and Jones" if number % 2 else "The harbour", 9)
        draw.lines(prose(number, 12), y=740)

    found = read_pages(draw, write, 6)
    assert len(found.dropped) == 6


def test_a_repeated_heading_right_above_the_text_stays(draw):
    def write(number):
        draw.at(72, 780, "Findings")
        draw.lines(prose(number, 12), y=766)

    found = read_pages(draw, write, 5)
    assert found.text.count("Findings") == 5
    assert found.dropped == ()


def test_equal_lines_of_two_pages_stay(draw):
    def write(number):
        draw.at(72, 800, "Findings", 9)
        draw.lines(prose(number, 12), y=740)

    assert read_pages(draw, write, 2).text.count("Findings") == 2


def test_a_repeated_line_in_large_type_stays(draw):
    def write(number):
        draw.at(72, 800, "Findings", 20)
        draw.lines(prose(number, 12), y=740)

    assert read_pages(draw, write, 4).text.count("Findings") == 4


def test_a_number_that_does_not_count_with_the_pages_stays(draw):
    def write(number):
        draw.at(72, 800, str(number * 7), 9)
        draw.lines(prose(number, 12), y=740)

    found = read_pages(draw, write, 4)
    assert found.dropped == ()
    assert "28" in found.text


@pytest.mark.parametrize("seed", range(12))
def test_nothing_of_the_body_vanishes(seed):
    rng = random.Random(seed)
    draw = Draw()
    count, size = rng.randint(1, 6), rng.choice([9, 11, 12])
    top, step = rng.randint(500, 800), rng.choice([1.2, 1.5, 2.0]) * size
    bodies = []
    with_header, with_number = rng.random() < 0.5, rng.random() < 0.5
    for page in range(count):
        body = [
            f"Item{page}x{row} has {rng.randint(1, 9999)} tons."
            for row in range(rng.randint(1, int((top - 60) / step)))
        ]
        bodies += body
        if with_header:
            draw.at(72, 825, "The header", 7)
        draw.lines(body, y=top, size=size, step=step)
        if with_number:
            draw.at(300, 15, str(page + 1), 7)
        draw.page()
    found = draw.read()
    assert [line for line in bodies if line not in found.text] == []


# --- columns ---


def row_by_row(draw, columns, xs, *, y=700, step=13, size=10):
    for row in range(max(map(len, columns))):
        for column, x in zip(columns, xs, strict=True):
            if row < len(column):
                draw.at(x, y - step * row, column[row], size)


@pytest.mark.parametrize("row_wise", [True, False])
@pytest.mark.parametrize("xs", [(72, 310), (50, 225, 400)])
def test_columns_are_read_one_after_the_other(draw, row_wise, xs):
    columns = [wrapped(seed, 14 - seed, xs[1] - xs[0] - 15) for seed in range(len(xs))]
    draw.at(72, 760, "The harbour of the town and its many bridges in the nineteenth", 16)
    if row_wise:
        row_by_row(draw, columns, xs)
    else:
        for column, x in zip(columns, xs, strict=True):
            draw.lines(column, x=x, size=10, step=13)
    draw.at(72, 100, "A note below all columns runs over the whole width of the page, from end", 9)
    text = draw.read().text
    places = [text.index(" ".join(column)) for column in columns]
    assert places == sorted(places)
    assert text.startswith("The harbour of the town")
    assert text.endswith("from end")


def test_columns_on_baselines_of_their_own(draw):
    left, right = wrapped(5, 12, 220), wrapped(6, 12, 220)
    for row in range(12):
        draw.at(72, 700 - 13 * row, left[row], 10)
        draw.at(310, 696 - 13 * row, right[row], 10)
    text = draw.read().text
    assert " ".join(left) in text
    assert " ".join(right) in text


def test_chinese_columns(draw):
    left = [
        "米拉生于卡斯特德并且一直住在那里直到她去上学",
        "后来她搬到城里和她的姐姐一起开了一家小小的店",
    ] * 4
    right = [
        "港口建成以后许多人从乡下来到这座城市寻找工作",
        "他们在河边盖起了房子并且在那里生活了许多年头",
    ] * 4
    for row in range(8):
        draw.at(60, 700 - 14 * row, left[row], 10, "STSong-Light")
        draw.at(310, 700 - 14 * row, right[row], 10, "STSong-Light")
    text = draw.read().text
    assert "".join(left) in text
    assert "".join(right) in text


def test_a_table_below_columns_stays_in_rows(draw):
    left, right = wrapped(5, 10, 220), wrapped(6, 10, 220)
    for row in range(10):
        draw.at(72, 700 - 13 * row, left[row], 10)
        draw.at(310, 700 - 13 * row, right[row], 10)
    for row, cells in enumerate((("Town", "Boats", "Feet"), ("Karsted", "474", "75 ft"))):
        for x, cell in zip((72, 222, 342), cells, strict=True):
            draw.at(x, 552 - 16 * row, cell, 10)
    text = draw.read().text
    assert " ".join(left) in text
    assert " ".join(right) in text
    assert "Karsted 474 75 ft" in text


def test_rows_of_a_table_stay_rows(draw):
    rows = [(f"Town {n}", str(1900 + n), f"{n * 37} tons") for n in range(12)]
    for number, row in enumerate(rows):
        for x, cell in zip((72, 250, 400), row, strict=True):
            draw.at(x, 700 - 14 * number, cell)
    text = draw.read().text
    assert [" ".join(row) for row in rows if " ".join(row) not in text] == []


def test_rows_of_a_form_stay_rows(draw):
    rows = [
        (f"The bridge of the town number {n} was made", f"The bridge of the year {1900 + n} was")
        for n in range(10)
    ]
    for number, row in enumerate(rows):
        draw.at(50, 700 - 14 * number, row[0])
        draw.at(330, 700 - 14 * number, row[1])
    text = draw.read().text
    assert [" ".join(row) for row in rows if " ".join(row) not in text] == []


@pytest.mark.parametrize("label", ["Label {}:", "label {}"])
def test_labels_with_long_values_stay_rows(draw, label):
    values = prose(8, 10, 7)
    for number, value in enumerate(values):
        draw.at(50, 700 - 14 * number, label.format(number))
        draw.at(200, 700 - 14 * number, value)
    text = draw.read().text
    assert all(f"{label.format(number)} {value}" in text for number, value in enumerate(values))


# --- hyphens ---


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ("a long-", "term plan", "a long-term plan"),
        ("a well-", "known plan", "a well-known plan"),
        ("a state-of-the-", "art plan", "a state-of-the-art plan"),
        ("the COVID-", "19 plan", "the COVID-19 plan"),
        ("an anti-", "inflammatory plan", "an anti-inflammatory plan"),
        ("the treat-", "ment plan", "the treatment plan"),
        ("die Haus-", "tür ist", "die Haustür ist"),
        ("from 10-", "20 plans", "from 10-20 plans"),
        ("a 10-", "year plan", "a 10-year plan"),
        ("it is x-", "5 here", "it is x-5 here"),
        ("a high-", "dose plan", "a high-dose plan"),
        ("a short-", "age of", "a shortage of"),
        ("the high-", "way of", "the highway of"),
        ("with in-", "formation on", "with information on"),
        ("to under-", "stand it", "to understand it"),
        ("the base-", "line of", "the baseline of"),
        ("both short-", "and long-term", "both short- and long-term"),
        ("an Anglo-", "American plan", "an Anglo-American plan"),
        ("a well-estab-", "lished plan", "a well-established plan"),
        ("a low-", "income plan", "a low-income plan"),
        ("a follow-", "up plan", "a follow-up plan"),
        ("a three-year-", "old plan", "a three-year-old plan"),
        ("a thresh-", "old of", "a threshold of"),
        ("THE TREAT-", "MENT PLAN", "THE TREATMENT PLAN"),
    ],
)
def test_hyphens_at_line_ends(draw, first, second, joined):
    draw.lines([first, second])
    assert draw.read().text == joined


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ("a non-", "small-cell tumour", "a non-small-cell tumour"),
        ("all twenty-", "five wards", "all twenty-five wards"),
        ("the forty-", "second week", "the forty-second week"),
        ("a treat-", "ment-free year", "a treatment-free year"),
    ],
)
def test_hyphens_of_compounds_of_more_words_and_of_numbers(draw, first, second, joined):
    draw.lines([first, second])
    assert draw.read().text == joined


def test_the_document_decides_on_hyphens_before_the_lists(draw):
    draw.lines(["A longterm plan and a cloud-chamber were", "named in the long-", "term cloud-"])
    draw.lines(["chamber now."], y=658)
    assert "the longterm cloud-chamber now." in draw.read().text


@pytest.mark.parametrize(("first", "second"), [("it fell to -", "5 degrees"), ("by -", "x now")])
def test_a_minus_at_a_line_end_is_never_dropped(draw, first, second):
    draw.lines([first, second])
    assert "-" in draw.read().text


# --- what cannot be read ---


def test_pictures_are_counted(draw):
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    draw.canvas.drawImage(ImageReader(Image.new("RGB", (4, 4))), 100, 100)
    draw.at(72, 700, "A picture.")
    assert draw.read().not_read == {"images": 1}


def test_without_pictures_nothing_is_counted(draw):
    draw.at(72, 700, "No picture.")
    assert draw.read().not_read == {}
