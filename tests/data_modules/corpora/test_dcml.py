import io
import zipfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from data_modules import SAMPLE_RATE
from data_modules.corpora import dcml, dcml_movement, dcml_performance, dcml_score, dcml_source
from data_modules.corpora.base import BadTrack, Item, Kind, Track
from data_modules.corpora.dcml import Dcml
from data_modules.spans import Spans

MINIATURE = Path(__file__).parent / "dcml_miniature"
ITEM = Item("corelli/op01n01a", "corelli/op01n01", "train")
REAL = Path(__file__).parents[3] / "data" / "sources" / "dcml"


def store(root: Path, old: str = "", new: str = "", name: str = "expanded") -> Path:
    """`root` with the miniature converted into it, one string in one table replaced."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(MINIATURE.glob("*.tsv")):
            text = path.read_text()
            archive.writestr(path.name, text.replace(old, new) if name in path.name and old else text)
    dcml_source.convert(zipfile.ZipFile(buffer), root / dcml_source.STORE)
    return root


@pytest.fixture(scope="module")
def track(tmp_path_factory: pytest.TempPathFactory) -> Track:
    return Dcml(store(tmp_path_factory.mktemp("dcml")), "full").load(ITEM)


def test_chords_as_played(track: Track) -> None:
    assert track.labels["chord"].labels == (
        "F:maj", "F:maj/5", "C:7", "A:7", "D:min", "F:maj/5", "C:7", "A:7", "D:min",
        "C:7/3", "F:min", "Db:7", "F:min/5", "N",
    )  # fmt: skip


def test_keys_sections_and_tags(track: Track) -> None:
    assert track.labels["key"].labels == ("F major", "F minor")
    assert track.labels["section"].labels == ("A", "A", "B")
    assert track.labels["section"].starts_s[2] == track.labels["key"].starts_s[1]
    tags = track.labels["tag"].labels
    assert {"composer---Corelli", "metre---3/4", "mode---major"} < set(tags)
    assert sum(tag.startswith("instrument---") for tag in tags) in (1, 2)


def test_beats_count_through_the_upbeat_and_the_repeat(track: Track) -> None:
    positions = "".join(track.labels["beat"].labels)
    assert positions == "3" + "123" * 12
    steps_s = np.diff(track.labels["beat"].starts_s)
    assert steps_s.min() > 60 / 250
    assert steps_s[-1] > 1.15 * np.median(steps_s)  # the ritardando


@pytest.mark.parametrize("kind", ["chord", "key", "section"])
def test_spans_tile_the_track(track: Track, kind: Kind) -> None:
    spans = track.labels[kind]
    assert spans.starts_s[0] == 0
    assert np.array_equal(spans.starts_s[1:], spans.ends_s[:-1])
    assert spans.ends_s[-1] == pytest.approx(len(track.waveform_N) / SAMPLE_RATE, abs=1 / SAMPLE_RATE)


def test_the_audio_is_the_same_each_time(track: Track, tmp_path: Path) -> None:
    again = Dcml(store(tmp_path), "full").load(ITEM)
    assert track.waveform_N.dtype == np.float32
    assert 0.5 < np.abs(track.waveform_N).max() <= 1
    assert np.array_equal(track.waveform_N, again.waveform_N)
    assert track.labels["beat"] == again.labels["beat"]


def test_the_demo_profile_ends_at_a_bar_line(track: Track, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dcml, "EXCERPT_S", {"train": 6.0})
    short = Dcml(store(tmp_path), "demo").load(ITEM)
    num_beats = len(short.labels["beat"])
    end_s = len(short.waveform_N) / SAMPLE_RATE - dcml.TAIL_S
    assert end_s <= 6.0
    assert short.labels["beat"].labels[-1] == "3"
    assert end_s == pytest.approx(track.labels["beat"].starts_s[num_beats], abs=1e-3)


def test_without_expert_harmony_there_is_neither_chord_nor_key(tmp_path: Path) -> None:
    other = Dcml(store(tmp_path, "op01n01a", "op01n01b"), "full").load(ITEM)
    assert set(other.labels) == {"beat", "section", "tag"}
    assert not any(tag.startswith("mode") for tag in other.labels["tag"].labels)


@pytest.mark.parametrize(
    ("old", "new", "name", "reason"),
    [
        ("op01n01a", "op01n01b", "notes", "no bars, or no notes"),
        ("\tI\t", "\tH\t", "expanded", "'H' is no Roman numeral"),
        ("\tMm7\t", "\tMm8\t", "expanded", "'Mm8' is no chord type"),
    ],
)
def test_a_bad_movement_is_named_with_the_reason(old: str, new: str, name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(BadTrack, match=rf"dcml: corelli/op01n01a: .*{reason}"):
        Dcml(store(tmp_path, old, new, name), "full").load(ITEM)


def test_before_fetching_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="musicfm prepare"):
        Dcml(tmp_path).load(ITEM)


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="profile: 'half' is unknown; choose one of demo, full"):
        Dcml(profile="half")  # type: ignore[arg-type]


def test_the_licence_is_said_first(tmp_path: Path) -> None:
    lines: list[str] = []
    Dcml(store(tmp_path)).fetch(lines.append)
    assert "CC BY-NC-SA 4.0" in lines[0]


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_splits_are_by_work_and_near_70_12_18(profile: dcml.Profile) -> None:
    items = Dcml(profile=profile).items()
    assert len({item.track_id for item in items}) == len(items) == {"demo": 190, "full": 560}[profile]
    splits: dict[str, set[str]] = defaultdict(set)
    for item in items:
        splits[item.group].add(item.split)
    assert all(len(found) == 1 for found in splits.values())
    share = Counter(item.split for item in items)
    for split, wanted in (("train", 0.7), ("val", 0.12), ("test", 0.18)):
        assert share[split] / len(items) == pytest.approx(wanted, abs=0.04)
    composers = {split: {item.group.split("/")[0] for item in items if item.split == split} for split in share}
    assert composers["test"] | composers["val"] <= composers["train"]
    assert len(composers["test"]) >= 8


def test_instruments_do_not_follow_the_composer() -> None:
    drawn: dict[str, Counter[str]] = defaultdict(Counter)
    for item in Dcml(profile="full").items():
        _, families = dcml_performance.orchestrate(item.track_id, {1: 70.0, 2: 50.0})
        drawn[item.track_id.split("/")[0]].update(families)
    for counts in (counts for counts in drawn.values() if counts.total() > 60):
        assert set(counts) == set(dcml_performance.FAMILIES)
        assert max(counts.values()) / counts.total() < 0.25  # of nine families


def test_registers_choose_the_program() -> None:
    names = [f"x/{i}" for i in range(200)]
    sets = {tuple(dcml_performance.orchestrate(name, {1: 75.0, 2: 60.0, 3: 45.0})[0].values()) for name in names}
    assert (40, 41, 42) in sets  # a string trio
    assert (0, 0, 0) in sets  # a piano


@pytest.mark.skipif(
    not (REAL / dcml_source.STORE).is_dir(),
    reason="the scores are not fetched: `musicfm prepare --corpus dcml` does it (15 MB, not for commercial use)",
)
def test_the_real_scores_unfold_to_the_length_they_state() -> None:
    corpus = Dcml(REAL, "full")
    agree = 0
    for row in dcml._movements():
        bars = dcml_movement.read(REAL / dcml_source.STORE, row["movement"]).bars
        stated = dcml_source.read_rows(REAL / dcml_source.STORE, "metadata", row["movement"])
        length_q = dcml_score.unfold(bars)[-1].end_q
        agree += bool(abs(stated["length_qb_unfolded"][0].as_py() - length_q) < 0.01)
    assert agree >= 552
    track = corpus.load(next(item for item in corpus.items() if item.track_id == "corelli/op01n01a"))
    assert isinstance(track.labels["chord"], Spans)
