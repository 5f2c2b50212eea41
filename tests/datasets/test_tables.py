"""The reader of tables: what spreadsheets of any country write is read; what is refused has its line and cause."""

import drawn_photographs as drawn
import pytest
from building import all_faces, build

from avlgan_jax.datasets import labels, paths, tables
from avlgan_jax.datasets.affectnet import affectnet_dataset_builder as affectnet
from avlgan_jax.errors import UserError
from avlgan_jax.faces.emotions import EXPRESSIONS

NAMES = {"path": ("path",), "valence": ("valence",), "arousal": ("arousal",), "subject": ("subject", "person")}


def rows_of(path, content: bytes | str, **options):
    """Write a table and return the cells of its rows."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [(row.line, row.cells) for row in tables.read(path, NAMES, ["path", "valence"], **options).rows]


EXPECTED = {"path": "a b.png", "valence": "0.5", "arousal": "-0.25", "subject": "Jörg"}
READ = {
    "plain": "path,valence,arousal,subject\na b.png,0.5,-0.25,Jörg\n",
    "byte order mark": "\ufeffpath,valence,arousal,subject\na b.png,0.5,-0.25,Jörg\n",
    "semicolons": "path;valence;arousal;subject\na b.png;0.5;-0.25;Jörg\n",
    "tabs": "path\tvalence\tarousal\tsubject\na b.png\t0.5\t-0.25\tJörg\n",
    "declared delimiter": "sep=;\npath;valence;arousal;subject\na b.png;0.5;-0.25;Jörg\n",
    "declared after a mark": "\ufeffsep=\t\r\npath\tvalence\tarousal\tsubject\r\na b.png\t0.5\t-0.25\tJörg\r\n",
    "blank first lines": "\n  \n,,,\npath,valence,arousal,subject\n\na b.png,0.5,-0.25,Jörg\n,,,\n",
    "header in capitals": " Path ,VALENCE, Arousal,Person\na b.png , 0.5,-0.25 ,Jörg\n",
    "quotation marks": '"path","valence","arousal","subject"\n"a b.png","0.5","-0.25","Jörg"\n',
    "other line ends": "path,valence,arousal,subject\ra b.png,0.5,-0.25,Jörg\r",
    "trailing delimiters": "path,valence,arousal,subject,,\na b.png,0.5,-0.25,Jörg,,,,\n",
    "no last line end": "path,valence,arousal,subject\na b.png,0.5,-0.25,Jörg",
}


@pytest.mark.parametrize("name", READ)
def test_tables_of_every_spreadsheet_are_read(tmp_path, name):
    ((_, cells),) = rows_of(tmp_path / "labels.csv", READ[name])
    assert {column: text for column, text in cells.items() if column} == EXPECTED


def test_lines_are_counted_as_an_editor_counts_them(tmp_path):
    content = 'sep=,\n\npath,valence\na.png,0\n\n"b\n.png",0\nc\u2028d.png,0\n'
    assert [(line, cells["path"]) for line, cells in rows_of(tmp_path / "labels.csv", content)] == [
        (4, "a.png"),
        (6, "b\n.png"),
        (8, "c\u2028d.png"),
    ]


REFUSED = {
    "latin 1": ("path,valence\na.png,0\nJörg.png,0\n".encode("latin-1"), "line 3: the byte 0xf6 at position 2 is not"),
    "utf-16": ("path,valence\na.png,0\n".encode("utf-16"), "is text in UTF-16, expected a CSV file in UTF-8; save it"),
    "utf-16 without a mark": ("path,valence\n".encode("utf-16-le"), "is no text, expected a CSV file in UTF-8"),
    "a workbook": (b"PK\x03\x04 and so on", "is a workbook or an archive"),
    "empty": ("", "has no column path, valence; it has none"),
    "only blank lines": ("\n\n", "has no column path, valence; it has none"),
    "no column": ("file,valence\na.png,0\n", "has no column path; it has file, valence"),
    "a column twice": ("path,Valence,valence \na,0,0\n", "has the column valence 2 times; expected it once"),
    "too many cells": ("path,valence\na.png,0,5\n", "line 2: 3 columns, expected 2: path, valence; is there a decimal"),
    "too few cells": ("path,valence\n\na.png\n", "line 3: 1 columns, expected 2: path, valence$"),
    "an open quotation mark": (
        'path,valence\na.png,0\n"b.png,0\nc.png,0\n',
        "line 3: a quotation mark is opened and not closed",
    ),
    "a long open quotation mark": (
        'path,valence\n"b.png,0\n' + "c.png,0\n" * 20_000,
        "line 2: a quotation mark is opened and not closed",
    ),
    "text after a quotation mark": ('path,valence\n"a".png,0\n', "line 2: it is not CSV"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_line_and_cause(tmp_path, name):
    content, message = REFUSED[name]
    with pytest.raises(UserError, match=message) as raised:
        rows_of(tmp_path / "labels.csv", content)
    assert "labels.csv" in str(raised.value) and "\n" not in str(raised.value)


def test_a_decimal_comma_is_told_as_such(tmp_path):
    (tmp_path / "labels.csv").write_text("path;valence\na.png;0.5\nb.png;-0,5\nc.png;1.000,5\n")
    first, second, third = tables.read(tmp_path / "labels.csv", NAMES, ["path"]).rows
    assert first.number("valence") == 0.5
    with pytest.raises(UserError, match=r"labels\.csv, line 3, column valence: '-0,5' has a decimal comma"):
        second.number("valence")
    with pytest.raises(UserError, match="line 4, column valence: '1.000,5' has a decimal comma"):
        third.number("valence")


def test_a_second_synonym_is_a_column_that_nothing_reads(tmp_path, capsys):
    (tmp_path / "labels.csv").write_text("path,person,subject,note\na,b,c,d\n")
    table = tables.read(tmp_path / "labels.csv", NAMES, ["path"])
    table.warn_of_unread(NAMES)
    (row,) = table.rows
    assert row["subject"] == "c" and row["arousal"] == ""
    assert "nothing reads the column person, note; the columns that are read are" in capsys.readouterr().err


@pytest.mark.parametrize("header", ["mine,valence,arousal", "valence,mine,arousal", "arousal,valence,mine"])
def test_a_named_column_is_read_though_another_one_has_the_usual_name(tmp_path, capsys, header):
    path, row = tmp_path / "labels.csv", {"mine": "0.1", "valence": "0.9", "arousal": "0.2"}
    path.write_text(f"{header}\n{','.join(row[name] for name in header.split(','))}\n")
    table = tables.read(path, {"valence": ("mine",), "arousal": ("arousal",)})
    assert [row.emotion() for row in table.rows] == [(0.1, 0.2)]
    table.warn_of_unread(("valence", "arousal"))
    assert "nothing reads the column valence (of the header)" in capsys.readouterr().err
    exchanged = tables.read(path, {"valence": ("arousal",), "arousal": ("valence",)})
    assert [row.emotion() for row in exchanged.rows] == [(0.2, 0.9)]


def test_words_of_affectnet_are_expressions():
    words = ("Neutral", "Happiness", " sadness ", "Surprise", "Fear", "Disgust", "Anger", "Contempt")
    assert [labels.expression(word) for word in words] == list(range(8))
    assert [labels.expression(name) for name in EXPRESSIONS] == list(range(8))
    assert [labels.expression(text) for text in ("3", "3.0", "Uncertain", "joy", "", None)] == [3, 3, 9, -1, None, None]
    assert labels.number("−0.5") == -0.5


def test_paths_of_other_systems_lead_to_the_picture(tmp_path):
    folder = tmp_path / "faces"
    for name in ("images/a.png", "odd\\name.png", "images/Zoe\u0308.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (tmp_path / "link").symlink_to(folder)
    for text, expected in {
        "images/a.png": "images/a.png",
        "images\\a.png": "images/a.png",
        ".\\images\\a.png": "./images/a.png",
        "odd\\name.png": "odd\\name.png",
        f"{folder}/images/a.png": "images/a.png",
        f"{tmp_path}/link/images/a.png": "images/a.png",
        "C:\\Users\\me\\faces\\images\\a.png": "images/a.png",
        "D:/faces/images/a.png": "images/a.png",
        "\\\\server\\share\\faces\\images\\a.png": "images/a.png",
        "/home/me/faces/images/a.png": "images/a.png",
        "images/Zoë.png": "images/Zoe\u0308.png",
        "gone.png": "gone.png",
    }.items():
        assert paths.relative(text, folder) == expected, text
    for text in ("C:\\Users\\me\\other\\a.png", "/etc/passwd", "E:\\faces\\gone.png"):
        assert paths.relative(text, folder) == text
        with pytest.raises(ValueError, match="leads out of"):
            paths.inside(folder, text)


@pytest.mark.parametrize("text", ["/a\0b", "C:\\faces\\a\0b", "a\\b\0c", "é\0", "a\\" + "x" * 5000, "/" + "x" * 5000])
def test_a_path_that_no_file_can_have_is_one_of_no_file(tmp_path, text):
    assert paths.relative(text, tmp_path / "faces") in (text, text.replace("\\", "/"))


def test_a_table_of_another_system_is_built(tmp_path):
    folder = tmp_path / "faces"
    for k in range(3):
        drawn.save_face(folder / f"images/{k}.png", k)
    table = "sep=;\r\n\r\nPath;Valence;AROUSAL;Expression;Person\r\n"
    table += "images\\0.png;0.5;0.1;Happiness;Jörg\r\nC:\\Users\\me\\faces\\images\\1.png;−0.5;0;Sadness;Zoë\r\n"
    table += f"{folder}/images/2.png;0;0;;Zoë\r\n;;;;\r\n"
    (folder / "labels.csv").write_bytes(table.encode("utf-8-sig"))
    faces = all_faces(tmp_path, build("face_folder", folder, tmp_path, landmarks="dlib"))
    assert sorted(faces) == ["images/0.png", "images/1.png", "images/2.png"]
    assert [EXPRESSIONS[faces[name]["expression"]] for name in sorted(faces)] == ["happy", "sad", "neutral"]
    assert faces["images/1.png"]["emotion"] == (-0.5, 0.0) and faces["images/1.png"]["subject"] == "Zoë"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.png,0,0,joy", "line 2, column expression: 'joy' is neither an index nor one of neutral, happy"),
        (",0,0,happy", "line 2, column path: it is empty"),
        ('a.png,"0,5",0,happy', "line 2, column valence: '0,5' has a decimal comma"),
    ],
)
def test_a_refused_cell_names_line_and_column(tmp_path, row, message):
    (tmp_path / "labels.csv").write_text(f"path,valence,arousal,expression\n{row}\n")
    with pytest.raises(UserError, match=message):
        build("face_folder", tmp_path, tmp_path / "data", landmarks="dlib")


def test_a_bad_byte_in_a_list_of_affectnet_is_one_line(tmp_path):
    lists = tmp_path / "Manually_Annotated_file_lists"
    lists.mkdir()
    header = ",".join(affectnet.COLUMNS)
    row = "1/a.jpg,1,1,9,9,,{},0.5,0.1\n"
    (lists / "training.csv").write_bytes(f"{header}\n{row.format(1)}".encode() + b"\xff" + row.format(1).encode())
    with pytest.raises(UserError, match=r"training\.csv, line 3: the byte 0xff at position 1 is not UTF-8"):
        list(affectnet._listed(affectnet.epath.Path(lists / "training.csv"), "images", "train"))
    (lists / "training.csv").write_text(row.format("Happiness") + row.format("Uncertain"))
    first, second = affectnet._listed(affectnet.epath.Path(lists / "training.csv"), "images", "train")
    assert first.expression == 1 and second.reason == "no label"
