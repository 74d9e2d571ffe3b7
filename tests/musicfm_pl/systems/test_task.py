"""What a task model says of a whole track does not depend on how it was computed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import lightning as L
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from data_modules import SAMPLE_RATE
from data_modules.shards import Prepared
from data_modules.task import TaskData
from data_modules.waveforms import Samples
from musicfm_pl.encoders.base import Encoder
from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.encoders.mel_frames import MelFrames
from musicfm_pl.encoders.pretrained import Pretrained, Untrained
from musicfm_pl.heads.base import Head
from musicfm_pl.heads.beat import Beat
from musicfm_pl.heads.chord import Chord
from musicfm_pl.heads.key import Key
from musicfm_pl.heads.tagging import Tagging
from musicfm_pl.systems.task import TaskModel


def conformer(seed: int = 0) -> Conformer:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Conformer(dim=16, num_layers=2, num_heads=2, ffn_dim=24, kernel_size=5, conv_channels=2)


def attached(
    root: Path, encoder: Encoder, head: Callable[[int], Head], *, stage: str = "fit", cache: bool = False,
    clip_s: float = 5.0, cache_window_s: float = 10.0, layer: int | str = "last", window_batch: int = 8,
) -> TaskModel:  # fmt: skip
    """A model and its data, set up as a trainer sets them up."""
    data = TaskData(root, clip_s=clip_s, cache=cache, cache_window_s=cache_window_s, num_workers=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = TaskModel(encoder, head, layer=layer, window_batch=window_batch)  # type: ignore[arg-type]
        trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, max_steps=1)
        trainer.datamodule = data  # type: ignore[attr-defined]
        data.trainer = model.trainer = trainer
        data.setup(stage)
        model.setup(stage)
    return model.eval()


@torch.no_grad()
def logits(model: TaskModel, number: int = 0, duration_s: float | None = None) -> torch.Tensor:
    """Of one track, or of its beginning."""
    entry = model.data.prepared.entries[number]
    duration_s = duration_s or entry.duration_s
    if model.data.cache and model.freeze_encoder:
        features = model.data.source.read(entry, 0.0, duration_s)[None].float()
    else:
        samples = Samples(model.data.prepared).read(entry, 0.0, duration_s)
        features = model.data.features(samples[None].float() / 32768)
    return model.track_logits(features, duration_s)


@pytest.mark.parametrize("head", [Beat, Chord, Key, Tagging])
def test_results_do_not_depend_on_the_windows_at_once(prepared: Path, head: Callable[[int], Head]) -> None:
    one, three, all_ = (
        logits(attached(prepared, conformer(), head, clip_s=2.0, window_batch=batch)) for batch in (1, 3, 100)
    )
    torch.testing.assert_close(one, three, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(one, all_, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("head", [Beat, Chord, Key, Tagging])
@pytest.mark.parametrize("duration_s", [0.5, 1.23, 4.99, 5.0, 5.01, 7.77, 20.3])
def test_every_length_has_its_frames(prepared: Path, head: Callable[[int], Head], duration_s: float) -> None:
    """Shorter than a clip, just as long, and longer."""
    model = attached(prepared, conformer(), head)
    found = logits(model, duration_s=duration_s)
    num_rows = model.head.num_frames(duration_s) if model.head.rate_hz else len(found)  # a clip-level head: windows
    assert found.shape == (num_rows, model.head.num_outputs)
    assert num_rows >= 1
    assert found.isfinite().all()
    estimate = model.head.decode(found.numpy(), duration_s)
    assert all(0 <= a_s <= b_s <= duration_s for a_s, b_s, _ in estimate.spans)


@pytest.mark.parametrize("head", [Beat, Chord, Key])
@pytest.mark.parametrize("layer", ["last", "all", 0])
def test_cached_hidden_states_say_the_same(
    prepared: Path, tmp_path: Path, head: Callable[[int], Head], layer: int | str
) -> None:
    """Where the window covers the track, all that the cache changes is half precision."""
    data = tmp_path / "data"
    shutil.copytree(prepared, data, ignore=shutil.ignore_patterns("embeddings"))
    windows = {"clip_s": 30.0, "cache_window_s": 30.0}
    plain = attached(data, conformer(), head, layer=layer, **windows)  # type: ignore[arg-type]
    cached = attached(data, conformer(), head, layer=layer, cache=True, **windows)  # type: ignore[arg-type]
    cached.load_state_dict(plain.state_dict())
    torch.testing.assert_close(logits(cached), logits(plain), rtol=0.01, atol=0.01)
    torch.testing.assert_close(logits(cached, 5), logits(plain, 5), rtol=0.01, atol=0.01)


def test_a_cached_track_in_windows_is_near_the_whole(prepared: Path, tmp_path: Path) -> None:
    """Mel frames have no context beyond the mel's own window, so that the seams of windows do not show."""
    data = tmp_path / "data"
    shutil.copytree(prepared, data, ignore=shutil.ignore_patterns("embeddings"))
    short = attached(data, MelFrames(), Chord, cache=True, cache_window_s=6.0)
    entry = short.data.prepared.entries[0]
    in_windows = short.data.source.read(entry, 0.0, entry.duration_s)
    mel = short.data.features(Samples(short.data.prepared).read(entry, 0.0, entry.duration_s)[None].float() / 32768)
    whole = torch.stack(short.encoder(mel), dim=1)[0]
    tokens = round(entry.duration_s * 25)
    assert in_windows.shape == (1, tokens, 512)
    torch.testing.assert_close(in_windows.float(), whole[:, :tokens], rtol=2e-3, atol=2e-3)
    middle = short.data.source.read(entry, 4.0, 2.0)
    torch.testing.assert_close(middle, in_windows[:, 100:150])
    beyond = short.data.source.read(entry, entry.duration_s - 1.0, 2.0)
    assert not beyond[:, 26:].any()


