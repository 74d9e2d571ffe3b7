import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import write_text

from data_modules.corpora.base import BadTrack
from data_modules.corpora.label_maps import RULES, FunctionMap, packaged
from data_modules.corpora.label_rows import Label
from data_modules.labels import FUNCTIONS, is_letter

HARMONIX = """
altchorus bigoutro bre break break1 break2 break3 breakdown breakdown2 bridge bridge1 bridge2 bridge3 build chorus
chorus1 chorus2 chorus3 chorus_instrumental chorushalf chorusinst choruspart drumroll fadein fast gtr gtr2 gtrbreak
guitar guitarsolo inst inst2 instbridge instchorus instintro instrumental instrumental2 instrumental3
instrumentalverse intchorus intro intro2 intro3 intro4 intro5 intro6 intro7 intro8 introchorus intropt2 introverse
mainriff mainriff2 miniverse oddriff opening outro outro1 outro2 outro3 outroa postchorus postchorus2 postverse
prechorus prechorus2 prechorus3 prechorus5 preverse quiet quietchorus raps refrain rhythmlessintro saxobeat section
section1 section10 section11 section12 section13 section14 section15 section16 section17 section2 section3 section4
section5 section6 section7 section8 section9 silence slow slow2 slowverse solo solo2 solo3 stutter synth transition
transition1 transition2 transition2a transition3 verse verse1 verse10 verse11 verse1a verse2 verse3 verse4 verse5
verse6 verse7 verse8 verse9 verse_slow verseinst versepart vocaloutro worstthingever
"""
"""Every label in the segments of Harmonix Set 1.2 but `end`."""

SALAMI = """
Verse Chorus Silence no_function Solo Intro Outro Interlude Theme Transition Bridge Instrumental Head Pre-Chorus
Main_Theme Coda Fade-out Secondary_Theme silence Pre-Verse post-chorus break applause Development voice outro
stage_sounds spoken groove variation Secondary_theme male Recap spoken_voice tag ostinato dialog d/b crowd_sounds banjo
stage_speaking variation_2 vocals Exposition call_and_response response post-verse contrasting_middle b/c'
post-cadential violin hammond &pause count-in variation_1 steel vocalizations muted backing harpsichord pick-up bass
build da_capo gypsy Break a'/a'' piano ritornello Code trumpet out guitar third first female w/dialog organ strings
piece_1 piece_2 bagpipes
"""
"""Every label in the parsed functions of SALAMI 2.0 but `End`."""

OURS = {"no_function": "verse", "d/b": "verse", "b/c'": "verse", "a'/a''": "verse", "Code": "outro"}
"""Where salami.csv and Algorithm 1 differ, after a verse."""

COMPOUNDS = """
postchorus postchorus2 PostChorus preverse postverse halfverse halfchorus guitarsolo gtrsolo preintro altchorus
altprechorus miniverse bigoutro fadeout drumbreak pianosolo saxsolo vocalsolo instbridge introverse instrumentalverse
intchorus quietchorus rhythmlessintro vocaloutro
"""
"""Words that a rule fits after a prefix, as in Harmonix."""

APART = {
    "pre chorus": "verse", "pre_chorus": "verse", "Pre Chorus": "verse", "PRE_CHORUS 2": "verse",
    "Pre - Chorus": "verse", "post chorus": "chorus", "Main Theme": "chorus", "Main_Theme": "chorus",
    "main-theme": "chorus", "Solo_1": "inst",
}  # fmt: skip

OPEN = ("harmonix", "isophonics", "salami")
"""The maps of JAMS' `segment_open`."""

PUBLISHED = {
    "prechorus": "verse", "pre-chorus": "verse", "postchorus": "chorus", "refrain": "chorus", "instchorus": "chorus",
    "instrumentalverse": "verse", "introverse": "verse", "solo": "inst", "instrumental": "inst", "breakdown": "inst",
    "transition2a": "bridge", "fadein": "intro", "bigoutro": "outro", "Fade-out": "outro", "coda": "outro",
    "guitar": "inst", "silence": "silence", "Main_Theme": "chorus", "interlude": "inst", "build": "verse",
}  # fmt: skip


