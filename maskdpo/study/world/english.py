"""The English texts of the study's world.

The rule: a value belongs to one attribute only, and begins with a consonant where "a" precedes it.
"""

from __future__ import annotations

from maskdpo.study.world.grammar import Language, attribute

_LIFE, _WORK, _HOME = 0, 1, 2

ENGLISH = Language(
    code="en",
    gap=" ",
    end=".",
    joiners=(" and ", ", and also "),
    pronouns=("He", "She"),
    possessives=("His", "Her"),
    relatives=("brother", "sister", "father", "cousin", "neighbour", "teacher"),
    questions=("Who is {}?", "How does {} earn a living?", "How does {} live?"),
    fillers=(
        "Here is what is known about {}.",
        "This is a short answer.",
        "There is a little more to say.",
        "That is all.",
    ),
    attributes=(
        attribute("birthplace", _LIFE, "was born in {}|comes from {}|is a native of {}"),
        attribute(
            "school_year",
            _LIFE,
            "left school in {}|finished school in {}|was at school until {}",
            " ".join(str(year) for year in range(1921, 1937)),
        ),
        attribute(
            "subject",
            _LIFE,
            "studied {}|has a degree in {}|went to college for {}",
            "history algebra botany geology law theology medicine logic physics grammar zoology "
            "surveying geometry rhetoric",
        ),
        attribute(
            "language",
            _LIFE,
            "speaks {}|is fluent in {}|learned {} as a child",
            "Danish Greek Basque Latin Finnish Welsh Polish Turkish Swahili Hindi Korean Czech "
            "Maltese Irish",
        ),
        attribute(
            "sport",
            _LIFE,
            "won a medal in {}|was a champion in {}|once took a prize in {}",
            "rowing fencing archery wrestling swimming skating cycling diving golf cricket judo "
            "tennis sailing boxing",
        ),
        attribute(
            "marriage",
            _LIFE,
            "married a {}|is married to a {}|shares a home with a {}",
            "nurse pilot dentist judge soldier poet dancer singer lawyer chemist librarian "
            "barber juggler diplomat",
        ),
        attribute(
            "journey",
            _LIFE,
            "travelled to {}|once sailed to {}|made a journey to {}",
            "Norway Peru Kenya Cuba Iceland Nepal Chile Malta Japan Ghana Bolivia Egypt Samoa Fiji",
        ),
        attribute(
            "work",
            _WORK,
            "works as a {}|earns a living as a {}|is a {} by trade",
            "baker potter weaver miller mason tailor farmer painter printer brewer glazier "
            "cooper tanner carpenter gardener",
        ),
        attribute("employer", _WORK, "works for {}|is employed by {}|has a post at {}"),
        attribute(
            "tool",
            _WORK,
            "uses a {}|needs a {} for the work|carries a {}",
            "hammer chisel ruler sickle ladder needle shovel kettle wrench compass razor "
            "whistle bucket lantern",
        ),
        attribute(
            "material",
            _WORK,
            "works with {}|handles {}|knows all about {}",
            "copper leather clay marble wool granite wax bronze linen rubber cork felt amber tin",
        ),
        attribute(
            "transport",
            _WORK,
            "goes to work by {}|travels to work by {}|arrives by {}",
            "tram ferry bicycle train bus canoe sledge taxi scooter carriage lorry tractor "
            "barge gondola",
        ),
        attribute(
            "workplace",
            _WORK,
            "has a room in a {}|sits in a {}|spends the day in a {}",
            "cellar tower barn harbour castle chapel factory market stable hut mansion "
            "lighthouse bunker tent",
        ),
        attribute(
            "award",
            _WORK,
            "was given a {}|received a {} as a reward|got a {} for good work",
            "clock trophy banner medallion goblet crown brooch pendant ribbon sword vase "
            "plaque bracelet shield",
        ),
        attribute(
            "animal",
            _HOME,
            "keeps a {}|owns a {}|looks after a {}",
            "goat parrot turtle falcon ferret pony donkey rabbit goose lizard hedgehog pigeon "
            "squirrel mule",
        ),
        attribute(
            "colour",
            _HOME,
            "wears {}|dresses in {}|prefers clothes in {}",
            "crimson violet olive indigo scarlet ivory teal maroon turquoise beige magenta "
            "silver khaki lilac",
        ),
        attribute(
            "dish",
            _HOME,
            "likes to eat {}|is fond of {}|often cooks {}",
            "dumplings lentils pancakes mushrooms noodles omelettes pickles walnuts cabbage "
            "porridge sardines turnips figs plums",
        ),
        attribute(
            "instrument",
            _HOME,
            "plays the {}|practises the {}|makes music on the {}",
            "violin flute harp drum cello oboe lute trumpet organ banjo clarinet zither fiddle "
            "tuba",
        ),
        attribute(
            "pastime",
            _HOME,
            "spends evenings with {}|relaxes with {}|passes the time with {}",
            "chess astronomy embroidery origami calligraphy dominoes knitting poetry billiards "
            "photography carving puzzles cards marbles",
        ),
        attribute(
            "plant",
            _HOME,
            "grows {}|plants {} in spring|has a garden full of {}",
            "roses tulips beans lavender thistles pumpkins daisies ferns onions lilies mint "
            "peppers orchids clover",
        ),
        attribute(
            "collection",
            _HOME,
            "collects {}|has a box of {}|searches for {}",
            "stamps coins shells buttons maps fossils keys bottles feathers spoons masks beads "
            "postcards thimbles",
        ),
    ),
)