def test_the_cache_belongs_to_one_encoder_one_mel_and_one_corpus(prepared: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(prepared, data, ignore=shutil.ignore_patterns("embeddings"))

    def caches() -> int:
        return len(list((data / "embeddings").iterdir()))

    attached(data, conformer(0), Chord, cache=True)
    assert caches() == 1
    for same in (Chord, Key, Beat):
        attached(data, conformer(0), same, cache=True, stage="test")
    attached(data, conformer(0), Chord, cache=True, layer="all", clip_s=12.0)
    assert caches() == 1, "task, stage, layer and clip length change no hidden state"
    attached(data, conformer(1), Chord, cache=True)
    assert caches() == 2, "other weights"
    attached(data, conformer(0), Chord, cache=True, cache_window_s=7.0)
    assert caches() == 3, "other windows"
    encoder = conformer(0)
    encoder.mel = {"hop_length": 240, "num_mels": 128, "n_fft": 2048, "sample_rate": 24000, "mean": 1.0, "std": 2.0}  # type: ignore[assignment]
    attached(data, encoder, Chord, cache=True)
    assert caches() == 4, "other statistics"
    index = data / "index.parquet"
    table = pq.read_table(index)
    pq.write_table(table.slice(0, 7), index)
    attached(data, conformer(0), Chord, cache=True)
    assert caches() == 5, "another corpus"


def test_a_protocol_that_is_not_there_is_refused_before_the_training() -> None:
    with pytest.raises(ValueError, match=r"model\.protocols: beat has no beat_that, by_track, but musicfm, all_in"):
        TaskModel(MelFrames(), Beat, protocols=["musicfm", "beat_that", "by_track"])
    assert TaskModel(MelFrames(), Beat, protocols=["beat_this"]).protocols == ["beat_this"]
    assert TaskModel(MelFrames(), Key, protocols=["mirex"]).protocols == ["mirex"]


def test_fine_tuning_does_not_read_the_cache(prepared: Path) -> None:
    data = TaskData(prepared, cache=True, num_workers=0)
    model = TaskModel(conformer(), Chord, freeze=False)
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, max_steps=1)
    trainer.datamodule = data  # type: ignore[attr-defined]
    data.trainer = model.trainer = trainer
    data.setup("fit")
    model.setup("fit")
    assert isinstance(data.source, Samples)
    model.train()
    assert model.encoder.training