def algorithm_1(label: str) -> str:
    """As Wang, Hung and Smith publish it: what a label contains anywhere, and `inst` if nothing."""
    return next((function for part, function in packaged(RULES, "begins").items() if part in label.lower()), "inst")


@pytest.mark.parametrize("names", [("harmonix",), OPEN])
@pytest.mark.parametrize("label", HARMONIX.split())
def test_every_label_of_harmonix_has_its_published_function(names: tuple[str, ...], label: str) -> None:
    assert FunctionMap(*names).function_of(label, "x:1") == algorithm_1(label)


@pytest.mark.parametrize("names", [("salami",), OPEN])
@pytest.mark.parametrize("label", SALAMI.split())
def test_every_label_of_salami_has_a_function(names: tuple[str, ...], label: str) -> None:
    assert FunctionMap(*names).function_of(label, "x:1", previous="verse") == OURS.get(label, algorithm_1(label))


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize(("label", "function"), PUBLISHED.items())
def test_the_published_rules(name: str, label: str, function: str) -> None:
    assert FunctionMap(name).function_of(label, "x:1") == function


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize(("label", "function"), PUBLISHED.items())
def test_a_word_in_capitals_is_no_letter(name: str, label: str, function: str) -> None:
    assert FunctionMap(name).function_of(label.upper(), "x:1") == function


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize("label", COMPOUNDS.split())
def test_a_compound_has_the_published_function_in_every_map(name: str, label: str) -> None:
    assert FunctionMap(name).function_of(label, "x:1") == algorithm_1(label)


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize(("label", "function"), APART.items())
def test_spaces_and_underscores_count_as_hyphens(name: str, label: str, function: str) -> None:
    assert FunctionMap(name).function_of(label, "x:1") == function


def test_rows_with_spaces_or_underscores_count_for_their_like_after_what_is_written(tmp_path: Path) -> None:
    for label in ("middle_eight", "middle eight", "Middle-Eight"):
        assert FunctionMap("isophonics").function_of(label, "x:1") == "bridge"
    assert FunctionMap("salami").function_of("Key_change", "x:1") == "inst"
    table = write_text(tmp_path / "mine.csv", "label,function,basis\nmiddle eight,inst,own\npre_chorus,bridge,own\n")
    own = FunctionMap("isophonics", table=table)
    assert [own.function_of(label, "x:1") for label in ("middle eight", "middle-eight")] == ["inst", "inst"]
    assert own.function_of("middle_eight", "x:1") == "bridge"
    assert [own.function_of(label, "x:1") for label in ("Pre Chorus", "prechorus")] == ["bridge", "verse"]
    with pytest.raises(BadTrack, match=r"the section 'My_Kazoo'; .* the row `my_kazoo,FUNCTION,inferred`"):
        own.function_of("My_Kazoo", "x:1")


def test_rules_are_written_with_hyphens_and_fit_no_label_that_has_a_row() -> None:
    assert not any(re.search(r"[\s_]", part) for part in packaged(RULES, "begins"))
    bare = FunctionMap()
    for name in OPEN:
        for label in packaged(name):
            with pytest.raises(BadTrack):
                bare.function_of(label, "x:1")


@pytest.mark.parametrize("names", [("harmonix",), ("salami",), ("isophonics",), OPEN])
@pytest.mark.parametrize(
    "label",
    ["KAZOO", "AB", "OK'", "without drums", "wrap-up", "shout", "scrap", "ABA", "a", "prepare", "guitar_without"],
)
def test_chance_hits_and_words_in_capitals_are_refused(names: tuple[str, ...], label: str) -> None:
    with pytest.raises(BadTrack, match=f"x:1: no function is known for the section {label!r}; "):
        FunctionMap(*names).function_of(label, "x:1")


@pytest.mark.parametrize("label", ["noise", "key change", "modulation"])
def test_sections_of_billboard_without_a_role_have_the_default(label: str) -> None:
    assert FunctionMap("salami").function_of(label, "x:1") == algorithm_1(label) == "inst"


def test_no_label_has_two_functions_in_the_maps_that_are_read_together() -> None:
    rows = [(label, function) for name in OPEN for label, function in packaged(name).items()]
    assert len(set(rows)) == len(dict(rows))
    alike = [(re.sub(r"[\s_]", "-", label), function) for label, function in rows]
    assert len(set(alike)) == len(dict(alike))


