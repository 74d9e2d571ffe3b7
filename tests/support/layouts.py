"""Every data set in little, in the layout that it ships in: what `test_any_input` damages.

A function here for each corpus, or several where its files come in several formats: it writes the files and gives the
corpus that reads them. They are found by the type that they return.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pretty_midi
from rhythm_jams import jams_text
from sounds import write_sound, write_text

from data_modules.corpora.ballroom import Ballroom
from data_modules.corpora.base import Corpus
from data_modules.corpora.beat_this_annotations import BeatThisAnnotations
from data_modules.corpora.billboard import Billboard
from data_modules.corpora.fma import Fma
from data_modules.corpora.giantsteps_key import GiantStepsKey
from data_modules.corpora.giantsteps_mtg_keys import GiantStepsMtgKeys
from data_modules.corpora.gtzan import Gtzan
from data_modules.corpora.hainsworth import Hainsworth
from data_modules.corpora.harmonix import Harmonix
from data_modules.corpora.isophonics import Isophonics
from data_modules.corpora.jams_folder import JamsFolder
from data_modules.corpora.magnatagatune import MagnaTagATune
from data_modules.corpora.mtg_jamendo import MtgJamendo
from data_modules.corpora.pop909 import Pop909
from data_modules.corpora.rwc_popular import RwcPopular
from data_modules.corpora.salami import Salami
from data_modules.corpora.smc import Smc

BEATS = "0.25\t1\n0.75\t2\n1.25\t3\n1.75\t1\n"


def _gtzan(root: Path) -> Gtzan:
    write_sound(root / "genres/blues/blues.00000.wav")
    write_text(root / "beats/gtzan_blues_00000.beats", BEATS)
    write_text(root / "stats.csv", "name,artist\nblues.00000.wav,John Lee Hooker\n")
    write_text(root / "lists/train_filtered.txt", "rock/rock.00001.wav\n")
    write_text(root / "lists/valid_filtered.txt", "rock/rock.00002.wav\n")
    write_text(root / "lists/test_filtered.txt", "blues/blues.00000.wav\n")
    return Gtzan(root, split_file=root / "lists")


def _gtzan_rhythm(root: Path) -> Gtzan:
    write_sound(root / "genres/blues/blues.00000.wav")
    write_text(root / "jams/blues.00000.wav.jams", jams_text([0.25, 0.75, 1.25, 1.75], [0.25, 1.75]))
    return Gtzan(root)


def _ballroom(root: Path) -> Ballroom:
    write_sound(root / "BallroomData/Waltz/Media-105901.wav")
    write_text(root / "BallroomAnnotations/Media-105901.beats", "0.25\t9.3\n0.75\t10.1\n1.25\t10.2\n")
    write_text(root / "8-folds.split", "ballroom_Media-105901\t0\nballroom_Media-105902\t7\n")
    return Ballroom(root, split_file=root / "8-folds.split")


def _hainsworth(root: Path) -> Hainsworth:
    write_sound(root / "audio/001.wav")
    write_text(root / "annotations/beats/001.beats", BEATS)
    return Hainsworth(root)


def _smc(root: Path) -> Smc:
    write_sound(root / "SMC_MIREX_Audio/SMC_001.wav")
    write_text(root / "SMC_MIREX_Annotations_05_08_2014/SMC_001_2_1_1_a.txt", "0.5\r\n1.1\r\n1.7\r\n")
    return Smc(root)


def _beat_this(root: Path) -> BeatThisAnnotations:
    write_sound(root / "audio/csic.1995_ansina1_01.wav")
    candombe = root / "beat_this_annotations/candombe"
    write_text(candombe / "annotations/beats/csic.1995_ansina1_01.beats", BEATS)
    write_text(candombe / "info.json", '{"has_downbeats": true}')
    write_text(candombe / "single.split", "csic.1995_ansina1_01\ttrain\nzavala.muniz.2014_41\tval\n")
    return BeatThisAnnotations(root / "beat_this_annotations", "candombe", root / "audio")


def _rwc_popular(root: Path) -> RwcPopular:
    write_sound(root / "audio/rwc-p-m01/1.wav")
    write_text(root / "BEAT/RM-P001.BEAT.TXT", "4\t49\t384\n49\t93\t48\n93\t140\t384\n")
    write_text(root / "CHORUS/RM-P001.CHORUS.TXT", '4\t90\t"intro"\n90\t190\t"chorus A"\n')
    write_text(root / "CHORD/N001-M01-T01.lab", "0.0\t0.1\tN\n0.1\t2.0\tAb:min\n")
    header = "Piece No.,Cat. Suffix,Tr. No.,Title,Artist (Vocal)\n"
    write_text(root / "rwc-p.csv", header + "No. 1,M01,Tr. 01,Eien no replica,Kazuo Nishi\n")
    return RwcPopular(root)


def _beatles(root: Path) -> Isophonics:
    song = "The Beatles/01_-_Please_Please_Me/11_-_Do_You_Want_To_Know_A_Secret"
    write_sound(root / "audio/Please Please Me/Do you want to know a secret.wav")
    write_text(root / f"annotations/beat/{song}.txt", "# by ear\n0.10\t4\n0.30 New Point\n0.5\t2\n7.0e-1\t3\n0.90\t4\n")
    write_text(root / f"annotations/chordlab/{song}.lab", "0.000000 0.20 N\n0.20\t1e0\tE:maj/3\n1.0 1.5 X\n")
    write_text(
        root / f"annotations/keylab/{song}.lab", "0.000\t0.100\tSilence\n0.1\t1.0\tKey\tE\n1.0\t1.5\tKey\tC#:min"
    )
    write_text(root / f"annotations/seglab/{song}.lab", "0.0\t0.1\t\tsilence\n0.1\t0.5\t1\tintro\n0.5 1.2 2 verse\n")
    return Isophonics(root)


def _harmonix(root: Path) -> Harmonix:
    write_sound(root / "audio/0001_12step.wav")
    write_text(root / "dataset/beats_and_downbeats/0001_12step.txt", "0.0\t1\t1\n0.5\t2\t1\n1.0\t1\t2\n")
    write_text(root / "dataset/segments/0001_12step.txt", "0.0 intro\n0.5 prechorus2\n1.0 bre\n1.5 silence\n1.8 end\n")
    write_text(root / "dataset/metadata.csv", 'File,Title,Artist,Release\n0001_12step,"1, 2 Step","Ciara",x\n')
    write_text(root / "map.csv", "label,function,basis\nbre,bridge,own\nghost,previous,own\n")
    return Harmonix(root, label_map=root / "map.csv")


def _salami(root: Path) -> Salami:
    _write_salami(root)
    return Salami(root)


def _salami_letters(root: Path) -> Salami:
    _write_salami(root)
    return Salami(root, level="lowercase")


def _write_salami(root: Path) -> None:
    write_sound(root / "audio/10.wav")
    parsed = root / "annotations/10/parsed"
    write_text(parsed / "textfile1_functions.txt", "0.0\tSilence\n0.2\tIntro\n0.6\tno_function\n1.0\tOutro\n1.9\tEnd")
    write_text(parsed / "textfile1_uppercase.txt", "0.0\tSilence\n0.2\tA\n0.6\tB'\n1.9\tEnd")
    write_text(parsed / "textfile1_lowercase.txt", "0.0\tSilence\n0.2\ta\n0.4\ta'\n0.6\tbb\n1.9\tEnd")
    write_text(root / "metadata/metadata.csv", "SONG_ID,SOURCE,ARTIST\n10,Codaich,The_Cure\n")


def _billboard(root: Path) -> Billboard:
    write_sound(root / "audio/3.wav")
    entry = root / "McGill-Billboard/0003"
    write_text(entry / "full.lab", "0.0\t0.2\tN\n0.2\t0.9\tC:7(#9)\n0.9\t1.5\tC:1/1\n1.5\t1.9\tX\n\n")
    header = "# title: T\n# artist: James Brown\n# metre: 4/4\n\n"
    lines = "0.0\tsilence\n0.2\tA, intro, | N |, (guitar)\n0.9\tB, | C:7(#9) | x2\n1.5\t| C:1/1 |\n1.9\tend\n"
    write_text(entry / "salami_chords.txt", header + lines)
    index = "id,chart_date,target_rank,title,artist\n1,x,82,,\n3,x,56,I Don't Mind,James Brown\n"
    write_text(root / "billboard-2.0-index.csv", index)
    return Billboard(root)


def _giantsteps(root: Path) -> GiantStepsKey:
    write_sound(root / "audio/10089.LOFI.wav")
    write_text(root / "annotations/key/10089.LOFI.key", "E minor")
    return GiantStepsKey(root)


def _giantsteps_older(root: Path) -> GiantStepsKey:
    write_sound(root / "audio/10089.LOFI.wav")
    header = "#@format: key\ttimestamp(float)\tkey(string)\n"
    write_text(root / "annotations/giantsteps/10089.LOFI.key", f"{header}key 0 G major\nkey 1.0 E minor\n")
    return GiantStepsKey(root)


def _giantsteps_mtg(root: Path) -> GiantStepsMtgKeys:
    write_sound(root / "audio/10.LOFI.wav")
    rows = "ID\tMANUAL KEY\tC\n10\tD# minor\t2\n11\tC minor / F# minor\t1\tmodulates\n12\t-\t0\n"
    write_text(root / "annotations/annotations.txt", rows)
    write_text(root / "annotations/beatport_metadata.txt", "ID\tARTIST\tTITLE\n10\tAda, Bob\tx\n11\tBob\ty\n")
    return GiantStepsMtgKeys(root, min_confidence=0, several="first")


def _mtg_jamendo(root: Path) -> MtgJamendo:
    write_sound(root / "audio/48/948.mp3")
    header = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\n"
    rows = {
        "train": "track_0000948\tartist_000087\talbum_000149\t48/948.mp3\t212.7\tgenre---rock\tinstrument---piano\n",
        "validation": "track_1310777\tartist_352184\talbum_155700\t77/1310777.mp3\t100.0\tgenre---folk\n",
        "test": "track_0000773\tartist_000104\talbum_000126\t73/773.mp3\t275.3\n",
    }
    for split, row in rows.items():
        write_text(root / f"data/splits/split-0/autotagging_top50tags-{split}.tsv", header + row)
    return MtgJamendo(root)


def _magnatagatune_full(root: Path) -> MagnaTagATune:
    _write_magnatagatune(root)
    return MagnaTagATune(root, "full")


def _magnatagatune_won(root: Path) -> MagnaTagATune:
    _write_magnatagatune(root)
    clips = ["0\t0/ada-first-01-dawn-0-29.mp3", "1\tc/bob-second-01-dusk-0-29.mp3", "2\tf/eve-third-01-noon-0-29.mp3"]
    for name, clip in zip(("train", "valid", "test"), clips, strict=True):
        np.save(root / f"{name}.npy", np.array([clip]))
    np.save(root / "tags.npy", np.array(["techno", "guitar"]))
    np.save(root / "binary.npy", np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    return MagnaTagATune(root)


def _write_magnatagatune(root: Path) -> None:
    write_sound(root / "mp3/0/ada-first-01-dawn-0-29.mp3")
    rows = (
        ("clip_id", "guitar", "techno", "mp3_path"),
        ("2", "0", "1", "0/ada-first-01-dawn-0-29.mp3"),
        ("6", "1", "0", "c/bob-second-01-dusk-0-29.mp3"),
        ("10", "1", "1", "f/eve-third-01-noon-0-29.mp3"),
    )
    write_text(root / "annotations_final.csv", "".join("\t".join(f'"{cell}"' for cell in row) + "\n" for row in rows))


def _fma(root: Path) -> Fma:
    write_sound(root / "fma_small/000/000002.mp3")
    rows = (
        *(",artist,set,set,track", ",id,split,subset,genre_top", "track_id,,,,"),
        *("2,1,training,small,Hip-Hop", "3,1,validation,medium,", "5,6,test,small,Old-Time / Historic"),
    )
    write_text(root / "fma_metadata/tracks.csv", "\n".join(rows) + "\n")
    return Fma(root, "small")


def _jams_folder(root: Path) -> JamsFolder:
    values = {
        "beat_position": [{"position": 1, "measure": 1}, {"position": 2, "measure": 1}],
        "chord": ["C:maj/3", "N"],
        "segment_open": ["intro", "verse_1"],
        "key_mode": ["C#:minor", "N"],
        "tag_open": ["loud", "slow"],
        "multi_segment": [{"label": "A", "level": 0}, {"label": "b", "level": 1}],
    }
    annotations = [
        {
            "namespace": namespace,
            "data": [
                {"time": float(at), "duration": 1.0, "value": value, "confidence": 1.0} for at, value in enumerate(told)
            ],
            "annotation_metadata": {},
            "sandbox": {},
        }
        for namespace, told in values.items()
    ]
    text = json.dumps({"annotations": annotations, "file_metadata": {"duration": 2.0}, "sandbox": {}})
    write_sound(root / "album/song.wav")
    write_text(root / "album/song.jams", text)
    return JamsFolder(root)


def _pop909(root: Path) -> Pop909:
    song = root / "POP909/001"
    song.mkdir(parents=True)
    midi = pretty_midi.PrettyMIDI()
    midi.instruments = [pretty_midi.Instrument(0, name=name) for name in ("MELODY", "BRIDGE", "PIANO")]
    for beat in range(16):
        midi.instruments[0].notes.append(pretty_midi.Note(90, 60 + beat % 8, 0.1 + beat / 4, 0.3 + beat / 4))
    midi.write(str(song / "001.mid"))
    write_text(song / "beat_midi.txt", "".join(f"{0.1 + beat / 4} 0.0 {float(beat % 4 == 1)}\n" for beat in range(16)))
    write_text(song / "beat_audio.txt", "1.1\t1.0\n1.35\t2.0\n")
    write_text(song / "chord_midi.txt", "0.1\t1.1\tC:maj\n1.1\t4.1\tA:min7/b3\n")
    write_text(song / "key_audio.txt", "1.1\t2.1\tC:maj\n2.1\t5.1\tGb:min\n")
    write_text(song / "human_label1.txt", "i1A1A1\n")
    return Pop909(root)


LAYOUTS: tuple[Callable[[Path], Corpus], ...] = tuple(
    function
    for function in list(vars().values())
    if callable(function)
    and getattr(function, "__module__", None) == __name__
    and isinstance(get_type_hints(function).get("return"), type)
    and issubclass(get_type_hints(function)["return"], Corpus)
)