def test_a_frozen_encoder_does_not_change_in_training(prepared: Path) -> None:
    model = attached(prepared, conformer(), Chord)
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    for mode in (None, True):
        if mode is not None:
            model.train(mode)
        assert not any(part.training for part in model.encoder.modules())
        states = model.hidden(torch.randn(2, 128, 100))
        assert not states.requires_grad
    for name, value in model.encoder.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_pretrained_and_untrained(pretrained_run: Path) -> None:
    """Of one run: the same shape, the same mel, other weights; and the global generator is left alone."""
    pretrained = Pretrained(pretrained_run)
    state = torch.get_rng_state()
    untrained, again, other = (
        Untrained(pretrained_run),
        Untrained(pretrained_run),
        Untrained(pretrained_run, seed=1),
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert pretrained.mel == untrained.mel
    assert set(pretrained.mel) >= {"hop_length", "num_mels", "n_fft", "mean", "std"}
    weights = [encoder.state_dict() for encoder in (pretrained, untrained, again, other)]
    assert [weights[0].keys()] * 3 == [weight.keys() for weight in weights[1:]]
    torch.testing.assert_close(weights[1], weights[2], rtol=0, atol=0)
    matrix = next(name for name, value in weights[0].items() if value.dim() == 2)
    assert not torch.equal(weights[0][matrix], weights[1][matrix])
    assert not torch.equal(weights[1][matrix], weights[3][matrix])
    saved = torch.load(pretrained_run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    for name, value in weights[0].items():
        torch.testing.assert_close(value, saved[name.replace("inner.", "encoder.", 1)], rtol=0, atol=0)
    mel_BMF = torch.randn(1, 128, 50)
    for encoder in (pretrained, untrained):
        encoder.eval()
        assert len(encoder(mel_BMF)) == encoder.num_layers + 1 == 3
        assert encoder(mel_BMF)[-1].shape == (1, 13, encoder.dim)
        assert len(encoder(mel_BMF, last_layer=1)) == 2


def test_the_mel_of_a_pretrained_encoder_is_taken_over(prepared: Path, pretrained_run: Path) -> None:
    encoder = Pretrained(pretrained_run)
    encoder.mel = {**encoder.mel, "mean": 5.0, "std": 3.0}
    model = attached(prepared, encoder, Chord)
    assert (model.data.features.mean, model.data.features.std) == (5.0, 3.0)
    plain = attached(prepared, MelFrames(), Chord)
    values = [Prepared(prepared).read(entry) for entry in Prepared(prepared).split("train")]
    mel = torch.cat([plain.data.features(torch.from_numpy(v.astype(np.float32) / 32768)[None]) for v in values], dim=2)
    assert mel.mean().item() == pytest.approx(0, abs=1e-3)
    assert mel.std().item() == pytest.approx(1, abs=1e-3)
    assert mel.shape[2] == 4 * int(20.3 * SAMPLE_RATE) // 240


@pytest.mark.parametrize("layer", ["all", 1])
def test_hidden_states_do_not_depend_on_the_windows_at_once(prepared: Path, layer: int | str) -> None:
    """Of a whole track, as they are cached and as files are predicted; of one layer as of all."""
    entry = Prepared(prepared).entries[0]
    waveform_N = torch.from_numpy(Prepared(prepared).read(entry).astype(np.float32) / 32768)
    found = []
    for batch in (1, 3, 100):
        model = attached(prepared, conformer(), Chord, clip_s=2.0, cache_window_s=3.0, window_batch=batch, layer=layer)
        features = model.data.features(waveform_N[None])
        found.append(model._track_states(features, entry.duration_s))
        one = model._track_states(features, entry.duration_s, only=1)
        torch.testing.assert_close(one, found[-1][1:2], rtol=0, atol=0)
    for other in found[1:]:
        torch.testing.assert_close(found[0], other, rtol=2e-3, atol=2e-3)  # of half precision
    assert found[0].shape == (3, round(entry.duration_s * 25 + 0.5), 16)


def test_one_layer_of_the_cache_is_that_layer_of_all(prepared: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(prepared, data, ignore=shutil.ignore_patterns("embeddings"))
    whole = attached(data, conformer(), Chord, cache=True, layer="all")
    entry = whole.data.prepared.entries[1]
    all_LTD = whole.data.source.read(entry, 3.0, 30.0)
    assert all_LTD.shape == (3, 750, 16)
    for layer in range(3):
        one = attached(data, conformer(), Chord, cache=True, layer=layer)
        torch.testing.assert_close(one.data.source.read(entry, 3.0, 30.0), all_LTD[layer : layer + 1], rtol=0, atol=0)
        torch.testing.assert_close(
            one.hidden(all_LTD[None].float()), one.hidden(all_LTD[None, layer : layer + 1].float())
        )
    assert len(list((data / "embeddings").iterdir())) == 1


def test_the_digest_sees_what_is_no_weight_and_labels_that_change(prepared: Path, tmp_path: Path) -> None:
    """Heads of attention change no weight; a label changes no sample: either is another cache."""
    data = tmp_path / "data"
    shutil.copytree(prepared, data, ignore=shutil.ignore_patterns("embeddings"))
    two, four = conformer(0), conformer(0)
    for part in four.modules():
        if hasattr(part, "num_heads"):
            part.num_heads = 4
    assert all(torch.equal(a, b) for a, b in zip(two.state_dict().values(), four.state_dict().values(), strict=True))
    digests = [attached(data, encoder, Chord)._states_digest() for encoder in (two, four)]
    assert digests[0] != digests[1]
    assert attached(data, conformer(0), Chord)._states_digest() == digests[0]
    table = pq.read_table(data / "index.parquet").to_pylist()
    before = Prepared(data).digest
    table[0]["labels"][0]["label"] = "2"
    pq.write_table(pa.Table.from_pylist(table, schema=pq.read_schema(data / "index.parquet")), data / "index.parquet")
    assert Prepared(data).digest != before