@pytest.mark.parametrize("name", ["harmonix", "salami", "isophonics"])
@given(st.from_regex(r"([A-Z])\1?[0-9]?'{0,2}", fullmatch=True))
def test_letters_of_similarity_stay_letters(name: str, label: str) -> None:
    assert FunctionMap(name).function_of(label, "x:1") == label


@pytest.mark.parametrize(
    ("namespace", "name", "some", "ours"),
    [
        ("segment_salami_function", "salami", {"verse", "no_function", "post-cadential"}, OURS),
        (
            "segment_tut",
            "isophonics",
            {"GuitarS", "MR", "Si", "Refrain+Coda"},
            {"Close": "outro", "Closing": "outro", "long_connector": "bridge", "short_connector": "bridge"},
        ),
    ],
)
def test_every_function_that_jams_knows_has_a_row(
    namespace: str, name: str, some: set[str], ours: dict[str, str]
) -> None:
    jams = pytest.importorskip("jams")
    known = jams.schema.namespace(namespace)["properties"]["value"]["enum"]
    assert some <= set(known)
    functions = FunctionMap(name)
    for label in known:
        if label != "end":
            found = functions.function_of(label, "x:1", previous="verse")
            assert found == ours.get(label, algorithm_1(label)), label


@pytest.mark.parametrize("name", ["harmonix", "salami", "isophonics"])
@given(label=st.text(max_size=12))
def test_any_other_label_is_refused_by_name_or_a_letter(name: str, label: str) -> None:
    try:
        found = FunctionMap(name).function_of(label, "song.lab:7")
    except BadTrack as problem:
        assert str(problem).startswith("song.lab:7: ")
        assert repr(label) in str(problem)
        assert f"maps/{name}.csv" in str(problem)
        assert "maps/functions.csv" in str(problem)
    else:
        assert found in FUNCTIONS or (found == label and is_letter(label) and len(set(re.findall("[A-Z]", label))) == 1)


def rows(*labels: str) -> list[Label]:
    return [Label(f"x:{number}", number, number + 1, label) for number, label in enumerate(labels, start=1)]


def test_no_function_is_that_of_the_music_before() -> None:
    given_rows = rows("no_function", "Silence", "no_function", "Intro", "no_function", "A'", "Silence", "no_function")
    found = [(row.start_s, row.label) for row in FunctionMap("salami").applied(given_rows)]
    assert found == [(2, "silence"), (4, "intro"), (5, "intro"), (6, "A'"), (7, "silence"), (8, "A'")]


def test_a_table_of_ones_own_goes_before(tmp_path: Path) -> None:
    table = write_text(
        tmp_path / "mine.csv", "# ours\nlabel,function,basis\nTheremin Fit,inst,inferred\nprechorus,bridge,inferred\n"
    )
    functions = FunctionMap("harmonix", table=table)
    assert functions.function_of("theremin fit", "x:1") == "inst"
    assert functions.function_of("prechorus", "x:1") == "bridge"
    assert functions.function_of("bre", "x:1") == "inst"
    with pytest.raises(BadTrack, match=r"x:1: .*'kazoo'; looked in .*mine\.csv.*: name a table of your own"):
        functions.function_of("kazoo", "x:1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"mine\.csv: the first row that is no comment must be label,function,basis"),
        ("kazoo,inst,x\n", r"mine\.csv:1: the first row"),
        ("# c\nlabel,function,basis\nkazoo,noise,x\n", r"mine\.csv:3: 'kazoo,noise,x' names none of intro"),
        ("label,function,basis\nkazoo,inst\n", r"mine\.csv:2: "),
        ("label,function,basis\nkazoo,inst,x\nKazoo,inst,x\n", r"mine\.csv:3: 'Kazoo' has a row already"),
    ],
)
def test_a_bad_table_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FunctionMap("harmonix", table=write_text(tmp_path / "mine.csv", content))
    with pytest.raises(FileNotFoundError, match="label_map: no such file"):
        FunctionMap("harmonix", table=tmp_path / "absent.csv")
