import mir_eval
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_modules.corpora.base import BadTrack
from data_modules.labels import check
from data_modules.spans import Spans
from musicfm_pl.heads.chord_vocabulary import ChordVocabulary, VocabularyName

DEGREES = st.builds("{}{}{}".format, st.sampled_from(["", "*"]), st.text("b#", max_size=2), st.integers(1, 13))
QUALITIES = sorted(mir_eval.chord.EXTENDED_QUALITY_REDUX | mir_eval.chord.QUALITIES)
HARTE = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from("ABCDEFG"),
    st.text("b#", max_size=3),
    st.sampled_from(["", *(f":{quality}" for quality in QUALITIES), *QUALITIES]),
    st.just("") | st.lists(DEGREES, min_size=1, max_size=3).map(lambda degrees: f"({','.join(degrees)})"),
    st.just("") | DEGREES.map("/{}".format),
)
"""Labels of Harte's grammar, and many that are nearly so."""


SIGNS = st.text("ABCDEFGb#:/(),*majindug0123456789", max_size=10)


@pytest.mark.parametrize("name", ["majmin", "large"])
@settings(max_examples=200)
@given(label=HARTE | st.sampled_from(["N", "X"]) | st.text(max_size=10) | SIGNS)
def test_every_label_has_a_class_or_is_refused_by_name(name: VocabularyName, label: str) -> None:
    vocabulary = ChordVocabulary(name)
    spans = {"chord": Spans.of([(0.0, 1.0, label)])}
    try:
        check(spans, 1.0, "song.lab:3")  # type: ignore[arg-type]
    except BadTrack as problem:
        assert repr(label) in str(problem)
        return
    found = vocabulary.class_of(label)
    assert found is None or 0 <= found < len(vocabulary)
    if found is not None and label != "X" and found < vocabulary.num_answers:
        # What the class is called sounds alike: mir_eval gives full marks, or cannot compare by triads.
        comparison = mir_eval.chord.majmin([label], [vocabulary.labels[found]])[0]
        assert comparison in (1.0, -1.0), (label, vocabulary.labels[found])
    elif name == "majmin":
        assert found is None
